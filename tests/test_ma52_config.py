"""Settings, rates, the order of clips, checkpoints: what a training is made of."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.experiments import ROOT
from piumar_lib.ma52 import checkpoint
from piumar_lib.ma52.__main__ import main, parser
from piumar_lib.ma52.config import PRESETS, TrainConfig, describe, parameters_cell
from piumar_lib.ma52.draws import Draws
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.optimiser import (
    count_layers,
    depth,
    make_optimiser,
    parameter_groups,
    rate_at,
    set_rate,
)
from piumar_lib.methods import COMMON, hyperparameters_of
from tools.__main__ import _value

# Settings


@pytest.mark.parametrize("name", describe())
def test_every_setting_has_words_and_a_range_or_choices(name):
    about = describe()[name]
    assert 5 < len(about["words"]) < 70
    if isinstance(about["default"], str):
        assert about["choices"] or name in ("cache", "index", "split", "out")
    elif not isinstance(about["default"], bool):
        assert about["low"] is not None


@pytest.mark.parametrize("preset", ["", *PRESETS])
def test_presets_are_settings_and_survive_json(preset):
    config = TrainConfig.make(preset, out="run")
    assert TrainConfig.from_json(config.to_json()) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.rate = 1.0


def test_manets_recipe_is_the_published_one():
    config = TrainConfig.make("manet")
    assert (config.backbone, config.epochs, config.batch) == ("resnet50-tsm", 80, 10)
    assert (config.optimiser, config.rate, config.momentum) == ("sgd", 0.00125, 0.9)
    assert (config.weight_decay, config.clip, config.dropout) == (1e-4, 20.0, 0.5)
    rates = [rate_at(epoch * 7, 7, config) for epoch in (0, 29, 30, 59, 60, 79)]
    assert np.allclose(rates, 0.00125 * np.array([1, 1, 0.1, 0.1, 0.01, 0.01]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"boundary": 1.0}, "boundary: only the method's first version had it. .* look at beta instead"),
        ({"mass": "motion"}, "mass: only the method's first version had it. .* look at clock instead"),
        ({"rat": 1.0}, "rat: there is no such setting. Did you mean 'rate'?"),
        ({"zzz": 1.0}, "zzz: there is no such setting. There are: cache"),
        ({"preset": "large"}, "preset: 'large' is unknown. Choose from videomae-base"),
        ({"backbone": "c3d"}, "backbone: 'c3d' is unknown. Choose from videomae-base"),
        ({"plug": "girl"}, "plug: 'girl' is unknown. Choose from none, tfam"),
        ({"epochs": 0}, r"epochs: 0 is out of range \(passes over the training clips\)"),
        ({"rate": -1e-3}, "rate: -0.001 is out of range"),
        ({"rate": math.nan}, "rate: nan is out of range"),
        ({"epochs": 1.5}, "epochs: 1.5 is no int"),
        ({"epochs": True}, "epochs: True is no int"),
        ({"balanced": 1}, "balanced: 1 is no bool"),
        ({"drops": [1.5]}, r"drops: \[1.5\] is no tuple"),
        ({"drops": (-1,)}, r"drops: \(-1,\) is out of range .* from 0 up"),
        ({"batch": 10, "accumulate": 3}, "accumulate: 3 parts of a batch of 10"),
        ({"batch": 4, "accumulate": 4}, "at least 2"),
        ({"epochs": 2, "warmup": 3}, "warmup: 3.0 of 2 epochs"),
        ({"loss": "girl", "epochs": 1}, "loss: girl finds its groups after the first epoch"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.make(**settings)


def test_whole_numbers_serve_as_rates_and_lists_as_drops():
    config = TrainConfig.make(rate=1, drops=[3, 5])
    assert config.rate == 1.0 and isinstance(config.rate, float) and config.drops == (3, 5)


def test_the_command_line_knows_every_setting(capsys):
    options = ["--rate", "0.01", "--drops", "3", "5", "--balanced", "--no-cpu", "--layer-decay", "0.9"]
    assert main(["train", "--preset", "tiny", *options, "--dry-run"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = TrainConfig.make(
        "tiny", rate=0.01, drops=(3, 5), balanced=True, cpu=False, layer_decay=0.9
    )
    assert said == json.loads(expected.to_json())
    given = vars(parser().parse_args(["train"]))
    assert not set(given) & set(describe()), "what is not given must not replace a preset's value"


def test_the_parameters_of_chapter_12_are_the_settings():
    source = (ROOT / "notebooks" / "12_train_ma52.py").read_text(encoding="utf-8")
    assert parameters_cell() in source, "copy what `python -m piumar_lib.ma52 parameters` prints"
    found = {}
    exec(parameters_cell(), found)
    assert {name for name in found if not name.startswith("__")} == set(describe())
    assert not any(found[name] for name in describe()), "None leaves a preset's value"
    assert _value("(3, 5)") == (3, 5) and _value("1e-3") == 1e-3


def test_an_option_is_not_taken_for_another_that_begins_like_it(capsys):
    for option in ("--regulariser=0.01", "--step=1", "--amplitude=0.5", "--epoch=3"):
        with pytest.raises(SystemExit):
            main(["train", option, "--dry-run"])
        assert f"unrecognized arguments: {option}" in capsys.readouterr().err


def test_the_methods_hyperparameters_begin_where_the_courses_do():
    known, config = hyperparameters_of("PIUmr"), TrainConfig()
    for name in known.keys() - COMMON.keys():
        mine = "risk_momentum" if name == "momentum" else name
        assert getattr(config, mine) == known[name].default, name
    assert config.steps == MonotoneAlignment().steps


def test_missing_paths_are_named(tmp_path):
    with pytest.raises(ValueError, match="cache: no path is given. It is the folder of the clip cache"):
        TrainConfig().require_paths()
    paths = {"index": tmp_path, "split": tmp_path, "out": tmp_path}
    with pytest.raises(FileNotFoundError, match="cache: .*nowhere is not there"):
        TrainConfig.make(cache=tmp_path / "nowhere", **paths).require_paths()


def test_the_methods_of_the_course_have_their_names():
    pairs = [("none", "erm"), ("tfam", "erm"), ("none", "girl"), ("tfam", "girl")]
    names = [TrainConfig.make(plug=plug, loss=loss).method for plug, loss in pairs]
    assert names == ["ERM", "TFAM", "GIRL", "PIUmr"]


# Rates


@pytest.mark.parametrize(("backbone", "layers"), [("videomae-tiny", 2), ("resnet-tiny-tsm", 2)])
def test_layers_are_counted_from_the_input(backbone, layers):
    model = build_model(TrainConfig.make("tiny", backbone=backbone, plug="tfam"))
    assert count_layers(model) == layers
    depths = {name: depth(name, layers) for name, _ in model.named_parameters()}
    assert {d for n, d in depths.items() if "embed" in n} == {0}
    assert {d for n, d in depths.items() if ".0.layer" in n and "encoder" in n} <= {1, 2}
    for name in ("recognizer.head.weight", "recognizer.plug.temporal.clock.floor_logit"):
        assert depths[name] == layers + 1
    assert depths["recognizer.backbone.1.look.weight"] == layers + 1
    assert set(depths.values()) == set(range(layers + 2))


def test_a_norm_behind_the_last_layer_belongs_to_it():
    assert depth("recognizer.backbone.0.model.layernorm.weight", 12) == 12
    assert depth("recognizer.backbone.0.model.embeddings.patch_embeddings.projection.weight", 12) == 0


def test_every_parameter_is_in_one_group_with_its_rate_and_decay():
    config = TrainConfig.make("tiny", plug="tfam", body="head", layer_decay=0.5, weight_decay=0.2)
    model = build_model(config)
    optimiser = make_optimiser(model, config)
    set_rate(optimiser, 0.8)
    of = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    assert len(of) == sum(1 for _ in model.parameters())
    for name, parameter in model.named_parameters():
        group = of[id(parameter)]
        below_top = count_layers(model) + 1 - depth(name, count_layers(model))
        assert group["lr"] == pytest.approx(0.8 * 0.5**below_top), name
        assert group["weight_decay"] == (0.2 if parameter.ndim > 1 else 0), name
    kept = [name for name, p in model.named_parameters() if of[id(p)]["weight_decay"] == 0]
    meant = {"temporal.clock.floor_logit", "fusion.bias"}
    assert {f"recognizer.plug.{name}" for name in meant} <= {*kept}
    assert len(parameter_groups(model, config)) == len(optimiser.param_groups)


@given(st.integers(1, 50), st.integers(1, 30), st.floats(0, 30), st.sampled_from(["cosine", "steps"]))
def test_a_rate_rises_to_its_peak_and_then_only_falls(per_epoch, epochs, warmup, schedule):
    warmup = min(warmup, epochs)
    config = TrainConfig.make("tiny", epochs=epochs, warmup=warmup, schedule=schedule, drops=(5, 9))
    rates = np.array([rate_at(step, per_epoch, config) for step in range(per_epoch * epochs)])
    assert (rates > 0).all() and rates.max() <= config.rate * (1 + 1e-9)
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) <= 1e-12).all()
    risen = math.ceil(warmup * per_epoch)
    if 0 < risen < len(rates) and schedule == "cosine":
        assert rates[risen - 1] == pytest.approx(config.rate)


def test_the_cosine_is_torchs():
    config = TrainConfig.make("tiny", epochs=5, warmup=0)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.rate)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=5 * 7)
    for step in range(35):
        assert rate_at(step, 7, config) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12)
        optimiser.step()
        theirs.step()


# Which clips a step sees

LABELS = torch.arange(50) % 3


def steps(start=0, processes=1, process=0, labels=LABELS, **settings):
    config = TrainConfig.make("tiny", **({"batch": 8, "epochs": 3} | settings))
    return list(Draws(labels, config, processes, process).parts(start))


def test_each_epoch_sees_every_clip_at_most_once_in_an_order_of_its_own():
    drawn = np.array([[clip for clip, _ in step] for step in steps()])
    assert drawn.shape == (3 * 6, 8)
    epochs = drawn.reshape(3, 48)
    assert all(len({*epoch}) == 48 for epoch in epochs)
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()
    seeds = [seed for step in steps() for _, seed in step]
    assert len({*seeds}) == len(seeds)
    other = {seed for step in steps(seed=1) for _, seed in step}
    assert not other & {*seeds}


@given(st.integers(0, 18), st.sampled_from([1, 2, 4]))
def test_a_training_that_begins_later_sees_what_is_left(start, accumulate):
    whole = steps(accumulate=accumulate)
    assert steps(start, accumulate=accumulate) == whole[start * accumulate :]


@pytest.mark.parametrize("balanced", [False, True])
def test_parts_and_processes_share_the_clips_of_a_step(balanced):
    whole = [{*step} for step in steps(balanced=balanced)]
    halves = steps(accumulate=2, balanced=balanced)
    assert [{*a} | {*b} for a, b in zip(halves[::2], halves[1::2], strict=True)] == whole
    mine, theirs = (steps(processes=2, process=k, balanced=balanced) for k in (0, 1))
    assert [{*a} | {*b} for a, b in zip(mine, theirs, strict=True)] == whole
    assert all(len(a) == len(b) == 4 for a, b in zip(mine, theirs, strict=True))


def test_balanced_draws_show_rare_actions_as_often_as_frequent_ones():
    labels = torch.tensor([0] * 400 + [1] * 80 + [2] * 20)
    drawn = [labels[c] for s in steps(labels=labels, balanced=True, epochs=12) for c, _ in s]
    counts = np.bincount(drawn)
    # Three standard deviations of a binomial count.
    spread = 3 * (len(drawn) * (1 / 3) * (2 / 3)) ** 0.5
    assert abs(counts - len(drawn) / 3).max() < spread


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(ValueError, match="batch: 64 of 50 clips. Choose a smaller one"):
        steps(batch=64)
    with pytest.raises(ValueError, match="cannot be dealt to 3 processes in 2 parts.* multiple of 6"):
        steps(processes=3, accumulate=2)


# Checkpoints


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    shared = torch.randn(3, 4)
    state = {
        "step": 7, "sums": [0.5, 3], "nothing": {}, "name": "ü", "nan": math.nan,
        "model": {"a.b": shared, "c": shared.T, "half": torch.randn(2).bfloat16()},
        "optimiser": {"0": {"step": torch.tensor(3.0), "exp_avg": torch.randn(2)}},
    }  # fmt: skip
    checkpoint.save(tmp_path / "c.safetensors", state)
    found = checkpoint.load(tmp_path / "c.safetensors")
    assert math.isnan(found.pop("nan")) and state.pop("nan")
    for group in ("model",):
        for name, value in state.pop(group).items():
            assert found[group][name].dtype == value.dtype and (found[group][name] == value).all()
        found.pop(group)
    assert (found["optimiser"]["0"]["exp_avg"] == state["optimiser"]["0"]["exp_avg"]).all()
    assert found["optimiser"]["0"]["step"] == 3
    assert {k: v for k, v in found.items() if k != "optimiser"} == {
        k: v for k, v in state.items() if k != "optimiser"
    }


def test_what_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    with pytest.raises(FileNotFoundError, match="c.safetensors: no checkpoint"):
        checkpoint.load(path)
    for content in (b"", b"PK\x03\x04 a zip", b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="c.safetensors: is no checkpoint of this course"):
            checkpoint.load(path)
    checkpoint.save(path, {"a": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is no checkpoint"):
        checkpoint.load(path)


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"step": 1})

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}


def test_an_optimiser_goes_on_as_if_nothing_had_happened():
    def problem():
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        return model, torch.optim.AdamW(model.parameters(), 0.1, fused=True)

    def steps(model, optimiser, numbers):
        for k in numbers:
            torch.manual_seed(k)
            model(torch.randn(8, 4)).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()

    whole, optimiser = problem()
    steps(whole, optimiser, range(6))
    first, optimiser = problem()
    steps(first, optimiser, range(3))
    second, again = problem()
    second.load_state_dict(first.state_dict())
    checkpoint.restore_optimiser(again, checkpoint.optimiser_state(optimiser))
    steps(second, again, range(3, 6))
    assert (second.weight == whole.weight).all()
