"""Checks of chapter 08."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def worst_by_luck(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(share, people, clips, generator)``: the mean accuracy of the worst of equal people."""
    from scipy import stats

    for share, people, clips in ((0.8, 20, 40), (0.5, 5, 10), (0.9, 100, 30)):
        k = np.arange(clips)
        exact = (stats.binom.sf(k, clips, share) ** people).sum() / clips  # E[min] = sum_k P(min > k)
        best = (1 - stats.binom.cdf(k, clips, share) ** people).sum() / clips
        found = float(answer(share, people, clips, np.random.default_rng(rng.integers(2**31))))
        require(
            not np.isclose(found, exact * clips, rtol=0.05), "this counts clips; asked is an accuracy."
        )
        require(abs(found - best) > 0.01, "this is the best person; asked is the worst.")
        require(abs(found - share) > 0.01, "this is the mean person, whom luck does not touch.")
        require(
            found > 0.02,
            "this is the worst of all draws ever made; asked is the worst of a crowd, on average.",
        )
        require(
            abs(found - exact) < 0.012,
            f"{people} people of {clips} clips at {share}: {found:.3f}, but about "
            f"{exact:.3f} is expected.",
        )
    return "equal people are told apart by luck alone."


@check
def balanced(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(correct, y)``: the mean over actions of the share of right clips."""
    from sklearn.metrics import balanced_accuracy_score

    for _ in range(5):
        y = rng.choice([0, 1, 3, 7], size=200, p=[0.7, 0.1, 0.1, 0.1])
        correct = rng.random(200) < np.array([0.9, 0.3, 0, 0.5, 0, 0, 0, 0.6])[y]
        right = balanced_accuracy_score(y, np.where(correct, y, np.where(y == 0, 1, 0)))
        given = float(answer(correct.copy(), y.copy()))
        shares = [correct[y == k].mean() for k in (0, 1, 3, 7)]
        misconceptions = {
            "this is the plain share of right clips: frequent actions count more.": correct.mean(),
            "actions that nobody did count as wrong; only those that occur should count.": np.sum(shares)
            / 8,
            "this adds the actions up; asked is their mean.": np.sum(shares),
            "this divides each action's right clips by all clips.": np.mean(
                [(correct & (y == k)).mean() for k in (0, 1, 3, 7)]
            ),
            "this is the worst action; asked is the mean over all of them.": np.min(shares),
        }
        rule_out(given, misconceptions)
        require(np.isclose(given, right), f"{given:.3f}, but scikit-learn says {right:.3f}.")
        often = np.concatenate([np.arange(200), np.repeat(np.flatnonzero(y == 3), 9)])
        require(
            np.isclose(answer(correct[often], y[often]), right),
            "doing an action more often should not matter.",
        )
    return "scikit-learn agrees, and doing an action more often changes nothing."
