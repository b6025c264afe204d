"""The training loop of all methods, and training on sequences.

`piumar_lib.ma52.train` trains on video with the same loop.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from piumar_lib.augment import augment
from piumar_lib.batch import Batch, Labels
from piumar_lib.data.sequences import Sequences
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Model, Recognizer
from piumar_lib.sampler import batches
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper
from piumar_lib.weight_decay import parameter_groups


def train_steps(
    model: Model,
    objective: Objective,
    clips: Labels,
    drawn: Iterable[Batch],
    stepper: Stepper,
    steps_per_epoch: int,
    first: int = 0,
) -> Iterator[Tensor]:
    """The loop: one step per batch, for every method and every kind of clip.

    ``objective`` has been started; ``drawn`` are the batches of all remaining steps, the ``first`` of
    which is numbered from 0, and more if training resumes. Yields the loss of each step, detached, after
    it.

    Raises:
        FloatingPointError: If the loss becomes NaN or infinite.
    """
    for step, batch in enumerate(drawn, first):
        if step % steps_per_epoch == 0:
            objective.before_epoch(clips, step // steps_per_epoch)
        stepper.begin(step)
        yield objective.update(model.train(), batch, stepper)


def fit(
    model: Recognizer,
    data: Sequences,
    settings: Settings | None = None,
    objective: Objective | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> list[float]:
    """Train in place, on every clip of ``data``; return the mean loss of each epoch.

    The model is moved to ``device``, and its input standardisation is learned from ``data``. By default
    the objective is the mean cross-entropy (ERM).

    Raises:
        ValueError: If the data has more classes than the model.
        FloatingPointError: If the loss becomes NaN or infinite.
    """
    if data.classes > model.head.out_features:
        raise ValueError(
            f"data: {data.classes} classes, but the model has {model.head.out_features}. "
            "Build it with Recognizer(..., classes=data.classes)."
        )
    clips = Batch(
        torch.as_tensor(data.x, device=device),
        torch.as_tensor(data.y, device=device),
        torch.as_tensor(np.unique(data.person, return_inverse=True)[1], device=device),
        torch.arange(len(data), device=device),
    )
    model.to(device).standardize(clips.x)
    return fit_clips(model, clips, settings or Settings(), objective or Objective(), progress)


def fit_clips(
    model: Recognizer, clips: Batch, settings: Settings, objective: Objective, progress: bool = False
) -> list[float]:
    """Train as `fit` does, on clips that are on the model's device already."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        trainer = SequenceTrainer(clips, settings)
        objective.to(clips.x.device).start(model, trainer.labels, trainer)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, objective),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        steps = len(batches(clips.person, settings.batch_size, objective.people))  # of an epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            settings.learning_rate,
            total_steps=max(2, settings.epochs * steps),  # its only step would have the last, tiny rate
        )
        drawn, stepper = trainer.draw(objective.people), Stepper(optimizer, schedule)
        losses = train_steps(model, objective, trainer.labels, drawn, stepper, steps)
        history = _mean_by_epoch(losses, steps, settings, progress)
        objective.finish(model)
    return history


def _mean_by_epoch(
    losses: Iterator[Tensor], steps: int, settings: Settings, progress: bool
) -> list[float]:
    """Run the loop; return the mean loss of each epoch of ``steps`` steps."""
    history = []
    with tqdm(total=settings.epochs, desc="training", disable=not progress) as bar:
        for epoch in range(settings.epochs):
            try:
                of_epoch = [next(losses) for _ in range(steps)]
            except FloatingPointError as error:
                where = f"epoch {epoch + 1} with learning_rate={settings.learning_rate}"
                raise FloatingPointError(f"{where}: {error}") from error
            history.append(torch.stack(of_epoch).mean().item())
            bar.set_postfix(loss=f"{history[-1]:.3f}")
            bar.update()
    return history


class SequenceTrainer:
    """A `Trainer` for clips in memory, with the labels of all of them."""

    def __init__(self, clips: Batch, settings: Settings) -> None:
        self.clips, self.settings = clips, settings
        self.labels = Labels(clips.y, clips.person)
        self.epochs, self.seed = settings.epochs, settings.seed

    def draw(self, people: int | None) -> Iterator[Batch]:
        """Batches of all epochs, each from about ``people`` people, see `batches`."""
        for _ in range(self.epochs):
            for index in batches(self.clips.person, self.settings.batch_size, people):
                yield self._augmented(self.clips.take(index))

    def identification_model(self, model: Model, share: float) -> Tensor:
        """See `Trainer.identification_model`."""
        assert isinstance(model, Recognizer)  # of sequences
        reference = copy.deepcopy(model)
        short = replace(self.settings, epochs=max(1, round(share * self.epochs)))
        fit_clips(reference, self.clips, short, Objective())
        reference.eval()
        with torch.no_grad():
            parts = self.clips.x.split(clips_at_once(self.clips.x.shape[1]))
            return torch.cat([reference(x).logits for x in parts])

    def one_more_epoch(self) -> list[Batch]:
        """See `Trainer.one_more_epoch`."""
        drawn = batches(self.clips.person, self.settings.batch_size)
        return [self._augmented(batch) for batch in [self.clips.take(index) for index in drawn]]

    def _augmented(self, batch: Batch) -> Batch:
        kind = self.settings.augmentation
        if not kind:
            return batch
        return replace(batch, x=augment(batch.x, kind, self.settings.strength))


def clips_at_once(frames: int, most: int = 512) -> int:
    """Number of clips to evaluate at once: a plan has up to frames by frames entries, and two copies."""
    return max(1, min(most, 2**27 // frames**2))  # so that plans take about 1 GB


@torch.no_grad()
def predict(
    model: Recognizer, data: Sequences, batch: int = 512, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Return class probabilities in evaluation mode, shape ``(n, classes)``.

    Long clips are evaluated in smaller batches, see `clips_at_once`.
    """
    model.to(device).eval()
    batch = min(batch, clips_at_once(data.x.shape[1]))
    parts = [
        model(torch.as_tensor(data.x[start : start + batch], device=device)).logits.softmax(-1)
        for start in range(0, len(data), batch)
    ]
    return torch.cat(parts).cpu().numpy()
