"""Download, verify and convert the source files of a data set; no partial files remain.

Downloads are kept in ``download/`` below the folder of the result until they are converted. After an
interruption, complete files are kept and the unfinished one is downloaded again.
"""

from __future__ import annotations

import logging
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import pooch
import requests
from tqdm import tqdm

from piumar_lib.data.people.catalog import PeopleSet
from piumar_lib.data.people.convert import convert
from piumar_lib.data.people.single_files import SINGLE_FILES
from piumar_lib.data.people.sources import verify
from piumar_lib.support.files import fresh_folder, require_room, require_writable, whole, writing

BASE_URL = "https://github.com"
UNPACKED = 200  # megabytes, for the source files and the result of the largest set
CHUNK = 1 << 16  # bytes
TIMEOUT = 30  # seconds without an answer


class DownloadError(OSError):
    """A download that failed; the message says what to do next."""


def archive_url(people_set: PeopleSet, base_url: str = BASE_URL) -> str:
    """Address of the whole repository at the pinned commit."""
    return f"{base_url}/{people_set.repository}/archive/{people_set.commit}.tar.gz"


def file_url(people_set: PeopleSet, name: str, base_url: str = BASE_URL) -> str:
    """Address of one source file at the pinned commit."""
    return f"{base_url}/{people_set.repository}/raw/{people_set.commit}/{people_set.folder}/{name}"


def address(people_set: PeopleSet, base_url: str = BASE_URL) -> str:
    """Address of a data set's source, for messages."""
    if people_set.single_files:
        return file_url(people_set, f"... ({people_set.files} files)", base_url)
    return archive_url(people_set, base_url)


def archive_path(people_set: PeopleSet, out: Path) -> Path:
    """Path of the repository's archive, which data sets of one repository share."""
    repository = people_set.repository.replace("/", "-")
    return out / "download" / f"{repository}-{people_set.commit}.tar.gz"


def download(people_set: PeopleSet, out: Path, base_url: str = BASE_URL, progress: bool = True) -> Path:
    """Download a data set and convert it to ``out/NAME.npz``; the folder is created if necessary.

    ``base_url`` is the address of GitHub, or of a mirror with the same paths.

    Raises:
        CannotWrite: If the disk is full or not writable.
        DownloadError: If the server cannot be reached or has no such file, if the download is damaged,
            or if a single file's checksum has changed. The message says what to do next.
        ValueError: If the files of an archive are not those of the catalogue.
    """
    require_writable(out)
    folder, archive = out / "download" / people_set.name, archive_path(people_set, out)
    needed = UNPACKED + (0 if archive.is_file() else people_set.megabytes)
    require_room(out, 1e6 * needed, "Make room, or choose another disk with --out.")
    changed = _changed(people_set)
    if people_set.single_files:
        _fetch_files(people_set, folder, base_url, progress)
        result = convert_folder(people_set, folder, out, changed)
        shutil.rmtree(folder)
        return result
    _fetch(people_set, archive_url(people_set, base_url), archive, None, progress)
    with _unpacked(archive, people_set.folder, folder):
        return convert_folder(people_set, folder, out, changed)


def convert_folder(people_set: PeopleSet, folder: Path, out: Path, remedy: str) -> Path:
    """Verify existing source files and convert them to ``out/NAME.npz``.

    ``folder`` holds them, or is the whole repository. ``remedy`` says, as a sentence, what to do if they
    are not those of the catalogue.

    Raises:
        CannotWrite: If writing fails.
        ValueError: If the files are not those of the catalogue.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder. {remedy}")
    inside = folder / people_set.folder
    folder = inside if inside.is_dir() else folder
    verify(people_set, folder, remedy)
    arrays = convert(people_set, folder)
    result = out / f"{people_set.name}.npz"
    with whole(result) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return result


def unpack(archive: Path, folder: str, into: Path) -> None:
    """Unpack one folder of a repository's archive, without the archive's own top folder.

    Raises:
        CannotWrite: If writing fails.
        DownloadError: If the archive is damaged.
    """
    wanted = PurePosixPath(folder).parts
    try:
        with writing(into), tarfile.open(archive, "r|gz") as held:
            for member in held:
                parts = PurePosixPath(member.name).parts[1:]
                if member.isfile() and parts[: len(wanted)] == wanted:
                    member.name = "/".join(parts)
                    held.extract(member, into, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(
            f"{archive}: is damaged ({error}). It was removed; run this again to fetch it anew."
        ) from error


def _fetch_files(people_set: PeopleSet, folder: Path, base_url: str, progress: bool) -> None:
    hashes = SINGLE_FILES[people_set.name]
    for name in tqdm(hashes, desc=people_set.name, unit="file", disable=not progress):
        _fetch(people_set, file_url(people_set, name, base_url), folder / name, hashes[name], False)


def _fetch(people_set: PeopleSet, url: str, path: Path, sha256: str | None, progress: bool) -> None:
    """Download one file, unless it exists and has this checksum, if one is given."""
    pooch.get_logger().setLevel(logging.WARNING)
    bar = _Bar(desc=people_set.name, unit="B", unit_scale=True, disable=not progress)
    with bar, _explained(people_set, url), writing(path):
        downloader = pooch.HTTPDownloader(bar, CHUNK, timeout=TIMEOUT)
        pooch.retrieve(url, sha256, path.name, path.parent, downloader=downloader)


class _Bar(tqdm):
    """A progress bar for pooch that works without a known size, as for GitHub's archives."""

    def __bool__(self) -> bool:
        return True

    def reset(self, total: float | None = None) -> None:
        """Do nothing: pooch calls this at the end to set the bar to a size that may be unknown."""
        self.close()


@contextmanager
def _explained(people_set: PeopleSet, url: str) -> Iterator[None]:
    """Turn errors of the download into one whose message says what to do next."""
    try:
        yield
    except requests.HTTPError as error:
        code, said = error.response.status_code, "Try again later."
        if code == 404:
            said = f"It has no such file. {_by_hand(people_set)}"
        raise DownloadError(f"{url}: the server answers {code}. {said}") from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise DownloadError(f"{url}: broke off. Run this again; whole files are kept.") from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{url}: cannot be reached ({type(error).__name__}). Check the network, then run this again."
        ) from error
    except ValueError as error:  # pooch's message about a checksum
        raise DownloadError(
            f"{url}: the SHA-256 is not the known one. {_changed(people_set)}"
        ) from error
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{url}: stopped. Run this again; whole files are kept.") from stop


@contextmanager
def _unpacked(archive: Path, folder: str, into: Path) -> Iterator[None]:
    """Context in which a folder of the archive is unpacked in ``into``.

    An archive that is damaged or has other files is removed, so that the next run downloads it again.
    """
    try:
        fresh_folder(into)
        unpack(archive, folder, into)
        yield
    except (DownloadError, ValueError):
        archive.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(into, ignore_errors=True)


def _changed(people_set: PeopleSet) -> str:
    return f"Run this again; if it stays so, the source has changed. {_by_hand(people_set)}"


def _by_hand(people_set: PeopleSet) -> str:
    return f"Get the files another way (see {people_set.page}), and convert them with --from FOLDER."
