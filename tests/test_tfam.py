"""TFAM and the recogniser: each module by itself, plugged in, saved, compiled, in every precision."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from torch import nn

from piumar_lib import spectrum
from piumar_lib.backbones import tiny_cnn
from piumar_lib.recognizer import Recognizer
from piumar_lib.tfam import (
    TFAM,
    ConsistencyFusion,
    FrequencyBranch,
    Reclock,
    TemporalBranch,
    js_divergence,
)
from piumar_lib.training import Settings, fit, predict
from piumar_lib.transport import (
    barycentric_projection,
    exact_plan,
    motion_energy,
    reclock,
    sinkhorn_plan,
    time_mass,
)

PLUGS = {
    "none": lambda channels: None,
    "temporal": TemporalBranch,
    "temporal, fewer steps": lambda channels: TemporalBranch(channels, steps=10),
    "sinkhorn": lambda channels: TemporalBranch(channels, transport="sinkhorn", iterations=5),
    "frequency": lambda channels: FrequencyBranch(),
    "identity views": lambda channels: TFAM(),
    "tfam": lambda channels: TFAM(TemporalBranch(channels), FrequencyBranch()),
    "tfam, fewer steps": lambda channels: TFAM(TemporalBranch(channels, steps=10), FrequencyBranch()),
    "learned mass": lambda channels: TemporalBranch(channels, mass="learned"),
    "above noise": lambda channels: TemporalBranch(channels, mass="above noise"),
    "reclock": lambda channels: Reclock(amplitude=True),
}
each_plug = pytest.mark.parametrize("plug", PLUGS)


def build(plug, at=0, classes=4):
    torch.manual_seed(3)
    backbone = tiny_cnn(3, width=8, depth=2)
    return Recognizer(backbone, 8, classes, PLUGS[plug](3 if at == 0 else 8), at)


def batch(n=12):
    return torch.randn(n, 16, 3), torch.arange(n) % 4


def tensors(prediction):
    return [prediction.logits, *prediction.view_logits, *prediction.frames]


# Temporal branch


def test_without_alignment_and_amplitude_step_the_temporal_branch_is_the_identity():
    x, _ = batch()
    for steps, expected in ((16, x), (None, x), (8, x.unflatten(1, (8, 2)).mean(2))):
        branch = TemporalBranch(3, steps, mass="uniform", amplitude_step=0)
        assert torch.allclose(branch(x), expected, atol=1e-5)


def test_exact_branch_projects_along_the_plan_of_motion_energy():
    x, _ = batch()
    branch = TemporalBranch(3, steps=7, amplitude_step=0)
    assert float(branch.floor.detach()) == 0.5
    plan = exact_plan(time_mass(motion_energy(x), 0.5), 7)
    assert torch.allclose(branch.plan(x), plan) and branch(x).shape == (12, 7, 3)
    assert torch.allclose(branch(x), barycentric_projection(plan, x))
    branch.floor_logit.data.fill_(40.0)  # all mass is spread evenly: nothing is aligned
    resampled = TemporalBranch(3, 7, mass="uniform", amplitude_step=0)(x)
    assert torch.allclose(branch(x), resampled, atol=1e-5)


def test_sinkhorn_branch_matches_frames_to_anchors_in_order():
    x, _ = batch()
    x = x + 2  # layer normalisation takes a common offset of the channels away
    branch = TemporalBranch(3, transport="sinkhorn", anchors=5, epsilon=0.2, prior=3.0, iterations=40)
    assert branch.anchors.shape == (5, 3) and branch(x).shape == (12, 5, 3)
    frames, anchors = x.numpy(), branch.anchors.detach().numpy()
    frames = (frames - frames.mean(-1, keepdims=True)) / np.sqrt(frames.var(-1, keepdims=True) + 1e-5)
    frames = frames / np.linalg.norm(frames, axis=-1, keepdims=True)
    cosine = frames @ (anchors / np.linalg.norm(anchors, axis=-1, keepdims=True)).T
    when, then = (np.arange(16) + 0.5) / 16, (np.arange(5) + 0.5) / 5
    cost = torch.as_tensor(1 - cosine + 3 * (when[:, None] - then) ** 2, dtype=torch.float32)
    mass = time_mass(motion_energy(x), 0.5)
    plan = sinkhorn_plan(cost, mass, torch.full((5,), 0.2), epsilon=0.2, iterations=40)
    assert torch.allclose(branch.plan(x), plan, atol=1e-5)
    assert TemporalBranch(3, 9, "sinkhorn", anchors=5).anchors.shape == (9, 3)  # steps go first


def test_a_strong_prior_keeps_the_order_of_time():
    x, _ = batch()
    plan = TemporalBranch(3, 4, "sinkhorn", mass="uniform", prior=1000.0, iterations=200).plan(x)
    even = exact_plan(torch.full((12, 16), 1 / 16), 4)
    assert torch.allclose(plan, even.expand_as(plan), atol=1e-3)


@given(st.floats(0.01, 100), st.floats(0.0, 1.0))
def test_amplitude_step_moves_the_spread_towards_one(factor, step):
    torch.manual_seed(0)
    x = factor * torch.randn(4, 200, 3)
    plain = TemporalBranch(3, amplitude_step=0)(x)
    moved = TemporalBranch(3, amplitude_step=step)(x)
    spread = x.var(1, unbiased=False).mean(1).sqrt()
    assert torch.allclose(moved, plain * (spread**-step)[:, None, None], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("transport", ["exact", "sinkhorn"])
def test_a_still_clip_stays_finite(transport):
    x = torch.ones(2, 16, 3, requires_grad=True)
    out = TemporalBranch(3, transport=transport)(x)
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("transport", ["exact", "sinkhorn"])
def test_gradients_reach_floor_anchors_and_clip(transport):
    x = torch.randn(4, 16, 3, requires_grad=True)
    branch = TemporalBranch(3, 6, transport)
    branch(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    for name, parameter in branch.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0, name
    assert {"exact": 1, "sinkhorn": 2}[transport] == len(list(branch.parameters()))


# The mass on time


@pytest.mark.parametrize("floor", [0.1, 0.5, 0.8])
def test_the_floor_starts_where_it_is_put_and_can_be_learned(floor):
    branch = TemporalBranch(3, floor=floor)
    assert float(branch.floor.detach()) == pytest.approx(floor)
    x, _ = batch()
    assert torch.allclose(branch.clock(x), time_mass(motion_energy(x), floor), atol=1e-6)
    assert branch.floor_logit.requires_grad


def test_learned_mass_is_motion_at_first_and_then_motion_times_a_factor():
    x, _ = batch()
    branch = TemporalBranch(3, mass="learned")
    assert torch.allclose(branch.clock(x), TemporalBranch(3).clock(x), atol=1e-7)
    branch.score.weight.data = torch.tensor([[4.0, -9.0, 0.5]])
    branch.score.bias.data = torch.tensor([0.3])
    normed = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    score = normed @ torch.tensor([4.0, -9.0, 0.5]) + 0.3
    assert score.min() < -3 and score.max() > 3  # a factor of exp(3) at most, either way
    factor = score.clamp(-3, 3).exp()
    assert torch.allclose(branch.clock(x), time_mass(motion_energy(x) * factor, 0.5), atol=1e-5)


def test_mass_above_noise_leaves_the_floor_alone_where_the_body_rests():
    x = 0.01 * torch.randn(4, 16, 3)
    x[:, 6:10] += 3 * torch.randn(4, 4, 3)
    mass = TemporalBranch(3, mass="above noise", floor=0.4).clock(x)
    energy = motion_energy(x).numpy()
    excess = np.maximum(energy - np.sort(energy, axis=1)[:, 7:8], 0)  # the lower one of two medians
    expected = 0.4 / 16 + 0.6 * excess / excess.sum(1, keepdims=True)
    assert np.allclose(mass.detach(), expected, atol=1e-6)
    resting = energy <= np.median(energy, axis=1, keepdims=True)
    assert (resting.sum(1) == 8).all()
    assert np.allclose(mass.detach().numpy()[resting], 0.4 / 16, atol=1e-6)


@pytest.mark.parametrize("mass", ["learned", "above noise"])
def test_a_still_clip_has_an_even_mass(mass):
    x = torch.ones(2, 16, 3, requires_grad=True)
    branch = TemporalBranch(3, mass=mass)
    assert torch.allclose(branch.clock(x), torch.full((2, 16), 1 / 16), atol=1e-4)
    branch(x).sum().backward()
    assert torch.isfinite(x.grad).all()


# Frequency branch


def test_frequency_branch_is_the_identity_in_evaluation_and_at_scale_zero():
    x, y = batch()
    assert FrequencyBranch(probability=1).eval()(x, y) is x
    assert FrequencyBranch(scale=0, probability=1)(x, y) is x
    assert not torch.equal(FrequencyBranch(probability=1)(x, y), x)


@pytest.mark.parametrize("variance", ["within", "total"])
@pytest.mark.parametrize("noise", spectrum.NOISES)
@pytest.mark.parametrize("transform", spectrum.TRANSFORMS)
def test_frequency_branch_passes_its_options_on(variance, noise, transform):
    x, y = batch()
    branch = FrequencyBranch(0.7, 0.6, variance, noise, transform)
    torch.manual_seed(5)
    ours = branch(x, y)
    torch.manual_seed(5)
    classes = y if variance == "within" else None
    theirs = spectrum.perturb(
        x, classes, scale=0.7, probability=0.6, noise=noise, transform=transform
    )
    assert torch.equal(ours, theirs)
    torch.manual_seed(5)
    assert torch.equal(branch.views(x, y)[0], theirs)


@pytest.mark.parametrize("variance", ["within", "total"])
def test_noise_that_is_given_goes_before_noise_that_is_drawn(variance):
    x, y = batch()
    branch = FrequencyBranch(0.7, 0.6, variance)
    branch.given = torch.randn(12, 9, 3)
    torch.manual_seed(5)
    ours = branch(x, y)
    torch.manual_seed(5)
    classes = y if variance == "within" else None
    assert torch.equal(ours, spectrum.perturb(x, classes, 0.7, 0.6, branch.given))
    assert branch.eval()(x, y) is x


# Transport as augmentation


def two_clocks():
    """Class 0 moves early, class 1 late; within a class all clips have one clock, but not one size."""
    time = torch.arange(16.0)
    bump = torch.stack([torch.exp(-((time - at) ** 2) / 4) for at in (3.0, 12.0)])
    y = torch.arange(20) % 2
    return bump[y][..., None] * (1 + torch.arange(20.0))[:, None, None] * torch.ones(3), y


def test_reclocking_is_the_identity_in_evaluation_and_at_probability_zero():
    x, y = batch()
    assert Reclock(1.0).eval()(x, y) is x
    assert torch.allclose(Reclock(0.0, amplitude=True)(x, y), x, atol=1e-5)
    assert not torch.allclose(Reclock(1.0)(x, y), x, atol=1e-2)
    assert torch.equal(Reclock(1.0).eval().views(x, y)[0], x)


def test_clips_go_to_the_clock_of_another_clip_of_their_class():
    x, y = two_clocks()
    for _ in range(5):
        assert torch.allclose(Reclock(1.0)(x, y), x, atol=1e-3)  # the class has one clock
    moved = (Reclock(1.0)(x) - x).abs().amax((1, 2)) > 0.05 * x.amax((1, 2))
    assert 3 < moved.sum() < 17  # without classes about half of them meet the other clock


def test_nobody_is_paired_with_himself_unless_he_is_alone():
    x = torch.randn(2, 16, 3)
    for _ in range(20):
        alone = Reclock(1.0)(x, torch.tensor([0, 1]))
        assert torch.allclose(alone, x, atol=1e-4)
        together = Reclock(1.0)(x, torch.tensor([1, 1]))
        assert (together - x).flatten(1).norm(dim=1).min() > 1e-4
    assert torch.allclose(Reclock(1.0)(x[:1]), x[:1], atol=1e-4)


def test_a_reclocked_clip_lies_on_the_way_between_two_clocks():
    x, y = torch.randn(2, 16, 3), torch.zeros(2, dtype=torch.long)
    torch.manual_seed(1)
    ours = Reclock(1.0, floor=0.3)(x, y)
    mass = time_mass(motion_energy(x), 0.3)
    on_the_way = torch.stack([reclock(x, mass, mass.flip(0), s) for s in torch.linspace(0, 1, 2001)])
    nearest = (on_the_way - ours).abs().amax((2, 3)).amin(0)
    assert nearest.max() < 0.01
    assert (ours - x).abs().amax((1, 2)).min() > 0.05


def test_each_clip_is_reclocked_with_its_chance_and_goes_any_part_of_the_way():
    n = 2000
    time = torch.arange(16.0)
    early, late = (torch.exp(-((time - at) ** 2) / 4) for at in (3.0, 12.0))
    x = torch.where(torch.arange(n)[:, None] % 2 == 0, early, late)[..., None]
    moved = ((Reclock(0.3)(x) - x).abs().amax((1, 2)) > 1e-4).float().mean()
    # Half of those chosen meet their own clock.
    assert abs(moved - 0.15) < 5 * np.sqrt(0.15 * 0.85 / n)


@pytest.fixture
def sizes():
    """Clips of one class and one clock, every other one four times as large."""
    large = torch.arange(600) % 2 == 1
    x = torch.where(large, 4.0, 1.0)[:, None, None] * (torch.randn(1, 16, 3) + 5)
    return x, torch.zeros(600, dtype=torch.long), large


def test_amplitude_goes_part_of_the_way_to_anothers_size_on_a_logarithmic_scale(sizes):
    x, y, _ = sizes
    out = Reclock(1.0, amplitude=True)(x, y)
    factor = (out - out.mean(1, keepdim=True)) / (x - x.mean(1, keepdim=True))
    assert torch.allclose(factor, factor[:, :1, :1].expand_as(factor), rtol=1e-2)
    power = factor[:, 0, 0].log().abs() / np.log(4)
    assert power.max() <= 1 + 1e-3
    met = power[power > 1e-3]  # half of them meet a clip of the other size
    assert abs(len(met) / 600 - 0.5) < 5 * np.sqrt(0.25 / 600)
    assert abs(met.mean() - 0.5) < 5 * np.sqrt(1 / 12 / len(met))  # of an even law on [0, 1]


def test_amplitude_grows_small_clips_shrinks_large_ones_and_keeps_the_mean(sizes):
    x, y, large = sizes
    out = Reclock(1.0, amplitude=True)(x, y)
    grown = out.std(1).mean(1) / x.std(1).mean(1)
    assert grown[~large].min() > 1 - 1e-3 and grown[large].max() < 1 + 1e-3
    assert torch.allclose(out.mean(1), x.mean(1), rtol=1e-3)
    assert torch.allclose(Reclock(1.0)(x, y), x, rtol=1e-3)  # only if it is asked for


def test_reclocking_passes_no_gradient_and_keeps_the_precision():
    x, y = batch()
    assert not Reclock()(x.requires_grad_(), y).requires_grad
    for dtype in (torch.bfloat16, torch.float64):
        out = Reclock(1.0, amplitude=True)(x.detach().to(dtype), y)
        assert out.dtype == dtype and torch.isfinite(out).all()


# Fusion and agreement


def test_fusion_by_hand():
    fusion = ConsistencyFusion()
    fusion.weight.data.fill_(2.0)
    fusion.bias.data.fill_(-0.5)
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])
    gate = 1 / (1 + np.exp(-(2 * np.array([24 / 25, 0.0]) - 0.5)))
    assert np.allclose(fusion.gate(a, b).detach()[:, 0], gate)
    expected = gate[:, None] * [[3.5, 3.5], [0.5, 1.0]] + (1 - gate)[:, None] * [[3, 3], [0, 0]]
    assert np.allclose(fusion(a, b).detach(), expected)
    assert torch.equal(fusion(a, b), fusion(b, a))


def test_falling_back_by_hand():
    fusion = ConsistencyFusion("fall back")
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])
    gate = 1 / (1 + np.exp(-np.array([24 / 25, 0.0])))[:, None]
    expected = gate * [[3.5, 3.5], [0.5, 1.0]] + (1 - gate) * [[4, 3], [0, 2]]
    assert np.allclose(fusion(a, b).detach(), expected)
    # Views that disagree strongly: the second alone decides.
    fusion.weight.data.fill_(100.0)
    assert torch.allclose(fusion(a, -a), -a)
    assert torch.allclose(fusion(a, 2 * a), 1.5 * a)


def test_learned_fusion_by_hand():
    fusion = ConsistencyFusion("learned", 2)
    fusion.choose.weight.data = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    fusion.choose.bias.data = torch.tensor([0.2])
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])
    gate = 1 / (1 + np.exp(-np.array([3 - 8 + 2 + 9 + 0.2, 1 + 6 + 0.2])))[:, None]
    assert np.allclose(fusion.gate(a, b).detach(), gate)
    expected = gate * a.numpy() + (1 - gate) * b.numpy()
    assert np.allclose(fusion(a, b).detach(), expected, atol=1e-6)


def test_mean_fusion_is_the_mean():
    a, b = torch.randn(2, 4, 16, 3)
    assert torch.equal(ConsistencyFusion("mean")(a, b), (a + b) / 2)


@pytest.mark.parametrize("kind", ["minimum", "mean", "fall back", "learned"])
def test_fusion_of_equal_views_is_that_view_and_works_frame_by_frame(kind):
    fusion, x = ConsistencyFusion(kind, 3), torch.randn(4, 16, 3)
    assert torch.allclose(fusion(x, x), x, atol=1e-6)
    other = torch.randn(4, 16, 3)
    one = torch.stack([fusion(x[:, t], other[:, t]) for t in range(16)], dim=1)
    assert torch.allclose(fusion(x, other), one, atol=1e-6)


def test_js_divergence_is_scipys_squared():
    a, b = torch.randn(20, 6).double(), 3 * torch.randn(20, 6).double()
    expected = jensenshannon(a.softmax(-1), b.softmax(-1), axis=1) ** 2
    assert float(js_divergence(a, b)) == pytest.approx(expected.mean(), rel=1e-9)
    assert float(js_divergence(a, b)) == pytest.approx(float(js_divergence(b, a)), rel=1e-12)
    assert float(js_divergence(a, a)) == pytest.approx(0, abs=1e-12)


def test_js_divergence_of_certain_views_is_log_two_at_most():
    certain = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    value = js_divergence(certain, certain.flip(1))
    value.backward()
    assert value.item() == pytest.approx(np.log(2), rel=1e-6)
    assert torch.isfinite(certain.grad).all()


# TFAM


def test_tfam_makes_both_views_and_fuses_them():
    x, y = batch()
    tfam = TFAM(TemporalBranch(3), FrequencyBranch(probability=1))
    torch.manual_seed(1)
    aligned, perturbed = tfam.views(x, y)
    torch.manual_seed(1)
    assert torch.equal(aligned, tfam.temporal(x)) and torch.equal(perturbed, tfam.frequency(x, y))
    torch.manual_seed(1)
    assert torch.equal(tfam(x, y), tfam.fusion(aligned, perturbed))
    assert all(view is x for view in TFAM().views(x, y))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_views_have_equally_many_steps(dtype):
    x = torch.randn(6, 50, 3).to(dtype)
    aligned, perturbed = TFAM(TemporalBranch(3, 10), FrequencyBranch()).eval().views(x)
    assert aligned.shape == perturbed.shape == (6, 10, 3) and perturbed.dtype == dtype
    expected = x.double().unflatten(1, (10, 5)).mean(2)  # each step averages five frames
    step = {torch.bfloat16: 2**-8, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    assert torch.allclose(perturbed.double(), expected, rtol=step, atol=1e-5 if step > 1e-9 else 1e-12)


def test_views_keep_their_precision_under_autocast():
    x = torch.randn(6, 50, 3)
    tfam = TFAM(TemporalBranch(3, 10), FrequencyBranch()).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = tfam.views(x)
    assert all(torch.equal(a, b) for a, b in zip(under, tfam.views(x), strict=True))


# Recogniser


@each_plug
def test_recogniser_gives_its_shapes_and_gradients(plug):
    x, y = batch()
    model = build(plug).train()
    prediction = model(x, y)
    views = 2 if plug.startswith(("identity", "tfam")) else 1
    assert prediction.logits.shape == (12, 4)
    assert [v.shape for v in prediction.view_logits] == ([(12, 4)] * 2 if views == 2 else [])
    assert len(prediction.frames) == views and prediction.frames[0].shape[::2] == (12, 8)
    sum(t.square().sum() for t in tensors(prediction)).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        # Two equal views fuse to themselves, whatever the gate says.
        idle = plug == "identity views" and "fusion" in name
        assert (parameter.grad.abs().sum() == 0) == idle, name


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("plug", ["temporal, fewer steps", "tfam", "tfam, fewer steps"])
def test_plug_sits_where_it_is_put_and_views_share_what_follows(plug, at):
    x, _ = batch()
    model = build(plug, at)
    model.standardise(5 + 2 * x)
    model.eval()
    features = (x - model.mean) / model.scale
    for layer in list(model.backbone)[:at]:
        features = layer(features)
    pooled = []
    for view in model.plug.views(features):
        for layer in list(model.backbone)[at:]:
            view = layer(view)
        pooled.append(view.mean(1))
    prediction = model(x)
    if len(pooled) == 1:
        assert torch.allclose(prediction.logits, model.head(pooled[0]), atol=1e-6)
        return
    for ours, view in zip(prediction.view_logits, pooled, strict=True):
        assert torch.allclose(ours, model.head(view), atol=1e-6)
    assert torch.allclose(prediction.logits, model.head(model.plug.fusion(*pooled)), atol=1e-6)


def test_a_plug_adds_no_layers_of_its_own():
    def size(plug):
        return sum(p.numel() for p in build(plug).parameters())

    assert size("identity views") == size("none") + 2  # the gate
    assert size("tfam") == size("none") + 3  # and the floor


def test_two_identity_views_are_the_plain_recogniser_in_evaluation():
    x, _ = batch()
    plain, views = build("none").eval(), build("identity views").eval()
    views.load_state_dict(plain.state_dict(), strict=False)
    assert torch.allclose(plain(x).logits, views(x).logits, atol=1e-6)


def test_batch_normalisation_sees_both_views_together():
    x, y = batch()
    model = build("tfam")
    torch.manual_seed(1)
    both = torch.cat(model.plug.views(x, y))
    expected = 0.1 * model.backbone[0].conv(both.transpose(1, 2)[:, :, None]).mean((0, 2, 3))
    torch.manual_seed(1)
    model(x, y)
    assert torch.allclose(model.backbone[0].norm.running_mean, expected, atol=1e-6)


def test_standardise_learns_each_channel():
    x = torch.randn(20, 16, 3) * torch.tensor([1.0, 10.0, 0.0]) + torch.tensor([0.0, 5.0, 7.0])
    model = build("none")
    model.standardise(x)
    flat = x.flatten(0, 1).numpy()
    assert np.allclose(model.mean, flat.mean(0), atol=1e-5)
    assert np.allclose(model.scale[:2], flat.std(0, ddof=1)[:2], rtol=1e-5)
    seen = []
    model.backbone[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(x)
    assert torch.isfinite(seen[0]).all()  # the third channel never changes
    assert np.allclose(seen[0][..., :2].mean((0, 1)), 0, atol=1e-5)
    assert np.allclose(seen[0][..., :2].std((0, 1)), 1, atol=1e-5)


# Saving


@each_plug
def test_a_fitted_recogniser_survives_its_state_dict(toy, plug):
    model = build(plug, classes=2)
    fit(model, toy, Settings(epochs=1))
    fresh = build(plug, classes=2)
    assert not np.array_equal(predict(fresh, toy), predict(model, toy))
    assert not fresh.load_state_dict(model.state_dict()).missing_keys
    assert np.array_equal(predict(fresh, toy), predict(model, toy))
    # And again into one that was fitted to something else.
    other = build(plug, classes=2)
    fit(other, replace(toy, x=10 * toy.x + 3), Settings(epochs=1))
    other.load_state_dict(model.state_dict())
    assert np.array_equal(predict(other, toy), predict(model, toy))


def test_loading_keeps_the_precision_of_the_recogniser_that_loads(toy):
    model = build("none", classes=2)
    model.standardise(torch.as_tensor(toy.x))
    fresh = build("none", classes=2).double()
    fresh.load_state_dict(model.state_dict())
    assert {t.dtype for t in fresh.state_dict().values() if t.is_floating_point()} == {torch.float64}
    assert torch.equal(fresh.mean, model.mean.double())


def test_an_unfitted_recogniser_survives_its_state_dict():
    fresh = build("tfam")
    fresh.load_state_dict(build("tfam").state_dict())
    assert fresh.mean.shape == (1,)
    with pytest.raises(RuntimeError, match="head.weight"):
        fresh.load_state_dict({k: v for k, v in fresh.state_dict().items() if k != "head.weight"})


# Precision, compilation, determinism


@each_plug
def test_double_precision_agrees_with_single(plug):
    x, _ = batch()
    model = build(plug).eval()
    single = tensors(model(x))
    double = tensors(copy.deepcopy(model).double()(x.double()))
    for a, b in zip(single, double, strict=True):
        assert b.dtype == torch.float64 and torch.allclose(a.double(), b, atol=1e-4)


@each_plug
def test_autocast_runs_and_stays_close(plug):
    x, y = batch()
    model = build(plug).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(x).logits
    exact = model(x).logits
    assert low.dtype == torch.bfloat16
    # bfloat16 has 8 bits; a few layers of sums stay within a few per cent of the logits' spread.
    assert (low - exact).abs().max() < 0.05 * exact.abs().max()
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(x, y).logits.square().sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("plug", ["sinkhorn", "tfam, fewer steps"])
def test_compiled_equals_eager(plug):
    x, y = batch()
    model = build(plug)
    compiled = torch.compile(model, backend="eager")
    for training in (True, False):
        model.train(training)
        # Batch normalisation's statistics may move, its result in training does not depend on them.
        torch.manual_seed(2)
        expected = tensors(model(x, y))
        torch.manual_seed(2)
        for a, b in zip(tensors(compiled(x, y)), expected, strict=True):
            assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("noise", spectrum.NOISES)
def test_training_mode_is_determined_by_the_seed(noise):
    x, y = batch()
    tfam = TFAM(TemporalBranch(3), FrequencyBranch(noise=noise))

    def draw(seed):
        torch.manual_seed(seed)
        return tfam(x, y)

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))
    tfam.eval()
    assert torch.equal(draw(1), draw(2))


# Mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TemporalBranch(3, transport="greedy"), "transport: 'greedy' .*exact.*sinkhorn"),
        (lambda: TemporalBranch(3, mass="energy"), "mass: 'energy' .*motion.*uniform"),
        (lambda: FrequencyBranch(variance="none"), "variance: 'none' .*within.*total"),
        (lambda: FrequencyBranch(noise="pink"), "noise: 'pink' .*independent.*low-rank.*residual"),
        (lambda: FrequencyBranch(transform="wavelet"), "transform: 'wavelet' .*fft.*dct"),
        (lambda: FrequencyBranch(scale=-1), "scale, probability: -1, 0.5 .* scale >= 0"),
        (lambda: FrequencyBranch(probability=1.5), r"probability: 1.0, 1.5 .* in \[0, 1\]"),
        (lambda: FrequencyBranch(probability=-0.1), r"probability: 1.0, -0.1 .* in \[0, 1\]"),
        (lambda: TemporalBranch(3, floor=0), r"floor: 0 .* in \(0, 1\)"),
        (lambda: TemporalBranch(3, floor=1.0), r"floor: 1.0 .* in \(0, 1\)"),
        (lambda: Reclock(1.1), r"probability, floor: 1.1, 0.5 .* in \[0, 1\]"),
        (lambda: Reclock(-0.1), r"probability, floor: -0.1, 0.5 .* in \[0, 1\]"),
        (lambda: Reclock(floor=0), r"probability, floor: 0.5, 0 .* in \(0, 1\)"),
        (lambda: Reclock(floor=1), r"probability, floor: 0.5, 1 .* in \(0, 1\)"),
        (lambda: ConsistencyFusion("maximum"), "kind, width: 'maximum', None .*minimum.*fall back"),
        (lambda: ConsistencyFusion("learned"), "kind, width: 'learned', None .* needs .* width"),
        (lambda: build("none", at=3), "at: 3 .* 0 to 2"),
        (lambda: build("none", at=-1), "at: -1 .* 0 to 2"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("kernel", "depth"), [(3, 1), (5, 3), (7, 2)])
def test_backbone_keeps_time_and_sees_only_its_neighbourhood(kernel, depth):
    backbone = tiny_cnn(3, width=6, depth=depth, kernel=kernel).eval()
    assert isinstance(backbone, nn.Sequential) and len(backbone) == depth
    x = torch.randn(1, 40, 3)
    assert backbone(x).shape == (1, 40, 6) and (backbone(x) >= 0).all()
    reach = depth * (kernel // 2)
    for moment in (0, 20, 39):
        moved = x.clone()
        moved[:, moment] += 1
        changed = (backbone(moved) != backbone(x)).any(-1)[0].nonzero().flatten()
        assert (changed - moment).abs().max() <= reach and len(changed) > reach / 2


def test_a_channel_that_is_constant_in_training_keeps_its_scale():
    model = Recognizer(tiny_cnn(2), width=32, classes=2)
    x = torch.randn(8, 6, 2)
    x[..., 1] = 3.0
    model.standardise(x)
    assert model.scale[0].item() == pytest.approx(x[..., 0].std().item())
    assert model.scale[1].item() == 1 and model.mean[1].item() == 3
