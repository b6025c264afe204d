"""Sets of real people as chapters and evidence use them: loaded, thinned, and brought to few frames."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from piumar_lib.data.own import content_of, load_npz
from piumar_lib.data.people.catalog import FOLDER, PARENTS, find
from piumar_lib.data.sequences import Sequences
from piumar_lib.support.files import as_path

VARIABLE = "PIUMAR_PEOPLE"  # the environment variable that names another folder
# Paths of a pen or a finger have no place and no size of their own. Which channels are coordinates:
COORDINATES = {"gesturemidair": 3, "pendigits": 2, "mmg": 2}
FRAMES, MOST = 32, 2000
OWN_TEMPO = "-own-tempo"  # ends the name of a set whose clips keep their tempo


def folder() -> Path:
    """Where the sets lie: ``data/people`` of the repository, or what the environment variable says."""
    return as_path(os.environ.get(VARIABLE) or FOLDER)


def load(name: str) -> Sequences:
    """Load a set as it was recorded, each clip with its own length.

    Args:
        name: One of `piumar_lib.data.people.NAMES`.

    Raises:
        ValueError: If there is no such set, or its file is damaged.
        FileNotFoundError: If it was not fetched; the message says how to.
    """
    return replace(load_npz(find_file(name)), parents=PARENTS.get(name))


def find_file(name: str) -> Path:
    """The file of a set.

    Raises:
        ValueError: If there is no such set.
        FileNotFoundError: If it was not fetched; the message says how to.
    """
    find([name])
    path = folder() / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: {path} is not there. Fetch it: python data_scripts/download_people.py {name}"
        )
    return path


def prepare(name: str, own_tempo: bool, frames: int = FRAMES, most: int = MOST) -> Sequences:
    """Load a set and bring it into the form in which every method gets it.

    1. At most ``most`` clips, as evenly as can be over the cells of person and class, drawn once.
    2. Paths of a pen or a finger are centred on the clip's mean and divided by its largest extent;
       a third channel that tells strokes apart stays. Skeletons are measured from their root already,
       in metres, with the root's own way in the root's channels: they stay as they are.
    3. One length: each clip is stretched to ``frames`` frames, which takes its tempo away. Own tempo:
       all clips run at one rate, at which 95 % of them end within ``frames`` frames, but never at more
       than their own; shorter ones are held still, longer ones lose their end.

    Raises:
        ValueError, FileNotFoundError: See `load`.
    """
    return _prepare(name, own_tempo, frames, most, content_of(find_file(name)))


@lru_cache(maxsize=2)
def _prepare(name: str, own_tempo: bool, frames: int, most: int, file: str) -> Sequences:
    """Kept as long as the ``file``, known by its digest, stays the same."""
    clips = load(name)
    clips = clips.take(spread(clips, most))
    if name in COORDINATES:
        clips = replace(clips, x=centered_and_scaled(clips, COORDINATES[name]))
    return clips.at_one_rate(frames) if own_tempo else clips.resampled(frames)


def spread(clips: Sequences, most: int) -> np.ndarray:
    """Places of at most ``most`` clips, sorted: from each cell of person and class as many as can be.

    Cells that hold fewer give all they have; which clips go is drawn with a fixed seed.
    """
    order = np.random.default_rng(0).permutation(len(clips))
    cell = np.unique(np.stack([clips.person, clips.y]), axis=1, return_inverse=True)[1].ravel()
    rank = np.empty(len(clips), int)
    for k in range(cell.max() + 1):
        mine = order[cell[order] == k]
        rank[mine] = np.arange(len(mine))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:most])


def centered_and_scaled(clips: Sequences, coordinates: int) -> np.ndarray:
    """Signals whose first channels have mean 0 over each clip and largest extent 1; ``(n, time, C)``."""
    x = clips.x.copy()
    real = np.arange(x.shape[1]) < clips.lengths[:, None]  # (n, T)
    place = x[..., :coordinates]
    # Frames after the end repeat the last one: they change no extent, but would change a mean.
    mean = (place * real[..., None]).sum(1, keepdims=True) / clips.lengths[:, None, None]
    extent = np.ptp(place, axis=1).max(1)[:, None, None]  # (n, 1, 1)
    x[..., :coordinates] = (place - mean) / np.where(extent > 0, extent, 1)
    return x


def prepared_content(name: str, own_tempo: bool) -> str:
    """The `content` of what `prepare` makes."""
    return _prepared_content(name, own_tempo, content_of(find_file(name)))


@lru_cache
def _prepared_content(name: str, own_tempo: bool, file: str) -> str:
    return content(prepare(name, own_tempo))


def content(clips: Sequences) -> str:
    """What clips are known by in records: 16 digits of a SHA-256 over their arrays.

    Two files with the same arrays have the same, however they were packed.
    """
    digest = hashlib.sha256()
    for name in ("x", "y", "person", "lengths"):
        array = np.ascontiguousarray(getattr(clips, name))
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
