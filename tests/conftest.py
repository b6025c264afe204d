"""What several test files need: a fixed seed, reproducible properties, and a problem that is easy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import settings

from piumar_lib.data import Sequences

# The same examples in every run, however busy the machine is.
settings.register_profile("course", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("course")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


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
