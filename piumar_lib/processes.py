"""Work shared between processes, that ends at once when it is interrupted or killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from piumar_lib.command import is_mistake

T = TypeVar("T")


def in_processes(work: Callable[..., T], jobs: Iterable[tuple], workers: int = 1) -> Iterator[T]:
    """Call ``work(*job)`` for every job, and yield the results as they come.

    Args:
        work: A function of a module, as fresh processes have to find it.
        jobs: Its arguments.
        workers: Processes, each with one thread; with 1 all is done here, in order.

    Raises:
        ValueError: If there is no worker.
        RuntimeError: If a worker was killed.
        Exception: Whatever ``work`` raises.
    """
    if workers < 1:
        raise ValueError(f"workers: {workers} processes do nothing. Choose 1 or more.")
    if workers == 1:
        yield from (work(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as executor:
        try:
            for future in as_completed([executor.submit(_call, work, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"workers: one of {workers} processes was killed, most likely for want of memory. Use "
                "fewer; the same command goes on."
            ) from error
        except BaseException:
            # What is in work is lost anyhow; waiting for it would make Ctrl-C take minutes, or hang.
            for worker in multiprocessing.active_children():
                worker.kill()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _call(work: Callable[..., T], job: tuple) -> T:
    """Do a job; an error takes along whose it is, since its traceback stays behind."""
    try:
        return work(*job)
    except Exception as error:
        error.is_mistake = is_mistake(error)
        raise


def _start_worker() -> None:
    """One thread; and if the run is killed, its workers end with it."""
    import torch

    torch.set_num_threads(1)
    run = multiprocessing.parent_process()
    threading.Thread(target=lambda: (run.join(), os._exit(1)), daemon=True).start()
