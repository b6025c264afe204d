"""Training and evaluation: one function per record, and a runner that resumes after being killed.

A record holds each unseen person's score and everything needed to reproduce it. Records are kept in
JSON-lines files; existing ones are not computed again. `piumar_lib.evidence.protocol` defines the
records of the course's tables.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from piumar_lib import metrics
from piumar_lib.data.own import is_npz
from piumar_lib.data.sequences import Sequences
from piumar_lib.evidence import folds, methods
from piumar_lib.evidence.methods import METHODS, Hyperparameters, Method, resolve
from piumar_lib.evidence.records import append_record, device, provenance, read_records
from piumar_lib.recognizer import Recognizer
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.files import as_path, writing
from piumar_lib.support.locks import only_run
from piumar_lib.training import fit, predict

K = TypeVar("K")


@dataclass(frozen=True)
class Experiment:
    """One record's key.

    Attributes:
        data: See `piumar_lib.evidence.folds.load_fold`.
        method: A name in `piumar_lib.evidence.methods.METHODS`.
        fold: Number of the fold, which determines the held-out people.
        seed: Seed of the model's initialisation and of training.
        hyperparameters: All of them, as sorted pairs of name and value, so that records do not depend on
            later changes of defaults.
        search: Whether the fold is a search fold, for choosing hyperparameters.
        content: Digest of data that do not come with the course, see
            `piumar_lib.evidence.folds.identify`; their name does not change with a correction.
        selection: How hyperparameters were chosen, in words; not a part of the key.
    """

    data: str
    method: str
    fold: int
    seed: int
    hyperparameters: tuple[tuple[str, Any], ...]
    search: bool = False
    content: str = ""
    selection: str = field(default="", compare=False)

    def key(self) -> dict[str, Any]:
        """The key as a record has it."""
        return {
            "data": self.data,
            "method": self.method,
            "fold": self.fold,
            "seed": self.seed,
            "hyperparameters": dict(self.hyperparameters),
            "search": self.search,
        } | ({"content": self.content} if self.content else {})


def experiment(
    data: str,
    method: str,
    fold: int,
    seed: int,
    chosen: dict[str, Any] | None = None,
    search: bool = False,
) -> Experiment:
    """Make an `Experiment`; ``chosen`` overrides the method's default hyperparameters.

    Raises:
        ValueError: If the method or a hyperparameter is unknown, a value is invalid, or the method needs
            video.
        FileNotFoundError: If the data are a file that does not exist.
    """
    methods.require_no_maps(method)
    name, content = folds.identify(data)
    k = resolve(method, chosen)
    return Experiment(name, method, fold, seed, tuple(sorted(k.items())), search, content)


def run(e: Experiment) -> dict:
    """Train, evaluate on unseen people, and return the record.

    The record's ``people`` maps each unseen person to ``[correct clips, clips]``. A training that
    diverges is a result, too: its record has the error in ``failed`` and no correct clip.

    Raises:
        ValueError: If data, fold, method or a hyperparameter is invalid, or a reader's file has changed
            since the experiment was planned.
    """
    start = time.process_time()
    fold = load(e.data, e.fold, e.content, e.search)
    k = resolve(e.method, dict(e.hyperparameters))
    predicted, failed = train_and_predict(METHODS[e.method], k, fold, e.seed)
    correct = predicted == fold.unseen.y
    macro, _ = metrics.f1(fold.unseen.y, predicted, fold.unseen.classes)
    record = (
        e.key()
        | {
            "people": metrics.count_by_person(correct, fold.unseen.person),
            "accuracy": round(float(correct.mean()), 6),
            "macro_f1": round(macro, 6),
            "seconds": round(time.process_time() - start, 2),
            "device": device(),
        }
        | ({"selection": e.selection} if e.selection else {})
    )
    return record | ({"failed": failed} if failed else {})


def load(data: str, fold: int, content: str, search: bool = False) -> folds.Fold:
    """Load a fold of data whose ``content`` has not changed since the training was planned.

    Raises:
        ValueError: If it has changed, or data or fold is invalid.
    """
    found = (folds.load_search_fold if search else folds.load_fold)(data, fold)
    if folds.identify(data)[1] != content:
        raise ValueError(f"{data}: has changed meanwhile. Start the same command again.")
    return found


def train_and_predict(
    method: Method, k: Hyperparameters, fold: folds.Fold, seed: int
) -> tuple[np.ndarray, str]:
    """Train a method on a fold; return predictions ``(clips,)`` on unseen clips, and "".

    If training diverges, all predictions are -1, and the text is the error.
    """
    if method.classify is not None:
        return method.classify(fold.train, fold.unseen, seed), ""
    try:
        return predict_finite(fit_method(method, k, fold, seed), fold.unseen).argmax(1), ""
    except FloatingPointError as error:
        return np.full(len(fold.unseen), -1), str(error)


def predict_finite(model: Recognizer, clips: Sequences) -> np.ndarray:
    """Class probabilities, shape ``(clips, classes)``.

    Raises:
        FloatingPointError: If one is not finite: the training diverged in its last step.
    """
    probabilities = predict(model, clips)
    if np.isnan(probabilities).any():
        raise FloatingPointError("predictions are not finite. Lower the learning rate.")
    return probabilities


def train(e: Experiment) -> tuple[Recognizer, folds.Fold]:
    """Train an experiment's recogniser; return it and its fold, for further analysis.

    Raises:
        ValueError: If the experiment is invalid, or its data have changed since, see `run`.
        FloatingPointError: If training diverges, or predictions on unseen people are not finite.
    """
    fold = load(e.data, e.fold, e.content, e.search)
    k = resolve(e.method, dict(e.hyperparameters))
    model = fit_method(METHODS[e.method], k, fold, e.seed)
    predict_finite(model, fold.unseen)
    return model, fold


def fit_method(method: Method, k: Hyperparameters, fold: folds.Fold, seed: int) -> Recognizer:
    """Build a method's recogniser and train it on a fold's training clips.

    Raises:
        FloatingPointError: If training diverges.
    """
    clips = fold.train
    model = methods.build(method, clips.x.shape[-1], clips.classes, k, seed, clips.parents)
    chosen = methods.settings(method, k, fold.augmentation, seed, len(clips))
    fit(model, clips, chosen, method.objective(k))
    return model


def run_all(
    experiments: Iterable[Experiment],
    path: Path,
    workers: int = 1,
    progress: bool = True,
    scheduler: str = "",
    work: Callable[[Experiment], dict] = run,
) -> list[dict]:
    """Run the experiments that are missing in ``path``; return the records of all ``experiments``.

    Each record is written as soon as it is computed, so a killed run loses only unfinished ones.

    Args:
        experiments: Experiments to run.
        path: A JSON-lines file; created if necessary.
        workers: Processes, each with one thread.
        progress: Whether to show a progress bar.
        scheduler: Address of a scheduler whose machines compute instead, see
            `piumar_lib.support.cluster.in_parallel`.
        work: Computes an experiment's record, which has the experiment's key, and its device.

    Raises:
        InUse: If another run writes to ``path``.
        OSError: If writing fails.
    """
    experiments = list(experiments)
    check = check_of(e.data for e in experiments)

    def compute(missing: list[tuple]) -> Iterator[dict]:
        return in_parallel(work, missing, workers, scheduler, check)

    done = run_missing(
        {_key(e.key()): (e,) for e in experiments}, compute, as_path(path), _key, progress
    )
    # The records of a reader's file may have another path.
    return [done[_key(e.key())] | {"data": e.data} for e in experiments]


def run_missing(
    jobs: Mapping[K, tuple],
    compute: Callable[[list[tuple]], Iterator[dict]],
    path: Path,
    key_of: Callable[[dict], K],
    progress: bool = True,
) -> dict[K, dict]:
    """Compute those jobs whose key no record in ``path`` has; return all records by key.

    ``compute`` yields the record of each job, in any order; see `run_all` for the rest.
    """

    def look_up() -> dict[K, dict]:
        return {key_of(record): record for record in read_records(path)}

    if jobs.keys() <= (done := look_up()).keys():
        return done
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with only_run(path):
        done = look_up()  # another run may have ended in the meantime
        missing, origin = [job for key, job in jobs.items() if key not in done], provenance()
        with tqdm(total=len(missing), disable=not progress) as bar:
            for record in compute(missing):
                record |= origin
                append_record(path, record)
                done[key_of(record)] = record
                bar.set_description(f"{record['data']}, {record['method']}")
                bar.update()
    return done


def check_of(data: Iterable[str]) -> Callable[[], dict[str, str]]:
    """A check for `piumar_lib.support.cluster.in_parallel`: a worker has the same data sets."""
    return partial(contents, tuple(sorted({*data})))


def contents(data: tuple[str, ...]) -> dict[str, str]:
    """Digest and number of folds of each data set.

    Raises:
        FileNotFoundError: If a data set is missing.
        ValueError: If one is unknown or damaged.
    """
    return {
        name: f"{folds.identify(name)[1]} in {len(folds.folds(name))} folds".strip() for name in data
    }


def _key(record: dict) -> str:
    names = ("method", "fold", "seed", "hyperparameters", "search")
    # A reader's file is identified by its content, not by its path.
    data = record["data"] if not is_npz(record["data"]) else record["content"]
    content = record.get("content", "")
    return json.dumps([data, content, *(record[name] for name in names)], sort_keys=True)
