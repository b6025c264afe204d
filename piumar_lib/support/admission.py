"""Admission of a Dask scheduler's workers: those with the same code, packages and data."""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import piumar_lib

if TYPE_CHECKING:
    from distributed import Client

Check = Callable[[], dict[str, str]]

PATIENCE = 60.0  # seconds to wait for a worker once none is left
LOST = "scheduler: the connection was lost. Start it again; the same command resumes the run."


class Admission:
    """Queries each worker of a scheduler once, and refuses those that differ from this run.

    ``check`` returns what a worker must have besides code and packages, see `describe`.
    """

    def __init__(self, client: Client, scheduler: str, check: Check) -> None:
        self.client, self.scheduler, self.check = client, scheduler, check
        self.expected = describe(check)
        self.faults: dict[str, str] = {}  # by address; "" for an admitted worker
        self.last_able = float("-inf")  # seconds

    def able(self) -> list[str]:
        """Addresses of the admitted workers.

        Raises:
            RuntimeError: If there is none, at the beginning or for a minute.
        """
        there = workers_of(self.client)
        if newcomers := {a: about for a, about in there.items() if a not in self.faults}:
            self._ask(newcomers)
        able = [address for address in there if not self.faults[address]]
        if able:
            self.last_able = time.monotonic()
        elif time.monotonic() - self.last_able > PATIENCE:
            refused = "; ".join(f"{address} is refused: {self.faults[address]}" for address in there)
            raise RuntimeError(
                f"scheduler: {self.scheduler} has no worker for this. {refused}" if refused else
                f"scheduler: {self.scheduler} has no worker. Start some, with this version of the "
                f"course: dask worker {self.scheduler} --nthreads 1"
            )  # fmt: skip
        return able

    def _ask(self, newcomers: dict[str, dict]) -> None:
        answers = self.client.run(describe, self.check, workers=[*newcomers], on_error="return")
        for address, about in newcomers.items():
            fault = _fault(answers.get(address, {}), about["nthreads"], self.expected)
            self.faults[address] = fault
            if fault:
                print(f"note: worker {about['name']} ({address}) is refused: {fault}", file=sys.stderr)


def _fault(answer: dict[str, str] | Exception, threads: int, expected: dict[str, str]) -> str:
    """Why a worker may not take part, and the remedy; "" if it may."""
    if isinstance(answer, Exception):
        said = str(answer).rstrip(".")
        return f"{said}. Install the run's version of the course there, and put its data there."
    differs = [f"{name} {answer.get(name)} instead of {value}" for name, value in expected.items()
               if answer.get(name) != value]  # fmt: skip
    if differs:
        return f"{', '.join(differs)}. Put there what this run has, and start the worker again."
    if threads > 1:
        return f"{threads} threads would share one random generator. Start it with --nthreads 1."
    return ""


def workers_of(client: Client) -> dict[str, dict]:
    """The scheduler's information on each of its current workers, by address.

    Raises:
        ConnectionError: If the scheduler is gone; the client would return its last information.
    """
    # Not `client.scheduler_info`, which may lack all workers: every two seconds the client updates its
    # information without them, and this update may replace the requested answer.
    if client.status not in ("running", "connecting") or client.scheduler is None:
        raise ConnectionError(LOST)
    try:
        return client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    except OSError as error:
        raise ConnectionError(LOST) from error


def describe(check: Check = dict) -> dict[str, str]:
    """What must be equal on all workers: the course's code, packages, and the result of ``check()``."""
    import torch

    return {
        "piumar_lib": f"{piumar_lib.__version__} (source {_source()})",
        "Python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    } | check()


@cache  # at import, so that a worker reports the code that it imported even after an edit
def _source() -> str:
    """Eight digits of a digest of the library's code, because edits do not change the version."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\n{file.read_text('utf-8')}".encode())
    return digest.hexdigest()[:8]
