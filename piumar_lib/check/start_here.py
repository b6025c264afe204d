"""Check of chapter 00."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require


@check
def fastest_people(fastest: Callable, rng: np.random.Generator) -> str:
    """``fastest(seconds)``: the row of the smallest number in each column."""
    for _ in range(5):
        people = int(rng.integers(9, 20))
        seconds = rng.uniform(1, 4, (people, 7))
        expected = [column.index(min(column)) for column in seconds.T.tolist()]
        given = np.asarray(fastest(seconds.copy()))
        require(
            given.shape != (people,),
            f"on a test table with {people} people this returns {people} numbers; we want one number "
            "for each of the seven exercises.",
        )
        require(
            given.shape == (7,),
            f"give seven numbers, one for each exercise; this has shape {given.shape}.",
        )
        require(
            not np.allclose(given, seconds.min(0)),
            "these are the times themselves; return the row of who needed them.",
        )
        require(
            not (given == seconds.argmax(0)).all(), "these are the slowest: they need the most seconds."
        )
        require(not (given == np.add(expected, 1)).all(), "rows are counted from 0.")
        require((given == expected).all(), "for some exercise somebody else is faster.")
    return "one row for each exercise. On the real table it is always that of person 4."
