"""A reader's own sequences: one ``.npz`` file, identified by its content."""

from __future__ import annotations

import os
import time
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from piumar_lib.data.sequences import Sequences
from piumar_lib.support.files import as_path, sha256_of, whole


def is_npz(name: str | Path) -> bool:
    """Whether a name has the suffix ``.npz``, in upper or lower case."""
    return Path(name).suffix.lower() == ".npz"


def find_npz(path: str | Path) -> Path:
    """Canonical absolute path of a file that may be given relatively, with ``~`` or ``..``.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    given = as_path(path)
    found = Path(os.path.abspath(given))
    if found.is_file():
        return found
    where = ""
    if not given.is_absolute():
        where = (
            f" Looked for {found}, as relative paths count from the folder that runs (of a chapter: "
            "notebooks/); an absolute path always works."
        )
    raise FileNotFoundError(f"{path}: no such file. Give the path of an .npz with X, y, person.{where}")


def content_of(path: str | Path) -> str:
    """The first 16 digits of the SHA-256 of a file's content.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    found = find_npz(path)
    state = found.stat()
    if time.time() - state.st_mtime < 1:  # its time stamp may be too coarse
        return _digest(found)
    return _known_digest(found, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache
def _known_digest(path: Path, *state: int) -> str:
    """Digest of a file, cached for each ``state`` of it because every fold needs it."""
    return _digest(path)


def _digest(path: Path) -> str:
    return sha256_of(path)[:16]


def load_npz(path: str | Path) -> Sequences:
    """Load a reader's own sequences from one ``.npz`` file.

    The file holds ``X (n, time, channels)``, ``y (n,)``, ``person (n,)`` and, if clips differ in
    length, ``lengths (n,)``; optionally ``class_names (classes,)``, ``rate`` in Hz and, of a skeleton,
    ``parents (joints,)``, see `Sequences`. ``person`` may be text. Nothing in the file is unpickled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an array is missing or invalid; the message names the file.
    """
    path = find_npz(path)
    arrays = _read(path)
    missing = [key for key in ("X", "y", "person") if key not in arrays]
    if missing:
        there = f"its arrays: {', '.join(sorted(arrays))}" if arrays else "its members are no arrays"
        raise ValueError(
            f"{path}: has no array {', '.join(missing)} ({there}). "
            "Save X (n, time, channels), y (n,) and person (n,)."
        )
    try:
        return _sequences(arrays, path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: cannot be read as a plain .npz ({error}). "
            "Write it with numpy.savez(path, X=..., y=..., person=...), with no object arrays."
        ) from error
    # For a member that is no array, numpy returns the bytes.
    return {key: value for key, value in arrays.items() if isinstance(value, np.ndarray)}


def _sequences(arrays: dict[str, np.ndarray], name: str) -> Sequences:
    person = arrays["person"]
    if person.dtype.kind in "US":
        person = np.unique(person, return_inverse=True)[1]
    names, rate = arrays.get("class_names"), arrays.get("rate", np.array(1.0))
    if names is not None and names.ndim != 1:
        raise ValueError(f"class_names: shape {names.shape} is not (classes,). Save a list of names.")
    parents = arrays.get("parents")
    if parents is not None and (parents.ndim != 1 or parents.dtype.kind not in "iu"):
        raise ValueError(
            f"parents: shape {parents.shape} of {parents.dtype} is not (joints,) of whole numbers. Save "
            "the parent of each joint, -1 for the root."
        )
    if rate.size != 1:
        raise ValueError(f"rate: shape {rate.shape} is not one number. Save one frame rate in Hz.")
    return Sequences(
        x=arrays["X"],
        y=arrays["y"],
        person=person,
        lengths=arrays.get("lengths"),
        class_names=None if names is None else tuple(names.tolist()),
        rate=rate.item(),
        name=name,
        parents=None if parents is None else tuple(parents.tolist()),
    )


def save_npz(path: str | Path, data: Sequences, force: bool = False) -> None:
    """Write ``data`` in the format of `load_npz`; an interrupted run leaves no partial file.

    Raises:
        FileExistsError: If the file exists and ``force`` is off.
        ValueError: If the path does not end in ``.npz``, or its folder does not exist.
    """
    path = as_path(path)
    if not is_npz(path) or not path.parent.is_dir():
        raise ValueError(f"path: {path} is not an .npz in a folder that exists. Choose another one.")
    if path.exists() and not force:
        raise FileExistsError(f"{path}: exists already. Choose another name, or force overwriting.")
    arrays = {
        "X": data.x,
        "y": data.y,
        "person": data.person,
        "lengths": data.lengths,
        "class_names": np.array(data.class_names),
        "rate": np.array(data.rate),
    }
    if data.parents is not None:
        arrays["parents"] = np.array(data.parents)
    with whole(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
