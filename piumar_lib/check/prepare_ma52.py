"""Check of chapter 11."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def shared_people(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(train, val)``: the fraction of val clips whose person is in train, too."""
    for _ in range(5):
        who, session = rng.integers(1, 200, 1000), rng.integers(1, 5, 1000)
        names = [
            f"{p:04d}_{s:02d}_{k % 400:04d}.mp4"
            for k, (p, s) in enumerate(zip(who, session, strict=True))
        ]
        train, val = names[:200], names[200:]
        right = np.isin(who[200:], who[:200]).mean()
        given = float(answer(list(train), list(val)))
        sessions = {name[:7] for name in train}
        numbers = {name[8:12] for name in train}
        misconceptions = {
            "this is a share of people; we want one of clips, as in an accuracy.": np.isin(
                np.unique(who[200:]), who[:200]
            ).mean(),
            "this looks from train to val; we want the share of val clips.": np.isin(
                who[:200], who[200:]
            ).mean(),
            "this compares whole sessions; a person has several.": np.mean(
                [name[:7] in sessions for name in val]
            ),
            "this compares file names; no name is in both lists, but people are.": np.mean(
                [name in set(train) for name in val]
            ),
            "this compares the numbers of clips; the person comes first in a name.": np.mean(
                [name[8:12] in numbers for name in val]
            ),
            "this is the number of clips; divide by that of all val clips.": right * len(val),
            "this is the share of clips of people who are *not* in train.": 1 - right,
        }
        rule_out(given, misconceptions, right)
        two = float(answer(["0001_01_0001.mp4"], ["0011_01_0001.mp4"]))
        require(two == 0, "0001 and 0011 are two people.")
        require(np.isclose(given, right), f"{given:.3f}, but {right:.3f} is expected.")
    return "a clip counts as leaked as soon as its person is known."
