"""Checks of chapter 09."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def holm_by_hand(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(p)``: Holm's corrected p values, in the order of ``p``."""
    import itertools

    for m in np.repeat([2, 5, 7, 1], 3).tolist():
        p = rng.permutation(
            np.concatenate([rng.uniform(0, 0.05, m - m // 2), rng.uniform(0.4, 1, m // 2)])
        )
        sets = [list(s) for k in range(1, m + 1) for s in itertools.combinations(range(m), k)]
        closed = np.array([max(min(1, len(s) * p[s].min()) for s in sets if j in s) for j in range(m)])
        given = np.asarray(answer(p.copy()), float)
        hint = f"give {m} values, one for each p; this has shape {given.shape}."
        require(given.shape == p.shape, hint)
        order, rank = np.argsort(p), np.arange(m) + 1
        steps, back = rank[::-1] * p[order], np.argsort(order)
        reverse = np.maximum.accumulate(rank * p[order])
        hochberg = np.minimum.accumulate((m / rank * p[order])[::-1])[::-1]
        misconceptions = {
            "the values are in the order of size; give them back in the order of p.": np.sort(closed),
            "this is Bonferroni's rule: every p is multiplied by m.": np.minimum(1, m * p),
            "a later value is smaller than one before it: take the largest so far.": (
                np.minimum(1, steps)[back]
            ),
            "no probability is above 1.": np.maximum.accumulate(steps)[back],
            "this multiplies the largest by m; the smallest has to bear most.": (
                np.minimum(1, reverse)[back]
            ),
            "this is Benjamini and Hochberg's rule, which bounds another error.": (
                np.minimum(1, hochberg)[back]
            ),
        }
        rule_out(given, misconceptions, closed)
        require(np.allclose(given, closed), f"for {m} hypotheses some value is not as expected.")
    return "the same as testing every set of hypotheses."


@check
def best_gain(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(m, people, spread, generator)``: the mean gain of the best of equal methods."""
    from scipy import integrate, stats

    def expected(m: int) -> float:
        """Expectation of the largest of m standard normal numbers."""
        norm = stats.norm
        return integrate.quad(lambda z: z * m * norm.pdf(z) * norm.cdf(z) ** (m - 1), -9, 9)[0]

    for m, people, spread in ((1, 10, 5.0), (8, 10, 5.0), (32, 40, 3.0)):
        given = float(answer(m, people, spread, np.random.default_rng(rng.integers(2**31))))
        unit = spread / np.sqrt(people)
        best, noise = expected(m), 0.15 * unit
        if m == 1:
            require(
                abs(given) < 0.4 * unit,
                "a single method gains nothing on average; this has "
                f"{given:+.2f}, as if chance had a sign.",
            )
            continue
        misconceptions = {
            "a mean varies less than a person: choose the best after the mean, not before.": (
                best * spread
            ),
            "the mean's deviation falls with the root of the number of people, not with it.": (
                best * spread / people
            ),
            "this is the mean method; asked is the one that looks best.": 0.0,
            "this is the worst method.": -best * unit,
        }
        rule_out(given, misconceptions, atol=noise)
        hint = f"{m} methods, {people} people: {given:.2f}, but {best * unit:.2f} is expected."
        require(abs(given - best * unit) < noise, hint)
    gain = expected(26) * 5 / 10**0.5
    return f"of 26 equal methods, with ten people and a spread of 5, the best looks {gain:.1f} better."
