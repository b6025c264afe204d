"""Sums over the processes of data-parallel training, so that each sees the whole batch."""

from __future__ import annotations

from torch import Tensor, distributed


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of each process's ``values``, in all processes; alone, the values themselves.

    Gradients pass, unlike through ``torch.distributed.all_reduce``. All processes have to call it.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return values
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(values.clone())


def average_over_processes(values: Tensor) -> Tensor:
    """Average of each process's ``values``, in all processes. All processes have to call it."""
    if not distributed.is_initialized():
        return values
    return sum_over_processes(values) / distributed.get_world_size()


def mean_over_processes(values: Tensor) -> Tensor:
    """Mean of ``values (batch,)`` over the batches of all processes, which may differ in size."""
    count = values.new_tensor(len(values))
    return sum_over_processes(values.sum()) / sum_over_processes(count)
