"""Answers to the exercises of chapter 03."""

from __future__ import annotations

import torch

from exercises import Answers
from piumar_lib import transport


def _plan(mass, steps):
    return transport.monotone_coupling(mass, steps)


def _clock(x, floor):
    return transport.time_mass(transport.motion_energy(x), floor)


def _align(x, floor, clock=None):
    plan = _plan(_clock(x if clock is None else clock, floor), x.shape[1])
    return transport.barycentric_projection(plan, x)


def undo_by_einsum(z, mass):
    plan = _plan(mass, z.shape[1])
    share = plan / torch.einsum("btk->bt", plan)[:, :, None]
    return torch.einsum("btk,bkc->btc", share, z)


def undo_without_mass(z, mass):
    return undo_by_einsum(z, torch.full_like(mass, 1 / mass.shape[1]))


def undo_backwards(z, mass):
    return undo_by_einsum(z, mass).flip(1)


def undo_at_ends(z, mass):
    step = (mass.cumsum(1) * z.shape[1]).long().clamp(max=z.shape[1] - 1)
    return z.take_along_dim(step[:, :, None], 1)


def forth_again(z, mass):
    return transport.barycentric_projection(
        _plan(mass, z.shape[1]), z.mean(1, keepdim=True).expand(-1, mass.shape[1], -1)
    )


def borrow(x, other, floor):
    return undo_by_einsum(_align(x, floor), _clock(other, floor))


def borrow_by_few_steps(x, other, floor):
    z = transport.barycentric_projection(_plan(_clock(x, floor), 16), x)
    return undo_by_einsum(z, _clock(other, floor))


def borrow_for_equal_lengths(x, other, floor):
    even = torch.nn.functional.interpolate(other.mT, x.shape[1], mode="linear").mT
    return borrow(x, even, floor)


def borrow_and_keep_floor(x, other, floor):
    return undo_by_einsum(_align(x, 0.0), _clock(other, 0.0))


ANSWERS = {
    "undo": Answers(
        undo_by_einsum,
        {
            "weights must sum to one": lambda z, mass: _plan(mass, z.shape[1]) @ z,
            "row for each step": forth_again,
            "clock is not": undo_without_mass,
            "does not come back": undo_backwards,
            "shape is": lambda z, mass: undo_by_einsum(z, mass).mT,
            "does not go to zero": undo_at_ends,
        },
    ),
    "borrow_clock": Answers(
        borrow,
        {
            "nothing has changed": lambda x, other, floor: undo_by_einsum(
                _align(x, floor), _clock(x, floor)
            ),
            "other clip itself": lambda x, other, floor: undo_by_einsum(
                _align(other, floor), _clock(other, floor)
            ),
            "wrong way": lambda x, other, floor: _align(x, floor, clock=other),
            "should look like the other": lambda x, other, floor: (x + borrow(x, other, floor)) / 2,
            "is floor passed on": borrow_and_keep_floor,
            "one's own clock": lambda x, other, floor: borrow(x, other, floor) + 0.2,
            "how many steps": borrow_by_few_steps,
            "must have 150": borrow_for_equal_lengths,
        },
    ),
}
