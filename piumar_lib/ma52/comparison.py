"""Finished runs compared by the statistics of chapter 09: over people, paired, corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from piumar_lib import metrics
from piumar_lib.evidence import statistics
from piumar_lib.evidence.methods import METHODS
from piumar_lib.evidence.statistics import Difference
from piumar_lib.evidence.wording import in_words, points
from piumar_lib.ma52.protocol import (
    Protocol,
    count_settings,
    kind_of,
    mark_chosen,
    merge,
    protocol_of,
    read_record,
)
from piumar_lib.ma52.scores import accuracy_of_people, majority_over_people


class Compared(NamedTuple):
    """One method on one data set.

    Attributes:
        method: Its name.
        summary: Accuracy over unseen people, in [0, 1].
        gain: Paired difference to `baseline_of` the method on the same people; None for a baseline, and
            where that was not run.
        p, equivalence_p: Its p values after Holm's correction for all methods; nan without a gain.
        majority: Mean over the same people of always answering the training clips' most frequent action,
            in [0, 1]; None if scores alone are compared.
        protocol: How the scores came about; None if scores alone are compared.
        settings: Number of different settings of its runs. If there is more than one, they are not only
            seeds.
    """

    method: str
    summary: metrics.Summary
    gain: Difference | None
    p: float
    equivalence_p: float
    majority: float | None = None
    protocol: Protocol | None = None
    settings: int = 1


def compare_runs(folders: Iterable[str | Path], chosen_on: str | Path = "") -> dict[str, list[Compared]]:
    """Compare finished runs; a person's accuracy under a method is averaged over its seeds.

    If settings were chosen on people whom the split ``chosen_on`` held out, scores on these are marked.

    Returns:
        Data set, all of its folds together, to its methods in the order of the folders.

    Raises:
        FileNotFoundError: If a folder holds no finished run.
        ValueError: If a record is damaged, or a method was not evaluated on all people.
    """
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}  # data, method
    for record in (mark_chosen(read_record(folder), chosen_on) for folder in folders):
        methods = runs.setdefault(kind_of(record["data"]), {})
        methods.setdefault(record["method"], []).append(record)
    return {data: _compare_records(methods) for data, methods in runs.items()}


def _compare_records(methods: Mapping[str, list[dict[str, Any]]]) -> list[Compared]:
    """Compare the runs of one data set; ``methods`` maps each method to its records."""
    scores = {name: accuracy_of_people(records) for name, records in methods.items()}
    return [
        one._replace(
            majority=majority_over_people(record["held out"] for record in methods[one.method]),
            protocol=merge(map(protocol_of, methods[one.method])),
            settings=count_settings(methods[one.method]),
        )
        for one in compare_methods(scores)
    ]


def baseline_of(method: str) -> str:
    """The reference of a method: ERM, with augmentation if the method has it."""
    return "augmentation" if method in METHODS and METHODS[method].augmented else "ERM"


def compare_methods(scores: Mapping[str, Mapping[str, float]]) -> list[Compared]:
    """Compare methods; ``scores`` maps each to its people's accuracies.

    Raises:
        ValueError: If a method was not evaluated on all people.
    """
    everyone = sorted(set().union(*scores.values()))
    for name, own in scores.items():
        if len(own) < len(everyone):
            raise ValueError(
                f"{name}: evaluated on {len(own)} of {len(everyone)} people. Run the rest first."
            )
    values = {name: np.array([own[p] for p in everyone]) for name, own in scores.items()}
    gains = {
        name: statistics.paired(own, values[baseline_of(name)])
        for name, own in values.items()
        if baseline_of(name) in values and name != baseline_of(name)
    }
    p_values = dict(zip(gains, statistics.correct([*gains.values()]), strict=True))
    nothing = (math.nan, math.nan)
    return [
        Compared(name, metrics.summarize(own), gains.get(name), *p_values.get(name, nothing))
        for name, own in values.items()
    ]


def say_table(data: str, methods: Sequence[Compared]) -> str:
    """Methods that were compared on a data set, a line each, as `compare_runs` gives them."""
    protocols = list(dict.fromkeys(str(method.protocol) for method in methods))
    lines = [f"{data}: {methods[0].summary.people} people"]
    lines += [f"  {protocols[0]}"] if len(protocols) == 1 else []
    for method in methods:
        lines.append(f"  {_say_row(method)}")
        lines += [f"    {method.protocol}"] if len(protocols) > 1 else []
        if method.settings > 1:
            lines.append(
                f"    {method.settings} different settings, averaged as seeds are; OPTIMISTIC if one of "
                "them was chosen for its scores here"
            )
    return "\n".join(lines)


def _say_row(method: Compared) -> str:
    s, majority = method.summary, method.majority
    assert majority is not None  # `compare_runs` has it
    return (
        f"{method.method}: {100 * s.mean:.1f} % {metrics.interval(s.low, s.high)}, most frequent action "
        f"{100 * majority:.1f}, worst quarter {100 * s.worst_quarter:.1f}{_say_gain(method)}"
    )


def _say_gain(method: Compared) -> str:
    if method.gain is None:
        return ""
    p, equivalence_p = method.p, method.equivalence_p
    said = "" if math.isnan(p) else f", p {in_words(p)}, of equivalence {in_words(equivalence_p)}"
    found = statistics.verdict(method.gain, p, equivalence_p)
    return f", over {baseline_of(method.method)} {points(method.gain)}{said}: {found}"
