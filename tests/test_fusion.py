"""Adaptive fusion and the regulariser: by hand, and that both move what they are meant to move."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from piumar_lib.fusion import AdaptiveFusion, WassersteinRegularizer


def rectified(clips, channels=16):
    """Features that all point the same way, as averages of rectified ones do; two views of each."""
    common = 3 * torch.rand(channels)
    a = (common + 0.3 * torch.randn(clips, channels)).clamp_min(0)
    return a, (a + 0.1 * torch.rand(clips, 1) * torch.randn(clips, channels)).clamp_min(0)


# Fusion


def test_fusion_by_hand():
    fusion = AdaptiveFusion(2).eval()
    fusion.center.mean = torch.tensor([1.0, 1.0])
    fusion.mean.mean, fusion.variance.mean = torch.tensor(0.5), torch.tensor(0.04)
    fusion.weight.data.fill_(0.5)
    fusion.bias.data.fill_(0.1)
    a, b = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([[2.0, 2.0], [1.0, 0.0]])
    cosine = np.array([1 / np.sqrt(2), -1.0])
    gate = 1 / (1 + np.exp(-(0.5 * (cosine - 0.5) / 0.2 + 0.1)))[:, None]
    assert np.allclose(fusion.gate(a, b).detach(), gate, atol=1e-3)
    expected = gate * [[2, 1.5], [1, 1.5]] + (1 - gate) * [[2, 1], [1, 0]]
    assert np.allclose(fusion(a, b).detach(), expected, atol=1e-3)
    assert torch.equal(fusion(a, b), fusion(b, a))


def test_the_gate_spreads_where_the_plain_cosine_does_not():
    fusion = AdaptiveFusion(16)
    for _ in range(60):
        fusion(*rectified(32))
    a, b = rectified(500)
    plain = torch.sigmoid(F.cosine_similarity(a, b))
    gate = fusion.eval().gate(a, b)[:, 0].detach()
    assert plain.std() < 0.005 and gate.std() > 0.1
    apart = (a - b).norm(dim=1)
    assert np.corrcoef(gate, apart)[0, 1] < -0.5  # closed where the views disagree


def test_agreement_is_standardised_by_what_was_seen_in_training():
    fusion = AdaptiveFusion(16)
    for _ in range(200):
        fusion(*rectified(64))
    z = fusion.eval().agreement(*rectified(2000))
    assert abs(float(z.mean())) < 0.3 and 0.7 < float(z.std()) < 1.3
    before = {name: value.clone() for name, value in fusion.state_dict().items()}
    fusion(*rectified(8))
    assert all(torch.equal(value, before[name]) for name, value in fusion.state_dict().items())


def test_gate_learns_its_bias_and_leaves_its_weight_and_the_views_alone():
    fusion, (a, b) = AdaptiveFusion(16), rectified(20)
    a, b = a.requires_grad_(), b.requires_grad_()
    gate = fusion.gate(a, b)
    gate.square().sum().backward()
    assert a.grad is None and fusion.bias.grad != 0
    assert [name for name, _ in fusion.named_parameters()] == ["bias"] and fusion.weight == 1


@given(
    st.integers(1, 6), st.integers(1, 5),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)  # fmt: skip
def test_fusion_of_every_shape_and_precision_lies_between_minimum_and_mean(batch, channels, dtype):
    fusion = AdaptiveFusion(channels)
    for shape in ((batch, channels), (batch, 3, channels)):
        a, b = torch.randn(2, *shape).to(dtype)
        fused, least, mean = fusion(a, b), torch.minimum(a, b), (a + b) / 2
        assert fused.dtype == dtype and fused.shape == a.shape
        assert (fused >= least - 0.05).all() and (fused <= mean + 0.05).all()
    assert torch.isfinite(fusion(torch.zeros_like(a), torch.zeros_like(b))).all()


def test_views_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"a, b: shapes \(2, 3\), \(2, 4\) differ"):
        AdaptiveFusion(3)(torch.ones(2, 3), torch.ones(2, 4))


# Regulariser


def test_distance_is_pots_to_the_barycentre_of_the_class():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 10, 3)) * rng.random((9, 1, 3)) + 2, np.arange(9) % 4
    regularizer = WassersteinRegularizer(5, 3)
    distances = []
    for clip, label in zip(x, y, strict=True):
        own = x[y == label]
        mean, sd = own.mean(1).mean(0), own.std(1).mean(0)
        cov = np.diag(clip.std(0) ** 2), np.diag(sd**2)
        distances.append(ot.gaussian.bures_wasserstein_distance(clip.mean(0), mean, *cov) ** 2)
    ours = regularizer.distance(torch.as_tensor(x).float(), torch.as_tensor(y))
    assert float(ours) == pytest.approx(np.mean(distances) / 3, rel=1e-3)
    assert regularizer.known.tolist() == [True] * 4 + [False]


def test_barycentres_are_running_ones():
    regularizer, y = WassersteinRegularizer(3, 2, momentum=0.1), torch.tensor([0, 0, 2])
    one, other = torch.randn(2, 3, 20, 2)
    regularizer.distance(one, y)
    first = regularizer.barycenter.clone()
    regularizer.distance(other, y)
    sd = other.var(1, correction=0).sqrt()
    new = torch.cat([other.mean(1), sd], dim=1)
    assert torch.allclose(regularizer.barycenter[0], 0.9 * first[0] + 0.1 * new[:2].mean(0), atol=1e-4)
    assert torch.allclose(regularizer.barycenter[2], 0.9 * first[2] + 0.1 * new[2], atol=1e-4)
    assert torch.equal(regularizer.barycenter[1], torch.zeros(4))  # a class that was not there


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_clip_that_is_not_finite_leaves_the_barycentres_alone(value):
    x, y = torch.randn(3, 20, 2), torch.tensor([0, 1, 2])
    regularizer, alone = WassersteinRegularizer(3, 2), WassersteinRegularizer(3, 2)
    alone.distance(x[1:], y[1:])
    x[0, 5, 1] = value
    regularizer.distance(x, y)
    assert regularizer.known.tolist() == [False, True, True]
    assert torch.equal(regularizer.barycenter, alone.barycenter)


def test_batches_in_which_no_class_has_two_clips_do_not_count():
    y = torch.arange(10)
    batches = torch.randn(2, 10, 20, 4)
    regularizer, later = WassersteinRegularizer(10, 4), WassersteinRegularizer(10, 4)
    later.distance(batches[0], y)
    for module, wanted in ((regularizer, batches), (later, batches[1:])):
        for x in wanted:
            x = x.clone().requires_grad_()
            module.calls = 0  # every batch compares the gradients
            module(x.square().mean(), x, y)
    assert later.ratio.mean > 0 and torch.equal(regularizer.ratio.mean, later.ratio.mean)


def test_a_class_without_a_second_clip_is_pulled_to_what_was_seen_before():
    regularizer, y = WassersteinRegularizer(2, 2), torch.tensor([1])
    x = torch.randn(1, 20, 2)
    assert float(regularizer.distance(x, y)) < 1e-6  # nothing else is known of its class
    assert float(regularizer.distance(x + 5, y)) > 10


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_its_gradient_is_the_chosen_share_of_the_entropys_whatever_the_scale(scale):
    frames, y = (scale * torch.randn(20, 12, 8)).requires_grad_(), torch.arange(20) % 4
    head = torch.nn.Linear(8, 4)
    regularizer = WassersteinRegularizer(4, 8, share=0.15)
    entropy = F.cross_entropy(head(frames.mean(1)), y)
    ours = regularizer(entropy, frames, y)
    sizes = [torch.autograd.grad(term, frames, retain_graph=True)[0].norm() for term in (ours, entropy)]
    assert float(sizes[0] / sizes[1]) == pytest.approx(0.15, rel=1e-3)


def test_a_step_along_its_gradient_brings_clips_of_a_class_together():
    frames, y = torch.randn(20, 12, 8).requires_grad_(), torch.arange(20) % 4
    regularizer = WassersteinRegularizer(4, 8)
    before = regularizer.distance(frames, y)
    (gradient,) = torch.autograd.grad(before, frames)
    after = regularizer.distance(frames - 500 * gradient, y)
    assert after < 0.7 * before


def test_it_computes_in_double_precision():
    torch.manual_seed(0)
    regularizer, y = WassersteinRegularizer(3, 4).double(), torch.tensor([0, 0, 1, 1, 2])
    batches = torch.randn(2, 5, 10, 4, dtype=torch.double, requires_grad=True)
    summary = torch.cat([batches.mean(2), (batches.var(2, correction=0) + 1e-8).sqrt()], dim=2).detach()
    for frames in batches:
        weighted = regularizer(frames.square().mean(), frames, y)
    assert weighted.dtype == torch.double and weighted > 0
    means = torch.stack([summary[:, y == k].mean(1) for k in range(3)], dim=1)  # (2, classes, 8)
    assert torch.allclose(regularizer.barycenter, 0.9 * means[0] + 0.1 * means[1], rtol=0, atol=1e-14)

    def distance(frames):  # to barycentres that stay where the first batch has put them
        still = WassersteinRegularizer(3, 4, momentum=1e-300).double()
        still.observe(summary[0], y)
        return still.distance(frames, y)

    assert torch.autograd.gradcheck(distance, batches[1].detach().requires_grad_())


def test_at_share_zero_it_is_off():
    regularizer = WassersteinRegularizer(4, 8, share=0.0)
    frames = torch.randn(20, 12, 8)
    assert float(regularizer(torch.tensor(1.0), frames, torch.arange(20) % 4)) == 0
    assert not regularizer.known.any()


@pytest.mark.parametrize(("name", "value"), [("share", -0.1), ("momentum", 0.0), ("momentum", 1.5)])
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(
        ValueError, match=f"{name}: must be a number, .*, got {value}. Its default is 0.1"
    ):
        WassersteinRegularizer(4, 8, **{name: value})
