"""Apply a recogniser of poses to clips of a pose file: actions, over time in a long clip.

tracks, _ = read_tracks("mine.safetensors")
for action, probability in recognize_poses(load_course_model(), tracks[0]).best(): ...
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from piumar_lib.data.joints import pick
from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.model import MicroActionRecognizer
from piumar_lib.ma52.pose_dataset import PoseDataset, moments
from piumar_lib.ma52.pose_tracks import Track
from piumar_lib.ma52.prepare.index import make_clip
from piumar_lib.ma52.prepare.poses import ClipPoses, join
from piumar_lib.ma52.windows import Answers, windows

FEW = 0.5  # a window with the person in a smaller fraction of its frames has no answer
AT_A_TIME = 512  # windows


class Unseen(ValueError):
    """A clip without an answer: no person, no torso, or a single pose."""


@dataclass(frozen=True)
class RecognizedPoses(Answers):
    """What was recognised in poses, window by window.

    Attributes:
        track: The poses, with only the model's joints.
        empty: Start and end of windows in which the person, or a torso, was seldom seen.
    """

    track: Track
    empty: tuple[tuple[float, float], ...]


@torch.no_grad()
def recognize_poses(
    model: MicroActionRecognizer,
    track: Track,
    length: float = 2.0,
    stride: float = 0.5,
    views: int = 3,
) -> RecognizedPoses:
    """Recognise the micro-actions of one person.

    Each window is measured in torso lengths by itself, as each clip is in training.

    Args:
        model: Recogniser trained on poses, from `piumar_lib.ma52.model.load_model`.
        track: Poses of the person, from `piumar_lib.ma52.pose_tracks.read_tracks`. Up to
            `piumar_lib.ma52.windows.SHORT` seconds it is one clip; a longer one is split into windows.
        length, stride: Length of a window, and time from one window to the next, in seconds.
        views: Temporal views of each window, averaged.

    Raises:
        Unseen: If the person is hardly ever seen, or no torso, or only for one frame.
        ValueError: If the model is for video or other joints, or a number is invalid.
    """
    if model.size:
        raise ValueError(
            f"model: it was trained on video, and cannot look at poses ({track.name}). Give one of "
            "poses, or the video itself."
        )
    if views < 1:
        raise ValueError(f"views: {views}. Choose 1 or more.")
    track = keep_joints(track, model.joints)
    if len(track.xy) < 2:
        raise Unseen(f"{track.name}: is a single pose, in which nothing moves. Give a clip.")
    spans = windows(track.seconds, length, stride)
    data = _open(track, spans, model)
    kept = [int(clip.name) for clip in data.clips]
    portions = torch.arange(len(kept)).split(AT_A_TIME)
    probabilities = np.concatenate([_ask(model, data, places, views) for places in portions])
    start, end = np.array([spans[k] for k in kept]).T
    known = set(kept)
    empty = tuple(span for k, span in enumerate(spans) if k not in known)
    return RecognizedPoses(start, end, probabilities, track, empty)


def keep_joints(track: Track, joints: tuple[str, ...]) -> Track:
    """The same poses with some of their joints, in another order.

    Raises:
        ValueError: If there are joints that the poses lack.
    """
    if missing := [joint for joint in joints if joint not in track.joints]:
        raise ValueError(
            f"model: sees {len(joints)} joints, and {track.name} has {len(track.joints)} without "
            f"{', '.join(missing[:3])}. Extract poses with all of them, or give a model of fewer joints."
        )
    kept = pick(track.joints, joints)
    return replace(track, joints=joints, xy=track.xy[:, kept], score=track.score[:, kept])


def _open(track: Track, spans: list[tuple[float, float]], model: MicroActionRecognizer) -> PoseDataset:
    """Windows as clips, named by their numbers; those that show too little are not among them."""
    frames, rows = len(track.xy), []
    for start, end in spans:
        first = min(round(start * track.rate), frames - 1)
        rows.append(slice(first, max(first + 1, round(end * track.rate))))
    there = np.any(track.score > 0, axis=1)  # (frames,)
    kept = [k for k, row in enumerate(rows) if there[row].mean() >= FEW]
    if not kept:
        raise Unseen(
            f"{track.name}: the person was found in {100 * there.mean():.0f} % of frames, and in no "
            f"window in {100 * FEW:.0f} %. Film the whole upper body, and extract poses again."
        )
    clips = [ClipPoses(str(k), track.xy[rows[k]], track.score[rows[k]]) for k in kept]
    poses = join(clips, track.joints, track.name)
    index = [make_clip(clip.name, "test", -1, len(clip.xy), track.rate, clip.size) for clip in clips]
    try:
        return PoseDataset(poses, index, model.frames, scores=model.config.joint_scores)
    except ValueError as error:
        raise Unseen(f"{track.name}: {error}") from error


def _ask(
    model: MicroActionRecognizer, data: PoseDataset, places: torch.Tensor, views: int
) -> np.ndarray:
    """Probabilities of some windows, averaged over views, ``(windows, 52)``."""
    device, summed = next(model.parameters()).device, np.zeros((len(places), len(ACTIONS)))
    model.eval()
    for view in range(views):
        at = moments(torch.full((len(places), model.frames), (view + 0.5) / views))
        logits = model(data.read(places, at).to(device)).logits
        summed += logits.float().softmax(-1).cpu().numpy()
    return summed / views
