"""How fast data is made, on one core: pytest tests/benchmarks --benchmark-enable."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from piumar_lib.data.synthetic import make_clips, make_people
from piumar_lib.ma52.standin.render import make_looks, render


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def processor_seconds(function) -> float:
    """Least processor time of three calls; unlike wall time, a busy machine hardly changes it."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def test_generator_makes_two_thousand_clips_a_second(benchmark):
    people = make_people(40, seed=0)
    benchmark(make_clips, people, 40, seed=0)
    speed = 40 * 40 / processor_seconds(lambda: make_clips(people, 40, seed=0))
    benchmark.extra_info["clips/s"] = round(speed)
    assert speed >= 2000


def test_renderer(benchmark):
    people, looks = make_people(4, seed=0), make_looks(4, seed=0)
    clips = make_clips(people, 2, seed=0, centered=False)
    joints = np.ascontiguousarray(clips.x.reshape(len(clips), -1, 17, 2)[:, ::2])
    film = benchmark(render, joints, looks, clips.person, width=112)
    assert film.shape == (8, 16, 134, 112, 3)
    speed = len(clips) / processor_seconds(lambda: render(joints, looks, clips.person, width=112))
    benchmark.extra_info["clips/s of 16 frames at 112 px"] = round(speed)
