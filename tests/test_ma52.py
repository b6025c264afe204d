"""A download of MA-52: each planted fault is found and named, none is lost, and nothing is changed."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from piumar_lib.data.label_codes import all_codes
from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare import published, splits
from piumar_lib.ma52.prepare.index import make_index, read_index, write_index
from piumar_lib.ma52.prepare.lists import read_list
from piumar_lib.ma52.prepare.verify import check_clip, verify

SCRIPT = Path(__file__).parents[1] / "data_scripts" / "prepare_ma52.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
prepare_ma52 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prepare_ma52)

PLAN = standin.plan(clips=60, people=8, width=32, seed=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("download") / "whole"
    standin.write(folder, PLAN, progress=False)
    return folder


@pytest.fixture
def root(whole, tmp_path):
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "ma52"))


@pytest.fixture(scope="module")
def clips(whole):
    return make_index(whole, verify(whole).entries)


def serious(report):
    return [(fault.kind, fault.where) for fault in report.faults if fault.serious]


def notes(report):
    return [(fault.kind, fault.where) for fault in report.faults if not fault.serious]


def some_clip(root, split="train", number=0):
    return sorted((root / split).iterdir())[number]


def edit(root, change, split="train"):
    path = root / f"{split}_list_videos.txt"
    path.write_bytes(change(path.read_bytes()))


def fingerprints(root):
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Lists and clips that are whole


@pytest.mark.parametrize("decode", [False, True])
def test_a_whole_download_is_usable_and_stays_as_it_is(whole, decode):
    before = fingerprints(whole)
    report = verify(whole, decode)
    assert report.usable and not serious(report) and len(report.entries) == 60
    assert {kind for kind, _ in notes(report)} == {"other count"}
    assert report.counts() == {s: int((PLAN.split == s).sum()) for s in ("train", "val", "test")}
    assert report.people == 7 and fingerprints(whole) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b + b"\n",
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b"\n\n" + b.replace(b"\n", b"\n\n") + b"\n \n",
        lambda b: b.replace(b" ", b"  ").replace(b"\n", b" \n"),
    ],
    ids=["final newline", "CRLF", "byte order mark", "empty lines", "spaces"],
)
def test_lists_may_be_written_otherwise(root, change):
    expected, _ = read_list(root, "train")
    edit(root, change)
    entries, faults = read_list(root, "train")
    assert not faults and verify(root).usable
    assert [(e.name, e.action) for e in entries] == [(e.name, e.action) for e in expected]


# Planted faults: each is found, named, and all others stay good


def truncate(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: truncate(path, 0.5), "damaged clip"),
        (lambda path: truncate(path, 0.02), "damaged clip"),
        (lambda path: path.write_bytes(b""), "empty clip"),
        (lambda path: path.write_text("<!DOCTYPE html><title>Sign in</title>"), "no video"),
        (lambda path: path.write_text("\n <html>Sign in</html>"), "no video"),
        (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "damaged clip"),
        (lambda path: path.unlink(), "missing clip"),
        (lambda path: (path.unlink(), path.mkdir()), "unreadable clip"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_bad_clip_is_found_and_named(root, damage, kind, split):
    path = some_clip(root, split, 2)
    damage(path)
    report = verify(root)
    assert serious(report) == [(kind, f"{split}/{path.name}")] and not report.usable
    assert len(report.entries) == 59 and path.name not in {e.name for e in report.entries}


def test_a_clip_that_lost_its_end_behind_a_whole_header_is_found(root):
    path = some_clip(root)
    fast = path.with_name("fast.mp4")
    with av.open(path) as source, av.open(fast, "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    shutil.move(fast, path)
    assert verify(root).usable
    truncate(path, 0.8)
    for decode in (False, True):
        ((kind, where),) = serious(verify(root, decode))
        assert where == f"train/{path.name}" and kind in ("truncated clip", "damaged clip")


def test_a_clip_that_may_not_be_read_is_named(root, monkeypatch):
    path, real = some_clip(root), Path.open

    def refuse(self, *args, **kwargs):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    assert serious(verify(root)) == [("unreadable clip", f"train/{path.name}")]


def first_line(line):
    return lambda content: b"\n".join([line, *content.split(b"\n")[1:]])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"NAME 52", "label out of range"),
        (b"NAME -1", "label out of range"),
        (b"NAME nine", "label is no number"),
        (b"NAME 9.5", "label is no number"),
        (b"NAME --9", "label is no number"),
        (b"NAME " + "²".encode(), "label is no number"),
        (b"NAME " + 5000 * b"9", "label is no number"),
        ("０００１_01_0001.mp4 9".encode(), "no person in the name"),
        (b"NAME", "malformed line"),
        (b"0001_0001.mp4 9", "no person in the name"),
        (b"0001_01_0001_1.mp4 9", "no person in the name"),
        (b"0001_01_0001.avi 9", "no person in the name"),
        (b"a_b_c.mp4 9", "no person in the name"),
        (b"0001_01_0001.MP4 9", "upper-case extension"),
        (b"train/0001_01_0001.mp4 9", "name with a path"),
        (b"..\\0001_01_0001.mp4 9", "name with a path"),
        (b"/etc/passwd 9", "name with a path"),
    ],
)
def test_a_bad_line_is_found_and_named(root, line, kind):
    name = read_list(root, "train")[0][0].name
    edit(root, first_line(line.replace(b"NAME", name.encode())))
    report = verify(root)
    assert serious(report) == [(kind, "train_list_videos.txt, line 1")]
    assert ("extra file", f"train/{name}") in notes(report), "its clip is listed no more"
    assert len(report.entries) == 59


def test_test_lists_name_no_people(root):
    edit(root, first_line(b"0001_01_0001.mp4 0"), "test")
    assert serious(verify(root)) == [("malformed name", "test_list_videos.txt, line 1")]
    assert {e.person for e in read_list(root, "test")[0]} == {""}
    assert {e.action for e in read_list(root, "test")[0]} == {-1}, "placeholders are no labels"


def test_a_clip_that_is_listed_twice_is_named_with_both_lines(root):
    edit(root, lambda b: b + b"\n" + b.split(b"\n")[2])
    entries, _ = read_list(root, "train")
    ((kind, where),) = serious(report := verify(root))
    assert kind == "duplicate line" and where == f"train_list_videos.txt, line {entries[-1].line}"
    assert "line 3" in next(f.what for f in report.faults if f.serious)
    assert len(report.entries) == 60


def test_a_clip_in_two_lists_is_named(root):
    line = (root / "train_list_videos.txt").read_bytes().split(b"\n")[0]
    edit(root, lambda b: b + b"\n" + line, "val")
    report = verify(root)
    assert [kind for kind, _ in serious(report)] == ["clip in two lists"]
    assert "val_list_videos.txt" in serious(report)[0][1] and len(report.entries) == 60


def test_a_list_of_another_encoding_is_read_and_noted(root):
    edit(root, lambda b: b + "\n0001_01_0009é.mp4 3".encode("latin-1"))
    report = verify(root)
    assert ("wrong encoding", "train_list_videos.txt") in notes(report)
    assert [kind for kind, _ in serious(report)] == ["no person in the name"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_lists_in_another_unicode_are_read_and_noted_once(root, codec):
    expected, _ = read_list(root, "train")
    edit(root, lambda b: b.decode().encode(codec))
    report = verify(root)
    assert report.usable and read_list(root, "train")[0] == expected
    assert notes(report)[0] == ("wrong encoding", "train_list_videos.txt")
    assert [kind for kind, _ in notes(report)].count("wrong encoding") == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>\n" * 20, "a web page: '<!DOCTYPE html>"),
        (b"PK\3\4" + bytes(range(256)) * 20, "no text file"),
        (b"\0" * 4096, "no text file"),
    ],
    ids=["web page", "archive", "zeros"],
)
def test_a_file_that_is_no_list_is_one_fault(root, content, what):
    edit(root, lambda b: content)
    report = verify(root)
    assert serious(report) == [("no list", "train_list_videos.txt")]
    assert report.faults[0].what.startswith(what)


# Names of labels, and which test list it is


def rename(root, change):
    path = root / "label_name.txt"
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.replace(b"\r\n", b"\n"),
        lambda b: b + b"\r\n",
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b"\r\n".join(reversed(b.split(b"\r\n"))),
    ],
    ids=["LF", "final newline", "byte order mark", "another order"],
)
def test_names_of_labels_may_be_written_otherwise(root, change):
    assert (root / "label_name.txt").read_bytes().count(b"\t") == 52
    assert (root / "label_name.txt").read_bytes().count(b"\r\n") == 51
    rename(root, change)
    report = verify(root)
    assert report.usable and {kind for kind, _ in notes(report)} == {"other count"}


OTHER, MISSING = "other label name", "missing label name"


@pytest.mark.parametrize(
    ("change", "found", "what"),
    [
        (lambda b: b.replace(b"9\tnodding", b"9\tbowing head"),
         [(OTHER, "label_name.txt, line 10"), (MISSING, "label_name.txt")],
         "label_name.txt, line 10: '9\\tbowing head'"),
        (lambda b: b.replace(b"9\tnodding", b"9 nodding"),
         [(OTHER, "label_name.txt, line 10"), (MISSING, "label_name.txt")],
         "label_name.txt: '9\\tnodding'"),
        (lambda b: b.replace(b"51\t", b"52\t"),
         [(OTHER, "label_name.txt, line 52"), (MISSING, "label_name.txt")],
         "label_name.txt, line 52: '52\\tscratching feet'"),
        (lambda b: b + b"\r\n9\tnodding", [(OTHER, "label_name.txt, line 53")],
         "label_name.txt, line 53: '9\\tnodding'"),
        (lambda b: b.partition(b"\r\n10\t")[0], [(MISSING, "label_name.txt")] * 42,
         "label_name.txt: '10\\tshaking head'"),
    ],
    ids=["another name", "no tab", "another id", "twice", "cut off"],
)  # fmt: skip
def test_other_names_of_labels_are_named_by_line(root, change, found, what):
    rename(root, change)
    report = verify(root)
    assert serious(report) == found and not report.usable
    assert what in report.to_text() and "as it was published" in report.to_text()


def test_labels_in_the_order_of_letter_codes_are_found(root):
    names = "\r\n".join(f"{one.counted}\t{one.name}" for one in all_codes())
    rename(root, lambda _: names.encode())
    faults = [fault for fault in verify(root).faults if fault.kind == "other label name"]
    assert len(faults) == 46 and "'5\\tnodding'" in [fault.what for fault in faults]


def test_a_download_without_names_of_labels_can_be_used(root):
    (root / "label_name.txt").unlink()
    report = verify(root)
    assert report.usable and ("no label names", "label_name.txt") in notes(report)


def as_test_list(root, count):
    """A test list of so many names, all of them the same small clip."""
    clip = some_clip(root, "test")
    kept = clip.read_bytes()
    for path in (root / "test").iterdir():
        path.unlink()
    names = published.numbered(count)
    for name in names:
        (root / "test" / name).write_bytes(kept)
    edit(root, lambda _: "\n".join(f"{name} 0" for name in names).encode(), "test")


def test_the_challenges_test_list_is_recognised(root):
    as_test_list(root, 1138)
    report = verify(root)
    assert report.usable and report.test_list == published.SAMPLE
    assert ("test list of the challenge", "test_list_videos.txt") in notes(report)
    said = report.to_text()
    assert "1138 test (published: 1138)" in said and "a sample of MA-52's 5586" in said
    assert "keep them apart" in said and "test/: " not in said
    assert json.loads(report.to_json())["test list"] == "the challenge's test list"
    # A clip of it that is missing is still counted; and the folder may be that of the whole test list.
    some_clip(root, "test").unlink()
    assert "test/: 1137 usable clips, 1138 were published" in verify(root).to_text()
    shutil.copy(some_clip(root, "test"), root / "test" / "test5585.mp4")
    ((where, what),) = [(f.where, f.what) for f in verify(root).faults if f.kind == "two test sets"]
    assert where == "test/" and "but 1 more test clips lie in the folder" in what


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (published.numbered(5586), published.FULL),
        (reversed(published.numbered(1138)), published.SAMPLE),
        (published.numbered(1137), ""),
        ([*published.numbered(1137), "test1138.mp4"], ""),
        ([*published.numbered(1138), "test0000.mp4"], published.SAMPLE),
        ([], ""),
    ],
)
def test_a_test_list_is_known_by_its_names(names, said):
    assert published.name_test_list(names) == said


def test_only_a_stand_in_is_called_one(root):
    assert "Right for a stand-in." in verify(root).to_text()
    (root / "standin.json").unlink()
    said = verify(root).to_text()
    assert "stand-in" not in said and "Right for a part of MA-52" in said


# A download that is one level off


def put(root, template):
    """Give each split's folder another place."""
    for split in ("train", "val", "test"):
        target = root / template.format(split, split.capitalize())
        (root / split).rename(root / "moved")
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / "moved").rename(target)


def put_lists(root, template):
    for split in ("train", "val", "test"):
        target = root / template.format(split, split.capitalize())
        target.parent.mkdir(exist_ok=True)
        (root / f"{split}_list_videos.txt").rename(target)


ELSEWHERE = [
    "{0}/{0}", "MA-52/{0}", "{1}", "videos_{0}", "{0}_videos", "MA-52/Videos_{1}",
    "{0}/MA-52/{0}", "clips/of {0}",
]  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_folder_that_is_elsewhere_is_one_fault_and_named(root, place):
    put(root, place)
    report = verify(root)
    assert serious(report) == [("clips elsewhere", f"{s}/") for s in ("train", "val", "test")]
    for fault, split in zip(report.faults, ("train", "val", "test"), strict=False):
        count = (PLAN.split == split).sum()
        where = root / place.format(split, split.capitalize())
        assert fault.what == f"{count} of its clips are in {where}"
    assert {kind for kind, _ in notes(report)} == {"other count"} and not report.entries
    assert "do not download them again" in report.to_text()


@pytest.mark.parametrize("place", [p for p in ELSEWHERE if "of" not in p])
def test_without_lists_folders_elsewhere_are_known_by_their_names(root, place):
    put(root, place)
    for path in root.glob("*.txt"):
        path.unlink()
    found = serious(verify(root))
    nested = place.startswith("{0}/")  # the folder is there
    assert [kind for kind, _ in found] == ["no list"] * 3 + ["folder elsewhere"] * 3 * (not nested)


@pytest.mark.parametrize(
    "place", ["lists/{0}_list_videos.txt", "{1}_List_Videos.TXT", "{0}/{0}_list_videos.txt"]
)
def test_a_list_that_is_elsewhere_is_one_fault_and_named(root, place):
    put_lists(root, place)
    report = verify(root)
    names = [f"{split}_list_videos.txt" for split in ("train", "val", "test")]
    assert serious(report) == [("list elsewhere", name) for name in names]
    assert report.faults[0].what == f"it lies at {root / place.format('train', 'Train')}"
    assert {kind for kind, _ in notes(report)} == {"other count"}


@pytest.mark.parametrize("given", ["..", "train", "train/deeper", "download"])
def test_a_folder_above_or_below_the_root_is_told_which_is_meant(root, given, monkeypatch):
    for folder in ("train/deeper", "download"):
        (root / folder).mkdir()
    shutil.copy(root / "val_list_videos.txt", root / "download")
    monkeypatch.chdir(root / given)
    report = verify(Path())
    assert [fault.kind for fault in report.faults] == ["another folder"] and not report.usable
    meant = re.fullmatch("lists and clips are not here, but in (.*)", report.faults[0].what)[1]
    assert Path(meant).samefile(root)


def test_lists_above_clips_or_below_them(root):
    inner = root / "MA-52"
    put(root, "MA-52/{0}")
    assert {kind for kind, _ in serious(verify(root))} == {"clips elsewhere"}
    assert {kind for kind, _ in serious(verify(inner))} == {"list elsewhere"}
    put_lists(root, "MA-52/{0}_list_videos.txt")
    assert verify(inner).usable
    assert serious(verify(root)) == [("another folder", str(root))]


def test_what_lies_elsewhere_in_part_or_in_another_case_is_told_from_what_is_lost(root):
    (root / "train" / "more").mkdir()
    for path in sorted((root / "train").glob("*.mp4"))[:3]:
        path.rename(root / "train" / "more" / path.name)
    some_clip(root, "val").rename(root / "train" / some_clip(root, "val").name)
    some_clip(root, "val").rename(some_clip(root, "val").with_suffix(".MP4"))
    (lost := some_clip(root, "test")).unlink()
    report = verify(root)
    assert serious(report) == [
        ("clips elsewhere", "train/"),
        ("other case", "val/"),
        ("clips elsewhere", "val/"),
        ("missing clip", f"test/{lost.name}"),
    ]
    assert len(report.entries) == 60 - 6 and {kind for kind, _ in notes(report)} == {"other count"}


def test_a_folder_that_can_be_opened_in_either_case_is_no_fault(root):
    """As on the file systems of Windows and macOS."""
    put(root, "{1}")
    put_lists(root, "{1}_list_videos.txt")
    for split in ("train", "val", "test"):
        (root / split).symlink_to(root / split.capitalize())
        (root / f"{split}_list_videos.txt").symlink_to(root / f"{split.capitalize()}_list_videos.txt")
    assert verify(root).usable


def test_clips_without_a_folder_are_named(root):
    put(root, "{0}.d")
    for path in root.glob("*.d/*.mp4"):
        path.rename(root / path.name)
    assert serious(verify(root)) == [("clips elsewhere", f"{s}/") for s in ("train", "val", "test")]


def test_missing_lists_and_folders_are_named(root):
    (root / "val_list_videos.txt").unlink()
    shutil.rmtree(root / "test")
    edit(root, lambda b: b"")
    found = serious(verify(root))
    assert ("no list", "val_list_videos.txt") in found and ("no folder", "test/") in found
    assert ("empty list", "train_list_videos.txt") in found
    assert sum(kind == "missing clip" for kind, _ in found) == (PLAN.split == "test").sum()
    with pytest.raises(NotADirectoryError, match="elsewhere: no such folder. Give the one with train/"):
        verify(root / "elsewhere")


def test_all_faults_at_once_are_all_named(root):
    some_clip(root, "train", 0).write_bytes(b"")
    truncate(some_clip(root, "val", 1), 0.5)
    some_clip(root, "test", 0).unlink()
    (root / "val" / "notes.txt").write_text("mine")
    edit(root, lambda b: b + b"\n0001_09_0001.mp4 52\nnonsense")
    report = verify(root)
    expected = ["damaged clip", "empty clip", "label out of range", "malformed line", "missing clip"]
    assert sorted(kind for kind, _ in serious(report)) == expected
    assert ("extra file", "val/notes.txt") in notes(report) and len(report.entries) == 57
    said = report.to_text()
    assert all(kind in said for kind in expected) and "NOT usable" in said
    assert said.index("error: ") < said.index("note: ")
    programs = json.loads(report.to_json())
    assert not programs["usable"] and len(programs["faults"]) == len(report.faults)


def test_a_good_clip_has_no_fault(whole):
    entry = read_list(whole, "val")[0][0]
    assert check_clip(whole, entry) is None and check_clip(whole, entry, decode=True) is None


# The index


def test_the_index_says_what_the_plan_says(whole, clips):
    rows = {str(name): k for k, name in enumerate(PLAN.name)}
    assert len(clips) == 60
    for clip in clips:
        row, path = rows[clip.name], whole / clip.split / clip.name
        assert clip.split == PLAN.split[row] and clip.frames == PLAN.frames[row]
        assert (clip.width, clip.height, clip.fps) == (32, 38, 30)
        assert clip.bytes == path.stat().st_size
        assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        if clip.split == "test":
            assert (clip.person, clip.session, clip.action, clip.part) == ("", "", -1, "")
        else:
            assert int(clip.person) == PLAN.person[row] + 1 and clip.action == PLAN.action[row]
            assert clip.part == BODY_PARTS[int(body_part(clip.action))]
            assert clip.name.startswith(f"{clip.person}_{clip.session}_")


def test_an_index_that_is_killed_twenty_times_ends_like_an_uninterrupted_one(
    whole, clips, tmp_path, kill_often
):
    through, killed = tmp_path / "through.csv", tmp_path / "killed.csv"

    def make(path):
        write_index(path, make_index(whole, verify(whole).entries, workers=1))

    began = time.perf_counter()
    make(through)
    seconds, there = time.perf_counter() - began, []

    def look():
        there.append(killed.is_file())
        if killed.is_file():
            assert killed.read_bytes() == through.read_bytes(), "whole or not there"
            killed.unlink()

    kill_often(lambda: make(killed), 4 * seconds, look)
    assert {*there} == {True, False}
    make(killed)
    assert killed.read_bytes() == through.read_bytes()


def test_an_index_is_written_and_read(clips, tmp_path):
    path = tmp_path / "deep" / "index.csv"
    write_index(path, clips)
    assert read_index(path) == clips
    with path.open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [clip.name for clip in clips]
    with pytest.raises(FileNotFoundError, match="no index. Make it: prepare_ma52.py index"):
        read_index(tmp_path / "other.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3].replace(",30.0,", ",fast,"), *lines[4:]]))
    with pytest.raises(ValueError, match="index.csv, line 4: .*fast.* Make the index again"):
        read_index(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda text: b"", "index.csv: the index holds no clip. Make it again: prepare_ma52.py index"),
        (lambda text: b"\n\n", "index.csv: the index holds no clip"),
        (lambda text: text.split("\n")[0].encode(), "index.csv: the index holds no clip"),
        (lambda text: text.encode("utf-16"), "index.csv: no CSV table in UTF-8. Make it again: prepare"),
        (lambda text: b"\x89PNG" + bytes(range(256)), "index.csv: no CSV table in UTF-8"),
        (lambda text: text.replace("0", "0" * 140_000, 1).encode(), "index.csv: no CSV table in UTF-8"),
        (lambda text: text.replace(",", ";").encode(), "index.csv, line 2: .* Make the index again"),
    ],
    ids=["no byte", "empty lines", "header", "UTF-16", "a picture", "a long field", "semicolons"],
)
def test_a_file_that_is_no_index_is_refused_by_name(clips, tmp_path, content, message, capsys):
    path = tmp_path / "index.csv"
    write_index(path, clips)
    path.write_bytes(content(path.read_text()))
    with pytest.raises(ValueError, match=message):
        read_index(path)
    assert prepare_ma52.main(["split", str(path), "--out", str(tmp_path / "s")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {path}")


# Splits


def test_folds_hold_out_everybody_once_and_nobody_is_on_both_sides(clips):
    person = {clip.name: clip.person for clip in clips}
    known = {clip.name for clip in clips if clip.split != "test"}
    for made in (splits.person_disjoint(clips, folds=3), splits.leave_people_out(clips, people=2)):
        out = [name for split in made for name in split.held_out]
        assert sorted(out) == sorted(known)
        for split in made:
            assert {*split.train} | {*split.held_out} == known
            assert not {person[n] for n in split.train} & {person[n] for n in split.held_out}
    assert [len({person[n] for n in s.held_out}) for s in made] == [2, 2, 2, 1]


def test_folds_follow_the_seed_alone(clips):
    for protocol in (splits.person_disjoint, splits.leave_people_out):
        one, again = (protocol(order, 0, 3) for order in (clips, clips[::-1]))
        assert one == again, "the order of the index should not matter"
    assert splits.leave_people_out(clips, 0, 3) != splits.leave_people_out(clips, 1, 3)


def test_the_official_split_and_what_it_leaks(clips):
    (split,) = splits.official(clips)
    published = {c.name: c.split for c in clips}
    assert {published[n] for n in split.train} == {"train"}
    assert {published[n] for n in split.held_out} == {"val"}
    people = {s: {c.person for c in clips if c.split == s} for s in ("train", "val")}
    shared, val = len(people["train"] & people["val"]), len(people["val"])
    assert splits.leak(clips).startswith(f"official lists: {shared} of {val} val people are in train")


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        ("ab", "ab", "2 of 2 val people are in train, too, and 2 of 2 val sessions. Official validation "
         "says nothing about unseen people."),
        ("abc", "abde", "2 of 4 val people are in train, too, and 2 of 4 val sessions. Official "
         "validation mixes known people with 2 unseen."),
        ("abc", "d", "0 of 1 val people are in train, too, and 0 of 1 val sessions. No leak: everybody "
         "in official validation is unseen."),
        ("ab", "", "There is nobody in val, so there is nothing to compare."),
        ("", "ab", "There is nobody in train, so there is nothing to compare."),
    ],
)  # fmt: skip
def test_what_is_said_of_a_leak_follows_from_its_count(clips, train, val, said):
    sides = [("train", person) for person in train] + [("val", person) for person in val]
    made = [replace(clips[0], split=split, person=person) for split, person in sides]
    assert splits.leak(made).endswith(said)


def test_people_per_action_are_counted(clips):
    counts = splits.people_per_action(clips)
    for action in (0, 9, 21):
        makers = {c.person for c in clips if c.action == action}
        assert counts[action] == len(makers)
    assert counts.shape == (len(ACTIONS),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: splits.person_disjoint(c, folds=1), "folds: 1 of 7 people. Choose 2 to 7"),
        (lambda c: splits.person_disjoint(c, folds=8), "folds: 8 of 7 people"),
        (lambda c: splits.leave_people_out(c, people=0), "people: 0 of 7 left out. Choose 1 to 6"),
        (lambda c: splits.leave_people_out(c, people=7), "people: 7 of 7 left out"),
    ],
)
def test_folds_that_cannot_be_are_refused(clips, make, message):
    with pytest.raises(ValueError, match=message):
        make(clips)


def test_split_files_are_read_back_and_refused_once_changed(clips, tmp_path):
    made = splits.person_disjoint(clips, seed=4, folds=3)
    paths = splits.write_splits(tmp_path / "s", made, seed=4)
    assert [splits.read_split(path) for path in paths] == made
    head = paths[0].read_text().splitlines()[0]
    assert head.startswith("# person-disjoint, fold 1 of 3, seed 4, sha256 ")
    paths[0].write_text(paths[0].read_text().replace("held-out", "train", 1))
    with pytest.raises(ValueError, match="fold1.txt: its lines were changed"):
        splits.read_split(paths[0])
    paths[2].write_text(paths[2].read_text(), encoding="utf-16")
    with pytest.raises(ValueError, match="fold3.txt: no split in UTF-8. Make it again"):
        splits.read_split(paths[2])
    paths[1].write_text("0001_01_0001.mp4\n")
    with pytest.raises(ValueError, match="the first line is '0001_01_0001.mp4', not that of a split"):
        splits.read_split(paths[1])
    with pytest.raises(FileNotFoundError, match="no split. Make it: prepare_ma52.py split"):
        splits.read_split(tmp_path / "none.txt")


def test_fewer_folds_take_the_place_of_more(clips, tmp_path):
    """A sweep takes all folds of a folder: those of two partitions would hold people out twice."""
    (tmp_path / "fold notes.txt").write_text("mine")
    for folds in (5, 3):
        splits.write_splits(tmp_path, splits.person_disjoint(clips, folds=folds), seed=0)
    assert {path.name for path in tmp_path.iterdir()} == {
        "fold notes.txt", "fold1.txt", "fold2.txt", "fold3.txt"
    }  # fmt: skip


# The commands


def test_the_commands_go_from_a_download_to_folds(whole, tmp_path, capsys):
    index, folder = tmp_path / "index.csv", tmp_path / "splits"
    assert prepare_ma52.main(["verify", str(whole), "--json", str(tmp_path / "r" / "report.json")]) == 0
    assert json.loads((tmp_path / "r" / "report.json").read_text())["usable"]
    assert prepare_ma52.main(["index", str(whole), "--out", str(index), "--dry-run"]) == 0
    assert not index.exists()
    assert prepare_ma52.main(["index", str(whole), "--out", str(index)]) == 0
    arguments = ["split", str(index), "--out", str(folder)]
    assert prepare_ma52.main([*arguments, "--dry-run"]) == 0 and not folder.exists()
    for protocol, own, files in (
        ("person-disjoint", [], 5),
        ("person-disjoint", ["--folds", "3"], 3),
        ("official", [], 1),
        ("leave-people-out", ["--people", "2", "--seed", "4"], 4),
    ):
        assert prepare_ma52.main([*arguments, "--protocol", protocol, *own]) == 0
        assert len(list((folder / protocol).iterdir())) == files
    said = capsys.readouterr().out
    assert "60 clips" in said and "val people are in train" in said and "by nobody: " in said


@pytest.mark.parametrize(
    ("protocol", "setting", "whose"),
    [
        ("official", "seed", "person-disjoint and leave-people-out"),
        ("official", "folds", "person-disjoint"),
        ("leave-people-out", "folds", "person-disjoint"),
        ("person-disjoint", "people", "leave-people-out"),
    ],
)
def test_a_setting_that_a_protocol_lacks_is_refused(clips, tmp_path, capsys, protocol, setting, whose):
    write_index(tmp_path / "index.csv", clips)
    arguments = ["split", str(tmp_path / "index.csv"), "--out", str(tmp_path / "s")]
    assert prepare_ma52.main([*arguments, "--protocol", protocol, f"--{setting}", "2"]) == 1
    said = f"error: --{setting}: {protocol} has none, only {whose}. Leave it out.\n"
    assert capsys.readouterr().err == said and not (tmp_path / "s").exists()


def test_the_commands_say_what_is_wrong(root, tmp_path, capsys):
    bad = some_clip(root)
    bad.write_bytes(b"")
    assert prepare_ma52.main(["verify", str(root)]) == 1
    assert f"train/{bad.name}" in capsys.readouterr().out
    index = tmp_path / "index.csv"
    assert prepare_ma52.main(["index", str(root), "--out", str(index)]) == 1 and not index.exists()
    assert "mend this, or leave such clips out with --leave-out" in capsys.readouterr().err
    assert prepare_ma52.main(["index", str(root), "--out", str(index), "--leave-out"]) == 0
    assert len(read_index(index)) == 59
    (empty := tmp_path / "empty").mkdir()
    assert prepare_ma52.main(["index", str(empty), "--out", str(tmp_path / "0.csv"), "--leave-out"]) == 1
    assert "empty: no clip can be used" in capsys.readouterr().err and not (tmp_path / "0.csv").exists()
    assert prepare_ma52.main(["split", str(tmp_path / "no.csv"), "--out", str(tmp_path)]) == 1
    assert prepare_ma52.main(["verify", str(tmp_path / "nowhere")]) == 1
    assert "error: " in capsys.readouterr().err


def test_rare_actions_are_named_rarest_first():
    makers = np.full(52, 50)
    makers[[3, 45, 9]] = (11, 6, 0)
    said = prepare_ma52.say_few(makers, 12)
    assert said == "made by fewer than 12 people: covering face (6), turning around (11); by nobody: 1"
    assert prepare_ma52.say_few(np.full(52, 2), 12).count("(2)") == 12
    assert "and 40 more" in prepare_ma52.say_few(np.full(52, 2), 12)


# The official lists, where somebody has them: they are not ours to commit


@pytest.mark.skipif("PIUMAR_MA52" not in os.environ, reason="PIUMAR_MA52 names no download of MA-52")
def test_the_official_lists_and_whatever_clips_are_there_are_read_as_they_are(tmp_path):
    """A folder with the published lists and label names, and any of the clips in their folders."""
    root = Path(os.environ["PIUMAR_MA52"])
    listed = {split: read_list(root, split) for split in ("train", "val", "test")}
    assert not any(faults for _, faults in listed.values())
    assert {split: len(entries) for split, (entries, _) in listed.items()} == published.CLIPS
    report = verify(root)
    assert {kind for kind, _ in serious(report)} <= {
        "missing clip"
    } and report.test_list == published.FULL
    there = [path for split in listed for path in (root / split).glob("*.mp4")]
    clips = make_index(root, report.entries)
    assert len(clips) == len(there) > 0 and {c.fps for c in clips} == {30.0}
