"""Files that are whole or not there, and what is said when something is wrong with one."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from piumar_lib.evidence.records import append_record
from piumar_lib.support.checkpoint import save
from piumar_lib.support.files import (
    CannotWrite,
    as_path,
    explain,
    fresh_folder,
    read_json,
    read_json_lines,
    require_room,
    require_writable,
    whole,
    write_text,
    writing,
)


def refused(number: int, *names: object) -> OSError:
    """An error as the system raises it."""
    return OSError(number, os.strerror(number), *names)


# Writing


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), whole(path) as part:
        part.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_two_who_write_one_file_both_write_it_whole(tmp_path):
    path = tmp_path / "a.txt"
    with whole(path) as first:
        first.write_text("A" * 10)
        with whole(path) as second:
            second.write_text("BBB")
        assert path.read_text() == "BBB"
    assert path.read_text() == "A" * 10 and list(tmp_path.iterdir()) == [path]


def test_tensors_are_flushed_by_a_handle_that_may_write(tmp_path, monkeypatch):
    """Windows flushes no other."""
    fcntl, flags = pytest.importorskip("fcntl"), []
    monkeypatch.setattr(os, "fsync", lambda handle: flags.append(fcntl.fcntl(handle, fcntl.F_GETFL)))
    save(tmp_path / "a.safetensors", {"step": 1})
    assert flags and all(flag & os.O_ACCMODE == os.O_RDWR for flag in flags)


def test_a_full_disk_is_named_with_the_file_and_the_remedy(tmp_path):
    path = tmp_path / "a.bin"
    path.write_text("old")
    message = "a.bin: no room, .*Make room; .*the same command"
    with pytest.raises(CannotWrite, match=message) as error, whole(path) as part:
        part.write_text("half")
        raise refused(errno.ENOSPC)
    assert "Errno" not in str(error.value) and error.value.__cause__.errno == errno.ENOSPC
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotWrite, match=r"folder: is a folder. Name a file\."):
        write_text(tmp_path / "folder", "")
    (tmp_path / "file").touch()
    for make in (lambda p: write_text(p / "a", ""), require_writable, fresh_folder):
        with pytest.raises(CannotWrite, match="file.*: a file stands where a folder is needed. Choose"):
            make(tmp_path / "file")


def test_room_is_told_in_gigabytes_of_ten_to_the_nine(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=57.94e9))
    with pytest.raises(CannotWrite, match="no room, 100.0 GB needed, 57.9 GB free. Choose another disk"):
        require_room(tmp_path / "cache", 100e9)


def test_text_has_the_same_line_ends_everywhere(tmp_path, monkeypatch):
    opened, real = [], io.open
    monkeypatch.setattr(io, "open", lambda *a: opened.append(a) or real(*a))
    write_text(tmp_path / "a.txt", "a\nb\n")
    append_record(tmp_path / "a.jsonl", {"a": 1})
    assert len(opened) == 2 and all(newline == "\n" for *_, newline in opened)


def test_a_fresh_folder_is_empty(tmp_path):
    write_text(tmp_path / "a" / "b" / "old.txt", "")
    fresh_folder(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "cannot be written, permission denied. Choose another place to write to"),
        (errno.EROFS, "cannot be written, the disk is read-only. Choose another place to write to"),
        (errno.EDQUOT, "no room, your share of the disk is used up. Make room"),
        (errno.ENOENT, "no such file or folder. Check the path."),
        (errno.EIO, "Input/output error."),
    ],
)
def test_errors_of_the_system_are_told_in_words(number, words):
    assert explain(refused(number, "a/b")).startswith(f"a/b: {words}")
    assert explain(refused(number)).startswith(words), "no name, if the system gives none"


def test_the_target_of_a_move_is_named_not_its_source(tmp_path):
    assert explain(OSError(errno.EACCES, "", "a.part", None, "a.txt")).startswith("a.txt: cannot be")


def test_what_may_not_be_read_is_told_from_what_may_not_be_written(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert explain(refused(errno.EACCES, str(path))).endswith("Ask its owner for the right to read it.")


def test_an_error_with_words_of_its_own_keeps_them(tmp_path):
    with pytest.raises(OSError, match=r"^a.zip: 3 bytes\. Delete it\.$"), writing(tmp_path):
        raise OSError("a.zip: 3 bytes. Delete it.")


def test_a_source_that_is_lost_is_not_taken_for_what_is_written(tmp_path):
    with pytest.raises(FileNotFoundError) as error, whole(tmp_path / "out.txt") as part:
        part.write_text((tmp_path / "source").read_text())
    assert error.value.filename == str(tmp_path / "source") and not list(tmp_path.iterdir())


# Reading


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is damaged (Expecting value"),
        (b'{"a": 1', "is damaged (Expecting ',' delimiter"),
        (b"[]", "is damaged (it holds no object)"),
        (b"3", "is damaged (it holds no object)"),
        (b'{"b": 1}', "is damaged (it lacks a)"),
        (b'\xff\xfe{"a": 1}', "is no text in UTF-8 (byte 0)"),
    ],
)
def test_damaged_json_is_named_with_cause_and_remedy(tmp_path, content, fault):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_json(path, "Make it again.", keys=["a"])
    assert str(error.value).startswith(f"{path}: {fault}") and str(error.value).endswith("again.")


def test_lines_are_read_up_to_one_that_a_killed_run_left(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_json_lines(path) == []
    path.write_text('{"step": 1}\n\n{"step": 2}\n{"st')
    assert read_json_lines(path) == [{"step": 1}, {"step": 2}]
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: is damaged .*Remove this line\."):
        read_json_lines(path)
    path.write_text(json.dumps({"other": 1}) + "\n")
    with pytest.raises(ValueError, match="line 1: is damaged .it lacks step.*"):
        read_json_lines(path, keys=["step"])


# Paths


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert as_path("~/w/cache") == Path("/home/ann/w/cache") == as_path(Path("~/w/cache"))
    assert as_path("a/~") == Path("a/~")
    with pytest.raises(ValueError, match="~nobody-of-this-name/x: .*Write the path out"):
        as_path("~nobody-of-this-name/x")
