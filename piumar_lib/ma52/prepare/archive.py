"""Unpack MA-52's archives: every clip into its split's folder, and nothing outside the root."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from piumar_lib.ma52.prepare.layout import (
    is_clutter,
    list_path,
    names_in,
    split_of_folder,
    split_of_list,
)
from piumar_lib.support.files import CannotWrite, whole

METHODS = {
    9: "Deflate64", 12: "bzip2", 14: "LZMA", 20: "Zstandard", 93: "Zstandard", 95: "XZ", 98: "PPMd",
}  # fmt: skip
PASSWORD = 1  # the flag of members that need one
TAIL = 22 + 65_535  # bytes: the record at an archive's end, and the longest comment after it


class DownloadError(OSError):
    """A download that failed; the message says what to do next."""


def unpack(archive: Path, root: Path, progress: bool = False) -> int:
    """Unpack ``train.zip`` into ``root/train``, whatever folders the archive puts around its clips.

    Lists go to ``root``. Files that are there in full are kept, which resumes an interrupted run.

    Returns:
        The number of files that were missing.

    Raises:
        DownloadError: If the archive is damaged, one part of several, locked by a password, or packed
            in a way that Python cannot read; or if a name in it leads out of the folder.
    """
    by_hand = f"with 7-Zip into {root / _split(archive)}"
    if _is_part(archive):
        remedy = f"Put all its parts into one folder, and unpack them {by_hand}."
        raise DownloadError(f"{archive}: one part of a split archive. {remedy}")
    try:
        with zipfile.ZipFile(archive) as held:
            targets = find_targets(archive, root, held.infolist())
            missing = [(m, path) for m, path in targets if not _is_whole(path, m.file_size)]
            _require_readable(held, [member for member, _ in missing], by_hand)
            for member, path in tqdm(missing, desc=archive.name, disable=not progress):
                with whole(path) as part, held.open(member) as source, part.open("wb") as file:
                    shutil.copyfileobj(source, file)  # checks the sum, too
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DownloadError(f"{archive}: {error}. Delete it, and download it again.") from error
    except NotImplementedError as error:  # an archive of a version to come
        raise DownloadError(f"{archive}: {error}. Unpack it {by_hand}.") from error
    except CannotWrite as error:
        raise DownloadError(str(error)) from error
    return len(missing)


def find_targets(
    archive: Path, root: Path, members: Iterable[zipfile.ZipInfo]
) -> list[tuple[zipfile.ZipInfo, Path]]:
    """Where each member belongs; what operating systems add, such as ``__MACOSX``, is left out.

    Raises:
        DownloadError: If a member could land elsewhere, or two of them in one place.
    """
    targets: dict[str, tuple[zipfile.ZipInfo, Path]] = {}
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if member.is_dir() or any(is_clutter(part) for part in parts if part != ".."):
            continue
        _require_inside(archive, member, parts)
        path = _target(archive, root, parts)
        first, _ = targets.get(str(path).lower(), (member, path))
        if first.filename != member.filename:
            raise DownloadError(
                f"{archive}: {first.filename!r} and {member.filename!r} have the same name. Unpack it "
                f"by hand, and put into {path.parent} what the lists name."
            )
        targets[str(path).lower()] = (member, path)  # of a file that was added twice the last counts
    return list(targets.values())


def _require_inside(archive: Path, member: zipfile.ZipInfo, parts: tuple[str, ...]) -> None:
    """Refuse every name that could lead elsewhere."""
    link = stat.S_ISLNK(member.external_attr >> 16)
    outside = not parts or any(part in ("..", "/", "") or ":" in part for part in parts)
    if link or outside or split_of_folder(parts[-1]):
        kind = "is a link" if link else "leads out of the folder"
        raise DownloadError(f"{archive}: {member.filename!r} {kind}. Do not trust this archive.")


def _target(archive: Path, root: Path, parts: tuple[str, ...]) -> Path:
    """Path of a member: the innermost folder that is named after a split decides."""
    *folders, name = parts
    listed = split_of_list(name)
    if listed:
        return list_path(root, listed)
    splits = [split for folder in folders if (split := split_of_folder(folder))]
    return root / (splits[-1] if splits else _split(archive)) / name


def _split(archive: Path) -> str:
    return split_of_folder(archive.stem) or archive.stem


def _require_readable(held: zipfile.ZipFile, members: list[zipfile.ZipInfo], by_hand: str) -> None:
    """Open one member of each kind, before gigabytes of other kinds are unpacked."""
    for member in {(m.flag_bits, m.compress_type): m for m in members}.values():
        try:
            held.open(member).close()
        except RuntimeError as error:  # also if a module for its compression is missing
            method = METHODS.get(member.compress_type, f"method {member.compress_type}")
            kind = f"compressed with {method}, which Python cannot read"
            if member.flag_bits & PASSWORD:
                kind = "encrypted with a password"
            raise DownloadError(f"{held.filename}: {kind}. Unpack it {by_hand}.") from error


def _is_part(archive: Path) -> bool:
    """Whether this is one file of a split archive, by its own marks or by the parts beside it."""
    with archive.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, archive.stat().st_size - TAIL))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:  # the list of members is in another part, or lost
        part = re.compile(re.escape(archive.stem) + r"(\.zip)?\.(z\d\d|\d{3})", re.IGNORECASE)
        return head == b"PK\7\10" or any(part.fullmatch(name) for name in names_in(archive.parent))
    disk = int.from_bytes(tail[end + 4 : end + 6], "little")
    large = tail[max(0, end - 20) : end]  # of archives over 4 GB
    disks = int.from_bytes(large[16:], "little") if large.startswith(b"PK\6\7") else 1
    return 0 < disk < 0xFFFF or disks > 1


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
