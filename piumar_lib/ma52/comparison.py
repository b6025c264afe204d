"""Finished runs compared as chapter 09 compares methods: over people, paired, corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from piumar_lib import metrics
from piumar_lib.evidence.methods import METHODS
from piumar_lib.ma52.evaluate import read_record


class Compared(NamedTuple):
    """One method on one data set.

    Attributes:
        method: Its name.
        summary: Accuracy over unseen people, in [0, 1].
        gain: Paired difference to `baseline_of` the method on the same people; None for a baseline, and
            where that was not run.
        p: Its p value after Holm's correction for all methods; nan without a gain.
    """

    method: str
    summary: metrics.Summary
    gain: metrics.Comparison | None
    p: float


def compare_runs(folders: Iterable[str | Path]) -> dict[str, list[Compared]]:
    """Compare finished runs; a person's accuracy under a method is averaged over its seeds.

    Returns:
        Data set, all of its folds together, to its methods in the order of the folders.

    Raises:
        FileNotFoundError: If a folder holds no finished run.
        ValueError: If a record is damaged, or a method was not judged on all people.
    """
    shares: dict[str, dict[str, dict[str, list[float]]]] = {}  # data, method, person
    for record in map(read_record, folders):
        methods = shares.setdefault(record["data"].partition(", fold")[0], {})
        people = methods.setdefault(method_of(record), {})
        for person, (right, clips) in record["held out"]["people"].items():
            people.setdefault(person, []).append(right / clips)
    return {
        data: compare_methods(
            {name: {p: float(np.mean(v)) for p, v in people.items()} for name, people in methods.items()}
        )
        for data, methods in shares.items()
    }


def baseline_of(method: str) -> str:
    """What a method is compared with: ERM, on augmented clips if the method augments them."""
    return "augmentation" if method in METHODS and METHODS[method].augmented else "ERM"


def method_of(record: dict[str, Any]) -> str:
    """A run's method; one of the first version says so, as in a table two would pass for one.

    When ``plug_in`` and ``loss`` named a method, all runs were augmented, and none said so.
    """
    name, config = record["method"], record["config"]
    if "mass" in config:
        return name if name == "ERM" else f"{name}, first version"
    if "plug" in config:
        return "augmentation" if name == "ERM" else f"{name} + augmentation"
    return name


def compare_methods(scores: Mapping[str, Mapping[str, float]]) -> list[Compared]:
    """Compare methods; ``scores`` maps each to its people's accuracies.

    Raises:
        ValueError: If a method was not judged on all people.
    """
    everyone = sorted(set().union(*scores.values()))
    for name, own in scores.items():
        if len(own) < len(everyone):
            raise ValueError(
                f"{name}: judged on {len(own)} of {len(everyone)} people. Run the rest first."
            )
    values = {name: np.array([own[p] for p in everyone]) for name, own in scores.items()}
    gains = {
        name: metrics.compare(own, values[baseline_of(name)])
        for name, own in values.items()
        if baseline_of(name) in values and name != baseline_of(name)
    }
    corrected = metrics.holm([gain.p for gain in gains.values()])
    p_values = dict(zip(gains, map(float, corrected), strict=True))
    return [
        Compared(name, metrics.summarize(own), gains.get(name), p_values.get(name, float("nan")))
        for name, own in values.items()
    ]
