"""Sums over the processes of data-parallel training, so that each sees the whole batch.

All processes have to call these functions together. They are differentiable: if each process's loss has
the same term of the whole batch, the mean of the processes' gradients is the gradient of this term.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def processes() -> int:
    """Number of processes; 1 for training in a single process."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of each process's ``values``, in all processes; with one process, the values themselves."""
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
    """Rows of all processes' ``values (batch, ...)``, in the order of the processes.

    Their batches must have equal sizes.
    """
    if processes() == 1:
        return values
    mine = distributed.get_rank()
    rows = [values if rank == mine else torch.zeros_like(values) for rank in range(processes())]
    return sum_over_processes(torch.stack(rows)).flatten(0, 1)  # (processes * batch, ...)


def own_rows(values: Tensor, count: int) -> Tensor:
    """The ``count`` rows of this process in the result of `gather_over_processes`."""
    first = distributed.get_rank() * count if processes() > 1 else 0
    return values[first : first + count]
