"""Recordings of real people in short movements, fetched from their public sources and converted."""

from piumar_lib.data.people.catalog import NAMES, PARENTS
from piumar_lib.data.people.recordings import content, load, prepare

__all__ = ["NAMES", "PARENTS", "content", "load", "prepare"]
