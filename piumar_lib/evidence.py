"""What the course's claims rest on: which experiments, their tables, and one command to make them.

    python -m piumar_lib.evidence --data spar-repetitions --workers 2

First hyperparameters are chosen for every method with the same budget, on training people held out
(`piumar_lib.folds.search_people`); then every fold is trained with every method and five seeds. All
records are kept under ``notebooks/results/``; a run can be killed and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from piumar_lib import folds, metrics
from piumar_lib.command import at_least, command_line, path
from piumar_lib.data.own import is_npz
from piumar_lib.experiments import ROOT, Experiment, experiment, read_records, run_all
from piumar_lib.files import as_path
from piumar_lib.methods import METHODS, Knobs, draw, knobs_of

RESULTS = ROOT / "notebooks" / "results"
SEEDS = 5
BUDGET = 6  # sets of hyperparameters that are tried for each method, the defaults among them
# Beside the main two: judged on the most telling methods only, with hyperparameters searched there.
WORLDS = {
    "spar-windows": "spar-repetitions",
    "spar-own-tempo": "spar-repetitions",
    "synthetic-52": "synthetic",
    "synthetic-comotion": "synthetic",
}
TELLING = (
    "ERM", "augmentation", "MixStyle", "DSU", "CORAL", "GroupDRO", "HDF", "temporal", "frequency",
    "TFAM", "GIRL", "PIUmr", "TFAM + augmentation", "PIUmr + augmentation", "reclock + augmentation",
    "uniform mass", "random groups", "oracle groups",
)  # fmt: skip


def methods_of(data: str) -> list[str]:
    """The methods that a data set is judged on; archived ones have their records, or none."""
    names = [name for name, m in METHODS.items() if m.kind != "attempt" and not m.archived]
    return [n for n in names if n in TELLING] if data.partition(":")[0] in WORLDS else names


def searched_on(data: str) -> str:
    """The data set on which hyperparameters for ``data`` are searched: mostly itself."""
    name = data if is_npz(data) else data.partition(":")[0]
    return WORLDS.get(name, name)


def search_plan(data: str, methods: Iterable[str], budget: int = BUDGET) -> list[Experiment]:
    """The experiments that hyperparameters are chosen from, one seed each."""
    searched = dict.fromkeys(METHODS[m].like or m for m in methods)
    return [
        experiment(data, method, fold, 0, draw(method, number), search=True)
        for number in range(budget)
        for fold in folds.search_folds(data)
        for method in searched
    ]


def choose(records: list[dict], data: str, method: str, fold: int) -> Knobs:
    """The hyperparameters with which a method was best on people that may be looked at.

    Args:
        records: Of `search_plan`.
        data, method: Whose.
        fold: The fold that they are chosen for; its unseen people are not looked at.

    Returns:
        All of them; the earlier ones if several are equally good; empty if nothing was searched.
    """
    searched, allowed = METHODS[method].like or method, folds.search_people(data, fold)
    scores: dict[tuple, list[float]] = {}
    for record in records:
        if (record["data"], record["method"], record["search"]) == (data, searched, True):
            seen = allowed.get(record["fold"], set())
            scores.setdefault(tuple(sorted(record["knobs"].items())), []).extend(
                right / clips for p, (right, clips) in record["people"].items() if p in seen
            )
    means = {knobs: np.mean(values) for knobs, values in scores.items() if values}
    return dict(max(means, key=means.get)) if means else {}


def final_plan(
    data: str, methods: Iterable[str], searched: list[dict], seeds: int = SEEDS
) -> list[Experiment]:
    """Every fold under every method with its chosen hyperparameters, seed by seed.

    Data sets like ``synthetic-52`` take over what was chosen on ``synthetic``.
    """
    source = searched_on(data)
    methods = list(methods)
    chosen = {(m, f): choose(searched, source, m, f) for m in methods for f in folds.folds(data)}
    return [
        experiment(data, method, fold, seed, chosen[method, fold])
        for seed in range(seeds)
        for fold in folds.folds(data)
        for method in methods
    ]


def records_path(data: str, part: str = "", folder: Path = RESULTS) -> Path:
    """Where records are kept; ``part`` is ``"search"`` for those of the search."""
    return as_path(folder) / "-".join(filter(None, (part, f"{Path(data).stem}.jsonl")))


def make(
    data: str,
    methods: Iterable[str] | None = None,
    seeds: int = SEEDS,
    budget: int = BUDGET,
    workers: int = 1,
    folder: Path = RESULTS,
    progress: bool = True,
    scheduler: str = "",
) -> list[dict]:
    """Search, then train and judge whatever is missing; return the records of the table.

    Args:
        data: See `piumar_lib.folds.load_fold`.
        methods: Names; by default `methods_of` the data.
        seeds: Initialisations of each fold.
        budget: Sets of hyperparameters to try; 0 keeps the defaults.
        workers: Processes.
        folder: Where records are kept.
        progress: Show progress bars.
        scheduler: See `piumar_lib.experiments.run_all`.
    """
    data, _ = folds.identify(data)
    methods = list(methods or methods_of(data))
    source = searched_on(data)
    search = search_plan(source, methods, budget)
    given = {"workers": workers, "progress": progress, "scheduler": scheduler}
    searched = run_all(search, records_path(source, "search", folder), **given)
    plan = final_plan(data, methods, searched, seeds)
    return run_all(plan, records_path(data, folder=folder), **given)


def committed(data: str, folder: Path = RESULTS) -> list[dict]:
    """The records of a data set's table that are there, in the order of `METHODS`.

    Raises:
        FileNotFoundError: If there are none; of a reader's file, none of what it holds now.
        ValueError: If they are of several searches, so that hyperparameters would be mixed; or of a
            reader's file without what was in it.
    """
    data, content = folds.identify(data)
    path = records_path(data, folder=folder)
    there = read_records(path)
    if content:
        records = [r | {"data": data} for r in there if r.get("content") == content]
    else:
        records = [r for r in there if r["data"] == data]
    if not records:
        of = f" of what {data} holds now" if there and content else ""
        raise FileNotFoundError(
            f"{path}: no records{of}. Make them: python -m piumar_lib.evidence --data {data}"
        )
    trained = Counter((r["method"], r["fold"], r["seed"]) for r in records)
    if mixed := sorted({method for (method, *_), times in trained.items() if times > 1}):
        raise ValueError(
            f"{path}: {', '.join(mixed)} with several hyperparameters for one fold and seed. "
            "Remove the records of the search that does not count."
        )
    order = {name: k for k, name in enumerate(METHODS)}
    return sorted(records, key=lambda r: (order[r["method"]], r["seed"], r["fold"]))


def judged_on_everybody(records: list[dict]) -> list[dict]:
    """Leave out methods that some people have not been judged under, as while a run goes on."""
    people: dict[str, set[str]] = {}
    for record in records:
        people.setdefault(record["method"], set()).update(record["people"])
    everyone = set().union(*people.values())
    return [record for record in records if people[record["method"]] == everyone]


def scores_by_person(records: Iterable[dict], method: str) -> dict[str, float]:
    """Accuracy of each unseen person under a method, in [0, 1], averaged over seeds."""
    shares: dict[str, list[float]] = {}
    for record in records:
        if record["method"] == method:
            for person, (right, clips) in record["people"].items():
                shares.setdefault(person, []).append(right / clips)
    return {person: float(np.mean(values)) for person, values in sorted(shares.items())}


@dataclass(frozen=True)
class Row:
    """One method's line of a table; accuracies in [0, 1], people as the unit of statistics.

    Attributes:
        method: Its name.
        summary: Mean, interval, worst quarter and worst person over people; nan if every training
            failed. A single one that failed counts as no clip recognised.
        gain: Paired difference to ERM over the same people; None for ERM itself.
        p_holm: Its p value, corrected for all methods of the table.
        against_best: Paired difference to the best baseline; None for that one.
        p_holm_best: Its p value, corrected for all methods of the table.
        seed_deviation: Standard deviation of the mean accuracy over seeds (nan for one seed).
        failed: How many trainings failed, and why the first did; "" if none.
    """

    method: str
    summary: metrics.Summary
    gain: metrics.Comparison | None
    p_holm: float
    against_best: metrics.Comparison | None
    p_holm_best: float
    seed_deviation: float
    failed: str = ""


def summarise(records: list[dict], baseline: str = "ERM") -> list[Row]:
    """Make the table of one data set's records; methods in the order in which they first occur.

    Raises:
        ValueError: If the records are of several data sets, or a method lacks some people.
    """
    if len({record["data"] for record in records}) != 1:
        raise ValueError("records: of none or several data sets. Summarise one data set at a time.")
    names = list(dict.fromkeys(record["method"] for record in records))
    scores = {name: scores_by_person(records, name) for name in names}
    everyone = sorted(set().union(*scores.values()))
    for name in names:
        if len(scores[name]) < len(everyone):
            raise ValueError(f"records: {name} was not judged on all people. Run the rest first.")
    of = {name: [record for record in records if record["method"] == name] for name in names}
    values = {
        name: np.array([scores[name][p] for p in everyone])
        for name in names
        if not all(record.get("failed") for record in of[name])
    }
    best = strongest_baseline({name: float(v.mean()) for name, v in values.items()})
    gains, p_gains = _compare_all(values, baseline)
    others, p_others = _compare_all(values, best)
    nothing = np.full(len(everyone), np.nan)
    return [
        Row(
            name,
            metrics.summarise(values.get(name, nothing)),
            gains.get(name),
            p_gains.get(name, float("nan")),
            others.get(name),
            p_others.get(name, float("nan")),
            seed_deviation(of[name]) if name in values else float("nan"),
            failures(of[name]),
        )
        for name in names
    ]


def failures(records: list[dict]) -> str:
    """How many trainings failed, and why the first did; "" if none."""
    reasons = [record["failed"] for record in records if record.get("failed")]
    return f"{len(reasons)} of {len(records)} trainings failed: {reasons[0]}" if reasons else ""


def strongest_baseline(means: dict[str, float]) -> str:
    """The baseline with the highest mean; "" if there is none."""
    found = [n for n in means if METHODS[n].kind == "baseline" and not np.isnan(means[n])]
    return max(found, key=means.get) if found else ""


def seed_deviation(records: list[dict]) -> float:
    """Standard deviation over seeds of the accuracy over all clips; nan for fewer than two seeds.

    Only seeds that were run on every fold count: others would mix folds with seeds.
    """
    everything = {record["fold"] for record in records}
    means = []
    for seed in sorted({record["seed"] for record in records}):
        chosen = [record for record in records if record["seed"] == seed]
        if {record["fold"] for record in chosen} == everything:
            means.append(np.mean([c / n for r in chosen for c, n in r["people"].values()]))
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _compare_all(
    values: dict[str, np.ndarray], reference: str
) -> tuple[dict[str, metrics.Comparison], dict[str, float]]:
    """Every method against one of them, and the p values after Holm's correction."""
    if reference not in values:
        return {}, {}
    found = {n: metrics.compare(v, values[reference]) for n, v in values.items() if n != reference}
    corrected = metrics.holm([c.p for c in found.values()]) if found else []
    return found, {n: float(p) for n, p in zip(found, corrected, strict=True)}


def hyperparameter_table() -> list[tuple[str, str, str, str, str]]:
    """Method, knob, default, values searched, source: a line for each, the common ones first."""

    def lines(method: str, knobs: dict) -> list[tuple[str, str, str, str, str]]:
        return [
            (method, name, f"{k.default:g}", ", ".join(f"{v:g}" for v in k.values), k.source)
            for name, k in knobs.items()
        ]

    shown = {n: m for n, m in METHODS.items() if m.kind in ("baseline", "ours")}
    common = list(knobs_of("ERM"))
    own = [
        line
        for name, m in shown.items()
        for line in lines(name, {k: v for k, v in m.knobs.items() if k not in common})
    ]
    return lines("all", knobs_of("ERM")) + own


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    from piumar_lib import studies

    parser = argparse.ArgumentParser(prog="python -m piumar_lib.evidence", description=__doc__)
    parser.add_argument("--data", default="spar-repetitions", help="a data set's name, or an .npz")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=at_least(1), default=SEEDS, help="initialisations of each fold")
    parser.add_argument(
        "--budget", type=at_least(0), default=BUDGET, help="hyperparameters tried; 0: defaults"
    )
    parser.add_argument("--study", choices=list(studies.STUDIES), help="instead of the comparison")
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, whose workers do the work")
    parser.add_argument("--out", type=path, default=RESULTS, help="folder of the records")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    options = parser.parse_args(arguments)
    try:
        _carry_out(options)
    except KeyboardInterrupt as stop:
        words = "stopped. What was done is kept; the same command goes on."
        raise KeyboardInterrupt(words) from stop


def _carry_out(options: argparse.Namespace) -> None:
    from piumar_lib import studies

    if options.study:
        path = options.out / f"{options.study}.jsonl"
        run_all(studies.STUDIES[options.study](), path, options.workers, scheduler=options.scheduler)
        print(f"records: {path}")
        return
    if options.table:
        records = judged_on_everybody(committed(options.data, options.out))
    else:
        folds.folds(options.data)  # says what is wrong with the data now, not after a search
        records = make(
            options.data,
            options.methods,
            options.seeds,
            options.budget,
            options.workers,
            options.out,
            scheduler=options.scheduler,
        )
    print_table(records)
    print(f"records: {records_path(options.data, folder=options.out)}")


def print_table(records: list[dict], write: Callable[[str], None] = print) -> None:
    """Print a data set's table, one method a line, in percent."""
    for row in summarise(records):
        s, g = row.summary, row.gain
        if np.isnan(s.mean):
            write(f"{row.method:26s} {row.failed}")
            continue
        gain = f" gain {100 * g.difference:+5.1f}, p {row.p_holm:.3f}" if g else ""
        gain += f"; {row.failed}" if row.failed else ""
        write(
            f"{row.method:26s} {100 * s.mean:5.1f} {metrics.interval(s.low, s.high)} "
            f"worst quarter {100 * s.worst_quarter:5.1f}, worst {100 * s.worst:5.1f}{gain}"
        )


if __name__ == "__main__":
    sys.exit(main())
