"""Facts about the MA-52 benchmark: action names, body parts, and its official list files.

Source: Guo et al., "Benchmarking Micro-action Recognition" (MA-52), repository VUT-HFUT/Micro-Action.
"""

from __future__ import annotations

import codecs

import numpy as np
from numpy.typing import ArrayLike

CLIPS = {"train": 11250, "val": 5586, "test": 5586}  # of the official lists
CHALLENGE = 1138  # of the test list of the Micro-Action Analysis Grand Challenge, a sample of 5586
PEOPLE, VISIBLE = 205, 186  # participants, and those whose identity train and val show

MARKS = {  # that a text begins with; UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip

BODY_PARTS = ("body", "head", "upper limb", "lower limb", "body-hand", "head-hand", "leg-hand")
FIRST_ACTION = (0, 5, 11, 24, 32, 38, 48)  # of each body part

ACTIONS = (
    "shaking body", "sitting straightly", "shrugging", "turning around", "rising up",
    "bowing head", "head up", "tilting head", "turning head", "nodding", "shaking head",
    "scratching arms", "playing objects", "putting hands together", "rubbing hands",
    "pointing oneself", "clenching fist", "stretching arms", "retracting arms", "waving",
    "spreading hands", "hands touching fingers", "other finger movements", "illustrative gestures",
    "shaking legs", "curling legs", "spread legs", "closing legs", "crossing legs",
    "stretching feet", "retracting feet", "tiptoe",
    "scratching or touching neck", "scratching or touching chest", "scratching or touching back",
    "scratching or touching shoulder", "arms akimbo", "crossing arms",
    "playing or tidying hair", "scratching or touching hindbrain",
    "scratching or touching forehead", "scratching or touching face", "rubbing eyes",
    "touching nose", "touching ears", "covering face", "covering mouth", "pushing glasses",
    "patting legs", "touching legs", "scratching legs", "scratching feet",
)  # fmt: skip


def body_part(action: ArrayLike) -> np.ndarray:
    """Map actions (0-51) to body parts (0-6), any shape.

    Raises:
        ValueError: If an action is outside 0-51.
    """
    action = np.asarray(action)
    if action.size and (action.min() < 0 or action.max() >= len(ACTIONS)):
        raise ValueError(f"action: values {action.min()}..{action.max()} leave MA-52's range 0..51.")
    return np.searchsorted(FIRST_ACTION, action, side="right") - 1


def decode(content: bytes) -> tuple[str, str]:
    """Text of a list file, and its encoding.

    Names and labels are ASCII, so Latin-1 reads them in whatever is neither UTF-8, UTF-16, nor UTF-32.
    """
    for mark, codec in MARKS.items():
        if content.startswith(mark):
            return content.decode(codec, errors="replace"), codec.upper()
    if 0 in content[:2]:  # UTF-16 without its mark: a zero byte before or behind each letter
        codec = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(codec, errors="replace"), codec.upper()
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "an unknown encoding"
