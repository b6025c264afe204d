"""Labelled sequences of people: real recordings, synthetic skeletons, and a reader's own."""

from piumar_lib.data.enough import require
from piumar_lib.data.own import load_npz, save_npz
from piumar_lib.data.sequences import Sequences, describe

__all__ = ["Sequences", "describe", "load_npz", "require", "save_npz"]
