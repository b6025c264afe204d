"""Splits: the official one and its leakage, person-disjoint folds, leave-people-out.

A split is a small text file that can be read, compared and published:

    # person-disjoint, fold 1 of 5, seed 0, sha256 0f3a...
    train 0003_01_0001.mp4
    held-out 0007_02_0004.mp4

The hash is that of the lines below; a file that was changed by hand is refused.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.prepare.index import Clip
from piumar_lib.support.files import as_path, write_text


@dataclass(frozen=True)
class Split:
    """Names of training clips and of held-out ones, both sorted, and what the split is called."""

    title: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]


def official(clips: Sequence[Clip]) -> list[Split]:
    """Train against val as published: val's people are *not* unseen, see `leak`."""
    return [_split("official", clips, {clip.name for clip in clips if clip.split == "val"})]


def person_disjoint(clips: Sequence[Clip], seed: int = 0, folds: int = 5) -> list[Split]:
    """Cut train and val into folds of people, with classes as even as people allow.

    Every clip of train and val is held out once; those of test, whose people are not known, are left
    out. The seed orders only people whose classes are spread alike (scikit-learn's
    `StratifiedGroupKFold`), so other seeds give nearly the same folds; `leave_people_out` assigns
    people at random.

    Raises:
        ValueError: If there are fewer people than folds, or fewer than two folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    known = visible(clips)
    people = {clip.person for clip in known}
    if not 2 <= folds <= len(people):
        raise ValueError(f"folds: {folds} of {len(people)} people. Choose 2 to {len(people)}.")
    action, person = [clip.action for clip in known], [clip.person for clip in known]
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # rare classes are no surprise
        try:
            cuts = list(cut.split(action, action, person))
        except ValueError as error:
            raise ValueError(f"folds, seed: {folds}, {seed} cannot be had ({error}).") from error
    for k, (_, out) in enumerate(cuts, start=1):
        title = f"person-disjoint, fold {k} of {folds}"
        found.append(_split(title, known, {known[row].name for row in out}))
    return found


def leave_people_out(clips: Sequence[Clip], seed: int = 0, people: int = 10) -> list[Split]:
    """Hold out ``people`` people at a time, each once, in a random order; the last fold may be smaller.

    Clips of test, whose people are not known, are left out.

    Raises:
        ValueError: If there are not enough people to train on the others.
    """
    known = visible(clips)
    everyone = sorted({clip.person for clip in known})
    limit = len(everyone) - 1
    if not 1 <= people <= limit:
        raise ValueError(f"people: {people} of {len(everyone)} left out. Choose 1 to {limit}.")
    order = np.random.default_rng(seed).permutation(everyone)
    groups = [set(order[k : k + people].tolist()) for k in range(0, len(order), people)]
    title = f"leave {people} people out, fold {{}} of {len(groups)}"
    held_out = [{clip.name for clip in known if clip.person in group} for group in groups]
    return [_split(title.format(k), known, names) for k, names in enumerate(held_out, start=1)]


PROTOCOLS: dict[str, Callable[..., list[Split]]] = {
    "official": official,
    "person-disjoint": person_disjoint,
    "leave-people-out": leave_people_out,
}


def visible(clips: Iterable[Clip]) -> list[Clip]:
    """Clips whose people are known, those of train and val, by name."""
    return sorted((clip for clip in clips if clip.split != "test"), key=lambda clip: clip.name)


def leak(clips: Iterable[Clip]) -> str:
    """Say how many people and sessions the official train and val lists share, and what follows."""
    sides = [[c for c in visible(clips) if c.split == split] for split in ("train", "val")]
    people, people_val = ({c.person for c in side} for side in sides)
    sessions, sessions_val = ({(c.person, c.session) for c in side} for side in sides)
    shared = len(people & people_val)
    return (
        f"official lists: {shared} of {len(people_val)} val people are in train, too, "
        f"and {len(sessions & sessions_val)} of {len(sessions_val)} val sessions. "
        f"{_what_follows(shared, len(people), len(people_val))}"
    )


def _what_follows(shared: int, train: int, val: int) -> str:
    """What official validation is worth, from numbers of people."""
    if not train or not val:
        return f"There is nobody in {'val' if train else 'train'}, so there is nothing to compare."
    if not shared:
        return "No leak: everybody in official validation is unseen."
    if shared < val:
        return f"Official validation mixes known people with {val - shared} unseen."
    return "Official validation says nothing about unseen people."


def people_per_action(clips: Iterable[Clip]) -> np.ndarray:
    """How many people make each action in train and val, shape ``(52,)``."""
    pairs = {(clip.action, clip.person) for clip in visible(clips)}
    return np.bincount([action for action, _ in pairs], minlength=len(ACTIONS))


def write_splits(folder: Path, splits: Iterable[Split], seed: int) -> list[Path]:
    """Write a file for each split; returns their paths. Files of further folds are removed."""
    written = []
    for number, split in enumerate(splits, start=1):
        lines = [f"train {name}" for name in split.train]
        lines += [f"held-out {name}" for name in split.held_out]
        body = "\n".join(lines) + "\n"
        path = folder / f"fold{number}.txt"
        head = f"# {split.title}, seed {seed}, sha256 {_hash(body)}\n"
        write_text(path, head + body)
        written.append(path)
    for path in {*folder.glob("fold*.txt")} - {*written}:
        if path.stem.removeprefix("fold").isdecimal():
            path.unlink()
    return written


def read_split(path: str | Path) -> Split:
    """Read a split's file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no split, or its lines are not those that were written.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no split. Make it: prepare_ma52.py split INDEX --out FOLDER")
    try:
        head, _, body = path.read_text(encoding="utf-8").partition("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no split in UTF-8. Make it again.") from error
    title, _, rest = head.removeprefix("# ").partition(", seed ")
    if not head.startswith("# ") or ", sha256 " not in rest:
        raise ValueError(f"{path}: the first line is {head[:60]!r}, not that of a split. Make it again.")
    if rest.rpartition(", sha256 ")[2] != _hash(body):
        raise ValueError(f"{path}: its lines were changed since it was made. Make it again.")
    sides: dict[str, list[str]] = {"train": [], "held-out": []}
    for line in body.splitlines():
        side, _, name = line.partition(" ")
        sides[side].append(name)
    return Split(title, tuple(sides["train"]), tuple(sides["held-out"]))


def _split(title: str, clips: Iterable[Clip], held_out: set[str]) -> Split:
    names = [clip.name for clip in visible(clips)]
    train = tuple(name for name in names if name not in held_out)
    return Split(title, train, tuple(name for name in names if name in held_out))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
