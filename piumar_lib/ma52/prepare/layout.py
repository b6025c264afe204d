"""Where lists and clips belong, and where they are in a download that lies one level off.

    ROOT/train_list_videos.txt, ROOT/train/0003_01_0001.mp4, and the same for val and test

Archives put other folders around their clips, or name them differently (``MA-52/train``, ``Train``,
``videos_train``), and it is easily the folder above or below that one gives. Names are compared in any
case, as some file systems do; a file that can be opened where it belongs counts as being there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SPLITS = ("train", "val", "test")
STANDIN = "standin.json"  # lies in the root of a stand-in alone
LEVELS = 3  # of folders below the root that are looked into
FOLDER = re.compile(r"(?:videos?[-_ ])?(train|val|test)(?:[-_ ]videos?)?", re.IGNORECASE)


def list_path(root: Path, split: str) -> Path:
    """Where a split's list lies."""
    return root / f"{split}_list_videos.txt"


def split_of_list(name: str) -> str | None:
    """Whose list a file is, by its name; None if it is none."""
    return {list_path(Path(), split).name: split for split in SPLITS}.get(name.lower())


def split_of_folder(name: str) -> str | None:
    """Whose clips a folder holds, by its name: train, Train, videos_train; None if it names no split."""
    found = FOLDER.fullmatch(name)
    return found[1].lower() if found else None


def is_clutter(name: str) -> bool:
    """Whether a file or folder was put there by an operating system: ``._x``, ``__MACOSX`` and such."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def names_in(folder: Path) -> set[str]:
    """Names of all that is in a folder; none if it cannot be read."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def folders_below(root: Path, levels: int = LEVELS) -> Iterator[Path]:
    """Folders below ``root``, the nearest first."""
    level = [root]
    for _ in range(levels):
        level = [folder for above in level for folder in _folders_in(above)]
        yield from level


def find_list(root: Path, split: str) -> Path | None:
    """A split's list that is not where it belongs: named in another case, below ``root`` or above."""
    for folder in (root, *folders_below(root), root.absolute().parent):
        for name in sorted(names_in(folder)):
            if split_of_list(name) == split:
                return folder / name
    return None


def find_folder(root: Path, split: str) -> Path | None:
    """A folder below ``root`` that is named after a split, as `split_of_folder` reads it."""
    return next((path for path in folders_below(root) if split_of_folder(path.name) == split), None)


def find_astray(root: Path, split: str, names: Iterable[str]) -> dict[str, Path]:
    """Clips of a split that are in another folder than theirs, or there in another case; by name."""
    own = root / split
    there = names_in(own)
    gone = {n.lower(): n for n in names if n not in there and not (own / n).exists()}
    found: dict[str, Path] = {}
    for folder in (own, root, *folders_below(root)) if gone else ():
        for name in names_in(folder) if gone else ():
            if name.lower() in gone:
                found[gone.pop(name.lower())] = folder / name
    return found


def find_other_root(root: Path) -> Path | None:
    """The folder that was meant, if lists and clips are not in ``root`` but in one below or above."""
    if _is_root(root):
        return None
    near = (*folders_below(root), *root.absolute().parents[:2])
    return next((folder for folder in near if _is_root(folder)), None)


def _is_root(folder: Path) -> bool:
    lists = any(split_of_list(name) for name in names_in(folder))
    return lists and any(split_of_folder(path.name) for path in _folders_in(folder))


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            names = sorted(f.name for f in found if f.is_dir() and not is_clutter(f.name))
    except OSError:  # one that may not be read
        return []
    return [folder / name for name in names]
