"""Train and judge: one function for one record, and a runner that can be killed and resumed.

A record holds each unseen person's score and all that is needed to run it again. Records live in
JSON-lines files; whatever is there already is not computed again. `piumar_lib.evidence` says which
records the course's tables are made of, and has the command line.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from piumar_lib import folds, metrics
from piumar_lib.methods import METHODS, build, resolve, settings
from piumar_lib.processes import in_processes
from piumar_lib.training import fit, predict

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("evidence.py", "person_study.py")  # make records from the command line


@dataclass(frozen=True)
class Experiment:
    """One record's key.

    Attributes:
        data: See `piumar_lib.folds.load_fold`.
        method: A name in `piumar_lib.methods.METHODS`.
        fold: Which people are held out.
        seed: Of the model's initialisation and of training.
        knobs: All hyperparameters, as sorted pairs of name and value: a record stays what it is if a
            default changes.
        search: Whether the fold is one for choosing hyperparameters.
    """

    data: str
    method: str
    fold: int
    seed: int
    knobs: tuple[tuple[str, Any], ...]
    search: bool = False

    def key(self) -> dict[str, Any]:
        """The key as a record has it."""
        return {
            "data": self.data,
            "method": self.method,
            "fold": self.fold,
            "seed": self.seed,
            "knobs": dict(self.knobs),
            "search": self.search,
        }


def experiment(
    data: str,
    method: str,
    fold: int,
    seed: int,
    knobs: dict[str, Any] | None = None,
    search: bool = False,
) -> Experiment:
    """Make an `Experiment`; ``knobs`` are those that differ from the method's defaults.

    Raises:
        ValueError: If the method or a hyperparameter is unknown, or a value cannot be right.
    """
    return Experiment(data, method, fold, seed, tuple(sorted(resolve(method, knobs).items())), search)


def run(e: Experiment) -> dict:
    """Train, judge on unseen people, and return the record.

    The record's ``people`` maps each unseen person to ``[correct clips, clips]``. A training that
    diverges is a result too: its record says so in ``failed`` and counts no clip as correct.

    Raises:
        ValueError: If data, fold, method or a hyperparameter cannot be right.
    """
    start = time.perf_counter()
    fold = (folds.load_search_fold if e.search else folds.load_fold)(e.data, e.fold)
    knobs = resolve(e.method, dict(e.knobs))
    model = build(e.method, fold.train.x.shape[-1], fold.train.classes, knobs, e.seed)
    chosen = settings(e.method, knobs, fold.augmentation, e.seed)
    failed = ""
    try:
        fit(model, fold.train, chosen, METHODS[e.method].objective(knobs))
        probabilities = predict(model, fold.unseen)
        if np.isnan(probabilities).any():
            raise FloatingPointError("predictions are not finite. Lower the learning rate.")
        predicted = probabilities.argmax(1)
    except FloatingPointError as error:
        predicted, failed = np.full(len(fold.unseen), -1), str(error)
    correct = predicted == fold.unseen.y
    macro, _ = metrics.f1(fold.unseen.y, predicted, fold.unseen.classes)
    record = e.key() | {
        "people": {
            str(p): [int(correct[fold.unseen.person == p].sum()), int((fold.unseen.person == p).sum())]
            for p in fold.unseen.people
        },
        "accuracy": round(float(correct.mean()), 6),
        "macro_f1": round(macro, 6),
        "seconds": round(time.perf_counter() - start, 2),
    }
    return record | ({"failed": failed} if failed else {})


def run_all(
    experiments: Iterable[Experiment], path: Path, workers: int = 1, progress: bool = True
) -> list[dict]:
    """Run what is missing in ``path`` and return the records of all ``experiments``.

    Each record is written as soon as it is done, so a killed run loses only what was in work.

    Args:
        experiments: What to run.
        path: A JSON-lines file; created if need be.
        workers: Processes, each with one thread.
        progress: Show a progress bar.
    """
    experiments = list(experiments)
    done = {_key(record): record for record in read_records(path)}
    missing = [e for e in dict.fromkeys(experiments) if _key(e.key()) not in done]
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = provenance()
        with tqdm(total=len(missing), disable=not progress) as bar:
            for record in in_processes(run, [(e,) for e in missing], workers):
                record |= origin
                append_record(path, record)
                done[_key(record)] = record
                bar.set_description(f"{record['data']}, {record['method']}")
                bar.update()
    return [done[_key(e.key())] for e in experiments]


def read_records(path: Path) -> list[dict]:
    """Read a JSON-lines file; an unfinished last line, left by a killed run, is passed over.

    Raises:
        ValueError: If another line is damaged; the message names file and line.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: not a record. Remove this line.") from error
    return records


@cache
def provenance() -> dict:
    """Where and how records are made: command, commit, versions, device."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    called = Path(sys.argv[0]).name
    arguments = [a.removeprefix(f"{ROOT}{os.sep}") for a in sys.argv[1:]]  # as typed in the repository
    command = ["python", "-m", f"piumar_lib.{called.removesuffix('.py')}", *arguments]
    return {
        "command": shlex.join(command) if called in PROGRAMS else "notebook",
        "commit": commit,
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
        "device": f"CPU, {platform.machine()}, {os.cpu_count()} cores",
    }


def _key(record: dict) -> str:
    names = ("data", "method", "fold", "seed", "knobs", "search")
    return json.dumps([record[name] for name in names], sort_keys=True)


def append_record(path: Path, record: dict) -> None:
    """Add one line; what a killed run left unfinished is removed, what lacks its end gets it."""
    content = path.read_bytes() if path.is_file() else b""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"null")
    except ValueError:
        os.truncate(path, len(content) - len(last))
        last = b""
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if last else "") + json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
