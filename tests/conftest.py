"""What several test files need: a fixed seed, reproducible properties, and a problem that is easy."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from forks import calm
from hypothesis import settings
from quick_files import mark_quick

from piumar_lib.data import Sequences, save_npz
from piumar_lib.data.people import recordings
from piumar_lib.evidence import experiments
from piumar_lib.evidence.experiments import Experiment
from piumar_lib.ma52 import standin, train
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.prepare import splits
from piumar_lib.ma52.prepare.cache import CacheSettings, make_cache
from piumar_lib.ma52.prepare.index import Clip, make_index, read_index, write_index
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.ma52.standin.poses import write_standin_poses
from piumar_lib.ma52.stepper import SharedStepper

# The same examples in every run, however busy the machine is.
settings.register_profile("course", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("course")

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and stop with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The files that take longest start first, so that no process is left alone with one of them at the end.
LONGEST = (
    "test_book", "test_ma52_train", "test_cluster", "test_browser_widgets", "test_ma52_model",
    "test_every_method", "test_benchmarks", "test_course", "test_from_scratch", "test_cache",
    "test_browser_slides", "test_standin", "test_methods", "test_exercises", "test_hosted",
    "test_small_books", "test_evidence", "test_sweep", "test_extract_poses",
    "test_temporal_frequency", "test_editions", "test_group_robust", "test_experiments",
)  # fmt: skip
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
QUIET = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_quick(items)
    place = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")  # its event loop, while it runs, would be in the way of other tests
def browser():
    """Headless Chromium; on Debian and Ubuntu: apt-get install chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make test installs playwright")
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser (looked for {', '.join(CHROMIUM)}). Install Debian's package chromium")
    with playwright.sync_playwright() as driver:
        # Named, so that nothing is looked for or downloaded. As root there is no sandbox to be had.
        started = driver.chromium.launch(executable_path=path, args=QUIET, chromium_sandbox=False)
        yield started
        started.close()


@pytest.fixture
def page(browser):
    """A page without a network, which fails the test if the browser complains of anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(20_000)  # milliseconds
    page, complaints = context.new_page(), []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    yield page
    context.close()
    assert not complaints


@dataclass(frozen=True)
class Prepared:
    """A stand-in that has gone all the way to a cache."""

    root: Path
    clips: list[Clip]
    index: Path
    splits: Path
    cache: Path

    def config(self, out: Path, fold: int = 1, **settings: Any) -> TrainConfig:
        """Settings of a training that takes a second or two."""
        # The backbone's own 64 pixels take four times as long.
        quick = {"epochs": 2, "batch_size": 8, "eval_every": 0, "pixels": 32}
        paths = {"cache": self.cache, "index": self.index, "split": self.splits / f"fold{fold}.txt"}
        return TrainConfig.make("tiny", **(paths | quick | settings), out=out)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Prepared:
    """Six people, 60 clips, as video, index, folds and cache; one for all processes of a session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"
    root, index, cache = folder / "ma52", folder / "index.csv", folder / "cache"
    with FileLock(folder.with_suffix(".lock")):
        if not cache.is_dir():
            standin.write(root, standin.plan(60, 6, 64, seed=1), progress=False)
            clips = make_index(root, verify(root).entries)
            write_index(index, clips)
            splits.write_splits(folder / "splits", splits.person_disjoint(clips, 0, 2), 0)
            make_cache(root, clips, cache, CacheSettings(size=48, form="raw"))
    return Prepared(root, read_index(index), index, folder / "splits", cache)


@dataclass(frozen=True)
class Posed:
    """A stand-in's joints as an estimator would find them."""

    poses: Path
    index: Path
    splits: Path

    def config(self, out: Path, fold: int = 1, **settings: Any) -> TrainConfig:
        """Settings of a training that takes a second or two."""
        quick = {"epochs": 2, "batch_size": 8, "eval_every": 0, "warmup": 1}
        paths = {"poses": self.poses, "index": self.index, "split": self.splits / f"fold{fold}.txt"}
        return TrainConfig.make("poses", **(paths | quick | settings), out=out)


@pytest.fixture
def train_in_parts(monkeypatch) -> Callable[[TrainConfig, int], int]:
    """Trains, is interrupted before every n-th step and resumes; returns how many steps began."""

    def go(config: TrainConfig, every: int) -> int:
        begin, calls = SharedStepper.begin, 0

        def interrupted(self: SharedStepper, step: int) -> None:
            nonlocal calls
            calls += 1
            if calls % every == 0:
                raise KeyboardInterrupt
            begin(self, step)

        monkeypatch.setattr(SharedStepper, "begin", interrupted)
        monkeypatch.setattr(train.Run, "_is_late", lambda self: True)  # a checkpoint after each step
        while not (Path(config.out) / "record.json").is_file():
            with contextlib.suppress(KeyboardInterrupt):
                train.train(config, progress=False)
        return calls

    return go


@pytest.fixture(scope="session")
def posed(tmp_path_factory) -> Posed:
    """Six people, 60 clips, as poses, index and folds."""
    folder = tmp_path_factory.mktemp("posed")
    write_standin_poses(folder, standin.plan(60, 6, 64, seed=1), progress=False)
    clips = read_index(folder / "index.csv")
    splits.write_splits(folder / "splits", splits.person_disjoint(clips, 0, 2), 0)
    return Posed(folder / "poses.safetensors", folder / "index.csv", folder / "splits")


@pytest.fixture
def kill_often() -> Callable[..., None]:
    """Starts work in a process of its own and kills it at a random moment, twenty times."""

    def kill(work: Callable[[], object], seconds: float, after: Callable[[], object]) -> None:
        draw = random.Random(0)
        for _ in range(20):
            child = os.fork()  # much faster than a new interpreter
            if child == 0:
                calm()
                try:
                    work()
                finally:
                    os._exit(0)
            time.sleep(draw.uniform(0.05, 0.4) * seconds)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            after()

    return kill


@pytest.fixture
def toy() -> Sequences:
    """Two classes, slow and fast waves in random phase, by six people: 96 clips of 16 frames."""
    rng = np.random.default_rng(0)
    y, person = np.arange(96) % 2, np.arange(96) // 2 % 6
    time = np.arange(16) / 16
    phase = rng.uniform(0, 2 * np.pi, (96, 1, 3))
    x = np.sin(2 * np.pi * (1 + 2 * y)[:, None, None] * time[:, None] + phase)
    x = x + 0.1 * rng.standard_normal(x.shape) + person[:, None, None]
    return Sequences(x, y, person, class_names=("slow", "fast"), name="toy")


@pytest.fixture
def own(toy, tmp_path) -> str:
    """A reader's own file: six people of 16 clips."""
    path = tmp_path / "own.npz"
    np.savez(path, X=toy.x, y=toy.y, person=toy.person)
    return str(path)


@pytest.fixture
def own_of(tmp_path) -> Callable[[int], str]:
    """Writes a reader's own file of so many people, four clips of each."""

    def write(people: int) -> str:
        rng, n = np.random.default_rng(people), 4 * people
        y, person = np.arange(n) % 2, np.arange(n) // 4
        x = rng.standard_normal((n, 8, 3)) + 3 * y[:, None, None]
        path = tmp_path / f"own-{people}.npz"
        np.savez(path, X=x, y=y, person=person)
        return str(path)

    return write


@pytest.fixture
def people(tmp_path, monkeypatch) -> Callable[..., Sequences]:
    """Writes small sets under the names of sets of real people: six people of eight clips."""
    monkeypatch.setenv(recordings.VARIABLE, str(tmp_path / "people"))
    (tmp_path / "people").mkdir()

    def write(name: str, channels: int = 3, seed: int = 0) -> Sequences:
        rng = np.random.default_rng(seed)
        y, person = np.arange(48) % 2, np.arange(48) // 8
        x = rng.standard_normal((48, 40, channels)) + y[:, None, None] * np.arange(40)[:, None]
        clips = Sequences(x, y, person, rng.integers(10, 41, 48), rate=20.0, name=name)
        save_npz(tmp_path / "people" / f"{name}.npz", clips, force=True)
        return clips

    return write


@pytest.fixture
def stand_in(monkeypatch) -> Callable[[Callable[[Experiment], dict]], None]:
    """Puts another function in the place of `experiments.run`."""

    def put(work: Callable[[Experiment], dict]) -> None:
        monkeypatch.setattr(experiments, "run", work)
        others = experiments.run_all.__defaults__[:-1]
        monkeypatch.setattr(experiments.run_all, "__defaults__", (*others, work))

    return put


@pytest.fixture
def computed(stand_in) -> list[Experiment]:
    """Experiments that were computed, by a stand-in that takes no time."""
    seen = []

    def fake(experiment: Experiment) -> dict:
        seen.append(experiment)
        right = 10 * experiment.fold + experiment.seed + 1
        return experiment.key() | {"people": {str(experiment.fold): [right, 100]}}

    stand_in(fake)
    return seen
