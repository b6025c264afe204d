"""The page of records: what was trained for the evidence, and every table that chapter 09 leaves out.

    python -m tools records --out build/records.md

Its numbers come from the records in ``notebooks/results/study/`` alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from piumar_lib import metrics
from piumar_lib.data.actions import teaching_actions
from piumar_lib.data.people.catalogue import CATALOGUE
from piumar_lib.data.spar import EXERCISES
from piumar_lib.evidence import contrasts, person_gain, person_probe, statistics
from piumar_lib.evidence.methods import FIXED
from piumar_lib.evidence.person_gain import CLIPS
from piumar_lib.evidence.protocol import FORMS, OTHERS, PLANNED, SETS, data_of, form_of, records_path
from piumar_lib.evidence.records import ROOT, STUDY, read_records
from piumar_lib.evidence.wording import listed, signed
from piumar_lib.notebook.figure import markdown_table
from tools.chapters import to_slug

FOLDER = STUDY.relative_to(ROOT)
REFERENCE = "augmentation"
METHODS = (*PLANNED, *OTHERS)
CLASSES = {name: one.classes for name, one in CATALOGUE.items()} | {
    "spar": len(EXERCISES),
    "synthetic": len(teaching_actions()),
}
INTRODUCTION = """# Records of the study

Everything that was trained for [chapter 09](09_evidence.ipynb), computed from its records. Only that
chapter's planned contrasts were fixed beforehand: **all differences on this page are exploration**, and
none is corrected for how many there are.

Accuracy is in percent, differences are in points. The unit is the person: seeds are averaged first, then
people. Brackets hold 95 % t intervals over people; of synthetic people, over populations. There is none
for one person, or if all people are equal. A training that failed counts no clip as recognised. Methods
with fewer trainings may have been judged on fewer people; a difference is taken on what both have."""
NORMALIZATION = """## Person normalisation

What normalising an unseen person adds to the recogniser as it is, in points, by how many of the person's
clips the person is estimated from, and by how many classes the person shows."""
PROBE = """## Person probe

How well a linear classifier tells unseen people apart from the features, within classes: 0 is chance,
100 is no mistake. Mean over folds; in parentheses the lowest and the highest fold."""


@dataclass(frozen=True)
class Part:
    """The records of one data set in one form.

    Attributes:
        data_set: One of `piumar_lib.evidence.protocol.SETS`.
        data: What records call it.
        records: Of all methods, backbones and widths.
    """

    data_set: str
    data: str
    records: list[dict]

    @property
    def title(self) -> str:
        """Data set and form in words."""
        return f"{self.data_set}, {form_of(self.data)}"


def records_page(root: Path) -> str:
    """Return the page as Markdown, its links relative to ``notebooks/``.

    Args:
        root: Repository root.

    Raises:
        ValueError: If a file of records is damaged, or holds a training twice.
    """
    folder = root / FOLDER
    parts = read_parts(folder)
    there = [part for part in parts if part.records]
    missing = [f'"{part.title}"' for part in parts if not part.records]
    pieces = [INTRODUCTION, "## What was trained"]
    pieces += [_overview(there)] if there else []
    pieces += [f"Not run: {', '.join(missing)}."] if missing else []
    pieces += ["## Search of hyperparameters", _origin(read_records(folder / "search.jsonl"))]
    pieces += [piece for part in there for piece in _section(part)]
    pieces += _normalization(parts, read_records(folder / person_gain.FILE))
    pieces += _probe(read_records(folder / person_probe.FILE))
    return "\n\n".join(pieces) + "\n"


def read_parts(folder: Path) -> list[Part]:
    """Every data set in every form, those without records as well."""
    sets = {data_of(name, form): name for name, form in product(SETS, FORMS)}
    return [
        Part(name, data, [r for r in read_records(records_path(data, folder)) if r["data"] == data])
        for data, name in sets.items()
    ]


# Numbers


def by_person(records: Iterable[dict]) -> dict[str, float]:
    """Accuracy of each unseen person, averaged over the trainings that judged this person."""
    shares: dict[str, list[float]] = {}
    for record in records:
        for person, (right, clips) in record["people"].items():
            shares.setdefault(person, []).append(right / clips)
    return {person: float(np.mean(values)) for person, values in shares.items()}


def mean_accuracy(records: list[dict], data_set: str) -> statistics.Difference:
    """Mean over people with its interval; synthetic populations are clusters above people."""
    own = by_person(records)
    values = np.array([*own.values()])  # (people,)
    if data_set == "synthetic":
        population = {person: r["fold"] for r in records for person in r["people"]}
        return statistics.clustered(values, np.array([population[person] for person in own]))
    return statistics.paired(values, np.zeros_like(values))


def deviation_over_seeds(records: list[dict]) -> float:
    """Standard deviation of mean accuracy over the seeds that judged everyone; nan if fewer than two."""
    everyone = by_person(records).keys()
    of_seed = [by_person(r for r in records if r["seed"] == s) for s in {r["seed"] for r in records}]
    means = [np.mean([*own.values()]) for own in of_seed if own.keys() == everyone]
    return float(np.std(means, ddof=1)) if len(means) > 1 else math.nan


# In words


def _with_interval(
    found: statistics.Difference | statistics.Pooled, write: Callable[[float], str]
) -> str:
    """``62.1 [58.0, 66.2]``; without an interval if there is none."""
    ends = "" if math.isnan(found.low) else f" {metrics.interval(found.low, found.high, write)}"
    return write(found.difference) + ends


def _origin(records: list[dict]) -> str:
    """How many trainings, in what time, of what content, where and at which commits; or "Not run."."""
    if not records:
        return "Not run."

    def every(name: str) -> str:
        return " and ".join(sorted({r[name] for r in records if name in r}))

    words = [f"{len(records)} trainings"]
    if any("seconds" in r for r in records):
        words.append(f"{_hours(records):.1f} hours of one core")
    if len({r["data"] for r in records}) == 1:
        content = every("content")
        words.append(f"digest of the data: {content}" if content else "data that come with the course")
    return "; ".join([*words, f"device: {every('device')}", f"commits: {every('commit')}."])


def _hours(records: list[dict]) -> float:
    return sum(r.get("seconds", 0.0) for r in records) / 3600


# Tables


def _overview(parts: list[Part]) -> str:
    header = ["data set, form", "people", "classes", "clips", "trainings", "failed", "hours of one core"]
    rows = []
    for part in parts:
        clips = {person: n for r in part.records for person, (_, n) in r["people"].items()}
        rows.append([
            f"[{part.title}](#{to_slug(part.title)})", len(clips), CLASSES[part.data_set],
            sum(clips.values()), len(part.records), _failed(part.records), _hours(part.records),
        ])  # fmt: skip
    return markdown_table(header, rows)


def _failed(records: list[dict]) -> int:
    return sum("failed" in r for r in records)


def _section(part: Part) -> Iterable[str]:
    """A data set in one form: where its records come from; two tables for each backbone and width."""
    yield f"## {part.title}"
    yield _origin(part.records)
    usual = (FIXED["backbone"], FIXED["width"])
    for model in sorted({_model(r) for r in part.records}, key=lambda m: (m != usual, m)):
        records = _by_method(r for r in part.records if _model(r) == model)
        yield f"### Backbone {model[0]}, width {model[1]}"
        yield _methods(part.data_set, records)
        if model == usual and (missing := [m for m in METHODS if m not in records]):
            yield f"Not run: {listed(missing)}."
        yield "<details><summary>Hyperparameters</summary>"
        yield _hyperparameters(records)
        yield "</details>"


def _by_method(records: Iterable[dict]) -> dict[str, list[dict]]:
    """Records of each method: first those of the study, in its order, then any others."""
    found: dict[str, list[dict]] = {method: [] for method in METHODS}
    for record in records:
        found.setdefault(record["method"], []).append(record)
    return {method: own for method, own in found.items() if own}


def _model(record: dict) -> tuple[str, int]:
    return record["hyperparameters"]["backbone"], record["hyperparameters"]["width"]


def _methods(data_set: str, records: dict[str, list[dict]]) -> str:
    header = ["method", "accuracy", "worst person", f"over {REFERENCE}", "seeds",
              "standard deviation over seeds", "trainings", "failed"]  # fmt: skip
    rows = []
    for method, own in records.items():
        deviation = deviation_over_seeds(own)
        rows.append([
            method,
            _with_interval(mean_accuracy(own, data_set), metrics.percent),
            metrics.percent(min(by_person(own).values())),
            _gain(data_set, method, own, records.get(REFERENCE, [])),
            len({r["seed"] for r in own}),
            "" if math.isnan(deviation) else metrics.percent(deviation),
            len(own),
            _failed(own),
        ])  # fmt: skip
    return markdown_table(header, rows)


def _gain(data_set: str, method: str, own: list[dict], reference: list[dict]) -> str:
    """What a method adds to the reference on the trainings that both have; "" if there are none."""
    common = {(r["fold"], r["seed"]) for r in own} & {(r["fold"], r["seed"]) for r in reference}
    if method == REFERENCE or not common:
        return ""
    return _with_interval(contrasts.compare({data_set: own + reference}, method, REFERENCE), signed)


def _hyperparameters(records: dict[str, list[dict]]) -> str:
    rows = []
    for method, own in records.items():
        ((rule, _),) = Counter(r.get("selection", "not said") for r in own).most_common(1)
        ((chosen, times),) = Counter(_chosen(r) for r in own).most_common(1)
        rows.append([method, rule, chosen or "none", f"{times} of {len(own)}"])
    return markdown_table(["method", "how chosen", "chosen most often", "trainings"], rows)


def _chosen(record: dict) -> str:
    own = sorted(record["hyperparameters"].items())
    return ", ".join(f"{name} {value:g}" for name, value in own if name not in FIXED)


def _normalization(parts: list[Part], records: list[dict]) -> Iterable[str]:
    """The default way with intervals, then all others without."""
    yield NORMALIZATION
    yield _origin(records)
    if records:
        yield f"The default, {person_gain.DEFAULT}:"
        yield _ways(parts, records, [person_gain.DEFAULT], lambda c: _with_interval(c, signed))
        yield "<details><summary>All ways</summary>"
        yield _ways(parts, records, person_gain.WAYS, lambda c: signed(c.difference))
        yield "</details>"


def _ways(
    parts: list[Part],
    records: list[dict],
    ways: Iterable[str],
    write: Callable[[statistics.Difference], str],
) -> str:
    numbers = ["1 clip" if n == 1 else f"{n or 'all'} clips" for n in CLIPS]
    rows = []
    for part, way, shown in product(parts, ways, person_gain.SHOWN):
        if own := [r for r in records if r["data"] == part.data]:
            gains = [person_gain.gain(own, way, shown, n) for n in CLIPS]
            rows.append([part.title, way, shown or "all", *(write(g) if g else "" for g in gains)])
    return markdown_table(["data set, form", "way", "classes shown", *numbers], rows)


def _probe(records: list[dict]) -> Iterable[str]:
    yield PROBE
    yield _origin(records)
    rows = []
    for form in FORMS:
        found = {m: person_probe.scores(records, form, m) for m in person_probe.PROBED}
        for name in CATALOGUE:
            cells = [_range(found[m].get(name)) for m in person_probe.PROBED]
            if any(cells):
                rows.append([f"{name}, {form}", *cells])
    if rows:
        yield markdown_table(["data set, form", *person_probe.PROBED], rows)


def _range(values: np.ndarray | None) -> str:
    """Mean, lowest and highest of ``(folds,)``; "" if there are none."""
    if values is None:
        return ""
    mean, low, high = (metrics.percent(v) for v in (values.mean(), values.min(), values.max()))
    return f"{mean} ({low} to {high})"
