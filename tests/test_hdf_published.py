"""HDF as published: each formula against loops, SciPy and NumPy, and its place in a video backbone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from piumar_lib.baselines.hdf import HDFObjective
from piumar_lib.baselines.hdf_attention import (
    FrameGate,
    PlaceGate,
    TimeFrequencyAttention,
    cosine_filters,
)
from piumar_lib.baselines.hdf_scaling import DistributionAwareScaling, spread
from piumar_lib.batch import Batch
from piumar_lib.evidence.experiments import experiment
from piumar_lib.evidence.methods import METHODS, build, resolve
from piumar_lib.ma52.backbones import load_backbone
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.optimizer import count_layers, depth
from piumar_lib.notebook.costs import count_flops
from piumar_lib.recognizer import Prediction
from piumar_lib.stepper import Stepper
from tests.smooth_problem import clips, smooth

NAME = "HDF as published"
BOTH = ["videomae-tiny", "resnet-tiny-tsm"]


def drawn(module):
    """All parameters at random, so that none is where it does nothing."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter) + 0.4)
    return module.double()


def maps(*shape):
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=torch.double)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(module):
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


# Frames


def frame_scores(x, p):
    """Of maps ``(time, channels, height, width)`` of one clip, ``(time, time)``."""
    time = len(x)
    groups = np.split(np.arange(x.shape[1]), time)
    score = np.zeros((time, time))
    for t in range(time):
        average = [x[t, g].mean() for g in groups]
        away = np.sqrt(sum((a - np.mean(average)) ** 2 for a in average))
        for k, g in enumerate(groups):
            fused = p["average"] * average[k] + p["maximum"] * x[t, g].max()
            jump = abs(average[k] - average[k - 1]) if k else 0
            score[t, k] = p["gain"][t, k] * fused + p["deviation"][t, k] * away - jump
    return score


def frame_weights(x, p):
    time = len(x)
    score = sigmoid(frame_scores(x, p))
    mixed = np.array([[p["mix.weight"][t] @ score[:, k] for k in range(time)] for t in range(time)])
    query, key, value = (mixed @ p[f"{n}.weight"].T + p[f"{n}.bias"] for n in ("query", "key", "value"))
    found = np.zeros(time)
    for t in range(time):
        attention = np.exp([query[t] @ key[s] / np.sqrt(time) for s in range(time)])
        found[t] = sigmoid(np.mean(attention / attention.sum() @ value))
    return found


def test_weights_of_frames_by_hand():
    gate, x = drawn(FrameGate(4)), maps(3, 4, 8, 5, 6)
    for clip, ours in zip(x.numpy(), gate(x).detach().numpy(), strict=True):
        assert np.allclose(ours, frame_weights(clip, numbers(gate)))


def test_frames_may_be_more_or_fewer_than_channels():
    assert FrameGate(8)(torch.randn(2, 8, 3, 4, 4)).shape == (2, 8)
    assert FrameGate(2)(torch.randn(2, 2, 7, 4, 4)).shape == (2, 2)


# Places


def test_filters_are_the_cosines_of_scipy():
    ours = cosine_filters().double()[:, 0]
    for k in range(49):
        unit = np.zeros((7, 7))
        unit[k % 7, k // 7] = 1  # vertical, horizontal frequency
        assert np.allclose(ours[k], scipy.fft.idctn(unit, norm="ortho"), atol=1e-6)
    assert torch.allclose(ours.flatten(1) @ ours.flatten(1).T, torch.eye(49).double(), atol=1e-5)


def test_the_spectrum_of_a_place_is_that_of_its_surroundings_in_all_channels():
    x = maps(2, 3, 4, 5, 9)
    ours = PlaceGate().double().spectrum(x)
    padded = np.pad(x.numpy().mean(1), ((0, 0), (0, 0), (3, 3), (3, 3)))
    for b in range(2):
        for i in range(5):
            for j in range(9):
                around = padded[b, :, i : i + 7, j : j + 7]
                spectrum = sum(scipy.fft.dctn(channel, norm="ortho") for channel in around)
                assert np.allclose(ours[b, :, i, j], spectrum.T.flatten(), atol=1e-5)


def place_weights(spectrum, p):
    """Of a spectrum ``(49, height, width)`` of one clip, ``(height, width)``."""
    fitted = np.zeros_like(spectrum)
    away = [np.sqrt(((s - s.mean()) ** 2).sum()) for s in spectrum]
    for i, j in np.ndindex(spectrum.shape[1:]):
        mixed = np.zeros(49)
        for k, s in enumerate(spectrum[:, i, j]):
            push = p["noise"][k] * p["size"][k] + 0.05 * p["spread"][k] * away[k]
            mixed[k] = (p["plain"] * s + p["moved"] * (s + push * np.sign(s))) / 2
        deviation = np.sqrt(mixed.var(ddof=1) + 1e-6) + 1e-6
        fitted[:, i, j] = np.tanh(p["slope"] * mixed / deviation) * p["gain"] + p["shift"]
    padded = np.pad(fitted, ((0, 0), (3, 3), (3, 3)))
    found = np.zeros(spectrum.shape[1:])
    for i, j in np.ndindex(found.shape):
        found[i, j] = sigmoid((padded[:, i : i + 7, j : j + 7] * p["look.weight"][0]).sum())
    return found


def test_weights_of_places_by_hand():
    gate, x = PlaceGate(), maps(2, 3, 4, 5, 6)
    drawn(gate).look.weight.data.normal_(0, 0.05)  # the gates are not all shut or open
    spectra = gate.spectrum(x).numpy()
    for spectrum, ours in zip(spectra, gate(x).detach().numpy(), strict=True):
        assert np.allclose(ours, place_weights(spectrum, numbers(gate)))
        assert ours.std() > 0.05


def test_the_perturbation_is_learned_and_on_in_evaluation():
    gate, x = PlaceGate().double(), maps(2, 3, 4, 5, 6)
    spectrum = gate.spectrum(x)
    moved = [gate.train(mode).perturbed(spectrum) for mode in (True, True, False)]
    assert all(torch.equal(m, moved[0]) for m in moved)
    noise = gate.noise[:, None, None] * spectrum.sign()
    assert torch.allclose(moved[0] - spectrum, noise) and 0.05 < gate.noise.std() < 0.2


# Both


def test_attention_weighs_frames_and_places():
    module, x = drawn(TimeFrequencyAttention(4)), maps(3, 4, 8, 5, 6)
    frames, places = module.of_frames(x)[:, :, None, None, None], module.of_places(x)[:, None, None]
    by_time, by_frequency = x * frames + x, x * places + x
    expected = (module.time * by_time + module.frequency * by_frequency) / 2
    assert torch.allclose(module(x), expected)


def test_gradients_reach_all_parameters_of_attention():
    module, x = drawn(TimeFrequencyAttention(4)), maps(3, 4, 8, 5, 6).requires_grad_()
    module.of_places.look.weight.data.normal_(0, 0.05)
    module(x).square().sum().backward()
    # A key's bias adds the same to all of a query's products.
    still = {n for n, p in module.named_parameters() if not p.grad.abs().sum() > 1e-9}
    assert still == {"of_frames.key.bias"}
    assert all(p.grad.isfinite().all() for p in module.parameters()) and x.grad.isfinite().all()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_attention_of_half_precision_computes_in_single(kind):
    torch.manual_seed(0)
    module, x = TimeFrequencyAttention(4), 30 * torch.randn(2, 4, 2048, 7, 7)
    with torch.autocast("cpu", kind):
        ours = module(x.to(kind))
    assert ours.dtype == kind and ours.isfinite().all()
    assert torch.allclose(ours.float(), module(x.to(kind).float()), rtol=0.02, atol=0.02)


# The loss


def contrast(features, y, temperature, eta):
    total = 0
    for i in range(len(y)):
        cosine = [F.cosine_similarity(features[i], z, dim=0) for z in features]
        others = [a for a in range(len(y)) if a != i]
        weight = {a: torch.exp(-((cosine[a] - eta) ** 2) / (2 * eta**2)) for a in others}
        every = sum(weight[a] * torch.exp(cosine[a] / temperature) for a in others)
        same = [p for p in others if y[p] == y[i]]
        own = [torch.log(torch.exp(cosine[p] / temperature) / every) for p in same]
        total = total - sum(own) / max(1, len(same))
    return total / len(y)


def test_contrast_and_its_gradient_against_loops():
    y = torch.tensor([0, 1, 0, 2, 1, 0, 0])  # nobody else has class 2
    features = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
    ours = DistributionAwareScaling(eta=0.3, temperature=0.2).contrast(features, y)
    expected = contrast(features, y, 0.2, 0.3)
    assert ours.item() == pytest.approx(expected.item())
    (a,), (b,) = (torch.autograd.grad(v, features) for v in (ours, expected))
    assert torch.allclose(a, b)


def test_contrast_is_bounded_below():
    features = torch.tensor([[1.0, 0.0], [-1.0, 1e-3], [0.0, 1.0]])
    for y in ([0, 0, 1], [0, 0, 0], [0, 1, 1]):
        for scale in (1.0, -1.0):
            value = DistributionAwareScaling().contrast(scale * features, torch.tensor(y))
            assert -(1.2**2) / (2 * 0.2**2) <= value.item() < 40
    (value,) = {DistributionAwareScaling().contrast(torch.ones(4, 3), torch.zeros(4)).item()}
    assert value == pytest.approx(np.log(3) - 0.8**2 / (2 * 0.2**2), rel=1e-5)


@pytest.mark.parametrize("y", [[0], [0, 1], [0, 0]])
def test_loss_is_finite_however_small_the_batch(y):
    features = torch.randn(len(y), 4, requires_grad=True)
    batch = Batch(features, *[torch.tensor(y)] * 3)
    losses = features.square().sum(1)
    value = DistributionAwareScaling().risk(losses, Prediction(features, features=features), batch)
    value.backward()
    assert value.isfinite() and features.grad.isfinite().all()


def test_loss_weighs_its_terms_as_the_code_does():
    features, y = torch.randn(12, 5, dtype=torch.double), torch.arange(12) % 3
    batch, losses = Batch(features, y, y, y), torch.rand(12, dtype=torch.double)
    value = DistributionAwareScaling().risk(losses, Prediction(features, features=features), batch)
    unit = features.numpy() / np.linalg.norm(features, axis=1, keepdims=True)
    trace = np.trace(np.cov(unit, rowvar=False))
    expected = 10 * losses.mean() + 0.1 * (contrast(features, y, 0.07, 0.2) - 0.5 * trace)
    assert value.item() == pytest.approx(expected.item())
    assert spread(features).item() == pytest.approx(trace) and trace <= 12 / 11


def test_under_the_codes_weights_the_contrast_nearly_vanishes():
    """As the ledger says: the clip itself has nearly all of the weight."""
    unit = F.normalize(torch.randn(64, 32, dtype=torch.double), dim=1)
    logits = unit @ unit.T / 0.07
    logits = logits - logits.amax(1, keepdim=True)
    weight = torch.exp(-(((logits - 0.2) / 0.2) ** 2) / 2)
    share = weight.diagonal() / weight.sum(1)
    assert share.min() > 0.999


def test_steps_are_those_of_the_older_row():
    """With the cross-entropy alone; its own test has them against NumPy."""
    data, found = clips(12), []
    for objective in (HDFObjective(0, 0, 0.5), DistributionAwareScaling(0, 0, 0.5, cross_entropy=1)):
        model = smooth()
        objective.update(model, data, Stepper(torch.optim.SGD(model.parameters(), lr=0.3)))
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.allclose(*found) and not torch.allclose(found[0], flat(smooth()))


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# In a backbone


def video(backbone, batch=2):
    torch.manual_seed(0)
    return torch.randn(batch, backbone.frames, 3, backbone.size, backbone.size)


def load(name):
    torch.manual_seed(0)
    return load_backbone(name, "random").eval()


class Mask(nn.Module):
    """Keep one frame, channel and row of maps; remember their shape."""

    def forward(self, x):
        self.shape = tuple(x.shape)
        kept = torch.zeros_like(x)
        kept[:, 3, 5, 1] = x[:, 3, 5, 1]
        return kept


@pytest.mark.parametrize("name", BOTH)
def test_what_stands_behind_stages_sees_maps_of_clips(name):
    plain, other, made = load(name), load(name), []
    other.put_behind_stages(lambda frames: nn.Identity())
    x = video(plain)
    assert torch.allclose(other(x), plain(x), atol=1e-6)
    masked = load(name)

    def make(frames):
        made.append(Mask())
        return made[-1]

    masked.put_behind_stages(make)
    out = masked(x)
    shapes = {"videomae-tiny": [(4, 48, 4, 4)], "resnet-tiny-tsm": [(8, 16, 16, 16), (8, 32, 8, 8)]}
    assert [m.shape for m in made] == [(2, *shape) for shape in shapes[name]]
    assert {tuple(row) for row in out.nonzero()[:, 1:].tolist()} <= {(3, 5)} and out.shape == plain(
        x
    ).shape


def test_tokens_become_maps_row_by_row():
    backbone, seen = load("videomae-tiny"), []

    class Look(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    backbone.put_behind_stages(lambda frames: Look())
    x = video(backbone)
    backbone(x)
    tokens = backbone.model(pixel_values=x).last_hidden_state
    for t, i, j in np.ndindex(4, 4, 4):
        assert torch.equal(seen[0][:, t, :, i, j], tokens[:, 16 * t + 4 * i + j])


@pytest.mark.parametrize("name", BOTH)
def test_the_row_changes_nothing_but_what_it_adds(name):
    ours, plain = (build_model(TrainConfig.make("tiny", method=m, backbone=name)) for m in (NAME, "ERM"))
    theirs, mine = dict(plain.named_parameters()), dict(ours.named_parameters())
    assert all(torch.equal(mine[n], p) for n, p in theirs.items())
    added = {n for n in mine if n not in theirs}
    layers = count_layers(ours)
    assert added and all(".behind." in n and depth(n, layers) == layers + 1 for n in added)
    assert layers == count_layers(plain) and ours.recognizer.plug_in is None
    modules = [m for m in ours.modules() if isinstance(m, TimeFrequencyAttention)]
    assert len(modules) == {"videomae-tiny": 1, "resnet-tiny-tsm": 2}[name]
    x = video(ours)
    assert not torch.allclose(ours.eval()(x).logits, plain.eval()(x).logits, atol=1e-4)


@pytest.mark.parametrize(("name", "time", "sides"), [(BOTH[0], 4, [4]), (BOTH[1], 8, [16, 8])])
def test_products_that_it_adds_by_hand(name, time, sides):
    """Filters, the convolution over their answers; mixing, projections, attention's two products."""
    counts = []
    for method in (NAME, "ERM"):
        model = build_model(TrainConfig.make("tiny", method=method, backbone=name)).eval()
        x = video(model)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # what a fused kernel does is not counted
            counts.append(count_flops(lambda model=model, x=x: model(x)))
    stage = [2 * (2 * 49 * 49 * side**2) + (1 + 3 + 2) * 2 * time**3 for side in sides]
    assert counts[0] - counts[1] == 2 * sum(stage)  # of two clips


def test_no_hyperparameter_is_dead():
    for name, one in METHODS[NAME].hyperparameters.items():
        other = next(v for v in one.values if v != one.default)
        plain, changed = (
            vars(TrainConfig.make("tiny", method=NAME, **k).objective()) for k in ({}, {name: other})
        )
        attribute = {"contrast": "weight"}.get(name, name)
        assert {n for n in plain if isinstance(plain[n], float) and plain[n] != changed[n]} == {
            attribute
        }
        assert (plain[attribute], changed[attribute]) == (one.default, other)


# Mistakes


def test_without_maps_the_row_is_refused():
    words = f"method: '{NAME}' weighs places of feature maps, and clips here have no height and width"
    with pytest.raises(ValueError, match=words):
        build(NAME, 3, 4, resolve(NAME), 0)
    with pytest.raises(ValueError, match=words):
        experiment("synthetic", NAME, 0, 0)
    with pytest.raises(ValueError, match=f"method: {NAME} needs a video backbone, .* got poses-cnn"):
        TrainConfig.make("poses", method=NAME)
