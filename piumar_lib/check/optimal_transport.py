"""Checks of chapter 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from piumar_lib.check.base import check, require, rule_out

if TYPE_CHECKING:
    from torch import Tensor


@check
def overlap_plan(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(a, b)``: the monotone coupling of two batches of distributions on a line."""
    import torch

    for _ in range(5):
        batch, frames, steps = (int(n) for n in rng.choice(np.arange(2, 9), 3, replace=False))
        a, b = rng.dirichlet(np.ones(frames), batch), rng.dirichlet(np.ones(steps), batch)
        plan = _plan_of(answer(torch.as_tensor(a), torch.as_tensor(b)), (batch, frames, steps))
        require((plan >= -1e-9).all(), "two intervals that do not overlap have an overlap of zero.")
        product = a[:, :, None] * b[:, None, :]
        to_equal = np.stack([_fill_in_order(mass, np.full(steps, 1 / steps)) for mass in a])
        misconceptions = {
            "this is the independent coupling; mass must move in order.": product,
            "the target's masses are given by b; they are not all equal.": to_equal,
        }
        rule_out(plan, misconceptions)
        require(np.allclose(plan.sum(2), a), "each row must sum to the mass of its frame, a.")
        require(np.allclose(plan.sum(1), b), "each column must sum to the mass of its step, b.")
        right = np.stack([_fill_in_order(*masses) for masses in zip(a, b, strict=True)])
        require(np.allclose(plan, right), "the marginals are right, but mass overtakes other mass.")
    return "both marginals hold, and the mass stays in order."


def _fill_in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The monotone coupling by the north-west corner rule: fill step after step, frame after frame."""
    plan, t, k = np.zeros((len(a), len(b))), 0, 0
    a, b = a.copy(), b.copy()
    while t < len(a) and k < len(b):
        moved = min(a[t], b[k])
        plan[t, k] += moved
        a[t], b[k] = a[t] - moved, b[k] - moved
        t, k = (t + 1, k) if a[t] <= b[k] else (t, k + 1)
    return plan


@check
def log_sinkhorn(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(cost, a, b, epsilon, iterations)``: entropic plans of a batch, in the log domain.

    A plan is checked by the conditions that determine it: its marginals, and that ``log P + M /
    epsilon`` is a sum of one number for each row and one for each column.
    """
    import torch

    for _ in range(3):
        batch, frames, steps = (int(n) for n in rng.choice(np.arange(2, 7), 3, replace=False))
        cost, epsilon = rng.random((batch, frames, steps)), float(rng.uniform(0.1, 0.4))
        a = rng.dirichlet(np.full(frames, 3.0), batch)
        b = rng.dirichlet(np.full(steps, 3.0), batch)
        given = [torch.as_tensor(part) for part in (cost, a, b)]
        plan = _plan_of(answer(*given, epsilon, 2000), cost.shape)
        require(
            (plan >= 0).all(), "a plan has no negative entries. Is this its logarithm, or the duals?"
        )
        _require_entropic(plan, cost, a, b, epsilon)
        few = _plan_of(answer(*given, epsilon, 1), cost.shape)
        require(not np.allclose(few, plan, rtol=1e-6), "the number of iterations should matter.")
        tiny = answer(*(part.float() for part in given), 1e-4, 20)
        require(
            torch.isfinite(tiny).all(),
            "with a small epsilon this is not finite: exponentiate inside logsumexp and at the end.",
        )
    return "marginals and form are those of the optimal plan, and a small epsilon does no harm."


def _require_entropic(
    plan: np.ndarray, cost: np.ndarray, a: np.ndarray, b: np.ndarray, epsilon: float
) -> None:
    """Raise a hint unless the plans have both marginals and the form of the optimum."""
    rows, columns = plan.sum(2), plan.sum(1)
    factor = plan.sum((1, 2))[:, None]
    with np.errstate(divide="ignore"):
        logarithm = np.log(plan)
    proportional = np.allclose(rows / factor, a) and np.allclose(columns / factor, b)
    require(
        np.allclose(factor, 1) or not proportional,
        "the plan's total is not one: the second update should use the newest result of the first.",
    )
    require(np.allclose(columns, b), "after many iterations each column should sum to b.")
    require(np.allclose(rows, a), "after many iterations each row should sum to a.")
    hints = {
        "mass goes where the cost is high: mind the sign of the cost.": -1 / epsilon,
        "the plan does not depend on epsilon; divide the cost by it.": 1.0,
        "multiplying by epsilon is not dividing by it.": epsilon,
    }
    for hint, scale in hints.items():
        require(not _is_sum(logarithm + scale * cost), hint)
    require(
        _is_sum(logarithm + cost / epsilon),
        "the marginals are right, but the plan is not of the form exp(f + g - M / epsilon).",
    )


def _is_sum(table: np.ndarray) -> bool:
    """Whether each table ``(batch, T, K)`` is a column plus a row, hence zero when doubly centred."""
    rest = table - table.mean(2, keepdims=True)
    return bool(np.allclose(rest, rest.mean(1, keepdims=True), atol=1e-6))


@check
def project(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(plan, x)``: each step's average frame, weighted by what it received; for a batch."""
    import torch

    for _ in range(5):
        batch, frames, steps, channels = (int(n) for n in rng.choice(np.arange(2, 9), 4, replace=False))
        plan = torch.as_tensor(rng.random((batch, frames, steps)))
        x = torch.as_tensor(rng.normal(size=(batch, frames, channels)))
        z = torch.as_tensor(answer(plan.clone(), x.clone()))
        require(
            z.shape != (batch, frames, channels),
            "this has a row for each frame; we want one for each step.",
        )
        require(
            z.shape == (batch, steps, channels),
            f"the shape is {tuple(z.shape)}; it should have a row for each step.",
        )
        ones = torch.as_tensor(answer(plan.clone(), torch.ones_like(x)))
        require(
            not torch.allclose(ones, plan.sum(1)[:, :, None].expand_as(ones)),
            "these are sums; an average does not grow with the mass.",
        )
        require(
            torch.allclose(ones, torch.ones_like(ones)),
            "a clip that stands still must stay still: each step's weights must sum to one over frames.",
        )
        _require_fractions(answer, plan)
    return "constants stay, averages stay inside, and only fractions matter."


def _require_fractions(answer: Callable, plan: Tensor) -> None:
    """Raise a hint unless a frame's weight in a step is its fraction of what that step received."""
    import torch

    batch, frames, steps = plan.shape
    # Unit clips give the matrix of weights, which is compared with fractions from a plain loop.
    unit = torch.eye(frames, dtype=plan.dtype).expand(batch, -1, -1)
    weights = torch.as_tensor(answer(plan.clone(), unit.clone()))
    for clip in range(batch):
        for t in range(frames):
            for k in range(steps):
                fraction = plan[clip, t, k] / sum(plan[clip, s, k] for s in range(frames))
                require(
                    abs(weights[clip, k, t] - fraction) < 1e-9,
                    "a frame's weight in a step should be its fraction of what that step received.",
                )


def _plan_of(given: object, shape: tuple[int, ...]) -> np.ndarray:
    """An answer's plans as an array; a hint if its shape is wrong or a number is not finite."""
    import torch

    plan = torch.as_tensor(given).detach().numpy()
    turned = (shape[0], shape[2], shape[1])
    require(plan.shape != turned, "rows are frames and columns are steps; this is the other way round.")
    require(plan.shape == shape, f"the shape is {plan.shape}; it should be {shape}, batch first.")
    require(np.isfinite(plan).all(), "some entries are not finite.")
    return plan


@check
def after_shift(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(centered, shift)``: the squared distance after one of two centred samples was shifted."""
    for _ in range(10):
        x, y = rng.normal(0, 1, 50), rng.normal(0, 3, 50)
        x, y = np.sort(x - x.mean()), np.sort(y - y.mean())
        shift = float(rng.choice([-1, 1]) * rng.uniform(0.3, 2))
        centered, shifted = ((x - z) @ (x - z) / 50 for z in (y, y + shift))
        given = float(answer(float(centered), shift))
        misconceptions = {
            "the distance is squared, so the shift must be, too.": (
                centered + shift, centered + abs(shift),
            ),
            "distances add up here only after squaring: this adds them first.": (
                (centered**0.5 + abs(shift)) ** 2
            ),
            "a shift does change the distance.": centered,
            "the squared distance is asked for, not its root.": (centered + shift**2) ** 0.5,
            "the mixed term vanishes, because both means are zero.": (
                centered + 2 * shift + shift**2, (centered**0.5 + shift) ** 2,
            ),
            "a shift moves mass; it cannot save any.": centered - shift**2,
        }  # fmt: skip
        rule_out(given, misconceptions, rtol=1e-9)
        require(
            np.isclose(given, shifted, rtol=1e-9), f"{given:.4f}, but sorting again gives {shifted:.4f}."
        )
    return "the two parts add up."


@check
def soft_dtw(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(cost, gamma)``: the soft minimum, over all warping paths, of the cost along a path."""
    for _ in range(5):
        frames, steps = (int(n) for n in rng.choice(np.arange(2, 6), 2, replace=False))
        cost, gamma = rng.uniform(0.2, 1, (frames, steps)), float(rng.uniform(0.3, 0.8))
        paths = np.array(_path_costs(cost))
        weights = np.exp(-paths / gamma)
        right = -gamma * np.log(weights.sum())
        given = float(answer(cost.copy(), gamma))
        misconceptions = {
            "this is the hard minimum of dynamic time warping; gamma has no effect.": paths.min(),
            "a sum of exponentials is multiplied by gamma at the end, and has a sign.": (
                np.log(weights.sum()), -np.log(weights.sum()), gamma * np.log(weights.sum()),
            ),
            "this averages the costs by a softmax; the soft minimum is a logarithm of a sum.": (
                weights @ paths / weights.sum()
            ),
            "this is the mean over all paths: the logarithm wants a sum, not a mean.": (
                right + gamma * np.log(len(paths))
            ),
            "this is a soft maximum: mind the sign of the cost.": (
                gamma * np.log(np.exp(paths / gamma).sum()),
                -gamma * np.log(np.exp(paths / gamma).sum()),
            ),
            "a path may also go diagonally, one frame and one step at once.": _soft_minimum(
                np.array(_path_costs(cost, ((0, 1), (1, 0)))), gamma
            ),
            "the soft minimum of equal costs is a little below them: mind the sign of its logarithm.": (
                _with_wrong_sign(cost, gamma)
            ),
        }  # fmt: skip
        rule_out(given, misconceptions, right=right, rtol=1e-9)
        require(
            np.isclose(given, right, rtol=1e-9),
            f"{given:.4f}, but all {len(paths)} paths of a small table, one by one, give {right:.4f}.",
        )
        small = float(answer(cost.copy(), 1e-4))
        require(
            np.isclose(small, paths.min(), atol=1e-2),
            f"with gamma 0.0001 this is {small:.4g}, but it should come close to the hard minimum: "
            "exponentials of large numbers vanish, so stay in the log domain.",
        )
    return "it is the sum over all paths, without listing them."


def _with_wrong_sign(cost: np.ndarray, gamma: float) -> float:
    """The result of the recursion if the minus sign of each soft minimum is forgotten."""
    total = np.full(np.add(cost.shape, 1), np.inf)
    total[0, 0] = 0
    for t, k in np.ndindex(*cost.shape):
        before = np.array([total[t, k], total[t, k + 1], total[t + 1, k]])
        total[t + 1, k + 1] = cost[t, k] + gamma * np.logaddexp.reduce(-before / gamma)
    return float(total[-1, -1])


def _soft_minimum(values: np.ndarray, gamma: float) -> float:
    return float(-gamma * np.log(np.exp(-values / gamma).sum()))


def _path_costs(
    cost: np.ndarray, moves: tuple[tuple[int, int], ...] = ((0, 1), (1, 0), (1, 1))
) -> list[float]:
    """Costs of all warping paths of a small table, listed one by one from its first corner."""
    if cost.size == 1:
        return [float(cost[0, 0])]
    rests = [cost[down:, right:] for down, right in moves]
    return [cost[0, 0] + more for rest in rests if rest.size for more in _path_costs(rest, moves)]
