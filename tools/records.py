"""The page of records: all trainings of the evidence, and the tables that chapter 09 leaves out.

    python -m tools records --out build/records.md

Its numbers come from the records in ``notebooks/results/study/`` alone. In a table of
them, a row is a record, with the columns that its JSON line has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from piumar_lib import metrics
from piumar_lib.data.actions import teaching_actions
from piumar_lib.data.people.catalog import CATALOG, LABELS
from piumar_lib.data.spar import EXERCISES
from piumar_lib.evidence import contrasts, development, person_gain, person_probe, statistics
from piumar_lib.evidence.folds import form_of
from piumar_lib.evidence.methods import FIXED
from piumar_lib.evidence.protocol import FORMS, OTHERS, PLANNED, SETS, data_of, records_path
from piumar_lib.evidence.published import PUBLISHED
from piumar_lib.evidence.records import ROOT, STUDY, read_records
from piumar_lib.evidence.wording import listed, signed
from piumar_lib.notebook.figure import markdown_table
from piumar_lib.support.files import write_text
from tools.chapters import to_slug
from tools.templates import render

FOLDER = STUDY.relative_to(ROOT)
REFERENCE = "augmentation"
METHODS = (*PLANNED, *OTHERS)
Difference = statistics.Difference | statistics.Pooled
CLASSES = {name: one.classes for name, one in CATALOG.items()} | {
    "spar": len(EXERCISES),
    "synthetic": len(teaching_actions()),
}
DATA = {data_of(name, form): name for name, form in product(SETS, FORMS)}
TITLES = {data: f"{LABELS[name]}, {form_of(data)}" for data, name in DATA.items()}
USUAL_MODEL = {name: FIXED[name] for name in ("backbone", "width")}
USUAL = tuple(USUAL_MODEL.values())
PROBED_DATA = [data_of(name, form) for form in FORMS for name in CATALOG]
OPTIONAL = ["seconds", "content", "device", "commit", "failed", "selection"]  # not in every record
COMPARED = ("augmentation", "TFAM + augmentation")  # beside what others published


def write_page(root: Path, out: Path) -> None:
    """Write the page to a file, and say so."""
    write_text(out, records_page(root))
    print(f"records: {out}")


def records_page(root: Path) -> str:
    """Return the page as Markdown, its links relative to ``notebooks/``.

    Raises:
        ValueError: If a file of records is damaged, or holds a training twice.
    """
    folder = root / FOLDER
    every = {title: _read(records_path(data, folder), data) for data, title in TITLES.items()}
    parts = {title: part for title, part in every.items() if len(part)}
    probed = _read(folder / person_probe.FILE)
    return render(
        "records.md.j2",
        overview=overview(parts) if parts else "",
        missing=[title for title in every if title not in parts],
        contrasts=planned_contrasts(folder),
        literature=literature(folder),
        search=origin(_read(folder / "search.jsonl")),
        parts={title: [origin(part), *_models(part)] for title, part in parts.items()},
        normalization=_normalization(_read(folder / person_gain.FILE)),
        probe=[origin(probed), *([probe(probed)] if len(probed) else [])],
        attempts=attempt_tables(development.read_log(folder.parent / development.LOG.name)),
        benchmarks=benchmark_tables(read_records(folder.parent / "benchmarks.jsonl")),
    )


def planned_contrasts(folder: Path) -> Iterator[str]:
    """Yield a table on all real people, and one on those who were not used in development."""
    for pool in ("real people", "new people"):
        try:
            rows = contrasts.table(contrasts.compute(contrasts.POOLS[pool], folder=folder))
        except (FileNotFoundError, ValueError):  # a method is missing on some data set
            yield f"On {pool}: not run in full."
            continue
        yield markdown_table(list(rows[0]), [list(row.values()) for row in rows])


def literature(folder: Path) -> str:
    """A line for each published figure, with ours at one length beside it, where there are records."""
    rows, known = [], False
    for one in PUBLISHED:
        data = data_of(one.data, "one length")
        records = [r for r in read_records(records_path(data, folder)) if r["data"] == data]
        records = [r for r in records if r["hyperparameters"].items() >= USUAL_MODEL.items()]
        trained = {r["method"] for r in records}
        known |= bool(trained)
        ours = [
            metrics.percent(float(np.mean([*contrasts.scores(records, method).values()])))
            if method in trained
            else "not run"
            for method in COMPARED
        ]
        rows.append(
            [LABELS[one.data], one.method, f"{one.accuracy:.1f}", *ours, one.held_out, one.source]
        )
    header = ["data set", "published method", "published", *COMPARED, "held out by others", "source"]
    return markdown_table(header, rows) if known else "Not run."


def attempt_tables(log: dict[str, list[dict]]) -> Iterator[str]:
    """Yield the gains of each attempt over its reference, and over its control."""
    beaten = {"against": "the method that each attempt has to beat", "control": "its control"}
    for over, words in beaten.items() if log else ():
        table = markdown_table(["attempt", *development.POOLS], development.rows(log, over))
        yield f"Over {words}:\n\n{table}"


def benchmark_tables(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a table for each device: what was measured, against which goal, and the result."""
    header = ["what, against what", "goal", "measured", "verdict", "note"]
    for device in dict.fromkeys(record["device"] for record in records):
        mine = [_benchmark(record) for record in records if record["device"] == device]
        yield f"{device}:\n\n{markdown_table(header, mine)}"


def _benchmark(record: dict[str, Any]) -> list[str]:
    limit = "at most" if record["at_most"] else "at least"
    goal = "" if record["goal"] is None else f"{limit} {record['goal']:g}"
    measured = "" if record["ratio"] is None else f"{record['ratio']:.3g} {record['unit']}"
    return [record["what"], goal, measured, record["verdict"] or "", record["note"]]


def _read(path: Path, data: str = "") -> pd.DataFrame:
    """The records of a file, of one data set if it is named."""
    records = [r for r in read_records(path) if data in ("", r["data"])]
    frame = pd.DataFrame(records)
    return frame.reindex(columns=[*dict.fromkeys([*frame, *OPTIONAL])])


def origin(records: pd.DataFrame) -> str:
    """How many trainings, in what time, of what content, where and at which commits; or "Not run."."""
    if records.empty:
        return "Not run."
    columns = ("content", "device", "commit")
    content, device, commit = (" and ".join(sorted(records[c].dropna().unique())) for c in columns)
    words = [f"{len(records)} trainings"]
    if records.seconds.any():
        words.append(f"{records.seconds.sum() / 3600:.1f} hours of one core")
    if records.data.nunique() == 1:
        words.append(f"digest of the data: {content}" if content else "data that come with the course")
    return "; ".join([*words, f"device: {device}", f"commits: {commit}."])


def overview(parts: dict[str, pd.DataFrame]) -> str:
    """A line for each data set in each form."""
    rows = []
    for title, part in parts.items():
        clips = by_person(part).groupby("person").clips.last()
        classes = CLASSES[DATA[part.data[0]]]
        link, hours = f"[{title}](#{to_slug(title)})", part.seconds.sum() / 3600
        rows.append([link, len(clips), classes, clips.sum(), len(part), part.failed.count(), hours])
    header = ["data set, form", "people", "classes", "clips", "trainings", "failed", "hours of one core"]
    return markdown_table(header, rows)


def by_person(records: pd.DataFrame) -> pd.DataFrame:
    """A row for each training and each unseen person it was evaluated on; ``share`` is the accuracy."""
    rows = [
        (r.method, r.fold, r.seed, person, right / clips, clips)
        for r in records.itertuples()
        for person, (right, clips) in r.people.items()
    ]
    return pd.DataFrame(rows, columns=["method", "fold", "seed", "person", "share", "clips"])


def _models(records: pd.DataFrame) -> Iterable[str]:
    """Two tables for each backbone and width, the usual ones first."""
    models = records.hyperparameters.map(lambda own: (own["backbone"], own["width"]))
    for model in sorted(set(models), key=lambda m: (m != USUAL, m)):
        own = records[models == model]
        yield "### Backbone {}, width {}".format(*model)
        yield methods(own)
        if model == USUAL and (missing := [m for m in METHODS if m not in set(own.method)]):
            yield f"Not run: {listed(missing)}."
        yield _folded("Hyperparameters", *hyperparameters(own))


def _folded(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table behind its title, as HTML: Sphinx takes longer over a large one than over a chapter."""
    table = pd.DataFrame(rows, columns=header).to_html(
        index=False, border=0, justify="left", classes="table"
    )
    return f'<details><summary>{title}</summary>\n<div class="scroll">\n{table}\n</div>\n</details>'


def by_method(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Records of each method: first those of the study, in its order, then any others."""
    found = dict(iter(records.groupby("method")))
    return {method: found[method] for method in dict.fromkeys([*METHODS, *found]) if method in found}


def methods(records: pd.DataFrame) -> str:
    """A line for each method: accuracy on unseen people."""
    header = ["method", "accuracy", "worst person", f"over {REFERENCE}", "seeds",
              "standard deviation over seeds", "trainings", "failed"]  # fmt: skip
    judged, data_set = by_person(records), DATA[records.data.iloc[0]]
    people = judged.groupby(["method", "person"], sort=False).agg({"share": "mean", "fold": "last"})
    seeds = judged.groupby(["method", "seed"]).share.agg(["mean", "size"])
    of_method, rows = by_method(records), []
    for method, own in of_method.items():
        of_seed, accuracies = seeds.loc[method], people.loc[method]
        deviation = of_seed["mean"][of_seed["size"] == len(accuracies)].std()
        rows.append([
            method,
            _text(mean_accuracy(accuracies, data_set), metrics.percent),
            metrics.percent(accuracies.share.min()),
            _gain(method, of_method, data_set),
            len(of_seed),
            "" if math.isnan(deviation) else metrics.percent(deviation),
            len(own),
            own.failed.count(),
        ])  # fmt: skip
    return markdown_table(header, rows)


def mean_accuracy(people: pd.DataFrame, data_set: str) -> statistics.Difference:
    """Mean over people with its interval; synthetic populations are clusters above people."""
    if data_set == "synthetic":
        return statistics.clustered(people.share, people.fold)
    return statistics.paired(people.share, np.zeros(len(people)))


def _gain(method: str, of_method: dict[str, pd.DataFrame], data_set: str) -> str:
    """Gain of a method over the reference on the trainings that both have; "" if there are none."""
    if method == REFERENCE or REFERENCE not in of_method:
        return ""
    own, reference = of_method[method], of_method[REFERENCE]
    if own.merge(reference, on=["fold", "seed"]).empty:
        return ""
    both = {data_set: pd.concat([own, reference]).to_dict("records")}
    return _text(contrasts.compare(both, method, REFERENCE, partial=True))


def _text(found: Difference, write: Callable[[float], str] = signed) -> str:
    """``62.1 [58.0, 66.2]``; without an interval if there is none."""
    ends = "" if math.isnan(found.low) else f" {metrics.interval(found.low, found.high, write)}"
    return write(found.difference) + ends


def hyperparameters(records: pd.DataFrame) -> tuple[list[str], list[list[object]]]:
    """Header, and a line for each method: the hyperparameters chosen most often, and how."""
    rows: list[list[object]] = []
    for method, own in by_method(records).items():
        ((rule, _),) = Counter(own.selection.fillna("not said")).most_common(1)
        ((chosen, times),) = Counter(own.hyperparameters.map(_chosen)).most_common(1)
        rows.append([method, rule, chosen or "none", f"{times} of {len(own)}"])
    return ["method", "how chosen", "chosen most often", "trainings"], rows


def _chosen(own: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(own.items()) if name not in FIXED)


def _normalization(records: pd.DataFrame) -> Iterable[str]:
    """The default way with intervals, then all others without."""
    yield origin(records)
    if len(records):
        yield f"The default, {person_gain.DEFAULT}:"
        yield markdown_table(*gains(records, [person_gain.DEFAULT], _text))
        yield _folded("All ways", *gains(records, person_gain.WAYS, lambda c: signed(c.difference)))


def gains(
    records: pd.DataFrame, ways: Iterable[str], write: Callable[[Difference], str]
) -> tuple[list[str], list[list[object]]]:
    """Header, and a line for each way of normalising, by data set and number of classes shown."""
    of_data = {data: own.to_dict("records") for data, own in records.groupby("data")}
    rows: list[list[object]] = []
    for data, way, shown in product(TITLES, ways, person_gain.SHOWN):
        if own := of_data.get(data):
            found = [person_gain.gain(own, way, shown, n) for n in person_gain.CLIPS]
            rows.append([TITLES[data], way, shown or "all", *(write(g) if g else "" for g in found)])
    numbers = ["1 clip" if n == 1 else f"{n or 'all'} clips" for n in person_gain.CLIPS]
    return ["data set, form", "way", "classes shown", *numbers], rows


def probe(records: pd.DataFrame) -> str:
    """Mean over folds, lowest and highest fold of each method probed, by data set and form."""
    probes = records.pivot_table("probe", "data", "method", aggfunc=_range)
    probes = probes.reindex(index=PROBED_DATA, columns=person_probe.PROBED).dropna(how="all")
    rows = [[TITLES[data], *own] for data, own in probes.astype(object).fillna("").T.items()]
    return markdown_table(["data set, form", *probes], rows)


def _range(values: pd.Series) -> str:
    mean, low, high = (metrics.percent(v) for v in (values.mean(), values.min(), values.max()))
    return f"{mean} ({low} to {high})"
