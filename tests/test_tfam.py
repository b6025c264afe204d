"""The method's first TFAM, with which chapter 04 compares, by its definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib import spectrum
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.tfam import ConsistencyFusion, FrequencyBranch, TemporalBranch
from piumar_lib.transport import barycentric_projection, monotone_coupling, motion_energy, time_mass


def batch(n=12):
    return torch.randn(n, 16, 3), torch.arange(n) % 4


# Temporal branch


def test_without_alignment_and_amplitude_step_the_temporal_branch_is_the_identity():
    x, _ = batch()
    for steps, expected in ((16, x), (None, x), (8, x.unflatten(1, (8, 2)).mean(2))):
        branch = TemporalBranch(steps=steps, mass="uniform", amplitude_step=0)
        assert torch.allclose(branch(x), expected, atol=1e-5)


def test_exact_branch_projects_along_the_plan_of_motion_energy():
    x, _ = batch()
    branch = TemporalBranch(steps=7, amplitude_step=0)
    assert float(branch.floor.detach()) == 0.5
    plan = monotone_coupling(time_mass(motion_energy(x), 0.5), 7)
    assert torch.allclose(branch.plan(x), plan) and branch(x).shape == (12, 7, 3)
    assert torch.allclose(branch(x), barycentric_projection(plan, x))
    branch.floor_logit.data.fill_(40.0)  # all mass is spread evenly: nothing is aligned
    resampled = TemporalBranch(steps=7, mass="uniform", amplitude_step=0)(x)
    assert torch.allclose(branch(x), resampled, atol=1e-5)


@given(st.floats(0.01, 100), st.floats(0.0, 1.0))
def test_amplitude_step_moves_the_spread_towards_one(factor, step):
    torch.manual_seed(0)
    x = factor * torch.randn(4, 200, 3)
    plain = TemporalBranch(amplitude_step=0)(x)
    moved = TemporalBranch(amplitude_step=step)(x)
    spread = x.var(1, unbiased=False).mean(1).sqrt()
    assert torch.allclose(moved, plain * (spread**-step)[:, None, None], rtol=1e-3, atol=1e-5)


def test_a_still_clip_stays_finite():
    x = torch.ones(2, 16, 3, requires_grad=True)
    out = TemporalBranch()(x)
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()


def test_gradients_reach_floor_and_clip():
    x = torch.randn(4, 16, 3, requires_grad=True)
    branch = TemporalBranch(steps=6)
    branch(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    ((_, parameter),) = branch.named_parameters()
    assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("floor", [0.1, 0.5, 0.8])
def test_the_floor_starts_where_it_is_put_and_can_be_learned(floor):
    branch = TemporalBranch(floor=floor)
    assert float(branch.floor.detach()) == pytest.approx(floor)
    x, _ = batch()
    assert torch.allclose(branch.clock(x), time_mass(motion_energy(x), floor), atol=1e-6)
    assert branch.floor_logit.requires_grad


# Frequency branch


def test_frequency_branch_is_the_identity_in_evaluation_and_at_scale_zero():
    x, y = batch()
    assert FrequencyBranch(probability=1).eval()(x, y) is x
    assert FrequencyBranch(scale=0, probability=1)(x, y) is x
    assert not torch.equal(FrequencyBranch(probability=1)(x, y), x)


def test_frequency_branch_passes_its_options_on():
    x, y = batch()
    branch = FrequencyBranch(0.7, 0.6)
    torch.manual_seed(5)
    ours = branch(x, y)
    torch.manual_seed(5)
    theirs = spectrum.perturb(x, y, scale=0.7, probability=0.6)
    assert torch.equal(ours, theirs)
    torch.manual_seed(5)
    assert torch.equal(branch.views(x, y)[0], theirs)


# Fusion


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


def test_fusion_of_equal_views_is_that_view_and_works_frame_by_frame():
    fusion, x = ConsistencyFusion(), torch.randn(4, 16, 3)
    assert torch.allclose(fusion(x, x), x, atol=1e-6)
    other = torch.randn(4, 16, 3)
    one = torch.stack([fusion(x[:, t], other[:, t]) for t in range(16)], dim=1)
    assert torch.allclose(fusion(x, other), one, atol=1e-6)


# TFAM


def make(steps: int | None = None, **options: float) -> TemporalFrequencyModule:
    """The first TFAM of both branches."""
    branches = TemporalBranch(steps=steps), FrequencyBranch(**options)
    return TemporalFrequencyModule(*branches, ConsistencyFusion())


def test_tfam_makes_both_views_and_fuses_them():
    x, y = batch()
    tfam = make(probability=1)
    torch.manual_seed(1)
    aligned, perturbed = tfam.views(x, y)
    torch.manual_seed(1)
    assert torch.equal(aligned, tfam.temporal(x)) and torch.equal(perturbed, tfam.frequency(x, y))
    gate = tfam.fusion.gate(aligned, perturbed)
    expected = gate * (aligned + perturbed) / 2 + (1 - gate) * torch.minimum(aligned, perturbed)
    assert torch.equal(tfam.fusion(aligned, perturbed), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_views_have_equally_many_steps(dtype):
    x = torch.randn(6, 50, 3).to(dtype)
    aligned, perturbed = make(10).eval().views(x)
    assert aligned.shape == perturbed.shape == (6, 10, 3) and perturbed.dtype == dtype
    expected = x.double().unflatten(1, (10, 5)).mean(2)  # each step averages five frames
    step = {torch.bfloat16: 2**-8, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    assert torch.allclose(perturbed.double(), expected, rtol=step, atol=1e-5 if step > 1e-9 else 1e-12)


def test_views_keep_their_precision_under_autocast():
    x = torch.randn(6, 50, 3)
    tfam = make(10).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = tfam.views(x)
    assert all(torch.equal(a, b) for a, b in zip(under, tfam.views(x), strict=True))


# Mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TemporalBranch(mass="energy"), "mass: 'energy' .*motion.*uniform"),
        (
            lambda: FrequencyBranch(scale=-1),
            "scale: must be a number, at least 0, got -1. Its default is 1.0",
        ),
        (lambda: FrequencyBranch(probability=1.5), "probability: .* at least 0 and at most 1, got 1.5"),
        (
            lambda: FrequencyBranch(probability=-0.1),
            "probability: .* at least 0 and at most 1, got -0.1",
        ),
        (lambda: TemporalBranch(floor=0), "floor: .* above 0 and below 1, got 0"),
        (lambda: TemporalBranch(floor=1.0), "floor: .* above 0 and below 1, got 1.0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
