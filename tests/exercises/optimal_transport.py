"""Answers to the exercises of chapter 02."""

from __future__ import annotations

import torch

from exercises import Answers
from piumar_lib import transport


def half_normalized(plan, x):
    return plan.T @ (x / plan.sum(1)[:, None])


def most_of_it(plan, x):
    return x[plan.argmax(0)]


ANSWERS = {
    "project": Answers(
        lambda plan, x: transport.barycentric_projection(plan[None], x[None])[0],
        {
            "sums": lambda plan, x: plan.T @ x,
            "stand": half_normalized,
            "row for each of": lambda plan, x: (x.T @ plan) / plan.sum(0),
            "share of what": most_of_it,
            "weights must sum to one": lambda plan, x: plan.T @ x / plan.sum(),
            "row for each frame": lambda plan, x: plan.sum(1)[:, None] * x,
        },
    ),
    "after_shift": Answers(
        lambda centered, shift: torch.tensor([centered**0.5, shift], dtype=torch.float64).norm() ** 2,
        {
            "must be, too": lambda centered, shift: centered + shift,
            "adds them first": lambda centered, shift: (centered**0.5 + abs(shift)) ** 2,
            "does change": lambda centered, shift: centered,
            "not its root": lambda centered, shift: (centered + shift**2) ** 0.5,
            "mixed term": lambda centered, shift: centered + 2 * shift + shift**2,
            "cannot save": lambda centered, shift: centered - shift**2,
            "sorting again": lambda centered, shift: centered + shift**2 / 2,
        },
    ),
}
