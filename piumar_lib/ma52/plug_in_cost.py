"""The cost of TFAM and GIRL in addition to a video backbone."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from piumar_lib.batch import Batch
from piumar_lib.fusion import EVERY
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.notebook.costs import Work, count_work
from piumar_lib.objective import Objective
from piumar_lib.settings import Settings
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import SequenceTrainer


def plug_in_cost(backbone: str, clips: int = 16) -> dict[str, dict[str, Work]]:
    """Count the work of TFAM and GIRL after a video backbone, including layers that run twice.

    The backbone is counted on torch's ``meta`` device, where nothing is computed; mixing, heads, plug-in
    and loss run for real, on random features of the shape that it gives. Attention counts as plain
    matrix multiplications: a fused kernel starts fewer operations.

    Returns:
        For ``"training"``, a step without the optimiser's, and ``"inference"``, the work on a batch by
        ``"backbone"`` alone, and by all under ``"ERM"``, ``"TFAM"`` and ``"TFAM and GIRL"``.
    """
    config = TrainConfig(backbone=backbone, weights="random", method="ERM")
    with torch.device("meta"):
        model = build_model(config)
        video = torch.empty(clips, model.frames, 3, model.size, model.size)
    big = model.backbone
    shape = big(video).shape  # (clips, frames, channels)
    gradient = video.new_empty(shape)
    with torch.no_grad():
        found = {"inference": {"backbone": count_work(lambda: big.eval()(video))}}
    found["training"] = {"backbone": count_work(lambda: big.train()(video).backward(gradient))}

    x, number = torch.randn(shape, requires_grad=True), torch.arange(clips)
    batch = Batch(x, number // 2, number // 2, number)  # two of each action
    trainer = SequenceTrainer(batch, Settings())
    girl = GroupRobustObjective()
    objectives = {"ERM": Objective(), "TFAM": TwoViews(), "TFAM and GIRL": TwoViews(over=girl)}
    tail = model.recognizer
    tail.backbone[0] = nn.Identity()
    tail.to_empty(device="cpu")
    for part in tail.modules():
        if reset := getattr(part, "reset_parameters", None):
            reset()
    tail.standardize(torch.tensor([[[-1.0], [1.0]]]))

    def step(objective: Objective) -> None:
        tail.train().zero_grad()
        x.grad = None
        objective.loss(tail, batch).backward()

    for name, objective in objectives.items():
        if name != "ERM":
            tail.plug_in = TemporalFrequencyModule.make(big.channels, big.channels)
        objective.start(tail, trainer.labels, trainer)
        for epoch in range(2):  # GIRL finds its groups after the first
            objective.before_epoch(trainer.labels, epoch)
            step(objective)
        # The regulariser compares gradients every few steps.
        steps = [count_work(partial(step, objective)) for _ in range(EVERY)]
        with torch.no_grad():
            alone = count_work(lambda: tail.eval()(x))
        for work, behind in (("training", steps), ("inference", [alone])):
            added = (sum(values) / len(behind) for values in zip(*behind, strict=True))
            both = zip(found[work]["backbone"], added, strict=True)
            found[work][name] = Work(*(sum(pair) for pair in both))
    return found
