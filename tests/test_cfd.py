"""CFD: both normalisations against their definition for each clip, and what becomes of people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.cfd import CFD, EPSILON, CFDPlugIn, moments, person_moments
from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict
from piumar_lib.weight_decay import parameter_groups

from_seeds = given(st.integers(0, 2**32 - 1))
PERSON = torch.tensor([4, 0, 4, 4, 0, 2])


def features(n=6, time=7, channels=3):
    return 2 * torch.randn(n, time, channels, dtype=torch.double) + 1


def plug_in(channels=3, calibration=0.3):
    return CFDPlugIn(channels, calibration).double()


def recognizer(channels=3, width=8):
    torch.manual_seed(3)
    return Recognizer(tiny_cnn(channels, width, depth=2), width, 2, CFDPlugIn(width), at="features")


def by_hand(x, person, share):
    """Each clip less its calibrated mean, over its calibrated deviation: without standardisation."""
    x, done = x.numpy(), np.empty(x.shape)
    for i, p in enumerate(person):
        own = x[person.numpy() == p.item()].reshape(-1, x.shape[2])
        mean = (1 - share) * own.mean(0) + share * x[i].mean(0)
        variance = (1 - share) * own.var(0) + share * x[i].var(0)
        done[i] = (x[i] - mean) / np.sqrt(variance + EPSILON)
    return done


def standardized(z):
    frames = z.reshape(-1, z.shape[-1])
    return (z - frames.mean(0)) / np.sqrt(frames.var(0) + EPSILON)


# Moments of people


@from_seeds
def test_moments_of_a_person_are_those_of_all_the_persons_frames(seed):
    rng = np.random.default_rng(seed)
    x, person = torch.as_tensor(rng.standard_normal((9, 5, 2))), torch.as_tensor(rng.integers(0, 4, 9))
    own, average = person_moments(moments(x), person)
    frames = {p: x[person == p].flatten(0, 1).numpy() for p in person.unique().tolist()}
    for i, p in enumerate(person.tolist()):
        assert np.allclose(own[0, i], frames[p].mean(0)) and np.allclose(own[1, i], frames[p].var(0))
    # People count alike, however many clips they have.
    assert np.allclose(average[0], np.mean([f.mean(0) for f in frames.values()], 0))
    assert np.allclose(average[1], np.mean([f.var(0) for f in frames.values()], 0))


# Normalisation of people


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_training_normalises_with_the_persons_and_the_clips_moments(share):
    x, module = features(), plug_in(calibration=share)
    module.person = PERSON
    assert np.allclose(module.normalized(x).detach(), standardized(by_hand(x, PERSON, share)))


def test_without_people_the_batch_is_one_person():
    x, module = features(), plug_in()
    expected = standardized(by_hand(x, torch.zeros(6), 0.3))
    assert np.allclose(module.normalized(x).detach(), expected)


def test_evaluation_takes_the_training_peoples_average_in_the_place_of_the_person():
    module = plug_in()
    module.person = PERSON
    batches = [features() for _ in range(3)]
    for x in batches:
        module.normalized(x)
    module.eval()
    seen = [person_moments(moments(x), PERSON)[1] for x in batches]
    mean, variance = torch.stack(seen).mean(0)
    x = features()
    m = 0.7 * mean + 0.3 * x.mean(1)
    v = 0.7 * variance + 0.3 * x.var(1, correction=0)
    z = (x - m[:, None]) / (v[:, None] + EPSILON).sqrt()
    norm = module.standard
    expected = (z - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    assert torch.allclose(module.normalized(x), expected)


def test_in_evaluation_a_clip_depends_on_itself_alone():
    module, x = plug_in(), features()
    module.views(x)
    module.eval()
    module.person = PERSON  # has no meaning here
    (together,) = module.views(x)
    for i in range(len(x)):
        assert torch.allclose(module.views(x[i : i + 1])[0][0], together[i])


def test_training_takes_away_what_is_a_persons():
    """People differ by an offset and a factor: afterwards their features have equal moments."""
    person = torch.arange(60) % 5
    factor = (1 + torch.arange(5.0))[person, None, None].double()
    x = torch.randn(60, 20, 3, dtype=torch.double) * factor + 3 * factor
    module = CFDPlugIn(3).double()  # at its default
    module.person = person
    done = module.normalized(x).detach()
    for before, after in zip(*(person_moments(moments(z), person)[0] for z in (x, done)), strict=True):
        assert after.std(0).max() < 0.05 * before.std(0).min()


def test_of_somebody_new_calibration_takes_away_the_clips_share():
    module, x = CFDPlugIn(3).double(), torch.randn(40, 20, 3, dtype=torch.double)
    module.person = torch.arange(40) % 5
    for _ in range(20):
        module.normalized(x)
    module.eval()
    offset = module.normalized(x + 2).mean() - module.normalized(x).mean()
    assert 0.9 < offset.item() < 1.2  # of 2, half is left at the default
    module.calibration_logit.data.fill_(20.0)
    gone = module.normalized(x + 2).mean() - module.normalized(x).mean()
    assert abs(gone.item()) < 1e-3


# Giving back


def test_the_gate_goes_from_instance_normalisation_to_the_features_themselves():
    x, module = features(), plug_in()
    module.gate.weight.data.zero_()
    instance = F.instance_norm(x.mT, eps=EPSILON).mT
    for bias, expected in ((-50.0, instance), (50.0, x), (0.0, (instance + x) / 2)):
        module.gate.bias.data.fill_(bias)
        assert torch.allclose(module.restored(x), expected)


def test_the_gate_reads_what_was_removed():
    x, module = features(), plug_in()
    instance = F.instance_norm(x.mT, eps=EPSILON).mT
    removed = torch.cat([x.mean(1), (x.var(1, correction=0) + EPSILON).sqrt()], 1)
    weight, bias = module.gate.weight, module.gate.bias
    gate = 1 / (1 + torch.exp(-(removed @ weight.T + bias)))
    expected = instance + gate[:, None] * (x - instance)
    assert torch.allclose(module.restored(x), expected)
    assert gate.std(0).min() > 1e-3  # it tells clips apart


def test_both_parts_have_the_gradient_of_finite_differences():
    x, module = features(4, 3, 2).requires_grad_(), plug_in(2)
    module.person = torch.tensor([1, 1, 0, 0])
    assert torch.autograd.gradcheck(lambda z: module.views(z)[0], x)
    module.views(x)[0].square().sum().backward()
    named = dict(module.named_parameters())
    assert len(named) == 5 and all(p.grad.abs().max() > 0 for p in named.values())


# The objective


def test_the_objective_hands_over_who_it_was_and_takes_it_back():
    model, seen = recognizer(), []
    normalized = model.plug_in.normalized
    model.plug_in.normalized = lambda x: seen.append(model.plug_in.person) or normalized(x)
    x = torch.randn(6, 16, 3) * (1 + PERSON[:, None, None])
    batch = Batch(x, torch.arange(6) % 2, PERSON, torch.arange(6))
    loss = CFD().loss(model, batch)
    assert seen[0] is PERSON and model.plug_in.person is None
    twin = recognizer()
    twin.plug_in.person = PERSON
    expected = F.cross_entropy(twin(batch.x).logits, batch.y)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.item() != pytest.approx(Objective().loss(recognizer(), batch).item(), rel=1e-3)
    with pytest.raises(IndexError):
        CFD().loss(model, replace(batch, y=batch.y + 9))
    assert model.plug_in.person is None


def test_an_empty_batch_is_named():
    none = torch.zeros(0, dtype=torch.long)
    with pytest.raises(ValueError, match=r"x: shape \(0, 16, 8\) holds nothing"):
        CFD().loss(recognizer(), Batch(torch.randn(0, 16, 3), none, none, none))


def test_another_plug_is_named():
    model = Recognizer(tiny_cnn(3, 8), 8, 2, nn.Identity())
    batch = Batch(torch.randn(6, 16, 3), PERSON % 2, PERSON, torch.arange(6))
    with pytest.raises(ValueError, match="plug_in: Identity takes no people. Build it with CFDPlugIn"):
        CFD().loss(model, batch)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_out_of_range_is_named(share):
    with pytest.raises(ValueError, match=f"calibration: must be .* above 0 and below 1, got {share}"):
        CFDPlugIn(3, share)


def test_it_draws_batches_from_eight_people_and_learns_on_unseen_people(toy):
    assert CFD.people == 8
    model = recognizer()
    train = toy.person < 4
    fit(model, toy.take(train), Settings(epochs=20, batch_size=16, learning_rate=0.01), CFD())
    unseen = toy.take(~train)
    assert (predict(model, unseen).argmax(1) == unseen.y).mean() > 0.9
    assert model.plug_in.typical.updates > 0
    share = model.plug_in.calibration_logit.sigmoid()
    assert (share - 0.5).abs().max() > 0.01  # it is learned


ROWS = {
    "everyone": np.arange(96),
    "one person": np.arange(0, 96, 12),
    "one class": np.arange(0, 96, 2),
    "one clip": [5],
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("still", [False, True])
def test_small_and_still_data_train_the_same_way_twice(toy, rows, still):
    data = toy.take(ROWS[rows])
    data = replace(data, x=np.ones_like(data.x)) if still else data
    weights = []
    for _ in range(2):
        model = recognizer()
        losses = fit(model, data, Settings(epochs=1, batch_size=16), CFD())
        assert np.isfinite(losses).all() and np.isfinite(predict(model, data)).all()
        weights.append(torch.cat([v.flatten().float() for v in model.state_dict().values()]))
    assert torch.equal(*weights) and torch.isfinite(weights[0]).all()


def test_half_precision_trains_and_double_gives_the_same():
    model, batch = recognizer(), Batch(torch.randn(6, 16, 3), PERSON % 2, PERSON, torch.arange(6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        CFD().loss(model, batch).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    single = model.eval()(batch.x).logits
    double = model.double()(batch.x.double()).logits
    assert double.dtype == torch.double and torch.allclose(double.float(), single, atol=1e-4)


def test_a_saved_model_is_the_same(tmp_path):
    model, other = recognizer(), CFDPlugIn(8)
    model(torch.randn(6, 16, 3))
    torch.save(model.plug_in.state_dict(), tmp_path / "plug.pt")
    other.load_state_dict(torch.load(tmp_path / "plug.pt", weights_only=True))
    x = torch.randn(4, 16, 8)
    assert torch.equal(other.eval().views(x)[0], model.plug_in.eval().views(x)[0])


def test_weight_decay_leaves_the_calibration_alone():
    module = CFDPlugIn(3)
    kept = parameter_groups(module)[1]["params"]
    assert len(kept) == 1 and kept[0] is module.calibration_logit
