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

from piumar_lib.ma52 import download as module
from piumar_lib.ma52.download import DownloadError, download, list_files, unpack

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
        if self.path.startswith("/api/datasets/kunli-cs/MA-52"):
            siblings = [
                {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
                for name, content in Hub.files.items()
            ]
            about = {"id": "kunli-cs/MA-52", "sha": "a" * 40, "siblings": siblings}
            return self.send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})
        content = Hub.files[self.path.split("/")[-1].split("?")[0]]
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
        with pytest.raises(DownloadError, match="GB needed, 0.0 GB free. Choose another disk"):
            download(tmp_path, endpoint=hub, progress=False)
    download(tmp_path, endpoint=hub, progress=False)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DownloadError, match="the disk is full. Make room; then run this again"):
        unpack(tmp_path / "download" / "train.zip", tmp_path / "other")


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
