"""Small files in the formats of the eight sets of real people, for several tests."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import savemat

from piumar_lib.data.people import joints
from piumar_lib.data.people.catalog import CATALOG, PeopleSet
from piumar_lib.data.people.sources import manifest, source_files

FRAMES = 4


def random_joints(seed: int, count: int = 20, frames: int = FRAMES) -> np.ndarray:
    """Positions in metres, (frames, count, 3)."""
    return np.random.default_rng(seed).uniform(-1, 1, (frames, count, 3)).round(4)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def lines(rows: Iterable[Iterable[object]], between: str = " ") -> str:
    return "".join(between.join(map(str, row)) + "\n" for row in rows)


def msraction3d(folder: Path) -> None:
    """Two people, and a recording that is known to be broken."""
    for seed, name in enumerate(("a02_s01_e01", "a20_s02_e03", "a02_s03_e02")):
        confident = np.insert(random_joints(seed).reshape(-1, 3), 3, 0.5, axis=1)
        write(folder / f"{name}_skeleton3D.txt", lines(confident))


def utkinect(folder: Path) -> None:
    """Two recordings of which every second frame is there; an interval without numbers."""
    labels = "s01_e01\nwalk: 10 16\ncarry: 18 22\ns02_e01\nwalk: 10 14\ncarry: NaN NaN\n"
    write(folder / "actionLabel_modified.txt", labels)
    for person in (1, 2):
        numbers = np.arange(8, 24, 2)
        rows = random_joints(person, frames=len(numbers)).reshape(len(numbers), -1)
        write(folder / f"joints_s{person:02d}_e01.txt", lines(np.insert(rows, 0, numbers, axis=1)))


def uiprmd(folder: Path) -> None:
    for seed, name in enumerate(("m01_s01_e01", "m10_s02_e10")):
        for kind, scale in (("positions", 30), ("angles", 180)):
            rows = scale * random_joints(10 * seed + scale, len(joints.UI_PRMD)).reshape(FRAMES, -1)
            path = folder / kind.capitalize() / f"{name}_{kind}.txt.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(lines(rows, ",").encode(), mtime=0))


def utdmhad(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("a1_s1_t1", "a27_s2_t4")):
        savemat(folder / f"{name}_skeleton.mat", {"d_skel": random_joints(seed).transpose(1, 2, 0)})


def shrec17(folder: Path) -> None:
    """One clip of each list; the numbers behind the fourth say where the gesture lies."""
    for seed, (part, row) in enumerate((("train", (1, 1, 1, 1)), ("test", (14, 2, 28, 3)))):
        gesture, fingers, person, trial = row
        write(folder / f"{part}_gestures.txt", lines([(*row, 14, 28, FRAMES)]))
        place = f"gesture_{gesture}/finger_{fingers}/subject_{person}/essai_{trial}"
        hand = random_joints(seed, len(joints.SHREC_HAND)).reshape(FRAMES, -1)
        write(folder / place / "skeletons_world.txt", lines(hand))


def gesturemidair(folder: Path) -> None:
    """Two people with all gestures, one with eight, and a file that is no recording."""
    write(folder / "all_gestures.txt", "arc3Dleft\n")
    rows = [(0, 0, 0, 1000), (6, 3, -3, 1100), (6, 3, 0, 1200)]
    names = CATALOG["gesturemidair"].class_names
    for person, count in (("someone", 26), ("another", 26), ("few", 8)):
        for name in names[:count]:
            write(folder / person / f"{name}.csv", lines(rows))


def pendigits(folder: Path) -> None:
    """A 3 in one stroke and a 7 in two; the writer is the same number in both files."""
    one = ".PEN_DOWN\n 10 20\n 11 22\n 12 24\n.PEN_UP\n"
    two = one + ".PEN_DOWN\n 5 5\n 6 6\n.PEN_UP\n"
    for part, digit, strokes in (("train", 3, one), ("test", 7, two)):
        segment = f'.SEGMENT DIGIT ? OK "{digit}"\n.COMMENT {digit} 1\n{strokes}'
        write(folder / f"pendigits-{part}", ".VERSION 1.0\n.COMMENT  digit writer\n" + segment)


def mmg(folder: Path) -> None:
    """Two strokes with a second's pause: half a second of it is kept."""
    for person, name in ((10, "stylus"), (99, "finger")):
        strokes = [[(0, 0, 500), (4, 2, 540)], [(10, 10, 1540), (12, 12, 1580)]]
        text = "".join(
            "<Stroke>" + "".join(f'<Point X="{x}" Y="{y}" T="{t}"/>' for x, y, t in stroke) + "</Stroke>"
            for stroke in strokes
        )
        path = folder / f"{person}-{name}-SLOW" / f"{person}-{name}-slow-X-01.xml"
        write(path, f'<?xml version="1.0" encoding="utf-8"?>\n<Gesture Name="X">{text}</Gesture>\n')


WRITERS: dict[str, Callable[[Path], None]] = {
    "msraction3d": msraction3d,
    "utkinect": utkinect,
    "uiprmd": uiprmd,
    "utdmhad_skeleton": utdmhad,
    "shrec17": shrec17,
    "gesturemidair": gesturemidair,
    "pendigits": pendigits,
    "mmg": mmg,
}


def small(name: str, folder: Path) -> PeopleSet:
    """Write the small set of this name; return its entry of the catalogue, with these files instead."""
    WRITERS[name](folder)
    people_set = CATALOG[name]
    files = len(source_files(people_set, folder))
    return replace(people_set, files=files, manifest=manifest(people_set, folder), clips=CLIPS[name])


CLIPS = {name: 2 for name in WRITERS} | {"utkinect": 3, "gesturemidair": 52}
