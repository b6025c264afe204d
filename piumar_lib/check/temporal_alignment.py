"""Checks of chapter 03."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require


@check
def undo(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(z, mass)``: an aligned clip, back on the clock of ``mass``."""
    import torch

    from piumar_lib import transport

    u = torch.linspace(0, 1, 40, dtype=torch.float64)[None]
    rate, shift = 1 + 2 * torch.as_tensor(rng.random((6, 1))), torch.as_tensor(rng.random((6, 1)))
    x = torch.stack([torch.sin(3 * rate * u**2 + shift), torch.cos(5 * u**3 * shift)], -1)
    mass = transport.time_mass(transport.motion_energy(x), 0.3)
    still = torch.as_tensor(answer(torch.ones(6, 16, 2, dtype=torch.float64), mass.clone()))
    require(still.shape != (6, 16, 2), "this still has a row for each step; we want one for each frame.")
    require(still.shape == x.shape, f"the shape is {tuple(still.shape)} instead of {tuple(x.shape)}.")
    require(
        torch.allclose(still, torch.ones_like(still)),
        "a clip that stands still must stay still: each frame's weights must sum to one over the steps.",
    )
    errors, plain = [], []
    for steps in (10, 40, 160):
        z = transport.barycentric_projection(transport.monotone_coupling(mass, steps), x)
        errors.append((torch.as_tensor(answer(z.clone(), mass.clone())) - x).square().mean().item())
        at = torch.linspace(0, steps - 1, 40).round().long()
        plain.append((z[:, at] - x).square().mean().item())
    require(
        errors[2] < 0.5 * plain[2], "the movement does not come back: its clock is not the one of mass."
    )
    require(
        errors[0] > errors[1] > errors[2] and errors[2] < 1e-4,
        "the error does not go to zero with more steps: is each frame an average over the part of the "
        "steps that it covers?",
    )
    return (
        f"with 10, 40, 160 steps the mean squared error falls: {', '.join(f'{e:.1e}' for e in errors)}."
    )


@check
def borrow_clock(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(x, other, floor)``: the movement of ``x`` in the tempo of ``other``."""
    import torch

    u = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    turns, power = rng.uniform(0.6, 1.2), rng.uniform(1.4, 2.2)

    def way(progress: torch.Tensor) -> torch.Tensor:
        """A path along an arc; only the clock determines the speed along it."""
        angle = 2 * np.pi * turns * progress
        return torch.stack([angle.cos(), angle.sin()], -1)[None]

    def apart(a: torch.Tensor, b: torch.Tensor) -> float:
        return (a - b).square().mean().sqrt().item()

    x, other = way(u), way(u**power)
    larger, back = 2 * other, way(u ** (1 / power))
    out = torch.as_tensor(answer(x.clone(), other.clone(), 0.0))
    require(out.shape == x.shape, f"the shape is {tuple(out.shape)} instead of {tuple(x.shape)}.")
    require(apart(out, x) > 0.1 * apart(other, x), "nothing has changed: it is still on its own clock.")
    borrowed = torch.as_tensor(answer(x.clone(), larger.clone(), 0.0))
    require(
        apart(borrowed, larger) > 0.5 * apart(larger, other),
        "this is the other clip itself; only its clock is to be borrowed, not its movement.",
    )
    require(apart(out, back) > 0.3 * apart(other, back), "this goes the wrong way: early became late.")
    require(
        apart(torch.as_tensor(answer(x.clone(), x.clone(), 0.0)), x) < 0.05,
        "with one's own clock nothing should change. If detail is lost: how many steps does the detour "
        "have?",
    )
    require(
        apart(out, other) < 0.2 * apart(x, other),
        "the same way in the other's tempo should look like the other; this is "
        f"{apart(out, other):.2f} away, and was {apart(x, other):.2f} before.",
    )
    still = torch.as_tensor(answer(x.clone(), other.clone(), 1.0))
    require(
        apart(still, x) < 0.1 * apart(x, other), "at floor 1 all clocks are even: is floor passed on?"
    )
    shorter = torch.as_tensor(answer(x.clone(), other[:, 50:].clone(), 0.0))
    require(
        shorter.shape == (1, 150, 2), "given 200 frames and the clock of 150, the result must have 150."
    )
    return f"distance to the other clip {apart(x, other):.2f} before, {apart(out, other):.3f} after."
