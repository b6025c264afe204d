"""Training data: clips of a cache, or of a file of poses."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable

from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import ClipDataset
from piumar_lib.ma52.pose_dataset import PoseDataset
from piumar_lib.ma52.prepare.index import Clip, read_index
from piumar_lib.ma52.prepare.poses import read_poses
from piumar_lib.ma52.prepare.splits import Split, read_split

Clips = ClipDataset | PoseDataset


def open_clips(
    config: TrainConfig, clips: Iterable[Clip], frames: int, views: int = 1, train: bool = False
) -> Clips:
    """Open clips as a configuration's backbone sees them; for the arguments see `ClipDataset`.

    Raises:
        FileNotFoundError: If the cache, or the file of poses, is not there.
        ValueError: If it is damaged, or lacks clips.
    """
    if not config.sees_poses:
        return ClipDataset(config.cache, clips, frames, views, train)
    return PoseDataset(read_poses(config.poses), clips, frames, views, config.joint_scores)


def load_data(config: TrainConfig, frames: int) -> tuple[Clips, Clips, Split]:
    """Training and held-out clips of a configuration's split.

    Raises:
        ValueError: If the split names clips that the index does not have.
    """
    split, index = read_split(config.split), {clip.name: clip for clip in read_index(config.index)}
    missing = [name for name in (*split.train, *split.held_out) if name not in index]
    if missing:
        raise ValueError(
            f"split: {config.split} names {len(missing)} clips that {config.index} does not have, "
            f"{missing[0]} is the first. Make the split from this index."
        )
    train_clips, held_out = ([index[name] for name in side] for side in (split.train, split.held_out))
    return (
        open_clips(config, train_clips, frames, train=True),
        open_clips(config, held_out, frames),
        split,
    )


def count_workers(clips: Clips, wished: int) -> int:
    """Number of processes that read clips: none for poses in memory, or if none may be started."""
    in_memory = isinstance(clips, PoseDataset)
    return 0 if in_memory or multiprocessing.current_process().daemon else wished
