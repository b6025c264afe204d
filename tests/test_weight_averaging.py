"""Averaged weights against means taken by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.features import DANN, Mixup
from piumar_lib.baselines.groups import CVaR, Fish, GroupDRO
from piumar_lib.baselines.hdf import HDFObjective
from piumar_lib.baselines.weight_averaging import WeightAveraging
from piumar_lib.batch import Batch
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import SequenceTrainer, fit, predict

SHORT = Settings(epochs=6, batch_size=24, learning_rate=0.02)


def build(plug_in=None):
    torch.manual_seed(3)
    return Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2, plug_in)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Watched(Objective):
    """ERM that keeps the weights of each step."""

    def start(self, model, clips, settings):
        self.weights = []

    def update(self, model, batch, optimizer):
        loss = super().update(model, batch, optimizer)
        self.weights.append(flat(model).numpy().copy())
        return loss


@pytest.mark.parametrize(("warm_up", "first"), [(0.0, 0), (0.5, 12), (0.99, 20)])
@pytest.mark.parametrize("augmentation", ["", "any"])
def test_weights_are_the_mean_over_all_steps_after_the_warm_up(toy, warm_up, first, augmentation):
    watched, model = Watched(), build()
    settings = Settings(epochs=6, batch_size=24, learning_rate=0.02, augmentation=augmentation)
    fit(model, toy, settings, WeightAveraging(watched, warm_up))
    assert len(watched.weights) == 24
    assert np.allclose(flat(model), np.mean(watched.weights[first:], axis=0), atol=1e-6)


def test_training_itself_is_that_of_the_objective(toy):
    plain, averaged = Watched(), Watched()
    last, mean = build(), build()
    losses = fit(last, toy, SHORT, plain)
    assert fit(mean, toy, SHORT, WeightAveraging(averaged)) == losses
    assert np.array_equal(plain.weights, averaged.weights)
    assert not torch.allclose(flat(mean), flat(last), atol=1e-3)  # so it does something by default


def test_batch_normalisation_suits_the_averaged_weights(toy):
    model = build()
    fit(model, toy, Settings(epochs=4, batch_size=96, learning_rate=0.02), WeightAveraging())
    x = (torch.as_tensor(toy.x) - model.mean) / model.scale
    with torch.no_grad():
        first = model.backbone[0].conv(x.transpose(1, 2)[:, :, None])  # one batch of all clips
    norm = model.backbone[0].norm
    assert torch.allclose(norm.running_mean, first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, first.var((0, 2, 3)), rtol=1e-4)
    assert norm.momentum == 0.1 and model.training


def test_statistics_are_of_augmented_clips_if_training_is(toy):
    def statistics(augmentation):
        model = build()
        settings = Settings(epochs=1, batch_size=96, learning_rate=1e-9, augmentation=augmentation)
        fit(model, toy, settings, WeightAveraging())
        return model.backbone[0].norm.running_var

    assert not torch.allclose(statistics("any"), statistics(""), rtol=1e-3)


OBJECTIVES = {
    "Mixup": (Mixup, None),
    "DANN": (DANN, None),
    "GroupDRO": (GroupDRO, None),
    "Fish": (Fish, None),
    "CVaR": (CVaR, None),
    "HDF": (HDFObjective, None),
    "GIRL": (GroupRobustObjective, None),
    "TFAM": (TwoViews, lambda: TemporalFrequencyModule.make(3, 8)),
    "PIUmr": (
        lambda: TwoViews(over=GroupRobustObjective()),
        lambda: TemporalFrequencyModule.make(3, 8),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_any_objective_can_be_averaged_reproducibly(toy, name):
    make, plug_in = OBJECTIVES[name]

    def trained(objective):
        model = build(plug_in and plug_in())
        losses = fit(
            model,
            toy,
            Settings(epochs=3, batch_size=48, learning_rate=0.01, augmentation="any"),
            objective,
        )
        return losses, flat(model), predict(model, toy)

    plain, last, _ = trained(make())
    losses, mean, probabilities = trained(WeightAveraging(make()))
    again, same, as_before = trained(WeightAveraging(make()))
    assert losses == again == plain and torch.equal(mean, same)
    assert np.array_equal(probabilities, as_before) and np.isfinite(probabilities).all()
    assert not torch.equal(mean, last)


@pytest.mark.parametrize("rows", [[5], [*range(0, 96, 12)], [*range(0, 96, 2)]])
def test_one_clip_one_person_or_one_class_is_enough(toy, rows):
    model = build()
    fit(model, toy.take(rows), Settings(epochs=2, batch_size=16, learning_rate=0.01), WeightAveraging())
    assert np.isfinite(predict(model, toy)).all()


def test_double_precision_stays(toy):
    model, x = build().double(), torch.as_tensor(toy.x).double()
    index = torch.arange(96)
    clips = Batch(x, torch.as_tensor(toy.y), index % 6, index)
    averaged = WeightAveraging()
    averaged.start(model, clips, SequenceTrainer(clips, Settings(epochs=1)))
    averaged.before_epoch(clips, 0)
    averaged.update(model, clips, Stepper(torch.optim.SGD(model.parameters(), lr=0.1)))
    averaged.finish(model)
    assert {p.dtype for p in model.parameters()} == {torch.double}


def test_a_checkpoint_keeps_the_average():
    index = torch.arange(12)
    clips = Batch(torch.randn(12, 8, 3), index % 2, index % 3, index)

    def started(model):
        objective = WeightAveraging(GroupDRO(step=0.5), warm_up=0.0)
        objective.start(model, clips, SequenceTrainer(clips, Settings(epochs=1)))
        objective.before_epoch(clips, 0)
        return objective

    def step(objective, model, size):
        objective.update(model, clips, Stepper(torch.optim.SGD(model.parameters(), lr=size)))

    model = build()
    first = started(model)
    step(first, model, 0.5)
    step(first, model, 0.2)
    other = copy.deepcopy(model)
    second = started(other)
    second.restore({name: value.clone() for name, value in first.state().items()})
    for objective, its in ((first, model), (second, other)):
        step(objective, its, 0.1)
        objective.finish(its)
    assert torch.equal(flat(model), flat(other))


def test_a_checkpoint_keeps_what_the_objective_learned(toy):
    index = torch.arange(12)
    clips = Batch(torch.randn(12, 8, 3), index % 2, index % 3, index)
    first, second = (WeightAveraging(GroupRobustObjective()) for _ in range(2))
    for objective in (first, second):
        objective.start(build(), clips, Settings())
    first.over.running = torch.tensor([0.3])
    second.restore(first.state())
    assert second.over.running.tolist() == pytest.approx([0.3])


def test_no_optimiser_moves_the_average():
    index = torch.arange(4)
    clips = Batch(torch.randn(4, 8, 3), index % 2, index, index)
    objective = WeightAveraging()
    objective.start(build(), clips, Settings())
    assert not any(p.requires_grad for p in objective.average.parameters())


def test_it_is_steadier_from_step_to_step_than_the_last_weights(toy):
    """With a rate that stays large, the loss of averaged weights on the training clips is lower."""
    index = torch.arange(96)
    clips = Batch(torch.as_tensor(toy.x), torch.as_tensor(toy.y), index % 6, index)
    objective, model = WeightAveraging(warm_up=0.0), build()
    model.standardize(clips.x)
    objective.start(model, clips, SequenceTrainer(clips, Settings(epochs=1)))
    objective.before_epoch(clips, 0)
    stepper = Stepper(torch.optim.SGD(model.parameters(), lr=1.0))
    for k in range(60):
        if k == 20:  # the way there does not count
            objective.start(model, clips, SequenceTrainer(clips, Settings(epochs=1)))
            objective.before_epoch(clips, 0)
        noisy = clips.take(torch.randperm(96)[:8])
        objective.update(model, noisy, stepper)

    def cost():
        with torch.no_grad():
            return F.cross_entropy(model(clips.x).logits, clips.y).item()

    last = cost()
    objective.finish(model)
    assert cost() < last


@pytest.mark.parametrize("warm_up", [-0.1, 1.0])
def test_a_warm_up_out_of_range_is_refused(warm_up):
    with pytest.raises(ValueError, match=f"warm_up: must be .* below 1, got {warm_up}"):
        WeightAveraging(warm_up=warm_up)
