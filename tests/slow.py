"""Tests of many cases: some run in `make test`, the others weekly and by `make unit SLOW=yes`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def slow_but(quick: Container, cases: Iterable) -> list[Any]:
    """The cases as parameters, with the marker ``slow`` unless they are among the ``quick`` ones."""

    def slow(case: Any) -> Any:
        values = case if isinstance(case, tuple) else (case,)
        return pytest.param(*values, marks=pytest.mark.slow)

    return [case if case in quick else slow(case) for case in cases]
