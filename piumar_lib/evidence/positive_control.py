"""Positive control of group robustness: `piumar_lib.data.spurious`, with and without known groups.

Before a loss is evaluated on people, it is tested on data for which it was designed. If it has no gain
there, the implementation is wrong; if it has, a failure on other data is informative about these data.

    python -m piumar_lib.evidence.positive_control --out notebooks/results/positive-control.jsonl
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from piumar_lib.backbones import tiny_cnn
from piumar_lib.data import spurious
from piumar_lib.evidence.records import device, provenance
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.metrics import accuracy_by_person
from piumar_lib.objective import Objective
from piumar_lib.pseudo_groups import PersonGroups, RandomGroups, StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import require_writable, write_text
from piumar_lib.training import fit, predict

# Chosen, like the data's noise and offset, on seeds 100 to 115, which are never reported.
SETTINGS = Settings(
    epochs=8, learning_rate=1e-2
)  # stops early: once all clips are fitted, risks are not informative
WIDTH, DEPTH = 8, 2
TRAIN_CLIPS, TEST_CLIPS = 1500, 2000

# The four that differ only in their groups have no weights for hard clips, which need no groups.
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "ERM": Objective,
    "true groups": lambda: GroupRobustObjective(PersonGroups(), beta=0.0),
    "style groups": lambda: GroupRobustObjective(StyleGroups(), beta=0.0),
    "random groups": lambda: GroupRobustObjective(RandomGroups(), beta=0.0),
    "hard clips alone": lambda: GroupRobustObjective(radius=0.0),
    "style groups and hard clips": GroupRobustObjective,
}


def positive_control(
    seeds: Iterable[int],
    rows: Iterable[str] = tuple(OBJECTIVES),
    progress: bool = True,
    workers: int = 1,
    scheduler: str = "",
) -> list[dict[str, Any]]:
    """Train each of ``rows`` on clips with a spurious offset; evaluate where it is not informative.

    In training the offset agrees with the class, in evaluation as often as not. Each seed has its own
    clips and its own network; for ``workers`` and ``scheduler`` see
    `piumar_lib.support.cluster.in_parallel`.

    Returns:
        For each seed and row a record with ``row``, ``seed``, ``worst`` (accuracy in the worst of the
        four groups) and ``mean`` (over the groups, which are of equal size), both in [0, 1],
        and the ``device`` that trained.
    """
    jobs = [*product(seeds, rows)]
    done = in_parallel(_judge, jobs, workers, scheduler)
    bar = tqdm(done, "positive control", total=len(jobs), disable=not progress)
    return sorted(bar, key=lambda record: jobs.index((record["seed"], record["row"])))


def recovered(rows: Iterable[dict[str, Any]], row: str) -> float:
    """Gain of ``row`` over ERM in the worst group, relative to the gain of true groups.

    The ratio of mean gains over all seeds in the records of `positive_control`: 1 equals true groups, 0
    equals ERM.
    """
    worst: dict[str, list[float]] = {}
    for r in rows:
        worst.setdefault(r["row"], []).append(r["worst"])
    ours, true, plain = (np.mean(worst[name]) for name in (row, "true groups", "ERM"))
    return float((ours - plain) / (true - plain))


def _judge(seed: int, row: str) -> dict[str, Any]:
    train = spurious.make_clips(TRAIN_CLIPS, seed)
    test = spurious.make_clips(TEST_CLIPS, 10_000 + seed, agreement=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Recognizer(tiny_cnn(train.x.shape[2], WIDTH, DEPTH), WIDTH, train.classes)
    fit(model, train, replace(SETTINGS, seed=seed), OBJECTIVES[row]())
    correct = predict(model, test).argmax(1) == test.y
    groups = accuracy_by_person(correct, test.person).values()
    scores = {"worst": min(groups), "mean": float(correct.mean())}
    return {"row": row, "seed": seed} | scores | {"device": device()}


@command_line
def main(argv: list[str] | None = None) -> None:
    """Compute the records that are kept with the course."""
    parser = Parser(description="Train the positive control and write its records.")
    parser.add_argument("--out", type=path, required=True, help="file to write, .jsonl")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10))
    parser.add_argument("--workers", type=at_least(1), default=1, help="processes")
    parser.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    chosen = parser.parse_args(argv)
    require_writable(chosen.out.parent)
    origin = provenance()
    records = positive_control(chosen.seeds, workers=chosen.workers, scheduler=chosen.scheduler)
    write_text(chosen.out, "".join(json.dumps(record | origin) + "\n" for record in records))


if __name__ == "__main__":
    from piumar_lib.evidence import positive_control as named  # so that workers find it, too

    sys.exit(named.main())
