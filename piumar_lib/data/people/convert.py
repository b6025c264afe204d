"""Conversion of a data set's source files to the arrays of its ``.npz``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from piumar_lib.data.people.catalog import PeopleSet
from piumar_lib.data.people.clips import Clip
from piumar_lib.data.people.kinematics import uiprmd
from piumar_lib.data.people.paths import gesturemidair, mmg, pendigits
from piumar_lib.data.people.skeletons import msraction3d, shrec17, utdmhad, utkinect
from piumar_lib.data.sequences import hold

CONVERTERS: dict[str, Callable[[Path], Iterator[Clip]]] = {
    "msraction3d": msraction3d,
    "utkinect": utkinect,
    "uiprmd": uiprmd,
    "utdmhad_skeleton": utdmhad,
    "shrec17": shrec17,
    "gesturemidair": gesturemidair,
    "pendigits": pendigits,
    "mmg": mmg,
}


def convert(people_set: PeopleSet, folder: Path) -> dict[str, Any]:
    """Arrays of a data set, as `piumar_lib.data.load_npz` reads them, from its verified source files.

    Returns:
        ``X (n, time, channels)``, each clip held at its last frame, in float16 for skeletons (half a
        millimetre at a metre) and float32 for others; ``y``, ``person`` and ``lengths`` ``(n,)``;
        ``class_names``, ``rate`` in Hz and, for skeletons, ``parents``.
    """
    clips = list(CONVERTERS[people_set.name](folder))
    pieces, y, person = zip(*clips, strict=True)
    x, lengths = hold(list(pieces), max(map(len, pieces)))
    arrays = {
        "X": x if people_set.parents is None else x.astype(np.float16),
        "y": np.array(y, np.int64),
        "person": np.array(person, np.int64),
        "lengths": lengths.astype(np.int64),
        "class_names": np.array(people_set.class_names),
        "rate": np.array(people_set.rate),
    }
    if people_set.parents is not None:
        arrays["parents"] = np.array(people_set.parents, np.int64)
    return arrays
