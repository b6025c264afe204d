"""The six planned contrasts of the study, fixed before its records were computed, and their results.

    python -m piumar_lib.evidence contrasts --json build/contrasts.json

Each is computed for both forms of the clips. The unit is the person; data sets are pooled by a
random-effects meta-analysis (`piumar_lib.evidence.statistics.pool`), and p values of all twelve are
corrected by Holm's method, those of equivalence likewise. All other comparisons are exploratory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from piumar_lib import metrics
from piumar_lib.data.own import find_npz, is_npz
from piumar_lib.data.people.catalog import LABELS, NAMES
from piumar_lib.data.synthetic import is_synthetic
from piumar_lib.evidence import person_gain, statistics
from piumar_lib.evidence.folds import form_of
from piumar_lib.evidence.protocol import (
    BASELINES,
    FORMS,
    PLANNED,
    REAL,
    SEARCHED_ON,
    SETS,
    committed,
    data_of,
    read_search,
    require_whole_search,
    search_scores,
)
from piumar_lib.evidence.records import STUDY
from piumar_lib.evidence.wording import in_words, points, signed

# Pools of data sets. The last one was used neither in later development nor for choosing
# hyperparameters, although all eight data sets were tried early on (chapter 09, Development).
POOLS = {
    "real people": REAL,
    "new people": tuple(name for name in NAMES if name not in SEARCHED_ON),
}


@dataclass(frozen=True)
class Contrast:
    """One planned comparison.

    Attributes:
        name: The question, in a few words.
        tried: The method that is tested.
        against: The reference; of several, the most accurate one on the people of the search.
        label: Its label in figures and tables; by default its name.
    """

    name: str
    tried: str
    against: tuple[str, ...]
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.name


NORMALIZED = "person normalization + augmentation"  # see `piumar_lib.evidence.person_study`
CONTRASTS = (
    Contrast("augmentation", "augmentation", ("ERM",), "augmentation over ERM"),
    Contrast("TFAM on top of it", "TFAM + augmentation", ("augmentation",), "TFAM over augmentation"),
    Contrast(
        "its alignment",
        "TFAM + augmentation",
        ("TFAM, uniform clock + augmentation",),
        "motion clock over uniform clock",
    ),
    Contrast("GIRL on top of TFAM", "PIUmr + augmentation", ("TFAM + augmentation",), "GIRL over TFAM"),
    Contrast(
        "TFAM or the best baseline", "TFAM + augmentation", BASELINES, "TFAM over the best baseline"
    ),
    # With all of the new person's clips; the page of records has the gain by number of clips.
    Contrast(
        "person normalization", NORMALIZED, ("augmentation",), "person normalisation over augmentation"
    ),
)


@dataclass(frozen=True)
class Result:
    """Result of a contrast.

    Attributes:
        contrast: The contrast that was computed.
        form: Form of the clips, one of `piumar_lib.evidence.protocol.FORMS`.
        against: The reference that was selected.
        pooled: Difference, pooled over all data sets.
        p_holm, equivalence_p_holm: P values after Holm's correction, of a difference and of
            equivalence.
        verdict: See `piumar_lib.evidence.statistics.verdict`.
    """

    contrast: Contrast
    form: str
    against: str
    pooled: statistics.Pooled
    p_holm: float
    equivalence_p_holm: float
    verdict: str

    def summary(self) -> dict[str, Any]:
        """All numbers by name, for a JSON file; unknown ones are None."""
        pooled = asdict(self.pooled)
        by_set = pooled.pop("by_set")
        names = [name_of(name) for name in by_set]
        if len({*names}) < len(names):  # two files with the same name
            names = [*by_set]
        return {
            "name": self.contrast.name,
            "form": self.form,
            "tried": self.contrast.tried,
            "against": self.against,
            **_known(pooled | {"p_holm": self.p_holm, "equivalence_p_holm": self.equivalence_p_holm}),
            "verdict": self.verdict,
            "by_set": {name: _known(one) for name, one in zip(names, by_set.values(), strict=True)},
        }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None instead of nan, which JSON cannot represent."""
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}


def differences(records: Iterable[dict], tried: str, against: str) -> dict[str, float]:
    """Each person's accuracy under one method minus that under another, as fractions.

    Only folds and seeds that were trained under both are used; they are averaged for each person.

    Raises:
        ValueError: If the methods have no training in common, or one was trained twice.
    """
    records = list(records)
    of: dict[str, dict[tuple[int, int], dict]] = {tried: {}, against: {}}
    for record in records:
        mine, at = of.get(record["method"]), (record["fold"], record["seed"])
        if mine is not None:
            if at in mine:
                raise ValueError(
                    f"{record['data']}: {record['method']}, fold {at[0]}, seed {at[1]} is there twice, "
                    "with different hyperparameters. Remove those that do not count."
                )
            mine[at] = record["people"]
    common = sorted(of[tried].keys() & of[against].keys())
    if not common:
        raise ValueError(
            f"{_data_of(records)}: {tried} and {against} have no training in common. Train both"
            f"{_command(records, tried, against)}"
        )
    gains: dict[str, list[float]] = {}
    for at in common:
        for person, (right, clips) in of[tried][at].items():
            other, as_many = of[against][at][person]
            gains.setdefault(person, []).append(right / clips - other / as_many)
    return {person: float(np.mean(values)) for person, values in sorted(gains.items())}


def scores(records: Iterable[dict], method: str) -> dict[str, float]:
    """Each person's accuracy under a method, averaged over seeds.

    Raises:
        ValueError: If the method was not trained.
    """
    records = list(records)
    of: dict[str, list[float]] = {}
    for record in (r for r in records if r["method"] == method):
        for person, (right, clips) in record["people"].items():
            of.setdefault(person, []).append(right / clips)
    if not of:
        raise ValueError(
            f"{_data_of(records)}: {method} has no training in the records. Train it"
            f"{_command(records, method)}"
        )
    return {person: float(np.mean(values)) for person, values in sorted(of.items())}


def _data_of(records: list[dict]) -> str:
    return records[0]["data"] if records else "records"


def _command(records: list[dict], *methods: str) -> str:
    """The command that trains methods on the data of records; not for `NORMALIZED`, see `read`."""
    names = " ".join(f"'{name}'" for name in methods if name != NORMALIZED)
    return f": python -m piumar_lib.evidence train --data {_data_of(records)} --methods {names}"


def read(
    sets: Iterable[str],
    form: str,
    folder: Path = STUDY,
    model: Mapping[str, str | int] | None = None,
) -> dict[str, list[dict]]:
    """Records of several data sets; for the study's network, including those of person normalisation.

    ``sets`` are names of `piumar_lib.evidence.protocol.SETS`, or a reader's ``.npz`` files; ``model`` is
    another backbone or width, see `piumar_lib.evidence.protocol.NETWORKS`.

    Raises:
        FileNotFoundError: If a data set has no records.
    """
    found = {}
    for name in sets:
        data = data_of(name, form)
        normalized = [] if model else person_gain.as_method(NORMALIZED, data, folder)
        found[name] = committed(data, folder, model) + normalized
    return found


def seeds(records: Mapping[str, list[dict]], method: str) -> int:
    """The smallest number of seeds with which a method was trained, over several data sets.

    A seed counts if it has all folds that any method has.
    """

    def complete(own: list[dict]) -> int:
        folds, of_seed = {r["fold"] for r in own}, dict[int, set[int]]()
        for r in (r for r in own if r["method"] == method):
            of_seed.setdefault(r["seed"], set()).add(r["fold"])
        return [*of_seed.values()].count(folds)

    return min(map(complete, records.values()))


def seeds_of_all(form: str, folder: Path = STUDY) -> int:
    """The smallest number of seeds of any method of the contrasts on any data set, in a form."""
    records = read(REAL, form, folder)
    return min(seeds(records, method) for method in (*PLANNED, NORMALIZED))


def compare(
    records: Mapping[str, list[dict]], tried: str, against: str, partial: bool = False
) -> statistics.Pooled:
    """Paired difference of two methods on the same people, pooled over data sets.

    Methods are named, `NORMALIZED` among them; ``records`` are by data set, see `read`. Synthetic people
    cannot be pooled with others: their populations are clusters. For exploration, ``partial`` accepts
    methods that were trained for a part of a data set's people.

    Raises:
        ValueError: If a method was not trained on a set, or not for all its people.
    """
    gains = {name: differences(own, tried, against) for name, own in records.items()}
    for name, own in records.items():
        everybody = {person for r in own for person in r["people"]}
        if not partial and (lacking := len(everybody) - len(gains[name])):
            raise ValueError(
                f"{name}: {tried} and {against} were not trained for {lacking} of its {len(everybody)} "
                "people. Train the rest; the command that was stopped resumes."
            )
    return statistics.pool_people(gains, records)


def meant_by(where: str) -> tuple[tuple[str, ...], str]:
    """Data sets and form that a text such as ``"real people, own tempo"`` or ``"shrec17"`` refers to.

    Raises:
        ValueError: If it is neither a pool of `POOLS` with a form nor the name of a data set.
    """
    pool, _, form = where.rpartition(", ")
    if pool in POOLS and form in FORMS:
        return POOLS[pool], form
    for name, form in product(SETS, FORMS):
        if data_of(name, form) == where:
            return (name,), form
    raise ValueError(f"{where!r} is no data set, and no pool such as 'real people, own tempo'.")


def best_baseline(baselines: tuple[str, ...], form: str, search: list[dict]) -> str:
    """The most accurate of several methods on the people of the search, in that form.

    People of the contrasts have no influence on this choice, except in the data sets of the search.

    Raises:
        ValueError: If the search of one of several is missing or incomplete.
    """
    if len(baselines) == 1:
        return baselines[0]
    data = data_of("shrec17", form)  # any data set that was not used in the search
    for name in baselines:
        if not require_whole_search(search, data, name):
            raise ValueError(f"search.jsonl: has no search of {name}, {form}. Run it.")
    best = {r: max(search_scores(search, data, r, 0).values()) for r in baselines}
    return max(best, key=lambda r: best[r])


def compute(
    sets: Iterable[str] = REAL,
    forms: Iterable[str] = FORMS,
    folder: Path = STUDY,
    contrasts: Iterable[Contrast] = CONTRASTS,
) -> list[Result]:
    """The planned contrasts from the records, pooled over data sets.

    The contrast of person normalisation is for real people; it was run on synthetic ones in development
    only. ``sets`` are names of `piumar_lib.evidence.protocol.SETS`, or a reader's ``.npz`` files, which
    are used unchanged and count as own tempo.

    Raises:
        FileNotFoundError: If a data set has no records, or none of the normalised person.
        ValueError: If a method was not trained for all people of a data set, the search is incomplete,
            or no data set has clips in these forms.
    """
    forms = list(forms)
    sets, search = list(sets), read_search(folder)
    found = []
    for form in forms:
        records = read(in_form(sets, form), form, folder)
        if not records:
            continue
        for contrast in contrasts:
            if contrast.tried == NORMALIZED and any(map(is_synthetic, records)):
                continue
            if contrast.tried == NORMALIZED:
                _require_normalized(records, form, folder)
            against = best_baseline(contrast.against, form, search)
            found.append((contrast, form, against, compare(records, contrast.tried, against)))
    if not found:
        words = f"forms: none of the data sets has clips of {' or '.join(forms)}. Add the other form."
        raise ValueError(words)
    corrected = statistics.correct([pooled for *_, pooled in found])
    return [
        Result(*one, *p_values, statistics.verdict(one[-1], *p_values))
        for one, p_values in zip(found, corrected, strict=True)
    ]


def _require_normalized(records: Mapping[str, list[dict]], form: str, folder: Path) -> None:
    """Raise unless every data set has records of the person study, which contain `NORMALIZED`."""
    there = {name for name, own in records.items() if any(r["method"] == NORMALIZED for r in own)}
    missing = " ".join(data_of(name, form) for name in records if name not in there)
    if missing:
        path = folder / person_gain.FILE
        raise FileNotFoundError(
            f"{path}: no records of {missing}. Make them: python -m piumar_lib.evidence.person_study "
            f"--data {missing} --out {path}"
        )


def in_form(sets: Iterable[str], form: str) -> list[str]:
    """The data sets that have clips in a form, each once; a reader's file by its absolute path."""
    once = dict.fromkeys(str(find_npz(name)) if is_npz(name) else name for name in sets)
    return [name for name in once if form_of(data_of(name, form)) == form]


def name_of(data_set: str) -> str:
    """A data set's name; of a reader's file, its stem."""
    return find_npz(data_set).stem if is_npz(data_set) else data_set


def label_of(data_set: str) -> str:
    """Label of a data set in tables and figures, such as ``"SHREC'17"``; a reader's file by its stem."""
    name = name_of(data_set)
    return LABELS.get(name, name)


def table(results: Iterable[Result]) -> list[Mapping[str, str]]:
    """Rows of a table: differences in points with their intervals; "-" if unknown."""

    def row(r: Result) -> Mapping[str, str]:
        found, share = r.pooled, r.pooled.i_squared
        new = metrics.interval(found.prediction_low, found.prediction_high, signed)
        return {
            "contrast": str(r.contrast),
            "form": r.form,
            "difference": points(found),
            "p (Holm)": in_words(r.p_holm),
            "p of equivalence (Holm)": in_words(r.equivalence_p_holm),
            "people": str(found.people),
            "sets": str(found.sets),
            "I²": "-" if np.isnan(share) else f"{100 * share:.0f} %",
            "a new set": "-" if np.isnan(found.prediction_low) else new,
            "verdict": r.verdict,
        }

    return [row(r) for r in results]
