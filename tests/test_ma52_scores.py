"""MA-52's scores against scikit-learn, and the submission against its own checker."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, top_k_accuracy_score

from piumar_lib.data.labels import body_part
from piumar_lib.ma52 import scores
from piumar_lib.ma52.codabench import HEADER, check_submission, read_submission, write_submission
from piumar_lib.ma52.prepare import published
from piumar_lib.ma52.prepare.index import Clip, write_index
from piumar_lib.ma52.submit import find_test_clips


@pytest.fixture
def guessed():
    """Actions, and probabilities that are right about half of the time."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 52, 400)
    p = rng.random((400, 52))
    p[np.arange(400), y] += rng.random(400)
    return y, p / p.sum(1, keepdims=True)


def test_official_scores_are_those_of_scikit_learn(guessed):
    y, p = guessed
    found, said = scores.official_scores(y, p), p.argmax(1)
    micro, macro = (
        [f1_score(f(y), f(said), average=a, labels=range(n), zero_division=0)
         for f, n in ((body_part, 7), (lambda v: v, 52))]
        for a in ("micro", "macro")
    )  # fmt: skip
    assert found["body top-1"] == pytest.approx(micro[0]) == (body_part(y) == body_part(said)).mean()
    assert found["action top-1"] == pytest.approx(micro[1]) == (y == said).mean()
    assert found["body F1 macro"] == pytest.approx(macro[0])
    assert found["action F1 macro"] == pytest.approx(macro[1])
    assert found["F1_mean"] == pytest.approx(np.mean([*micro, *macro]))
    assert found["action top-5"] == pytest.approx(top_k_accuracy_score(y, p, k=5, labels=range(52)))
    assert found["action top-5"] > found["action top-1"] > 0.2


def test_body_parts_may_have_a_head_of_their_own(guessed):
    y, p = guessed
    parts = np.eye(7)[body_part(y)]
    found = scores.official_scores(y, p, parts)
    assert found["body top-1"] == found["body F1 macro"] == 1
    assert found["action top-1"] == scores.official_scores(y, p)["action top-1"]


def test_the_order_of_clips_does_not_matter(guessed):
    y, p = guessed
    order = np.random.default_rng(1).permutation(len(y))
    for name, value in scores.official_scores(y[order], p[order]).items():
        assert value == pytest.approx(scores.official_scores(y, p)[name]), name


def test_confusions_are_counted(guessed):
    y, p = guessed
    said = p.argmax(1)
    pairs = scores.hardest_pairs(y, said, most=4)
    table = confusion_matrix(y, said, labels=range(52))
    np.fill_diagonal(table, 0)
    assert [n for *_, n in pairs] == sorted(table.ravel(), reverse=True)[:4]
    assert all(table[a, b] == n for a, b, n in pairs)
    assert scores.hardest_pairs(y, y) == []


def test_calibration_by_hand():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    error, bins = scores.calibration(np.array([0, 1, 0, 0]), p)
    assert [(round(c, 3), a, n) for c, a, n in bins] == [(0.6, 1.0, 1), (0.7, 0.0, 1), (0.9, 0.5, 2)]
    assert error == pytest.approx((0.4 + 0.7 + 2 * 0.4) / 4)
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 20000)
    y = (rng.random(20000) > sure).astype(int)
    assert scores.calibration(y, np.stack([sure, 1 - sure], 1))[0] < 0.02


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        (np.zeros(3, int), np.zeros((3, 51)), r"shapes \(3,\) and \(3, 51\). Give \(n,\) and \(n, 52\)"),
        (np.zeros(0, int), np.zeros((0, 52)), "with n at least 1"),
        (np.zeros(1, int), np.full((1, 52), np.nan), "probabilities: NaN or infinite"),
        (np.array([52]), np.ones((1, 52)), r"values 52..52 leave MA-52's range"),
    ],
)
def test_scores_of_what_cannot_be_are_refused(y, p, message):
    with pytest.raises(ValueError, match=message):
        scores.official_scores(y, p)


# The submission

NAMES = [f"test{k:04d}.mp4" for k in range(30)]


def rows_of(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["prediction.csv"]
        return list(csv.reader(io.StringIO(archive.read("prediction.csv").decode())))


@pytest.mark.parametrize("own_parts", [False, True])
def test_a_submission_names_the_five_best_in_the_order_of_the_list(tmp_path, own_parts):
    rng = np.random.default_rng(0)
    p, parts = rng.random((30, 52)), rng.random((30, 7)) if own_parts else None
    write_submission(tmp_path / "deep" / "s.zip", NAMES, p, parts)
    head, *rows = rows_of(tmp_path / "deep" / "s.zip")
    assert head == [*HEADER] and [row[0] for row in rows] == NAMES
    assert head[1] == "action_pred_1" and head[-1] == "body_pred_5" and len(head) == 11
    for k, row in enumerate(rows):
        actions = [int(v) for v in row[1:6]]
        assert [p[k, a] for a in actions] == sorted(p[k], reverse=True)[:5]
        bodies = [int(v) for v in row[6:]]
        if own_parts:
            assert [parts[k, b] for b in bodies] == sorted(parts[k], reverse=True)[:5]
        else:
            assert bodies == body_part(np.array(actions)).tolist()
    assert sorted(f.name for f in (tmp_path / "deep").iterdir()) == ["s.zip"]


def test_a_submission_that_would_be_refused_is_not_written(tmp_path):
    for p in (np.ones((29, 52)), np.ones((30, 51)), np.full((30, 52), np.inf)):
        with pytest.raises(ValueError, match="Give finite values of shape"):
            write_submission(tmp_path / "s.zip", NAMES, p)
    with pytest.raises(ValueError, match="parts: shape"):
        write_submission(tmp_path / "s.zip", NAMES, np.ones((30, 52)), np.ones((30, 6)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("vid,", "id,"), "line 1: .* is not the header"),
        (lambda t: t.replace("test0003.mp4", "test0004.mp4"), "line 5: .* is not the line of test0003"),
        (lambda t: "".join(t.splitlines(True)[:-1]), "29 clips, but the test list has 30"),
        (lambda t: t + "test0030.mp4,0,1,2,3,4,0,0,0,0,0\n", "31 clips, but the test list has 30"),
        (lambda t: t.replace(",9,", ",52,", 1), "leave 0 to 51"),
        (lambda t: t.replace(",9,", ",nine,", 1), "leave 0 to 51"),
        (lambda t: t.replace("0000.mp4,0,1,", "0000.mp4,0,0,"), "line 2: .* names an action twice"),
        (lambda t: t.replace("0000.mp4,0,1,2,3,9,", "0000.mp4,0,1,2,3,"), "line 2: .* 11 long"),
        (lambda t: t.replace("0000.mp4,0,1,2,3,9,0,", "0000.mp4,0,1,2,3,9,7,"), "leave 0 to 6"),
    ],
)
def test_the_checker_names_what_is_wrong(tmp_path, change, message):
    lines = [",".join(HEADER)] + [f"{name},0,1,2,3,9,0,0,0,0,1" for name in NAMES]
    text = "\n".join(lines) + "\n"
    for content in (text, change(text)):
        with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
            archive.writestr("prediction.csv", content)
        if content == text:
            check_submission(tmp_path / "s.zip", NAMES)
        else:
            with pytest.raises(ValueError, match=message):
                check_submission(tmp_path / "s.zip", NAMES)


def test_the_checker_refuses_other_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("folder/prediction.csv", "vid")
    with pytest.raises(ValueError, match="should hold prediction.csv alone, in no folder"):
        check_submission(tmp_path / "s.zip", NAMES)
    (tmp_path / "s.zip").write_text("no zip")
    with pytest.raises(ValueError, match="no zip of a text file"):
        check_submission(tmp_path / "s.zip", NAMES)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (5586, "5586 clips, MA-52's test list; "),
        (1138, "1138 clips, the challenge's test list; "),
        (30, "30 clips, neither MA-52's test list (5586 clips) nor the challenge's test list (1138): "),
    ],
)
def test_a_submission_says_which_list_it_answers_and_how_body_parts_repeat(tmp_path, count, said):
    names, p = published.numbered(count), np.random.default_rng(0).random((count, 52))
    # The form of the benchmark's own sample: "test0000.mp4,9,8,7,10,5,1,1,1,1,1".
    p[0, [9, 8, 7, 10, 5]] = [9, 8, 7, 6, 5]
    write_submission(tmp_path / "s.zip", names, p)
    assert ",".join(rows_of(tmp_path / "s.zip")[1]) == "test0000.mp4,9,8,7,10,5,1,1,1,1,1"
    alike = [len({*body_part(row)}) < 5 for row in np.argsort(-p, 1)[:, :5]]
    assert 0 < sum(alike) < count
    assert str(read_submission(tmp_path / "s.zip")).startswith(
        f"{said}{'' if count > 30 else 'right for a stand-in alone; '}{sum(alike)} lines repeat a body"
    )
    write_submission(tmp_path / "s.zip", names, p, np.random.default_rng(1).random((count, 7)))
    assert read_submission(tmp_path / "s.zip").repeating == 0
    assert "no line repeats a body part" in str(read_submission(tmp_path / "s.zip"))


@pytest.fixture
def listed(tmp_path):
    """Writes an index, or the test list of a download, of test clips with these names."""

    def write(names, folder=None):
        if folder is not None:
            (tmp_path / folder).mkdir()
            text = "\n".join(f"{name} 0" for name in names)
            (tmp_path / folder / "test_list_videos.txt").write_text(text)
            return tmp_path / folder
        clips = [Clip(name, "test", "", "", -1, "", 50, 30.0, 64, 64, 1, "") for name in names]
        clips.append(Clip("0001_01_0001.mp4", "val", "0001", "01", 9, "head", 50, 30.0, 64, 64, 1, ""))
        write_index(tmp_path / "index.csv", clips)
        return tmp_path / "index.csv"

    return write


def test_a_submission_has_a_line_for_each_clip_of_the_list(listed):
    index = listed(reversed(NAMES))
    assert [clip.name for clip in find_test_clips(index)] == NAMES
    other = [NAMES[3], *NAMES[:3], *NAMES[4:]]
    root = listed(other, "as another order")
    assert [clip.name for clip in find_test_clips(index, root)] == other


def test_an_index_that_does_not_fit_the_list_is_refused(listed):
    root = listed(NAMES, "download")
    index = listed(NAMES[:7] + NAMES[9:])
    for given in (None, root):
        message = "lacks 2 of the 30 test clips of the list, test0007.mp4 is the first. Mend"
        with pytest.raises(ValueError, match=message):
            find_test_clips(index, given)
    index = listed(NAMES[:-1])  # without the list nobody can know
    assert len(find_test_clips(index)) == 29
    with pytest.raises(ValueError, match="lacks 1 of the 30 test clips of the list, test0029.mp4"):
        find_test_clips(index, root)
    # The challenge's list, and the index of MA-52's whole test list.
    index = listed(published.numbered(5586))
    root = listed(published.numbered(1138), "challenge")
    with pytest.raises(ValueError, match="has 4448 test clips that the list does not name, test1138"):
        find_test_clips(index, root)


def test_an_index_or_a_list_without_test_clips_is_named(listed, tmp_path):
    with pytest.raises(ValueError, match=r"index: .*index.csv has no test clips. Make it from"):
        find_test_clips(listed([]))
    index = listed(NAMES)
    with pytest.raises(ValueError, match="root: .*none/test_list_videos.txt: .*Unpack the download"):
        find_test_clips(index, tmp_path / "none")
