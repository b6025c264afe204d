"""ERIS, term by term, against other code."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from smooth_problem import clips, smooth
from torch.nn import functional as F

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.eris import ERIS, free_energy, orthogonality
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper
from piumar_lib.training import fit, predict

TERMS = ("person", "energy", "orthogonal", "adversarial")


def only(term, value=1.0, **others):
    return ERIS(**(dict.fromkeys(TERMS, 0.0) | {term: value} | others))


def started(objective, model, data):
    objective.start(model, data, Settings())
    return objective


def test_free_energy_is_minus_logsumexp_and_lowest_where_sure():
    logits = torch.randn(7, 5, dtype=torch.double) * 30
    assert np.allclose(free_energy(logits), -logsumexp(logits.numpy(), axis=1))
    sure, unsure = torch.tensor([[9.0, 0.0, 0.0]]), torch.zeros(1, 3)
    assert free_energy(sure) < free_energy(unsure)


def test_orthogonality_is_that_of_all_pairs_of_rows():
    a, b = torch.randn(3, 6, dtype=torch.double), torch.randn(5, 6, dtype=torch.double)
    expected = np.mean([np.dot(u, v) ** 2 for u in a.numpy() for v in b.numpy()])
    assert orthogonality(a, b).item() == pytest.approx(expected)
    assert orthogonality(a, b).item() == pytest.approx(np.linalg.norm(a @ b.T, "fro") ** 2 / 15)
    q = torch.linalg.qr(torch.randn(6, 6, dtype=torch.double)).Q
    assert orthogonality(q[:2], q[2:]).item() == pytest.approx(0, abs=1e-20)


def test_separation_is_the_sum_of_its_terms_clip_by_clip():
    data, model = clips(12), smooth()
    eris = started(ERIS(person=0.3, energy=0.7, orthogonal=0.2, margin=0.5), model, data)
    features = torch.randn(12, 4, dtype=torch.double)
    w, b = (p.detach().numpy() for p in model.head.parameters())
    w_layer, b_layer, w_person, b_person = (p.detach().numpy() for p in eris.parameters())
    assert w_person.shape == (4, 4)  # as many rows as people
    person_costs, hinges = [], []
    for z, p in zip(features.numpy(), data.person.tolist(), strict=True):
        own = np.maximum(w_layer @ z + b_layer, 0)
        scores = w_person @ own + b_person
        person_costs.append(logsumexp(scores) - scores[p])
        hinges.append(max(0.0, 0.5 - logsumexp(w @ z + b) + logsumexp(w @ own + b)))
    expected = 0.3 * np.mean(person_costs) + 0.7 * np.mean(hinges) + 0.2 * np.mean((w @ w_layer.T) ** 2)
    value = eris.separation(model.head, features, data.person)
    assert any(hinges) and value.item() == pytest.approx(expected)


def test_separation_has_the_gradient_of_finite_differences():
    data, model = clips(12), smooth()
    eris = started(ERIS(), model, data)
    features = torch.randn(12, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: eris.separation(model.head, z, data.person), features)


def test_the_perturbation_is_of_the_given_size_in_standard_deviations():
    x, slope = torch.randn(5, 8, 3, dtype=torch.double), torch.randn(5, 8, 3, dtype=torch.double)
    scale = torch.tensor([0.01, 1.0, 100.0], dtype=torch.double)
    step = ((ERIS(radius=0.3).perturb(x, slope, scale) - x) / scale).numpy()
    assert np.allclose(np.sqrt((step**2).mean((1, 2))), 0.3)
    cosine = (step * (slope * scale).numpy()).sum((1, 2))
    assert np.allclose(cosine, np.linalg.norm(step.reshape(5, -1), axis=1)
                       * np.linalg.norm((slope * scale).reshape(5, -1), axis=1))  # fmt: skip
    assert torch.equal(ERIS().perturb(x, torch.zeros_like(x), scale), x)


def test_perturbed_clips_cost_more_than_randomly_moved_ones():
    data, model = clips(12), smooth()

    def cost(x):
        return F.cross_entropy(model(x).logits, data.y, reduction="none")

    x = data.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cost(x).sum(), x)
    eris, scale = ERIS(), torch.ones(3, dtype=torch.double)
    hard = cost(eris.perturb(data.x, slope, scale))
    other = cost(eris.perturb(data.x, torch.randn_like(slope), scale))
    assert (hard > cost(data.x)).all() and (hard > other).all()


def test_the_loss_is_cross_entropy_plus_separation_plus_perturbed_clips():
    data, model = clips(12), smooth()
    eris = started(ERIS(adversarial=0.4, radius=0.5), model, data)
    x = data.x.clone().requires_grad_()
    plain = F.cross_entropy(model(x).logits, data.y, reduction="none")
    (slope,) = torch.autograd.grad(plain.sum(), x)
    hard = F.cross_entropy(model(eris.perturb(data.x, slope, model.scale)).logits, data.y)
    features = model(data.x).features
    separation = eris.separation(model.head, features, data.person)
    expected = plain.mean() + separation + 0.4 * hard
    assert eris.loss(model, data).item() == pytest.approx(expected.item())


def test_without_its_terms_it_is_erm():
    data, model = clips(12), smooth()
    eris = started(only("person", 0.0), model, data)
    value, plain = eris.loss(model, data), Objective().loss(model, data)
    assert value.item() == pytest.approx(plain.item())
    ours, theirs = (torch.autograd.grad(v, model.head.weight)[0] for v in (value, plain))
    assert torch.allclose(ours, theirs)


# Each term does at its default what it is for


def fitted(toy, objective, epochs=8):
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
    fit(model, toy, Settings(epochs=epochs, batch_size=24, learning_rate=0.02), objective)
    model.eval()
    with torch.no_grad():
        return model, model(torch.as_tensor(toy.x))


@pytest.mark.parametrize("term", ["energy", "orthogonal"])
def test_energy_and_orthogonality_move_what_they_are_for(toy, term):
    def measured(objective):
        model, prediction = fitted(toy, objective)
        with torch.no_grad():
            if term == "orthogonal":
                return orthogonality(model.head.weight, objective.layer.weight).item()
            own = objective.layer(prediction.features).relu()
            gap = free_energy(model.head(prediction.features)) - free_energy(model.head(own))
            return F.relu(1 + gap).mean().item()

    assert measured(ERIS()) < 0.7 * measured(ERIS(**{term: 0.0}))


def test_the_person_branch_knows_people(toy):
    def accuracy(objective):
        _, prediction = fitted(toy, objective, epochs=25)
        with torch.no_grad():
            scores = objective.head(objective.layer(prediction.features).relu())
        return (scores.argmax(1).numpy() == toy.person).mean()

    assert accuracy(ERIS()) > accuracy(ERIS(person=0.0)) + 0.3


def test_perturbed_clips_in_training_make_hard_clips_easier(toy):
    def cost(objective):
        model, _ = fitted(toy, objective, epochs=15)
        x, y = torch.as_tensor(toy.x).requires_grad_(), torch.as_tensor(toy.y)
        (slope,) = torch.autograd.grad(F.cross_entropy(model(x).logits, y, reduction="sum"), x)
        hard = ERIS(radius=0.5).perturb(x.detach(), slope, model.scale)
        return F.cross_entropy(model(hard).logits, y).item()

    assert cost(only("adversarial", 0.1, radius=0.1)) < cost(only("adversarial", 0.0))


def test_it_learns_the_classes_of_unseen_people(toy):
    unseen = np.isin(toy.person, (1, 4))
    model, _ = fitted(toy.take(~unseen), ERIS(), epochs=25)
    test = toy.take(unseen)
    assert (predict(model, test).argmax(1) == test.y).mean() > 0.9


# Small and odd batches


@pytest.mark.parametrize("rows", [[5], [*range(0, 96, 12)], [*range(0, 96, 2)], [*range(96)]])
def test_training_is_finite_and_reproducible_on_any_clips(toy, rows):
    def trained():
        torch.manual_seed(3)
        model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
        losses = fit(
            model, toy.take(rows), Settings(epochs=2, batch_size=16, learning_rate=0.01), ERIS()
        )
        return losses, torch.cat([p.detach().flatten() for p in model.parameters()])

    (losses, weights), (again, same) = trained(), trained()
    assert np.isfinite(losses).all() and torch.isfinite(weights).all()
    assert losses == again and torch.equal(weights, same)


def test_its_branch_is_trained_and_the_model_stays_as_large(toy):
    data, model = clips(12), smooth()
    eris = started(ERIS(), model, data)
    before, count = copy.deepcopy(eris.state_dict()), sum(p.numel() for p in model.parameters())
    eris.update(model, data, Stepper(torch.optim.SGD([*model.parameters(), *eris.parameters()], lr=0.1)))
    assert all(not torch.equal(value, before[name]) for name, value in eris.state_dict().items())
    assert sum(p.numel() for p in model.parameters()) == count
    assert {p.dtype for p in eris.parameters()} == {torch.double}


@pytest.mark.parametrize("name", [*TERMS, "radius", "margin"])
def test_negative_arguments_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}: must be a number, at least 0, got -1"):
        ERIS(**{name: -1})
