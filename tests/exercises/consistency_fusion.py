"""Answers to the exercises of chapter 05."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from exercises import Answers


def standardised(a, b, center, mean, sd):
    return (F.cosine_similarity(a - center, b - center).detach() - mean) / sd


def gate_by_norms(a, b, center, mean, sd, bias):
    with torch.no_grad():
        p, q = (F.normalize(v - center, dim=1) for v in (a, b))
        z = ((p * q).sum(1, keepdim=True) - mean) / sd
    return 1 / (1 + torch.exp(-z - bias))


def gate_of(agreement):
    """A gate from another agreement of (a, b, center, mean, sd)."""
    return lambda a, b, center, mean, sd, bias: torch.sigmoid(
        agreement(a.detach(), b.detach(), center, mean, sd) + bias
    )[:, None]


def gate_with_gradient(a, b, center, mean, sd, bias):
    cosine = F.cosine_similarity(a - center, b - center)
    return torch.sigmoid((cosine - mean) / sd + bias)[:, None]


def clip_of_smaller_norm(a, b):
    return torch.where(a.norm(dim=1, keepdim=True) < b.norm(dim=1, keepdim=True), a, b)


def bias_by_logit(kept):
    return torch.logit(torch.tensor(kept, dtype=torch.float64) / 0.5)


def entropy(x):
    return torch.special.entr(x).sum(1)


def js_of(p, q):
    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


def kl(p, q):
    return torch.special.xlogy(p, p / q).sum(1)


def of_predictions(divergence, reduce=torch.mean):
    """An answer that takes logits, from a divergence of predictions (batch, classes)."""
    return lambda a, b: reduce(divergence(a.softmax(1), b.softmax(1)))


def js_with_log_targets(a, b):
    a, b = a.log_softmax(1), b.log_softmax(1)
    middle = torch.stack([a, b]).logsumexp(0) - math.log(2)
    return sum(F.kl_div(middle, one, reduction="batchmean", log_target=True) for one in (a, b)) / 2


def js_by_logarithms_of_probabilities(a, b):
    p, q = a.softmax(1), b.softmax(1)
    m = (p + q) / 2
    return ((p * (p / m).log()).sum(1) + (q * (q / m).log()).sum(1)).mean() / 2


def to_mean_of_logits(a, b):
    middle = ((a + b) / 2).log_softmax(1)
    return sum(F.kl_div(middle, one.log_softmax(1), reduction="batchmean", log_target=True)
               for one in (a, b)) / 2  # fmt: skip


def sizes(entropy, distance, frames, size=torch.linalg.vector_norm, **how):
    terms = (entropy, distance)
    return [size(torch.autograd.grad(t, frames, retain_graph=True, **how)[0]) for t in terms]


def weight_of(formula, **how):
    """An answer from the sizes of both gradients, cross-entropy's first, and the fraction."""
    return lambda entropy, distance, frames, fraction: formula(
        *sizes(entropy, distance, frames, **how), fraction
    )


def weight_by_dot_products(entropy, distance, frames, fraction):
    terms = (entropy, distance)
    one, other = (torch.autograd.grad(t, frames, retain_graph=True)[0].flatten() for t in terms)
    return fraction * ((one @ one) / (other @ other)) ** 0.5


def weight_without_graph(entropy, distance, frames, fraction):
    theirs, ours = (torch.autograd.grad(t, frames)[0].norm() for t in (entropy, distance))
    return fraction * theirs / ours


def weight_by_backward(entropy, distance, frames, fraction):
    frames.retain_grad()
    found = []
    for term in (entropy, distance):
        frames.grad = None
        term.backward(retain_graph=True)
        found.append(frames.grad.norm())
    return fraction * found[0] / found[1]


def weight_by_grad_of_frames(entropy, distance, frames, fraction):
    found = []
    for term in (entropy, distance):
        term.backward(retain_graph=True)
        found.append(frames.grad.norm())
    return fraction * found[0] / found[1]


ANSWERS = {
    "gate": Answers(
        gate_by_norms,
        {
            "between 0 and 1": lambda *args: (standardised(*args[:5]) + args[5])[:, None],
            "centre away": gate_of(lambda a, b, c, m, s: standardised(a, b, 0, m, s)),
            "not standardised": gate_of(lambda a, b, c, m, s: standardised(a, b, c, 0, 1)),
            "by its square": gate_of(lambda a, b, c, m, s: standardised(a, b, c, m, s**2)),
            "add the bias after": lambda a, b, c, m, s, v: gate_by_norms(a, b, c, m, s, v / s),
            "dot product": gate_of(lambda a, b, c, m, s: (((a - c) * (b - c)).sum(1) - m) / s),
            "sign is wrong": lambda *args: 1 - gate_by_norms(*args),
            "bias is missing": lambda *args: gate_by_norms(*args[:5], 0 * args[5]),
            "one gate for each clip": lambda *args: gate_by_norms(*args).mean(),
            "last axis": lambda *args: gate_by_norms(*args)[:, 0],
            "gets no gradient": lambda *args: gate_by_norms(*args).detach(),
            "gradient passes": gate_with_gradient,
            "not the formula's": gate_of(lambda *args: 2 * standardised(*args)),
        },
    ),
    "fuse": Answers(
        lambda a, b, g: torch.lerp(torch.minimum(a, b), torch.stack([a, b]).mean(0), g),
        {
            "wrong way round": lambda a, b, g: (1 - g) * (a + b) / 2 + g * torch.minimum(a, b),
            "larger of the two": lambda a, b, g: g * (a + b) / 2 + (1 - g) * torch.maximum(a, b),
            "treat both alike": lambda a, b, g: g * a + (1 - g) * b,
            "not their mean": lambda a, b, g: g * (a + b) + (1 - g) * torch.minimum(a, b),
            "a product": lambda a, b, g: g * (a + b) / 2 + (1 - g) * a * b,
            "channel by channel": lambda a, b, g: g * (a + b) / 2 + (1 - g) * clip_of_smaller_norm(a, b),
            "no effect": lambda a, b, g: torch.minimum(a, b),
            "the shape is": lambda a, b, g: (g * (a + b) / 2 + (1 - g) * torch.minimum(a, b)).mean(1),
            "formula's mixture": lambda a, b, g: g * (a * b).sqrt() + (1 - g) * torch.minimum(a, b),
        },
    ),
    "bias_for": Answers(
        bias_by_logit,
        {
            "the gate itself": lambda kept: 2 * kept,
            "only half": lambda kept: math.log(kept / (1 - kept)),
            "sign is wrong": lambda kept: math.log((1 - 2 * kept) / (2 * kept)),
            "odds": lambda kept: kept / (0.5 - kept),
            "once more": lambda kept: 1 / (1 + math.exp(-2 * kept)),
            "another base": lambda kept: math.log2(kept / (0.5 - kept)),
            "one number": lambda kept: [0.0, 1.0],
            "instead of": lambda kept: -2.0,
        },
    ),
    "consistency": Answers(
        js_with_log_targets,
        {
            "bits": of_predictions(lambda p, q: js_of(p, q) / math.log(2)),
            "root": of_predictions(lambda p, q: js_of(p, q).sqrt()),
            "one prediction with the other": of_predictions(kl),
            "adds the two": of_predictions(lambda p, q: 2 * js_of(p, q)),
            "sign is wrong": of_predictions(lambda p, q: -js_of(p, q)),
            "Jeffreys": of_predictions(lambda p, q: (kl(p, q) + kl(q, p)) / 2),
            "averages the logits": to_mean_of_logits,
            "not of their logarithms": of_predictions(lambda p, q: (kl(p, q) + kl(q, p)) / 4),
            "one number for each clip": of_predictions(js_of, lambda values: values),
            "sum over the batch": of_predictions(js_of, torch.sum),
            "infinite or undefined": js_by_logarithms_of_probabilities,
            "its gradient undefined": of_predictions(js_of),
        },
    ),
    "regularizer_weight": Answers(
        weight_by_dot_products,
        {
            "upside down": weight_of(lambda theirs, ours, fraction: fraction * ours / theirs),
            "compares the two losses": lambda e, d, frames, fraction: (fraction * e / d).detach(),
            "fraction is missing": weight_of(lambda theirs, ours, fraction: theirs / ours),
            "squared norms": weight_of(
                lambda theirs, ours, fraction: fraction * theirs / ours,
                size=lambda g: g.square().sum(),
            ),
            "Euclidean": weight_of(
                lambda theirs, ours, fraction: fraction * theirs / ours,
                size=lambda g: g.abs().max(),
            ),
            "in front, not below": weight_of(lambda theirs, ours, fraction: theirs / ours / fraction),
            "after weighting": weight_of(lambda theirs, ours, fraction: fraction * theirs),
            "a constant": weight_of(
                lambda theirs, ours, fraction: fraction * theirs / ours, create_graph=True
            ),
            "leaves gradients behind": weight_by_backward,
            "no leaf": weight_by_grad_of_frames,
            "retain it": weight_without_graph,
        },
    ),
}
