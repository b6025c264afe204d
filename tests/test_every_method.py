"""Every method of the table on all kinds of clips, sequences, video and poses, by the same loop."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from piumar_lib.data import Sequences
from piumar_lib.evidence.methods import METHODS, build, resolve, settings
from piumar_lib.ma52 import train
from piumar_lib.ma52.history import read_history
from piumar_lib.ma52.stepper import SharedStepper
from piumar_lib.training import fit

NETWORKS = [name for name, method in METHODS.items() if method.classify is None]

# Means of the losses of each epoch, before one loop trained sequences and video.
BEFORE = {
    "ERM": [1.108110, 0.905581, 0.725167, 0.778789],
    "augmentation": [1.108674, 0.922520, 0.806967, 0.699099],
    "Mixup": [1.090744, 0.950785, 0.821473, 0.761532],
    "masked ReMA": [1.108658, 0.961518, 0.786380, 0.735833],
    "MixStyle + augmentation": [1.113779, 1.023544, 0.899799, 0.891022],
    "HDF": [1.339195, 1.129430, 0.942007, 0.906489],
    "CORAL": [1.108903, 1.007538, 0.844641, 0.780662],
    "DANN": [2.498763, 2.306257, 2.132902, 2.071775],
    "V-REx": [1.163092, 1.120358, 1.005429, 0.991763],
    "GroupDRO": [1.087373, 0.961006, 0.764542, 0.694296],
    "Fish": [1.111905, 0.996084, 0.918472, 0.787319],
    "JTT": [1.121411, 0.869853, 0.635211, 0.768586],
    "EIIL": [1.092815, 0.876479, 0.704858, 0.777091],
    "weight averaging": [1.108110, 0.905581, 0.725167, 0.778789],
    "ERIS": [4.197337, 3.670596, 3.121935, 2.838702],
    "CFD": [1.100726, 1.039664, 0.947266, 0.874310],
    "MGSC": [2.901802, 2.561211, 2.263048, 2.091557],
    "DAID": [1.108110, 1.433389, 1.103556, 1.225756],
    "PIUmr": [2.276934, 2.071342, 1.868830, 1.751146],
    "PIUmr + augmentation": [2.280798, 2.095322, 1.995113, 1.883951],
}


def few():
    """48 clips of 16 frames: three classes that are not too easy, four people."""
    rng = np.random.default_rng(3)
    y, person = np.arange(48) % 3, np.arange(48) // 3 % 4
    x = rng.standard_normal((48, 16, 3)) + 0.3 * y[:, None, None] * rng.standard_normal(3)
    return Sequences(x, y, person)


@pytest.mark.parametrize("name", BEFORE)
def test_losses_on_sequences_are_those_of_the_loop_before(name):
    data, k = few(), resolve(name, {"epochs": 4, "batch_size": 12})
    model = build(name, 3, 3, k, seed=1)
    losses = fit(model, data, settings(name, k, "any", 1), METHODS[name].objective(k))
    assert losses == pytest.approx(BEFORE[name], rel=1e-4)


@pytest.fixture
def gradients(monkeypatch):
    """Which parameters of model and objective had a gradient in each step of a run."""
    seen, step = [], SharedStepper.step

    def look(self):
        named = [*self.model.named_parameters(), *((f"own {k}", p) for k, p in enumerate(self.own))]
        seen.append({name: p.grad is not None and p.grad.isfinite().all() for name, p in named})
        step(self)

    monkeypatch.setattr(SharedStepper, "step", look)
    return seen


@pytest.fixture(params=["prepared", "posed"], ids=["video", "poses"])
def made(request):
    """Settings of a training on a stand-in as video, then as poses."""
    return request.getfixturevalue(request.param).config


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_makes_two_steps(made, tmp_path, name, gradients):
    settings = {"method": name, "batch_size": 20, "epochs": 2, "warmup": 0, "body": "head"}
    if made(tmp_path).sees_poses and METHODS[name].behind_stages is not None:
        with pytest.raises(ValueError, match=f"method: {re.escape(name)} needs a video backbone"):
            made(tmp_path, **settings)
        return
    config = made(tmp_path, **settings)
    run = train.Run(config, tmp_path, Accelerator(cpu=True), threading.Event())
    before = {n: p.clone() for n, p in run.plain.named_parameters()}
    run.go_on(progress=False)
    run.objective.finish(run.trainee)
    assert run.step == run.sampler.total >= 2
    assert all(np.isfinite(row["loss"]) for row in read_history(tmp_path))
    # Whoever stands in front of the plug-in learns, too. (At first, mixing in time is the identity.)
    assert all(all(step.values()) for step in gradients)
    moved = [n for n, p in run.plain.named_parameters() if not torch.equal(p, before[n])]
    assert {"recognizer.head.weight", "body_head.weight"} <= {*moved}
    assert any(n.startswith(("recognizer.backbone.0", "recognizer.backbone.block0")) for n in moved)


PUBLISHED = [name for name in NETWORKS if METHODS[name].kind != "control" and " + " not in name]


@pytest.fixture
def half():
    """An accelerator in half precision; a process has one precision until its state is reset."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_method_trains_in_half_precision_and_in_parts(prepared, tmp_path, name, half):
    chosen = {"precision": "bf16", "grad_accum_steps": 2, "batch_size": 20, "epochs": 2, "warmup": 0}
    config = prepared.config(tmp_path, method=name, body="head", **chosen)
    run = train.Run(config, tmp_path, half, threading.Event())
    assert run.accelerator.mixed_precision == "bf16"
    run.go_on(progress=False)
    assert all(p.isfinite().all() and p.dtype == torch.float32 for p in run.plain.parameters())
    assert all(np.isfinite(row["loss"]) for row in read_history(tmp_path))


STATEFUL = ["DANN", "V-REx", "GroupDRO", "Fish", "JTT", "EIIL", "weight averaging", "ERIS", "CFD",
            "MGSC", "DAID", "GIRL, exponentiated gradient"]  # fmt: skip


@pytest.mark.parametrize("name", STATEFUL)
def test_what_a_method_has_learned_survives_interruptions(prepared, tmp_path, name, train_in_parts):
    whole, parts = (prepared.config(tmp_path / n, method=name) for n in "ab")
    train.train(whole, progress=False)
    assert train_in_parts(parts, every=2) > 4
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in "ab")
    assert one == two
