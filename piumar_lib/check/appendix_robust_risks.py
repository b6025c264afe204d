"""Checks of chapter 14."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def cvar_bound(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(risks, eta, alpha)``: above CVaR for each threshold, equal to it for the best one."""
    import torch

    from piumar_lib import dro

    for _ in range(15):
        risks = torch.as_tensor(rng.normal(size=int(rng.integers(3, 12))))
        alpha = float(rng.uniform(0.15, 0.8))
        target = float(dro.cvar(risks, alpha).value)

        def at(eta: float, risks: torch.Tensor = risks, alpha: float = alpha) -> float:
            return float(answer(risks.clone(), eta, alpha))

        eta = float(risks.mean())
        over = (risks - eta).clamp(min=0)
        misconceptions = {
            "the threshold itself is missing: its term went to the left side.": over.mean() / alpha,
            "the cap is 1 / (alpha G): where is alpha?": eta + over.mean(),
            "the groups are summed; with the cap 1 / (alpha G) it becomes their mean.": eta
            + over.sum() / alpha,
            "the excess is not squared here; that is chi-square's.": eta + over.square().mean() / alpha,
            "only risks above the threshold count: take the positive part.": eta
            + (risks - eta).mean() / alpha,
            "alpha divides, it does not multiply: a smaller share of groups may weigh more.": eta
            + alpha * over.mean(),
        }
        rule_out(at(eta), misconceptions)
        values = [at(float(e)) for e in np.linspace(-4, 4, 41)]
        require(min(values) > target - 1e-9, "for some threshold this is below CVaR, so it is no bound.")
        best = min(at(float(e)) for e in risks)
        require(
            np.isclose(best, target),
            "no threshold among the risks reaches CVaR: the bound is too loose.",
        )
    return "a bound for every threshold, and the best one is CVaR."
