"""Gain of person normalisation, from the records of `piumar_lib.evidence.person_study`."""

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
CLIPS = (1, 2, 5, 10, 20, None)  # from which a person is estimated; None: all of the person's
SHOWN = (None, 3)  # classes that the person shows; None: all
NONE = "none"  # the recogniser without normalisation
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
    """Gain of a variant for each person with enough clips in one data set, as fractions, over all seeds.

    ``way`` is one of `WAYS`. The person shows ``shown`` classes, and the variant estimates from
    ``clips`` of the person's clips; None stands for all.
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
    """Mean gain of a variant over the unnormalised recogniser, as fractions, pooled over data sets.

    Synthetic people cannot be pooled with others: their populations are clusters. None if no person has
    enough clips. The arguments are those of `differences`, but the records may be of several data sets.

    Raises:
        ValueError: If the records are of two forms, so that a person would count twice, or of two
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
    """Records of the default variant with all of a person's clips, after augmentation, as of a method.

    ``name`` is the method's in the records returned. A reader's file ``data`` is identified by its
    current content.
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
