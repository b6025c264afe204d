"""Sequences, a reader's own files, SPAR's recordings, and the facts about MA-52."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from piumar_lib.data import Sequences, describe, labels, load_npz, require, save_npz, spar
from piumar_lib.data.enough import most_frames
from piumar_lib.data.sequences import hold
from piumar_lib.sampler import batches

X = np.arange(4 * 5 * 2, dtype=np.float32).reshape(4, 5, 2)
Y = np.array([0, 1, 2, 1])
PERSON = np.array([7, 7, -3, 9])


def sequences(**changes) -> Sequences:
    return Sequences(**({"x": X, "y": Y, "person": PERSON} | changes))


def spoiled(value: float) -> np.ndarray:
    x = X.copy()
    x[2, 3, 1] = value
    return x


# ---------------------------------------------------------------- Sequences


def test_sequences_fill_in_what_is_left_out():
    data = sequences(y=Y.astype(float))
    assert len(data) == 4 and data.classes == 3
    assert data.class_names == ("class 0", "class 1", "class 2")
    assert data.people.tolist() == [-3, 7, 9]
    assert data.lengths.tolist() == [5] * 4
    assert (data.x.dtype, data.y.dtype, data.person.dtype) == (np.float32, np.int64, np.int64)


@pytest.mark.parametrize(
    ("changes", "value", "remedy"),
    [
        ({"x": X[0]}, "(5, 2)", "Reshape it to 3 axes"),
        ({"x": X[:, :0]}, "(4, 0, 2)", "Reshape"),
        ({"x": X[:0], "y": Y[:0], "person": PERSON[:0]}, "zero people", "Give at least one clip"),
        ({"x": X.astype(str)}, "<U", "Convert it to float32"),
        ({"x": X.astype(complex)}, "complex", "Convert it to float32"),
        ({"x": spoiled(np.nan)}, "clip 2", "Interpolate or drop"),
        ({"x": spoiled(-np.inf)}, "clip 2", "Interpolate or drop"),
        ({"x": spoiled(1.0).astype(np.float64) * 1e300}, "clip 3", "(the limit is 1e+15). Rescale"),
        ({"y": Y[:3]}, "(3,)", "shape (4,)"),
        ({"y": Y[:, None]}, "(4, 1)", "shape (4,)"),
        ({"y": Y - 1}, "-1", "Number the classes from 0"),
        ({"y": Y + 0.5}, "float64", "Encode it as int"),
        ({"y": np.array([0, np.nan, 1, 1])}, "float64", "Encode it as int"),
        ({"person": PERSON[:2]}, "(2,)", "shape (4,)"),
        ({"person": PERSON.astype(str)}, "<U", "Encode it as int"),
        ({"lengths": [5, 5, 5]}, "(3,)", "shape (4,)"),
        ({"lengths": [5, 5, 0, 5]}, "0 to 5", "[1, 5]"),
        ({"lengths": [5, 6, 5, 5]}, "5 to 6", "[1, 5]"),
        ({"class_names": ("a", "b")}, "2 names for labels up to 2", "one name for each class"),
        ({"rate": 0}, "0 Hz", "Give a positive number"),
        ({"rate": -12.5}, "-12.5 Hz", "Give a positive number"),
        ({"rate": np.nan}, "nan Hz", "Give a positive number"),
        ({"rate": np.inf}, "inf Hz", "Give a positive number"),
        ({"rate": "fast"}, "'fast' Hz", "Give a positive number"),
    ],
)
def test_bad_sequences_are_named_with_value_and_remedy(changes, value, remedy):
    with pytest.raises(ValueError) as error:
        sequences(**changes)
    assert str(error.value).startswith(f"{next(iter(changes))}: ")
    assert value in str(error.value) and remedy in str(error.value)


def test_more_names_than_labels_are_fine():
    assert sequences(class_names=("a", "b", "c", "never seen")).classes == 4


def test_frames_behind_the_end_hold_the_last_real_one():
    data = sequences(lengths=[1, 3, 5, 2])
    for k, length in enumerate(data.lengths):
        assert (data.x[k, :length] == X[k, :length]).all()
        assert (data.x[k, length:] == X[k, length - 1]).all()
    assert X[0, 1, 0] == 2, "the given array was written to"


def test_garbage_behind_the_end_is_not_let_through():
    x = X.copy()
    x[1, 3:] = 1e30
    assert sequences(x=x, lengths=[5, 3, 5, 5]).x.max() == X.max()


@pytest.mark.parametrize("time", [2, 5, 17])
def test_resampling_is_linear_interpolation_of_the_real_part(time):
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((6, 9, 3)), np.array([1, 2, 9, 5, 8, 9])
    data = Sequences(x, np.zeros(6, int), np.arange(6), lengths, rate=10.0)
    result = data.resampled(time)
    for k, n in enumerate(lengths):
        for channel in range(3):
            expected = np.interp(np.linspace(0, n - 1, time), np.arange(n), x[k, :n, channel])
            np.testing.assert_allclose(result.x[k, :, channel], expected, atol=1e-6)
    assert (result.lengths == time).all()
    assert result.rate == pytest.approx(10 * (time - 1) / (lengths.mean() - 1))  # of the new grid


def test_resampling_clips_of_one_frame_repeats_it():
    data = Sequences(X[:, :1], Y, PERSON).resampled(3)
    assert (data.x == X[:, :1]).all()


def test_resampling_to_one_frame_is_refused():
    with pytest.raises(ValueError, match="time: 1 frames are too few. Give at least 2"):
        sequences().resampled(1)


@pytest.mark.parametrize("time", [2, 5, 17, 40])
@pytest.mark.parametrize("share", [0.5, 0.95, 1.0])
def test_at_one_rate_clips_keep_their_tempo_and_nearly_all_their_end(time, share):
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((40, 30, 2)), rng.integers(1, 31, 40)
    data = Sequences(x, np.zeros(40, int), np.arange(40), lengths, rate=50.0)
    result = data.at_one_rate(time, share)
    step = 50 / result.rate
    assert result.x.shape == (40, time, 2) and result.rate <= 50
    for k, n in enumerate(lengths):
        at = np.minimum(np.arange(time) * step, n - 1)
        for channel in range(2):
            expected = np.interp(at, np.arange(n), x[k, :n, channel])
            np.testing.assert_allclose(result.x[k, :, channel], expected, atol=1e-5)
        # So many different frames are there: the last shows the clip's end, or the clip was cut.
        assert result.lengths[k] == min(time, (at < n - 1 - 1e-9).sum() + 1)
    ends = (lengths - 1) / step <= time - 1 + 1e-9
    assert ends.mean() >= share and (ends.all() if share == 1 else True)
    if step > 1:
        slower = (lengths - 1) / (0.9 * step) <= time - 1
        assert slower.mean() < share + 1 / 40  # a higher rate would not do


def test_at_one_rate_short_clips_are_left_alone():
    data = sequences(lengths=[5, 3, 5, 5], rate=20.0)
    result = data.at_one_rate(9)
    assert result.rate == 20 and (result.lengths == data.lengths).all()
    assert (result.x[:, :5] == data.x).all() and (result.x[:, 5:] == data.x[:, 4:5]).all()
    with pytest.raises(ValueError, match="time: 1 frames are too few. Give at least 2"):
        data.at_one_rate(1)


@pytest.mark.parametrize("change", ["take", "resampled", "at_one_rate"])
def test_a_skeleton_stays_with_its_clips(change):
    assert sequences().parents is None
    data = Sequences(np.ones((4, 5, 6)), Y, PERSON, parents=(-1, 0))
    arguments = {"take": [0, 1], "resampled": 3, "at_one_rate": 3}
    assert getattr(data, change)(arguments[change]).parents == (-1, 0)


def test_a_skeleton_of_another_number_of_joints_is_refused():
    with pytest.raises(ValueError, match="parents: 3 joints, but x has 6 channels. Give one parent"):
        Sequences(np.ones((4, 5, 6)), Y, PERSON, parents=(-1, 0, 1))


@pytest.mark.parametrize("index", [[2, 0], [True, False, True, False]])
def test_take_takes_everything_along(index):
    data = sequences(lengths=[1, 2, 3, 4], class_names="abc", rate=7.0, name="mine")
    part = data.take(index)
    order = np.arange(4)[index]
    assert (part.x == data.x[order]).all()
    assert (part.y == Y[order]).all() and (part.person == PERSON[order]).all()
    assert (part.lengths == data.lengths[order]).all()
    assert (part.class_names, part.rate, part.name) == (("a", "b", "c"), 7.0, "mine")


def test_take_of_nothing_is_refused():
    with pytest.raises(ValueError, match="zero people"):
        sequences().take(np.zeros(4, bool))


def test_hold_cuts_long_pieces_and_holds_short_ones():
    x, lengths = hold([X[0], X[1, :2], X[2, :3]], 3)
    assert lengths.tolist() == [3, 2, 3]
    assert (x[0] == X[0, :3]).all() and (x[2] == X[2, :3]).all()
    assert (x[1] == X[1, [0, 1, 1]]).all()


@pytest.mark.parametrize(
    ("pieces", "time", "start"),
    [([], 3, "pieces: 0"), ([X[0], X[0, :0]], 3, "pieces: 2"), ([X[0]], 0, "time: 0")],
)
def test_hold_names_what_it_cannot_stack(pieces, time, start):
    with pytest.raises(ValueError, match=start):
        hold(pieces, time)


def test_description_counts_people_and_names_rare_classes():
    text = describe(sequences(lengths=[2, 3, 5, 5], rate=10.0, class_names=("a", "b", "c")), few=2)
    lines = dict(line.split(":", 1) for line in text.splitlines())
    lines = {key: value.strip() for key, value in lines.items()}
    assert lines["clips"] == "4" and lines["people"] == "3" and lines["channels"] == "2"
    assert lines["clips per person"] == "1 to 2, median 1"
    assert lines["real frames"] == "2 to 5, median 4"
    assert lines["rate"] == "10 Hz, so 0.2 to 0.5 s"
    assert lines["under 2 people"] == "a (1), c (1)"
    assert "none" in describe(sequences(), few=1)


# ---------------------------------------------------------------- labels, ends, units


@pytest.mark.parametrize(
    ("y", "names", "numbered", "kept"),
    [
        ([1001, 2005, 9999, 1001], None, [0, 1, 2, 0], ("1001", "2005", "9999")),
        ([10, 20_000_000, 10, 20], None, [0, 2, 0, 1], ("10", "20", "20000000")),
        ([1, 2, 3, 4], None, [0, 1, 2, 3], ("1", "2", "3", "4")),
        ([0, 0, 2, 2], None, [0, 0, 1, 1], ("0", "2")),
        ([0, 1, 2, 1], None, [0, 1, 2, 1], ("class 0", "class 1", "class 2")),
        ([0, 2, 2, 0], ("a", "b", "c"), [0, 2, 2, 0], ("a", "b", "c")),
        ([3, 1, 2, 1], ("a", "b", "c"), [2, 0, 1, 0], ("a", "b", "c")),
        ([2005, 1001, 1001, 2005], ("a", "b"), [1, 0, 0, 1], ("a", "b")),
    ],
)
def test_labels_that_are_codes_become_classes(y, names, numbered, kept):
    data = sequences(y=np.array(y), class_names=names)
    assert data.y.tolist() == numbered and data.class_names == kept
    part = data.take(data.y == data.y[0])
    assert set(part.y) == {data.y[0]} and part.class_names == kept, "a part is numbered like the whole"


@pytest.mark.parametrize("junk", [np.nan, np.inf, -1e300])
def test_what_stands_behind_a_clips_end_does_not_matter(junk):
    x = X.astype(np.float64)
    x[1, 3:] = junk
    data = sequences(x=x, lengths=[5, 3, 5, 5])
    assert (data.x[1, 3:] == X[1, 2]).all() and (data.x[[0, 2, 3]] == X[[0, 2, 3]]).all()
    with pytest.raises(ValueError, match="x: .*clip 1"):
        sequences(x=x, lengths=[5, 4, 5, 5])


@pytest.mark.parametrize(
    ("factor", "words"), [(1e37, "too large"), (-1e300, "too large"), (1e-20, "too small")]
)
def test_units_that_float32_cannot_compute_with_are_named(factor, words):
    with pytest.raises(ValueError, match=f"x: the largest value, of clip .* {words} .*Rescale") as error:
        sequences(x=X.astype(np.float64) * factor)
    assert "NaN" not in str(error.value)
    assert (sequences(x=X * 0).x == 0).all()


# ---------------------------------------------------------------- enough for a chapter


def enough(people=3, each=2, frames=4, classes=2):
    """What just suffices: each person makes one action so many times."""
    person = np.repeat(np.arange(people), each)
    x = np.random.default_rng(0).standard_normal((len(person), frames, 2))
    return Sequences(x, person % classes, person, name="mine")


def test_the_least_that_suffices_passes():
    data = enough()
    assert require(data) is data


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"people": 1, "classes": 1}, "one person. This takes at least 3"),
        ({"people": 2}, "2 people. This takes at least 3"),
        ({"classes": 1}, "one class. This takes at least 2"),
        ({"each": 1}, "fewer than 2 clips of the same action by person 0"),
        ({"frames": 1}, "one frame in its longest clip. This takes at least 4"),
        ({"frames": 3}, "3 frames in its longest clip. This takes at least 4"),
        ({"frames": 40_000}, "clips of 40,000 frames. Beyond 4,879 .* 4 GB .*Cut .*, or resample: "),
    ],
)
def test_what_is_lacking_is_named_with_a_remedy(lacking, words):
    with pytest.raises(ValueError, match=rf"^data: mine has {words}.*\.$"):
        require(enough(**lacking))


def test_less_may_be_asked_for():
    require(enough(people=2, each=1, frames=2), people=2, clips=1, frames=2)
    with pytest.raises(ValueError, match="data: a.npz has 2 people. This takes at least 5"):
        require(enough(people=2), people=5, name="a.npz")


def test_classes_count_if_somebody_shows_them_and_frames_if_they_are_real():
    data = enough(classes=1)
    with pytest.raises(ValueError, match="one class"):
        require(replace(data, class_names=("nod", "wave")))
    with pytest.raises(ValueError, match="3 frames"):
        require(replace(enough(frames=9), lengths=np.full(6, 3)))


def test_what_never_moves_is_refused():
    with pytest.raises(ValueError, match="the value 7 everywhere: nothing moves"):
        require(replace(enough(), x=np.full((6, 4, 2), 7.0)))


@pytest.mark.parametrize("people", [None, 8])
def test_every_clip_is_in_one_batch_however_few_a_person_has(people):
    person = torch.repeat_interleave(
        torch.arange(10), torch.tensor([1, 3, 100, 200, 7, 9, 20, 50, 64, 2])
    )
    drawn = batches(person, 64, people)
    assert torch.cat(drawn).sort().values.tolist() == list(range(len(person)))


def test_more_frames_are_allowed_where_a_batch_is_smaller():
    assert most_frames(6) == pytest.approx(most_frames(95) * (95 / 6) ** 0.5, abs=4)
    assert most_frames(95) == most_frames(10_000)
    largest = max(len(b) for n in range(1, 400) for b in batches(torch.zeros(n), 64))
    # 28 bytes for each entry of the largest batch's plans.
    assert largest * most_frames(400) ** 2 * 28 <= 4e9 < largest * (most_frames(400) + 1) ** 2 * 28


# ---------------------------------------------------------------- a reader's own .npz


@pytest.fixture
def own(tmp_path):
    def write(**arrays) -> Path:
        path = tmp_path / "own.npz"
        arrays = {"X": X, "y": Y, "person": PERSON} | arrays
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def test_the_skeleton_comes_back_as_it_was_saved(tmp_path):
    skeleton = sequences(x=np.zeros((4, 5, 6)), parents=(-1, 0))
    save_npz(tmp_path / "mine.npz", skeleton)
    assert load_npz(tmp_path / "mine.npz").parents == (-1, 0)
    for bad in ([[-1, 0]], [-1.5, 0.0]):
        np.savez(tmp_path / "bad.npz", X=skeleton.x, y=Y, person=PERSON, parents=bad)
        with pytest.raises(
            ValueError, match=r"bad.npz: parents: shape .* Save the parent of each joint"
        ):
            load_npz(tmp_path / "bad.npz")


def test_npz_comes_back_as_it_was_saved(tmp_path):
    data = sequences(lengths=[1, 2, 3, 4], class_names=("a", "b", "ü"), rate=12.5)
    save_npz(tmp_path / "mine.npz", data)
    back = load_npz(tmp_path / "mine.npz")
    for field in ("x", "y", "person", "lengths"):
        assert (getattr(back, field) == getattr(data, field)).all()
    assert (back.class_names, back.rate, back.name) == (data.class_names, 12.5, "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"], "a temporary file was left"


def test_saving_never_overwrites_unasked(tmp_path):
    path = tmp_path / "mine.npz"
    save_npz(path, sequences())
    with pytest.raises(FileExistsError, match="mine.npz: exists already"):
        save_npz(path, sequences(rate=2.0))
    assert load_npz(path).rate == 1.0
    save_npz(path, sequences(rate=2.0), force=True)
    assert load_npz(path).rate == 2.0


@pytest.mark.parametrize("name", ["mine.txt", "no/such/folder/mine.npz"])
def test_saving_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="path: .*Choose another one"):
        save_npz(tmp_path / name, sequences())


@pytest.mark.parametrize("kind", ["U", "S"])
def test_people_may_be_named_in_text(own, kind):
    data = load_npz(own(person=np.array(["eve", "eve", "adam", "lilith"]).astype(kind)))
    assert data.person.tolist() == [1, 1, 0, 2]


@pytest.mark.parametrize("missing", ["X", "y", "person"])
def test_missing_array_is_named(own, missing):
    with pytest.raises(ValueError, match=f"has no array {missing} .*Save X"):
        load_npz(own(**{missing: None}))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X[0]}, "x: shape"),
        ({"y": Y[:2]}, "y: shape"),
        ({"class_names": np.array("abc")}, "class_names: shape"),
        ({"class_names": np.array(["a"])}, "class_names: 1 names"),
        ({"rate": np.array([1.0, 2.0])}, "rate: shape"),
        ({"rate": np.array("fast")}, "rate: 'fast'"),
        ({"rate": np.array(-1.0)}, "rate: -1.0"),
    ],
)
def test_bad_contents_are_named(own, arrays, message):
    with pytest.raises(ValueError, match=message):
        load_npz(own(**arrays))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_object_arrays_are_never_unpickled(own, tmp_path):
    trace = tmp_path / "ran"
    path = own(person=np.array([Trap(trace)] * 4, dtype=object))
    with pytest.raises(ValueError, match="no object arrays"):
        load_npz(path)
    assert not trace.exists()
    np.load(path, allow_pickle=True)["person"]
    assert trace.exists(), "the trap would never have snapped"


@pytest.mark.parametrize("content", ["text", "nothing", "npy", "cut"])
def test_what_is_no_npz_is_refused(own, tmp_path, content):
    path, good = tmp_path / "bad.npz", own().read_bytes()
    array = io.BytesIO()
    np.save(array, X)
    half = good[: len(good) // 2]
    contents = {"text": b"X,y,person\n", "nothing": b"", "npy": array.getvalue(), "cut": half}
    path.write_bytes(contents[content])
    with pytest.raises(ValueError, match="cannot be read as a plain .npz.*numpy.savez"):
        load_npz(path)


def test_absent_npz_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz: no such file. Give the path"):
        load_npz(tmp_path / "none.npz")


def test_where_a_relative_path_counts_from_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    looked = rf"none.npz: no such file.* {tmp_path}/none.npz, .*notebooks/\); an absolute path always"
    with pytest.raises(FileNotFoundError, match=looked):
        load_npz("none.npz")
    with pytest.raises(FileNotFoundError, match=r"X, y, person\.$"):
        load_npz(tmp_path / "none.npz")


def test_home_and_endings_in_capitals_are_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # on Windows
    save_npz("~/MINE.NPZ", sequences())
    assert load_npz("~/MINE.NPZ").name == "MINE" and (tmp_path / "MINE.NPZ").is_file()


def test_a_zip_of_other_files_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("X", "y", "person"):
            file.writestr(name, "1,2")
    with pytest.raises(ValueError, match="x.npz: has no array X, y, person .its members are no"):
        load_npz(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "one folder up")
        for name, array in (("X", X), ("y", Y), ("person", PERSON)):
            with file.open(f"{name}.npy", "w") as member:
                np.save(member, array)
    assert (load_npz(path).x == X).all(), "what else lies in the zip does not matter"


def test_bad_contents_name_their_file(own):
    with pytest.raises(ValueError, match=r"/own.npz: y: label -1 is negative"):
        load_npz(own(y=Y - 1))


# ---------------------------------------------------------------- SPAR


@pytest.fixture(scope="module")
def recordings():
    return spar.load_recordings()


def test_spar_is_complete(recordings):
    assert len(recordings) == 140
    combinations = {(r.person, r.y, r.right) for r in recordings}
    assert len(combinations) == 140
    assert {r.person for r in recordings} == set(range(1, 11))
    assert {r.y for r in recordings} == set(range(7)) == set(range(len(spar.EXERCISES)))
    assert all(r.x.shape[1] == len(spar.CHANNELS) and r.x.dtype == np.float32 for r in recordings)


def test_repetitions_are_about_twenty_a_recording(recordings):
    counts = np.array([len(spar.repetition_bounds(r.x)) - 1 for r in recordings])
    assert 18 <= np.median(counts) <= 21
    assert ((counts >= 17) & (counts <= 23)).sum() == 140


def test_bounds_increase_and_stay_inside(recordings):
    for r in recordings[::7]:
        bounds = spar.repetition_bounds(r.x)
        assert (np.diff(bounds) > 0).all() and bounds[0] >= 0 and bounds[-1] < len(r.x)


def test_altered_file_is_refused_before_it_is_unpickled(tmp_path):
    trace, path = tmp_path / "ran", tmp_path / "watch.npy"
    with path.open("wb") as file:
        np.save(file, np.array(Trap(trace), dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="SHA-256 .* is not the published .*Reinstall"):
        spar.load_recordings(path)
    assert not trace.exists()


def test_one_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "watch.npy"
    shutil.copy(spar.find_file(), path)
    assert len(spar.load_recordings(path)) == 140
    with path.open("r+b") as file:
        file.seek(-1000, 2)
        byte = file.read(1)[0]
        file.seek(-1000, 2)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ValueError, match="altered or cut short"):
        spar.load_recordings(path)


def test_absent_distribution_and_absent_file_are_named(monkeypatch, tmp_path):
    class Empty:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(metadata, "distribution", lambda name: Empty())
    with pytest.raises(FileNotFoundError, match="data file is missing.*pip install"):
        spar.load_recordings()

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(FileNotFoundError, match="seglearn.*not installed.*pip install"):
        spar.find_file()
    with pytest.raises(FileNotFoundError, match="none.npy: no such file"):
        spar.load_recordings(tmp_path / "none.npy")


def counting(k: int, seconds: float, period: float) -> spar.Recording:
    """A recording of even repetitions whose last channel counts samples from 100,000 k."""
    count = np.arange(int(seconds * spar.RATE))
    wave = np.sin(2 * np.pi * count / (period * spar.RATE))
    x = np.stack([wave] * 5 + [100_000 * k + count], axis=1)
    return spar.Recording(x.astype(np.float32), k % 7, k, bool(k % 2))


COUNTING = [counting(k, 40 + 3 * k, 1.2 + 0.1 * k) for k in range(8)]


def test_repetitions_follow_one_another_without_overlap():
    count = spar.repetitions(COUNTING).x[:, :, 5]
    first, last = count[:, 0], count[:, -1]
    same = first[1:] // 100_000 == first[:-1] // 100_000
    assert (first[1:][same] == last[:-1][same] + 1).all()


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_windows_stay_in_their_recording(overlap):
    size = 200
    clips = spar.windows(COUNTING, 4.0, overlap, time=size)
    count = clips.x[:, :, 5].astype(np.float64)
    assert (np.diff(count, axis=1) == 1).all()
    assert (count // 100_000 == clips.person[:, None]).all()
    starts = count[:, 0] % 100_000
    for k, recording in enumerate(COUNTING):
        mine = starts[clips.person == k]
        assert mine.min() == 0 and mine.max() + size <= len(recording.x)
        assert (np.diff(mine) == round(size * (1 - overlap))).all()


def test_resampled_repetitions_have_one_length_and_held_ones_their_own(recordings):
    resampled = spar.repetitions(recordings[:20], time=48)
    held = spar.repetitions(recordings[:20], time=64, fit="hold")
    assert resampled.x.shape[1:] == (48, 6) and (resampled.lengths == 48).all()
    assert held.x.shape[1:] == (64, 6) and held.rate == pytest.approx(64 / spar.LONGEST)
    durations = np.concatenate([np.diff(spar.repetition_bounds(r.x)) for r in recordings[:20]])
    expected = np.minimum(64, durations / spar.RATE * held.rate)
    np.testing.assert_allclose(held.lengths, expected, atol=1)
    assert (resampled.y == held.y).all() and (resampled.person == held.person).all()


def test_held_repetitions_are_smoothed_before_they_are_thinned():
    x = np.sin(2 * np.pi * np.arange(2000) / 75)[:, None].repeat(6, 1)
    x[:, 3] += np.sin(2 * np.pi * 20 * np.arange(2000) / spar.RATE)  # 20 Hz: too fast for 9 Hz
    held = spar.repetitions([spar.Recording(x.astype(np.float32), 0, 0, True)], time=32, fit="hold")
    real = held.x[:, 2 : held.lengths.min() - 2]  # a filter is less exact at the ends
    assert np.abs(real[..., 3] - real[..., 0]).max() < 0.3


@pytest.mark.parametrize(
    ("cut", "arguments", "message"),
    [
        (spar.repetitions, {"fit": "crop"}, "fit: 'crop'.*Choose"),
        (spar.repetitions, {"time": 1}, "time: 1 .*Give at least 2"),
        (spar.repetitions, {"time": 0, "fit": "hold"}, "time: 0 .*Give at least 2"),
        (spar.repetitions, {"recordings": []}, "recordings: .*no whole repetition. Give"),
        (spar.windows, {"overlap": 1.0}, "overlap: 1.0 .*Choose"),
        (spar.windows, {"overlap": -0.1}, "overlap: -0.1 .*Choose"),
        (spar.windows, {"seconds": 0}, "seconds: 0 .*Choose"),
        (spar.windows, {"seconds": 500}, "seconds: .*500.*Choose"),
    ],
)
def test_bad_cuts_are_named(cut, arguments, message):
    with pytest.raises(ValueError, match=message):
        cut(**{"recordings": COUNTING[:2]} | arguments)


# ---------------------------------------------------------------- MA-52


def test_body_parts_are_ma52s():
    assert len(labels.ACTIONS) == len(set(labels.ACTIONS)) == 52 and len(labels.BODY_PARTS) == 7
    ranges = [(0, 4), (5, 10), (11, 23), (24, 31), (32, 37), (38, 47), (48, 51)]
    expected = np.concatenate([[k] * (last - first + 1) for k, (first, last) in enumerate(ranges)])
    assert (labels.body_part(np.arange(52)) == expected).all()
    assert labels.body_part(9) == 1 and labels.ACTIONS[9] == "nodding"
    assert labels.body_part(np.zeros((0, 2), int)).shape == (0, 2)


@pytest.mark.parametrize("action", [52, -1, [3, 60]])
def test_actions_outside_ma52_are_refused(action):
    with pytest.raises(ValueError, match="action: .*0..51"):
        labels.body_part(action)


def test_trap_is_a_trap(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()
