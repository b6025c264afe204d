"""Training on MA-52, from a configuration to a trained model, a report and a record.

    python -m piumar_lib.ma52 train --preset videomae-base --method "PIUmr + augmentation" ...

The loop is that of `piumar_lib.training`. A run adds checkpoints and resumption, evaluation on held-out
people, and a log. One GPU, several (``python -m torch.distributed.run``), or a CPU run the same code,
through `accelerate`. All random draws are functions of the seed and the number of the step, so a killed
run resumes from its checkpoint exactly. Files of a run, all under ``out``:

    config.json, split.txt   its settings, and who trains and who is held out
    checkpoint.safetensors   the last state that was saved
    first-stage/             the run of a reference, with methods that train one first (JTT, EIIL)
    history.jsonl            a line every few steps, and one for every look at held-out people
    tensorboard/             the same for TensorBoard
    model.safetensors/.json  the trained model
    predictions.safetensors  probabilities of the held-out clips
    record.json              scores, how they came about, and what it takes to run this again
"""

from __future__ import annotations

import json
import platform
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from piumar_lib.alignment import MotionClock
from piumar_lib.batch import Batch, Labels
from piumar_lib.evidence.methods import AUGMENTATION
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.ma52 import evaluate
from piumar_lib.ma52.backbones import ShiftedResNet, compile_layers
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.batches import VideoBatches
from piumar_lib.ma52.clips import load_data
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.folder import claim, require_same
from piumar_lib.ma52.history import History, Watch, say_progress
from piumar_lib.ma52.model import FREE_SHAPES, MicroActionRecognizer, build_model, save_model
from piumar_lib.ma52.optimizer import make_optimizer, rate_at
from piumar_lib.ma52.pose_batches import PoseBatches
from piumar_lib.ma52.pose_dataset import PoseDataset
from piumar_lib.ma52.protocol import describe_selection, describe_split, mark_chosen, read_record
from piumar_lib.ma52.stepper import Diverged, SharedStepper, Trainee
from piumar_lib.ma52.stopping import stop_on_signal
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Model
from piumar_lib.support import checkpoint
from piumar_lib.support.command import called_as
from piumar_lib.support.files import as_path, write_text
from piumar_lib.training import train_steps

if TYPE_CHECKING:
    from accelerate import Accelerator

ROWS_PER_EPOCH = 20
Tensors = tuple[Tensor, ...] | list[Tensor]
STATE = ("step", "sums", "seconds", "model", "optimizer", "objective", "average", "scaler")


def train(config: TrainConfig, progress: bool = True, watch: Watch | None = None) -> dict:
    """Train, evaluate, and return the record; completed work is not repeated.

    The record is the content of ``record.json``; ``watch`` is called with the history whenever it has
    grown, to draw it.

    Raises:
        ValueError: If ``out`` holds a run of other settings or another split, or settings do not go with
            the data.
        InUse: If another run writes to ``out``.
        OSError: If writing fails; once there is room, the same call resumes the run.
        FileNotFoundError: If an input file is missing.
        FloatingPointError: If the loss is not finite; the state is kept in ``failed.safetensors``.
        MemoryError: If the device runs out of memory.
        KeyboardInterrupt: After Ctrl-C, or SIGTERM; the state was saved.
    """
    config.require_paths()
    out = as_path(config.out)
    require_same(out, config)
    if (out / "record.json").is_file():
        return mark_chosen(read_record(out), config.chosen_on)
    accelerator = _accelerate(config)
    with claim(out, config, accelerator), stop_on_signal() as stop:
        run = Run(config, out, accelerator, stop, watch)
        progress = progress and run.is_main
        if progress:
            left = run.sampler.total - run.step
            print(f"{config.method}: {len(run.data)} clips of {len(run.data.people)} people, "
                  f"{len(run.held_out)} clips of {len(run.held_out.people)} held out; {left} steps on "
                  f"{run.device}" + (f", from step {run.step}" if run.step else ""))  # fmt: skip
        run.go_on(progress)
        return run.finish(progress)


class Run:
    """A training and its state: model, optimiser, objective, step. A `Trainer` for the objective.

    A run in the folder ``out`` is resumed; ``stop`` is set when this one is to stop.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        accelerator: Accelerator,
        stop: threading.Event,
        watch: Watch | None = None,
    ) -> None:
        self.config, self.out, self.accelerator, self.stop = config, out, accelerator, stop
        self.epochs, self.seed = config.epochs, config.seed
        self.device, self.is_main = accelerator.device, accelerator.is_main_process
        model = self._make_model()
        self.data, self.held_out, self.split = load_data(config, model.frames)
        self.selection = describe_selection(
            self.held_out.people, config.epochs, config.test_views, bool(config.ema), config.chosen_on
        )
        labels = self.data.labels(), self.data.persons()
        self.labels = Labels(*(value.to(self.device) for value in labels))
        self.objective = make_objective(config)
        self.sampler = BatchSampler(
            self.labels, config, self.objective.people, accelerator.num_processes,
            accelerator.process_index,
        )  # fmt: skip
        self.batches: VideoBatches | PoseBatches
        if isinstance(self.data, PoseDataset):
            model.standardize(self.data.some_clips())
            self.batches = PoseBatches(self.data, self.sampler, config, self.device)
        else:
            self.batches = VideoBatches(self.data, self.sampler, config, model.size, self.device)
        self._prepare(model)
        self.average = _average(self.plain, config.ema) if config.ema else None
        self.step, self.sums = 0, [0.0, 0]  # sums: of losses, and their number, since the last row
        self.began, self.saved = time.perf_counter(), time.perf_counter()
        self.seconds = 0.0  # of earlier runs that were interrupted
        if (out / "checkpoint.safetensors").is_file():
            self._restore(checkpoint.load(out / "checkpoint.safetensors", STATE))
        self.history = History(out, self.step, self.is_main, watch)

    def _make_model(self) -> MicroActionRecognizer:
        model = build_model(self.config)
        if self.device.type == "cuda":
            # Convolutions in half precision are faster in channels-last layout and with autotuning.
            if isinstance(model.backbone, ShiftedResNet):  # VideoMAE's convolution has five axes
                model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
            torch.backends.cudnn.benchmark = True
        if self.config.compiled:
            compile_layers(model.backbone)
        return model

    def _prepare(self, model: MicroActionRecognizer) -> None:
        """Distribute the model over processes, start the objective, and create the optimiser of both."""
        shared = self.accelerator.prepare(model)
        self.trainee = Trainee(shared, self.accelerator)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)  # in every process the same
            self.objective.to(self.device).start(self.trainee, self.labels, self)
        self.optimizer = self.accelerator.prepare(
            make_optimizer(self.plain, self.config, self.objective)
        )
        self.stepper = SharedStepper(
            self.accelerator, shared, self.objective, self.optimizer, self.config,
            self.sampler.steps_per_epoch, lambda: (self.stop.is_set(), self.is_main and self._is_late()),
        )  # fmt: skip

    @property
    def plain(self) -> MicroActionRecognizer:
        """The model without the wrappers of data-parallel training."""
        return self.trainee.plain

    @property
    def evaluated(self) -> MicroActionRecognizer:
        """The model that is evaluated: averaged weights, if there are any."""
        if self.average is None:
            return self.plain
        assert isinstance(self.average.module, MicroActionRecognizer)
        return self.average.module

    def go_on(self, progress: bool) -> None:
        """Make all remaining steps."""
        per_epoch, config = self.sampler.steps_per_epoch, self.config
        every = max(1, per_epoch // ROWS_PER_EPOCH)
        bar = tqdm(total=self.sampler.total, initial=self.step, desc="training", disable=not progress,
                   unit="step")  # fmt: skip
        self._start_clock()
        with bar:
            for loss in self._losses():
                self.step += 1
                self.sums = [self.sums[0] + loss.item(), self.sums[1] + 1]
                if self.average is not None:
                    self.average.update_parameters(self.plain)
                bar.update()
                epoch, of_epoch = divmod(self.step, per_epoch)
                if is_due := of_epoch % every == 0:
                    self._add_row()
                    bar.set_postfix_str(say_progress(self.history.rows))
                if of_epoch == 0 and config.eval_every and epoch % config.eval_every == 0:
                    self._evaluate(epoch)
                    bar.set_postfix_str(say_progress(self.history.rows))
                if of_epoch == 0 or self.stepper.stop or self.stepper.save:
                    self.save()
                if self.stepper.stop:
                    raise KeyboardInterrupt(
                        f"stopped at step {self.step} of {self.sampler.total}; all is saved in "
                        f"{self.out}. The same command resumes it."
                    )
                if is_due:
                    self._start_clock()
        self.history.close()

    def _start_clock(self) -> None:
        """Reset the clock from which the next row's speed is computed."""
        self.clock = time.perf_counter(), self.batches.waited, self.step

    def _losses(self) -> Iterator[Tensor]:
        """The loop, from the current step; errors that end it early are explained."""
        drawn = self.batches.read(self.step)
        try:
            yield from train_steps(
                self.trainee, self.objective, self.labels, drawn, self.stepper,
                self.sampler.steps_per_epoch, self.step,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            raise MemoryError(self._say_memory(error)) from error
        except Diverged as error:
            self._give_up(error)

    def identification_model(self, model: Model, share: float) -> Tensor:
        """See `Trainer.identification_model`; a run of its own in this one's folder, which resumes."""
        epochs = max(1, round(share * self.epochs))
        config = replace(
            self.config,
            method="augmentation" if self.config.is_augmented else "ERM",
            hyperparameters={k: v for k, v in self.config.hyperparameters.items() if k in AUGMENTATION},
            epochs=epochs,
            warmup=min(self.config.warmup, epochs),
            eval_every=0,
            ema=0.0,
        )
        # An accelerator of its own, which is released with the run: it refers to model, optimiser and
        # scaler.
        run = Run(config, self.out / "first-stage", _accelerate(config), self.stop)
        run.go_on(progress=False)
        found = evaluate.predict(run.plain, self.data.for_evaluation(), run.accelerator, config.workers)
        self._start_clock()
        return torch.from_numpy(found.actions).log().clamp_min(-1e3).to(self.device)

    def one_more_epoch(self) -> Iterator[Batch]:
        """See `Trainer.one_more_epoch`."""
        return self.batches.read(self.sampler.total, self.sampler.total + self.sampler.steps_per_epoch)

    def finish(self, progress: bool) -> dict:
        """Evaluate the trained model, and write model, predictions and record."""
        self.objective.finish(self.trainee)
        config, held_out = self.config, self.held_out.for_evaluation(self.config.test_views)
        found = evaluate.predict(self.evaluated, held_out, self.accelerator, config.workers, progress)
        record = {
            "method": config.method,
            "data": f"MA-52 layout, {self.data.about}{self.split.title}",
            "split": describe_split(self.split.title, self.data.people, self.held_out.people),
            "selection": self.selection,
            "held out": evaluate.report(found, self.data.labels().numpy()),
            "steps": self.sampler.total,
            "seconds": round(self.seconds + time.perf_counter() - self.began, 1),
            "left out": [*self.data.left_out, *self.held_out.left_out],
            "config": asdict(config),
            **origin(self.accelerator),
        }
        if self.is_main:
            save_model(self.evaluated, self.out)
            checkpoint.save(self.out / "predictions.safetensors", found.state())
            write_text(self.out / "record.json", json.dumps(record, indent=1) + "\n")
        self.accelerator.wait_for_everyone()
        return record

    def save(self, name: str = "checkpoint.safetensors") -> None:
        """Save the state; all processes have to call this together."""
        state = {
            "step": self.step,
            "sums": self.sums,
            "seconds": self.seconds + time.perf_counter() - self.began,
            "model": self.plain.state_dict(),
            "optimizer": checkpoint.optimizer_state(self.optimizer.optimizer),
            "objective": self.objective.state(),
            "average": {} if self.average is None else self.average.state_dict(),
            "scaler": {} if self.accelerator.scaler is None else self.accelerator.scaler.state_dict(),
        }
        if self.is_main:
            checkpoint.save(self.out / name, state)
        self.saved = time.perf_counter()

    def _is_late(self) -> bool:
        """Whether the last checkpoint is older than the configured interval."""
        return time.perf_counter() - self.saved > 60 * self.config.save_minutes

    def _restore(self, state: checkpoint.Nested) -> None:
        self.step, self.sums, self.seconds = state["step"], state["sums"], state["seconds"]
        try:
            checkpoint.restore_weights(self.plain, state["model"], FREE_SHAPES)
            checkpoint.restore_optimizer(self.optimizer.optimizer, state["optimizer"])
            self.objective.restore(state["objective"])
            if self.average is not None:
                free = [f"module.{name}" for name in FREE_SHAPES]
                checkpoint.restore_weights(self.average, state["average"], free)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.out / 'checkpoint.safetensors'}: is the state of another model or method "
                f"({' '.join(str(error).split())[:400]}). Train into another folder."
            ) from error
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _add_row(self) -> None:
        began, waited, first = self.clock
        seconds = time.perf_counter() - began
        memory = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else _resident()
        self.history.add({
            "step": self.step,
            "epoch": self.step / self.sampler.steps_per_epoch,
            "loss": self.sums[0] / self.sums[1],
            "learning rate": rate_at(self.step - 1, self.sampler.steps_per_epoch, self.config),
            "clips/s": (self.step - first) * self.config.batch_size / seconds,
            "waiting": (self.batches.waited - waited) / seconds,
            "memory GB": memory,
            **self._learned(),
        })  # fmt: skip
        self.sums = [0.0, 0]

    def _learned(self) -> dict[str, float]:
        """Quantities of TFAM and GIRL for the log."""
        row = {}
        for part in (*self.plain.modules(), *self.objective.modules()):
            if isinstance(part, MotionClock):
                row["floor"] = part.floor.item()
            if type(part) is GroupRobustObjective:
                row |= {
                    "groups": len(part.q),
                    "risk of the worst group": part.running.max().item(),
                    "weight of its clips": (part.q / part.shares).max().item(),
                }
        return row

    def _evaluate(self, epoch: int) -> None:
        found = evaluate.predict(self.evaluated, self.held_out, self.accelerator, self.config.workers)
        seen = evaluate.short_report(found, self.data.labels().numpy())
        self.history.add({"step": self.step, "epoch": epoch, "held out": seen})

    @torch.no_grad()
    def _give_up(self, error: Diverged) -> None:
        """Stop after a loss that is not finite: save the state and name the clips."""
        self.save("failed.safetensors")
        parts = error.batch.split(self.config.grad_accum_steps)
        losses = [self.objective.clip_losses(self.trainee(part.x, part.y), part.y) for part in parts]
        own = torch.cat([part.index for part in parts]), torch.cat(losses)
        places, losses = map(self.accelerator.gather, own)
        bad = places[~losses.isfinite()]
        names = [self.data.clips[k].name for k in (bad if len(bad) else places).tolist()]
        which = "of" if len(bad) else "of none of them alone, but of the step of"
        raise FloatingPointError(
            f"step {self.step}: the loss is {error.loss}, {which} {', '.join(names)}. The state is in "
            f"{self.out / 'failed.safetensors'}. Look at these clips; else lower learning_rate "
            f"({self.config.learning_rate:g}) or grad_clip ({self.config.grad_clip:g}), or choose "
            "precision bf16 or fp32."
        ) from error

    def _say_memory(self, error: Exception) -> str:
        parts = self.config.grad_accum_steps
        size = self.config.batch_size // parts // self.accelerator.num_processes
        return (
            f"step {self.step}: out of memory on {self.device} with {size} clips of "
            f"{self.plain.frames} frames at a time. Double grad_accum_steps ({parts}): the "
            "same batch in smaller parts. Or choose precision bf16, or a smaller backbone. "
            f"({str(error).splitlines()[0]})"
        )


def make_objective(config: TrainConfig) -> Objective:
    """The objective of a configuration's method, with its label smoothing."""
    objective = config.objective()
    for part in objective.modules():
        if isinstance(part, Objective):
            part.label_smoothing = config.label_smoothing
    return objective


def origin(accelerator: Accelerator) -> dict[str, Any]:
    """Provenance of a record: command, commit, versions, device."""
    from piumar_lib.evidence import records

    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else records.device()
    return {
        "command": called_as("piumar_lib.ma52", accelerator.num_processes),
        "commit": records.provenance()["commit"],
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
        "device": f"{accelerator.num_processes} x {name}",
    }


def _average(model: torch.nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    of_numbers = get_ema_multi_avg_fn(decay)

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        if averaged[0].is_floating_point():  # all are of one type
            of_numbers(averaged, current, count)
        else:  # a table or a counter, whose average would be rounded down
            torch._foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True).requires_grad_(False)


def _accelerate(config: TrainConfig) -> Accelerator:
    """The accelerator, which distributes the work and sets the precision.

    Raises:
        ValueError: If the device does not have the precision.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        # It is kept for the whole process: device and precision would be those of the last run.
        AcceleratorState._reset_state(reset_partial_state=True)
    precision = "no" if config.precision == "fp32" else config.precision
    try:
        return Accelerator(mixed_precision=precision, cpu=config.cpu)
    except ValueError as error:
        raise ValueError(
            f"precision: {config.precision} cannot be had here ({error}). Choose fp32."
        ) from error


def _resident() -> float:
    """Largest memory of this process so far, in GiB."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**30
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (2**30 if sys.platform == "darwin" else 2**20)
