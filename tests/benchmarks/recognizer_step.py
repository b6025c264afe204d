"""7. A training step of the course's own recogniser with TFAM on features, as it is and compiled."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import torch
from row import Row

from piumar_lib.backbones import tiny_cnn
from piumar_lib.batch import Batch
from piumar_lib.notebook import costs
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews

CLIPS, FRAMES, CHANNELS, CLASSES = 64, 32, 34, 12


def training_step(width: int, tfam: bool, backend: str = "") -> Callable[[], None]:
    """A step of that many channels without the optimiser's; a backend compiles plug-in and fusion."""
    plug_in = TemporalFrequencyModule.make(width, width) if tfam else None
    model = Recognizer(tiny_cnn(CHANNELS, width), width, CLASSES, plug_in, "features")
    number = torch.arange(CLIPS)
    clips = Batch(torch.randn(CLIPS, FRAMES, CHANNELS), number % CLASSES, number % 10, number)
    objective = TwoViews() if tfam else Objective()
    objective.start(model, clips, None)
    if backend:
        plug_in.views = torch.compile(plug_in.views, backend=backend)
        plug_in.fusion = torch.compile(plug_in.fusion, backend=backend)

    def step() -> None:
        model.train().zero_grad()
        objective.loss(model, clips).backward()

    return step


def measure(quick: bool) -> Iterator[Row]:
    """Time in units of the same recogniser's step without TFAM, at three widths, on one thread."""
    compiles = any(map(shutil.which, ("g++", "clang++", "c++", "cl")))
    backend = "aot_eager" if quick else "inductor"  # most of a quick run would be C++ compilation
    for width in (32,) if quick else (32, 64, 128):
        steps = {"ERM": training_step(width, tfam=False), "TFAM": training_step(width, tfam=True)}
        seconds = 0.0
        if compiles:
            steps["compiled"] = training_step(width, tfam=True, backend=backend)
            start = time.perf_counter()
            steps["compiled"]()
            seconds = time.perf_counter() - start
        taken = costs.seconds_each(steps, 2 if quick else 10)
        note = f"{1e3 * taken['ERM']:.1f} ms without"
        what = f"TFAM on features, a training step at width {width}"
        yield Row(what, taken["TFAM"] / taken["ERM"], 1.15, at_most=True, note=note)
        note += f"; its first step takes {seconds:.0f} s"
        if compiles:
            ratio = taken["compiled"] / taken["ERM"]
            yield Row(f"{what}, compiled", ratio, 1.15, at_most=True, note=note)
        else:
            yield Row(f"{what}, compiled", None, 1.15, at_most=True, note="needs a C++ compiler")
