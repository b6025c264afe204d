"""What normalizing a new person gains, from the records of `piumar_lib.evidence.person_study`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from piumar_lib.data.own import is_npz
from piumar_lib.evidence import folds, statistics
from piumar_lib.evidence.folds import form_of
from piumar_lib.evidence.records import read_records

FILE = "person-normalization.jsonl"
CLIPS = (1, 2, 5, 10, 20, None)  # that a person is estimated from; None: all of the person's
SHOWN = (None, 3)  # classes that the person shows; None: all
NONE = "none"  # the recogniser as it is
WAYS: dict[str, dict[str, Any]] = {  # arguments of `normalize_person`
    "AdaBN": {"kind": "batch statistics", "alpha": 1.0, "prior": 0.0, "matched": False},
    "half-way": {"kind": "batch statistics", "alpha": 0.5, "prior": 0.0, "matched": False},
    "half-way, prior": {"kind": "batch statistics", "alpha": 0.5, "prior": 4.0, "matched": False},
    "half-way, prior, matched": {},  # the default
    "diagonal, prior, matched": {"kind": "diagonal", "alpha": 0.5, "prior": 4.0, "matched": True},
    "full, prior, matched": {"kind": "full", "alpha": 0.5, "prior": 4.0, "matched": True},
}
DEFAULT = "half-way, prior, matched"


def differences(
    records: Iterable[dict], way: str, shown: int | None = None, clips: int | None = None
) -> dict[str, float]:
    """What a way adds to each person of one data set who has enough clips, in shares, over all seeds.

    Args:
        records: Records of one data set.
        way: One of `WAYS`.
        shown: How many classes the person shows; None is all of them.
        clips: How many of the person's clips the way has seen; None is all of them.
    """
    which, n = SHOWN.index(shown), CLIPS.index(clips)
    added: dict[str, list[float]] = {}
    for record in records:
        for person, found in record["people"].items():
            right = found[way][which][n]
            if right is not None:
                change = (right - found[NONE][which]) / found["clips"][which]
                added.setdefault(person, []).append(change)
    return {person: float(np.mean(values)) for person, values in added.items()}


def gain(
    records: Iterable[dict], way: str, shown: int | None = None, clips: int | None = None
) -> statistics.Pooled | None:
    """What a way adds to the recogniser as it is, over people, in shares; data sets are pooled.

    Synthetic people stand alone: their populations are clusters above them. None if nobody has enough
    clips. The arguments are those of `differences`, but the records may be of several data sets.

    Raises:
        ValueError: If the records are of two forms, in which a person would count as two, or of two
            methods.
    """
    records = list(records)
    for what, kinds in (
        ("forms", {form_of(r["data"]) for r in records}),
        ("methods", {r["method"] for r in records}),
    ):
        if len(kinds) > 1:
            raise ValueError(f"records: of {len(kinds)} {what} ({'; '.join(sorted(kinds))}). Give one.")
    of_set: dict[str, list[dict]] = {}
    for record in records:
        of_set.setdefault(record["data"], []).append(record)
    found = {name: differences(own, way, shown, clips) for name, own in of_set.items()}
    found = {name: added for name, added in found.items() if added}
    return statistics.pool_people(found, of_set) if found else None


def as_method(name: str, data: str, folder: Path) -> list[dict]:
    """The default way with all of a person's clips, after augmentation, as records of a method.

    Args:
        name: Name that the method has in the records returned.
        data: See `piumar_lib.evidence.folds.load_fold`; a reader's file is known by what it holds now.
        folder: Folder of the study's records.
    """
    held = {"content": folds.identify(data)[1]} if is_npz(data) else {"data": data}
    wanted = held | {"method": "augmentation"}
    records = [r for r in read_records(folder / FILE) if wanted.items() <= r.items()]
    cell = CLIPS.index(None)
    return [
        r | {
            "method": name,
            "people": {p: [v[DEFAULT][0][cell], v["clips"][0]] for p, v in r["people"].items()},
        }
        for r in records
    ]  # fmt: skip
