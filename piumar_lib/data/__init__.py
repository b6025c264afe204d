"""Labelled sequences of people: real recordings, synthetic skeletons, and a reader's own."""

from piumar_lib.data.sequences import Sequences, describe, load_npz, save_npz

__all__ = ["Sequences", "describe", "load_npz", "save_npz"]
