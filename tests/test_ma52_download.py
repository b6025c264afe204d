"""Downloading, against a small server that plays the hub."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import json
import re
import shutil
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from piumar_lib.ma52.prepare import download as module
from piumar_lib.ma52.prepare.download import (
    DownloadError,
    download,
    download_poses,
    list_files,
    list_pose_files,
    unpack,
)
from piumar_lib.support.files import CannotWrite

SCRIPT = Path(__file__).parents[1] / "data_scripts" / "download_ma52.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
download_ma52 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(download_ma52)


def zipped(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in members.items():
            archive.writestr(name.replace("__", "/"), value)
    return content.getvalue()


CLIP = bytes(range(256)) * 400
LISTS = {f"{split}_list_videos.txt": b"0001_01_0001.mp4 9" for split in ("train", "val", "test")}
FILES = {
    "train.zip": zipped(**{"train__0001_01_0001.mp4": CLIP, "train__0001_01_0002.mp4": b"two"}),
    "val.zip": zipped(**{"0002_01_0001.mp4": CLIP}),  # without the folder
    "test.zip": zipped(**{"test__test0000.mp4": b"three"}),
    "README.md": b"not wanted",
} | LISTS


class Hub(BaseHTTPRequestHandler):
    """Plays the hub: ``refusal`` answers everything, ``cut`` ends the next download half way."""

    files: dict[str, bytes] = {}
    refusal: tuple[int, str] | None = None
    cut = False
    asked: list[tuple[str, str, str | None]] = []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        Hub.asked.append((self.command, self.path, self.headers.get("Range")))
        if Hub.refusal:
            code, reason = Hub.refusal
            return self.send(code, b"{}", {"X-Error-Code": reason, "X-Error-Message": "No."})
        if self.path.startswith("/api/datasets/"):
            siblings = [
                {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
                for name, content in Hub.files.items()
            ]
            about = {"id": "kunli-cs/MA-52", "sha": "a" * 40, "siblings": siblings}
            return self.send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
        asked_for = self.path.split("?")[0]
        content = next(held for name, held in Hub.files.items() if asked_for.endswith(f"/{name}"))
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": "a" * 40}
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.send(206 if asked else 200, content[start:], headers, with_body)

    def send(self, code, body, headers, with_body=True):
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body and Hub.cut and len(body) > 10_000:
            Hub.cut = False
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.close()
        elif with_body:
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch):
    """The address of a hub that has everything."""
    Hub.files, Hub.refusal, Hub.cut, Hub.asked = dict(FILES), None, False, []
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def clips(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for split in ("train", "val", "test")
        for p in (root / split).rglob("*")
        if p.is_file()
    }


EXPECTED = {
    "train/0001_01_0001.mp4": CLIP,
    "train/0001_01_0002.mp4": b"two",
    "val/0002_01_0001.mp4": CLIP,
    "test/test0000.mp4": b"three",
}


def test_everything_wanted_is_downloaded_and_unpacked(hub, tmp_path):
    sizes = {name: len(content) for name, content in FILES.items() if name != "README.md"}
    assert list_files(endpoint=hub) == sizes
    assert len(download(tmp_path, endpoint=hub, progress=False)) == 6
    assert clips(tmp_path) == EXPECTED
    for name, content in LISTS.items():
        assert (tmp_path / name).read_bytes() == content
    downloads = [path for verb, path, _ in Hub.asked if verb == "GET" and "/resolve/" in path]
    download(tmp_path, endpoint=hub, progress=False)
    again = [path for verb, path, _ in Hub.asked if verb == "GET" and "/resolve/" in path]
    assert again == downloads, "nothing is downloaded twice"


def test_lists_in_folders_and_in_another_case_land_where_they_belong(hub, tmp_path):
    for split in ("train", "val", "test"):
        content = Hub.files.pop(f"{split}_list_videos.txt")
        Hub.files[f"{split.capitalize()}_list_videos.txt"] = content
    download(tmp_path, endpoint=hub, progress=False)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.txt")} == LISTS


def test_a_download_that_was_cut_off_goes_on(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 5_000)
    Hub.cut = True
    download(tmp_path, endpoint=hub, progress=False)
    assert clips(tmp_path) == EXPECTED
    ranges = [asked for _, path, asked in Hub.asked if "train.zip" in path and asked]
    assert any(int(re.match(r"bytes=(\d+)-", asked)[1]) > 10_000 for asked in ranges)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((403, "GatedRepo"), "has not signed the licence. Sign it at .*/datasets/kunli-cs/MA-52"),
        ((401, "RepoNotFound"), "no token, or one that opens nothing. Run 'hf auth login'"),
        ((500, "Internal"), "the hub refused: .* Try again later"),
    ],
)
def test_a_refusal_says_what_to_do_next(hub, tmp_path, refusal, message):
    Hub.refusal = refusal
    with pytest.raises(DownloadError, match=message):
        download(tmp_path / "ma52", endpoint=hub, progress=False)
    assert not list(tmp_path.iterdir())


def test_without_a_network_it_says_so(tmp_path):
    with pytest.raises(DownloadError, match="the hub cannot be reached .* Check the network"):
        download(tmp_path, endpoint="http://127.0.0.1:9", progress=False)


def test_a_file_of_another_size_is_refused(hub, tmp_path, monkeypatch):
    real = module.list_files
    monkeypatch.setattr(module, "list_files", lambda *a: {n: s + 1 for n, s in real(*a).items()})
    with pytest.raises(DownloadError, match=r"train.zip: \d+ bytes instead of \d+. Delete it"):
        download(tmp_path, endpoint=hub, progress=False)


def test_a_full_disk_is_noticed_beforehand_and_on_the_way(hub, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(CannotWrite, match="GB needed, 0.0 GB free. Choose another disk"):
            download(tmp_path, endpoint=hub, progress=False)
    download(tmp_path, endpoint=hub, progress=False)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DownloadError, match="the disk is full. Make room; the same command"):
        unpack(tmp_path / "download" / "train.zip", tmp_path / "other")


def test_what_is_unpacked_needs_no_room_again(hub, tmp_path, monkeypatch):
    files = list_files(endpoint=hub)
    assert module.bytes_needed(tmp_path, files) == 2 * sum(files.values())
    download(tmp_path, endpoint=hub, progress=False)
    (tmp_path / "train" / "0001_01_0002.mp4").unlink()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000))
    download(tmp_path, endpoint=hub, progress=False)
    assert clips(tmp_path) == EXPECTED


# Unpacking


def archive(path, name, value=b"x", mode=0):
    with zipfile.ZipFile(path, "w") as held:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        held.writestr(member, value)
    return path


@pytest.mark.parametrize(
    "name",
    ["../evil.mp4", "train/../../evil.mp4", "/etc/evil.mp4", "..\\evil.mp4", "C:\\evil.mp4", "train"],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    root = tmp_path / "ma52"
    with pytest.raises(DownloadError, match="leads out of the folder. Do not trust this archive"):
        unpack(archive(tmp_path / "train.zip", name), root)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["train.zip"]


def test_links_are_refused(tmp_path):
    path = archive(tmp_path / "train.zip", "train/link.mp4", b"/etc/passwd", stat.S_IFLNK | 0o777)
    with pytest.raises(DownloadError, match="'train/link.mp4' is a link"):
        unpack(path, tmp_path / "ma52")


def test_an_interrupted_unpacking_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "train.zip"
    path.write_bytes(FILES["train.zip"])
    real = shutil.copyfileobj

    def stop(source, file):
        file.write(source.read(1000))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", stop)
        with pytest.raises(KeyboardInterrupt):
            unpack(path, tmp_path)
    assert not (tmp_path / "train" / "0001_01_0001.mp4").exists()
    assert shutil.copyfileobj is real and unpack(path, tmp_path) == 2
    (tmp_path / "train" / "0001_01_0001.mp4").write_bytes(CLIP[:-1])
    assert unpack(path, tmp_path) == 1 and unpack(path, tmp_path) == 0
    assert (tmp_path / "train" / "0001_01_0001.mp4").read_bytes() == CLIP


AROUND = ["", "train/", "MA-52/train/", "Train/", "train/train/", "videos_train/"]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ["train.zip", "Train.zip", "videos_train.zip"])
def test_clips_land_in_their_folder_whatever_is_around_them(tmp_path, around, name):
    path, clip = tmp_path / name, "0001_01_0001.mp4"
    clutter = [f"__MACOSX/{around}{clip}", f"{around}._{clip}", f"{around}.DS_Store"]
    with zipfile.ZipFile(path, "w") as held:
        for member in (f"{around}{clip}", "MA-52/Train_list_videos.txt", *clutter):
            held.writestr(member, b"x")
    assert unpack(path, tmp_path / "ma52") == 2 and unpack(path, tmp_path / "ma52") == 0
    found = [p.relative_to(tmp_path / "ma52") for p in (tmp_path / "ma52").rglob("*.*")]
    assert sorted(map(str, found)) == [f"train/{clip}", "train_list_videos.txt"]


def test_an_archive_of_all_splits_is_dealt_to_their_folders(tmp_path):
    path = tmp_path / "MA-52.zip"
    path.write_bytes(zipped(**{f"MA-52/{name}": content for name, content in EXPECTED.items()}))
    assert unpack(path, tmp_path / "ma52") == 4 and clips(tmp_path / "ma52") == EXPECTED


@pytest.mark.parametrize("other", ["old/a.mp4", "train/A.MP4"])
def test_two_files_for_one_place_are_refused_before_anything_is_unpacked(tmp_path, other):
    path = tmp_path / "train.zip"
    path.write_bytes(zipped(**{"train/b.mp4": b"0", "train/a.mp4": b"1", other: b"2"}))
    with pytest.raises(DownloadError, match=f"'train/a.mp4' and '{other}' have the same name. Unpack"):
        unpack(path, tmp_path / "ma52")
    assert not (tmp_path / "ma52").exists()


def test_of_a_file_that_was_added_twice_the_last_counts(tmp_path):
    path = archive(tmp_path / "train.zip", "train/a.mp4", b"old")
    with zipfile.ZipFile(path, "a") as held, pytest.warns(UserWarning, match="Duplicate name"):
        held.writestr("train/a.mp4", b"newer")
    assert unpack(path, tmp_path) == 1 and (tmp_path / "train/a.mp4").read_bytes() == b"newer"


# Archives that Python cannot unpack


def pack(path, flags=0, method=None):
    """Two members, of which the headers of the second say what zipfile cannot write."""
    path.write_bytes(zipped(**{"train/a.mp4": CLIP, "train/b.mp4": b"\0" * 12 + b"two"}))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.rindex(mark) + place
        content[at] |= flags
        content[at + 2] = content[at + 2] if method is None else method
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("flags", "method", "kind"),
    [
        (1, None, "encrypted with a password"),
        (1, 8, "encrypted with a password"),
        (1, 99, "encrypted with a password"),
        (0x41, None, "encrypted with a password"),
        (0, 9, "compressed with Deflate64, which Python cannot read"),
        (0, 95, "compressed with XZ, which Python cannot read"),
        (0, 98, "compressed with PPMd, which Python cannot read"),
        (0, 77, "compressed with method 77, which Python cannot read"),
    ],
)
def test_what_python_cannot_unpack_is_said_before_anything_is_unpacked(tmp_path, flags, method, kind):
    path, root = pack(tmp_path / "train.zip", flags, method), tmp_path / "ma52"
    with pytest.raises(DownloadError) as failed:
        unpack(path, root)
    assert str(failed.value) == f"{path}: {kind}. Unpack it with 7-Zip into {root / 'train'}."
    assert not root.exists()
    (root / "train").mkdir(parents=True)  # as one does next
    (root / "train" / "b.mp4").write_bytes(b"\0" * 12 + b"two")
    assert unpack(path, root) == 1 and (root / "train" / "a.mp4").read_bytes() == CLIP


@pytest.mark.parametrize("missing", ["lzma", "bz2"])
def test_a_python_without_a_module_for_a_compression_says_so(tmp_path, monkeypatch, missing):
    path, method = tmp_path / "train.zip", {"lzma": zipfile.ZIP_LZMA, "bz2": zipfile.ZIP_BZIP2}[missing]
    with zipfile.ZipFile(path, "w", method) as held:
        held.writestr("train/a.mp4", CLIP)
    monkeypatch.setattr(zipfile, missing, None)
    with pytest.raises(DownloadError, match="compressed with (LZMA|bzip2), which Python cannot read"):
        unpack(path, tmp_path)


def test_an_archive_of_a_version_to_come_is_left_to_others(tmp_path):
    path = archive(tmp_path / "train.zip", "train/a.mp4")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\1\2") + 6] = 99
    path.write_bytes(content)
    with pytest.raises(DownloadError, match="train.zip: .*version 9.9. Unpack it with 7-Zip into "):
        unpack(path, tmp_path)


def first_part(path):
    path.write_bytes(b"PK\7\10" + FILES["train.zip"][:60_000])


def last_part(path):
    content = bytearray(FILES["train.zip"][60_000:])
    content[content.rindex(b"PK\5\6") + 4] = 1
    path.write_bytes(content)


def last_part_of_a_large_one(path):
    locator = b"PK\6\7" + bytes(12) + (2).to_bytes(4, "little")
    end = FILES["train.zip"].rindex(b"PK\5\6")
    path.write_bytes(FILES["train.zip"][60_000:end] + locator + FILES["train.zip"][end:])


def begun_beside(name):
    def write(path):
        path.write_bytes(FILES["train.zip"][:60_000])
        (path.parent / name).touch()

    return write


@pytest.mark.parametrize(
    "write",
    [
        first_part, last_part, last_part_of_a_large_one,
        *map(begun_beside, ("train.z01", "train.Z02", "train.zip.001", "train.zip.002")),
    ],
)  # fmt: skip
def test_a_part_of_a_split_archive_is_named_as_such(tmp_path, write):
    write(tmp_path / "train.zip")
    with pytest.raises(DownloadError, match="train.zip: one part of a split archive. Put all its parts"):
        unpack(tmp_path / "train.zip", tmp_path / "ma52")


def test_a_whole_archive_may_lie_beside_parts(tmp_path):
    (tmp_path / "train.zip").write_bytes(FILES["train.zip"])
    (tmp_path / "train.z01").touch()
    assert unpack(tmp_path / "train.zip", tmp_path) == 2


def test_damage_inside_a_compressed_file_is_named(tmp_path):
    path = tmp_path / "train.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("train/a.mp4", CLIP)
    content = bytearray(path.read_bytes())
    content[60:160] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DownloadError, match="train.zip: .*Delete it, and download it again"):
        unpack(path, tmp_path / "ma52")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:500], lambda b: b[:2000] + b"X" + b[2001:], lambda b: b""]
)
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = tmp_path / "train.zip"
    path.write_bytes(damage(FILES["train.zip"]))
    with pytest.raises(DownloadError, match="train.zip: .*Delete it, and download it again"):
        unpack(path, tmp_path / "ma52")


# The command


def test_the_command(hub, tmp_path, capsys):
    out = tmp_path / "ma52"
    assert download_ma52.main(["--out", str(out), "--endpoint", hub, "--dry-run"]) == 0
    assert not out.exists() and "train.zip: 0.00 GB" in capsys.readouterr().out
    assert download_ma52.main(["--out", str(out), "--endpoint", hub]) == 0
    assert clips(out) == EXPECTED and "Next: prepare_ma52.py verify" in capsys.readouterr().out
    Hub.refusal = (403, "GatedRepo")
    assert download_ma52.main(["--out", str(out), "--endpoint", hub]) == 1
    assert "error: kunli-cs/MA-52: this account has not signed" in capsys.readouterr().err


# Poses


HALPE = {f"MA52/{split}_{kind}.pkl": f"{split} {kind}".encode() for split in ("train", "val", "test")
         for kind in ("data", "label")}  # fmt: skip


def test_pose_files_are_downloaded_without_those_of_another_data_set(hub, tmp_path):
    Hub.files = HALPE | {"iMiGUE/train_data.pkl": b"other", "README.md": b"not wanted"}
    assert list_pose_files("halpe", endpoint=hub) == {n: len(held) for n, held in HALPE.items()}
    for _ in range(2):
        fetched = download_poses(tmp_path / "mit Ümläuten", "halpe", endpoint=hub)
    folder = tmp_path / "mit Ümläuten" / "poses" / "halpe"
    assert {str(path.relative_to(folder)): path.read_bytes() for path in fetched} == HALPE
    asked = [path for verb, path, _ in Hub.asked if verb == "GET" and "/resolve/" in path]
    assert len(asked) == 6, "nothing is downloaded twice"
    assert all("/datasets/Geo2425/MMN/" in path for path in asked)


def test_the_command_fetches_poses_and_says_whose_licence_they_need(hub, tmp_path, capsys):
    Hub.files = {f"MA52_{split}.pkl": split.encode() for split in ("train", "val", "test")}
    arguments = ["--out", str(tmp_path / "ma52"), "--poses", "openpose", "--endpoint", hub]
    assert download_ma52.main([*arguments, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "MA52_train.pkl: 0.00 GB" in printed and "sign the licence of kunli-cs/MA-52" in printed
    assert not (tmp_path / "ma52").exists()
    assert download_ma52.main(arguments) == 0
    assert "Next: prepare_ma52.py poses" in capsys.readouterr().out
    assert (tmp_path / "ma52/poses/openpose/MA52_val.pkl").read_bytes() == b"val"
    Hub.refusal = (403, "GatedRepo")
    assert download_ma52.main(arguments) == 1
    said = capsys.readouterr().err
    assert (
        "error: kunli-cs/MA-52_openpose_28kp: this account has not signed the licence. Sign it at"
        in said
    )
    assert "/datasets/kunli-cs/MA-52_openpose_28kp" in said


def test_a_repository_without_pose_files_is_told(hub, tmp_path):
    Hub.files = {"README.md": b"moved"}
    with pytest.raises(DownloadError, match=r"Geo2425/MMN: has no pose file \(.pkl\) any more"):
        download_poses(tmp_path, "halpe", endpoint=hub)
