"""Checks of chapter 05."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def bias_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(kept)``: the gate's bias that keeps this share of what one view alone has seen."""
    import torch

    from piumar_lib.fusion import AdaptiveFusion

    fusion = AdaptiveFusion(6).double().eval()
    for _ in range(5):
        kept = float(rng.uniform(0.05, 0.45))
        given = torch.as_tensor(answer(kept)).double()
        require(given.numel() == 1, f"asked is one number; these are {given.numel()}.")
        odds, odds_of_share = 2 * kept / (1 - 2 * kept), kept / (1 - kept)
        right = np.log(odds)
        misconceptions = {
            "this is the gate itself; the bias is what the logistic function makes it from.": 2 * kept,
            "with this bias the gate is as large as the share; but an open gate lets only the mean "
            "through.": np.log(odds_of_share),
            "the sign is wrong: a larger bias keeps more.": -right,
            "these are the odds of the gate, which are never negative; a bias may be.": odds,
            "the logistic function is taken once more; go back from the gate to what is inside it.": (
                1 / (1 + np.exp(-2 * kept)),
                1 / (1 + np.exp(-kept)),
            ),
            "this logarithm has another base; the logistic function goes with the natural one.": (
                np.log2(odds),
                np.log10(odds),
            ),
        }
        rule_out(given, misconceptions, right)
        fusion.weight.data.fill_(rng.uniform(-5, 5))
        fusion.bias.data.fill_(float(given))
        a, b = torch.as_tensor(rng.uniform(0.1, 2, (2, 3, 6)))
        a[:, 3:], b[:, :3] = 0, 0  # each channel is seen by one view; so the cosine is 0, as usual here
        share = (fusion(a, b) / (a + b)).mean().item()
        require(
            bool(np.isclose(share, kept)),
            f"with this bias the fused feature keeps {share:.2f} instead of {kept:.2f}.",
        )
    return "whatever the weight, the fused feature keeps just that share; never more than a half."


@check
def consistency(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(p, q)``: the Jensen-Shannon divergence of each clip, in nats."""
    import torch
    from scipy.spatial.distance import jensenshannon

    for _ in range(5):
        p, q = (torch.as_tensor(rng.dirichlet(np.full(6, 0.7), 8)) for _ in range(2))
        given = torch.as_tensor(answer(p.clone(), q.clone()))
        right = torch.as_tensor(jensenshannon(p.numpy(), q.numpy(), axis=1)) ** 2
        kl = (p * (p / q).log()).sum(1)
        require(given.shape != (), "this is one number; asked is one for each clip.")
        require(given.shape == (8,), f"the shape is {tuple(given.shape)} instead of (8,).")
        misconceptions = {
            "these are bits; nats are asked for, the natural logarithm.": right / np.log(2),
            "this is the root, Jensen-Shannon's distance; asked is the divergence.": right**0.5,
            "this compares one prediction with the other; compare both with their average.": kl,
            "this adds the two divergences; asked is their mean.": 2 * right,
            "a divergence is never negative; the sign is wrong.": -right,
            "both directions to each other is Jeffreys' divergence; compare with the average instead.": (
                kl + (q * (q / p).log()).sum(1)
            )
            / 2,
        }
        rule_out(given, misconceptions)
        require(torch.allclose(given, right), "SciPy gives other values.")
    sure = torch.eye(4, dtype=torch.float64)
    edge = torch.as_tensor(answer(sure[:2], sure[2:]))
    require(
        bool(edge.isfinite().all()),
        "a class that is ruled out makes it infinite or undefined: 0 log 0 is 0.",
    )
    require(
        torch.allclose(edge, torch.full_like(edge, np.log(2))),
        "without a common class it should be log 2.",
    )
    return "SciPy agrees; it is at most log 2 = 0.693, for predictions without a common class."
