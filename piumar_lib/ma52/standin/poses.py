"""A stand-in's poses: in the files that are published for MA-52, or straight into one file of poses.

    openpose   OUT/MA52_train.pkl ...: 28 joints, with scores and labels
    halpe      OUT/train_data.pkl, OUT/train_label.pkl ...: 136 joints, no scores, labels apart
    coco       OUT/train_results.json ...: 17 joints, an entry a person and frame; and OUT/index.csv

`piumar_lib.ma52.prepare.pose_sources` says which keys they have. Labels of test clips are all 0, as
published.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from piumar_lib.data.joints import COCO, HALPE, LAYOUTS, OPENPOSE
from piumar_lib.data.labels import CLIPS
from piumar_lib.ma52.prepare.index import write_index
from piumar_lib.ma52.prepare.poses import ClipPoses, Poses, join, write_poses
from piumar_lib.ma52.standin.cache import describe_clip
from piumar_lib.ma52.standin.estimate import Detector, Estimate, estimate
from piumar_lib.ma52.standin.videos import RATE, Plan, claim
from piumar_lib.support.files import whole
from piumar_lib.support.locks import only_run


def make_poses(
    plan: Plan, joints: int = len(COCO), detector: Detector | None = None, progress: bool = False
) -> Poses:
    """Poses of a stand-in's plan, as if its estimator's file had been written and read.

    There are 17, 28, 33, 44 or 136 joints, with the errors of ``detector``.
    """
    clips: list[Any] = [None] * len(plan)
    for found in _estimates(plan, joints, detector, progress):
        xy, score = found.keypoint[found.main], found.score[found.main]
        xy[score == 0] = np.nan
        name, size = str(plan.name[found.row]), (plan.width, plan.height)
        clips[found.row] = ClipPoses(name, xy, score, size, RATE)
    return join(clips, LAYOUTS[joints], f"stand-in, seed {plan.seed}")


def write_standin_poses(
    folder: Path, plan: Plan, joints: int = len(COCO), detector: Detector | None = None,
    progress: bool = True,
) -> None:  # fmt: skip
    """Write ``poses.safetensors`` and ``index.csv``, to train on at once, as `make_poses` makes them.

    Raises:
        ValueError: If the folder holds a stand-in of another plan.
        InUse: If another run writes it.
        OSError: If writing fails.
    """
    claim(folder, plan)
    with only_run(folder):
        write_poses(folder / "poses.safetensors", make_poses(plan, joints, detector, progress))
        _write_index(folder, plan)


def write_pose_files(
    folder: Path, plan: Plan, form: str, detector: Detector | None = None, progress: bool = True
) -> list[Path]:
    """Write poses in a published form, one of `FORMS`, and return the files.

    Raises:
        ValueError: If the form is unknown, or the folder holds a stand-in of another plan.
        InUse: If another run writes it.
        OSError: If writing fails.
    """
    if form not in FORMS:
        raise ValueError(f"form: must be one of {', '.join(FORMS)}, got {form!r}.")
    layout, write = FORMS[form]
    claim(folder, plan)
    with only_run(folder):
        return write(folder, plan, _estimates(plan, len(layout), detector, progress))


def _estimates(plan: Plan, joints: int, detector: Detector | None, progress: bool) -> Iterator[Estimate]:
    found = estimate(plan, LAYOUTS[joints], detector)
    return iter(tqdm(found, total=len(plan), desc="clips", disable=not progress))


def _write_openpose(folder: Path, plan: Plan, found: Iterable[Estimate]) -> list[Path]:
    held: dict[str, list[dict]] = {split: [] for split in CLIPS}
    for clip in found:
        entry = {"frame_dir": _stem(plan, clip), "label": _label(plan, clip)}
        entry |= dict.fromkeys(("img_shape", "original_shape"), (plan.height, plan.width))
        entry |= {"total_frames": clip.keypoint.shape[1], "keypoint": clip.keypoint}
        held[plan.split[clip.row]].append(entry | {"keypoint_score": clip.score})
    return [_pickle(folder / f"MA52_{split}.pkl", entries) for split, entries in held.items()]


def _write_halpe(folder: Path, plan: Plan, found: Iterable[Estimate]) -> list[Path]:
    poses: dict[str, list[dict]] = {split: [] for split in CLIPS}
    labels: dict[str, list[dict]] = {split: [] for split in CLIPS}
    for clip in found:
        split, name = plan.split[clip.row], _stem(plan, clip)
        poses[split].append({"frame_dir": name, "keypoint": list(clip.keypoint)})
        labels[split].append({"file_name": name, "label": _label(plan, clip)})
    return [
        path
        for split in CLIPS
        for path in (
            _pickle(folder / f"{split}_data.pkl", {"annotations": poses[split]}),
            _pickle(folder / f"{split}_label.pkl", labels[split]),
        )
    ]


def _write_coco(folder: Path, plan: Plan, found: Iterable[Estimate]) -> list[Path]:
    paths = {split: folder / f"{split}_results.json" for split in CLIPS}
    with ExitStack() as stack:
        parts = {split: stack.enter_context(whole(path)) for split, path in paths.items()}
        files = {
            split: stack.enter_context(part.open("w", encoding="utf-8")) for split, part in parts.items()
        }
        begun = dict.fromkeys(CLIPS, "[")
        for clip in found:
            split = plan.split[clip.row]
            for result in _results(_stem(plan, clip), clip):
                files[split].write(f"{begun[split]}\n{json.dumps(result)}")
                begun[split] = ","
        for split, file in files.items():
            file.write(f"{'[' if begun[split] == '[' else ''}\n]\n")
    _write_index(folder, plan)  # results say neither labels, sizes nor lengths
    return list(paths.values())


def _results(name: str, clip: Estimate) -> Iterator[dict]:
    """COCO's entries of a clip: none for a frame in which a person was not found."""
    values = np.concatenate([clip.keypoint, clip.score[..., None]], axis=-1)
    for frame in range(values.shape[1]):
        for person in values[:, frame]:
            if person[:, 2].any():
                score = round(float(person[:, 2].mean()), 4)
                key = f"{name}/{frame:06d}.jpg"
                keypoints = person.ravel().tolist()
                yield {"image_id": key, "category_id": 1, "keypoints": keypoints, "score": score}


def _stem(plan: Plan, clip: Estimate) -> str:
    return str(plan.name[clip.row]).removesuffix(".mp4")


def _label(plan: Plan, clip: Estimate) -> int:
    return 0 if plan.split[clip.row] == "test" else int(plan.action[clip.row])


def _pickle(path: Path, held: object) -> Path:
    with whole(path) as part, part.open("wb") as file:
        pickle.dump(held, file, protocol=4)
    return path


def _write_index(folder: Path, plan: Plan) -> None:
    write_index(folder / "index.csv", [describe_clip(plan, row) for row in range(len(plan))])


Write = Callable[[Path, Plan, Iterable[Estimate]], list[Path]]
FORMS: dict[str, tuple[tuple[str, ...], Write]] = {
    "openpose": (OPENPOSE, _write_openpose),
    "halpe": (HALPE, _write_halpe),
    "coco": (COCO, _write_coco),
}
