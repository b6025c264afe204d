"""Tables of evidence, and what they establish, in words.

A *family* is a set of comparisons that answer one question; Holm's correction is within a family.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from piumar_lib import metrics
from piumar_lib.course.figure import show_table
from piumar_lib.metrics import Comparison

if TYPE_CHECKING:
    from piumar_lib.evidence import Row
    from piumar_lib.experiments import Experiment
    from piumar_lib.methods import Knobs
    from piumar_lib.studies import Attempt

COMPARED = ("baseline", "ours")  # kinds of methods in a data set's table; the others have parents


@dataclass(frozen=True)
class Judged:
    """A paired difference, and its p value corrected within its family."""

    comparison: Comparison
    p: float

    @property
    def verdict(self) -> str:
        """What it establishes: "a gain", "a loss", or that it does not."""
        return metrics.verdict(self.comparison, self.p)


# Differences in words


def signed(value: float) -> str:
    """A share as signed points with one digit; never ``-0.0``."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def points(c: Comparison | None) -> str:
    """A difference with its interval, in points: ``+2.6 [+0.7, +4.5]``; "" if there is none."""
    return "" if c is None else f"{signed(c.difference)} {metrics.interval(c.low, c.high, signed)}"


def p_value(c: Comparison | None, corrected: float) -> str:
    """A corrected p value; "" if there is none."""
    return "" if c is None else "< 0.001" if corrected < 0.001 else f"{corrected:.3f}"


def listed(names: Iterable[str]) -> str:
    """``"a, b"``, or "nothing"; names that hold a comma are quoted."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names) or "nothing"


def established(rows: Sequence[Row], over: str = "ERM") -> str:
    """Say which methods are better or worse, at the 5 % level after Holm's correction.

    Args:
        rows: From `piumar_lib.evidence.summarise`.
        over: ``"ERM"``, or ``"best"`` for the strongest baseline.
    """
    judged = judged_rows(rows, over)
    reference = "ERM" if over == "ERM" else "the best baseline"
    better, worse = (
        listed(n for n, j in judged.items() if j.verdict == sign) for sign in ("a gain", "a loss")
    )
    return f"better than {reference}: {better}; worse: {worse}"


def verdicts(judged: Mapping[str, Judged]) -> str:
    """Say for a family what is better, what is worse, and what only an uncorrected interval says."""
    better, worse, rest = (
        [n for n, j in judged.items() if j.verdict == verdict]
        for verdict in ("a gain", "a loss", "not established in this run")
    )
    leads = listed(n for n in rest if _clear(judged[n]))
    return (
        f"better: {listed(better)}; worse: {listed(worse)}; not established: {len(rest)} of "
        f"{len(judged)} (uncorrected interval without zero: {leads})"
    )


def _clear(j: Judged) -> bool:
    return j.comparison.low > 0 or j.comparison.high < 0


# From records to judged differences


def so_far(records: list[dict]) -> tuple[list[dict], str]:
    """Keep the methods of a data set's table that every fold has judged, and say how many these are.

    While ERM is not that far, the folds are kept that all methods share.
    """
    from piumar_lib import evidence, folds

    data = records[0]["data"]
    wanted, everything = evidence.methods_of(data), set(folds.folds(data))
    done = {name: {r["fold"] for r in records if r["method"] == name} for name in wanted}
    whole = [name for name in wanted if done[name] >= everything]
    words = f"{len(whole)} of {len(wanted)} rows" + (" so far" if len(whole) < len(wanted) else "")
    if "ERM" in whole:
        return [r for r in records if r["method"] in whole], words
    shared = set.intersection(everything, *(found for found in done.values() if found))
    kept = [r for r in records if r["fold"] in shared]
    return kept, f"{words}; shown are {len(shared)} of {len(everything)} folds"


def comparison(records: list[dict]) -> list[Row]:
    """The table of baselines and ours; each kind is a family of its own. [] without records."""
    from piumar_lib import evidence
    from piumar_lib.methods import METHODS

    chosen = [r for r in records if METHODS[r["method"]].kind in COMPARED]
    return by_kind(evidence.summarise(chosen)) if chosen else []


def by_kind(rows: Sequence[Row]) -> list[Row]:
    """Correct the p values of a table anew, within each kind of method.

    "Does any of ours help?" is one question and "does any known remedy help?" another; with ten
    people one family of both could not establish anything.
    """
    from piumar_lib.methods import METHODS

    corrected = {row.method: {} for row in rows}
    for kind in dict.fromkeys(METHODS[row.method].kind for row in rows):
        for difference, field in (("gain", "p_holm"), ("against_best", "p_holm_best")):
            family = {r.method: getattr(r, difference) for r in rows if METHODS[r.method].kind == kind}
            family = {name: c for name, c in family.items() if c}
            for name, j in correct(family).items():
                corrected[name][field] = j.p
    return [dataclasses.replace(row, **corrected[row.method]) for row in rows]


def of_kind(rows: Sequence[Row], kind: str) -> list[Row]:
    """The rows of one kind of method."""
    from piumar_lib.methods import METHODS

    return [row for row in rows if METHODS[row.method].kind == kind]


def judged_rows(rows: Sequence[Row], over: str = "ERM") -> dict[str, Judged]:
    """Each row's difference to ERM, or to the best baseline; rows without one are left out."""
    found = {
        r.method: (r.gain, r.p_holm) if over == "ERM" else (r.against_best, r.p_holm_best) for r in rows
    }
    return {name: Judged(c, p) for name, (c, p) in found.items() if c}


def correct(family: Mapping[str, Comparison]) -> dict[str, Judged]:
    """Holm's correction within a family."""
    p_values = metrics.holm([c.p for c in family.values()]) if family else []
    return {n: Judged(c, float(p)) for (n, c), p in zip(family.items(), p_values, strict=True)}


def paired(scores: Mapping[str, float], reference: Mapping[str, float]) -> Comparison:
    """Compare two methods' scores by person.

    Raises:
        ValueError: If they do not score the same people.
    """
    if scores.keys() != reference.keys():
        raise ValueError(
            f"scores, reference: {len(scores)} and {len(reference)} people, who differ. "
            "Judge both on the same people."
        )
    people = sorted(scores)
    return metrics.compare(
        np.array([scores[p] for p in people]), np.array([reference[p] for p in people])
    )


def ablations(records: list[dict]) -> dict[str, dict[str, Judged]]:
    """Each ablation and control against its parent; the children of one parent are a family.

    Args:
        records: Of one data set's table.

    Returns:
        Parent to child to the paired difference, child minus parent.
    """
    from piumar_lib.evidence import scores_by_person
    from piumar_lib.methods import METHODS

    there = list(dict.fromkeys(r["method"] for r in records))
    children = [n for n in there if METHODS[n].kind in ("ablation", "control")]
    families: dict[str, dict[str, Comparison]] = {}
    for name in children:
        if METHODS[name].like in there:
            both = (scores_by_person(records, n) for n in (name, METHODS[name].like))
            families.setdefault(METHODS[name].like, {})[name] = paired(*both)
    return {parent: correct(family) for parent, family in families.items()}


def outcomes(attempts: Iterable[Attempt], records: Iterable[dict]) -> dict[str, Judged]:
    """What came of attempts, one family: question to difference; without those not finished."""
    from piumar_lib.evidence import scores_by_person

    there = {key_of(record): record for record in records}
    family = {}
    for attempt in attempts:
        tried, against = zip(*attempt.pairs(), strict=True)
        if all(e in there for e in (*tried, *against)):
            family[attempt.question] = paired(
                scores_by_person([there[e] for e in tried], attempt.method),
                scores_by_person([there[e] for e in against], attempt.against),
            )
    return correct(family)


def key_of(record: dict) -> Experiment:
    """The experiment that a record is of, exactly as it was, whatever the defaults are by now."""
    from piumar_lib.experiments import Experiment

    knobs = tuple(sorted(record["knobs"].items()))
    names = ("data", "method", "fold", "seed")
    content = record.get("content", "")
    return Experiment(*(record[name] for name in names), knobs, record["search"], content)


def scores_of(
    records: Iterable[dict], method: str, data: str = "synthetic", knobs: Knobs | None = None
) -> dict[str, float]:
    """Accuracy by person of a method in one setting, averaged over seeds; {} if it was not run.

    Args:
        records: Of a study.
        method: Its name.
        data: The data set, with its options.
        knobs: Those that differ from the defaults.
    """
    from piumar_lib.evidence import scores_by_person
    from piumar_lib.methods import resolve

    wanted = (data, resolve(method, knobs))
    return scores_by_person([r for r in records if (r["data"], r["knobs"]) == wanted], method)


def records_of(name: str) -> list[dict]:
    """The committed records of a study, or of a search: ``"sensitivity"``, ``"search-synthetic"``.

    Raises:
        FileNotFoundError: If there are none.
    """
    from piumar_lib import evidence
    from piumar_lib.experiments import read_records

    path = evidence.RESULTS / f"{name}.jsonl"
    if not (records := read_records(path)):
        data = name.removeprefix("search-")
        option = f"--study {name}" if data == name else f"--data {data}"
        raise FileNotFoundError(f"{path}: no records. Make them: python -m piumar_lib.evidence {option}")
    return records


def peeking(records: list[dict], data: str, method: str) -> tuple[float, float, float]:
    """What it is worth to choose hyperparameters on the very people that are reported.

    Args:
        records: Of the search, in which each fold's own people are scored too, though not looked at.
        data: A data set that is cut into folds of people.
        method: Its name.

    Returns:
        Accuracy on the folds' own people with the defaults, with what was chosen without them, and
        with what is best on them; means over folds, nan if the search has not tried the method.
    """
    from piumar_lib import folds
    from piumar_lib.evidence import choose
    from piumar_lib.methods import resolve

    found = []
    for fold in folds.folds(data):
        own = set(map(str, folds.load_fold(data, fold).unseen.people))
        where = folds.search_people(data, fold)
        shares: dict[tuple, list[float]] = {}
        for r in records:
            if r["method"] == method and r["fold"] in where:
                scores = [c / n for person, (c, n) in r["people"].items() if person in own]
                shares.setdefault(key_of(r).knobs, []).extend(scores)
        means = {knobs: float(np.mean(values)) for knobs, values in shares.items() if values}
        chosen = (resolve(method), choose(records, data, method, fold))
        usual, honest = (means.get(tuple(sorted(k.items())), np.nan) for k in chosen)
        found.append((usual, honest, max(means.values(), default=np.nan)))
    usual, honest, best = np.mean(found, axis=0)
    return float(usual), float(honest), float(best)


# Tables


def show_gains(rows: Sequence[Row]) -> None:
    """Display accuracy on unseen people, in percent, the paired gain over ERM, and what failed."""
    header = ["method", "mean", "95 % interval", "worst quarter", "worst", "gain over ERM", "p (Holm)"]
    show_table(
        header,
        [[row.method, *_accuracy(row), points(row.gain), p_value(row.gain, row.p_holm)] for row in rows],
    )
    _print_failures(rows)


def show_comparison(rows: Sequence[Row]) -> None:
    """Display all that a data set's table has: `show_gains`, seeds, labels, the best baseline."""
    from piumar_lib.methods import METHODS

    best = strongest(rows) or "the best baseline"
    header = ["method", "told people", "mean [%]", "95 % interval", "worst quarter", "worst"]
    header += ["sd over seeds", "over ERM [points]", "p (Holm)", f"over {best} [points]", "p (Holm)"]
    show_table(
        header,
        [
            [
                row.method,
                "yes" if METHODS[row.method].told else "no",
                *_accuracy(row),
                "" if np.isnan(row.summary.mean) else 100 * row.seed_deviation,
                points(row.gain),
                p_value(row.gain, row.p_holm),
                points(row.against_best),
                p_value(row.against_best, row.p_holm_best),
            ]
            for row in rows
        ],
    )
    _print_failures(rows)


def _print_failures(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.failed:
            print(f"{row.method}: {row.failed}")


def _accuracy(row: Row) -> list[object]:
    s = row.summary
    if np.isnan(s.mean):
        return ["failed", "", "", ""]
    return [100 * s.mean, metrics.interval(s.low, s.high), 100 * s.worst_quarter, 100 * s.worst]


def strongest(rows: Sequence[Row]) -> str:
    """The strongest baseline of a table; "" if it has none."""
    from piumar_lib.evidence import strongest_baseline

    return strongest_baseline({row.method: row.summary.mean for row in rows})


def show_judged(first: str, columns: Mapping[str, Mapping[str, Judged]]) -> None:
    """Display families side by side: a line for each name, a difference and p for each column."""
    names = list(dict.fromkeys(name for family in columns.values() for name in family))

    def cells(name: str) -> list[object]:
        found = [family.get(name) for family in columns.values()]
        texts = [(points(j.comparison), p_value(j.comparison, j.p)) if j else ("", "") for j in found]
        return [name, *(text for pair in texts for text in pair)]

    header = [first, *(text for column in columns for text in (f"{column} [points]", "p (Holm)"))]
    show_table(header, [cells(name) for name in names])


def show_attempts(attempts: Iterable[Attempt], judged: Mapping[str, Judged]) -> None:
    """Display one line for each finished attempt: setting, opponent, difference, verdict."""
    header = ["attempt", "data", "method", "over", "points", "p (Holm)", "verdict"]
    lines = []
    for a in attempts:
        if j := judged.get(a.question):
            setting = ", ".join(f"{name} {value:g}" for name, value in a.knobs.items())
            method = a.method + (f" ({setting})" if setting else "")
            difference = [points(j.comparison), p_value(j.comparison, j.p), j.verdict]
            lines.append([a.question, a.data, method, a.against, *difference])
    show_table(header, lines)


def show_development(abouts: Sequence[str], over: str = "against") -> None:
    """Display what the log of attempts says of some, in points, a column for each pool of people.

    Args:
        abouts: Attempts, as `piumar_lib.development.ATTEMPTS` calls them.
        over: ``"against"`` for the difference over what an attempt has to beat, or ``"control"``.
    """
    from piumar_lib import development

    log = development.read_log()
    shown = {about: log[about] for about in abouts if about in log}
    people = [max((found.people for lines in shown.values()
                   if (found := development.outcome(lines, pool))), default=0)
              for pool in development.POOLS]  # fmt: skip
    header = [f"{pool} ({n} people)" for pool, n in zip(development.POOLS, people, strict=True)]
    show_table(["attempt", *header], development.rows(shown, over))


def show_hyperparameters() -> None:
    """Display every knob with default, searched values and source; equal lines are merged."""
    from piumar_lib.evidence import hyperparameter_table

    owners: dict[tuple, list[str]] = {}
    for method, *line in hyperparameter_table():
        owners.setdefault(tuple(line), []).append(method)
    header = ["knob", "default", "values searched", "source", "methods"]
    show_table(header, [[*line, listed(methods)] for line, methods in owners.items()])


def show_choices(searches: Mapping[str, list[dict]], methods: Iterable[str]) -> None:
    """Display what the search chose most often for each method, and in how many of the folds.

    Args:
        searches: Data set to the records of its search.
        methods: Names.
    """
    from piumar_lib import folds
    from piumar_lib.evidence import choose
    from piumar_lib.methods import resolve

    def cell(data: str, method: str) -> str:
        every = [choose(searches[data], data, method, fold) for fold in folds.folds(data)]
        (knobs, count), *_ = Counter(tuple(k.items()) for k in every).most_common(1)
        usual = resolve(method)
        words = ", ".join(f"{name} {value:g}" for name, value in knobs if value != usual[name])
        words = words or "defaults"
        return f"{words} ({count} of {len(every)})"

    rows = [[method, *(cell(data, method) for data in searches)] for method in methods]
    show_table(["method", *searches], rows)


def command(data: str, method: str) -> str:
    """What to type to train one row of a table again."""
    return (
        "python -m piumar_lib.course papermill 09 build/row.ipynb -p profile full "
        f'-p data {data} -p rerun "{method}"'
    )


def show_commands(data: str, methods: Sequence[str]) -> None:
    """Display, folded away, what to type to train each row again."""
    from IPython.display import Markdown, display

    lines = "\n".join(command(data, method) for method in methods)
    words = f"{data}: the command that trains a row again, for each of {len(methods)} rows"
    display(Markdown(f"<details><summary>{words}</summary>\n\n```bash\n{lines}\n```\n\n</details>"))
