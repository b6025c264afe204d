"""The table of methods: each trains, each hyperparameter matters, each variant changes one thing."""

from __future__ import annotations

from dataclasses import is_dataclass, replace

import numpy as np
import pytest
import torch
from slow import slow_but
from torch import nn

from piumar_lib.data import Sequences
from piumar_lib.evidence.methods import (
    AUGMENTATION,
    BACKBONES,
    COMMON,
    FIXED,
    METHODS,
    WITHOUT_AUGMENTATION,
    build,
    draw,
    hyperparameters_of,
    resolve,
    settings,
)
from piumar_lib.training import fit, predict

ON_VIDEO = [name for name, method in METHODS.items() if method.behind_stages is not None]
NETWORKS = [name for name, row in METHODS.items() if row.classify is None and name not in ON_VIDEO]
PLAIN = [name for name in NETWORKS if not METHODS[name].augmented]
each_method = pytest.mark.parametrize("method", NETWORKS)
each_plain = pytest.mark.parametrize("method", PLAIN)
SHORT = {"epochs": 4, "batch_size": 12}
KINDS = {3: "any", 34: "skeleton"}
PARENTS = (-1, 0, 1, 2)  # a chain of four joints


def clips(channels):
    """24 clips of 16 frames: three classes that are not too easy, four people."""
    rng = np.random.default_rng(channels)
    y, person = np.arange(24) % 3, np.arange(24) // 3 % 4
    x = rng.standard_normal((24, 16, channels)) + 0.3 * y[:, None, None] * rng.standard_normal(channels)
    return Sequences(x, y, person, parents=PARENTS if channels == 12 else None)


def train(method, data, chosen=None, seed=0):
    """A trained recogniser, its losses, and all its weights in one vector."""
    channels, k = data.x.shape[2], resolve(method, SHORT | (chosen or {}))
    model = build(method, channels, data.classes, k, seed, data.parents)
    made = settings(method, k, KINDS.get(channels, "any"), seed, len(data))
    losses = fit(model, data, made, objective(method, k))
    return model, losses, torch.cat([p.detach().flatten() for p in model.parameters()])


def objective(method, k):
    return METHODS[method].objective(k)


def another(one):
    """A value that a search may draw: not the default, nor one that switches off if there is another."""
    return next((v for v in reversed(one.values) if v not in (one.default, 0)), 0.0)


# Training


@each_method
def test_every_method_trains(method):
    data = clips(3)
    before = build(method, 3, 3, resolve(method), 0).head.weight
    model, losses, _ = train(method, data, {"epochs": 1})
    assert np.isfinite(losses).all() and not torch.equal(model.head.weight, before)
    probabilities = predict(model, data)
    assert probabilities.shape == (24, 3) and np.allclose(probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["augmentation", "TFAM + augmentation", "PIUmr + augmentation"])
def test_bodies_in_a_picture_are_augmented_too(method):
    assert np.isfinite(train(method, clips(34), {"epochs": 1})[1]).all()


FEW = ("ERM", "TFAM, feature level", "MixStyle", "HDF", "PIUmr")  # plug-ins of all kinds and places
EVERY = [(method, backbone) for method in PLAIN for backbone in BACKBONES]


@pytest.mark.parametrize(
    ("method", "backbone"), slow_but([pair for pair in EVERY if pair[0] in FEW or "cnn" in pair], EVERY)
)
def test_every_backbone_takes_every_plug_and_trains_a_step(method, backbone):
    data = clips(12)
    small = {"updates": 1, "batch_size": 24, "width": 8, "backbone": backbone}
    model, losses, _ = train(method, data, small)
    assert len(losses) == 1 and np.isfinite(losses).all()
    assert predict(model, data).shape == (24, 3)


def test_a_graph_network_needs_a_skeleton():
    k = resolve("ERM", {"backbone": "skeleton_graph"})
    with pytest.raises(ValueError, match="skeleton_graph needs a skeleton. Give clips with `parents`"):
        build("ERM", 12, 3, k, 0)


@each_plain
def test_people_matter_to_those_methods_alone_that_are_told_who_is_who(method):
    data, two = clips(3), {"epochs": 2}
    shuffled = Sequences(data.x, data.y, np.random.default_rng(1).permutation(data.person))
    same = torch.equal(train(method, data, two)[2], train(method, shuffled, two)[2])
    assert same != METHODS[method].uses_person_labels


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


CALLED = {"masked ReMA": "MaskedReMA", "weight averaging": "WeightAveraging", "reclock": "Reclock"}


def test_methods_are_what_they_are_called():
    for name in NETWORKS:
        method, plain = METHODS[name], name.removesuffix(" + augmentation")
        assert method.augmented == ("augment" in name), name
        assert method.about and method.kind in ("baseline", "ours", "control")
        made = settings(name, resolve(name), "skeleton", seed=3)
        assert (made.augmentation, made.seed) == ("skeleton" if method.augmented else "", 3)
        if method.kind == "baseline" and plain not in ("ERM", "augmentation", "HDF"):
            parts = (objective(name, resolve(name)), build(name, 3, 4, resolve(name), 0).plug_in)
            assert CALLED.get(plain, plain.replace("-", "")) in {type(part).__name__ for part in parts}


def test_minirocket_classifies_without_a_recogniser():
    data = clips(3)
    found = METHODS["MiniRocket"].classify(data.take(data.person < 3), data.take(data.person == 3), 0)
    assert found.shape == (6,) and {*found} <= {0, 1, 2}
    with pytest.raises(ValueError, match="'fixed convolutions, ridge classifier' has no recogniser"):
        build("MiniRocket", 3, 3, resolve("MiniRocket"), 0)
    assert [name for name in METHODS if name not in NETWORKS] == [*ON_VIDEO, "MiniRocket"]


# Hyperparameters


def test_defaults_are_among_the_values_that_a_search_may_draw():
    for method in METHODS:
        for name, one in hyperparameters_of(method).items():
            assert one.default in one.values and one.source
            assert all(resolve(method, {name: value})[name] == value for value in one.values)


def test_common_hyperparameters_reach_the_optimiser_under_every_method():
    chosen = {name: another(one) for name, one in COMMON.items()}
    for method in NETWORKS:
        made = settings(method, resolve(method, chosen), "", 0)
        assert {"learning_rate": made.learning_rate, "weight_decay": made.weight_decay} == chosen


def test_the_strength_of_augmentation_is_a_hyperparameter_of_those_who_augment():
    for method in METHODS:
        assert ("augmentation_strength" in hyperparameters_of(method)) == METHODS[method].augmented
    k = resolve("TFAM + augmentation", {"augmentation_strength": 2})
    assert settings("TFAM + augmentation", k, "any", 0).strength == 2
    assert settings("TFAM", resolve("TFAM"), "any", 0).strength == 1


OWN = [(method, name) for method in PLAIN for name in METHODS[method].hyperparameters]
OWN += [("augmentation", "augmentation_strength")]
LONGER = {"EIIL": {"epochs": 8}}  # until a reference that was trained for longer errs elsewhere


@pytest.fixture(scope="module")
def plain_weights():
    """Each method's weights under its defaults, trained once."""
    found = {}

    def get(method):
        if method not in found:
            found[method] = train(method, clips(3), LONGER.get(method))[2]
        return found[method]

    return get


# What has no say in these: groups that are people, a ball that is not there, a clock that is even, a
# spectrum that stays, a second view that is the first.
SILENT = {
    "GIRL, true people": {"groups"},
    "PIUmr, true people": {"groups"},
    "GIRL, exponentiated gradient": {"radius"},
    "two equal views": {"floor", "amplitude_step", "scale", "probability", "consistency"},
    "TFAM, uniform clock": {"floor"},
    "TFAM, no perturbation": {"scale", "probability"},
}


@pytest.mark.parametrize(("method", "name"), OWN)
def test_no_hyperparameter_is_dead(method, name, plain_weights):
    chosen = {name: another(hyperparameters_of(method)[name])} | LONGER.get(method, {})
    changed = train(method, clips(3), chosen)[2]
    assert torch.equal(changed, plain_weights(method)) == (name in SILENT.get(method, ()))


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("ERM", "epochs", 5),
        ("ERM", "updates", 2),
        ("ERM", "batch_size", 6),
        ("ERM", "width", 8),
        ("ERM", "backbone", "resnet"),
        ("ERM", "learning_rate", 0.01),
        ("ERM", "weight_decay", 0.1),
        ("TFAM", "steps", 4),
        ("TFAM", "layer", 1),
        ("MixStyle", "layer", 2),
    ],
)
def test_hyperparameters_that_are_never_searched_work_too(method, name, value, plain_weights):
    changed = train(method, clips(3), {name: value})[2]
    assert not torch.equal(changed, plain_weights(method))


def test_fixed_hyperparameters_say_how_to_train():
    made = settings("ERM", resolve("ERM", {"epochs": 7, "batch_size": 5.0}), "any", 0)
    assert (made.epochs, made.batch_size) == (7, 5)
    k = resolve("TFAM", {"width": 8, "layer": 1, "steps": 5})
    model = build("TFAM", 3, 4, k, 0)
    assert (model.head.in_features, model.at, model.plug_in.temporal.steps) == (8, 1, 5)
    named = ("TFAM", "TFAM, feature level", "MixStyle", "HDF", "CFD")
    assert [build(m, 3, 4, resolve(m), 0).at for m in named] == [0, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("updates", "clips", "size", "epochs"),
    [(600, 640, 64, 60), (600, 2000, 64, 19), (3, 1000, 64, 1), (600, 10, 64, 600), (7, 96, 32, 2)],
)
def test_updates_are_as_many_whatever_the_number_of_clips(updates, clips, size, epochs):
    k = resolve("ERM", {"updates": updates, "batch_size": size, "epochs": 5})
    assert settings("ERM", k, "any", 0, clips).epochs == epochs


# The search


def test_the_first_draw_is_the_defaults():
    for method in METHODS:
        assert draw(method, 0) == {}
        defaults = {n: one.default for n, one in hyperparameters_of(method).items()}
        assert resolve(method) == defaults | FIXED


def test_equal_numbers_draw_equal_common_hyperparameters_and_strengths():
    for method in METHODS:
        for number in range(1, 9):
            drawn = draw(method, number)
            assert drawn == draw(method, number) and list(drawn) == list(hyperparameters_of(method))
            shared = [name for name in COMMON | AUGMENTATION if name in drawn]
            plain = draw("augmentation", number)
            assert {n: drawn[n] for n in shared} == {n: plain[n] for n in shared}


@pytest.mark.parametrize("method", WITHOUT_AUGMENTATION)
def test_a_draw_with_augmentation_is_the_same_but_for_its_strength(method):
    for number in range(1, 9):
        drawn = draw(f"{method} + augmentation", number)
        del drawn["augmentation_strength"]
        assert drawn == draw(method, number)


def test_a_method_with_few_hyperparameters_tries_as_many_sets_as_the_others():
    for method in METHODS:
        drawn = [resolve(method, draw(method, number)) for number in range(9)]
        assert len({tuple((n, d[n]) for n in COMMON) for d in drawn}) == 9
    tried = [resolve("ERM", draw("ERM", number)) for number in range(6)]
    assert all({d[name] for d in tried} == {*one.values} for name, one in COMMON.items())


def test_draws_come_to_every_value_and_no_other():
    for method in METHODS:
        drawn = [draw(method, number) for number in range(1, 80)]
        for name, one in hyperparameters_of(method).items():
            assert {d[name] for d in drawn} == {*one.values}


# Mistakes


@pytest.mark.parametrize(
    ("method", "chosen", "message"),
    [
        ("magic", {}, "magic: there is no such method. Choose from ERM, augmentation"),
        (
            "ERM",
            {"groups": 4},
            "groups: ERM has no such hyperparameter. Choose from learning_rate, weight_decay, epochs",
        ),
        ("ERM", {"augmentation_strength": 1}, "augmentation_strength: ERM has no such hyperparameter"),
        ("ERM", {"learning_rate": float("nan")}, "learning_rate: must be a number, above 0, got nan"),
        ("ERM", {"learning_rate": float("inf")}, "learning_rate: must be a number, above 0, got inf"),
        ("ERM", {"learning_rate": "fast"}, "learning_rate: must be a number, above 0, got 'fast'"),
        ("ERM", {"learning_rate": True}, "learning_rate: must be a number, above 0, got True"),
        ("ERM", {"learning_rate": 0}, "learning_rate: must be .*, got 0"),
        ("ERM", {"learning_rate": -1e-3}, "learning_rate: must be .*, got -0.001"),
        ("ERM", {"weight_decay": -1}, "weight_decay: must be .* got -1 .Weight decay of AdamW"),
        ("ERM", {"epochs": 0}, "epochs: must be .*, got 0"),
        ("ERM", {"updates": 0}, "updates: must be .*, got 0"),
        ("ERM", {"backbone": "vit"}, "backbone: must be one of cnn, resnet, .* got 'vit'"),
        ("augmentation", {"augmentation_strength": 0}, "augmentation_strength: must be .*, got 0"),
        ("GIRL", {"groups": 0}, "groups: must be .*, got 0"),
        ("TFAM", {"probability": 1.1}, "probability: must be .*, got 1.1"),
        ("TFAM", {"floor": 1.5}, "floor: must be .*, got 1.5"),
        ("reclock", {"probability": 2}, "probability: must be .*, got 2"),
        ("Fish", {"share": 1.2}, "share: must be .*, got 1.2"),
        ("JTT", {"first": 1.2}, "first: must be .*, got 1.2"),
        ("IRM", {"anneal": 1.2}, "anneal: must be .*, got 1.2"),
    ],
)
def test_hyperparameters_that_cannot_be_right_are_refused(method, chosen, message):
    with pytest.raises(ValueError, match=message):
        resolve(method, chosen)


@pytest.mark.parametrize("name", [*(n for n in FIXED if n != "backbone"), "groups"])
def test_counts_are_whole_numbers(name):
    assert repr(resolve("PIUmr", {name: 2.0})[name]) == "2"
    with pytest.raises(ValueError, match=f"{name}: must be a whole number, .* got 2.5"):
        resolve("PIUmr", {name: 2.5})


def test_equal_values_look_the_same():
    assert repr(resolve("PIUmr", {"beta": 1})) == repr(resolve("PIUmr", {"beta": 1.0}))
    assert resolve("PIUmr", {"layer": None, "updates": None}) == resolve("PIUmr")
    with pytest.raises(ValueError, match="width: must be a whole number, at least 1, got None"):
        resolve("PIUmr", {"width": None})


# One thing at a time

# What the variants of `Method.like` change, against the first method named there:
VARIANTS = {
    "TFAM, feature level": {"at": 1},
    "PIUmr": {"objective.over": "GroupRobustObjective"},
    "TFAM, uniform clock": {"plug_in.temporal.clock": "UniformClock"},
    "TFAM, no perturbation": {"plug_in.frequency.scale": 0.0},
    "two equal views": {
        "plug_in.temporal.clock": "UniformClock",
        "plug_in.temporal.amplitude.step": 0.0,
        "plug_in.frequency.scale": 0.0,
    },
    "GIRL, random groups": {"objective.groups": "RandomGroups"},
    "GIRL, true people": {"objective.groups": "PersonGroups"},
    "GIRL, exponentiated gradient": {"objective.step": 0.05},
    "PIUmr, random groups": {"objective.over": "GroupRobustObjective"},
    "PIUmr, true people": {"objective.over": "GroupRobustObjective"},
}
# Others, which say by their names what they change:
BESIDE = {
    ("ERM", "augmentation"): {"augmentation": "any"},
    ("PIUmr", "PIUmr, random groups"): {"objective.over.groups": "RandomGroups"},
    ("PIUmr", "PIUmr, true people"): {"objective.over.groups": "PersonGroups"},
    ("ERM", "GIRL"): {"objective": "GroupRobustObjective"},
    ("ERM", "reclock"): {"plug_in": "Reclock"},
    ("ERM", "CORAL"): {"objective": "CORAL"},
    ("TFAM", "MGSC"): {"objective": "MGSC"},
}


def configured(method, chosen):
    """What a method consists of, as a flat dictionary; learned parameters carry no setting."""
    k = resolve(method, chosen)
    found = {}

    def walk(path, thing):
        if isinstance(thing, nn.Module) or is_dataclass(thing):
            found[path] = type(thing).__name__
            parts = {name: v for name, v in vars(thing).items() if not name.startswith("_")}
            if isinstance(thing, nn.Module):
                parts |= dict(thing.named_children())
                own = thing.named_parameters(recurse=False)
                parts |= {f"{name} (learned)": p.tolist() for name, p in own}
            for name, part in parts.items():
                walk(f"{path}.{name}", part)
        else:
            found[path] = thing

    model = build(method, 3, 4, k, 0)
    walk("plug_in", model.plug_in)
    walk("objective", objective(method, k))
    walk("at", model.at)
    walk("settings", settings(method, k, "any", 0))
    return {"augmentation": found.pop("settings.augmentation")} | found


def difference(parent, method):
    """Settings of a method that its parent does not have, uppermost ones only.

    Under defaults and under other values: what was chosen for the parent must arrive.
    """
    theirs, ours = METHODS[parent].hyperparameters, METHODS[method].hyperparameters
    both = COMMON | {name: one for name, one in theirs.items() if name in ours}
    found = []
    for k in ({}, {name: another(one) for name, one in both.items()}):
        old, new = configured(parent, k), configured(method, k)
        changed = {key: new.get(key) for key in {*old, *new} if old.get(key, "?") != new.get(key, "?")}
        upper = {key for key in changed if not any(key.startswith(f"{o}.") for o in changed)}
        found.append({key: changed[key] for key in upper})
    return found


@pytest.mark.parametrize("end", ["", " + augmentation"])
@pytest.mark.parametrize("method", VARIANTS)
def test_a_variant_differs_from_what_it_is_like_in_one_thing(method, end):
    first = METHODS[method + end].like[0]
    for changed in difference(first, method + end):
        assert changed == VARIANTS[method]


@pytest.mark.parametrize(("parent", "method"), BESIDE)
def test_methods_differ_from_others_in_what_they_name(parent, method):
    for changed in difference(parent, method):
        assert changed == BESIDE[parent, method]


@pytest.mark.parametrize("method", PLAIN)
def test_a_method_with_augmentation_differs_in_augmentation_alone(method):
    other = "augmentation" if method == "ERM" else f"{method} + augmentation"
    for changed in difference(method, other):
        assert changed == {"augmentation": "any"}
    plain, more = METHODS[method], METHODS[other]
    assert more.hyperparameters == plain.hyperparameters
    assert (more.kind, more.uses_person_labels) == (plain.kind, plain.uses_person_labels)


def test_every_variant_is_checked_above():
    assert {n for n in PLAIN if METHODS[n].like} == {*VARIANTS}
    assert {n for n in PLAIN if METHODS[n].kind == "control"} <= {*VARIANTS}


def test_whoever_takes_over_others_hyperparameters_has_the_same_ones():
    for name in METHODS:
        taken = {}
        for other in METHODS[name].like:
            assert not METHODS[other].like and METHODS[other].augmented == METHODS[name].augmented
            taken |= hyperparameters_of(other)
        assert not taken or taken == hyperparameters_of(name), name


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])  # exact in floating point; about 1e-9 and 1e9
@pytest.mark.parametrize("name", ["ERM", "ReMA", "TFAM", "GIRL", "PIUmr + augmentation"])
def test_the_unit_of_the_data_does_not_matter(toy, name, unit):
    still = np.ones((96, 16, 1), np.float32)  # a channel that never moves
    data = replace(toy, x=np.concatenate([toy.x[..., :2], still], axis=2))
    other = replace(data, x=data.x * np.float32(unit))
    (model, losses, _), (again, others, _) = train(name, data), train(name, other)
    assert losses == others and (predict(model, data) == predict(again, other)).all()


def test_updates_without_a_number_of_clips_are_refused():
    k = resolve("ERM", {"updates": 600})
    assert settings("ERM", k, "", 0, clips=1600).epochs == 24
    with pytest.raises(ValueError, match="clips: must be at least 1 to turn updates into epochs, got 0"):
        settings("ERM", k, "", 0)
