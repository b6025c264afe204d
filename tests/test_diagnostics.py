"""Cross-talk, margins and sharpness, against brute force; and that each moves when it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats
from torch import nn
from torch.nn import functional as F

from piumar_lib.diagnostics import (
    add_spatial_noise,
    class_margins,
    cross_talk,
    motion_magnitude,
    sharpness,
    spectral_entropy,
)

# Cross-talk


def test_motion_magnitude_is_the_mean_length_of_the_first_steps():
    x = torch.randn(3, 20, 4)
    for frames in (2, 16, 50):
        for clip, found in zip(x, motion_magnitude(x, frames), strict=True):
            last = min(frames, 20)
            steps = [torch.dist(clip[t], clip[t - 1]).item() for t in range(1, last)]
            assert found.item() == pytest.approx(np.mean(steps), rel=1e-5)


@pytest.mark.parametrize("time", [4, 15, 32])
def test_spectral_entropy_is_scipys(time):
    x = torch.randn(5, time, 3, dtype=torch.float64)
    _, power = signal.periodogram(x.numpy(), axis=1, detrend=False, scaling="spectrum")
    power = power[:, 1:].sum(-1)
    if time % 2 == 0:
        power[:, -1] *= 2  # SciPy doubles all frequencies but Nyquist's
    expected = stats.entropy(power, axis=1) / np.log(power.shape[1])
    assert np.allclose(spectral_entropy(x), expected)


def test_spectral_entropy_knows_pure_tones_noise_stillness_and_no_offset():
    time = torch.arange(64) / 64
    tone = torch.sin(2 * torch.pi * 5 * time)[None, :, None]
    impulse = F.one_hot(torch.tensor([9]), 64)[..., None].double()
    assert spectral_entropy(tone).item() == pytest.approx(0, abs=1e-6)
    assert spectral_entropy(impulse).item() == pytest.approx(1)
    assert spectral_entropy(torch.zeros(1, 64, 2)).item() == 0
    x = torch.randn(2, 64, 3, dtype=torch.float64)
    assert torch.allclose(spectral_entropy(7 * x + 100), spectral_entropy(x))


def test_noise_is_measured_in_deviations_of_each_channel():
    x = torch.randn(400, 30, 3) * torch.tensor([0.1, 1.0, 10.0]) + 50
    noise = add_spatial_noise(x, 0.2) - x
    relative = noise.std((0, 1)) / x.std((0, 1))
    assert torch.allclose(relative, torch.tensor(0.2), rtol=0.03)  # 12,000 draws: 0.7 % a deviation


@pytest.fixture
def waves():
    """Twenty smooth clips of 32 frames."""
    time, phase = torch.arange(32) / 32, torch.rand(20, 1, 2)
    return torch.sin(2 * torch.pi * (2 * time[None, :, None] + phase))


def test_each_disturbance_moves_what_it_is_meant_to_move(waves):
    none, weak, strong = (cross_talk(waves, noise=s, warp=s) for s in (0.0, 0.1, 0.5))
    assert [*none] == pytest.approx([0, 0], abs=1e-4)
    assert 0.01 < weak.motion < strong.motion and 0.01 < weak.entropy < strong.entropy
    only_noise, only_warp = cross_talk(waves, noise=0.5, warp=0), cross_talk(waves, noise=0, warp=0.5)
    assert only_noise.entropy < 1e-4 < only_noise.motion
    assert only_warp.motion < 1e-4 < only_warp.entropy


def test_cross_talk_is_of_the_features_and_the_same_for_equal_seeds(waves):
    def smooth(x):
        return F.avg_pool1d(x.mT, 5, stride=1, padding=2).mT

    assert cross_talk(waves, smooth).motion < cross_talk(waves).motion
    assert cross_talk(waves, smooth) == cross_talk(waves, smooth) != cross_talk(waves, smooth, seed=1)
    tripled = cross_talk(waves, lambda x: 3 * x)
    assert [*tripled] == pytest.approx([*cross_talk(waves)], rel=1e-4)


# Margins


def cosine(a, b):
    return float(a @ b / np.sqrt(a @ a * (b @ b)))


def margins_by_loops(x, y):
    found = []
    for i in range(len(x)):
        similar = {
            k: np.mean([cosine(x[i], x[j]) for j in range(len(x)) if j != i and y[j] == k])
            for k in set(y)
        }
        found.append(similar.pop(y[i]) - max(similar.values()))
    return found


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 5))
def test_margins_are_those_of_loops(seed, classes, width):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, 5)]) * 3 + 1
    x = rng.standard_normal((len(y), width))
    found = class_margins(torch.tensor(x), torch.tensor(y))
    assert np.allclose(found, margins_by_loops(x, y.tolist()), atol=1e-9)


def test_margins_grow_as_classes_part_and_a_mislabelled_clip_has_a_negative_one():
    y = torch.arange(60) % 3
    noise = torch.randn(60, 8)
    near, far = (class_margins(F.one_hot(y, 8) * s + noise, y) for s in (1, 8))
    assert 0 < near.mean() < far.mean() and far.min() > 0.2
    wrong = y.clone()
    wrong[0] = 1
    assert class_margins(F.one_hot(y, 8) * 8 + noise, wrong)[0] < -0.5


# Sharpness


@pytest.fixture
def problem():
    """A smooth network of 21 parameters, and its loss, also as a function of all of them."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x, y = torch.randn(30, 3, dtype=torch.float64), torch.randn(30, 1, dtype=torch.float64)

    def at(flat):
        weight, bias, weight2, bias2 = flat.split([12, 4, 4, 1])
        hidden = (x @ weight.view(4, 3).T + bias).tanh()
        return F.mse_loss((hidden @ weight2 + bias2)[:, None], y)

    flat = nn.utils.parameters_to_vector(model.parameters()).detach()
    return model, (lambda: F.mse_loss(model(x), y)), at, flat


def test_sharpness_is_the_rise_along_the_gradient_and_moves_nothing(problem):
    model, loss, at, flat = problem
    gradient = torch.autograd.functional.jacobian(at, flat)
    for radius in (0.01, 0.3):
        expected = at(flat + radius * gradient / gradient.norm()) - at(flat)
        assert sharpness(loss, [*model.parameters()], radius) == pytest.approx(expected.item())
        assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), flat)


def test_sharpness_is_nearly_the_largest_rise_within_the_radius(problem):
    model, loss, at, flat = problem
    directions = F.normalize(torch.randn(2000, len(flat), dtype=flat.dtype), dim=1)
    rises = torch.stack([at(flat + 0.01 * d) for d in directions]) - at(flat)
    assert sharpness(loss, [*model.parameters()], 0.01) > rises.max()


def test_a_sharper_minimum_is_found_sharper():
    w = torch.ones(4, requires_grad=True)
    flat, steep = (sharpness(lambda c=c: c * w.square().sum(), [w]) for c in (1, 10))
    assert steep == pytest.approx(10 * flat, rel=1e-4)


def test_sharpness_restores_parameters_even_if_the_loss_fails(problem):
    model, loss, _, flat = problem
    calls = iter([loss])

    with pytest.raises(StopIteration):
        sharpness(lambda: next(calls)(), [*model.parameters()], 0.3)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), flat)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: motion_magnitude(torch.zeros(1, 9, 2), 1), "x, frames: 1 frames show no motion"),
        (lambda: spectral_entropy(torch.zeros(1, 3, 2)), "x: 3 frames have no two frequencies"),
        (lambda: class_margins(torch.ones(4, 2), torch.zeros(4).long()), "y: 1 class leaves no other"),
        (lambda: class_margins(torch.ones(3, 2), torch.tensor([0, 0, 7])), "y: class 7 has one clip"),
        (lambda: sharpness(lambda: 0, [], 0.0), "radius: 0.0 goes nowhere"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
