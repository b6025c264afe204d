"""6. TFAM and GIRL beside a video backbone: what they add to a training step and to inference.

On a GPU also how much of the device's matrix products a training step makes use of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from row import Row

from piumar_lib import costs
from piumar_lib.costs import count_flops
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.train import make_objective
from piumar_lib.objective import Clips

WORK = {"a training step": 0.03, "inference": 0.01}  # and what may be added to it
METHODS = {"ERM": ("none", "erm"), "TFAM": ("tfam", "erm"), "PIUmr": ("tfam", "girl")}


def behind_the_backbone(name: str, backbone: str, count: int, device: str) -> tuple[Callable, Callable]:
    """A training step, and inference, of all that follows the backbone, from its features on."""
    plug, loss = METHODS[name]
    config = TrainConfig(backbone=backbone, weights="random", plug=plug, loss=loss)
    model, objective = build_model(config).to(device), make_objective(config).to(device)
    video = torch.randn(count, model.frames, 3, model.size, model.size, device=device)
    with torch.no_grad():
        features = model.recognizer.backbone[0](video).requires_grad_()
    model.recognizer.backbone[0] = torch.nn.Identity()
    number = torch.arange(count, device=device)
    clips = Clips(features, number // 2, number // 2, number)  # two of each action
    objective.start(model.recognizer, clips, config)

    def step() -> None:
        model.recognizer.train()
        objective.loss(model.recognizer, clips).backward()

    def predict() -> None:
        model.recognizer.eval()
        with torch.no_grad():
            model.recognizer(features)

    return step, predict


def the_backbone(backbone: str, count: int, device: str) -> tuple[Callable, Callable, int]:
    """The same of the backbone alone; and the FLOPs of its step."""
    config = TrainConfig(backbone=backbone, weights="random", plug="none", loss="erm")
    model = build_model(config).to(device)
    network, half = model.recognizer.backbone[0], torch.autocast(device, torch.bfloat16, device != "cpu")
    video = torch.randn(count, model.frames, 3, model.size, model.size, device=device)

    def step() -> None:
        with half:
            features = network.train()(video)
        features.float().square().mean().backward()

    def predict() -> None:
        with half, torch.no_grad():
            network.eval()(video)

    return step, predict, count_flops(step)


def measure(quick: bool, device: str) -> Iterator[Row]:
    """Shares of time, with 2 clips on a CPU, 16 on a GPU.

    What is added is thousands of times as small as the backbone. It would drown in the noise of two
    measurements of the whole, so the backbone and what follows it are measured apart.
    """
    backbone, count = ("videomae-tiny" if quick else "videomae-base"), (2 if device == "cpu" else 16)
    *large, flops = the_backbone(backbone, count, device)
    rounds = 1 if quick else 3 if device == "cpu" else 20
    whole = costs.seconds_each(dict(zip(WORK, large, strict=True)), rounds, device)
    parts = {name: behind_the_backbone(name, backbone, count, device) for name in METHODS}
    for k, (work, goal) in enumerate(WORK.items()):
        small = {name: calls[k] for name, calls in parts.items()}
        taken = costs.seconds_each(small, 2 if quick else 20, device)
        for name in ("TFAM", "PIUmr"):
            share = (taken[name] - taken["ERM"]) / (whole[work] + taken["ERM"])
            note = f"{count} clips; {1e3 * (taken[name] - taken['ERM']) / count:.2f} ms a clip"
            wanted = 100 * goal if name == "PIUmr" else None
            yield Row(f"{name} adds to {work} of {backbone}", 100 * share, wanted, True, "%", note)
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    peak = costs.peak_flops(512 if quick else 2048 if device == "cpu" else 8192, 2, device, kind)
    used = 100 * flops / whole["a training step"] / peak
    goal = None if device == "cpu" else 45
    note = f"of {peak / 1e9:.0f} GFLOP/s that a product of matrices reaches in {kind}"
    yield Row(f"FLOPs utilisation, {backbone}", used, goal, unit="%", note=note)
