"""Skeletons as MATLAB files: UTD-MHAD."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scipy.io import loadmat

from piumar_lib.data.people.clips import Clip, root_relative
from piumar_lib.data.people.joints import UTD_MHAD


def utdmhad(folder: Path) -> Iterator[Clip]:
    """UTD-MHAD: ``aA_sS_tT_skeleton.mat``, in it ``d_skel`` (20, 3, frames) in metres."""
    for path in sorted(folder.glob("a*_skeleton.mat")):
        action, person, _ = map(int, re.findall(r"\d+", path.name))
        skeleton = loadmat(path)["d_skel"].transpose(2, 0, 1)  # (frames, 20, 3)
        yield Clip(root_relative(skeleton, UTD_MHAD), action - 1, person - 1)
