"""A recogniser and clips with which formulas are checked digit by digit: smooth, in double precision."""

from __future__ import annotations

import torch
from torch import nn

from piumar_lib.batch import Batch
from piumar_lib.recognizer import Recognizer


def smooth() -> Recognizer:
    """A recogniser of three classes without batch normalisation or rectifiers."""
    torch.manual_seed(3)
    return Recognizer(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), 4, 3).double()


def clips(n: int, people: int = 4, classes: int = 3) -> Batch:
    """Clips of noise, 8 frames and 3 channels, with all pairs of class and person in turn."""
    index = torch.arange(n)
    x = torch.randn(n, 8, 3, dtype=torch.double)
    return Batch(x, index % classes, index // classes % people, index)
