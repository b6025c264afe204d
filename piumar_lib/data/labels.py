"""Facts about the MA-52 benchmark: sizes, action names, and body parts.

Source: Guo et al., "Benchmarking Micro-action Recognition" (MA-52), repository VUT-HFUT/Micro-Action.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

CLIPS = {"train": 11250, "val": 5586, "test": 5586}  # of the official lists
CHALLENGE = 1138  # of the test list of the Micro-Action Analysis Grand Challenge, a sample of 5586
PEOPLE, VISIBLE = 205, 186  # participants, and those whose identity train and val show

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
