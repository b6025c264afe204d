"""The table of a sweep: each method against another on the same people, by the study's statistics.

to_markdown(read_records(RESULTS / "poses.jsonl"))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from piumar_lib import metrics
from piumar_lib.evidence import statistics
from piumar_lib.evidence.statistics import Difference
from piumar_lib.evidence.wording import in_words, points, signed
from piumar_lib.ma52.protocol import FREE, kind_of, merge, protocol_of
from piumar_lib.ma52.scores import accuracy_of_people, majority_over_people
from piumar_lib.notebook.figure import markdown_table
from piumar_lib.support.hyperparameter import unknown

Records = Sequence[Mapping[str, Any]]
# Settings that may differ between rows; between the records of one row, only the seed may.
OF_ROW = ("method", "hyperparameters", "body")


@dataclass(frozen=True)
class Row:
    """A method of a sweep, with one kind of head; scores are in [0, 1].

    Attributes:
        name: Name of the method, of its head unless body parts are derived from actions, and of what
            is normalised, if anything is.
        folds: Numbers of the folds that the method was trained on.
        accuracy: Accuracy over all people of these folds.
        macro_f1: Macro F1 of actions, mean over folds and seeds.
        majority: Accuracy over the same people of always answering the training clips' most frequent
            action.
        difference: Paired difference to the reference over the people of both, with its t
            interval; None for the reference, and if they share no fold.
        by_fold: That difference's mean in each fold that both have.
        p, equivalence_p: P values of the difference, Holm-corrected for all rows; nan without one.
    """

    name: str
    folds: tuple[int, ...]
    accuracy: metrics.Summary
    macro_f1: float
    majority: float
    difference: Difference | None
    by_fold: tuple[float, ...]
    p: float
    equivalence_p: float

    @property
    def verdict(self) -> str:
        """See `piumar_lib.evidence.statistics.verdict`; "" without a difference."""
        if self.difference is None:
            return ""
        return statistics.verdict(self.difference, self.p, self.equivalence_p)


def compare(records: Iterable[Mapping[str, Any]], reference: str = "augmentation") -> list[Row]:
    """Compare a sweep's methods with one of them, over people.

    People of one fold are recognised by the same trained model, so their differences are not quite
    independent, and the interval does not include the variance between seeds. Some folds may be missing.

    Raises:
        ValueError: If there are no records, the reference is not among them, or records do not belong
            together.
    """
    rows = _group(list(records))
    if reference not in rows:
        raise unknown(reference, rows, "row", "the sweep")
    found = {name: _differ(own, rows[reference]) for name, own in rows.items() if name != reference}
    differences = {name: pair for name, pair in found.items() if pair is not None}
    corrected = statistics.correct([difference for difference, _ in differences.values()])
    p_values = dict(zip(differences, corrected, strict=True))
    nothing = (math.nan, math.nan)
    return [
        _summarize(name, own, differences.get(name, (None, ())), p_values.get(name, nothing))
        for name, own in rows.items()
    ]


def to_markdown(records: Iterable[Mapping[str, Any]], reference: str = "augmentation") -> str:
    """The table of `compare`, in points and percent, below a line on how the scores came about."""
    records = list(records)
    rows = compare(records, reference)
    header = ["method", "folds", "people", "accuracy, %", "worst quarter, %", "most frequent, %",
              "macro F1, %", f"over {reference}", "by fold", "p (Holm)",
              "p of equivalence (Holm)", "verdict"]  # fmt: skip
    lines = [_line(row) for row in rows]
    protocol = merge(map(protocol_of, records))
    data = kind_of(records[0]["data"]).removesuffix(f", {protocol.kind}")
    return f"{data}; {protocol}\n\n{markdown_table(header, lines)}"


def name_of(record: Mapping[str, Any]) -> str:
    """A record's row."""
    body, by = record["config"]["body"], record.get("normalized by")
    head = "" if body == "derived" else f", {body} head"
    return record["method"] + head + (f", normalised by {by}" if by else "")


def _group(records: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Records by row; they have to be of one data set and of the same settings."""
    if not records:
        raise ValueError("records: there are none. Train: python -m piumar_lib.ma52 sweep --help")
    data = {kind_of(r["data"]) + _content(r) for r in records}
    if len(data) > 1:
        raise ValueError(f"records: of {len(data)} data sets ({'; '.join(sorted(data))}). Show one.")
    _require_same(records, "the records", {*FREE, *OF_ROW, "seed"})
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        rows.setdefault(name_of(record), []).append(record)
    for name, own in rows.items():
        _require_same(own, name, {*FREE, "seed"})
    return rows


def _content(record: Mapping[str, Any]) -> str:
    """What is read by all folds, in eight digits each."""
    return "".join(f", {k} {v[:8]}" for k, v in sorted(record["content"].items()) if k != "split")


def _require_same(records: Records, name: str, free: set[str]) -> None:
    """Raise if records differ in settings that must be equal."""
    configs = [record["config"] for record in records]
    settings = sorted(set.intersection(*map(set, configs)) - free)
    other = [s for s in settings if any(config[s] != configs[0][s] for config in configs)]
    if other:
        values = {str(config[other[0]]) for config in configs}
        raise ValueError(
            f"records: {name} differ in {', '.join(other)} ({' and '.join(sorted(values))}). "
            "Choose those of one setting."
        )


def _differ(own: Records, reference: Records) -> tuple[Difference, tuple[float, ...]] | None:
    """The difference over the people of folds that both have, and of each fold; None without any."""
    scores: list[float] = []
    base: list[float] = []
    by_fold: list[float] = []
    for fold in sorted({r["fold"] for r in own} & {r["fold"] for r in reference}):
        mine, its = (accuracy_of_people(r for r in rs if r["fold"] == fold) for rs in (own, reference))
        scores += mine.values()
        base += [its[person] for person in mine]
        by_fold.append(float(np.mean([mine[person] - its[person] for person in mine])))
    if not scores:
        return None
    return statistics.paired(np.array(scores), np.array(base)), tuple(by_fold)


def _summarize(
    name: str,
    own: Records,
    found: tuple[Difference | None, tuple[float, ...]],
    p_values: tuple[float, float],
) -> Row:
    held_out = [record["held out"] for record in own]
    return Row(
        name,
        tuple(sorted({record["fold"] for record in own})),
        metrics.summarize([*accuracy_of_people(own).values()]),
        float(np.mean([own["scores"]["action F1 macro"] for own in held_out])),
        majority_over_people(held_out),
        *found,
        *p_values,
    )


def _line(row: Row) -> list[object]:
    a, d = row.accuracy, row.difference
    return [
        row.name, len(row.folds), a.people, f"{100 * a.mean:.1f} {metrics.interval(a.low, a.high)}",
        100 * a.worst_quarter, 100 * row.majority, 100 * row.macro_f1, points(d),
        ", ".join(map(signed, row.by_fold)), *([in_words(row.p), in_words(row.equivalence_p)] if d
                                               else ["", ""]), row.verdict,
    ]  # fmt: skip
