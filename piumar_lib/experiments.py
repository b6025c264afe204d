"""Train and judge: one function for one record, and a runner that can be killed and resumed.

    python -m piumar_lib.experiments --data spar-repetitions --seeds 3 --workers 2

A record holds each unseen person's score and all that is needed to run it again. Records live in
JSON-lines files under ``notebooks/results/``; whatever is there already is not computed again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from piumar_lib import metrics
from piumar_lib.backbones import tiny_cnn
from piumar_lib.data import Sequences, load_npz, spar, synthetic
from piumar_lib.recognizer import Recognizer
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch
from piumar_lib.training import Settings, fit, predict

RESULTS = Path(__file__).resolve().parents[1] / "notebooks" / "results"
SPAR = ("spar-repetitions", "spar-own-tempo", "spar-windows")


@dataclass(frozen=True)
class Method:
    """A way to train: what is plugged in (given the channels), and whether clips are augmented."""

    plug: Callable[[int], nn.Module | None]
    augmented: bool
    about: str


def _tfam(channels: int, **options) -> TFAM:
    return TFAM(TemporalBranch(channels, **options), FrequencyBranch())


METHODS = {
    "ERM": Method(lambda c: None, False, "cross-entropy, nothing else"),
    "augmentation": Method(lambda c: None, True, "warp, rotate, mirror or scale"),
    "two identity views": Method(lambda c: TFAM(), False, "control: is it the second view?"),
    "uniform mass": Method(
        lambda c: _tfam(c, mass="uniform"), False, "control: TFAM with the clock left as it is"
    ),
    "temporal": Method(TemporalBranch, False, "exact transport of motion energy"),
    "temporal, Sinkhorn": Method(
        lambda c: TemporalBranch(c, transport="sinkhorn"), False, "transport to learnt anchors"
    ),
    "frequency": Method(lambda c: FrequencyBranch(), False, "variance-guided perturbation"),
    "TFAM": Method(_tfam, False, "both branches, fused"),
    "TFAM + augmentation": Method(_tfam, True, "both branches and augmentation"),
}


@dataclass(frozen=True)
class Experiment:
    """One record's key.

    Attributes:
        data: ``"spar-repetitions"``, ``"spar-own-tempo"``, ``"spar-windows"``, ``"synthetic"``, or
            the path of a reader's own ``.npz``.
        method: A name in `METHODS`.
        fold: Which people are held out: SPAR leaves person ``fold + 1`` out; a reader's own data is
            cut into five folds of people; each synthetic fold is a new population (0-4 were looked
            at while developing, 5-9 only when the evidence was made).
        seed: Of the model's initialisation and of training.
        epochs: See `piumar_lib.training.Settings`.
    """

    data: str
    method: str
    fold: int
    seed: int
    epochs: int = 20


def folds(data: str) -> range:
    """The folds that a data set's evidence is made of, see `Experiment`."""
    if data == "synthetic":
        return range(5, 10)
    return range(min(10 if data in SPAR else 5, len(_load(data).people)))


def leave_people_out(
    data: str, methods: Iterable[str] = tuple(METHODS), seeds: int = 3, epochs: int = 20
) -> list[Experiment]:
    """Every fold under every method, seed by seed."""
    return [
        Experiment(data, method, fold, seed, epochs)
        for seed in range(seeds)
        for fold in folds(data)
        for method in methods
    ]


def load_fold(data: str, fold: int) -> tuple[Sequences, Sequences, str]:
    """Return training clips, clips of unseen people, and the kind of augmentation that suits them.

    Raises:
        ValueError: If the data set is unknown, the fold is out of range, or there are too few people.
    """
    if data == "synthetic":
        train = synthetic.make_clips(synthetic.make_people(40, seed=fold), 40, seed=fold)
        unseen = synthetic.make_people(20, seed=1000 + fold)
        test = synthetic.make_clips(unseen, 40, seed=1000 + fold, person_offset=1000 + 100 * fold)
        return train, test, "skeleton"
    everyone = _load(data)
    people = everyone.people
    if len(people) < 2:
        raise ValueError(f"data: {data} has one person. An unseen one needs at least 2.")
    if fold not in folds(data):
        raise ValueError(f"fold: {fold} is out of range for {data}. Choose from {folds(data)}.")
    held_out = np.isin(everyone.person, people[fold :: len(folds(data))])
    kind = "sensor" if data in SPAR else "any"
    return everyone.take(~held_out), everyone.take(held_out), kind


@cache
def _load(data: str) -> Sequences:
    if data == "spar-repetitions":
        return spar.repetitions(spar.load_recordings())
    if data == "spar-own-tempo":
        return spar.repetitions(spar.load_recordings(), fit="hold")
    if data == "spar-windows":
        return spar.windows(spar.load_recordings())
    if data.endswith(".npz"):
        return load_npz(data)
    raise ValueError(
        f"data: {data!r} is unknown. Choose spar-repetitions, spar-own-tempo, spar-windows, "
        "synthetic, or the path of an .npz file."
    )


def build(method: str, data: Sequences, seed: int) -> Recognizer:
    """Build a method's untrained recogniser for clips like ``data``.

    Raises:
        ValueError: If the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is unknown. Choose from {', '.join(METHODS)}.")
    channels = data.x.shape[-1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Recognizer(tiny_cnn(channels), 32, data.classes, METHODS[method].plug(channels))


def run(experiment: Experiment) -> dict:
    """Train, judge on unseen people, and return the record.

    The record's ``people`` maps each unseen person to ``[correct clips, clips]``.
    """
    start = time.perf_counter()
    train, test, kind = load_fold(experiment.data, experiment.fold)
    model = build(experiment.method, train, experiment.seed)
    augmentation = kind if METHODS[experiment.method].augmented else ""
    settings = Settings(epochs=experiment.epochs, augmentation=augmentation, seed=experiment.seed)
    fit(model, train, settings)
    predicted = predict(model, test).argmax(1)
    correct = predicted == test.y
    macro, _ = metrics.f1(test.y, predicted, test.classes)
    return asdict(experiment) | {
        "people": {
            str(p): [int(correct[test.person == p].sum()), int((test.person == p).sum())]
            for p in test.people
        },
        "accuracy": round(float(correct.mean()), 6),
        "macro_f1": round(macro, 6),
        "seconds": round(time.perf_counter() - start, 2),
    }


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
    missing = [e for e in dict.fromkeys(experiments) if _key(asdict(e)) not in done]
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = provenance()
        with _pool(workers) as submit, tqdm(total=len(missing), disable=not progress) as bar:
            for record in submit(missing):
                record |= origin
                _append(path, record)
                done[_key(record)] = record
                bar.set_description(f"{record['data']}, {record['method']}")
                bar.update()
    return [done[_key(asdict(e))] for e in experiments]


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


def scores_by_person(records: Iterable[dict], method: str) -> dict[str, float]:
    """Accuracy of each unseen person under a method, in [0, 1], averaged over seeds."""
    shares: dict[str, list[float]] = {}
    for record in records:
        if record["method"] == method:
            for person, (correct, clips) in record["people"].items():
                shares.setdefault(person, []).append(correct / clips)
    return {person: float(np.mean(values)) for person, values in sorted(shares.items())}


@dataclass(frozen=True)
class Row:
    """One method's line of a table; accuracies in [0, 1], people as the unit of statistics.

    Attributes:
        method: Its name.
        summary: Mean, interval, worst quarter and worst person over people.
        gain: Paired difference to ERM over the same people; None for ERM itself.
        p_holm: Its p value, corrected for all methods of the table.
        seed_deviation: Standard deviation of the mean accuracy over seeds (nan for one seed).
    """

    method: str
    summary: metrics.Summary
    gain: metrics.Comparison | None
    p_holm: float
    seed_deviation: float


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
    values = {name: np.array([scores[name][p] for p in everyone]) for name in names}
    others = [name for name in names if name != baseline and baseline in names]
    gains = {name: metrics.compare(values[name], values[baseline]) for name in others}
    corrected = dict(zip(gains, metrics.holm([g.p for g in gains.values()]), strict=True))
    return [
        Row(
            name,
            metrics.summarise(values[name]),
            gains.get(name),
            float(corrected.get(name, float("nan"))),
            _seed_deviation([r for r in records if r["method"] == name]),
        )
        for name in names
    ]


def _seed_deviation(records: list[dict]) -> float:
    seeds = sorted({record["seed"] for record in records})
    means = []
    for seed in seeds:
        chosen = [record for record in records if record["seed"] == seed]
        means.append(np.mean([c / n for record in chosen for c, n in record["people"].values()]))
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def provenance() -> dict:
    """Where and how records are made: command, commit, versions, device."""
    git = ["git", "-C", str(RESULTS.parents[1]), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    module = "piumar_lib.experiments"
    command = shlex.join(["python", "-m", module, *sys.argv[1:]]) if _is_main() else "notebook"
    return {
        "command": command,
        "commit": commit,
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
        "device": f"CPU, {platform.machine()}, {os.cpu_count()} cores",
    }


def _is_main() -> bool:
    return Path(sys.argv[0]).name == "experiments.py"


def _key(record: dict) -> tuple:
    return tuple(record[name] for name in ("data", "method", "fold", "seed", "epochs"))


def _append(path: Path, record: dict) -> None:
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


@contextmanager
def _pool(workers: int) -> Iterator[Callable[[list[Experiment]], Iterable[dict]]]:
    """Run experiments here, or in fresh processes with one thread each; yields records as done."""
    if workers == 1:
        yield lambda missing: map(run, missing)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as executor:
        try:
            yield lambda missing: (
                future.result()
                for future in as_completed([executor.submit(run, e) for e in missing])
            )
        finally:
            executor.shutdown(cancel_futures=True)


def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    parser = argparse.ArgumentParser(prog="python -m piumar_lib.experiments", description=__doc__)
    parser.add_argument("--data", default="spar-repetitions", help="a data set's name, or an .npz")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="initialisations of each fold")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="records file (default: notebooks/results/DATA)")
    options = parser.parse_args(arguments)
    path = options.out or RESULTS / f"{Path(options.data).stem}.jsonl"
    experiments = leave_people_out(options.data, options.methods, options.seeds, options.epochs)
    for row in summarise(run_all(experiments, path, options.workers)):
        s = row.summary
        print(
            f"{row.method:22s} {100 * s.mean:5.1f} [{100 * s.low:.1f}, {100 * s.high:.1f}] "
            f"worst quarter {100 * s.worst_quarter:5.1f}, worst {100 * s.worst:5.1f}"
        )
    print(f"records: {path}")


if __name__ == "__main__":
    main()
