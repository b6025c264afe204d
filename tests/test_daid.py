"""DAID, part by part, against other code."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from smooth_problem import clips, smooth
from torch.nn import functional as F

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.daid import (
    DAID,
    MannerGroups,
    alignment,
    inverse_propensity,
    normalize_groups,
)
from piumar_lib.batch import Batch
from piumar_lib.pseudo_groups import PersonGroups, RandomGroups, StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict

from_seeds = given(st.integers(0, 2**32 - 1))
SOURCES = [MannerGroups(), PersonGroups()]


def build():
    torch.manual_seed(3)
    return Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)


# Inverse-propensity weights


@from_seeds
def test_without_a_cap_all_cells_count_alike(seed):
    rng = np.random.default_rng(seed)
    y, group = rng.integers(0, 3, 20), rng.integers(0, 4, 20)
    cells = [f"{a}, {b}" for a, b in zip(y, group, strict=True)]
    weights = inverse_propensity(*map(torch.as_tensor, (y, group)), cap=np.inf)
    assert np.allclose(weights, compute_sample_weight("balanced", cells))
    assert weights.mean().item() == pytest.approx(1)


def test_no_weight_is_above_the_cap():
    y = torch.tensor([0] * 9 + [1])
    assert inverse_propensity(y, 0 * y, cap=5.0).tolist() == pytest.approx([5 / 9] * 9 + [5])
    assert inverse_propensity(y, 0 * y, cap=2.0).tolist() == pytest.approx([5 / 9] * 9 + [2])


# Normalisation within groups


@from_seeds
def test_at_full_strength_groups_have_the_mean_and_deviation_of_the_batch(seed):
    torch.manual_seed(seed)
    group = torch.tensor([0] * 5 + [2] * 7 + [3])  # nobody is in group 1, one clip in group 3
    z = torch.randn(13, 4, dtype=torch.double) * (1 + group[:, None]) + 3 * group[:, None]
    out = normalize_groups(z, group, 1.0).numpy()
    for g in (0, 2):
        own = out[group == g]
        assert np.allclose(own.mean(0), z.mean(0))
        assert np.allclose(own.std(0), z.std(0, unbiased=False), rtol=1e-4)
    assert np.allclose(out[-1], z[-1])


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_normalisation_is_that_of_each_clip_by_hand(strength):
    group, z = torch.tensor([0, 1, 0, 1, 1]), np.random.default_rng(0).normal(size=(5, 2))
    out = normalize_groups(torch.as_tensor(z), group, strength).numpy()
    for i, g in enumerate(group.tolist()):
        own = z[group == g]
        shift = (1 - strength) * z.mean(0) + strength * own.mean(0)
        scale = (1 - strength) * z.std(0) + strength * own.std(0)
        assert np.allclose(out[i], z.mean(0) + (z[i] - shift) / scale * z.std(0), atol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_one_group_or_one_clip_stays_as_it_is(strength):
    z = torch.randn(6, 3, dtype=torch.double)
    assert torch.allclose(normalize_groups(z, torch.zeros(6, dtype=torch.long), strength), z)
    assert torch.allclose(normalize_groups(z[:1], torch.tensor([4]), strength), z[:1])


# Alignment


@from_seeds
def test_alignment_is_the_mean_cosine_distance_of_pairs(seed):
    torch.manual_seed(seed)
    z, y, group = torch.randn(9, 4, dtype=torch.double), torch.randint(2, (9,)), torch.randint(3, (9,))
    centered = (z - z.mean(0)).numpy()
    costs = [
        cosine(centered[i], centered[j])
        for i, j in combinations(range(9), 2)
        if y[i] == y[j] and group[i] != group[j]
    ]
    assert alignment(z, y, group).item() == pytest.approx(np.mean(costs) if costs else 0)


@pytest.mark.parametrize("alone", ["clip", "group", "classes"])
def test_nothing_is_aligned_where_there_is_no_pair(alone):
    n = 1 if alone == "clip" else 4
    z = torch.randn(n, 3, requires_grad=True)
    y = torch.arange(n) if alone == "classes" else torch.zeros(n, dtype=torch.long)
    group = torch.zeros(n, dtype=torch.long) if alone == "group" else torch.arange(n)
    value = alignment(z, y, group)
    value.backward()
    assert value.item() == 0 and torch.equal(z.grad, torch.zeros_like(z))


def test_both_have_the_gradient_of_finite_differences():
    z = torch.randn(10, 3, dtype=torch.double, requires_grad=True)
    y, group = torch.arange(10) % 2, torch.arange(10) // 2 % 3
    assert torch.autograd.gradcheck(lambda v: alignment(v, y, group), z)
    assert torch.autograd.gradcheck(lambda v: normalize_groups(v, group, 0.5), z)


# Groups


def test_manner_groups_find_manners_that_classes_share():
    rng = np.random.default_rng(0)
    y, manner = np.arange(120) % 3, rng.integers(0, 2, 120)
    style = rng.normal(size=(120, 4)) * 0.3 + 5 * y[:, None] + 2 * manner[:, None]
    data = Batch(torch.zeros(120, 1, 1), torch.as_tensor(y), torch.arange(120), torch.arange(120))
    found = MannerGroups(2).find(torch.as_tensor(style), data, 0)
    assert adjusted_rand_score(manner, found) > 0.95
    assert torch.equal(found, MannerGroups(2).find(torch.as_tensor(style), data, 0))


@pytest.mark.parametrize("source", [StyleGroups(), RandomGroups()])
def test_groups_within_a_class_are_refused(source):
    with pytest.raises(ValueError, match=r"lie within a class each. Choose MannerGroups"):
        DAID(source)


# The objective


def test_the_loss_is_the_weighted_entropy_of_normalised_features_plus_the_alignment():
    data, model = clips(24), smooth()
    data = data.take(data.index > 2)  # uneven cells
    data = Batch(data.x, data.y, data.person, torch.arange(len(data)))
    daid = DAID(PersonGroups(), weight=0.4, strength=0.6)
    daid.start(model, data, Settings())
    for epoch in range(2):
        daid.before_epoch(data, epoch)
        value = daid.loss(model, data)
    z = model(data.x).features
    logits = model.head(normalize_groups(z, data.person, 0.6))
    cells = [*zip(data.y.tolist(), data.person.tolist(), strict=True)]
    weights = compute_sample_weight("balanced", [str(c) for c in cells])
    entropy = F.cross_entropy(logits, data.y, reduction="none").detach()
    expected = np.average(entropy, weights=weights) + 0.4 * alignment(z, data.y, data.person).item()
    assert value.item() == pytest.approx(expected)


def test_in_the_first_epoch_classes_are_balanced_and_all_clips_are_one_group():
    data, model = clips(24), smooth()
    data = data.take(data.y * data.index < 20)
    data = Batch(data.x, data.y, data.person, torch.arange(len(data)))
    daid = DAID()
    daid.start(model, data, Settings())
    daid.before_epoch(data, 0)
    entropy = F.cross_entropy(model(data.x).logits, data.y, reduction="none").detach()
    expected = np.average(entropy, weights=compute_sample_weight("balanced", data.y))
    assert daid.loss(model, data).item() == pytest.approx(expected)


def test_a_batch_is_drawn_from_people_only_where_they_are_known():
    assert DAID(PersonGroups()).people == 8 and DAID().people is None


def test_by_default_it_aligns_people_and_hides_who_it_was(toy):
    y, person = torch.as_tensor(toy.y), torch.as_tensor(toy.person)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))

    def measured(weight, seed):
        torch.manual_seed(seed)
        model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
        settings = Settings(epochs=30, batch_size=48, learning_rate=0.02, seed=seed)
        fit(model, toy, settings, DAID(PersonGroups(), weight=weight))
        model.eval()
        with torch.no_grad():
            z = model(torch.as_tensor(toy.x)).features
        return alignment(z, y, person).item(), cross_val_score(probe, z.numpy(), person, cv=4).mean()

    distance, known = np.mean([measured(0.7, seed) for seed in range(4)], axis=0)
    plain_distance, plain_known = np.mean([measured(0.0, seed) for seed in range(4)], axis=0)
    assert distance < 0.6 * plain_distance and known < plain_known - 0.05


def test_rare_cells_are_learned_better_than_without_weights(toy):
    """Person 0 makes class 1 once in a while: the loss of that cell is lower with weights."""
    rare = (toy.person == 0) & (toy.y == 0)
    keep = np.flatnonzero(~rare | (np.cumsum(rare) <= 2))

    def cost(cap):
        model = build()
        objective = DAID(PersonGroups(), weight=0.0, strength=0.0, cap=cap)
        fit(model, toy.take(keep), Settings(epochs=3, batch_size=48, learning_rate=0.01), objective)
        p = predict(model, toy)[rare, 0]
        return -np.log(p).mean()

    assert cost(5.0) < cost(1.0)


@pytest.mark.parametrize("source", SOURCES)
def test_it_learns_the_classes_of_unseen_people(toy, source):
    unseen = np.isin(toy.person, (1, 4))
    model = build()
    fit(model, toy.take(~unseen), Settings(epochs=25, batch_size=24, learning_rate=0.01), DAID(source))
    test = toy.take(unseen)
    assert (predict(model, test).argmax(1) == test.y).mean() > 0.9


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rows", [[5], [*range(0, 96, 12)], [*range(0, 96, 2)], [*range(96)]])
def test_training_is_finite_and_reproducible_on_any_clips(toy, rows, source):
    def trained():
        model = build()
        losses = fit(
            model, toy.take(rows), Settings(epochs=3, batch_size=16, learning_rate=0.01), DAID(source)
        )
        return losses, torch.cat([p.detach().flatten() for p in model.parameters()])

    (losses, weights), (again, same) = trained(), trained()
    assert np.isfinite(losses).all() and torch.isfinite(weights).all()
    assert losses == again and torch.equal(weights, same)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_checkpoint_keeps_groups_weights_and_styles(source, epochs):
    data, model = clips(24), smooth()

    def started():
        daid = DAID(source)
        daid.start(model, data, Settings())
        return daid

    first, second = started(), started()
    for epoch in range(epochs):
        first.before_epoch(data, epoch)
        first.loss(model, data)
    second.restore({name: value.clone() for name, value in first.state().items()})
    assert torch.equal(first.loss(model, data), second.loss(model, data))
    for daid in (first, second):
        daid.before_epoch(data, epochs)
    assert torch.equal(first.group, second.group) and len(first.group.unique()) == 4
    assert torch.equal(first.loss(model, data), second.loss(model, data))


@pytest.mark.parametrize(
    ("name", "value"), [("weight", -1.0), ("strength", 1.5), ("strength", -0.1), ("cap", 0.5)]
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: must be a number, at least .*, got {value}"):
        DAID(**{name: value})
