"""Answers to the exercise of chapter 12."""

from __future__ import annotations

import numpy as np

from exercises import Answers

ANSWERS = {
    "optimism": Answers(
        lambda curves: float(np.mean([np.ptp(np.append(run - run[-1], 0).clip(0)) for run in curves])),
        {
            "best epoch itself": lambda c: c.max(1).mean(),
            "first epoch": lambda c: (c.max(1) - c[:, 0]).mean(),
            "for each epoch": lambda c: (c.max(0) - c[-1]).mean(),
            "one best value": lambda c: (c.max() - c[:, -1]).mean(),
            "run's mean": lambda c: (c.max(1) - c.mean(1)).mean(),
            "sign is wrong": lambda c: (c[:, -1] - c.max(1)).mean(),
            "on average over runs": lambda c: c.mean(0).max() - c[:, -1].mean(),
            "sum over runs": lambda c: (c.max(1) - c[:, -1]).sum(),
            "mean over runs": lambda c: c.max(1) - c[:, -1],
        },
    ),
}
