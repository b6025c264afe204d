"""Profiles of a chapter: sizes of its computations, and their device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PROFILES = ("quick", "full", "gpu")
VARIABLE = "PIUMR_PROFILE"
STYLE = Path(__file__).with_name("piumr.mplstyle")

T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """The chosen profile and the device its tensors live on."""

    name: str
    device: str

    def pick(self, quick: T, full: T, gpu: T | None = None) -> T:
        """Return the value for this profile; ``gpu`` falls back to ``full``."""
        if self.name == "quick":
            return quick
        return gpu if self.name == "gpu" and gpu is not None else full


def start(profile: str = "quick") -> Profile:
    """Set a chapter up: profile, device, figure style. It prints its choices and sets no seed.

    The environment variable ``PIUMR_PROFILE`` overrides the argument, because test runs cannot pass
    parameters to a notebook.

    Args:
        profile: ``"quick"`` (minutes for the whole course), ``"full"`` (of the committed figures) or
            ``"gpu"``.

    Raises:
        ValueError: If the profile is unknown.
        RuntimeError: If the profile is ``gpu`` and torch sees no CUDA device.
    """
    import matplotlib.pyplot as plt
    import torch

    override = os.environ.get(VARIABLE)
    name, source = (override, VARIABLE) if override else (profile, "profile")
    if name not in PROFILES:
        raise ValueError(f"{source}: {name!r} is not a profile. Use one of {', '.join(PROFILES)}.")
    if name == "gpu" and not torch.cuda.is_available():
        raise RuntimeError(
            f"{source}: 'gpu' was asked for, but torch {torch.__version__} sees no CUDA device. "
            "Use 'full', or install a CUDA build of the same torch version."
        )
    device = "cuda" if name == "gpu" else "cpu"
    plt.style.use(STYLE)
    threads = torch.get_num_threads()
    words = f"profile {name}" + (f" (from {VARIABLE})" if override else "")
    print(f"{words}, {device}, torch {torch.__version__}, {threads} thread{'s'[: threads > 1]}")
    if name == "quick":
        print("numbers in the text are of profile full: yours will differ")
    return Profile(name, device)
