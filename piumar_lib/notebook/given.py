"""Data that a chapter's parameter ``data`` names: a reader's own file, or a set of real people."""

from __future__ import annotations

from piumar_lib.data.enough import require
from piumar_lib.data.own import is_npz, load_npz
from piumar_lib.data.people import recordings
from piumar_lib.data.people.catalog import NAMES
from piumar_lib.data.people.recordings import OWN_TEMPO
from piumar_lib.data.sequences import Sequences


def given(data: str, **needed: int) -> tuple[str, Sequences | None]:
    """Load the data that a chapter is to use.

    ``data`` is ``""``, the path of an ``.npz``, or a name of `piumar_lib.data.people.NAMES`, at one
    length, or followed by ``-own-tempo``. ``needed`` are the least numbers of `piumar_lib.data.require`.

    Returns:
        ``data`` and its clips. ``""`` and None if nothing was asked for, or if a set was not fetched:
        then this prints how to get it, and the chapter continues with the recordings that come with it.

    Raises:
        ValueError: If there is no such name, or too little in the data.
        FileNotFoundError: If there is no such file.
    """
    if not data:
        return "", None
    if is_npz(data):
        return data, require(load_npz(data), **needed, name="")
    name = data.removesuffix(OWN_TEMPO)
    if name not in NAMES:
        raise ValueError(f"data: {data!r} is no .npz and no set. Choose from {', '.join(NAMES)}.")
    try:
        return data, require(recordings.prepare(name, data.endswith(OWN_TEMPO)), **needed, name="")
    except FileNotFoundError as error:
        print(f"{error}\nGoing on without it, with the data that come with the course.")
        return "", None
