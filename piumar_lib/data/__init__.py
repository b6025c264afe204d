"""Labelled sequences of people: real recordings, synthetic skeletons, and a reader's own."""

from piumar_lib.data.sequences import Sequences, load_npz

__all__ = ["Sequences", "load_npz"]
