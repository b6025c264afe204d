"""Work shared between processes, on this machine or on the workers of a Dask scheduler.

`dask.distributed` starts the processes, takes the jobs there and says who is gone (Rocklin, "Dask:
parallel computation with blocked algorithms and task scheduling", SciPy 2015). Each worker has one job
at a time; what a killed worker had in work is done again by another.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from piumar_lib.support.admission import LOST, PATIENCE, Admission, Check, workers_of
from piumar_lib.support.command import is_mistake

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

RETRIES = 2  # times that a job is done again after its worker was killed
POLL = 0.2  # seconds after which a scheduler is asked again who is there
TIMEOUT = 10.0  # seconds in which a scheduler has to answer
# Dask would also have freed memory given back to the system at once, and take samples of what runs: a
# training then takes more than twice as long. And it would give up a process of this machine that says
# nothing for five minutes, as all are after a laptop's sleep; one that ends is noticed without that.
SETTINGS = {
    "distributed.scheduler.worker-ttl": None,
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1},
    "distributed.worker.profile.enabled": False,
}


def in_parallel(
    work: Callable[..., T],
    jobs: Iterable[tuple],
    workers: int = 1,
    scheduler: str = "",
    check: Check = dict,
) -> Iterator[T]:
    """Call ``work(*job)`` for every job, and yield the results as they come.

    Args:
        work: A function of a module, as other processes have to find it.
        jobs: Arguments of each call of ``work``.
        workers: Number of processes here, each with one thread; with 1 all is done here, in order.
        scheduler: Address of a Dask scheduler, such as ``"tcp://192.168.0.2:8786"``, whose workers do
            the work instead; if the run is stopped, they finish what is in work.
        check: Says what a scheduler's worker must have besides the same code and packages: a name and
            a value for each thing. Runs here and on each worker, whose answer must be the same.

    Raises:
        ValueError: If there is no worker, or the scheduler's address is none.
        ConnectionError: If the scheduler does not answer.
        RuntimeError: If a job's workers were killed again and again, if none starts, or if a scheduler
            has none that may take part.
        Exception: Whatever ``work`` raises.
    """
    if workers < 1:
        raise ValueError(f"workers: {workers} processes do nothing. Choose 1 or more.")
    if scheduler:
        with _client_of(scheduler) as client:
            yield from _hand_out(client, work, jobs, Admission(client, scheduler, check).able)
    elif workers == 1:
        yield from (work(*job) for job in jobs)
    else:
        with _local_client(workers) as client:
            yield from _hand_out(client, work, jobs, lambda: [*workers_of(client)])


def _hand_out(
    client: Client, work: Callable[..., T], jobs: Iterable[tuple], able: Callable[[], list[str]]
) -> Iterator[T]:
    """Give each worker that is ``able`` a job, and another as soon as it is done."""
    jobs, some_done = list(jobs), threading.Event()
    waiting = deque(range(len(jobs)))
    lost: Counter[int] = Counter()  # by job, how often its worker was
    running: dict[str, tuple[int, Future]] = {}  # by worker
    while waiting or running:
        there = able()
        for job, _ in [running.pop(worker) for worker in {*running} - {*there}]:
            lost[job] += 1
            if lost[job] > RETRIES:
                raise RuntimeError(
                    f"workers: {lost[job]} processes were killed by the same job, most likely for want "
                    "of memory. Use fewer; the same command resumes the run."
                )
            waiting.appendleft(job)
        for worker in there:
            if waiting and worker not in running:
                job = waiting.popleft()
                future = client.submit(_call, work, jobs[job], workers=[worker], pure=False)
                future.add_done_callback(lambda _: some_done.set())
                running[worker] = (job, future)
        some_done.wait(POLL)
        some_done.clear()
        for worker, (_, future) in [*running.items()]:
            if future.done():
                try:
                    result = _result(future)
                except _Gone:
                    continue
                del running[worker]
                yield result


class _Gone(Exception):
    """A result was lost with its worker."""


def _result(future: Future) -> Any:
    from distributed import CancelledError

    if future.status == "error":
        return future.result()  # raises what the work raised
    try:
        return future.result(timeout=TIMEOUT)
    except TimeoutError as error:
        raise _Gone from error
    except CancelledError as error:
        raise ConnectionError(LOST) from error


def _call(work: Callable[..., T], job: tuple) -> T:
    """Do a job with one thread; an error takes along whose it is, since its frames stay behind."""
    import torch

    torch.set_num_threads(1)
    try:
        return work(*job)
    except Exception as error:
        vars(error)["is_mistake"] = is_mistake(error)
        raise


def _quieten() -> None:
    """Dask would tell of lost workers and connections with tracebacks; this file says it in a line."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _local_client(workers: int) -> Iterator[Client]:
    """A client of ``workers`` processes, which end with this one, however it ends."""
    import dask
    from distributed import Client, LocalCluster

    _quieten()
    others = multiprocessing.active_children()
    dask.config.set(SETTINGS)
    cluster = LocalCluster(
        n_workers=0,  # they start below, where an interrupt finds a cluster to end
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # where the scheduler listens even without one
        memory_limit=0,  # none: what does not fit is for the system to say
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={"dashboard": False},
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        try:
            cluster.scale(workers)
            _wait_for_one(client)
            yield client
        finally:
            # What is in work is lost anyhow; waiting for it would make Ctrl-C take minutes, or hang.
            for process in {*multiprocessing.active_children()} - {*others}:
                process.kill()


def _wait_for_one(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise RuntimeError(
            "workers: no process could be started. A script has to call this under "
            'if __name__ == "__main__". Or choose 1, which starts none.'
        ) from error


@contextmanager
def _client_of(scheduler: str) -> Iterator[Client]:
    from distributed import Client

    _quieten()
    try:
        client = Client(scheduler, timeout=TIMEOUT, set_as_default=False)
    except OSError as error:
        raise ConnectionError(
            f"scheduler: {scheduler} does not answer. Start one (dask scheduler) and give the address "
            "that it prints."
        ) from error
    except ValueError as error:
        raise ValueError(f"scheduler: {scheduler} is no address. Give it as tcp://HOST:PORT.") from error
    with client:
        yield client
