"""A second run is kept out while the first lives, and takes over when it is dead."""

from __future__ import annotations

import errno
import os
import signal
import time

import pytest
from filelock import FileLock

from piumar_lib.evidence.experiments import experiment, run_all
from piumar_lib.evidence.records import read_records
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.cache import CacheSettings, make_cache, open_cache
from piumar_lib.ma52.standin.cache import write_cache
from piumar_lib.support.files import CannotWrite
from piumar_lib.support.locks import InUse, only_run


@pytest.fixture
def other_run():
    """Starts a run that holds a path and never ends by itself; returns its process."""
    processes = []

    def start(path):
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            with only_run(path):
                os.write(writes, b"held")
                time.sleep(60)
        processes.append(child)
        os.read(reads, 4)
        return child

    yield start
    for child in processes:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path, other_run, kind):
    path = tmp_path if kind == "folder" else tmp_path / "records.jsonl"
    child = other_run(path)
    message = rf"{path.name}: is being written by another run \(process {child}\). Wait for it, or name"
    with pytest.raises(InUse, match=message), only_run(path):
        pytest.fail("two at a time")
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # until the system has taken it down
        try:
            with only_run(path):
                break
        except InUse:
            time.sleep(0.01)
    else:
        pytest.fail("a dead run keeps the folder")
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_the_locked_file_itself_is_neither_read_nor_written(tmp_path):
    """Windows lets nobody, not even its owner, by a second handle."""
    path = tmp_path / "records.jsonl"
    with only_run(path):
        assert (tmp_path / ".records.jsonl.lock").read_bytes() == b""
        assert (tmp_path / ".records.jsonl.lock.pid").read_text() == str(os.getpid())


def test_one_after_the_other_is_fine(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), only_run(tmp_path):
            raise KeyError


def test_where_nothing_can_be_locked_runs_go_on_with_a_note(tmp_path, monkeypatch, capsys):
    def cannot(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", cannot)
    done = []
    with only_run(tmp_path):
        done.append(1)
    assert done and "note: " in (said := capsys.readouterr().err) and "cannot be locked here" in said


def test_where_nothing_can_be_written_no_run_begins(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EROFS, "Read-only file system", "x/.lock")

    monkeypatch.setattr(FileLock, "acquire", cannot)
    message = f"{tmp_path.name}: cannot be written, the disk is read-only"
    with pytest.raises(CannotWrite, match=message), only_run(tmp_path):
        pytest.fail("began")


def test_evidence_stand_ins_and_caches_are_held(own, computed, tmp_path, other_run):
    wanted = [experiment(own, "ERM", 0, seed) for seed in (0, 1)]
    run_all(wanted[:1], tmp_path / "own.jsonl", progress=False)
    other_run(tmp_path / "own.jsonl")
    with pytest.raises(InUse, match="own.jsonl: is being written by another run"):
        run_all(wanted, tmp_path / "own.jsonl", progress=False)
    assert len(read_records(tmp_path / "own.jsonl")) == len(computed) == 1
    assert run_all(wanted[:1], tmp_path / "own.jsonl", progress=False), "what is there may be read"
    plan, cache = standin.plan(12, 3, 32), tmp_path / "cache"
    open_cache(cache, CacheSettings(32, form="raw", frames=2))
    other_run(cache)
    with pytest.raises(InUse, match="cache: is being"):
        make_cache(tmp_path, [], cache, CacheSettings(32, form="raw", frames=2))
    with pytest.raises(InUse, match="cache: is being"):
        write_cache(cache, plan, 32, 2, progress=False)
    (tmp_path / "ma52").mkdir()
    standin.videos.claim(tmp_path / "ma52", plan)
    other_run(tmp_path / "ma52")
    with pytest.raises(InUse, match="ma52: is being"):
        standin.write(tmp_path / "ma52", plan, progress=False)
