"""The evidence: nobody's own scores choose his hyperparameters, and tables by hand."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from piumar_lib import evidence, experiments, folds, metrics, studies
from piumar_lib.evidence import (
    BUDGET,
    TELLING,
    WORLDS,
    choose,
    committed,
    final_plan,
    hyperparameter_table,
    make,
    methods_of,
    print_table,
    records_path,
    scores_by_person,
    search_plan,
    seed_deviation,
    strongest_baseline,
    summarise,
)
from piumar_lib.experiments import ROOT, experiment, read_records
from piumar_lib.methods import COMMON, METHODS, draw, resolve


def searched(data, method, knobs, score):
    """Records of a search in which ``score(fold, person)`` of ten clips were right."""
    found = []
    for k in folds.search_folds(data):
        people = map(str, folds.load_search_fold(data, k).unseen.people)
        found.append(experiment(data, method, k, 0, knobs, search=True).key())
        found[-1]["people"] = {p: [score(k, p), 10] for p in people}
    return found


def constant(right):
    return lambda fold, person: right


# What is compared


def test_tables_hold_every_method_that_is_no_attempt_and_worlds_the_most_telling():
    live = [n for n, m in METHODS.items() if m.kind != "attempt" and not m.archived]
    assert methods_of("synthetic") == live
    assert {*TELLING} <= {*methods_of("synthetic")}
    for world in WORLDS:
        assert {*methods_of(world)} == {*methods_of(f"{world}:people=20")} == {*TELLING}


def test_the_same_budget_searches_every_method(own):
    plan = search_plan(own, ["ERM", "TFAM"], budget=3)
    assert len(plan) == len({*plan}) == 2 * 3 * 4 and all(e.search and e.seed == 0 for e in plan)
    for method in ("ERM", "TFAM"):
        tried = [e for e in plan if e.method == method]
        assert [e.fold for e in tried] == [0, 1, 2, 3] * 3
        expected = [resolve(method, draw(method, number)) for number in range(3)]
        assert [dict(e.knobs) for e in tried[::4]] == expected
    assert search_plan(own, ["ERM"], budget=0) == []
    assert len(search_plan(own, ["PIUmr"])) == 4 * BUDGET


def test_ablations_and_controls_are_not_searched_but_what_they_are_like(own):
    names = ["TFAM, Sinkhorn", "uniform mass", "oracle groups", "TFAM"]
    assert {e.method for e in search_plan(own, names, budget=1)} == {"TFAM", "PIUmr"}


# Choosing


def test_the_best_mean_over_people_is_chosen(own):
    """A person counts once, however many clips he has."""
    uneven = {"1": [1, 10], "3": [99, 100]}  # 0.545 over people, 0.909 over clips
    even = {"1": [6, 10], "3": [60, 100]}
    records = [
        experiment(own, "ERM", k, 0, {"rate": rate}, search=True).key() | {"people": {p: scores[p]}}
        for rate, scores in ((1e-3, uneven), (1e-2, even))
        for k, p in ((1, "1"), (2, "3"))
    ]
    assert folds.search_people(own, 2) == {1: {"1"}, 2: {"3"}}
    assert choose(records, own, "ERM", 2)["rate"] == 1e-2
    records[1]["people"]["3"] = [100, 100]
    records[0]["people"]["1"] = [3, 10]
    assert choose(records, own, "ERM", 2)["rate"] == 1e-3


@pytest.mark.parametrize("data", ["spar-windows", "own"])
def test_scores_that_may_not_be_looked_at_choose_nothing(data, own):
    data = own if data == "own" else data
    for fold in folds.folds(data):
        allowed = folds.search_people(data, fold)

        def flatters(k, person, allowed=allowed):
            return 2 if person in allowed.get(k, ()) else 10

        records = searched(data, "ERM", {"rate": 1e-2}, flatters)
        records += searched(data, "ERM", {"rate": 1e-3}, constant(3))
        assert choose(records, data, "ERM", fold) == resolve("ERM", {"rate": 1e-3})
        assert choose(records[::-1], data, "ERM", fold) == resolve("ERM", {"rate": 1e-3})


def test_scores_that_may_be_looked_at_choose(own):
    for fold in folds.folds(own):
        allowed = folds.search_people(own, fold)

        def good(k, person, allowed=allowed):
            return 6 if person in allowed.get(k, ()) else 0

        records = searched(own, "ERM", {"rate": 1e-2}, constant(5))
        records += searched(own, "ERM", {"rate": 1e-3}, good)
        assert choose(records, own, "ERM", fold)["rate"] == 1e-3


def test_of_equally_good_ones_the_earlier_is_chosen(own):
    first, second = (searched(own, "ERM", {"rate": rate}, constant(7)) for rate in (1e-3, 1e-2))
    assert choose(first + second, own, "ERM", 0)["rate"] == 1e-3
    assert choose(second + first, own, "ERM", 0)["rate"] == 1e-2


def test_records_of_others_and_of_the_comparison_itself_choose_nothing(own, own_of):
    others = searched(own, "augmentation", {"rate": 1e-2}, constant(10))
    others += searched(own_of(5), "ERM", {"rate": 1e-2}, constant(10))
    others += [r | {"search": False} for r in searched(own, "ERM", {"rate": 1e-2}, constant(10))]
    assert choose(others, own, "ERM", 0) == {}
    mine = searched(own, "ERM", {"rate": 1e-3}, constant(1))
    assert choose(others + mine, own, "ERM", 0)["rate"] == 1e-3


def test_nothing_searched_means_defaults(own, own_of):
    assert choose([], own, "PIUmr", 0) == {} == choose([], own_of(2), "PIUmr", 0)
    (e, *_) = final_plan(own, ["PIUmr"], [], seeds=1)
    assert dict(e.knobs) == resolve("PIUmr")


@pytest.mark.parametrize(("method", "parent"), [("TFAM, Sinkhorn", "TFAM"), ("random groups", "PIUmr")])
def test_an_ablation_takes_over_its_parents_choice(own, method, parent):
    knobs = draw(parent, 2)
    records = searched(own, parent, knobs, constant(9)) + searched(own, parent, {}, constant(8))
    records += searched(own, method, {}, constant(10))
    assert choose(records, own, method, 1) == choose(records, own, parent, 1) == resolve(parent, knobs)
    (e, *_) = final_plan(own, [method], records)
    assert (e.method, dict(e.knobs)) == (method, resolve(method, knobs))


@pytest.mark.parametrize("data", [*folds.SYNTHETIC, "synthetic:people=20"])
def test_synthetic_data_take_over_what_was_chosen_on_the_plain_ones(data):
    records = searched("synthetic", "ERM", {"rate": 1e-2}, constant(9))
    records += searched("synthetic", "ERM", {}, constant(8))
    plan = final_plan(data, ["ERM"], records, seeds=1)
    assert [(e.data, e.fold, dict(e.knobs)["rate"]) for e in plan] == [
        (data, fold, 1e-2) for fold in folds.FINAL
    ]


def test_plan_goes_seed_by_seed_through_every_fold_and_method(own):
    plan = final_plan(own, iter(["ERM", "TFAM"]), [], seeds=2)
    assert plan[:3] == [
        experiment(own, "ERM", 0, 0),
        experiment(own, "TFAM", 0, 0),
        experiment(own, "ERM", 1, 0),
    ]
    assert plan[-1] == experiment(own, "TFAM", 4, 1) and len({*plan}) == len(plan) == 20
    assert not any(e.search for e in plan)
    assert len(final_plan(own, ["ERM"], [])) == 5 * evidence.SEEDS


# Making


def test_make_searches_then_trains(own, computed, tmp_path):
    records = make(own, ["ERM", "TFAM"], seeds=2, budget=2, folder=tmp_path / "out", progress=False)
    assert [e.search for e in computed] == [True] * 2 * 2 * 4 + [False] * 2 * 2 * 5
    assert records == read_records(tmp_path / "out" / "own.jsonl")
    assert len(read_records(tmp_path / "out" / "search-own.jsonl")) == 16
    again = make(own, ["ERM", "TFAM"], seeds=2, budget=2, folder=tmp_path / "out", progress=False)
    assert again == records and len(computed) == 36


def test_make_uses_what_it_chose(own, computed, tmp_path, monkeypatch):
    best = resolve("ERM", draw("ERM", 2))

    def planted(e):
        computed.append(e)
        right = 9 if dict(e.knobs) == best else 5
        return e.key() | {"people": {str(p): [right, 10] for p in range(6)}}

    monkeypatch.setattr("piumar_lib.experiments.run", planted)
    records = make(own, ["ERM"], seeds=1, budget=4, folder=tmp_path, progress=False)
    assert len(records) == 5 and all(r["knobs"] == best for r in records)


def test_make_searches_on_plain_synthetic_data_for_all_of_them(computed, tmp_path):
    make("synthetic-52", ["ERM"], seeds=1, budget=1, folder=tmp_path, progress=False)
    make("synthetic:people=3", ["ERM"], seeds=1, budget=1, folder=tmp_path, progress=False)
    assert [e.data for e in computed if e.search] == ["synthetic"] * 2
    names = {"search-synthetic.jsonl", "synthetic-52.jsonl", "synthetic:people=3.jsonl"}
    assert {path.name for path in tmp_path.glob("*.jsonl")} == names


def test_without_a_budget_or_enough_people_defaults_are_used(own, own_of, computed, tmp_path):
    for data, budget, count in ((own, 0, 5), (own_of(2), 6, 2)):
        computed.clear()
        records = make(data, ["TFAM"], seeds=1, budget=budget, folder=tmp_path, progress=False)
        assert len(records) == len(computed) == count and not any(e.search for e in computed)
        assert all(r["knobs"] == resolve("TFAM") for r in records)


def test_two_people_are_enough_for_a_table(own_of, tmp_path):
    records = make(own_of(2), ["ERM", "temporal"], seeds=1, folder=tmp_path, progress=False)
    assert [list(r["people"]) for r in records] == [["0"], ["0"], ["1"], ["1"]]
    assert [row.method for row in summarise(records)] == ["ERM", "temporal"]


def test_by_default_everything_is_made(own, computed, tmp_path):
    make(own, folder=tmp_path, seeds=1, budget=1, progress=False)
    assert list(dict.fromkeys(e.method for e in computed if not e.search)) == methods_of(own)


# Records that are there


def test_committed_records_come_in_the_order_of_methods(own, computed, tmp_path):
    made = make(own, ["TFAM", "ERM"], seeds=2, budget=0, folder=tmp_path, progress=False)
    there = committed(own, tmp_path)
    assert [(r["method"], r["seed"], r["fold"]) for r in there] == [
        (method, seed, fold) for method in ("ERM", "TFAM") for seed in range(2) for fold in range(5)
    ]
    assert sorted(map(json.dumps, there)) == sorted(map(json.dumps, made))


def test_without_records_the_command_that_makes_them_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="spar-windows.jsonl: no records.* --data spar-windows"):
        committed("spar-windows", tmp_path)


def test_records_of_other_data_in_the_same_file_are_left_out(computed, tmp_path):
    for shift in ("1.0", "1.5"):  # one file, as a number's end looks like a suffix
        make(f"synthetic:shift={shift}", ["ERM"], 1, 0, folder=tmp_path, progress=False)
    assert {r["data"] for r in committed("synthetic:shift=1.5", tmp_path)} == {"synthetic:shift=1.5"}


def test_records_of_two_searches_are_not_mixed(own, computed, tmp_path):
    path = records_path(own, folder=tmp_path)
    make(own, ["ERM", "TFAM"], seeds=1, budget=0, folder=tmp_path, progress=False)
    other = experiment(own, "TFAM", 2, 0, {"rate": 1e-2}).key() | {"people": {"2": [1, 2]}}
    with path.open("a") as file:
        file.write(json.dumps(other) + "\n")
    with pytest.raises(ValueError, match="own.jsonl: TFAM with several .* Remove"):
        committed(own, tmp_path)


# A reader's own file, corrected, moved, renamed


def correct(path):
    """Give a reader's file other labels, as a correction would."""
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"y": 1 - arrays["y"]})


def test_a_corrected_file_is_searched_and_trained_on_again(own, computed, tmp_path):
    def run():
        computed.clear()
        make(own, ["ERM"], seeds=1, budget=2, folder=tmp_path / "out", progress=False)
        return [e.search for e in computed]

    everything = [True] * 8 + [False] * 5
    assert run() == everything and run() == []
    correct(own)
    assert run() == everything and run() == []
    there = committed(own, tmp_path / "out")
    assert len(there) == 5 and len(read_records(tmp_path / "out" / "own.jsonl")) == 10


def test_a_corrected_files_old_table_is_not_shown(own, computed, tmp_path, capsys):
    make(own, ["ERM", "TFAM"], seeds=1, budget=0, folder=tmp_path, progress=False)
    correct(own)
    assert run_main("--data", own, "--table", "--out", tmp_path) == 1
    captured = capsys.readouterr()
    said = "own.jsonl: no records of what .*own.npz holds now"
    assert not captured.out and re.search(said, captured.err)
    make(own, ["ERM"], seeds=1, budget=0, folder=tmp_path, progress=False)
    assert {r["method"] for r in committed(own, tmp_path)} == {"ERM"}


def test_files_of_one_name_are_told_apart(own, computed, tmp_path):
    twin = tmp_path / "elsewhere" / "own.npz"
    twin.parent.mkdir()
    twin.write_bytes(Path(own).read_bytes())
    correct(twin)
    for path in (own, str(twin)):
        make(path, ["ERM"], seeds=1, budget=0, folder=tmp_path, progress=False)
        assert {r["data"] for r in committed(path, tmp_path)} == {path}
    assert len(computed) == len(read_records(tmp_path / "own.jsonl")) == 10


@pytest.mark.parametrize("spelling", ["own.npz", "./own.npz", "../own.npz", "~/own.npz", "moved"])
def test_a_file_is_the_same_under_any_path(own, computed, tmp_path, monkeypatch, spelling):
    made = make(own, ["ERM"], seeds=1, budget=2, folder=tmp_path / "out", progress=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below" if spelling.startswith("..") else tmp_path)
    if spelling == "moved":
        spelling = str(Path(own).rename(tmp_path / "below" / "own.npz"))
    computed.clear()
    again = make(spelling, ["ERM"], seeds=1, budget=2, folder=tmp_path / "out", progress=False)
    where = str(Path(spelling).expanduser().resolve())
    assert computed == [] and again == [r | {"data": where} for r in made]
    assert committed(spelling, tmp_path / "out") == again
    assert summarise(again)[0].summary.people == 5  # the stand-in's records have a person a fold


def test_a_file_that_changes_while_it_is_trained_on_is_noticed(own):
    e = experiment(own, "ERM", 0, 0, {"epochs": 1})
    folds.load_fold(own, 0)
    correct(own)
    with pytest.raises(ValueError, match=r"own.npz: has changed meanwhile. Start the same command"):
        experiments.run(e)


@pytest.mark.parametrize("name", ["own.jsonl", "search-own.jsonl"])
def test_records_that_do_not_say_what_the_file_held_are_refused(own, computed, tmp_path, name):
    make(own, ["ERM"], seeds=1, budget=2, folder=tmp_path, progress=False)
    old = [{k: v for k, v in r.items() if k != "content"} for r in read_records(tmp_path / name)]
    (tmp_path / name).write_text("\n".join(map(json.dumps, old)))
    with pytest.raises(ValueError, match=rf"/{name}: does not say .*own.npz.* Remove this file"):
        make(own, ["ERM"], seeds=1, budget=2, folder=tmp_path, progress=False)


def test_an_ending_in_capitals_is_that_of_a_file_too(own, computed, tmp_path):
    shouted = str(Path(own).rename(tmp_path / "a:OWN.NPZ"))
    assert evidence.searched_on(shouted) == shouted
    make(shouted, ["ERM"], seeds=1, budget=1, folder=tmp_path, progress=False)
    assert len(computed) == 9 and len(committed(shouted, tmp_path)) == 5


# Tables


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
    """Two baselines and two methods of ours, two seeds, ten people in five folds, 20 clips each."""
    rng = np.random.default_rng(0)
    return [
        {"data": "d", "method": method, "seed": seed, "fold": k // 2}
        | {"people": {p: [int(rng.integers(least, 20)), 20]}}
        for least, method in ((5, "ERM"), (12, "PIUmr"), (10, "CORAL"), (8, "TFAM"))
        for seed in (0, 1)
        for k, p in enumerate("abcdefghij")
        if (method, p) not in skip
    ]


def by_hand(records):
    """Accuracies ``(seeds, people)`` of each method."""
    shares = {}
    for record in records:
        shares.setdefault(record["method"], []).extend(r / n for r, n in record["people"].values())
    return {name: np.reshape(values, (2, 10)) for name, values in shares.items()}


@pytest.fixture(scope="module")
def rows():
    return summarise(table_records())


@pytest.mark.parametrize(
    ("reference", "gain", "p"), [("ERM", "gain", "p_holm"), ("CORAL", "against_best", "p_holm_best")]
)
def test_gains_are_paired_over_people_and_corrected_for_all_methods(rows, reference, gain, p):
    scores = {name: values.mean(0) for name, values in by_hand(table_records()).items()}
    assert scores["CORAL"].mean() > scores["ERM"].mean()  # the strongest baseline; PIUmr is none
    raw = {
        name: stats.wilcoxon(values - scores[reference]).pvalue
        for name, values in scores.items()
        if name != reference
    }
    holm, most = {}, 0.0
    for k, name in enumerate(sorted(raw, key=raw.get)):
        most = max(most, min(1, (3 - k) * raw[name]))
        holm[name] = most
    assert len(raw) == 3 and holm != raw
    for row in rows:
        if row.method == reference:
            assert getattr(row, gain) is None and np.isnan(getattr(row, p))
        else:
            assert getattr(row, gain) == metrics.compare(scores[row.method], scores[reference])
            assert getattr(row, p) == pytest.approx(holm[row.method])


def test_rows_hold_the_summary_over_people_and_the_deviation_over_seeds(rows):
    scores = by_hand(table_records())
    assert [row.method for row in rows] == ["ERM", "PIUmr", "CORAL", "TFAM"]
    for row in rows:
        assert row.summary == metrics.summarise(scores[row.method].mean(0))
        assert row.seed_deviation == pytest.approx(scores[row.method].mean(1).std(ddof=1))


def with_failures(failing):
    """Records of which those of (method, seed, fold) in ``failing`` failed."""
    return [
        r | {"people": dict.fromkeys(r["people"], [0, 20]), "failed": f"seed {r['seed']}: loss is nan"}
        if failing(r)
        else r
        for r in table_records()
    ]


def test_a_method_of_which_every_training_failed_has_no_score(capsys):
    rows = summarise(with_failures(lambda r: r["method"] in ("CORAL", "TFAM")))
    erm, piumr, coral, tfam = rows
    for row in (coral, tfam):
        assert row.failed == "20 of 20 trainings failed: seed 0: loss is nan"
        assert np.isnan([row.summary.mean, row.summary.low, row.seed_deviation]).all()
        assert row.gain is None and row.against_best is None
    assert (erm.failed, piumr.failed) == ("", "")
    alone = summarise([r for r in table_records() if r["method"] in ("ERM", "PIUmr")])
    assert piumr == alone[1], "p values are not corrected for methods that could not be judged"
    print_table(with_failures(lambda r: r["method"] == "CORAL"))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("CORAL"))
    assert line.split(None, 1)[1] == coral.failed


def test_a_training_that_failed_is_counted_and_its_reason_given(capsys):
    records = with_failures(lambda r: r["method"] == "TFAM" and r["seed"] == 1)
    (row,) = (row for row in summarise(records) if row.method == "TFAM")
    assert row.failed == "10 of 20 trainings failed: seed 1: loss is nan"
    assert 0 < row.summary.mean < 0.5 and row.gain.difference < 0
    print_table(records)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("TFAM") for line in lines] == [row.failed in line for line in lines]


def test_a_baseline_that_failed_is_compared_with_nothing():
    rows = summarise(with_failures(lambda r: r["method"] == "ERM"))
    assert all(row.gain is None for row in rows)
    assert [row.against_best is None for row in rows] == [True, False, True, False]  # CORAL is the best
    everything = summarise(with_failures(lambda r: True))
    assert all(row.gain is None and row.against_best is None for row in everything)


def test_one_persons_table_says_that_there_is_no_interval(capsys):
    print_table([r | {"people": {"a": [*r["people"].values()][0]}} for r in table_records()])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all("(one person: no interval)" in line for line in lines)
    assert not any("[" in line or "nan" in line for line in lines)


def test_a_table_without_its_baseline_has_no_gains():
    rows = summarise([r for r in table_records() if r["method"] in ("PIUmr", "TFAM")])
    assert all(row.gain is None and row.against_best is None for row in rows)
    other = summarise([r for r in table_records() if r["method"] in ("ERM", "TFAM")], baseline="TFAM")
    assert other[1].gain is None and other[0].gain.difference < 0


def test_one_seed_has_no_deviation():
    rows = summarise([r for r in table_records() if r["seed"] == 0])
    assert all(np.isnan(row.seed_deviation) for row in rows)


def test_seeds_that_lack_a_fold_do_not_count():
    records = [
        {"seed": seed, "fold": fold, "people": {"a": [right, 10], "b": [right + 2, 10]}}
        for seed, fold, right in ((0, 0, 1), (0, 1, 3), (1, 0, 5), (1, 1, 7), (2, 0, 8))
    ]
    assert seed_deviation(records) == pytest.approx(np.std([0.3, 0.7], ddof=1))
    assert np.isnan(seed_deviation(records[:3])) and np.isnan(seed_deviation(records[:1]))


def test_the_strongest_baseline_is_one_and_the_best():
    assert strongest_baseline({"ERM": 0.5, "Mixup": 0.7, "PIUmr": 0.9, "DSU": 0.6}) == "Mixup"
    assert strongest_baseline({"PIUmr": 0.9, "oracle groups": 0.95}) == ""
    assert strongest_baseline({"CORAL": float("nan"), "ERM": 0.5}) == "ERM"  # CORAL's trainings failed


@pytest.mark.parametrize("method", ["ERM", "PIUmr"])
def test_a_table_needs_everyone_under_every_method(method):
    with pytest.raises(ValueError, match=f"records: {method} was not judged on all people"):
        summarise(table_records(skip=[(method, "c")]))


def test_a_table_is_of_one_data_set():
    for records in ([], table_records() + [table_records()[0] | {"data": "other"}]):
        with pytest.raises(ValueError, match="records: of none or several data sets"):
            summarise(records)


def test_the_printed_table_is_that_of_the_rows(rows):
    lines, row = [], rows[1]
    print_table(table_records(), lines.append)
    s = row.summary
    assert lines[1] == (
        f"PIUmr                      {100 * s.mean:5.1f} [{100 * s.low:.1f}, {100 * s.high:.1f}] worst "
        f"quarter {100 * s.worst_quarter:5.1f}, worst {100 * s.worst:5.1f} gain "
        f"{100 * row.gain.difference:+5.1f}, p {row.p_holm:.3f}"
    )
    assert len(lines) == 4 and "gain" not in lines[0]


def test_every_hyperparameter_of_baselines_and_of_ours_is_listed_once():
    lines = hyperparameter_table()
    assert [line[:2] for line in lines[: len(COMMON)]] == [("all", name) for name in COMMON]
    expected = [
        (name, knob)
        for name, method in METHODS.items()
        if method.kind in ("baseline", "ours")
        for knob in method.knobs
    ]
    assert [line[:2] for line in lines[len(COMMON) :]] == expected and len({*expected}) == len(expected)
    for method, name, default, values, source in lines[len(COMMON) :]:
        knob = METHODS[method].knobs[name]
        assert (float(default), source) == (knob.default, knob.source)
        assert [float(v) for v in values.split(", ")] == list(knob.values)


# Command line


def run_main(*arguments):
    return evidence.main([*map(str, arguments), "--workers", "1"])


def test_main_makes_what_is_missing_and_prints_a_table(own, computed, tmp_path, capsys):
    arguments = ("--data", own, "--methods", "ERM", "TFAM", "--seeds", 2, "--budget", 1)
    run_main(*arguments, "--out", tmp_path)
    assert [e.search for e in computed] == [True] * 8 + [False] * 20
    table = capsys.readouterr().out.splitlines()
    # Folds 0-4 get 1.5, 11.5, ... 41.5 % on average over the two seeds.
    low, high = metrics.bootstrap_interval(np.array([0.015, 0.115, 0.215, 0.315, 0.415]))
    numbers = f"21.5 [{100 * low:.1f}, {100 * high:.1f}] worst quarter   6.5, worst   1.5"
    assert table == [
        f"{'ERM':26s}  {numbers}",
        f"{'TFAM':26s}  {numbers} gain  +0.0, p 1.000",
        f"records: {tmp_path / 'own.jsonl'}",
    ]
    run_main(*arguments, "--out", tmp_path)
    assert len(computed) == 28 and capsys.readouterr().out.splitlines() == table
    run_main("--data", own, "--table", "--out", tmp_path)
    assert len(computed) == 28 and capsys.readouterr().out.splitlines() == table


def test_main_prints_what_was_asked_for_beside_older_records(own, computed, tmp_path, capsys):
    run_main("--data", own, "--methods", "ERM", "TFAM", "--seeds", 1, "--budget", 0, "--out", tmp_path)
    capsys.readouterr()
    run_main("--data", own, "--methods", "TFAM", "--seeds", 1, "--budget", 0, "--out", tmp_path)
    assert len(computed) == 10 and "ERM" not in capsys.readouterr().out


def test_main_prints_the_methods_that_a_killed_run_has_finished(own, computed, tmp_path, capsys):
    run_main("--data", own, "--methods", "ERM", "TFAM", "--seeds", 1, "--budget", 0, "--out", tmp_path)
    table = capsys.readouterr().out.splitlines()
    path = tmp_path / "own.jsonl"
    unfinished = experiment(own, "GIRL", 0, 0).key() | {"people": {"0": [1, 100]}}
    path.write_text(path.read_text() + json.dumps(unfinished) + "\n")
    run_main("--data", own, "--table", "--out", tmp_path)
    assert len(computed) == 10 and capsys.readouterr().out.splitlines() == table


def test_main_writes_beside_the_evidence_unless_told(own, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "RESULTS", tmp_path)
    run_main("--data", own, "--methods", "ERM", "--seeds", 1, "--budget", 0)
    assert len(read_records(tmp_path / "own.jsonl")) == 5
    assert not (tmp_path / "search-own.jsonl").exists()


def test_evidence_lies_beside_the_chapters():
    assert records_path("spar-windows") == ROOT / "notebooks" / "results" / "spar-windows.jsonl"
    assert records_path("a/my.npz", "search").name == "search-my.jsonl"


def test_main_runs_a_study(computed, tmp_path, monkeypatch, capsys):
    wanted = [experiment("synthetic", "ERM", fold, 0) for fold in (5, 6)]
    monkeypatch.setitem(studies.STUDIES, "size", lambda: wanted)
    run_main("--study", "size", "--out", tmp_path)
    assert computed == wanted and len(read_records(tmp_path / "size.jsonl")) == 2
    assert capsys.readouterr().out == f"records: {tmp_path / 'size.jsonl'}\n"


def test_main_refuses_unknown_methods(capsys):
    with pytest.raises(SystemExit):
        evidence.main(["--methods", "magic"])
    assert "invalid choice: 'magic'" in capsys.readouterr().err


def test_main_without_records_prints_no_table(own, tmp_path, capsys):
    assert run_main("--data", own, "--table", "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and "no records" in said.err and not said.out
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "missing.npz"], "missing.npz: no such file"),
        (["--data", "magic"], "data: 'magic' is unknown"),
        (["--data", "synthetic:people=one"], "'people=one' in "),
        (["--data", "spar-windows", "--table"], "spar-windows.jsonl: no records. Make them"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, capsys, arguments, words):
    assert run_main(*arguments, "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and words in said.err and said.err.count("\n") == 1
    assert not said.out


def test_one_person_is_a_mistake_in_one_line(own_of, tmp_path, capsys):
    assert run_main("--data", own_of(1), "--out", tmp_path) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: data: ") and "has one person. This takes at least 2" in said


def test_a_bug_keeps_its_traceback(own, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "print_table", lambda *_: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        run_main("--data", own, "--methods", "ERM", "--seeds", 1, "--budget", 0, "--out", tmp_path)


def test_records_that_cannot_be_written_are_named_before_anything_is_trained(
    own, computed, tmp_path, capsys
):
    (tmp_path / "file").touch()
    arguments = ("--data", own, "--methods", "ERM", "--budget", 0, "--out")
    assert run_main(*arguments, tmp_path / "file") == 1
    assert "own.jsonl: a file stands where a folder is needed" in capsys.readouterr().err
    assert not computed


def test_a_tilde_in_out_is_the_home_folder(own, computed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = ("--methods", "ERM", "--seeds", 1, "--budget", 0)
    assert run_main("--data", own, *options, "--out", "~/records") == 0
    assert len(read_records(tmp_path / "records" / "own.jsonl")) == 5


# Killed and resumed


def outcome(folder):
    """Records without what differs from run to run."""
    own = ("seconds", "command", "commit", "versions", "device")
    return {
        path.name: [{k: v for k, v in r.items() if k not in own} for r in read_records(path)]
        for path in sorted(folder.glob("*.jsonl"))
    }


def test_a_command_that_is_killed_and_resumed_ends_with_the_same_records(own_of, tmp_path):
    data, through, killed = own_of(4), tmp_path / "through", tmp_path / "killed"
    arguments = ["--data", data, "--methods", "ERM", "TFAM", "--seeds", "1", "--budget", "2"]
    evidence.main([*arguments, "--workers", "1", "--out", str(through)])
    expected = outcome(through)
    assert [len(records) for records in expected.values()] == [8, 16]  # compared, searched
    command = [sys.executable, "-m", "piumar_lib.evidence", *arguments, "--workers", "1", "--out"]
    dice, done = random.Random(0), 0
    for more in (1, dice.randint(2, 12)):
        process = subprocess.Popen(
            [*command, str(killed)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and sum(map(len, outcome(killed).values())) < done + more:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        left = outcome(killed)  # can be read: nothing is corrupted,
        assert all(expected[name][: len(records)] == records for name, records in left.items())
        assert sum(map(len, left.values())) >= done + more  # and nothing that was done is lost
        done = sum(map(len, left.values()))
    assert done < 24
    evidence.main([*arguments, "--workers", "1", "--out", str(killed)])
    assert outcome(killed) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_at_once_and_says_so(own_of, tmp_path, workers):
    arguments = ["--data", own_of(4), "--methods", "TFAM", "--seeds", "40", "--budget", "0"]
    command = [sys.executable, "-m", "piumar_lib.evidence", *arguments, "--workers", str(workers)]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not sum(map(len, outcome(tmp_path).values())):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"stopped. What was done is kept; the same command goes on.\n" in said
    assert 0 < sum(map(len, outcome(tmp_path).values())) < 160
