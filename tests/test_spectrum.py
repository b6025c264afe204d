"""Spectra and their perturbation, against SciPy, NumPy, and the noise that was asked for.

Statistical tolerances follow from the sample sizes: five standard errors of what is estimated.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from piumar_lib.spectrum import (
    LOG_GAIN_LIMIT,
    NOISES,
    TRANSFORMS,
    adversarial_noise,
    apply_gain,
    dct_matrix,
    draw_noise,
    from_spectrum,
    log_amplitude,
    perturb,
    style_deviation,
    style_residual,
    to_spectrum,
)

each_transform = pytest.mark.parametrize("transform", TRANSFORMS)
each_noise = pytest.mark.parametrize("noise", NOISES)
each_time = pytest.mark.parametrize("time", [15, 16])  # only even lengths have a Nyquist frequency


def clips(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def gain(before, after, transform):
    """What each coefficient was multiplied with."""
    return to_spectrum(after, transform) / to_spectrum(before, transform)


# Transforms


@pytest.mark.parametrize("time", [1, 2, 7, 32])
def test_dct_is_scipys_and_orthonormal(time):
    matrix = dct_matrix(time).numpy()
    assert np.allclose(matrix, fft.dct(np.eye(time), axis=0, norm="ortho"), atol=1e-12)
    assert np.allclose(matrix @ matrix.T, np.eye(time), atol=1e-12)
    assert dct_matrix(time, torch.float32).dtype == torch.float32


@each_time
def test_spectra_are_scipys(time):
    x = clips(3, time, 2)
    assert np.allclose(to_spectrum(x), fft.rfft(x.numpy(), axis=1, norm="ortho"), atol=1e-12)
    assert np.allclose(to_spectrum(x, "dct"), fft.dct(x.numpy(), axis=1, norm="ortho"), atol=1e-12)


@given(st.integers(1, 40), st.sampled_from(TRANSFORMS), st.sampled_from([torch.float32, torch.float64]))
def test_round_trip(time, transform, dtype):
    x = torch.randn(2, time, 3).to(dtype)
    back = from_spectrum(to_spectrum(x, transform), time)
    assert back.dtype == dtype
    assert torch.allclose(back, x, atol=1e-5 if dtype == torch.float32 else 1e-12)


def test_log_amplitude_has_a_finite_floor():
    spectrum = torch.tensor([3 + 4j, 0, -2])
    expected = np.log(np.array([5, 0, 2]) + 1e-3)
    assert np.allclose(log_amplitude(spectrum), expected, atol=1e-6)
    assert np.allclose(log_amplitude(spectrum, 0.5), np.log([5.5, 0.5, 2.5]), atol=1e-6)


# Deviation between people


def test_style_deviation_is_the_pooled_standard_deviation():
    rng = np.random.default_rng(0)
    y = rng.permutation([0] * 7 + [1] * 2 + [2] * 1 + [5] * 4)
    level = rng.standard_normal((len(y), 5, 3)) + y[:, None, None]
    classes = np.unique(y)
    residual = level - np.stack([level[y == label].mean(0) for label in y])
    pooled = sum((y == k).sum() * level[y == k].var(0) for k in classes) / (len(y) - len(classes))
    level, y = torch.as_tensor(level), torch.as_tensor(y)
    assert np.allclose(style_residual(level, y), residual)
    assert np.allclose(style_deviation(level, y), np.sqrt(pooled))


def test_total_deviation_is_numpys():
    level = clips(6, 5, 3)
    assert np.allclose(style_residual(level), level.numpy() - level.numpy().mean(0))
    assert np.allclose(style_deviation(level), level.numpy().std(0, ddof=1))
    one_class = torch.zeros(6, dtype=torch.long)
    assert torch.allclose(style_deviation(level, one_class), style_deviation(level))


def test_deviation_is_zero_where_it_cannot_be_estimated():
    level = clips(6, 5, 3)
    assert torch.equal(style_deviation(level, torch.arange(6)), torch.zeros(5, 3).double())
    assert torch.equal(style_deviation(level[:1]), torch.zeros(5, 3).double())
    # Then there is nothing to perturb with, either.
    x = clips(6, 8, 3)
    for noise in NOISES:
        assert torch.allclose(perturb(x, torch.arange(6), probability=1, noise=noise), x, atol=1e-12)


# Noise


def test_independent_noise_is_standard_normal():
    eps = draw_noise(torch.zeros(500, 20, 10))
    n = eps.numel()
    assert abs(eps.mean()) < 5 / math.sqrt(n)
    assert abs(eps.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((eps[:, :-1] * eps[:, 1:]).mean()) < 5 / math.sqrt(n * 19 / 20)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_low_rank_noise_has_its_rank_and_unit_variance(rank):
    eps = draw_noise(clips(50, 9, 3), "low-rank", rank=rank)
    assert np.linalg.matrix_rank(eps.flatten(1).numpy()) == rank
    means = torch.stack([draw_noise(torch.zeros(8, 9, 3), "low-rank", rank=rank) for _ in range(500)])
    squares = means.square().mean((1, 2, 3))  # one independent estimate a draw
    assert abs(squares.mean() - 1) < 5 * squares.std() / math.sqrt(500)


def test_low_rank_noise_has_rank_four_unless_told():
    assert np.linalg.matrix_rank(draw_noise(clips(50, 9, 3), "low-rank").flatten(1).numpy()) == 4


@pytest.mark.parametrize("n", [2, 3, 10])
def test_residual_noise_is_what_set_another_clip_apart(n):
    residual, deviation = clips(n, 5, 3), torch.rand(5, 3, dtype=torch.float64) + 0.1
    for _ in range(20):
        drawn = draw_noise(residual, "residual", deviation=deviation) * deviation
        same = (drawn[:, None] - residual[None]).abs().amax((2, 3)) < 1e-9
        assert (same.sum(0) == 1).all() and (same.sum(1) == 1).all()  # each is used once
        assert not same.diagonal().any()  # by another clip than its own


def test_residual_noise_has_unit_variance_where_something_varies():
    residual = clips(400, 5, 3) * torch.tensor([3.0, 0.01, 0.0])
    eps = draw_noise(residual, "residual")
    assert torch.allclose(eps.square().mean(0)[:, :2], torch.ones(5, 2).double())
    assert torch.equal(eps[..., 2], torch.zeros(400, 5).double())


# Perturbation


@each_time
@each_transform
@each_noise
def test_phases_and_signs_stay_and_gains_are_bounded(time, transform, noise):
    x, y = clips(32, time, 3), torch.arange(32) % 3
    ratio = gain(x, perturb(x, y, scale=20, probability=1, noise=noise, transform=transform), transform)
    if transform == "fft":
        assert ratio.imag.abs().max() < 1e-8
        ratio = ratio.real
    assert ratio.min() >= math.exp(-LOG_GAIN_LIMIT) * (1 - 1e-6)
    assert ratio.max() <= math.exp(LOG_GAIN_LIMIT) * (1 + 1e-6)
    # The bound is reached at this scale, on both sides.
    assert ratio.min() < math.exp(-2.49) and ratio.max() > math.exp(2.49)
    assert LOG_GAIN_LIMIT == 2.5


@each_transform
def test_nothing_happens_at_scale_or_probability_zero(transform):
    x, y = clips(16, 9, 2), torch.arange(16) % 3
    assert torch.equal(perturb(x, y, probability=0, transform=transform), x)
    assert torch.allclose(perturb(x, y, scale=0, probability=1, transform=transform), x, atol=1e-12)


def test_share_of_perturbed_clips():
    n, p = 4000, 0.3
    x = torch.randn(n, 4, 2)
    changed = (perturb(x, probability=p) != x).flatten(1)
    assert torch.equal(changed.any(1), changed.all(1))  # a clip is perturbed or left alone
    assert abs(changed.any(1).float().mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    assert (perturb(x, probability=1) != x).flatten(1).any(1).all()


@each_transform
@pytest.mark.parametrize("guided", [True, False])
def test_log_gain_has_the_variance_between_clips_that_was_configured(transform, guided):
    n, scale = 4000, 0.3
    y = torch.arange(n) % 2
    spread = torch.tensor([1.0, 2.0, 4.0])  # of log-amplitudes: people differ most in channel 2
    x = clips(n, 9, 3) * (spread / 8 * clips(n, 1, 3)).exp() * torch.exp(1.0 * y)[:, None, None]
    out = perturb(x, y if guided else None, scale, probability=1, transform=transform)
    log_gain = gain(x, out, transform).abs().log().numpy()
    level = np.log(np.abs(to_spectrum(x, transform).numpy()) + 1e-3)
    if guided:
        level = level - np.stack([level[::2].mean(0), level[1::2].mean(0)])[y]
    wanted = (scale * level.std(0)) ** 2
    # A variance from n normal draws has relative standard error sqrt(2 / n).
    assert np.abs(log_gain.var(0) / wanted - 1).max() < 5 * math.sqrt(2 / n)
    assert np.abs(log_gain.mean(0) / np.sqrt(wanted)).max() < 5 / math.sqrt(n)


def test_without_classes_the_deviation_holds_what_tells_them_apart():
    x, y = clips(64, 8, 2), torch.arange(64) % 2
    x = x * torch.where(y == 0, 0.05, 1.0)[:, None, None]
    within, total = (style_deviation(log_amplitude(to_spectrum(x)), k) for k in (y, None))
    assert (total > 1.3 * within).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@each_transform
def test_every_precision_goes_through_and_comes_back(dtype, transform):
    x, y = torch.randn(16, 12, 3).to(dtype), torch.arange(16) % 2
    torch.manual_seed(1)
    out = perturb(x, y, 0.3, 0.5, transform=transform)
    assert out.dtype == dtype and torch.isfinite(out).all() and not torch.equal(out, x)
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = perturb(x, y, 0.3, 0.5, transform=transform)
    assert again.dtype == dtype and torch.equal(again, out)  # autocast costs no digits here
    if dtype.itemsize < 4:
        torch.manual_seed(1)
        exact = perturb(x.float(), y, 0.3, 0.5, transform=transform)
        step = torch.finfo(dtype).eps
        assert torch.allclose(out.float(), exact, rtol=step, atol=1e-6)


@each_transform
def test_gradient_flows_through_the_clip_and_not_through_the_noise(transform):
    # With the gain held fixed the perturbation is linear: <gradient of <out, w>, x> = <out, w>.
    x, w = clips(8, 10, 2).requires_grad_(), clips(8, 10, 2)
    value = (perturb(x, torch.arange(8) % 2, probability=1, transform=transform) * w).sum()
    (gradient,) = torch.autograd.grad(value, x)
    assert (gradient * x).sum().item() == pytest.approx(value.item())
    assert not torch.allclose(gradient, w)


@each_time
@each_transform
def test_given_noise_is_used_as_it_is(time, transform):
    x, y = clips(9, time, 2), torch.arange(9) % 3
    there, back = (fft.rfft, fft.irfft) if transform == "fft" else (fft.dct, fft.idct)
    before = there(x.numpy(), axis=1, norm="ortho")
    level = np.log(np.abs(before) + 1e-3)
    residual = level - level.reshape(3, 3, *level.shape[1:]).mean(0)[np.arange(9) % 3]
    deviation = np.sqrt((residual**2).sum(0) / (9 - 3))
    eps = 3 * np.random.default_rng(0).standard_normal(level.shape)
    after = before * np.exp(np.clip(0.7 * deviation * eps, -2.5, 2.5))
    out = perturb(x, y, 0.7, 1.0, torch.as_tensor(eps), transform)
    assert np.allclose(out, back(after, n=time, axis=1, norm="ortho"), atol=1e-9)
    assert np.abs(0.7 * deviation * eps).max() > 2.5  # the gains' limit holds here as well


def test_given_noise_also_meets_chosen_clips_only():
    x, eps = clips(40, 8, 2), clips(40, 5, 2)
    all_, some = (perturb(x, probability=p, noise=eps) for p in (1.0, 0.5))
    changed = (some != x).flatten(1).any(1)
    assert 5 < changed.sum() < 35 and torch.equal(some[changed], all_[changed])


# The worst direction


def quadratic(target):
    return lambda x: ((x - target) ** 2 * torch.arange(1, 1 + x.shape[2])).sum()


def perturbed_loss(x, deviation, eps, loss, transform):
    return float(loss(from_spectrum(apply_gain(to_spectrum(x, transform), deviation * eps), x.shape[1])))


@each_transform
def test_adversarial_noise_is_the_gradient_at_unit_mean_square(transform):
    x, loss = clips(2, 5, 2), quadratic(clips(2, 5, 2))
    deviation = style_deviation(log_amplitude(to_spectrum(x, transform)))
    eps = adversarial_noise(x, deviation, loss, transform)
    assert torch.allclose(eps.square().mean((1, 2)), torch.ones(2).double())
    assert not eps.requires_grad
    gradient = torch.zeros_like(eps)
    for index in np.ndindex(*eps.shape):
        step = torch.zeros_like(eps)
        step[index] = 1e-5
        gradient[index] = perturbed_loss(x, deviation, step, loss, transform) - perturbed_loss(
            x, deviation, -step, loss, transform
        )
    gradient /= gradient.square().mean((1, 2), keepdim=True).sqrt()
    assert torch.allclose(eps, gradient, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from(TRANSFORMS))
def test_no_other_direction_raises_the_loss_faster(seed, transform):
    torch.manual_seed(seed)
    x, loss = clips(1, 8, 3), quadratic(clips(1, 8, 3))
    level = to_spectrum(x, transform).abs()
    deviation = torch.rand(level.shape[1:], dtype=torch.float64)
    worst = adversarial_noise(x, deviation, loss, transform)
    others = torch.randn(30, *worst.shape, dtype=torch.float64)
    others /= others.square().mean((2, 3), keepdim=True).sqrt()

    def slope(eps):
        h = 1e-5
        ahead, behind = (perturbed_loss(x, deviation, k * eps, loss, transform) for k in (h, -h))
        return (ahead - behind) / (2 * h)

    assert slope(worst) > 0
    assert all(slope(worst) >= slope(eps) for eps in others)


def test_adversarial_noise_keeps_its_size_however_flat_the_loss():
    x, loss = torch.randn(4, 9, 2), quadratic(torch.randn(4, 9, 2))
    deviation = torch.rand(5, 2)
    eps = adversarial_noise(x, deviation, loss)
    faint = adversarial_noise(x, deviation, lambda x: 1e-30 * loss(x))
    assert torch.allclose(faint, eps, atol=1e-3)
    assert torch.equal(adversarial_noise(x, deviation, lambda x: 0 * x.sum()), torch.zeros(4, 5, 2))
    assert torch.equal(adversarial_noise(x, 0 * deviation, loss), torch.zeros(4, 5, 2))
    with torch.no_grad():  # it switches gradients on by itself
        assert torch.equal(adversarial_noise(x, deviation, loss), eps)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="transform: 'wavelet' .* fft, dct"):
        to_spectrum(clips(1, 4, 1), "wavelet")
    with pytest.raises(ValueError, match="noise: 'pink' .* independent, low-rank, residual"):
        draw_noise(clips(1, 4, 1), "pink")
    with pytest.raises(ValueError, match="noise: 'pink'"):
        perturb(clips(2, 4, 1), noise="pink")
