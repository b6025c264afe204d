"""6. TFAM and GIRL beside a video backbone: what they add to a training step and to inference.

On a GPU also how much of the device's matrix products a training step makes use of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from row import Row

from piumar_lib.batch import Batch
from piumar_lib.ma52.backbones import compile_layers
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.train import make_objective
from piumar_lib.notebook import costs
from piumar_lib.notebook.costs import count_flops
from piumar_lib.pseudo_groups import StyleGroups

WORK = {"a training step": 0.03, "inference": 0.01}  # and what may be added to it
METHODS = ("ERM", "TFAM", "PIUmr")


def recognizer(
    name: str, backbone: str, count: int, device: str, whole: bool, compiled: bool = False
) -> tuple[Callable, Callable]:
    """A step without the optimiser's, and inference; whole, or of what follows the backbone."""
    config = TrainConfig(backbone=backbone, weights="random", method=name)
    model, objective = build_model(config).to(device), make_objective(config).to(device)
    x = torch.randn(count, model.frames, 3, model.size, model.size, device=device)
    if compiled:
        compile_layers(model.recognizer.backbone[0])
    if not whole:
        with torch.no_grad():
            x = model.recognizer.backbone[0](x)
        model.recognizer.backbone[0] = torch.nn.Identity()
        x.requires_grad_()
    number = torch.arange(count, device=device)
    clips = Batch(x, number // 2, number // 2, number)  # two of each action
    objective.start(model.recognizer, clips, config)
    half = torch.autocast(device, torch.bfloat16, device != "cpu")

    def step() -> None:
        model.recognizer.train()
        model.zero_grad()
        with half:
            loss = objective.loss(model.recognizer, clips)
        loss.backward()

    def predict() -> None:
        model.recognizer.eval()
        with half, torch.no_grad():
            model.recognizer(x)

    return step, predict


def peak_flops(side: int, device: str, dtype: torch.dtype) -> float:
    """FLOPs per second that a device reaches in a product of two ``(side, side)`` matrices."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / costs.seconds_each({"product": lambda: a @ b}, 2, device)["product"]


def channels(backbone: str) -> int:
    return build_model(TrainConfig(backbone=backbone, weights="random")).recognizer.backbone[0].channels


def measure(quick: bool, device: str) -> Iterator[Row]:
    """Shares of time, with 2 clips on a CPU, 32 on a GPU.

    What is added is thousands of times as small as the backbone. On a CPU it would drown in the noise of
    two measurements of the whole, so there the backbone's share and what follows it are measured apart.
    On a GPU what follows is hundreds of tiny operations, which wait for one another when they are alone
    and hardly when the backbone keeps the device busy: there the whole is measured.
    """
    gpu = device != "cpu"
    backbone, count = ("videomae-tiny" if quick else "videomae-base"), (32 if gpu else 2)
    whole, *_ = erm = recognizer("ERM", backbone, count, device, whole=True)
    flops, rounds = count_flops(whole), 1 if quick else 20 if gpu else 3
    full = costs.seconds_each(dict(zip(WORK, erm, strict=True)), rounds, device)
    parts = {name: recognizer(name, backbone, count, device, whole=gpu) for name in METHODS}
    for k, (work, goal) in enumerate(WORK.items()):
        ways = {name: calls[k] for name, calls in parts.items()}
        taken = costs.seconds_each(ways, 2 if quick else 20, device)
        for name in ("TFAM", "PIUmr"):
            added = taken[name] - taken["ERM"]
            share = 100 * added / full[work]
            note = f"{count} clips; {1e3 * added / count:.2g} ms a clip"
            wanted = 100 * goal if name == "PIUmr" else None
            yield Row(f"{name} adds to {work} of {backbone}", share, wanted, True, "%", note)
    # Once a training, not in any step: the styles of a set such as MA-52 are put into groups.
    clips, width = (500 if quick else 13_440), channels(backbone)
    style, y = torch.randn(clips, 2 * width, device=device), torch.arange(clips, device=device) % 52
    every, find = Batch(style, y, y, torch.arange(clips, device=device)), StyleGroups(4).find
    seconds = costs.seconds_each({"groups": lambda: find(style, every, 0)}, 1, device)["groups"]
    share = 100 * seconds / (full["a training step"] * clips / count)
    note = f"{clips} clips in {seconds:.1f} s; of an epoch that costs nothing but its steps"
    yield Row(f"GIRL's groups add to the first epoch of {backbone}", share, None, True, "%", note)
    kind = torch.bfloat16 if gpu else torch.float32
    peak = peak_flops(512 if quick else 8192 if gpu else 2048, device, kind)
    note = f"of {peak / 1e9:.0f} GFLOP/s that a product of matrices reaches in {kind}"
    used = 100 * flops / full["a training step"] / peak
    yield Row(f"FLOPs utilisation, {backbone}", used, None, unit="%", note=note)
    if gpu:
        fused, _ = recognizer("ERM", backbone, count, device, whole=True, compiled=True)
        seconds = costs.seconds_each({"fused": fused}, rounds, device)["fused"]
        used, what = 100 * flops / seconds / peak, f"FLOPs utilisation, {backbone}, compiled"
        yield Row(what, used, 45, unit="%", note=note)
