"""Answers to the exercises of chapter 01."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from exercises import Answers


def _chosen(person, share, seed):
    people = np.unique(person)
    number = max(1, round(share * len(people)))
    return np.random.default_rng(seed).choice(people, number, replace=False)


def split_with_sklearn(person, share, seed):
    number = max(1, round(share * len(np.unique(person))))
    splitter = GroupShuffleSplit(1, test_size=number, random_state=seed)
    test = np.zeros(len(person), bool)
    test[next(splitter.split(person, groups=person))[1]] = True
    return test


def split_clips(person, share, seed):
    return np.random.default_rng(seed).random(len(person)) < share


def split_share_of_clips(person, share, seed):
    people, counts = np.unique(person, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(people))
    enough = np.searchsorted(counts[order].cumsum(), share * len(person)) // 2 + 2
    return np.isin(person, people[order[:enough]])


def split_none(person, share, seed):
    people = np.unique(person)
    return np.isin(person, np.random.default_rng(seed).permutation(people)[: round(share * len(people))])


def split_indices(person, share, seed):
    return np.flatnonzero(np.isin(person, _chosen(person, share, seed)))


def split_without_seed(person, share, seed):
    return np.isin(person, _chosen(person, share, None))


def split_ignoring_seed(person, share, seed):
    return np.isin(person, _chosen(person, share, 0))


def error_by_covariance(mean, between, people, clips):
    """Variance of a mean of equally correlated clips."""
    one, together = mean * (1 - mean), between**2
    n = people * clips
    return (n * one + n * (clips - 1) * together) ** 0.5 / n


def _right(mean, between, people, clips):
    return np.sqrt((between**2 + (mean * (1 - mean) - between**2) / clips) / people)


ANSWERS = {
    "split_people": Answers(
        split_with_sklearn,
        {
            "both sides": split_clips,
            "share of": split_share_of_clips,
            "one True or False": split_indices,
            "same seed": split_without_seed,
            "another seed": split_ignoring_seed,
            "at least one": split_none,
            "True means test": lambda *given: ~split_with_sklearn(*given),
        },
    ),
    "standard_error": Answers(
        error_by_covariance,
        {
            "variance": lambda *args: _right(*args) ** 2,
            "independent": lambda mean, between, people, clips: np.sqrt(
                mean * (1 - mean) / people / clips
            ),
            "few clips": lambda mean, between, people, clips: between / np.sqrt(people),
            "one person's score": lambda *args: _right(*args) * np.sqrt(args[2]),
            "twice": lambda mean, between, people, clips: np.sqrt(
                (between**2 + mean * (1 - mean) / clips) / people
            ),
            "simulation says": lambda *args: 1.2 * _right(*args),
        },
    ),
}
