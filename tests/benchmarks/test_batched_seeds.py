"""Do several seeds in one batched model train faster than one after the other?

    pytest tests/benchmarks/test_batched_seeds.py --benchmark-enable -s

A measurement, not a requirement. While steps were slow, five seeds under ``torch.func.vmap`` were 1.2 to
1.5 times as fast as five in a row on one core. Since steps are fast themselves (a fused optimiser, no
copies between layers) they are 0.8 times as fast: convolutions take most of a step and gain nothing. Nor
can every method be batched so (k-means, Fish, two stages). So the runner trains one model a process.
"""

from __future__ import annotations

import copy
import time

import torch
from torch.func import functional_call, replace_all_batch_norm_modules_, stack_module_state, vmap
from torch.nn import functional as F

from piumar_lib import methods

SEEDS, BATCH = 5, 64


def models(channels: int, classes: int) -> list:
    found = [
        methods.build("ERM", channels, classes, methods.resolve("ERM"), s) for s in range(SEEDS)
    ]
    for model in found:  # running statistics cannot be batched
        replace_all_batch_norm_modules_(model.train())
    return found


def test_five_seeds_at_once_have_the_gradients_of_one_after_the_other(benchmark):
    torch.manual_seed(0)
    seeds = models(34, 12)
    x, y = torch.randn(SEEDS, BATCH, 32, 34), torch.randint(12, (SEEDS, BATCH))
    stacked, buffers = stack_module_state(seeds)
    skeleton = copy.deepcopy(seeds[0]).to("meta")

    def loss(parameters, own, x, y):
        return F.cross_entropy(functional_call(skeleton, (parameters, own), (x,)).logits, y)

    def at_once():
        value = vmap(loss)(stacked, buffers, x, y).sum()
        return torch.autograd.grad(value, list(stacked.values()))

    def in_a_row():
        return [
            torch.autograd.grad(F.cross_entropy(m(x[k]).logits, y[k]), list(m.parameters()))
            for k, m in enumerate(seeds)
        ]

    together, apart = benchmark(at_once), in_a_row()
    for k, own in enumerate(apart):
        for a, b in zip(together, own, strict=True):
            assert torch.allclose(a[k], b, atol=1e-5)

    def seconds(function) -> float:
        start = time.process_time()
        for _ in range(5):
            function()
        return time.process_time() - start

    benchmark.extra_info["times as fast"] = round(seconds(in_a_row) / seconds(at_once), 2)
