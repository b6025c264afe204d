"""Each baseline against its published formula, written out plainly."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines import groups
from piumar_lib.baselines.features import CORAL, DANN, DSU, MMD, MixStyle, Mixup
from piumar_lib.baselines.groups import EIIL, IRM, JTT, CVaR, Fish, GroupDRO, VREx, group_risks
from piumar_lib.baselines.hdf import HDFObjective, HDFPlugIn
from piumar_lib.baselines.rema import ReMA
from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper
from piumar_lib.training import SequenceTrainer, fit, fit_clips, predict

from_seeds = given(st.integers(0, 2**32 - 1))


def clips(n=12, people=3, classes=2, time=8):
    index = torch.arange(n)
    x = torch.randn(n, time, 3)
    return Batch(x, index % classes, index // classes % people, index)


def smooth():
    """A recogniser without batch normalisation, whose loss is a mean over clips."""
    torch.manual_seed(3)
    return Recognizer(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), 4, 3)


def erm(model, x, y):
    return F.cross_entropy(model(x).logits, y)


def gradients(model, x, y):
    return torch.autograd.grad(erm(model, x, y), list(model.parameters()))


def close(model, expected):
    pairs = zip(model.parameters(), expected, strict=True)
    return all(torch.allclose(p, e, rtol=1e-4, atol=1e-6) for p, e in pairs)


def started(objective, data, **settings):
    objective.start(smooth(), data, SequenceTrainer(data, Settings(**settings)))
    objective.before_epoch(data, 0)
    return objective


def means(losses, person):
    return np.array([losses[person == p].detach().numpy().mean() for p in person.unique()])


def known_identification_model(monkeypatch, logits):
    monkeypatch.setattr(SequenceTrainer, "identification_model", lambda *_: logits)


# Building blocks


@from_seeds
def test_person_risks_are_the_means_of_those_present(seed):
    torch.manual_seed(seed)
    losses, person = torch.rand(10, dtype=torch.double), torch.randint(7, (10,))
    assert np.allclose(groups.person_risks(losses, person), means(losses, person))


def test_scale_gradient_is_that_of_a_factor_on_the_logits():
    logits, y = 3 * torch.randn(9, 4, dtype=torch.double), torch.randint(4, (9,))
    factor = torch.ones(9, 1, dtype=torch.double, requires_grad=True)
    F.cross_entropy(factor * logits, y, reduction="sum").backward()
    assert torch.allclose(groups.scale_gradient(logits, y), factor.grad[:, 0])


@pytest.mark.parametrize(("share", "epochs"), [(0.25, 2), (0.01, 1)])
def test_identification_model_trains_a_copy_for_a_share_of_the_epochs(toy, share, epochs):
    data = Batch(*map(torch.as_tensor, (toy.x, toy.y, toy.person, np.arange(96))))
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
    before, twin = copy.deepcopy(model.state_dict()), copy.deepcopy(model)
    logits = SequenceTrainer(data, Settings(epochs=8, learning_rate=0.01)).identification_model(
        model, share
    )
    fit_clips(twin, data, Settings(epochs=epochs, learning_rate=0.01), Objective())
    assert np.allclose(logits.softmax(1), predict(twin, toy), atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# Group-robust baselines


def test_group_dro_without_steps_is_erm_when_people_have_equally_many_clips():
    data, losses = clips(), torch.rand(12)
    value = started(GroupDRO(step=0.0), data).risk(losses, None, data)
    assert value.item() == pytest.approx(losses.numpy().mean())


def test_group_dro_weighs_by_the_updated_weights():
    data, losses = clips(n=12, people=4), torch.rand(12)
    dro = started(GroupDRO(step=0.7), data)
    q = np.full(4, 0.25)
    for _ in range(2):
        value = dro.risk(losses, None, data)
        risks = means(losses, data.person)
        q = q * np.exp(0.7 * risks)
        q /= q.sum()
        assert np.allclose(dro.q, q) and value.item() == pytest.approx(q @ risks, rel=1e-5)


def test_group_dro_knows_people_by_place_and_leaves_out_the_absent():
    data = clips(n=12, people=3)
    batch = data.take(torch.tensor([9, 0, 8, 1]))  # persons 1, 0, 1, 0
    losses = torch.rand(4)
    dro = started(GroupDRO(step=0.7), data)
    q = np.exp(0.7 * np.append(means(losses, batch.person), 0))
    value = dro.risk(losses, None, batch)
    assert np.allclose(dro.q, q / q.sum())
    assert value.item() == pytest.approx(q[:2] / q[:2].sum() @ means(losses, batch.person), rel=1e-5)


def test_group_dro_survives_a_weight_that_vanishes():
    data = clips(people=2)
    dro = started(GroupDRO(step=1.0), data)
    for _ in range(3):
        dro.risk(100.0 * (data.person == 0), None, data)
    good = data.take(data.person == 1)
    assert dro.risk(torch.ones(len(good)), None, good).item() == pytest.approx(1)
    for _ in range(5):
        dro.risk(torch.full((len(good),), 100.0), None, good)
    assert dro.q[1] > 0.99


@from_seeds
def test_eiil_finds_the_least_invariant_of_all_splits(seed):
    torch.manual_seed(seed)
    n = 2 + seed % 7
    logits, y = 2 * torch.randn(n, 3, dtype=torch.double), torch.randint(3, (n,))
    with pytest.MonkeyPatch.context() as patch:
        known_identification_model(patch, logits)
        data = Batch(torch.zeros(n, 1, 1), y, torch.zeros(n, dtype=torch.long), torch.arange(n))
        split = started(EIIL(), data).group.numpy()
    g = np.zeros(n)
    for i in range(n):
        p = np.exp(logits[i].numpy() - logits[i].logsumexp(0).item())
        g[i] = p @ logits[i].numpy() - logits[i, y[i]].item()

    def penalty(q):
        return (q @ g) ** 2 + ((1 - q) @ g) ** 2

    best = max(penalty(np.array(q)) for q in product((0, 1), repeat=n))
    assert penalty(split) == pytest.approx(best)


def test_eiil_is_group_dro_over_inferred_environments(monkeypatch):
    data, losses = clips(), torch.rand(12)
    # Right and sure is not confident enough, wrong and sure is too much so.
    logits = 2.0 * F.one_hot(torch.where(data.index % 3 == 0, 1 - data.y, data.y))
    known_identification_model(monkeypatch, logits)
    eiil = started(EIIL(step=0.5), data)
    environment = (data.index % 3 == 0).long()
    assert torch.equal(eiil.group, environment) and EIIL.people is None
    risks = means(losses, environment)
    q = np.exp(0.5 * risks)
    assert eiil.risk(losses, None, data).item() == pytest.approx(q @ risks / q.sum(), rel=1e-5)


@pytest.mark.parametrize(("anneal", "epoch", "weight"), [(0.3, 2, 1), (0.3, 3, 7), (0, 0, 7), (1, 9, 1)])
def test_vrex_adds_the_variance_of_risks_fully_after_annealing(anneal, epoch, weight):
    data, losses = clips(), torch.rand(12)
    vrex = started(VREx(weight=7.0, anneal=anneal), data, epochs=10)
    vrex.before_epoch(data, epoch)
    expected = losses.numpy().mean() + weight * np.var(means(losses, data.person))
    assert vrex.risk(losses, None, data).item() == pytest.approx(expected, rel=1e-5)


def test_irm_penalty_is_domainbeds():
    data = clips(n=13, people=3)
    data = data.take(data.index != 5)  # uneven numbers of clips
    alone = data.index == 0
    person = torch.where(alone, 3, data.person)  # of this person there is no second half
    data = replace(data, person=person)
    logits = torch.randn(12, 2, dtype=torch.double, requires_grad=True)
    products = []
    for p in range(3):
        z, y = logits[data.person == p], data.y[data.person == p]
        factor = torch.ones((), dtype=torch.double, requires_grad=True)
        halves = (F.cross_entropy(factor * z[k::2], y[k::2]) for k in (0, 1))
        first, second = (torch.autograd.grad(h, factor, create_graph=True)[0] for h in halves)
        products.append(first * second)
    expected = torch.stack(products).mean()
    ours = IRM().penalty(None, Prediction(logits), data)
    assert ours.item() == pytest.approx(expected.item())
    (a,), (b,) = (torch.autograd.grad(v, logits) for v in (ours, expected))
    assert torch.allclose(a, b)


def test_irm_weighs_its_penalty_and_needs_two_clips_of_somebody():
    data, losses, prediction = clips(), torch.rand(12), Prediction(torch.randn(12, 2))
    irm = started(IRM(weight=5.0, anneal=0.0), data)
    expected = losses.mean() + 5 * irm.penalty(losses, prediction, data)
    assert irm.risk(losses, prediction, data).item() == pytest.approx(expected.item())
    strangers = replace(data, person=torch.arange(12))
    assert irm.risk(losses, prediction, strangers).item() == pytest.approx(losses.mean().item())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_fish_goes_part_of_the_way_of_steps_through_people(share):
    data, model, reference = clips(n=14, people=3), smooth(), smooth()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    value = Fish(share).update(model, data, Stepper(optimizer))
    start, losses = [p.detach().clone() for p in reference.parameters()], []
    for p in range(3):
        own = data.person == p
        losses.append(erm(reference, data.x[own], data.y[own]).item())
        steps = gradients(reference, data.x[own], data.y[own])
        with torch.no_grad():
            for parameter, g in zip(reference.parameters(), steps, strict=True):
                parameter -= 0.5 * g
    end = [p.detach() for p in reference.parameters()]
    assert close(model, [a + share * (b - a) for a, b in zip(start, end, strict=True)])
    assert value.item() == pytest.approx(np.mean(losses), rel=1e-5) and not value.requires_grad


@pytest.mark.parametrize("alpha", [0.25, 0.4, 1.0])
def test_cvar_is_the_mean_of_the_worst_share(alpha):
    data, losses = clips(), torch.rand(12)
    worst = np.sort(losses.numpy())[::-1]
    whole = int(alpha * 12)
    part = alpha * 12 - whole
    expected = (worst[:whole].sum() + (part * worst[whole] if part else 0)) / (alpha * 12)
    assert CVaR(alpha).risk(losses, None, data).item() == pytest.approx(expected, rel=1e-5)


def test_jtt_shows_first_mistakes_more_often(monkeypatch):
    data, losses = clips(), torch.rand(12)
    logits = torch.randn(12, 2)
    known_identification_model(monkeypatch, logits)
    jtt = started(JTT(weight=4.0), data)
    rows = torch.tensor([7, 2, 3, 11, 0, 5])
    wrong = (logits.argmax(1) != data.y)[rows].numpy()
    assert 0 < wrong.sum() < 6
    shown = np.repeat(losses[rows].numpy(), np.where(wrong, 4, 1))
    assert jtt.risk(losses[rows], None, data.take(rows)).item() == pytest.approx(shown.mean())


# Feature-level baselines


def of_features(features):
    """A prediction whose features, averaged over time, are the ones given."""
    frames = features[:, None] + torch.tensor([-1.0, 0.0, 1.0])[:, None]
    return Prediction(torch.zeros(len(features), 2), [], [frames])


def coral(a, b):
    means = ((a.mean(0) - b.mean(0)) ** 2).mean()
    return means + ((np.cov(a, rowvar=False) - np.cov(b, rowvar=False)) ** 2).mean()


def mmd(a, b):
    def k(u, v):
        return sum(np.exp(-(10.0**e) * ((u - v) ** 2).sum()) for e in range(-3, 4))

    def mean(us, vs):
        return np.mean([k(u, v) for u in us for v in vs])

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


@pytest.mark.parametrize(("method", "distance"), [(CORAL, coral), (MMD, mmd)])
def test_features_of_each_two_people_are_compared(method, distance):
    person = torch.tensor([0] * 5 + [1] * 4 + [2] + [3] * 2)  # of person 2 a single clip
    features, losses = torch.randn(12, 4, dtype=torch.double), torch.rand(12, dtype=torch.double)
    data = replace(clips(), person=person)
    own = [features[person == p].numpy() for p in (0, 1, 3)]
    expected = np.mean([distance(a, b) for a, b in combinations(own, 2)])
    value = method(weight=0.6).risk(losses, of_features(features), data)
    assert value.item() == pytest.approx(losses.mean().item() + 0.6 * expected)
    one = replace(data, person=torch.zeros(12, dtype=torch.long))
    alone = method().risk(losses, of_features(features), one)
    assert alone.item() == pytest.approx(losses.mean().item())


@pytest.mark.parametrize("method", [CORAL, MMD])
def test_equal_sets_are_at_no_distance_and_others_are(method):
    a = torch.randn(6, 4, dtype=torch.double)
    assert method().distance(a, a[torch.randperm(6)]).item() == pytest.approx(0, abs=1e-9)
    for other in (a + 0.5, a * 1.5, torch.randn(6, 4, dtype=torch.double)):
        assert method().distance(a, other) > 1e-3
    assert method().distance(a, other).item() == pytest.approx(method().distance(other, a).item())


def test_dann_reverses_what_reaches_the_features_and_not_the_adversary():
    data = clips(n=12, people=5)
    dann = started(DANN(weight=0.3, width=7), data)
    assert [tuple(p.shape) for p in dann.parameters()] == [(7, 4), (7,), (5, 7), (5,)]
    features, losses = torch.randn(12, 4), torch.rand(12)
    given_features, plain = (features.clone().requires_grad_() for _ in range(2))
    value = dann.risk(losses, of_features(given_features), data)
    adversary = F.cross_entropy(dann.adversary(plain), data.person)
    assert value.item() == pytest.approx(losses.mean().item() + adversary.item(), rel=1e-5)
    ours = torch.autograd.grad(value, [given_features, *dann.parameters()])
    theirs = torch.autograd.grad(adversary, [plain, *dann.parameters()])
    assert torch.allclose(ours[0], -0.3 * theirs[0], atol=1e-7)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours[1:], theirs[1:], strict=True))


def test_dann_trains_its_adversary(toy):
    class Helped(DANN):
        def start(self, model, clips, settings):
            super().start(model, clips, settings)
            self.costs = []

        def risk(self, losses, prediction, batch):
            total = super().risk(losses, prediction, batch)
            self.costs.append((total - losses.mean()).item())
            return total

    dann = Helped()
    dann.weight = -1.0  # reversed twice: features show who it was
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
    fit(model, toy, Settings(epochs=15, batch_size=24, learning_rate=0.02), dann)
    assert dann.costs[-1] < dann.costs[0] / 2


# Mixing clips


class Shares:
    """Stands in for the Beta law: shares are given."""

    def __init__(self, shares):
        self.shares, self.asked = shares, []

    def __call__(self, a, b):
        self.asked += [a, b]
        return self

    def sample(self):
        return self.shares.expand_as(self.asked[-1])


def given_shares(monkeypatch, shares):
    law = Shares(torch.as_tensor(shares))
    monkeypatch.setattr(torch.distributions, "Beta", law)
    return law


def test_mixup_blends_clips_and_labels_in_the_same_proportion(monkeypatch):
    data, model = clips(classes=3), smooth()
    share = torch.rand(12)
    law = given_shares(monkeypatch, share)
    torch.manual_seed(7)
    value = Mixup(alpha=0.4).loss(model, data)
    torch.manual_seed(7)
    order = torch.randperm(12)
    expected = []
    for i, j in enumerate(order.tolist()):
        blend = share[i] * data.x[i] + (1 - share[i]) * data.x[j]
        log_p = model(blend[None]).logits[0].log_softmax(0)
        expected.append(-(share[i] * log_p[data.y[i]] + (1 - share[i]) * log_p[data.y[j]]).item())
    assert value.item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert all((a == 0.4).all() for a in law.asked)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_mixup_without_blending_is_erm(monkeypatch, share):
    data, model = clips(classes=3), smooth()
    given_shares(monkeypatch, share)
    value = Mixup().loss(model, data).item()
    assert value == pytest.approx(erm(model, data.x, data.y).item(), rel=1e-5)


# Mixing styles


def style(x):
    return x.mean(1).numpy(), x.numpy().std(1, ddof=1)


def shape(x):
    mean, deviation = style(x)
    return (x.numpy() - mean[:, None]) / deviation[:, None]


def test_mixstyle_blends_mean_and_deviation_and_keeps_the_shape(monkeypatch):
    x = 3 * torch.randn(6, 20, 2, dtype=torch.double) + torch.arange(6.0)[:, None, None]
    share = torch.rand(6, 1, 1, dtype=torch.double)
    law = given_shares(monkeypatch, share)
    plug_in = MixStyle(probability=1.0, alpha=0.3)
    torch.manual_seed(7)
    (mixed,) = plug_in.views(x)
    torch.manual_seed(7)
    torch.rand(())  # the batch is chosen
    order = torch.randperm(6).numpy()
    w = share[:, 0].numpy()
    for ours, before in zip(style(mixed), style(x), strict=True):
        assert np.allclose(ours, w * before + (1 - w) * before[order], rtol=1e-4)
    assert np.allclose(shape(mixed), shape(x), atol=1e-4)
    assert law.asked[0].shape == (6, 1, 1) and all(np.allclose(a, 0.3) for a in law.asked)


def test_mixstyle_with_a_small_alpha_exchanges_styles_whole():
    x = 3 * torch.randn(40, 20, 1, dtype=torch.double) + 5 * torch.randn(40, 1, 1)
    (mixed,) = MixStyle(probability=1.0, alpha=0.02).views(x)
    (mean, deviation), (old_mean, old_deviation) = style(mixed), style(x)
    distance = np.abs(mean - old_mean.T) + np.abs(deviation - old_deviation.T)
    assert (distance.min(1) < 0.01).mean() > 0.75
    assert 8 < (distance.argmin(1) != np.arange(40)).sum() < 32


@pytest.mark.parametrize("plug_in", [MixStyle, DSU])
def test_style_plugs_do_nothing_in_evaluation_and_else_by_their_chance(plug_in):
    x = torch.randn(5, 8, 2)
    assert plug_in(probability=1.0).eval().views(x)[0] is x
    assert plug_in(probability=0.0).views(x)[0] is x
    changed = np.mean([plug_in(probability=0.3).views(x)[0] is not x for _ in range(1000)])
    assert abs(changed - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1000)


@pytest.mark.parametrize("plug_in", [MixStyle(1.0), DSU(1.0)])
def test_style_plugs_pass_gradients_through_the_shape_alone(plug_in):
    x = torch.randn(5, 20, 2, dtype=torch.double, requires_grad=True)
    (mixed,) = plug_in.views(x)
    mixed.sum().backward()
    ratio = style(mixed.detach())[1] / style(x.detach())[1]
    assert np.allclose(x.grad.abs(), ratio[:, None].repeat(20, axis=1), rtol=1e-4)


def test_dsu_moves_styles_by_as_much_as_clips_differ():
    x = torch.randn(8, 20, 2, dtype=torch.double) * torch.linspace(3, 4, 8)[:, None, None]
    x = x + torch.arange(8)[:, None, None]
    plug_in, times = DSU(probability=1.0, factor=0.3), 1500
    moved = np.array([style(plug_in.views(x)[0]) for _ in range(times)])
    for ours, before in zip(moved.swapaxes(0, 1), style(x), strict=True):
        expected = 0.3 * before.std(0, ddof=1)
        shift = (ours - before) / expected
        assert np.abs(shift.mean(0)).max() < 5 / np.sqrt(times)
        assert np.abs(shift.var((0, 1)) - 1).max() < 5 * np.sqrt(2 / (8 * times))
        assert np.abs(np.corrcoef(shift[:, 0].T)[0, 1]) < 5 / np.sqrt(times)
    assert np.allclose(shape(plug_in.views(x)[0]), shape(x), atol=1e-4)


@pytest.mark.parametrize("plug_in", [MixStyle(1.0), DSU(1.0)])
def test_one_frame_has_no_style_to_vary(plug_in):
    x = torch.randn(5, 1, 2)
    assert plug_in.views(x)[0] is x


def test_mixup_trains_in_double_precision():
    data, model = clips(classes=3), smooth().double()
    assert Mixup().loss(model, replace(data, x=data.x.double())).dtype == torch.double


def test_dsu_needs_a_second_clip():
    x = torch.randn(1, 8, 2)
    assert DSU(probability=1.0).views(x)[0] is x


# HDF


def hdf(**values):
    plug_in = HDFPlugIn().double()
    for name, value in values.items():
        getattr(plug_in, name).data.fill_(value)
    return plug_in


def test_hdf_gate_by_hand():
    x = torch.randn(2, 6, 3, dtype=torch.double)
    ours = hdf(alpha=0.4, beta=0.7, gamma=1.3, delta=0.2).gate(x).detach()
    for z, gate in zip(x.numpy(), ours, strict=True):
        average = [frame.mean() for frame in z]
        score = np.zeros(6)
        for t in range(6):
            jump = abs(average[t] - average[t - 1]) if t else 0
            unusual = abs(average[t] - np.mean(average))
            score[t] = 1.3 * (0.4 * average[t] + 0.7 * max(z[t])) + 0.2 * unusual - jump
        for t in range(6):
            attention = np.exp(score[t] * score) / np.exp(score[t] * score).sum()
            assert gate[t].item() == pytest.approx(1 / (1 + np.exp(-attention @ score)))


def squashed(x, squash):
    limit = 10 * np.log1p(np.exp(squash))
    spectrum = scipy.fft.dct(x.numpy(), axis=1, norm="ortho")
    return scipy.fft.idct(limit * np.tanh(spectrum / limit), axis=1, norm="ortho")


def test_hdf_is_deterministic_in_evaluation_and_averages_its_branches():
    x = 5 * torch.randn(4, 16, 3, dtype=torch.double)
    plug_in = hdf(squash=0.3).eval()
    (view,) = plug_in.views(x)
    gate = plug_in.gate(x).detach().numpy()[..., None]
    assert np.allclose(view.detach(), (x.numpy() * (1 + gate) + squashed(x, 0.3)) / 2, atol=1e-6)


def noise_of(plug_in, x):
    """What training adds to the spectrum, with that spectrum's sign, and the spectrum."""
    limit = 10 * np.log1p(np.exp(1.0))
    spectrum = scipy.fft.dct(x.numpy(), axis=1, norm="ortho")
    moved = scipy.fft.dct(plug_in.perturbed(x).detach().numpy(), axis=1, norm="ortho")
    return (limit * np.arctanh(moved / limit) - spectrum) * np.sign(spectrum), spectrum


def test_hdf_noise_has_its_learned_size():
    x = torch.randn(50, 20, 4, dtype=torch.double)
    noise, _ = noise_of(hdf(noise=0.2, spread=0.0), x)
    assert abs(noise.mean()) < 5 * 0.2 / np.sqrt(4000)
    assert abs(noise.var() / 0.04 - 1) < 5 * np.sqrt(2 / 4000)
    share, spectrum = noise_of(hdf(noise=0.0, spread=0.3), x)
    share = share / (0.3 * np.abs(spectrum - spectrum.mean(1, keepdims=True)))
    assert share.min() > -1e-3 and share.max() < 1 + 1e-3
    assert abs(share.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 4000)
    assert abs(share.var() * 12 - 1) < 0.1


def test_gradients_reach_all_parameters_of_hdf():
    plug_in, x = hdf(), torch.randn(4, 16, 3, dtype=torch.double, requires_grad=True)
    plug_in.views(x)[0].square().sum().backward()
    assert len(list(plug_in.parameters())) == 7
    for name, parameter in plug_in.named_parameters():
        assert torch.isfinite(parameter.grad) and parameter.grad != 0, name
    assert torch.isfinite(x.grad).all() and (x.grad != 0).all()


def contrast(features, y, temperature):
    total = 0
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        cosine = {j: F.cosine_similarity(features[i], features[j], dim=0) for j in others}
        every = torch.stack([cosine[j] / temperature for j in others]).logsumexp(0)
        same = [j for j in others if y[j] == y[i]]
        if same:
            weight = {j: np.exp(-((1 - cosine[j].item()) ** 2)) for j in same}
            own = sum(weight[j] * (every - cosine[j] / temperature) for j in same)
            total = total + own / sum(weight.values())
    return total / len(y)


def test_hdf_contrast_and_its_gradient_against_loops():
    y = torch.tensor([0, 1, 0, 2, 1, 0, 0])  # nobody else has class 2
    features = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
    ours = HDFObjective(temperature=0.3).contrast(features, y)
    expected = contrast(features, y, 0.3)
    assert ours.item() == pytest.approx(expected.item())
    (a,), (b,) = (torch.autograd.grad(v, features) for v in (ours, expected))
    assert torch.allclose(a, b)


def test_hdf_loss_rewards_spread():
    data, losses = clips(), torch.rand(12, dtype=torch.double)
    features = torch.randn(12, 4, dtype=torch.double)
    value = HDFObjective(0.3, 0.2, temperature=0.7).risk(losses, of_features(features), data)
    trace = np.trace(np.cov(features, rowvar=False, ddof=0))
    expected = losses.mean() + 0.3 * contrast(features, data.y, 0.7) - 0.2 * np.log1p(trace)
    assert value.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("y", [[0], [0, 1], [0, 0]])
def test_hdf_contrast_is_finite_however_small_the_batch(y):
    features = torch.randn(len(y), 4, requires_grad=True)
    value = HDFObjective().contrast(features, torch.tensor(y))
    value.backward()
    assert value.item() >= 0 and torch.isfinite(features.grad).all()
    assert y == [0, 0] or value.item() == 0


@pytest.mark.parametrize("radius", [0.0, 0.5])
def test_hdf_steps_with_the_gradient_at_the_worst_point_nearby(radius):
    data, model, reference = clips(classes=3), smooth(), smooth()
    objective = HDFObjective(weight=0.0, trace=0.0, radius=radius)
    value = objective.update(model, data, Stepper(torch.optim.SGD(model.parameters(), lr=0.3)))
    start = [p.detach().clone() for p in reference.parameters()]
    assert value.item() == pytest.approx(erm(reference, data.x, data.y).item(), rel=1e-5)
    first = gradients(reference, data.x, data.y)
    norm = np.sqrt(sum(g.square().sum().item() for g in first))
    with torch.no_grad():
        for p, g in zip(reference.parameters(), first, strict=True):
            p += radius * g / norm
    second = gradients(reference, data.x, data.y)
    assert close(model, [p - 0.3 * g for p, g in zip(start, second, strict=True)])


def test_hdf_without_radius_looks_at_a_batch_once():
    data, model, passes = clips(classes=3), smooth(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    stepper = Stepper(torch.optim.SGD(model.parameters(), lr=0.3))
    HDFObjective(radius=0.0).update(model, data, stepper)
    assert len(passes) == 1


def test_hdf_stops_when_the_loss_is_not_finite():
    data, model = clips(classes=3), smooth()
    model.head.bias.data[0] = torch.nan
    before = model.head.weight.detach().clone()
    with pytest.raises(FloatingPointError, match="loss is nan"):
        HDFObjective().update(model, data, Stepper(torch.optim.SGD(model.parameters(), lr=1.0)))
    assert torch.equal(model.head.weight, before)


# Training

METHODS = {
    **{kind.__name__: (kind, None) for kind in (CORAL, MMD, DANN, Mixup, ReMA)},
    **{kind.__name__: (kind, None) for kind in (GroupDRO, EIIL, VREx, IRM, Fish, CVaR, JTT)},
    "MixStyle": (Objective, lambda: MixStyle(1.0)),
    "DSU": (Objective, lambda: DSU(1.0)),
    "HDF": (HDFObjective, HDFPlugIn),
}
DATA = {
    "everyone": np.arange(96),
    "a person with a single clip": [*range(0, 96, 12), *range(1, 96, 12), 2],
    "batches without a class": [*range(0, 96, 2), 1, 3],
    "one person": np.arange(0, 96, 12),
    "one clip": [5],
}


def trained(method, data):
    objective, plug_in = METHODS[method]
    torch.manual_seed(3)
    model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2, plug_in and plug_in(), at=1)
    losses = fit(model, data, Settings(epochs=1, batch_size=16, learning_rate=0.01), objective())
    return losses, torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("rows", DATA)
@pytest.mark.parametrize("method", METHODS)
def test_every_baseline_trains_the_same_way_twice(toy, method, rows):
    data = toy.take(DATA[rows])
    losses, weights = trained(method, data)
    assert np.isfinite(losses).all() and torch.isfinite(weights).all()
    again, same = trained(method, data)
    assert losses == again and torch.equal(weights, same)


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
