"""The commands of the study.

    python -m piumar_lib.evidence search --workers 2
    python -m piumar_lib.evidence train --workers 2
    python -m piumar_lib.evidence.person_study --workers 2
    python -m piumar_lib.evidence contrasts --json build/contrasts.json

The third computes the records of the last planned contrast, that of person normalisation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import product

from piumar_lib.evidence import contrasts, folds
from piumar_lib.evidence.methods import BACKBONES, FIXED, METHODS
from piumar_lib.evidence.protocol import (
    FORMS,
    PLANNED,
    REAL,
    SEEDS,
    SETS,
    data_of,
    make,
    make_search,
    records_path,
)
from piumar_lib.evidence.records import STUDY
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import write_text


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Command line; ``--help`` lists the options."""
    parser = Parser(
        prog="python -m piumar_lib.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="command", required=True)

    def add(name: str, command: object, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(command=command)
        sub.add_argument("--out", type=path, default=STUDY, help="folder of the records")
        return sub

    for name, command, words in (
        ("search", _search, "search hyperparameters on the development data sets"),
        ("train", _train, "train and evaluate whatever is missing"),
    ):
        sub = add(name, command, words)
        sub.add_argument(
            "--methods", nargs="+", choices=list(METHODS), default=PLANNED, metavar="METHOD"
        )
        sub.add_argument("--workers", type=at_least(1), default=os.cpu_count() or 1, help="processes")
        sub.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
        sub.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS, metavar="FORM")
        if name == "train":
            sub.add_argument("--data", nargs="+", default=SETS, help="data sets, or .npz files")
            sub.add_argument("--seeds", type=at_least(1), default=SEEDS, help="of each fold")
            sub.add_argument("--backbone", choices=list(BACKBONES), default=FIXED["backbone"])
            sub.add_argument("--width", type=at_least(1), default=FIXED["width"])
    sub = add("contrasts", _contrasts, "compute the planned contrasts from the records")
    sub.add_argument("--data", nargs="+", default=REAL, help="data sets, or .npz files; pooled")
    sub.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS, metavar="FORM")
    sub.add_argument("--json", type=path, help="file for all numbers")
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt as stop:
        words = "stopped. Finished records are kept; the same command resumes."
        raise KeyboardInterrupt(words) from stop


def _search(options: argparse.Namespace) -> None:
    make_search(options.methods, options.workers, options.out, options.scheduler, options.forms)
    print(f"records: {options.out / 'search.jsonl'}")


def _train(options: argparse.Namespace) -> None:
    model = {"backbone": options.backbone, "width": options.width}
    for data in dict.fromkeys(data_of(*pair) for pair in product(options.data, options.forms)):
        folds.folds(data)  # raises if the data are invalid
        make(
            data,
            options.methods,
            options.seeds,
            options.workers,
            options.out,
            model,
            scheduler=options.scheduler,
        )
        print(f"records: {records_path(data, options.out)}")


def _contrasts(options: argparse.Namespace) -> None:
    results = contrasts.compute(options.data, options.forms, options.out)
    for row in contrasts.table(results):
        print("; ".join(f"{name}: {value}" for name, value in row.items()))
    if options.json:
        write_text(options.json, json.dumps([r.summary() for r in results], indent=1) + "\n")
        print(f"numbers: {options.json}")


if __name__ == "__main__":
    sys.exit(main())
