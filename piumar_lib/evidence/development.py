"""The log of attempts: the experiments by which the defaults of TFAM and GIRL were chosen.

    python -m piumar_lib.evidence.development --people FOLDER --workers 2

Each attempt differs from TFAM's or PIUmr's default in one respect. It is trained together with its
reference and its control, which has the same hyperparameters: two views on an unchanged clock for TFAM,
random groups for GIRL. These people are for development only: synthetic populations 0 to 4, SPAR's
search folds, and MSR Action3D and UTKinect-Action3D if FOLDER has them (``msraction3d.npz`` and
``utkinect.npz``). Final folds are never evaluated. A training has 20 epochs for every data set: on the
smallest these are about 50 updates of the weights.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piumar_lib.data.own import load_npz, save_npz
from piumar_lib.data.synthetic import is_synthetic
from piumar_lib.evidence import folds, statistics
from piumar_lib.evidence.experiments import check_of, load, run_missing, train_and_predict
from piumar_lib.evidence.methods import METHODS, Hyperparameters, Method, resolve
from piumar_lib.evidence.methods import hyperparameters_of as known_of
from piumar_lib.evidence.records import RESULTS, ROOT, device, read_records
from piumar_lib.evidence.variants import UNALIGNED, VARIANTS
from piumar_lib.evidence.wording import points
from piumar_lib.metrics import count_by_person
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import write_text

LOG = RESULTS / "development.jsonl"
PEOPLE = ("msraction3d", "utkinect")
LENGTH = 32  # frames, at one length
MADE = ROOT / "build" / "development"
COMMAND = "python -m piumar_lib.evidence.development --people FOLDER"  # for every reader's folder
TFAM, PIUMR = "TFAM + augmentation", "PIUmr + augmentation"
RANDOM_GROUPS = "PIUmr, random groups + augmentation"
FOR_ALL = ("spar-own-tempo", "spar-repetitions", "synthetic")  # come with the course
# Data sets that are pooled, because people are the unit: one column of the table for each pool.
POOLS = {
    "real, own tempo": tuple(f"{name}, own tempo" for name in PEOPLE),
    "real, one length": tuple(f"{name}, one length" for name in PEOPLE),
    "SPAR, own tempo": ("spar-own-tempo",),
    "SPAR, one length": ("spar-repetitions",),
    "synthetic": ("synthetic",),
}


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        about: Unique description, in a few words.
        method: Name in `METHODS` or `VARIANTS`.
        hyperparameters: Those that differ from the defaults.
        against: The reference, with those of these hyperparameters that it has.
        control: The method that lacks only the tested component, with those of these hyperparameters
            that it has.
    """

    about: str
    method: str = TFAM
    hyperparameters: Hyperparameters = field(default_factory=dict)
    against: str = "augmentation"
    control: str = UNALIGNED


def _tfam(about: str, **changed: float) -> Attempt:
    return Attempt(about, TFAM, changed)


def _variant(about: str, name: str) -> Attempt:
    return Attempt(about, name, control=f"{name}, uniform clock")


def _girl(about: str, method: str = PIUMR, control: str = RANDOM_GROUPS, **changed: float) -> Attempt:
    return Attempt(about, method, changed, against=TFAM, control=control)


ATTEMPTS = (
    Attempt("TFAM, defaults"),
    _tfam("behind the first block", layer=1),
    _tfam("in front of the last block", layer=2),
    _tfam("behind all blocks", layer=3),
    Attempt("without augmentation", "TFAM", {}, "ERM", "TFAM, uniform clock"),
    Attempt("first version of TFAM", "first version", {}, control="first version, uniform clock"),
    _girl("PIUmr, defaults"),
    _tfam("width 64", width=64),
    _tfam("width 64, behind the first block", width=64, layer=1),
    _tfam("width 64, in front of the last block", width=64, layer=2),
    _tfam("width 64, behind all blocks", width=64, layer=3),
    _tfam("32 steps", steps=32),
    _tfam("64 steps", steps=64),
    _tfam("floor 0.05", floor=0.05),
    _tfam("floor 0.2", floor=0.2),
    _tfam("floor 0.5", floor=0.5),
    Attempt("mass by all motion", "all motion"),
    Attempt("mass by arc length", "arc length"),
    _tfam("no amplitude step", amplitude_step=0.0),
    _tfam("whole amplitude step", amplitude_step=1.0),
    Attempt("Sinkhorn to anchors", "Sinkhorn"),
    _variant("swap instead of gain", "swap"),
    _tfam("perturbation of half the size", scale=0.5),
    _tfam("perturbation of twice the size", scale=2.0),
    _tfam("no perturbation", scale=0.0),
    _variant("profile of a joint or sensor", "joints share"),
    _variant("profile of the whole clip", "all channels share"),
    _variant("mean instead of the gate", "mean fusion"),
    _variant("minimum instead of the gate", "minimum fusion"),
    _variant("gate of the first version", "first gate"),
    _tfam("no regulariser", regularizer_share=0.0),
    _tfam("regulariser pulls 20 %", regularizer_share=0.2),
    _tfam("no consistency", consistency=0.0),
    _girl("true people as groups", "PIUmr, true people + augmentation"),
    _girl("radius 0: hard clips alone", radius=0.0),
    _girl("radius 0.02", radius=0.02),
    _girl("radius 0.2", radius=0.2),
    _girl("groups alone", beta=0.0),
    _girl("hard clips count three times more", beta=3.0),
    _girl("1 group a class: actions as groups", groups=1),
    _girl("2 groups a class", groups=2),
    _girl("8 groups a class", groups=8),
    _girl("exponentiated gradient", "exponentiated gradient"),
    _girl("groups by pairwise similarity", "pairwise similarity"),
    _girl("a group left out in each step", "unseen group", "unseen group, by lot"),
    _girl("margin without sign", "unsigned margin"),
    _girl("margin of similarities", "similarity margin"),
    _girl("width 64: PIUmr", width=64),
    Attempt("GIRL alone", "GIRL", {}, "ERM", "GIRL, random groups"),
    Attempt(
        "GIRL with augmentation",
        "GIRL + augmentation",
        {},
        "augmentation",
        "GIRL, random groups + augmentation",
    ),
)


class Training(NamedTuple):
    """One training: data by name and content, method, hyperparameters as sorted pairs, fold, seed."""

    data: str
    content: str
    method: str
    hyperparameters: tuple
    fold: int
    seed: int


def method_of(name: str) -> Method:
    """A method of the course, or a variant."""
    return METHODS[name] if name in METHODS else VARIANTS[name]


def hyperparameters_of(name: str, chosen: Hyperparameters) -> Hyperparameters:
    """All hyperparameters of a method; entries of ``chosen`` that it does not have are ignored."""
    own = {*known_of(method_of(name)), "layer", "width", "steps"}
    return resolve(method_of(name), {key: value for key, value in chosen.items() if key in own})


def roles(attempt: Attempt) -> dict[str, tuple[str, Hyperparameters]]:
    """The trainings of an attempt: the attempt, its reference and its control."""
    names = {"tried": attempt.method, "against": attempt.against, "control": attempt.control}
    return {
        role: (name, hyperparameters_of(name, attempt.hyperparameters)) for role, name in names.items()
    }


def data_sets(people: Path | None, made: Path = MADE) -> dict[str, str]:
    """Maps the name of each data set to the argument of `folds.load_fold`.

    ``people`` is the folder of the real people's files; None leaves them out. The same clips at one
    length are written to ``made``.

    Raises:
        FileNotFoundError: If ``people`` lacks a file.
    """
    found = {name: name for name in FOR_ALL}
    if people is None:
        return found
    for name in PEOPLE:
        own = people / f"{name}.npz"
        if not own.is_file():
            raise FileNotFoundError(f"{own}: no such file. Put {', '.join(PEOPLE)} there, as .npz.")
        short = made / f"{name}-{LENGTH}.npz"
        made.mkdir(parents=True, exist_ok=True)
        save_npz(short, load_npz(own).resampled(LENGTH), force=True)
        found |= {f"{name}, own tempo": str(own), f"{name}, one length": str(short)}
    return found


def where(data: str) -> tuple[range, bool]:
    """The folds that development may use, and whether they are search folds."""
    if is_synthetic(data):
        return folds.DEVELOPMENT, False
    return (folds.search_folds(data), True) if data in folds.SPAR else (folds.folds(data), False)


def trainings(
    attempts: Iterable[Attempt], found: dict[str, str], seeds: int
) -> list[tuple[Training, str]]:
    """All trainings, each with the place of its data.

    Ordered by seed; real people first, because they are the most informative and the cheapest.
    """
    wanted = {}
    known = {name: (folds.identify(place)[1], where(place)[0]) for name, place in found.items()}
    order = sorted(found, key=lambda name: name in FOR_ALL)
    for seed, name, attempt in product(range(seeds), order, attempts):
        (content, chosen), place = known[name], found[name]
        for method, k in roles(attempt).values():
            for fold in chosen:
                key = Training(name, content, method, tuple(sorted(k.items())), fold, seed)
                wanted[key] = place
    return list(wanted.items())


def run(training: Training, place: str) -> dict:
    """Train and evaluate on unseen people; ``people`` maps each to ``[correct clips, clips]``.

    A training that diverges counts no clip as correct, and ``failed`` says why.

    Raises:
        ValueError: If a file has changed since the training was planned.
    """
    fold = load(place, training.fold, training.content, where(place)[1])
    k, method = dict(training.hyperparameters), method_of(training.method)
    predicted, failed = train_and_predict(method, k, fold, training.seed)
    people = count_by_person(predicted == fold.unseen.y, fold.unseen.person)
    record = training._asdict() | {"hyperparameters": k, "people": people, "device": device()}
    return record | ({"failed": failed} if failed else {})


def make(
    attempts: Iterable[Attempt],
    found: dict[str, str],
    seeds: int,
    out: Path,
    workers: int,
    scheduler: str = "",
) -> dict:
    """Run the trainings that are missing in ``out``; return all records. A killed run resumes.

    Raises:
        InUse: If another run writes to ``out``.
        OSError: If writing fails.
    """
    jobs, check = {job[0]: job for job in trainings(attempts, found, seeds)}, check_of(found.values())

    def compute(missing: list[tuple]) -> Iterator[dict]:
        return in_parallel(run, missing, workers, scheduler, check)

    done = run_missing(jobs, compute, out, _training)
    return {key: done[key] for key in jobs}


def _training(record: dict) -> Training:
    values = {name: record[name] for name in Training._fields}
    chosen = tuple(sorted(record["hyperparameters"].items()))
    return Training(**values | {"hyperparameters": chosen})


def lines_of(attempts: Iterable[Attempt], done: dict[Training, dict]) -> list[dict]:
    """The log: a line for each attempt and data set for which all three roles were trained.

    ``people`` maps each person to the mean accuracies over seeds: tried, against, control.
    """
    runs: dict[tuple, dict[tuple[int, int], dict]] = {}
    for key, record in done.items():
        runs.setdefault((key.data, key.method, key.hyperparameters), {})[key.fold, key.seed] = record
    lines = []
    for attempt, data in product(attempts, dict.fromkeys(key.data for key in done)):
        chosen = roles(attempt)
        mine = [runs.get((data, m, tuple(sorted(k.items()))), {}) for m, k in chosen.values()]
        common = set(mine[0]).intersection(*mine[1:])
        seeds = {s for _, s in common if {f for f, t in common if t == s} == {f for f, _ in mine[0]}}
        if not seeds:
            continue
        shares: dict[str, list[list[float]]] = {}
        for at in sorted(at for at in common if at[1] in seeds):
            for role, of in enumerate(mine):
                for person, (right, clips) in of[at]["people"].items():
                    shares.setdefault(person, [[], [], []])[role].append(right / clips)
        first = mine[0][min(common)]
        lines.append(
            {"attempt": attempt.about, "data": data}
            | {role: method for role, (method, _) in chosen.items()}
            | {"hyperparameters": attempt.hyperparameters, "seeds": sorted(seeds)}
            | {"content": first["content"]}
            | {"people": {p: [round(float(np.mean(v)), 6) for v in of] for p, of in shares.items()}}
            | {"command": f"{COMMAND} --seeds {len(seeds)}"}
            | {name: first[name] for name in ("commit", "versions", "device")}
        )
    return lines


def outcome(lines: Iterable[dict], pool: str, over: str = "against") -> statistics.Difference | None:
    """Pooled difference of an attempt's ``lines`` over its reference or, by ``over``, its ``"control"``.

    The interval is over people, or over populations if they are synthetic. None if the attempt was not
    run on all data sets of the pool.
    """
    chosen = [line for line in lines if line["data"] in POOLS[pool]]
    if len(chosen) < len(POOLS[pool]):
        return None
    role = {"against": 1, "control": 2}[over]
    gains = {(line["data"], p): v[0] - v[role] for line in chosen for p, v in line["people"].items()}
    if any(map(is_synthetic, POOLS[pool])):  # `folds.load_fold` numbers people by hundreds
        return statistics.clustered([*gains.values()], [int(person) // 100 for _, person in gains])
    return statistics.paired(np.array([*gains.values()]), np.zeros(len(gains)))


def read_log(log: Path = LOG) -> dict[str, list[dict]]:
    """The committed log: each attempt's lines."""
    of: dict[str, list[dict]] = {}
    for line in read_records(log):
        of.setdefault(line["attempt"], []).append(line)
    return of


def require_no_loss(log: Path, made: Iterable[tuple[str, str]]) -> None:
    """Raise if a log would lose the line of an attempt and data set.

    Raises:
        ValueError: If one is not among those ``made``.
    """
    if lost := {(line["attempt"], line["data"]) for line in read_records(log)} - {*made}:
        raise ValueError(
            f"{log}: would lose {len(lost)} of its lines, among them {' on '.join(min(lost))}. Give "
            "--people, or another --out."
        )


def rows(log: dict[str, list[dict]], over: str = "against") -> list[list[str]]:
    """Table cells: attempt, then a cell in points for each pool of `POOLS`."""
    table = []
    for about, lines in log.items():
        cells = [outcome(lines, pool, over) for pool in POOLS]
        table.append([about, *map(points, cells)])
    return table


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    program = "python -m piumar_lib.evidence.development"
    parser = Parser(
        prog=program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=path, help="folder with msraction3d.npz and utkinect.npz")
    parser.add_argument("--seeds", type=at_least(1), default=1, help="initialisations of each fold")
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    parser.add_argument("--trainings", type=path, default=MADE / "trainings.jsonl")
    parser.add_argument("--out", type=path, default=LOG, help="the log")
    parser.add_argument(
        "--log", action="store_true", help="train nothing, write the log of existing records"
    )
    options = parser.parse_args(arguments)
    if options.log:
        if not options.trainings.is_file():
            raise FileNotFoundError(f"{options.trainings}: no trainings. Make them: {COMMAND}")
        done = {_training(record): record for record in read_records(options.trainings)}
    else:
        found = data_sets(options.people)
        require_no_loss(options.out, ((a.about, name) for a, name in product(ATTEMPTS, found)))
        done = make(
            ATTEMPTS, found, options.seeds, options.trainings, options.workers, options.scheduler
        )
    lines = lines_of(ATTEMPTS, done)
    require_no_loss(options.out, ((line["attempt"], line["data"]) for line in lines))
    write_text(options.out, "".join(f"{json.dumps(line)}\n" for line in lines))
    log = read_log(options.out)
    for over in ("against", "control"):
        print(f"over {'what it has to beat' if over == 'against' else 'its control'}, points:")
        for about, *cells in rows(log, over):
            print(f"{about:34s}" + "".join(f"{cell:>22s}" for cell in cells))
    print(f"log: {options.out}")


if __name__ == "__main__":
    from piumar_lib.evidence import development  # by its module's name, so that workers find it, too

    sys.exit(development.main())
