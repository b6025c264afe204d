"""Answers to the exercises of chapter 06."""

from __future__ import annotations

import math

import torch

from exercises import Answers


def _over(risks, eta):
    return torch.relu(risks - eta)


def _largest(risks, biased=True, easiest=True):
    deviation = risks.std(unbiased=not biased)
    return deviation / (risks.mean() - risks.min() if easiest else risks.max() - risks.mean())


ANSWERS = {
    "cvar_bound": Answers(
        lambda risks, eta, alpha: (
            eta + sum(max(r - eta, 0) for r in risks.tolist()) / (alpha * len(risks))
        ),
        {
            "threshold itself": lambda r, eta, alpha: _over(r, eta).mean() / alpha,
            "where is alpha": lambda r, eta, alpha: eta + _over(r, eta).mean(),
            "groups are summed": lambda r, eta, alpha: eta + _over(r, eta).sum() / alpha,
            "chi-square's": lambda r, eta, alpha: eta + _over(r, eta).square().mean() / alpha,
            "positive part": lambda r, eta, alpha: eta + (r - eta).mean() / alpha,
            "does not multiply": lambda r, eta, alpha: eta + alpha * _over(r, eta).mean(),
            "no threshold": lambda r, eta, alpha: eta + _over(r, eta).mean() / alpha + 0.1,
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
    "temperature_for": Answers(
        lambda error, groups: -error / math.log(1 / groups),
        {
            "turn it round": lambda error, groups: error * math.log(groups),
            "natural one": lambda error, groups: error / math.log2(groups),
            "unit of the error": lambda error, groups: math.log(groups) / error,
            "far too cold": lambda error, groups: error / groups,
            "number of groups enter": lambda error, groups: error,
            "could be warmer": lambda error, groups: 0.5 * error / math.log(groups),
        },
    ),
}
