"""Who is held out: nobody is trained on and tested, and nobody's own scores choose for him."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from piumar_lib.data import synthetic
from piumar_lib.data.actions import all_actions
from piumar_lib.evidence import folds as library
from piumar_lib.evidence.folds import (
    DEVELOPMENT,
    FINAL,
    SPAR,
    SYNTHETIC,
    folds,
    identify,
    load_fold,
    load_search_fold,
    search_folds,
    search_people,
    set_of,
)

REAL = (*SPAR, 2, 3, 5, 11)  # numbers: a reader's own file of so many people


@pytest.fixture(scope="module", autouse=True)
def room():
    """Room for all data sets of this file; the library keeps four, and preparing SPAR takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "_load_content", lru_cache(32)(library._load_content.__wrapped__))
        yield


@pytest.fixture
def name(request, own_of):
    """The name of a data set, or the path of a file of so many people."""
    return own_of(request.param) if isinstance(request.param, int) else request.param


each_real = pytest.mark.parametrize("name", REAL, indirect=True)
searchable = pytest.mark.parametrize("name", [r for r in REAL if r != 2], indirect=True)


def people_of(data):
    return set(map(str, data.people))


# Folds


@each_real
def test_every_person_is_held_out_once_and_never_trained_on(name):
    held_out, everyone = [], set()
    for fold in folds(name):
        train, unseen, _ = load_fold(name, fold)
        assert not people_of(train) & people_of(unseen)
        assert train.class_names == unseen.class_names and train.x.shape[1:] == unseen.x.shape[1:]
        held_out += unseen.people.tolist()
        everyone |= {*train.people.tolist(), *unseen.people.tolist()}
    assert sorted(held_out) == sorted(everyone)


def test_spar_leaves_one_of_ten_people_out():
    for name in SPAR:
        assert list(folds(name)) == list(range(10))
        assert load_fold(name, 3).unseen.people.tolist() == [4]


@pytest.mark.parametrize(("people", "count"), [(2, 2), (3, 3), (5, 5), (11, 5)])
def test_own_data_make_five_folds_of_people_or_fewer(own_of, people, count):
    sizes = [len(load_fold(own_of(people), fold).unseen.people) for fold in folds(own_of(people))]
    assert len(sizes) == count and sum(sizes) == people and max(sizes) - min(sizes) <= 1


def test_each_kind_of_data_names_its_augmentation(own):
    assert {load_fold(name, 0).augmentation for name in SPAR} == {"space"}
    assert {load_fold(f"{name}:people=2,clips=1", 0).augmentation for name in SYNTHETIC} == {"skeleton"}
    assert load_fold(own, 0).augmentation == load_search_fold(own, 0).augmentation == "any"
    assert load_search_fold("spar-windows", 0).augmentation == "space"
    assert load_search_fold("synthetic", 0).augmentation == "skeleton"


def test_a_name_that_begins_like_the_courses_data_is_still_ones_own(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.npz").rename("synthetic-of-mine.npz")
    assert len(folds("synthetic-of-mine.npz")) == 5
    assert load_fold("synthetic-of-mine.npz", 0).augmentation == "any"


# Synthetic populations


def test_populations_for_development_and_evidence_are_different_ones():
    assert not {*DEVELOPMENT} & {*FINAL}
    for name in SYNTHETIC:
        assert folds(name) == folds(f"{name}:people=3") == FINAL


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_populations_never_meet(name):
    clips, unseen = [], []
    for fold in range(15):
        found = load_fold(f"{name}:people=2,clips=1", fold)
        assert len(found.unseen.people) == 20
        assert not set(found.train.people) & set(found.unseen.people)
        unseen += found.unseen.people.tolist()
        clips += [found.train.x[0], found.unseen.x[0]]
    assert len(set(unseen)) == 15 * 20  # so that folds' scores can be told apart, too
    assert len(np.unique(np.stack(clips).round(6), axis=0)) == 30


def test_no_population_is_below_zero():
    with pytest.raises(ValueError, match="fold: of synthetic, must be at least 0, got -1"):
        load_fold("synthetic", -1)


def test_synthetic_folds_have_forty_people_of_forty_clips():
    train, unseen, _ = load_fold("synthetic", 11)
    assert len(train.people) == 40 and len(train) == 1600 and train.classes == 12
    assert len(unseen.people) == 20 and len(unseen) == 800


@pytest.mark.parametrize(
    ("name", "changed"),
    [("synthetic", {}), ("synthetic-comotion", {"comotion": 3.0, "tempo": 0.5, "onset": 0.5})],
)
def test_options_say_how_many_people_how_many_clips_and_how_different(name, changed):
    scale = {factor: 1.5 * changed.get(factor, 1.0) for factor in synthetic.FACTORS}
    known = synthetic.make_people(5, 7, scale=scale)
    others = synthetic.make_people(20, 1007, scale=scale)
    train, unseen, _ = load_fold(f"{name}:people=5,clips=3,shift=1.5", 7)
    assert np.array_equal(train.x, synthetic.make_clips(known, 3, seed=7).x)
    assert np.array_equal(unseen.x, synthetic.make_clips(others, 40, seed=1007).x)
    assert np.array_equal(np.unique(train.person, return_counts=True), [range(5), [3] * 5])
    # Each option by itself leaves the others at their defaults.
    assert len(load_fold(f"{name}:people=5", 7).train) == 5 * 40
    assert len(load_fold(f"{name}:clips=3", 7).train) == 40 * 3


def test_52_actions_come_with_a_long_tail_and_uneven_people():
    train, unseen, _ = load_fold("synthetic-52", 10)
    assert train.class_names == tuple(action.name for action in all_actions())
    assert len(train) == 2 * 40 * 40 and len(unseen) == 1600
    for data in (train, unseen):
        clips = np.unique(data.person, return_counts=True)[1]
        assert clips.max() > 4 * clips.min()
    counts = np.bincount(train.y, minlength=52)
    assert counts.max() > 10 * max(1, counts.min())


# Real people


@pytest.mark.parametrize("name", ["shrec17", "shrec17-own-tempo"])
def test_a_set_of_real_people_makes_five_folds_in_both_forms(people, name):
    clips = people("shrec17", channels=66)
    assert folds(name) == range(5) and set_of(name) == "shrec17"
    held_out = []
    for fold in folds(name):
        train, unseen, augmentation = load_fold(name, fold)
        assert not people_of(train) & people_of(unseen) and augmentation == "space"
        assert train.x.shape[1:] == (32, 66) and train.parents == unseen.parents is not None
        held_out += unseen.people.tolist()
    assert sorted(held_out) == clips.people.tolist()


def test_forms_of_real_people_have_the_same_clips_in_their_folds(people):
    people("mmg")
    one, own = load_fold("mmg", 1), load_fold("mmg-own-tempo", 1)
    assert (one.unseen.y == own.unseen.y).all() and (one.unseen.person == own.unseen.person).all()
    assert (one.unseen.lengths == 32).all() and (own.unseen.lengths < 32).any()


def test_paths_in_a_plane_are_not_turned_in_space(people):
    for name, kind in (("mmg", "any"), ("pendigits", "any"), ("gesturemidair", "space")):
        people(name)
        assert {load_fold(data, 0).augmentation for data in (name, f"{name}-own-tempo")} == {kind}


def test_real_people_are_known_by_their_content_in_each_form(people):
    people("mmg")
    one, own = identify("mmg"), identify("mmg-own-tempo")
    assert (one[0], own[0]) == ("mmg", "mmg-own-tempo") and len({one[1], own[1], ""}) == 3
    before = load_fold("mmg", 0)
    assert load_fold("mmg", 0) is before
    people("mmg", seed=1)
    assert identify("mmg")[1] != one[1] and (load_fold("mmg", 0).unseen.x != before.unseen.x).any()
    assert identify("spar-windows") == ("spar-windows", "")


@pytest.mark.parametrize("call", [folds, search_folds, lambda data: load_fold(data, 0), identify])
def test_real_people_who_were_not_fetched_are_named_with_the_command(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PIUMAR_PEOPLE", str(tmp_path))
    for name in ("mmg", "mmg-own-tempo"):
        with pytest.raises(FileNotFoundError, match="mmg.npz .*: python .*download_people.py mmg"):
            call(name)


def test_a_search_on_real_people_never_looks_at_the_folds_own(people):
    people("msraction3d", channels=60)
    for name in ("msraction3d", "msraction3d-own-tempo"):
        for fold in folds(name):
            own = people_of(load_fold(name, fold).unseen)
            for k, allowed in search_people(name, fold).items():
                train, unseen, _ = load_search_fold(name, k)
                assert allowed <= people_of(unseen)
                assert not own & (allowed | people_of(train))


# Search folds


@searchable
def test_a_search_never_looks_at_the_folds_own_people(name):
    for fold in folds(name):
        own = people_of(load_fold(name, fold).unseen)
        allowed = search_people(name, fold)
        assert allowed and all(allowed.values())
        for k, people in allowed.items():
            train, unseen, _ = load_search_fold(name, k)
            assert not own & people  # his scores are not looked at,
            assert not own & people_of(train)  # and he was not trained on for those that are
            assert people <= people_of(unseen)


@searchable
def test_everyone_may_be_looked_at_for_somebody_else(name):
    spoken = [set().union(*search_people(name, fold).values()) for fold in folds(name)]
    everyone = people_of(load_fold(name, 0).train) | people_of(load_fold(name, 0).unseen)
    assert set().union(*spoken) == everyone


@searchable
def test_search_folds_hold_out_each_person_in_two_of_them(name):
    held_out = []
    for k in search_folds(name):
        train, unseen, _ = load_search_fold(name, k)
        assert not people_of(train) & people_of(unseen)
        held_out += unseen.people.tolist()
    everyone = sorted({*held_out})
    assert sorted(held_out) == sorted(2 * everyone) and len(everyone) == len(
        load_fold(name, 0).train.people
    ) + len(load_fold(name, 0).unseen.people)


def test_search_on_synthetic_data_holds_out_a_quarter_of_a_development_populations_people():
    for k in search_folds("synthetic"):
        train, unseen, _ = load_search_fold("synthetic", k)
        population = load_fold("synthetic", DEVELOPMENT[k]).train
        assert len(train) + len(unseen) == len(population)
        clips = {clip.tobytes() for clip in population.x}
        assert {clip.tobytes() for clip in (*train.x, *unseen.x)} == clips
        assert len(unseen.people) == 10 and not people_of(train) & people_of(unseen)
        assert search_people("synthetic", 12)[k] == people_of(unseen)
    assert list(search_folds("synthetic")) == list(search_people("synthetic", 12)) == [0, 1]


def test_two_people_are_too_few_to_search_on(own_of):
    two = own_of(2)
    assert list(search_folds(two)) == [] and search_people(two, 0) == search_people(two, 1) == {}


# Mistakes


@pytest.mark.parametrize("call", [folds, search_folds, lambda data: load_fold(data, 0)])
def test_unknown_data_are_refused(call):
    for name in ("mnist", "spar", "synthetic-53", "spar-windows:people=3"):
        with pytest.raises(ValueError, match=f"data: '{name}' .* spar-repetitions, .* .npz"):
            call(name)
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        call("nowhere.npz")


@pytest.mark.parametrize("option", ["foo=1", "people", "people=", "people=2.5", "clips=x", "shift=big"])
def test_unknown_options_are_refused(option):
    with pytest.raises(ValueError, match=f"data: '{option}' in .* people=N, clips=N, shift=S"):
        load_fold(f"synthetic:clips=3,{option}", 0)


def test_folds_that_are_not_there_are_refused(own_of):
    three = own_of(3)
    for fold in (3, -1):
        with pytest.raises(ValueError, match=rf"fold: of .*range\(0, 3\), got {fold}"):
            load_fold(three, fold)
        with pytest.raises(ValueError, match=rf"fold: of a search .*range\(0, 3\), got {fold}"):
            load_search_fold(three, fold)
    with pytest.raises(ValueError, match=r"fold: of a search .*range\(0, 2\), got 2"):
        load_search_fold("synthetic", 2)


def test_one_person_is_too_few(own_of):
    with pytest.raises(ValueError, match=r"data: .*own-1.npz has one person. .* at least 2"):
        load_fold(own_of(1), 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y": lambda a: 0 * a["y"]}, "one class"),
        ({"X": lambda a: a["X"][:, :1]}, "one frame"),
        ({"X": lambda a: np.repeat(a["X"], 300, axis=1)}, "clips of 4,800 frames"),
    ],
)
@pytest.mark.parametrize("call", [folds, lambda data: load_fold(data, 0)])
def test_a_readers_file_must_hold_enough_to_be_compared_on(own, changes, words, call):
    arrays = dict(np.load(own))
    np.savez(own, **arrays | {name: change(arrays) for name, change in changes.items()})
    with pytest.raises(ValueError, match=rf"data: .*own.npz has {words}"):
        call(own)


def test_a_corrected_file_is_loaded_again(own):
    before, people = load_fold(own, 0), folds(own)
    assert load_fold(own, 0) is before, "a fold is kept while its file stays the same"
    arrays = dict(np.load(own))
    np.savez(own, **arrays | {"y": 1 - arrays["y"], "person": arrays["person"] // 2})
    assert (load_fold(own, 0).train.y != before.train.y[: len(load_fold(own, 0).train)]).any()
    assert len(folds(own)) == 3 != len(people)
