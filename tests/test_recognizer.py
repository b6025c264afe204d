"""The recogniser and its plug-ins: plugged in, saved, compiled, in every precision."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from slow import slow_but
from torch import nn

from piumar_lib.alignment import MonotoneAlignment, SinkhornAlignment
from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.reclock import Reclock
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import Recognizer, channel_scale
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.training import Settings, fit, predict


def both(channels, steps):
    """TFAM with so many canonical steps."""
    perturbation = SpectralPerturbation(channels)
    return TemporalFrequencyModule(MonotoneAlignment(steps), perturbation, AdaptiveFusion(8))


class Unchanged(nn.Module):
    """A view that is the clip itself."""

    def forward(self, x, y=None):
        return x


PLUG_INS = {
    "none": lambda channels: None,
    "alignment": lambda channels: MonotoneAlignment(),
    "alignment, fewer steps": lambda channels: MonotoneAlignment(steps=10),
    "sinkhorn": lambda channels: SinkhornAlignment(channels, 5),
    "perturbation": SpectralPerturbation,
    "tfam": lambda channels: both(channels, 16),
    "tfam, fewer steps": lambda channels: both(channels, 10),
    "identity views": lambda channels: TemporalFrequencyModule(
        Unchanged(), Unchanged(), AdaptiveFusion(8)
    ),
    "reclock": lambda channels: Reclock(),
}
each_plug_in = pytest.mark.parametrize("plug_in", PLUG_INS)


def build(plug_in, at=0, classes=4):
    torch.manual_seed(3)
    backbone = tiny_cnn(3, width=8, depth=2)
    return Recognizer(backbone, 8, classes, PLUG_INS[plug_in](3 if at == 0 else 8), at)


def batch(n=12):
    return torch.randn(n, 16, 3), torch.arange(n) % 4


def tensors(prediction):
    return [prediction.logits, *prediction.view_logits, *prediction.frames]


# Plugged in


@each_plug_in
def test_recogniser_gives_its_shapes_and_gradients(plug_in):
    x, y = batch()
    model = build(plug_in).train()
    prediction = model(x, y)
    views = 2 if plug_in in ("tfam", "tfam, fewer steps", "identity views") else 1
    assert prediction.logits.shape == (12, 4)
    assert [v.shape for v in prediction.view_logits] == ([(12, 4)] * 2 if views == 2 else [])
    assert len(prediction.frames) == views and prediction.frames[0].shape[::2] == (12, 8)
    sum(t.square().sum() for t in tensors(prediction)).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        # Two equal views fuse to themselves, whatever the gate says.
        idle = plug_in == "identity views" and "fusion" in name
        assert (parameter.grad.abs().sum() == 0) == idle, name


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("plug_in", ["alignment, fewer steps", "tfam", "tfam, fewer steps"])
def test_plug_sits_where_it_is_put_and_views_share_what_follows(plug_in, at):
    x, _ = batch()
    model = build(plug_in, at)
    model.standardize(5 + 2 * x)
    model.eval()
    features = (x - model.mean) / model.scale
    for layer in list(model.backbone)[:at]:
        features = layer(features)
    pooled = []
    for view in model.plug_in.views(features):
        for layer in list(model.backbone)[at:]:
            view = layer(view)
        pooled.append(view.mean(1))
    prediction = model(x)
    if len(pooled) == 1:
        assert torch.allclose(prediction.logits, model.head(pooled[0]), atol=1e-6)
        return
    for ours, view in zip(prediction.view_logits, pooled, strict=True):
        assert torch.allclose(ours, model.head(view), atol=1e-6)
    assert torch.allclose(prediction.logits, model.head(model.plug_in.fusion(*pooled)), atol=1e-6)


def test_a_plug_adds_no_layers_of_its_own():
    def size(plug_in):
        return sum(p.numel() for p in build(plug_in).parameters())

    assert size("identity views") == size("none") + 1  # the gate's bias
    assert size("tfam") == size("none") + 2  # the floor, and the gate's bias


def test_two_identity_views_are_the_plain_recogniser_in_evaluation():
    x, _ = batch()
    plain, views = build("none").eval(), build("identity views").eval()
    views.load_state_dict(plain.state_dict(), strict=False)
    assert torch.allclose(plain(x).logits, views(x).logits, atol=1e-6)


def test_batch_normalisation_sees_both_views_together():
    x, y = batch()
    model = build("tfam")
    torch.manual_seed(1)
    both = torch.cat(model.plug_in.views(x, y))
    expected = 0.1 * model.backbone[0].conv(both.transpose(1, 2)[:, :, None]).mean((0, 2, 3))
    torch.manual_seed(1)
    model(x, y)
    assert torch.allclose(model.backbone[0].norm.running_mean, expected, atol=1e-6)


def test_standardise_learns_each_channel():
    x = torch.randn(20, 16, 3) * torch.tensor([1.0, 10.0, 0.0]) + torch.tensor([0.0, 5.0, 7.0])
    model = build("none")
    model.standardize(x)
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


@each_plug_in
def test_a_fitted_recogniser_survives_its_state_dict(toy, plug_in):
    model = build(plug_in, classes=2)
    fit(model, toy, Settings(epochs=1))
    fresh = build(plug_in, classes=2)
    assert not np.array_equal(predict(fresh, toy), predict(model, toy))
    assert not fresh.load_state_dict(model.state_dict()).missing_keys
    assert np.array_equal(predict(fresh, toy), predict(model, toy))
    # And again into one that was fitted to something else.
    other = build(plug_in, classes=2)
    fit(other, replace(toy, x=10 * toy.x + 3), Settings(epochs=1))
    other.load_state_dict(model.state_dict())
    assert np.array_equal(predict(other, toy), predict(model, toy))


def test_loading_keeps_the_precision_of_the_recogniser_that_loads(toy):
    model = build("none", classes=2)
    model.standardize(torch.as_tensor(toy.x))
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


@each_plug_in
def test_double_precision_agrees_with_single(plug_in):
    x, _ = batch()
    model = build(plug_in).eval()
    single = tensors(model(x))
    double = tensors(copy.deepcopy(model).double()(x.double()))
    for a, b in zip(single, double, strict=True):
        assert b.dtype == torch.float64 and torch.allclose(a.double(), b, atol=1e-4)


@each_plug_in
def test_autocast_runs_and_stays_close(plug_in):
    x, y = batch()
    model = build(plug_in).eval()
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
@pytest.mark.parametrize("plug_in", slow_but(["tfam, fewer steps"], ["sinkhorn", "tfam, fewer steps"]))
def test_compiled_equals_eager(plug_in):
    x, y = batch()
    model = build(plug_in)
    compiled = torch.compile(model, backend="eager")
    for training in (True, False):
        model.train(training)
        # Batch normalisation's statistics may move, its result in training does not depend on them.
        torch.manual_seed(2)
        expected = tensors(model(x, y))
        torch.manual_seed(2)
        for a, b in zip(tensors(compiled(x, y)), expected, strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_places_that_are_not_there_are_named():
    with pytest.raises(ValueError, match="at: must be from 0 to 2 .*, got 3"):
        build("none", at=3)
    with pytest.raises(ValueError, match="at: must be from 0 to 2 .*, got -1"):
        build("none", at=-1)


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
    model.standardize(x)
    assert model.scale[0].item() == pytest.approx(x[..., 0].std().item())
    assert model.scale[1].item() == 1 and model.mean[1].item() == 3


def test_channels_are_scaled_whatever_their_units():
    x = torch.randn(50, 20, 2) * torch.tensor([1e3, 5e-4])
    assert torch.allclose(channel_scale(x), x.std((0, 1)))
    x[..., 1] = 7 + 1e-7 * torch.randn(50, 20)
    assert channel_scale(x)[1] == 1  # rounding
