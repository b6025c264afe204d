"""Checks of chapter 05."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def gate(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(first, second, center, mean, sd, bias)``: the gate of each clip, shape ``(batch, 1)``."""
    import torch

    for batch, width in ((6, 3), (4, 9)):
        a, b = rng.uniform(0, 2, (2, batch, width))
        center, (mean, sd) = rng.uniform(0.5, 1.5, width), rng.uniform(0.2, 0.6, 2)
        tensors = [torch.tensor(v, requires_grad=True) for v in (a, b)]
        bias = torch.tensor(rng.uniform(0.2, 1.0), requires_grad=True)
        given = answer(*tensors, *(torch.tensor(v) for v in (center, mean, sd)), bias)
        v, p, q = bias.item(), a - center, b - center
        dot, plain = (p * q).sum(1), (a * b).sum(1)
        cosine = dot / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1)
        uncentred = plain / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        z = (cosine - mean) / sd

        def squash(x: np.ndarray) -> np.ndarray:
            return 1 / (1 + np.exp(-x))

        misconceptions = {
            "this is what goes into the sigmoid; a gate lies between 0 and 1.": z + v,
            "this is the cosine of the features as they are; take their centre away first.": squash(
                (uncentred - mean) / sd + v
            ),
            "the cosine is not standardised: what counts is how far it is from the usual one.": (
                squash(cosine + v), squash(cosine - mean + v), squash(cosine / sd + v),
            ),
            "sd divides the cosine alone; add the bias after that.": squash((cosine - mean + v) / sd),
            "sd is a standard deviation already; this divides by its square, or by its root.": (
                squash((cosine - mean) / sd**2 + v), squash((cosine - mean) / sd**0.5 + v),
            ),
            "this is a dot product; a cosine does not depend on how long the features are.": squash(
                (dot - mean) / sd + v
            ),
            "the gate has to open where the views agree; the sign is wrong.": squash(-z - v),
            "the bias is missing, or has the wrong sign.": (squash(z), squash(z - v)),
        }  # fmt: skip
        shape = tuple(given.shape)
        require(shape[:1] == (batch,), f"we want one gate for each clip; this has the shape {shape}.")
        require(
            shape == (batch, 1),
            f"the shape {shape} does not multiply features (batch, width); add a last axis of size 1.",
        )
        rule_out(given.detach()[:, 0], misconceptions)
        require(np.allclose(given.detach()[:, 0], squash(z + v)), "this is not the formula's gate.")
        require(given.requires_grad, "the bias gets no gradient, so it cannot be learned.")
        found = torch.autograd.grad(given.sum(), tensors, allow_unused=True)
        require(
            all(g is None or not g.any() for g in found),
            "a gradient passes through the cosine to the views; detach it.",
        )
    return "one gate for each clip; only the bias gets a gradient."


@check
def fuse(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(first, second, g)``: the fused features, shape ``(batch, width)``."""
    import torch

    for batch, width in ((5, 4), (3, 8)):
        a, b, g = (rng.uniform(0.05, 1, size) for size in ((batch, width), (batch, width), (batch, 1)))
        given = np.asarray(answer(*(torch.tensor(v) for v in (a, b, g))))
        mean, half = (a + b) / 2, np.abs(a - b) / 2
        shorter = np.where((a**2).sum(1, keepdims=True) < (b**2).sum(1, keepdims=True), a, b)
        misconceptions = {
            "the gate is the wrong way round: where it is 1, the mean is wanted.": mean - g * half,
            "this keeps the larger of the two where they disagree; what did both see?": mean
            + (1 - g) * half,
            "this weighs one view by the gate and the other by the rest; treat both alike.": (
                g * a + (1 - g) * b, g * b + (1 - g) * a,
            ),
            "where the gate is open this is the sum of both, not their mean.": mean
            - (1 - g) * half + g * mean,
            "a product of two features is no minimum of them.": g * mean + (1 - g) * a * b,
            "the minimum is taken channel by channel, not of the whole vectors.": (
                g * mean + (1 - g) * shorter,
                g * mean + (1 - g) * np.minimum(a.min(1), b.min(1))[:, None],
            ),
            "the gate has no effect.": (mean, mean - half),
        }  # fmt: skip
        require(given.shape == a.shape, f"the shape is {given.shape} instead of {a.shape}.")
        rule_out(given, misconceptions)
        require(np.allclose(given, mean - (1 - g) * half), "this is not the formula's mixture.")
    return "between the minimum and the mean, by the gate."


@check
def bias_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(kept)``: the gate's bias that keeps this fraction of what only one view found."""
    import torch

    from piumar_lib.fusion import AdaptiveFusion

    fusion = AdaptiveFusion(6).double().eval()
    for _ in range(5):
        kept = float(rng.uniform(0.05, 0.45))
        given = torch.as_tensor(answer(kept)).double()
        require(given.numel() == 1, f"we want one number; these are {given.numel()}.")
        odds, odds_of_share = 2 * kept / (1 - 2 * kept), kept / (1 - kept)
        right = np.log(odds)
        misconceptions = {
            "this is the gate itself; the bias is what the sigmoid makes it from.": 2 * kept,
            "this makes the gate equal to `kept`; but even a gate of 1 keeps only half of what one view "
            "found.": np.log(odds_of_share),
            "the sign is wrong: a larger bias keeps more.": -right,
            "these are the odds of the gate, which are never negative; a bias may be.": odds,
            "the sigmoid is taken once more; go back from the gate to what is inside it.": (
                1 / (1 + np.exp(-2 * kept)),
                1 / (1 + np.exp(-kept)),
            ),
            "this logarithm has another base; the sigmoid goes with the natural one.": (
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
    return "the fused feature keeps just that fraction; it never keeps more than a half."


@check
def consistency(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(logits_a, logits_b)``: the mean Jensen-Shannon divergence of a batch, in nats."""
    import torch
    from scipy.spatial.distance import jensenshannon
    from scipy.special import rel_entr, softmax

    for _ in range(5):
        a, b = rng.normal(0, 2, (2, 8, 6))
        given = torch.as_tensor(answer(torch.tensor(a), torch.tensor(b)))
        p, q, between = softmax(a, 1), softmax(b, 1), softmax((a + b) / 2, 1)
        by_clip = jensenshannon(p, q, axis=1) ** 2
        right, to_q, to_p = by_clip.mean(), rel_entr(p, q).sum(1).mean(), rel_entr(q, p).sum(1).mean()
        require(given.shape != (8,), "this is one number for each clip; take their mean.")
        require(given.numel() == 1, f"we want one number; these are {given.numel()}.")
        misconceptions = {
            "these are bits; nats need the natural logarithm.": right / np.log(2),
            "this is the root, Jensen-Shannon's distance; the divergence is its square.": (
                np.sqrt(by_clip).mean(), right**0.5,
            ),
            "this compares one prediction with the other; compare both with their average.": (
                to_q, to_p, 8 * to_q, to_q / 6,
            ),
            "this adds the two divergences; take their mean.": 2 * right,
            "a divergence is never negative; the sign is wrong.": -right,
            "both directions to each other is Jeffreys' divergence; compare with the average instead.": (
                (to_q + to_p) / 2, to_q + to_p,
            ),
            "the mixture is the mean of probabilities, not of their logarithms.": (to_q + to_p) / 4,
            "this averages the logits; average the predictions.": (
                rel_entr(p, between).sum(1).mean() + rel_entr(q, between).sum(1).mean()
            )
            / 2,
            "this is the sum over the batch, or a mean over classes, too; take the mean over "
            "clips.": (8 * right, right / 6),
        }  # fmt: skip
        rule_out(given.detach(), misconceptions)
        require(np.allclose(given.detach(), right), "SciPy gives another value.")
    sure = (2000 * torch.eye(4, dtype=torch.float64) - 1000).requires_grad_()
    edge = torch.as_tensor(answer(sure[:2], sure[2:]))
    require(
        bool(edge.isfinite().all()),
        "logits of 1000 make it infinite or undefined: take logarithms before probabilities vanish.",
    )
    require(np.allclose(edge.detach(), np.log(2)), "without a common class it should be log 2.")
    (gradient,) = torch.autograd.grad(edge.sum(), sure)
    require(bool(gradient.isfinite().all()), "logits of 1000 make its gradient undefined.")
    return "SciPy agrees; it is at most log 2 = 0.693, for predictions without a common class."


@check
def regularizer_weight(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(entropy, distance, frames, fraction)``: the weight that makes gradients that large."""
    import torch
    from torch.nn import functional as F

    for fraction in (0.1, 0.35):
        x, head = (torch.tensor(rng.normal(size=size)) for size in ((6, 5, 4), (4, 3)))
        scale = torch.tensor(rng.uniform(2, 4), requires_grad=True)  # stands for a network
        frames = scale * x
        entropy = F.cross_entropy(frames.mean(1) @ head, torch.arange(6) % 3)
        distance = (frames - frames.detach().mean(0)).square().mean()
        pairs = [torch.autograd.grad(t, frames, retain_graph=True)[0] for t in (entropy, distance)]
        theirs, ours = (g.norm().item() for g in pairs)
        right, (e, d) = fraction * theirs / ours, (entropy.item(), distance.item())
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
                given = torch.as_tensor(answer(entropy, distance, frames, fraction))
        except (AttributeError, TypeError):
            require(
                scale.grad is None,
                "frames is no leaf of the graph, so it has no .grad; torch.autograd.grad returns "
                "gradients.",
            )
            raise
        require(given.numel() == 1, f"we want one number; these are {given.numel()}.")
        most, sums = ([f(g).item() for g in pairs] for f in (lambda g: g.abs().max(), torch.sum))
        misconceptions = {
            "this is upside down: a regulariser with a small gradient needs a large weight.": (
                fraction * ours / theirs, ours / theirs, ours / theirs / fraction,
            ),
            "this compares the two losses; compare the sizes of their gradients.": (
                fraction * e / d, fraction * d / e,
            ),
            "the fraction is missing: with this weight both gradients are equally large.": theirs / ours,
            "these are squared norms; take the root.": fraction * (theirs / ours) ** 2,
            "the fraction belongs in front, not below.": theirs / ours / fraction,
            "the size of a gradient is its Euclidean norm.": (
                fraction * most[0] / most[1], fraction * sums[0] / sums[1],
            ),
            "this is the gradient's size after weighting; return the weight.": fraction * theirs,
        }  # fmt: skip
        rule_out(given.detach(), misconceptions)
        require(np.allclose(given.detach(), right), "with this weight the gradient has another size.")
        require(
            not given.requires_grad, "a gradient passes through the weight; it has to be a constant."
        )
        require(
            scale.grad is None,
            "this leaves gradients behind in the network's weights; torch.autograd.grad returns them.",
        )
        try:
            (entropy + distance).backward()
        except RuntimeError:
            require(False, "training cannot go backward any more: the graph is gone; retain it.")
    return "weighted like this, its gradient has just that fraction of the cross-entropy's size."
