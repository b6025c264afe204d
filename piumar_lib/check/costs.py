"""Check of chapter 10."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def training_hours(hours: Callable, rng: np.random.Generator) -> str:
    """``hours(clips, epochs, flops, peak, utilization)`` of a training, in hours."""
    for _ in range(5):
        clips, epochs = int(rng.integers(1000, 20_000)), int(rng.integers(5, 80))
        flops, peak = 10 ** rng.uniform(9, 11.5), 10 ** rng.uniform(11, 14.7)
        used = rng.uniform(0.1, 0.6)
        forward = clips * epochs * flops / peak / used / 3600
        given = float(hours(clips, epochs, flops, peak, used))
        misconceptions = {
            "this is the way forward alone; a backward pass has work of its own.": forward,
            "the backward pass needs more than the forward one: a product for the input, one for the "
            "weights.": 2 * forward,
            "this is in seconds.": 3 * forward * 3600,
            "this is in minutes.": 3 * forward * 60,
            "a poor utilisation makes a training longer, not shorter.": 3 * forward * used**2,
            "no training reaches the peak; where is the utilisation?": 3 * forward * used,
            "this is one epoch.": 3 * forward / epochs,
        }
        rule_out(given, misconceptions, rtol=1e-6)
        require(
            np.isclose(given, 3 * forward, rtol=1e-6),
            f"for {clips} clips, {epochs} epochs, {flops:.1e} FLOPs a clip, a peak of {peak:.1e} and "
            f"utilisation {used:.2f} it says {given:.3g} hours, which is not right.",
        )
    return "three times the forward pass, divided by what the device really does."
