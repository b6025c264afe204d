"""The file that MA-52's evaluation server takes for its test clips.

A zip without folders that holds one ``prediction.csv``: a line for each test clip, in the order of the
list, with the five most probable actions and their body parts.

The benchmark's own code (``online_evaluation/eval.py`` in VUT-HFUT/Micro-Action) writes the body part
of each of the five actions, "a simple conversion", so that parts repeat within a line. They do in the
sample files of both servers, that of MA-52 (5,586 lines) and that of the challenge MAC 2025 (1,138).
Body scores are published for the first part alone; how the other four count is not.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piumar_lib.data.labels import ACTIONS, BODY_PARTS, CHALLENGE, CLIPS, body_part
from piumar_lib.ma52.prepare.published import FULL, SAMPLE, name_test_list
from piumar_lib.support.files import as_path, whole

BEST = 5
HEADER = ("vid", *(f"{kind}_pred_{k}" for kind in ("action", "body") for k in range(1, BEST + 1)))


def write_submission(
    path: str | Path,
    names: Sequence[str],
    probabilities: np.ndarray,
    parts: np.ndarray | None = None,
) -> None:
    """Write a submission and check it.

    Args:
        path: Ends in ``.zip``; an old file is replaced.
        names: Test clips in the order of the list, such as ``test0000.mp4``.
        probabilities: Of actions, shape ``(clips, 52)``.
        parts: Those of body parts from a head of their own, shape ``(clips, 7)``; without them the parts
            are those of the five actions.

    Raises:
        ValueError: If names and probabilities do not match, or the file would be refused.
        OSError: If it cannot be written.
    """
    path, probabilities = require_zip(path), np.asarray(probabilities)
    shapes = [(probabilities, len(ACTIONS), "probabilities")]
    shapes += [(np.asarray(parts), len(BODY_PARTS), "parts")] if parts is not None else []
    for values, classes, name in shapes:
        if values.shape != (len(names), classes) or not np.isfinite(values).all():
            raise ValueError(
                f"{name}: shape {values.shape} for {len(names)} clips. Give finite values of shape "
                f"({len(names)}, {classes})."
            )
    actions = _best(probabilities)
    bodies = body_part(actions) if parts is None else _best(np.asarray(parts))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEADER)
    table.writerows([name, *a, *b] for name, a, b in zip(names, actions, bodies, strict=True))
    with whole(path) as part:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("prediction.csv", text.getvalue())
        check_submission(part, names)


def require_zip(path: str | Path) -> Path:
    """The path of a submission.

    Raises:
        ValueError: If it does not end in ``.zip``, all that the server takes.
    """
    path = as_path(path)
    if path.suffix != ".zip":
        raise ValueError(f"path: {path} does not end in .zip, all that Codabench takes. Rename it.")
    return path


def check_submission(path: str | Path, names: Sequence[str]) -> None:
    """Check a submission against the test list.

    Raises:
        ValueError: Naming the file, the line and what is wrong with it.
    """
    path = as_path(path)
    rows = _read_rows(path)
    if not rows or tuple(rows[0]) != HEADER:
        raise ValueError(f"{path}, line 1: {rows[:1]} is not the header {','.join(HEADER)}.")
    if len(rows) != len(names) + 1:
        raise ValueError(f"{path}: {len(rows) - 1} clips, but the test list has {len(names)}.")
    for number, (row, name) in enumerate(zip(rows[1:], names, strict=True), start=2):
        if len(row) != len(HEADER) or row[0] != name:
            raise ValueError(
                f"{path}, line {number}: {row} is not the line of {name}, {len(HEADER)} long."
            )
        actions, bodies = row[1 : 1 + BEST], row[1 + BEST :]
        for values, classes in ((actions, len(ACTIONS)), (bodies, len(BODY_PARTS))):
            if not all(value.isdigit() and int(value) < classes for value in values):
                raise ValueError(f"{path}, line {number}: {values} leave 0 to {classes - 1}.")
        if len({*actions}) < BEST:
            raise ValueError(f"{path}, line {number}: {actions} names an action twice.")


def _read_rows(path: Path) -> list[list[str]]:
    """The lines of a submission, the header first."""
    try:
        with zipfile.ZipFile(path) as archive:
            held = archive.namelist()
            if held != ["prediction.csv"]:
                raise ValueError(
                    f"{path}: holds {held}. It should hold prediction.csv alone, in no folder."
                )
            return list(csv.reader(io.StringIO(archive.read("prediction.csv").decode())))
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no zip of a text file ({error}). Write it again.") from error


class Submission(NamedTuple):
    """What a submission holds.

    Attributes:
        clips: Lines, without the header.
        test_list: Which published test list they are, see `piumar_lib.ma52.prepare.published`.
        repeating: Lines that name a body part more than once.
    """

    clips: int
    test_list: str
    repeating: int

    def __str__(self) -> str:
        sizes = f"{FULL} ({CLIPS['test']} clips) nor {SAMPLE} ({CHALLENGE})"
        which = self.test_list or f"neither {sizes}: right for a stand-in alone"
        if self.repeating:
            bodies = f"{self.repeating} lines repeat a body part, as the benchmark's sample files do"
        else:
            bodies = "no line repeats a body part (the benchmark's sample files do)"
        return f"{self.clips} clips, {which}; {bodies}"


def read_submission(path: str | Path) -> Submission:
    """Read the contents of a checked submission.

    Raises:
        ValueError: If it is no submission.
    """
    rows = _read_rows(as_path(path))[1:]
    repeating = sum(len({*row[1 + BEST :]}) < BEST for row in rows)
    return Submission(len(rows), name_test_list(row[0] for row in rows), repeating)


def _best(probabilities: np.ndarray) -> np.ndarray:
    """The five largest of each row, largest first, ``(clips, 5)``."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :BEST]
