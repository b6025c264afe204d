"""The library's reference record for the code of chapter 08: ERM and PIUmr on SPAR.

Three of SPAR's ten people are held out, clips have their own tempo, and all hyperparameters are
defaults.

    python -m piumar_lib.evidence.from_scratch --out notebooks/results/from-scratch.jsonl
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from piumar_lib.data import spar
from piumar_lib.data.sequences import Sequences
from piumar_lib.evidence import methods
from piumar_lib.evidence.records import RESULTS, device, provenance, read_records
from piumar_lib.metrics import count_by_person
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import require_writable, write_text
from piumar_lib.training import fit, predict

FILE = RESULTS / "from-scratch.jsonl"
METHODS = ("ERM", "PIUmr")
EPOCHS = 10
SEEDS = range(5)


def split(clips: Sequences) -> tuple[Sequences, Sequences]:
    """Training clips, and clips of unseen people: every third person, from the second on."""
    unseen = np.isin(clips.person, clips.people[1::3])
    return clips.take(~unseen), clips.take(unseen)


def load() -> tuple[Sequences, Sequences]:
    """SPAR's repetitions at their own tempo, see `split`."""
    return split(spar.repetitions(spar.load_recordings(), fit="hold"))


def counts(predicted: ArrayLike, clips: Sequences) -> dict[str, list[int]]:
    """Numbers of correct clips and of all clips of each person, as in records, of classes ``(n,)``."""
    return count_by_person(np.asarray(predicted) == clips.y, clips.person)


def accuracy(people: Mapping[str, list[int]]) -> float:
    """Mean over people of their accuracy, in [0, 1]; ``people`` from `counts`."""
    return float(np.mean([right / clips for right, clips in people.values()]))


def accuracies(method: str, records: Iterable[Mapping[str, Any]] | None = None) -> list[float]:
    """The accuracy of each seed, in [0, 1], of one of `METHODS`; by default in the course's records.

    Raises:
        FileNotFoundError: If there are none.
    """
    if records is None:
        records = read_records(FILE)
    found = [accuracy(r["people"]) for r in records if r["method"] == method]
    if not found:
        raise FileNotFoundError(
            f"{FILE}: no records of {method}. Make them: "
            "python -m piumar_lib.evidence.from_scratch --out notebooks/results/from-scratch.jsonl"
        )
    return found


class Interval(NamedTuple):
    """The ends of an interval, in units of the values that it was computed from."""

    low: float
    high: float


def interval_for_mean_of(others: int, values: ArrayLike) -> Interval:
    """95 % prediction interval: for the mean of ``others`` other seeds from the same Gaussian.

    ``m +- t s sqrt(1 / n + 1 / others)`` with Student's t of n - 1 degrees of freedom; ``values`` has
    one value for each recorded seed, shape ``(n,)``.

    Raises:
        ValueError: If there are fewer than two values, or no others.
    """
    from scipy import stats

    values = np.asarray(values, float)
    if len(values) < 2 or others < 1:
        raise ValueError(
            f"values, others: must be at least 2 and 1, got {len(values)} and {others}. Add seeds."
        )
    factor = np.sqrt(1 / len(values) + 1 / others) * stats.t.ppf(0.975, len(values) - 1)
    half = factor * values.std(ddof=1)
    return Interval(float(values.mean() - half), float(values.mean() + half))


def train_library(method: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Train the library's recogniser for ``epochs`` epochs; return its record."""
    clips, unseen = load()
    k = methods.resolve(method, {"epochs": epochs})
    model = methods.build(method, clips.x.shape[-1], clips.classes, k, seed)
    begin = time.perf_counter()
    fit(model, clips, methods.settings(method, k, "", seed), methods.row_of(method).objective(k))
    seconds = round(time.perf_counter() - begin, 1)
    people = counts(predict(model, unseen).argmax(1), unseen)
    record = {"data": "spar-own-tempo", "method": method, "seed": seed, "epochs": epochs}
    return record | {"people": people, "seconds": seconds, "device": device()}


@command_line
def main(argv: list[str] | None = None) -> None:
    """Compute the records that are kept with the course."""
    parser = Parser(description="Train the library on chapter 08's split.")
    parser.add_argument("--out", type=path, required=True, help="file to write, .jsonl")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=at_least(1), default=EPOCHS)
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    chosen = parser.parse_args(argv)
    require_writable(chosen.out.parent)
    jobs = [(method, seed, chosen.epochs) for seed, method in product(chosen.seeds, METHODS)]
    done = in_parallel(train_library, jobs, chosen.workers, chosen.scheduler)
    records = list(tqdm(done, "from scratch", total=len(jobs)))
    records.sort(key=lambda r: (METHODS.index(r["method"]), r["seed"]))
    write_text(chosen.out, "".join(json.dumps(r | provenance()) + "\n" for r in records))


if __name__ == "__main__":
    from piumar_lib.evidence import from_scratch as named  # so that workers find it, too

    sys.exit(named.main())
