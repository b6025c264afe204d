"""Extraction of poses: a pose estimator is applied to every clip of video.

Clips are processed by several processes at a time. A run can be killed at any moment, and the same
command resumes it (see `piumar_lib.ma52.prepare.pose_parts`); clips whose video is newer than their
poses are done again, and so are those without poses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from tqdm import tqdm

from piumar_lib.ma52.prepare.engines import Engine, Estimator, EstimatorError
from piumar_lib.ma52.prepare.index import Clip, write_bad
from piumar_lib.ma52.prepare.layout import SPLITS, is_clutter, list_path
from piumar_lib.ma52.prepare.pose_parts import PoseParts
from piumar_lib.ma52.prepare.poses import ClipPoses, Poses
from piumar_lib.ma52.prepare.video import Survey, VideoError, evenly, open_video
from piumar_lib.support.files import require_room
from piumar_lib.support.locks import only_run

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp")
AT_MOST = 720  # pixels of a frame's longer side, as the estimator sees it


@dataclass(frozen=True)
class Video:
    """A clip to look at.

    Attributes:
        name: Name in the index, or path below the folder in which it was found.
        path: The file.
        frames: Number of frames as far as an index tells, else 0.
    """

    name: str
    path: Path
    frames: int = 0


@dataclass
class Extraction:
    """What came out of it.

    Attributes:
        poses: Poses of all clips that have any; None where none has.
        bad: Why the others have none, by name.
        found: Fraction of frames with the person in them, by name.
        frames: Number of frames that this run processed.
        seconds: How long it took.
    """

    poses: Poses | None = None
    bad: dict[str, str] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0


class NoPerson(ValueError):
    """There is no person in a clip."""


def videos_of_index(root: Path, clips: Iterable[Clip]) -> list[Video]:
    """The clips of an index, in its order."""
    return [Video(clip.name, root / clip.split / clip.name, clip.frames) for clip in clips]


def videos_below(folder: Path) -> list[Video]:
    """Every video below a folder, by its path there.

    Raises:
        FileNotFoundError: If there is no such folder, or no video in it.
        ValueError: If it is a download of MA-52, whose clips have their names from an index.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Give one with videos.")
    if any(list_path(folder, split).is_file() for split in SPLITS):
        raise ValueError(
            f"{folder}: has MA-52's lists, so its clips are named by an index. Make it, and give it as "
            f"--index: prepare_ma52.py index {folder} --out INDEX.csv"
        )
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    videos = [path for path in found if path.suffix.lower() in SUFFIXES]
    kept = [path for path in videos if not any(map(is_clutter, path.parts))]
    if not kept:
        raise FileNotFoundError(f"{folder}: no video in it. Give a folder with {', '.join(SUFFIXES)}.")
    return [Video(path.as_posix(), folder / path) for path in kept]


def extract(
    videos: Sequence[Video],
    out: Path,
    engine: Engine,
    command: Sequence[str],
    workers: int = 1,
    at_most: int = AT_MOST,
    progress: bool = False,
) -> Extraction:
    """Estimate the poses that are missing, and write the file of all; ``OUT.bad.csv`` names bad clips.

    Args:
        videos: Clips to look at, from `videos_of_index` or `videos_below`.
        out: The file to write, ending in ``.safetensors``.
        engine: One of `piumar_lib.ma52.prepare.engines.ENGINES`.
        command: What starts it, from `piumar_lib.ma52.prepare.engines.find_command`.
        workers: Processes of the estimator, each with a thread that decodes for it.
        at_most: Pixels of a frame's longer side; larger frames are shrunk to it.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If ``out`` or its parts are of another source or of other clips.
        EstimatorError: If the estimator does not start.
        InUse: If another run writes there.
        OSError: If the disk has no room.
    """
    began, result = time.perf_counter(), Extraction()
    out.parent.mkdir(parents=True, exist_ok=True)
    with only_run(out):
        names = [video.name for video in videos]
        source = f"{engine.version}, frames of at most {at_most} pixels"
        parts = PoseParts(out, names, engine.joints, source)
        missing = [video for video in videos if not parts.is_done(video.name, video.path)]
        require_room(out, 24 * len(engine.joints) * sum(video.frames for video in videos))
        bar = tqdm(total=len(missing), desc="poses", unit="clip", disable=not progress)
        with Estimators(engine, command, min(workers, len(missing))) as estimators, bar:
            for name, done in estimators.look_at(missing, at_most):
                if isinstance(done, ClipPoses):
                    parts.add(done)
                    result.frames += len(done.xy)
                else:
                    result.bad[name] = done
                bar.set_postfix_str(f"{result.frames / (time.perf_counter() - began):.0f} frames/s")
                bar.update()
        kept = [parts.read(name) for name in names if name not in result.bad]
        write_bad(out.with_suffix(".bad.csv"), result.bad)
        result.poses = parts.finish(kept)
    result.found = {part.name: part.found for part in kept}
    result.seconds = time.perf_counter() - began
    return result


class Estimators:
    """Several estimators, and as many threads that decode for them; none where there is nothing to do.

    Raises:
        EstimatorError: If they do not start.
    """

    def __init__(self, engine: Engine, command: Sequence[str], count: int) -> None:
        self.engine, self.command = engine, command
        self.pool = ThreadPoolExecutor(max(count, 1))
        self.running: list[Estimator] = []
        self.free: SimpleQueue[Estimator | None] = SimpleQueue()  # None: one that is to be started
        for number in range(count):
            # The first starts here: what is wrong with it is no fault of a clip.
            self.free.put(None if number else self._start())

    def _start(self) -> Estimator:
        estimator = Estimator(self.engine, self.command)
        self.running.append(estimator)
        return estimator

    def look_at(self, videos: Iterable[Video], at_most: int) -> Iterator[tuple[str, ClipPoses | str]]:
        """Each video's name with its poses, or with what is wrong with it, as they are done."""
        jobs = {self.pool.submit(self._try, video, at_most): video.name for video in videos}
        for job in as_completed(jobs):
            yield jobs[job], job.result()

    def _try(self, video: Video, at_most: int) -> ClipPoses | str:
        """In a thread, by an estimator that is started when it is first needed, and after it ended."""
        estimator = self.free.get()
        try:
            estimator = estimator or self._start()
            return look_at(video, estimator, at_most)
        except VideoError as error:
            return error.what
        except (NoPerson, FileNotFoundError) as error:
            return str(error)
        except EstimatorError as error:
            estimator = None
            return str(error)
        finally:
            self.free.put(estimator)

    def __enter__(self) -> Estimators:
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes at once; a thread that still waits for one ends with it."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        for estimator in self.running:
            estimator.close()
        self.pool.shutdown()


def look_at(video: Video, estimator: Estimator, at_most: int = AT_MOST) -> ClipPoses:
    """Poses of one clip, as a player shows it.

    A clip of varying frame rate gives poses that are evenly spread in time: at each moment those of the
    frame that is nearest to it.

    Raises:
        FileNotFoundError, VideoError: If it cannot be read.
        NoPerson: If there is no person in it.
        EstimatorError: If the estimator ends meanwhile.
    """
    with open_video(video.path) as opened:
        xy, score = estimator.estimate(_small(opened.frames(), at_most))
        seen = opened.survey()
    if not np.isfinite(xy).any():
        raise NoPerson(f"no person was found in any of its {len(seen)} frames")
    shown = shrunk_size(seen.width, seen.height, at_most)
    xy = (xy * (np.array([seen.width, seen.height]) / shown)).astype(np.float32)
    even = evenly(seen.times, len(seen))
    return ClipPoses(video.name, xy[even], score[even], (seen.width, seen.height), steady_rate(seen))


def steady_rate(seen: Survey) -> float:
    """Frames a second, if as many were evenly spread from the first to the last."""
    span = float(seen.times[-1] - seen.times[0])
    return (len(seen) - 1) / span if span > 0 else seen.fps


def shrunk_size(width: int, height: int, at_most: int) -> tuple[int, int]:
    """Width and height once the longer side has at most ``at_most`` pixels."""
    scale = min(1.0, at_most / max(width, height))
    return max(1, round(scale * width)), max(1, round(scale * height))


def _small(frames: Iterable[av.VideoFrame], at_most: int) -> Iterator[np.ndarray]:
    """Frames as an estimator sees them, uint8 ``(height, width, 3)``."""
    convert = VideoReformatter().reformat
    for frame in frames:
        width, height = shrunk_size(frame.width, frame.height, at_most)
        yield convert(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()
