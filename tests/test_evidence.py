"""The study's records: nobody's own scores choose hyperparameters, and whatever is there stays."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import forks
import numpy as np
import pytest

from piumar_lib.evidence import __main__ as evidence
from piumar_lib.evidence import contrasts, experiments, folds, protocol
from piumar_lib.evidence.experiments import experiment
from piumar_lib.evidence.methods import FIXED, METHODS, draw, resolve
from piumar_lib.evidence.protocol import (
    BUDGET,
    FORMS,
    OTHERS,
    PLANNED,
    REAL,
    SEARCHED_ON,
    SEEDS,
    SETS,
    UPDATES,
    choose,
    committed,
    data_of,
    form_of,
    make,
    make_search,
    plan,
    read_search,
    records_path,
    rule,
    search_plan,
    search_scores,
    searched,
)
from piumar_lib.evidence.records import ROOT, STUDY, append_record, read_records

SOURCES = [data_of(*pair) for pair in product(SEARCHED_ON, FORMS)]


@pytest.fixture
def both(people):
    """Small sets in the place of those that are searched on."""
    for name in SEARCHED_ON:
        people(name, channels=60)


def scored(data, method, k, score):
    """Records of a search in which ``score(fold, person)`` of ten clips were right."""
    found = []
    for fold in folds.search_folds(data):
        people = map(str, folds.load_search_fold(data, fold).unseen.people)
        e = experiment(data, method, fold, 0, k | {"updates": UPDATES}, search=True)
        found.append(e.key() | {"people": {p: [score(fold, p), 10] for p in people}})
    return found


def constant(right):
    return lambda fold, person: right


def rate(chosen):
    return chosen["learning_rate"]


SLOW, FAST = {"learning_rate": 1e-3}, {"learning_rate": 1e-2}


# Names


def test_both_forms_of_every_set_have_a_name_of_their_own():
    names = [data_of(*pair) for pair in product(REAL, FORMS)]
    assert len({*names}) == len(names) == 2 * len(REAL)
    for (_, form), name in zip(product(REAL, FORMS), names, strict=True):
        assert form_of(name) == form
    assert {data_of("synthetic", form) for form in FORMS} == {"synthetic"} and "synthetic" in SETS
    assert {data_of("a/my.npz", form) for form in FORMS} == {"a/my.npz"}
    assert form_of("a/my.npz") == form_of("synthetic") == "own tempo"


def test_methods_of_the_study_are_there_and_the_planned_ones_are_all_that_contrasts_need():
    assert {*PLANNED, *OTHERS} <= {*METHODS} and not {*PLANNED} & {*OTHERS}
    needed = {name for c in contrasts.CONTRASTS for name in (c.tried, *c.against)}
    assert needed - {contrasts.NORMALIZED} == {*PLANNED}
    assert len({*OTHERS}) == len(OTHERS)


def test_both_forms_of_a_set_are_kept_in_one_file():
    for name in REAL:
        assert {records_path(data_of(name, form)) for form in FORMS} == {STUDY / f"{name}.jsonl"}
    assert STUDY == ROOT / "notebooks" / "results" / "study"
    taken = {records_path(f"a/{name}.npz") for name in (*SETS, "search", "person-normalization")}
    assert not {path.name for path in taken} & {path.name for path in STUDY.iterdir()}
    assert records_path("a/my.npz", Path("there")) == Path("there/own-my.jsonl")


# The search


def test_every_method_is_searched_with_the_same_effort(both):
    planned = search_plan(["ERM", "TFAM"], budget=3)
    assert len(planned) == len({*planned}) and all(e.search and e.seed == 0 for e in planned)
    for method in ("ERM", "TFAM"):
        mine = [e for e in planned if e.method == method]
        tried = [dict(e.hyperparameters) for e in mine[:: len(mine) // 3]]
        assert tried == [resolve(method, draw(method, n) | {"updates": UPDATES}) for n in range(3)]
        once = {(data, k) for data in SOURCES for k in folds.search_folds(data)}
        at = [(e.data, e.fold) for e in mine[: len(mine) // 3]]
        assert {*at} == once and len(at) == len(once) and [(e.data, e.fold) for e in mine] == 3 * at
    assert len(search_plan(["ERM"])) == BUDGET * 4 * 4
    for form in FORMS:
        assert search_plan(["ERM"], 3, [form]) == [
            e for e in planned if e.method == "ERM" and form_of(e.data) == form
        ]


def test_variants_are_not_searched_but_what_they_are_like():
    assert searched(["TFAM, uniform clock", "PIUmr", "TFAM"]) == ["TFAM", "GIRL"]
    assert searched(["PIUmr + augmentation"]) == ["TFAM + augmentation", "GIRL + augmentation"]
    assert searched(["MiniRocket", "ERM", "ERM"]) == ["ERM"]


# Choosing


@pytest.mark.parametrize("data", SOURCES)
def test_scores_of_the_folds_own_people_choose_nothing(both, data):
    sets = [data_of(name, form_of(data)) for name in SEARCHED_ON]
    (other,) = (name for name in sets if name != data)
    for fold in folds.folds(data):
        allowed = folds.search_people(data, fold)

        def flatters(k, person, allowed=allowed):
            return 2 if person in allowed.get(k, ()) else 10

        records = scored(data, "ERM", FAST, flatters) + scored(other, "ERM", FAST, constant(3))
        records += [r for name in sets for r in scored(name, "ERM", SLOW, constant(3))]
        assert rate(choose(records, data, "ERM", fold)) == 1e-3
        assert rate(choose(records[::-1], data, "ERM", fold)) == 1e-3
        own = {str(p) for p in folds.load_fold(data, fold).unseen.people}
        assert not any(own & people for people in allowed.values())


@pytest.mark.parametrize("data", SOURCES)
def test_scores_that_may_be_looked_at_choose(both, data):
    for fold in folds.folds(data):
        allowed = folds.search_people(data, fold)

        def good(k, person, allowed=allowed):
            return 6 if person in allowed.get(k, ()) else 0

        records = scored(data, "ERM", FAST, constant(5)) + scored(data, "ERM", SLOW, good)
        assert rate(choose(records, data, "ERM", fold)) == 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_sets_that_were_not_searched_on_take_over_what_was_best_for_everybody_in_their_form(both, form):
    (other,) = (f for f in FORMS if f != form)
    records = []
    for name, (slow, fast) in zip(SEARCHED_ON, ((4, 5), (8, 6)), strict=True):
        records += scored(data_of(name, form), "ERM", SLOW, constant(slow))
        records += scored(data_of(name, form), "ERM", FAST, constant(fast))
        records += scored(data_of(name, other), "ERM", FAST, constant(10))
    for name in ("shrec17", "spar"):
        for fold in (0, 4):
            assert rate(choose(records, data_of(name, form), "ERM", fold)) == 1e-3
    # What has one form only counts as own tempo.
    for data in ("synthetic", "nowhere.npz"):
        assert rate(choose(records, data, "ERM", 0)) == (1e-3 if form == "own tempo" else 1e-2)


def test_a_person_counts_once_however_many_clips_there_are():
    few = {"1": [1, 10], "3": [99, 100]}  # 0.545 over people, 0.909 over clips
    even = {"1": [6, 10], "3": [60, 100]}
    records = [
        {"data": "utkinect", "method": "ERM", "fold": 0, "hyperparameters": k, "people": people}
        for k, people in ((SLOW, few), (FAST, even))
    ]
    assert rate(choose(records, "shrec17", "ERM", 0)) == 1e-2
    records[0]["people"]["1"] = [3, 10]
    assert rate(choose(records, "shrec17", "ERM", 0)) == 1e-3


def test_of_equally_good_ones_the_earlier_is_chosen(both):
    first, second = (scored("utkinect", "ERM", k, constant(7)) for k in (SLOW, FAST))
    assert rate(choose(first + second, "shrec17", "ERM", 0)) == 1e-3
    assert rate(choose(second + first, "shrec17", "ERM", 0)) == 1e-2


def test_records_of_other_methods_and_of_the_study_itself_choose_nothing(both):
    others = scored("utkinect", "augmentation", FAST, constant(10))
    others += [r | {"data": "shrec17"} for r in scored("utkinect", "ERM", FAST, constant(10))]
    assert choose(others, "shrec17", "ERM", 0) == {}
    mine = scored("utkinect", "ERM", SLOW, constant(1))
    assert rate(choose(others + mine, "shrec17", "ERM", 0)) == 1e-3


def test_what_is_fixed_is_not_chosen(both):
    records = scored("utkinect", "ERM", SLOW, constant(1))
    records += scored("utkinect", "ERM", SLOW | {"width": 64}, constant(3))
    assert not {*choose(records, "shrec17", "ERM", 0)} & {*FIXED}
    scores = search_scores(records, "shrec17", "ERM", 0)
    assert scores == {(("learning_rate", 1e-3), ("weight_decay", 1e-2)): pytest.approx(0.2)}


@pytest.mark.parametrize("end", ["", " + augmentation"])
def test_piumr_takes_over_what_was_chosen_for_tfam_and_for_girl(both, end):
    tfam, girl = draw(f"TFAM{end}", 1), draw(f"GIRL{end}", 3)
    assert rate(tfam) != rate(girl)
    records = []
    for name, best in (("TFAM", tfam), ("GIRL", girl)):
        records += scored("utkinect", name + end, best, constant(9))
        records += scored("utkinect", name + end, {}, constant(8))
    records += scored("utkinect", f"PIUmr{end}", {}, constant(10))
    chosen = choose(records, "shrec17", f"PIUmr{end}", 0)
    assert chosen == girl | tfam  # TFAM's where both have a say
    for variant in ("TFAM, uniform clock", "TFAM, feature level", "two equal views"):
        assert choose(records, "shrec17", variant + end, 0) == tfam
    assert choose(records, "shrec17", f"GIRL, random groups{end}", 0) == girl


def test_nothing_searched_means_defaults(own):
    assert choose([], own, "PIUmr", 0) == {} == choose([], "synthetic", "MiniRocket", 0)
    (e, *_) = plan(own, ["PIUmr"], [], seeds=1)
    assert dict(e.hyperparameters) == resolve("PIUmr", {"updates": UPDATES})
    assert e.selection == rule("PIUmr", [], own) == "defaults"


def test_the_rule_says_how_many_sets_were_tried_where_and_for_whom():
    where = "best of 6 on people of msraction3d and utkinect"
    search = [
        {"method": m, "data": data, "hyperparameters": {"learning_rate": k}}
        for data in SOURCES
        for m in ("ERM", "TFAM", "GIRL")
        for k in range(6)
    ]
    assert rule("ERM", search, "shrec17") == f"{where}, one length, for ERM"
    assert rule("PIUmr", search, "shrec17-own-tempo") == f"{where}, own tempo, for TFAM and GIRL"
    assert rule("ERM", search[:2], SOURCES[0]) == f"{where}, own tempo, for ERM".replace("6", "2")
    one_form = [r for r in search if form_of(r["data"]) == "own tempo"]
    assert rule("PIUmr", one_form, "shrec17") == "defaults"


def test_a_plan_goes_seed_by_seed_through_every_fold_and_method(both, own, monkeypatch):
    monkeypatch.setattr(protocol, "BUDGET", 1)
    records = scored("utkinect-own-tempo", "ERM", FAST, constant(7))
    planned = plan(own, iter(["ERM", "TFAM"]), records, seeds=2)
    at = [(e.seed, e.fold, e.method) for e in planned]
    assert at == [*product(range(2), range(5), ("ERM", "TFAM"))]
    assert not any(e.search for e in planned)
    rates = {e.method: dict(e.hyperparameters)["learning_rate"] for e in planned}
    assert rates == {"ERM": 1e-2, "TFAM": 3e-3}
    assert {e.selection for e in planned} == {"defaults", rule("ERM", records, own)}
    assert len(plan(own, ["ERM"], [])) == 5 * SEEDS
    (wide, *_) = plan(own, ["ERM"], records, 1, {"backbone": "resnet", "width": 64})
    expected = FAST | {"updates": UPDATES, "backbone": "resnet", "width": 64}
    assert dict(wide.hyperparameters) == resolve("ERM", expected)


def test_a_search_that_was_not_run_to_its_end_chooses_nothing(both, own):
    records = [
        r for n in range(BUDGET) for d in SOURCES for r in scored(d, "ERM", draw("ERM", n), constant(n))
    ]
    assert len(plan(own, ["ERM"], records, 1)) == 5
    part = [r for r in records if r != records[-5]]  # of own tempo, which the reader's file has
    with pytest.raises(
        ValueError, match=r"has 47 of 48 .* of ERM, own tempo. .* search --methods 'ERM'"
    ):
        plan(own, ["ERM"], part, 1)
    assert plan(own, ["TFAM"], part, 1) and plan("spar-repetitions", ["ERM"], part, 1)


# Making


def make_in(folder, data, methods=("ERM",), **options):
    return make(data, methods, seeds=1, folder=folder, progress=False, **options)


@pytest.fixture
def empty(tmp_path):
    """A folder of records with a search that has none."""
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "search.jsonl").touch()
    return folder


def test_what_is_there_is_not_made_again(both, own, computed, tmp_path):
    records = make_search(["ERM"], folder=tmp_path / "out")
    assert len(computed) == len(records) == len(search_plan(["ERM"])) == BUDGET * 16
    assert [r for r in read_search(tmp_path / "out") if r["method"] == "ERM"] == records
    made = make_in(tmp_path / "out", own, ["ERM", "TFAM"])
    assert made == read_records(tmp_path / "out" / "own-own.jsonl") and len(made) == 10
    assert all(r["hyperparameters"]["updates"] == UPDATES and r["command"] for r in made)
    computed.clear()
    assert make_in(tmp_path / "out", own, ["ERM", "TFAM"]) == made
    assert make_search(["ERM"], folder=tmp_path / "out") == records and not computed
    assert len(make_in(tmp_path / "out", own, ["ERM", "GIRL"])) == 10 and len(computed) == 5


def test_making_uses_what_was_chosen_and_says_how(both, own, stand_in, tmp_path):
    best = draw("ERM", 2)

    def planted(e):
        right = 9 if dict(e.hyperparameters) == resolve("ERM", best | {"updates": UPDATES}) else 5
        told = {"selection": e.selection} if e.selection else {}
        return e.key() | {"people": {str(p): [right, 10] for p in range(6)}} | told

    stand_in(planted)
    make_search(["ERM"], folder=tmp_path)
    for record in make_in(tmp_path, own):
        assert {name: record["hyperparameters"][name] for name in best} == best
        assert record["selection"] == rule("ERM", read_search(tmp_path), own)


def test_a_folder_without_a_search_takes_over_the_studys(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "STUDY", tmp_path / "study")
    assert read_search(tmp_path / "mine") == []
    (tmp_path / "study").mkdir()
    study = [{"method": m, "data": data} for m in ("ERM", "TFAM") for data in SOURCES[:2]]
    for record in study:
        append_record(tmp_path / "study" / "search.jsonl", record)
    assert read_search(tmp_path / "mine") == study
    (tmp_path / "mine").mkdir()
    mine = study[0] | {"of": "mine"}
    append_record(tmp_path / "mine" / "search.jsonl", mine)
    assert read_search(tmp_path / "mine") == [mine, *study[1:]]  # whatever the folder lacks


def test_forms_in_one_file_are_told_apart(people, computed, empty):
    people("mmg")
    for data in ("mmg", "mmg-own-tempo"):
        make_in(empty, data)
    assert len(read_records(empty / "mmg.jsonl")) == 10
    for data in ("mmg", "mmg-own-tempo"):
        there = committed(data, empty)
        assert len(there) == 5 and {r["data"] for r in there} == {data}


def test_backbones_and_widths_in_one_file_are_told_apart(own, computed, empty):
    models = [{}, {"width": 64}, {"backbone": "resnet"}, {"backbone": "resnet", "width": 64}]
    for model in models:
        make_in(empty, own, model=model)
    assert len(computed) == len(read_records(empty / "own-own.jsonl")) == 20
    for model in models:
        there = committed(own, empty, model)
        k = resolve("ERM", model | {"updates": UPDATES})
        assert len(there) == 5 and all(r["hyperparameters"] == k for r in there)


def test_without_records_the_command_that_makes_them_is_named(tmp_path, own, computed, empty):
    words = "no records.* python -m piumar_lib.evidence train --data"
    with pytest.raises(FileNotFoundError, match=f"shrec17.jsonl: {words} shrec17"):
        committed("shrec17", tmp_path)
    make_in(empty, own)
    with pytest.raises(FileNotFoundError, match=f"own.jsonl: {words} .*own.npz"):
        committed(own, empty, {"width": 64})


def test_a_training_that_failed_is_a_record_and_is_not_chosen(both, own, stand_in, tmp_path):
    def fails(e):
        lost = dict(e.hyperparameters)["learning_rate"] == 3e-3
        right = {"people": {str(p): [0 if lost else 4, 10] for p in range(6)}}
        return e.key() | right | ({"failed": "loss is nan"} if lost else {})

    stand_in(fails)
    make_search(["ERM"], folder=tmp_path)
    assert {r["hyperparameters"]["learning_rate"] for r in make_in(tmp_path, own)} <= {1e-3, 1e-2}


# A reader's own file, corrected, moved, of a name that another has


def correct(path):
    """Give a reader's file other labels, as a correction would."""
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"y": 1 - arrays["y"]})


def test_a_corrected_file_is_trained_on_again(own, computed, empty):
    before = make_in(empty, own)
    correct(own)
    with pytest.raises(FileNotFoundError, match="own.jsonl: no records of"):
        committed(own, empty)
    after = make_in(empty, own)
    assert len(computed) == len(read_records(empty / "own-own.jsonl")) == 10
    assert {r["content"] for r in after}.isdisjoint(r["content"] for r in before)
    assert committed(own, empty) == after


def test_files_of_one_name_are_told_apart(own, computed, empty, tmp_path):
    twin = tmp_path / "elsewhere" / "own.npz"
    twin.parent.mkdir()
    twin.write_bytes(Path(own).read_bytes())
    correct(twin)
    for path in (own, str(twin)):
        make_in(empty, path)
        assert {r["data"] for r in committed(path, empty)} == {path}
    assert len(computed) == len(read_records(empty / "own-own.jsonl")) == 10


@pytest.mark.parametrize("spelling", ["own.npz", "./own.npz", "../own.npz", "~/own.npz", "moved"])
def test_a_file_is_the_same_under_any_path(own, computed, empty, tmp_path, monkeypatch, spelling):
    made = make_in(empty, own)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below" if spelling.startswith("..") else tmp_path)
    if spelling == "moved":
        spelling = str(Path(own).rename(tmp_path / "below" / "own.npz"))
    computed.clear()
    again = make_in(empty, spelling)
    where = str(Path(spelling).expanduser().resolve())
    assert computed == [] and again == [r | {"data": where} for r in made]
    assert committed(spelling, empty) == again


def test_a_file_that_changes_while_it_is_trained_on_is_noticed(own):
    e = experiment(own, "ERM", 0, 0, {"updates": 1})
    folds.load_fold(own, 0)
    correct(own)
    with pytest.raises(ValueError, match=r"own.npz: has changed meanwhile. Start the same command"):
        experiments.run(e)


def test_records_that_do_not_say_what_the_file_held_are_refused(own, computed, empty):
    path = empty / "own-own.jsonl"
    make_in(empty, own)
    old = [{k: v for k, v in r.items() if k != "content"} for r in read_records(path)]
    path.write_text("\n".join(map(json.dumps, old)))
    with pytest.raises(ValueError, match=r"own.jsonl: does not say .*own.npz.* Remove this file"):
        make_in(empty, own)


def test_an_ending_in_capitals_is_that_of_a_file_too(own, computed, empty, tmp_path):
    shouted = str(Path(own).rename(tmp_path / "A.NPZ"))
    make_in(empty, shouted)
    assert len(computed) == len(committed(shouted, empty)) == 5


# Command line


def main(*arguments):
    return evidence.main([*map(str, arguments)])


@pytest.mark.parametrize("command", [[], ["search"], ["train"], ["contrasts"]])
def test_help_lists_commands_and_options(command, capsys):
    with pytest.raises(SystemExit) as end:
        main(*command, "--help")
    said = capsys.readouterr().out
    assert end.value.code == 0 and ("--out" if command else "contrasts") in said


def test_train_makes_what_is_missing_in_both_forms(people, computed, empty, capsys):
    people("mmg")
    arguments = ("train", "--data", "mmg", "--methods", "ERM", "--seeds", 2, "--workers", 1)
    assert main(*arguments, "--out", empty) == 0
    assert [e.data for e in computed] == ["mmg-own-tempo"] * 10 + ["mmg"] * 10
    assert capsys.readouterr().out == 2 * f"records: {empty / 'mmg.jsonl'}\n"
    assert main(*arguments, "--out", empty, "--width", 64, "--forms", "one length") == 0
    assert [dict(e.hyperparameters)["width"] for e in computed] == [32] * 20 + [64] * 10
    assert main(*arguments, "--out", empty) == 0 and len(computed) == 30


def test_a_readers_file_is_trained_on_once_whatever_the_forms(own, computed, empty):
    assert main("train", "--data", own, "--methods", "ERM", "--workers", 1, "--out", empty) == 0
    assert len(computed) == 5 * SEEDS


def test_search_makes_its_records(both, computed, tmp_path, capsys):
    assert main("search", "--methods", "ERM", "--workers", 1, "--out", tmp_path) == 0
    assert len(read_records(tmp_path / "search.jsonl")) == BUDGET * 16
    assert capsys.readouterr().out == f"records: {tmp_path / 'search.jsonl'}\n"


@pytest.mark.parametrize("command", ["search", "train"])
def test_unknown_methods_and_no_command_are_refused(command, capsys):
    for arguments in ([command, "--methods", "magic"], []):
        with pytest.raises(SystemExit):
            main(*arguments)
    said = capsys.readouterr().err
    assert "'magic' is unknown" in said and "the following arguments are required" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "missing.npz"], "missing.npz: no such file"),
        (["train", "--data", "magic"], "data: 'magic' is unknown"),
        (["train", "--data", "synthetic:people=one"], "'people=one' in "),
        (["train", "--data", "mmg"], "download_people.py mmg"),
        (["search"], "download_people.py msraction3d"),
        (["contrasts", "--data", "mmg"], "mmg.jsonl: no records of mmg-own-tempo. Make them"),
        (["contrasts", "--data", "missing.npz"], "missing.npz: no such file"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.setenv("PIUMAR_PEOPLE", str(tmp_path))
    assert main(*arguments, "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and words in said.err and said.err.count("\n") == 1
    assert not said.out


def test_one_person_is_a_mistake_in_one_line(own_of, tmp_path, capsys):
    assert main("train", "--data", own_of(1), "--workers", 1, "--out", tmp_path) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: data: ") and "has one person. This takes at least 2" in said


def test_records_that_cannot_be_written_are_named_before_anything_is_trained(
    own, computed, tmp_path, capsys
):
    (tmp_path / "file").touch()
    arguments = ("train", "--data", own, "--methods", "ERM", "--workers", 1, "--out")
    assert main(*arguments, tmp_path / "file") == 1
    assert "a file stands where a folder is needed" in capsys.readouterr().err and not computed


def test_a_tilde_in_out_is_the_home_folder(own, computed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = ("--methods", "ERM", "--seeds", 1, "--workers", 1)
    assert main("train", "--data", own, *options, "--out", "~/records") == 0
    assert len(read_records(tmp_path / "records" / "own-own.jsonl")) == 5


def test_a_bug_keeps_its_traceback(own, computed, empty, monkeypatch):
    monkeypatch.setattr(protocol, "plan", lambda *_: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        main("train", "--data", own, "--methods", "ERM", "--workers", 1, "--out", empty)


# Killed and resumed


def start(*arguments):
    """The command line in a process of its own; an update is all that a training takes."""
    code = "import sys; from piumar_lib.evidence import __main__ as e, protocol as p; "
    code += "p.UPDATES = 1; sys.exit(e.main())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def outcome(path):
    """Records without what differs from run to run."""
    own = ("seconds", "command", "commit", "versions", "device")
    return [{k: v for k, v in r.items() if k not in own} for r in read_records(path)]


def test_a_command_that_is_killed_and_resumed_ends_with_the_same_records(
    own_of, empty, tmp_path, monkeypatch
):
    monkeypatch.setattr(protocol, "UPDATES", 1)
    options = ["train", "--data", own_of(4), "--methods", "ERM", "TFAM", "--seeds", 12, "--workers", 1]
    through = shutil.copytree(empty, tmp_path / "through")
    main(*options, "--out", through)
    expected, path = outcome(through / "own-own-4.jsonl"), empty / "own-own-4.jsonl"
    assert len(expected) == 2 * 12 * 4
    dice, done = random.Random(0), 0
    for more in (1, 10):
        process = forks.start(lambda: main(*options, "--out", empty), tmp_path)
        while process.exitcode is None and len(outcome(path)) < done + more:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.05))
        process.kill()
        assert forks.exit_code(process) == -signal.SIGKILL
        left = outcome(path)  # can be read: nothing is corrupted,
        assert left == expected[: len(left)] and len(left) >= done + more  # and nothing is lost
        done = len(left)
    main(*options, "--out", empty)
    assert outcome(path) == expected


def test_ctrl_c_stops_at_once_and_says_so(own_of, empty):
    options = ("--methods", "TFAM", "--seeds", 400, "--workers", 1, "--out", empty)
    process, path = start("train", "--data", own_of(4), *options), empty / "own-own-4.jsonl"
    while not outcome(path):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"stopped. Finished records are kept; the same command resumes.\n" in said
    assert 0 < len(outcome(path)) < 1600
