"""Checks of chapter 05."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.course.check.base import check, require, rule_out


@check
def fuse_by_gate(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(a, b, weight, bias)``: two views ``(batch, channels)``, fused by a gate."""
    import torch

    from piumar_lib.tfam import ConsistencyFusion

    library = ConsistencyFusion().double()
    for _ in range(5):
        a, b = torch.as_tensor(rng.normal(size=(2, 7, 5)))
        weight, bias = rng.uniform(1, 3), rng.uniform(-1, 1)
        given = torch.as_tensor(answer(a.clone(), b.clone(), weight, bias))
        require(
            given.shape == a.shape, f"the shape is {tuple(given.shape)} instead of {tuple(a.shape)}."
        )
        cosine = torch.nn.functional.cosine_similarity(a, b)
        over_clips = torch.nn.functional.cosine_similarity(a, b, dim=0)
        mean, least, most = (a + b) / 2, torch.minimum(a, b), torch.maximum(a, b)

        def mixed(s: torch.Tensor, shut: torch.Tensor, m: torch.Tensor = mean) -> torch.Tensor:
            return s * m + (1 - s) * shut

        g = (weight * cosine + bias).sigmoid()[:, None]
        misconceptions = {
            "open and shut are exchanged: agreement should let the mean through.": mixed(1 - g, least),
            "a shut gate lets the minimum through, not the maximum.": mixed(g, most),
            "the similarity is one over clips; take it over the channels of each clip.": mixed(
                (weight * over_clips + bias).sigmoid()[None], least
            ),
            "an inner product grows with the size of the views; a cosine does not.": mixed(
                (weight * (a * b).sum(-1) + bias).sigmoid()[:, None], least
            ),
            "the gate is not in (0, 1): where is the sigmoid?": mixed(
                (weight * cosine + bias)[:, None], least
            ),
            "two views are summed where their mean is asked for.": mixed(g, least, a + b),
            "weight and bias have no effect.": mixed(cosine.sigmoid()[:, None], least),
        }
        rule_out(given, misconceptions)
        library.weight.data.fill_(weight)
        library.bias.data.fill_(bias)
        require(torch.allclose(given, library(a, b)), "other values are expected.")
    return "where views agree it is their mean, elsewhere only what both of them see."


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
