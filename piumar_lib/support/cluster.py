"""Parallel work in processes of this machine or on the workers of a Dask scheduler.

`dask.distributed` starts the processes, sends them jobs and detects lost ones (Rocklin, "Dask: parallel
computation with blocked algorithms and task scheduling", SciPy 2015). Each worker has one job at a time;
the job of a killed worker is repeated by another.
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

RETRIES = 2  # retries of a job after its worker was killed
POLL = 0.2  # seconds between queries of a scheduler's workers
TIMEOUT = 10.0  # timeout for a scheduler's answer, in seconds
# By default Dask returns freed memory to the system at once, and profiles running code: training then
# takes more than twice as long. It also gives up a local process that is silent for five minutes, as all
# are after a laptop's sleep; a process that ends is noticed without this timeout.
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
    """Call ``work(*job)`` for every job, and yield results in order of completion.

    Args:
        work: A function at the top level of a module, so that other processes can import it.
        jobs: Arguments of each call of ``work``.
        workers: Number of local processes, each with one thread; with 1, jobs run in this process, in
            order.
        scheduler: Address of a Dask scheduler, such as ``"tcp://192.168.0.2:8786"``, whose workers do
            the work instead; if the run is stopped, they finish their current jobs.
        check: Returns names and values of what a scheduler's worker must have besides the same code and
            packages. It runs here and on each worker; the results must be equal.

    Raises:
        ValueError: If there is no worker, or the scheduler's address is invalid.
        ConnectionError: If the scheduler does not answer.
        RuntimeError: If a job's workers were killed repeatedly, if none starts, or if no worker of the
            scheduler is admitted.
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
    """Give each ``able`` worker a job, and the next one as soon as it is finished."""
    jobs, some_done = list(jobs), threading.Event()
    waiting = deque(range(len(jobs)))
    lost: Counter[int] = Counter()  # number of lost workers, by job
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
        return future.result()  # raises the exception of the job
    try:
        return future.result(timeout=TIMEOUT)
    except TimeoutError as error:
        raise _Gone from error
    except CancelledError as error:
        raise ConnectionError(LOST) from error


def _call(work: Callable[..., T], job: tuple) -> T:
    """Run a job with one thread; an error records whether it is ours, since frames get lost."""
    import torch

    torch.set_num_threads(1)
    try:
        return work(*job)
    except Exception as error:
        vars(error)["is_mistake"] = is_mistake(error)
        raise


def _quieten() -> None:
    """Silence Dask's tracebacks about lost workers and connections; this file reports them."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _local_client(workers: int) -> Iterator[Client]:
    """A client of ``workers`` local processes, which always end with this one."""
    import dask
    from distributed import Client, LocalCluster

    _quieten()
    others = multiprocessing.active_children()
    dask.config.set(SETTINGS)
    cluster = LocalCluster(
        n_workers=0,  # they start below, where an interrupt closes the cluster
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # a random port even without a dashboard
        memory_limit=0,  # none: the operating system handles a lack of memory
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={"dashboard": False},
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        try:
            cluster.scale(workers)
            _wait_for_one(client)
            yield client
        finally:
            # Running jobs are lost anyway; waiting for them would delay Ctrl-C for minutes, or hang.
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
