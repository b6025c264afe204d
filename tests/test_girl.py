"""GIRL against NumPy, scikit-learn, finite differences, and one process against two."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, log_loss
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import piumar_lib
from piumar_lib import dro
from piumar_lib.backbones import tiny_cnn
from piumar_lib.girl import GIRL, SOURCES, boundary_weights, cluster, group_risks, style_statistics
from piumar_lib.objective import Clips, Objective
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch
from piumar_lib.training import Settings, fit

from_seeds = given(st.integers(0, 2**32 - 1))


def clips(n=24, people=4, classes=3):
    index = torch.arange(n)
    return Clips(torch.randn(n, 8, 3), index % classes, index // classes % people, index)


def begun(data, seed=0, **options):
    girl = GIRL(**({"weight": 0.5, "momentum": 0.0, "fair": False} | options))
    torch.manual_seed(seed)
    girl.start(None, data, Settings(seed=seed))
    return girl


def risk(girl, batch, losses, logits=None, early=None):
    """GIRL of given losses; without logits all clips are far from the boundary."""
    if logits is None:
        logits = torch.tensor([500.0, 0.0, 0.0]).expand(len(batch), -1)
    early = torch.zeros(len(batch), 4, 2) if early is None else early
    return girl.risk(losses, Prediction(logits, [], [], early), batch)


def epoch(girl, data, number, losses=None, early=None, size=5):
    """Look at all clips once, in shuffled batches."""
    girl.before_epoch(data, number)
    for rows in torch.randperm(len(data)).split(size):
        given_losses = torch.ones(len(rows)) if losses is None else losses[rows]
        risk(girl, data.take(rows), given_losses, early=None if early is None else early[rows])


def moved(manner):
    """Early features that show the manner in every channel's mean and deviation."""
    manner = manner[:, None, None]
    return (1 + 9 * manner) * torch.randn(len(manner), 40, 2) + 40 * manner


def uneven():
    """Three people who have made different numbers of clips."""
    return replace(clips(n=20), person=torch.tensor([0] * 12 + [1] * 3 + [2] * 5))


SHARES = np.array([0.6, 0.15, 0.25])


def moments(values, shares):
    """Mean and deviation of values that count by their shares."""
    middle = np.average(values, weights=shares)
    return middle, np.sqrt(np.average((values - middle) ** 2, weights=shares))


def labels(girl):
    return girl.membership.argmax(1).numpy()


# Style


def test_style_statistics_are_mean_and_deviation_over_time_detached():
    frames = torch.randn(4, 7, 3, dtype=torch.double, requires_grad=True)
    style = style_statistics(frames)
    numbers = frames.detach().numpy()
    assert np.allclose(style, np.concatenate([numbers.mean(1), numbers.std(1)], axis=1))
    assert style.shape == (4, 6) and not style.requires_grad


# Boundary weights


def test_boundary_weights_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [1.0, 1.0, -7.0], [0.0, 5.0, 4.0]], requires_grad=True)
    weights = boundary_weights(logits, strength=2.0, temperature=0.5)
    assert np.allclose(weights, [1 + 2 * np.exp(-4), 3, 1 + 2 * np.exp(-2)])
    assert not weights.requires_grad
    assert boundary_weights(logits, strength=0.0).tolist() == [1, 1, 1]


@from_seeds
def test_boundary_weights_stay_in_range_and_ignore_order_and_offset_of_logits(seed):
    torch.manual_seed(seed)
    logits = 10 * torch.randn(6, 4, dtype=torch.double)
    weights = boundary_weights(logits, 3.0, 2.0)
    assert (weights >= 1).all() and (weights <= 4).all()
    assert torch.allclose(weights, boundary_weights(logits[:, torch.randperm(4)] + 5, 3.0, 2.0))


def test_one_class_has_no_boundary():
    logits = torch.randn(5, 1, requires_grad=True)
    weights = boundary_weights(logits, 3.0)
    assert weights.tolist() == [1] * 5 and not weights.requires_grad


# Group risks


@from_seeds
def test_group_risks_are_weighted_means_also_of_soft_groups(seed):
    rng = np.random.default_rng(seed)
    losses, weights = rng.exponential(size=9), 1 + rng.random(9)
    for membership in (rng.dirichlet(np.full(4, 0.3), 9), np.eye(4)[rng.integers(0, 4, 9)]):
        risks = group_risks(*map(torch.as_tensor, (losses, weights, membership)))
        for g in range(4):
            count = sum(membership[i, g] * weights[i] for i in range(9))
            total = sum(membership[i, g] * weights[i] * losses[i] for i in range(9))
            expected = total / count if count else np.nan
            assert risks[g].item() == pytest.approx(expected, nan_ok=True)


def test_an_absent_group_has_no_risk():
    membership = F.one_hot(torch.tensor([0, 2, 2]), 4)
    risks = group_risks(torch.tensor([1.0, 2.0, 4.0]), torch.ones(3), membership)
    assert risks.isnan().tolist() == [False, True, False, True]
    assert risks[[0, 2]].tolist() == [1, 3]


def test_group_risks_have_the_gradient_of_finite_differences():
    losses = torch.rand(6, dtype=torch.double, requires_grad=True)
    weights = 1 + torch.rand(6, dtype=torch.double)
    membership = torch.rand(6, 3, dtype=torch.double).softmax(1)
    membership[:, 1] = 0  # absent, and without influence on the others
    assert torch.autograd.gradcheck(lambda v: group_risks(v, weights, membership)[[0, 2]], losses)


def test_group_risks_keep_their_precision_under_autocast():
    losses, weights = torch.rand(50), 1 + torch.rand(50)
    membership = F.one_hot(torch.arange(50) % 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        risks = group_risks(losses, weights, membership)
    assert torch.equal(risks, group_risks(losses, weights, membership))


# Clusters


def manners(groups, classes=3, each=10, features=6):
    """Clips of some classes in well separated manners, the class far more visible than the manner."""
    manner = torch.arange(groups).repeat_interleave(classes * each)
    y = torch.arange(classes).repeat_interleave(each).repeat(groups)
    centres, offsets = 10 * torch.randn(groups, features), 500 * torch.randn(classes, features)
    return centres[manner] + offsets[y] + 0.1 * torch.randn(len(y), features), y, manner


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_clusters_are_the_manners_not_the_classes(groups):
    for seed in range(5):
        style, y, manner = manners(groups)
        membership = cluster(style, y, groups, seed=seed)
        assert membership.shape == (len(y), groups) and membership.sum(1).eq(1).all()
        assert adjusted_rand_score(membership.argmax(1), manner) == 1


def test_what_a_class_has_in_common_changes_no_cluster():
    style, y = torch.randn(40, 5), torch.arange(40) % 4
    moved = style + torch.randint(-8, 8, (4, 5))[y]
    assert torch.equal(cluster(style, y, 3), cluster(moved, y, 3))


def test_the_unit_of_a_feature_changes_no_cluster():
    style, y = torch.randn(40, 5), torch.arange(40) % 4
    rescaled = style * torch.tensor([1e-3, 1.0, 7.0, 1e3, 1e5])
    assert torch.equal(cluster(style, y, 3), cluster(rescaled, y, 3))
    assert torch.equal(cluster(style, y, 3), cluster(style * 2**-40, y, 3))
    constant = torch.cat([style, torch.full((40, 1), 0.3)], dim=1)
    assert torch.equal(cluster(style, y, 3), cluster(constant, y, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clustering_leaves_its_input_alone(dtype):
    style, y = torch.randn(20, 3).to(dtype), torch.arange(20) % 2
    before = style.clone()
    cluster(style, y, 3, softness=0.5, per_class=True)
    assert torch.equal(style, before)


def test_the_seed_decides_the_initial_centres():
    style, y = torch.randn(60, 2), torch.zeros(60, dtype=torch.long)
    assert torch.equal(cluster(style, y, 6, seed=1), cluster(style, y, 6, seed=1))
    assert any(not torch.equal(cluster(style, y, 6, seed=s), cluster(style, y, 6)) for s in range(1, 9))


@pytest.mark.parametrize("softness", [0.0, 1.0])
def test_fewer_different_clips_than_groups_make_fewer_groups(softness):
    style = torch.tensor([[0.0, 1.0], [3.0, -1.0]]).repeat(5, 1)
    membership = cluster(style, torch.zeros(10, dtype=torch.long), 4, softness)
    assert membership.shape == (10, 4)
    assert membership.sum(0).sort(descending=True).values.tolist() == [5, 5, 0, 0]
    assert membership.sum(1).tolist() == [1] * 10
    assert cluster(style[:1], torch.zeros(1, dtype=torch.long), 4, softness).sum().item() == 1


def test_of_many_clips_a_sample_places_the_centres(monkeypatch):
    def inertia(membership):
        centres = membership.T @ style / membership.sum(0)[:, None]
        return (style - centres[membership.argmax(1)]).square().sum().item()

    seen = []
    fit_all = KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, x: seen.append(len(x)) or fit_all(self, x))
    style = torch.randn(piumar_lib.girl.SAMPLE + 2000, 6) * torch.tensor([1.0, 1, 1, 2, 2, 2]).exp()
    style = (style - style.mean(0)) / style.std(0, unbiased=False)
    membership = cluster(style, torch.zeros(len(style), dtype=torch.long), 4, seed=1)
    assert seen == [piumar_lib.girl.SAMPLE]
    assert membership.sum(1).eq(1).all()
    whole = KMeans(4, n_init=1, random_state=1).fit(style.numpy())
    assert inertia(membership) < 1.02 * whole.inertia_
    # Every clip, drawn or not, is with the nearest centre; manners that stand apart are found.
    style, y, manner = manners(3, each=500)
    monkeypatch.setattr(piumar_lib.girl, "SAMPLE", 60)
    membership = cluster(style, y, 3)
    assert seen[-1] == 60
    assert adjusted_rand_score(membership.argmax(1), manner) == 1


def test_soft_membership_by_hand():
    style, y = torch.randn(50, 2), torch.zeros(50, dtype=torch.long)
    hard, soft = cluster(style, y, 3), cluster(style, y, 3, softness=0.7)
    points = (style - style.mean(0)).numpy().astype(float)
    points /= points.std(0)
    # k-means has converged: centres are the means of their members.
    centres = np.stack([points[hard[:, g] == 1].mean(0) for g in range(3)])
    square = ((points[:, None] - centres) ** 2).sum(-1)
    expected = np.exp(-square / (2 * 0.7 * square.min(1).mean()))
    assert np.allclose(soft, expected / expected.sum(1, keepdims=True), atol=1e-4)


def test_soft_groups_become_hard_as_softness_vanishes():
    style, y = torch.randn(50, 3), torch.arange(50) % 2
    hard = cluster(style, y, 3)
    distances = []
    for softness in (10.0, 1.0, 0.1, 1e-5):
        soft = cluster(style, y, 3, softness)
        assert torch.allclose(soft.sum(1), torch.ones(50)) and (soft >= 0).all()
        distances.append((soft - hard).abs().max().item())
    assert distances == sorted(distances, reverse=True) and distances[-1] < 1e-3


@pytest.mark.parametrize("softness", [0.0, 0.5])
def test_groups_within_classes_never_mix_classes(softness):
    style, y, manner = manners(2, classes=3)
    y = torch.tensor([0, 3, 1])[y]  # nobody has class 2
    membership = cluster(style, y, 2, softness, per_class=True)
    assert membership.shape == (60, 8)
    blocks = membership.unflatten(1, (4, 2)).sum(2)
    assert torch.allclose(blocks, F.one_hot(y, 4).float())
    for k in (0, 1, 3):
        assert adjusted_rand_score(membership[y == k].argmax(1), manner[y == k]) == 1


def test_a_class_with_a_single_clip_is_of_average_style():
    style, y, manner = manners(2)
    y[-1] = 3
    membership = cluster(style, y, 2)
    assert torch.isfinite(membership).all()
    assert adjusted_rand_score(membership[:-1].argmax(1), manner[:-1]) == 1


@pytest.mark.parametrize(
    ("options", "name"), [({"groups": 0}, "groups"), ({"softness": -1}, "softness")]
)
def test_impossible_clusters_are_refused(options, name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        cluster(torch.randn(5, 2), torch.zeros(5, dtype=torch.long), **({"groups": 2} | options))


# The loss of a batch


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@given(step=st.floats(0, 2), weight=st.floats(0, 5), seed=st.integers(0, 99))
def test_one_group_without_boundary_is_cross_entropy(squared, momentum, step, weight, seed):
    torch.manual_seed(seed)
    data, logits = clips(), torch.randn(24, 3, dtype=torch.double)
    options = dict(step=step, weight=weight, momentum=momentum, squared=squared)
    girl = begun(data, groups=1, boundary=0.0, **options)
    value = risk(girl, data, F.cross_entropy(logits, data.y, reduction="none"), logits)
    assert value.item() == pytest.approx(log_loss(data.y, logits.softmax(1)))


def test_one_group_with_boundary_is_weighted_cross_entropy():
    data, logits = clips(), torch.randn(24, 3, dtype=torch.double)
    girl = begun(data, groups=1, boundary=2.0, temperature=0.7)
    value = risk(girl, data, F.cross_entropy(logits, data.y, reduction="none"), logits)
    ordered = np.sort(logits.numpy(), axis=1)
    weights = 1 + 2 * np.exp(-(ordered[:, 2] - ordered[:, 1]) / 0.7)
    assert value.item() == pytest.approx(log_loss(data.y, logits.softmax(1), sample_weight=weights))


@from_seeds
def test_even_weights_give_mean_plus_deviation_of_peoples_risks(seed):
    torch.manual_seed(seed)
    data, losses = clips(people=5), torch.rand(24)
    risks = [losses[data.person == p].numpy().mean() for p in range(5)]
    value = risk(begun(data, source="person", step=0.0, weight=0.8), data, losses)
    assert value.item() == pytest.approx(np.mean(risks) + 0.8 * np.std(risks), rel=1e-5)
    squared = risk(begun(data, source="person", step=0.0, weight=0.8, squared=True), data, losses)
    assert squared.item() == pytest.approx(np.mean(risks) + 0.8 * np.var(risks), rel=1e-5)


@from_seeds
def test_it_is_the_worst_case_over_a_chi_square_ball_below_the_threshold(seed):
    torch.manual_seed(seed)
    data = clips(people=6)
    losses = torch.rand(24, dtype=torch.double, requires_grad=True)
    groups = torch.stack([losses[data.person == p].mean() for p in range(6)])
    rho = 0.9 * dro.variance_threshold(groups.detach()).item()
    girl = begun(data, source="person", step=0.0, weight=np.sqrt(2 * rho))
    value, worst = risk(girl, data, losses), dro.chi_square(groups, rho)
    assert value.item() == pytest.approx(worst.value.item(), rel=1e-6)
    (ours,), (theirs,) = (torch.autograd.grad(v, losses) for v in (value, worst.value))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_online_weights_move_before_the_loss_and_boundary_counts_within_groups():
    data, logits = clips(n=12, people=3), 2 * torch.randn(12, 3)
    losses = torch.rand(12)
    girl = begun(data, source="person", step=0.5, weight=0.3, boundary=2.0, temperature=0.5)
    value = risk(girl, data, losses, logits).item()
    ordered = np.sort(logits.numpy(), axis=1)
    w = 1 + 2 * np.exp((ordered[:, 1] - ordered[:, 2]) / 0.5)
    own = [(data.person == p).numpy() for p in range(3)]
    risks = np.array([np.average(losses.numpy()[who], weights=w[who]) for who in own])
    q = np.exp(0.5 * risks) / np.exp(0.5 * risks).sum()
    assert np.allclose(girl.q, q)
    assert value == pytest.approx(q @ risks + 0.3 * risks.std(), rel=1e-5)


@pytest.mark.parametrize("softness", [0.0, 0.7])
def test_fair_groups_without_further_terms_are_plain_training(softness):
    data, losses = clips(), torch.rand(24)
    girl = begun(data, groups=5, softness=softness, fair=True, step=0.0, weight=0.0)
    epoch(girl, data, 0, early=torch.randn(24, 4, 2))
    girl.before_epoch(data, 1)
    assert len(girl.membership.sum(0).unique()) > 1  # groups of different size
    assert risk(girl, data, losses).item() == pytest.approx(losses.numpy().mean(), rel=1e-5)


@pytest.mark.parametrize("squared", [False, True])
def test_fair_groups_count_by_their_shares_of_the_clips(squared):
    data = uneven()
    girl = begun(data, source="person", step=0.5, weight=0.3, fair=True, squared=squared)
    q = SHARES.copy()
    for present in ([0, 1, 2], [0, 2]):
        batch = data.take(torch.isin(data.person, torch.tensor(present)))
        losses = torch.rand(len(batch))
        risks = np.array([losses[batch.person == p].numpy().mean() for p in present])
        q[present] = q[present] * np.exp(0.5 * risks)
        q = q / q.sum()
        deviation = moments(risks, SHARES[present])[1]
        expected = q[present] / q[present].sum() @ risks + 0.3 * deviation ** (2 if squared else 1)
        assert risk(girl, batch, losses).item() == pytest.approx(expected, rel=1e-5)
        assert np.allclose(girl.q, q)


@pytest.mark.parametrize("number", range(3))
def test_fair_groups_are_the_worst_case_over_a_ball_around_their_shares(number):
    torch.manual_seed(number)
    data, losses = uneven(), torch.rand(20, dtype=torch.double)
    risks = np.array([losses[data.person == p].numpy().mean() for p in range(3)])
    middle, deviation = moments(risks, SHARES)
    # Up to here, the smallest risk keeps a positive weight.
    rho = 0.9 * deviation**2 / (2 * (middle - risks.min()) ** 2)
    p = cp.Variable(3, nonneg=True)
    ball = [cp.sum(p) == 1, cp.sum(cp.square(p - SHARES) / SHARES) / 2 <= rho]
    best = cp.Problem(cp.Maximize(risks @ p), ball).solve(solver=cp.CLARABEL)
    girl = begun(data, source="person", step=0.0, weight=np.sqrt(2 * rho), fair=True)
    assert risk(girl, data, losses).item() == pytest.approx(best, abs=1e-6)


def test_absent_groups_are_left_out_and_the_others_share_their_weight():
    data = clips(n=12, people=4)
    girl = begun(data, source="person", step=0.0, weight=1.0)
    girl.q = torch.tensor([0.4, 0.3, 0.2, 0.1])
    present = data.take((data.person == 0) | (data.person == 2))
    losses = torch.rand(6)
    risks = np.array([losses[present.person == p].numpy().mean() for p in (0, 2)])
    expected = risks @ [2 / 3, 1 / 3] + risks.std()
    assert risk(girl, present, losses).item() == pytest.approx(expected, rel=1e-5)


@from_seeds
def test_groups_are_looked_up_by_place_not_by_row(seed):
    torch.manual_seed(seed)
    data = clips(people=3)
    losses, rows = torch.rand(24), torch.randperm(24)[:15]
    girl = begun(data, source="person", step=0.0, weight=1.0)
    batch = data.take(rows)
    own = [losses[rows][batch.person == p].numpy() for p in batch.person.unique()]
    risks = [part.mean() for part in own]
    assert risk(girl, batch, losses[rows]).item() == pytest.approx(
        np.mean(risks) + np.std(risks), rel=1e-5
    )


@from_seeds
def test_fair_groups_without_any_weight_are_plain_training(seed):
    torch.manual_seed(seed)
    data, losses = clips(people=5), torch.rand(24)
    girl = begun(data, source="person", fair=True, step=0.0, weight=0.0, boundary=0.0)
    assert risk(girl, data, losses).item() == pytest.approx(losses.mean().item(), rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@from_seeds
def test_fair_groups_are_judged_as_if_each_clip_had_its_groups_risk(momentum, seed):
    torch.manual_seed(seed)
    data = clips(people=5)
    losses = torch.rand(24, dtype=torch.double, requires_grad=True)
    means = torch.stack([losses[data.person == p].mean() for p in range(5)])[data.person]
    rho = 0.9 * dro.variance_threshold(means.detach()).item()
    options = {"momentum": momentum, "step": 0.0, "weight": np.sqrt(2 * rho)}
    value = risk(begun(data, source="person", fair=True, **options), data, losses)
    worst = dro.chi_square(means, rho).value  # over clips, an oracle without shares
    (ours,), (theirs,) = (torch.autograd.grad(v, losses) for v in (value, worst))
    assert value.item() == pytest.approx(worst.item(), rel=1e-5)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_after_many_batches_the_worst_group_has_the_largest_weight():
    data = clips(people=4)
    losses = torch.tensor([0.5, 0.1, 0.9, 0.3])[data.person]
    girl, even = (begun(data, source="person", step=step) for step in (0.1, 0.0))
    for _ in range(30):
        risk(girl, data, losses)
        risk(even, data, losses)
    expected = np.exp(30 * 0.1 * np.array([0.5, 0.1, 0.9, 0.3]))
    assert np.allclose(girl.q, expected / expected.sum(), rtol=1e-4)
    assert even.q.tolist() == pytest.approx([0.25] * 4)


def test_a_group_that_was_given_up_can_come_back():
    data = clips(people=2)
    girl = begun(data, source="person", step=1.0)
    bad, good = (data.take(data.person == p) for p in (0, 1))
    for _ in range(3):
        risk(girl, data, 100.0 * (data.person == 0))
    assert torch.isfinite(risk(girl, good, torch.ones(12)))  # the other's weight has vanished
    for _ in range(5):
        risk(girl, good, torch.full((12,), 100.0))
    assert girl.q[1] > 0.99 and torch.isfinite(risk(girl, bad, torch.ones(12)))


LOGITS = {
    "ordinary": lambda n: torch.randn(n, 3),
    "all risks equal": lambda n: torch.zeros(n, 3),
    "all losses zero": lambda n: 1e4 * F.one_hot(torch.arange(n) % 3, 3),
    "sure and wrong": lambda n: -1e4 * F.one_hot(torch.arange(n) % 3, 3),
}
ROWS = {
    "everyone": slice(None),
    "an empty group and class": [0, 3, 12],
    "one clip": [4],
    "one clip twice": [4, 4],
}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("kind", LOGITS)
def test_loss_and_gradient_are_finite(kind, rows, source, momentum):
    data = clips(people=5)
    early, logits = torch.randn(24, 4, 2), LOGITS[kind](24).float()
    girl = begun(data, source=source, momentum=momentum)
    for number in range(2):
        epoch(girl, data, number, torch.rand(24), early)
    girl.before_epoch(data, 2)
    batch = data.take(torch.arange(24)[ROWS[rows]])
    for _ in range(2):
        own = logits[batch.index].clone().requires_grad_()
        value = risk(
            girl, batch, F.cross_entropy(own, batch.y, reduction="none"), own, early[batch.index]
        )
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(own.grad).all()


# Running risks


@pytest.mark.parametrize("fair", [False, True])
def test_running_risks_judge_groups_by_their_past(fair):
    data = uneven()
    girl = begun(data, source="person", step=0.4, weight=0.7, momentum=0.6, fair=fair)
    shares = SHARES if fair else np.full(3, 1 / 3)
    running, q = np.full(3, np.nan), shares
    for present in ([0, 1], [0, 1, 2], [1, 2], [0, 1, 2]):
        batch = data.take(torch.isin(data.person, torch.tensor(present)))
        losses = torch.rand(len(batch), requires_grad=True)
        value = risk(girl, batch, losses)
        value.backward()
        now = np.full(3, np.nan)
        now[present] = [losses.detach()[batch.person == p].numpy().mean() for p in present]
        mixed = np.where(np.isnan(running), now, 0.6 * running + 0.4 * now)
        running = np.where(np.isnan(now), running, mixed)
        q = q * np.exp(0.4 * np.nan_to_num(running))
        q /= q.sum()
        judged, risks, weights = running[present], now[present], q[present] / q[present].sum()
        middle, deviation = moments(judged, shares[present])
        own = shares[present] / shares[present].sum()
        factor = weights + 0.7 * own * (judged - middle) / deviation
        assert np.allclose(girl.q, q) and value.item() == pytest.approx(factor @ risks, rel=1e-4)
        for p, f in zip(present, factor, strict=True):
            gradient = losses.grad[batch.person == p]
            assert gradient.numpy() == pytest.approx(np.full(len(gradient), f / len(gradient)), rel=1e-4)


def test_before_there_is_a_past_running_risks_are_the_batchs():
    data = clips()
    results = []
    for momentum in (0.0, 0.9):
        torch.manual_seed(1)
        losses = torch.rand(24, requires_grad=True)
        value = risk(begun(data, source="person", momentum=momentum), data, losses)
        value.backward()
        results.append((value.item(), losses.grad))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-6)


# Where groups come from


@pytest.mark.parametrize("source", ["style", "difficulty", "trajectory"])
def test_in_the_first_epoch_all_clips_are_one_group(source):
    data = clips()
    girl = begun(data, source=source, boundary=0.0)
    girl.before_epoch(data, 0)
    losses = torch.rand(24)
    assert risk(girl, data, losses).item() == pytest.approx(losses.numpy().mean(), rel=1e-5)


def test_style_groups_are_found_in_what_the_memory_kept():
    data, manner = clips(), torch.arange(24) // 3 % 2
    girl = begun(data, groups=2)
    epoch(girl, data, 0, early=moved(manner))
    girl.q = torch.tensor([0.7])
    girl.before_epoch(data, 1)
    assert adjusted_rand_score(labels(girl), manner) == 1
    assert girl.q.tolist() == [0.5, 0.5]  # other groups, even weights again


def test_groups_follow_the_last_epoch_until_they_are_frozen():
    data = clips()
    ways = [torch.arange(24) // 3 % 2, torch.arange(24) // 12, torch.arange(24) // 6 % 2]
    for until, found in ((None, ways), (2, [ways[0], ways[1], ways[1]]), (1, [ways[0]] * 3)):
        girl = begun(data, groups=2, until=until)
        for number, way in enumerate([*ways, ways[0]]):
            epoch(girl, data, number, early=moved(way))
            if number > 0:
                assert adjusted_rand_score(labels(girl), found[number - 1]) == 1


def test_difficulty_groups_are_quantiles_of_the_losses():
    data, losses = clips(), torch.rand(24)
    girl = begun(data, groups=4, source="difficulty")
    epoch(girl, data, 0, losses)
    girl.before_epoch(data, 1)
    edges = np.quantile(losses, [0.25, 0.5, 0.75])
    assert np.array_equal(labels(girl), np.searchsorted(edges, losses.numpy()))
    assert girl.membership.sum(0).tolist() == [6] * 4


def test_trajectory_groups_tell_apart_what_ended_alike():
    data, way = clips(), torch.arange(24) // 3 % 2
    girl = begun(data, groups=2, source="trajectory")
    for number, level in enumerate((way, 1 - way, 0.5 * torch.ones(24))):
        epoch(girl, data, number, level + 0.05 * torch.rand(24))
    girl.before_epoch(data, 3)
    assert adjusted_rand_score(labels(girl), way) == 1


def test_batch_groups_are_found_within_the_batch():
    data, manner = clips(), torch.arange(24) // 3 % 2
    early = moved(manner)
    losses = manner + 0.1 * torch.rand(24)
    girl = begun(data, groups=2, source="batch", step=0.0, weight=0.5)
    rows = torch.cat([torch.randperm(12), 12 + torch.randperm(12)])[6:18]
    risks = [losses[rows][manner[rows] == g].numpy().mean() for g in (0, 1)]
    value = risk(girl, data.take(rows), losses[rows], early=early[rows])
    assert value.item() == pytest.approx(np.mean(risks) + 0.5 * np.std(risks), rel=1e-5)


def test_person_groups_are_the_people_in_every_epoch():
    data = clips(people=5)
    girl = begun(data, source="person")
    for number in range(2):
        epoch(girl, data, number, early=torch.randn(24, 4, 2))
        assert torch.equal(girl.membership, F.one_hot(data.person).float())


def test_random_groups_are_drawn_once_from_the_seed():
    data = clips(n=400)
    girl = begun(data, seed=3, source="random")
    drawn = labels(girl)
    for number in range(2):
        epoch(girl, data, number, early=torch.randn(400, 4, 2), size=100)
    assert np.array_equal(labels(girl), drawn)
    assert np.array_equal(labels(begun(data, seed=3, source="random")), drawn)
    assert abs(adjusted_rand_score(labels(begun(data, seed=4, source="random")), drawn)) < 0.05
    assert np.abs(np.bincount(drawn) - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize("objective", [Objective(), GIRL()], ids=["ERM", "GIRL"])
def test_a_gpu_waits_for_nothing_in_a_step(objective):
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

    tfam = TFAM(TemporalBranch(3, mass="above noise"), FrequencyBranch())
    model, batch, waits = Recognizer(tiny_cnn(3, 8), 8, 3, tfam), clips(n=8), []
    objective.start(model, batch, Settings())
    with Watch():
        objective.loss(model, batch).backward()
    assert not waits
    with Watch():
        batch.y[batch.y > 0].sum().item()
    assert waits == ["a mask", "_local_scalar_dense"]


def test_soft_and_class_wise_groups_reach_the_loss():
    data, early = clips(), torch.randn(24, 4, 2)
    girl = begun(data, groups=2, softness=0.5, per_class=True)
    epoch(girl, data, 0, early=early)
    girl.before_epoch(data, 1)
    style = style_statistics(early)
    assert torch.allclose(girl.membership, cluster(style, data.y, 2, 0.5, per_class=True))
    losses = torch.rand(24)
    m = girl.membership.numpy()
    risks = (m * losses.numpy()[:, None]).sum(0) / m.sum(0)
    girl.step = 0.0
    assert risk(girl, data, losses).item() == pytest.approx(risks.mean() + 0.5 * risks.std(), rel=1e-4)


def test_a_new_training_forgets_the_old_one():
    data = clips()
    girl = begun(data)
    epoch(girl, data, 0, early=torch.randn(24, 4, 2))
    girl.before_epoch(data, 1)
    assert girl.membership.shape == (24, 4)
    girl.start(None, data.take(torch.arange(12)), Settings())
    girl.before_epoch(data, 0)
    assert girl.membership.shape == (12, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 0},
        {"step": -1},
        {"weight": -1},
        {"boundary": -1},
        {"softness": -1},
        {"temperature": 0},
        {"momentum": 1},
        {"momentum": -0.1},
    ],
)
def test_parameters_out_of_range_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}.* out of range. Choose"):
        GIRL(**options)


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="source: 'faces' is unknown. Choose from .*'style'"):
        GIRL(source="faces")


# Training


def trained(toy, plug=None, seed=0, epochs=3, **options):
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2, plug and plug())
    girl = GIRL(**options)
    losses = fit(model, toy, Settings(epochs=epochs, batch=24, rate=1e-2, seed=seed), girl)
    return losses, torch.cat([p.detach().flatten() for p in model.parameters()]), girl


def tfam():
    return TFAM(TemporalBranch(), FrequencyBranch())


@pytest.mark.parametrize("plug", [None, tfam])
def test_training_learns_in_groups_and_is_determined_by_its_seed(toy, plug):
    losses, weights, girl = trained(toy, plug, epochs=8)
    assert losses[-1] < 0.9 * losses[0] and np.isfinite(losses).all()
    assert girl.membership.shape == (96, 4) and (girl.membership.sum(0) > 0).all()
    same, same_weights, _ = trained(toy, plug, epochs=8)
    assert losses == same and torch.equal(weights, same_weights)
    assert trained(toy, plug, seed=1, epochs=8)[0] != losses


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", [{}, {"softness": 1.0, "per_class": True, "momentum": 0.9}])
def test_every_source_of_groups_trains(toy, source, options):
    losses, weights, girl = trained(toy, source=source, until=1, **options)
    assert np.isfinite(losses).all() and torch.isfinite(weights).all()
    assert girl.membership.sum(1).numpy() == pytest.approx(1, abs=1e-5)


def test_one_group_without_boundary_trains_as_erm_does(toy):
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
    losses = fit(model, toy, Settings(epochs=3, batch=24, rate=1e-2))
    assert trained(toy, groups=1, boundary=0.0)[0] == pytest.approx(losses, rel=1e-3)


# Two processes

TWO = '''
import os
import torch
from torch import distributed as dist, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from piumar_lib.girl import GIRL, group_risks
from piumar_lib.objective import Clips
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings


def build():
    torch.manual_seed(1)
    # No batch normalisation, whose statistics would be those of half a batch.
    model = Recognizer(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4)), 4, 3)
    return model.double()


def two_epochs(model, rows, **options):
    """The last loss, its gradient, the groups and their weights, for given rows of each batch."""
    girl = GIRL(groups=3, step=0.3, **options)
    girl.start(None, clips, Settings())
    for epoch in range(2):
        girl.before_epoch(clips, epoch)
        for batch in rows:
            model.zero_grad()
            loss = girl.loss(model, clips.take(batch))
            loss.backward()
    return loss.detach(), [p.grad for p in model.parameters()], girl.membership, girl.q


n = 24
torch.manual_seed(0)
y = torch.arange(n) % 3
x = torch.randn(n, 6, 3).double() * (1 + y[:, None, None])
clips = Clips(x, y, torch.arange(n) % 5, torch.arange(n))
losses, weights = torch.rand(n).double(), 1 + torch.rand(n).double()
membership = F.one_hot(torch.arange(n) // 10, 4)
whole = group_risks(losses, weights, membership)
cases = [dict(softness=0.5, per_class=True)]
for source in ("style", "person", "difficulty", "trajectory"):
    cases += [dict(source=source, momentum=0.0), dict(source=source, momentum=0.8)]
batches = torch.randperm(n).split(8)
expected = [two_epochs(build(), batches, **case) for case in cases]

dist.init_process_group("gloo")
rank = dist.get_rank()
assert dist.get_world_size() == 2
mine = slice(0, 10) if rank == 0 else slice(10, n)  # group 0 is seen by the first process alone
risks = group_risks(losses[mine], weights[mine], membership[mine])
assert torch.allclose(risks, whole, equal_nan=True) and whole.isnan().tolist() == [False] * 3 + [True]
for case, (loss, gradient, groups, q) in zip(cases, expected):
    halves = [batch[:3] if rank == 0 else batch[3:] for batch in batches]
    ours = two_epochs(DistributedDataParallel(build()), halves, **case)
    assert torch.allclose(ours[0], loss), (case, ours[0], loss)
    for a, b in zip(ours[1], gradient):
        assert torch.allclose(a, b, atol=1e-9), (case, a, b)
    assert torch.allclose(ours[2], groups) and torch.allclose(ours[3], q), case
os.write(1, b"agreed-%d " % rank)  # in one piece: two processes share the output
dist.barrier()
os._exit(0)  # without taking gloo's threads down, which now and then aborts the faster process
'''


def test_two_processes_with_half_a_batch_each_are_one_with_the_whole(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    root = Path(piumar_lib.__file__).parents[1]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [sys.executable, *launch],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["agreed-0", "agreed-1"]
