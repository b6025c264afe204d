"""Checks of chapter 06."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def worst_weights(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(risks, shares, rho)``: the weights of the largest average in the chi-square ball."""
    import torch

    from piumar_lib import dro

    shares = torch.tensor([0.3, 0.4, 0.3], dtype=torch.float64)
    many = torch.as_tensor(rng.normal(size=(12, 3)))
    at_corner = np.stack([np.asarray(answer(risks, shares.clone(), 2.0)) for risks in many.clone()])
    require(  # of many, as rounding decides whether bisection ends on the largest risk or beside it
        np.isfinite(at_corner).all(),
        "the weights are not finite. With a large radius the bisection reaches the largest risk, where "
        "all excesses are 0.",
    )
    for groups, rho in ((6, 0.3), (2, 0.02), (3, 2.0), (12, 0.05), (12, 1.5)):
        risks = torch.as_tensor(rng.normal(size=groups))
        shares = torch.as_tensor(rng.dirichlet(np.full(groups, 5.0)))
        right = dro.chi_square(risks, rho, shares).weights
        given = answer(risks.clone(), shares.clone(), rho)
        away, uniform = risks - shares @ risks, dro.chi_square(risks, rho).weights
        formula = shares * (1 + (2 * rho / (shares @ away.square())).sqrt() * away)
        clipped = formula.clamp(min=0)
        worst = (risks == risks.max()).double()
        misconceptions = {
            "the adversary wants the average to be large; this makes it small.": dro.chi_square(
                -risks, rho, shares
            ).weights,
            "this ball is about uniform weights; yours is about the shares of the groups.": (
                uniform,
                (shares * uniform) / (shares @ uniform),
            ),
            "this is another radius: the ball is sum(p**2 / shares) <= 1 + 2 * rho.": (
                dro.chi_square(risks, rho / 2, shares).weights,
                dro.chi_square(risks, 2 * rho, shares).weights,
            ),
            "all weight goes to the largest risk: what does the radius do? (Which end of the "
            "interval has to move?)": worst,
            "clipping at 0 and normalising moves the weights off the edge: the threshold has to move.": (
                clipped / clipped.sum()
            ),
        }
        rule_out(given, misconceptions, right)
        require(np.isfinite(np.asarray(given)).all(), "the weights are not finite.")
        require(given.min() > -1e-9, "a weight is negative. Below the threshold the weight is 0.")
        require(abs(given.sum() - 1) < 1e-6, "the weights must sum to one.")
        active = given > 1e-9
        line = np.corrcoef(risks[active], given[active])[0, 1] if active.sum() > 2 else 0.0
        require(
            np.allclose(given, right, atol=1e-6) or line < 1 - 1e-9,
            "these weights suit groups of equal size: multiply each excess by the group's share.",
        )
        require(
            np.allclose(given, right, atol=1e-6),
            f"with {groups} groups and radius {rho} another weighting of the ball has a larger average.",
        )
    require(
        np.allclose(at_corner, many == many.amax(1, keepdim=True), atol=1e-6),
        "with this radius even all weight on the largest risk lies in the ball, and nothing is better.",
    )
    equal = "if all risks are equal, the shares are as good as any weights, and no NaN."
    for risks, rho, said in (
        (torch.arange(3.0), 0.0, "at radius 0 the shares are the only weights in the ball."),
        (torch.ones(3), 0.05, equal),
    ):
        shares = torch.as_tensor(rng.dirichlet(np.full(3, 5.0))).float()
        require(np.allclose(answer(risks, shares, rho), shares, atol=1e-6), said)
    return "not negative, in the ball, and no other weights there have a larger average."


@check
def exponentiated_weights(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(q, risks, step)``: the next weights of GroupDRO."""
    import torch

    for groups in (2, 4, 9):
        q, risks = rng.dirichlet(np.ones(groups)), rng.normal(size=groups)
        step = float(rng.uniform(0.2, 1.5))
        grown = q * np.exp(step * risks)
        linear = q * (1 + step * risks)
        alone = np.exp(step * risks)
        misconceptions = {
            "a group with a high risk has to gain weight, not to lose it.": (
                q / np.exp(step * risks) / (q / np.exp(step * risks)).sum()
            ),
            "the weights must sum to one: normalise them.": grown,
            "the old weights are missing: each step starts from where the last one ended.": (
                alone / alone.sum()
            ),
            "the step is missing: at step 0 the weights stay as they are.": (
                q * np.exp(risks) / (q * np.exp(risks)).sum()
            ),
            "the growth is an exponential; this is its first-order approximation.": (
                linear, linear / linear.sum(),
            ),
        }  # fmt: skip
        given = answer(*(torch.as_tensor(a).clone() for a in (q, risks)), step)
        rule_out(given, misconceptions)
        logits = np.log(q) + step * risks
        right = np.exp(logits - logits.max())
        require(np.allclose(given, right / right.sum()), "these are not the weights of the formula.")
    return "groups with high risk gain, and the weights sum to one."


@check
def largest_weight(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(risks)``: the largest weight of the deviation at which all slopes are positive."""
    import torch

    for groups in (3, 5, 9, 2):
        for _ in range(5):
            risks = torch.as_tensor(rng.normal(size=groups)).exp()
            deviation, mean = risks.var(unbiased=False).sqrt(), risks.mean()
            below, above = mean - risks.min(), risks.max() - mean
            given = float(answer(risks.clone()))
            misconceptions = {
                "this uses the unbiased variance; use the biased one (divide by G).": (
                    risks.var().sqrt() / below
                ),
                "the first slope below zero is the easiest group's, not that of the hardest.": (
                    deviation / above
                ),
                "this is upside down.": below / deviation,
                "the variance is there, but the deviation is its root.": deviation**2 / below,
                "measure from the mean risk; this measures from the hardest group.": (
                    deviation / (below + above)
                ),
                "this is rho, not lambda = sqrt(2 rho).": (deviation / below) ** 2 / 2,
            }
            rule_out(given, misconceptions, deviation / below)

            def lowest(weight: float, risks: torch.Tensor = risks) -> float:
                r = risks.clone().requires_grad_()
                value = r.mean() + weight * r.var(unbiased=False).sqrt()
                return torch.autograd.grad(value, r)[0].min().item()

            require(
                lowest(0.999 * given) > 0,
                "with this weight the easiest group already has a negative slope.",
            )
            require(lowest(1.001 * given) < 0, "it is safe, but it could be larger.")
    return "with this weight the slope of the easiest group is exactly 0."


@check
def radius_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(effective, groups)``: the radius that leaves this effective number of equal groups."""
    import torch

    from piumar_lib import dro

    for groups in (4, 10, 40):
        effective = float(rng.uniform(1.2, 0.9 * groups))
        given = float(answer(effective, groups))
        misconceptions = {
            "the ball is G sum(p**2) <= 1 + 2 rho: do not forget the 2.": groups / effective - 1,
            "do not forget the 1: with uniform weights the radius is 0.": groups / effective / 2,
            "this is upside down: fewer effective groups need a larger radius.": (
                (effective / groups - 1) / 2, abs(effective / groups - 1) / 2, effective / groups / 2,
            ),
            "count in proportion: the ball knows groups / effective, not how many are lost.": (
                groups - effective, (groups - effective) / 2, 1 - effective / groups,
            ),
        }  # fmt: skip
        rule_out(given, misconceptions)
        risks = torch.as_tensor(rng.normal(size=(50, groups)))
        weights = dro.chi_square(risks, given).weights
        left = 1 / weights.square().sum(-1)
        require(left.min() > effective - 1e-6, "the worst weights use fewer groups than was asked.")
        require(left.min() < effective + 1e-6, "the radius could be larger.")
    return "the effective sample size of the worst-case weights is then exactly `effective`."
