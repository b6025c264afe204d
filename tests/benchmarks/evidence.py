"""9. Records of the evidence: several seeds in one batched model, against one after the other.

A measurement, not a requirement. While steps were slow, five seeds under ``torch.func.vmap`` were 1.2 to
1.5 times as fast as five in a row on one core. Since steps are fast themselves (a fused optimiser, no
copies between layers) that is gone: convolutions take most of a step and gain nothing. Nor can every
method be batched so (k-means, Fish, two stages). So the runner trains one model a process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from row import Row
from torch import Tensor
from torch.func import functional_call, replace_all_batch_norm_modules_, stack_module_state, vmap
from torch.nn import functional as F

from piumar_lib.evidence import methods
from piumar_lib.evidence.protocol import read_search
from piumar_lib.notebook.costs import seconds_each

SEEDS, BATCH = 5, 64


def gradients() -> tuple[Callable[[], tuple[Tensor, ...]], Callable[[], list[tuple[Tensor, ...]]]]:
    """Two ways to the gradients of five seeds: all at once, and in a row."""
    k = methods.resolve("ERM")
    seeds = [methods.build("ERM", 34, 12, k, s).train() for s in range(SEEDS)]
    for model in seeds:  # running statistics cannot be batched
        replace_all_batch_norm_modules_(model)
    torch.manual_seed(0)
    x, y = torch.randn(SEEDS, BATCH, 32, 34), torch.randint(12, (SEEDS, BATCH))
    stacked, buffers = stack_module_state(seeds)
    skeleton = copy.deepcopy(seeds[0]).to("meta")

    def loss(parameters: dict, own: dict, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(skeleton, (parameters, own), (x,)).logits, y)

    def at_once() -> tuple[Tensor, ...]:
        return torch.autograd.grad(vmap(loss)(stacked, buffers, x, y).sum(), list(stacked.values()))

    def in_a_row() -> list[tuple[Tensor, ...]]:
        losses = [F.cross_entropy(m(x[k]).logits, y[k]) for k, m in enumerate(seeds)]
        pairs = zip(losses, seeds, strict=True)
        return [torch.autograd.grad(value, list(m.parameters())) for value, m in pairs]

    return at_once, in_a_row


def measure(quick: bool, device: str) -> Iterator[Row]:
    """The ratio, and what the records say of themselves."""
    at_once, in_a_row = gradients()
    seconds = seconds_each({"at once": at_once, "in a row": in_a_row}, 2 if quick else 10)
    note = "five seeds under torch.func.vmap; below 1: not used"
    yield Row("batched seeds, one after the other", seconds["in a row"] / seconds["at once"], note=note)
    taken = np.array([record["seconds"] for record in read_search()])
    note = f"{len(taken)} records, {taken.mean():.1f} s each, two processes side by side"
    yield Row("records of the search, 2 cores", 2 * 3600 / taken.mean(), unit="an hour", note=note)
