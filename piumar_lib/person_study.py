"""What a few unlabelled clips of a new person are worth, and when normalizing this person does harm.

    python -m piumar_lib.person_study --data synthetic --seeds 2

Every training is judged on its unseen people before and after `normalize_person`, for several numbers
of clips that a person is estimated from, and for people who show all classes or only three of them.
The clips that a person is estimated from are among those that are judged: nobody looks at their labels.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from piumar_lib import folds, metrics
from piumar_lib.cluster import in_parallel
from piumar_lib.command import at_least, command_line, path
from piumar_lib.data import Sequences
from piumar_lib.evidence import RESULTS
from piumar_lib.experiments import append_record, check_of, device, provenance, read_records
from piumar_lib.files import require_writable
from piumar_lib.locks import only_run
from piumar_lib.methods import METHODS, build, resolve, settings
from piumar_lib.person_normalization import KINDS, TrainingPeople, normalize_person
from piumar_lib.training import fit, predict

CLIPS = (1, 2, 5, 10, 20, None)  # None: all of the person's
SHOWN = (None, 3)  # classes that the person shows; None: all
WAY = ("kind", "alpha", "prior", "matched")  # arguments of `normalize_person`
NONE = ("none", 0.0, 0.0, False)
WAYS: tuple[tuple, ...] = (
    ("batch statistics", 1.0, 0.0, False),  # AdaBN as published
    ("batch statistics", 0.5, 0.0, False),
    *product(KINDS, (0.5,), (4.0,), (False, True)),
    ("diagonal", 1.0, 4.0, True),
)


def trainings(data: str, method: str, seeds: int) -> list[dict[str, Any]]:
    """What to train: synthetic populations of development, or all folds of other data."""
    data, content = folds.identify(data)
    synthetic = data.partition(":")[0] in folds.SYNTHETIC
    where = folds.DEVELOPMENT if synthetic else folds.folds(data)
    of = {"data": data} | ({"content": content} if content else {})
    return [
        of | {"method": method, "fold": fold, "seed": seed}
        for seed, fold in product(range(seeds), where)
    ]


def keys(training: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that one training gives, without their results."""
    return [
        training | dict(zip(WAY, way, strict=True)) | {"clips": clips, "shown": shown}
        for shown in SHOWN
        for way, clips in [(NONE, None), *product(WAYS, CLIPS)]
    ]


def run(training: dict[str, Any]) -> list[dict]:
    """Train once and judge each of `keys`.

    A record's ``people`` maps each unseen person to ``[correct clips, clips]``; who has fewer clips than
    the record's ``clips`` is left out. Kind ``"none"`` is the recogniser as it is.
    """
    method, seed = training["method"], training["seed"]
    train, unseen, augmentation = folds.load_fold(training["data"], training["fold"])
    knobs = resolve(method)
    model = build(method, train.x.shape[-1], train.classes, knobs, seed)
    fit(model, train, settings(method, knobs, augmentation, seed), METHODS[method].objective(knobs))
    seen_in_training = TrainingPeople(model, train)

    def recognise(clips: Sequences, key: dict[str, Any]) -> np.ndarray:
        if key["kind"] == "none":
            return predict(model, clips)
        way = {name: key[name] for name in WAY}
        return normalize_person(model, clips.x, seen_in_training, clips.x[: key["clips"]], **way)

    records = []
    for key in keys(training):
        clips = [clips_of(unseen, person, key["shown"], seed) for person in unseen.people]
        people = {
            str(own.person[0]): [int((recognise(own, key).argmax(1) == own.y).sum()), len(own)]
            for own in clips
            if len(own) >= (key["clips"] or 0)
        }
        records.append(key | {"people": people, "device": device()})
    return records


def clips_of(unseen: Sequences, person: int, shown: int | None, seed: int) -> Sequences:
    """A person's clips in random order, of ``shown`` random classes (None: of all)."""
    rng = np.random.default_rng([seed, int(person)])
    own = unseen.take(rng.permutation(np.flatnonzero(unseen.person == person)))
    return own.take(np.isin(own.y, rng.permutation(np.unique(own.y))[:shown]))


def make(
    data: str, method: str, seeds: int, out: Path, workers: int = 1, scheduler: str = ""
) -> list[dict]:
    """Run what is missing in ``out`` and return all records; a killed run goes on.

    Raises:
        InUse: If another run writes to ``out``.
        OSError: If the system refuses to write.
    """
    origin, wanted = provenance(), trainings(data, method, seeds)
    require_writable(out.parent)
    with only_run(out):
        done = {_key(record) for record in read_records(out)}
        missing = [t for t in wanted if not {_key(key) for key in keys(t)} <= done]
        jobs = [(training,) for training in missing]
        results = in_parallel(run, jobs, workers, scheduler, check_of(t["data"] for t in missing))
        for records in tqdm(results, total=len(missing), desc=f"{data}, {method}"):
            for record in records:
                if _key(record) not in done:
                    append_record(out, record | origin)
    found = {_key(key) for training in wanted for key in keys(training)}
    return [record for record in read_records(out) if _key(record) in found]


def gains(records: list[dict]) -> dict[tuple, metrics.Comparison]:
    """The gain over kind ``"none"``, by person, for each ``(*way, shown, clips)``."""
    shares: dict[tuple, dict[str, list[float]]] = {}
    for record in records:
        cell = tuple(record[name] for name in (*WAY, "shown", "clips"))
        for person, (right, clips) in record["people"].items():
            shares.setdefault(cell, {}).setdefault(person, []).append(right / clips)
    means = {cell: {p: np.mean(v) for p, v in people.items()} for cell, people in shares.items()}
    found = {}
    for cell, people in means.items():
        before = means[(*NONE, cell[-2], None)]
        if cell[0] != "none":
            after = np.array([*people.values()])
            found[cell] = metrics.compare(after, np.array([before[p] for p in people]))
    return found


def _key(record: dict) -> tuple:
    data = record.get("content") or record["data"]
    return (data, *(record[name] for name in ("method", "fold", "seed", *WAY, "clips", "shown")))


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    parser = argparse.ArgumentParser(prog="python -m piumar_lib.person_study", description=__doc__)
    parser.add_argument("--data", default="synthetic", help="a data set's name, or an .npz")
    parser.add_argument("--method", default="augmentation", choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=at_least(1), default=2, help="initialisations of each fold")
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, whose workers do the work")
    parser.add_argument("--out", type=path, default=RESULTS / "person-normalization.jsonl")
    options = parser.parse_args(arguments)
    records = make(
        options.data, options.method, options.seeds, options.out, options.workers, options.scheduler
    )
    print(f"gain in points, by clips of the person: {', '.join(str(n or 'all') for n in CLIPS)}")
    found = gains(records)
    for shown, (kind, alpha, prior, matched) in product(SHOWN, WAYS):
        cells = [found.get((kind, alpha, prior, matched, shown, clips)) for clips in CLIPS]
        line = "".join(f"{100 * c.difference:+7.1f}" if c else f"{'-':>7}" for c in cells)
        way = f"{kind}, alpha {alpha:g}, prior {prior:g}{', matched' * matched}"
        print(f"{shown or 'all':>3} classes, {way:46s}{line}")
    print(f"records: {options.out}")


if __name__ == "__main__":
    from piumar_lib import person_study  # by its name, under which workers find it, too

    sys.exit(person_study.main())
