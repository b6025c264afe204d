"""Answers to the exercises of chapter 05."""

from __future__ import annotations

import math

import torch

from exercises import Answers


def bias_by_logit(kept):
    return torch.logit(torch.tensor(kept, dtype=torch.float64) / 0.5)


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
    "bias_for": Answers(
        bias_by_logit,
        {
            "the gate itself": lambda kept: 2 * kept,
            "only the mean": lambda kept: math.log(kept / (1 - kept)),
            "sign is wrong": lambda kept: math.log((1 - 2 * kept) / (2 * kept)),
            "odds": lambda kept: kept / (0.5 - kept),
            "once more": lambda kept: 1 / (1 + math.exp(-2 * kept)),
            "another base": lambda kept: math.log2(kept / (0.5 - kept)),
            "one number": lambda kept: [0.0, 1.0],
            "instead of": lambda kept: -2.0,
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
