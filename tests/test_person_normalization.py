"""Normalizing a person: transport and barycentre against POT, batch statistics against torch."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import nn

from piumar_lib.backbones import tiny_cnn
from piumar_lib.data import Sequences
from piumar_lib.evidence.methods import build, resolve
from piumar_lib.person_normalization import (
    KINDS,
    Gaussian,
    GaussianBarycenter,
    TrainingPeople,
    bures_barycenter,
    bures_map,
    normalize_person,
)
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict
from piumar_lib.transport import gaussian_w2

PLAIN = {"alpha": 1.0, "prior": 0.0, "matched": False}
seeds = st.integers(0, 10**6)


def draw_covariances(seed, people, width):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((people, width, width + 2)) * rng.uniform(0.3, 3, (people, width, 1))
    return roots @ roots.transpose(0, 2, 1) / width


# Gaussians


@given(seeds)
def test_a_weighted_gaussian_is_numpys(seed):
    rng = np.random.default_rng(seed)
    x, weights = rng.standard_normal((12, 3)), rng.integers(1, 5, 12)
    found = Gaussian.fit(torch.tensor(x), torch.tensor(weights))
    assert np.allclose(found.mean, np.average(x, axis=0, weights=weights))
    assert np.allclose(found.covariance, np.cov(x.T, fweights=weights, bias=True))
    diagonal = Gaussian.fit(torch.tensor(x), torch.tensor(weights), "diagonal")
    assert np.allclose(diagonal.covariance, np.diag(np.diag(found.covariance)))


@given(seeds, st.integers(1, 6))
def test_the_map_is_pots_and_takes_one_covariance_to_the_other(seed, width):
    source, target = draw_covariances(seed, 2, width)
    found = bures_map(torch.tensor(source), torch.tensor(target)).numpy()
    ridge = 1e-3 * np.trace(target) / width * np.eye(width)
    source, target = source + ridge, target + ridge
    expected, _ = ot.gaussian.bures_wasserstein_mapping(np.zeros(width), np.zeros(width), source, target)
    assert np.allclose(found, expected, atol=1e-6 * abs(expected).max())
    assert np.allclose(found @ source @ found, target, atol=1e-8 * abs(target).max())
    root = sqrtm(source)
    by_scipy = np.linalg.inv(root) @ sqrtm(root @ target @ root) @ np.linalg.inv(root)
    assert np.allclose(found, by_scipy, atol=1e-6 * abs(by_scipy).max())


@given(seeds, st.integers(2, 5), st.integers(1, 5))
def test_the_barycentre_is_pots(seed, people, width):
    covariances = draw_covariances(seed, people, width)
    _, expected = ot.gaussian.bures_wasserstein_barycenter(
        np.zeros((people, width)), covariances, num_iter=500, eps=1e-10
    )
    found = bures_barycenter(torch.tensor(covariances)).numpy()
    assert np.allclose(found, expected, atol=1e-5 * abs(expected).max())


@given(seeds, st.integers(2, 4))
def test_no_covariance_nearby_is_nearer_to_everybody(seed, width):
    covariances, zero = torch.tensor(draw_covariances(seed, 3, width)), torch.zeros(width).double()

    def cost(center):
        return sum(gaussian_w2(zero, c, zero, center) for c in covariances)

    center = bures_barycenter(covariances)
    for step in torch.randn(5, width, width, dtype=torch.float64) * 0.05:
        moved = torch.eye(width) + step
        assert cost(center) <= cost(moved @ center @ moved.T) + 1e-9


@given(seeds, st.integers(1, 6))
def test_diagonal_barycentres_average_the_deviations(seed, width):
    sd = np.random.default_rng(seed).uniform(0.1, 5, (4, width))
    found = bures_barycenter(torch.diag_embed(torch.tensor(sd**2)))
    assert np.allclose(found, np.diag(sd.mean(0) ** 2), rtol=1e-4, atol=1e-5)


def test_people_without_variance_in_some_directions_have_a_finite_barycentre_and_map():
    flat = torch.tensor([[[4.0, 0], [0, 0]], [[16.0, 0], [0, 0]]]).double()
    center = bures_barycenter(flat)
    assert torch.allclose(center, torch.tensor([[9.0, 0], [0, 0]]).double(), atol=1e-4)
    matrix = bures_map(flat[0], center)
    assert matrix[0, 0].item() == pytest.approx(1.5, rel=1e-2) and matrix.isfinite().all()
    assert bures_map(torch.zeros(2, 2).double(), center).isfinite().all()


# Features


@pytest.fixture
def crowd():
    """Features of 6 people in 5 dimensions, 40 clips each, with means and mixtures of their own."""
    features = torch.randn(6, 40, 5) @ (torch.eye(5) + 0.4 * torch.randn(6, 5, 5))
    return (features + 2 * torch.randn(6, 1, 5)).flatten(0, 1), torch.arange(240) // 40


def moments(x):
    return x.mean(0), torch.cov(x.T, correction=0)


def test_a_persons_mean_and_covariance_become_the_barycentres(crowd):
    barycenter = GaussianBarycenter.fit(*crowd, kind="full")
    stranger = torch.randn(500, 5) @ torch.randn(5, 5) + 7
    mean, covariance = moments(barycenter.transport(stranger, alpha=1, prior=0))
    assert torch.allclose(mean.double(), barycenter.center.mean, atol=1e-4)
    assert torch.allclose(covariance.double(), barycenter.center.covariance, atol=0.02)


def test_diagonal_transport_is_standardization(crowd):
    features, person = crowd
    by_person = features.view(6, 40, 5)
    center, sd = by_person.mean((0, 1)), by_person.std(1, correction=0).mean(0)
    stranger = torch.randn(300, 5) * torch.arange(1.0, 6) + 3
    own_mean, own_sd = stranger.mean(0), stranger.std(0, correction=0)
    expected = center + sd / own_sd * (stranger - own_mean)
    found = GaussianBarycenter.fit(features, person).transport(stranger, alpha=1, prior=0)
    assert torch.allclose(found, expected, atol=0.02)
    half = GaussianBarycenter.fit(features, person).transport(stranger, alpha=0.5, prior=0)
    assert torch.allclose(half, (found + stranger) / 2, atol=1e-5)


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_shrinkage_makes_one_clip_move_little_and_many_move_all_the_way(crowd, kind):
    barycenter = GaussianBarycenter.fit(*crowd, kind)
    stranger = torch.randn(400, 5) + 5
    whole = barycenter.transport(stranger, alpha=1, prior=0).mean(0) - stranger.mean(0)
    shares = [
        ((barycenter.transport(stranger, stranger[:n], 1).mean(0) - stranger.mean(0)) @ whole
         / (whole @ whole)).item()
        for n in (1, 20, 400)
    ]  # fmt: skip
    assert 0.05 < shares[0] < 0.35 < 0.7 < shares[1] < shares[2]
    assert shares[2] == pytest.approx(1, abs=0.05)
    assert torch.equal(barycenter.transport(stranger, alpha=0), stranger)
    assert torch.allclose(barycenter.transport(stranger, alpha=1, prior=1e9), stranger, atol=1e-3)


@pytest.mark.parametrize("clips", [1, 2, 20])
def test_few_clips_in_many_dimensions_give_a_moderate_map(clips):
    features = torch.randn(200, 64).relu() * (torch.rand(64) > 0.2)  # a fifth of the channels is dead
    barycenter = GaussianBarycenter.fit(features, torch.arange(200) // 40, "full")
    stranger = torch.randn(clips, 64).relu()
    moved = barycenter.transport(features, stranger, alpha=1)
    assert moved.isfinite().all() and moved.norm() < 3 * features.norm()


def test_people_count_alike_and_clips_by_their_weights(crowd):
    features, person = crowd
    weights = torch.rand(240) * (person != 2)
    found = GaussianBarycenter.fit(features, person, "full", weights).center.mean
    expected = [
        np.average(features[person == p], axis=0, weights=weights[person == p]) for p in (0, 1, 3, 4, 5)
    ]
    assert np.allclose(found, np.mean(expected, axis=0), atol=1e-5)


# Recognisers


@pytest.fixture
def trained(toy):
    """A recogniser of four people, their clips, and those of a fifth, who is far off."""
    train, stranger = toy.take(toy.person < 4), toy.take(toy.person == 5)
    model = Recognizer(tiny_cnn(3, width=8), 8, 2)
    fit(model, train, Settings(epochs=3, batch_size=16))
    return model, train, stranger


def test_the_whole_way_without_shrinkage_is_batch_normalization_in_training_mode(trained):
    model, train, stranger = trained
    found = normalize_person(model, stranger.x, TrainingPeople(model, train), **PLAIN)
    reference = copy.deepcopy(model).train()
    expected = reference(torch.as_tensor(stranger.x)).logits.softmax(-1)
    assert np.allclose(found, expected.detach(), atol=1e-5)


def test_moments_are_those_of_the_norms_inputs_at_any_class_frequencies(trained):
    model, train, _ = trained
    model.eval()
    training, frequency = TrainingPeople(model, train), torch.tensor([0.9, 0.1])
    image = (torch.as_tensor(train.x) - model.mean) / model.scale
    seen = model.backbone[0].conv(image.mT[:, :, None]).double()
    weights = frequency[torch.as_tensor(train.y)] / torch.as_tensor(train.y).bincount()[train.y]
    mean = (weights[:, None] * seen.mean((2, 3))).sum(0)
    variance = (weights[:, None] * (seen - mean[:, None, None]).square().mean((2, 3))).sum(0)
    found = training.statistics("backbone.0.norm", frequency)
    assert torch.allclose(found[0], mean, atol=1e-6) and torch.allclose(found[1], variance, atol=1e-5)
    # Each person's weights, added up class by class.
    member = np.array([[training.weights(frequency)[(train.person == p) & (train.y == c)].sum()
                        for c in (0, 1)] for p in train.people])  # fmt: skip
    assert np.allclose(member, [[0.9, 0.1]] * 4)


class ChannelNorm(nn.Module):
    """Batch normalisation of clips ``(batch, time, channels)``, and nothing else."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, momentum=None)

    def forward(self, x):
        return self.norm(x.mT).mT


def draw_clips(y, person, offset=0.0):
    """Two classes, 2 above and 2 below the person's own offset in channel 0; 4 noisy frames."""
    x = 0.5 * np.random.default_rng(person).standard_normal((len(y), 4, 3))
    x[..., 0] += (4 * y - 2)[:, None] + offset
    return Sequences(x, y, np.full(len(y), person), class_names=("low", "high"))


@pytest.fixture
def signs():
    """A recogniser that looks at channel 0's sign, and its eight training people."""
    y = np.arange(20) % 2
    people = [draw_clips(y, p, offset=0.2 * (p - 3.5)) for p in range(8)]
    x, y, person = (np.concatenate([getattr(d, n) for d in people]) for n in ("x", "y", "person"))
    model = Recognizer(nn.Sequential(ChannelNorm(3)), 3, 2)
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[-3.0, 0, 0], [3, 0, 0]]))
        model.head.bias.zero_()
        model.train()(torch.as_tensor(x))
    return model, TrainingPeople(model, Sequences(x, y, person, class_names=("low", "high")))


def right(model, clips, training, **options):
    found = normalize_person(model, clips.x, training, **options)
    return (found.argmax(1) == clips.y).mean()


@pytest.mark.parametrize(("alpha", "prior"), [(0.5, 0), (1, 16), (0.25, 48), (0, 0)])
def test_a_share_of_the_way_is_between_the_statistics(signs, alpha, prior):
    model, training = signs
    clips, share = draw_clips(np.arange(16) % 2, person=50, offset=1), alpha * 16 / (16 + prior)
    norm, x = model.backbone[0].norm, torch.as_tensor(clips.x)
    mean = norm.running_mean.lerp(x.mean((0, 1)), share)
    variance = norm.running_var.log().lerp(x.var((0, 1), correction=0).log(), share).exp()
    expected = model.head(((x - mean) / variance.sqrt()).mean(1)).softmax(1).detach()
    found = normalize_person(model, clips.x, training, alpha=alpha, prior=prior, matched=False)
    assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_who_is_far_off_is_recognised_once_normalized(signs, kind):
    model, training = signs
    far = draw_clips(np.arange(40) % 2, person=50, offset=4)
    assert (predict(model, far).argmax(1) == far.y).mean() < 0.6
    assert right(model, far, training, kind=kind, **PLAIN) > 0.95
    assert right(model, far, training, kind=kind, alpha=0, matched=False) < 0.6


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_estimated_from_the_clips_that_were_seen(signs, kind, matched):
    model, training = signs
    far, options = draw_clips(np.arange(40) % 2, 50, offset=4).x, {"kind": kind, "matched": matched}
    together = normalize_person(model, far, training, **options)
    alone = normalize_person(model, far[:3], training, seen=far, **options)
    assert np.allclose(alone, together[:3], atol=1e-5)
    assert not np.allclose(normalize_person(model, far[:3], training, **options), alone, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_matching_class_frequencies_repairs_label_shift(signs, kind):
    model, training = signs
    one = draw_clips(np.ones(40, int), person=50)  # as usual, but of one class
    assert (predict(model, one).argmax(1) == 1).all()
    assert right(model, one, training, kind=kind, **PLAIN) < 0.7
    assert right(model, one, training, kind=kind, **PLAIN | {"matched": True}) > 0.95


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["ERM", "TFAM", "GIRL"])
def test_methods_are_normalized_and_left_as_they_are(toy, method, kind):
    model = build(method, 3, 2, resolve(method), seed=0)
    fit(model, toy, Settings(epochs=1))
    before, training = copy.deepcopy(model.state_dict()), TrainingPeople(model, toy)
    own = toy.take(toy.person == 5)
    found = normalize_person(model, own.x.astype(np.float64), training, own.x[:3], kind=kind)
    assert found.shape == (16, 2) and np.allclose(found.sum(1), 1, atol=1e-5)
    assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert np.allclose(normalize_person(model, own.x, training, alpha=0, kind=kind), predict(model, own),
                       atol=1e-5)  # fmt: skip


class OverTime(nn.Module):
    """Batch normalisation of clips ``(batch, time, 3)``."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


def test_moments_of_large_offsets_keep_small_variances(toy):
    x = 100 + 0.01 * np.random.default_rng(0).standard_normal(toy.x.shape)
    layer, far = Recognizer(nn.Sequential(OverTime()), 3, 2), replace(toy, x=x.astype(np.float32))
    training = TrainingPeople(layer, far)
    (name,) = training.moments
    variance = training.statistics(name, torch.as_tensor(toy.y).bincount() / len(toy))[1]
    assert np.allclose(variance, far.x.astype(float).var((0, 1)), rtol=1e-3)


def test_a_norm_of_single_frames_is_refused(toy):
    model = build("CFD", 3, 2, resolve("CFD"), seed=0)
    with pytest.raises(ValueError, match="normalises single frames"):
        TrainingPeople(model, toy)


def test_mistakes_are_named(trained):
    model, train, stranger = trained
    training = TrainingPeople(model, train)
    for options, message in (
        ({"kind": "half"}, "kind: 'half' is unknown. Choose from batch statistics, diagonal, full"),
        ({"alpha": 1.5}, r"alpha: must be in \[0, 1\], got 1.5"),
        ({"prior": -1}, "prior: -1 is negative"),
        ({"seen": stranger.x[:0]}, "clips, seen: empty"),
    ):
        with pytest.raises(ValueError, match=message):
            normalize_person(model, stranger.x, training, **options)
    layer = Recognizer(nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8)), 8, 2)
    with pytest.raises(ValueError, match="no batch normalisation to adapt. Choose 'diagonal'"):
        normalize_person(layer, stranger.x, TrainingPeople(layer, train))
    with pytest.raises(ValueError, match="kind: 'half' is unknown"):
        GaussianBarycenter.fit(torch.zeros(2, 3), torch.zeros(2), "half")
    with pytest.raises(ValueError, match="weights: none is positive"):
        GaussianBarycenter.fit(torch.zeros(2, 3), torch.zeros(2), weights=torch.zeros(2))
