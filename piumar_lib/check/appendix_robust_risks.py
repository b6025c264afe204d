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


@check
def temperature_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(error, groups)``: the warmest temperature at which a soft maximum is that exact."""
    import torch

    from piumar_lib import dro

    for groups in (3, 5, 40):
        error = float(rng.uniform(0.05, 1))
        given = float(answer(error, groups))
        misconceptions = {
            "turn it round: the more groups, the colder it has to be.": error * np.log(groups),
            "the logarithm is the natural one.": error / np.log2(groups),
            "a temperature has the unit of the error, so it must grow with it.": np.log(groups) / error,
            "this is far too cold: the sum of G terms costs their logarithm, not their number.": error
            / groups,
            "as exact as with a single group only: how does the number of groups enter?": error,
        }
        rule_out(given, misconceptions)
        risks = torch.as_tensor(rng.normal(0, 3, (500, groups)))
        short = risks.amax(-1) - dro.kl_penalty(risks, given).value
        alone = torch.zeros(groups, dtype=torch.float64)
        alone[0] = 1000 * error
        reached = (alone.max() - dro.kl_penalty(alone, given).value).item()
        require(
            float(short.max()) <= error + 1e-9 and reached <= error * 1.001,
            f"with {groups} groups it can be more than {error:.2f} below the maximum.",
        )
        require(reached > 0.99 * error, "it is exact enough, but it could be warmer.")
    return "never above the maximum, never more than the error below."
