"""Recordings of real people in short movements, fetched from their public sources and converted."""

from piumar_lib.data.people.catalogue import NAMES, PARENTS

__all__ = ["NAMES", "PARENTS"]
