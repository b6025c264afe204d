"""Measurement of costs: FLOPs, operations, time, memory, and their scaling with size."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

LONG_ENOUGH = 0.01  # seconds


def count_flops(call: Callable[[], Any]) -> int:
    """Floating point operations of the matrix multiplications and convolutions in a call.

    The call may be a forward pass, or forward and backward pass. ``(m, k)`` times ``(k, n)`` counts
    ``2 m k n``. Sums, exponentials, sorting and Fourier transforms are not counted; `seconds_each`
    measures them.
    """
    return int(count_work(call).flops)


def count_operations(call: Callable[[], Any]) -> int:
    """Number of PyTorch operations in a call: on a GPU each launches at least one kernel.

    Views, which compute nothing, are not counted.
    """
    return int(count_work(call).operations)


class Work(NamedTuple):
    """FLOPs and operations of a call, see `count_flops` and `count_operations`."""

    flops: float
    operations: float


def count_work(call: Callable[[], Any]) -> Work:
    """FLOPs and operations of one call."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Counter(TorchDispatchMode):
        started = 0

        def __torch_dispatch__(
            self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
        ) -> Any:
            self.started += not operation.is_view
            return operation(*args, **(kwargs or {}))

    with FlopCounterMode(display=False) as flops, Counter() as counter:
        call()
    return Work(flops.get_total_flops(), counter.started)


def count_saved_bytes(call: Callable[[], Any]) -> int:
    """Bytes that a forward pass saves for the backward pass, including parameters; each storage once."""
    storages: dict[int, int] = {}
    kept = []  # so that no address is reused

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(storages.values())


def seconds_each(
    ways: dict[str, Callable[[], Any]], rounds: int = 5, device: str = "cpu"
) -> dict[str, float]:
    """Minimum time of each function over interleaved rounds, so that disturbances affect all alike.

    Args:
        ways: Functions to call, by name.
        rounds: Number of measurements of each function, after one warm-up call. Short calls are repeated
            until they are long enough to be measured.
        device: On ``"cpu"`` processor time is measured, which depends little on other load; on
            ``"cuda"`` wall-clock time until the device has finished. Processor time adds up over
            threads, so it equals the latency with one thread only.

    Returns:
        Seconds of one call, by name.
    """

    def now() -> float:
        if device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def seconds(way: Callable[[], Any], times: int) -> float:
        start = now()
        for _ in range(times):
            way()
        return (now() - start) / times

    first = {name: seconds(way, 1) for name, way in ways.items()}
    times = {name: int(np.clip(LONG_ENOUGH / max(first[name], 1e-6), 1, 1000)) for name in ways}
    taken = [{name: seconds(way, times[name]) for name, way in ways.items()} for _ in range(rounds)]
    return {name: min(each[name] for each in taken) for name in ways}


def exponent(sizes: ArrayLike, costs: ArrayLike) -> float:
    """The p of ``cost = c size^p``: the slope of a straight line in a log-log plot.

    ``costs`` are in any unit; both have shape ``(sizes,)``.

    Raises:
        ValueError: If there are fewer than two sizes, or a number is not positive.
    """
    sizes, costs = np.asarray(sizes, float), np.asarray(costs, float)
    if len(sizes) < 2 or sizes.shape != costs.shape or min(sizes.min(), costs.min()) <= 0:
        raise ValueError(f"sizes, costs: {sizes}, {costs}. Give two or more of each, all positive.")
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def machine(device: str = "cpu") -> str:
    """Description of the device, as in records."""
    if device != "cpu":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {platform.machine()}, {threads} thread{'s' * (threads > 1)}"
