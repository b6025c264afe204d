"""Skeletons as offsets and angles (UI-PRMD), converted by forward kinematics."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from piumar_lib.data.people.clips import Clip, root_relative
from piumar_lib.data.people.joints import UI_PRMD

METRE = 100.0  # centimetres


def uiprmd(folder: Path) -> Iterator[Clip]:
    """UI-PRMD: ``mMM_sSS_eEE`` twice, each joint's offset from its parent (cm) and angles (degrees)."""
    for path in sorted((folder / "Positions").glob("m*_positions.txt.gz")):
        offsets = _rows(path)  # (frames, 22, 3)
        angles = _rows(folder / "Angles" / path.name.replace("positions", "angles"))
        joints = forward_kinematics(offsets, angles, UI_PRMD) / METRE
        yield Clip(root_relative(joints, UI_PRMD), int(path.name[1:3]) - 1, int(path.name[5:7]) - 1)


def forward_kinematics(offsets: np.ndarray, angles: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    r"""Place every joint in the room: :math:`p_j = p_i + G_i o_j`, :math:`G_j = G_i R_j`, i j's parent.

    ``offsets`` are each joint's position in its parent's frame, the root's in the room; ``angles`` its
    rotation about x, y, z in degrees, composed as :math:`R = R_z R_y R_x`; both, and the positions
    returned, are ``(frames, joints, 3)``. Each joint comes after its parent; the root's is -1.
    """
    turns = rotations(angles)  # (frames, joints, 3, 3)
    places = np.empty_like(offsets)
    for joint, parent in enumerate(parents):
        if parent < 0:
            places[:, joint] = offsets[:, joint]
            continue
        bone = turns[:, parent] @ offsets[:, joint, :, None]  # (frames, 3, 1)
        places[:, joint] = places[:, parent] + bone[..., 0]
        turns[:, joint] = turns[:, parent] @ turns[:, joint]
    return places


def rotations(angles: np.ndarray) -> np.ndarray:
    """Matrices ``Rz Ry Rx`` of angles about x, y, z in degrees, ``(..., 3)`` to ``(..., 3, 3)``."""
    (cx, cy, cz), (sx, sy, sz) = (np.moveaxis(f(np.radians(angles)), -1, 0) for f in (np.cos, np.sin))
    rows = (
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _rows(path: Path) -> np.ndarray:
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    rows = np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)
    return rows.reshape(len(rows), -1, 3)
