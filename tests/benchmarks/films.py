"""Clips as large as MA-52's, filmed once for benchmarks 3 and 4: 1080 x 1296, h264, one keyframe."""

from __future__ import annotations

from pathlib import Path

from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.index import Clip, make_index
from piumar_lib.ma52.prepare.verify import verify


def originals(folder: Path, quick: bool, workers: int) -> tuple[Path, list[Clip]]:
    """A stand-in's folder and some of its clips."""
    people, clips, width = (3, 12, 128) if quick else (3, 24, 1080)
    root = folder / f"originals-{width}"
    standin.write(root, standin.plan(clips, people, width, 0), workers, progress=not quick)
    return root, make_index(root, verify(root).entries)[: 4 if quick else 16]
