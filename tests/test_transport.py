"""Optimal transport, against POT, SciPy, and formulas written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import ot
import ot.batch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from torch.autograd import gradcheck

from piumar_lib.transport import (
    at_least_single,
    barycentric_projection,
    class_mean,
    frame_law_spread,
    frames_at,
    gaussian_w2,
    gaussian_w2_diagonal,
    interpolate,
    monotone_coupling,
    motion_energy,
    overlap_plan,
    reclock,
    scale_to_marginals,
    sinkhorn_plan,
    sliced_w2,
    time_mass,
    variance_over_time,
    wasserstein_1d,
)

seeds = st.integers(0, 2**32 - 1)


def draw_mass(rng, time, zeros=0.0, batch=1):
    """Random masses (batch, time), a share of them exactly zero."""
    mass = rng.dirichlet(np.full(time, 0.7), batch) * (rng.random((batch, time)) >= zeros)
    mass[:, rng.integers(time)] += 0.1
    return torch.as_tensor(mass / mass.sum(1, keepdims=True))


def draw_covariance(rng, channels):
    root = rng.standard_normal((channels, channels + 1))
    return root @ root.T


# Motion energy and the mass on time


@pytest.mark.parametrize("smooth", [1, 3, 5])
def test_motion_energy_is_the_smoothed_length_of_steps(smooth):
    x = np.random.default_rng(0).standard_normal((3, 12, 4))
    steps = np.linalg.norm(np.diff(x, axis=1), axis=-1)
    steps = np.concatenate([steps[:, :1], steps], axis=1)  # nothing is known before the first frame
    expected = ndimage.uniform_filter1d(steps, smooth, axis=1, mode="nearest")
    assert np.allclose(motion_energy(torch.as_tensor(x), smooth), expected, atol=1e-9)


def test_time_mass_mixes_energy_and_an_even_floor():
    energy = np.random.default_rng(0).random((4, 9))
    expected = 0.3 / 9 + 0.7 * energy / energy.sum(1, keepdims=True)
    assert np.allclose(time_mass(torch.as_tensor(energy), 0.3), expected, atol=1e-12)
    assert np.allclose(time_mass(torch.as_tensor(energy), 1.0), 1 / 9, atol=1e-12)
    assert np.allclose(time_mass(torch.as_tensor(5 * energy), 0.3), expected, atol=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.5, 1.0])
def test_without_any_motion_the_mass_is_even(floor):
    for dtype in (torch.float32, torch.float64):
        mass = time_mass(torch.zeros(2, 8, dtype=dtype), floor)
        assert torch.allclose(mass, torch.full_like(mass, 1 / 8))


def test_a_still_clip_gives_finite_values_and_gradients():
    x = torch.ones(2, 8, 3, requires_grad=True)
    mass = time_mass(motion_energy(x), 0.2)
    z = barycentric_projection(monotone_coupling(mass, 5), x)
    entropic = sinkhorn_plan(z.square(), torch.full((2, 5), 0.2), torch.full((3,), 1 / 3))
    (z.square().sum() + entropic.square().sum() + frame_law_spread(x)).backward()
    assert torch.allclose(z, torch.ones_like(z)) and torch.isfinite(entropic).all()
    assert torch.isfinite(x.grad).all()


# The exact plan


@given(seeds, st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.5]))
def test_monotone_coupling_is_the_optimal_plan_of_pot(seed, time, steps, zeros):
    rng = np.random.default_rng(seed)
    mass = draw_mass(rng, time, zeros)
    end = mass.numpy()[0].cumsum()
    middle = end - mass.numpy()[0] / 2
    canonical = (np.arange(steps) + 0.5) / steps
    expected = ot.emd_1d(middle, canonical, mass.numpy()[0], np.full(steps, 1 / steps))
    assert np.allclose(monotone_coupling(mass, steps)[0], expected, atol=1e-6)


@given(seeds, st.integers(2, 12), st.integers(2, 12), st.sampled_from([1.0, 1.5, 2.0, 4.0]))
def test_monotone_coupling_costs_no_more_than_linear_programming_finds(seed, time, steps, power):
    rng = np.random.default_rng(seed)
    mass = draw_mass(rng, time, 0.3)
    where, canonical = np.sort(rng.standard_normal(time)), np.sort(rng.standard_normal(steps))
    cost = np.abs(where[:, None] - canonical[None]) ** power
    least = ot.emd2(mass.numpy()[0], np.full(steps, 1 / steps), cost)
    assert (monotone_coupling(mass, steps)[0].numpy() * cost).sum() == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_monotone_coupling_has_its_marginals(dtype, tolerance):
    mass = draw_mass(np.random.default_rng(0), 50, 0.4, batch=20).to(dtype)
    plan = monotone_coupling(mass, 17)
    assert plan.dtype == dtype and plan.shape == (20, 50, 17) and (plan >= 0).all()
    assert torch.allclose(plan.sum(2), mass, atol=tolerance)
    assert torch.allclose(plan.sum(1), torch.full_like(plan.sum(1), 1 / 17), atol=tolerance)


@given(seeds, st.integers(2, 12), st.integers(2, 12), st.sampled_from([1.0, 1.5, 2.0, 4.0]))
def test_overlap_plan_costs_no_more_than_linear_programming_finds(seed, time, steps, power):
    rng = np.random.default_rng(seed)
    source, target = draw_mass(rng, time, 0.3), draw_mass(rng, steps, 0.3)
    x, y = np.sort(rng.standard_normal(time)), np.sort(rng.standard_normal(steps))
    cost = np.abs(x[:, None] - y[None]) ** power
    plan = overlap_plan(source, target)[0]
    assert torch.allclose(plan.sum(1), source[0]) and torch.allclose(plan.sum(0), target[0])
    least = ot.emd2(source.numpy()[0], target.numpy()[0], cost)
    assert (plan.numpy() * cost).sum() == pytest.approx(least, abs=1e-9)


def test_overlap_plan_to_equal_steps_is_the_monotone_coupling():
    mass = draw_mass(np.random.default_rng(0), 50, 0.4, batch=20)
    even = torch.full((20, 17), 1 / 17, dtype=torch.float64)
    assert torch.allclose(overlap_plan(mass, even), monotone_coupling(mass, 17), atol=1e-12)
    with pytest.raises(ValueError, match=r"target: sums to 2, not to 1\. Divide it"):
        overlap_plan(mass, 2 * even)


def test_float32_agrees_with_float64():
    mass = draw_mass(np.random.default_rng(0), 64, 0.2, batch=8)
    cost = torch.rand(8, 64, 16, dtype=torch.float64)
    even = torch.full((16,), 1 / 16, dtype=torch.float64)
    positive = time_mass(mass, 0.1)
    assert torch.allclose(
        monotone_coupling(mass.float(), 16).double(), monotone_coupling(mass, 16), atol=1e-6
    )
    single = sinkhorn_plan(cost.float(), positive.float(), even.float(), 0.1)
    assert torch.allclose(single.double(), sinkhorn_plan(cost, positive, even, 0.1), atol=1e-6)


# Tempo


def trajectory(s):
    """A smooth curve in three dimensions, for s in [0, 1]."""
    return np.stack([np.sin(2 * np.pi * s), np.cos(3 * s), s + 0.3 * np.sin(5 * s)], axis=-1)


def aligned(s, steps=8):
    x = torch.as_tensor(trajectory(s))[None]
    return barycentric_projection(monotone_coupling(time_mass(motion_energy(x), 0.0), steps), x)[0]


@given(st.floats(-0.8, 0.8), st.floats(0.6, 1.7))
def test_alignment_forgets_tempo_up_to_a_discretisation_error_that_vanishes(bend, power):
    errors, distances = [], []
    for time in (32, 128, 512):
        t = (np.arange(time) + 0.5) / time
        warped = (t + bend * np.sin(2 * np.pi * t) / (2 * np.pi)) ** power
        errors.append(float((aligned(t) - aligned(warped)).norm(dim=-1).mean()))
        distances.append(np.linalg.norm(trajectory(t) - trajectory(warped), axis=-1).mean())
    # Of first order in 1 / T: each time with four times as many frames a quarter, some slack left.
    assert errors[0] < 0.25 and errors[1] < 0.25 / 3 and errors[2] < 0.25 / 9
    assert errors[2] < max(0.1 * distances[2], 1e-3)


# Reading between nodes and between frames


@given(seeds, st.integers(2, 30), st.integers(1, 40))
def test_interpolation_is_numpys(seed, nodes, count):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random((3, nodes)), axis=1)
    y, at = rng.standard_normal((3, nodes)), rng.uniform(-0.3, 1.3, (3, count))
    at[:, 0] = x[:, -1]  # on a node, too
    expected = [np.interp(*row) for row in zip(at, x, y, strict=True)]
    assert np.allclose(interpolate(*map(torch.as_tensor, (at, x, y))), expected, atol=1e-9)


def test_interpolation_at_nodes_that_coincide_stays_between_their_values():
    x, y = torch.tensor([[0.0, 0.5, 0.5, 1.0]]), torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    read = interpolate(torch.tensor([[0.25, 0.5, 0.75]]), x, y)
    assert read[0, ::2].tolist() == pytest.approx([0.5, 2.5]) and 1 <= read[0, 1] <= 2


@given(seeds, st.integers(2, 20), st.integers(1, 30), st.sampled_from([torch.float32, torch.float64]))
def test_frames_are_read_linearly_and_ends_are_held(seed, time, count, dtype):
    rng = np.random.default_rng(seed)
    x, position = rng.standard_normal((2, time, 3)), rng.uniform(-2, time + 1, (2, count))
    position[:, 0] = time - 1
    read = frames_at(torch.as_tensor(x).to(dtype), torch.as_tensor(position).to(dtype))
    assert read.dtype == dtype
    for b, c in np.ndindex(2, 3):
        expected = np.interp(position[b], np.arange(time), x[b, :, c])
        assert np.allclose(read[b, :, c], expected, atol=1e-4 if dtype == torch.float32 else 1e-9)


def test_a_clip_of_one_frame_is_read_anywhere():
    x = torch.randn(2, 1, 3)
    assert torch.equal(frames_at(x, torch.tensor([[0.0, 0.7], [0.3, 2.0]])), x.expand(-1, 2, -1))


# Re-clocking


def ramp(batch, time):
    """Clips that show at each moment when it is, in [0, 1]."""
    return ((torch.arange(time, dtype=torch.float64) + 0.5) / time).expand(batch, -1)[..., None]


def quantiles(mass, share):
    """When the given shares of a mass on [0, 1] have passed, by NumPy."""
    edges = np.linspace(0, 1, len(mass) + 1)
    return np.interp(share, np.concatenate([[0], np.cumsum(mass)]), edges)


@given(seeds, st.integers(2, 40))
def test_going_no_part_of_the_way_changes_nothing(seed, time):
    rng = np.random.default_rng(seed)
    mass, other = (time_mass(draw_mass(rng, time, 0.3, batch=3), 0.1) for _ in range(2))
    x = torch.as_tensor(rng.standard_normal((3, time, 2)))
    assert torch.allclose(reclock(x, mass, other, 0.0), x, atol=1e-9)
    assert torch.allclose(reclock(x, mass, mass, 0.7), x, atol=1e-9)
    single = reclock(x.float(), mass.float(), other.float(), torch.zeros(3, 1))
    assert single.dtype == torch.float32 and torch.allclose(single, x.float(), atol=1e-3)


@given(seeds, st.integers(10, 60), st.floats(0.0, 1.0))
def test_quantiles_move_evenly_from_one_clock_to_the_other(seed, time, share):
    rng = np.random.default_rng(seed)
    mass, other = (time_mass(draw_mass(rng, time, 0.3), 0.4) for _ in range(2))
    shown = reclock(ramp(1, time), mass, other, share)[0, :, 0].numpy()
    for u in np.linspace(0.05, 0.95, 19):
        before, there = (quantiles(m[0].numpy(), u) for m in (mass, other))
        # What was to be seen at its own time is now to be seen on the way to the other one.
        now = np.interp((1 - share) * before + share * there, ramp(1, time)[0, :, 0], shown)
        # Quantiles are read at T + 1 levels, and with a floor of 0.4 they rise by up to 2.5 / T between.
        assert abs(now - before) <= 2.5 / time


@given(seeds, st.floats(0.1, 0.9))
def test_reclocked_mass_is_the_barycentre_of_pot(seed, share):
    time, rng = 40, np.random.default_rng(seed)
    mass, other = (time_mass(draw_mass(rng, time, 0.3), 0.4) for _ in range(2))
    middle = ramp(1, time)[0, :, 0].numpy()
    plan = ot.emd_1d(middle, middle, mass[0].numpy(), other[0].numpy())
    source, target = np.nonzero(plan)
    between, weight = (1 - share) * middle[source] + share * middle[target], plan[source, target]
    # When the moments that bear the mass are shown now: the inverse of the clock.
    shown = reclock(ramp(1, time), mass, other, share)[0, :, 0].numpy()
    now = np.interp(middle, shown, middle)
    distance = stats.wasserstein_distance(now, between, mass[0].numpy(), weight)
    assert distance < 1 / time
    assert distance < 0.5 * stats.wasserstein_distance(middle, between, mass[0], weight) + 0.2 / time


@given(seeds, st.integers(2, 40), st.floats(0.0, 1.0))
def test_order_in_time_is_kept(seed, time, share):
    rng = np.random.default_rng(seed)
    mass, other = (time_mass(draw_mass(rng, time, 0.5), 0.05) for _ in range(2))
    shown = reclock(ramp(1, time), mass, other, share)
    assert (shown.diff(dim=1) >= -1e-12).all() and shown.min() >= 0 and shown.max() <= 1


def test_each_clip_goes_its_own_part_of_the_way():
    mass, other = (draw_mass(np.random.default_rng(k), 20, batch=3) for k in (1, 2))
    x, share = torch.randn(3, 20, 2).double(), torch.tensor([[0.0], [0.4], [1.0]])
    together = reclock(x, mass, other, share)
    for b in range(3):
        one = slice(b, b + 1)
        assert torch.allclose(together[one], reclock(x[one], mass[one], other[one], float(share[b])))


@given(st.floats(-0.8, 0.8), st.floats(0.6, 1.7))
def test_the_even_clock_is_exact_transports_up_to_a_discretisation_error_that_vanishes(bend, power):
    errors, distances = [], []
    for time in (32, 128, 512):
        t = (np.arange(time) + 0.5) / time
        x = torch.as_tensor(trajectory((t + bend * np.sin(2 * np.pi * t) / (2 * np.pi)) ** power))[None]
        mass = time_mass(motion_energy(x), 0.2)
        expected = barycentric_projection(monotone_coupling(mass, time), x)
        moved = reclock(x, mass, torch.full_like(mass, 1 / time))
        errors.append(float((moved - expected).norm(dim=-1).mean()))
        distances.append(float((x - expected).norm(dim=-1).mean()))
        assert errors[-1] < 2 / time
    assert errors[2] < 0.1 * distances[2]


# Sinkhorn


@pytest.fixture
def problem():
    """Cost, source and target of five small problems in float64."""
    rng = np.random.default_rng(0)
    source, target = (torch.as_tensor(rng.dirichlet(np.full(n, 3.0), 5)) for n in (9, 6))
    return torch.as_tensor(rng.random((5, 9, 6))), source, target


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 2.0])
def test_sinkhorn_plan_is_pots(problem, epsilon):
    cost, source, target = problem
    plan = sinkhorn_plan(cost, source, target, epsilon, iterations=2000)
    batched = ot.batch.solve_batch(
        cost, epsilon, source, target, max_iter=5000, tol=1e-12, method="log_sinkhorn"
    )
    assert torch.allclose(plan, batched.plan, atol=1e-6)
    for b in range(5):
        single = ot.bregman.sinkhorn(
            source[b], target[b], cost[b], epsilon, "sinkhorn_log", numItermax=5000, stopThr=1e-12
        )
        assert torch.allclose(plan[b], single, atol=1e-6)


def test_sinkhorn_plan_has_its_marginals(problem):
    cost, source, target = problem
    plan = sinkhorn_plan(cost, source, target, 0.1, iterations=500)
    assert torch.allclose(plan.sum(2), source, atol=1e-8)
    early = sinkhorn_plan(cost, source, target, 0.1, iterations=2)
    assert torch.allclose(early.sum(1), target, atol=1e-12)  # exact after every iteration
    assert not torch.allclose(early.sum(2), source, atol=1e-4)


def test_sinkhorn_gives_nothing_to_a_step_without_mass(problem):
    cost, source, _ = problem
    target = torch.zeros(cost.shape[2]).to(cost)
    target[:2] = 0.5
    plan = sinkhorn_plan(cost, source, target, 0.1, iterations=500)
    assert torch.equal(plan[..., 2:], torch.zeros_like(plan[..., 2:]))
    assert torch.allclose(plan[..., :2], sinkhorn_plan(cost[..., :2], source, target[:2], 0.1, 500))


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_sinkhorn_stops_once_the_rows_are_within_the_tolerance(problem, tolerance):
    cost, source, target = problem
    plan = sinkhorn_plan(cost, source, target, 0.02, 10_000, tolerance)
    assert 0 < ((plan.sum(2) - source).abs().sum(1) / 2).max() <= tolerance
    exact = sinkhorn_plan(cost, source, target, 0.02, 10_000)
    assert not torch.equal(plan, exact) and torch.allclose(plan, exact, atol=tolerance)
    early = sinkhorn_plan(cost, source, target, 0.02, 10, 1e-12)
    assert ((early.sum(2) - source).abs().sum(1) / 2).max() > tolerance  # iterations end it, too


def test_sinkhorn_accepts_one_target_for_all(problem):
    cost, source, target = problem
    assert torch.equal(
        sinkhorn_plan(cost, source, target[0]),
        sinkhorn_plan(cost, source, target[:1].expand(5, -1)),
    )


def test_sinkhorn_becomes_exact_as_epsilon_falls(problem):
    cost, source, target = problem
    for epsilon in (0.1, 0.01, 0.002):
        plan = sinkhorn_plan(cost, source, target, epsilon, iterations=4000)
        for b in range(5):
            least = ot.emd2(source[b].numpy(), target[b].numpy(), cost[b].numpy())
            # KL(P | a x b) of the optimal P is at most the entropy of the target.
            excess = float((plan[b] * cost[b]).sum()) - least
            assert -1e-6 < excess <= epsilon * float(stats.entropy(target[b])) + 1e-6
    for b in range(5):
        exact = ot.emd(source[b].numpy(), target[b].numpy(), cost[b].numpy())
        assert np.allclose(plan[b], exact, atol=0.003)


def test_sinkhorn_becomes_the_product_as_epsilon_grows(problem):
    cost, source, target = problem
    product = source[:, :, None] * target[:, None, :]
    assert torch.allclose(sinkhorn_plan(cost, source, target, 1e7), product, atol=1e-7)
    assert not torch.allclose(sinkhorn_plan(cost, source, target, 1.0), product, atol=1e-3)


def test_sinkhorn_survives_a_tiny_epsilon_in_single_precision(problem):
    cost, source, target = (part.float() for part in problem)
    cost.requires_grad_()
    plan = sinkhorn_plan(cost, source, target, 1e-4)
    (plan * cost).sum().backward()
    assert torch.isfinite(plan).all() and torch.isfinite(cost.grad).all()
    assert torch.allclose(plan.sum(1), target, atol=1e-4)


def log_domain_plan(cost, source, target, epsilon, iterations):
    """The same in logarithms throughout; its gradient goes back through all iterations."""
    log_a, log_b, g = source.log()[:, :, None], target.log()[:, None], 0.0
    for _ in range(iterations):
        f = -torch.logsumexp(-cost / epsilon + g + log_b, 2, keepdim=True)
        g = -torch.logsumexp(-cost / epsilon + f + log_a, 1, keepdim=True)
    return torch.exp(-cost / epsilon + f + g + log_a + log_b)


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_sinkhorn_plan_and_gradient_are_those_of_the_log_domain(problem, epsilon):
    parts = [part.requires_grad_() for part in problem]
    weights = torch.randn(5, 9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    slow, fast = (form(*parts, epsilon, 3000) for form in (log_domain_plan, sinkhorn_plan))
    assert torch.allclose(slow, fast, atol=1e-12)
    gradients = [torch.autograd.grad((plan * weights).sum(), parts) for plan in (slow, fast)]
    for by_iterations, implicit in zip(*gradients, strict=True):
        difference = by_iterations - implicit
        if difference.ndim == 2:  # masses sum to one, so a constant has no meaning
            difference = difference - difference.mean(1, keepdim=True)
        assert difference.abs().max() < 1e-8


@given(
    st.integers(1, 12), st.integers(1, 9), st.floats(1e-4, 10), st.floats(1e-12, 1),
    st.sampled_from([torch.float32, torch.float64]), st.integers(0, 10**6),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_sinkhorn_plan_is_finite_and_fills_its_columns(time, steps, epsilon, least, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    cost = torch.rand(2, time, steps, generator=generator, dtype=dtype).requires_grad_()
    source, target = (
        m / m.sum(1, keepdim=True)
        for m in (torch.rand(2, n, generator=generator, dtype=dtype).clamp_min(0) ** 8 + least
                  for n in (time, steps))
    )  # fmt: skip
    plan = sinkhorn_plan(cost, source, target, epsilon)
    (gradient,) = torch.autograd.grad(plan.square().sum(), cost)
    assert torch.isfinite(plan).all() and torch.isfinite(gradient).all()
    assert torch.allclose(plan.sum(1), target, rtol=1e-4)


# Gradients


def double(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


GRADIENTS = {
    "motion_energy": lambda: (motion_energy, (double(2, 6, 3),)),
    "time_mass": lambda: (time_mass, (double(2, 6), torch.tensor(0.3).double().requires_grad_())),
    "monotone_coupling": lambda: (lambda e: monotone_coupling(time_mass(e, 0.2), 4), (double(2, 7),)),
    "barycentric_projection": lambda: (barycentric_projection, (double(2, 5, 4), double(2, 5, 3))),
    "sinkhorn_plan": lambda: (
        lambda c, a, b: sinkhorn_plan(c, a.softmax(1), b.softmax(1), epsilon=0.2, iterations=500),
        (double(2, 4, 3), double(2, 4), double(2, 3)),
    ),
    "frame_law_spread": lambda: (
        lambda x: frame_law_spread(x, torch.tensor([0, 1, 0, 1])),
        (double(4, 5, 2),),
    ),
    "wasserstein_1d": lambda: (wasserstein_1d, (double(2, 6), double(2, 6))),
    "sliced_w2": lambda: (
        lambda x, y: sliced_w2(x, y, 4, torch.Generator().manual_seed(0)),
        (double(5, 3), double(5, 3)),
    ),
    "gaussian_w2_diagonal": lambda: (gaussian_w2_diagonal, [double(2, 3) for _ in range(4)]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_is_that_of_finite_differences(name):
    function, inputs = GRADIENTS[name]()
    assert gradcheck(function, tuple(inputs))


def test_gradient_of_the_gaussian_distance():
    def distance(root_x, root_y, mean_x, mean_y):
        return gaussian_w2(mean_x, root_x @ root_x.mT, mean_y, root_y @ root_y.mT)

    assert gradcheck(distance, (double(3, 3), double(3, 3), double(3), double(3)))


def test_sliced_distance_has_a_finite_gradient_where_clouds_coincide():
    x = torch.randn(4, 6, 3, requires_grad=True)
    sliced_w2(x, x.detach().clone()).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_line_distance_has_a_finite_gradient_where_samples_coincide():
    x = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], requires_grad=True)
    y = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 7.0]])
    distance = wasserstein_1d(x, y)
    distance.sum().backward()
    assert distance.tolist() == pytest.approx([0, math.sqrt(3)])
    # Of sqrt(sum of squares / 3): the gap's share of the distance, over three.
    assert torch.allclose(x.grad, torch.tensor([[0, 0, 0], [0, 0, -3 / math.sqrt(3) / 3]]))


@pytest.mark.parametrize("equal", [2, 3, 4])
def test_gradient_of_the_gaussian_distance_at_repeated_eigenvalues(equal):
    cov = torch.diag(torch.cat([torch.full((equal,), 2.0), torch.arange(3.0, 7 - equal)])).double()
    other = torch.as_tensor(draw_covariance(np.random.default_rng(0), 4))
    zero = torch.zeros(4, dtype=torch.float64)

    def distance(root):
        return gaussian_w2(zero, root @ root.mT, zero, other)

    assert gradcheck(distance, (cov.sqrt().requires_grad_(),))
    same = cov.clone().requires_grad_()
    gaussian_w2(zero, same, zero, cov).backward()
    assert same.grad.abs().max() < 1e-7  # at its least


# Barycentric projection


def test_projection_averages_the_frames_that_each_step_received():
    rng = np.random.default_rng(0)
    plan, x = rng.random((3, 7, 4)), rng.standard_normal((3, 7, 2))
    expected = np.stack([(p / p.sum(0)).T @ clip for p, clip in zip(plan, x, strict=True)])
    projected = barycentric_projection(torch.as_tensor(plan), torch.as_tensor(x))
    assert np.allclose(projected, expected, atol=1e-12)
    single = torch.as_tensor(x).float()
    assert barycentric_projection(torch.as_tensor(plan), single).dtype == torch.float32


def test_projection_of_a_step_without_mass_is_zero():
    plan = torch.zeros(1, 3, 2)
    plan[0, :, 0] = 1 / 3
    z = barycentric_projection(plan, torch.tensor([[[1.0], [2.0], [6.0]]]))
    assert z.flatten().tolist() == pytest.approx([3.0, 0.0])


# Distances


@given(seeds, st.integers(1, 30))
def test_wasserstein_1d_is_scipys_and_pots(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((3, n)), 2 * rng.standard_normal((3, n)) + 1
    ours = wasserstein_1d(torch.as_tensor(x), torch.as_tensor(y), p=1)
    assert np.allclose(ours, [stats.wasserstein_distance(a, b) for a, b in zip(x, y, strict=True)])
    for p in (1, 2, 3.5):
        ours = wasserstein_1d(torch.as_tensor(x), torch.as_tensor(y), p=p)
        assert np.allclose(ours**p, ot.wasserstein_1d(x.T, y.T, p=p))


def test_gaussian_w2_is_the_square_of_pots():
    rng = np.random.default_rng(0)
    means = rng.standard_normal((2, 6, 4))
    covs = np.array([[draw_covariance(rng, 4) for _ in range(6)] for _ in range(2)])
    ours = gaussian_w2(*(torch.as_tensor(a) for a in (means[0], covs[0], means[1], covs[1])))
    expected = [
        ot.gaussian.bures_wasserstein_distance(means[0, k], means[1, k], covs[0, k], covs[1, k]) ** 2
        for k in range(6)
    ]
    assert np.allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_gaussian_w2_of_singular_laws(rank):
    # For A = X X' and B = Y Y' the trace of the crossed root is the nuclear norm of X' Y.
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4, rank))
    expected = (x**2).sum() + (y**2).sum() - 2 * np.linalg.norm(x.T @ y, "nuc")
    mean = torch.zeros(4).double()
    ours = gaussian_w2(mean, torch.as_tensor(x @ x.T), mean, torch.as_tensor(y @ y.T))
    assert float(ours) == pytest.approx(expected, abs=1e-6)


def test_gaussian_w2_of_a_law_to_itself_is_zero():
    rng = np.random.default_rng(0)
    mean, cov = torch.zeros(3).double(), torch.as_tensor(draw_covariance(rng, 3))
    assert 0 <= float(gaussian_w2(mean, cov, mean, cov)) < 1e-10


def test_diagonal_form_is_the_full_form():
    mean_x, sd_x, mean_y, sd_y = (torch.rand(5, 3, dtype=torch.float64) for _ in range(4))
    full = gaussian_w2(mean_x, sd_x.square().diag_embed(), mean_y, sd_y.square().diag_embed())
    assert torch.allclose(gaussian_w2_diagonal(mean_x, sd_x, mean_y, sd_y), full, atol=1e-10)


def test_sliced_w2_is_the_square_of_pots_for_the_same_directions(monkeypatch):
    drawn = []
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *a, **k: drawn.append(randn(*a, **k)) or drawn[-1])
    x, y = torch.rand(3, 20, 4, dtype=torch.float64), torch.rand(3, 20, 4, dtype=torch.float64)
    ours = sliced_w2(x, y, directions=12, generator=torch.Generator().manual_seed(5))
    (axes,) = (axes.numpy() for axes in drawn)
    assert axes.shape == (4, 12)
    axes = axes / np.linalg.norm(axes, axis=0)
    for b in range(3):
        theirs = ot.sliced_wasserstein_distance(x[b].numpy(), y[b].numpy(), projections=axes)
        assert float(ours[b]) == pytest.approx(theirs**2, rel=1e-9)


@given(seeds)
def test_sliced_w2_is_a_lower_bound_and_knows_shifts(seed):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 15, 3, dtype=torch.float64, generator=generator)
    exact = ot.emd2([], [], ot.dist(x.numpy(), y.numpy()))
    assert 0 < float(sliced_w2(x, y, 100, generator)) <= exact + 1e-9
    # For a shift v it is the mean of <v, axis>^2: |v|^2 / 3, with relative variance 4/5 an axis.
    shift = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    ours = float(sliced_w2(x, x + shift, 2000, generator))
    assert abs(ours - 3) < 5 * 3 * math.sqrt(0.8 / 2000)


# Class means and the regulariser


def test_class_mean_is_numpys():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 20)
    for shape in ((20,), (20, 3), (20, 5, 2)):
        x = rng.standard_normal(shape)
        expected = np.stack([x[y == label].mean(0) for label in y])
        assert np.allclose(class_mean(torch.as_tensor(x), torch.as_tensor(y)), expected, atol=1e-12)


@pytest.mark.parametrize("with_classes", [True, False])
def test_frame_law_spread_is_the_mean_distance_to_the_barycentre(with_classes):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 10, 3)) * rng.random((8, 1, 3)), np.arange(8) % 3
    distances = []
    for label in np.unique(y) if with_classes else [None]:
        clips = x if label is None else x[y == label]
        mean, sd = clips.mean(1), clips.std(1)
        for k in range(len(clips)):
            distances.append(
                ot.gaussian.bures_wasserstein_distance(
                    mean[k], mean.mean(0), np.diag(sd[k] ** 2), np.diag(sd.mean(0) ** 2)
                )
                ** 2
            )
    ours = frame_law_spread(torch.as_tensor(x), torch.as_tensor(y) if with_classes else None)
    assert float(ours) == pytest.approx(np.mean(distances) / 3, rel=1e-4)


def test_frame_law_spread_ignores_order_in_time_and_what_tells_classes_apart():
    x = torch.randn(10, 3, dtype=torch.float64)
    same = torch.stack([x, x.flip(0), x + 4, x.roll(3, 0) + 4])
    y = torch.tensor([0, 0, 1, 1])
    assert float(frame_law_spread(same, y)) < 1e-12
    assert float(frame_law_spread(same)) == pytest.approx(4.0)  # two from the middle, squared


# Mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: motion_energy(torch.ones(2, 1, 3)), "x: 1 frames .* at least 2"),
        (lambda: motion_energy(torch.ones(2, 5, 3), 4), "smooth: 4 .* odd"),
        (lambda: motion_energy(torch.ones(2, 5, 3), -1), "smooth: -1 .* odd"),
        (lambda: monotone_coupling(torch.ones(5) / 5, 3), r"mass: shape \(5,\) .* batch axis"),
        (lambda: monotone_coupling(torch.ones(1, 5) / 5, 0), "steps: 0 .* at least 1"),
        (
            lambda: monotone_coupling(torch.ones(1, 5), 3),
            "mass: sums to 5, not to 1. Divide it by its sum",
        ),
        (lambda: sinkhorn_plan(three()[0], 2 * three()[1], three()[2]), "source: sums to 2, not to 1"),
        (
            lambda: monotone_coupling(torch.tensor([[1.5, -0.5]]), 3),
            "mass: has -0.5 in it. Give masses of",
        ),
        (lambda: sinkhorn_plan(*three()[:2], 3 * three()[2]), "target: sums to 3, not to 1"),
        (lambda: sinkhorn_plan(*three(), epsilon=0), "epsilon: .* positive number, got 0"),
        (lambda: sinkhorn_plan(*three(), epsilon=-0.1), "epsilon: .* positive number, got -0.1"),
        (lambda: sinkhorn_plan(*three(), iterations=0), "iterations: 0 .* at least 1"),
        (lambda: wasserstein_1d(torch.ones(3), torch.ones(4)), "x and y: 3 and 4 .* equally many"),
        (lambda: wasserstein_1d(torch.ones(3), torch.ones(3), p=0.5), "p: .* at least 1, got 0.5"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def three():
    return torch.ones(1, 3, 3), torch.full((1, 3), 1 / 3), torch.full((3,), 1 / 3)


# Small parts


@pytest.mark.parametrize("pause", [1, 7, 50])
def test_scaling_reaches_both_marginals_whatever_the_pause(pause):
    rows, columns = torch.rand(5, 1, 2).double() + 0.1, torch.rand(1, 4, 2).double() + 0.1
    rows, columns = rows / rows.sum(0), columns / columns.sum(1)
    plan = scale_to_marginals(3 * torch.randn(5, 4, 2).double(), rows, columns, 200, pause)
    torch.testing.assert_close(plan.sum(0, keepdim=True), columns)
    torch.testing.assert_close(plan.sum(1, keepdim=True), rows)


def test_variance_over_time_is_the_biased_variance():
    x = torch.randn(3, 11, 2)
    torch.testing.assert_close(variance_over_time(x), x.var(1, correction=0))


def test_only_precision_below_single_is_raised():
    raised = {dtype: at_least_single(torch.ones(2, dtype=dtype)).dtype for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64
    )}  # fmt: skip
    assert list(raised.values()) == [torch.float32] * 3 + [torch.float64]
