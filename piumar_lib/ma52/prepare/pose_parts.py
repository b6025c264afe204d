"""Poses clip by clip, until all are there to become one file: what a killed run leaves to the next.

OUT.safetensors                  poses of all clips, once they are done
OUT.safetensors.parts/           a file for each clip, until then
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from piumar_lib.ma52.prepare.poses import ClipPoses, Poses, join, read_poses, write_poses
from piumar_lib.support.files import read_json, whole, write_text


class PoseParts:
    """The parts of a file of poses, those of an earlier run and of the file itself among them.

    ``names`` are those of all clips that the file is to hold.

    Raises:
        ValueError: If the file or its parts are of another source, joints or clips.
    """

    def __init__(self, out: Path, names: Sequence[str], joints: Sequence[str], source: str) -> None:
        if out.suffix != ".safetensors":
            raise ValueError(f"out: must end in .safetensors, got {out.name}. Name a file of poses.")
        if len(set(names)) < len(names):
            raise ValueError("videos: a name occurs more than once. Give each clip once.")
        self.out, self.names, self.joints, self.source = out, tuple(names), tuple(joints), source
        self.folder = out.with_name(f"{out.name}.parts")
        self.old = self._read_old() if out.is_file() else None
        self._claim()

    def _read_old(self) -> Poses:
        old, other = read_poses(self.out), "Name another file."
        if (old.source, old.joints) != (self.source, self.joints):
            raise ValueError(f"{self.out}: holds poses by {old.source}, not by {self.source}. {other}")
        if lost := set(old.names) - set(self.names):
            raise ValueError(f"{self.out}: holds {min(lost)}, which is not among the videos. {other}")
        return old

    def _claim(self) -> None:
        path = self.folder / "settings.json"
        if not path.is_file():
            write_text(path, json.dumps({"source": self.source}) + "\n")
        found = read_json(path, f"Delete {self.folder}.", ["source"])["source"]
        if found != self.source:
            raise ValueError(
                f"{self.folder}: was made by {found}, not by {self.source}. Delete it, or name another "
                "file to write."
            )

    def is_done(self, name: str, video: Path) -> bool:
        """Whether there are poses of a clip that are no older than its video."""
        changed = video.stat().st_mtime if video.is_file() else 0.0
        there = [self._path(name)] if self._path(name).is_file() else []
        if self.old is not None and name in self.old.rows:
            there.append(self.out)
        return any(path.stat().st_mtime >= changed for path in there)

    def add(self, part: ClipPoses) -> None:
        """Write a part atomically."""
        with whole(self._path(part.name)) as path, path.open("wb") as file:
            np.savez(file, xy=part.xy, score=part.score, size=part.size, rate=part.rate)

    def read(self, name: str) -> ClipPoses:
        """A clip's part, that of the newest run."""
        if not self._path(name).is_file() and self.old is not None:
            row = self.old.rows[name]
            width, height = self.old.size[row].tolist()
            return ClipPoses(name, *self.old.clip(name), (width, height), float(self.old.rate[row]))
        with np.load(self._path(name), allow_pickle=False) as part:
            width, height = part["size"].tolist()
            return ClipPoses(name, part["xy"], part["score"], (width, height), float(part["rate"]))

    def finish(self, parts: Sequence[ClipPoses]) -> Poses | None:
        """Write the file from parts, if there are any, and remove them."""
        poses = None
        if parts:
            poses = join(parts, self.joints, self.source)
            write_poses(self.out, poses)
        shutil.rmtree(self.folder)
        return poses

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
