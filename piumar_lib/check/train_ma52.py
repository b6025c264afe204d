"""Check of chapter 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def optimism(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(curves)``: the mean gap between the best epoch and the last, of ``(runs, epochs)``."""
    for _ in range(5):
        curves = rng.uniform(0, 1, (int(rng.integers(3, 9)), int(rng.integers(10, 30))))
        given = np.asarray(answer(curves.copy()), float)
        require(
            given.shape == (), f"return one number, the mean over runs; this has shape {given.shape}."
        )
        best, last = curves.max(1), curves[:, -1]
        misconceptions = {
            "this is the best epoch itself; we want how much better it is than the last.": best.mean(),
            "this compares with the first epoch; compare with the last.": (best - curves[:, 0]).mean(),
            "this is the best over runs, for each epoch; a run has a best epoch of its own.": (
                curves.max(0) - curves[-1]
            ).mean(),
            "this picks one best value of all runs; every run has one of its own.": (
                curves.max() - last
            ).mean(),
            "this compares with the run's mean, not with its last epoch.": (
                best - curves.mean(1)
            ).mean(),
            "the sign is wrong: the best epoch is never worse than the last.": (last - best).mean(),
            "this is the epoch that is best on average over runs; each run picks its own.": curves.mean(
                0
            ).max()
            - last.mean(),
            "this is a sum over runs; take their mean.": (best - last).sum(),
        }
        rule_out(given, misconceptions)
        expected = sum(max(run) - run[-1] for run in curves.tolist()) / len(curves)
        require(np.isclose(given, expected), f"{given:.3f}, but {expected:.3f} is expected.")
    return "the best of thirty evaluations of noise is two standard deviations too high."
