"""1. Sinkhorn's plan, batch 64, temperature 0.05: ours against POT and geomloss.

What a training needs is the plan *and* its gradient for any loss of it. POT's plain form is the fastest
of the others, but gives NaN at small temperatures; its log form does not.

Two comparisons. With 100 iterations each, whatever comes of them. And to one tolerance, that of
`SinkhornAlignment`, on its own cost and masses: ours stops by itself, each of the others gets the fewest
iterations with which no clip has more of its mass in the wrong frame, and need not look for them.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from row import Row
from torch import Tensor

from piumar_lib.alignment import SinkhornAlignment
from piumar_lib.notebook.costs import seconds_each
from piumar_lib.transport import sinkhorn_plan

EPSILON, ITERATIONS = 0.05, 100
MOST = 8192  # iterations to reach the tolerance with


def problem(time: int, steps: int, device: str) -> tuple[Tensor, ...]:
    """Squared distances of random points, at most 1, and masses; the cost wants a gradient."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(64, n, 3, generator=generator) for n in (time, steps))
    cost = torch.cdist(x, y).square()
    cost = cost / cost.amax((1, 2), keepdim=True)
    source = torch.rand(64, time, generator=generator) + 0.1
    source, target = source / source.sum(1, keepdim=True), torch.full((64, steps), 1 / steps)
    return cost.to(device).requires_grad_(), source.to(device), target.to(device)


def problem_of_alignment(time: int, steps: int, device: str) -> tuple[Tensor, Tensor, Tensor, float]:
    """What `SinkhornAlignment` solves for clips that wander at random, and its tolerance."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alignment, x = SinkhornAlignment(6, steps, epsilon=EPSILON), torch.randn(64, time, 6).cumsum(1)
    alignment.fit(x).eval()
    with torch.no_grad():
        cost, source = alignment.cost(x), alignment.clock(x)
    target = torch.full((64, steps), 1 / steps)
    return cost.to(device).requires_grad_(), source.to(device), target.to(device), alignment.tolerance


def misplaced(plan: Tensor, source: Tensor) -> float:
    """The largest share of a clip's mass that lies in the wrong frame."""
    return ((plan.sum(2) - source).abs().sum(1) / 2).amax().item()


def enough(cost: Tensor, source: Tensor, target: Tensor, tolerance: float, most: int) -> dict[str, int]:
    """Fewest iterations with which each of the others is as exact, if that is at most ``most``."""

    def reached(name: str, count: int) -> bool:
        with torch.no_grad():
            plan = plans(cost, source, target, defaultdict(lambda: count))[name]()
        return misplaced(plan, source) <= tolerance

    found = {}
    for name in plans(cost, source, target):
        if name == "ours" or "loop" in name:
            continue
        low, high = 0, 16
        while high <= most and not reached(name, high):
            low, high = high, 2 * high
        if high > most:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(name, middle) else (middle, high)
        found[name] = high
    return found


def plans(
    cost: Tensor,
    source: Tensor,
    target: Tensor,
    iterations: Mapping[str, int] = defaultdict(lambda: ITERATIONS),  # noqa: B006
    tolerance: float = 0.0,
) -> dict:
    """Ways to the plan that are differentiable through and through; ``tolerance`` is for ours."""
    import ot

    class Here(ot.backend.TorchBackend):
        """POT's plain form begins with ones on the CPU, wherever the problem is."""

        def ones(self, shape, type_as=cost):
            return super().ones(shape, type_as)

    common = {"nx": Here(), "tol": 0, "grad": "autodiff"}

    def plain() -> Tensor:
        kernel, most = (-cost / EPSILON).exp(), iterations["POT, plain form"]
        return ot.batch.bregman_projection_batch(kernel, source, target, max_iter=most, **common)["T"]

    def log() -> Tensor:
        exponent, most = -cost / EPSILON, iterations["POT, log form"]
        solve = ot.batch.bregman_log_projection_batch
        return solve(exponent, source, target, max_iter=most, **common)["T"]

    def loop() -> Tensor:
        count = iterations["POT in a loop"]
        return torch.stack([
            ot.sinkhorn(a, b, c, EPSILON, "sinkhorn_log", numItermax=count, stopThr=0, warn=False)
            for a, b, c in zip(source, target, cost, strict=True)
        ])  # fmt: skip

    most = MOST if tolerance else ITERATIONS
    found = {
        "ours": lambda: sinkhorn_plan(cost, source, target, EPSILON, most, tolerance),
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
            cost, reg=EPSILON, a=source, b=target, max_iter=iterations["geomloss"], tol=None
        ).plan  # fmt: skip

    return found | {"geomloss": geom}


def measure(quick: bool, device: str) -> Iterator[Row]:
    """Rows for three sizes, forward and both ways, with 100 iterations and to one tolerance."""
    warnings.filterwarnings("ignore", module="ot")
    for time, steps in ((16, 8),) if quick else ((16, 8), (32, 16), (64, 32)):
        given = problem(time, steps, device)
        yield from compare(plans(*given), given, "", f"{time} x {steps}", quick, device)
    for time, steps in ((16, 8),) if quick else ((16, 8), (32, 16), (64, 32)):
        *given, tolerance = problem_of_alignment(time, steps, device)
        count = enough(*given, tolerance, 256 if quick else MOST)
        ways = plans(*given, count, tolerance)
        ways = {name: way for name, way in ways.items() if name in ("ours", *count)}
        to = f" to {100 * tolerance:g} %"
        yield from compare(ways, given, to, f"{time} x {steps}", quick, device, count)


def compare(
    ways: dict,
    given: tuple[Tensor, ...],
    to: str,
    size: str,
    quick: bool,
    device: str,
    count: Mapping[str, int] | None = None,
) -> Iterator[Row]:
    """The plan alone, and with its gradient: the fastest of the others with a goal, then the rest."""
    cost, source, _ = given
    weights = torch.randn(cost.shape, generator=torch.Generator().manual_seed(1)).to(device)

    def forward(way) -> Tensor:
        with torch.no_grad():
            return way()

    def both(way) -> Tensor:
        return torch.autograd.grad((way() * weights).sum(), cost)[0]

    off = {n: 2 * misplaced(forward(w), source) for n, w in ways.items()}
    ours = both(ways["ours"])
    wrong = {n: ((both(w) - ours).norm() / ours.norm()).item() for n, w in ways.items()}
    for label, run in ((f"plan{to}", forward), (f"plan and gradient{to}", both)):
        fast = {n: partial(run, way) for n, way in ways.items() if "loop" not in n}
        seconds = seconds_each(fast, 1 if quick else 10, device)
        loop = {n: partial(run, way) for n, way in ways.items() if "loop" in n}
        seconds |= {} if quick else seconds_each(loop, 1, device)
        others = {n: s / seconds["ours"] for n, s in seconds.items() if n != "ours"}
        fastest = min(others, key=others.get)
        for name in sorted(others, key=lambda n: n != fastest):
            first = name == fastest
            note = f"rows off by {off['ours']:.0e} (ours), {off[name]:.0e}"
            note += f", gradients differ by {wrong[name]:.0e}" if run is both else ""
            note += f", {count[name]} iterations" if count else ""
            what = f"{label}, {size}, {name}" + " (fastest)" * first
            yield Row(what, others[name], 2 if first else None, note=note)
