"""Clips with a spurious attribute: where group robustness must win, or it is broken.

Two noisy channels oscillate, and their frequency is the class. Two other channels hold an offset, as a
sensor does that is worn the other way round. The offset says nothing about the class, but in most
training clips it agrees with it, and it is far easier to see. A recogniser that leans on it fails for
the minority: clips whose offset disagrees.
"""

from __future__ import annotations

import numpy as np

from piumar_lib.data.sequences import Sequences

CYCLES = (2.0, 3.5)  # of the two classes, in a clip
FRAMES = 32


def make_clips(
    clips: int, seed: int, agreement: float = 0.95, noise: float = 0.8, offset: float = 0.5
) -> Sequences:
    """Make clips of two classes, half of each.

    Args:
        clips: Number of clips.
        seed: Seed of everything that is drawn.
        agreement: Share of clips of each class whose offset agrees with it, in [0, 1].
        noise: Standard deviation of the noise in each channel; the oscillation's amplitude is 1.
        offset: Size of the offset.

    Returns:
        Four channels of 32 frames. ``person`` numbers the four groups, ``2 * class + agrees``: 0 and 2
        are the minority.

    Raises:
        ValueError: If there are fewer than two clips, or the agreement is no share.
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
