"""Checks of chapter 08."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require


@check
def worst_by_luck(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(share, people, clips, generator)``: the mean accuracy of the worst of equal people."""
    from scipy import stats

    for share, people, clips in ((0.8, 20, 40), (0.5, 5, 10), (0.9, 100, 30)):
        k = np.arange(clips)
        exact = (stats.binom.sf(k, clips, share) ** people).sum() / clips  # E[min] = sum_k P(min > k)
        best = (1 - stats.binom.cdf(k, clips, share) ** people).sum() / clips
        state = rng.integers(2**31)
        found, same, other = (
            float(answer(share, people, clips, np.random.default_rng(s)))
            for s in (state, state, state + 1)
        )
        require(not np.isclose(found, exact * clips, rtol=0.05), "this counts clips: divide by `clips`.")
        require(abs(found - best) > 0.01, "this is the best person: take the worst.")
        require(abs(found - share) > 0.01, "this is the mean person, whom luck does not touch.")
        require(
            found > 0.02,
            "this is the worst of all draws ever made: average the worst of each crowd.",
        )
        require(
            abs(found - exact) < 0.012,
            f"{people} people of {clips} clips at {share}: {found:.3f}, but about "
            f"{exact:.3f} is expected.",
        )
        drawn = abs(found - exact) > 1e-9  # else it is the exact value, which needs no draws
        require(
            found == same and (found != other or not drawn),
            "the generator decides: the same state gives the same number, another state another one.",
        )
    return "equal people differ by chance alone."
