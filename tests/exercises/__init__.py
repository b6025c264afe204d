"""Right and wrong answers to the exercises, one file for each chapter, used by test_exercises.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answers:
    """Answers to one exercise.

    Attributes:
        right: Another way to solve it than the chapter's.
        wrong: Plausible mistakes, each under a part of the hint that it must be given.
    """

    right: Any
    wrong: dict[str, Any]
