"""Checks of chapter 02."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def project(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(plan, x)``: each step's average frame, weighted by what it received."""
    import torch

    for _ in range(5):
        frames, steps, channels = (int(n) for n in rng.choice(np.arange(2, 9), 3, replace=False))
        plan, x = (
            torch.as_tensor(rng.random((frames, steps))),
            torch.as_tensor(rng.normal(size=(frames, channels))),
        )
        z = torch.as_tensor(answer(plan.clone(), x.clone()))
        require(
            z.shape != (frames, channels), "this has a row for each frame; asked is one for each step."
        )
        require(
            z.shape == (steps, channels),
            f"the shape is {tuple(z.shape)}; it should have a row for each of the {steps} steps.",
        )
        ones = torch.as_tensor(answer(plan.clone(), torch.ones_like(x)))
        require(
            not torch.allclose(ones, plan.sum(0)[:, None].expand_as(ones)),
            "these are sums; an average does not grow with the mass.",
        )
        require(
            torch.allclose(ones, torch.ones_like(ones)),
            "a clip that stands still must stay still: each step's weights must sum to one over frames.",
        )
        # A matrix of weights is read off from unit clips, and compared with shares counted one by one.
        weights = torch.as_tensor(answer(plan.clone(), torch.eye(frames, dtype=plan.dtype)))
        for t in range(frames):
            for k in range(steps):
                share = plan[t, k] / sum(plan[s, k] for s in range(frames))
                require(
                    abs(weights[k, t] - share) < 1e-9,
                    "a frame's weight in a step should be its share of what that step received.",
                )
    return "constants stay, averages stay inside, and only shares matter."


@check
def after_shift(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(centered, shift)``: the squared distance after one of two centred samples was shifted."""
    for _ in range(10):
        x, y = rng.normal(0, 1, 50), rng.normal(0, 3, 50)
        x, y, shift = (
            np.sort(x - x.mean()),
            np.sort(y - y.mean()),
            float(rng.choice([-1, 1]) * rng.uniform(0.3, 2)),
        )
        centered, shifted = ((x - z) @ (x - z) / 50 for z in (y, y + shift))
        given = float(answer(float(centered), shift))
        misconceptions = {
            "the distance is squared, so the shift must be, too.": (
                centered + shift,
                centered + abs(shift),
            ),
            "distances add up here only after squaring: this adds them first.": (
                (centered**0.5 + abs(shift)) ** 2,
            ),
            "a shift does change the distance.": (centered,),
            "the squared distance is asked for, not its root.": ((centered + shift**2) ** 0.5,),
            "the mixed term vanishes, because both means are zero.": (
                centered + 2 * shift + shift**2,
                (centered**0.5 + shift) ** 2,
            ),
            "a shift moves mass; it cannot save any.": (centered - shift**2,),
        }
        rule_out(given, misconceptions, rtol=1e-9)
        require(
            np.isclose(given, shifted, rtol=1e-9), f"{given:.4f}, but sorting again gives {shifted:.4f}."
        )
    return "the two parts add up."
