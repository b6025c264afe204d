"""What things cost, against counting by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib import costs


def test_parameters_are_those_that_learn():
    layer = torch.nn.Linear(3, 4)
    assert costs.count_parameters(layer) == 16
    layer.bias.requires_grad_(False)
    assert costs.count_parameters(layer) == 12


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
    assert costs.seconds_each({"sleep": lambda: time.sleep(0.05)}, rounds=1)["sleep"] < 0.02


@given(st.floats(-2, 3), st.floats(0.1, 10))
def test_exponent_is_the_slope(power, factor):
    sizes = np.array([2.0, 4, 8, 16])
    assert costs.exponent(sizes, factor * sizes**power) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("sizes, values", [([1], [1]), ([1, 2], [0, 1]), ([1, 2], [1, 2, 3])])
def test_exponent_needs_two_positive_points(sizes, values):
    with pytest.raises(ValueError, match="two or more"):
        costs.exponent(sizes, values)


def test_peak_is_that_of_a_product():
    assert 1e8 < costs.peak_flops(256, 2) < 1e14


def test_machine_is_named(monkeypatch):
    assert "CPU" in costs.machine() and "thread" in costs.machine()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert costs.machine("cuda") == "a GPU"
