"""One line of the table that all benchmarks together make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: The work, and what it is compared with.
        ratio: How many times as fast ours is; or another number where ``unit`` says so.
        goal: What was asked for, in the same unit; None where the comparison is for orientation only.
        at_most: Whether the goal is met from below.
        unit: Of the number; "x" is a ratio of times.
        note: What limits it, how exact both are, or why it could not be measured.
    """

    what: str
    ratio: float | None
    goal: float | None = None
    at_most: bool = False
    unit: str = "x"
    note: str = ""

    @property
    def verdict(self) -> str:
        """In a word: met, missed, not measured, or empty without a goal."""
        if self.ratio is None:
            return "not measured"
        if self.goal is None:
            return ""
        met = self.ratio <= self.goal if self.at_most else self.ratio >= self.goal
        return "met" if met else "missed"
