"""A stand-in rendered straight into a cache, for training at full scale without coding any video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from piumar_lib.data.labels import CLIPS
from piumar_lib.ma52.prepare import cache
from piumar_lib.ma52.prepare.crop import WHOLE, Box
from piumar_lib.ma52.prepare.index import Clip, make_clip, write_index
from piumar_lib.ma52.standin import Plan
from piumar_lib.ma52.standin.render import make_looks, render
from piumar_lib.ma52.standin.videos import RATE, joints_of
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.files import require_room
from piumar_lib.support.locks import only_run

TOGETHER = 16  # clips that are rendered at a time: a GPU takes no longer for sixteen than for one


def write_cache(
    folder: Path,
    plan: Plan,
    size: int = 128,
    frames: int = 16,
    device: str = "cpu",
    workers: int = 1,
    progress: bool = True,
) -> int:
    """Render a stand-in straight into a raw cache, with its ``index.csv``: no video is coded or decoded.

    For training at full scale, where coding 22,422 clips would take hours. Clips that are there already
    are kept, so the same call resumes a killed run; it returns how many were missing.

    Args:
        folder: The cache; created if necessary.
        plan: Clips to render, from `plan`; its width is that of the camera.
        size: Pixels of the square about the person.
        frames: Number of frames kept of each clip, evenly spread.
        device: Where to render.
        workers: Processes; on a GPU too, as people are found, and clips are written, on processors.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the folder holds a cache of other settings.
        InUse: If another run writes it.
        OSError: If the disk has no room.
    """
    settings = cache.CacheSettings(size, form="raw", frames=frames)
    cache.open_cache(folder, settings)
    with only_run(folder):
        write_index(folder / "index.csv", [describe_clip(plan, row) for row in range(len(plan))])
        done = cache.take_up(folder)
        missing = np.array([str(name) not in done for name in plan.name])
        clips = [describe_clip(plan, row) for row in np.flatnonzero(missing).tolist()]
        require_room(folder, cache.estimate_bytes(clips, settings), cache.SAVE_SPACE)
        for split in CLIPS:
            (folder / split).mkdir(exist_ok=True)
        people = np.unique(plan.person[missing]).tolist()
        jobs = [(folder, plan, person, missing, settings, device) for person in people]
        with tqdm(total=int(missing.sum()), desc="clips", disable=not progress) as bar:
            for made in in_parallel(film_person, jobs, workers):
                for kept in made:
                    cache.record_entry(folder, kept)
                bar.update(len(made))
    return int(missing.sum())


def film_person(
    folder: Path,
    plan: Plan,
    person: int,
    missing: np.ndarray,
    settings: cache.CacheSettings,
    device: str,
) -> list[cache.CacheEntry]:
    """Render a person's missing clips into a cache."""
    mine, moves = joints_of(plan, person)
    looks = make_looks(plan.people, plan.seed)
    at = np.linspace(0, plan.frames[mine] - 1, settings.frames, axis=1).round().astype(int)
    joints = moves[np.arange(len(mine))[:, None], at]
    wanted, size = np.flatnonzero(missing[mine]), (plan.width, plan.height)
    made = []
    for few in np.array_split(wanted, -(-len(wanted) // TOGETHER)):
        frames = settings.frames * (len(few) if device != "cpu" else 1)
        films = render(joints[few], looks, np.full(len(few), person), *size, seed=mine[few].tolist(),
                       chunk=frames, device=device)  # fmt: skip
        for row, film in zip(mine[few], films, strict=True):
            small = _cut(film[cache.probe_frames(len(film))], WHOLE, min(120, plan.width))
            box, found = cache.find_crop(small, *size, settings.crop)
            split, name = str(plan.split[row]), str(plan.name[row])
            path = cache.cached_path(folder, split, name, settings)
            cache.save_raw(path, _cut(film, box, settings.size))
            made.append(cache.CacheEntry(name, split, settings.frames, *box.rounded(), found))
    return made


def _cut(film: torch.Tensor, box: Box, size: int) -> np.ndarray:
    """The square ``box`` of a video ``(time, height, width, 3)``, resized to ``size``."""
    height, width = film.shape[1:3]
    rows = slice(round(box.top * height), round(box.bottom * height))
    columns = slice(round(box.left * width), round(box.right * width))
    pictures = film[:, rows, columns].permute(0, 3, 1, 2).float()
    small = torch.nn.functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def describe_clip(plan: Plan, row: int) -> Clip:
    """A line of the index."""
    name, split, action = str(plan.name[row]), str(plan.split[row]), int(plan.action[row])
    return make_clip(name, split, action, int(plan.frames[row]), RATE, (plan.width, plan.height))
