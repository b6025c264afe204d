"""A stand-in for MA-52: synthetic people on video, in the layout of the published benchmark.

    ROOT/train/0003_01_0001.mp4 ...      PERSON_SESSION_CLIP
    ROOT/val/...  ROOT/test/test0000.mp4 ...
    ROOT/train_list_videos.txt ...       lines "0003_01_0001.mp4 9"; test clips carry label 0
    ROOT/label_name.txt                  lines "9<TAB>nodding", ended by CRLF

As in MA-52, train and val share their people. Who made the test clips is not published; here they
are people of whom no other clip exists. ``standin.json`` says who and what, so that a submission can
be scored. Everything follows from the seed, whatever the number of processes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from piumar_lib.data.actions import all_actions
from piumar_lib.data.labels import ACTIONS, CLIPS, PEOPLE, VISIBLE
from piumar_lib.data.sequences import Sequences
from piumar_lib.data.synthetic import clips_per_person, make_clips, make_people
from piumar_lib.ma52.prepare.layout import STANDIN
from piumar_lib.ma52.prepare.published import LABEL_NAMES
from piumar_lib.ma52.standin.render import make_looks, render
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.files import read_json, whole, write_text
from piumar_lib.support.locks import only_run

SESSIONS = 5  # of a person, about: train and val have 908
FRAMES = (45, 75)  # shortest and longest clip
RATE = 30
MADE_WITH, TRUTH = "made with", "test clips: person and action"  # in `STANDIN`


@dataclass(frozen=True)
class Plan:
    """Which clips a stand-in has; all arrays have one entry a clip, clips of a person together.

    Attributes:
        seed: Seed that everything follows from.
        width: Pixels across; the height is six fifths of it.
        person: Number of the person in each clip, from 0, shape ``(clips,)``.
        action: 0 to 51.
        split: ``"train"``, ``"val"`` or ``"test"``.
        name: File name.
        frames: Number of frames.
    """

    seed: int
    width: int
    person: np.ndarray
    action: np.ndarray
    split: np.ndarray
    name: np.ndarray
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    @property
    def people(self) -> int:
        """How many."""
        return int(self.person.max()) + 1

    @property
    def height(self) -> int:
        """Pixels down."""
        return 2 * round(0.6 * self.width)


def plan(
    clips: int = sum(CLIPS.values()), people: int = PEOPLE, width: int = 1080, seed: int = 0
) -> Plan:
    """Draw person and action of every clip; by default as many as in MA-52.

    Raises:
        ValueError: If there are too few people or clips, or the width is odd or too small.
    """
    if people < 3:
        raise ValueError(f"people: {people} of them cannot fill train, val and test. Ask for 3 or more.")
    if clips < 4 * people:
        raise ValueError(f"clips: {clips} for {people} people. Ask for at least {4 * people}.")
    if width < 32 or width % 2:
        raise ValueError(f"width: {width} pixels. Ask for an even number from 32.")
    visible = min(people - 1, round(people * VISIBLE / PEOPLE))
    hidden = people - visible
    test = max(hidden, round(clips * CLIPS["test"] / sum(CLIPS.values())))
    counts = np.concatenate(
        [clips_per_person(visible, clips - test, seed), clips_per_person(hidden, test, seed + 1)]
    )
    rng = np.random.default_rng([seed, 6])
    person = np.repeat(np.arange(people), counts)
    split = np.full(clips, "test", "<U5")
    seen = np.flatnonzero(person < visible)
    val = round(len(seen) * CLIPS["val"] / (CLIPS["train"] + CLIPS["val"]))
    split[seen] = "train"
    split[rng.permutation(seen)[:val]] = "val"
    action = np.concatenate([acted(p, count, people, seed).y for p, count in enumerate(counts)])
    return Plan(
        seed, width, person, action, split, _names(person, split, rng),
        rng.integers(FRAMES[0], FRAMES[1] + 1, clips),
    )  # fmt: skip


def write(root: Path, plan: Plan, workers: int = 1, progress: bool = True) -> int:
    """Write a stand-in into a folder, in ``workers`` processes; return how many clips were missing.

    Clips that are already there are kept, which resumes a killed run.

    Raises:
        ValueError: If the folder holds a stand-in of another plan.
        InUse: If another run writes it.
        OSError: If writing fails.
    """
    claim(root, plan)
    with only_run(root):
        for split in CLIPS:
            (root / split).mkdir(exist_ok=True)
        there = np.array([(root / s / n).is_file() for s, n in zip(plan.split, plan.name, strict=True)])
        jobs = [(root, plan, person) for person in np.unique(plan.person[~there]).tolist()]
        with tqdm(total=int((~there).sum()), desc="clips", disable=not progress) as bar:
            for done in in_parallel(write_person, jobs, workers):
                bar.update(done)
        _write_lists(root, plan)
    return int((~there).sum())


def write_person(root: Path, plan: Plan, person: int) -> int:
    """Render and write a person's missing clips; returns how many were missing."""
    from piumar_lib.ma52.prepare.video import write_mp4  # poses need no video

    torch.set_num_threads(1)
    mine, moves = joints_of(plan, person)
    looks = make_looks(plan.people, plan.seed)
    written = 0
    for k, row in enumerate(mine):
        path = root / str(plan.split[row]) / str(plan.name[row])
        if path.is_file():
            continue
        joints = moves[k : k + 1, : plan.frames[row]]
        film = render(joints, looks, np.array([person]), plan.width, plan.height, seed=int(row))
        write_mp4(path, film[0].numpy(), RATE)
        written += 1
    return written


def joints_of(plan: Plan, person: int) -> tuple[np.ndarray, np.ndarray]:
    """A person's rows of the plan, ``(clips,)``, and the joints in them, ``(clips, frames, 17, 2)``.

    Joints are in torso lengths; all clips have the longest length, and begin at their first frame.
    """
    mine = np.flatnonzero(plan.person == person)
    moves = acted(person, len(mine), plan.people, plan.seed)
    return mine, moves.x.reshape(len(mine), -1, 17, 2)


def acted(person: int, count: int, people: int, seed: int) -> Sequences:
    """A person's clips as skeletons, at the camera's rate and of the longest length."""
    counts = np.where(np.arange(people) == person, count, 0)
    crowd = make_people(people, seed, all_actions())
    # Every person has a seed of its own, so that any process can make any person.
    return make_clips(crowd, counts, seed * people + person, FRAMES[1], centered=False, rate=RATE)


def _names(person: np.ndarray, split: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    names = np.empty(len(person), "<U16")
    test = split == "test"
    names[test] = [f"test{k:04d}.mp4" for k in rng.permutation(test.sum())]
    for p in np.unique(person[~test]):
        mine = np.flatnonzero(person == p)
        session = np.sort(rng.integers(1, SESSIONS + 1, len(mine)))
        for s in np.unique(session):
            for k, row in enumerate(mine[session == s], start=1):
                names[row] = f"{p + 1:04d}_{s:02d}_{k:04d}.mp4"
    return names


def claim(root: Path, plan: Plan) -> None:
    """Record the contents of the folder, or raise if it holds something else."""
    said = {"seed": plan.seed, "clips": len(plan), "people": plan.people, "width": plan.width}
    path = root / STANDIN
    if path.is_file():
        found = read_json(path, "Name another folder.", [MADE_WITH])[MADE_WITH]
        if found != said:
            raise ValueError(
                f"{root}: holds a stand-in made with {found}, not {said}. Name another folder."
            )
        return
    if root.is_dir() and any(root.iterdir()):
        raise ValueError(f"{root}: is not empty and holds no stand-in. Name another folder.")
    test = plan.split == "test"
    truth = {
        str(n): [int(p), int(a)]
        for n, p, a in zip(plan.name[test], plan.person[test], plan.action[test], strict=True)
    }
    write_text(path, json.dumps({MADE_WITH: said, TRUTH: truth}) + "\n")


def _write_lists(root: Path, plan: Plan) -> None:
    for split in CLIPS:
        rows = np.flatnonzero(plan.split == split)
        rows = rows[np.argsort(plan.name[rows])]
        labels = np.zeros(len(rows), int) if split == "test" else plan.action[rows]
        lines = (f"{name} {label}" for name, label in zip(plan.name[rows], labels, strict=True))
        # As published: no newline at the end.
        write_text(root / f"{split}_list_videos.txt", "\n".join(lines))
    names = "\r\n".join(f"{k}\t{name}" for k, name in enumerate(ACTIONS))
    with whole(root / LABEL_NAMES) as part:
        part.write_bytes(names.encode())
