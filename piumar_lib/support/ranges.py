"""Ranges of numeric arguments, declared once, in the signature.

    class CVaR(Objective):
        @checked
        def __init__(self, alpha: Share = 0.1) -> None: ...

`checked` raises if an argument is out of range, and `piumar_lib.support.hyperparameter.of` reads the
same annotation, so that the range, the error and the tables agree.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Range:
    """An interval of numbers.

    Attributes:
        low, high: The ends.
        above, below: Whether the low and the high end are excluded.
        whole: Whether only integers are allowed.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    whole: bool = False

    def __str__(self) -> str:
        """In words, such as "a number, at least 0 and below 1"."""
        low, high = "above" if self.above else "at least", "below" if self.below else "at most"
        ends = [f"{low} {self.low:g}"] if math.isfinite(self.low) else []
        ends += [f"{high} {self.high:g}"] if math.isfinite(self.high) else []
        kind = "a whole number" if self.whole else "a number"
        return f"{kind}, {' and '.join(ends)}" if ends else kind

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        value = float(value)
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and (not self.whole or value == int(value))

    def check(self, name: str, value: Any, remedy: str = "") -> None:
        """Raise if a value is out of range; ``remedy`` ends the message.

        Raises:
            ValueError: If it is.
        """
        if value not in self:
            raise ValueError(f"{name}: must be {self}, got {value!r}.{remedy and f' {remedy}'}")


RANGES = {
    "Positive": Range(0, above=True),
    "NonNegative": Range(0),
    "Share": Range(0, 1),
    "ShareAboveZero": Range(0, 1, above=True),
    "ShareBelowOne": Range(0, 1, below=True),
    "InnerShare": Range(0, 1, above=True, below=True),
    "Count": Range(1, whole=True),
}
# For a type checker these are plain numbers.
Positive: TypeAlias = float
NonNegative: TypeAlias = float
Share: TypeAlias = float
ShareAboveZero: TypeAlias = float
ShareBelowOne: TypeAlias = float
InnerShare: TypeAlias = float
Count: TypeAlias = int


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a constructor: raise if an argument is out of the range in its annotation.

    Raises:
        ValueError: If an argument is out of range; the message has its default.
    """
    signature = inspect.signature(init)
    ranged = {
        name: (RANGES[p.annotation], f"Its default is {p.default!r}.")
        for name, p in signature.parameters.items()
        if p.annotation in RANGES
    }

    @functools.wraps(init)
    def checking(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        for name, (allowed, remedy) in ranged.items():
            if name in given:
                allowed.check(name, given[name], remedy)
        init(*args, **kwargs)

    return checking
