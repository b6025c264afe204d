"""MGSC: time warping against every path there is, and what each consistency does."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.mgsc import MGSC, step_distance, warped
from piumar_lib.batch import Batch
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import js_divergence
from piumar_lib.pseudo_groups import PersonGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import Settings, fit

from_seeds = given(st.integers(0, 2**32 - 1))


def recognizer(channels=3, classes=2, at="input"):
    torch.manual_seed(3)
    module = TemporalFrequencyModule.make(channels if at == "input" else 16, width=16)
    return Recognizer(tiny_cnn(channels, 16, depth=2), 16, classes, module, at=at)


def clips(n=12, classes=2):
    y = torch.arange(n) % classes
    return Batch(torch.randn(n, 32, 3) + y[:, None, None], y, y, torch.arange(n))


def paths(steps):
    """Every monotone path from (0, 0) to the last pair, as pairs with their weights."""
    for moves in itertools.chain.from_iterable(
        itertools.product([(1, 0), (0, 1), (1, 1)], repeat=n) for n in range(2 * steps - 1)
    ):
        at, path = np.zeros(2, int), [(0, 0, 2)]
        for move in moves:
            at = at + move
            path.append((*at, sum(move)))
        if tuple(at) == (steps - 1, steps - 1):
            yield path


# Time warping


@from_seeds
def test_warping_finds_the_cheapest_of_all_paths(seed):
    cost = torch.as_tensor(np.random.default_rng(seed).exponential(size=(3, 4, 4)))
    every = [*paths(4)]
    assert len(every) == 63  # Delannoy number D(3, 3)
    for c, found in zip(cost, warped(cost), strict=True):
        totals = [sum(weight * c[i, j].item() for i, j, weight in path) for path in every]
        assert {sum(weight for *_, weight in path) for path in every} == {8}
        assert found.item() == pytest.approx(min(totals) / 8)


@from_seeds
def test_warping_costs_at_most_the_diagonal_and_at_least_the_cheapest_pair(seed):
    cost = torch.as_tensor(np.random.default_rng(seed).exponential(size=(2, 16, 16)))
    found = warped(cost)
    assert (found <= cost.diagonal(dim1=1, dim2=2).mean(1) + 1e-12).all()
    assert (found >= cost.amin((1, 2))).all()
    assert torch.allclose(warped(cost.mT), found)
    assert torch.allclose(warped(torch.full_like(cost, 0.7)), torch.tensor(0.7).double())


def test_warping_has_the_gradient_of_finite_differences():
    cost = torch.rand(2, 5, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(warped, cost)


def test_one_step_is_its_own_path():
    assert warped(torch.tensor([[[3.0]], [[0.5]]])).tolist() == [3.0, 0.5]


# Distance of steps


def test_the_distance_is_the_warped_cost_over_twice_the_variance():
    a, b = torch.randn(2, 3, 6, 4, dtype=torch.double).unbind()
    every = torch.cat([a, b]).flatten(0, 1).numpy()
    spread = every.var(0).mean()
    cost = torch.tensor(
        [[[((a[n, i] - b[n, j]) ** 2).mean() for j in range(6)] for i in range(6)] for n in range(3)]
    )
    expected = warped(cost.double()).mean() / (2 * spread)
    assert step_distance(a, b).item() == pytest.approx(expected.item())


def test_the_distance_of_unrelated_steps_is_about_one_without_warping():
    a, b = torch.randn(2, 500, 1, 64).unbind()
    assert step_distance(a, b).item() == pytest.approx(1, abs=0.02)
    slow, other = torch.randn(2, 500, 16, 64).unbind()
    assert 0.8 < step_distance(slow, other).item() < 0.95  # warping picks the near ones


def test_equal_views_and_views_on_another_clock_have_no_distance():
    a = torch.randn(3, 8, 4)
    assert step_distance(a, a).item() == 0
    # Both lasting eight steps, but staying elsewhere.
    early, late = a[:, [0, 0, 0, 1, 2, 3, 4, 4]], a[:, [0, 1, 2, 2, 3, 3, 3, 4]]
    assert step_distance(early, late).item() == 0
    assert step_distance(a, a.flip(1)).item() > 0.1  # order counts


def test_the_distance_has_no_unit_and_no_origin():
    a, b = torch.randn(2, 3, 6, 4, dtype=torch.double).unbind()
    assert step_distance(1e3 * a + 7, 1e3 * b + 7).item() == pytest.approx(step_distance(a, b).item())


def test_the_distance_has_the_gradient_of_finite_differences():
    a, b = torch.randn(2, 2, 4, 3, dtype=torch.double).requires_grad_().unbind()
    assert torch.autograd.gradcheck(step_distance, (a, b))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e5])
def test_features_that_do_not_move_have_no_distance_and_no_gradient(value):
    a = torch.full((2, 5, 3), value, requires_grad=True)
    distance = step_distance(a, a.detach() * (1 + 1e-7))
    distance.backward()
    assert distance.item() < 0.1 and a.grad.abs().max() * max(value, 1e-6) < 1


# The objective


def terms(objective, model, batch):
    """Loss, and the prediction that it is of."""
    objective.start(model, batch)
    torch.manual_seed(1)
    loss = objective.loss(copy.deepcopy(model), batch)
    torch.manual_seed(1)
    return loss.item(), model(batch.x, batch.y)


@pytest.mark.parametrize("at", ["input", "features"])
@pytest.mark.parametrize(("consistency", "step_consistency"), [(0, 0), (0.7, 0), (0, 0.4), (0.7, 0.4)])
def test_the_loss_is_the_sum_of_its_terms(at, consistency, step_consistency):
    model, batch = recognizer(at=at), clips()
    objective = MGSC(0.3, consistency, step_consistency, regularizer_share=0.0)
    loss, prediction = terms(objective, model, batch)
    entropy, _ = terms(TwoViews(0.3, 0.0, 0.0), recognizer(at=at), batch)
    js = js_divergence(*prediction.view_logits).item()
    steps = step_distance(*prediction.frames).item()
    assert js > 1e-4 and steps > 1e-3
    expected = entropy + consistency * js + step_consistency * steps
    assert loss == pytest.approx(expected, rel=1e-5)


def test_without_the_steps_term_it_is_the_objective_of_two_views():
    model, batch = recognizer(), clips()
    found = [terms(o, copy.deepcopy(model), batch)[0] for o in (MGSC(step_consistency=0), TwoViews())]
    assert found[0] == found[1]


def after_training(toy, **weights):
    """Both disagreements of the views after a short training, in evaluation."""
    model = recognizer()
    fit(
        model,
        toy,
        Settings(epochs=12, batch_size=16, learning_rate=0.01),
        MGSC(regularizer_share=0.0, **weights),
    )
    with torch.no_grad():
        prediction = model.eval()(torch.as_tensor(toy.x))
    return js_divergence(*prediction.view_logits).item(), step_distance(*prediction.frames).item()


def test_each_term_makes_its_own_disagreement_smaller(toy):
    neither = after_training(toy, consistency=0.0, step_consistency=0.0)
    clip = after_training(toy, consistency=10.0, step_consistency=0.0)
    step = after_training(toy, consistency=0.0)  # at its default
    assert clip[0] < 0.9 * neither[0] and step[1] < 0.85 * neither[1]
    assert step[1] < 0.85 * clip[1]  # the clip's term alone does not bring steps together


def test_a_group_robust_risk_can_be_below_it():
    model, batch = recognizer(), clips()
    losses = []
    for radius in (0.0, 0.5):
        objective = MGSC(over=GroupRobustObjective(PersonGroups(), radius, beta=0))
        objective.start(model, batch, Settings())
        for epoch in range(2):  # groups are found before the second
            torch.manual_seed(1)
            objective.before_epoch(batch, epoch)
            loss = objective.loss(copy.deepcopy(model), batch).item()
        losses.append(loss)
    assert losses[1] > losses[0] * 1.001


def test_its_state_can_be_put_back():
    model, batch = recognizer(), clips()
    objective, other = MGSC(), MGSC()
    objective.loss(model, batch)
    other.start(model, batch)
    other.restore(objective.state())
    state, again = objective.state(), other.state()
    assert state and all(torch.equal(value, again[name]) for name, value in state.items())


@pytest.mark.parametrize("y", [[0], [1, 1, 1, 1]])
@pytest.mark.parametrize("still", [False, True])
def test_one_clip_one_class_and_still_clips_train(y, still):
    model, y = recognizer(), torch.tensor(y)
    x = torch.ones(len(y), 32, 3) if still else torch.randn(len(y), 32, 3)
    loss = MGSC().loss(model, Batch(x, y, torch.zeros_like(y), torch.arange(len(y))))
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert torch.isfinite(loss) and all(torch.isfinite(g).all() for g in gradients)


def test_double_stays_double_and_half_precision_trains():
    model, batch = recognizer(), clips()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        MGSC().loss(model, batch).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    double = Batch(batch.x.double(), batch.y, batch.person, batch.index)
    assert MGSC(regularizer_share=0.0).loss(model.double(), double).dtype == torch.double


def test_training_is_the_same_twice(toy):
    one, two = (after_training(toy.take(np.arange(32))) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("name", ["consistency", "step_consistency"])
def test_a_negative_weight_is_named(name):
    with pytest.raises(ValueError, match=f"{name}: must be a number, at least 0, got -1"):
        MGSC(**{name: -1})
