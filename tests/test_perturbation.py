"""The second frequency branch: energy kept, noise not taken for people, profiles smooth and shared."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct
from torch.autograd import gradcheck

from piumar_lib.perturbation import (
    MOST,
    SpectralPerturbation,
    another_of_class,
    energy_preserving_gain,
    filtered,
    log_spectrum,
    rayleigh_floor,
)


def people(clips=400, time=32, channels=3, sd=0.5):
    """White noise whose power differs from clip to clip, log-normally, and one class."""
    size = (sd * torch.randn(clips, 1, 1)).exp()
    return size * torch.randn(clips, time, channels), torch.zeros(clips, dtype=torch.long)


def spectra(x):
    return torch.fft.rfft(x, dim=1)


def log_gain(branch, x, y):
    """What a branch does to log amplitudes above frequency zero, of each clip."""
    return (spectra(branch(x, y)).abs() / spectra(x).abs()).log()[:, 1:]


# Energy


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_power_is_kept_in_the_mean_at_every_frequency(scale):
    x, y = people(1500, 8, 8, sd=0.4)
    branch = SpectralPerturbation(8, scale, probability=1.0)
    gain = (2 * log_gain(branch, x, y)).exp()  # of power
    error = gain.std(0) / math.sqrt(len(x))
    assert ((gain.mean(0) - 1).abs() < 5 * error).all() and error.max() < 0.3
    assert gain.log().std(0).min() > 0.3  # it does move


def test_power_is_kept_by_default():
    x, y = people(1500, 8, 8, sd=0.4)
    ratio = (spectra(SpectralPerturbation(8)(x, y)).abs() / spectra(x).abs())[:, 1:].square()
    assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / math.sqrt(len(x))).all()
    changed = ((ratio - 1).abs() > 1e-3).any(2).any(1).float().mean()
    assert abs(changed - 0.5) < 5 * math.sqrt(0.25 / len(x))


def test_a_gain_of_people_who_differ_without_bounds_is_bounded():
    x, y = people(1000, 8, 4, sd=1.5)
    gain = log_gain(SpectralPerturbation(4, 2.0, probability=1.0), x, y)
    assert gain.std(0).max() < MOST * 1.1 and gain.std(0).min() > MOST * 0.9
    assert (gain.mean(0) + MOST**2).abs().max() < 5 * MOST / math.sqrt(1000)  # still exp(s - s^2)


def test_the_log_gain_is_lowered_by_its_variance_which_is_bounded_for_each_channel():
    basis, sd = torch.randn(3, 7).double(), torch.rand(3, 5).double() * torch.tensor([1, 1, 1, 5, 9])
    units = torch.eye(3).double()[:, :, None].expand(3, 3, 5)
    middle = energy_preserving_gain(sd, basis, torch.zeros_like(units))[0]  # (7, 5)
    variance = (energy_preserving_gain(sd, basis, units) - middle).square().sum(0)
    assert torch.allclose(-middle, variance)  # so that E exp(2 gain) is 1
    free = basis.T.square() @ sd.square()
    most = free.amax(0)
    assert (most > MOST).any() and torch.allclose(variance, free / most.clamp(min=MOST**2))


# The Rayleigh floor


@pytest.mark.parametrize("time", [8, 9])
def test_the_floor_is_the_variance_of_noises_log_amplitude(time):
    level = log_spectrum(spectra(torch.randn(100_000, time, 1)))[:, 1:, 0]
    # A variance's relative error is sqrt((kurtosis - 1) / n): the logarithm's tail has a kurtosis of 7.
    assert torch.allclose(level.var(0), rayleigh_floor(time), rtol=5 * math.sqrt(6 / 100_000))


@pytest.mark.parametrize("time", [16, 31])
def test_noise_of_equal_power_is_not_taken_for_people(time):
    clips = 1000
    x, y = 3 * torch.randn(clips, time, 20), torch.arange(clips) % 5
    branch = SpectralPerturbation(20)
    branch(x, y)
    # The real last frequency apart, each variance is known up to sqrt(6 / n) of the floor at most.
    error = rayleigh_floor(time).max() * math.sqrt(6 / clips)
    assert branch.variance(time).max() < 5 * error
    found = branch.squares.mean / branch.freedom.mean - branch.variance(time)
    # Averaged over channels, what is found is the floor: no more, no less.
    assert (branch.variance(time).mean(1) < error).all() and found.mean() > 0.35


def test_variance_of_people_is_found_above_the_floor():
    x, y = people(1000, 16, 20, sd=0.5)
    branch = SpectralPerturbation(20)
    branch(x, y)
    found = branch.variance(16).mean(1)
    # Their size moves the level alone: sd^2 on each of 8 frequencies, with orthonormal weights.
    assert float(found[0]) == pytest.approx(0.25 * 8, rel=5 * math.sqrt(2 / 1000))
    assert found[1:].max() < 0.05


# Smooth, shared, within classes


def test_the_log_gain_is_smooth_along_frequency():
    x, y = people()
    gain = log_gain(SpectralPerturbation(3, probability=1.0), x, y)
    cosine = dct(gain.numpy(), axis=1, norm="ortho")
    drawn = cosine - cosine.mean(0)  # less what keeps the energy, which is the same for all
    assert np.abs(drawn[:, 4:]).max() < 1e-3 and np.abs(drawn[:, 0]).max() > 0.5


def test_phases_and_the_mean_over_time_stay():
    x, y = people()
    before, after = spectra(x + 3), spectra(SpectralPerturbation(3, probability=1.0)(x + 3, y))
    assert torch.allclose(before[:, 0], after[:, 0], atol=1e-3)
    assert torch.allclose((before * after.conj()).angle()[:, 1:-1], torch.zeros(1), atol=1e-2)


def test_channels_of_a_group_share_their_profile():
    x, y = people(channels=5)
    gain = log_gain(SpectralPerturbation(5, 1.0, 1.0, groups_of_channels=[0, 1, 0, 1, 1]), x, y)
    assert torch.allclose(gain[..., 0], gain[..., 2], atol=1e-3)
    assert torch.allclose(gain[..., 1], gain[..., 3], atol=1e-3)
    assert not torch.allclose(gain[..., 0], gain[..., 1], atol=0.1)
    alone = log_gain(SpectralPerturbation(5, 1.0, 1.0), x, y)
    assert not torch.allclose(alone[..., 0], alone[..., 2], atol=0.1)


def test_what_tells_classes_apart_is_not_perturbed():
    y = torch.arange(1000) % 2
    x = torch.where(y[:, None, None] == 0, 0.2, 5.0) * torch.randn(1000, 16, 1)
    within, total = SpectralPerturbation(1), SpectralPerturbation(1)
    within(x, y), total(x)
    assert within.variance(16).max() < 0.4 and total.variance(16).max() > 5


def test_small_batches_of_many_classes_come_to_the_same_variance():
    branch, clips = SpectralPerturbation(2), 12
    assert branch.variance(16).max() == 0
    for _ in range(300):
        x, _ = people(clips, 16, 2, sd=0.5)
        branch(x, torch.randint(52, (clips,)))
    # Twenty batches count, with about one degree of freedom each.
    assert branch.freedom.mean < 2 and 0.7 < float(branch.variance(16)[0].mean()) < 4


def test_clips_without_a_second_one_of_their_class_tell_nothing_and_stay_finite():
    x = torch.randn(6, 16, 2)
    for kind in ("gain", "swap"):
        branch = SpectralPerturbation(2, kind=kind, probability=1.0)
        assert torch.allclose(branch(x, torch.arange(6)), x, atol=1e-4)
        assert torch.allclose(branch(x[:1], torch.zeros(1, dtype=torch.long)), x[:1], atol=1e-4)


# Swapping


def test_another_of_the_class_is_somebody_else():
    y = torch.tensor([0, 1, 0, 1, 1, 2])
    drawn = torch.stack([another_of_class(y) for _ in range(100)])
    assert (y[drawn] == y).all() and (drawn[:, 5] == 5).all()
    assert (drawn[:, :5] != torch.arange(5)).all()
    assert {*drawn[:, 1].tolist()} == {3, 4}


def test_a_swap_goes_part_of_the_way_to_the_smooth_spectrum_of_another():
    x, y = torch.randn(2, 32, 1) * torch.tensor([1.0, 8.0])[:, None, None], torch.zeros(2).long()
    cosine = dct(log_spectrum(spectra(x))[:, 1:].numpy(), axis=1, norm="ortho")
    way = cosine[[1, 0], :4] - cosine[:, :4]
    shares = []
    for _ in range(200):
        branch = SpectralPerturbation(1, probability=1.0, kind="swap")
        moved = dct(log_gain(branch, x, y).numpy(), axis=1, norm="ortho")
        assert np.abs(moved[:, 4:]).max() < 1e-3
        share = (moved[:, :4] / way)[..., 0]
        assert np.allclose(share, share[:, :1], atol=1e-2)
        shares.append(share[:, 0])
    assert 0 <= np.min(shares) < 0.1 and 0.9 < np.max(shares) <= 1.001
    half = SpectralPerturbation(1, 0.5, 1.0, kind="swap")
    assert max(float(log_gain(half, x, y).abs().max()) for _ in range(20)) < np.abs(way).max() / 2


# Evaluation, gradients, types, mistakes


def test_it_is_the_identity_in_evaluation_and_at_scale_zero():
    x, y = people(20)
    assert SpectralPerturbation(3, probability=1.0).eval()(x, y) is x
    assert SpectralPerturbation(3, scale=0.0)(x, y) is x
    assert torch.allclose(SpectralPerturbation(3, probability=0.0)(x, y), x, atol=1e-5)


@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 10**6))
def test_a_filters_gradient_is_that_of_finite_differences(time, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    x, weights = torch.randn(2, 2, time, channels, generator=generator).double()
    gain = torch.rand(2, time // 2 + 1, channels, generator=generator).double()

    def moved(x):
        return filtered(x, gain)

    assert gradcheck(moved, (x.requires_grad_(),))
    branch = SpectralPerturbation(channels, probability=1.0)
    branch.log_gain = lambda *_: gain.log()
    (ours,) = torch.autograd.grad((branch(x) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((filtered(x, gain) * weights).sum(), x)
    assert torch.allclose(ours, theirs)


@given(
    st.integers(1, 5), st.integers(1, 12), st.integers(1, 4), st.sampled_from(["gain", "swap"]),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)  # fmt: skip
def test_every_shape_and_precision_works(batch, time, channels, kind, dtype):
    x = torch.randn(batch, time, channels).to(dtype)
    branch = SpectralPerturbation(channels, kind=kind, probability=1.0)
    for y in (None, torch.zeros(batch, dtype=torch.long), torch.arange(batch) % 2):
        out = branch(x, y)
        assert out.dtype == dtype and out.shape == x.shape and torch.isfinite(out).all()
    assert torch.isfinite(branch(torch.zeros_like(x))).all()


def test_a_clip_of_nan_spoils_itself_and_no_estimate():
    branch, (x, y) = SpectralPerturbation(3), people(20)
    branch(x, y)
    x[3] = float("nan")
    out = branch(x, y)
    assert out[3].isnan().any() and torch.isfinite(out[torch.arange(20) != 3]).all()
    assert all(torch.isfinite(value).all() for value in branch.state_dict().values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SpectralPerturbation(3, kind="warp"), "kind: 'warp' is unknown"),
        (lambda: SpectralPerturbation(3, scale=-1), "scale: must be a number, at least 0, got -1"),
        (lambda: SpectralPerturbation(3, scale=1.5, kind="swap"), "scale: .* got 1.5. A swap's is"),
        (lambda: SpectralPerturbation(3, probability=2), "probability: must be .* at most 1, got 2"),
        (lambda: SpectralPerturbation(3, coefficients=0), "coefficients: 0 .* at least 1"),
        (lambda: SpectralPerturbation(3, groups_of_channels=[0, 1]), r"\[0, 1\] does not group 3 ch"),
        (lambda: SpectralPerturbation(2, groups_of_channels=[0, 2]), "from 0 without gaps"),
        (lambda: SpectralPerturbation(3)(torch.ones(5, 3)), r"x: shape \(5, 3\) is not \(batch"),
        (lambda: SpectralPerturbation(3)(torch.ones(0, 5, 3)), "holds nothing"),
        (lambda: SpectralPerturbation(3)(torch.ones(1, 5, 3).long()), "x: torch.int64 has no fractions"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
