"""Work in several processes: here, and by a scheduler's workers, some of which die or are refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from importlib import metadata
from pathlib import Path

import dask
import distributed
import psutil
import pytest
import torch
from cluster_jobs import about, fails, note_and_sleep
from slow import slow_but

import piumar_lib
from piumar_lib.evidence import experiments, positive_control
from piumar_lib.evidence.experiments import contents, experiment, run_all
from piumar_lib.evidence.records import ROOT
from piumar_lib.support import cluster
from piumar_lib.support.admission import _fault, describe, workers_of
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import command_line, is_mistake

TESTS = Path(__file__).parent


@pytest.fixture
def light(tmp_path_factory) -> Path:
    """A folder with all that a worker needs of torch, whose import takes seconds."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "torch.py").write_text(
        f"__version__ = {str(torch.__version__)!r}\ndef set_num_threads(n): pass\n"
    )
    return folder


# In this process


def test_one_worker_is_this_process_in_order_and_without_dask():
    code = (
        "import os, sys\n"
        "from piumar_lib.evidence import development, person_study, positive_control, protocol\n"
        "from piumar_lib.support.cluster import in_parallel\n"
        "jobs = ((n, os.getpid) for n in range(3))\n"
        "done = [(n, where()) for n, where in in_parallel(lambda *job: job, jobs)]\n"
        "assert done == [(n, os.getpid()) for n in range(3)], done\n"
        "assert not {'distributed', 'dask'} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_work_needs_a_worker():
    with pytest.raises(ValueError, match="workers: 0 processes do nothing"):
        list(in_parallel(about, [(1,)], workers=0))


# In processes of this machine


def listening(pid: int) -> list[str]:
    return [c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == "LISTEN"]


def test_two_processes_share_the_work_and_end():
    results = in_parallel(about, [(n,) for n in range(20)], workers=2)
    first = next(results)
    open_to = {pid: listening(pid) for pid in (os.getpid(), first[1])}
    numbers, processes, threads = zip(first, *results, strict=True)
    assert sorted(numbers) == list(range(20)) and {*threads} == {1}
    assert len({*processes}) == 2 and os.getpid() not in processes
    assert all(open_to.values()) and {ip for ips in open_to.values() for ip in ips} == {"127.0.0.1"}
    assert not any(map(psutil.pid_exists, processes))


@command_line
def main(work):
    work()


def test_processes_that_slept_go_on(tmp_path, light, monkeypatch):
    """As after a laptop's sleep; Dask's own limit, five minutes by default, is five seconds here."""
    monkeypatch.syspath_prepend(light)
    with dask.config.set({"distributed.scheduler.worker-ttl": "1s"}):
        results = in_parallel(note_and_sleep, [(tmp_path, n, 2.0) for n in range(2)], workers=2)
        done = threading.Thread(target=lambda: [*results], daemon=True)
        done.start()
        wait_for(lambda: len([*tmp_path.iterdir()]) == 2)
        sleepers = [int(path.name) for path in tmp_path.iterdir()]
        for one, when in ((signal.SIGSTOP, 8), (signal.SIGCONT, 0)):
            for pid in sleepers:
                os.kill(pid, one)
            time.sleep(when)
        done.join(60)
        assert not done.is_alive()
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == sorted(sleepers)


def test_a_job_that_kills_its_workers_is_a_mistake_with_a_remedy(capfd, light, monkeypatch):
    monkeypatch.syspath_prepend(light)
    monkeypatch.setattr(cluster, "RETRIES", 1)
    assert main(lambda: list(in_parallel(fails, [("killed",)], workers=2))) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: workers: 2 processes were killed by the same job, most likely")
    assert said.count("\n") == 1 and not multiprocessing.active_children()


def test_a_script_that_cannot_be_imported_is_told_what_to_do(tmp_path):
    (tmp_path / "script.py").write_text(
        "from os import getpid\n"
        "from piumar_lib.support import cluster\n"
        "cluster.PATIENCE = 2.0\n"
        "print(list(cluster.in_parallel(getpid, [()], workers=2)))\n"
    )
    run = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert run.returncode == 1
    assert "\nRuntimeError: workers: no process could be started. A script has to" in run.stderr


@pytest.mark.parametrize(("how", "mistake"), [("mistake", True), ("full", True), ("bug", False)])
def test_an_error_that_travels_says_whose_it_is(how, mistake):
    with pytest.raises((ValueError, OSError)) as error:
        cluster._call(fails, (how,))
    arrived = pickle.loads(pickle.dumps(error.value))
    arrived.__traceback__ = None  # as without the packages that make it travel
    assert is_mistake(arrived) is mistake


# Whoever starts the work is stopped

SCRIPT = """
import os, sys, time
from pathlib import Path
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import command_line

def note_and_sleep(folder, seconds):
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)

@command_line
def main(argv):
    list(in_parallel(note_and_sleep, [(Path(sys.argv[1]), 600)] * 8, workers=2))

if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.parametrize(
    "how", slow_but([signal.SIGINT], [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
)
def test_workers_end_with_the_run(tmp_path, light, how):
    script, workers = light / "script.py", tmp_path / "workers"
    script.write_text(SCRIPT)
    workers.mkdir()
    run = subprocess.Popen(
        [sys.executable, str(script), str(workers)], env=environment(), stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: len([*workers.iterdir()]) == 2)
    (os.killpg if how == signal.SIGINT else os.kill)(run.pid, how)  # as a terminal's Ctrl-C does
    _, said = run.communicate(timeout=20)
    assert run.returncode == (130 if how == signal.SIGINT else -how)
    assert said == b"\nstopped\n" if how == signal.SIGINT else b"Traceback" not in said
    wait_for(lambda: not any(psutil.pid_exists(int(path.name)) for path in workers.iterdir()))


# By the workers of a scheduler


def environment(*path: Path, **more: str) -> dict[str, str]:
    """For a process that finds ``path`` first, then the course and this file."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT, TESTS)))} | more


def wait_for(what, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Machines:
    """A scheduler and its workers, each a process of its own, as ``dask worker`` starts it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.workers = folder / "scheduler.json", {}
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_for(self.file.is_file)
        self.address = json.loads(self.file.read_text())["address"]

    def _start(self, what: str, *options: str, env: dict | None = None) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", what, "--scheduler-file", str(self.file), *options]
        with self.file.with_name("log").open("a") as log:
            return subprocess.Popen(
                command, cwd=self.file.parent, env=env or environment(), stdout=log, stderr=log
            )

    def start(self, name: str, env: dict | None = None) -> None:
        options = ("--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers[name] = self._start("worker", *options, env=env)

    def there(self) -> int:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])

    def in_work(self) -> list[str]:
        """Names of the workers that have a job in work."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            about = client.scheduler_info(n_workers=-1)["workers"]
            return [about[address]["name"] for address, jobs in client.processing().items() if jobs]

    def gather(self) -> None:
        """Wait until all workers are there."""
        wait_for(lambda: self.there() == len(self.workers))

    def kill(self, name: str) -> None:
        self.workers[name].kill()
        self.workers.pop(name).wait()

    def end(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    found = Machines(tmp_path_factory.mktemp("machines"))
    yield found
    found.end()


@pytest.fixture
def machines(running, monkeypatch):
    """The scheduler without workers."""
    yield running
    for name in [*running.workers]:
        running.kill(name)
    running.gather()


def test_records_are_the_same_though_a_worker_is_killed(machines, own, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    for name in ("alice", "bob"):
        machines.start(name)
    epochs = (1, 20, 1, 20)  # a record comes while another training is in work
    wanted = [experiment(own, "ERM", 0, seed, {"epochs": n}) for seed, n in enumerate(epochs)]
    alone = run_all(wanted, tmp_path / "alone.jsonl", progress=False)
    machines.gather()
    append = experiments.append_record

    def append_and_kill(path, record):
        if len(machines.workers) == 2:
            for busy in machines.in_work():
                machines.kill(busy)
        append(path, record)

    monkeypatch.setattr(experiments, "append_record", append_and_kill)
    path = tmp_path / "together.jsonl"
    together = run_all(wanted, path, progress=False, scheduler=machines.address)
    assert len(machines.workers) == 1 and len(experiments.read_records(path)) == len(wanted)
    for one, other in zip(alone, together, strict=True):
        assert one.pop("seconds") and other.pop("seconds")
        assert one == other


def test_another_worker_makes_what_was_lost_with_the_only_one(machines, tmp_path, light, monkeypatch):
    machines.start("alice", env=environment(light))
    machines.gather()
    fetch = cluster._result

    def kill_and_fetch(future):
        if "alice" in machines.workers:
            machines.kill("alice")  # the job is done, its result still with her
            machines.start("bob", env=environment(light))
        return fetch(future)

    monkeypatch.setattr(cluster, "_result", kill_and_fetch)
    monkeypatch.setattr(cluster, "TIMEOUT", 2.0)
    jobs = [(tmp_path, n, 0.1) for n in range(3)]
    results = [*in_parallel(note_and_sleep, jobs, scheduler=machines.address)]
    assert sorted(results) == [0, 1, 2] and len([*tmp_path.iterdir()]) == 2


def edited(folder: Path) -> Path:
    """A copy of the library with another line."""
    shutil.copytree(Path(piumar_lib.__file__).parent, folder / "piumar_lib")
    with (folder / "piumar_lib" / "metrics.py").open("a") as file:
        file.write("# edited\n")
    return folder


def older(folder: Path) -> Path:
    """A library that had no work in several processes."""
    (folder / "piumar_lib").mkdir(parents=True)
    (folder / "piumar_lib" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    return folder


def test_workers_that_differ_are_refused_by_name(machines, tmp_path, light, capsys):
    (tmp_path / "noted").mkdir()
    machines.start("alice", env=environment(light))
    machines.start("edited", env=environment(light, edited(tmp_path / "a")))
    machines.start("older", env=environment(light, older(tmp_path / "b")))
    machines.gather()
    jobs = [(tmp_path / "noted", n, 0.0) for n in range(9)]
    assert len([*in_parallel(note_and_sleep, jobs, scheduler=machines.address)]) == 9
    assert [path.name for path in jobs[0][0].iterdir()] == [str(machines.workers["alice"].pid)]
    notes = {line.split()[2]: line for line in capsys.readouterr().err.splitlines()}
    assert all(line.startswith("note: worker ") and "tcp://127" in line for line in notes.values())
    # Where the course is installed in place, the older library finds the modules that it lacks.
    for name, words in {
        "edited": f"instead of {re.escape(describe()['piumar_lib'])}. Put there what this run has",
        "older": r"No module named 'piumar_lib\.|piumar_lib 0\.0\.1 .* instead of",
    }.items():
        assert re.search(words, notes.pop(name)), name
    assert not notes


def test_a_worker_without_the_data_is_refused(machines, own, tmp_path, monkeypatch):
    for name in ("here", "empty"):
        (tmp_path / name).mkdir()
    shutil.copy(own, tmp_path / "here" / "own.npz")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    machines.start("lacks", env=environment(HOME=str(tmp_path / "empty")))
    machines.gather()
    check = partial(contents, ("~/own.npz",))
    with pytest.raises(RuntimeError, match=r"tcp://127.* is refused: ~/own\.npz: no such file"):
        list(in_parallel(about, [(1,)], scheduler=machines.address, check=check))


def test_a_worker_has_the_same_versions_of_what_computes():
    assert describe()["numpy"] == metadata.version("numpy") and {"scipy", "scikit-learn"} <= {
        *describe()
    }


@pytest.mark.parametrize(
    ("has", "threads", "fault"),
    [
        ({}, 1, ""),
        ({"torch": "1.0"}, 1, "torch 1.0 instead of 2.0. Put there what this run has, and start"),
        ({"a.npz": "cd", "more": "1"}, 1, "a.npz cd instead of ab. Put there"),
        ({}, 2, "2 threads would share one random generator. Start it with --nthreads 1."),
    ],
)
def test_what_a_worker_is_refused_for(has, threads, fault):
    expected = {"torch": "2.0", "a.npz": "ab"}
    said = _fault(expected | has, threads, expected)
    assert said.startswith(fault) and bool(said) == bool(fault)


def test_other_content_under_the_same_name_is_told_apart(own, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = set()
    for more in (b"", b"\0"):
        (tmp_path / "own.npz").write_bytes(Path(own).read_bytes() + more)
        found.add(contents(("~/own.npz",))["~/own.npz"])
    assert len(found) == 2


def test_without_a_worker_that_may_take_part_there_is_no_run(machines, tmp_path, light):
    with pytest.raises(RuntimeError, match="has no worker. Start some, .*: dask worker tcp://127"):
        list(in_parallel(about, [(1,)], scheduler=machines.address))
    machines.start("edited", env=environment(light, edited(tmp_path)))
    machines.gather()
    with pytest.raises(RuntimeError, match="for this. tcp://.* is refused: piumar_lib 0.* instead"):
        list(in_parallel(about, [(1,)], scheduler=machines.address))


def test_mistakes_and_bugs_of_a_worker_arrive(machines, capsys):
    machines.start("alice")
    machines.gather()
    assert main(lambda: list(in_parallel(fails, [("mistake",)], scheduler=machines.address))) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: people: 1 ") and said.count("\n") == 1
    with pytest.raises(json.JSONDecodeError) as bug:
        main(lambda: list(in_parallel(fails, [("bug",)], scheduler=machines.address)))
    assert "fails" in [frame.name for frame in bug.traceback]


def test_a_scheduler_that_ends_is_told_in_a_line(tmp_path, light, capfd):
    machines = Machines(tmp_path)
    try:
        machines.start("alice", env=environment(light))
        machines.gather()
        jobs = [(tmp_path, n, 1.0) for n in range(3)]
        results = in_parallel(note_and_sleep, jobs, scheduler=machines.address)
        assert next(results) == 0
        machines.scheduler.kill()
        assert main(lambda: list(results)) == 1
    finally:
        machines.end()
    said = capfd.readouterr().err
    assert said.startswith("error: scheduler: the connection was lost.") and said.count("\n") == 1


def test_no_worker_of_a_scheduler_that_ended_is_believed_in(tmp_path):
    machines = Machines(tmp_path)
    try:
        machines.start("alice")
        machines.gather()
        with distributed.Client(machines.address, timeout=2, set_as_default=False) as client:
            assert len(workers_of(client)) == 1
            machines.scheduler.kill()
            wait_for(lambda: client.status == "closed")
            with pytest.raises(ConnectionError, match="scheduler: the connection was lost"):
                workers_of(client)
    finally:
        machines.end()


def test_workers_are_there_while_the_client_asks_for_none_of_them(tmp_path):
    machines = Machines(tmp_path)
    try:
        machines.start("alice")
        machines.gather()
        with distributed.Client(machines.address, set_as_default=False) as client:
            asked = client._update_scheduler_info

            async def overtaken(n_workers=0):  # as by the client's own question, every two seconds
                await asked(n_workers)
                await asked(0)

            client._update_scheduler_info = overtaken
            assert not client.scheduler_info(n_workers=-1)["workers"]
            assert [one["name"] for one in workers_of(client).values()] == ["alice"]
    finally:
        machines.end()


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    with pytest.raises(ConnectionError, match="scheduler: tcp://127.0.0.1:9 does not answer. Start one"):
        list(in_parallel(about, [(1,)], scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(
        ValueError, match="scheduler: udp://a:1 is no address. Give it as tcp://HOST:PORT"
    ):
        list(in_parallel(about, [(1,)], scheduler="udp://a:1"))


# What uses it


def test_the_positive_control_comes_in_order_from_two_processes(monkeypatch):
    rows = ("ERM", "true groups")
    monkeypatch.setattr(
        positive_control, "in_parallel", lambda work, jobs, *_: (work(*job) for job in [*jobs][::-1])
    )
    monkeypatch.setattr(positive_control, "_judge", lambda seed, row: {"seed": seed, "row": row})
    found = positive_control.positive_control((3, 1), rows, progress=False)
    assert [(r["seed"], r["row"]) for r in found] == [(s, row) for s in (3, 1) for row in rows]


def test_the_device_of_a_record_is_that_of_the_worker_which_made_it(own, tmp_path, monkeypatch):
    made = experiments.run(experiment(own, "ERM", 0, 0, {"epochs": 1}))
    assert made["device"] == experiments.device()
    elsewhere = made | {"device": "somewhere else"}
    monkeypatch.setattr(experiments, "in_parallel", lambda *_: iter([elsewhere]))
    wanted = [experiment(own, "ERM", 0, 0, {"epochs": 1})]
    (record,) = run_all(wanted, tmp_path / "records.jsonl", progress=False)
    assert record["device"] == "somewhere else" and record["commit"]
