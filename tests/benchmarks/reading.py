"""3. Reading 16 frames of a clip at 224 x 224: from our caches, and from the original film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from films import originals
from row import Row

from piumar_lib.ma52.dataset import ClipDataset, frame_indices
from piumar_lib.ma52.prepare.cache import CacheSettings, cached_path, make_cache
from piumar_lib.notebook.costs import seconds_each

FRAMES, SIZE = 16, 224


def with_pyav(path: Path, at: np.ndarray) -> np.ndarray:
    """Decode all frames as everybody does, keep those that are wanted."""
    import av

    with av.open(str(path)) as container:
        pictures = {
            number: frame.to_ndarray(format="rgb24", width=SIZE, height=SIZE)
            for number, frame in enumerate(container.decode(video=0))
            if number in set(at)
        }
    return np.stack([pictures[k] for k in at])


def with_opencv(path: Path, at: np.ndarray) -> np.ndarray:
    """The same with OpenCV."""
    import cv2

    capture, pictures = cv2.VideoCapture(str(path)), {}
    for number in range(at.max() + 1):
        there = capture.grab()
        if there and number in set(at):
            picture = cv2.resize(capture.retrieve()[1], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            pictures[number] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.stack([pictures[k] for k in at])


def with_decord(path: Path, at: np.ndarray) -> np.ndarray:
    """The same with decord, as MANet's code reads."""
    import decord

    reader = decord.VideoReader(str(path), width=SIZE, height=SIZE, num_threads=1)
    return reader.get_batch(at.tolist()).asnumpy()


def measure(quick: bool, device: str, build: Path, workers: int) -> Iterator[Row]:
    """Both forms of the cache against each decoder, and the raw one against a copy of memory."""
    root, clips = originals(build, quick, workers)
    decoders = {"PyAV": with_pyav, "OpenCV": with_opencv}
    try:
        import decord  # noqa: F401

        decoders["decord"] = with_decord
    except ImportError:
        yield Row("read from the cache, decord", None, 20, note="decord is not installed")
    films = [(root / clip.split / clip.name, frame_indices(clip.frames, FRAMES)) for clip in clips]
    ways = {
        name: (lambda read=read: [read(path, at) for path, at in films])
        for name, read in decoders.items()
    }
    # Not zeros: those all lie in one page, which is never fetched.
    wanted = np.random.default_rng(0).integers(0, 256, (len(clips), FRAMES, SIZE, SIZE, 3), np.uint8)
    ways["copy of memory"] = lambda: [film.copy() for film in wanted]
    size = {}
    for form in ("mp4", "raw"):
        settings = CacheSettings(SIZE, form=form)
        folder = build / f"cache-{root.name}-{form}"
        make_cache(root, clips, folder, settings, workers)
        data = ClipDataset(folder, clips, FRAMES)
        ways[form] = lambda data=data: [data[k]["video"] for k in range(len(data))]
        files = [cached_path(folder, c.split, c.name, settings) for c in clips]
        size[form] = np.mean([file.stat().st_size for file in files]) / 1024
    seconds = seconds_each(ways, 1 if quick else 4)
    for form in ("raw", "mp4"):
        note = f"{size[form]:.0f} KB a clip"
        for name in decoders:
            goal = 20 if name == "decord" else None
            ratio = seconds[name] / seconds[form]
            yield Row(f"read from the {form} cache, {name}", ratio, goal, note=note)
    ratio, note = seconds["copy of memory"] / seconds["raw"], "a copy reads and writes the bytes once"
    yield Row("read from the raw cache, copy of memory", ratio, 0.5, note=note)
