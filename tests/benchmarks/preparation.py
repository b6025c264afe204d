"""4. Preparing clips: decode, crop, shrink, write; ours against a straightforward loop with PyAV."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from films import originals
from row import Row

from piumar_lib.ma52.prepare.cache import CRF, KEYFRAME_EVERY, CacheSettings, make_cache
from piumar_lib.ma52.prepare.crop import square_in_the_middle
from piumar_lib.ma52.prepare.video import decode, write_mp4
from piumar_lib.notebook.costs import seconds_each

SIZE = 256


def straightforward(path: Path, target: Path) -> None:
    """Every frame to an array, cut the middle, shrink with Pillow, write."""
    import av
    from PIL import Image

    pictures = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            box = square_in_the_middle(picture.width, picture.height)
            sides = (picture.width, picture.height) * 2
            cut = tuple(round(share * side) for share, side in zip(box, sides, strict=True))
            pictures.append(np.asarray(picture.crop(cut).resize((SIZE, SIZE), Image.Resampling.BOX)))
    write_mp4(target, np.stack(pictures), 30, KEYFRAME_EVERY, CRF, between=0)


def processor_seconds(call: Callable[[], None]) -> float:
    """Of this process and of those that it started and that have ended."""

    def now() -> float:
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usage)

    start = now()
    call()
    return now() - start


def measure(quick: bool, device: str, build: Path, workers: int) -> Iterator[Row]:
    """One core, the limit that decoding sets, and two processes."""
    root, clips = originals(build, quick, workers)
    clips = clips[: 2 if quick else 16]
    folder = build / "prepared"

    def ours(crop: str, processes: int = 1) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        make_cache(root, clips, folder, CacheSettings(SIZE, crop), processes)

    def theirs() -> None:
        for clip in clips:
            straightforward(root / clip.split / clip.name, build / "one.mp4")

    def only_decoding() -> None:
        for clip in clips:
            list(decode(root / clip.split / clip.name))

    ways = {"person": lambda: ours("person"), "middle": lambda: ours("middle"), "loop": theirs,
            "decoding": only_decoding}  # fmt: skip
    seconds = seconds_each(ways, 1 if quick else 2)
    limit = seconds["loop"] / seconds["decoding"]
    each = seconds["middle"] / len(clips)
    note = f"limit {limit:.2f}: h264 decoding alone; {each:.2f} s a clip"
    ratio = seconds["loop"] / seconds["middle"]
    yield Row("prepare, crop in the middle, PyAV loop", ratio, 2, note=note)
    note = "ours finds the person, too, the loop does not"
    ratio = seconds["loop"] / seconds["person"]
    yield Row("prepare, crop about the person, PyAV loop", ratio, note=note)
    if workers > 1:
        alone = processor_seconds(lambda: ours("person"))
        together = processor_seconds(lambda: ours("person", workers))
        note = f"{len(clips)} clips, {workers} processes, processor time, starting them included"
        yield Row("prepare, share of linear speed", alone / together, 0.8, note=note)
