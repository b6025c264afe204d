"""Answers to the exercises of chapter 08."""

from __future__ import annotations

import numpy as np

from exercises import Answers


def clip_by_clip(share, people, clips, generator):
    crowds = generator.random((3000, people, clips)) < share if people * clips <= 1000 else None
    if crowds is None:
        crowds = np.stack([generator.random((people, clips)) < share for _ in range(2000)])
    return crowds.mean(2).min(1).mean()


def _draw(share, people, clips, generator):
    return generator.binomial(clips, share, (4000, people)) / clips


ANSWERS = {
    "worst_by_luck": Answers(
        clip_by_clip,
        {
            "counts clips": lambda s, p, c, g: c * _draw(s, p, c, g).min(1).mean(),
            "best person": lambda s, p, c, g: _draw(s, p, c, g).max(1).mean(),
            "mean person": lambda s, p, c, g: _draw(s, p, c, g).mean(1).mean(),
            "is expected": lambda s, p, c, g: _draw(s, p, c, g).min(),
            "the same state": lambda s, p, c, g: _draw(s, p, c, np.random).min(1).mean(),
            "another state": lambda s, p, c, g: _draw(s, p, c, np.random.default_rng(0)).min(1).mean(),
            "about": lambda s, p, c, g: np.quantile(_draw(s, p, c, g), 0.05, axis=1).mean() + 0.02,
        },
    ),
}
