"""Checks of chapter 01."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def split_people(split: Callable, rng: np.random.Generator) -> str:
    """``split(person, share, seed)``: a boolean array, True for the clips of the people to test."""
    for seed in range(20):
        some = rng.integers(5, 40), rng.uniform(0.1, 0.6)
        count, share = {0: (30, 0.2), 1: (4, 0.1)}.get(seed, some)  # 0.1 of 4 people is less than one
        ids = rng.choice(10_000, count, replace=False)
        person = rng.permutation(np.repeat(ids, rng.integers(1, 30, len(ids))))
        test = np.asarray(split(person.copy(), share, seed))
        require(
            test.shape == person.shape and test.dtype == bool,
            f"give one True or False for each of the {len(person)} clips; this is {test.dtype}, "
            f"shape {test.shape}.",
        )
        tested = set(person[test])
        both = tested & set(person[~test])
        hint = f"somebody is on both sides: {len(both)} people have clips in training and in testing."
        require(not both, hint)
        wanted = max(1, round(share * len(ids)))
        require(
            tested, f"of {len(ids)} people nobody is tested; however small the share, test at least one."
        )
        require(
            seed or len(tested) != len(ids) - wanted,
            f"{len(tested)} of {len(ids)} people are tested: that is 1 - share. True means test.",
        )
        require(
            len(tested) == wanted,
            f"{len(tested)} of {len(ids)} people are tested instead of {wanted}; the share of "
            f"{share:.2f} is one of people, however many clips they have.",
        )
        require(
            np.array_equal(test, split(person.copy(), share, seed)),
            "the same seed must draw the same people.",
        )
    person = np.repeat(np.arange(30), 3)
    draws = [frozenset(person[split(person, 0.5, seed)]) for seed in range(20)]
    require(len(set(draws)) > 1, "another seed must draw other people.")
    return "nobody is on both sides."


@check
def standard_error(error: Callable, rng: np.random.Generator) -> str:
    """``error(mean, between, people, clips)`` of the mean accuracy of people drawn at random."""
    for people, clips in ((10, 40), (40, 10), (25, 4)):
        a, b = rng.uniform(2, 6), rng.uniform(1, 3)
        mean, between = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
        truth = rng.beta(a, b, (20_000, people))
        simulated = (rng.binomial(clips, truth) / clips).mean(1).std()
        given = float(error(mean, between, people, clips))
        within = mean * (1 - mean) - between**2  # mean over people of accuracy * (1 - accuracy)
        right = np.sqrt((between**2 + within / clips) / people)
        misconceptions = {
            "this is a variance; a standard error has the unit of the accuracy itself.": right**2,
            "all clips count as independent, but one person's clips share an accuracy.": np.sqrt(
                mean * (1 - mean) / (people * clips)
            ),
            "a person's accuracy is not known: it is measured on few clips, too.": between
            / np.sqrt(people),
            "this is how much one person's score varies; we want that of the mean over all.": right
            * np.sqrt(people),
            "the spread between people is counted twice: mean (1 - mean) holds it already.": np.sqrt(
                (between**2 + mean * (1 - mean) / clips) / people
            ),
        }
        rule_out(given, misconceptions, rtol=1e-6)
        require(
            abs(given / simulated - 1) < 0.05,
            f"for {people} people with {clips} clips it says {given:.4f}, but simulation says "
            f"{simulated:.4f}.",
        )
    return "it agrees with 20,000 simulated studies of people drawn at random."
