"""Errors of extracted poses: an estimator is applied to the stand-in's videos, whose joints are known.

    python -m piumar_lib.ma52.pose_error

writes the videos, extracts poses, prints a table, and keeps it as records of
``notebooks/results/pose-extraction.jsonl``. A person's torso, from the middle of the hips to that of the
shoulders, is the unit of length, as in `piumar_lib.data.skeleton`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from piumar_lib.data.joints import pick
from piumar_lib.data.skeleton import JOINTS
from piumar_lib.evidence.records import ROOT, device, provenance
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.engines import ENGINES, find_command
from piumar_lib.ma52.prepare.extract import Video, extract
from piumar_lib.ma52.prepare.poses import Poses
from piumar_lib.ma52.standin.estimate import true_joints
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import write_text

ALL = "all joints"
SHOULDERS, HIPS = slice(5, 7), slice(11, 13)


@dataclass(frozen=True)
class JointError:
    """Error of a joint over all frames, in torso lengths.

    Attributes:
        joint: Its name, or `ALL`.
        median, ninth_decile: Median and ninth decile of the distance.
        centered: Median distance after subtracting each clip's median offset: the error of movements.
        moved: Median distance of the true joint from its own median in the clip, to compare with.
        found: Fraction of frames in which it was found.
    """

    joint: str
    median: float
    ninth_decile: float
    centered: float
    moved: float
    found: float


def pose_errors(poses: Poses, truth: Mapping[str, np.ndarray]) -> list[JointError]:
    """Compare poses with true joints: a row for each of COCO's 17, which they hold, and for `ALL`.

    ``truth`` has pixels ``(frames, 17, 2)`` of each clip, by name.

    Raises:
        ValueError: If a clip has no truth, or another number of frames than it.
    """
    order, shown = pick(poses.joints, JOINTS), []
    for name in poses.names:
        xy = poses.clip(name)[0][:, order]
        if name not in truth or len(truth[name]) != len(xy):
            raise ValueError(f"truth: has no {name} of {len(xy)} frames. Give that of the same videos.")
        middles = truth[name][:, SHOULDERS].mean(1) - truth[name][:, HIPS].mean(1)
        torso = np.median(_length(middles))  # pixels
        away = (xy - truth[name]) / torso
        moved = _from_median(truth[name] / torso)
        shown.append(np.stack([_length(away), _length(_from_median(away)), _length(moved)]))
    errors = np.concatenate(shown, axis=1)  # (3, frames of all clips, joints)
    rows = [_summarize(name, errors[..., k]) for k, name in enumerate(JOINTS)]
    return [*rows, _summarize(ALL, errors.reshape(3, -1))]


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def _from_median(vectors: np.ndarray) -> np.ndarray:
    """Distance from the median over frames, without those that were not found."""
    there = np.isfinite(vectors).all(-1).any(0)
    middle = np.full(vectors.shape[1:], np.nan)
    middle[there] = np.nanmedian(vectors[:, there], axis=0)
    return vectors - middle


def _summarize(name: str, errors: np.ndarray) -> JointError:
    """A row of the table, from distances ``(3, frames)``."""
    found = np.isfinite(errors[0])
    away, centered, moved = (values[found] for values in errors)
    if not found.any():
        return JointError(name, np.nan, np.nan, np.nan, np.nan, 0.0)
    return JointError(
        name, float(np.median(away)), float(np.quantile(away, 0.9)), float(np.median(centered)),
        float(np.median(moved)), float(found.mean()),
    )  # fmt: skip


def to_text(rows: list[JointError]) -> str:
    """The table, in torso lengths."""
    head = f"{'':16} {'median':>8} {'90 %':>8} {'centered':>9} {'moved':>8} {'found':>8}"
    lines = [
        f"{r.joint:16} {r.median:8.3f} {r.ninth_decile:8.3f} {r.centered:9.4f} {r.moved:8.4f} "
        f"{100 * r.found:6.1f} %"
        for r in rows
    ]
    return "\n".join([head, *lines])


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = psutil.Process().cpu_times()
    return used.user + used.system + used.children_user + used.children_system


@command_line
def main(argv: list[str] | None = None) -> None:
    """Measure, print, and keep records."""
    options = parser().parse_args(argv)
    engine = ENGINES[options.engine]
    command = find_command(engine, options.python)
    plan = standin.plan(options.clips, options.people, options.width, options.seed)
    root = options.build / f"{options.clips}-{options.people}-{options.width}-{options.seed}"
    standin.write(root, plan, options.workers)
    videos = [Video(str(n), root / str(s) / str(n)) for s, n in zip(plan.split, plan.name, strict=True)]
    out = root / f"{engine.name}.safetensors"
    out.unlink(missing_ok=True)
    before = _processor_seconds()
    result = extract(videos, out, engine, command, options.workers, progress=True)
    if result.poses is None or result.bad:
        raise ValueError(f"{root}: {len(result.bad)} clips gave no poses. See {root} for why.")
    rows = pose_errors(result.poses, dict(true_joints(plan)))
    speed = result.frames / (_processor_seconds() - before)
    print(f"{to_text(rows)}\n{result.frames} frames, {speed:.0f} for each second of a processor")
    said = {"source": result.poses.source, "clips": len(plan), "people": options.people,
            "width": plan.width, "seed": plan.seed, "frames": result.frames,
            "frames_per_processor_second": round(speed, 1)}  # fmt: skip
    keep(options.out, [said | asdict(row) for row in rows])


def keep(path: Path, records: list[dict]) -> None:
    """Put records into the file, in place of those of the same source and videos."""
    called = shlex.join(["python", "-m", "piumar_lib.ma52.pose_error", *sys.argv[1:]])
    origin = provenance() | {"command": called, "device": device()}

    def key(record: dict) -> tuple:
        return tuple(record[name] for name in ("source", "clips", "people", "width", "seed"))

    new = {key(record) for record in records}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    old = [record for record in map(json.loads, lines) if key(record) not in new]
    write_text(path, "".join(json.dumps(r) + "\n" for r in [*old, *(r | origin for r in records)]))


def parser() -> argparse.ArgumentParser:
    """The options."""
    command = Parser(
        prog="python -m piumar_lib.ma52.pose_error", description=(__doc__ or "").split("\n")[0]
    )
    command.add_argument("--engine", choices=ENGINES, default="mediapipe", help="(%(default)s)")
    command.add_argument("--python", type=path, help="of another environment than make poses-env makes")
    command.add_argument("--clips", type=at_least(12), default=80, help="(%(default)s)")
    command.add_argument("--people", type=at_least(3), default=20, help="(%(default)s)")
    command.add_argument("--width", type=at_least(32), default=216, help="pixels (%(default)s)")
    command.add_argument("--seed", type=at_least(0), default=0)
    command.add_argument("--workers", type=at_least(1), default=1, help="processes (%(default)s)")
    command.add_argument("--build", type=path, default=ROOT / "build" / "pose-error", help="for videos")
    command.add_argument(
        "--out", type=path, default=ROOT / "notebooks" / "results" / "pose-extraction.jsonl"
    )
    return command


if __name__ == "__main__":
    sys.exit(main())
