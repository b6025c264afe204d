"""GIRL against CVXPY, NumPy, plain cross-entropy, and one process against two."""

from __future__ import annotations

import math
import os

import cvxpy as cp
import numpy as np
import pytest
import torch
from forks import FORK, calm, exit_code
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from piumar_lib import dro
from piumar_lib.backbones import tiny_cnn
from piumar_lib.batch import Batch
from piumar_lib.group_robust import (
    GroupRobustObjective,
    hard_weights,
    true_class_margin,
    update_risks,
)
from piumar_lib.objective import clip_losses
from piumar_lib.pseudo_groups import PersonGroups, RandomGroups, StyleGroups, style_of
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.training import Settings, fit, fit_clips

SOURCES = (StyleGroups(2), RandomGroups(2), PersonGroups())
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
LOGITS = arrays(np.float64, (12, 3), elements=st.floats(-1e4, 1e4, width=32))


def clips(n=24, people=4, classes=3):
    """Clips of which the first person makes most."""
    index = torch.arange(n)
    person = torch.where(index < n // 2, 0, index % people)
    return Batch(torch.randn(n, 8, 3), index % classes, person, index)


def begun(data, found=True, groups=None, **options):
    """An objective before the second epoch (or in the first), its groups the people."""
    objective = GroupRobustObjective(groups or PersonGroups(), **options)
    objective.start(None, data, Settings())
    if found:
        objective.style = torch.randn(len(data), 4)
        objective.seen.fill_(1)
        objective.before_epoch(data, 1)
    return objective


def risk(objective, batch, logits, view_logits=()):
    """The loss of given logits."""
    early = torch.randn(len(batch), 4, 2)
    prediction = Prediction(logits, list(view_logits), [], early)
    return objective.risk(clip_losses(prediction, batch.y, objective.view_weights), prediction, batch)


def with_loss(losses, y, classes=3):
    """Logits under which the clips have these cross-entropies."""
    chance = torch.exp(-losses.double())[:, None]
    others = (1 - chance) / (classes - 1)
    return torch.where(F.one_hot(y, classes).bool(), chance, others).log()


# Running risks


def test_running_risks_by_hand():
    running, group = torch.tensor([1.0, 1.0, 3.0]), torch.tensor([0, 0, 1])
    moved = update_risks(running, torch.tensor([1.0, 2.0, 4.0]), group, momentum=0.9)
    assert moved.tolist() == pytest.approx([0.9 + 0.1 * 1.5, 0.9 + 0.1 * 4, 3])  # the third is absent
    assert running.tolist() == [1, 1, 3]


# Margins and hard clips


def test_margins_by_hand():
    logits = torch.tensor([[3.0, 1, 0], [1, 3, 0], [2, 2, -5], [-9, 0, 8]], requires_grad=True)
    margins = true_class_margin(logits, torch.tensor([0, 0, 1, 0]))
    assert margins.tolist() == [2, -2, 0, -17] and not margins.requires_grad


def test_wrong_and_mislabelled_clips_are_hard_and_safe_ones_are_not():
    logits = torch.tensor([[9.0, 0, 0], [0.1, 0, 0], [0, 9, 0], [9, 0, 0]])
    y = torch.tensor([0, 0, 0, 2])  # safely right; on the boundary; surely wrong; a wrong label
    safe, boundary, wrong, mislabeled = hard_weights(logits, y, beta=3.0).tolist()
    assert wrong == pytest.approx(mislabeled) == pytest.approx(4 * safe, rel=1e-3)
    assert safe < 0.5 * boundary < 0.5 * wrong


@given(logits=LOGITS, beta=st.floats(0, 9), temperature=st.floats(0.1, 5))
def test_hard_weights_follow_the_formula_and_have_mean_one(logits, beta, temperature):
    y = np.arange(12) % 3
    other = np.where(np.eye(3)[y] == 1, -np.inf, logits).max(1)
    margin = np.clip((logits[np.arange(12), y] - other) / temperature, -700, 700)
    expected = 1 + beta / (1 + np.exp(margin))
    weights = hard_weights(torch.as_tensor(logits), torch.as_tensor(y), beta, temperature)
    assert weights.numpy() == pytest.approx(expected / expected.mean(), rel=1e-3)
    assert weights.mean().item() == pytest.approx(1, rel=1e-5) and weights.max() <= 1 + beta + 1e-4


def test_without_beta_or_with_one_class_all_clips_count_alike():
    y = torch.arange(5) % 3
    assert hard_weights(torch.randn(5, 3), y, beta=0.0).tolist() == [1] * 5
    assert hard_weights(torch.randn(5, 1), 0 * y).tolist() == [1] * 5


# Group weights


@given(seed=st.integers(0, 999))
def test_without_radius_and_beta_it_is_cross_entropy(seed):
    torch.manual_seed(seed)
    data, rows = clips(), torch.randperm(24)[:9]
    logits = torch.randn(9, 3, dtype=torch.double, requires_grad=True)
    value = risk(begun(data, radius=0.0, beta=0.0), data.take(rows), logits)
    plain = F.cross_entropy(logits, data.y[rows])
    ours, theirs = (torch.autograd.grad(v, logits)[0] for v in (value, plain))
    assert value.item() == pytest.approx(plain.item(), rel=1e-5)
    assert torch.allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("radius", [0.01, 0.1, 1.0])
def test_weights_are_the_worst_case_in_the_ball_at_the_running_risks(radius):
    data = clips()
    objective = begun(data, radius=radius, momentum=0.0)
    risk(objective, data, with_loss(torch.rand(24) + data.person, data.y))
    shares, p = np.bincount(data.person) / 24, cp.Variable(4, nonneg=True)
    ball = [cp.sum(p) == 1, cp.sum(cp.square(p - shares) / shares) / 2 <= radius]
    worst = cp.Maximize(objective.running.double().numpy() @ p)
    cp.Problem(worst, ball).solve(solver=cp.CLARABEL)
    assert objective.q.numpy() == pytest.approx(p.value, abs=1e-3)
    assert objective.q[3] / shares[3] > 1 > objective.q[0] / shares[0]


@given(logits=LOGITS, radius=st.floats(0, 9), step=st.sampled_from([None, 0.0, 0.1, 9.0]))
def test_weights_lie_on_the_simplex_whatever_comes(logits, radius, step):
    data = clips(n=12)
    objective = begun(data, radius=radius, step=step)
    for rows in (slice(None), slice(3, 5), slice(7, 8)):
        batch = data.take(torch.arange(12)[rows])
        own = torch.as_tensor(logits)[rows].requires_grad_()
        value = risk(objective, batch, own)
        value.backward()
        assert torch.isfinite(value) and value >= 0 and torch.isfinite(own.grad).all()
        assert (objective.q >= 0).all() and objective.q.sum().item() == pytest.approx(1, abs=1e-5)


def test_the_loss_is_the_mean_of_weighted_clips():
    data = clips()
    objective = begun(data, radius=0.3, beta=2.0, temperature=0.7)
    losses = (torch.rand(24) + data.person).double().requires_grad_()
    logits = with_loss(losses.detach(), data.y)
    prediction = Prediction(logits, [], [], torch.randn(24, 4, 2))
    objective.risk(losses, prediction, data).backward()
    group = (objective.q * 24 / data.person.bincount())[data.person]
    expected = group * hard_weights(logits, data.y, 2.0, 0.7) / 24
    assert losses.grad.numpy() == pytest.approx(expected.numpy(), rel=1e-5)


def test_in_the_mean_over_batches_a_group_counts_by_its_weight():
    data = clips(n=40)
    objective = begun(data, radius=0.3, beta=0.0, momentum=0.0)
    losses = torch.rand(40) + data.person
    risk(objective, data, with_loss(losses, data.y))
    q, objective._judge = objective.q, lambda *_: None  # weights stay as they are
    risks = torch.stack([losses[data.person == p].mean() for p in range(4)])
    values = [
        risk(objective, data.take(rows), with_loss(losses[rows], data.y[rows]))
        for rows in torch.arange(40).split(4)
    ]  # most batches lack a person
    assert torch.stack(values).mean().item() == pytest.approx((q * risks).sum().item(), rel=1e-5)


@given(seed=st.integers(0, 99), factor=st.floats(0.1, 9))
def test_the_scale_of_risks_changes_no_weight(seed, factor):
    torch.manual_seed(seed)
    risks, shares = torch.rand(6), torch.rand(6).softmax(0)
    weights = [dro.chi_square(r, 0.1, shares).weights for r in (risks, factor * risks)]
    assert torch.allclose(*weights, atol=1e-4)


@pytest.mark.parametrize("step", [None, 0.3])
def test_a_second_view_changes_no_weight(step):
    data, logits = clips(), torch.randn(24, 3)
    one, two = begun(data, step=step), begun(data, step=step)
    first = risk(one, data, logits)
    second = risk(two, data, logits, [torch.randn(24, 3), torch.randn(24, 3)])
    assert torch.equal(one.q, two.q) and torch.equal(one.running, two.running) and second > first


@pytest.mark.parametrize("step", [None, 0.3])
def test_the_number_of_classes_changes_no_weight(step):
    found = []
    for classes in (7, 52):
        data = clips(classes=classes)
        objective = begun(data, step=step, momentum=0.0)
        part = torch.tensor([0.2, 0.5, 0.7, 1.0])[data.person]  # of the loss of guessing
        risk(objective, data, with_loss(part * math.log(classes), data.y, classes))
        assert objective.running.numpy() == pytest.approx([0.2, 0.5, 0.7, 1.0], rel=1e-5)
        found.append(objective.q)
    assert torch.allclose(*found, atol=1e-6)


def test_exponentiated_gradient_follows_the_running_risks():
    data = clips()
    objective = begun(data, step=0.3)
    q = np.bincount(data.person) / 24
    for _ in range(5):
        risk(objective, data, torch.randn(24, 3))
        q = q * np.exp(0.3 * objective.running.numpy())
        q /= q.sum()
        assert objective.q.numpy() == pytest.approx(q, rel=1e-4)


# Running risks


def test_running_risks_start_with_guessing_and_absent_groups_keep_theirs():
    data = clips()
    objective = begun(data, momentum=0.6)
    running = np.ones(4)
    for present in ([0, 1], [0, 1, 2, 3], [2]):
        batch = data.take(torch.isin(data.person, torch.tensor(present)))
        losses = torch.rand(len(batch))
        risk(objective, batch, with_loss(losses, batch.y))
        for p in present:
            now = losses[batch.person == p].numpy().mean() / np.log(3)
            running[p] = 0.6 * running[p] + 0.4 * now
        assert objective.running.numpy() == pytest.approx(running, rel=1e-4)


def test_running_risks_of_many_classes_survive_small_batches():
    n = 1040
    data = clips(n, people=1, classes=52)
    group = data.y * 2 + torch.arange(n) // 52 % 2  # two groups in each class, ten clips each
    true = 0.5 + torch.rand(104)
    losses = true[group] * (0.5 + torch.rand(n))
    correlations = []
    for momentum in (0.0, 0.9):
        objective = begun(data, momentum=momentum)
        objective.group, objective.shares = group, torch.full((104,), 1 / 104)
        objective.q, objective.running = objective.shares, torch.ones(104)
        for _ in range(2):
            for rows in torch.randperm(n).split(10):
                batch = data.take(rows)
                risk(objective, batch, with_loss(losses[rows], batch.y, 52))
        correlations.append(np.corrcoef(objective.running, true)[0, 1])
    assert correlations[1] > 0.7 and correlations[1] > correlations[0] + 0.2


# Groups


@each_source
def test_every_source_is_asked_once_after_an_epoch_of_one_group(source):
    data = clips(n=48)
    objective = begun(data, found=False, groups=source, beta=0.0)
    early, labels = torch.randn(48, 5, 2), []
    for epoch in range(3):
        objective.before_epoch(data, epoch)
        before = objective.running.clone()
        labels.append(objective.group)
        for rows in torch.randperm(48).split(7):
            batch, logits = data.take(rows), torch.randn(len(rows), 3)
            value = objective.risk(
                F.cross_entropy(logits, batch.y, reduction="none"),
                Prediction(logits, [], [], (epoch + 1) * early[rows]),
                batch,
            )
            if epoch == 0:
                assert value.item() == pytest.approx(F.cross_entropy(logits, batch.y).item())
        if epoch == 0:
            whole = objective.running.item()
        if epoch == 1:
            assert before.tolist() == pytest.approx([whole] * len(before))  # carried over
    assert labels[0].eq(0).all() and torch.equal(labels[1], labels[2])
    expected = source.find(style_of(early), data, 0).unique(return_inverse=True)[1]
    assert torch.equal(labels[1], expected) and len(objective.q) == int(expected.max()) + 1
    assert objective.shares.numpy() == pytest.approx(np.bincount(expected) / 48)


def test_clips_that_the_first_epoch_left_out_count_as_average():
    given_styles = []

    class Watch(PersonGroups):
        def find(self, style, clips, seed):
            given_styles.append(style)
            return super().find(style, clips, seed)

    data = clips()
    objective = begun(data, found=False, groups=Watch())
    risk(objective, data.take(torch.arange(20)), torch.randn(20, 3))
    objective.before_epoch(data, 1)
    (style,) = given_styles
    assert torch.allclose(style[20:], style[:20].mean(0).expand(4, -1))


@pytest.mark.parametrize("steps", [0, 3, 8, 13])
@pytest.mark.parametrize("step", [None, 0.1])
def test_a_restored_training_goes_on_exactly(steps, step):
    data = clips(n=42)
    order = [rows for _ in range(3) for rows in torch.randperm(42).split(7)]
    outputs, early = torch.randn(42, 3), torch.randn(42, 5, 2)

    def go_on(objective, start, stop):
        values = []
        for k in range(start, stop):
            if k % 6 == 0:
                objective.before_epoch(data, k // 6)
            batch = data.take(order[k])
            logits = outputs[order[k]] * (1 + k)
            prediction = Prediction(logits, [], [], early[order[k]])
            losses = F.cross_entropy(logits, batch.y, reduction="none")
            values.append(objective.risk(losses, prediction, batch).item())
        return values

    through, stopped, resumed = (
        begun(data, found=False, groups=StyleGroups(2), step=step) for _ in range(3)
    )
    whole = go_on(through, 0, 18)
    go_on(stopped, 0, steps)
    state = {name: value.clone() for name, value in stopped.state().items()}
    resumed.restore(state)
    assert go_on(resumed, steps, 18) == whole[steps:]
    assert all(torch.equal(v, through.state()[k]) for k, v in resumed.state().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": -0.1}, "radius: must be a number, .*, got -0.1"),
        ({"beta": -1.0}, "beta: must be a number, .*, got -1.0"),
        ({"step": -1.0}, "step: must be a number, .*, got -1.0"),
        ({"temperature": 0.0}, "temperature: must be a number, .*, got 0.0"),
        ({"momentum": 1.0}, "momentum: must be a number, .*, got 1.0"),
        ({"momentum": -0.1}, "momentum: must be a number, .*, got -0.1"),
    ],
)
def test_parameters_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        GroupRobustObjective(**options)


# Training


def trained(toy, plug_in=None, **options):
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2, plug_in and plug_in())
    objective = GroupRobustObjective(**options)
    losses = fit(model, toy, Settings(epochs=4, batch_size=24, learning_rate=1e-2), objective)
    return losses, torch.cat([p.detach().flatten() for p in model.parameters()]), objective


@each_source
@pytest.mark.parametrize("plug_in", [None, lambda: TemporalFrequencyModule.make(3, 8)])
def test_training_learns_and_is_determined_by_its_seed(toy, source, plug_in):
    losses, weights, objective = trained(toy, plug_in, groups=source)
    again, same, _ = trained(toy, plug_in, groups=source)
    assert losses[-1] < 0.9 * losses[0] and losses == again and torch.equal(weights, same)
    assert not torch.allclose(objective.q, objective.shares)


def test_a_new_training_forgets_the_old_one(toy):
    data, objective = clips(n=24), begun(clips(n=40), groups=StyleGroups(2))
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 3)
    fit_clips(model, data, Settings(epochs=2, batch_size=12), objective)
    assert objective.group.shape == (24,)


def test_a_gpu_waits_for_nothing_in_a_step():
    """Numbers that decide what is done next, or how much of it, must be waited for."""
    asks = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "bincount", "equal"}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            waits.extend({operation.overloadpacket.__name__} & asks)
            return operation(*args, **(kwargs or {}))

    waits, data = [], clips()
    for objective in (begun(data, found=False), begun(data)):
        risk(objective, data, torch.randn(24, 3))
        with Watch():
            risk(objective, data, torch.randn(24, 3, requires_grad=True)).backward()
    assert not waits
    with Watch():
        data.y.sum().item()
    assert waits


def build():
    torch.manual_seed(1)
    # No batch normalisation, whose statistics would be those of half a batch.
    model = Recognizer(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4)), 4, 3)
    return model.double()


def train(model, data, rows, resume=False, **options):
    """The last loss, its gradient, and the state, for given rows of each batch."""
    objective = GroupRobustObjective(radius=0.3, **options)
    objective.start(None, data, Settings())
    for epoch in range(3):
        objective.before_epoch(data, epoch)
        for k, batch in enumerate(rows):
            if resume and k == 1:
                state = objective.state()
                objective = GroupRobustObjective(radius=0.3, **options)
                objective.start(None, data, Settings())
                objective.restore(state)
            model.zero_grad()
            loss = objective.loss(model, data.take(batch))
            loss.backward()
    return loss.detach(), [p.grad for p in model.parameters()], objective.state()


def compare_halves(rank, meeting):
    """What one of two processes does: it trains alone, then on half of each batch."""
    calm()
    torch.manual_seed(0)
    index = torch.arange(24)
    x = torch.randn(24, 6, 3).double() * (1 + index % 3)[:, None, None]
    data, batches = Batch(x, index % 3, index % 5, index), torch.randperm(24).split(8)
    cases = [*({"groups": source} for source in SOURCES), {"step": 0.3}]
    expected = [train(build(), data, batches, **case) for case in cases]
    dist.init_process_group("gloo", store=dist.FileStore(meeting, 2), rank=rank, world_size=2)
    halves = [batch[:3] if rank == 0 else batch[3:] for batch in batches]
    for case, (loss, gradient, state) in zip(cases, expected, strict=True):
        for resume in (False, True):
            ours = train(DistributedDataParallel(build()), data, halves, resume, **case)
            assert torch.allclose(ours[0], loss, rtol=1e-5), (case, ours[0], loss)
            for a, b in zip(ours[1], gradient, strict=True):
                assert torch.allclose(a, b, atol=1e-6), (case, a, b)
            assert ours[2].keys() == state.keys()
            for name, value in state.items():
                assert torch.allclose(ours[2][name], value, atol=1e-5), (case, name)
    dist.barrier()
    os._exit(0)  # without taking gloo's threads down, which now and then aborts the faster process


def test_two_processes_with_half_a_batch_each_are_one_with_the_whole(tmp_path):
    meeting = str(tmp_path / "meeting")
    two = [FORK.Process(target=compare_halves, args=(rank, meeting)) for rank in (0, 1)]
    for process in two:
        process.start()
    assert [*map(exit_code, two)] == [0, 0]
