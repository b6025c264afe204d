"""The recogniser of micro-actions as a thing to use: saved, exported, and shown recordings."""

from __future__ import annotations

import ctypes
import json
import sys
from fractions import Fraction
from types import SimpleNamespace

import forks
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from slow import slow_but
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.batch import Batch
from piumar_lib.data.labels import ACTIONS, body_part
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import frame_indices
from piumar_lib.ma52.model import (
    TemporalMixing,
    build_model,
    export,
    load_model,
    save_model,
)
from piumar_lib.ma52.prepare.video import read_frames, write_mp4
from piumar_lib.ma52.recognize import read_recording, recognize, sample, windows
from piumar_lib.ma52.train import make_objective
from piumar_lib.ma52.transforms import to_input
from piumar_lib.objective import Objective
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import Prediction
from piumar_lib.support import checkpoint

BOTH = ["videomae-tiny", "resnet-tiny-tsm"]


def make(**settings):
    return build_model(TrainConfig.make("tiny", **settings))


def clips(model, batch=3):
    torch.manual_seed(1)
    return torch.randn(batch, model.frames, 3, model.size, model.size)


@pytest.mark.parametrize("backbone", BOTH)
@pytest.mark.parametrize("method", ["ERM", "TFAM"])
def test_shapes_of_what_is_said(backbone, method):
    model = make(backbone=backbone, method=method, body="head").train()
    prediction = model(clips(model), torch.tensor([0, 0, 1]))
    parts, of_action = prediction.coarse
    assert prediction.logits.shape == (3, 52) and parts.shape == (3, 7)
    assert of_action.tolist() == [int(body_part(action)) for action in range(52)]
    assert len(prediction.view_logits) == (2 if method == "TFAM" else 0)
    assert prediction.features.shape == (3, prediction.early_features.shape[-1])
    assert len(prediction.early_features) == 3
    model = make(backbone=backbone, method=method)
    assert model(clips(model)).coarse is None


def test_every_parameter_learns():
    model = make(method="TFAM", body="head").train()
    with torch.no_grad():
        model.recognizer.backbone[1].back.weight.normal_()
    said = model(clips(model), torch.tensor([0, 0, 1]))
    sum(t.square().mean() for t in (said.logits, *said.view_logits, said.coarse[0])).backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_the_perturbation_reaches_the_second_views_decision():
    model, y = make(method="TFAM", probability=1.0).train().recognizer, torch.arange(64) % 4
    model.backbone[0] = torch.nn.Identity()
    x = torch.randn(64, 8, 32).cumsum(1) * torch.rand(64, 1, 1).mul(2).exp() + torch.randn(4, 1, 32)[y]
    with torch.no_grad():
        *_, one, other = (model(x, y).view_logits[1] for _ in range(5))  # the first find variances
    # Even before mixing in time has learned anything, by way of the norm, which is not linear.
    assert (one - other).std() > 0.05 * one.std(0).mean()


@pytest.mark.parametrize("backbone", BOTH)
def test_to_differences_what_stands_still_is_nothing(backbone):
    model = make(backbone=backbone, modality="difference").eval()
    video = clips(model)
    still = torch.randn(3, 1, *video.shape[2:])
    assert torch.allclose(model(video + still).logits, model(video).logits, atol=1e-4)
    pictures = make(backbone=backbone).eval()
    assert not torch.allclose(pictures(video + still).logits, pictures(video).logits, atol=1e-2)


def test_mixing_in_time_starts_as_the_identity_and_then_sees_order():
    layer, x = TemporalMixing(6, 4), torch.randn(2, 5, 6)
    assert (layer(x) == x).all()
    torch.nn.init.normal_(layer.back.weight)
    assert not torch.allclose(layer(x).mean(1), layer(x.flip(1)).mean(1), atol=1e-3)
    near = x.clone()
    near[:, 0] = torch.randn(6)
    changed = (layer(near) - layer(x)).abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [True, True, False, False, False]


# What settings make


def test_settings_make_the_parts_that_they_name():
    parts = {"floor": 0.3, "steps": 5, "amplitude_step": 0.7, "scale": 0.8, "probability": 0.4}
    made = make(method="TFAM", **parts).recognizer.plug_in
    assert type(made.temporal) is MonotoneAlignment and made.temporal.steps == 5
    assert made.temporal.clock.floor.item() == pytest.approx(0.3)
    assert made.temporal.amplitude.step == 0.7
    assert (made.frequency.scale, made.frequency.probability) == (0.8, 0.4)
    given = {"groups": 3, "radius": 0.2, "beta": 0.5, "temperature": 2.0, "momentum": 0.8}
    views = {"supervision": 0.3, "consistency": 0.7, "regularizer_share": 0.2}
    both = make_objective(TrainConfig.make(method="PIUmr", **given, **views))
    assert (both.view_weights.supervision, both.view_weights.consistency, both.regularizer_share) == (
        0.3,
        0.7,
        0.2,
    )
    alone = make_objective(TrainConfig.make(method="GIRL", **given))
    for robust in (both.over, alone):
        assert robust.groups.each == 3
        found = robust.radius, robust.beta, robust.temperature, robust.momentum, robust.step
        assert found == (0.2, 0.5, 2.0, 0.8, None)
    assert type(make_objective(TrainConfig())) is Objective


@pytest.mark.parametrize("method", ["ERM", "TFAM", "GIRL", "PIUmr"])
def test_a_gpu_waits_for_nothing_in_a_step(method):
    """Numbers that decide what is done next, or how much of it, must be waited for."""
    asks = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "bincount", "equal"}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            name = operation.overloadpacket.__name__
            places = args[1] if name in ("index", "index_put", "index_put_") else []
            if any(place is not None and place.dtype == torch.bool for place in places):
                waits.append("a mask")
            waits.extend({name} & asks)
            return operation(*args, **(kwargs or {}))

    config = TrainConfig.make("tiny", method=method)
    model, objective, y = build_model(config), make_objective(config), torch.arange(8) // 2
    batch, waits = Batch(clips(model, 8), y, y, torch.arange(8)), []
    objective.start(model.recognizer, batch, config)
    with Watch():
        for _ in range(2):
            objective.loss(model.recognizer, batch).backward()
    assert not waits
    with Watch():
        batch.y[batch.y > 0].sum().item()
    assert waits == ["a mask", "_local_scalar_dense"]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_in_half_precision_statistics_and_loss_are_nearly_those_of_single(kind):
    config = TrainConfig.make("tiny", method="PIUmr", probability=0.0)
    model, y = build_model(config).train(), torch.arange(16) // 4
    video, found = clips(model, 16), []
    for half in (False, True):
        again, objective = build_model(config).train(), make_objective(config)
        batch = Batch(video, y, y, torch.arange(16))
        objective.start(again.recognizer, batch, config)
        with torch.autocast("cpu", kind, enabled=half):
            loss = objective.loss(again.recognizer, batch)
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in again.parameters())
        found.append([loss.detach(), objective.regularizer.ratio.mean, objective.over.running,
                      again.recognizer.plug_in.frequency.squares.mean.mean()])  # fmt: skip
    for single, halved in zip(*found, strict=True):
        assert halved.dtype == torch.float32 and torch.allclose(single, halved, rtol=0.05, atol=0.01)


# As many actions as MA-52 has, as rare, in batches as small as its recipes'

COUNTS = np.round(1283 * (6 / 1283) ** (np.arange(52) / 51)).astype(int)


@pytest.fixture(scope="module")
def rare_actions():
    """Features of clips of 52 actions, from 1,283 to 6 of each; people differ in size and smoothness."""
    y = torch.arange(52).repeat_interleave(torch.from_numpy(COUNTS))
    torch.manual_seed(0)
    size, smooth = (0.6 * torch.randn(len(y), 1, 1)).exp(), torch.rand(len(y), 1, 1)
    noise = torch.randn(len(y), 9, 16)
    x = size * (noise[:, 1:] + smooth * noise[:, :-1]) + 3 * torch.randn(52, 1, 16)[y]
    return Batch(x, y, y, torch.arange(len(y)))


def batches(data, size, steps):
    """Batches of clips in random order, epoch after epoch."""
    order = torch.cat([torch.randperm(len(data)) for _ in range(1 + steps * size // len(data))])
    return [data.take(order[k * size : (k + 1) * size]) for k in range(steps)]


@pytest.mark.parametrize("size", slow_but([10], [10, 16]))
def test_the_perturbation_is_guided_as_by_a_large_batch(rare_actions, size):
    small, large = (SpectralPerturbation(16).train() for _ in range(2))
    alone = []
    for batch in batches(rare_actions, size, 120):
        small(batch.x, batch.y)
        one = SpectralPerturbation(16).train()
        one(batch.x, batch.y)
        alone.append(one)
    large(rare_actions.x, rare_actions.y)

    def deviation(branch):  # of the whole log gain, averaged over channels
        return branch.variance(8).sum(0).sqrt().mean().item()

    assert small.freedom.mean < 0.4 * size, "a batch alone knows little"
    running, one = deviation(small), np.array([deviation(branch) for branch in alone])
    assert np.isfinite(one).all() and running == pytest.approx(deviation(large), rel=0.15)
    assert np.abs(one / deviation(large) - 1).mean() > 2 * abs(running / deviation(large) - 1)


@pytest.mark.parametrize("size", slow_but([10], [10, 16]))
def test_the_regulariser_keeps_its_share_and_finds_the_barycentres(rare_actions, size):
    config = TrainConfig(method="TFAM")
    head, objective = torch.nn.Linear(16, 52), make_objective(config)
    objective.start(SimpleNamespace(head=head), rare_actions, config)
    ours, shares = objective.regularizer, []
    for batch in batches(rare_actions, size, 400):
        frames = batch.x.requires_grad_()
        entropy = F.cross_entropy(head(frames.mean(1)), batch.y)
        terms = ours(entropy, frames, batch.y), entropy
        pull, push = (torch.autograd.grad(t, frames, retain_graph=True)[0].norm() for t in terms)
        shares.append(float(pull / push))
    assert max(shares) < 1, "not even while each class has one clip"
    assert 0.05 < np.median(shares[20:]) < 0.2
    means = torch.stack([rare_actions.x[rare_actions.y == k].mean((0, 1)) for k in range(52)])
    known = ours.known & (torch.from_numpy(COUNTS) > 50)
    error = (ours.barycenter[:, :16] - means)[known].norm(dim=1)
    apart = torch.cdist(means, means)[known][:, known].median()
    assert known.sum() > 25 and error.median() < 0.2 * apart


@pytest.mark.parametrize("size", [10, 16])
def test_group_risks_stay_finite_and_weights_on_the_simplex(rare_actions, size):
    config = TrainConfig(method="GIRL")
    objective = make_objective(config)
    objective.start(None, rare_actions, config)

    def step(batch, logits):
        losses = F.cross_entropy(logits, batch.y, reduction="none")
        value = objective.risk(losses, Prediction(logits, early_features=batch.x), batch)
        assert torch.isfinite(value) and torch.isfinite(objective.running).all()
        assert (objective.q >= 0).all() and objective.q.sum().item() == pytest.approx(1, abs=1e-4)
        return value

    for batch in batches(rare_actions, 512, len(rare_actions) // 512):
        step(batch, torch.randn(512, 52))
    objective.before_epoch(rare_actions, 1)
    assert len(objective.q) > 150, "four groups in an action, fewer where there are few clips"
    chosen = objective.group == objective.group[0]  # some clips of the most frequent action
    for batch in batches(rare_actions, size, 1500):
        right = 3.0 * ~chosen[batch.index, None] * F.one_hot(batch.y, 52)
        step(batch, 0.1 * torch.randn(size, 52) + right)
    weight = (objective.q / objective.shares)[objective.group]
    others = ~chosen & (rare_actions.y == 0)
    assert weight[chosen].mean() > 1.2 > 1 > weight[others].mean()
    before = objective.running.clone()
    step(rare_actions.take(torch.arange(2)), torch.full((2, 52), 1e4).requires_grad_())
    assert (before != objective.running).sum() <= 2


# Kept and exported


@pytest.mark.parametrize("settings", [{"method": "TFAM", "floor": 0.3}, {"method": "HDF as published"}])
@pytest.mark.parametrize("backbone", BOTH)
def test_a_saved_model_says_the_same(tmp_path, backbone, settings):
    model = make(backbone=backbone, body="head", **settings).eval()
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    video = clips(model)
    one, two = model(video), again(video)
    assert (one.logits == two.logits).all() and (one.coarse[0] == two.coarse[0]).all()
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["actions"] == list(ACTIONS) and about["frames"] == model.frames
    assert not again.training and again.config == model.config


def test_a_damaged_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="model.json: no trained model. Train one"):
        load_model(tmp_path)
    save_model(make(), tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-50])
    with pytest.raises(ValueError, match="its model is damaged"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ValueError, match="its model is damaged"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "model.json: is damaged .Expecting value"),
        ("[]", "model.json: is damaged .it holds no object"),
        ('{"config": [], "actions": [], "joints": []}', "must be a mapping, not list"),
        ('{"config": 3, "actions": [], "joints": []}', "must be a mapping, not int"),
        ('{"config": {"max_epochs": 3}, "actions": [], "joints": []}', "max_epochs: there is no such"),
        ('{"config": {}}', "it lacks actions, joints"),
    ],
)
def test_what_is_damaged_in_a_model_is_said(tmp_path, text, fault):
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=f"its model is damaged .*{fault}.* Delete record.json there"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("I/O error: No space left on device (os error 28)", "no room, the disk is full. Make room"),
        ("I/O error: Permission denied (os error 13)", "cannot be written, permission denied"),
        ("something new", "something new."),
    ],
)
def test_weights_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch, said, words):
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, {"step": 1})
    before = path.read_bytes()

    def refuse(*_):
        raise SafetensorError(f"Error while serializing: {said}")

    monkeypatch.setattr(safetensors.torch, "save_file", refuse)
    for write in (lambda: checkpoint.save(path, {"step": 2}), lambda: save_model(make(), tmp_path)):
        with pytest.raises(OSError, match=f"model.safetensors: (Error while serializing: )?{words}"):
            write()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def put_tensors(folder, **tensors):
    path = folder / "model.safetensors"
    state = {k: v for k, v in (safetensors.torch.load_file(path) | tensors).items() if v is not None}
    safetensors.torch.save_file(state, path)


HEAD = "recognizer.head.weight"


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        ({HEAD: torch.zeros(60, 32)}, r"recognizer.head.weight has shape \(60, 32\), \(52, 32\) here"),
        ({HEAD: None}, r"recognizer.head.weight is missing, \(52, 32\) here"),
        ({"more": torch.zeros(3)}, r"more has shape \(3,\), but there is none here"),
        ({HEAD: torch.zeros(1), **{f"extra{k}": torch.zeros(1) for k in range(4)}}, "; and 2 more"),
    ],
)
def test_a_model_with_a_tensor_of_another_shape_names_it(tmp_path, tensors, fault):
    save_model(make(method="TFAM"), tmp_path)
    put_tensors(tmp_path, **tensors)
    message = f"model.safetensors: holds another model .*{fault}.* Take both files from one run"
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda names: names[:50], "50 actions, 52 here"),
        (lambda names: [*names[:5], names[9], *names[6:9], names[5], *names[10:]],
         "action 5 is 'nodding', 'bowing head' here; action 9 is 'bowing head', 'nodding' here"),
    ],
)  # fmt: skip
def test_a_model_of_other_actions_is_refused(tmp_path, change, fault):
    save_model(make(), tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    about["actions"] = change(about["actions"])
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=f"holds another model .*{fault}"):
        load_model(tmp_path)


def test_weights_are_put_back_whole_or_not_at_all():
    model, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    with pytest.raises(checkpoint.OtherModel, match=r"bias has shape \(3,\), \(2,\) here"):
        checkpoint.restore_weights(model, other.state_dict() | {"bias": torch.zeros(3)})
    assert not torch.equal(model.weight, other.weight), "nothing was put in"
    checkpoint.restore_weights(model, other.state_dict())
    assert torch.equal(model.weight, other.weight) and torch.equal(model.bias, other.bias)


def test_an_optimisers_state_of_other_shapes_is_refused():
    x = torch.randn(4, 3)
    states = []
    for width in (2, 5):
        model = torch.nn.Linear(3, width)
        optimizer = torch.optim.AdamW(model.parameters())
        model(x).sum().backward()
        optimizer.step()
        states.append((optimizer, checkpoint.optimizer_state(optimizer)))
    (own, state), (_, wide) = states
    checkpoint.restore_optimizer(own, state)
    with pytest.raises(checkpoint.OtherModel, match=r"exp_avg of .* parameter 0 has shape \(5, 3\), "):
        checkpoint.restore_optimizer(own, wide)
    with pytest.raises(checkpoint.OtherModel, match="parameter 2 .*but there is none here"):
        checkpoint.restore_optimizer(own, state | {"2": state["1"]})


def test_a_model_of_an_earlier_version_is_refused(tmp_path):
    save_model(make(method="TFAM"), tmp_path)
    about = json.loads((tmp_path / "model.json").read_text())
    about["config"] |= {"plug": "tfam"}
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="of the course .plug: there is no .* train again, into"):
        load_model(tmp_path)


def test_a_checkpoint_of_something_else_is_named(tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", {"names": [], "x": torch.zeros(1)})
    with pytest.raises(ValueError, match="a.safetensors: is another checkpoint, without step. Remove"):
        checkpoint.load(tmp_path / "a.safetensors", ("names", "x", "step"))


@pytest.mark.parametrize("backbone", BOTH)
@pytest.mark.parametrize(
    "method", slow_but(["TFAM", "HDF as published"], ["ERM", "TFAM", "CFD", "HDF", "HDF as published"])
)
def test_an_exported_program_says_the_same_of_any_number_of_clips(tmp_path, backbone, method):
    model = make(backbone=backbone, method=method).eval()
    program = torch.export.load(export(model, tmp_path / "model.pt2")).module()
    for batch in (1, 3, 5):
        video = clips(model, batch)
        assert torch.allclose(program(video), model(video).logits.softmax(-1), atol=1e-6)


def test_an_export_needs_its_ending(tmp_path):
    with pytest.raises(ValueError, match="does not end in .pt2"):
        export(make(), tmp_path / "model.onnx")


def test_an_export_means_the_home_folder_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torch.export, "save", lambda program, file: file.write(b"program"))
    assert export(make(), "~/model.pt2") == tmp_path / "model.pt2"
    assert (tmp_path / "model.pt2").read_bytes() == b"program"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/model.pt2: a file stands where a folder is needed"):
        export(make(), tmp_path / "file" / "model.pt2")


# Recordings


@given(st.floats(0.1, 300), st.floats(0.2, 10), st.floats(0.1, 3))
def test_windows_cover_a_recording(seconds, length, stride):
    at = windows(seconds, length, stride)
    assert at[0][0] == 0 and at[-1][1] == pytest.approx(seconds)
    starts = np.array([start for start, _ in at])
    assert (np.diff(starts) >= -1e-9).all() and (np.diff(starts) <= stride + 1e-9).all()
    if len(at) > 1:
        assert all(end - start == pytest.approx(length) for start, end in at)


def test_windows_by_hand():
    assert windows(2.5, 2, 0.5) == [(0, 2.5)]
    assert windows(5, 2, 1) == [(0, 2), (1, 3), (2, 4), (3, 5)]
    assert windows(5.2, 2, 1)[-1] == pytest.approx((3.2, 5.2))
    with pytest.raises(ValueError, match="length, stride: 0, 1 seconds"):
        windows(5, 0, 1)
    with pytest.raises(ValueError, match="stride: 1e-09 s makes 1e.09 windows. Choose a longer one"):
        windows(6, 5, 1e-9)


def film(frames=30, size=64):
    """A dot that moves in the middle third of the time, before a plain wall."""
    pictures = np.full((frames, size, size, 3), 200, np.uint8)
    for t in range(frames):
        x = 20 + 2 * int(np.clip(t - frames // 3, 0, frames // 3))
        pictures[t, 24:40, x : x + 8] = 30
    return pictures


def test_a_short_recording_is_one_clip(tmp_path):
    write_mp4(tmp_path / "me.mp4", film())
    model = make(method="TFAM").eval()
    seen = recognize(model, tmp_path / "me.mp4", views=2, crop="middle")
    assert (seen.start, seen.end) == (0, 1)
    frames = read_frames(tmp_path / "me.mp4", size=64)
    looks = torch.from_numpy(np.stack([frames[frame_indices(30, 8, k, 2)] for k in (0, 1)]))
    with torch.no_grad():
        expected = model(to_input(looks, 64)).logits.softmax(-1).mean(0).numpy()
    assert np.allclose(seen.probabilities[0], expected, atol=1e-6)
    best = seen.best()
    assert len(best) == 5 and best[0] == (ACTIONS[expected.argmax()], pytest.approx(expected.max()))


def test_a_long_recording_becomes_a_timeline(tmp_path):
    write_mp4(tmp_path / "long.mp4", film(180))
    seen = recognize(make().eval(), tmp_path / "long.mp4", length=2, stride=1)
    line = seen.timeline()
    assert [round(start) for start, *_ in line] == [0, 1, 2, 3, 4]
    assert all(action in ACTIONS and 0 < p < 1 for _, _, action, p in line)
    # A window sees its own frames alone.
    write_mp4(tmp_path / "cut.mp4", film(180)[:60], crf=18)
    alone = recognize(make().eval(), tmp_path / "cut.mp4", length=2, stride=1, crop="middle")
    wide = recognize(make().eval(), tmp_path / "long.mp4", length=2, stride=1, crop="middle")
    assert np.allclose(alone.probabilities[0], wide.probabilities[0], atol=2e-3)


def test_a_person_is_found_where_there_is_one(prepared):
    clip = prepared.clips[0]
    recording = read_recording(prepared.root / clip.split / clip.name, 64)
    pictures = [*recording.stream()]
    assert recording.people and len(pictures) == clip.frames and pictures[0].shape == (64, 64, 3)
    assert recording.shown.seconds == pytest.approx(clip.frames / clip.fps)


def test_what_is_no_recording_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.mp4: no such file"):
        read_recording(tmp_path / "nothing.mp4")
    for name, content in (("page.mp4", b"<!DOCTYPE html>"), ("empty.mp4", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: cannot be read as a video"):
            read_recording(tmp_path / name)


def test_a_picture_alone_is_no_recording(tmp_path):
    write_mp4(tmp_path / "one.mp4", film()[:1])
    with pytest.raises(ValueError, match="one.mp4: .* it is a single picture, in which nothing moves"):
        read_recording(tmp_path / "one.mp4")


def test_the_middle_of_a_long_recording_is_looked_at_for_a_person(tmp_path, monkeypatch):
    monkeypatch.setattr("piumar_lib.ma52.recognize.SMALL_ONES", 4)
    empty = np.full((45, 64, 64, 3), 200, np.uint8)
    empty[20:27, 20:60, 8:28] = 30  # somebody is there only about the middle
    write_mp4(tmp_path / "me.mp4", empty)
    recording = read_recording(tmp_path / "me.mp4", 32)
    assert recording.people and recording.box.left < 0.2


# Times are those at which frames are shown

FLASH = np.r_[np.arange(48) / 10, 4.8 + np.arange(190) / 60]  # ten frames a second, then sixty


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    """A film of 8 s of varying frame rate; a light flashes at 6.0 s."""
    import av

    path = tmp_path_factory.mktemp("flash") / "flash.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=60)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for time in FLASH:
            light = 250 if 5.95 < time < 6.05 else 100
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), light, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 600), Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class Lamp(torch.nn.Module):
    """Says action 0 of a dark window, and 1 of one in which the light flashes, in place of a model."""

    def __init__(self, frames):
        super().__init__()
        self.frames, self.size, self.weight = frames, 64, torch.nn.Parameter(torch.zeros(1))

    def forward(self, video):
        bright = video.amax((1, 2, 3, 4)) > 1
        return SimpleNamespace(logits=10 * torch.nn.functional.one_hot(bright.long(), 52).float())


def test_an_event_is_put_where_a_player_shows_it(flash):
    seen = recognize(Lamp(72), flash, length=2, stride=0.5, views=1, crop="middle")
    assert seen.recording.shown.seconds == pytest.approx(FLASH[-1] + 1 / 60, abs=5e-3)
    for start, end, action, _ in seen.timeline():
        assert (action == ACTIONS[1]) == (start < 6.05 and end > 5.95), (start, end)
    assert seen.start[0] == 0 and seen.end[-1] == pytest.approx(seen.recording.shown.seconds)


@given(st.integers(4, 90), st.integers(1, 16), st.integers(1, 4), st.sampled_from([24, 30, 29.97]))
def test_of_a_steady_clip_the_same_frames_are_looked_at_as_in_training(total, frames, views, fps):
    found = sample(np.arange(total) / fps, 0.0, total / fps, frames, views)
    assert (found == [frame_indices(total, frames, view, views) for view in range(views)]).all()


@given(st.floats(0, 6), st.floats(0.1, 3))
def test_a_window_looks_at_what_is_shown_in_it(start, length):
    times = FLASH[np.array(sample(FLASH, start, start + length, 8, 2))]
    assert (times <= start + length).all()
    wanted = np.minimum(start + (np.arange(8) + 0.25) / 8 * length, FLASH[-1])
    assert (wanted - times[0] < 0.1 + 1e-6).all() and (times[0] <= wanted + 1e-6).all()


@pytest.mark.parametrize("length, stride", [(float("nan"), 1), (2, float("inf")), (0, 1), (2, -1)])
def test_spans_that_are_none_are_refused_before_anything_is_read(length, stride):
    with pytest.raises(ValueError, match="length, stride: .* Choose two numbers above 0"):
        recognize(make(), "nothing.mp4", length=length, stride=stride)
    with pytest.raises(ValueError, match="views: 0. Choose 1 or more"):
        recognize(make(), "nothing.mp4", views=0)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts otherwise")
def test_a_long_recording_takes_little_memory(tmp_path):
    import resource

    still = np.full((1, 224, 256, 3), 90, np.uint8)
    write_mp4(tmp_path / "short.mp4", still.repeat(30, 0))
    write_mp4(tmp_path / "long.mp4", still.repeat(900, 0))
    model = Lamp(8)
    model.size = 224

    def watch():
        # M_MMAP_THRESHOLD: a block as large as a frame is taken from the system, and given back at once.
        # Otherwise frames may lie unseen in what earlier tests left.
        ctypes.CDLL(None).mallopt(-3, 2**16)
        recognize(model, tmp_path / "short.mp4")  # whatever a short one needs, too
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(recognize(model, tmp_path / "long.mp4", length=2, stride=2).start) == 15
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

    process = forks.start(watch, tmp_path)
    assert forks.exit_code(process) == 0, (tmp_path / "stderr").read_text()
    # All 900 frames would be 130 MB.
    assert int((tmp_path / "stdout").read_text()) < 60 * 1024, "KB more for 900 frames than for 30"


# Against a second decoder


@pytest.mark.parametrize("between", [0, 1])
def test_decoding_is_frame_exact(tmp_path, between):
    import cv2

    # Every frame is another picture, and with frames in between they are coded in another order.
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (50, 8, 10, 3), dtype=np.uint8)
    path = tmp_path / "clip.mp4"
    write_mp4(path, coarse.repeat(12, 1).repeat(12, 2), crf=4, between=between)
    mine, capture, theirs = read_frames(path).astype(int), cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        theirs.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB).astype(int))
    theirs = np.stack(theirs)
    assert mine.shape == theirs.shape == (50, 96, 120, 3)
    # The same frames in the same order, but for the rounding of colours.
    assert np.abs(mine - theirs).mean((1, 2, 3)).max() < 1.5
    assert np.abs(mine[1:] - theirs[:-1]).mean((1, 2, 3)).min() > 20
    some = [3, 4, 17, 49]
    assert (read_frames(path, which=some) == mine[some]).all()
