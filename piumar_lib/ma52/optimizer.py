"""Optimiser and learning rates: decay by layer, and schedule over training."""

from __future__ import annotations

import math
import re

import torch
from torch import nn

from piumar_lib.ma52.config import TrainConfig
from piumar_lib.weight_decay import kept_parameters

# Names of a backbone's layers, from the input up; all other names belong to its input.
_LAYERS = re.compile(r"\.encoder\.(?:layer|stages)\.(\d+)\.|^recognizer\.backbone\.block(\d+)\.")


def depth(name: str, layers: int) -> int:
    """Depth of a parameter: 0 is the backbone's input, ``layers + 1`` a new layer.

    New layers are those after the backbone, which has that many ``layers`` (or stages), or inserted
    after one of its stages. The parameter is of a `piumar_lib.ma52.model.MicroActionRecognizer`.
    """
    if ".behind." in name:
        return layers + 1
    if found := _LAYERS.search(name):
        return int(found[1] or found[2]) + 1
    if not name.startswith("recognizer.backbone.0."):
        return layers + 1
    # A norm after the last layer belongs to it.
    return layers if "layernorm" in name and "embedd" not in name else 0


def count_layers(model: nn.Module) -> int:
    """Layers (or stages) of the model's backbone."""
    found = [_LAYERS.search(name) for name, _ in model.named_parameters()]
    return 1 + max(int(match[1] or match[2]) for match in found if match)


def parameter_groups(
    model: nn.Module, config: TrainConfig, objective: nn.Module | None = None
) -> list[dict]:
    """Parameters by depth and decay; each group's ``share`` is its learning rate over the top's.

    The learning rate falls by ``layer_decay`` from each layer to the one below it; an objective's own
    parameters have the top's. Biases and norms, and TFAM's floor and gate, have no weight decay: zero is
    not a neutral value for them.
    """
    layers = count_layers(model)
    named = [*model.named_parameters(), *(objective or nn.Module()).named_parameters()]
    kept = kept_parameters(model, *([objective] if objective else []))
    groups: dict[tuple[int, bool], dict] = {}
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        key = (depth(name, layers), parameter.ndim > 1 and id(parameter) not in kept)
        share = config.layer_decay ** (layers + 1 - key[0])
        decay = config.weight_decay if key[1] else 0.0
        group = groups.setdefault(key, {"params": [], "share": share, "weight_decay": decay})
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def make_optimizer(
    model: nn.Module, config: TrainConfig, objective: nn.Module | None = None
) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum, over `parameter_groups`."""
    groups = parameter_groups(model, config, objective)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.learning_rate, momentum=config.sgd_momentum)
    return torch.optim.AdamW(groups, config.learning_rate, fused=True)


def rate_at(step: int, steps_per_epoch: int, config: TrainConfig) -> float:
    """Learning rate of the top layers at a step, counted from 0.

    It rises linearly during warm-up. ``"cosine"`` then falls to 0 along half a cosine; ``"steps"``
    stays, and is divided by 10 after each epoch of ``milestones``.
    """
    epoch = step / steps_per_epoch
    if epoch < config.warmup:
        return config.learning_rate * (step + 1) / math.ceil(config.warmup * steps_per_epoch)
    if config.scheduler == "steps":
        return config.learning_rate * 0.1 ** sum(epoch >= drop for drop in config.milestones)
    share = (epoch - config.warmup) / (config.epochs - config.warmup)
    return config.learning_rate * (1 + math.cos(math.pi * share)) / 2


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group to its fraction of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
