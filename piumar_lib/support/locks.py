"""Locks: two runs cannot write to the same file or folder.

The lock belongs to the operating system (`filelock`), so it always ends with its process.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from piumar_lib.support.files import writing

# Errors of systems without locks, such as some network disks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


class InUse(RuntimeError):
    """Another run is writing there; the message names it."""


@contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Context in which this is the only run that writes to a folder that exists, or to a file in one.

    Raises:
        InUse: If another run does.
        CannotWrite: If nothing may be written there.
    """
    place = path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock")
    owner = place.with_name(f"{place.name}.pid")  # on Windows a locked file cannot be read
    lock = FileLock(place, timeout=0, fallback_to_soft=False)
    try:
        with writing(path):
            _acquire(lock, path, owner)
        yield
    finally:
        if lock.is_locked:
            owner.unlink(missing_ok=True)
            if os.name != "nt":  # there it is removed on release
                place.unlink(missing_ok=True)  # while the lock is held
            lock.release()


def _acquire(lock: FileLock, path: Path, owner: Path) -> None:
    try:
        lock.acquire()
        owner.write_text(str(os.getpid()), encoding="utf-8")
    except Timeout as error:
        process = owner.read_text(encoding="utf-8") if owner.is_file() else "unknown"
        raise InUse(
            f"{path}: is being written by another run (process {process}). Wait for it, or name "
            "another folder."
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(f"note: {path}: cannot be locked here. Let no other run write to it.", file=sys.stderr)
