"""Recordings of short movements of real people, downloaded from public sources and converted."""

from piumar_lib.data.people.catalog import NAMES, PARENTS
from piumar_lib.data.people.recordings import content, load, prepare

__all__ = ["NAMES", "PARENTS", "content", "load", "prepare"]
