"""Training on MA-52, from a configuration to a trained model, a report and a record.

    python -m piumar_lib.ma52 train --preset videomae-base --split build/ma52/splits/fold1.txt ...

One GPU, several (``python -m torch.distributed.run``), or a CPU run the same code, through `accelerate`.
Everything that is drawn follows from the seed and the number of the step, so a run that was killed goes
on from its checkpoint as if nothing had happened. Files of a run, all under ``out``:

    config.json, split.txt   its settings, and who trains and who is held out
    checkpoint.safetensors   the last state that was saved
    history.jsonl            a line every few steps, and one for every look at held-out people
    tensorboard/             the same for TensorBoard
    model.safetensors/.json  the trained model
    predictions.safetensors  probabilities of the held-out clips
    record.json              scores, and what it takes to run this again
"""

from __future__ import annotations

import json
import platform
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from piumar_lib.alignment import MotionClock
from piumar_lib.batch import Batch, Labels
from piumar_lib.files import as_path, write_text, writing
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.locks import only_run
from piumar_lib.ma52 import checkpoint, evaluate
from piumar_lib.ma52.backbones import compile_layers
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import ClipDataset
from piumar_lib.ma52.draws import Draws
from piumar_lib.ma52.history import History, Watch
from piumar_lib.ma52.index import read_index
from piumar_lib.ma52.model import MicroActionRecognizer, build_model, save_model
from piumar_lib.ma52.optimiser import make_optimiser, rate_at, set_rate
from piumar_lib.ma52.splits import Split, read_split
from piumar_lib.ma52.transforms import to_input
from piumar_lib.objective import Objective, clip_losses
from piumar_lib.pseudo_groups import StyleGroups
from piumar_lib.recognizer import Prediction
from piumar_lib.temporal_frequency import TwoViews

if TYPE_CHECKING:
    from accelerate import Accelerator

ROWS_PER_EPOCH = 20
STATE = ("step", "sums", "seconds", "model", "optimiser", "objective", "average", "scaler")
# May change when a run goes on. The split may move, but must hold the same clips.
FREE = ("out", "cache", "index", "split", "workers", "save_minutes")


def train(config: TrainConfig, progress: bool = True, watch: Watch | None = None) -> dict:
    """Train, judge, and return the record; what is done already is not done again.

    Args:
        config: See `TrainConfig`.
        progress: Show a progress bar.
        watch: Called with the history whenever it has grown, to draw it.

    Returns:
        The content of ``record.json``.

    Raises:
        ValueError: If ``out`` holds a run of other settings or another split, or settings do not go with
            the data.
        InUse: If another run writes to ``out``.
        OSError: If the system refuses to write; once there is room, the same call goes on.
        FileNotFoundError: If something that is read is not there.
        FloatingPointError: If the loss is not finite; the state is kept in ``failed.safetensors``.
        MemoryError: If the device's memory does not suffice.
        KeyboardInterrupt: After Ctrl-C, or SIGTERM; the state was saved.
    """
    config.require_paths()
    out = as_path(config.out)
    _require_same(out, config)
    if (out / "record.json").is_file():
        return evaluate.read_record(out)
    accelerator = _accelerate(config)
    with _claim(out, config, accelerator):
        run = Run(config, out, accelerator, watch)
        if run.is_main and progress:
            left = run.total - run.step
            print(f"{config.method}: {len(run.data)} clips of {len(run.data.people)} people, "
                  f"{len(run.held_out)} clips of {len(run.held_out.people)} held out; {left} steps on "
                  f"{run.device}" + (f", from step {run.step}" if run.step else ""))  # fmt: skip
        with _stop_on_signal() as stop:
            run.go_on(stop, progress)
        return run.finish(progress)


def load_data(config: TrainConfig, frames: int) -> tuple[ClipDataset, ClipDataset, Split]:
    """Training and held-out clips of a configuration's split.

    Raises:
        ValueError: If the split names clips that the index does not have.
    """
    split, index = read_split(config.split), {clip.name: clip for clip in read_index(config.index)}
    missing = [name for name in (*split.train, *split.held_out) if name not in index]
    if missing:
        raise ValueError(
            f"split: {config.split} names {len(missing)} clips that {config.index} does not have, "
            f"{missing[0]} is the first. Make the split from this index."
        )
    train_clips, held_out = ([index[name] for name in side] for side in (split.train, split.held_out))
    return (
        ClipDataset(config.cache, train_clips, frames, train=True),
        ClipDataset(config.cache, held_out, frames),
        split,
    )


class Run:
    """A training and its state: model, optimiser, objective, step.

    Args:
        config: See `TrainConfig`.
        out: Folder of the run; what it holds is gone on with.
        accelerator: Of the processes that share the work.
        watch: See `train`.
    """

    def __init__(
        self, config: TrainConfig, out: Path, accelerator: Accelerator, watch: Watch | None = None
    ) -> None:
        self.accelerator = accelerator
        self.config, self.out, self.device = config, out, self.accelerator.device
        self.is_main = self.accelerator.is_main_process
        model = build_model(config)
        if self.device.type == "cuda":
            # Convolutions of half precision want channels last, and time to find their fastest form.
            model = model.to(memory_format=torch.channels_last)
            torch.backends.cudnn.benchmark = True
        if config.compiled:
            compile_layers(model.recognizer.backbone[0])
        self.data, self.held_out, self.split = load_data(config, model.frames)
        self.clips = Labels(self.data.labels().to(self.device), self.data.persons().to(self.device))
        self.draws = Draws(
            self.data.labels(), config, self.accelerator.num_processes, self.accelerator.process_index
        )
        self.total = self.draws.total
        self.objective = make_objective(config).to(self.device)
        self.objective.start(model.recognizer, self.clips, config)
        self.model, self.optimiser = self.accelerator.prepare(model, make_optimiser(model, config))
        self.average = _average(self.plain, config.ema) if config.ema else None
        self.step, self.sums = 0, [0.0, 0]  # sums: of losses, and their number, since the last row
        self.began, self.saved = time.perf_counter(), time.perf_counter()
        self.seconds = 0.0  # of earlier runs that were interrupted
        if (out / "checkpoint.safetensors").is_file():
            self._restore(checkpoint.load(out / "checkpoint.safetensors", STATE))
        self.history = History(out, self.step, self.is_main, watch)

    @property
    def plain(self) -> MicroActionRecognizer:
        """The model without what several processes need around it."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def judged(self) -> MicroActionRecognizer:
        """The model that is judged: averaged weights, if there are any."""
        return self.plain if self.average is None else self.average.module

    def go_on(self, stop: threading.Event, progress: bool) -> None:
        """Make all steps that are left."""
        loader = DataLoader(
            self.data,
            batch_sampler=self.draws.parts(self.step),
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
            persistent_workers=False,
        )
        parts, per_epoch = iter(loader), self.draws.steps_per_epoch
        every = max(1, per_epoch // ROWS_PER_EPOCH)
        bar = tqdm(total=self.total, initial=self.step, desc="training", disable=not progress,
                   unit="step")  # fmt: skip
        clock, waited = time.perf_counter(), 0.0
        with bar:
            while self.step < self.total:
                if self.step % per_epoch == 0:
                    self.objective.before_epoch(self.clips, self.step // per_epoch)
                try:
                    loss, wait, wish = self._make_step(parts, stop)
                except torch.OutOfMemoryError as error:
                    raise MemoryError(self._say_memory(error)) from error
                self.step += 1
                self.sums = [self.sums[0] + loss, self.sums[1] + 1]
                waited += wait
                bar.update()
                ends = self.step % per_epoch == 0
                if ends or self.step % every == 0:
                    seconds, clock = time.perf_counter() - clock, time.perf_counter()
                    self._add_row(seconds, waited)
                    bar.set_postfix(loss=f"{self.history.rows[-1]['loss']:.3f}")
                    waited = 0.0
                epoch = self.step // per_epoch
                if ends and self.config.judge_every and epoch % self.config.judge_every == 0:
                    self._judge(epoch)
                if ends or wish or self.step == self.total:
                    self.save()
                if wish > 1:
                    raise KeyboardInterrupt(
                        f"stopped at step {self.step} of {self.total}; all is saved in {self.out}. "
                        "The same command goes on."
                    )
        self.history.close()

    def finish(self, progress: bool) -> dict:
        """Judge the trained model, and write model, predictions and record."""
        config, views = self.config, self.config.views
        held_out = ClipDataset(config.cache, self.held_out.clips, self.plain.frames, views)
        found = evaluate.predict(self.judged, held_out, self.accelerator, config.workers, progress)
        record = {
            "method": config.method,
            "data": f"MA-52 layout, {self.split.title}",
            "held out": evaluate.report(found),
            "steps": self.total,
            "seconds": round(self.seconds + time.perf_counter() - self.began, 1),
            "left out": [*self.data.left_out, *self.held_out.left_out],
            "config": asdict(config),
            **origin(self.accelerator),
        }
        if self.is_main:
            save_model(self.judged, self.out)
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
            "optimiser": checkpoint.optimiser_state(self._bare_optimiser),
            "objective": self.objective.state(),
            "average": {} if self.average is None else self.average.state_dict(),
            "scaler": {} if self.accelerator.scaler is None else self.accelerator.scaler.state_dict(),
        }
        if self.is_main:
            checkpoint.save(self.out / name, state)
        self.saved = time.perf_counter()

    @property
    def _bare_optimiser(self) -> torch.optim.Optimizer:
        return self.optimiser.optimizer

    def _restore(self, state: checkpoint.Nested) -> None:
        self.step, self.sums, self.seconds = state["step"], state["sums"], state["seconds"]
        try:
            self.plain.load_state_dict(state["model"])
            checkpoint.restore_optimiser(self._bare_optimiser, state["optimiser"])
            self.objective.restore(state["objective"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.out / 'checkpoint.safetensors'}: is the state of another model or method "
                f"({' '.join(str(error).split())[:300]}). Train into another folder."
            ) from error
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _make_step(
        self, parts: Iterator[dict[str, Tensor]], stop: threading.Event
    ) -> tuple[float, float, int]:
        """One step; returns its loss, the seconds that it waited for clips, and a wish.

        The wish is 1 if it is time for a checkpoint, more if some process was asked to stop.
        """
        config, accelerator = self.config, self.accelerator
        self.model.train()
        # Perturbation and dropout follow from the step, not from what happened before it.
        torch.manual_seed(_mix(config.seed, self.step, accelerator.process_index))
        set_rate(self.optimiser, rate_at(self.step, self.draws.steps_per_epoch, config))
        total, waited, suspects = torch.zeros((), device=self.device), 0.0, []
        for number in range(config.accumulate):
            began = time.perf_counter()
            item = next(parts)
            item = {name: value.to(self.device, non_blocking=True) for name, value in item.items()}
            waited += time.perf_counter() - began
            last = number == config.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(self.model):
                loss, losses = self._loss(item)
                accelerator.backward(loss / config.accumulate)
            total += loss.detach() / config.accumulate
            suspects.append((item["clip"], losses.detach()))
        late = time.perf_counter() - self.saved > 60 * config.save_minutes
        wish = 2 * stop.is_set() + (late and self.is_main)
        asked = accelerator.reduce(torch.stack([total, total.new_tensor(float(wish))]), "sum").tolist()
        loss, wish = asked[0] / accelerator.num_processes, int(asked[1])
        if not np.isfinite(loss):
            self._give_up(loss, suspects)
        if config.clip:
            accelerator.clip_grad_norm_(self.model.parameters(), config.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.plain)
        return loss, waited, wish

    def _loss(self, item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The loss of a part, and that of each of its clips."""
        config, y = self.config, item["action"]
        with torch.no_grad():
            video = to_input(
                item["video"], self.plain.size, item["chances"],
                smallest=config.smallest, light=config.light, mirror=config.mirror,
            )  # fmt: skip
        with self.accelerator.autocast():
            prediction, parts = self.model(video, y)
        prediction = _single(prediction)
        losses = clip_losses(prediction, y, self.objective.views, config.smoothing)
        batch = Batch(video, y, item["person"], item["clip"])
        loss = self.objective.combine(losses, prediction, batch)
        if parts is not None:
            loss = loss + F.cross_entropy(parts.float(), item["part"])
        return loss, losses

    def _add_row(self, seconds: float, waited: float) -> None:
        rows = self.sums[1]
        memory = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else _resident()
        self.history.add({
            "step": self.step,
            "epoch": self.step / self.draws.steps_per_epoch,
            "loss": self.sums[0] / rows,
            "rate": rate_at(self.step - 1, self.draws.steps_per_epoch, self.config),
            "clips/s": rows * self.config.batch / seconds,
            "waiting": waited / seconds,
            "memory GB": memory,
            **self._learned(),
        })  # fmt: skip
        self.sums = [0.0, 0]

    def _learned(self) -> dict[str, float]:
        """What can be watched of TFAM and GIRL while they learn."""
        plug, objective = self.plain.recognizer.plug, self.objective
        robust, row = getattr(objective, "over", objective), {}
        if plug is not None and isinstance(plug.temporal.clock, MotionClock):
            row["floor"] = plug.temporal.clock.floor.item()
        if isinstance(robust, GroupRobustObjective):
            row |= {
                "groups": len(robust.q),
                "risk of the worst group": robust.running.max().item(),
                "weight of its clips": (robust.q / robust.shares).max().item(),
            }
        return row

    def _judge(self, epoch: int) -> None:
        found = evaluate.predict(self.judged, self.held_out, self.accelerator, self.config.workers)
        self.history.add({"step": self.step, "epoch": epoch, "held out": evaluate.short_report(found)})

    def _give_up(self, loss: float, suspects: list[tuple[Tensor, Tensor]]) -> None:
        """The loss is not finite: keep the state, name the clips, stop."""
        places, losses = (torch.cat(values) for values in zip(*suspects, strict=True))
        places, losses = (self.accelerator.gather(values) for values in (places, losses))
        bad = places[~losses.isfinite()]
        names = [self.data.clips[k].name for k in (bad if len(bad) else places).tolist()]
        which = "of" if len(bad) else "of none of them alone, but of the step of"
        self.save("failed.safetensors")
        raise FloatingPointError(
            f"step {self.step}: the loss is {loss}, {which} {', '.join(names)}. The state is in "
            f"{self.out / 'failed.safetensors'}. Look at these clips; else lower rate "
            f"({self.config.rate:g}) or clip ({self.config.clip:g}), or choose precision bf16 or fp32."
        )

    def _say_memory(self, error: Exception) -> str:
        size = self.config.batch // self.config.accumulate // self.accelerator.num_processes
        return (
            f"step {self.step}: out of memory on {self.device} with {size} clips of "
            f"{self.plain.frames} frames at a time. Double accumulate ({self.config.accumulate}): the "
            "same batch in smaller parts. Or choose precision bf16, or a smaller backbone. "
            f"({str(error).splitlines()[0]})"
        )


def make_objective(config: TrainConfig) -> Objective:
    """ERM, or GIRL, and around it the terms of TFAM's two views, with a configuration's settings."""
    risk = Objective()
    if config.loss == "girl":
        risk = GroupRobustObjective(
            StyleGroups(config.groups), config.radius, config.beta, config.temperature,
            config.risk_momentum,
        )  # fmt: skip
    if config.plug == "none":
        return risk
    return TwoViews(config.supervision, config.consistency, config.regularizer_share, risk)


def origin(accelerator: Accelerator) -> dict[str, Any]:
    """Where and how a record is made: command, commit, versions, device."""
    from piumar_lib import experiments

    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else experiments.device()
    called = Path(sys.argv[0]).parent.name == "ma52"
    command = shlex.join(["python", "-m", "piumar_lib.ma52", *sys.argv[1:]])
    return {
        "command": command if called else "notebook",
        "commit": experiments.provenance()["commit"],
        "versions": f"python {platform.python_version()}, torch {torch.__version__}",
        "device": f"{accelerator.num_processes} x {name}",
    }


def _single(prediction: Prediction) -> Prediction:
    """Logits in single precision, in which losses are computed.

    Features stay as they are: the regulariser asks for gradients with respect to these very tensors.
    """
    return replace(
        prediction,
        logits=prediction.logits.float(),
        view_logits=[view.float() for view in prediction.view_logits],
    )


def _average(model: torch.nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)


def _mix(*numbers: int) -> int:
    """A seed of 64 bits that differs for any other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _accelerate(config: TrainConfig) -> Accelerator:
    """What shares the work between processes, and sets the precision.

    Raises:
        ValueError: If the device does not have the precision.
    """
    from accelerate import Accelerator

    precision = "no" if config.precision == "fp32" else config.precision
    try:
        return Accelerator(mixed_precision=precision, cpu=config.cpu)
    except ValueError as error:
        raise ValueError(f"precision: {config.precision} cannot be had here ({error}).") from error


@contextmanager
def _claim(out: Path, config: TrainConfig, accelerator: Accelerator) -> Iterator[None]:
    """Keep other runs out of the folder while this lasts, and write down what it holds.

    The main process does; what it finds wrong is raised in all, so that none of them waits for it.
    """
    from accelerate.utils import broadcast_object_list

    problem: list[Exception | None] = [None]
    with ExitStack() as held:
        if accelerator.is_main_process:
            try:
                with writing(out):
                    out.mkdir(parents=True, exist_ok=True)
                held.enter_context(only_run(out))
                _require_same(out, config)
                _write_down(out, config)
            except (ValueError, RuntimeError, OSError) as error:
                problem = [error]
        broadcast_object_list(problem)
        if problem[0] is not None:
            raise problem[0]
        yield


def _require_same(out: Path, config: TrainConfig) -> None:
    """Refuse a folder that holds a run of other settings or clips."""
    mine, split = asdict(config), read_split(config.split)
    if not _has_begun(out):
        return
    theirs = asdict(TrainConfig.read(out / "config.json"))
    other = [name for name in mine if name not in FREE and mine[name] != theirs[name]]
    if other:
        said = ", ".join(f"{name}={theirs[name]!r}, not {mine[name]!r}" for name in other)
        raise ValueError(f"out: {out} holds a run with {said}. Name another folder.")
    held = read_split(out / "split.txt")
    if held != split:
        raise ValueError(
            f"out: {out} holds a run of other clips ({held.title}) than those of {config.split} "
            f"({split.title}). Name another folder."
        )


def _has_begun(out: Path) -> bool:
    """Whether a folder holds steps of a run; settings alone, which were refused, bind nobody."""
    return any((out / name).is_file() for name in ("checkpoint.safetensors", "record.json"))


def _write_down(out: Path, config: TrainConfig) -> None:
    """Keep split and settings, unless the folder has those of steps that were made."""
    if _has_begun(out):
        return
    write_text(out / "split.txt", as_path(config.split).read_text(encoding="utf-8"))
    write_text(out / "config.json", config.to_json() + "\n")


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """While this lasts, Ctrl-C and SIGTERM let the step that is under way end first."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(*_: Any) -> None:
        if stop.is_set():  # asked twice: at once
            raise KeyboardInterrupt
        stop.set()

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _resident() -> float:
    """Largest memory of this process so far, in GiB."""
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (2**30 if sys.platform == "darwin" else 2**20)
