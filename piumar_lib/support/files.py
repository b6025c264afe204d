"""Files: atomic writes, reading with messages about damage, and errors that name a remedy.

A run that is killed, or fails because the disk is full, leaves the old file or the new one, never a
partial one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class CannotWrite(OSError):
    """Something could not be written; the message says what, why, and what to do."""


_MAKE_ROOM = "Make room; the same command then resumes the run."
_ELSEWHERE = "Choose another place to write to, or copy the course into a folder of your own."
# Cause and remedy of each error number of the operating system.
CAUSES = {
    errno.ENOSPC: ("no room, the disk is full", _MAKE_ROOM),
    errno.EDQUOT: ("no room, your share of the disk is used up", _MAKE_ROOM),
    errno.EACCES: ("cannot be written, permission denied", _ELSEWHERE),
    errno.EPERM: ("cannot be written, permission denied", _ELSEWHERE),
    errno.EROFS: ("cannot be written, the disk is read-only", _ELSEWHERE),
    errno.EISDIR: ("is a folder", "Name a file."),
    errno.ENOTDIR: ("a file stands where a folder is needed", "Choose another path."),
    errno.EEXIST: ("a file stands where a folder is needed", "Choose another path."),
    errno.ENOENT: ("no such file or folder", "Check the path."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.EMFILE: ("too many files are open", "Use fewer workers, or raise the limit: ulimit -n 4096."),
}


def as_path(path: str | Path) -> Path:
    """The path with ``~`` as the home folder.

    Raises:
        ValueError: If there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error} Write the path out.") from error


def explain(error: OSError, path: Path | None = None) -> str:
    """Describe an error of the operating system in one line: file, cause and remedy.

    The affected ``path`` is by default the one that the error names.
    """
    name = path or error.filename2 or error.filename
    cause, remedy = CAUSES.get(error.errno or 0, (error.strerror or str(error), ""))
    if error.errno == errno.EACCES and _is_unreadable(name):
        cause, remedy = "cannot be read, permission denied", "Ask its owner for the right to read it."
    return f"{f'{name}: ' if name else ''}{cause}. {remedy}".rstrip()


def _is_unreadable(name: Any) -> bool:
    return bool(name) and os.path.exists(name) and not os.access(name, os.R_OK)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context for writing ``path``: system errors name it and the remedy, except for a lost source.

    Raises:
        CannotWrite: Instead of it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not from the operating system: its message is complete
            raise
        if error.errno == errno.ENOENT and path.name not in str(error.filename or path):
            raise  # another file, which was to be read
        raise CannotWrite(explain(error, path)) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file atomically: ``with whole(path) as part: part.write_text(...)``.

    Folders are created if necessary. The temporary file ``part``, which is unique to this writer,
    replaces ``path`` at the end of the block, and is removed if the block fails.

    Raises:
        CannotWrite: If writing fails; an existing file is then unchanged.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "", str(path))
        try:
            yield part
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; see `whole`."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def require_room(path: Path, needed: float, remedy: str = "Choose another disk.") -> None:
    """Check that the disk has ``needed`` bytes for writing to ``path``, which need not exist.

    Raises:
        CannotWrite: If the disk has no room; the message ends with ``remedy``.
    """
    here = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(here).free
    if needed > free:
        raise CannotWrite(
            f"{path}: no room, {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free. {remedy}"
        )


def fresh_folder(path: Path) -> None:
    """Create an empty folder; an existing one is deleted first.

    Raises:
        CannotWrite: If writing fails.
    """
    with writing(path):
        if path.is_dir():
            shutil.rmtree(path)
        path.mkdir(parents=True)


def require_writable(folder: Path) -> None:
    """Create a folder if necessary, and check that it is writable before work begins.

    Raises:
        CannotWrite: If writing fails.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def read_text(path: Path, remedy: str = "") -> str:
    """Read a text file.

    Raises:
        ValueError: If it is no text in UTF-8; the message ends with ``remedy``.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        said = f"{path}: is no text in UTF-8 (byte {error.start}). {remedy}"
        raise ValueError(said.rstrip()) from error


def read_json(path: Path, remedy: str = "", keys: Iterable[str] = ()) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        ValueError: If it is damaged, or lacks one of ``keys``; the message names file, cause and remedy.
    """
    return parse_json(read_text(path, remedy), str(path), remedy, keys)


def read_json_lines(path: Path, keys: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Read a file with a JSON object on each line; none if there is no file.

    An unfinished last line, left by a killed run, is ignored.

    Raises:
        ValueError: If another line is damaged; the message names file and line.
    """
    if not path.is_file():
        return []
    remedy = "Remove this line."
    *lines, last = read_text(path, remedy).split("\n")
    rows = [
        parse_json(line, f"{path}, line {number}", remedy, keys)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    try:
        return [*rows, parse_json(last, str(path), remedy, keys)]
    except ValueError:
        return rows


def parse_json(text: str, name: str, remedy: str = "", keys: Iterable[str] = ()) -> dict[str, Any]:
    """An object from its JSON text; see `read_json`. ``name`` is the source, for messages."""
    try:
        found = json.loads(text)
        fault = "" if isinstance(found, dict) else "it holds no object"
    except json.JSONDecodeError as error:
        found, fault = {}, str(error)
    if not fault and (missing := [key for key in keys if key not in found]):
        fault = f"it lacks {', '.join(missing)}"
    if fault:
        raise ValueError(f"{name}: is damaged ({fault}). {remedy}".rstrip())
    return found
