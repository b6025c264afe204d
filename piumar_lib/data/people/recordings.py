"""Data sets of real people for chapters and evidence: loaded, subsampled, and resampled."""

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
# Position and size of a pen's or finger's path carry no information. Which channels are coordinates:
COORDINATES = {"gesturemidair": 3, "pendigits": 2, "mmg": 2}
FRAMES, MOST = 32, 2000
OWN_TEMPO = "-own-tempo"  # suffix of a data set's name if clips keep their tempo


def folder() -> Path:
    """Folder of the data sets: the environment variable's, or ``data/people`` of the repository."""
    return as_path(os.environ.get(VARIABLE) or FOLDER)


def load(name: str) -> Sequences:
    """Load a data set of `piumar_lib.data.people.NAMES` as recorded, each clip with its own length.

    Raises:
        ValueError: If there is no such set, or its file is damaged.
        FileNotFoundError: If it was not downloaded; the message says how to do so.
    """
    return replace(load_npz(find_file(name)), parents=PARENTS.get(name))


def find_file(name: str) -> Path:
    """The file of a set.

    Raises:
        ValueError: If there is no such set.
        FileNotFoundError: If it was not downloaded; the message says how to do so.
    """
    find([name])
    path = folder() / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: {path} is not there. Fetch it: python data_scripts/download_people.py {name}"
        )
    return path


def prepare(name: str, own_tempo: bool, frames: int = FRAMES, most: int = MOST) -> Sequences:
    """Load a data set and preprocess it for all methods.

    1. At most ``most`` clips, drawn once, as evenly as possible over pairs of person and class.
    2. Paths of a pen or a finger are centred on the clip's mean and divided by its largest extent; a
       third channel, which separates strokes, is unchanged. Skeletons are in metres relative to their
       root already, with the root's path in the root's channels, and are unchanged.
    3. One length: each clip is stretched to ``frames`` frames, which removes its tempo. Own tempo: all
       clips have one rate, at which 95 % of them end within ``frames`` frames, but never a higher rate
       than recorded; shorter ones repeat their last frame, longer ones are cut.

    Raises:
        ValueError, FileNotFoundError: See `load`.
    """
    return _prepare(name, own_tempo, frames, most, content_of(find_file(name)))


@lru_cache(maxsize=2)
def _prepare(name: str, own_tempo: bool, frames: int, most: int, file: str) -> Sequences:
    """`prepare`, cached as long as the digest of the ``file`` stays the same."""
    clips = load(name)
    clips = clips.take(spread(clips, most))
    if name in COORDINATES:
        clips = replace(clips, x=centered_and_scaled(clips, COORDINATES[name]))
    return clips.at_one_rate(frames) if own_tempo else clips.resampled(frames)


def spread(clips: Sequences, most: int) -> np.ndarray:
    """Sorted indices of at most ``most`` clips, balanced over pairs of person and class.

    All clips of smaller pairs are kept; the selection within the others is drawn with a fixed seed.
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
    # Frames after the end repeat the last one: they do not change the extent, but would change the mean.
    mean = (place * real[..., None]).sum(1, keepdims=True) / clips.lengths[:, None, None]
    extent = np.ptp(place, axis=1).max(1)[:, None, None]  # (n, 1, 1)
    x[..., :coordinates] = (place - mean) / np.where(extent > 0, extent, 1)
    return x


def prepared_content(name: str, own_tempo: bool) -> str:
    """The `content` of the clips that `prepare` returns."""
    return _prepared_content(name, own_tempo, content_of(find_file(name)))


@lru_cache
def _prepared_content(name: str, own_tempo: bool, file: str) -> str:
    return content(prepare(name, own_tempo))


def content(clips: Sequences) -> str:
    """Identifier of clips in records: 16 digits of a SHA-256 over their arrays.

    It depends on the arrays only, not on how a file stores them.
    """
    digest = hashlib.sha256()
    for name in ("x", "y", "person", "lengths"):
        array = np.ascontiguousarray(getattr(clips, name))
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
