"""Sets of real people as every method gets them: evenly thinned, without place and size."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.data import Sequences
from piumar_lib.data.people import recordings
from piumar_lib.data.people.catalog import CATALOG, NAMES, PARENTS
from piumar_lib.data.people.recordings import (
    COORDINATES,
    FRAMES,
    MOST,
    VARIABLE,
    centered_and_scaled,
    content,
    folder,
    load,
    prepare,
    prepared_content,
    spread,
)

AT_HAND = folder()  # the real ones
SKELETONS = [name for name in NAMES if name not in COORDINATES]


def uneven(seed=0, clips=300, channels=3):
    """Clips of 8 to 50 frames by seven people who are not equally busy, four classes, some rare."""
    rng = np.random.default_rng(seed)
    person, y = rng.geometric(0.3, clips).clip(max=7), rng.geometric(0.5, clips).clip(max=4) - 1
    y[:4], person[:4] = range(4), 1
    x = rng.standard_normal((clips, 50, channels)).cumsum(1)
    return Sequences(x, y, person, rng.integers(8, 51, clips), rate=20.0)


def put(name, clips, pack=np.savez):
    """Write clips under the name of a set."""
    folder().mkdir(exist_ok=True)
    pack(folder() / f"{name}.npz", X=clips.x, y=clips.y, person=clips.person, lengths=clips.lengths,
         rate=clips.rate)  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Sets are looked for in a folder of the test."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "people"))


# Loading


def test_a_set_is_loaded_as_it_was_recorded():
    clips = uneven(channels=60)
    put("utkinect", clips)
    found = load("utkinect")
    for part in ("x", "y", "person", "lengths"):
        assert np.array_equal(getattr(found, part), getattr(clips, part))
    assert (found.rate, found.name, found.parents) == (20.0, "utkinect", PARENTS["utkinect"])


def test_paths_have_no_skeleton():
    put("mmg", uneven())
    assert load("mmg").parents is None and not {*COORDINATES} & {*PARENTS}
    assert {*SKELETONS} == {*PARENTS}


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    assert folder() == tmp_path / "people"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert folder() == tmp_path / "mine"
    for nothing in (lambda: monkeypatch.setenv(VARIABLE, ""), lambda: monkeypatch.delenv(VARIABLE)):
        nothing()
        assert folder() == recordings.FOLDER


@pytest.mark.parametrize(
    "call", [load, lambda name: prepare(name, True), lambda name: prepared_content(name, True)]
)
def test_what_is_not_there_is_named_with_the_remedy(call):
    with pytest.raises(FileNotFoundError, match="mmg: .*people/mmg.npz is not there. Fetch it: python"):
        call("mmg")
    with pytest.raises(ValueError, match="shrek17"):
        call("shrek17")


def test_a_damaged_file_is_named():
    folder().mkdir()
    (folder() / "mmg.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="mmg.npz: cannot be read"):
        load("mmg")


# Thinning


def cells(clips, index=slice(None)):
    return Counter(zip(clips.person[index].tolist(), clips.y[index].tolist(), strict=True))


@given(st.integers(0, 50), st.integers(1, 400))
def test_clips_are_spread_as_evenly_as_cells_allow(seed, most):
    clips = uneven(seed)
    index = spread(clips, most)
    assert len(index) == min(most, len(clips)) and (np.diff(index) > 0).all()
    kept, there = cells(clips, index), cells(clips)
    full = max(kept.values())
    # A cell gives as many as the fullest, or one less, or all that it has.
    assert all(kept[cell] >= min(full - 1, n) for cell, n in there.items())


def test_which_clips_are_taken_is_drawn_once_and_more_hold_fewer():
    clips = uneven()
    few, more = (spread(clips, most).tolist() for most in (60, 150))
    assert few == spread(clips, 60).tolist() and {*few} < {*more}
    assert spread(clips, 10_000).tolist() == [*range(300)]
    # By lot, not the first of each cell:
    one = replace(clips, y=np.zeros(300, int), person=np.ones(300, int), class_names=("c",))
    taken = spread(one, 100)
    assert 100 < np.median(taken) < 200


def test_a_set_is_thinned_to_so_many_clips():
    put("mmg", uneven())
    for own_tempo in (False, True):
        clips = prepare("mmg", own_tempo, most=60)
        assert cells(clips) == cells(uneven(), spread(uneven(), 60))
    assert MOST == 2000 and len(prepare("mmg", False)) == 300


# Place and size


def of_frames(lengths, clip):
    """Clips of those lengths, from ``clip(n)``."""
    x = np.zeros((len(lengths), max(lengths), 3))
    for k, n in enumerate(lengths):
        x[k, :n] = clip(n)
    return Sequences(x, np.zeros(len(lengths), int), np.arange(len(lengths)), lengths)


@pytest.mark.parametrize("coordinates", [2, 3])
def test_paths_have_mean_zero_and_extent_one_over_their_real_frames(coordinates):
    clips = uneven()
    x = centered_and_scaled(clips, coordinates)
    for k, n in enumerate(clips.lengths):
        real = clips.x[k, :n, :coordinates].astype(float)
        size = (real.max(0) - real.min(0)).max()
        np.testing.assert_allclose(x[k, :n, :coordinates], (real - real.mean(0)) / size, atol=1e-5)
    assert np.array_equal(x[..., coordinates:], clips.x[..., coordinates:])


@given(st.floats(0.01, 100), st.floats(-50, 50), st.floats(-50, 50))
def test_shift_and_scale_of_a_pen_change_nothing(scale, right, up):
    clips = uneven(clips=20)
    moved = clips.x.astype(float)
    moved[..., :2] = scale * (moved[..., :2] + [right, up])
    x = centered_and_scaled(replace(clips, x=moved), 2)
    np.testing.assert_allclose(x, centered_and_scaled(clips, 2), atol=1e-3)


def test_both_axes_are_scaled_alike_and_a_pen_that_rests_stays_at_rest():
    wide = of_frames([5], lambda n: np.stack([np.arange(n) * 4, np.arange(n), np.ones(n)], 1))
    x = centered_and_scaled(wide, 2)
    assert np.ptp(x[0, :, 0]) == pytest.approx(1) and np.ptp(x[0, :, 1]) == pytest.approx(0.25)
    still = of_frames([5, 1], lambda n: np.full((n, 3), 7.0))
    x = centered_and_scaled(still, 2)
    assert (x[..., :2] == 0).all() and (x[..., 2] == 7).all()


@pytest.mark.parametrize("name", COORDINATES)
def test_prepared_paths_have_no_place_and_no_size(name):
    clips, coordinates = uneven(), COORDINATES[name]
    put(name, clips)
    before = prepare(name, own_tempo=True)
    moved = clips.x.copy()
    moved[..., :coordinates] = 8 * (moved[..., :coordinates] + 16)
    put(name, replace(clips, x=moved))
    np.testing.assert_allclose(prepare(name, own_tempo=True).x, before.x, atol=1e-4)
    assert not np.allclose(before.x, clips.at_one_rate(FRAMES).x, atol=0.1)


@pytest.mark.parametrize("name", SKELETONS)
def test_skeletons_stay_as_they_are(name):
    clips = uneven(channels=3 * len(PARENTS[name]))
    put(name, clips)
    assert np.array_equal(prepare(name, own_tempo=False).x, clips.resampled(FRAMES).x)
    assert np.array_equal(prepare(name, own_tempo=True).x, clips.at_one_rate(FRAMES).x)


# One length, or own tempo


def test_at_one_length_every_clip_fills_all_frames():
    put("utkinect", uneven(channels=60))
    clips = prepare("utkinect", own_tempo=False)
    assert clips.x.shape == (300, FRAMES, 60) and (clips.lengths == FRAMES).all()
    assert clips.parents == PARENTS["utkinect"]


def test_at_own_tempo_clips_share_one_rate_at_which_95_in_100_end_in_time():
    put("mmg", uneven())
    clips = prepare("mmg", own_tempo=True)
    whole = uneven().lengths
    step = 20 / clips.rate  # frames of the recording in one of ours
    ends = (whole - 1) / step <= FRAMES - 1 + 1e-9
    assert 0.95 <= ends.mean() < 0.98 and step > 1
    assert (clips.lengths[~ends] == FRAMES).all()
    last = np.ceil((whole - 1) / step - 1e-9).astype(int)
    assert (clips.lengths[ends] == last[ends] + 1).all()
    for k in np.flatnonzero(ends):
        assert (clips.x[k, last[k] :] == clips.x[k, -1]).all()  # held still


def test_short_clips_are_never_run_at_more_than_their_own_rate():
    put("mmg", uneven().resampled(20))
    clips = prepare("mmg", own_tempo=True)
    assert clips.rate == pytest.approx(uneven().resampled(20).rate) and (clips.lengths == 20).all()


# Content


def test_content_changes_with_any_array_and_with_nothing_else():
    clips = uneven()
    clips.x[3] = 1  # still, so that its length is seen in no frame
    known = content(clips)
    assert len(known) == 16 and int(known, 16) >= 0
    same = replace(clips, name="other", rate=1.0, x=np.asfortranarray(clips.x))
    assert content(same) == known

    def changed(part):
        values = getattr(clips, part).copy()
        place = (3, 0, 1) if part == "x" else 3
        values[place] = values[place] % 4 + 1 if part != "y" else (values[place] + 1) % 4
        return replace(clips, **{part: values})

    others = {content(changed(part)) for part in ("x", "y", "person", "lengths")}
    assert len(others) == 4 and known not in others
    assert content(clips.take(np.arange(299))) != known
    assert content(clips.take(np.arange(300)[::-1])) != known


def test_packing_changes_no_content_and_a_corrected_file_is_prepared_again():
    put("mmg", uneven())
    known = [prepared_content("mmg", own_tempo) for own_tempo in (False, True)]
    assert known == [content(prepare("mmg", own_tempo)) for own_tempo in (False, True)]
    assert known[0] != known[1]
    put("mmg", uneven(), np.savez_compressed)
    assert [prepared_content("mmg", own_tempo) for own_tempo in (False, True)] == known
    put("mmg", uneven(seed=1))
    assert {prepared_content("mmg", own_tempo) for own_tempo in (False, True)}.isdisjoint(known)
    assert (prepare("mmg", True).x != uneven().at_one_rate(FRAMES).x[:300]).any()


def test_what_is_prepared_is_kept_while_the_file_stays_the_same():
    put("mmg", uneven())
    assert prepare("mmg", True) is prepare("mmg", True)


# The real ones, where they are at hand


@pytest.mark.parametrize("own_tempo", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_real_people_are_finite_and_of_the_right_shape(name, own_tempo, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(AT_HAND))
    if not (AT_HAND / f"{name}.npz").is_file():
        pytest.skip(f"{name}.npz is not at hand: python data_scripts/download_people.py {name}")
    facts, clips = CATALOG[name], prepare(name, own_tempo)
    channels = 3 * len(facts.parents) if facts.parents else 3
    assert clips.x.shape == (min(facts.clips, MOST), FRAMES, channels)
    assert np.isfinite(clips.x).all() and (clips.x.std((0, 1)) > 0).any()
    assert clips.classes == len(facts.class_names) == len(np.unique(clips.y))
    assert len(clips.people) == facts.people and clips.parents == PARENTS.get(name)
    assert (clips.lengths == FRAMES).all() != own_tempo
    if own_tempo:
        assert clips.rate <= facts.rate and (clips.lengths == FRAMES).mean() > 0.04
