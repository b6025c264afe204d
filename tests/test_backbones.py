"""Backbones: sizes by hand, layers against loops and scipy, MiniRocket against the published code."""

from __future__ import annotations

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power
from scipy.sparse.csgraph import shortest_path
from torch import nn
from torch.nn import functional as F

from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.backbones import (
    MiniRocket,
    inception_time,
    minirocket_ridge,
    resnet1d,
    skeleton_graph,
    tiny_cnn,
    width_behind,
)
from piumar_lib.backbones.inception_time import InceptionModule
from piumar_lib.backbones.layers import TimeConv, to_clip, to_image
from piumar_lib.backbones.minirocket import KERNELS, convolve, golden_quantiles, spread_dilations
from piumar_lib.backbones.resnet import ResidualBlock
from piumar_lib.backbones.skeleton_graph import GraphConv, Streams, partitions
from piumar_lib.data import Sequences
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.person_normalization import TrainingPeople, normalize_person
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.training import Settings, fit, predict
from piumar_lib.weight_decay import parameter_groups

ARM = [-1, 0, 1, 2, 1]  # five joints: a chain of four, and a branch at the second
SEEDS = st.integers(0, 10**6)

BACKBONES = {
    "tiny_cnn": lambda: tiny_cnn(15, 8),
    "resnet1d": lambda: resnet1d(15, 8),
    "inception_time": lambda: inception_time(15, 4),
    "skeleton_graph": lambda: skeleton_graph(15, ARM, 8),
}
each_backbone = pytest.mark.parametrize("name", BACKBONES)


def build(name, plug_in=False, at=0, classes=3):
    torch.manual_seed(2)
    backbone = BACKBONES[name]()
    model = Recognizer(backbone, width_behind(backbone, 15), classes, at=at)
    if plug_in:
        channels = width_behind(backbone, 15, at)
        branches = MonotoneAlignment(16), SpectralPerturbation(channels)
        model.plug_in = TemporalFrequencyModule(*branches, AdaptiveFusion(model.head.in_features))
    return model


def batch(n=12):
    return torch.randn(n, 32, 15), torch.arange(n) % 3


def size(module):
    return sum(p.numel() for p in module.parameters())


# Every backbone


@each_backbone
def test_time_keeps_its_length_and_width_is_told(name):
    backbone = BACKBONES[name]()
    x, _ = batch()
    for at in range(len(backbone) + 1):
        features = backbone[:at](x)
        assert features.shape == (12, 32, width_behind(backbone, 15, at))
    assert width_behind(backbone, 15) == features.shape[-1]
    assert width_behind(backbone, 15, 0) == 15


@each_backbone
def test_asking_for_the_width_changes_nothing(name):
    backbone = BACKBONES[name]().train()
    before = copy.deepcopy(backbone.state_dict())
    width_behind(backbone, 15)
    assert backbone.training and all(m.training for m in backbone.modules())
    assert all(torch.equal(before[k], v) for k, v in backbone.state_dict().items())


@each_backbone
@pytest.mark.parametrize(("plug_in", "at"), [(False, 0), (True, 0), (True, 1)])
def test_gradient_reaches_everything_with_and_without_a_plug(name, plug_in, at):
    x, y = batch()
    model = build(name, plug_in, at).train()
    prediction = model(x, y)
    assert prediction.logits.shape == (12, 3) and len(prediction.view_logits) == 2 * plug_in
    sum(t.square().sum() for t in (prediction.logits, *prediction.view_logits)).backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0, key


@each_backbone
@pytest.mark.parametrize(("plug_in", "at"), [(False, 0), (True, 0), (True, 1)])
def test_a_training_step_lowers_the_loss(name, plug_in, at):
    x, y = batch()
    model = build(name, plug_in, at).train()

    def loss():
        torch.manual_seed(0)  # the same perturbation
        return F.cross_entropy(model(x, y).logits, y)

    before = loss()
    before.backward()
    torch.optim.SGD(model.parameters(), lr=1e-2).step()
    assert loss() < before


@each_backbone
def test_one_clip_alone_is_judged_as_among_others_and_always_alike(name):
    x, _ = batch()
    model = build(name, plug_in=True, at=1)
    model(x)  # so that batch normalisations have statistics
    model.eval()
    together = model(x).logits
    assert torch.equal(together, model(x).logits)
    assert torch.allclose(model(x[:1]).logits, together[:1], atol=1e-5)


@each_backbone
def test_a_model_learns_and_a_new_person_can_be_normalized(name):
    rng = np.random.default_rng(0)
    y, person = np.arange(60) % 3, np.arange(60) // 10
    time = np.arange(32)[:, None]
    phase = rng.uniform(0, 2 * np.pi, (60, 1, 15))
    wave = np.sin(2 * np.pi * (1 + 3 * y)[:, None, None] * time / 32 + phase)
    data = Sequences(wave + 0.1 * rng.standard_normal(wave.shape), y, person)
    train, unseen = data.take(person < 5), data.take(person == 5)
    model = build(name)
    fit(model, train, Settings(epochs=25, batch_size=16))
    assert (predict(model, unseen).argmax(1) == unseen.y).mean() >= 0.8
    moved = normalize_person(model, unseen.x, TrainingPeople(model, train))
    assert moved.shape == (10, 3) and np.allclose(moved.sum(1), 1, atol=1e-5)


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_convolution_is_a_loop_and_keeps_the_length(kernel, time):
    layer = TimeConv(2, 3, kernel).double()
    x = torch.randn(2, time, 2, dtype=torch.double)
    weight = layer.weight[:, :, 0]  # (3, 2, kernel)
    expected = torch.zeros(2, time, 3, dtype=torch.double)
    for t in range(time):
        for j in range(kernel):
            at = t + j - (kernel - 1) // 2
            if 0 <= at < time:
                expected[:, t] += x[:, at] @ weight[:, :, j].T
    assert torch.allclose(to_clip(layer(to_image(x))), expected)


# Sizes, by hand from the publications


def test_parameters_of_resnet():
    def block(i, o):
        convolutions = 8 * i * o + 5 * o * o + 3 * o * o
        shortcut = 0 if i == o else i * o
        return convolutions + shortcut + 2 * 4 * o  # four normalisations

    for c, w in ((1, 64), (60, 64), (15, 8)):
        assert size(resnet1d(c, w)) == block(c, w) + block(w, 2 * w) + block(2 * w, 2 * w)
    assert size(resnet1d(1, 64)) == 33_856 + 205_824 + 263_168


def test_parameters_of_inception_time():
    def module(i, w, kernels):
        bottleneck = i * w if i > 1 else 0
        squeezed = w if i > 1 else 1
        return bottleneck + squeezed * w * sum(kernels) + i * w + 2 * 4 * w

    def whole(c, w, kernels):
        shortcuts = (c + 4 * w) * 4 * w + 2 * 2 * 4 * w
        return module(c, w, kernels) + 5 * module(4 * w, w, kernels) + shortcuts

    assert size(inception_time(60, 32, frames=150)) == whole(60, 32, (40, 20, 10))
    assert size(inception_time(60, 32, frames=32)) == whole(60, 32, (32, 20, 10))
    assert size(inception_time(3, 16, frames=15)) == whole(3, 16, (15, 15, 10))
    # As published: one channel, 40 frames and more.
    assert size(inception_time(1, 32, frames=40)) == 2_528 + 5 * 80_128 + 17_024


@pytest.mark.parametrize(("joints", "dims", "w", "depth"), [(5, 3, 8, 3), (17, 2, 32, 4), (1, 3, 4, 1)])
def test_parameters_of_the_skeleton_graph(joints, dims, w, depth):
    def block(i):
        spatial = 3 * joints**2 + 3 * i * w
        temporal = 9 * w * w
        shortcut = 0 if i == w else i * w + 2 * w
        return spatial + temporal + 2 * 2 * w + shortcut

    parents = [k - 1 for k in range(joints)]
    expected = 2 * joints * 3 * dims + block(3 * dims) + (depth - 1) * block(w)
    assert size(skeleton_graph(joints * dims, parents, w, depth)) == expected


# What a step sees


def seen_from(backbone, channels, frames):
    """Frames, relative to the middle one, on which the middle step depends."""
    x = torch.randn(1, frames, channels, dtype=torch.double, requires_grad=True)
    backbone.double().eval()(x)[0, frames // 2].sum().backward()
    seen = x.grad[0].abs().sum(-1).nonzero()[:, 0] - frames // 2
    return seen.min().item(), seen.max().item()


def test_receptive_fields():
    # Three layers of 5 frames.
    assert seen_from(tiny_cnn(3, 16), 3, 60) == (-6, 6)
    # Each block: kernels of 8 (3 back, 4 on), 5 and 3.
    assert seen_from(resnet1d(3, 16), 3, 80) == (-18, 21)
    # Six kernels of 8 (3 back, 4 on), or of 32 (15 back, 16 on).
    assert seen_from(inception_time(3, 16, frames=8), 3, 80) == (-18, 24)
    assert seen_from(inception_time(3, 16), 3, 240) == (-90, 96)
    # Three kernels of 9, and motion looks one frame on.
    assert seen_from(skeleton_graph(15, ARM, 16), 15, 60) == (-12, 13)


def test_a_block_of_the_graph_carries_news_over_one_bone():
    parents = [-1, 0, 1, 2, 3, 4, 5, 6, 7]
    blocks = skeleton_graph(27, parents, 16, depth=3)[1:-1].double().eval()
    x = torch.randn(1, 5, 9 * 9, dtype=torch.double, requires_grad=True)
    blocks(x).unflatten(-1, (9, 16))[:, :, 4].sum().backward()
    news = x.grad.unflatten(-1, (9, 9)).abs().sum((0, 1, 3)) > 0
    assert news.tolist() == [abs(joint - 4) <= 3 for joint in range(9)]


# Blocks against plain functions


def norm(x, layer):
    """Batch normalisation in evaluation, of ``(batch, channels, time)``, by its formula."""
    mean, variance = layer.running_mean[:, None], layer.running_var[:, None]
    return (x - mean) / (variance + layer.eps).sqrt() * layer.weight[:, None] + layer.bias[:, None]


def same(x, layer):
    """Convolution of ``(batch, channels, time)`` with zeros around, one more behind than before."""
    reach = layer.weight.shape[-1] - 1
    return F.conv1d(F.pad(x, (reach // 2, (reach + 1) // 2)), layer.weight[:, :, 0])


def shaken(module):
    """With statistics and weights of batch normalisation that are not the first ones."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                values.uniform_(0.5, 2)
    return module.double().eval()


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (8, 8)])
def test_a_residual_block_is_its_formula(inputs, outputs):
    block = shaken(ResidualBlock(inputs, outputs))
    x = torch.randn(2, 20, inputs, dtype=torch.double)
    y = x.transpose(1, 2)
    (first, a), (second, b), (third, c) = block.main[0], block.main[2], block.main[4]
    main = norm(same(norm(same(norm(same(y, first), a).relu(), second), b).relu(), third), c)
    assert [layer.weight.shape[-1] for layer in (first, second, third)] == [8, 5, 3]
    if inputs == outputs:
        around = norm(y, block.shortcut)
    else:
        around = norm(same(y, block.shortcut[0]), block.shortcut[1])
    assert torch.allclose(block(x), (main + around).relu().transpose(1, 2))


@pytest.mark.parametrize("inputs", [1, 5])
def test_an_inception_module_is_its_formula(inputs):
    module = shaken(InceptionModule(inputs, 4, 32))
    y = torch.randn(2, inputs, 50, dtype=torch.double)
    squeezed = same(y, module.bottleneck) if inputs > 1 else y
    edge = F.pad(y, (1, 1), value=-torch.inf)
    largest = torch.stack([edge[..., :-2], edge[..., 1:-1], edge[..., 2:]]).amax(0)
    parts = [same(squeezed, branch) for branch in module.branches]
    parts.append(same(largest, module.pooled[1]))
    assert [branch.weight.shape[-1] for branch in module.branches] == [32, 20, 10]
    expected = norm(torch.cat(parts, 1), module.norm).relu()
    assert torch.allclose(module(y[:, :, None]).squeeze(2), expected)


def test_the_shortcut_goes_around_three_modules():
    block = shaken(inception_time(5, 4)[0])
    x = torch.randn(2, 40, 5, dtype=torch.double)
    y = x.transpose(1, 2)
    main = y[:, :, None]
    for module in block.main:
        main = module(main)
    around = norm(same(y, block.shortcut[0]), block.shortcut[1])
    assert len(block.main) == 3
    assert torch.allclose(block(x), (main.squeeze(2) + around).relu().transpose(1, 2))


# Skeletons


@st.composite
def trees(draw, most=8):
    """Parents of a random tree whose joints are in random order."""
    joints = draw(st.integers(1, most))
    ordered = [-1] + [draw(st.integers(0, j - 1)) for j in range(1, joints)]
    return permuted(ordered, draw(st.permutations(range(joints))))


def permuted(parents, order):
    """The same tree; joint ``order[k]`` becomes joint k."""
    place = {joint: k for k, joint in enumerate(order)}
    return [-1 if parents[j] < 0 else place[parents[j]] for j in order]


@given(trees())
def test_partitions_are_the_normalised_adjacency_split_by_distance_from_the_root(parents):
    joints = len(parents)
    adjacency = np.zeros((joints, joints))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1
    closed = adjacency + np.eye(joints)
    root = fractional_matrix_power(np.diag(closed.sum(1)), -0.5)
    parts = partitions(parents).numpy()
    assert np.allclose(parts.sum(0), root @ closed @ root, atol=1e-6)
    assert np.isclose(np.linalg.eigvalsh(parts.sum(0)).max(), 1, atol=1e-5)
    steps = shortest_path(adjacency, indices=parents.index(-1))
    for kind, sign in ((0, 0), (1, -1), (2, 1)):
        i, j = parts[kind].nonzero()
        assert (np.sign(steps[j] - steps[i]) == sign).all()


@given(trees(5), SEEDS)
def test_a_graph_convolution_is_a_loop(parents, seed):
    torch.manual_seed(seed)
    joints = len(parents)
    layer = GraphConv(partitions(parents), 2, 3).double()
    nn.init.uniform_(layer.edges, 0.5, 2)
    x = torch.randn(2, 4, joints, 2, dtype=torch.double)
    expected = torch.zeros(2, 4, joints, 3, dtype=torch.double)
    for part in range(3):
        weight = layer.mix.weight[:, 2 * part : 2 * part + 2]  # (3, 2)
        for i in range(joints):
            for j in range(joints):
                strength = layer.edges[part, i, j] * layer.adjacency[part, i, j]
                expected[:, :, i] += strength * x[:, :, j] @ weight.T
    assert torch.allclose(layer(x), expected)


@given(trees(), st.data())
def test_joints_may_come_in_any_order(parents, data):
    joints = len(parents)
    order = data.draw(st.permutations(range(joints)))
    torch.manual_seed(1)
    model = skeleton_graph(3 * joints, parents, 6, depth=2).double()
    torch.manual_seed(1)
    other = skeleton_graph(3 * joints, permuted(parents, order), 6, depth=2).double()
    for ours, theirs in zip(model[1:-1], other[1:-1], strict=True):
        nn.init.uniform_(ours.spatial.edges, 0.5, 2)
        theirs.spatial.edges.data = ours.spatial.edges.data[:, order][:, :, order]
    x = torch.randn(4, 9, joints, 3, dtype=torch.double)
    # In training mode, so that each joint's normalisation has its own statistics.
    assert torch.allclose(model(x.flatten(2)), other(x[:, :, list(order)].flatten(2)), atol=1e-8)


def test_streams_are_joints_bones_and_motion():
    x = torch.randn(2, 6, 5, 3)
    streams = Streams(ARM, 3).eval()(x.flatten(2)).unflatten(-1, (5, 3, 3))
    streams = streams * (1 + 1e-5) ** 0.5  # batch normalisation before any training
    for joint, parent in enumerate(ARM):
        bone = x[:, :, joint] - x[:, :, parent] if parent >= 0 else torch.zeros(2, 6, 3)
        assert torch.allclose(streams[:, :, joint, 0], x[:, :, joint], atol=1e-6)
        assert torch.allclose(streams[:, :, joint, 1], bone, atol=1e-6)
        for t in range(6):
            step = x[:, t + 1, joint] - x[:, t, joint] if t < 5 else torch.zeros(2, 3)
            assert torch.allclose(streams[:, t, joint, 2], step, atol=1e-6)


def test_bones_and_motion_do_not_see_where_a_person_stands():
    x = torch.randn(2, 6, 5, 3, dtype=torch.double)
    streams = Streams(ARM, 3).double().eval()
    here, there = (streams(v.flatten(2)).unflatten(-1, (5, 3, 3)) for v in (x, x + 7))
    assert torch.allclose(here[..., 1:, :], there[..., 1:, :])
    assert not torch.allclose(here[..., 0, :], there[..., 0, :])


def test_edges_do_not_decay():
    model = build("skeleton_graph")
    kept = {id(p) for p in parameter_groups(model)[1]["params"]}
    assert kept == {id(p) for name, p in model.named_parameters() if name.endswith("edges")}
    assert len(kept) == 3


# MiniRocket


def test_kernels_are_those_of_the_paper():
    assert KERNELS.shape == (84, 9)
    assert len({tuple(kernel) for kernel in KERNELS}) == 84
    assert (KERNELS.sum(1) == 0).all() and set(KERNELS.flat) == {-1, 2}
    # In the order of the authors' code: the places of the three weights of 2.
    places = [tuple(np.flatnonzero(kernel == 2)) for kernel in KERNELS]
    assert places == list(combinations(range(9), 3))


@given(st.integers(9, 40), st.integers(1, 4), SEEDS)
def test_a_dilated_convolution_is_a_loop(time, dilation, seed):
    x = np.random.default_rng(seed).standard_normal((84, time))
    found = convolve(x, dilation)
    for k in (0, 17, 83):
        expected = np.zeros(time)
        for t in range(time):
            for j in range(9):
                at = t + (j - 4) * dilation
                expected[t] += KERNELS[k, j] * x[k, at] if 0 <= at < time else 0
        assert np.allclose(found[k], expected)


def test_held_still_is_exactly_zero():
    x = np.full((84, 60), np.float32(0.1)).astype(float)
    assert (convolve(x, 3)[:, 12:-12] == 0).all()


def test_features_are_shares_of_moments_above_thresholds():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 30, 4)).astype(np.float32)
    rocket = MiniRocket(84 * 7, seed=3).fit(x)
    found, at = rocket.transform(x, batch=4), 0
    for d, dilation in enumerate(rocket.dilations):
        for k in range(84):
            added = x[..., rocket.channels[d, k] == 1].astype(float).sum(-1)  # (6, 30)
            values = np.zeros((6, 30))
            for j in range(9):
                for t in range(30):
                    source = t + (j - 4) * dilation
                    values[:, t] += KERNELS[k, j] * added[:, source] if 0 <= source < 30 else 0
            if (d + k) % 2:  # every second one without padding
                values = values[:, 4 * dilation : 30 - 4 * dilation]
            for threshold in rocket.thresholds[d][k]:
                assert np.allclose(found[:, at], (values > threshold).mean(1))
                at += 1
    assert at == found.shape[1] == 84 * 7


@pytest.mark.parametrize(
    ("time", "features", "dilations", "counts"),
    [
        (9, 119, [1], [119]),
        (32, 119, [1, 2, 3], [60, 37, 22]),
        (40, 5, [1, 2, 3, 4], [2, 1, 1, 1]),
        (150, 119, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18],
         [30, 15, 12, 12, 4, 8, 8, 4, 4, 4, 3, 3, 3, 3, 3, 3]),
    ],
)  # fmt: skip
def test_dilations_are_those_of_aeon(time, features, dilations, counts):
    # What aeon 1.6.0, which carries the authors' code, answers for such clips.
    found = spread_dilations(time, features)
    assert [v.tolist() for v in found] == [dilations, counts]


def test_features_are_those_of_aeon():
    # Also compared, outside the tests: SPAR's repetitions, first person left out, with the channels and
    # biases that aeon 1.6.0 had drawn put into ours. Of 276 x 9,996 features all but three were equal;
    # those differ by one moment, whose value lies within 4e-7 of the bias (single precision).
    # Accuracy with the same ridge, each with three seeds of its own: aeon 0.830, 0.772, 0.819; ours
    # 0.822, 0.819, 0.851.
    # One training clip of one channel leaves nothing to chance. Every 37th of the 420 biases and
    # features that aeon 1.6.0 (MiniRocket(n_kernels=420), single precision) finds for these two clips.
    t = np.arange(40)
    train = (np.sin(t**2 / 40) + 0.05 * t).astype(np.float32)[None, :, None]
    other = np.cos(t / 3 + t**2 / 90).astype(np.float32)[None, :, None]
    thresholds = [
        0.7541, -0.5343, -0.6286, -1.6641, -3.9864, 3.9815,
        3.8149, 0.1003, 0.8606, 1.0750, -3.0272, -3.1415,
    ]  # fmt: skip
    shares = [0.525, 0.6, 0.5625, 0.65625, 0.725, 0.075, 0, 0.5625, 0.4, 0.25, 0.75, 0.9]
    rocket = MiniRocket(420).fit(train)
    found = np.concatenate([values.ravel() for values in rocket.thresholds])
    assert np.allclose(found[::37], thresholds, atol=1e-3)
    features = rocket.transform(other)[0]
    assert np.allclose(features[::37], shares, atol=1e-6)
    assert np.isclose(features.sum(), 209.756, atol=0.1)


def test_the_seed_alone_draws_channels_and_clips():
    x = np.random.default_rng(0).standard_normal((8, 20, 12)).astype(np.float32)
    one, same, other = (MiniRocket(840, seed).fit(x).transform(x) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_few_channels_are_added_up_and_nine_at_most():
    x = np.random.default_rng(0).standard_normal((2, 300, 20))
    several = MiniRocket().fit(x).channels.sum(2)
    assert several.min() == 1 and several.max() == 9
    # Evenly on a logarithmic scale up to 10: one channel with probability log 2 / log 10.
    assert abs((several == 1).mean() - np.log10(2)) < 0.05
    for k in range(2, 10):
        assert abs((several == k).mean() - np.log10(1 + 1 / k)) < 0.05


def test_golden_quantiles_fill_the_interval_evenly():
    first, second = golden_quantiles(np.array([300, 700]))
    assert len(first) == 300 and len(second) == 700
    gaps = np.diff(np.sort(np.concatenate([[0], first, second, [1]])))
    assert gaps.min() > 0 and gaps.max() < 2.7 / 1000
    assert np.allclose(first[:3], [0.618034, 0.236068, 0.854102])


def test_minirocket_with_ridge_knows_unseen_people_whatever_the_units(toy):
    train, unseen = toy.take(toy.person < 4), toy.take(toy.person >= 4)
    predicted = minirocket_ridge(train, unseen, seed=0)
    assert predicted.shape == (len(unseen),) and (predicted == unseen.y).mean() > 0.9
    units = np.array([1, 1000, 0.001], dtype=np.float32)
    in_units = [Sequences(part.x * units, part.y, part.person) for part in (train, unseen)]
    assert (minirocket_ridge(*in_units, seed=0) == predicted).mean() > 0.95


# Errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inception_time(3, depth=4), "depth: 4 modules"),
        (lambda: inception_time(3, frames=0), "frames: must be at least 1, got 0"),
        (lambda: skeleton_graph(16, ARM), "channels: must be a multiple of 5 joints, got 16"),
        (lambda: skeleton_graph(6, [-1, 2]), "parents: each must be from -1 to 1, got 2"),
        (lambda: skeleton_graph(6, [1, 0]), "parents: joint 0 hangs on itself"),
        (lambda: skeleton_graph(6, [-1, -2]), "parents: each must be from -1 to 1, got -2"),
        (lambda: MiniRocket(83), "features: must be at least 84, got 83"),
        (lambda: MiniRocket().fit(np.zeros((2, 8, 1))), "x: 8 frames are too few"),
    ],
)
def test_errors_name_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "make", [lambda: tiny_cnn(3, kernel=4), lambda: skeleton_graph(15, ARM, kernel=4)]
)
def test_an_even_kernel_is_refused_where_it_would_lengthen_clips(make):
    with pytest.raises(ValueError, match="kernel: must be odd, got 4"):
        make()
