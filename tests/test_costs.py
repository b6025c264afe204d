"""What things cost, against counting by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel

from piumar_lib.backbones import tiny_cnn
from piumar_lib.batch import Batch
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.plug_in_cost import plug_in_cost
from piumar_lib.notebook import costs
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_flops_of_a_product_are_twice_its_terms(m, k, n):
    a, b = torch.randn(m, k, requires_grad=True), torch.randn(k, n, requires_grad=True)
    assert costs.count_flops(lambda: a @ b) == 2 * m * k * n
    assert costs.count_flops(lambda: (a @ b).sum().backward()) == 6 * m * k * n


def test_flops_of_a_convolution():
    layer, x = torch.nn.Conv1d(3, 5, 3, padding=1), torch.randn(2, 3, 7)
    assert costs.count_flops(lambda: layer(x)) == 2 * 2 * 5 * 7 * 3 * 3


def test_operations_are_counted_both_ways_and_views_are_none():
    x = torch.randn(3, 4, requires_grad=True)
    assert costs.count_operations(lambda: (x.detach() * 2 + 1).sum()) == 3
    assert costs.count_operations(lambda: x.detach().t()[1:].unsqueeze(0)) == 0
    # exp, sum; the 1 to begin with; the way back through exp is a product (that of a sum is a view).
    assert costs.count_operations(lambda: x.exp().sum().backward()) == 4


def test_work_is_both_counts_of_one_call():
    x, layer = torch.randn(3, 4, requires_grad=True), torch.nn.Linear(4, 5)

    def call():
        layer(x).relu().sum().backward()

    call()
    expected = costs.count_flops(call), costs.count_operations(call)
    assert costs.count_work(call) == expected == (6 * 3 * 4 * 5, expected[1]) and expected[1] > 5


MOMENTS, CHANNELS, CLIPS = 4, 48, 4  # what the tiny video transformer gives, and a batch


@pytest.fixture(scope="module")
def plugged_in():
    return plug_in_cost("videomae-tiny", CLIPS)


def test_a_plug_makes_run_what_is_behind_it_twice(plugged_in):
    """By hand: mixing, two more heads, and the projection onto the plan, the only product of its own."""
    mixing = MOMENTS * 2 * (3 * CHANNELS * 256 + 256 * CHANNELS)
    heads = 2 * 2 * CHANNELS * 52
    projection = 2 * MOMENTS * MOMENTS * CHANNELS
    found = plugged_in["inference"]
    assert found["TFAM"].flops - found["ERM"].flops == CLIPS * (mixing + heads + projection)
    assert found["ERM"].flops - found["backbone"].flops == CLIPS * (mixing + heads / 2)
    assert found["TFAM and GIRL"] == found["TFAM"]


@pytest.mark.parametrize("name", ["ERM", "TFAM"])
def test_counted_in_two_pieces_is_counted_as_a_whole(plugged_in, name):
    config = TrainConfig(backbone="videomae-tiny", weights="random", method="ERM")
    model = build_model(config)
    recognizer, number = model.recognizer, torch.arange(CLIPS)
    if name == "TFAM":
        recognizer.plug_in = TemporalFrequencyModule.make(CHANNELS, CHANNELS)
    film = torch.randn(CLIPS, model.frames, 3, model.size, model.size)
    batch = Batch(film, number // 2, number // 2, number)
    objective = TwoViews() if name == "TFAM" else Objective()
    objective.start(recognizer, batch, config)

    def step():
        recognizer.train().zero_grad()
        objective.loss(recognizer, batch).backward()

    with sdpa_kernel(SDPBackend.MATH):  # what a fused kernel does on a CPU, torch does not count
        whole = [costs.count_work(step) for _ in range(4)]
    flops, operations = (sum(values) / 4 for values in zip(*whole, strict=True))
    assert plugged_in["training"][name].flops == flops
    assert plugged_in["training"][name].operations == pytest.approx(operations, abs=12)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        alone = costs.count_work(lambda: recognizer.eval()(film))
    assert plugged_in["inference"][name].flops == alone.flops
    assert plugged_in["inference"][name].operations == pytest.approx(alone.operations, abs=3)


def small_recognizer(place, steps):
    """FLOPs of an inference of one clip by the course's recogniser, by hand, with 34 channels."""
    sizes, at = [34, 32, 32, 32], {"none": 3, "input": 0, "features": 1, "2": 2}[place]
    layers = [2 * 5 * i * o for i, o in zip(sizes[:-1], sizes[1:], strict=True)]  # for each moment
    if place == "none":
        return 32 * sum(layers) + 2 * 32 * 12
    projection = 2 * 32 * steps * sizes[at]
    behind = 2 * steps * sum(layers[at:])
    return 32 * sum(layers[:at]) + projection + behind + 3 * 2 * 32 * 12


@pytest.mark.parametrize("place", ["none", "input", "features", "2"])
def test_a_small_recogniser_with_tfam_takes_what_is_counted_by_hand(place):
    wide, at = (34 if place == "input" else 32), {"none": "input", "2": 2}.get(place, place)
    plug_in = None if place == "none" else TemporalFrequencyModule.make(wide, 32)
    model, clips = Recognizer(tiny_cnn(34), 32, 12, plug_in, at).eval(), torch.randn(8, 32, 34)
    assert costs.count_flops(lambda: model(clips)) == 8 * small_recognizer(place, 16)


def test_saved_bytes_count_each_storage_once():
    x = torch.randn(10, requires_grad=True)
    assert costs.count_saved_bytes(lambda: x.exp()) == 40  # its result
    assert costs.count_saved_bytes(lambda: x * x) == 40
    assert costs.count_saved_bytes(lambda: x.exp() * x) == 80
    assert costs.count_saved_bytes(lambda: x + 1) == 0


def test_seconds_tell_a_long_call_from_a_short_one():
    def work(rounds):
        for _ in range(rounds):
            np.sort(np.arange(20_000)[::-1])

    seconds = costs.seconds_each({"short": lambda: work(5), "long": lambda: work(100)}, rounds=3)
    assert 8 < seconds["long"] / seconds["short"] < 50


def test_seconds_are_those_of_the_processor():
    assert costs.seconds_each({"sleep": lambda: time.sleep(0.005)}, rounds=1)["sleep"] < 0.002


@given(st.floats(-2, 3), st.floats(0.1, 10))
def test_exponent_is_the_slope(power, factor):
    sizes = np.array([2.0, 4, 8, 16])
    assert costs.exponent(sizes, factor * sizes**power) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("sizes, values", [([1], [1]), ([1, 2], [0, 1]), ([1, 2], [1, 2, 3])])
def test_exponent_needs_two_positive_points(sizes, values):
    with pytest.raises(ValueError, match="two or more"):
        costs.exponent(sizes, values)


def test_machine_is_named(monkeypatch):
    assert "CPU" in costs.machine() and "thread" in costs.machine()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert costs.machine("cuda") == "a GPU"
