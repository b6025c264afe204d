"""2. The exact plan on a line, batch 64, 32 frames to 32 steps: ours against POT's in a loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from row import Row

from piumar_lib.notebook.costs import seconds_each
from piumar_lib.transport import monotone_coupling


def measure(quick: bool, device: str) -> Iterator[Row]:
    """One row; both plans are compared first."""
    import ot

    batch, frames = 8 if quick else 64, 32
    generator = torch.Generator().manual_seed(0)
    mass = torch.rand(batch, frames, generator=generator) + 0.1
    mass = (mass / mass.sum(1, keepdim=True)).to(device)
    place, equal = np.arange(frames, dtype=float), np.full(frames, 1 / frames)

    def loop() -> np.ndarray:
        return np.stack([ot.emd_1d(place, place, m, equal) for m in mass.cpu().numpy()])

    difference = np.abs(monotone_coupling(mass, frames).cpu().numpy() - loop()).max()
    ways = {"ours": lambda: monotone_coupling(mass, frames), "loop": loop}
    seconds = seconds_each(ways, 1 if quick else 20, device)
    note = f"plans differ by {difference:.0e}"
    ratio = seconds["loop"] / seconds["ours"]
    yield Row("exact plan, 64 x 32 x 32, POT in a loop", ratio, 100, note=note)
