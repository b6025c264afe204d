"""Person normalisation from a few unlabelled clips: when it improves accuracy, and when it does harm.

    python -m piumar_lib.evidence.person_study --data synthetic

Every training is evaluated on its unseen people before and after `normalize_person`, for several numbers
of clips that a person is estimated from, and for people who show all classes or only three of them.
The clips that a person is estimated from are among those evaluated: their labels are not used.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np

from piumar_lib.data.sequences import Sequences
from piumar_lib.data.synthetic import is_synthetic
from piumar_lib.evidence import folds
from piumar_lib.evidence.experiments import Experiment, experiment, run_all, train
from piumar_lib.evidence.methods import METHODS
from piumar_lib.evidence.person_gain import CLIPS, FILE, NONE, SHOWN, WAYS, gain
from piumar_lib.evidence.protocol import FORMS, REAL, SEEDS, data_of, plan, read_search
from piumar_lib.evidence.records import STUDY, device
from piumar_lib.person_normalization import TrainingPeople, normalize_person
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.training import predict


def trainings(data: str, method: str, seeds: int, folder: Path = STUDY) -> list[Experiment]:
    """Trainings: on synthetic populations of development, or on all folds of other data.

    Hyperparameters are those of the study; synthetic data keep the method's defaults.
    """
    if is_synthetic(data):
        return [
            experiment(data, method, fold, seed)
            for seed, fold in product(range(seeds), folds.DEVELOPMENT)
        ]
    return plan(data, [method], read_search(folder), seeds)


def run(e: Experiment) -> dict:
    """Train once, and evaluate every unseen person under every variant.

    The record's ``people`` maps each of them to ``"clips"`` and to the clips that are recognised under
    `NONE` and under each of `WAYS`, for each of `SHOWN`: one number for each of `CLIPS`, None where the
    person has fewer. A training that diverges has no correct clips under any variant, and ``failed`` has
    the error.
    """
    try:
        model, (known, unseen, _) = train(e)
        failed = ""
        training = TrainingPeople(model, known)
    except FloatingPointError as error:
        unseen, failed = folds.load_fold(e.data, e.fold).unseen, str(error)

    def right(own: Sequences, way: str, clips: int | None) -> int | None:
        if clips is not None and len(own) < clips:
            return None
        if failed:
            return 0
        if way == NONE:
            said = predict(model, own)
        else:
            said = normalize_person(model, own.x, training, own.x[:clips], **WAYS[way])
        return int((said.argmax(1) == own.y).sum())

    people: dict[str, dict[str, object]] = {}
    for person in unseen.people:
        shown = [clips_of(unseen, person, classes, e.seed) for classes in SHOWN]
        people[str(person)] = {
            "clips": [len(own) for own in shown],
            NONE: [right(own, NONE, None) for own in shown],
        } | {way: [[right(own, way, n) for n in CLIPS] for own in shown] for way in WAYS}
    record = e.key() | {"people": people, "device": device()}
    return record | ({"failed": failed} if failed else {})


def clips_of(unseen: Sequences, person: int, shown: int | None, seed: int) -> Sequences:
    """A person's clips in random order, of ``shown`` random classes (None: of all)."""
    rng = np.random.default_rng([seed, int(person)])
    own = unseen.take(rng.permutation(np.flatnonzero(unseen.person == person)))
    return own.take(np.isin(own.y, rng.permutation(np.unique(own.y))[:shown]))


def make(
    data: str, method: str, seeds: int, out: Path, workers: int = 1, scheduler: str = ""
) -> list[dict]:
    """Compute the records that are missing in ``out`` and return all; a killed run resumes.

    Raises:
        InUse: If another run writes to ``out``.
        OSError: If writing fails.
    """
    wanted = trainings(data, method, seeds, out.parent)
    return run_all(wanted, out, workers, scheduler=scheduler, work=run)


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    program = "python -m piumar_lib.evidence.person_study"
    parser = Parser(
        prog=program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [data_of(*pair) for pair in product(REAL, FORMS)]
    parser.add_argument("--data", nargs="+", default=every, help="names of data sets, or .npz files")
    parser.add_argument("--method", default="augmentation", choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=at_least(1), default=SEEDS, help="initialisations of each fold")
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    parser.add_argument("--out", type=path, default=STUDY / FILE)
    options = parser.parse_args(arguments)
    for data in options.data:
        records = make(
            data, options.method, options.seeds, options.out, options.workers, options.scheduler
        )
        numbers = ", ".join(str(n or "all") for n in CLIPS)
        print(f"{data}: gain in points, by clips of the person: {numbers}")
        for shown, way in product(SHOWN, WAYS):
            cells = [gain(records, way, shown, n) for n in CLIPS]
            line = "".join(f"{100 * c.difference:+7.1f}" if c else f"{'-':>7}" for c in cells)
            print(f"{shown or 'all':>3} classes, {way:28s}{line}")
    print(f"records: {options.out}")


if __name__ == "__main__":
    from piumar_lib.evidence import person_study  # by its module's name, so that workers find it, too

    sys.exit(person_study.main())
