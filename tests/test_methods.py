"""The table of methods: each trains, each knob matters, each ablation changes what it names."""

from __future__ import annotations

from dataclasses import is_dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from piumar_lib.data import Sequences
from piumar_lib.methods import (
    COMMON,
    FIRST_VERSION,
    FIXED,
    METHODS,
    build,
    draw,
    knobs_of,
    resolve,
    settings,
)
from piumar_lib.objective import Clips
from piumar_lib.training import fit, predict

LIVE = [name for name, method in METHODS.items() if not method.archived]
each_method = pytest.mark.parametrize("method", LIVE)
SHORT = {"epochs": 3, "batch": 12}
KINDS = {3: "any", 34: "skeleton"}


def clips(channels):
    """24 clips of 8 frames: three classes that are not too easy, four people."""
    rng = np.random.default_rng(channels)
    y, person = np.arange(24) % 3, np.arange(24) // 3 % 4
    x = rng.standard_normal((24, 8, channels)) + 0.3 * y[:, None, None] * rng.standard_normal(channels)
    return Sequences(x, y, person)


def train(method, data, chosen=None, seed=0):
    """A trained recogniser, its losses, and all its weights in one vector."""
    channels, knobs = data.x.shape[2], resolve(method, SHORT | (chosen or {}))
    model = build(method, channels, data.classes, knobs, seed)
    losses = fit(model, data, settings(method, knobs, KINDS[channels], seed), objective(method, knobs))
    return model, losses, torch.cat([p.detach().flatten() for p in model.parameters()])


def objective(method, knobs):
    return METHODS[method].objective(knobs)


def batch(data):
    people = np.unique(data.person, return_inverse=True)[1]
    return Clips(*map(torch.as_tensor, (data.x, data.y, people, np.arange(len(data)))))


def another(knob):
    """A value that a search may draw: not the default, nor one that switches off if there is another."""
    return next((v for v in reversed(knob.values) if v not in (knob.default, 0)), 0.0)


# Training


@each_method
@pytest.mark.parametrize("channels", KINDS)
def test_every_method_trains(method, channels):
    data = clips(channels)
    before = build(method, channels, 3, resolve(method), 0).head.weight
    model, losses, _ = train(method, data, {"epochs": 1})
    assert np.isfinite(losses).all() and not torch.equal(model.head.weight, before)
    probabilities = predict(model, data)
    assert probabilities.shape == (24, 3) and np.allclose(probabilities.sum(1), 1, atol=1e-5)


@each_method
def test_people_matter_to_those_methods_alone_that_are_told_who_is_who(method):
    data, two = clips(3), {"epochs": 2}
    shuffled = Sequences(data.x, data.y, np.random.default_rng(1).permutation(data.person))
    same = torch.equal(train(method, data, two)[2], train(method, shuffled, two)[2])
    assert same != METHODS[method].told


@each_method
def test_the_same_seed_gives_all_methods_one_backbone_and_one_head(method):
    ours, plain = (build(m, 3, 4, resolve(m), seed=5) for m in (method, "ERM"))
    for part in ("backbone", "head"):
        states = zip(getattr(ours, part).parameters(), getattr(plain, part).parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in states)
    other = build(method, 3, 4, resolve(method), seed=6)
    assert not torch.equal(other.head.weight, ours.head.weight)


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    build("TFAM", 3, 4, resolve("TFAM"), seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_methods_are_what_they_are_called():
    for name, method in METHODS.items():
        assert method.augmented == ("augment" in name), name
        assert method.about and method.kind in ("baseline", "ours", "control", "ablation", "attempt")
        made = settings(name, resolve(name), "skeleton", seed=3)
        assert (made.augmentation, made.seed) == ("skeleton" if method.augmented else "", 3)
        if method.archived:
            continue
        if method.kind == "baseline" and name not in ("ERM", "augmentation", "HDF"):
            parts = (objective(name, resolve(name)), build(name, 3, 4, resolve(name), 0).plug)
            assert name.replace("-", "") in {type(part).__name__ for part in parts}


# Hyperparameters


def test_defaults_are_among_the_values_that_a_search_may_draw():
    for method in METHODS:
        for name, knob in knobs_of(method).items():
            assert knob.default in knob.values and len({*knob.values}) == len(knob.values) > 1
            assert all(resolve(method, {name: value})[name] == value for value in knob.values)
            assert knob.source


def test_common_knobs_reach_the_optimiser_under_every_method():
    chosen = {name: another(knob) for name, knob in COMMON.items()}
    for method in METHODS:
        made = settings(method, resolve(method, chosen), "", 0)
        assert {name: getattr(made, name) for name in COMMON} == chosen


OWN = [
    (method, name)
    for method, chosen in METHODS.items()
    if (chosen.kind in ("baseline", "ours") and not chosen.archived)
    or method in ("GIRL 2", "TFAM 2", "TFAM 2, features", "PIUmr 2")
    for name in chosen.knobs
]


@pytest.fixture(scope="module")
def plain_weights():
    """Each method's weights under its defaults, trained once."""
    found = {}

    def get(method):
        if method not in found:
            found[method] = train(method, clips(3))[2]
        return found[method]

    return get


@pytest.mark.parametrize(("method", "name"), OWN)
def test_no_knob_is_dead(method, name, plain_weights):
    changed = train(method, clips(3), {name: another(METHODS[method].knobs[name])})[2]
    assert not torch.equal(changed, plain_weights(method))


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("ERM", "epochs", 5),
        ("ERM", "batch", 6),
        ("ERM", "width", 8),
        ("ERM", "rate", 0.01),
        ("ERM", "weight_decay", 0.1),
        ("temporal", "steps", 4),
        ("temporal", "at", 1),
        ("MixStyle", "at", 2),
    ],
)
def test_knobs_that_are_never_searched_work_too(method, name, value, plain_weights):
    changed = train(method, clips(3), {name: value})[2]
    assert not torch.equal(changed, plain_weights(method))


def test_fixed_knobs_say_how_to_train():
    made = settings("ERM", resolve("ERM", {"epochs": 7, "batch": 5.0}), "any", 0)
    assert (made.epochs, made.batch) == (7, 5)
    model = build("temporal", 3, 4, resolve("temporal", {"width": 8, "at": 1, "steps": 5}), 0)
    assert (model.head.in_features, model.at, model.plug.steps) == (8, 1, 5)
    assert [build(m, 3, 4, resolve(m), 0).at for m in ("TFAM", "MixStyle", "HDF")] == [0, 1, 2]


def test_the_first_draw_is_the_defaults():
    for method in METHODS:
        assert draw(method, 0) == {}
        assert resolve(method) == {n: k.default for n, k in knobs_of(method).items()} | FIXED


def test_draws_are_determined_by_their_number_and_common_knobs_by_it_alone():
    for method in METHODS:
        for number in range(1, 9):
            drawn = draw(method, number)
            assert drawn == draw(method, number) and list(drawn) == list(knobs_of(method))
            assert {n: drawn[n] for n in COMMON} == {n: draw("ERM", number)[n] for n in COMMON}


def test_a_method_with_few_knobs_tries_as_many_sets_as_the_others():
    for method in METHODS:
        drawn = [resolve(method, draw(method, number)) for number in range(9)]
        assert len({tuple((n, d[n]) for n in COMMON) for d in drawn}) == 9
    tried = [resolve("ERM", draw("ERM", number)) for number in range(6)]
    assert all({d[name] for d in tried} == {*knob.values} for name, knob in COMMON.items())


def test_draws_come_to_every_value_and_no_other():
    for method in METHODS:
        drawn = [draw(method, number) for number in range(1, 80)]
        for name, knob in knobs_of(method).items():
            assert {d[name] for d in drawn} == {*knob.values}


@pytest.mark.parametrize(
    ("method", "chosen", "message"),
    [
        ("magic", {}, "method: 'magic' is unknown. Choose from ERM, augmentation"),
        ("ERM", {"groups": 4}, "groups: ERM has no such knob. Choose from rate, weight_decay, epochs"),
        ("ERM", {"rate": float("nan")}, "rate: nan is not a number"),
        ("ERM", {"rate": float("inf")}, "rate: inf is not a number"),
        ("ERM", {"rate": "fast"}, "rate: 'fast' is not a number"),
        ("ERM", {"rate": True}, "rate: True is not a number"),
        ("ERM", {"rate": 0}, "rate: 0 is out of range"),
        ("ERM", {"rate": -1e-3}, "rate: -0.001 is out of range"),
        ("ERM", {"weight_decay": -1}, r"weight_decay: -1 is out of range. Choose it in \[0, inf\]"),
        ("ERM", {"epochs": 0}, "epochs: 0 is out of range"),
        ("GIRL", {"groups": 0}, "groups: 0 is out of range"),
        ("TFAM", {"probability": 1.1}, r"probability: 1.1 is out of range. Choose it in \[0, 1\]"),
        ("TFAM", {"floor": 1.5}, "floor: 1.5 is out of range"),
        ("reclock", {"chance": 2}, "chance: 2 is out of range"),
        ("Fish", {"share": 1.2}, "share: 1.2 is out of range"),
        ("JTT", {"first": 1.2}, "first: 1.2 is out of range"),
        ("IRM", {"anneal": 1.2}, "anneal: 1.2 is out of range"),
        ("temporal, Sinkhorn", {"epsilon": 0}, "epsilon: 0 is out of range"),
    ],
)
def test_hyperparameters_that_cannot_be_right_are_refused(method, chosen, message):
    with pytest.raises(ValueError, match=message):
        resolve(method, chosen)


@pytest.mark.parametrize("name", ["epochs", "batch", "width", "steps", "at", "groups"])
def test_counts_are_whole_numbers(name):
    assert repr(resolve("PIUmr", {name: 2.0})[name]) == "2"
    with pytest.raises(ValueError, match=f"{name}: 2.5 is not a whole number"):
        resolve("PIUmr", {name: 2.5})


def test_equal_values_look_the_same():
    assert repr(resolve("PIUmr", {"weight": 1})) == repr(resolve("PIUmr", {"weight": 1.0}))
    assert resolve("PIUmr", {"at": None}) == resolve("PIUmr")
    with pytest.raises(ValueError, match="width: None is not a number"):
        resolve("PIUmr", {"width": None})


# Ablations

ABLATIONS = {
    "two identity views": {"plug.temporal": None, "plug.frequency": None},
    "uniform mass": {"plug.temporal.mass": "uniform"},
    "random groups": {"objective.source": "random"},
    "oracle groups": {"objective.source": "person"},
}
ATTEMPTS = {
    "GIRL 2, random groups": {"objective.groups": "RandomGroups"},
    "GIRL 2, oracle groups": {"objective.groups": "PersonGroups"},
    "GIRL 2, exponentiated gradient": {"objective.step": 0.05},
    "PIUmr 2": {"objective.over": "GroupRobustObjective"},
    "PIUmr 2 + augmentation": {"objective.over": "GroupRobustObjective", "augmentation": "any"},
    "TFAM 2, features": {"at": 1},
    "TFAM 2 + augmentation": {"augmentation": "any"},
    "TFAM 2, uniform clock + augmentation": {
        "plug.temporal.clock": "UniformClock",
        "augmentation": "any",
    },
}
BESIDE = {  # not ablations by name, but they say of themselves what they are
    ("TFAM", "TFAM + augmentation"): {"augmentation": "any"},
    ("PIUmr", "PIUmr + augmentation"): {"augmentation": "any"},
    ("reclock", "reclock + augmentation"): {"augmentation": "any"},
    ("ERM", "augmentation"): {"augmentation": "any"},
    ("TFAM", "PIUmr"): {"objective": "GIRL"},
    ("ERM", "GIRL"): {"objective": "GIRL"},
    ("ERM", "GIRL 2"): {"objective": "GroupRobustObjective"},
    ("PIUmr 2", "PIUmr 2 + augmentation"): {"augmentation": "any"},
    ("TFAM 2 + augmentation", "PIUmr 2 + augmentation"): {"objective.over": "GroupRobustObjective"},
    ("ERM", "temporal"): {"plug": "TemporalBranch"},
    ("ERM", "frequency"): {"plug": "FrequencyBranch"},
    ("ERM", "reclock"): {"plug": "Reclock"},
    ("TFAM 2 + augmentation", "TFAM 2, uniform clock + augmentation"): {
        "plug.temporal.clock": "UniformClock"
    },
}


def configured(method, chosen):
    """What a method consists of, as a flat dictionary; new parameters carry no setting."""
    knobs = resolve(method, chosen)
    found = {}

    def walk(path, thing):
        if isinstance(thing, nn.Module) or is_dataclass(thing):
            found[path] = type(thing).__name__
            parts = {k: v for k, v in vars(thing).items() if not k.startswith("_")}
            if isinstance(thing, nn.Module):
                parts |= dict(thing.named_children())
                parts |= {f"{k} (learned)": p.tolist() for k, p in thing.named_parameters(recurse=False)}
            for name, part in parts.items():
                walk(f"{path}.{name}", part)
        else:
            found[path] = thing

    model = build(method, 3, 4, knobs, 0)
    walk("plug", model.plug)
    walk("objective", objective(method, knobs))
    walk("at", model.at)
    walk("settings", settings(method, knobs, "any", 0))
    return {"augmentation": found.pop("settings.augmentation")} | found


def difference(parent, method):
    """Settings of a method that its parent does not have, uppermost ones only."""
    # Under defaults and under other values: what was chosen for the parent must arrive.
    both = {n: k for n, k in METHODS[parent].knobs.items() if n in METHODS[method].knobs}
    found = []
    for knobs in ({}, {name: another(knob) for name, knob in both.items()}):
        old, new = configured(parent, knobs), configured(method, knobs)
        changed = {k: new.get(k) for k in {*old, *new} if old.get(k, "?") != new.get(k, "?")}
        upper = {k for k in changed if not any(k.startswith(f"{other}.") for other in changed)}
        found.append({k: changed[k] for k in upper if k in old or "(learned)" not in k})
    return found


def without_parts(changed, known):
    """Leave out modules that come with an option, such as the gate of a learned fusion."""
    return {k: v for k, v in changed.items() if k in known or v not in ("Linear",)}


@pytest.mark.parametrize("method", {**ABLATIONS, **ATTEMPTS})
def test_ablations_differ_from_their_parent_in_what_they_name(method):
    expected = (ABLATIONS | ATTEMPTS)[method]
    for changed in difference(METHODS[method].like, method):
        assert without_parts(changed, expected) == expected


@pytest.mark.parametrize(("parent", "method"), BESIDE)
def test_methods_differ_from_others_in_what_they_name(parent, method):
    expected = BESIDE[parent, method]
    for changed in difference(parent, method):
        assert without_parts(changed, expected) == expected


def test_every_ablation_and_control_is_checked_above():
    controls = {n for n in LIVE if METHODS[n].kind in ("ablation", "control")}
    assert controls == {*ABLATIONS}


@pytest.mark.parametrize("method", [name for name in METHODS if name not in LIVE])
def test_an_archived_row_knows_its_hyperparameters_and_says_where_it_can_be_trained(method):
    knobs, words = resolve(method), f"first version.* check out commit {FIRST_VERSION}"
    assert knobs and METHODS[method].about
    for start in (lambda: build(method, 3, 4, knobs, 0), lambda: objective(method, knobs)):
        with pytest.raises(ValueError, match=words):
            start()


def test_tfam_holds_the_branches_that_are_judged_alone():
    tfam = configured("TFAM", {})
    for name in ("temporal", "frequency"):
        alone = {k: v for k, v in configured(name, {}).items() if k.startswith("plug.")}
        assert alone == {
            k.replace(f"plug.{name}.", "plug."): v for k, v in tfam.items() if f".{name}." in k
        }


HELD = ("PIUmr 2", "PIUmr 2 + augmentation")  # hold TFAM's, and have more: those keep their defaults


def test_whoever_takes_over_anothers_hyperparameters_has_the_same_ones():
    for name, method in METHODS.items():
        if method.like:
            taken = METHODS[method.like].knobs
            assert not METHODS[method.like].like and taken.items() <= method.knobs.items(), name
            assert (name in HELD) == (len(taken) < len(method.knobs)), name
        assert bool(method.like) or method.kind not in ("ablation", "control"), name


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])  # exact in floating point; about 1e-9 and 1e9
@pytest.mark.parametrize("name", ["ERM", "ReMA", "TFAM 2", "GIRL", "PIUmr 2 + augmentation"])
def test_the_unit_of_the_data_does_not_matter(toy, name, unit):
    still = np.ones((96, 16, 1), np.float32)  # a channel that never moves
    data = replace(toy, x=np.concatenate([toy.x[..., :2], still], axis=2))
    other = replace(data, x=data.x * np.float32(unit))
    (model, losses, _), (again, others, _) = train(name, data), train(name, other)
    assert losses == others and (predict(model, data) == predict(again, other)).all()
