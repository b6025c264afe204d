"""Studies and attempts: on which people, and whether a pair differs in nothing but its method."""

from __future__ import annotations

from dataclasses import replace

import pytest

from piumar_lib import studies
from piumar_lib.folds import FINAL, SPAR, SPARE, SYNTHETIC, search_folds
from piumar_lib.methods import METHODS, knobs_of, resolve
from piumar_lib.studies import ALIGNMENT_ATTEMPTS, GIRL_ATTEMPTS, STUDIES, Attempt

ATTEMPTS = (*GIRL_ATTEMPTS, *ALIGNMENT_ATTEMPTS)
each_attempt = pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda a: f"{a.data}, {a.question}")


@pytest.mark.parametrize("study", STUDIES)
def test_no_study_looks_at_the_populations_of_the_comparison(study):
    for e in STUDIES[study]():
        name = e.data.partition(":")[0]
        assert e.fold in (search_folds(e.data) if e.search else SPARE)
        assert name in SPAR if e.search else name in SYNTHETIC and e.fold not in FINAL


@pytest.mark.parametrize("study", STUDIES)
def test_studies_repeat_each_setting_with_two_seeds_on_all_their_folds(study):
    seen = {}
    for e in STUDIES[study]():
        seen.setdefault(replace(e, seed=0, fold=0), set()).add((e.seed, e.fold))
    for setting, runs in seen.items():
        folds = {fold for _, fold in runs}
        assert runs == {(seed, fold) for seed in (0, 1) for fold in folds}
        assert len(folds) == (4 if setting.search else 3 if study == "attempts" else 5)


# Sensitivity and size


def test_sensitivity_changes_one_knob_at_a_time():
    usual, seen = resolve("PIUmr"), set()
    for e in studies.sensitivity():
        changed = {k: v for k, v in e.knobs if v != resolve(e.method)[k]}
        if e.method == "PIUmr" and len(changed) == 1:
            seen |= {*changed.items()}
        else:
            assert e.method == "temporal, Sinkhorn" or {*changed} <= {*studies.GRID}
    for name, values in studies.KNOBS.items():
        assert {value for knob, value in seen if knob == name} == {*values} - {usual[name]}


def test_sensitivity_has_groups_by_weight_and_epsilons():
    studied = studies.sensitivity()
    grid = {(dict(e.knobs)["groups"], dict(e.knobs)["weight"]) for e in studied if e.method == "PIUmr"}
    assert grid >= {(g, w) for g in studies.GRID["groups"] for w in studies.GRID["weight"]}
    entropic = {dict(e.knobs)["epsilon"] for e in studied if e.method == "temporal, Sinkhorn"}
    assert entropic == {*studies.EPSILONS}


def test_every_hyperparameter_of_girl_and_of_the_two_branches_is_studied():
    views = {"supervision", "consistency", "regulariser"}  # switched off in ablations instead
    own = {*METHODS["PIUmr"].knobs} - views - {"probability"}
    assert own <= {*studies.KNOBS} <= {*resolve("PIUmr")}


def test_size_compares_the_same_methods_in_every_setting():
    seen = {}
    for e in studies.size():
        seen.setdefault((e.data, dict(e.knobs)["width"], e.fold, e.seed), []).append(e.method)
    assert all(sorted(methods) == sorted({*studies.COMPARED}) for methods in map(set, seen.values()))
    assert {width for data, width, *_ in seen if data == "synthetic"} == {*studies.WIDTHS}


def test_more_people_do_not_mean_more_clips():
    names = {e.data for e in studies.size() if ":people" in e.data}
    assert len(names) == len(studies.PEOPLE)
    for name in names:
        people, clips = (int(part.partition("=")[2]) for part in name.partition(":")[2].split(","))
        assert people * clips == 1600


# Attempts


def test_each_question_gets_a_dozen_attempts_or_more():
    for attempts in (GIRL_ATTEMPTS, ALIGNMENT_ATTEMPTS):
        different = {(a.data, a.method, *sorted(a.knobs.items()), a.against) for a in attempts}
        assert len(different) == len(attempts) >= 12
        assert len({a.question for a in attempts}) == len(attempts)


@each_attempt
def test_a_pair_differs_in_its_method_alone(attempt):
    for tried, opponent in attempt.pairs():
        assert replace(tried, method="", knobs=()) == replace(opponent, method="", knobs=())
        assert (tried.method, opponent.method) == (attempt.method, attempt.against)
        assert METHODS[opponent.method].kind == "baseline"
        # Whatever both have, both have alike.
        ours, theirs = dict(tried.knobs), dict(opponent.knobs)
        own = {"at", *METHODS[attempt.method].knobs}
        assert all(ours[name] == value for name, value in theirs.items() if name not in own)
        assert ours == resolve(attempt.method, attempt.knobs)
        assert theirs == resolve(attempt.against, attempt.against_knobs)


@each_attempt
def test_an_attempt_has_what_it_names(attempt):
    assert {*attempt.knobs} <= {*knobs_of(attempt.method), "epochs", "width", "at"}
    on_top = METHODS[attempt.method].augmented and attempt.method != "augmentation"
    assert attempt.against == ("augmentation" if on_top else "ERM")


def test_every_method_that_was_made_for_attempts_is_attempted():
    made = {name for name, method in METHODS.items() if method.kind == "attempt"}
    # The second version gets a study of its own.
    second = {name for name in made if name.startswith(("TFAM 2", "GIRL 2", "PIUmr 2"))}
    assert made - second <= {attempt.method for attempt in ATTEMPTS}


def test_all_pairs_are_run():
    pairs = [pair for attempt in ATTEMPTS for pair in attempt.pairs()]
    assert {*studies.attempts()} == {e for pair in pairs for e in pair}


def test_attempts_on_real_people_use_search_folds_and_others_spare_populations():
    real = Attempt("real", "spar-windows", "GIRL").pairs()
    assert all(e.search for pair in real for e in pair)
    assert [(e.seed, e.fold) for e, _ in real] == [(s, k) for s in (0, 1) for k in range(4)]
    synthetic = Attempt("not", "synthetic-52", "GIRL").pairs()
    assert {(e.fold, e.search) for e, _ in synthetic} == {(fold, False) for fold in SPARE[:3]}
