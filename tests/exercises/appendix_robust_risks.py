"""Answers to the exercises of chapter 14."""

from __future__ import annotations

import math

import torch

from exercises import Answers


def _over(risks, eta):
    return torch.relu(risks - eta)


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
