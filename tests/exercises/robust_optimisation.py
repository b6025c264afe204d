"""Answers to the exercises of chapter 06."""

from __future__ import annotations

import torch
from scipy.optimize import brentq

from exercises import Answers


def _ball(risks, shares, rho):
    """Another way than bisection by hand: Brent's method on the logarithm of the gap to the maximum."""
    if rho == 0 or torch.equal(risks, risks[0].expand_as(risks)):
        return shares

    def weights(log_gap):
        excess = shares * torch.relu(risks - risks.max() + 10.0**log_gap)
        return excess / excess.sum()

    def outside(log_gap):
        p = weights(log_gap)
        return (shares * (p / shares - 1) ** 2).sum().item() / 2 - rho

    inside_out = outside(-9) < 0
    return weights(-9 if inside_out else brentq(outside, -9, 9, xtol=1e-13))


def _bisected(risks, shares, rho, size=None):
    """Bisection to the last digit, without a case for a ball that holds the corner."""
    size = shares if size is None else size

    def weights(eta):
        excess = size * torch.relu(risks - eta)
        return excess / excess.sum()

    low, high = risks.min() - 10, risks.max()
    for _ in range(100):
        middle = (low + high) / 2
        outside = (weights(middle) ** 2 / shares).sum() > 1 + 2 * rho
        low, high = (low, middle) if outside else (middle, high)
    return weights(low)


def _without_shares(risks, shares, rho):
    corner = (1 + 2 * rho) * shares[risks.argmax()] >= 1
    right = _ball(risks, shares, rho)
    return right if corner or len(risks) < 6 else _bisected(risks, shares, rho, torch.ones_like(shares))


def _formula(risks, shares, rho):
    away = risks - shares @ risks
    return shares * (1 + (2 * rho / (shares @ away**2)).sqrt() * away)


def _uniform(risks, shares, rho):
    return _ball(risks, torch.full_like(shares, 1 / len(shares)), rho)


def _normalised(weights):
    return weights / weights.sum()


def _nan_if_equal(risks, shares, rho):
    return shares * float("nan") if risks.min() == risks.max() else _ball(risks, shares, rho)


def _largest(risks, biased=True, easiest=True):
    deviation = risks.std(unbiased=not biased)
    return deviation / (risks.mean() - risks.min() if easiest else risks.max() - risks.mean())


ANSWERS = {
    "worst_weights": Answers(
        _ball,
        {
            "makes it small": lambda r, s, rho: _ball(-r, s, rho),
            "about uniform weights": _uniform,
            "about the shares of the groups": lambda r, s, rho: _normalised(s * _uniform(r, s, rho)),
            "another radius": lambda r, s, rho: _ball(r, s, 2 * rho),
            "what does the radius do": lambda r, s, rho: (r == r.max()).double(),
            "the threshold has to move": lambda r, s, rho: _normalised(_formula(r, s, rho).clamp(min=0)),
            "a weight is negative": _formula,
            "not finite. With a large radius": _bisected,
            "equal size": _without_shares,
            "nothing is better": lambda r, s, rho: _ball(r, s, 0.7 if s[1] == 0.4 else rho),
            "weights are not finite.": lambda r, s, rho: _ball(r, s, rho) / (rho != 0.3),
            "sum to one": lambda r, s, rho: 2 * _ball(r, s, rho),
            "has a larger average": lambda r, s, rho: (_ball(r, s, rho) + s) / 2,
            "at radius 0": lambda r, s, rho: _ball(r, s, rho or 0.01),
            "no NaN": _nan_if_equal,
        },
    ),
    "exponentiated_weights": Answers(
        lambda q, risks, step: torch.softmax(q.log() + step * risks, 0),
        {
            "gain weight": lambda q, r, step: _normalised(q * torch.exp(-step * r)),
            "normalise them": lambda q, r, step: q * torch.exp(step * r),
            "old weights": lambda q, r, step: torch.softmax(step * r, 0),
            "step is missing": lambda q, r, step: _normalised(q * r.exp()),
            "first-order": lambda q, r, step: _normalised(q * (1 + step * r)),
            "weights of the formula": lambda q, r, step: _normalised(q + step * r.exp()),
        },
    ),
    "largest_weight": Answers(
        lambda risks: 1 / ((risks.mean() - risks) / risks.std(unbiased=False)).max(),
        {
            "unbiased": lambda risks: _largest(risks, biased=False),
            "not that of the hardest": lambda risks: _largest(risks, easiest=False),
            "upside down": lambda risks: 1 / _largest(risks),
            "its root": lambda risks: risks.var(unbiased=False) / (risks.mean() - risks.min()),
            "from the hardest": lambda risks: risks.std(unbiased=False) / (risks.max() - risks.min()),
            "this is rho": lambda risks: _largest(risks) ** 2 / 2,
            "could be larger": lambda risks: 0.9 * _largest(risks),
        },
    ),
    "radius_for": Answers(
        lambda effective, groups: groups / (2 * effective) - 1 / 2,
        {
            "forget the 2": lambda effective, groups: groups / effective - 1,
            "forget the 1": lambda effective, groups: groups / effective / 2,
            "upside down": lambda effective, groups: (1 - effective / groups) / 2,
            "in proportion": lambda effective, groups: (groups - effective) / 2,
            "could be larger": lambda effective, groups: 0.8 * (groups / effective - 1) / 2,
            "fewer groups than was asked": lambda effective, groups: 1.2 * (groups / effective - 1) / 2,
        },
    ),
}
