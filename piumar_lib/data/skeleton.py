"""A seated body of 17 COCO joints in two dimensions, from bone lengths and posture.

Coordinates: x to the image's right, y downward, in torso lengths, the middle of the hips at the
origin. The person faces the camera, so the left side of the body is on the image's right.
"""

from __future__ import annotations

import numpy as np

JOINTS = (
    "nose", "left eye", "right eye", "left ear", "right ear",
    "left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist",
    "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
)  # fmt: skip

# Left and right swapped; to mirror a person, also negate x.
MIRROR = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])

LIMBS = (
    (5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (5, 11), (6, 12), (11, 12),
    (11, 13), (13, 15), (12, 14), (14, 16), (0, 1), (0, 2), (1, 3), (2, 4),
)  # fmt: skip

POSES = np.array([
    (0.00, -1.42), (0.08, -1.50), (-0.08, -1.50), (0.17, -1.47), (-0.17, -1.47),
    (0.38, -1.00), (-0.38, -1.00), (0.56, -0.48), (-0.56, -0.48), (0.25, -0.08), (-0.25, -0.08),
    (0.22, 0.00), (-0.22, 0.00), (0.34, 0.36), (-0.34, 0.36), (0.32, 1.15), (-0.32, 1.15),
])  # fmt: skip

# Bones as (joint, its parent), parents first; -1 is the middle of the hips, -2 the neck.
_BONES = (
    (5, -1), (6, -1), (0, -2), (1, 0), (2, 0), (3, 0), (4, 0), (7, 5), (8, 6), (9, 7), (10, 8),
    (11, -1), (12, -1), (13, 11), (14, 12), (15, 13), (16, 14),
)  # fmt: skip
_TURNING = np.array([0.3, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0.6, 0.6, 1, 1])


def rest_pose(bones: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Positions ``(n, 17, 2)`` of the seated body's joints, in torso lengths.

    ``bones`` are the lengths of the bones that end in the joints, relative to the default, and
    ``angles`` their rotations in radians, which also rotate all that follow; both ``(n, 17)``.
    """
    bones = np.where(np.isin(np.arange(len(JOINTS)), (5, 6)), 1.0, bones)  # the torso is the unit
    # Left and right bones have equal lengths.
    bones = np.sqrt(bones * bones[:, MIRROR])
    pose = np.zeros((len(bones), len(JOINTS), 2))
    turned = np.zeros((len(bones), len(JOINTS)))
    before: np.ndarray | float  # rotation of the parent bone, of each person
    for joint, parent in _BONES:
        if parent >= 0:
            usual, start, before = POSES[parent], pose[:, parent], turned[:, parent]
        elif parent == -1:
            usual, start, before = np.zeros(2), np.zeros((len(bones), 2)), 0.0
        else:
            usual, start, before = POSES[5:7].mean(0), pose[:, 5:7].mean(1), 0.0
        turned[:, joint] = before + _TURNING[joint] * angles[:, joint]
        c, s = np.cos(turned[:, joint]), np.sin(turned[:, joint])
        dx, dy = POSES[joint] - usual
        bone = np.stack([c * dx - s * dy, s * dx + c * dy], axis=-1)
        pose[:, joint] = start + bones[:, joint, None] * bone
    return pose
