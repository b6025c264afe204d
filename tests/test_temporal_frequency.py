"""TFAM in a recogniser: two places, what they cost, and training."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from piumar_lib.alignment import MonotoneAlignment, UniformClock
from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.groups import GroupDRO
from piumar_lib.batch import Batch
from piumar_lib.evidence.folds import load_fold
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.notebook.costs import count_flops
from piumar_lib.objective import clip_losses
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import PersonGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews, evenly
from piumar_lib.training import fit, predict
from piumar_lib.transport import barycentric_projection, monotone_coupling
from piumar_lib.weight_decay import parameter_groups

PLACES = {"input": 34, "features": 32}  # to the channels there
each_place = pytest.mark.parametrize("place", PLACES)


def recognizer(place, classes=4):
    torch.manual_seed(3)
    module = TemporalFrequencyModule.make(PLACES[place], width=32)
    return Recognizer(tiny_cnn(34), 32, classes, module, at=place)


def clips(n=12, time=32):
    x, y = torch.randn(n, time, 34), torch.arange(n) % 4
    return Batch(x, y, y, torch.arange(n))


def of_many_sizes(n):
    """Clips whose spectra differ by more than chance, as people's do."""
    batch = clips(n)
    return replace(batch, x=batch.x * torch.rand(n, 1, 1).mul(3).exp())


# Views


def test_views_are_the_aligned_and_the_perturbed_clip_equally_long():
    x, y = torch.randn(6, 32, 5), torch.arange(6) % 2
    temporal, frequency = MonotoneAlignment(10), SpectralPerturbation(5)
    module = TemporalFrequencyModule(temporal, frequency, AdaptiveFusion(5)).eval()
    aligned, plain = module.views(x, y)
    assert torch.equal(aligned, temporal(x)) and torch.equal(plain, evenly(x, 10))
    torch.manual_seed(1)
    perturbed = module.train().views(x, y)[1]
    torch.manual_seed(1)
    assert torch.allclose(perturbed, evenly(frequency(x, y), 10), atol=1e-2)
    assert not torch.allclose(perturbed, plain, atol=0.1)


@pytest.mark.parametrize("steps", [1, 4, 5, 8, 12])
def test_even_steps_are_those_of_the_even_plan(steps):
    x = torch.randn(3, 12, 2)
    plan = monotone_coupling(torch.full((3, 12), 1 / 12), steps)
    assert torch.allclose(evenly(x, steps), barycentric_projection(plan, x), atol=1e-5)


# Places and what they cost


def test_places_have_names():
    assert [Recognizer(tiny_cnn(34), 32, 4, at=place).at for place in PLACES] == [0, 1]
    with pytest.raises(ValueError, match="at: must be from 0 to 3 or in .*'features'.*, got head"):
        Recognizer(tiny_cnn(34), 32, 4, at="head")


@each_place
@pytest.mark.parametrize("training", [True, False])
def test_two_views_cost_a_tenth_more_products_than_one_clip(place, training):
    batch = clips(64)
    model, plain = recognizer(place).train(training), Recognizer(tiny_cnn(34), 32, 4).train(training)
    ours, theirs = (count_flops(lambda m=m: m(batch.x, batch.y)) for m in (model, plain))
    assert 1.0 < ours / theirs < 1.1
    model.plug_in.temporal.steps = 32  # as many steps as frames: behind the input all layers run twice
    whole = count_flops(lambda: model(batch.x, batch.y)) / theirs
    assert 2.0 < whole < 2.2 if place == "input" else 1.5 < whole < 1.8


@each_place
def test_the_perturbation_reaches_the_second_views_decision_at_each_named_place(place):
    model, batch = recognizer(place).train(), of_many_sizes(64)
    for _ in range(3):  # estimates of variance
        model(batch.x, batch.y)
    seen = []
    for seed in range(2):
        torch.manual_seed(seed)
        seen.append(model(batch.x, batch.y).view_logits[1])
    assert (seen[0] - seen[1]).abs().max() > 0.05


def test_behind_the_last_layer_the_perturbation_would_do_nothing():
    torch.manual_seed(3)
    module, batch = TemporalFrequencyModule.make(32, width=32), of_many_sizes(64)
    model = Recognizer(tiny_cnn(34), 32, 4, module, at=3).train()
    for _ in range(3):
        model(batch.x, batch.y)
    seen = [model(batch.x, batch.y).view_logits[1] for _ in range(2)]
    assert torch.allclose(*seen, atol=1e-5)


# Training


@pytest.fixture(scope="module", params=[("input", "spar-repetitions"), ("features", "synthetic")])
def trained(request):
    """A model after 100 steps on real or synthetic people, and its objective."""
    place, data = request.param
    fold = load_fold(data, 0)
    train = fold.train.take(np.arange(0, len(fold.train), max(1, len(fold.train) // 800)))
    channels = train.x.shape[2] if place == "input" else 32
    torch.manual_seed(0)
    module = TemporalFrequencyModule.make(channels, width=32)
    model = Recognizer(tiny_cnn(train.x.shape[2]), 32, train.classes, module, at=place)
    objective, settings = TwoViews(), Settings(epochs=1, batch_size=32)
    steps = round(len(train) / 32)
    fit(model, train, replace(settings, epochs=round(100 / steps)), objective)
    return model, objective, fold


def test_the_gate_spreads_over_clips_of_unseen_people(trained):
    model, _, fold = trained
    with torch.no_grad():
        views = model.eval()(torch.as_tensor(fold.unseen.x[:400])).frames
        gate = model.plug_in.fusion.gate(*(view.mean(1) for view in views))
    assert gate.std() > 0.1


@pytest.mark.slow
def test_a_whole_training_leaves_the_gate_its_spread():
    fold = load_fold("synthetic", 0)
    train = fold.train.take(np.arange(0, len(fold.train), 2))
    torch.manual_seed(0)
    module = TemporalFrequencyModule.make(train.x.shape[2], width=32)
    model = Recognizer(tiny_cnn(train.x.shape[2]), 32, train.classes, module, at="input")
    fit(model, train, Settings(), TwoViews())
    with torch.no_grad():
        views = model.eval()(torch.as_tensor(fold.unseen.x[:400])).frames
        gate = model.plug_in.fusion.gate(*(view.mean(1) for view in views))
    assert gate.std() > 0.1


def test_the_regularisers_share_of_the_gradient_lies_in_its_band(trained):
    model, objective, fold = trained
    parameters, shares = [*model.train().backbone.parameters()], []
    for draw in torch.arange(len(fold.train.y))[torch.randperm(len(fold.train.y))][:320].split(32):
        x, y = torch.as_tensor(fold.train.x)[draw], torch.as_tensor(fold.train.y)[draw]
        prediction = model(x, y)
        entropy = clip_losses(prediction, y, objective.view_weights).mean()
        terms = objective.regularizer(entropy, prediction.frames[0], y), entropy
        ours, theirs = (torch.autograd.grad(term, parameters, retain_graph=True) for term in terms)
        shares.append(float(nn.utils.get_total_norm(ours) / nn.utils.get_total_norm(theirs)))
    assert 0.05 < np.median(shares) < 0.2


def test_variances_and_noise_are_found_in_training(trained):
    model, _, fold = trained
    plug_in = model.plug_in
    assert plug_in.frequency.variance(fold.train.x.shape[1])[0].min() > 0
    assert plug_in.temporal.clock.noise.mean > 0 and 0.02 < plug_in.temporal.clock.floor < 0.3


@each_place
def test_evaluation_is_deterministic_and_a_saved_model_the_same(place, tmp_path):
    model, batch = recognizer(place), clips()
    TwoViews().loss(model, batch).backward()
    model.eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = recognizer(place).eval()
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    expected = model(batch.x, batch.y).logits
    assert torch.equal(model(batch.x).logits, expected) and torch.equal(again(batch.x).logits, expected)


@each_place
def test_half_precision_trains_and_double_gives_the_same(place):
    model, batch = recognizer(place), clips(40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = TwoViews().loss(model, batch)
        loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert torch.isfinite(loss) and all(torch.isfinite(g).all() for g in gradients)
    single = model.eval()(batch.x).logits
    double = model.double()(batch.x.double()).logits
    assert double.dtype == torch.float64 and torch.allclose(double.float(), single, atol=0.05)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_equals_eager():
    model, batch = recognizer("input").eval(), clips()
    compiled = torch.compile(model, backend="eager")
    assert torch.allclose(compiled(batch.x).logits, model(batch.x).logits, atol=1e-5)


def test_the_objective_is_the_sum_of_its_terms():
    model, batch = recognizer("input"), clips()
    objective = TwoViews(0.3, 0.7, 0.0)
    torch.manual_seed(1)
    loss = objective.loss(copy.deepcopy(model), batch)
    torch.manual_seed(1)
    prediction = model(batch.x, batch.y)
    entropies = [
        nn.functional.cross_entropy(logits, batch.y)
        for logits in (prediction.logits, *prediction.view_logits)
    ]
    p, q = (logits.softmax(1).double() for logits in prediction.view_logits)
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log() + q * (q / middle).log()).sum(1) / 2).mean()
    expected = entropies[0] + 0.3 * (entropies[1] + entropies[2]) + 0.7 * divergence
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_objectives_state_can_be_put_back():
    model, batch = recognizer("features"), clips()
    objective, other = TwoViews(), TwoViews()
    objective.loss(model, batch)
    other.start(model, batch)
    other.restore(objective.state())
    assert all(torch.equal(v, other.state()[k]) for k, v in objective.state().items())


def test_a_group_robust_risk_over_the_views():
    model, batch = recognizer("input"), clips()
    losses = []
    worst = GroupRobustObjective(PersonGroups(), 0.5)
    for over in (None, GroupRobustObjective(radius=0, beta=0), worst):
        objective = TwoViews(over=over)
        objective.start(model, batch, Settings())
        for epoch in range(2):  # groups are found before the second
            torch.manual_seed(epoch)
            objective.before_epoch(batch, epoch)
            losses.append(objective.loss(copy.deepcopy(model), batch).item())
    plain, neutral, robust = losses[:2], losses[2:4], losses[4:]
    assert neutral == pytest.approx(plain, rel=1e-6)  # no ball, no hard clips: the mean
    assert robust[1] > plain[1] * 1.001  # the worst weighting of people
    other = TwoViews(over=GroupRobustObjective(PersonGroups(), 0.5))
    other.start(model, batch, Settings())
    other.restore(objective.state())
    assert len(other.over.q) == len(batch.person.unique())
    assert all(torch.equal(v, other.state()[k]) for k, v in objective.state().items())


@each_place
def test_a_batch_of_one_clip_and_of_one_class_trains(place):
    model, objective = recognizer(place), TwoViews()
    for n in (1, 5):
        batch = replace(clips(n), y=torch.zeros(n, dtype=torch.long))
        loss = objective.loss(model, batch)
        loss.backward()
        assert torch.isfinite(loss)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


@each_place
def test_clips_of_nan_are_reported_by_training_and_no_estimate_takes_them_in(place):
    model, batch = recognizer(place), clips()
    batch.x[2] = float("nan")
    with pytest.raises(FloatingPointError, match="loss is nan"):
        TwoViews().update(model, batch, Stepper(torch.optim.AdamW(model.parameters())))
    plug_in = {name: value for name, value in model.plug_in.state_dict().items()}
    assert all(torch.isfinite(value).all() for value in plug_in.values())


def test_an_empty_batch_is_named():
    with pytest.raises(ValueError, match=r"x: shape \(0, 32, 34\) holds nothing. Give at least one"):
        recognizer("input")(torch.ones(0, 32, 34))


# Weight decay


def test_weights_decay_and_floors_and_gates_do_not():
    model = recognizer("input")
    decayed, kept = parameter_groups(model, nn.Linear(2, 2))
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in kept["params"]} == {
        "plug_in.temporal.clock.floor_logit", "plug_in.fusion.bias",
    }  # fmt: skip
    assert kept["weight_decay"] == 0 and "weight_decay" not in decayed
    assert len(decayed["params"]) + 2 == len([*model.parameters()]) + 2
    control = TemporalFrequencyModule(MonotoneAlignment(clock=UniformClock()), *2 * [nn.Identity()])
    assert len(parameter_groups(control)) == 1


def test_training_leaves_a_floor_without_gradient_where_it_is(toy):
    model = Recognizer(tiny_cnn(3, 8), 8, 2, MonotoneAlignment(8), at="input")
    model.plug_in.clock.floor_logit.register_hook(torch.zeros_like)
    before = model.plug_in.clock.floor.item()
    fit(model, toy, Settings(epochs=2, weight_decay=10.0))
    assert model.plug_in.clock.floor.item() == before
    assert predict(model, toy).shape == (96, 2)


def test_batches_are_drawn_as_what_turns_losses_into_one_asks():
    assert TwoViews().people is None and TwoViews(over=GroupDRO()).people == 8
