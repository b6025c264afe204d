"""Letter codes of MA-52's actions (A1, B1, ...), which are not in the order of the label ids.

Codes are used in the annotation manual and in the names of the demo folders (``B1 nodding``), ids in the
lists of clips. B1 is nodding, id 9; numbering the codes in order makes it id 5, bowing head. This is
wrong for all six actions of the head, and for 46 of all 52. Nor do the names of demo clips identify them
in the lists: ``0030_01_0002.mp4`` lies in ``A1 shaking body``, and in the train list it has label 9.

Source: Annotation Manual for the MA-52 dataset, table 1, repository VUT-HFUT/Micro-Action. (Its
descriptions of B4, tilting head, and B5, bowing head, seem to be exchanged.)
"""

from __future__ import annotations

from typing import NamedTuple

from piumar_lib.data.labels import ACTIONS, BODY_PARTS

# The names of each letter in the order of their numbers; a letter is a body part.
MANUAL = {
    "A": ("shaking body", "turning around", "sitting straightly", "shrugging", "rising up"),
    "B": ("nodding", "shaking head", "turning head", "tilting head", "bowing head", "head up"),
    "C": (
        "illustrative gestures", "other finger movements", "hands touching fingers", "stretching arms",
        "waving", "scratching arms", "spreading hands", "playing objects", "putting hands together",
        "retracting arms", "pointing oneself", "clenching fist", "rubbing hands",
    ),
    "D": (
        "tiptoe", "retracting feet", "shaking legs", "stretching feet", "closing legs", "spread legs",
        "curling legs", "crossing legs",
    ),
    "E": (
        "scratching or touching chest", "scratching or touching neck", "scratching or touching back",
        "arms akimbo", "crossing arms", "scratching or touching shoulder",
    ),
    "F": (
        "touching nose", "scratching or touching face", "playing or tidying hair",
        "scratching or touching hindbrain", "pushing glasses", "rubbing eyes",
        "scratching or touching forehead", "touching ears", "covering mouth", "covering face",
    ),
    "G": ("touching legs", "patting legs", "scratching legs", "scratching feet"),
}  # fmt: skip


class Code(NamedTuple):
    """One action under both of its labels.

    Attributes:
        code: Code of the action in the manual, such as ``"B1"``.
        action: Id of the action in the lists, 0 to 51.
        name, part: Name and body part of the action.
        counted: The id that the code would have if codes were numbered in order. It is wrong for most.
    """

    code: str
    action: int
    name: str
    part: str
    counted: int

    def __str__(self) -> str:
        return f"{self.code} = id {self.action}, {self.name}"


def all_codes() -> tuple[Code, ...]:
    """Every action in the order of the manual, A1 to G4."""
    named = [
        (f"{letter}{number}", name, part)
        for (letter, names), part in zip(MANUAL.items(), BODY_PARTS, strict=True)
        for number, name in enumerate(names, start=1)
    ]
    return tuple(
        Code(code, ACTIONS.index(name), name, part, place)
        for place, (code, name, part) in enumerate(named)
    )
