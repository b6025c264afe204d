"""Answers to the exercises of chapter 05."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from exercises import Answers


def _fuse(a, b, g, shut=torch.minimum, mean=0.5):
    return g * mean * (a + b) + (1 - g) * shut(a, b)


def _gate(a, b, weight, bias, dim=-1):
    return (weight * F.cosine_similarity(a, b, dim=dim) + bias).sigmoid().unsqueeze(dim)


def fuse_by_lerp(a, b, weight, bias):
    middle, half = (a + b) / 2, (a - b).abs() / 2
    return middle - half * (1 - _gate(a, b, weight, bias))


def js_by_entropy(p, q):
    def entropy(x):
        return torch.special.entr(x).sum(1)

    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


def _kl(p, q):
    return torch.special.xlogy(p, p / q).sum(1)


def naive(p, q):
    m = (p + q) / 2
    return ((p * (p / m).log()).sum(1) + (q * (q / m).log()).sum(1)) / 2


ANSWERS = {
    "fuse_by_gate": Answers(
        fuse_by_lerp,
        {
            "exchanged": lambda a, b, w, c: _fuse(a, b, 1 - _gate(a, b, w, c)),
            "maximum": lambda a, b, w, c: _fuse(a, b, _gate(a, b, w, c), torch.maximum),
            "over clips": lambda a, b, w, c: _fuse(a, b, _gate(a, b, w, c, dim=0)),
            "inner product": lambda a, b, w, c: _fuse(
                a, b, (w * (a * b).sum(-1) + c).sigmoid()[:, None]
            ),
            "sigmoid": lambda a, b, w, c: _fuse(a, b, (w * F.cosine_similarity(a, b) + c)[:, None]),
            "summed": lambda a, b, w, c: _fuse(a, b, _gate(a, b, w, c), mean=1),
            "no effect": lambda a, b, w, c: _fuse(a, b, _gate(a, b, 1, 0)),
            "other values": lambda a, b, w, c: (a + b) / 2,
        },
    ),
    "consistency": Answers(
        js_by_entropy,
        {
            "bits": lambda p, q: js_by_entropy(p, q) / torch.log(torch.tensor(2.0)),
            "root": lambda p, q: js_by_entropy(p, q) ** 0.5,
            "one prediction with the other": _kl,
            "adds the two": lambda p, q: 2 * js_by_entropy(p, q),
            "sign is wrong": lambda p, q: -js_by_entropy(p, q),
            "Jeffreys": lambda p, q: (_kl(p, q) + _kl(q, p)) / 2,
            "one number": lambda p, q: js_by_entropy(p, q).mean(),
            "ruled out": naive,
        },
    ),
}
