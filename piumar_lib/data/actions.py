"""MA-52's actions as movements of a skeleton: displacements of the joints, and their course over time.

The displacement fields and courses are stylised and our own. They preserve the difficulties of the
benchmark: small amplitudes (0.01-0.2 torso lengths), and pairs of actions with the same field that
differ only in time (bowing the head and nodding).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from piumar_lib.data.labels import ACTIONS
from piumar_lib.data.skeleton import JOINTS

Course = Callable[[np.ndarray], np.ndarray]  # phase to fraction of the displacement, any shape

# How far each joint follows when a part moves by one; the sign mirrors x on the body's left.
_PARTS: dict[str, dict[int, float]] = {
    "head": {0: 1, 1: 1, 2: 1, 3: 1, 4: 1},
    "trunk": {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 0.8, 6: 0.8, 7: 0.5, 8: 0.5, 9: 0.2, 10: 0.2},
    "shoulders": {5: 1, 6: 1, 7: 0.5, 8: 0.5},
    "arm": {8: 0.4, 10: 1},
    "arms": {7: -0.4, 9: -1, 8: 0.4, 10: 1},
    "hand": {10: 1},
    "hands": {9: -1, 10: 1},
    "leg": {14: 0.6, 16: 1},
    "legs": {13: -0.6, 15: -1, 14: 0.6, 16: 1},
    "foot": {16: 1},
    "feet": {15: -1, 16: 1},
    "knees": {13: -1, 14: 1},
}

# action -> (course, {part: (right, down) in torso lengths}); "arm", "leg" are the body's right ones.
_MOVES: dict[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "shaking body": ("swing 2", {"trunk": (0.075, 0.015)}),
    "sitting straightly": ("hold", {"trunk": (0, -0.075)}),
    "shrugging": ("bump", {"shoulders": (0, -0.075)}),
    "turning around": ("hold", {"trunk": (0.16, 0), "arms": (0.062, 0)}),
    "rising up": ("hold", {"trunk": (0, -0.16), "knees": (0, -0.045)}),
    "bowing head": ("touch", {"head": (0, 0.09)}),
    "head up": ("touch", {"head": (0, -0.075)}),
    "tilting head": ("hold", {"head": (0.06, 0.045)}),
    "turning head": ("touch", {"head": (0.08, 0)}),
    "nodding": ("swing 2", {"head": (0, 0.09)}),
    "shaking head": ("swing 3", {"head": (0.08, 0)}),
    "scratching arms": ("scratch 3", {"hand": (0.125, -0.075)}),
    "playing objects": ("swing 3", {"hands": (0.025, 0.025)}),
    "putting hands together": ("hold", {"hands": (0.112, -0.025)}),
    "rubbing hands": ("scratch 3", {"hands": (0.088, -0.025)}),
    "pointing oneself": ("touch", {"arm": (0.1, -0.125)}),
    "clenching fist": ("bump", {"hand": (0, -0.025)}),
    "stretching arms": ("touch", {"arms": (-0.1, -0.1)}),
    "retracting arms": ("hold", {"arm": (0.062, -0.088)}),
    "waving": ("swing 3", {"arm": (0.062, -0.088)}),
    "spreading hands": ("bump", {"hands": (-0.1, -0.037)}),
    "hands touching fingers": ("touch", {"hands": (0.062, 0)}),
    "other finger movements": ("swing 3", {"hand": (0.013, 0.019)}),
    "illustrative gestures": ("swing 2", {"arms": (-0.05, -0.075)}),
    "shaking legs": ("swing 3", {"leg": (0.075, -0.03)}),
    "curling legs": ("hold", {"leg": (0.045, -0.09)}),
    "spread legs": ("hold", {"legs": (-0.12, 0)}),
    "closing legs": ("hold", {"legs": (0.12, 0)}),
    "crossing legs": ("hold", {"leg": (0.16, -0.12)}),
    "stretching feet": ("hold", {"feet": (-0.03, 0.105)}),
    "retracting feet": ("hold", {"feet": (0.03, -0.105)}),
    "tiptoe": ("touch", {"leg": (0.075, -0.03)}),
    "scratching or touching neck": ("scratch 3", {"arm": (0.088, -0.15)}),
    "scratching or touching chest": ("scratch 2", {"arm": (0.112, -0.088)}),
    "scratching or touching back": ("scratch 2", {"arm": (-0.1, -0.062)}),
    "scratching or touching shoulder": ("scratch 2", {"arm": (0.15, -0.112)}),
    "arms akimbo": ("hold", {"arms": (-0.112, 0.025)}),
    "crossing arms": ("hold", {"arms": (0.16, -0.062)}),
    "playing or tidying hair": ("scratch 3", {"arm": (0.037, -0.16)}),
    "scratching or touching hindbrain": ("scratch 3", {"arm": (-0.037, -0.16)}),
    "scratching or touching forehead": ("scratch 2", {"arm": (0.075, -0.16)}),
    "scratching or touching face": ("scratch 3", {"arm": (0.075, -0.15)}),
    "rubbing eyes": ("scratch 3", {"arm": (0.075, -0.16), "head": (0, 0.03)}),
    "touching nose": ("touch", {"arm": (0.075, -0.15)}),
    "touching ears": ("touch", {"arm": (0.013, -0.16)}),
    "covering face": ("touch", {"arms": (0.075, -0.16)}),
    "covering mouth": ("hold", {"arm": (0.088, -0.138)}),
    "pushing glasses": ("bump", {"arm": (0.075, -0.16)}),
    "patting legs": ("swing 3", {"hands": (0, 0.062)}),
    "touching legs": ("touch", {"hand": (0, 0.1)}),
    "scratching legs": ("scratch 3", {"hand": (0, 0.1)}),
    "scratching feet": ("scratch 3", {"arm": (0, 0.15), "trunk": (0, 0.12)}),
}

_TEACHING = (
    "bowing head", "nodding", "turning head", "shaking head", "shrugging", "shaking body",
    "retracting arms", "waving", "touching nose", "scratching or touching face",
    "tiptoe", "shaking legs",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Action:
    """One action: its name, displacement ``field`` (17, 2) in torso lengths, course, frequency."""

    name: str
    field: np.ndarray
    course: str
    frequency: float


def all_actions() -> tuple[Action, ...]:
    """The 52 actions of MA-52 in official order, with a long tail like the official one.

    The authors published the counts of the five most and five least frequent classes, and that nodding
    is the most frequent, covering face and turning around the least. In between, frequencies fall
    geometrically; their assignment to actions was drawn once at random.
    """
    counts = np.concatenate([[1283, 1193, 962, 497, 456], np.geomspace(450, 33, 42), [25, 20, 20]])
    others = [a for a in ACTIONS if a not in ("nodding", "covering face", "turning around")]
    order = [others[k] for k in np.random.default_rng(52).permutation(len(others))]
    frequency = dict(zip(["nodding", *order], counts, strict=True))
    frequency |= {"turning around": 9.0, "covering face": 6.0}
    return tuple(_action(name, frequency[name]) for name in ACTIONS)


def teaching_actions() -> tuple[Action, ...]:
    """Twelve equally frequent actions for teaching; five pairs have (nearly) the same field."""
    return tuple(_action(name, 1.0) for name in _TEACHING)


def course(kind: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Course of an action: the displacement as a function of its phase.

    ``kind`` has the name of each clip's course, shape ``(n,)``; ``phase`` goes from 0 to 1,
    ``(n, time)``. Returns fractions of the displacement field, ``(n, time)``, 0 at phase 0.

    Raises:
        ValueError: If a kind is unknown.
    """
    unknown = set(np.unique(kind)) - set(_COURSES)
    if unknown:
        raise ValueError(f"kind: {sorted(unknown)} unknown. Choose from {', '.join(_COURSES)}.")
    out = np.zeros(phase.shape, np.float32)
    for name, function in _COURSES.items():
        chosen = kind == name
        if chosen.any():
            out[chosen] = function(phase[chosen])
    return out


def _smoothstep(u: np.ndarray) -> np.ndarray:
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def _touch(phase: np.ndarray) -> np.ndarray:
    return _smoothstep(phase / 0.3) * _smoothstep((1 - phase) / 0.3)


def _swing(n: int) -> Course:
    return lambda phase: np.sin(np.pi * phase) * np.sin(2 * np.pi * n * phase)


def _scratch(n: int) -> Course:
    return lambda phase: _touch(phase) * (1 + 0.6 * np.sin(2 * np.pi * n * phase))


_COURSES = {
    "bump": lambda phase: np.sin(np.pi * phase) ** 2,
    "hold": lambda phase: _smoothstep(phase / 0.4),
    "touch": _touch,
    "swing 2": _swing(2),
    "swing 3": _swing(3),
    "scratch 2": _scratch(2),
    "scratch 3": _scratch(3),
}


def _action(name: str, frequency: float) -> Action:
    kind, moves = _MOVES[name]
    field = np.zeros((len(JOINTS), 2))
    for part, (right, down) in moves.items():
        for joint, follow in _PARTS[part].items():
            field[joint] += (follow * right, abs(follow) * down)
    return Action(name, field, kind, float(frequency))
