"""Answers to the exercises and core functions of chapter 02."""

from __future__ import annotations

import numpy as np
import torch

from exercises import Answers
from piumar_lib import transport


def overlaps(a, b, low=0.0):
    """Overlaps of intervals; ``low`` bounds them from below."""
    end, other = a.cumsum(-1)[..., :, None], b.cumsum(-1)[..., None, :]
    begin = torch.maximum(end - a[..., :, None], other - b[..., None, :])
    return (torch.minimum(end, other) - begin).clamp_min(low)


def from_corners(a, b):
    """The mass that both cumulative sums have passed, differenced along both axes."""
    A, B = (torch.nn.functional.pad(m.cumsum(-1), (1, 0)) for m in (a, b))
    return torch.minimum(A[..., :, None], B[..., None, :]).diff(dim=-1).diff(dim=-2)


def sinkhorn(cost, a, b, epsilon, iterations, form="duals", newest=True):
    """Sinkhorn's iterations on potentials that contain the masses."""
    kernel = -cost / epsilon
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(iterations):
        new = a.log() - torch.logsumexp(kernel + g[:, None, :], 2)
        g = b.log() - torch.logsumexp(kernel + (new if newest else f)[:, :, None], 1)
        f = new
    out = kernel + f[:, :, None] + g[:, None, :]
    return out if form == "log" else out.exp()


def plain_sinkhorn(cost, a, b, epsilon, iterations):
    kernel, v = (-cost / epsilon).exp(), torch.ones_like(b)
    for _ in range(iterations):
        u = a / (kernel @ v[:, :, None])[..., 0]
        v = b / (kernel.mT @ u[:, :, None])[..., 0]
    return u[:, :, None] * kernel * v[:, None, :]


def rows_only(cost, a, b, epsilon, iterations):
    return a[:, :, None] * (-cost / epsilon).softmax(2)


def columns_only(cost, a, b, epsilon, iterations):
    return b[:, None, :] * (-cost / epsilon).softmax(1)


def half_normalized(plan, x):
    return plan.mT @ (x / plan.sum(2)[:, :, None])


def most_of_it(plan, x):
    return torch.stack([clip[p.argmax(0)] for p, clip in zip(plan, x, strict=True)])


def soft_dtw(cost, gamma, moves=((1, 1), (1, 0), (0, 1)), sign=1.0):
    """Counts paths with their weights; a soft minimum for ``sign`` 1."""
    weight = np.exp(-sign * cost / gamma)
    total = np.zeros((cost.shape[0] + 1, cost.shape[1] + 1))
    total[1, 1] = weight[0, 0]
    for t, k in list(np.ndindex(*cost.shape))[1:]:
        total[t + 1, k + 1] = weight[t, k] * sum(total[t + 1 - i, k + 1 - j] for i, j in moves)
    return -sign * gamma * np.log(total[-1, -1])


def soft_dtw_by_steps(cost, gamma, sign=-1.0, add=torch.logsumexp):
    """The recursion, path after path; stable by default."""
    best = {(0, 0): torch.tensor(0.0, dtype=torch.float64)}
    for t, k in np.ndindex(*cost.shape):
        near = [best[c] for c in ((t, k), (t, k + 1), (t + 1, k)) if c in best]
        best[t + 1, k + 1] = cost[t, k] + sign * gamma * add(-torch.stack(near) / gamma, 0)
    return best[cost.shape]


def hard_dtw(cost, gamma, least=min):
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0
    for t in range(cost.shape[0]):
        for k in range(cost.shape[1]):
            before = np.array([total[t, k], total[t, k + 1], total[t + 1, k]])
            total[t + 1, k + 1] = cost[t, k] + least(before)
    return total[-1, -1]


def count_of_paths(shape):
    return np.exp(-soft_dtw(np.zeros(shape), 1.0))


ANSWERS = {
    "overlap_plan": Answers(
        from_corners,
        {
            "independent coupling": lambda a, b: a[:, :, None] * b[:, None, :],
            "not all equal": lambda a, b: overlaps(a, torch.full_like(b, 1 / b.shape[1])),
            "overlap of zero": lambda a, b: overlaps(a, b, low=-1.0),
            "other way round": lambda a, b: overlaps(a, b).mT,
            "batch first": lambda a, b: overlaps(a[0], b[0]),
            "each row must sum": lambda a, b: overlaps(a, b) / overlaps(a, b).sum(1, keepdim=True),
            "each column must sum": lambda a, b: (
                a[:, :, None] * torch.softmax(torch.arange(b.shape[1]).to(a), 0)
            ),
            "overtakes": lambda a, b: overlaps(a, b.flip(-1)).flip(-1),
        },
    ),
    "log_sinkhorn": Answers(
        sinkhorn,
        {
            "exponentiate inside": plain_sinkhorn,
            "negative entries": lambda *given: sinkhorn(*given, form="log"),
            "sign of the cost": lambda cost, *given: sinkhorn(-cost, *given),
            "does not depend on epsilon": lambda cost, a, b, e, n: sinkhorn(cost, a, b, 1.0, n),
            "not dividing": lambda cost, a, b, e, n: sinkhorn(cost, a, b, 1 / e, n),
            "each column should sum": rows_only,
            "each row should sum": columns_only,
            "total is not one": lambda *given: sinkhorn(*given, newest=False),
            "iterations should matter": lambda cost, a, b, e, n: sinkhorn(cost, a, b, e, 2000),
            "other way round": lambda *given: sinkhorn(*given).mT,
            "not of the form": lambda cost, a, b, e, n: overlaps(a, b).clamp_min(1e-300),
        },
    ),
    "project": Answers(
        transport.barycentric_projection,
        {
            "sums": lambda plan, x: plan.mT @ x,
            "stand": half_normalized,
            "a row for each step": lambda plan, x: (x.mT @ plan) / plan.sum(1)[:, None],
            "fraction of what": most_of_it,
            "weights must sum to one": lambda plan, x: plan.mT @ x / plan.sum((1, 2))[:, None, None],
            "row for each frame": lambda plan, x: plan.sum(2)[:, :, None] * x,
        },
    ),
    "after_shift": Answers(
        lambda centered, shift: torch.tensor([centered**0.5, shift], dtype=torch.float64).norm() ** 2,
        {
            "must be, too": lambda centered, shift: centered + shift,
            "adds them first": lambda centered, shift: (centered**0.5 + abs(shift)) ** 2,
            "does change": lambda centered, shift: centered,
            "not its root": lambda centered, shift: (centered + shift**2) ** 0.5,
            "mixed term": lambda centered, shift: centered + 2 * shift + shift**2,
            "cannot save": lambda centered, shift: centered - shift**2,
            "sorting again": lambda centered, shift: centered + shift**2 / 2,
        },
    ),
    "soft_dtw": Answers(
        soft_dtw_by_steps,
        {
            "log domain": soft_dtw,
            "stay in": lambda cost, gamma: soft_dtw_by_steps(
                cost, gamma, add=lambda x, dim: x.exp().sum(dim).log()
            ),
            "sign of its logarithm": lambda cost, gamma: soft_dtw_by_steps(cost, gamma, sign=1.0),
            "hard minimum": hard_dtw,
            "multiplied by gamma": lambda cost, gamma: soft_dtw(cost, gamma) / gamma,
            "softmax": lambda cost, gamma: (
                (soft_dtw(cost * (1 + 1e-6), gamma) - soft_dtw(cost * (1 - 1e-6), gamma)) / 2e-6
            ),
            "not a mean": lambda cost, gamma: (
                soft_dtw(cost, gamma) + gamma * np.log(count_of_paths(cost.shape))
            ),
            "soft maximum": lambda cost, gamma: soft_dtw(cost, gamma, sign=-1.0),
            "diagonally": lambda cost, gamma: soft_dtw(cost, gamma, moves=((1, 0), (0, 1))),
            "one by one": lambda cost, gamma: hard_dtw(cost, gamma, least=max),
        },
    ),
}
