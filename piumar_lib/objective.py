"""What training minimises, step by step: the interface of every method at loss level.

`Objective` itself is empirical risk minimisation (ERM): the mean cross-entropy of a batch. A method
overrides as little as its idea needs: `risk`, to average the clips' losses differently; `loss`, to see
model and batch; `update`, to make a step differently; `start` and `before_epoch`, to look at the
training clips as a whole; `finish`, to leave another model than that of the last step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.batch import Batch, Labels
from piumar_lib.recognizer import Model, Prediction
from piumar_lib.stepper import Stepper
from piumar_lib.transport import frame_law_spread


@dataclass(frozen=True)
class ViewWeights:
    """Weights of the loss terms that a recogniser with two views has besides the decision's.

    Attributes:
        supervision: Weight of each view's own cross-entropy.
        consistency: Weight of the Jensen-Shannon divergence between the views' predictions.
        regularizer: Weight of the Wasserstein regulariser on the first view's features.
    """

    supervision: float = 0.5
    consistency: float = 1.0
    regularizer: float = 0.01


class Trainer(Protocol):
    """What an objective may ask of the loop that trains it.

    Attributes:
        epochs: Passes over the training clips.
        seed: Fixes all that is drawn.
    """

    epochs: int
    seed: int

    def identification_model(self, model: Model, share: float) -> Tensor:
        """Logits of all training clips after a plain training of a copy of ``model``.

        Args:
            model: Untrained; it stays as it is.
            share: Share of the epochs that this training takes, in addition.

        Returns:
            Shape ``(n, classes)``.
        """

    def one_more_epoch(self) -> Iterable[Batch]:
        """All training clips once more, in random batches, augmented if those of training are."""


class Objective(nn.Module):
    """Empirical risk minimisation, and the interface of everything that replaces it.

    Args:
        view_weights: Weights of the terms of a recogniser with two views.

    Attributes:
        people: How many people a batch is drawn from, evenly; None draws clips regardless of people.
        label_smoothing: Share of each label that is spread evenly over all classes.
    """

    people: int | None = None
    label_smoothing: float = 0.0

    def __init__(self, view_weights: ViewWeights | None = None) -> None:
        super().__init__()
        self.view_weights = view_weights or ViewWeights()

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Called once, before training, with the labels of all training clips."""

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Called before each epoch (from 0), with the labels of all training clips."""

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Turn the clips' losses ``(batch,)`` into the scalar to be minimised."""
        return losses.mean()

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """The loss of a batch: `risk` of the clips' losses, and the terms between two views."""
        prediction = model(batch.x, batch.y)
        return self.combine(self.clip_losses(prediction, batch.y), prediction, batch)

    def clip_losses(self, prediction: Prediction, y: Tensor) -> Tensor:
        """The loss of each clip of classes ``y`` ``(batch,)``, shape ``(batch,)``."""
        return clip_losses(prediction, y, self.view_weights, self.label_smoothing)

    def combine(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """The loss of a batch from its clips' losses ``(batch,)`` and the prediction they are of."""
        return self.risk(losses, prediction, batch) + agreement(prediction, batch.y, self.view_weights)

    def finish(self, model: Model) -> None:
        """Called once, after training, with the model of the last step."""

    def keep(self, *names: str) -> None:
        """Have a checkpoint keep these attributes, tensors or None, as it keeps parameters."""
        for name in names:
            self.register_buffer(name, None)

    def state(self) -> dict[str, Tensor]:
        """What the objective has learned so far; for a checkpoint.

        With several processes it is that of all of them, so all have to ask at the same time.
        """
        return dict(self.state_dict())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave, after `start`."""
        self.load_state_dict(state)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # What was learned may have another shape than at the start, or not be there any more.
        device = next((b.device for b in self._buffers.values() if b is not None), None)
        for name in self._buffers:
            kept = state_dict.get(prefix + name)
            setattr(self, name, None if kept is None else torch.empty_like(kept, device=device))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def update(self, model: Model, batch: Batch, stepper: Stepper) -> Tensor:
        """Make one step and return the loss, detached."""
        loss = stepper.gradient(partial(self.loss, model), batch)
        stepper.step()
        return loss


def clip_losses(
    prediction: Prediction, y: Tensor, view_weights: ViewWeights, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of each clip, ``(batch,)``: of the decision, of two views, and of coarser labels.

    Args:
        prediction: What the recogniser says about the batch.
        y: Classes, shape ``(batch,)``.
        view_weights: Weights of the terms of a recogniser with two views.
        smoothing: Share of each label that is spread evenly over all classes.
    """
    entropy = partial(F.cross_entropy, target=y, reduction="none", label_smoothing=smoothing)
    losses = entropy(prediction.logits)
    for logits in prediction.view_logits:  # one after the other: the records were made in this order
        losses = losses + view_weights.supervision * entropy(logits)
    if prediction.coarse is not None:
        logits, coarse_of = prediction.coarse
        losses = losses + F.cross_entropy(logits.float(), coarse_of[y], reduction="none")
    return losses


def agreement(prediction: Prediction, y: Tensor, view_weights: ViewWeights) -> Tensor:
    """What two views cost beside their cross-entropy: consistency and regulariser; else zero."""
    if not prediction.view_logits:
        return prediction.logits.new_zeros(())
    consistency = view_weights.consistency * js_divergence(*prediction.view_logits)
    return consistency + view_weights.regularizer * frame_law_spread(prediction.frames[0], y)


def training_loss(prediction: Prediction, y: Tensor, view_weights: ViewWeights | None = None) -> Tensor:
    """What ERM minimises: the mean of `clip_losses`, plus `agreement`."""
    views = view_weights or ViewWeights()
    return clip_losses(prediction, y, views).mean() + agreement(prediction, y, views)


def js_divergence(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """Jensen-Shannon divergence between predictions, in nats, in [0, log 2], batch mean.

    Args:
        logits_a, logits_b: Logits of the two views, shape ``(batch, classes)``.

    Returns:
        A scalar.
    """
    log_a, log_b = logits_a.log_softmax(-1), logits_b.log_softmax(-1)
    middle = torch.logaddexp(log_a, log_b) - math.log(2)
    to_a = F.kl_div(middle, log_a, reduction="batchmean", log_target=True)
    to_b = F.kl_div(middle, log_b, reduction="batchmean", log_target=True)
    return (to_a + to_b) / 2
