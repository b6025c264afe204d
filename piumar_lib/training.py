"""One plain training loop, to be read from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from piumar_lib.augment import augment
from piumar_lib.data.sequences import Sequences
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.tfam import js_divergence
from piumar_lib.transport import frame_law_spread


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: Passes over the training clips.
        batch: Clips in a step.
        rate: Peak learning rate of AdamW; it rises and falls once (one cycle).
        weight_decay: Of AdamW.
        supervision: Weight of each view's own cross-entropy.
        consistency: Weight of the Jensen-Shannon divergence between the views.
        regulariser: Weight of the Wasserstein regulariser on the first view's features.
        augmentation: ``""`` for none, or a kind of `piumar_lib.augment.augment`.
        seed: Fixes batches, augmentation and perturbation (not the model's own initialisation).
    """

    epochs: int = 20
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 1e-2
    supervision: float = 0.5
    consistency: float = 1.0
    regulariser: float = 0.01
    augmentation: str = ""
    seed: int = 0


def training_loss(prediction: Prediction, y: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy of the decision and, for two views, supervision, consistency, regulariser."""
    loss = F.cross_entropy(prediction.logits, y)
    if prediction.view_logits:
        temporal, frequency = prediction.view_logits
        views = F.cross_entropy(temporal, y) + F.cross_entropy(frequency, y)
        loss = loss + settings.supervision * views
        loss = loss + settings.consistency * js_divergence(temporal, frequency)
        loss = loss + settings.regulariser * frame_law_spread(prediction.frames[0], y)
    return loss


def fit(
    model: Recognizer,
    data: Sequences,
    settings: Settings | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> list[float]:
    """Train in place, on every clip of ``data``.

    Args:
        model: Is moved to ``device``; its input standardisation is learned from ``data``.
        data: Training clips.
        settings: See `Settings`.
        device: Where to train.
        progress: Show a progress bar.

    Returns:
        Mean loss of each epoch.

    Raises:
        ValueError: If the data has more classes than the model.
        FloatingPointError: If the loss is not finite any more.
    """
    settings = settings or Settings()
    if data.classes > model.head.out_features:
        raise ValueError(
            f"data: {data.classes} classes, but the model has {model.head.out_features}. "
            "Build it with Recognizer(..., classes=data.classes)."
        )
    model.to(device).train()
    x, y = torch.as_tensor(data.x, device=device), torch.as_tensor(data.y, device=device)
    model.standardise(x)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay
    )
    # At least two clips a batch, because variances are taken over it.
    batches = max(1, round(len(y) / settings.batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.epochs * batches
    )
    history = []
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        epochs = tqdm(range(settings.epochs), desc="training", disable=not progress)
        for epoch in epochs:
            losses = []
            for index in torch.randperm(len(y), device=device).tensor_split(batches):
                clips = x[index]
                if settings.augmentation:
                    clips = augment(clips, settings.augmentation)
                loss = training_loss(model(clips, y[index]), y[index], settings)
                if not torch.isfinite(loss):
                    raise FloatingPointError(
                        f"loss is {loss.item()} in epoch {epoch + 1} with rate={settings.rate}. "
                        "Lower the learning rate, or look for extreme values in the data."
                    )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                losses.append(loss.detach())
            history.append(torch.stack(losses).mean().item())
            epochs.set_postfix(loss=f"{history[-1]:.3f}")
    return history


@torch.no_grad()
def predict(
    model: Recognizer, data: Sequences, batch: int = 512, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Return class probabilities in evaluation mode, shape ``(n, classes)``."""
    model.to(device).eval()
    parts = [
        model(torch.as_tensor(data.x[start : start + batch], device=device)).logits.softmax(-1)
        for start in range(0, len(data), batch)
    ]
    return torch.cat(parts).cpu().numpy()
