"""Differences and p values as text, for tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from piumar_lib import metrics

if TYPE_CHECKING:
    from piumar_lib.evidence.statistics import Difference, Pooled


def signed(value: float) -> str:
    """A fraction as signed percentage points with one decimal place; never ``-0.0``."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def points(c: Difference | Pooled | None) -> str:
    """A difference as points, with its interval: ``+2.6 [+0.7, +4.5]``; "" if there is none.

    There is no interval for one person, for people with equal differences, or for a single population.
    """
    if c is None:
        return ""
    several = np.isnan(c.low) and c.people > 1
    ends = "(no interval)" if several else metrics.interval(c.low, c.high, signed)
    return f"{signed(c.difference)} {ends}"


def in_words(p: float) -> str:
    """A p value with three decimal places."""
    return "-" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def listed(names: Iterable[str]) -> str:
    """``"a, b"``, or "nothing"; names that hold a comma are quoted."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names) or "nothing"
