"""Person probe: a linear classifier that predicts the person from the features.

    python -m piumar_lib.evidence.person_probe --workers 2

A person-agnostic recogniser gives clips of one class the same features for all people. People also
differ in their class frequencies, so the class mean is subtracted first, and all people have equal
weights. The probe distinguishes unseen people only, in folds that hold out at least two.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np
import torch

from piumar_lib.data.people.catalog import NAMES
from piumar_lib.evidence.experiments import Experiment, run_all, train
from piumar_lib.evidence.folds import load_fold
from piumar_lib.evidence.protocol import FORMS, data_of, plan, read_search
from piumar_lib.evidence.records import STUDY, device, read_records
from piumar_lib.support.command import Parser, at_least, command_line, path

FILE = "person-probe.jsonl"
PROBED = ("ERM", "augmentation", "TFAM + augmentation", "PIUmr + augmentation")
PARTS = 5  # of clips: folds of the probe's cross-validation


def person_probe(features: np.ndarray, y: np.ndarray, person: np.ndarray, seed: int = 0) -> float:
    """Recall of a linear classifier that predicts the person within classes.

    The mean over people, rescaled so that chance is 0 and a perfect score is 1; clips are split into
    `PARTS` parts by ``seed``. ``features`` have shape ``(clips, width)``, classes ``y`` and ``person``
    ``(clips,)``.

    Raises:
        ValueError: If there are fewer than two people, or one has fewer than `PARTS` clips.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    people, counts = np.unique(person, return_counts=True)
    if len(people) < 2 or counts.min() < PARTS:
        raise ValueError(
            f"person: {len(people)} people with at least {counts.min()} clips. Give two or more people, "
            f"each with at least {PARTS}."
        )
    centered = features.astype(float)
    for k in np.unique(y):
        centered[y == k] -= centered[y == k].mean(0)
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    parts = StratifiedKFold(PARTS, shuffle=True, random_state=seed)
    said = cross_val_predict(classifier, centered, person, cv=parts)
    recall = recall_score(person, said, average="macro")
    chance = 1 / len(people)
    return float((recall - chance) / (1 - chance))


def run(e: Experiment) -> dict:
    """Train once, and probe the features of the decisions on unseen people.

    A training that diverges has no features: its probe is None, and ``failed`` has the error.
    """
    try:
        model, (_, unseen, _) = train(e)
    except FloatingPointError as error:
        people = len(load_fold(e.data, e.fold).unseen.people)
        return e.key() | {"people": people, "probe": None, "device": device(), "failed": str(error)}
    with torch.no_grad():
        features = model.eval()(torch.as_tensor(unseen.x)).features.numpy()
    probe = person_probe(features, unseen.y, unseen.person, e.seed)
    return e.key() | {"people": len(unseen.people), "probe": round(probe, 4), "device": device()}


def make(data: str, out: Path = STUDY / FILE, workers: int = 1, scheduler: str = "") -> list[dict]:
    """Compute the records that are missing in ``out``; return all records of a data set.

    Folds with a single held-out person, or with people who have too few clips, are left out.
    """
    wanted = [e for e in plan(data, PROBED, read_search(out.parent), 1) if _may_be_probed(e)]
    return run_all(wanted, out, workers, scheduler=scheduler, work=run)


def _may_be_probed(e: Experiment) -> bool:
    """Whether the fold holds out at least two people, with `PARTS` clips each."""
    clips = np.unique(load_fold(e.data, e.fold).unseen.person, return_counts=True)[1]
    return len(clips) > 1 and clips.min() >= PARTS


def scores(records: Iterable[dict], form: str, method: str) -> dict[str, np.ndarray]:
    """By data set, the probe of each fold under a method, ``(folds,)``: 0 is chance, 1 is perfect.

    Seeds are averaged. Only folds for which all methods have a probe, and did not diverge, are used, so
    that methods can be subtracted.
    """
    names = {data_of(name, form): name for name in NAMES}
    found: dict[tuple[str, int, int], dict[str, float | None]] = {}
    methods: dict[str, set[str]] = {}
    for r in (r for r in records if r["data"] in names):
        name = names[r["data"]]
        found.setdefault((name, r["fold"], r["seed"]), {})[r["method"]] = r["probe"]
        methods.setdefault(name, set()).add(r["method"])
    of: dict[str, dict[int, list[float]]] = {}
    for (name, fold, _), probes in sorted(found.items()):
        probe = probes.get(method)
        if probe is not None and probes.keys() == methods[name] and None not in probes.values():
            of.setdefault(name, {}).setdefault(fold, []).append(probe)
    return {name: np.array([np.mean(v) for v in own.values()]) for name, own in of.items()}


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    program = "python -m piumar_lib.evidence.person_probe"
    parser = Parser(
        prog=program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [data_of(*pair) for pair in product(NAMES, FORMS[:1])]
    parser.add_argument("--data", nargs="+", default=every, help="names of data sets, or .npz files")
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    parser.add_argument("--out", type=path, default=STUDY / FILE)
    options = parser.parse_args(arguments)
    for data in options.data:
        make(data, options.out, options.workers, options.scheduler)
    records = read_records(options.out)
    for method in PROBED:
        own = [r["probe"] for r in records if r["method"] == method and r["probe"] is not None]
        print(f"{method:24s} {np.mean(own):.3f}")
    print(f"records: {options.out}")


if __name__ == "__main__":
    from piumar_lib.evidence import (
        person_probe as found,  # by its module's name, so that workers find it, too
    )

    sys.exit(found.main())
