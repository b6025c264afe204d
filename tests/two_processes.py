"""Trains methods as one process of several, or alone; test_ma52_train compares both."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import torch
import torch.distributed as dist

from piumar_lib.alignment import UniformClock
from piumar_lib.evidence import methods
from piumar_lib.ma52 import train
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.stepper import SharedStepper
from piumar_lib.running import RunningMean


def main(plan: str | Path, out: str | Path) -> None:
    """Do the trainings of a plan; keep the gradients of each step, by folder and method."""
    torch.set_num_threads(1)
    methods.MotionClock = lambda floor: UniformClock()
    step, gradients = SharedStepper.step, defaultdict(list)

    def spy(self):
        model = self.accelerator.unwrap_model(self.model)
        own = {f"own {k}": p for k, p in enumerate(self.own)}
        named = dict(model.named_parameters()) | own
        of = f"{Path(self.config.out).parent.name}: {self.config.method}"
        gradients[of].append({n: p.grad.clone() for n, p in named.items()})
        step(self)

    SharedStepper.step = spy
    for settings in json.loads(Path(plan).read_text()):
        train.train(TrainConfig.make(**settings), progress=False)
    rank = int(os.environ.get("RANK", 0))
    world = dist.get_world_size() if dist.is_initialized() else 1
    running = RunningMean()
    running.update(torch.tensor(1.0 + rank))
    assert running.mean == (1 + world) / 2, "a statistic of all processes"
    if rank == 0:
        torch.save(dict(gradients) | {"processes": world}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
    dist.barrier()
    sys.stdout.flush()
    os._exit(0)  # gloo may abort while it is torn down
