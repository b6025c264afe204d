"""Training on a stand-in: killed, resumed, shared between processes, and what it leaves behind."""

from __future__ import annotations

import errno
import gc
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
import two_processes
from forks import exit_code, start
from house import draw_graph
from safetensors import SafetensorError
from scipy.stats import ttest_1samp

from piumar_lib.batch import Labels
from piumar_lib.evidence.records import ROOT
from piumar_lib.ma52 import train
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.backbones import BACKBONES
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.clips import load_data
from piumar_lib.ma52.codabench import check_submission
from piumar_lib.ma52.comparison import compare_methods, compare_runs
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.evaluate import (
    Predicted,
    by_person,
    f1_over_own_actions,
    predict,
    read_predictions,
    report,
    short_report,
)
from piumar_lib.ma52.folder import claim
from piumar_lib.ma52.history import History, read_history
from piumar_lib.ma52.model import build_model, load_model, save_model
from piumar_lib.ma52.prepare.layout import STANDIN
from piumar_lib.ma52.prepare.splits import read_split
from piumar_lib.ma52.protocol import describe_selection, describe_split
from piumar_lib.ma52.standin.videos import TRUTH
from piumar_lib.ma52.stepper import SharedStepper
from piumar_lib.ma52.submit import submit
from piumar_lib.ma52.sweep import Training
from piumar_lib.objective import Objective
from piumar_lib.support import checkpoint
from piumar_lib.support.files import CannotWrite
from piumar_lib.support.locks import only_run

WHOLE = {"method": "PIUmr + augmentation", "ema": 0.5, "body": "head", "dropout": 0.2}


def without_time(record):
    return {k: v for k, v in record.items() if k not in ("seconds", "command", "config")}


def what_counts(out: Path):
    """Model, scores and losses of a finished run, which no interruption may change."""
    record = json.loads((out / "record.json").read_text())
    rows = [{k: r[k] for k in ("step", "epoch", "loss", "learning rate", "held out") if k in r}
            for r in read_history(out)]  # fmt: skip
    return without_time(record), (out / "model.safetensors").read_bytes(), rows


def command(config):
    """The shell command of a training."""
    given = [f"--{n.replace('_', '-')}={v}" for n, v in asdict(config).items()
             if not isinstance(v, (bool, tuple, dict))]  # fmt: skip
    return [sys.executable, "-m", "piumar_lib.ma52", "train", "--cpu", *given]


@pytest.fixture(scope="module")
def finished(prepared, tmp_path_factory):
    """A run of the whole method."""
    out = tmp_path_factory.mktemp("finished") / "run"
    config = prepared.config(out, eval_every=1, test_views=2, **WHOLE)
    return config, train.train(config, progress=False)


# What a run leaves behind


def test_a_run_is_judged_on_the_people_it_never_saw(prepared, finished):
    config, record = finished
    split, by_name = read_split(config.split), {clip.name: clip for clip in prepared.clips}
    held_out = {by_name[name].person for name in split.held_out}
    assert set(record["held out"]["people"]) == held_out
    assert not held_out & {by_name[name].person for name in split.train}
    assert record["held out"]["clips"] == len(split.held_out)
    assert record["method"] == "PIUmr + augmentation" and record["steps"] == 2 * (len(split.train) // 8)
    assert record["config"]["seed"] == 0 and record["commit"] and "torch" in record["versions"]


def test_scores_are_those_of_the_predictions_that_were_kept(prepared, finished):
    config, record = finished
    found = read_predictions(Path(config.out) / "predictions.safetensors")
    trained_on = load_data(config, 8)[0].labels().numpy()
    assert report(found, trained_on) == {
        k: ({p: list(v) for p, v in value.items()} if k == "people" else value)
        for k, value in record["held out"].items()
    }
    model = load_model(config.out)
    data = load_data(config, model.frames)[1]
    from piumar_lib.ma52.dataset import ClipDataset

    again = predict(model, ClipDataset(config.cache, data.clips, model.frames, views=2))
    assert again.names == found.names and np.allclose(again.actions, found.actions, atol=1e-6)
    assert np.allclose(again.parts.sum(1), 1) and again.parts.shape[1] == 7


def test_the_history_tells_of_steps_and_of_held_out_people(finished):
    config, _ = finished
    rows = read_history(config.out)
    losses = [row for row in rows if "loss" in row]
    looks = [row for row in rows if "held out" in row]
    assert [row["epoch"] for row in looks] == [1, 2]
    assert all(np.isfinite(row["loss"]) and row["clips/s"] > 0 for row in losses)
    assert all(0 <= row["waiting"] <= 1 and row["memory GB"] > 0.01 for row in losses)
    assert all(0 < row["floor"] < 1 and row["risk of the worst group"] > 0 for row in losses)
    groups = [row["groups"] for row in losses if row["epoch"] <= 1 or row["epoch"] == 2]
    assert groups[0] == 1 < groups[-1], "found between the first epoch and the second"
    assert losses[0]["weight of its clips"] == 1 <= losses[-1]["weight of its clips"]
    assert {"F1_mean", "worst quarter of people", "majority top-1"} <= set(looks[0]["held out"])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(Path(config.out) / "tensorboard")).Reload()
    assert len(board.Scalars("F1_mean")) == 2
    assert [s.step for s in board.Scalars("loss")] == [row["step"] for row in losses]


def test_a_finished_run_is_not_run_again(finished, monkeypatch):
    config, record = finished
    monkeypatch.setattr(train, "build_model", lambda *_: pytest.fail("trained again"))
    again = train.train(config, progress=False)
    assert again["held out"] == json.loads(json.dumps(record["held out"]))


def test_a_run_of_an_earlier_version_is_refused_but_its_scores_can_be_read(finished, tmp_path, capsys):
    config, _ = finished
    old = tmp_path / "old"
    shutil.copytree(config.out, old)
    for file in ("config.json", "model.json", "record.json"):
        content = json.loads((old / file).read_text())
        kept = content if file == "config.json" else content["config"]
        del kept["hyperparameters"], kept["method"]
        kept |= {"plug": "tfam", "loss": "girl"}
        (old / file).write_text(json.dumps(content))
    again = command(replace(config, out=str(old)))[3:]
    for arguments in (again, ["submit", str(old), f"--out={tmp_path / 's.zip'}"]):
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert "plug: there is no such setting" in said and "Train again, into another folder" in said
        assert said.startswith(f"error: {old}") and said.count("\n") == 1
    assert main(["report", str(old)]) == 0
    del content["split"], content["selection"]  # as before these were recorded
    (old / "record.json").write_text(json.dumps(content))
    assert main(["report", str(old)]) == 1
    assert "record.json: is damaged (it lacks split, selection). Delete it" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_names_the_tensor(finished, tmp_path):
    config, out = replace(finished[0], out=str(tmp_path / "run")), tmp_path / "run"
    shutil.copytree(finished[0].out, out)
    (out / "record.json").unlink()
    path, head = out / "checkpoint.safetensors", "recognizer.head.weight"
    whole = path.read_bytes()
    faults = {
        ("model", head): rf"{head} has shape \(7, 2\), \(52, 32\) here",
        ("average", f"module.{head}"): rf"module.{head} has shape \(7, 2\), \(52, 32\) here",
        ("optimizer", "0", "exp_avg"): r"exp_avg of .* parameter 0 has shape \(7, 2\), \(.*\) here",
    }
    for keys, fault in faults.items():
        state = place = checkpoint.load(path)
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = torch.zeros(7, 2)
        checkpoint.save(path, state)
        message = f"state of another model or method .{fault}.*Train into another folder"
        with pytest.raises(ValueError, match=message):
            train.train(config, progress=False)
        path.write_bytes(whole)
    assert train.train(config, progress=False)["steps"] > 0


def test_nothing_of_the_first_version_is_reached():
    graph, reached = draw_graph(ROOT), set()
    left = [f"piumar_lib.ma52.{name}" for name in ("__main__", "evaluate", "model", "submit", "train")]
    while left:
        name = left.pop()
        if name in graph and name not in reached:
            reached.add(name)
            left += [*graph[name], name.rpartition(".")[0]]
    assert "piumar_lib.support.command" in reached and "piumar_lib.tfam" not in reached
    config = TrainConfig.make("tiny", method="PIUmr")
    made = *build_model(config).modules(), *train.make_objective(config).modules()
    of = {type(module).__module__.removeprefix("piumar_lib.") for module in made}
    assert {"temporal_frequency", "alignment", "perturbation", "fusion", "group_robust"} <= of
    assert not {"tfam", "spectrum"} & of


def test_a_folder_of_another_run_is_refused(finished):
    config, _ = finished
    with pytest.raises(ValueError, match="holds a run with epochs=2, not 3. Name another folder"):
        train.train(replace(config, epochs=3))


def test_settings_that_were_refused_do_not_bind_the_folder(prepared, tmp_path):
    config = prepared.config(tmp_path / "run", epochs=1)
    with pytest.raises(ValueError, match="batch_size: 4096 of .* Choose a smaller one"):
        train.train(replace(config, batch_size=4096), progress=False)
    assert train.train(config, progress=False)["config"]["batch_size"] == config.batch_size


def test_a_folder_with_a_run_of_another_fold_is_refused_but_a_split_may_move(finished, tmp_path):
    config, record = finished
    other = Path(config.split).with_name("fold2.txt")
    message = "holds a run of other clips .*fold 1 of .*fold2.txt .*fold 2 of .*Name another folder"
    with pytest.raises(ValueError, match=message):
        train.train(replace(config, split=str(other)))
    moved = tmp_path / "moved.txt"
    moved.write_bytes(Path(config.split).read_bytes())
    again = train.train(replace(config, split=str(moved)), progress=False)
    assert again["held out"]["scores"] == record["held out"]["scores"]


def test_a_split_of_other_clips_is_refused(prepared, tmp_path):
    config = prepared.config(tmp_path / "run")
    short = tmp_path / "index.csv"
    lines = prepared.index.read_text().splitlines(keepends=True)
    name = read_split(config.split).train[0]
    short.write_text("".join(line for line in lines if not line.startswith(name)))
    with pytest.raises(ValueError, match=f"names 1 clips that .*index.csv does not have, {name}"):
        train.train(replace(config, index=str(short)))


def test_learning_is_beyond_doubt(prepared, tmp_path):
    # On its own training clips, which a working loop learns by heart.
    config = prepared.config(tmp_path / "run", method="ERM", epochs=80, warmup=4, label_smoothing=0.0)
    train.train(config, progress=False)
    losses = [row["loss"] for row in read_history(config.out) if "loss" in row]
    assert np.mean(losses[-3:]) < 0.3 * losses[0]
    data = load_data(config, 8)[0]
    data.train = False
    found = predict(load_model(config.out), data)
    assert (found.actions.argmax(1) == found.y).mean() > 0.7


# What a run is made of


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_video_backbone_can_be_made_for_a_gpu(prepared, tmp_path, monkeypatch, backbone):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    settings = prepared.config(tmp_path, backbone=backbone, weights="random")
    with torch.device("meta"):  # without numbers
        made = train.Run._make_model(SimpleNamespace(config=settings, device=torch.device("cuda")))
    weights = [p for p in made.backbone.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    assert bool(weights) == (backbone in ("resnet50-tsm", "resnet-tiny-tsm"))


@pytest.mark.parametrize("decay", [0.9, 0.9995])
def test_tables_and_counters_are_not_averaged(prepared, tmp_path, decay):
    model = build_model(prepared.config(tmp_path, body="hierarchical"))
    average = train._average(model, decay)
    for step in range(3):
        with torch.no_grad():
            model.recognizer.head.bias.fill_(step)
        average.update_parameters(model)
    for (name, own), averaged in zip(model.named_buffers(), average.module.buffers(), strict=True):
        assert torch.equal(own, averaged), name
    expected = decay * (1 - decay) + 2 * (1 - decay)
    bias = average.module.recognizer.head.bias
    assert bias.detach().numpy() == pytest.approx(np.full(52, expected), rel=1e-4)


class OnMac(torch.Tensor):
    """As on a GPU of a Mac, which has no double precision."""

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_double_precision_is_left_to_the_cpu(prepared, tmp_path, monkeypatch):
    config = prepared.config(tmp_path, method="ERM", balanced=True)
    data = load_data(config, 8)[1]
    labels = Labels(data.labels().as_subclass(OnMac), data.persons())
    shares = BatchSampler(labels, config).odds
    assert shares.sum() == pytest.approx(1)
    model = build_model(config)
    expected = predict(model, data)
    say = type(model).probabilities
    monkeypatch.setattr(type(model), "probabilities", lambda *a: [p.as_subclass(OnMac) for p in say(*a)])
    assert np.array_equal(predict(model, data).actions, expected.actions)


def test_a_run_has_a_device_and_precision_of_its_own(prepared, tmp_path):
    first = prepared.config(tmp_path)
    train._accelerate(first)
    assert train._accelerate(replace(first, precision="bf16")).mixed_precision == "bf16"
    assert train._accelerate(first).mixed_precision == "no"


@pytest.mark.parametrize("method", ["JTT + augmentation", "EIIL"])
def test_a_first_stage_leaves_nothing_behind(prepared, tmp_path, monkeypatch, method):
    runs, init = [], train.Run.__init__

    def noted(self, config, *others):
        runs.append((config.hyperparameters, weakref.ref(self)))
        init(self, config, *others)

    monkeypatch.setattr(train.Run, "__init__", noted)
    own = {"augmentation_strength": 0.5} if "augmentation" in method else {}
    config = prepared.config(tmp_path / "run", method=method, **own)
    accelerator = train._accelerate(config)
    run = train.Run(config, tmp_path, accelerator, threading.Event())
    run.go_on(progress=False)
    gc.collect()
    (_, itself), (of_first, first) = runs
    assert of_first == own and itself() is run and first() is None
    assert len(accelerator._models) == len(accelerator._optimizers) == 1


def test_a_rows_speed_is_that_of_its_steps_alone(prepared, tmp_path, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(ticks)))
    evaluate_, slow = train.Run._evaluate, 1000

    def evaluated(self, epoch):
        for _ in range(slow):
            next(ticks)
        evaluate_(self, epoch)

    monkeypatch.setattr(train.Run, "_evaluate", evaluated)
    config = prepared.config(tmp_path / "run", method="EIIL", eval_every=1, epochs=3)
    first_stage = train.Run.identification_model

    def identified(self, *others):
        for _ in range(slow):
            next(ticks)
        return first_stage(self, *others)

    monkeypatch.setattr(train.Run, "identification_model", identified)
    train.train(config, progress=False)
    rows = [row for row in read_history(config.out) if "loss" in row]
    assert all(row["clips/s"] > config.batch_size / 100 for row in rows)
    # A row is about steps from before a stop, too; its speed is about those since.
    run = train.Run(config, tmp_path / "other", train._accelerate(config), threading.Event())
    run.step, run.sums = 5, [5.0, 5]
    run._start_clock()
    run.step, run.sums = 6, [6.0, 6]
    run.clock = (train.time.perf_counter() - 1, *run.clock[1:])
    run._add_row()
    assert run.history.rows[-1]["clips/s"] == pytest.approx(config.batch_size / 2)


def test_of_several_processes_one_speaks(prepared, finished, tmp_path, capsys, monkeypatch):
    config, _ = finished
    monkeypatch.setenv("RANK", "1")
    assert main(command(config)[3:]) == 0
    assert not capsys.readouterr().out
    seen = []
    monkeypatch.setattr(train.Run, "go_on", lambda self, progress: seen.append(progress))
    monkeypatch.setattr(train.Run, "finish", lambda self, progress: seen.append(progress) or {})
    init = train.Run.__init__

    def another(self, *others):
        init(self, *others)
        self.is_main = False

    monkeypatch.setattr(train.Run, "__init__", another)
    train.train(prepared.config(tmp_path / "run"))
    assert seen == [False, False] and not capsys.readouterr().out


def test_a_record_names_the_processes_that_made_it(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/course/piumar_lib/ma52/__main__.py", "train", "--seed=1"])
    many = SimpleNamespace(num_processes=4, device=torch.device("cpu"))
    launched = "python -m torch.distributed.run --standalone --nproc-per-node 4 -m piumar_lib.ma52 "
    assert train.origin(many)["command"] == f"{launched}train --seed=1"
    one = train._accelerate(prepared.config(tmp_path))
    assert train.origin(one)["command"] == "python -m piumar_lib.ma52 train --seed=1"


# Moved to another place


@pytest.fixture
def moved(finished, prepared, tmp_path):
    """A finished run whose data were moved, and where they lie now."""
    config, _ = finished
    out, places = tmp_path / "run", {"index": tmp_path / "new.csv", "cache": tmp_path / "new-cache"}
    shutil.copytree(config.out, out)
    shutil.copyfile(prepared.index, places["index"])
    shutil.copytree(prepared.cache, places["cache"])
    gone = json.loads((out / "config.json").read_text())
    gone |= {name: f"/gone/{name}" for name in ("index", "cache", "split")}
    (out / "config.json").write_text(json.dumps(gone))
    return out, places


def test_a_submission_is_told_where_its_clips_were_moved_to(moved, prepared, tmp_path, capsys):
    out, places = moved
    words = ["submit", str(out), "--out", str(tmp_path / "s.zip")]
    assert main([*words, "--index", str(places["index"])]) == 1
    assert "cache: /gone/cache, which the training read, is not there." in capsys.readouterr().err
    assert main([*words, *(word for name in places for word in (f"--{name}", str(places[name])))]) == 0
    check_submission(
        tmp_path / "s.zip", sorted(clip.name for clip in prepared.clips if clip.split == "test")
    )


def test_a_resumed_run_knows_where_its_clips_lie(moved, prepared, tmp_path):
    out, places = moved
    (out / "record.json").unlink()
    config = prepared.config(out, eval_every=1, test_views=2, **WHOLE, **places)
    train.train(config, progress=False)
    assert submit(out, tmp_path / "s.zip") > 0
    assert TrainConfig.read(out / "config.json") == config


def test_the_split_on_which_settings_were_chosen_may_move_or_be_named_later(prepared, tmp_path):
    config = prepared.config(tmp_path / "run", epochs=1, chosen_on=prepared.splits / "fold1.txt")
    record = json.loads(json.dumps(train.train(config, progress=False)))
    elsewhere = tmp_path / "elsewhere.txt"
    shutil.copyfile(prepared.splits / "fold1.txt", elsewhere)
    later = replace(config, chosen_on=str(elsewhere))
    assert Training(config, 1, {}).is_recorded_in(record | {"content": {}})
    assert Training(later, 1, {}).is_recorded_in(record | {"content": {}})
    assert train.train(later, progress=False)["selection"] == record["selection"]
    assert record["selection"]["people chosen on"] > 0
    plain = prepared.config(tmp_path / "plain", epochs=1)
    assert train.train(plain, progress=False)["selection"]["people chosen on"] == 0
    named = train.train(replace(plain, chosen_on=str(elsewhere)), progress=False)["selection"]
    assert named == record["selection"]


# Interrupted


PARTS = {"grad_accum_steps": 2, "optimizer": "sgd", "learning_rate": 0.01}


@pytest.mark.parametrize(
    "settings",
    [{}, WHOLE, PARTS, PARTS | WHOLE | {"method": "PIUmr, random groups", "steps": 4}],
)
def test_a_run_that_was_stopped_anywhere_ends_the_same(prepared, tmp_path, settings, monkeypatch):
    whole, parts = (prepared.config(tmp_path / n, eval_every=1, epochs=3, **settings) for n in "ab")
    train.train(whole, progress=False)
    begin, calls = SharedStepper.begin, 0

    def interrupted(self, step):
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            signal.raise_signal(signal.SIGINT)
        begin(self, step)

    monkeypatch.setattr(SharedStepper, "begin", interrupted)
    stops = 0
    while not (tmp_path / "b" / "record.json").is_file():
        try:
            train.train(parts, progress=False)
        except KeyboardInterrupt as error:
            assert "all is saved in" in str(error) and "The same command resumes it" in str(error)
            stops += 1
    assert stops >= 2
    assert what_counts(tmp_path / "a") == what_counts(tmp_path / "b")


def test_a_run_that_is_killed_at_twenty_random_moments_ends_the_same(
    prepared, finished, tmp_path, kill_often
):
    whole, parts = (
        prepared.config(tmp_path / n, eval_every=1, epochs=6, save_minutes=0.0, **WHOLE) for n in "ab"
    )
    began = time.perf_counter()
    train.train(whole, progress=False)
    longest = time.perf_counter() - began
    at = set()

    def look():
        if (tmp_path / "b" / "checkpoint.safetensors").is_file():
            at.add(checkpoint.load(tmp_path / "b" / "checkpoint.safetensors")["step"])

    kill_often(lambda: train.train(parts, progress=False), longest, look)
    assert len(at) >= 4, "killed before, between and after steps"
    train.train(parts, progress=False)
    assert what_counts(tmp_path / "a") == what_counts(tmp_path / "b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves(prepared, tmp_path, number):
    config = prepared.config(tmp_path / "run", epochs=500)
    words = command(config)
    plain = number == signal.SIGINT  # a new interpreter once
    process = start(lambda: os.execv(words[0], words) if plain else main(words[3:]), tmp_path)
    while not (tmp_path / "run" / "history.jsonl").is_file() or not read_history(tmp_path / "run"):
        time.sleep(0.1)
        assert process.exitcode is None
    os.kill(process.pid, number)
    code, said = exit_code(process), (tmp_path / "stderr").read_text()
    assert code == 130, said
    assert "all is saved" in said and "Traceback" not in said
    state = checkpoint.load(tmp_path / "run" / "checkpoint.safetensors")
    assert state["step"] >= read_history(tmp_path / "run")[-1]["step"] > 0


def test_a_step_that_fails_for_memory_says_what_to_lower(prepared, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(Objective, "loss", full)
    with pytest.raises(MemoryError, match="8 clips of 8 frames at a time. Double grad_accum_steps"):
        train.train(prepared.config(tmp_path / "run"), progress=False)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_loss_that_is_not_finite_names_its_clips_and_keeps_the_state(
    prepared, tmp_path, monkeypatch, parts
):
    config = prepared.config(tmp_path / "run", grad_accum_steps=parts)
    plain, begin = Objective.clip_losses, SharedStepper.begin

    def broken(self, prediction, y):
        losses = plain(self, prediction, y)
        if broken.step == 3 and broken.action is None:
            broken.action = y[0]
        return losses if broken.action is None else torch.where(y == broken.action, torch.nan, losses)

    def counted(self, step):
        broken.step, broken.action = step, None
        begin(self, step)

    monkeypatch.setattr(Objective, "clip_losses", broken)
    monkeypatch.setattr(SharedStepper, "begin", counted)
    with pytest.raises(FloatingPointError, match="step 3: the loss is nan, of 0.*_.*mp4") as error:
        train.train(config, progress=False)
    names = str(error.value).split(", of ")[1].split(". The state")[0].split(", ")
    split, by_name = read_split(config.split), {clip.name: clip for clip in prepared.clips}
    assert set(names) <= set(split.train) and len({by_name[n].action for n in names}) == 1
    failed = checkpoint.load(tmp_path / "run" / "failed.safetensors")
    assert failed["step"] == 3
    assert all(v.isfinite().all() for k, v in failed["model"].items() if "head" in k)
    # Once the cause is gone, the same command goes on from what was saved before.
    monkeypatch.undo()
    assert train.train(config, progress=False)["steps"] == 4


@pytest.mark.parametrize("name", ["checkpoint", "model", "predictions"])
def test_a_disk_that_fills_up_ends_in_one_line_and_then_the_same_command_goes_on(
    prepared, tmp_path, name, monkeypatch, capsys
):
    config = prepared.config(tmp_path / "run", epochs=1)
    plain = safetensors.torch.save_file

    def full(tensors, path, about=None):
        if path.name.startswith(name):
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        plain(tensors, path, about)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    assert main(command(config)[3:]) == 1
    said = capsys.readouterr().err.splitlines()
    (line,) = [line for line in said if line.startswith("error: ")]
    assert f"run/{name}.safetensors: no room, the disk is full. Make room" in line
    assert not list((tmp_path / "run").glob("*.part"))
    monkeypatch.undo()
    assert main(command(config)[3:]) == 0


def test_a_second_training_into_the_same_folder_is_refused(prepared, tmp_path, capsys):
    config, out = prepared.config(tmp_path / "run", epochs=1), tmp_path / "run"
    out.mkdir()
    with only_run(out):
        assert main(command(config)[3:]) == 1
    assert f"error: {out}: is being written by another run (process {os.getpid()})" in (
        capsys.readouterr().err
    )
    assert list(out.iterdir()) == [], "nothing was written"


def test_all_processes_hear_of_a_refusal(prepared, tmp_path, monkeypatch):
    config, heard = prepared.config(tmp_path / "run"), ["run: is being written"]
    other = SimpleNamespace(is_main_process=False)

    def tell(problem):
        problem[0] = RuntimeError(heard.pop())

    monkeypatch.setattr("accelerate.utils.broadcast_object_list", tell)
    with pytest.raises(RuntimeError, match="run: is being"), claim(tmp_path, config, other):
        pytest.fail("went on")
    assert not (tmp_path / ".lock").exists(), "only the main process takes the lock"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("config.json", "{", "is damaged (Expecting property name"),
        ("config.json", '{"max_epochs": 3}', "does not fit this course's version: max_epochs: there is"),
        ("record.json", "", "is damaged (Expecting value"),
        ("record.json", "[]", "is damaged (it holds no object). Delete it; the same training"),
        ("record.json", "{}", "is damaged (it lacks method"),
        ("history.jsonl", '{"st\n', "line 1: is damaged (Unterminated"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(finished, tmp_path, capsys, name, text, fault):
    config, _ = finished
    run = tmp_path / "run"
    shutil.copytree(config.out, run)
    if name == "history.jsonl":
        (run / "record.json").unlink()
    (run / name).write_text(text)
    commands = {
        "config.json": (["submit", str(run), "--out", str(tmp_path / "s.zip")],),
        "record.json": (["report", str(run)], ["table", str(run)]),
        "history.jsonl": (),
    }
    for arguments in (*commands[name], command(replace(config, out=str(run)))[3:]):
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"error: {run / name}") and fault in said and said.count("\n") == 1


def test_only_a_zip_can_be_submitted_and_that_is_said_at_once(finished, tmp_path, monkeypatch, capsys):
    config, _ = finished
    monkeypatch.setattr("piumar_lib.ma52.submit.load_model", lambda *_: pytest.fail("took time"))
    for name in ("x.txt", "x", "x.zip.csv"):
        assert main(["submit", config.out, "--out", str(tmp_path / name)]) == 1
        assert f"{name} does not end in .zip" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_means_the_home_folder_everywhere(prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(prepared.cache.parent))
    monkeypatch.chdir(tmp_path)
    out, zipped = "~/of-tilde/run", "~/of-tilde/s.zip"
    paths = [f"--cache=~/{prepared.cache.name}", "--index=~/index.csv", "--split=~/splits/fold1.txt"]
    short = ["--preset", "tiny", "--epochs", "1", "--batch-size", "8", "--eval-every", "0"]
    assert main(["train", *short, *paths, f"--out={out}"]) == 0
    assert main(["submit", out, f"--out={zipped}"]) == 0
    assert main(["report", out]) == 0
    submit(out, "~/of-tilde/again.zip")
    save_model(load_model(out), "~/of-tilde/model")
    made = {path.name for path in (prepared.cache.parent / "of-tilde").iterdir()}
    assert made == {"run", "s.zip", "again.zip", "model"}
    assert list(tmp_path.iterdir()) == [], "no folder of the name ~"


def test_memory_is_known_on_windows_too(monkeypatch):
    peak = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=3 * 2**30))
    monkeypatch.setitem(sys.modules, "resource", None)  # there is none there
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: peak))
    monkeypatch.setattr(sys, "platform", "win32")
    assert train._resident() == 3


# Several processes, and the plain command


# PIUmr but for two medians, of noise and of sizes, which are averages of the processes', and for what
# each process draws. The others as they are. IRM, which pairs clips in their order, is left out, and who
# draws numbers, changes clips or looks at its own half.
EXACT = ["ERM", "PIUmr", "CORAL", "MMD", "DANN", "V-REx", "GroupDRO", "Fish", "CVaR", "JTT", "EIIL",
         "ERIS", "DAID", "GIRL, true people"]  # fmt: skip
DRAWING = ["Mixup", "masked ReMA", "reclock", "MixStyle", "DSU", "HDF", "IRM", "CFD", "MGSC", "PIUmr",
           "weight averaging", "TFAM + augmentation", "HDF as published"]  # fmt: skip


@pytest.fixture(scope="module")
def shared(prepared, tmp_path_factory):
    """A folder of runs, the gradients of their steps in one process, and in two."""
    folder = tmp_path_factory.mktemp("shared")

    def plan(name, methods, **settings):
        # SGD: where a gradient is nearly zero, Adam makes a whole step of its rounding.
        settings = {"optimizer": "sgd", "learning_rate": 0.05} | settings
        own = {"PIUmr": {"amplitude_step": 0.0, "probability": 0.0}}
        all_of = {method: settings | own.get(method, {}) for method in methods}
        return [asdict(prepared.config(folder / name / m, method=m, **of)) for m, of in all_of.items()]

    # Layer norms only: batch norm sees its own process's half.
    one, two = (plan(f"run{k}", EXACT, backbone="videomae-tiny", eval_every=1) for k in (1, 2))
    two += plan("drawing", DRAWING, backbone="resnet-tiny-tsm")
    (folder / "one.json").write_text(json.dumps(one))
    (folder / "two.json").write_text(json.dumps(two))
    alone = start(lambda: two_processes.main(folder / "one.json", folder / "one"), folder)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*launch, two_processes.__file__, str(folder / "two.json"), str(folder / "two")]
    done = subprocess.run(words, capture_output=True, timeout=500)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert exit_code(alone) == 0, (folder / "stderr").read_text()
    gradients = [torch.load(folder / name, weights_only=True) for name in ("one", "two")]
    assert [found["processes"] for found in gradients] == [1, 2]
    return folder, *gradients


def test_two_processes_make_the_steps_of_one(shared):
    folder, *gradients = shared
    for name in EXACT:
        one, two = (found[f"run{k}: {name}"] for k, found in enumerate(gradients, 1))
        assert len(one) == len(two) >= 3
        for a, b in zip(one, two, strict=True):
            assert a.keys() == b.keys()
            for parameter in a:
                scale = a[parameter].abs().max().clamp_min(1e-4)
                assert (a[parameter] - b[parameter]).abs().max() < 2e-3 * scale, (name, parameter)
        runs = [folder / f"run{k}" / name for k in (1, 2)]
        one, two = (checkpoint.load(run / "checkpoint.safetensors")["objective"] for run in runs)
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert torch.allclose(value.double(), two[key].double(), rtol=1e-2, atol=1e-4), (name, key)
        for a, b in zip(*map(read_history, runs), strict=True):
            if "loss" in a:
                assert a["loss"] == pytest.approx(b["loss"], rel=1e-4), name
        one, two = (read_predictions(run / "predictions.safetensors") for run in runs)
        assert one.names == two.names and np.allclose(one.actions, two.actions, atol=1e-4), name


def test_methods_that_draw_train_in_two_processes(shared):
    for name in DRAWING:
        steps = shared[2][f"drawing: {name}"]
        assert steps and all(torch.isfinite(g).all() for step in steps for g in step.values()), name


def test_the_whole_path_runs_from_the_shell(prepared, tmp_path, capsys, monkeypatch):
    runs = []
    for method, seed in (("ERM", 0), ("TFAM", 0), ("ERM", 1), ("TFAM", 1)):
        runs.append(tmp_path / f"{method}-{seed}")
        config = prepared.config(runs[-1], method=method, seed=seed, epochs=1)
        assert main(command(config)[3:]) == 0
    capsys.readouterr()
    assert main(["report", str(runs[1])]) == 0
    assert "TFAM on MA-52 layout, person-disjoint, fold 1 of 2" in capsys.readouterr().out
    assert main(["table", *map(str, runs)]) == 0
    said = capsys.readouterr().out
    assert "ERM:" in said and "TFAM:" in said and "over ERM" in said
    assert main(["submit", str(runs[1]), "--out", str(tmp_path / "s.zip")]) == 0
    names = sorted(clip.name for clip in prepared.clips if clip.split == "test")
    check_submission(tmp_path / "s.zip", names)
    video = str(prepared.root / "test" / names[0])
    capsys.readouterr()
    assert main(["recognize", "--checkpoint", str(runs[1]), video]) == 0
    said = capsys.readouterr().out
    assert said.count(" %  ") == 5 and "this model was trained on MA-52 layout" in said
    assert re.search(r"\(always '.*': \d+\.\d % right\)", said)
    assert main(["report", str(tmp_path)]) == 1
    assert "no finished run" in capsys.readouterr().err


def test_runs_are_compared_over_people(prepared, tmp_path):
    for fold in (1, 2):
        for method in ("ERM", "TFAM"):
            config = prepared.config(tmp_path / f"{method}-{fold}", fold=fold, method=method, epochs=1)
            train.train(config, progress=False)
    folders = sorted(tmp_path.iterdir())
    ((plain, ours),) = compare_runs(folders).values()
    people = {clip.person for clip in prepared.clips if clip.split != "test"}
    assert (plain.method, ours.method) == ("ERM", "TFAM") and plain.gain is None
    assert plain.summary.people == ours.summary.people == len(people)
    assert ours.gain.difference == pytest.approx(ours.summary.mean - plain.summary.mean)
    with pytest.raises(ValueError, match="TFAM: evaluated on .* people. Run the rest first"):
        compare_runs(folders[:-1])
    with pytest.raises(FileNotFoundError, match="no finished run"):
        compare_runs([tmp_path])


def test_methods_are_compared_in_pairs_and_corrected():
    people = [str(p) for p in range(12)]
    rng = np.random.default_rng(0)
    scores = {name: dict(zip(people, rng.uniform(0.3, 0.9, 12), strict=True)) for name in "ab"}
    scores["ERM"] = {p: value - 0.05 * rng.random() for p, value in scores["a"].items()}
    found = {c.method: c for c in compare_methods(scores)}
    p_values = {}
    for name in "ab":
        difference = np.array([scores[name][p] - scores["ERM"][p] for p in people])
        assert found[name].gain.difference == pytest.approx(difference.mean())
        p_values[name] = ttest_1samp(difference, 0).pvalue
    low, high = sorted(p_values, key=p_values.get)
    assert found[low].p == pytest.approx(min(1, 2 * p_values[low]))
    assert found[high].p == pytest.approx(max(p_values[high], found[low].p))
    assert found["ERM"].gain is None and np.isnan(found["ERM"].p)


def test_a_submission_is_judged_against_a_stand_ins_truth(prepared, finished, tmp_path):
    config, _ = finished
    names = sorted(clip.name for clip in prepared.clips if clip.split == "test")
    assert submit(config.out, tmp_path / "s.zip") == len(names)
    truth = json.loads((prepared.root / STANDIN).read_text(encoding="utf-8"))[TRUTH]
    check_submission(tmp_path / "s.zip", sorted(truth))


# Reports


def predicted(y, right, person):
    """Predictions that are right where said, and wrong by one otherwise."""
    y, right = np.array(y), np.array(right, bool)
    said = np.where(right, y, (y + 1) % 52)
    return Predicted(
        tuple(f"{k}.mp4" for k in range(len(y))), np.array(person), y, np.eye(52)[said] * 0.9 + 0.1 / 52
    )


def test_reports_by_hand():
    found = predicted([9, 9, 0, 0, 30], [1, 0, 1, 1, 0], ["a", "a", "b", "b", "b"])
    assert by_person(found) == {"a": [1, 2], "b": [2, 3]}
    said = report(found, found.y)
    assert said["scores"]["action top-1"] == pytest.approx(3 / 5)
    assert said["over people"]["mean"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert said["over people"]["worst"] == said["over people"]["worst_quarter"] == 0.5
    assert ["nodding", "shaking head", 1] in said["hardest pairs"]
    assert np.sum(said["confusion of parts"]) == 5
    # a: nodding at 2 shown, 1 hit, none false: F1 2/3. b: shaking body 1, retracting feet 0.
    assert f1_over_own_actions(found) == pytest.approx({"a": 2 / 3, "b": 1 / 2})
    short = short_report(found, found.y)
    assert short["part head"] == 0.5 and short["part body"] == 1 and short["part lower limb"] == 0


def test_one_person_alone_is_reported_without_an_interval(tmp_path, capsys):
    for method, right in (("ERM", [1, 0, 0, 0]), ("TFAM", [1, 1, 0, 0])):
        said = report(predicted([9, 9, 0, 0], right, ["a"] * 4), np.array([9]))
        over = said["over people"]
        assert (over["low"], over["high"]) == (None, None) and over["mean"] == sum(right) / 4
        record = {"data": "MA-52", "method": method, "steps": 1, "seconds": 1, "held out": said}
        record |= {"config": {"seed": 0}, "command": "", "commit": "", "versions": "", "device": ""}
        record["split"] = describe_split("official", ["b"], ["a"])
        record["selection"] = describe_selection(["a"], 1, 1, False)
        (tmp_path / method).mkdir()
        written = json.dumps(record, allow_nan=False)
        (tmp_path / method / "record.json").write_text(written)
    # Before, such a record held an interval of width 0: it is not shown either.
    over |= {"low": 0.5, "high": 0.5}
    (tmp_path / "TFAM" / "record.json").write_text(json.dumps(record))
    assert main(["report", str(tmp_path / "TFAM")]) == 0
    assert main(["table", str(tmp_path / "ERM"), str(tmp_path / "TFAM")]) == 0
    printed = capsys.readouterr().out
    assert "over 1 people: 50.0 % (one person: no interval), worst" in printed
    assert "ERM: 25.0 % (one person: no interval)" in printed
    assert "over ERM +25.0 (one person: no interval): not decided" in printed
    assert "[" not in printed and "nan" not in printed


def test_a_history_forgets_what_will_be_written_again(tmp_path):
    seen = []
    history = History(tmp_path, 0, watch=lambda rows: seen.append(len(rows)))
    for step in (1, 2, 3):
        history.add({"step": step, "epoch": step / 2, "loss": 1.0 / step})
    history.close()
    (tmp_path / "history.jsonl").open("a").write('{"step": 4, "lo')
    assert [row["step"] for row in read_history(tmp_path)] == [1, 2, 3]
    again = History(tmp_path, 2)
    again.add({"step": 3, "epoch": 1.5, "loss": 0.5})
    again.close()
    assert [row["loss"] for row in read_history(tmp_path)] == [1.0, 0.5, 0.5]
    assert seen == [1, 2, 3]
    other = History(tmp_path, 3, writes=False)
    other.add({"step": 4})
    other.close()
    assert len(read_history(tmp_path)) == 3


def test_methods_start_from_one_model(prepared, tmp_path):
    models = [build_model(prepared.config(tmp_path, method=m)) for m in ("ERM", "TFAM")]
    states = [model.state_dict() for model in models]
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_a_history_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    history = History(tmp_path, 0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")  # as TensorBoard has it: no name

    monkeypatch.setattr(history.board, "add_scalar", full)
    with pytest.raises(CannotWrite, match="history.jsonl: no room, the disk is full"):
        history.add({"step": 1, "loss": 0.5})
    history.close()
