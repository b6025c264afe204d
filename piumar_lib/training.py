"""One plain training loop, to be read from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from piumar_lib.augment import augment
from piumar_lib.data.sequences import Sequences
from piumar_lib.objective import Clips, Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.weight_decay import parameter_groups


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: Passes over the training clips.
        batch: Clips in a step.
        rate: Peak learning rate of AdamW; it rises and falls once (one cycle).
        weight_decay: Of AdamW.
        augmentation: ``""`` for none, or a kind of `piumar_lib.augment.augment`.
        strength: Of the augmentation, as a factor on its defaults.
        seed: Fixes batches, augmentation and perturbation (not the model's own initialisation).
    """

    epochs: int = 20
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 1e-2
    augmentation: str = ""
    strength: float = 1.0
    seed: int = 0


def fit(
    model: Recognizer,
    data: Sequences,
    settings: Settings | None = None,
    objective: Objective | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> list[float]:
    """Train in place, on every clip of ``data``.

    Args:
        model: Is moved to ``device``; its input standardisation is learned from ``data``.
        data: Training clips.
        settings: See `Settings`.
        objective: What to minimise; by default the mean cross-entropy (ERM).
        device: Where to train.
        progress: Show a progress bar.

    Returns:
        Mean loss of each epoch.

    Raises:
        ValueError: If the data has more classes than the model.
        FloatingPointError: If the loss is not finite any more.
    """
    if data.classes > model.head.out_features:
        raise ValueError(
            f"data: {data.classes} classes, but the model has {model.head.out_features}. "
            "Build it with Recognizer(..., classes=data.classes)."
        )
    clips = Clips(
        torch.as_tensor(data.x, device=device),
        torch.as_tensor(data.y, device=device),
        torch.as_tensor(np.unique(data.person, return_inverse=True)[1], device=device),
        torch.arange(len(data), device=device),
    )
    model.to(device).standardise(clips.x)
    return fit_clips(model, clips, settings or Settings(), objective or Objective(), progress)


def fit_clips(
    model: Recognizer, clips: Clips, settings: Settings, objective: Objective, progress: bool = False
) -> list[float]:
    """The loop of `fit`, on clips that are on the model's device already."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        objective.to(clips.x.device).start(model, clips, settings)
        model.train()
        optimiser = torch.optim.AdamW(
            parameter_groups(model, objective),
            lr=settings.rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        total = settings.epochs * len(batches(clips.person, settings.batch, objective.people))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=total)
        history = []
        epochs = tqdm(range(settings.epochs), desc="training", disable=not progress)
        for epoch in epochs:
            objective.before_epoch(clips, epoch)
            losses = []
            for index in batches(clips.person, settings.batch, objective.people):
                batch = clips.take(index)
                if settings.augmentation:
                    batch = replace(batch, x=augment(batch.x, settings.augmentation, settings.strength))
                try:
                    losses.append(objective.update(model, batch, optimiser))
                except FloatingPointError as error:
                    where = f"epoch {epoch + 1} with rate={settings.rate}"
                    raise FloatingPointError(f"{where}: {error}") from error
                schedule.step()
            history.append(torch.stack(losses).mean().item())
            epochs.set_postfix(loss=f"{history[-1]:.3f}")
        objective.finish(model)
    return history


def batches(person: Tensor, size: int, people: int | None = None) -> list[Tensor]:
    """Deal all clips into batches at random: each clip once, in batches of nearly equal size.

    Args:
        person: Who made each clip, shape ``(n,)``.
        size: Clips in a batch, about.
        people: Draw each batch from so many people, evenly; None deals regardless of people.

    Returns:
        Places of the clips of each batch. With ``people``, whoever has many clips comes more often.
    """
    order = torch.randperm(len(person), device=person.device)
    if people is None:
        # At least two clips a batch, because variances are taken over it.
        return list(order.tensor_split(max(1, round(len(order) / size))))
    hands = []
    for p in person.unique():
        own = order[person[order] == p]
        dealt = own.tensor_split(max(1, round(len(own) * people / size)))
        # Each person's hands are spread over the epoch, so that neighbours are different people.
        at = (torch.arange(len(dealt)) + torch.rand(len(dealt))) / len(dealt)
        hands += zip(at.tolist(), dealt, strict=True)
    hands = [hand for _, hand in sorted(hands, key=lambda pair: pair[0])]
    groups = np.array_split(np.arange(len(hands)), max(1, round(len(hands) / people)))
    return [torch.cat([hands[k] for k in group]) for group in groups]


def clips_at_once(frames: int, most: int = 512) -> int:
    """How many clips to judge at once: a clip's plan has frames by frames entries, and two copies."""
    return max(1, min(most, 2**27 // frames**2))  # so that plans take about 1 GB


@torch.no_grad()
def predict(
    model: Recognizer, data: Sequences, batch: int = 512, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Return class probabilities in evaluation mode, shape ``(n, classes)``.

    Long clips go in smaller batches, see `clips_at_once`.
    """
    model.to(device).eval()
    batch = min(batch, clips_at_once(data.x.shape[1]))
    parts = [
        model(torch.as_tensor(data.x[start : start + batch], device=device)).logits.softmax(-1)
        for start in range(0, len(data), batch)
    ]
    return torch.cat(parts).cpu().numpy()
