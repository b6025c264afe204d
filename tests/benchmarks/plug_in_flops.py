"""10. FLOPs of what methods add on features, counted: a busy machine does not matter."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from recognizer_step import training_step
from row import Row
from torch.nn.attention import SDPBackend, sdpa_kernel

from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.plug_in_cost import plug_in_cost
from piumar_lib.notebook import costs

GOALS = {"training": ("a training step", 3.0), "inference": ("inference", 1.0)}  # % that may be added
EVERY = 4  # steps between looks of the regulariser at gradients


def inference(method: str, backbone: str) -> int:
    """FLOPs of one clip's inference, attention as plain products."""
    config = TrainConfig(backbone=backbone, weights="random", method=method)
    model = build_model(config).eval()
    film = torch.zeros(1, model.frames, 3, model.size, model.size)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        return costs.count_flops(lambda: model(film))


def added_to_video(backbone: str) -> Iterator[Row]:
    """Shares of a video backbone's work. (GIRL has no products, so TFAM's are all of PIUmr's.)"""
    found = plug_in_cost(backbone)
    for work, (words, goal) in GOALS.items():
        share = 100 * (found[work]["TFAM and GIRL"].flops / found[work]["ERM"].flops - 1)
        what = f"FLOPs that PIUmr adds to {words} of {backbone}"
        yield Row(what, share, goal, True, "%", "counted on features behind the backbone")
    ours, plain = inference("HDF as published", backbone), inference("ERM", backbone)
    what = f"FLOPs that HDF as published adds to inference of {backbone}"
    note = f"counted on maps behind its stages; {(ours - plain) / 1e6:.3g} MFLOPs a clip"
    yield Row(what, 100 * (ours / plain - 1), None, True, "%", note)


def added_to_ours(width: int) -> Row:
    """A step of the course's recogniser with TFAM on features, in units of one without."""
    plain, tfam = (training_step(width, tfam=tfam) for tfam in (False, True))
    flops = sum(costs.count_flops(tfam) for _ in range(EVERY)) / EVERY
    what = f"FLOPs of TFAM on features, a training step at width {width}"
    return Row(what, flops / costs.count_flops(plain), 1.15, at_most=True, note="counted both ways")


def measure(quick: bool) -> Iterator[Row]:
    """What is added behind two video backbones, and in the course's own network at three widths."""
    for backbone in ("videomae-tiny", "resnet-tiny-tsm") if quick else ("videomae-base", "resnet50-tsm"):
        yield from added_to_video(backbone)
    for width in (32,) if quick else (32, 64, 128):
        yield added_to_ours(width)
