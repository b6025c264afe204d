"""Weight averaging: the mean of the weights over training, instead of the last ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from piumar_lib.batch import Batch, Labels
from piumar_lib.objective import Objective, Trainer
from piumar_lib.recognizer import Model
from piumar_lib.stepper import Stepper
from piumar_lib.support.data_parallel import average_over_processes
from piumar_lib.support.ranges import ShareBelowOne, checked


class WeightAveraging(Objective):
    """Any objective, with the weights averaged over all steps after a warm-up.

    From SWAD (Cha et al., NeurIPS 2021): the weights of *every* step are averaged, with equal weights.
    SWAD chooses the first and the last of these steps by the loss on held-out clips. Here nothing is
    held out and the length is fixed, so averaging begins after a fixed fraction of the epochs, as in the
    simple moving average of Arpit et al. (NeurIPS 2022), and lasts to the end.

    Ours: where it begins. Not an exponential average: its length is counted in steps, of which small
    data sets have few, and the last steps of one cycle, with a learning rate near zero, are all alike.

    Averaged weights have features of their own mean and variance. So one pass over the training clips,
    augmented as in training, estimates the statistics of batch normalisation anew (`update_bn`). Other
    buffers stay as the last step and this pass leave them.

    Args:
        over: Objective that is minimised, by default the mean cross-entropy.
        warm_up: Fraction of the epochs before averaging begins; the last epoch is always averaged.

    Raises:
        ValueError: If ``warm_up`` is out of range.
    """

    @checked
    def __init__(self, over: Objective | None = None, warm_up: ShareBelowOne = 0.5) -> None:
        over = over or Objective()
        super().__init__(over.view_weights)
        self.keep("now")
        self.over, self.people, self.warm_up = over, over.people, warm_up

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Compute the epoch at which averaging begins."""
        assert isinstance(model, nn.Module)
        self.over.start(model, clips, trainer)
        self.trainer, self.now = trainer, torch.tensor(0)
        self.switch = min(round(self.warm_up * trainer.epochs), trainer.epochs - 1)
        # Its parameters have no gradient, so that no optimiser moves them.
        self.average = AveragedModel(model).requires_grad_(False)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Store the number of the epoch."""
        self.over.before_epoch(clips, epoch)
        self.now = torch.tensor(epoch)

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """That of the objective."""
        return self.over.loss(model, batch)

    def update(self, model: Model, batch: Batch, stepper: Stepper) -> Tensor:
        """Make the objective's step, and add its weights to the average."""
        loss = self.over.update(model, batch, stepper)
        if self.now >= self.switch:
            assert isinstance(model, nn.Module)
            self.average.update_parameters(model)
        return loss

    def finish(self, model: Model) -> None:
        """Load the averaged weights, and re-estimate the statistics of batch normalisation."""
        with torch.no_grad():
            for own, mean in zip(model.parameters(), self.average.module.parameters(), strict=True):
                own.copy_(mean)
        update_bn(self.trainer.one_more_epoch(), _Labeled(model))
        for buffer in model.buffers():
            if buffer.is_floating_point():  # each process saw its own batches
                buffer.copy_(average_over_processes(buffer))
        self.over.finish(model)


class _Labeled(nn.Module):
    """A recogniser that is called with clips and their classes, which a plug-in may use."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> None:
        self.model(batch.x, batch.y)
