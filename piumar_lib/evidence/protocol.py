"""The protocol of the study: trainings, and the choice of hyperparameters.

Hyperparameters are chosen once, with the same budget for every method, on the two development data sets;
all others are used for training and evaluation only. Records are kept under
``notebooks/results/study/``; a killed run resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from piumar_lib.data.own import is_npz
from piumar_lib.data.people.catalog import NAMES
from piumar_lib.data.people.recordings import OWN_TEMPO
from piumar_lib.evidence import folds
from piumar_lib.evidence.experiments import Experiment, experiment, run_all
from piumar_lib.evidence.folds import form_of
from piumar_lib.evidence.methods import FIXED, METHODS, Hyperparameters, draw, hyperparameters_of
from piumar_lib.evidence.records import STUDY, read_records

SEEDS = 3
UPDATES = 600  # of the weights, approximately, for data sets of all sizes
BUDGET = 6  # sets of hyperparameters that are tried for each method, including the defaults
FORMS = ("own tempo", "one length")
SEARCHED_ON = ("msraction3d", "utkinect")
REAL = ("spar", *NAMES)
SETS = (*REAL, "synthetic")
_COMPARED = ("Mixup", "MixStyle", "DSU", "CORAL")
BASELINES = tuple(f"{name} + augmentation" for name in _COMPARED)
# Methods of the planned contrasts, see `piumar_lib.evidence.contrasts`:
PLANNED = (
    "ERM", "augmentation", "TFAM + augmentation", "TFAM, uniform clock + augmentation",
    "PIUmr + augmentation", *BASELINES,
)  # fmt: skip
# For orientation:
_ORIENTING = (
    "weight averaging", "reclock", "ReMA", "masked ReMA", "GroupDRO", "HDF", "ERIS", "CFD", "MGSC",
    "DAID",
)  # fmt: skip
OTHERS = (
    "TFAM, feature level + augmentation", "TFAM", "PIUmr", "GIRL", "GIRL + augmentation",
    "PIUmr, random groups + augmentation", "TFAM, no perturbation + augmentation",
    "two equal views + augmentation",
    *(f"{name} + augmentation" for name in _ORIENTING), *_COMPARED, *_ORIENTING,
    "TFAM, uniform clock", "TFAM, feature level", "MiniRocket",
)  # fmt: skip

NETWORKS: dict[str, dict[str, str | int]] = {  # settings that differ from the study's network
    "CNN, 32 channels": {},
    "CNN, 64 channels": {"width": 64},
    "ResNet-1D": {"backbone": "resnet"},
    "InceptionTime": {"backbone": "inception_time"},
    "skeleton graph": {"backbone": "skeleton_graph"},
}


def data_of(data_set: str, form: str) -> str:
    """Name for `folds.load_fold` of a data set of `SETS`, or a reader's file, in one of `FORMS`.

    Synthetic clips and a reader's are unchanged in both forms.
    """
    if data_set == "spar":
        return {"own tempo": "spar-own-tempo", "one length": "spar-repetitions"}[form]
    if data_set not in NAMES:
        return data_set
    return data_set + (OWN_TEMPO if form == "own tempo" else "")


def searched(methods: Iterable[str]) -> list[str]:
    """The methods on whose hyperparameters those of ``methods`` depend; MiniRocket has none."""
    names = [name for m in methods for name in (METHODS[m].like or (m,))]
    return [name for name in dict.fromkeys(names) if METHODS[name].classify is None]


def search_plan(
    methods: Iterable[str], budget: int = BUDGET, forms: Iterable[str] = FORMS
) -> list[Experiment]:
    """The experiments of the search, one seed each, in each form."""
    where = [data_of(name, form) for form, name in product(forms, SEARCHED_ON)]
    return [
        experiment(data, method, fold, 0, draw(method, number) | {"updates": UPDATES}, search=True)
        for method in searched(methods)
        for number in range(budget)
        for data in where
        for fold in folds.search_folds(data)
    ]


def sources_of(data: str) -> set[str]:
    """The sets on which hyperparameters for ``data`` are searched: those of its own form."""
    return {data_of(name, form_of(data)) for name in SEARCHED_ON}


def search_scores(records: Iterable[dict], data: str, method: str, fold: int) -> dict[tuple, float]:
    """Mean accuracy over people of each set of hyperparameters that was tried for a method.

    Scores are from the search data sets in the form of ``data``. If ``data`` is one of these itself,
    only people who are not held out in ``fold`` are used.
    """
    sources = sources_of(data)
    allowed = folds.search_people(data, fold) if data in sources else {}
    scores: dict[tuple, list[float]] = {}
    for r in records:
        if r["method"] != method or r["data"] not in sources:
            continue
        seen = allowed.get(r["fold"], set()) if r["data"] == data else set(r["people"])
        scores.setdefault(_searched(r), []).extend(
            right / clips for p, (right, clips) in r["people"].items() if p in seen
        )
    return {tried: float(np.mean(values)) for tried, values in scores.items() if values}


def choose(records: list[dict], data: str, method: str, fold: int) -> Hyperparameters:
    """The hyperparameters with the best mean accuracy on the people who may be used.

    The arguments are those of `search_scores`. All but the fixed ones; in a tie, those tried first. A
    method that inherits them gets the first method's with priority. Empty if nothing was searched.
    """
    chosen: Hyperparameters = {}
    for name in reversed(METHODS[method].like or (method,)):
        scores = search_scores(records, data, name, fold)
        if scores:
            best = max(scores, key=lambda tried: scores[tried])
            chosen |= dict(best)
    return {name: value for name, value in chosen.items() if name in hyperparameters_of(method)}


def rule(method: str, search: list[dict], data: str) -> str:
    """How hyperparameters were chosen, in words, as in records."""
    sources = sources_of(data)
    tried: dict[str, set[tuple]] = {}
    for r in search:
        if r["data"] in sources:
            tried.setdefault(r["method"], set()).add(_searched(r))
    of = [name for name in METHODS[method].like or (method,) if name in tried]
    if not of:
        return "defaults"
    most = max(len(tried[name]) for name in of)
    where = f"{' and '.join(SEARCHED_ON)}, {form_of(data)}"
    return f"best of {most} on people of {where}, for {' and '.join(of)}"


def require_whole_search(search: list[dict], data: str, method: str) -> bool:
    """Whether a method was searched in the form of ``data``.

    Raises:
        ValueError: If the search is incomplete: the best of a part need not be the best of all.
    """
    own = [r for r in search if r["method"] == method and r["data"] in sources_of(data)]
    folds_of, tried = {(r["data"], r["fold"]) for r in own}, {_searched(r) for r in own}
    done = {(r["data"], r["fold"], _searched(r)) for r in own}
    needed = len(folds_of) * max(BUDGET, len(tried))
    if len(done) < needed:
        raise ValueError(
            f"search.jsonl: has {len(done)} of {needed} trainings of {method}, {form_of(data)}. Run the "
            f"search to its end: python -m piumar_lib.evidence search --methods '{method}'"
        )
    return bool(done)


def _searched(record: dict) -> tuple:
    """The hyperparameters of a record that the search varies."""
    return tuple(sorted((k, v) for k, v in record["hyperparameters"].items() if k not in FIXED))


def plan(
    data: str,
    methods: Iterable[str],
    search: list[dict],
    seeds: int = SEEDS,
    model: Mapping[str, str | int] | None = None,
) -> list[Experiment]:
    """Every fold under every method with its chosen hyperparameters, seed by seed.

    ``search`` has the records of `search_plan`; ``model`` names another backbone or width. MiniRocket
    draws its kernels by seed.

    Raises:
        ValueError: If the search of a method was not run to its end.
    """
    methods = list(methods)
    for name in searched(methods):
        require_whole_search(search, data, name)
    wanted = []
    for seed, fold, method in product(range(seeds), folds.folds(data), methods):
        chosen = choose(search, data, method, fold)
        e = experiment(data, method, fold, seed, chosen | {"updates": UPDATES} | dict(model or {}))
        wanted.append(replace(e, selection=rule(method, search, data)))
    return wanted


def records_path(data: str, folder: Path = STUDY) -> Path:
    """Path of a data set's records, both of its forms in one file.

    A reader's file gets the prefix ``own-``, because its name may equal one of the study's.
    """
    if is_npz(data):
        return folder / f"own-{Path(data).stem}.jsonl"
    name = "spar" if data in folds.SPAR else folds.set_of(data) or Path(data).stem
    return folder / f"{name}.jsonl"


def read_search(folder: Path = STUDY) -> list[dict]:
    """The records of the search; for methods and forms that the folder lacks, the study's.

    None if the folder's file is empty: all methods then keep their defaults.
    """
    own, study = (read_records(place / "search.jsonl") for place in (folder, STUDY))
    if not own and (folder / "search.jsonl").is_file():
        return []
    there = {(r["method"], form_of(r["data"])) for r in own}
    return own + [r for r in study if (r["method"], form_of(r["data"])) not in there]


def committed(
    data: str, folder: Path = STUDY, model: Mapping[str, str | int] | None = None
) -> list[dict]:
    """The existing records of a data set, of one backbone and width.

    Raises:
        FileNotFoundError: If there are none, or for a reader's file, none of its current content.
    """
    known = {name: FIXED[name] for name in ("backbone", "width")} | dict(model or {})
    content = ""
    if is_npz(data):
        data, content = folds.identify(data)
    path = records_path(data, folder)
    # The records of a reader's file may have another path.
    wanted = {"content": content} if content else {"data": data}
    records = [
        r | {"data": data}
        for r in read_records(path)
        if wanted.items() <= r.items() and known.items() <= r["hyperparameters"].items()
    ]
    if not records:
        where = "" if folder == STUDY else f" --out {folder}"
        raise FileNotFoundError(
            f"{path}: no records of {data}. Make them: python -m piumar_lib.evidence train --data {data}"
            f"{where}"
        )
    return records


def make_search(
    methods: Iterable[str],
    workers: int = 1,
    folder: Path = STUDY,
    scheduler: str = "",
    forms: Iterable[str] = FORMS,
) -> list[dict]:
    """Compute the missing records of `search_plan`; return all of its records."""
    wanted = search_plan(methods, forms=forms)
    return run_all(wanted, folder / "search.jsonl", workers, scheduler=scheduler)


def make(
    data: str,
    methods: Iterable[str],
    seeds: int = SEEDS,
    workers: int = 1,
    folder: Path = STUDY,
    model: Mapping[str, str | int] | None = None,
    progress: bool = True,
    scheduler: str = "",
) -> list[dict]:
    """Compute the missing records of `plan`; return all of its records."""
    wanted = plan(data, methods, read_search(folder), seeds, model)
    return run_all(wanted, records_path(data, folder), workers, progress, scheduler)
