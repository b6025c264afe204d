"""1. Sinkhorn's plan, batch 64, temperature 0.05, 100 iterations: ours against POT and geomloss.

What a training needs is the plan *and* its gradient for any loss of it. POT's plain form is the fastest
of the others, but gives NaN at small temperatures; its log form does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from row import Row
from torch import Tensor

from piumar_lib.costs import seconds_each
from piumar_lib.transport import sinkhorn_plan

EPSILON, ITERATIONS = 0.05, 100


def problem(time: int, steps: int, device: str) -> tuple[Tensor, ...]:
    """Squared distances of random points, at most 1, and masses; the cost wants a gradient."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(64, n, 3, generator=generator) for n in (time, steps))
    cost = torch.cdist(x, y).square()
    cost = cost / cost.amax((1, 2), keepdim=True)
    source = torch.rand(64, time, generator=generator) + 0.1
    source, target = source / source.sum(1, keepdim=True), torch.full((64, steps), 1 / steps)
    return cost.to(device).requires_grad_(), source.to(device), target.to(device)


def plans(cost: Tensor, source: Tensor, target: Tensor) -> dict:
    """Ways to the plan that are differentiable through and through."""
    import ot

    class Here(ot.backend.TorchBackend):
        """POT's plain form begins with ones on the CPU, wherever the problem is."""

        def ones(self, shape, type_as=cost):
            return super().ones(shape, type_as)

    common = {"nx": Here(), "max_iter": ITERATIONS, "tol": 0, "grad": "autodiff"}

    def plain() -> Tensor:
        kernel = (-cost / EPSILON).exp()
        return ot.batch.bregman_projection_batch(kernel, source, target, **common)["T"]

    def log() -> Tensor:
        return ot.batch.bregman_log_projection_batch(-cost / EPSILON, source, target, **common)["T"]

    def loop() -> Tensor:
        return torch.stack([
            ot.sinkhorn(a, b, c, EPSILON, "sinkhorn_log", numItermax=ITERATIONS, stopThr=0, warn=False)
            for a, b, c in zip(source, target, cost, strict=True)
        ])  # fmt: skip

    found = {
        "ours": lambda: sinkhorn_plan(cost, source, target, EPSILON, ITERATIONS),
        "POT, plain form": plain,
        "POT, log form": log,
        "POT in a loop": loop,
    }
    try:
        from geomloss import ot as geomloss
    except ImportError:
        return found

    def geom() -> Tensor:
        return geomloss.solve_batch(
            cost, reg=EPSILON, a=source, b=target, max_iter=ITERATIONS, tol=None
        ).plan  # fmt: skip

    return found | {"geomloss": geom}


def measure(quick: bool, device: str) -> Iterator[Row]:
    """Rows for three sizes, forward and both ways."""
    warnings.filterwarnings("ignore", module="ot")
    for time, steps in ((16, 8),) if quick else ((16, 8), (32, 16), (64, 32)):
        cost, source, target = problem(time, steps, device)
        weights = torch.randn(cost.shape, generator=torch.Generator().manual_seed(1)).to(device)
        ways = plans(cost, source, target)

        def forward(way) -> Tensor:
            with torch.no_grad():
                return way()

        def both(way, weights=weights, cost=cost) -> Tensor:
            return torch.autograd.grad((way() * weights).sum(), cost)[0]

        off = {n: (forward(w).sum(2) - source).abs().sum(1).max().item() for n, w in ways.items()}
        ours = both(ways["ours"])
        wrong = {n: ((both(w) - ours).norm() / ours.norm()).item() for n, w in ways.items()}
        for label, run in (("plan", forward), ("plan and gradient", both)):
            fast = {n: (lambda way=way, run=run: run(way)) for n, way in ways.items() if "loop" not in n}
            seconds = seconds_each(fast, 1 if quick else 10, device)
            loop = {"POT in a loop": lambda run=run, ways=ways: run(ways["POT in a loop"])}
            seconds |= {} if quick else seconds_each(loop, 1, device)
            others = {n: s / seconds["ours"] for n, s in seconds.items() if n != "ours"}
            fastest = min(others, key=others.get)
            note = f"rows off by {off['ours']:.0e} (ours), {off[fastest]:.0e}"
            note += f", gradients differ by {wrong[fastest]:.0e}" if run is both else ""
            yield Row(f"{label}, {time} x {steps}, {fastest} (fastest)", others[fastest], 2, note=note)
            for name, ratio in others.items():
                if name == fastest:
                    continue
                note = f"rows off by {off[name]:.0e}"
                if run is both:
                    note += f", gradient differs from ours by {wrong[name]:.0e}"
                yield Row(f"{label}, {time} x {steps}, {name}", ratio, note=note)
