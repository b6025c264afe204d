"""6. TFAM and GIRL beside a video backbone: what they add to a training step and to inference.

On a GPU also how much of the device's matrix products a training step makes use of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from row import Row

from piumar_lib.costs import count_flops, peak_flops, seconds_each
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import MicroActionRecognizer, build_model
from piumar_lib.ma52.train import make_objective
from piumar_lib.objective import Clips, Objective

METHODS = {"ERM": ("none", "erm"), "TFAM": ("tfam", "erm"), "PIUmr": ("tfam", "girl")}


def build(backbone: str, plug: str, loss: str, device: str) -> tuple[MicroActionRecognizer, Objective]:
    """A recogniser with random weights, and what it minimises."""
    config = TrainConfig(backbone=backbone, weights="random", plug=plug, loss=loss)
    return build_model(config).to(device), make_objective(config).to(device)


def some_clips(model: MicroActionRecognizer, count: int, device: str) -> Clips:
    """Noise of the right shape, two clips of each action."""
    video = torch.randn(count, model.frames, 3, model.size, model.size, device=device)
    number = torch.arange(count, device=device)
    return Clips(video, number // 2, number // 2, number)


def measure(quick: bool, device: str) -> Iterator[Row]:
    """Shares in FLOPs and in time; the latter with 2 clips on a CPU, 16 on a GPU."""
    backbone, count = ("videomae-tiny" if quick else "videomae-base"), (2 if device == "cpu" else 16)
    half = torch.autocast(device, torch.bfloat16) if device != "cpu" else nullcontext()
    train, infer, flops = {}, {}, {}
    for name, (plug, loss) in METHODS.items():
        model, objective = build(backbone, plug, loss, device)
        clips = some_clips(model, count, device)
        objective.start(model.recognizer, clips, model.config)

        def step(model=model, objective=objective, clips=clips) -> None:
            model.train().zero_grad()
            with half:
                value = objective.loss(model.recognizer, clips)
            value.backward()

        def predict(model=model, clips=clips) -> None:
            model.eval()
            with half, torch.no_grad():
                model(clips.x)

        train[name], infer[name] = step, predict
        flops[name] = count_flops(step), count_flops(predict)
    rounds = 1 if quick else 2 if device == "cpu" else 20
    seconds = seconds_each(train, rounds, device), seconds_each(infer, rounds, device)
    for k, (work, goal) in enumerate((("a training step", 0.03), ("inference", 0.01))):
        for name in ("TFAM", "PIUmr"):
            more = 100 * (flops[name][k] / flops["ERM"][k] - 1)
            share = seconds[k][name] / seconds[k]["ERM"] - 1
            note = f"{count} clips; FLOPs of matrix products {more:+.2f} %"
            wanted = 100 * goal if name == "PIUmr" else None
            yield Row(f"{name} adds to {work} of {backbone}", 100 * share, wanted, True, "%", note)
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    peak = peak_flops(512 if quick else 2048 if device == "cpu" else 8192, 2, device, kind)
    used = 100 * flops["PIUmr"][0] / seconds[0]["PIUmr"] / peak
    goal = None if device == "cpu" else 45
    note = f"of {peak / 1e9:.0f} GFLOP/s that a product of matrices reaches in {kind}"
    yield Row(f"FLOPs utilisation, {backbone}", used, goal, unit="%", note=note)
