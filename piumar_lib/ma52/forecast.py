"""Estimate the time of a long evaluation, and print it after the first batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Batch = TypeVar("Batch")

MEASURED = 2  # batches whose time tells that of the rest
SLOW = 10.0  # seconds of the first batch from which it tells enough
LONG = 60.0  # seconds; nothing is said of less


def say_what(clips: int, views: int) -> str:
    """What is evaluated: ``5586 clips x 3 views``."""
    return f"{clips} clips" + (f" x {views} views" if views > 1 else "")


def forecast(
    batches: Iterable[Batch],
    total: int,
    what: str,
    say: Callable[[str], object] = tqdm.write,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Batch]:
    """Yield batches; after a few of them, print an estimate of the total time above a minute.

    The first batch also starts the processes that read, and finds out what is fast. It is measured
    alone only where it takes so long that this does not matter.

    Args:
        batches: The time until the next is asked for is that of computing, too.
        total: How many there are.
        what: Is judged, see `say_what`.
        say: Where to say it.
        clock: In seconds.
    """
    times = [clock()]
    for number, batch in enumerate(batches):
        if 0 < number <= 1 + MEASURED:
            times.append(clock())
            seconds = _extrapolate(times, total)
            if seconds is not None and seconds > LONG:
                say(f"evaluating {what}: about {in_minutes(seconds)} in all")
        yield batch


def _extrapolate(times: Sequence[float], total: int) -> float | None:
    """Seconds of all batches, from when the first ones began; None if they do not tell it (again)."""
    first, known = times[1] - times[0], len(times) - 1
    if first > SLOW:
        return first * total if known == 1 else None
    each = (times[-1] - times[1]) / MEASURED
    return first + each * (total - 1) if known == 1 + MEASURED else None


def in_minutes(seconds: float) -> str:
    """A time of a minute or more: ``12 min``, ``3.2 h``."""
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
