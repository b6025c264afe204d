"""Checks that a reader's own sequences suffice for a chapter or the evidence, and fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from piumar_lib.data.sequences import Sequences

# Most memory of a training step is for the clips' plans, frames by frames, and their gradients: we
# measured 28 bytes per entry. They may take half of a small laptop's memory. Batches have about 64
# clips, and up to 95 from `piumar_lib.training.batches`.
BATCH, PLAN_BYTES, MEMORY = 95, 28, 4e9


def require(
    data: Sequences,
    people: int = 3,
    classes: int = 2,
    clips: int = 2,
    frames: int = 4,
    name: str = "",
) -> Sequences:
    """Return ``data`` if there is enough of it; the defaults suffice for every chapter.

    ``people`` and ``classes`` that occur, ``clips`` of one action by each person, and ``frames`` of the
    longest clip are least numbers; the largest number of frames follows from the memory. ``name`` is the
    data's in messages, by default its own.

    Raises:
        ValueError: If there is too little or too much of something; the message names it and the remedy.
    """
    if lack := next(_lacks(data, people, classes, clips, frames), ""):
        raise ValueError(f"data: {name or data.name} has {lack}.")
    return data


def _lacks(data: Sequences, people: int, classes: int, clips: int, frames: int) -> Iterator[str]:
    there, shown, longest = len(data.people), len(np.unique(data.y)), int(data.lengths.max())
    most = most_frames(len(data))
    if data.x.shape[1] > most:
        yield (
            f"clips of {data.x.shape[1]:,} frames. Beyond {most:,} a training step takes more than "
            f"{MEMORY / 1e9:.0f} GB of memory. Cut shorter clips, or resample: "
            f"save_npz(new, load_npz(old).resampled({most}))"
        )
    if there < people:
        yield (
            f"{_count(there, 'person', 'people')}. This takes at least {people}: some for training, "
            "others to be held out. Record more people"
        )
    if shown < classes:
        yield (
            f"{_count(shown, 'class', 'classes')}. This takes at least {classes}. Add "
            "clips of another action"
        )
    most_of = {p: np.bincount(data.y[data.person == p]).max() for p in data.people}
    rarest = min(most_of, key=lambda p: most_of[p])
    if most_of[rarest] < clips:
        yield (
            f"fewer than {clips} clips of the same action by person {rarest}. Everybody must repeat "
            "an action. Add clips, or leave this person out"
        )
    if longest < frames:
        yield (
            f"{_count(longest, 'frame', 'frames')} in its longest clip. This takes at least {frames}, "
            "as movement needs time. Cut longer clips"
        )
    if data.x.min() == data.x.max():
        yield f"the value {data.x.min():g} everywhere: nothing moves. Save what was measured"


def most_frames(clips: int) -> int:
    """Most frames that each of ``clips`` clips may have, if a training step is to fit into memory."""
    return int((MEMORY / PLAN_BYTES / min(BATCH, clips)) ** 0.5)


def _count(number: int, one: str, several: str) -> str:
    return f"one {one}" if number == 1 else f"{number} {several}"
