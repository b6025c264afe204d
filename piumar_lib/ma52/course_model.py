"""The course's own recogniser of poses, trained on the stand-in: the files in ``models/poses``.

    model, record = load_course_model(), read_course_record()

    model.safetensors, model.json   the model, see `piumar_lib.ma52.model.load_model`
    record.json                     how it was trained, its scores, and the hash of the weights
    people.json                     how the stand-in's people move, see `piumar_lib.ma52.movement_style`

The record holds the command that trained it. The files came from that run and its stand-in by
``python -m piumar_lib.ma52.course_model RUN STANDIN``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from piumar_lib.ma52.model import MicroActionRecognizer, load_model
from piumar_lib.ma52.movement_style import AGAIN, measure_standin
from piumar_lib.ma52.protocol import RECORD, read_record
from piumar_lib.support.command import Parser, command_line, path
from piumar_lib.support.files import read_json, sha256_of, write_text

FOLDER = Path(__file__).with_name("models") / "poses"
WEIGHTS = "model.safetensors"


def load_course_model(folder: Path = FOLDER) -> MicroActionRecognizer:
    """Load the course's recogniser of poses, after verifying the hash of its weights.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is damaged, or the weights are not those of the record; the file is named.
    """
    said = read_course_record(folder)["weights"]
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: is missing. {AGAIN}")
    found = sha256_of(weights)
    if found != said:
        raise ValueError(
            f"{weights}: damaged, or the weights of another model: its SHA-256 begins with {found[:8]}, "
            f"that in {RECORD} with {str(said)[:8]}. {AGAIN}"
        )
    return load_model(folder)


def read_course_record(folder: Path = FOLDER) -> dict[str, Any]:
    """The record of its training, with the hash of the weights under ``weights``.

    Raises:
        FileNotFoundError, ValueError: If it is missing or damaged.
    """
    record = read_record(folder)
    if "weights" not in record:
        raise ValueError(f"{folder / RECORD}: says no hash of the weights. {AGAIN}")
    return record


def pack(run: Path, standin: Path, folder: Path = FOLDER) -> None:
    """Copy the published files of a finished run, and measure the stand-in that it was trained on.

    Raises:
        FileNotFoundError, ValueError: If the run is not finished, or files are damaged.
    """
    load_model(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, "model.json"):
        shutil.copyfile(run / name, folder / name)
    record = read_json(run / RECORD, "Train again.") | {"weights": sha256_of(run / WEIGHTS)}
    write_text(folder / RECORD, json.dumps(record) + "\n")
    measure_standin(standin).write(folder / "people.json")


@command_line
def main(argv: list[str] | None = None) -> None:
    """Pack a finished run."""
    command = Parser(prog="python -m piumar_lib.ma52.course_model", description=__doc__)
    command.add_argument("run", type=path, help="folder of a finished run")
    command.add_argument("standin", type=path, help="folder of the stand-in that it was trained on")
    command.add_argument("--out", type=path, default=FOLDER, help="(%(default)s)")
    options = command.parse_args(argv)
    pack(options.run, options.standin, options.out)


if __name__ == "__main__":
    sys.exit(main())
