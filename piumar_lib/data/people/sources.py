"""Source files of a data set, and the checksum that identifies the catalogue's version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from piumar_lib.data.people.catalog import PeopleSet
from piumar_lib.data.people.paths import complete_people
from piumar_lib.data.people.skeletons import unbroken
from piumar_lib.support.files import sha256_of

PATTERNS: dict[str, tuple[str, ...]] = {
    "utkinect": ("actionLabel_modified.txt", "joints_s*_e*.txt"),
    "uiprmd": ("Angles/m*_angles.txt.gz", "Positions/m*_positions.txt.gz"),
    "utdmhad_skeleton": ("a*_skeleton.mat",),
    "shrec17": (
        "train_gestures.txt",
        "test_gestures.txt",
        "gesture_*/finger_*/subject_*/essai_*/skeletons_world.txt",
    ),
    "pendigits": ("pendigits-train", "pendigits-test"),
    "mmg": ("*-*-*/*.xml",),
}


def _people_numbered(folder: Path) -> dict[str, Path]:
    """Files of folders that are named after people, which are p01, p02, ... in the manifest."""
    return {
        f"p{number:02d}/{path.name}": path
        for number, person in enumerate(complete_people(folder), start=1)
        for path in sorted(person.glob("*.csv"))
    }


CHOSEN: dict[str, Callable[[Path], dict[str, Path]]] = {
    "msraction3d": lambda folder: {path.name: path for path in unbroken(folder)},
    "gesturemidair": _people_numbered,
}


def source_files(people_set: PeopleSet, folder: Path) -> dict[str, Path]:
    """The files that are converted, by their name in the manifest, relative to ``folder``."""
    if people_set.name in CHOSEN:
        return CHOSEN[people_set.name](folder)
    patterns = PATTERNS[people_set.name]
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix(): path for path in found}


def manifest(people_set: PeopleSet, folder: Path) -> str:
    """SHA-256 of the sorted lines ``sha256  path`` of the source files, ``path`` from the repository."""
    files = source_files(people_set, folder)
    lines = [f"{sha256_of(files[name])}  {people_set.folder}/{name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify(people_set: PeopleSet, folder: Path, remedy: str = "Give an unchanged copy.") -> None:
    """Check that all source files of a data set exist in ``folder`` and are unchanged.

    Raises:
        ValueError: If some are missing, extra or changed; the message says how many, and ``remedy``.
    """
    found = len(source_files(people_set, folder))
    if found != people_set.files:
        many = people_set.files - found
        what = f"{many} missing" if many > 0 else f"{-many} extra"
        raise ValueError(
            f"{people_set.name}: {found} source files instead of {people_set.files}, {what}. {remedy}"
        )
    if manifest(people_set, folder) != people_set.manifest:
        raise ValueError(
            f"{people_set.name}: all {found} source files are there, but not as they were (the SHA-256 "
            f"of their manifest differs). {remedy}"
        )
