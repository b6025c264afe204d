"""Training objectives: the interface of every method that changes the loss or the step.

`Objective` itself is empirical risk minimisation (ERM): the mean cross-entropy of a batch. A method
overrides as little as it needs: `risk`, to average the clips' losses differently; `loss`, to use model
and batch; `update`, to change the step; `start` and `before_epoch`, to use all training clips; `finish`,
to return a model other than that of the last step.
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
    """Weights of the additional loss terms of a recogniser with two views.

    Attributes:
        supervision: Weight of each view's own cross-entropy.
        consistency: Weight of the Jensen-Shannon divergence between the views' predictions.
        regularizer: Weight of the Wasserstein regulariser on the first view's features.
    """

    supervision: float = 0.5
    consistency: float = 1.0
    regularizer: float = 0.01


class Trainer(Protocol):
    """What the training loop offers to an objective.

    Attributes:
        epochs: Passes over the training clips.
        seed: Seed of all random draws.
    """

    epochs: int
    seed: int

    def identification_model(self, model: Model, share: float) -> Tensor:
        """Logits of all training clips from a copy of ``model`` that is trained by ERM.

        Args:
            model: Untrained model; it is not changed.
            share: Epochs of this additional training, as a fraction of ``epochs``.

        Returns:
            Shape ``(n, classes)``.
        """

    def one_more_epoch(self) -> Iterable[Batch]:
        """One more pass over all training clips in random batches, augmented if training is."""


class Objective(nn.Module):
    """Empirical risk minimisation (ERM), and the base class of every other objective.

    Args:
        view_weights: Weights of the terms of a recogniser with two views.

    Attributes:
        people: Number of people from whom a batch is drawn, with equal numbers of clips; None draws
            clips regardless of people.
        label_smoothing: Fraction of each label that is spread uniformly over all classes.
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
        """The loss of a batch, from its clips' losses ``(batch,)`` and the prediction."""
        return self.risk(losses, prediction, batch) + agreement(prediction, batch.y, self.view_weights)

    def finish(self, model: Model) -> None:
        """Called once, after training, with the model of the last step."""

    def keep(self, *names: str) -> None:
        """Register attributes, tensors or None, that checkpoints save besides the parameters."""
        for name in names:
            self.register_buffer(name, None)

    def state(self) -> dict[str, Tensor]:
        """State of the objective, for a checkpoint.

        With several processes the state is gathered from all of them, so all have to call this together.
        """
        return dict(self.state_dict())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` returned; call it after `start`."""
        self.load_state_dict(state)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # The state may have another shape than at the start, or may have become None.
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
    """Cross-entropy of each clip, ``(batch,)``: of the decision, of each view, and of coarser labels.

    ``smoothing`` is the fraction of each label that is spread uniformly over all classes.
    """
    entropy = partial(F.cross_entropy, target=y, reduction="none", label_smoothing=smoothing)
    losses = entropy(prediction.logits)
    for logits in prediction.view_logits:  # added in this order, in which the records were computed
        losses = losses + view_weights.supervision * entropy(logits)
    if prediction.coarse is not None:
        logits, coarse_of = prediction.coarse
        losses = losses + F.cross_entropy(logits.float(), coarse_of[y], reduction="none")
    return losses


def agreement(prediction: Prediction, y: Tensor, view_weights: ViewWeights) -> Tensor:
    """Loss terms between two views: consistency and regulariser; zero for one view."""
    if not prediction.view_logits:
        return prediction.logits.new_zeros(())
    consistency = view_weights.consistency * js_divergence(*prediction.view_logits)
    return consistency + view_weights.regularizer * frame_law_spread(prediction.frames[0], y)


def training_loss(prediction: Prediction, y: Tensor, view_weights: ViewWeights | None = None) -> Tensor:
    """ERM's loss: the mean of `clip_losses`, plus `agreement`."""
    views = view_weights or ViewWeights()
    return clip_losses(prediction, y, views).mean() + agreement(prediction, y, views)


def js_divergence(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """Jensen-Shannon divergence between predictions, in nats, in [0, log 2], batch mean.

    The two views' logits have shape ``(batch, classes)``.
    """
    log_a, log_b = logits_a.log_softmax(-1), logits_b.log_softmax(-1)
    middle = torch.logaddexp(log_a, log_b) - math.log(2)
    to_a = F.kl_div(middle, log_a, reduction="batchmean", log_target=True)
    to_b = F.kl_div(middle, log_b, reduction="batchmean", log_target=True)
    return (to_a + to_b) / 2
