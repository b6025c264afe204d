"""The log of attempts: what each differs in, which people it looks at, and what is read from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import stats

from piumar_lib.alignment import UniformClock
from piumar_lib.batch import Batch
from piumar_lib.data import save_npz
from piumar_lib.evidence import development, folds
from piumar_lib.evidence.development import (
    ATTEMPTS,
    PEOPLE,
    POOLS,
    Attempt,
    data_sets,
    hyperparameters_of,
    lines_of,
    main,
    make,
    method_of,
    outcome,
    read_log,
    roles,
    rows,
    trainings,
    where,
)
from piumar_lib.evidence.methods import METHODS, build
from piumar_lib.evidence.records import read_records
from piumar_lib.evidence.variants import (
    UNALIGNED,
    VARIANTS,
    SimilarityGroups,
    SimilarityMargin,
    UnsignedMargin,
)
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.pseudo_groups import RandomGroups, residual_style
from piumar_lib.settings import Settings
from piumar_lib.stepper import Stepper

FOUND = {name: name for name in ("synthetic", "spar-own-tempo", "spar-repetitions")}
each_attempt = pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda a: a.about)
AUGMENTATION = Attempt("augmentation", "augmentation", {}, "ERM", "ERM")


def model_of(name, chosen, channels=34):
    return build(method_of(name), channels, 4, hyperparameters_of(name, chosen), seed=0)


# What is tried


def test_no_two_attempts_have_a_name_or_a_setting_in_common():
    assert len({a.about for a in ATTEMPTS}) == len(ATTEMPTS)
    settings = {
        (a.method, *sorted(hyperparameters_of(a.method, a.hyperparameters).items())) for a in ATTEMPTS
    }
    assert len(settings) == len(ATTEMPTS)
    assert not {*VARIANTS} & {*METHODS}


@each_attempt
def test_the_roles_of_an_attempt_share_every_hyperparameter_that_they_have(attempt):
    chosen = {role: k for role, (_, k) in roles(attempt).items()}
    for k in chosen.values():
        assert all(k[name] == value for name, value in attempt.hyperparameters.items() if name in k)
        assert all(k[name] == chosen["tried"][name] for name in {*k} & {*chosen["tried"]})
    assert chosen["control"].keys() == chosen["tried"].keys()


@each_attempt
def test_each_attempt_knows_its_hyperparameters(attempt):
    changed = attempt.hyperparameters
    assert {*changed} <= {*hyperparameters_of(attempt.method, changed)}


@each_attempt
def test_a_control_differs_in_its_clock_or_in_its_groups_alone(attempt):
    names, changed = (attempt.method, attempt.control), attempt.hyperparameters
    tried, control = map(method_of, names)
    assert tried.augmented == control.augmented
    ours, theirs = (model_of(name, changed) for name in names)
    if "random groups" in attempt.control or "by lot" in attempt.control:
        assert (ours.plug_in is None) == (theirs.plug_in is None)
        made = [method_of(name).objective(hyperparameters_of(name, changed)) for name in names]
        over = [getattr(objective, "over", objective) for objective in made]
        assert all(isinstance(o, GroupRobustObjective) for o in over)
        assert type(over[1].groups) is RandomGroups
        assert over[0].radius == over[1].radius and over[0].beta == over[1].beta
        return
    if "first version" in attempt.method:
        assert (ours.plug_in.temporal.mass, theirs.plug_in.temporal.mass) == ("motion", "uniform")
        return
    assert isinstance(theirs.plug_in.temporal.clock, UniformClock)
    assert not isinstance(ours.plug_in.temporal.clock, UniformClock)
    assert ours.at == theirs.at
    assert type(ours.plug_in.fusion) is type(theirs.plug_in.fusion)
    for name in ("kind", "scale", "probability", "coefficients", "groups_of_channels"):
        assert getattr(ours.plug_in.frequency, name) == getattr(theirs.plug_in.frequency, name)


def test_all_that_was_asked_for_is_tried():
    changed = [a.hyperparameters for a in ATTEMPTS if a.against == "augmentation"]
    assert {k["layer"] for k in changed if "layer" in k} == {1, 2, 3}  # and the input, by default
    assert {k["steps"] for k in changed if "steps" in k} == {32, 64}  # and 16
    assert {k["width"] for k in changed if "width" in k} == {64}  # and 32
    assert {"all motion", "arc length", "swap", "mean fusion", "first gate"} <= {
        a.method for a in ATTEMPTS
    }


# On whom


def test_nobody_of_a_final_fold_is_looked_at():
    for training, place in trainings(ATTEMPTS[:2], FOUND, 1):
        chosen, search = where(place)
        assert training.fold in chosen
        assert search == (place in folds.SPAR)
        if place in folds.SYNTHETIC:
            assert training.fold in folds.DEVELOPMENT
            assert training.fold not in folds.FINAL


def test_the_first_seed_comes_first_and_nothing_is_trained_twice():
    jobs = [job for job, _ in trainings(ATTEMPTS, FOUND, 2)]
    assert len(jobs) == len({*jobs})
    seeds = [job.seed for job in jobs]
    assert seeds == sorted(seeds) and {*seeds} == {0, 1}


def test_real_people_at_their_own_tempo_and_at_one_length(tmp_path, toy):
    for name in PEOPLE:
        save_npz(tmp_path / f"{name}.npz", toy)
    found = data_sets(tmp_path, tmp_path / "made")
    assert {name for pool in POOLS.values() for name in pool} == {*found}
    short = folds.load_fold(found["utkinect, one length"], 0)
    assert short.train.x.shape[1] == development.LENGTH
    (tmp_path / "utkinect.npz").unlink()
    with pytest.raises(FileNotFoundError, match="utkinect.npz: no such file. Put msraction3d, utkinect"):
        data_sets(tmp_path, tmp_path / "made")
    assert {*data_sets(None)} == {*FOUND}


# From trainings to lines


@pytest.fixture
def own_place(own, monkeypatch):
    """One data set of a reader's, in a pool of its own."""
    monkeypatch.setattr(development, "POOLS", {"own": ("own",)})
    return {"own": own}


def test_what_is_trained_is_kept_and_logged(own_place, tmp_path, monkeypatch):
    out = tmp_path / "trainings.jsonl"
    done = make([AUGMENTATION], own_place, 1, out, 1)
    trained = len(read_records(out))
    assert trained == len(done) == 2 * len(folds.folds(own_place["own"]))
    monkeypatch.setattr(development, "run", None)  # nothing is trained again
    assert make([AUGMENTATION], own_place, 1, out, 1) == done
    (line,) = lines_of([AUGMENTATION], done)
    assert str(tmp_path) not in json.dumps(line)  # a log is for others
    assert line["data"] == "own" and line["content"] == folds.identify(own_place["own"])[1]
    assert line["seeds"] == [0] and line["command"] and line["commit"] and line["device"]
    everyone = folds.load_fold(own_place["own"], 0)
    people = {*everyone.train.people, *everyone.unseen.people}
    assert {*line["people"]} == {str(p) for p in people}
    for tried, against, control in line["people"].values():
        assert 0 <= tried <= 1 and against == control
    record = next(r for r in done.values() if r["method"] == "augmentation" and r["fold"] == 0)
    for person, (right, clips) in record["people"].items():
        assert line["people"][person][0] == pytest.approx(right / clips, abs=1e-6)


def test_a_training_that_diverges_counts_no_clip_and_says_why(own_place):
    diverging = Attempt("diverging", "ERM", {"learning_rate": 1e30}, "ERM", "ERM")
    ((job, place), *_) = trainings([diverging], own_place, 1)
    record = development.run(job, place)
    assert "loss is" in record["failed"] and sum(right for right, _ in record["people"].values()) == 0


def test_a_file_that_changed_meanwhile_is_not_trained_on(own_place, tmp_path, toy):
    ((job, place), *_) = trainings([AUGMENTATION], own_place, 1)
    with pytest.raises(ValueError, match="has changed meanwhile. Start the same command again"):
        development.run(job._replace(content="another"), place)


def test_only_seeds_with_all_folds_count(own_place, tmp_path):
    done = make([AUGMENTATION], own_place, 1, tmp_path / "t.jsonl", 1)
    last = max(done, key=lambda key: key.fold)
    short = {key: value for key, value in done.items() if key != last}
    # A fold that no role lacks is needed from all three.
    assert last.method in ("ERM", "augmentation")
    assert lines_of([AUGMENTATION], short) == [] or last.method == "augmentation"


def lines(gains, data="a", attempt="tried"):
    people = {str(k): [0.5 + g, 0.5, 0.5 - g] for k, g in enumerate(gains)}
    return {"attempt": attempt, "data": data, "people": people}


def test_outcomes_are_paired_differences_with_t_intervals(monkeypatch):
    monkeypatch.setattr(development, "POOLS", {"one": ("a",), "both": ("a", "b")})
    a, b = lines([0.01, 0.03, 0.05]), lines([0.02, -0.01], "b")
    found = outcome([a, b], "both")
    expected = stats.ttest_1samp([0.01, 0.03, 0.05, 0.02, -0.01], 0).confidence_interval(0.95)
    assert found.difference == pytest.approx(0.02) and found.people == 5
    assert (found.low, found.high) == pytest.approx([*expected])
    assert outcome([a, b], "one").people == 3
    assert outcome([a, b], "one", "control").difference == pytest.approx(0.06)
    assert outcome([a], "both") is None  # not made on all of it
    alone = outcome([lines([0.1])], "one")
    assert alone.difference == pytest.approx(0.1) and np.isnan(alone.low)


def test_outcomes_of_synthetic_people_are_over_their_populations():
    gains = np.random.default_rng(0).normal(0.02, 0.03, (5, 20)) + 0.05 * np.arange(5)[:, None]
    people = {
        str(1000 + 100 * f + p): [0.5 + gains[f, p], 0.5, 0.5] for f in range(5) for p in range(20)
    }
    found = outcome([{"data": "synthetic", "people": people}], "synthetic")
    expected = stats.ttest_1samp(gains.mean(1), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx([*expected]) and found.people == 100
    train, unseen, _ = folds.load_fold("synthetic:people=2,clips=1", 3)
    assert {*unseen.person // 100} == {13}  # by which a population is known


def test_a_table_has_a_line_for_each_attempt(monkeypatch):
    monkeypatch.setattr(development, "POOLS", {"one": ("a",), "other": ("b",)})
    table = rows({"tried": [lines([0.01, 0.02, 0.03])]})
    assert table == [["tried", "+2.0 [-0.5, +4.5]", ""]]


def test_the_command_writes_the_log_of_what_is_there(own_place, tmp_path, monkeypatch, capsys):
    out, log = tmp_path / "trainings.jsonl", tmp_path / "log.jsonl"
    monkeypatch.setattr(development, "ATTEMPTS", (AUGMENTATION,))
    monkeypatch.setattr(development, "data_sets", lambda people: own_place)
    main(["--trainings", str(out), "--out", str(log), "--workers", "1"])
    first = log.read_text()
    main(["--trainings", str(out), "--out", str(log), "--log"])
    assert log.read_text() == first and [*read_log(log)] == ["augmentation"]
    assert "over what it has to beat, points:" in capsys.readouterr().out


def test_a_log_does_not_lose_its_lines(own_place, tmp_path, monkeypatch, capsys):
    out, log = tmp_path / "trainings.jsonl", tmp_path / "log.jsonl"
    log.write_text(json.dumps(lines([0.1], "msraction3d, own tempo")) + "\n")
    before = log.read_text()
    options = ["--trainings", str(out), "--out", str(log), "--workers", "1"]
    assert main([*options, "--log"]) == 1
    assert "trainings.jsonl: no trainings. Make them: python -m" in capsys.readouterr().err
    monkeypatch.setattr(development, "ATTEMPTS", (AUGMENTATION,))
    monkeypatch.setattr(development, "data_sets", lambda people: own_place)
    assert main(options) == 1 and not out.exists()  # said before anything is trained
    words = "would lose 1 of its lines, among them tried on msraction3d, own tempo. Give --people"
    assert words in capsys.readouterr().err
    make([AUGMENTATION], own_place, 1, out, 1)
    assert main([*options, "--log"]) == 1 and log.read_text() == before


def test_the_committed_log_is_of_people_for_development():
    log = read_log()
    assert {*log} <= {a.about for a in ATTEMPTS}
    for line in (line for of in log.values() for line in of):
        assert line["data"] in {name for pool in POOLS.values() for name in pool}
        attempt = next(a for a in ATTEMPTS if a.about == line["attempt"])
        assert line["hyperparameters"] == attempt.hyperparameters
        assert [line[role] for role in roles(attempt)] == [name for name, _ in roles(attempt).values()]
        assert "/" not in line["command"].replace("../", "")  # no paths of a machine


# Variants


def test_every_variant_is_tried():
    used = {name for a in ATTEMPTS for name in (a.method, a.against, a.control)}
    assert {*VARIANTS} <= used and UNALIGNED in used


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains(name):
    x, y = torch.randn(16, 32, 34).cumsum(1), torch.arange(16) % 4
    batch = Batch(x, y, torch.arange(16) % 3, torch.arange(16))
    model, objective = model_of(name, {}), method_of(name).objective(hyperparameters_of(name, {}))
    model.standardize(x)
    objective.start(model, batch, Settings())
    for epoch in range(2):
        objective.before_epoch(batch, epoch)
        loss = objective.loss(model.train(), batch)
        loss.backward()
        assert torch.isfinite(loss)


def test_a_sure_mistake_is_easy_to_a_margin_without_sign_only():
    class Said:
        logits = torch.tensor([[0.0, 9.0], [0.1, 0.0], [9.0, 0.0]])  # sure mistake, unsure, sure
        features = torch.eye(3)

    batch = Batch(torch.zeros(3, 2, 1), torch.zeros(3, dtype=torch.long), None, None)
    unsigned = UnsignedMargin(beta=3.0).hardness(Said, batch)
    signed = GroupRobustObjective(beta=3.0).hardness(Said, batch)
    assert unsigned.argmax() == 1 and signed.argmax() == 0
    assert unsigned.mean() == pytest.approx(1) and signed.mean() == pytest.approx(1)


def test_margins_of_similarity_fall_back_to_logits_where_a_class_has_one_clip():
    class Said:
        logits = torch.randn(4, 2)
        features = torch.tensor([[1.0, 0], [1, 0.1], [0.1, 1], [1, 0.2]])

    objective = SimilarityMargin(beta=3.0)
    pairs = Batch(torch.zeros(4, 2, 1), torch.tensor([0, 0, 1, 1]), None, None)
    weights = objective.hardness(Said, pairs)
    assert weights.argmax() == 3  # of class 1, among clips of class 0
    lonely = Batch(torch.zeros(4, 2, 1), torch.tensor([0, 0, 0, 1]), None, None)
    expected = GroupRobustObjective(beta=3.0).hardness(Said, lonely)
    assert torch.equal(objective.hardness(Said, lonely), expected)


def test_similar_clips_share_a_group_whatever_their_size():
    ways = torch.randn(3, 6)
    which = torch.arange(24) % 3
    style = ways[which] * (1 + 5 * torch.rand(24, 1)) + 0.01 * torch.randn(24, 6)
    data = Batch(None, torch.zeros(24, dtype=torch.long), None, torch.arange(24))
    style = style - style.mean(0)
    found = SimilarityGroups(3).find(style, data, 0)
    ours = residual_style(style, data.y)
    ours = ours / ours.norm(dim=1, keepdim=True)
    same = found[:, None] == found
    cosine = ours @ ours.T
    assert cosine[same].mean() > cosine[~same].mean() + 0.5
    single = Batch(None, torch.arange(24), None, torch.arange(24))
    assert len(SimilarityGroups(3).find(style, single, 0).unique()) == 24


def test_a_step_is_judged_on_a_group_that_it_left_out(monkeypatch):
    torch.manual_seed(0)
    objective = method_of("unseen group").objective(hyperparameters_of("unseen group", {}))
    model = model_of("unseen group", {})
    index = torch.arange(16)
    batch = Batch(torch.randn(16, 32, 34).cumsum(1), index % 4, index % 2, index)
    model.standardize(batch.x)
    objective.start(model, batch, Settings())
    objective.over.group = index // 4 % 2
    objective.over.shares = objective.over.q = objective.over.running = torch.full((2,), 0.5)
    seen, states, loss = [], [], type(objective).loss

    def spy(self, model, clips):
        seen.append(clips.index)
        states.append(model.head.weight.detach().clone())
        return loss(self, model, clips)

    monkeypatch.setattr(type(objective), "loss", spy)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.head.weight.detach().clone()
    objective.update(model.train(), batch, Stepper(optimizer))
    assert sorted(torch.cat(seen).tolist()) == index.tolist()
    for part in seen:  # of each class, clips of one group
        assert all(len((part[part % 4 == k] // 4 % 2).unique()) == 1 for k in range(4))
    assert torch.equal(states[0], before) and not torch.equal(states[1], before)
    # The step starts from where the model was, not from where it looked.
    assert torch.allclose(model.head.weight, before - 0.1 * model.head.weight.grad, atol=1e-6)
