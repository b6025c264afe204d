"""Files of records: their paths, reading and appending, and the provenance of a record.

Records are kept in JSON-lines files, one experiment per line; `piumar_lib.evidence.experiments` computes
them.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

from piumar_lib.data.own import is_npz
from piumar_lib.support.files import read_json_lines, writing

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "notebooks" / "results"
STUDY = RESULTS / "study"


def read_records(path: Path) -> list[dict]:
    """Read a JSON-lines file; an unfinished last line, left by a killed run, is ignored.

    Raises:
        ValueError: If another line is damaged, or a record of a reader's file has no digest of the
            file's content; the message names the file.
    """
    records = read_json_lines(path)
    for record in records:
        if is_npz(record.get("data", "")) and "content" not in record:
            raise ValueError(
                f"{path}: does not say what the content of {record['data']} was, which may have changed "
                "since. Remove this file; the same command trains again."
            )
    return records


def append_record(path: Path, record: dict) -> None:
    """Append one line, after removing an unfinished last line or adding a missing line break."""
    content = path.read_bytes() if path.is_file() else b""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"null")
    except ValueError:
        os.truncate(path, len(content) - len(last))
        last = b""
    with writing(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(("\n" if last else "") + json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def device() -> str:
    """Description of this device; a record has that of the worker that computed it."""
    return f"CPU, {platform.machine()}, {os.cpu_count()} cores"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@cache
def provenance() -> dict:
    """Provenance of records: command, commit, versions."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        if _git("status", "--porcelain", "--", "piumar_lib"):
            commit += "-dirty"  # the library differs from that commit
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    called = Path(sys.argv[0]).absolute()
    module = "piumar_lib.evidence" + f".{called.stem}".removesuffix(".__main__")
    makes_records = called.parent == Path(__file__).parent
    arguments = [a.removeprefix(f"{ROOT}{os.sep}") for a in sys.argv[1:]]  # as typed in the repository
    command = ["python", "-m", module, *arguments]
    return {
        "command": shlex.join(command) if makes_records else "notebook",
        "commit": commit,
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
    }
