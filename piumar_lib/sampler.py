"""Sampling of batches: clips at random, or from a given number of people."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def batches(person: Tensor, size: int, people: int | None = None) -> list[Tensor]:
    """Split all clips, in random order, into batches; each clip occurs once.

    Of about ``size`` clips, from about ``people`` people with equal numbers of clips; None draws clips
    regardless of people. Returns the indices of each batch's clips. People with many clips are in more
    batches.
    """
    order = torch.randperm(len(person), device=person.device)
    if people is None:
        return list(order.tensor_split(max(1, round(len(order) / size))))
    chunks: list[tuple[float, Tensor]] = []
    for p in person.unique():
        own = order[person[order] == p]
        parts = own.tensor_split(max(1, round(len(own) * people / size)))
        # Each person's chunks are spread over the epoch, so that consecutive chunks are of different
        # people.
        at = (torch.arange(len(parts)) + torch.rand(len(parts))) / len(parts)
        chunks += zip(at.tolist(), parts, strict=True)
    in_order = [chunk for _, chunk in sorted(chunks, key=lambda pair: pair[0])]
    groups = np.array_split(np.arange(len(chunks)), max(1, round(len(chunks) / people)))
    return [torch.cat([in_order[k] for k in group]) for group in groups]
