"""Answers to the exercise of chapter 00."""

from __future__ import annotations

import numpy as np

from exercises import Answers

ANSWERS = {
    "fastest_people": Answers(
        lambda seconds: [sorted(range(len(seconds)), key=lambda p: seconds[p, y])[0] for y in range(7)],
        {
            "one number for each of": lambda seconds: seconds.argmin(axis=1),
            "slowest": lambda seconds: seconds.argmax(axis=0),
            "times themselves": lambda seconds: seconds.min(axis=0),
            "counted from 0": lambda seconds: seconds.argmin(axis=0) + 1,
            "somebody else is faster": lambda seconds: np.full(7, seconds.mean(1).argmin()),
            "seven numbers": lambda seconds: seconds.argmin(),
        },
    ),
}
