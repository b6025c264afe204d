"""The training loop, its loss, and plain augmentation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax
from torch.optim.optimizer import register_optimizer_step_pre_hook

from piumar_lib import augment as augmentation
from piumar_lib.augment import augment
from piumar_lib.backbones import tiny_cnn
from piumar_lib.data.skeleton import JOINTS
from piumar_lib.objective import ViewWeights, training_loss
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.training import Settings, clips_at_once, fit, predict


def build(plug_in=None, classes=2):
    torch.manual_seed(3)
    return Recognizer(tiny_cnn(3, width=8, depth=2), 8, classes, plug_in)


def tfam():
    return TemporalFrequencyModule.make(3, 8)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


@pytest.fixture
def steps():
    """Learning rate and weight decay at each step of any optimiser."""
    seen = []

    def note(optimizer, *_):
        group = optimizer.param_groups[0]
        seen.append((type(optimizer).__name__, group["lr"], group["weight_decay"]))

    handle = register_optimizer_step_pre_hook(note)
    yield seen
    handle.remove()


def spied(model):
    """What a model is given in each forward pass."""
    seen = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append([i.clone() for i in inputs]))
    return seen


# Fit


@pytest.mark.parametrize("plug_in", [lambda: None, tfam])
def test_fit_learns_what_is_easy_for_people_it_has_not_seen(toy, plug_in):
    unseen = np.isin(toy.person, (1, 4))
    model = build(plug_in())
    losses = fit(model, toy.take(~unseen), Settings(epochs=25, batch_size=16, learning_rate=1e-2))
    assert len(losses) == 25 and losses[-1] < losses[0] / 2
    test = toy.take(unseen)
    assert (predict(model, test).argmax(1) == test.y).mean() > 0.9


def test_fit_is_determined_by_its_seed_and_leaves_the_global_generator_alone(toy):
    def train(seed, noise):
        model = build(tfam())
        torch.manual_seed(noise)  # what was drawn before must not matter
        before = torch.get_rng_state()
        losses = fit(model, toy, Settings(epochs=2, augmentation="any", seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
        return losses, weights(model)

    (losses, first), (same_losses, same), (_, other) = train(1, 0), train(1, 7), train(2, 0)
    assert losses == same_losses and torch.equal(first, same)
    assert not torch.equal(first, other)


def test_every_clip_is_seen_once_an_epoch_with_its_own_class(toy):
    model = build()
    seen = spied(model)
    fit(model, toy, Settings(epochs=3, batch_size=20))
    assert [len(x) for x, _ in seen] == [20, 19, 19, 19, 19] * 3
    orders = []
    for epoch in range(3):
        x, y = (torch.cat(part) for part in zip(*seen[5 * epoch : 5 * epoch + 5], strict=True))
        index = (x.flatten(1)[:, None] == torch.as_tensor(toy.x).flatten(1)).all(2).int().argmax(1)
        assert sorted(index.tolist()) == list(range(96))
        assert np.array_equal(y, toy.y[index])
        orders.append(tuple(index.tolist()))
    assert len({*orders, tuple(range(96))}) == 4  # shuffled, differently each time


@pytest.mark.parametrize(("clips", "sizes"), [(1, [1]), (65, [65]), (96, [48, 48])])
def test_no_clip_is_left_alone_in_a_batch(toy, clips, sizes):
    model = build(SpectralPerturbation(3))
    seen = spied(model)
    fit(model, toy.take(np.arange(clips)), Settings(epochs=1, batch_size=64))
    assert [len(x) for x, _ in seen] == sizes


def test_rate_rises_to_its_peak_and_falls(toy, steps):
    fit(build(), toy, Settings(epochs=10, batch_size=10, learning_rate=0.02, weight_decay=0.3))
    names, rates, decays = zip(*steps, strict=True)
    assert set(names) == {"AdamW"} and set(decays) == {0.3} and len(rates) == 100
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.02, rel=1e-3) and 0 < peak < 99
    assert (np.diff(rates[: peak + 1]) > 0).all() and (np.diff(rates[peak:]) < 0).all()
    assert rates[0] < 0.02 / 10 and rates[-1] < 0.02 / 1000


def test_a_training_of_one_step_moves_the_weights(toy, steps):
    fit(build(), toy.take(np.arange(50)), Settings(epochs=1, batch_size=64, learning_rate=0.02))
    ((_, rate, _),) = steps
    assert rate > 0.01


def test_augmentation_is_drawn_anew_for_training_only(toy):
    model = build()
    seen = spied(model)
    fit(model, toy.take([0, 1]), Settings(epochs=2, augmentation="any"))
    clips = [x[y == 0] for x, y in seen]
    assert not torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0][0], torch.as_tensor(toy.x[0]))
    seen.clear()
    predict(model, toy.take([0]))
    assert torch.equal(seen[0][0][0], torch.as_tensor(toy.x[0]))


def test_fit_learns_standardisation_from_the_training_clips(toy):
    model = build()
    fit(model, toy, Settings(epochs=1))
    assert np.allclose(model.mean, toy.x.mean((0, 1)), atol=1e-4)
    assert np.allclose(model.scale, toy.x.std((0, 1)), rtol=1e-2)


def test_fit_stops_when_the_loss_is_not_finite(toy):
    model = build()
    model.head.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"epoch 1 with learning_rate=0.25: loss is nan. Lower"):
        fit(model, toy, Settings(learning_rate=0.25))


def test_long_clips_are_judged_few_at_a_time(toy):
    assert [clips_at_once(frames) for frames in (16, 512, 1024, 40_000)] == [512, 512, 128, 1]
    assert clips_at_once(16, most=7) == 7
    seen = []
    model = build()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    predict(model, toy.take(np.arange(3)).resampled(10_000))
    predict(model, toy.take(np.arange(3)))
    assert seen == [1, 1, 1, 3]


def test_fit_refuses_more_classes_than_the_model_has(toy):
    named = replace(toy, class_names=("slow", "fast", "never seen"))
    with pytest.raises(ValueError, match="data: 3 classes, but the model has 2. Build"):
        fit(build(), named)
    fit(build(classes=5), named, Settings(epochs=1))  # a larger model may be fine-tuned


def test_progress_is_shown_on_demand(toy, capsys):
    fit(build(), toy, Settings(epochs=1))
    assert capsys.readouterr().err == ""
    fit(build(), toy, Settings(epochs=1), progress=True)
    assert "loss=" in capsys.readouterr().err


# Predict


def test_predictions_are_probabilities_that_do_not_depend_on_the_batch(toy):
    model = build(tfam(), classes=4).train()
    model.standardize(torch.as_tensor(toy.x))
    before = weights(model)
    probabilities = predict(model, toy)
    assert probabilities.shape == (96, 4) and (probabilities > 0).all()
    assert np.allclose(probabilities.sum(1), 1, atol=1e-6)
    assert np.allclose(predict(model, toy, batch=7), probabilities, atol=1e-6)
    assert np.allclose(predict(model, toy.take([5])), probabilities[5:6], atol=1e-6)
    assert torch.equal(weights(model), before) and not model.training
    logits = model(torch.as_tensor(toy.x)).logits.detach().numpy()
    assert np.allclose(np.log(probabilities), log_softmax(logits, axis=1), atol=1e-5)


# Loss


def cross_entropy(logits, y):
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()


def softmax(logits):
    return np.exp(log_softmax(logits, axis=1))


def test_loss_of_one_view_is_cross_entropy():
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    prediction = Prediction(torch.as_tensor(logits), [], [torch.randn(6, 5, 2)])
    loss = training_loss(prediction, torch.as_tensor(y), ViewWeights(regularizer=100))
    assert float(loss) == pytest.approx(cross_entropy(logits, y))


def test_loss_of_two_views_by_hand():
    rng = np.random.default_rng(0)
    fused, temporal, frequency = rng.standard_normal((3, 6, 3))
    frames, y = rng.standard_normal((6, 8, 2)), np.array([0, 0, 1, 1, 2, 2])
    mean, sd = frames.mean(1), frames.std(1)
    spread = 0.0
    for law in (mean, sd):
        middle = np.repeat(law.reshape(3, 2, 2).mean(1), 2, axis=0)
        spread += ((law - middle) ** 2).sum(1).mean() / 2
    agreement = (jensenshannon(softmax(temporal), softmax(frequency), axis=1) ** 2).mean()
    expected = (
        cross_entropy(fused, y)
        + 0.3 * (cross_entropy(temporal, y) + cross_entropy(frequency, y))
        + 0.7 * agreement
        + 0.2 * spread
    )
    prediction = Prediction(
        torch.as_tensor(fused),
        [torch.as_tensor(temporal), torch.as_tensor(frequency)],
        [torch.as_tensor(frames), torch.randn(6, 8, 2)],  # only the first view is regularised
    )
    views = ViewWeights(supervision=0.3, consistency=0.7, regularizer=0.2)
    assert float(training_loss(prediction, torch.as_tensor(y), views)) == pytest.approx(expected)
    alone = ViewWeights(supervision=0, consistency=0, regularizer=0)
    loss = training_loss(prediction, torch.as_tensor(y), alone)
    assert float(loss) == pytest.approx(cross_entropy(fused, y))


# Augmentation

FUNCTIONS = {
    "warp_time": (augmentation.warp_time, "strength"),
    "scale_amplitude": (augmentation.scale_amplitude, "strength"),
    "mirror_skeleton": (augmentation.mirror_skeleton, "probability"),
    "rotate_skeleton": (augmentation.rotate_skeleton, "strength"),
    "rotate_space": (augmentation.rotate_space, "strength"),
}


def raw(name, n=8, dtype=torch.float32):
    return torch.randn(n, 20, 6 if name == "rotate_space" else 34).to(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_augmentation_keeps_the_shape_and_is_the_identity_at_zero(name):
    function, option = FUNCTIONS[name]
    for dtype in (torch.float32, torch.float64):
        x = raw(name, dtype=dtype)
        out = function(x)
        assert out.shape == x.shape and out.dtype == dtype and torch.isfinite(out).all()
        assert torch.allclose(function(x, **{option: 0.0}), x, atol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_augmentation_is_drawn_for_each_clip_from_the_global_generator(name):
    function, _ = FUNCTIONS[name]
    x = raw(name)[:1].expand(32, -1, -1)
    torch.manual_seed(1)
    first = function(x)
    torch.manual_seed(1)
    assert torch.equal(function(x), first)
    assert not torch.equal(function(x), first)
    assert (first != first[:1]).flatten(1).any(1).any()


@given(st.integers(0, 2**32 - 1), st.integers(2, 50), st.floats(0, 2))
def test_warp_keeps_endpoints_and_order_and_moves_all_channels_alike(seed, time, strength):
    torch.manual_seed(seed)
    ramp = torch.arange(time, dtype=torch.float64)
    x = torch.stack([ramp, torch.sin(ramp), -3 * ramp], dim=-1).expand(4, time, 3)
    out = augmentation.warp_time(x, strength)
    position = out[..., 0]
    assert torch.allclose(position[:, 0], ramp[0]) and torch.allclose(position[:, -1], ramp[-1])
    assert (position.diff(dim=1) > 0).all()
    for b in range(4):
        assert np.allclose(out[b, :, 1], np.interp(position[b], ramp, ramp.sin()), atol=1e-4)
        assert np.allclose(out[b, :, 2], -3 * position[b], atol=1e-4)


def test_warp_changes_speed_as_strongly_as_asked():
    ramp = torch.arange(33.0).expand(2000, 33)[..., None]
    slopes = augmentation.warp_time(ramp, 0.5)[..., 0].diff(dim=1).log()
    # Speeds are known up to a factor; at two far knots their ratio has variance 2 * 0.5^2.
    ratio = slopes[:, 0] - slopes[:, -1]
    assert abs(ratio.var() / 0.5 - 1) < 5 * math.sqrt(2 / 2000)


def test_scale_keeps_the_mean_and_scales_the_movement_log_normally():
    x = torch.randn(2000, 20, 2).double() + 5
    out = augmentation.scale_amplitude(x, 0.4)
    assert torch.allclose(out.mean(1), x.mean(1))
    factor = (out - out.mean(1, keepdim=True)) / (x - x.mean(1, keepdim=True))
    assert torch.allclose(factor, factor[:, :1, :1].expand_as(factor), rtol=1e-3)
    log = factor[:, 0, 0].log()
    assert abs(log.mean()) < 5 * 0.4 / math.sqrt(2000)
    assert abs(log.var() / 0.16 - 1) < 5 * math.sqrt(2 / 2000)


def test_mirror_is_an_involution_that_exchanges_sides():
    x = raw("mirror_skeleton")
    mirrored = augmentation.mirror_skeleton(x, 1.0)
    assert torch.equal(augmentation.mirror_skeleton(mirrored, 1.0), x)
    before, after = x.unflatten(-1, (17, 2)), mirrored.unflatten(-1, (17, 2))
    for k, name in enumerate(JOINTS):
        swapped = {"left": "right", "right": "left"}.get(name.split()[0])
        other = JOINTS.index(f"{swapped} {name.split()[1]}") if swapped else k
        assert torch.equal(after[:, :, k, 0], -before[:, :, other, 0])
        assert torch.equal(after[:, :, k, 1], before[:, :, other, 1])


def test_mirror_chooses_whole_clips_with_its_probability():
    x = torch.randn(4000, 1, 34)
    changed = (augmentation.mirror_skeleton(x, 0.3) != x).flatten(1)
    assert set(changed.sum(1).unique().tolist()) == {0, 33}  # the nose keeps its height
    assert abs(changed[:, 0].float().mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 4000)


def test_skeleton_rotation_keeps_lengths_and_turns_all_joints_and_frames_alike():
    x = torch.randn(2000, 4, 34).double()
    before = x.unflatten(-1, (17, 2))
    after = augmentation.rotate_skeleton(x, 0.2).unflatten(-1, (17, 2))
    assert torch.allclose(after.norm(dim=-1), before.norm(dim=-1))
    turn = torch.view_as_complex(after) / torch.view_as_complex(before)
    angle = turn.angle()
    assert torch.allclose(angle, angle[:, :1, :1].expand_as(angle), atol=1e-5)
    assert abs(angle[:, 0, 0].var() / 0.04 - 1) < 5 * math.sqrt(2 / 2000)


def test_rotation_in_space_is_one_proper_rotation_for_all_sensors_or_joints():
    x = torch.randn(2000, 4, 6).double()
    out = augmentation.rotate_space(x, 0.2)
    before, after = x.unflatten(-1, (2, 3)), out.unflatten(-1, (2, 3))
    gram = torch.einsum("btik,bsjk->btisj", before, before)  # all angles and lengths, across frames
    assert torch.allclose(torch.einsum("btik,bsjk->btisj", after, after), gram, atol=1e-4)
    matrix = torch.linalg.lstsq(before.flatten(1, 2), after.flatten(1, 2)).solution
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(2000).double(), atol=1e-4)
    # The trace of a rotation by angle a is 1 + 2 cos(a).
    cosine = (matrix.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    angle_squared = cosine.clamp(-1, 1).arccos().square()
    assert abs(angle_squared.mean() / 0.04 - 1) < 5 * math.sqrt(2 / 2000)


DEFAULTS = {"warp_time": 0.5, "rotate_skeleton": 0.2, "scale_amplitude": 0.3, "rotate_space": 0.2}


@pytest.mark.parametrize("strength", [0.5, 2.0])
@pytest.mark.parametrize(("kind", "channels"), [("skeleton", 34), ("space", 6), ("any", 5)])
def test_strength_is_a_factor_on_every_default(kind, channels, strength):
    x = torch.randn(4, 12, channels)
    torch.manual_seed(1)
    ours = augment(x, kind, strength)
    torch.manual_seed(1)
    if kind == "skeleton":
        x = augmentation.mirror_skeleton(x)
    for function in augmentation.AUGMENTATIONS[kind]:
        x = function(x, strength * DEFAULTS[function.__name__])
    assert torch.equal(ours, x)


def test_without_strength_a_skeleton_is_mirrored_at_most():
    x = torch.randn(64, 12, 34)
    ours, mirrored = augment(x, "skeleton", 0.0), augmentation.mirror_skeleton(x, 1.0)
    same, other = ((ours - y).abs().amax((1, 2)) < 1e-4 for y in (x, mirrored))
    assert (same ^ other).all() and same.any() and other.any()
    assert torch.allclose(augment(x[..., :6], "space", 0.0), x[..., :6], atol=1e-4)


def test_the_strength_of_the_settings_reaches_the_clips(toy, monkeypatch):
    seen = []

    def spy(x, kind, strength):
        seen.append((kind, strength))
        return x

    monkeypatch.setattr("piumar_lib.training.augment", spy)
    fit(build(), toy, Settings(epochs=1, augmentation="any", strength=1.5))
    assert {*seen} == {("any", 1.5)}
    fit(build(), toy, Settings(epochs=1, strength=1.5))
    assert len(seen) == 2  # without augmentation nothing is augmented


@pytest.mark.parametrize(
    ("kind", "channels", "expected"),
    [
        ("skeleton", 34, ["mirror_skeleton", "warp_time", "rotate_skeleton"]),
        ("space", 6, ["warp_time", "scale_amplitude", "rotate_space"]),
        ("any", 5, ["warp_time", "scale_amplitude"]),
    ],
)
def test_each_kind_of_data_has_its_augmentations(kind, channels, expected):
    x = torch.randn(4, 12, channels)
    torch.manual_seed(1)
    ours = augment(x, kind)
    torch.manual_seed(1)
    for name in expected:
        x = getattr(augmentation, name)(x)
    assert torch.equal(ours, x)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind: 'video' .* skeleton, space, any"):
        augment(torch.randn(2, 5, 3), "video")
