"""Work for other processes, in a file that they import at once."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from pathlib import Path

from piumar_lib.support.files import CannotWrite


def about(number: int):
    """Who works: number, process and threads."""
    import torch

    return number, os.getpid(), torch.get_num_threads()


def note_and_sleep(folder: Path, number: int, seconds: float) -> int:
    """Leave a file of this process's number, then take a while."""
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)
    return number


def fails(how: str):
    """Work that ends badly."""
    if how == "mistake":
        from piumar_lib.ma52.standin import plan

        plan(people=1)
    if how == "full":
        raise CannotWrite("a.npy: no room.") from OSError(errno.ENOSPC, "")
    if how == "bug":
        json.loads("")
    os.kill(os.getpid(), signal.SIGKILL)
