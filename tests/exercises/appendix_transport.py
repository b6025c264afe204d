"""Answers to the exercise of chapter 13."""

from __future__ import annotations

import numpy as np

from exercises import Answers


def in_place(x, y, alpha):
    """Leaves x in the order in which it came."""
    rank = x.argsort().argsort()
    return x + alpha * (np.sort(y)[rank] - x)


def away(x, y, alpha):
    """The right distance from x, but away from y."""
    return x - alpha * np.sqrt(np.mean(np.square(np.sort(x) - np.sort(y))))


ANSWERS = {
    "between": Answers(
        in_place,
        {
            "a mixture": lambda x, y, alpha: np.concatenate([x, y]),
            "no order": lambda x, y, alpha: (1 - alpha) * x + alpha * y,
            "begins at y": lambda x, y, alpha: in_place(x, y, 1 - alpha),
            "the fraction alpha of": lambda x, y, alpha: in_place(x, y, 0.5 * alpha),
            "on the way to y": away,
            "be that of x": lambda x, y, alpha: in_place(x, y, alpha).mean(),
        },
    ),
}
