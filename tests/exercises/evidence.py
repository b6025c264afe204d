"""Answers to the exercises of chapter 09."""

from __future__ import annotations

import numpy as np

from exercises import Answers


def holm_in_place(p):
    """With NumPy alone: sort, multiply, running maximum, and back."""
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * np.sort(p))
    return np.minimum(steps, 1)[np.argsort(order)]


def _steps(p, factors, running=True, cut=True, back=True):
    order = np.argsort(p)
    steps = factors * p[order]
    steps = np.maximum.accumulate(steps) if running else steps
    steps = np.minimum(steps, 1) if cut else steps
    return steps[np.argsort(order)] if back else steps


def _down(p):
    return len(p) - np.arange(len(p))


def benjamini_hochberg(p):
    order = np.argsort(p)
    steps = len(p) / (np.arange(len(p)) + 1) * p[order]
    return np.minimum(1, np.minimum.accumulate(steps[::-1])[::-1])[np.argsort(order)]


def person_by_person(m, people, spread, generator):
    gains = generator.normal(0, spread, (3000, m, people)).mean(2)
    return gains.max(1).mean()


def _means(m, people, spread, generator, root=True):
    return generator.normal(0, spread / (np.sqrt(people) if root else people), (4000, m))


ANSWERS = {
    "holm_by_hand": Answers(
        holm_in_place,
        {
            "order of size": lambda p: _steps(p, _down(p), back=False),
            "Bonferroni": lambda p: np.minimum(1, len(p) * p),
            "largest so far": lambda p: _steps(p, _down(p), running=False),
            "above 1": lambda p: _steps(p, _down(p), cut=False),
            "smallest has to bear": lambda p: _steps(p, _down(p)[::-1]),
            "Benjamini": benjamini_hochberg,
        },
    ),
    "best_gain": Answers(
        person_by_person,
        {
            "after the mean": lambda m, n, s, g: g.normal(0, s, (4000, m)).max(1).mean(),
            "not with it": lambda m, n, s, g: _means(m, n, s, g, root=False).max(1).mean(),
            "mean method": lambda m, n, s, g: _means(m, n, s, g).mean(1).mean(),
            "worst method": lambda m, n, s, g: _means(m, n, s, g).min(1).mean(),
            "a single method": lambda m, n, s, g: np.abs(_means(m, n, s, g)).max(1).mean(),
            "is expected": lambda m, n, s, g: 1.2 * _means(m, n, s, g).max(1).mean(),
        },
    ),
}
