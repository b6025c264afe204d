"""Processes that are forks of this one: they start at once, where a new interpreter takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from tqdm import tqdm

# Elsewhere it is not to be had, or not safe.
FORK = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def calm() -> None:
    """What a fork does first."""
    torch.set_num_threads(1)
    # The lock of progress bars is shared with the tests' process; a fork that is killed while it holds
    # it would make everybody wait for ever.
    tqdm.set_lock(threading.RLock())


def start(work: Callable[[], int | None], folder: Path) -> multiprocessing.Process:
    """Begin work in a fork: what it returns is the exit code; it prints into files of a folder."""

    def begin() -> None:
        calm()
        sys.stdout, sys.stderr = ((folder / f"std{n}").open("w", buffering=1) for n in ("out", "err"))
        for number, stream in enumerate((sys.stdout, sys.stderr), 1):
            os.dup2(stream.fileno(), number)  # also for what is not Python's
        sys.exit(work())

    process = FORK.Process(target=begin)
    process.start()
    return process


def exit_code(process: multiprocessing.Process) -> int:
    """Wait for the end; what takes five minutes is killed."""
    process.join(300)
    process.kill()
    process.join()
    return process.exitcode


def in_forks(work: Callable, jobs: Iterable[tuple], workers: int = 1, *_: object) -> Iterator:
    """Stands in for `piumar_lib.support.cluster.in_parallel`, whose own processes test_cluster tests."""
    with ProcessPoolExecutor(workers, FORK, calm) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            yield done.result()
