"""The interface of objectives, and how clips are dealt into batches."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss
from torch import nn

from piumar_lib.backbones import tiny_cnn
from piumar_lib.batch import Batch
from piumar_lib.objective import (
    Objective,
    ViewWeights,
    agreement,
    clip_losses,
    js_divergence,
    training_loss,
)
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.sampler import batches
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper, require_finite
from piumar_lib.temporal_frequency import TemporalFrequencyModule
from piumar_lib.training import fit


def build(plug_in=None):
    torch.manual_seed(3)
    return Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2, plug_in)


def clips(n=12):
    index = torch.arange(n)
    return Batch(torch.randn(n, 16, 3), index % 2, index // 4, index)


def two_views(n=6):
    logits = torch.randn(3, n, 3, dtype=torch.double)
    frames = torch.randn(2, n, 8, 2, dtype=torch.double)
    return Prediction(logits[0], [logits[1], logits[2]], [frames[0], frames[1]])


Y = torch.tensor([0, 0, 1, 1, 2, 2])


def entropies(logits, y):
    return -log_softmax(logits.detach().numpy(), axis=1)[np.arange(len(y)), y]


# Losses


def test_clips_are_taken_by_place_or_by_mask():
    data = clips()
    some = data.take(torch.tensor([5, 0]))
    assert some.index.tolist() == [5, 0] and some.person.tolist() == [1, 0] and len(some) == 2
    assert torch.equal(some.x, data.x[[5, 0]]) and torch.equal(some.y, data.y[[5, 0]])
    assert data.take(data.person == 2).index.tolist() == [8, 9, 10, 11]


def test_each_part_of_a_batch_sees_every_person():
    people = torch.arange(8).repeat_interleave(8)  # in a row, as batches of people are drawn
    parts = Batch(torch.randn(64, 2), people, people, torch.arange(64)).split(4)
    assert [part.person.unique().tolist() for part in parts] == [list(range(8))] * 4
    assert sorted(k for part in parts for k in part.index.tolist()) == list(range(64))
    assert [len(part) for part in clips().take(slice(11)).split(4)] == [3, 3, 3, 2]


def test_loss_of_a_clip_is_its_cross_entropy():
    logits = torch.randn(6, 3, dtype=torch.double)
    losses = clip_losses(Prediction(logits), Y, ViewWeights(supervision=100))
    assert np.allclose(losses, entropies(logits, Y))


def test_loss_of_a_clip_in_two_views_counts_each_view():
    prediction = two_views()
    fused, first, second = (entropies(z, Y) for z in (prediction.logits, *prediction.view_logits))
    losses = clip_losses(prediction, Y, ViewWeights(supervision=0.3, consistency=9, regularizer=9))
    assert np.allclose(losses, fused + 0.3 * (first + second))


def test_agreement_is_divergence_and_spread_of_laws():
    prediction = two_views()
    a, b = (softmax(z.numpy(), axis=1) for z in prediction.view_logits)
    frames, spread = prediction.frames[0].numpy(), 0.0
    for law in (frames.mean(1), frames.std(1)):
        middle = np.repeat(law.reshape(3, 2, 2).mean(1), 2, axis=0)
        spread += ((law - middle) ** 2).sum(1).mean() / 2
    expected = 0.7 * (jensenshannon(a, b, axis=1) ** 2).mean() + 0.2 * spread
    views = ViewWeights(supervision=9, consistency=0.7, regularizer=0.2)
    assert agreement(prediction, Y, views).item() == pytest.approx(expected)


def test_one_view_agrees_with_itself_at_no_cost():
    prediction = Prediction(torch.randn(6, 3), [], [torch.randn(6, 8, 2)])
    assert agreement(prediction, Y, ViewWeights(9, 9, 9)).item() == 0


def test_training_loss_of_one_view_is_the_mean_cross_entropy():
    logits = torch.randn(6, 3, dtype=torch.double)
    value = training_loss(Prediction(logits, [], [torch.randn(6, 8, 2)]), Y)
    assert value.item() == pytest.approx(log_loss(Y, logits.softmax(1)))


def test_training_loss_is_the_mean_of_the_clips_and_agreement():
    prediction, views = two_views(), ViewWeights(0.3, 0.7, 0.2)
    expected = clip_losses(prediction, Y, views).numpy().mean() + agreement(prediction, Y, views).item()
    assert training_loss(prediction, Y, views).item() == pytest.approx(expected)
    standard = training_loss(prediction, Y, ViewWeights(0.5, 1.0, 0.01)).item()
    assert training_loss(prediction, Y).item() == pytest.approx(standard)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_stops_training(value):
    with pytest.raises(FloatingPointError, match="loss is .*(nan|inf). Lower the learning rate"):
        require_finite(torch.tensor(value))
    require_finite(torch.tensor(1e30))


# Objective


def test_erm_minimises_the_training_loss_of_its_views():
    data, views = clips(), ViewWeights(0.3, 0.7, 0.2)
    model = build(TemporalFrequencyModule.make(3, 8))
    same = copy.deepcopy(model)  # its running estimates move with each batch
    torch.manual_seed(5)
    value = Objective(views).loss(model, data)
    torch.manual_seed(5)
    expected = training_loss(same(data.x, data.y), data.y, views)
    assert value.item() == pytest.approx(expected.item()) and expected.item() > 1


def test_a_method_that_overrides_risk_keeps_the_terms_between_views():
    class Sum(Objective):
        def risk(self, losses, prediction, batch):
            assert isinstance(prediction, Prediction) and len(batch) == len(losses)
            return 3 * losses.sum()

    data, views = clips(), ViewWeights(0.3, 0.7, 0.2)
    model = build(TemporalFrequencyModule.make(3, 8))
    torch.manual_seed(5)
    prediction = copy.deepcopy(model)(data.x, data.y)
    expected = 3 * clip_losses(prediction, data.y, views).sum() + agreement(prediction, data.y, views)
    torch.manual_seed(5)
    assert Sum(views).loss(model, data).item() == pytest.approx(expected.item(), rel=1e-5)


def test_update_is_one_step_of_adamw():
    data, model = clips(), build()
    loss = nn.functional.cross_entropy(model(data.x).logits, data.y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e3)  # left over from before
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.3)
    value = Objective().update(model, data, Stepper(optimizer))
    assert value.item() == pytest.approx(loss.item(), rel=1e-6) and not value.requires_grad
    for p, start, g in zip(model.parameters(), before, gradients, strict=True):
        # In its first step both of Adam's means are the gradient's own.
        expected = start * (1 - 0.02 * 0.3) - 0.02 * g / (g.abs() + 1e-8)
        assert torch.allclose(p, expected, rtol=1e-3, atol=1e-5)


def test_update_leaves_a_diverged_model_as_it_is():
    data, model = clips(), build()
    model.head.weight.data[0, 0] = torch.inf
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(FloatingPointError):
        Objective().update(model, data, Stepper(torch.optim.SGD(model.parameters(), lr=1.0)))
    assert all(torch.equal(p, start) for p, start in zip(model.parameters(), before, strict=True))


def test_fit_calls_each_hook_in_its_turn(toy):
    calls = []

    class Spy(Objective):
        def start(self, model, clips, settings):
            calls.append(("start", len(clips), settings.epochs))

        def before_epoch(self, clips, epoch):
            calls.append(("epoch", len(clips), epoch))

        def update(self, model, batch, optimizer):
            calls.append(("update", len(batch), model.training))
            return super().update(model, batch, optimizer)

    fit(build(), toy, Settings(epochs=2, batch_size=48), Spy())
    step = ("update", 48, True)
    assert calls == [("start", 96, 2), ("epoch", 96, 0), step, step, ("epoch", 96, 1), step, step]


def test_fit_numbers_people_from_zero_and_trains_the_objectives_own_parameters(toy):
    class Own(Objective):
        def start(self, model, clips, settings):
            self.seen = clips
            self.number = nn.Parameter(torch.tensor(3.0))

        def risk(self, losses, prediction, batch):
            assert torch.equal(self.seen.person[batch.index], batch.person)
            return losses.mean() + self.number.square()

    objective = Own()
    people = toy.take(np.isin(toy.person, (1, 4, 5)))
    fit(build(), people, Settings(epochs=3, batch_size=8, learning_rate=0.1), objective)
    assert objective.seen.person.unique().tolist() == [0, 1, 2]
    assert np.array_equal(np.unique(people.person)[objective.seen.person], people.person)
    assert objective.number.item() < 2.9


# Batches


def places(dealt):
    return sorted(torch.cat(dealt).tolist())


@given(n=st.integers(1, 300), size=st.integers(3, 100), seed=st.integers(0, 99))
def test_clips_are_dealt_once_in_batches_of_nearly_equal_size(n, size, seed):
    torch.manual_seed(seed)
    dealt = batches(torch.zeros(n, dtype=torch.long), size)
    sizes = [len(b) for b in dealt]
    assert places(dealt) == list(range(n))
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= min(n, 2)
    assert abs(len(dealt) - n / size) <= 0.5 or len(dealt) == 1


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    people=st.integers(3, 8),
    size=st.integers(8, 64),
    seed=st.integers(0, 99),
)
def test_clips_of_people_are_dealt_once_and_never_alone(counts, people, size, seed):
    torch.manual_seed(seed)
    person = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    person = person[torch.randperm(len(person))]
    dealt = batches(person, size, people)
    assert places(dealt) == list(range(len(person)))
    assert min(len(b) for b in dealt) >= min(len(person), 2)
    assert max(len(person[b].unique()) for b in dealt) <= 1.5 * people + 1


@pytest.mark.parametrize(("people", "size"), [(4, 24), (8, 64), (5, 20)])
def test_batches_hold_about_so_many_people_evenly(people, size):
    person = torch.arange(20).repeat_interleave(48)[torch.randperm(960)]
    for _ in range(5):
        dealt = batches(person, size, people)
        assert abs(len(dealt) - 960 / size) <= 0.1 * 960 / size
        for batch in dealt:
            counts = person[batch].bincount()
            # Now and then somebody's two hands meet in a batch.
            assert abs((counts > 0).sum() - people) <= 2
            assert abs(len(batch) - size) <= 0.25 * size + 1
            assert counts.max() <= 3 * (size / people + 1)
    assert np.mean([len(person[b].unique()) for b in dealt]) > 0.85 * people


def test_regardless_of_people_batches_hold_almost_all():
    person = torch.arange(20).repeat_interleave(48)
    assert min(len(person[b].unique()) for b in batches(person, 96)) > 16


def test_one_person_alone_is_dealt_as_well():
    dealt = batches(torch.zeros(40, dtype=torch.long), 16, people=8)
    assert places(dealt) == list(range(40)) and 1 < len(dealt) < 4


def test_whoever_has_many_clips_comes_more_often():
    person = torch.tensor([0] * 600 + [p for p in range(1, 21) for _ in range(5)])
    dealt = batches(person, 64, people=8)
    comes = [sum(bool((person[b] == p).any()) for b in dealt) for p in range(21)]
    assert comes == [len(dealt)] + [1] * 20


@pytest.mark.parametrize("people", [None, 4])
def test_dealing_is_random_and_follows_the_seed(people):
    person = torch.arange(96) // 8
    torch.manual_seed(1)
    first, second = batches(person, 16, people), batches(person, 16, people)
    torch.manual_seed(1)
    again = batches(person, 16, people)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(torch.cat(first), torch.cat(second))
    assert not torch.equal(torch.cat(first), torch.arange(96))


def test_everybody_comes_in_every_third_of_an_epoch():
    person = torch.arange(20).repeat_interleave(48)
    dealt = batches(person, 20, people=5)
    for third in range(3):
        part = torch.cat(dealt[third * len(dealt) // 3 : (third + 1) * len(dealt) // 3])
        assert len(person[part].unique()) == 20


def test_fit_deals_batches_as_the_objective_asks(toy):
    seen = []

    class Few(Objective):
        people = 3

        def risk(self, losses, prediction, batch):
            seen.append(len(batch.person.unique()))
            return losses.mean()

    fit(build(), toy, Settings(epochs=3, batch_size=12), Few())
    assert max(seen) <= 4 and np.mean(seen) < 3.5


# Jensen-Shannon divergence


def test_js_divergence_is_scipys_squared():
    a, b = torch.randn(20, 6).double(), 3 * torch.randn(20, 6).double()
    expected = jensenshannon(a.softmax(-1), b.softmax(-1), axis=1) ** 2
    assert float(js_divergence(a, b)) == pytest.approx(expected.mean(), rel=1e-9)
    assert float(js_divergence(a, b)) == pytest.approx(float(js_divergence(b, a)), rel=1e-12)
    assert float(js_divergence(a, a)) == pytest.approx(0, abs=1e-12)


def test_js_divergence_of_certain_views_is_log_two_at_most():
    certain = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    value = js_divergence(certain, certain.flip(1))
    value.backward()
    assert value.item() == pytest.approx(np.log(2), rel=1e-6)
    assert torch.isfinite(certain.grad).all()
