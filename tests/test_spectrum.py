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
    TRANSFORMS,
    dct_matrix,
    from_spectrum,
    log_amplitude,
    perturb,
    style_deviation,
    style_residual,
    to_spectrum,
)

each_time = pytest.mark.parametrize("time", [15, 16])  # only even lengths have a Nyquist frequency


def clips(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def gain(before, after):
    """What each coefficient was multiplied with."""
    return to_spectrum(after) / to_spectrum(before)


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
    assert torch.allclose(perturb(x, torch.arange(6), probability=1), x, atol=1e-12)


# Perturbation


@each_time
def test_phases_stay_and_gains_are_bounded(time):
    x, y = clips(32, time, 3), torch.arange(32) % 3
    ratio = gain(x, perturb(x, y, scale=20, probability=1))
    assert ratio.imag.abs().max() < 1e-8
    ratio = ratio.real
    assert ratio.min() >= math.exp(-LOG_GAIN_LIMIT) * (1 - 1e-6)
    assert ratio.max() <= math.exp(LOG_GAIN_LIMIT) * (1 + 1e-6)
    # The bound is reached at this scale, on both sides.
    assert ratio.min() < math.exp(-2.49) and ratio.max() > math.exp(2.49)
    assert LOG_GAIN_LIMIT == 2.5


def test_nothing_happens_at_scale_or_probability_zero():
    x, y = clips(16, 9, 2), torch.arange(16) % 3
    assert torch.equal(perturb(x, y, probability=0), x)
    assert torch.allclose(perturb(x, y, scale=0, probability=1), x, atol=1e-12)


def test_share_of_perturbed_clips():
    n, p = 4000, 0.3
    x = torch.randn(n, 4, 2)
    changed = (perturb(x, probability=p) != x).flatten(1)
    assert torch.equal(changed.any(1), changed.all(1))  # a clip is perturbed or left alone
    assert abs(changed.any(1).float().mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    assert (perturb(x, probability=1) != x).flatten(1).any(1).all()


@pytest.mark.parametrize("guided", [True, False])
def test_log_gain_has_the_variance_between_clips_that_was_configured(guided):
    n, scale = 4000, 0.3
    y = torch.arange(n) % 2
    spread = torch.tensor([1.0, 2.0, 4.0])  # of log-amplitudes: people differ most in channel 2
    x = clips(n, 9, 3) * (spread / 8 * clips(n, 1, 3)).exp() * torch.exp(1.0 * y)[:, None, None]
    out = perturb(x, y if guided else None, scale, probability=1)
    log_gain = gain(x, out).abs().log().numpy()
    level = np.log(np.abs(to_spectrum(x).numpy()) + 1e-3)
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
def test_every_precision_goes_through_and_comes_back(dtype):
    x, y = torch.randn(16, 12, 3).to(dtype), torch.arange(16) % 2
    torch.manual_seed(1)
    out = perturb(x, y, 0.3, 0.5)
    assert out.dtype == dtype and torch.isfinite(out).all() and not torch.equal(out, x)
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = perturb(x, y, 0.3, 0.5)
    assert again.dtype == dtype and torch.equal(again, out)  # autocast costs no digits here
    if dtype.itemsize < 4:
        torch.manual_seed(1)
        exact = perturb(x.float(), y, 0.3, 0.5)
        step = torch.finfo(dtype).eps
        assert torch.allclose(out.float(), exact, rtol=step, atol=1e-6)


def test_gradient_flows_through_the_clip_and_not_through_the_noise():
    # With the gain held fixed the perturbation is linear: <gradient of <out, w>, x> = <out, w>.
    x, w = clips(8, 10, 2).requires_grad_(), clips(8, 10, 2)
    value = (perturb(x, torch.arange(8) % 2, probability=1) * w).sum()
    (gradient,) = torch.autograd.grad(value, x)
    assert (gradient * x).sum().item() == pytest.approx(value.item())
    assert not torch.allclose(gradient, w)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="transform: 'wavelet' .* fft, dct"):
        to_spectrum(clips(1, 4, 1), "wavelet")
