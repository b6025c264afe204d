"""The runner: what it trains on, what it records, and how it goes on after it was killed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
from forks import in_forks

from piumar_lib import metrics
from piumar_lib.data.people import recordings
from piumar_lib.evidence import experiments, records
from piumar_lib.evidence.experiments import Experiment, experiment, run, run_all
from piumar_lib.evidence.folds import load_fold, load_search_fold
from piumar_lib.evidence.methods import METHODS, resolve
from piumar_lib.evidence.records import ROOT, device, provenance, read_records
from piumar_lib.group_robust import GroupRobustObjective

SHORT = {"epochs": 1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "records.jsonl"


@pytest.fixture
def fitted(monkeypatch):
    """What was trained: model, data, settings and objective."""
    seen, fit = [], experiments.fit

    def spy(*parts):
        seen.append(parts)
        return fit(*parts)

    monkeypatch.setattr(experiments, "fit", spy)
    return seen


def plan(n, **changes):
    """Experiments on the first folds of a data set."""
    options = {"data": "spar-windows", "method": "ERM", "seed": 0} | changes
    return [experiment(fold=fold, **options) for fold in range(n)]


# One record


def test_an_experiment_is_known_by_all_its_hyperparameters():
    short = experiment("d", "GIRL", 1, 2, {"groups": 8.0}, search=True)
    assert dict(short.hyperparameters) == resolve("GIRL", {"groups": 8}) and short.search
    assert short == experiment("d", "GIRL", 1, 2, resolve("GIRL", {"groups": 8}), search=True)
    assert short.key() == {
        "data": "d",
        "method": "GIRL",
        "fold": 1,
        "seed": 2,
        "hyperparameters": dict(short.hyperparameters),
        "search": True,
    }
    assert list(dict(short.hyperparameters)) == sorted(resolve("GIRL"))


@pytest.mark.parametrize("method", ["ERM", "TFAM + augmentation", "GroupDRO"])
def test_people_of_a_record_were_not_trained_on(method, own, fitted):
    record = run(experiment(own, method, fold=0, seed=4, chosen=SHORT | {"batch_size": 24}))
    ((_, data, settings, _),) = fitted
    assert data.people.tolist() == [1, 2, 3, 4] and list(record["people"]) == ["0", "5"]
    assert (settings.epochs, settings.batch_size, settings.seed) == (1, 24, 4)
    assert settings.augmentation == ("any" if "augmentation" in method else "")
    assert [clips for _, clips in record["people"].values()] == [16, 16]
    right = sum(correct for correct, _ in record["people"].values())
    assert record["accuracy"] == pytest.approx(right / 32, abs=1e-6)
    assert 0 <= record["macro_f1"] <= 1 and record["seconds"] > 0 and "failed" not in record
    assert json.loads(json.dumps(record)) == record


def test_a_search_trains_and_judges_on_its_own_fold(own, fitted):
    record = run(experiment(own, "ERM", 1, 0, SHORT, search=True))
    train, unseen, _ = load_search_fold(own, 1)
    trained = fitted[0][1].people.tolist()
    assert trained == train.people.tolist() != load_fold(own, 1).train.people.tolist()
    assert list(record["people"]) == [str(p) for p in unseen.people] and record["search"] is True


def test_hyperparameters_reach_the_objective_and_the_seed_the_model(own, fitted):
    for seed in (3, 3, 4):
        run(experiment(own, "GIRL", 0, seed, SHORT | {"groups": 5, "beta": 0.3}))
    models, _, _, objectives = zip(*fitted, strict=True)
    assert isinstance(objectives[0], GroupRobustObjective)
    assert (objectives[0].groups.each, objectives[0].beta) == (5, 0.3)
    first, same, other = (model.head.weight for model in models)
    assert first.equal(same) and not first.equal(other)


def test_a_record_counts_the_clips_that_were_recognised(own, monkeypatch):
    unseen = load_fold(own, 0).unseen
    answers = np.where(np.arange(len(unseen)) % 4 == 0, 1 - unseen.y, unseen.y)

    def predict(model, data):
        assert data.people.tolist() == unseen.people.tolist()  # judged on people it has not seen
        return np.eye(2)[answers]

    monkeypatch.setattr(experiments, "predict", predict)
    record = run(experiment(own, "ERM", 0, 0, SHORT))
    scores = metrics.accuracy_by_person(answers == unseen.y, unseen.person)
    assert {int(p): k / n for p, (k, n) in record["people"].items()} == pytest.approx(scores)
    assert record["accuracy"] == pytest.approx(0.75)
    macro, _ = metrics.f1(unseen.y, answers, 2)
    assert record["macro_f1"] == pytest.approx(macro, abs=1e-6)


def test_a_seed_makes_a_record_again(own):
    for method in ("PIUmr + augmentation", "MiniRocket"):
        one, two = (run(experiment(own, method, 1, 5, SHORT)) for _ in range(2))
        assert one.pop("seconds") > 0 and two.pop("seconds") > 0 and one == two


def test_a_number_of_updates_is_trained_for_whatever_the_number_of_clips(own, fitted):
    run(experiment(own, "ERM", 0, 0, {"updates": 6, "batch_size": 32}))  # 64 clips
    assert fitted[0][2].epochs == 3


def test_minirocket_is_judged_like_the_others(own, fitted):
    record = run(experiment(own, "MiniRocket", 0, 0, SHORT))
    assert not fitted and "failed" not in record and record["people"]["0"][1] == 16
    unseen = load_fold(own, 0).unseen
    said = METHODS["MiniRocket"].classify(load_fold(own, 0).train, unseen, 0)
    assert record["accuracy"] == pytest.approx((said == unseen.y).mean(), abs=1e-6)


def test_how_hyperparameters_were_chosen_is_in_the_record_and_no_part_of_the_key(own):
    plain = experiment(own, "ERM", 0, 0, SHORT)
    told = replace(plain, selection="by lot")
    assert told == plain and told.key() == plain.key()
    assert run(told)["selection"] == "by lot" and "selection" not in run(plain)


def test_a_graph_network_gets_the_skeleton_of_its_data(people):
    people("uiprmd", channels=66)
    small = {"updates": 1, "width": 8, "backbone": "skeleton_graph"}
    record = run(experiment("uiprmd", "ERM", 0, 0, small))
    assert "failed" not in record and record["people"]


def test_a_record_of_real_people_has_the_digest_of_its_content(people):
    people("mmg")
    record = run(experiment("mmg", "ERM", 0, 0, {"updates": 1}))
    assert record["content"] == recordings.content(recordings.prepare("mmg", own_tempo=False))
    other = experiment("mmg-own-tempo", "ERM", 0, 0)
    assert record["content"] != other.content
    people("mmg", seed=1)
    assert experiment("mmg", "ERM", 0, 0).content != record["content"]
    with pytest.raises(ValueError, match="mmg-own-tempo: has changed meanwhile"):
        run(other)


def test_groups_of_which_nobody_is_in_a_batch_do_no_harm(own_of):
    record = run(experiment(own_of(3), "GIRL", 0, 0, {"epochs": 3, "batch_size": 3, "groups": 20}))
    assert "failed" not in record and list(record["people"]) == ["0"]


# Trainings that diverge


@pytest.mark.parametrize(("method", "rate"), [("Fish", 1e30), ("ERM", 1e12)])
def test_a_training_that_diverges_is_a_record_too(own, method, rate):
    record = run(experiment(own, method, 0, 0, SHORT | {"learning_rate": rate}))
    assert record["failed"] and record["people"] == {"0": [0, 16], "5": [0, 16]}
    assert (record["accuracy"], record["macro_f1"]) == (0, 0)


def test_others_go_on_when_one_diverges(own, path):
    rates = (1e-3, 1e30, 1e-2)
    wanted = [experiment(own, "Fish", 0, 0, SHORT | {"learning_rate": rate}) for rate in rates]
    records = run_all(wanted, path, progress=False)
    assert ["failed" in record for record in records] == [False, True, False]
    assert read_records(path) == records == run_all(wanted, path, progress=False)


# Many records


def test_nothing_is_computed_twice(computed, path):
    first = run_all(plan(2), path, progress=False)
    assert [r["fold"] for r in first] == [0, 1] and computed == plan(2)
    assert run_all(plan(3), path, progress=False)[:2] == first
    assert computed == plan(3) and read_records(path) == run_all(plan(3), path, progress=False)
    assert len(computed) == 3


@pytest.mark.parametrize(
    "change",
    [{"data": "other"}, {"method": "TFAM"}, {"seed": 1}, {"chosen": SHORT}, {"search": True}],
)
def test_another_experiment_is_not_taken_for_the_same(computed, path, change):
    run_all(plan(1), path, progress=False)
    run_all(plan(1, **change), path, progress=False)
    assert computed == plan(1) + plan(1, **change)
    run_all(plan(1, **change), path, progress=False)
    assert len(computed) == 2


def test_values_that_are_equal_are_the_same_experiment(computed, path):
    wanted = [plan(1, method="GIRL", chosen={"beta": one, "groups": one})[0] for one in (1, 1.0)]
    assert len(run_all(wanted, path, progress=False)) == 2 and len(computed) == 1
    run_all(wanted[::-1], path, progress=False)
    assert len(computed) == 1


def test_records_come_in_the_order_asked_for_and_once_each(computed, path):
    wanted = [*reversed(plan(3)), plan(1)[0]]
    records = run_all(wanted, path, progress=False)
    assert [r["fold"] for r in records] == [2, 1, 0, 0]
    assert len(computed) == len(read_records(path)) == 3
    assert run_all([], path, progress=False) == []
    assert run_all(iter(plan(2)), path, progress=False) == records[2:0:-1]


def test_a_killed_run_loses_only_what_was_in_work(computed, path, stand_in):
    fake = experiments.run

    def killed(experiment):
        if experiment.fold == 2:
            raise KeyboardInterrupt
        return fake(experiment)

    stand_in(killed)
    with pytest.raises(KeyboardInterrupt):
        run_all(plan(4), path, progress=False)
    assert [r["fold"] for r in read_records(path)] == [0, 1]
    stand_in(fake)
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


def test_two_workers_give_the_scores_of_one(own, path, monkeypatch):
    wanted = [experiment(own, name, 0, 0, SHORT) for name in ("TFAM + augmentation", "Fish")]
    one = run_all(wanted, path, progress=False)
    monkeypatch.setattr(experiments, "in_parallel", in_forks)
    two = run_all(wanted, path.with_name("two.jsonl"), workers=2, progress=False)
    for name in ("method", "people", "accuracy", "macro_f1"):
        assert [r[name] for r in one] == [r[name] for r in two]
    assert len(read_records(path.with_name("two.jsonl"))) == 2


# Where a record comes from

PROGRAM = ROOT / "piumar_lib" / "evidence"


@pytest.fixture
def called(monkeypatch):
    """Pretends that a command was typed."""
    provenance.cache_clear()
    yield lambda *arguments: monkeypatch.setattr("sys.argv", [str(a) for a in arguments])
    provenance.cache_clear()


def test_provenance_is_recorded(computed, path, called):
    called(PROGRAM / "__main__.py", "--data", "my file.npz")
    (record,) = run_all(plan(1), path, progress=False)
    assert record["command"] == "python -m piumar_lib.evidence --data 'my file.npz'"
    assert re.fullmatch("[0-9a-f]{7,40}(-dirty)?|unknown", record["commit"])
    assert re.fullmatch(r"python 3\.\d+\.\d+, torch \S+", record["versions"])
    assert re.fullmatch(r"CPU, \w+, \d+ cores", device())


def test_provenance_names_no_folder_of_this_machine(called):
    called(PROGRAM / "__main__.py", "--out", str(ROOT / "notebooks" / "results"))
    assert provenance()["command"] == "python -m piumar_lib.evidence --out notebooks/results"


def test_provenance_names_the_program(called):
    called(PROGRAM / "person_study.py", "--seeds", "2")
    assert provenance()["command"] == "python -m piumar_lib.evidence.person_study --seeds 2"


def test_a_commit_of_edited_code_is_marked(called, monkeypatch):
    said = {"rev-parse": "abc1234", "status": " M piumar_lib/tfam.py"}
    monkeypatch.setattr(records, "_git", lambda *arguments: said[arguments[0]])
    assert provenance()["commit"] == "abc1234-dirty"
    provenance.cache_clear()
    said["status"] = ""
    assert provenance()["commit"] == "abc1234"


def test_seconds_are_of_a_core_not_of_a_clock_that_waits(own, monkeypatch):
    def slow(*_):
        time.sleep(0.5)
        return np.zeros(32, int), ""

    monkeypatch.setattr(experiments, "train_and_predict", slow)
    assert run(experiment(own, "ERM", 0, 0, SHORT))["seconds"] < 0.4


def test_provenance_outside_the_command_line(called):
    called("/anywhere/ipykernel_launcher.py", "-f", "kernel.json")
    assert provenance()["command"] == "notebook"


@pytest.mark.parametrize("error", [OSError(), subprocess.CalledProcessError(128, "git")])
def test_provenance_without_git(called, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance()["commit"] == "unknown"


# Mistakes


def test_unknown_methods_data_folds_and_hyperparameters_are_refused(own):
    with pytest.raises(ValueError, match="magic: there is no such method.*ERM, augmentation"):
        experiment(own, "magic", 0, 0)
    with pytest.raises(ValueError, match="groups: ERM has no such hyperparameter"):
        experiment(own, "ERM", 0, 0, {"groups": 2})
    good = experiment(own, "ERM", 0, 0, SHORT)
    for change, message in (
        ({"method": "magic"}, "magic: there is no such method"),
        ({"data": "mnist"}, "data: 'mnist'"),
        ({"fold": 5}, "fold: of .*, must be in .*, got 5"),
        ({"fold": 9, "search": True}, "fold: of a search on .*, must be in .*, got 9"),
        ({"hyperparameters": (("learning_rate", -1),)}, "learning_rate: must be .* got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            run(replace(good, **change))


@pytest.mark.parametrize("short", ["y", "person"])
def test_labels_of_another_length_are_refused(toy, tmp_path, short):
    arrays = {"X": toy.x, "y": toy.y, "person": toy.person}
    arrays[short] = arrays[short][:-1]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"{short}: shape \(95,\)"):
        run(experiment(str(tmp_path / "bad.npz"), "ERM", 0, 0, SHORT))


def test_an_experiment_can_be_a_key():
    assert len({*plan(2), *plan(3)}) == 3 and isinstance(plan(1)[0], Experiment)
