"""Hyperparameters of training on sequences."""

from __future__ import annotations

from dataclasses import dataclass

from piumar_lib.support.ranges import Count, NonNegative, Positive


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of training.

    Attributes:
        epochs: Passes over the training clips.
        batch_size: Clips in a step.
        learning_rate: Peak learning rate of AdamW; it rises and falls once (one cycle), while beta1
            falls from 0.95 to 0.85 and rises again.
        weight_decay: Weight decay of AdamW.
        augmentation: A kind of `piumar_lib.augment.augment`, or ``""`` for none.
        strength: Strength of the augmentation, as a factor on its defaults.
        seed: Seed of batches, augmentation and perturbation (not of the model's initialisation).
    """

    epochs: Count = 20
    batch_size: Count = 64
    learning_rate: Positive = 3e-3
    weight_decay: NonNegative = 1e-2
    augmentation: str = ""
    strength: Positive = 1.0
    seed: int = 0
