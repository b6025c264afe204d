"""All benchmarks with one command, one table.

    python tests/benchmarks/run.py                      everything, minutes; records are kept
    python tests/benchmarks/run.py --only sinkhorn      one of them, again
    python tests/benchmarks/run.py --device cuda        on a GPU
    python tests/benchmarks/run.py --quick              each once and tiny: only shows that it runs

Comparisons are ratios within one run. The others are used where they are installed: ``pip install
decord geomloss`` adds those that the course itself does not need.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # benchmarks import one another by name

import torch
from row import Row

from piumar_lib.evidence.records import ROOT, provenance, read_records
from piumar_lib.notebook.costs import machine
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import write_text

NAMES = (
    "sinkhorn", "exact_transport", "reading", "preparation", "training_step", "overhead",
    "recognizer_step", "plug_in_flops", "course", "evidence",
)  # fmt: skip
RECORDS = ROOT / "notebooks" / "results" / "benchmarks.jsonl"


def run(name: str, quick: bool, device: str, workers: int, build: Path) -> list[Row]:
    """Run one benchmark."""
    measure = importlib.import_module(name).measure
    has = inspect.signature(measure).parameters
    given = {"quick": quick, "device": device, "workers": workers, "build": build}
    build.mkdir(parents=True, exist_ok=True)
    return list(measure(**{key: value for key, value in given.items() if key in has}))


def keep(path: Path, records: list[dict]) -> None:
    """Put records into the file, instead of those of the same benchmarks on the same device."""
    new = {(r["benchmark"], r["device"]) for r in records}
    old = [r for r in read_records(path) if (r["benchmark"], r["device"]) not in new]
    write_text(path, "".join(json.dumps(r) + "\n" for r in (*old, *records)))


def show(row: Row) -> str:
    """One line of the table."""
    if row.ratio is None:
        return f"  {row.what:<62} {row.verdict}: {row.note}"
    sign = "<=" if row.at_most else ">="
    goal = "" if row.goal is None else f"goal {sign} {row.goal:g}, {row.verdict}"
    return f"  {row.what:<62} {row.ratio:8.3g} {row.unit:<8} {goal:<20} {row.note}"


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run what was asked for."""
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=NAMES, nargs="+", default=NAMES)
    parser.add_argument("--quick", action="store_true", help="each once and tiny; keeps no records")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    workers = min(os.cpu_count() or 1, 8)
    parser.add_argument("--workers", type=at_least(1), default=workers, help="processes")
    parser.add_argument("--out", type=path, default=RECORDS, help="JSON lines")
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("device: cuda is not there. Install torch's CUDA build, or leave --device out.")
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    print(machine(arguments.device))
    for name in arguments.only:
        print(name, flush=True)
        start = time.perf_counter()
        build = ROOT / "build" / "benchmarks"
        rows = run(name, arguments.quick, arguments.device, arguments.workers, build)
        for row in rows:
            print(show(row), flush=True)
        command = shlex.join(["python", "tests/benchmarks/run.py", *sys.argv[1:]])
        origin = provenance() | {"command": command, "device": machine(arguments.device)}
        seconds = round(time.perf_counter() - start)
        records = [
            {"benchmark": name, **asdict(row), "verdict": row.verdict, "seconds": seconds, **origin}
            for row in rows
        ]
        if not arguments.quick:
            keep(arguments.out, records)


if __name__ == "__main__":
    sys.exit(main())
