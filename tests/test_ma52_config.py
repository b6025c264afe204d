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

from piumar_lib.batch import Labels
from piumar_lib.evidence.methods import METHODS
from piumar_lib.ma52.__main__ import hyperparameters, main, parser
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.config import PRESETS, SETTINGS, TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.optimizer import (
    count_layers,
    depth,
    make_optimizer,
    parameter_groups,
    rate_at,
    set_rate,
)
from piumar_lib.support import checkpoint

# Settings


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_words_and_a_range_or_choices(name):
    one = SETTINGS[name]
    assert 5 < len(one.about) < 70
    if isinstance(one.default, str):
        assert one.choices or name in ("cache", "poses", "index", "split", "out", "chosen_on", "method")
    elif not isinstance(one.default, bool):
        assert one.range is not None


@pytest.mark.parametrize("preset", ["", *PRESETS])
def test_presets_are_settings_and_survive_json(preset):
    config = TrainConfig.make(preset, out="run")
    assert TrainConfig.make(**json.loads(config.to_json())) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1


def test_manets_recipe_is_the_published_one():
    config = TrainConfig.make("manet")
    assert (config.backbone, config.epochs, config.batch_size) == ("resnet50-tsm", 80, 10)
    assert (config.optimizer, config.learning_rate, config.sgd_momentum) == ("sgd", 0.00125, 0.9)
    assert (config.weight_decay, config.grad_clip, config.dropout) == (1e-4, 20.0, 0.5)
    rates = [rate_at(epoch * 7, 7, config) for epoch in (0, 29, 30, 59, 60, 79)]
    assert np.allclose(rates, 0.00125 * np.array([1, 1, 0.1, 0.1, 0.01, 0.01]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mass": "motion"}, "mass: there is no such setting. Choose from cache"),
        ({"learning_rat": 1.0}, "learning_rat: .* no such setting. Did you mean 'learning_rate'?"),
        ({"zzz": 1.0}, "zzz: there is no such setting. Choose from cache"),
        ({"radus": 1.0, "method": "PIUmr"}, "radus: .* Did you mean 'radius'?"),
        ({"radius": 1.0, "method": "ERM"}, "radius: there is no such setting. Choose from cache"),
        ({"radius": -1.0, "method": "PIUmr"}, "radius: must be a number, at least 0, got -1.0"),
        ({"method": "PIUMR"}, "PIUMR: there is no such method. Did you mean 'PIUmr'"),
        ({"method": "MiniRocket"}, "method: MiniRocket makes no steps.* Train it on sequences"),
        ({"preset": "large"}, "preset: 'large' is unknown. Choose from videomae-base"),
        ({"backbone": "c3d"}, "backbone: must be one of videomae-base, .* got 'c3d'"),
        ({"epochs": 0}, r"epochs: must be .* got 0 \(passes over .* clips\). Its default is 30"),
        ({"learning_rate": -1e-3}, "learning_rate: must be a number, .* got -0.001"),
        ({"learning_rate": math.nan}, "learning_rate: must be a number, .* got nan"),
        ({"epochs": 1.5}, "epochs: must be a whole number, .* got 1.5"),
        ({"epochs": True}, "epochs: must be a whole number, .* got True"),
        ({"balanced": 1}, "balanced: must be True or False, got 1"),
        ({"milestones": [1.5]}, r"milestones: must be a list, each a whole number, .* got \[1.5\]"),
        ({"milestones": (-1,)}, r"milestones: must be a list, .* at least 0, got \(-1,\)"),
        ({"batch_size": 10, "grad_accum_steps": 3}, "grad_accum_steps: 3 parts of a batch of 10"),
        ({"batch_size": 4, "grad_accum_steps": 4}, "at least 2"),
        ({"epochs": 2, "warmup": 3}, "warmup: 3.0 of 2 epochs"),
        ({"method": "GIRL", "epochs": 1, "warmup": 0}, "epochs: GIRL finds its groups after the first"),
        ({"method": "DAID", "epochs": 1, "warmup": 0}, "epochs: DAID finds its groups after the first"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.make(**settings)


def test_whole_numbers_serve_as_rates_and_lists_as_milestones():
    config = TrainConfig.make(learning_rate=1, milestones=[3, 5])
    assert repr(config.learning_rate) == "1.0" and config.milestones == (3, 5)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "MiniRocket"])
def test_a_methods_hyperparameters_are_those_of_the_table(name):
    config = TrainConfig.make("tiny", method=name)
    known = METHODS[name].hyperparameters
    assert {n: config.hyperparameters[n] for n in known} == {n: one.default for n, one in known.items()}
    assert {*config.hyperparameters} - {*known} <= {"steps", "augmentation_strength"}
    assert ("augmentation_strength" in config.hyperparameters) == METHODS[name].augmented
    for n, one in known.items():
        chosen = TrainConfig.make("tiny", method=name, **{n: one.values[-1]})
        assert chosen.hyperparameters == config.hyperparameters | {n: one.values[-1]}
        assert TrainConfig.make(**json.loads(chosen.to_json())) == chosen
        with pytest.raises(ValueError, match=f"{n}: must be"):
            TrainConfig.make("tiny", method=name, **{n: -1})


def test_the_command_line_knows_every_setting(capsys):
    options = ["--learning-rate", "0.01", "--milestones", "3", "5", "--balanced", "--no-cpu"]
    options += ["--method", "PIUmr + augmentation", "--radius", "0.2", "--groups", "3"]
    assert main(["train", "--preset", "tiny", *options, "--dry-run"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = TrainConfig.make(
        "tiny", learning_rate=0.01, milestones=(3, 5), balanced=True, cpu=False, radius=0.2, groups=3,
        method="PIUmr + augmentation",
    )  # fmt: skip
    assert said == json.loads(expected.to_json())
    given = vars(parser().parse_args(["train"]))
    every = {*SETTINGS, *hyperparameters()}
    assert not set(given) & every, "what is not given must not replace a preset's value"


def test_the_help_says_of_each_hyperparameter_whose_it_is_and_where_it_starts(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = "".join(capsys.readouterr().out.split())
    for name, row in METHODS.items():
        if row.classify is None and row.kind != "control" and " + " not in name:
            for hyperparameter, one in row.hyperparameters.items():
                words = f"{one.about} ({one.default})".replace(" ", "")
                assert f"--{hyperparameter.replace('_', '-')}" in said and words in said


def test_an_option_is_not_taken_for_another_that_begins_like_it(capsys):
    for option in ("--regulariser=0.01", "--label=1", "--amplitude=0.5", "--epoch=3"):
        with pytest.raises(SystemExit):
            main(["train", option, "--dry-run"])
        assert f"unrecognized arguments: {option}" in capsys.readouterr().err


def test_missing_paths_are_named(tmp_path):
    with pytest.raises(ValueError, match="cache: no path is given. It is the folder of the clip cache"):
        TrainConfig().require_paths()
    paths = {"index": tmp_path, "split": tmp_path, "out": tmp_path}
    with pytest.raises(FileNotFoundError, match="cache: .*nowhere is not there"):
        TrainConfig.make(cache=tmp_path / "nowhere", **paths).require_paths()


# Rates


@pytest.mark.parametrize(("backbone", "layers"), [("videomae-tiny", 2), ("resnet-tiny-tsm", 2)])
def test_layers_are_counted_from_the_input(backbone, layers):
    model = build_model(TrainConfig.make("tiny", backbone=backbone, method="TFAM"))
    assert count_layers(model) == layers
    depths = {name: depth(name, layers) for name, _ in model.named_parameters()}
    assert {d for n, d in depths.items() if "embed" in n} == {0}
    assert {d for n, d in depths.items() if ".0.layer" in n and "encoder" in n} <= {1, 2}
    for name in ("recognizer.head.weight", "recognizer.plug_in.temporal.clock.floor_logit"):
        assert depths[name] == layers + 1
    assert depths["recognizer.backbone.1.look.weight"] == layers + 1
    assert set(depths.values()) == set(range(layers + 2))


def test_a_norm_behind_the_last_layer_belongs_to_it():
    assert depth("recognizer.backbone.0.model.layernorm.weight", 12) == 12
    assert depth("recognizer.backbone.0.model.embeddings.patch_embeddings.projection.weight", 12) == 0


def test_every_parameter_is_in_one_group_with_its_rate_and_decay():
    config = TrainConfig.make("tiny", method="TFAM", body="head", layer_decay=0.5, weight_decay=0.2)
    model = build_model(config)
    optimizer = make_optimizer(model, config)
    set_rate(optimizer, 0.8)
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(of) == sum(1 for _ in model.parameters())
    for name, parameter in model.named_parameters():
        group = of[id(parameter)]
        below_top = count_layers(model) + 1 - depth(name, count_layers(model))
        assert group["lr"] == pytest.approx(0.8 * 0.5**below_top), name
        assert group["weight_decay"] == (0.2 if parameter.ndim > 1 else 0), name
    kept = [name for name, p in model.named_parameters() if of[id(p)]["weight_decay"] == 0]
    meant = {"temporal.clock.floor_logit", "fusion.bias"}
    assert {f"recognizer.plug_in.{name}" for name in meant} <= {*kept}
    assert len(parameter_groups(model, config)) == len(optimizer.param_groups)


@given(st.integers(1, 50), st.integers(1, 30), st.floats(0, 30), st.sampled_from(["cosine", "steps"]))
def test_a_rate_rises_to_its_peak_and_then_only_falls(per_epoch, epochs, warmup, scheduler):
    warmup = min(warmup, epochs)
    config = TrainConfig.make(
        "tiny", epochs=epochs, warmup=warmup, scheduler=scheduler, milestones=(5, 9)
    )
    rates = np.array([rate_at(step, per_epoch, config) for step in range(per_epoch * epochs)])
    assert (rates > 0).all() and rates.max() <= config.learning_rate * (1 + 1e-9)
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) <= 1e-12).all()
    risen = math.ceil(warmup * per_epoch)
    if 0 < risen < len(rates) and scheduler == "cosine":
        assert rates[risen - 1] == pytest.approx(config.learning_rate)


def test_the_cosine_is_torchs():
    config = TrainConfig.make("tiny", epochs=5, warmup=0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.learning_rate)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5 * 7)
    for step in range(35):
        assert rate_at(step, 7, config) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


# Which clips a step sees

LABELS = Labels(torch.arange(50) % 3, torch.arange(50) // 5)


def steps(start=0, processes=1, process=0, labels=LABELS, people=None, **settings):
    config = TrainConfig.make("tiny", **({"batch_size": 8, "epochs": 3} | settings))
    return list(BatchSampler(labels, config, people, processes, process).steps(start))


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


@given(st.integers(0, 18), st.sampled_from([None, 2, 4]))
def test_a_training_that_begins_later_sees_what_is_left(start, people):
    assert steps(start, people=people) == steps(people=people)[start:]


@pytest.mark.parametrize("options", [{}, {"balanced": True}, {"people": 4}])
def test_processes_share_the_clips_of_a_step(options):
    whole = [sorted(step) for step in steps(**options)]
    mine, theirs = (steps(processes=2, process=k, **options) for k in (0, 1))
    assert [sorted(a + b) for a, b in zip(mine, theirs, strict=True)] == whole
    assert all(len(a) == len(b) == 4 for a, b in zip(mine, theirs, strict=True))


@given(st.lists(st.integers(1, 30), min_size=2, max_size=20), st.integers(2, 8), st.integers(0, 9))
def test_batches_of_people_have_one_size_and_few_people(counts, people, seed):
    person = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = Labels(person % 3, person)
    if len(labels) < 8:
        return
    drawn = steps(labels=labels, people=people, seed=seed)
    assert all(len(step) == 8 for step in drawn) and len(drawn) % 3 == 0
    for step in drawn:
        assert len({int(person[clip]) for clip, _ in step}) <= 1.5 * people + 1
    seeds = [seed for step in drawn for _, seed in step]
    assert len({*seeds}) == len(seeds), "a clip that comes twice is varied twice"
    assert [c for s in drawn for c, _ in s] == [
        c for s in steps(labels=labels, people=people, seed=seed) for c, _ in s
    ]


def test_batches_of_people_show_nearly_every_clip_in_each_epoch():
    person = torch.arange(400) // 40
    drawn = steps(labels=Labels(person % 3, person), people=4, batch_size=16, epochs=2, warmup=0)
    for epoch in (drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]):
        assert len({clip for step in epoch for clip, _ in step}) > 0.85 * 400
        assert all(len({int(person[c]) for c, _ in step}) in (3, 4) for step in epoch)


def test_balanced_draws_show_rare_actions_as_often_as_frequent_ones():
    y = torch.tensor([0] * 400 + [1] * 80 + [2] * 20)
    drawn = steps(labels=Labels(y, torch.zeros_like(y)), balanced=True, epochs=12)
    drawn = [y[c] for s in drawn for c, _ in s]
    counts = np.bincount(drawn)
    # Three standard deviations of a binomial count.
    spread = 3 * (len(drawn) * (1 / 3) * (2 / 3)) ** 0.5
    assert abs(counts - len(drawn) / 3).max() < spread


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(ValueError, match="batch_size: 64 of 50 clips. Choose a smaller one"):
        steps(batch_size=64)
    with pytest.raises(ValueError, match="cannot be dealt to 3 processes in 2 parts.* multiple of 6"):
        steps(processes=3, grad_accum_steps=2)
    with pytest.raises(ValueError, match="balanced: CORAL draws a batch from 8 people.* at False"):
        steps(people=8, balanced=True, method="CORAL")


# Checkpoints


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    shared = torch.randn(3, 4)
    state = {
        "step": 7, "sums": [0.5, 3], "nothing": {}, "name": "ü", "nan": math.nan,
        "model": {"a.b": shared, "c": shared.T, "half": torch.randn(2).bfloat16()},
        "optimizer": {"0": {"step": torch.tensor(3.0), "exp_avg": torch.randn(2)}},
    }  # fmt: skip
    checkpoint.save(tmp_path / "c.safetensors", state)
    found = checkpoint.load(tmp_path / "c.safetensors")
    assert math.isnan(found.pop("nan")) and state.pop("nan")
    for group in ("model",):
        for name, value in state.pop(group).items():
            assert found[group][name].dtype == value.dtype and (found[group][name] == value).all()
        found.pop(group)
    assert (found["optimizer"]["0"]["exp_avg"] == state["optimizer"]["0"]["exp_avg"]).all()
    assert found["optimizer"]["0"]["step"] == 3
    assert {k: v for k, v in found.items() if k != "optimizer"} == {
        k: v for k, v in state.items() if k != "optimizer"
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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_optimiser_goes_on_as_if_nothing_had_happened(layout, tmp_path):
    def problem():
        torch.manual_seed(0)
        model = torch.nn.Conv2d(3, 2, (2, 3)).to(memory_format=layout)
        return model, torch.optim.AdamW(model.parameters(), 0.1, fused=True)

    def steps(model, optimizer, numbers):
        for k in numbers:
            torch.manual_seed(k)
            model(torch.randn(8, 3, 4, 5)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    whole, optimizer = problem()
    steps(whole, optimizer, range(6))
    first, optimizer = problem()
    steps(first, optimizer, range(3))
    second, again = problem()
    second.load_state_dict(first.state_dict())
    checkpoint.save(tmp_path / "c.safetensors", checkpoint.optimizer_state(optimizer))
    checkpoint.restore_optimizer(again, checkpoint.load(tmp_path / "c.safetensors"))
    steps(second, again, range(3, 6))
    assert (second.weight == whole.weight).all()
