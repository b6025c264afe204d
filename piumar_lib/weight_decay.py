"""Which parameters have weight decay: weights, but not floors, gates and scales."""

from __future__ import annotations

from typing import Any

from torch import nn


def kept_parameters(*modules: nn.Module) -> set[int]:
    """``id`` of each parameter that its module names in ``no_weight_decay``."""
    return {
        id(getattr(module, name))
        for root in modules
        for module in root.modules()
        for name in getattr(module, "no_weight_decay", ())
    }


def parameter_groups(*modules: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: those with weight decay, then those without, if any.

    A module names the latter in ``no_weight_decay``: parameters for which zero is not a neutral value.
    Decay would pull the floor of a `MotionClock` to one half, for example, regardless of the data.
    """
    kept = kept_parameters(*modules)
    parameters = [p for root in modules for p in root.parameters()]
    groups: list[dict[str, Any]] = [{"params": [p for p in parameters if id(p) not in kept]}]
    if kept:
        groups.append({"params": [p for p in parameters if id(p) in kept], "weight_decay": 0.0})
    return groups
