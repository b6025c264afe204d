"""Fetching real people, against a small server that plays the public source."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import re
import shutil
import signal
import socket
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
from people_files import small

from piumar_lib.data import load_npz
from piumar_lib.data.people import NAMES, download
from piumar_lib.data.people.catalog import CATALOG
from piumar_lib.data.people.convert import convert
from piumar_lib.data.people.single_files import SINGLE_FILES

SCRIPT = Path(__file__).parents[1] / "data_scripts" / "download_people.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
download_people = importlib.util.module_from_spec(spec)
spec.loader.exec_module(download_people)


@dataclass
class Source:
    """Plays the source: ``files`` by path; ``refusal`` answers all, ``trouble`` comes half way."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    refusal: int = 0
    trouble: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def source():
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            played.asked.append(self.path)
            content = played.files.get(self.path)
            if played.refusal or content is None:
                self.send_error(played.refusal or 404)
                return
            self.send_response(200)
            if played.trouble != "no size":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if played.trouble in ("", "no size"):
                self.wfile.write(content)
                return
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if played.trouble == "Ctrl-C":
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                done.wait(5)

    done = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played = Source(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield played
    done.set()
    server.shutdown()
    thread.join()
    server.server_close()


def tarred(top: str, folder: Path, extra: dict[str, bytes] | None = None) -> bytes:
    """A repository's archive: all files below one top folder, and some that nobody wants."""
    content = io.BytesIO()
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    files |= {"README.md": b"not wanted", "data/other/big.bin": bytes(1000)} | (extra or {})
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, value in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(value)
            archive.addfile(member, io.BytesIO(value))
    return content.getvalue()


@pytest.fixture
def offer(source, tmp_path, monkeypatch):
    """Offer small sets of these names at the source; return the folder of their repository."""

    def start(*names: str) -> Path:
        root = tmp_path / "repository"
        for name in names:
            folder = root / CATALOG[name].folder
            people_set = small(name, folder)
            monkeypatch.setitem(CATALOG, name, people_set)
            if people_set.single_files:
                hashes = {
                    path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                    for path in sorted(folder.iterdir())
                }
                monkeypatch.setitem(SINGLE_FILES, name, hashes)
                for file in hashes:
                    content = (folder / file).read_bytes()
                    source.files[path_of(download.file_url(people_set, file, source.url))] = content
        archived = CATALOG[names[0]]
        source.files[path_of(download.archive_url(archived, source.url))] = tarred("top", root)
        return root

    return start


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "people"


def run(source: Source, out: Path, *arguments: str) -> int:
    return download_people.main([*arguments, "--out", str(out), "--base-url", source.url])


def left(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


# What works


@pytest.mark.parametrize("name", NAMES)
def test_one_command_gets_a_set(name, offer, source, out, capsys):
    root = offer(name)
    assert run(source, out, name) == 0
    people_set = CATALOG[name]
    assert left(out) == [f"{name}.npz"]
    assert not (out / "download").exists()
    expected = convert(people_set, root / people_set.folder)
    with np.load(out / f"{name}.npz") as got:
        assert set(got.files) == set(expected)
        for key in got.files:
            assert got[key].dtype == expected[key].dtype
            np.testing.assert_array_equal(got[key], expected[key])
    said = capsys.readouterr().out
    assert said.index(people_set.license) < said.index("clips per person")
    for told in (people_set.citation, people_set.size, people_set.traps, people_set.page):
        assert told in said


def test_licence_and_size_are_shown_before_anything_is_fetched(offer, source, out, capsys):
    offer("uiprmd")
    source.refusal = 503
    assert run(source, out, "uiprmd") == 1
    said = capsys.readouterr().out
    assert "Public Domain" in said and "about 410 MB" in said


def test_sets_of_one_repository_share_its_archive(offer, source, out):
    offer("shrec17", "gesturemidair")
    assert run(source, out, "shrec17", "gesturemidair") == 0
    assert left(out) == ["gesturemidair.npz", "shrec17.npz"] and len(source.asked) == 1


def test_a_server_need_not_tell_a_size(offer, source, out, capsys):
    offer("shrec17")
    source.trouble = "no size"  # as GitHub's of archives
    assert run(source, out, "shrec17") == 0
    assert re.search(r"shrec17: [1-9][\d.]*kB", capsys.readouterr().err)  # progress all the same


def test_the_archive_is_kept_on_request_and_used_again(offer, source, out):
    offer("mmg")
    assert run(source, out, "mmg", "--keep") == 0
    assert len(left(out)) == 2
    (out / "mmg.npz").unlink()
    assert run(source, out, "mmg") == 0
    assert left(out) == ["mmg.npz"] and len(source.asked) == 1


def test_a_set_that_is_there_is_not_fetched_again(offer, source, out, capsys):
    offer("pendigits")
    assert run(source, out, "pendigits") == run(source, out, "pendigits") == 0
    assert len(source.asked) == 2  # its two files
    assert "there already. Delete it to make it anew." in capsys.readouterr().out


@pytest.mark.parametrize("inner", [True, False])
def test_files_that_a_reader_has_are_converted(offer, source, out, inner):
    root = offer("shrec17")
    folder = root / CATALOG["shrec17"].folder if inner else root
    assert run(source, out, "shrec17", "--from", str(folder)) == 0
    assert len(load_npz(out / "shrec17.npz")) == 2 and not source.asked
    assert folder.is_dir()


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_all_sets_are_listed(arguments, capsys):
    assert download_people.main(arguments) == 0
    said = capsys.readouterr().out
    for name, people_set in CATALOG.items():
        row = next(line for line in said.splitlines() if line.startswith(name))
        numbers = f" {people_set.people} {people_set.classes} {people_set.clips} {people_set.size} "
        assert numbers in " ".join(row.split()) and row.endswith(people_set.license)
    assert ("usage:" in said) == (not arguments)


def test_addresses_are_pinned_at_the_commit():
    entry = CATALOG["shrec17"]
    assert download.address(entry) == (
        f"https://github.com/giach68/gesturesCodes/archive/{entry.commit}.tar.gz"
    )
    entry = CATALOG["pendigits"]
    assert download.file_url(entry, "pendigits-test") == (
        f"https://github.com/choucavalier/pendigits-hmm/raw/{entry.commit}/data/pendigits-test"
    )


def test_the_files_fetched_one_by_one_are_those_of_the_manifest():
    for name, hashes in SINGLE_FILES.items():
        entry = CATALOG[name]
        rows = [f"{hashes[file]}  {entry.folder}/{file}\n" for file in sorted(hashes)]
        assert hashlib.sha256("".join(rows).encode()).hexdigest() == entry.manifest
    assert set(SINGLE_FILES) == {name for name in NAMES if CATALOG[name].single_files}


# What goes wrong: a clear word, and nothing half written


def fails(source: Source, out: Path, capsys: pytest.CaptureFixture, name: str, *more: str) -> str:
    """Run a command that must fail in one line, and write nothing that looks like a result."""
    assert run(source, out, name, *more) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: ") and "Traceback" not in said
    assert not list(out.rglob("*.npz")) and not list(out.rglob("*.part"))
    return said.splitlines()[-1]


def test_no_network(offer, source, out, capsys):
    offer("mmg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        source.url = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody listens
        assert "cannot be reached (ConnectionError). Check the network" in fails(
            source, out, capsys, "mmg"
        )
    assert left(out) == []


@pytest.mark.parametrize("name", ["mmg", "pendigits"])
def test_the_source_is_gone(name, offer, source, out, capsys):
    offer(name)
    source.files.clear()
    said = fails(source, out, capsys, name)
    assert "answers 404. It has no such file." in said
    assert CATALOG[name].page in said and "--from" in said
    assert left(out) == []


def test_the_server_is_busy(offer, source, out, capsys):
    offer("mmg")
    source.refusal = 503
    assert "answers 503. Try again later." in fails(source, out, capsys, "mmg")


def test_a_download_that_breaks_off_is_begun_again(offer, source, out, capsys):
    offer("shrec17")
    source.trouble = "broken"
    assert "broke off. Run this again" in fails(source, out, capsys, "shrec17")
    assert left(out) == []
    source.trouble = ""
    assert run(source, out, "shrec17") == 0


def test_files_fetched_before_a_break_are_kept(offer, source, out, capsys):
    offer("pendigits")
    train = path_of(download.file_url(CATALOG["pendigits"], "pendigits-train", source.url))
    content = source.files.pop(train)
    fails(source, out, capsys, "pendigits")
    assert left(out) == ["download/pendigits/pendigits-test"]
    source.files[train] = content
    source.asked.clear()
    assert run(source, out, "pendigits") == 0
    assert source.asked == [train] and left(out) == ["pendigits.npz"]


def test_ctrl_c_leaves_nothing_half_written(offer, source, out, capsys):
    offer("shrec17")
    source.trouble = "Ctrl-C"
    assert run(source, out, "shrec17") == 130
    assert "stopped. Run this again" in capsys.readouterr().err
    assert left(out) == []


def test_a_file_that_changed_is_refused(offer, source, out, capsys):
    offer("pendigits")
    test = path_of(download.file_url(CATALOG["pendigits"], "pendigits-test", source.url))
    source.files[test] += b"\n"
    said = fails(source, out, capsys, "pendigits")
    assert "the SHA-256 is not the known one" in said and "--from" in said
    assert "download/pendigits/pendigits-test" not in left(out)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"data/Skeleton/a2_s1_t1_skeleton.mat": b""}, "3 source files instead of 2, 1 extra"),
        ({"data/Skeleton/a1_s1_t1_skeleton.mat": b"changed"}, "are there, but not as they were"),
        ({"data/Skeleton/../../../evil.mat": b""}, "is damaged"),
    ],
)
def test_an_archive_with_other_files_is_refused_and_removed(extra, told, offer, source, out, capsys):
    root = offer("utdmhad_skeleton")
    url = path_of(download.archive_url(CATALOG["utdmhad_skeleton"], source.url))
    source.files[url] = tarred("top", root, extra)
    assert told in fails(source, out, capsys, "utdmhad_skeleton")
    assert left(out) == [] and not list(out.parent.rglob("evil.mat"))
    source.files[url] = tarred("top", root)
    assert run(source, out, "utdmhad_skeleton") == 0


@pytest.mark.parametrize("cut", [10, 100, None])
def test_a_damaged_archive_is_removed(cut, offer, source, out, capsys):
    offer("shrec17")
    url = path_of(download.archive_url(CATALOG["shrec17"], source.url))
    source.files[url] = source.files[url][:cut] if cut else b"<html>not an archive</html>"
    said = fails(source, out, capsys, "shrec17")
    assert "is damaged" in said and "run this again" in said
    assert left(out) == []


def test_no_room_is_said_before_anything_is_fetched(offer, source, out, capsys, monkeypatch):
    offer("uiprmd")
    usage = shutil.disk_usage(Path.cwd())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=500 * 10**6))
    said = fails(source, out, capsys, "uiprmd")
    assert (
        "no room, 0.6 GB needed, 0.5 GB free. Make room" in said and "--out" in said and not source.asked
    )


def test_a_disk_that_fills_up_on_the_way(offer, source, out, capsys, monkeypatch):
    offer("mmg")

    def fill(self, url, output_file, *_):
        Path(output_file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", fill)
        assert "no room, the disk is full. Make room" in fails(source, out, capsys, "mmg")
    assert left(out) == []
    assert run(source, out, "mmg") == 0


def test_a_disk_that_fills_up_with_the_result(offer, source, out, capsys, monkeypatch):
    offer("mmg")

    def fill(file, **_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", fill)
        assert "mmg.npz: no room, the disk is full" in fails(source, out, capsys, "mmg")
    assert run(source, out, "mmg") == 0 and len(source.asked) == 1  # the archive was kept


def test_an_unknown_name_fetches_nothing(source, out, capsys):
    assert run(source, out, "pendigits", "shrek17") == 1
    assert "shrek17: no set of this name. Did you mean shrec17?" in capsys.readouterr().err
    assert not source.asked and not out.exists()


def test_a_copy_with_other_files(offer, source, out, capsys, tmp_path):
    root = offer("shrec17")
    next(root.rglob("skeletons_world.txt")).unlink()
    said = fails(source, out, capsys, "shrec17", "--from", str(root))
    assert "3 source files instead of 4, 1 missing" in said and "leave out --from" in said
    said = fails(source, out, capsys, "shrec17", "--from", str(tmp_path / "nothing"))
    assert "nothing: no such folder." in said


def test_a_folder_that_cannot_be_written(offer, source, out, capsys):
    offer("mmg")
    out.write_text("a file")
    assert run(source, out, "mmg") == 1
    assert "a file stands where a folder is needed" in capsys.readouterr().err
    assert not source.asked
