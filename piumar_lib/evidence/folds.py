"""Data sets by name, their folds of held-out people, and the search folds for hyperparameters.

A *fold* is one split into training people and unseen people. Hyperparameters for a fold are chosen on
its training people alone: *search folds* hold out two of four groups of people, and a fold that tests
one group uses only the scores of the other groups, from training runs without its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from piumar_lib.data import spar, synthetic
from piumar_lib.data.actions import Action, all_actions
from piumar_lib.data.enough import require
from piumar_lib.data.own import content_of, find_npz, is_npz, load_npz
from piumar_lib.data.people import recordings
from piumar_lib.data.people.catalog import NAMES as PEOPLE
from piumar_lib.data.people.recordings import OWN_TEMPO
from piumar_lib.data.sequences import Sequences
from piumar_lib.data.synthetic import SYNTHETIC

SPAR = ("spar-repetitions", "spar-own-tempo", "spar-windows")
DEVELOPMENT = range(5)  # for development and the search of hyperparameters
FINAL = range(10, 15)  # for the final evidence only
GROUPS = 4
NEEDED = {"people": 2, "classes": 2, "clips": 1, "frames": 2}  # of a reader's own file


class Fold(NamedTuple):
    """Training clips, clips of unseen people, and their kind of augmentation."""

    train: Sequences
    unseen: Sequences
    augmentation: str


def form_of(data: str) -> str:
    """Form of a data set's clips; synthetic ones and a reader's file keep their tempo."""
    return "one length" if data in ("spar-repetitions", *PEOPLE) else "own tempo"


def identify(data: str) -> tuple[str, str]:
    """Name of a data set in records, and digest of its content.

    Returns:
        For data that come with the course: the name and "". For a set of real people: the name and a
        digest of its arrays. For a reader's file: the absolute path and a digest of its content, by
        which a moved file is the same data and a corrected one is not.

    Raises:
        FileNotFoundError: If a data set was not downloaded, or there is no such file.
    """
    if is_npz(data):
        return str(find_npz(data)), content_of(data)
    if set_of(data):
        return data, recordings.prepared_content(set_of(data), data.endswith(OWN_TEMPO))
    return data, ""


def set_of(data: str) -> str:
    """The set of real people behind a name such as ``shrec17-own-tempo``; "" if there is none."""
    name = data.removesuffix(OWN_TEMPO)
    return name if name in PEOPLE else ""


def folds(data: str) -> range:
    """The folds of a data set's final evidence: for SPAR, one for each of its ten people; for other real
    people, five folds of people; for synthetic data, the final populations.
    """
    name, _ = _parse(data)
    if name in SYNTHETIC:
        return FINAL
    return range(min(10 if name in SPAR else 5, len(_load(name).people)))


def load_fold(data: str, fold: int) -> Fold:
    """Load a fold.

    Args:
        data: ``"spar-repetitions"``, ``"spar-own-tempo"``, ``"spar-windows"``; ``"synthetic"``,
            ``"synthetic-52"``, ``"synthetic-comotion"``, each with options such as
            ``"synthetic:people=20,clips=80,shift=1.5"`` (training people, clips of each, factor on
            every personal trait); one of `piumar_lib.data.people.NAMES`, at one length, or with
            ``-own-tempo`` after it; or the path of a reader's own ``.npz``.
        fold: SPAR leaves person ``fold + 1`` out; synthetic folds are populations, any from 0.

    Raises:
        ValueError: If the data set is unknown, the fold is out of range, or there are too few people.
    """
    return _load_fold(*identify(data), fold)


@lru_cache(maxsize=4)
def _load_fold(data: str, content: str, fold: int) -> Fold:
    """`load_fold`, cached for all methods; ``content`` distinguishes a corrected file."""
    name, options = _parse(data)
    if name in SYNTHETIC:
        if fold < 0:
            raise ValueError(f"fold: of {name}, must be at least 0, got {fold}.")
        return _synthetic_fold(name, fold, **options)
    everyone = _load(name)
    if fold not in folds(name):
        raise ValueError(f"fold: of {name}, must be in {folds(name)}, got {fold}.")
    return _split(name, everyone, everyone.people[fold :: len(folds(name))])


def search_folds(data: str) -> range:
    """The folds on which hyperparameters are compared, see `load_search_fold`."""
    name, _ = _parse(data)
    if name in SYNTHETIC:
        return range(2)
    return range(len(_pairs(name)))


def load_search_fold(data: str, fold: int) -> Fold:
    """Load a fold for choosing hyperparameters.

    Synthetic data: a development population's training people, a quarter of whom are held out.
    Otherwise people are split into four groups, two of which are held out.

    Raises:
        ValueError: If the data set is unknown, or has no such search fold.
    """
    return _load_search_fold(*identify(data), fold)


@lru_cache(maxsize=4)
def _load_search_fold(data: str, content: str, fold: int) -> Fold:
    name, _ = _parse(data)
    if fold not in search_folds(data):
        raise ValueError(f"fold: of a search on {data}, must be in {search_folds(data)}, got {fold}.")
    if name in SYNTHETIC:
        train = load_fold(data, DEVELOPMENT[fold]).train
        return _split(name, train, train.people[::4])
    everyone = _load(name)
    out = [p for g in _pairs(name)[fold] for f in _group_folds(name, g) for p in _held_out(name, f)]
    return _split(name, everyone, np.array(out))


def search_people(data: str, fold: int) -> dict[int, set[str]]:
    """The search folds, and people in them, on which a fold of `folds` may choose hyperparameters.

    Returns:
        Maps a search fold to the people (as text) whose scores may be used; never the fold's own.
    """
    name, _ = _parse(data)
    if name in SYNTHETIC:
        everyone = {k: load_search_fold(data, k).unseen.people for k in search_folds(data)}
        return {k: set(map(str, people)) for k, people in everyone.items()}
    group, allowed = fold % GROUPS, {}
    for k, pair in enumerate(_pairs(name)):
        if group in pair:
            other = pair[0] if pair[1] == group else pair[1]
            allowed[k] = {str(p) for f in _group_folds(name, other) for p in _held_out(name, f)}
    return allowed


def _synthetic_fold(name: str, fold: int, people: int = 40, clips: int = 40, shift: float = 1.0) -> Fold:
    scale = {factor: shift for factor in synthetic.FACTORS} | {
        factor: shift * value for factor, value in SYNTHETIC[name].items()
    }
    actions: tuple[Action, ...] | None = None
    counts: int | np.ndarray = clips
    counts_unseen: int | np.ndarray = 40
    if name == "synthetic-52":
        actions = all_actions()
        counts = synthetic.clips_per_person(people, 2 * people * clips, seed=fold)
        counts_unseen = synthetic.clips_per_person(20, 1600, seed=1000 + fold)
    known = synthetic.make_people(people, fold, actions, scale)
    train = synthetic.make_clips(known, counts, seed=fold)
    unseen = synthetic.make_clips(
        synthetic.make_people(20, 1000 + fold, actions, scale),
        counts_unseen,
        seed=1000 + fold,
        person_offset=1000 + 100 * fold,
    )
    return Fold(train, unseen, "skeleton")


def _split(name: str, everyone: Sequences, people: np.ndarray) -> Fold:
    held_out = np.isin(everyone.person, people)
    return Fold(everyone.take(~held_out), everyone.take(held_out), augmentation_of(name))


def augmentation_of(data: str) -> str:
    """The kind of augmentation that suits a data set, see `piumar_lib.augment.augment`."""
    if data in SYNTHETIC:
        return "skeleton"
    in_space = data in SPAR or recordings.COORDINATES.get(set_of(data), 3) == 3
    return "space" if in_space and not is_npz(data) else "any"


def _held_out(name: str, fold: int) -> list[int]:
    return _load(name).people[fold :: len(folds(name))].tolist()


def _group_folds(name: str, group: int) -> list[int]:
    return [fold for fold in folds(name) if fold % GROUPS == group]


def _pairs(name: str) -> list[tuple[int, int]]:
    """Pairs of groups that are held out together: each group with its two cyclic neighbours."""
    groups = min(GROUPS, len(folds(name)))
    return [(k, (k + 1) % groups) for k in range(groups)] if groups > 2 else []


def _parse(data: str) -> tuple[str, dict[str, Any]]:
    """Split ``"synthetic:people=20,shift=1.5"`` into a name and its options."""
    if is_npz(data) or set_of(data):
        return data, {}
    name, _, tail = data.partition(":")
    known = {"people": int, "clips": int, "shift": float}
    options = {}
    for item in filter(None, tail.split(",")):
        key, _, value = item.partition("=")
        try:
            options[key] = known[key](value)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"data: {item!r} in {data!r} is no option. Choose from people=N, clips=N, shift=S."
            ) from error
    if name not in SYNTHETIC and (options or name not in SPAR):
        raise ValueError(
            f"data: {data!r} is unknown. Choose from {', '.join((*SPAR, *SYNTHETIC, *PEOPLE))}, "
            "synthetic:people=20 and the like, shrec17-own-tempo and the like, or the path of an .npz."
        )
    return name, options


def _load(name: str) -> Sequences:
    return _load_content(*identify(name))


@lru_cache(maxsize=4)
def _load_content(name: str, content: str) -> Sequences:
    if name == "spar-repetitions":
        # 32 frames suffice for a repetition: 64 were no better and took twice the time.
        return spar.repetitions(spar.load_recordings(), time=32)
    if name == "spar-own-tempo":
        return spar.repetitions(spar.load_recordings(), fit="hold")
    if name == "spar-windows":
        return spar.windows(spar.load_recordings())
    if set_of(name):
        return recordings.prepare(set_of(name), name.endswith(OWN_TEMPO))
    return require(load_npz(name), **NEEDED, name=name)
