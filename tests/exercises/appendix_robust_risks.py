"""Answers to the exercises of chapter 14."""

from __future__ import annotations

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
}
