"""GIRL, first version: what is kept of it, against NumPy, scikit-learn, CVXPY."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from torch.nn import functional as F

from piumar_lib import dro
from piumar_lib.backbones import tiny_cnn
from piumar_lib.girl import GIRL, SOURCES, boundary_weights, cluster, style_statistics
from piumar_lib.objective import Clips
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch
from piumar_lib.training import Settings, fit

from_seeds = given(st.integers(0, 2**32 - 1))


def clips(n=24, people=4, classes=3):
    index = torch.arange(n)
    return Clips(torch.randn(n, 8, 3), index % classes, index // classes % people, index)


def begun(data, seed=0, **options):
    girl = GIRL(**({"weight": 0.5, "momentum": 0.0} | options))
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


# The loss of a batch


def test_groups_count_by_their_shares_of_the_clips():
    data = uneven()
    girl = begun(data, source="person", step=0.5, weight=0.3)
    q = SHARES.copy()
    for present in ([0, 1, 2], [0, 2]):
        batch = data.take(torch.isin(data.person, torch.tensor(present)))
        losses = torch.rand(len(batch))
        risks = np.array([losses[batch.person == p].numpy().mean() for p in present])
        q[present] = q[present] * np.exp(0.5 * risks)
        q = q / q.sum()
        deviation = moments(risks, SHARES[present])[1]
        expected = q[present] / q[present].sum() @ risks + 0.3 * deviation
        assert risk(girl, batch, losses).item() == pytest.approx(expected, rel=1e-5)
        assert np.allclose(girl.q, q)


@pytest.mark.parametrize("number", range(3))
def test_groups_are_the_worst_case_over_a_ball_around_their_shares(number):
    torch.manual_seed(number)
    data, losses = uneven(), torch.rand(20, dtype=torch.double)
    risks = np.array([losses[data.person == p].numpy().mean() for p in range(3)])
    middle, deviation = moments(risks, SHARES)
    # Up to here, the smallest risk keeps a positive weight.
    rho = 0.9 * deviation**2 / (2 * (middle - risks.min()) ** 2)
    p = cp.Variable(3, nonneg=True)
    ball = [cp.sum(p) == 1, cp.sum(cp.square(p - SHARES) / SHARES) / 2 <= rho]
    best = cp.Problem(cp.Maximize(risks @ p), ball).solve(solver=cp.CLARABEL)
    girl = begun(data, source="person", step=0.0, weight=np.sqrt(2 * rho))
    assert risk(girl, data, losses).item() == pytest.approx(best, abs=1e-6)


@from_seeds
def test_groups_without_any_weight_are_plain_training(seed):
    torch.manual_seed(seed)
    data, losses = clips(people=5), torch.rand(24)
    girl = begun(data, source="person", step=0.0, weight=0.0, boundary=0.0)
    assert risk(girl, data, losses).item() == pytest.approx(losses.mean().item(), rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@from_seeds
def test_groups_are_judged_as_if_each_clip_had_its_groups_risk(momentum, seed):
    torch.manual_seed(seed)
    data = clips(people=5)
    losses = torch.rand(24, dtype=torch.double, requires_grad=True)
    means = torch.stack([losses[data.person == p].mean() for p in range(5)])[data.person]
    rho = 0.9 * dro.variance_threshold(means.detach()).item()
    options = {"momentum": momentum, "step": 0.0, "weight": np.sqrt(2 * rho)}
    value = risk(begun(data, source="person", **options), data, losses)
    worst = dro.chi_square(means, rho).value  # over clips, an oracle without shares
    (ours,), (theirs,) = (torch.autograd.grad(v, losses) for v in (value, worst))
    assert value.item() == pytest.approx(worst.item(), rel=1e-5)
    assert torch.allclose(ours, theirs, atol=1e-6)


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


def test_running_risks_judge_groups_by_their_past():
    data = uneven()
    girl = begun(data, source="person", step=0.4, weight=0.7, momentum=0.6)
    shares = SHARES
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


def test_in_the_first_epoch_all_clips_are_one_group():
    data = clips()
    girl = begun(data, boundary=0.0)
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
