"""Sums over the processes of data-parallel training, so that each sees the whole batch.

All processes have to call these functions together. Gradients pass: where each process's loss holds the
same term of the whole batch, the mean of their gradients is that term's.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def processes() -> int:
    """How many processes share the work; 1 for a training that knows of no others."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of each process's ``values``, in all processes; alone, the values themselves."""
    if processes() == 1:
        return values
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(values.clone())


def average_over_processes(values: Tensor) -> Tensor:
    """Average of each process's ``values``, in all processes."""
    return sum_over_processes(values) / processes()


def mean_over_processes(values: Tensor) -> Tensor:
    """Mean of ``values (batch,)`` over the batches of all processes, which may differ in size."""
    count = values.new_tensor(len(values))
    return sum_over_processes(values.sum()) / sum_over_processes(count)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``values (batch,)`` with ``weights (batch,)`` over the batches of all processes."""
    return sum_over_processes((weights * values).sum()) / sum_over_processes(weights.sum())


def gather_over_processes(values: Tensor) -> Tensor:
    """Rows of all processes' ``values (batch, ...)``, one process's after another's.

    Their batches have to be equally large.
    """
    if processes() == 1:
        return values
    mine = distributed.get_rank()
    rows = [values if rank == mine else torch.zeros_like(values) for rank in range(processes())]
    return sum_over_processes(torch.stack(rows)).flatten(0, 1)  # (processes * batch, ...)


def own_rows(values: Tensor, count: int) -> Tensor:
    """The ``count`` rows of this process in what `gather_over_processes` gave."""
    first = distributed.get_rank() * count if processes() > 1 else 0
    return values[first : first + count]
