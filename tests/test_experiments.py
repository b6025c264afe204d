"""The runner: what it trains on, what it records, and how it goes on after it was killed."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from piumar_lib import experiments, metrics
from piumar_lib.experiments import (
    METHODS,
    Experiment,
    build,
    folds,
    leave_people_out,
    load_fold,
    provenance,
    read_records,
    run,
    run_all,
    scores_by_person,
    summarise,
)
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch


@pytest.fixture
def own(toy, tmp_path):
    """A reader's own file: six people of 16 clips."""
    path = tmp_path / "own.npz"
    np.savez(path, X=toy.x, y=toy.y, person=toy.person)
    return str(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "records.jsonl"


@pytest.fixture
def computed(monkeypatch):
    """Experiments that were computed, by a stand-in that takes no time."""
    seen = []

    def fake(experiment):
        seen.append(experiment)
        right = 10 * experiment.fold + experiment.seed + 1
        return asdict(experiment) | {"people": {str(experiment.fold): [right, 100]}}

    monkeypatch.setattr(experiments, "run", fake)
    return seen


def plan(n, **changes):
    options = {"data": "spar", "method": "ERM", "seed": 0} | changes
    return [Experiment(fold=fold, **options) for fold in range(n)]


# Folds


@pytest.mark.parametrize("data", ["spar-repetitions", "spar-own-tempo", "spar-windows", "own"])
def test_every_person_is_held_out_once_and_never_trained_on(data, own):
    data = own if data == "own" else data
    held_out, everyone = [], set()
    for fold in folds(data):
        train, test, kind = load_fold(data, fold)
        assert not set(train.people) & set(test.people)
        assert kind == ("any" if data == own else "sensor")
        assert train.class_names == test.class_names and train.x.shape[1:] == test.x.shape[1:]
        held_out += test.people.tolist()
        everyone |= {*train.people.tolist(), *test.people.tolist()}
        if data != own:
            assert test.people.tolist() == [fold + 1]
    assert sorted(held_out) == sorted(everyone)
    assert len(folds(data)) == (5 if data == own else 10)


def test_synthetic_populations_never_meet():
    seen, first_clips = set(), []
    for fold in (0, *folds("synthetic")):
        train, test, kind = load_fold("synthetic", fold)
        assert kind == "skeleton" and len(train.people) == 40 and len(test.people) == 20
        assert not set(train.people) & set(test.people)
        assert not seen & set(test.people)
        seen |= set(test.people)
        first_clips += [train.x[0], test.x[0]]
    assert len(np.unique(np.stack(first_clips).round(6), axis=0)) == 12
    assert list(folds("synthetic")) == [5, 6, 7, 8, 9]


def test_plan_goes_seed_by_seed_through_every_fold_and_method(own):
    wanted = leave_people_out(own, ["ERM", "TFAM"], seeds=2, epochs=7)
    assert wanted[:3] == [
        Experiment(own, "ERM", 0, 0, 7),
        Experiment(own, "TFAM", 0, 0, 7),
        Experiment(own, "ERM", 1, 0, 7),
    ]
    assert wanted[-1] == Experiment(own, "TFAM", 4, 1, 7) and len(set(wanted)) == len(wanted) == 20
    assert {e.method for e in leave_people_out(own)} == set(METHODS)


def write(path, toy, people):
    chosen = np.isin(toy.person, range(people))
    np.savez(path, X=toy.x[chosen], y=toy.y[chosen], person=toy.person[chosen])
    return str(path)


def test_a_name_that_begins_like_the_courses_data_is_still_ones_own(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("spar-of-mine.npz", toy, 6)
    assert len(folds("spar-of-mine.npz")) == 5 and load_fold("spar-of-mine.npz", 0)[2] == "any"


def test_few_people_make_few_folds(toy, tmp_path):
    three = write(tmp_path / "three.npz", toy, 3)
    assert [load_fold(three, k)[1].people.tolist() for k in folds(three)] == [[0], [1], [2]]
    with pytest.raises(ValueError, match=r"fold: 3 is out of range for .*three.npz. .*range\(0, 3\)"):
        load_fold(three, 3)
    one = write(tmp_path / "one.npz", toy, 1)
    with pytest.raises(ValueError, match=r"data: .*one.npz has one person. .* at least 2"):
        load_fold(one, 0)


def test_unknown_names_are_refused(own):
    for call in (folds, lambda data: load_fold(data, 0)):
        with pytest.raises(ValueError, match="data: 'mnist' .* spar-repetitions, .* .npz"):
            call("mnist")
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        folds("nowhere.npz")
    with pytest.raises(ValueError, match="method: 'magic' .* ERM, augmentation"):
        run(Experiment(own, "magic", 0, 0))


# One record


def test_methods_are_what_they_are_called(toy):
    plugs = {name: build(name, toy, 0).plug for name in METHODS}
    assert plugs["ERM"] is None and plugs["augmentation"] is None
    assert (plugs["temporal"].transport, plugs["temporal"].mass) == ("exact", "motion")
    assert plugs["temporal, Sinkhorn"].transport == "sinkhorn"
    assert isinstance(plugs["frequency"], FrequencyBranch)
    views = {name: (p.temporal, p.frequency) for name, p in plugs.items() if isinstance(p, TFAM)}
    assert views.pop("two identity views") == (None, None)
    assert set(views) == {"uniform mass", "TFAM", "TFAM + augmentation"}
    for name, (temporal, frequency) in views.items():
        assert isinstance(temporal, TemporalBranch) and isinstance(frequency, FrequencyBranch)
        assert temporal.mass == ("uniform" if name == "uniform mass" else "motion")
    assert all((" augmentation" in f" {name}") == m.augmented for name, m in METHODS.items())
    assert all(m.about for m in METHODS.values())


def test_build_depends_on_its_seed_alone(toy):
    first, same, other = (build("TFAM", toy, seed).head.weight for seed in (1, 1, 2))
    assert first.equal(same) and not first.equal(other)
    erm = build("ERM", toy, 1)
    assert erm.backbone[0].conv.weight.equal(build("TFAM", toy, 1).backbone[0].conv.weight)


@pytest.mark.parametrize("method", METHODS)
def test_own_data_go_through_every_method(method, own, monkeypatch):
    fitted = []
    fit = experiments.fit

    def spy(model, data, settings):
        fitted.append((data, settings))
        return fit(model, data, settings)

    monkeypatch.setattr(experiments, "fit", spy)
    record = run(Experiment(own, method, fold=0, seed=4, epochs=1))
    ((data, settings),) = fitted
    assert data.people.tolist() == [1, 2, 3, 4]  # the record's people are the others
    assert (settings.epochs, settings.seed) == (1, 4)
    assert settings.augmentation == ("any" if "augmentation" in method else "")
    assert list(record["people"]) == ["0", "5"]
    assert [clips for _, clips in record["people"].values()] == [16, 16]
    right = sum(correct for correct, _ in record["people"].values())
    assert record["accuracy"] == pytest.approx(right / 32, abs=1e-6)
    assert 0 <= record["macro_f1"] <= 1 and record["seconds"] > 0
    assert json.loads(json.dumps(record)) == record


def test_a_record_counts_the_clips_that_were_recognised(own, monkeypatch):
    _, test, _ = load_fold(own, 0)
    answers = np.where(np.arange(len(test)) % 4 == 0, 1 - test.y, test.y)

    def predict(model, data):
        assert data.people.tolist() == test.people.tolist()  # judged on people it has not seen
        return np.eye(2)[answers]

    monkeypatch.setattr(experiments, "predict", predict)
    record = run(Experiment(own, "ERM", 0, 0, epochs=1))
    scores = metrics.accuracy_by_person(answers == test.y, test.person)
    assert {int(p): k / n for p, (k, n) in record["people"].items()} == pytest.approx(scores)
    assert record["accuracy"] == pytest.approx(0.75)
    macro, _ = metrics.f1(test.y, answers, 2)
    assert record["macro_f1"] == pytest.approx(macro, abs=1e-6)


# Many records


def test_nothing_is_computed_twice(computed, path):
    first = run_all(plan(2), path, progress=False)
    assert [r["fold"] for r in first] == [0, 1] and computed == plan(2)
    assert run_all(plan(3), path, progress=False)[:2] == first
    assert computed == plan(3) and read_records(path) == run_all(plan(3), path, progress=False)
    assert len(computed) == 3


@pytest.mark.parametrize(
    "change", [{"data": "other"}, {"method": "TFAM"}, {"seed": 1}, {"epochs": 3}]
)
def test_another_experiment_is_not_taken_for_the_same(computed, path, change):
    run_all(plan(1), path, progress=False)
    run_all(plan(1, **change), path, progress=False)
    assert computed == plan(1) + plan(1, **change)


def test_records_come_in_the_order_asked_for_and_once_each(computed, path):
    wanted = [*reversed(plan(3)), plan(1)[0]]
    records = run_all(wanted, path, progress=False)
    assert [r["fold"] for r in records] == [2, 1, 0, 0]
    assert len(computed) == len(read_records(path)) == 3
    assert run_all([], path, progress=False) == []


def test_a_killed_run_loses_only_what_was_in_work(computed, path, monkeypatch):
    fake = experiments.run

    def killed(experiment):
        if experiment.fold == 2:
            raise KeyboardInterrupt
        return fake(experiment)

    monkeypatch.setattr(experiments, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        run_all(plan(4), path, progress=False)
    assert [r["fold"] for r in read_records(path)] == [0, 1]
    monkeypatch.setattr(experiments, "run", fake)
    run_all(plan(4), path, progress=False)
    assert [e.fold for e in computed] == [0, 1, 2, 3]


def test_a_torn_last_line_is_passed_over_and_repaired(computed, path):
    run_all(plan(2), path, progress=False)
    whole = path.read_bytes()
    for cut in (1, 10, len(whole.splitlines()[1]) - 1):
        path.write_bytes(whole[:-1][:-cut])
        assert [r["fold"] for r in read_records(path)] == [0]
        computed.clear()
        run_all(plan(3), path, progress=False)
        assert computed == plan(3)[1:]
        assert [json.loads(line)["fold"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_a_last_line_that_only_lacks_its_end_is_kept(computed, path):
    run_all(plan(2), path, progress=False)
    path.write_bytes(path.read_bytes()[:-1])
    assert [r["fold"] for r in read_records(path)] == [0, 1]
    run_all(plan(3), path, progress=False)
    assert [r["fold"] for r in read_records(path)] == [0, 1, 2] and len(computed) == 3


def test_a_damaged_line_is_named(computed, path):
    run_all(plan(3), path, progress=False)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-5], lines[2], ""]))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}, line 2: .* Remove"):
        run_all(plan(3), path, progress=False)
    path.write_text("\n".join([lines[0], "", lines[2][:-5], ""]))  # last, but not cut short
    with pytest.raises(ValueError, match="line 3"):
        read_records(path)
    path.write_text("\n".join([lines[0], "", lines[2], "", ""]))
    assert len(read_records(path)) == 2


def test_two_workers_give_the_scores_of_one(own, path):
    wanted = [Experiment(own, method, 0, 0, epochs=1) for method in ("TFAM + augmentation", "ERM")]
    one = run_all(wanted, path, progress=False)
    two = run_all(wanted, path.with_name("two.jsonl"), workers=2, progress=False)
    for name in ("method", "people", "accuracy", "macro_f1"):
        assert [r[name] for r in one] == [r[name] for r in two]
    assert len(read_records(path.with_name("two.jsonl"))) == 2


def test_scores_are_averaged_over_seeds_for_each_person():
    records = [
        {"method": "A", "people": {"2": [1, 4], "1": [3, 4]}},
        {"method": "A", "people": {"2": [3, 4]}},
        {"method": "B", "people": {"2": [4, 4]}},
    ]
    assert scores_by_person(records, "A") == {"1": 0.75, "2": 0.5}
    assert list(scores_by_person(records, "A")) == ["1", "2"]
    assert scores_by_person(records, "B") == {"2": 1.0} and scores_by_person(records, "C") == {}


def table_records(skip=()):
    """Two methods, two seeds, ten people in five folds, 20 clips each."""
    rng = np.random.default_rng(0)
    return [
        {"data": "d", "method": method, "seed": seed, "people": {p: [int(rng.integers(better, 20)), 20]}}
        for better, method in ((5, "ERM"), (12, "new"), (8, "other"))
        for seed in (0, 1)
        for p in "abcdefghij"
        if (method, p) not in skip
    ]


def test_table_by_hand():
    records = table_records()
    rows = summarise(records)
    assert [row.method for row in rows] == ["ERM", "new", "other"]
    shares = {"ERM": [], "new": [], "other": []}
    for record in records:
        shares[record["method"]] += [right / 20 for right, _ in record["people"].values()]
    shares = {name: np.array(values) for name, values in shares.items()}
    by_person = {name: values.reshape(2, 10).mean(0) for name, values in shares.items()}
    p = [stats.wilcoxon(by_person[name] - by_person["ERM"]).pvalue for name in ("new", "other")]
    assert p[0] < p[1]
    holm = {"new": 2 * p[0], "other": max(2 * p[0], p[1])}
    for row in rows:
        assert row.summary == metrics.summarise(by_person[row.method])
        per_seed = shares[row.method].reshape(2, 10).mean(1)
        assert row.seed_deviation == pytest.approx(per_seed.std(ddof=1))
        if row.method == "ERM":
            assert row.gain is None and np.isnan(row.p_holm)
        else:
            assert row.gain == metrics.compare(by_person[row.method], by_person["ERM"])
            assert row.p_holm == pytest.approx(holm[row.method])
    one = summarise([r for r in records if r["seed"] == 0 and r["method"] != "ERM"])
    assert all(np.isnan(row.seed_deviation) and row.gain is None for row in one)
    assert summarise(records, baseline="other")[2].gain is None


@pytest.mark.parametrize("method", ["ERM", "new"])
def test_a_table_needs_everyone_under_every_method(method):
    with pytest.raises(ValueError, match=f"records: {method} was not judged on all people"):
        summarise(table_records(skip=[(method, "c")]))


def test_a_table_is_of_one_data_set():
    for records in ([], table_records() + [table_records()[0] | {"data": "other"}]):
        with pytest.raises(ValueError, match="records: of none or several data sets"):
            summarise(records)


# Where a record comes from


def test_provenance_is_recorded(computed, path, monkeypatch):
    assert provenance()["command"] == "notebook"
    monkeypatch.setattr("sys.argv", ["/anywhere/experiments.py", "--data", "my file.npz"])
    (record,) = run_all(plan(1), path, progress=False)
    assert record["command"] == "python -m piumar_lib.experiments --data 'my file.npz'"
    assert re.fullmatch("[0-9a-f]{7,40}|unknown", record["commit"])
    assert re.fullmatch(r"python 3\.\d+\.\d+, torch \S+", record["versions"])
    assert re.fullmatch(r"CPU, \w+, \d+ cores", record["device"])


@pytest.mark.parametrize("error", [OSError(), subprocess.CalledProcessError(128, "git")])
def test_provenance_without_git(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance()["commit"] == "unknown"


# Command line


def test_main_runs_what_is_missing_and_prints_a_table(own, computed, path, capsys):
    arguments = ["--data", own, "--methods", "ERM", "TFAM", "--seeds", "2", "--epochs", "3"]
    experiments.main([*arguments, "--out", str(path)])
    assert len(computed) == 2 * 2 * 5 and {e.epochs for e in computed} == {3}
    table = capsys.readouterr().out.splitlines()
    # Folds 0-4 get 1.5, 11.5, ... 41.5 % on average over the two seeds.
    scores = np.array([0.015, 0.115, 0.215, 0.315, 0.415])
    low, high = metrics.bootstrap_interval(scores)
    numbers = f"21.5 [{100 * low:.1f}, {100 * high:.1f}] worst quarter   6.5, worst   1.5"
    assert table == [f"{'ERM':22s}  {numbers}", f"{'TFAM':22s}  {numbers}", f"records: {path}"]
    experiments.main([*arguments, "--out", str(path)])
    assert len(computed) == 20 and capsys.readouterr().out.splitlines() == table


def test_main_writes_beside_the_evidence_unless_told(own, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    experiments.main(["--data", own, "--methods", "ERM", "--seeds", "1"])
    assert len(read_records(tmp_path / "own.jsonl")) == 5


def test_main_refuses_unknown_methods(capsys):
    with pytest.raises(SystemExit):
        experiments.main(["--methods", "magic"])
    assert "invalid choice: 'magic'" in capsys.readouterr().err
