"""Answers to the exercise of chapter 11."""

from __future__ import annotations

import numpy as np

from exercises import Answers


def _people(names):
    return {name[:4] for name in names}


def with_isin(train, val):
    return np.isin([int(name[:4]) for name in val], [int(name[:4]) for name in train]).mean()


ANSWERS = {
    "shared_people": Answers(
        with_isin,
        {
            "share of people": lambda train, val: len(_people(train) & _people(val)) / len(_people(val)),
            "from train to val": lambda train, val: with_isin(val, train),
            "whole sessions": lambda train, val: np.isin(
                [n[:7] for n in val], [n[:7] for n in train]
            ).mean(),
            "file names": lambda train, val: np.isin(val, train).mean(),
            "numbers of clips": lambda train, val: np.isin(
                [n.split("_")[2] for n in val], [n.split("_")[2] for n in train]
            ).mean(),
            "number of clips; divide": lambda train, val: with_isin(train, val) * len(val),
            "*not* in train": lambda train, val: 1 - with_isin(train, val),
            "is expected": lambda train, val: np.mean(
                [n[:4] in _people(train) for n in {name[:7] for name in val}]
            ),
            "two people": lambda train, val: np.mean(
                [any(t[:4].lstrip("0") in n[:4] for t in train) for n in val]
            ),
        },
    ),
}
