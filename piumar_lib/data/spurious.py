"""Clips with a spurious attribute: a positive control for group-robust methods.

Two noisy channels oscillate, and their frequency is the class. Two other channels hold an offset, as of
a sensor that is worn upside down. The offset does not cause the class, but it agrees with it in most
training clips and is a much simpler feature. A recogniser that relies on it fails for the minority:
clips whose offset disagrees.
"""

from __future__ import annotations

import numpy as np

from piumar_lib.data.sequences import Sequences

CYCLES = (2.0, 3.5)  # of the two classes, in a clip
FRAMES = 32


def make_clips(
    clips: int, seed: int, agreement: float = 0.95, noise: float = 0.8, offset: float = 0.5
) -> Sequences:
    """Generate clips of two classes, half of each: four channels of 32 frames.

    ``agreement`` is the fraction of clips of each class whose offset agrees with it; ``noise`` is the
    standard deviation of the noise in each channel, and the oscillation's amplitude is 1. ``person``
    numbers the four groups, ``2 * class + agrees``: 0 and 2 are the minority.

    Raises:
        ValueError: If there are fewer than two clips, or the agreement is not in [0, 1].
    """
    if clips < 2:
        raise ValueError(f"clips: {clips} cannot show two classes. Ask for at least 2.")
    if not 0 <= agreement <= 1:
        raise ValueError(f"agreement: must be in [0, 1], got {agreement}.")
    rng = np.random.default_rng(seed)
    y = np.arange(clips) % 2
    rank = np.arange(clips) // 2  # of a clip in its class
    agrees = (rank < round(agreement * clips / 2)).astype(int)
    side = np.where(agrees == y, 1.0, -1.0)
    time = np.arange(FRAMES)[:, None] / FRAMES
    phase = rng.uniform(0, 2 * np.pi, (clips, 1, 2))
    motion = np.sin(2 * np.pi * np.take(CYCLES, y)[:, None, None] * time + phase)  # (clips, time, 2)
    held = np.broadcast_to(offset * side[:, None, None], motion.shape)
    x = np.concatenate([motion, held], axis=2) + noise * rng.standard_normal((clips, FRAMES, 4))
    return Sequences(x, y, 2 * y + agrees, class_names=("slow", "fast"), name="spurious offset")
