"""Work shared between processes, that ends at once when it is interrupted or killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")


def in_processes(work: Callable[..., T], jobs: Iterable[tuple], workers: int = 1) -> Iterator[T]:
    """Call ``work(*job)`` for every job, and yield the results as they come.

    Args:
        work: A function of a module, as fresh processes have to find it.
        jobs: Its arguments.
        workers: Processes, each with one thread; with 1 all is done here, in order.
    """
    if workers == 1:
        yield from (work(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as executor:
        try:
            for future in as_completed([executor.submit(work, *job) for job in jobs]):
                yield future.result()
        except BaseException:
            # What is in work is lost anyhow; waiting for it would make Ctrl-C take minutes, or hang.
            for worker in multiprocessing.active_children():
                worker.kill()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread; and if the run is killed, its workers end with it."""
    import torch

    torch.set_num_threads(1)
    run = multiprocessing.parent_process()
    threading.Thread(target=lambda: (run.join(), os._exit(1)), daemon=True).start()
