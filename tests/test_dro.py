"""Robust risks against convex programmes, closed forms and finite differences."""

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from piumar_lib import dro

RISKS = arrays(np.float64, st.integers(2, 8), elements=st.floats(-5, 5, width=32))
QUICK = settings(max_examples=40, deadline=None)


def optimum(risks, ball):
    """Solve ``max <p, R>`` over the simplex within a ball, by CVXPY."""
    p = cp.Variable(len(risks), nonneg=True)
    problem = cp.Problem(cp.Maximize(risks @ p), [cp.sum(p) == 1, *ball(p, len(risks))])
    return problem.solve(solver=cp.CLARABEL)


def chi_square_ball(rho):
    return lambda p, n: [cp.sum_squares(n * p - 1) / (2 * n) <= rho]


def kl_ball(rho):
    return lambda p, n: [cp.sum(cp.rel_entr(p, np.full(n, 1 / n))) <= rho]


def cvar_ball(alpha):
    return lambda p, n: [p <= 1 / (alpha * n)]


CASES = [
    (dro.chi_square, chi_square_ball, (0.05, 0.4, 1.5)),
    (dro.kl_ball, kl_ball, (0.05, 0.3, 0.9)),
    (dro.cvar, cvar_ball, (0.15, 0.3, 0.8, 1.0)),
]


@pytest.mark.parametrize(("function", "ball", "radii"), CASES)
@pytest.mark.parametrize("groups", [2, 3, 7])
def test_value_is_the_optimum_of_the_convex_programme(function, ball, radii, groups):
    rng = np.random.default_rng(groups)
    for radius in radii:
        risks = rng.normal(size=groups) * 3
        robust = function(torch.as_tensor(risks), radius)
        assert robust.value.item() == pytest.approx(optimum(risks, ball(radius)), abs=2e-5)


@pytest.mark.parametrize("rho", [0.02, 0.3, 1.5, 9.0])
@pytest.mark.parametrize("groups", [2, 3, 7])
def test_groups_of_different_size_have_the_optimum_of_a_ball_around_their_shares(groups, rho):
    rng = np.random.default_rng(groups)
    risks, sizes = 3 * rng.normal(size=groups), rng.integers(1, 40, groups)
    shares, p = sizes / sizes.sum(), cp.Variable(groups, nonneg=True)
    ball = [cp.sum(p) == 1, cp.sum(cp.square(p - shares) / shares) / 2 <= rho]
    best = cp.Problem(cp.Maximize(risks @ p), ball).solve(solver=cp.CLARABEL)
    robust = dro.chi_square(torch.as_tensor(risks), rho, torch.as_tensor(sizes))
    assert robust.value.item() == pytest.approx(best, abs=2e-5)
    assert robust.weights.numpy() == pytest.approx(p.value, abs=1e-3)


@QUICK
@given(data=st.data(), rho=st.floats(0, 5))
def test_a_group_counts_as_so_many_equal_ones(data, rho):
    risks = torch.as_tensor(data.draw(RISKS))
    sizes = torch.as_tensor(data.draw(arrays(np.int64, len(risks), elements=st.integers(1, 5))))
    whole = dro.chi_square(risks, rho, sizes)
    parts = dro.chi_square(risks.repeat_interleave(sizes), rho)
    owner = torch.arange(len(risks)).repeat_interleave(sizes)
    together = torch.zeros_like(risks).index_add(0, owner, parts.weights)
    assert torch.allclose(whole.weights, together, atol=1e-6)
    assert whole.value.item() == pytest.approx(parts.value.item(), abs=1e-6)


def test_kl_penalty_is_the_optimum_of_its_programme():
    risks = np.random.default_rng(0).normal(size=5)
    p = cp.Variable(5, nonneg=True)
    price = 0.7 * cp.sum(cp.rel_entr(p, np.full(5, 0.2)))
    best = cp.Problem(cp.Maximize(risks @ p - price), [cp.sum(p) == 1]).solve(solver=cp.CLARABEL)
    robust = dro.kl_penalty(torch.as_tensor(risks), 0.7)
    assert robust.value.item() == pytest.approx(best, abs=1e-6)
    assert robust.weights.numpy() == pytest.approx(p.value, abs=1e-4)


@pytest.mark.parametrize(
    ("function", "radius"),
    [(dro.chi_square, 0.3), (dro.kl_ball, 0.3), (dro.cvar, 0.3), (dro.kl_penalty, 0.5)],
)
@QUICK
@given(risks=RISKS)
def test_weights_are_a_law_that_orders_like_the_risks(function, radius, risks):
    robust = function(torch.as_tensor(risks), radius)
    weights = robust.weights.numpy()
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert risks.mean() - 1e-9 <= robust.value.item() <= risks.max() + 1e-9
    order = np.argsort(risks, kind="stable")
    gaps = np.diff(risks[order]) > 1e-6
    assert (np.diff(weights[order])[gaps] >= -1e-9).all()


@QUICK
@given(risks=RISKS, rho=st.floats(0.01, 3))
def test_weights_stay_in_their_balls(risks, rho):
    groups = len(risks)
    p = dro.chi_square(torch.as_tensor(risks), rho).weights.numpy()
    assert ((groups * p - 1) ** 2).sum() / (2 * groups) <= rho * (1 + 1e-6) + 1e-9
    p = dro.kl_ball(torch.as_tensor(risks), rho).weights.numpy()
    assert (p * np.log(np.maximum(p * groups, 1e-300))).sum() <= rho + 1e-6


@pytest.mark.parametrize(
    ("function", "radius"),
    [(dro.chi_square, 0.3), (dro.kl_ball, 0.3), (dro.cvar, 0.3), (dro.kl_penalty, 0.5)],
)
def test_gradient_is_the_weights_and_the_finite_difference(function, radius):
    risks = torch.tensor([0.1, 2.0, -1.0, 0.7, 1.1], dtype=torch.double, requires_grad=True)
    robust = function(risks, radius)
    robust.value.backward()
    assert torch.allclose(risks.grad, robust.weights)
    step = 1e-6
    for g in range(len(risks)):
        shift = torch.zeros_like(risks)
        shift[g] = step
        up, down = (function((risks + s * shift).detach(), radius).value for s in (1, -1))
        assert risks.grad[g].item() == pytest.approx((up - down).item() / (2 * step), abs=1e-5)


@pytest.mark.parametrize("function", [dro.chi_square, dro.kl_ball])
def test_ends_of_the_radius(function):
    risks = torch.tensor([[1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])
    assert function(risks, 0.0).value.tolist() == pytest.approx([11 / 3, 2])
    assert function(risks, 50.0).weights[0].tolist() == pytest.approx([0, 0.5, 0.5], abs=1e-6)
    assert function(risks, 0.4).weights[1].tolist() == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_batches_are_the_single_problems():
    risks = torch.randn(4, 3, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    for function, radius in ((dro.chi_square, 0.4), (dro.kl_ball, 0.2), (dro.cvar, 0.35)):
        batch = function(risks, radius)
        for i in range(4):
            for j in range(3):
                assert torch.allclose(batch.weights[i, j], function(risks[i, j], radius).weights)


def test_chi_square_does_not_lose_small_differences_of_large_risks():
    small = torch.tensor([0.0, 1e-3, 3e-3], dtype=torch.float32)
    shifted = dro.chi_square(small + 64, 0.1).weights
    assert torch.allclose(shifted, dro.chi_square(small, 0.1).weights, atol=0.02)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_chi_square_stays_in_its_ball_however_equal_the_risks(steps):
    risks = torch.full((40,), 0.7)
    for _ in range(steps):
        risks[0] = torch.nextafter(risks[0], torch.tensor(1.0))
    weights = dro.chi_square(risks, 0.05).weights
    assert ((40 * weights - 1).square().sum() / 80).item() == pytest.approx(0.05, rel=1e-4)


def test_cvar_is_the_mean_of_the_worst_share():
    risks = torch.arange(10.0)
    assert dro.cvar(risks, 0.3).value.item() == pytest.approx(8)
    assert dro.cvar(risks, 0.25).value.item() == pytest.approx((9 + 8 + 0.5 * 7) / 2.5)
    assert dro.cvar(risks, 1.0).value.item() == pytest.approx(4.5)


@QUICK
@given(risks=RISKS, share=st.floats(0.05, 0.95))
def test_deviation_bound_is_exact_up_to_the_threshold_and_above_it_a_bound(risks, share):
    risks = torch.as_tensor(risks)
    threshold = dro.variance_threshold(risks).item()
    if not np.isfinite(threshold) or threshold > 1e4:
        return
    below, above = share * threshold, threshold / share
    exact, bound = dro.chi_square(risks, below).value, dro.mean_plus_deviation(risks, below)
    assert exact.item() == pytest.approx(bound.item(), abs=1e-6)
    beyond = dro.mean_plus_deviation(risks, above) - dro.chi_square(risks, above).value
    assert beyond.item() >= -1e-7


def test_deviation_bound_is_strict_beyond_the_threshold():
    risks = torch.tensor([0.0, 1.0, 4.0], dtype=torch.double)
    rho = 2 * dro.variance_threshold(risks).item()
    assert dro.mean_plus_deviation(risks, rho) > dro.chi_square(risks, rho).value + 1e-3


def test_equal_risks_have_a_finite_gradient_and_no_threshold():
    risks = torch.full((4,), 2.0, requires_grad=True)
    dro.mean_plus_deviation(risks, 0.5).backward()
    assert risks.grad.tolist() == [0.25] * 4
    for number, risk in ((4, 2.0), (7, 0.1), (10, 0.1)):
        assert dro.variance_threshold(torch.full((number,), risk)).item() == np.inf


def test_online_weights_follow_the_published_update():
    q, risks = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, 2.0, 0.5])
    expected = q * torch.exp(0.1 * risks)
    assert torch.allclose(dro.exponentiated_gradient(q, risks, 0.1), expected / expected.sum())
    assert torch.allclose(dro.exponentiated_gradient(q, risks, 0.0), q)
    absent = dro.exponentiated_gradient(q, torch.tensor([1.0, float("nan"), 0.5]), 0.1)
    assert torch.isfinite(absent).all() and absent.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda r: dro.chi_square(r, -1), "rho"),
        (lambda r: dro.kl_ball(r, -1), "rho"),
        (lambda r: dro.mean_plus_deviation(r, -1), "rho"),
        (lambda r: dro.kl_penalty(r, 0), "temperature"),
        (lambda r: dro.cvar(r, 0), "alpha"),
        (lambda r: dro.cvar(r, 1.5), "alpha"),
    ],
)
def test_radii_out_of_range_are_refused(call, name):
    with pytest.raises(ValueError, match=f"^{name}: must be .*, got"):
        call(torch.ones(3))
