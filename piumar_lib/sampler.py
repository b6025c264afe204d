"""Which clips make a batch: dealt at random, or from so many people."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def batches(person: Tensor, size: int, people: int | None = None) -> list[Tensor]:
    """Deal all clips into batches at random: each clip once, in batches of nearly equal size.

    Args:
        person: Who made each clip, shape ``(n,)``.
        size: Clips in a batch, about.
        people: Draw each batch from so many people, evenly; None draws regardless of people.

    Returns:
        Places of the clips of each batch. With ``people``, clips of people who have few come more often.
    """
    order = torch.randperm(len(person), device=person.device)
    if people is None:
        # At least two clips a batch, because variances are taken over it.
        return list(order.tensor_split(max(1, round(len(order) / size))))
    hands: list[tuple[float, Tensor]] = []
    for p in person.unique():
        own = order[person[order] == p]
        dealt = own.tensor_split(max(1, round(len(own) * people / size)))
        # Each person's hands are spread over the epoch, so that neighbours are different people.
        at = (torch.arange(len(dealt)) + torch.rand(len(dealt))) / len(dealt)
        hands += zip(at.tolist(), dealt, strict=True)
    in_order = [hand for _, hand in sorted(hands, key=lambda pair: pair[0])]
    groups = np.array_split(np.arange(len(hands)), max(1, round(len(hands) / people)))
    return [torch.cat([in_order[k] for k in group]) for group in groups]
