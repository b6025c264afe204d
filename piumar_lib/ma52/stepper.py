"""Steps of data-parallel training in mixed precision, with gradient accumulation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from piumar_lib.batch import Batch
from piumar_lib.ma52.batch_sampler import mix
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import MicroActionRecognizer
from piumar_lib.ma52.optimizer import rate_at, set_rate
from piumar_lib.plug_in import PlugIn
from piumar_lib.recognizer import Prediction
from piumar_lib.stepper import Stepper
from piumar_lib.support.data_parallel import average_over_processes

if TYPE_CHECKING:
    from accelerate import Accelerator


class Diverged(FloatingPointError):
    """A loss that is not finite.

    Attributes:
        loss: The loss, of all processes.
        batch: This process's clips.
    """

    def __init__(self, loss: float, batch: Batch) -> None:
        super().__init__(f"the loss is {loss}")
        self.loss, self.batch = loss, batch


class Trainee(nn.Module):
    """The recogniser for objectives: in the run's precision, with logits in single precision.

    It wraps a `MicroActionRecognizer` as ``accelerator`` has prepared it.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        super().__init__()
        self.shared, self.accelerator = model, accelerator

    @property
    def plain(self) -> MicroActionRecognizer:
        """The recogniser without the wrappers of data-parallel training."""
        return self.accelerator.unwrap_model(self.shared)

    @property
    def head(self) -> nn.Linear:
        """From features to actions."""
        return self.plain.recognizer.head

    @property
    def plug_in(self) -> PlugIn | None:
        """The method's plug-in."""
        return self.plain.recognizer.plug_in

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the input's channels."""
        return self.plain.recognizer.scale

    def __deepcopy__(self, memo: dict) -> MicroActionRecognizer:
        return copy.deepcopy(self.plain, memo)

    def forward(self, video: Tensor, y: Tensor | None = None) -> Prediction:
        """Recognise ``(batch, time, 3, size, size)``.

        Losses are computed from these logits. Features are not converted, because TFAM's regulariser
        needs gradients with respect to these tensors.
        """
        with self.accelerator.autocast():
            prediction = self.shared(video, y)
        return replace(
            prediction,
            logits=prediction.logits.float(),
            view_logits=[view.float() for view in prediction.view_logits],
        )


class SharedStepper(Stepper):
    """Gradients and steps of a run.

    Model and optimiser are those that ``accelerator`` has prepared; the objective's own parameters are
    trained, too. ``wishes`` is called in each step: whether this process is to stop, and is to save.

    Attributes:
        stop, save: Whether some process asked for it in the last step.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: TrainConfig,
        steps_per_epoch: int,
        wishes: Callable[[], tuple[bool, bool]],
    ) -> None:
        super().__init__(optimizer)
        self.accelerator, self.model, self.config = accelerator, model, config
        self.own = [p for p in objective.parameters() if p.requires_grad]
        self.steps_per_epoch, self.wishes = steps_per_epoch, wishes
        self.stop = self.save = False

    def begin(self, step: int) -> None:
        """Set the learning rate, and seed all random draws by the step."""
        torch.manual_seed(mix(self.config.seed, step, self.accelerator.process_index))
        set_rate(self.optimizer, rate_at(step, self.steps_per_epoch, self.config))

    def gradient(self, loss: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """See `Stepper.gradient`; the loss is the mean over the processes.

        Raises:
            Diverged: If the loss is NaN or infinite in some process; all of them raise it.
        """
        self.optimizer.zero_grad()
        parts = batch.split(max(1, min(self.config.grad_accum_steps, len(batch) // 2)))
        total = torch.zeros((), device=batch.y.device)
        for part in parts:
            share, last = len(part) / len(batch), part is parts[-1]
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                value = share * loss(part)
                self.accelerator.backward(value)
            total += value.detach()
        for parameter in self.own:
            if parameter.grad is not None:
                parameter.grad = average_over_processes(parameter.grad)
        return self._hear_of_all(total, batch)

    def _hear_of_all(self, loss: Tensor, batch: Batch) -> Tensor:
        """The mean loss over the processes; it also gathers their ``wishes``."""
        stop, save = self.wishes()
        told = torch.stack([loss, loss.new_tensor(float(stop)), loss.new_tensor(float(save))])
        total, stops, saves = self.accelerator.reduce(told, "sum").tolist()
        self.stop, self.save = stops > 0, saves > 0
        mean = total / self.accelerator.num_processes
        if not np.isfinite(mean):
            raise Diverged(mean, batch)
        return loss.new_tensor(mean)

    def step(self) -> None:
        """Clip the gradient and make the optimiser's step."""
        if self.config.grad_clip:
            parameters = [*self.model.parameters(), *self.own]
            self.accelerator.clip_grad_norm_(parameters, self.config.grad_clip)
        self.optimizer.step()
