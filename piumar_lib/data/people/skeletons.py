"""Skeletons of cameras: MSR Action3D, UTKinect and SHREC'17 as text, UTD-MHAD as MATLAB files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from piumar_lib.data.people import joints
from piumar_lib.data.people.clips import Clip, onto_grid, root_relative

# Recordings with corrupted skeletons. Like the paper on the joints, we leave them out.
BROKEN = (
    "a02_s03_e02", "a04_s03_e01", "a07_s04_e01", "a13_s09_e01", "a13_s09_e02", "a13_s09_e03",
    "a14_s03_e01", "a20_s07_e01", "a20_s07_e03", "a20_s10_e03",
)  # fmt: skip
UTKINECT_ACTIONS = (
    "walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands",
)  # fmt: skip
UTKINECT_RATE = 15.0  # Hz
UTKINECT_COUNT = 1000 / 30  # milliseconds from one frame number to the next


def unbroken(folder: Path) -> list[Path]:
    """The files of MSR Action3D without the broken ones, in order."""
    return [path for path in sorted(folder.glob("a*_skeleton3D.txt")) if path.name[:11] not in BROKEN]


def msraction3d(folder: Path) -> Iterator[Clip]:
    """MSR Action3D: ``aAA_sSS_eEE_skeleton3D.txt``, a joint a row: x, y, z in metres, confidence."""
    for path in unbroken(folder):
        action, person = int(path.name[1:3]), int(path.name[5:7])
        rows = np.loadtxt(path).reshape(-1, len(joints.MSR_ACTION3D), 4)  # (frames, 20, 4)
        yield Clip(root_relative(rows[..., :3], joints.MSR_ACTION3D), action - 1, person - 1)


def utkinect(folder: Path) -> Iterator[Clip]:
    """UTKinect-Action3D: recordings of ten actions each, and a list of each action's frames.

    A row holds its frame number at 30 Hz, of which about every second is there, and x, y, z of 20 joints
    in metres. An interval without numbers was never recorded.
    """
    recordings = re.split(r"^(s\d\d_e\d\d)\s*$", _text(folder / "actionLabel_modified.txt"), flags=re.M)
    for name, intervals in zip(recordings[1::2], recordings[2::2], strict=True):
        rows = np.loadtxt(folder / f"joints_{name}.txt")  # (frames, 1 + 60)
        for action, start, end in re.findall(r"(\w+):\s+(\d+)\s+(\d+)", intervals):
            inside = rows[(int(start) <= rows[:, 0]) & (rows[:, 0] <= int(end))]
            even = onto_grid(inside[:, 0] * UTKINECT_COUNT, inside[:, 1:], UTKINECT_RATE)
            x = root_relative(even.reshape(len(even), -1, 3), joints.KINECT)
            yield Clip(x, UTKINECT_ACTIONS.index(action), int(name[1:3]) - 1)


def utdmhad(folder: Path) -> Iterator[Clip]:
    """UTD-MHAD: ``aA_sS_tT_skeleton.mat``, in it ``d_skel`` (20, 3, frames) in metres."""
    for path in sorted(folder.glob("a*_skeleton.mat")):
        action, person, _ = map(int, re.findall(r"\d+", path.name))
        skeleton = loadmat(path)["d_skel"].transpose(2, 0, 1)  # (frames, 20, 3)
        yield Clip(root_relative(skeleton, joints.UTD_MHAD), action - 1, person - 1)


def shrec17(folder: Path) -> Iterator[Clip]:
    """SHREC'17: two lists of gesture, fingers, person, trial, and a file of 22 joints in metres each."""
    for part in ("train_gestures.txt", "test_gestures.txt"):
        for line in _text(folder / part).splitlines():
            gesture, fingers, person, trial = map(int, line.split()[:4])
            place = f"gesture_{gesture}/finger_{fingers}/subject_{person}/essai_{trial}"
            rows = np.loadtxt(folder / place / "skeletons_world.txt", ndmin=2)
            hand = rows.reshape(len(rows), -1, 3)  # (frames, 22, 3)
            yield Clip(root_relative(hand, joints.SHREC_HAND), gesture - 1, person - 1)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
