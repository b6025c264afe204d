"""Alignment: clocks, transports and amplitude, each by itself and against POT, NumPy and geometry."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from piumar_lib.alignment import (
    AmplitudeNormalization,
    MonotoneAlignment,
    MotionClock,
    SinkhornAlignment,
    UniformClock,
    centered_motion_energy,
    noise_energy,
)
from piumar_lib.running import RunningMean
from piumar_lib.transport import monotone_coupling, time_mass

TEMPI = [(0.8, 0.1, 0.4, 0.5), (0.6, 0.3, 0.4, 0.05), (0.5, 0.05, 0.25, 0.6)]  # duration, onset, twice


def movement(duration, onset, time=64):
    """A bent course in three channels, at rest before and after, shape ``(1, time, 3)``."""
    t = (torch.arange(time, dtype=torch.float32) + 0.5) / time
    phi = ((t - onset) / duration).clamp(0, 1)
    swing = 4 * phi * (1 - phi) * torch.sin(2 * torch.pi * phi)
    return torch.stack([swing, torch.sin(torch.pi * phi) ** 2, torch.cos(3 * phi)], dim=-1)[None]


def distance(align, pair, noise=0.0):
    """Mean distance of two clips behind an alignment; what it read was as noisy as it said."""
    read = [clip + noise * torch.randn_like(clip) for clip in pair]
    return float(torch.dist(*(align.plan(r).mT @ clip for r, clip in zip(read, pair, strict=True))))


def fitted(clock, clips, **options):
    return MonotoneAlignment(clock=clock, amplitude_step=0.0, **options).fit(clips).eval()


# What alignment moves


@pytest.mark.parametrize(("long", "late", "short", "early"), TEMPI)
def test_by_default_two_tempi_of_one_movement_come_together(long, late, short, early):
    pair = movement(long, late), movement(short, early)
    ours, uniform = (fitted(clock, torch.cat(pair)) for clock in (None, UniformClock()))
    half = fitted(MotionClock(0.5), torch.cat(pair))
    with torch.no_grad():
        assert distance(ours, pair) < 0.16 * distance(uniform, pair)
        assert distance(half, pair) > 0.35 * distance(uniform, pair)  # half of the old clock


@pytest.mark.parametrize(("long", "late", "short", "early"), TEMPI)
def test_noise_is_not_taken_for_motion(long, late, short, early):
    pair = movement(long, late), movement(short, early)
    clips = torch.cat(pair).repeat(20, 1, 1) + 0.03 * torch.randn(40, 64, 3)
    ours, uniform = (fitted(clock, clips) for clock in (None, UniformClock()))
    deaf = MonotoneAlignment(amplitude_step=0.0).eval()  # takes all for motion
    with torch.no_grad():
        mean = [
            np.mean([distance(align, pair, noise=0.03) for _ in range(20)])
            for align in (ours, deaf, uniform)
        ]
    assert mean[0] < 0.5 * mean[2] and mean[0] < 0.7 * mean[1]


@pytest.mark.parametrize("channels", [1, 3, 34])
def test_noise_is_estimated_while_half_of_the_frames_move(channels):
    noise = 0.2 * torch.randn(200, 33, channels)
    at_rest = centered_motion_energy(noise).median()
    assert float(noise_energy(noise)) == pytest.approx(float(at_rest), rel=0.1)
    slow = torch.linspace(0, 6, 33)[:, None].sin()  # moves all the time, never in jerks
    assert float(noise_energy(noise + slow)) == pytest.approx(float(at_rest), rel=0.1)
    held = torch.where(torch.arange(33)[:, None] > 20, noise[:, 20:21], noise)  # exactly still
    assert float(noise_energy(held)) == pytest.approx(float(at_rest), rel=0.15)


def test_a_clip_that_moves_all_the_time_keeps_its_motion():
    clips = torch.randn(50, 64, 3) * 0.003
    clips[0] += torch.linspace(0, 30, 64)[:, None].sin()
    clock = MotionClock(0.1)
    clock(clips)
    energy = centered_motion_energy(clips[:1])
    share = clock.eval()(clips[:1]).detach() / time_mass(energy, 0.1)
    assert (share - 1).abs().max() < 0.1  # the clip's own median would have halved it


# Motion and mass


def test_energy_is_the_mean_of_the_steps_before_and_after():
    x = np.random.default_rng(0).standard_normal((3, 12, 4))
    steps = np.linalg.norm(np.diff(x, axis=1), axis=-1)
    before, after = (np.c_[steps[:, :1], steps], np.c_[steps, steps[:, -1:]])
    assert np.allclose(centered_motion_energy(torch.as_tensor(x)), (before + after) / 2, atol=1e-9)
    backward = centered_motion_energy(torch.as_tensor(x[:, ::-1].copy()))
    assert np.allclose(backward.flip(1), (before + after) / 2, atol=1e-9)


@given(st.integers(2, 20), st.integers(1, 5), st.floats(0.01, 0.99), st.integers(0, 10**6))
def test_masses_sum_to_one_and_stay_above_the_floor(time, channels, floor, seed):
    x = torch.randn(3, time, channels, generator=torch.Generator().manual_seed(seed))
    for clock, least in ((MotionClock(floor), floor / time), (UniformClock(), 1 / time)):
        mass = clock(x)
        assert torch.allclose(mass.sum(1), torch.ones(3), atol=1e-5)
        assert (mass >= least * (1 - 1e-3)).all()
    assert torch.allclose(mass, torch.full_like(mass, 1 / time))


def test_the_plan_is_pots_for_the_clocks_mass():
    x = torch.randn(4, 20, 3)
    align = MonotoneAlignment(6).fit(x).eval()
    mass = align.clock(x).double().detach()
    middle = mass.cumsum(1) - mass / 2
    for clip in range(4):
        expected = ot.emd_1d(
            middle[clip].numpy(), (np.arange(6) + 0.5) / 6, mass[clip].numpy(), np.full(6, 1 / 6)
        )
        assert np.allclose(align.plan(x)[clip].detach(), expected, atol=1e-5)


def test_steps_are_no_more_than_frames():
    assert MonotoneAlignment()(torch.randn(2, 32, 3)).shape == (2, 16, 3)
    assert MonotoneAlignment()(torch.randn(2, 9, 3)).shape == (2, 9, 3)
    assert MonotoneAlignment(4)(torch.randn(2, 9, 3)).shape == (2, 4, 3)


def test_the_control_differs_in_the_mass_alone():
    x = torch.randn(3, 12, 2)
    even = monotone_coupling(torch.full((3, 12), 1 / 12), 12)
    assert torch.allclose(MonotoneAlignment(clock=UniformClock()).plan(x), even)
    control = MonotoneAlignment(clock=UniformClock(), amplitude_step=0.0)
    assert torch.allclose(control(x), x, atol=1e-5)
    assert not torch.allclose(MonotoneAlignment(amplitude_step=0.0)(x), x, atol=0.1)


# Amplitude


@given(st.floats(0.06, 15.0), st.floats(0.0, 1.0))
def test_a_movements_size_goes_part_of_the_way_to_the_typical_one(factor, step):
    torch.manual_seed(0)
    x = torch.randn(9, 30, 3)
    x = (x - x.mean(1, keepdim=True)) / x.var(1, correction=0, keepdim=True).sqrt() * 0.3 + 5
    normalize = AmplitudeNormalization(step)
    normalize(x)
    mean = x.mean(1, keepdim=True)
    scaled = mean + factor * (x - mean)
    out = normalize.eval()(scaled)
    assert torch.allclose(out.mean(1), x.mean(1), atol=1e-3)
    assert torch.allclose(out - mean, factor ** (1 - step) * (x - mean), rtol=1e-2, atol=1e-2)


def test_sizes_far_from_the_typical_one_are_taken_for_a_twentieth_or_twenty_of_it():
    x = torch.randn(5, 30, 2)
    normalize = AmplitudeNormalization(1.0)
    normalize(x)
    typical = float(normalize.size.mean)
    for factor, left in ((1e-3, 20), (1e3, 1 / 20)):
        clip = factor * (x - x.mean(1, keepdim=True)) + 3
        out = normalize.eval()(clip)
        assert torch.allclose((out - 3) / left, clip - 3, rtol=1e-2, atol=1e-4)
    assert 0.8 < typical < 1.2


@pytest.mark.parametrize("make", [MonotoneAlignment, lambda: SinkhornAlignment(3)])
def test_a_still_clip_stays_still_and_finite(make):
    align = make()
    align(torch.randn(8, 20, 3))
    x = torch.full((2, 20, 3), 7.0, requires_grad=True)
    out = align(x)
    out.square().sum().backward()
    assert torch.allclose(out, torch.full_like(out, 7.0), atol=1e-3)
    assert torch.isfinite(x.grad).all()


# Sinkhorn


def test_sinkhorn_reaches_its_tolerance_and_reports_what_is_left():
    x = torch.randn(16, 32, 6)
    align = SinkhornAlignment(6, tolerance=1e-3)
    plan = align.plan(x)
    align.eval()
    with torch.no_grad():
        wrong = float(((align.plan(x).sum(2) - align.clock(x)).abs().sum(1) / 2).max())
    assert 0 < wrong <= 1e-3 and float(align.marginal_error) == pytest.approx(wrong)
    assert plan.shape == (16, 32, 16)
    hasty = SinkhornAlignment(6, iterations=10)
    hasty.plan(x)
    assert float(hasty.marginal_error) > 5e-3


def test_sinkhorns_gradient_is_that_of_finite_differences():
    align = SinkhornAlignment(3, 4, epsilon=0.2, tolerance=1e-12, iterations=5000).double().eval()
    x = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(align, (x,), atol=1e-4)


def test_monotone_gradient_is_that_of_finite_differences():
    x = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(MonotoneAlignment(4).double().eval(), (x,), atol=1e-4)


def test_gradients_reach_floor_and_anchors():
    x = torch.randn(4, 16, 3)
    for align in (MonotoneAlignment(6), SinkhornAlignment(3, 6)):
        align(x).square().sum().backward()
        for name, parameter in align.named_parameters():
            assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0, name


# Training and evaluation


def test_estimates_are_made_in_training_and_kept_in_evaluation():
    align, x = MonotoneAlignment(), torch.randn(8, 20, 3)
    align.fit(x)
    assert align.training and float(align.clock.noise.mean) == pytest.approx(float(noise_energy(x)))
    before = {name: value.clone() for name, value in align.state_dict().items()}
    align.eval()(100 * x)
    assert all(torch.equal(value, before[name]) for name, value in align.state_dict().items())
    other = MonotoneAlignment().eval()
    other.load_state_dict(before)
    assert torch.equal(other(x), align(x))


def test_a_statistic_without_numbers_is_no_update_of_a_running_mean():
    running = RunningMean()
    for value, mean in ((torch.nan, 0.0), (4.0, 4.0), (torch.inf, 4.0), (6.0, 5.0)):
        running.update(torch.tensor(value))
        assert running.mean.item() == mean
    several = RunningMean(2)
    several.update(torch.tensor([1.0, torch.nan]))
    assert several.mean.tolist() == [1, 0] and several.updates == 1


def test_a_loss_of_two_batches_can_go_back():
    align, x = MonotoneAlignment(), torch.randn(8, 20, 3, requires_grad=True)
    (align(x).square().sum() + align(2 * x).square().sum()).backward()
    assert torch.isfinite(x.grad).all()


# Shapes, types, mistakes


@given(
    st.integers(1, 4), st.integers(2, 20), st.integers(1, 5),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]), st.booleans(),
)  # fmt: skip
def test_every_shape_and_precision_works(batch, time, channels, dtype, training):
    x = torch.randn(batch, time, channels).to(dtype)
    for align in (MonotoneAlignment(5), SinkhornAlignment(channels, 5, epsilon=0.2)):
        out = align.train(training)(x)
        assert out.dtype == dtype and torch.isfinite(out).all()
        steps = min(5, time) if isinstance(align, MonotoneAlignment) else 5
        assert out.shape == (batch, steps, channels)


def test_a_clip_of_nan_spoils_itself_alone():
    align, x = MonotoneAlignment(), torch.randn(4, 20, 3)
    x[1] = float("nan")
    out = align(x)
    assert out[1].isnan().all() and torch.isfinite(out[[0, 2, 3]]).all()
    assert all(torch.isfinite(value).all() for value in align.state_dict().values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MonotoneAlignment()(torch.ones(2, 1, 3)), "x: 1 frame shows no motion. .* at least 2"),
        (lambda: MonotoneAlignment()(torch.ones(5, 3)), r"x: shape \(5, 3\) is not \(batch, time, ch"),
        (lambda: MonotoneAlignment()(torch.ones(0, 5, 3)), r"x: shape \(0, 5, 3\) holds nothing"),
        (lambda: MonotoneAlignment()(torch.ones(2, 5, 3, dtype=torch.int64)), "x: torch.int64 .* float"),
        (lambda: MonotoneAlignment(0), "steps: must be a whole number, at least 1, got 0"),
        (lambda: MonotoneAlignment(amplitude_step=2), "step: must be .* at most 1, got 2"),
        (lambda: AmplitudeNormalization(limit=0.5), "limit: must be a number, at least 1, got 0.5"),
        (lambda: MotionClock(0), "floor: must be a number, above 0 and below 1, got 0"),
        (lambda: SinkhornAlignment(3, tolerance=0), "tolerance: must be a number, above 0, got 0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
