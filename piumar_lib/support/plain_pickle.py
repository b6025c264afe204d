"""Read pickles of arrays and plain containers without executing code from untrusted files.

A pickle is a program: it may call anything that can be imported. Public pose files are pickles, so this
reader accepts numpy's arrays, types and numbers, and Python's containers, and refuses every other name
before it is looked up. Even numpy's own helpers are replaced, because they do not validate their
arguments.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from piumar_lib.support.files import as_path

KINDS = "biufcSUO"  # of numpy's types; not records, whose pickles describe memory
AGAIN = "Download it again."


class Foreign(ValueError):
    """A pickle contains something other than arrays and plain containers."""


class _Dtype:
    """Stand-in for a numpy type while its pickle is read."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        self.code, self.swapped = code, False

    def __setstate__(self, state: tuple) -> None:
        self.swapped = state[1] == (">" if sys.byteorder == "little" else "<")

    def real(self) -> np.dtype:
        """The type itself."""
        made = np.dtype(self.code) if isinstance(self.code, str) and "," not in self.code else None
        if made is None or made.kind not in KINDS:
            raise Foreign(f"it has an array of type {self.code!r}")
        return made.newbyteorder("S") if self.swapped else made


class _Array(np.ndarray):
    """An array that validates its pickled state."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, held = state
        real, count = dtype.real(), math.prod(shape)
        if real.hasobject:
            fits = isinstance(held, list) and len(held) == count
        else:
            held = held.encode("latin-1") if isinstance(held, str) else bytes(held)  # of Python 2
            fits = len(held) == count * real.itemsize
        if not fits or min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {shape} does not hold what it should")
        checked: Any = (1, tuple(shape), real, bool(fortran), held)
        super().__setstate__(checked)


class _ArrayClass:
    """Stand-in for ``numpy.ndarray``, which pickles pass to `_reconstruct` only."""


def _reconstruct(kind: type, shape: tuple, code: object) -> np.ndarray:
    if kind is not _ArrayClass:
        raise Foreign(f"it makes an array of {kind!r}")
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _frombuffer(held: bytes, dtype: _Dtype, shape: tuple, order: str) -> np.ndarray:
    return np.frombuffer(held, dtype.real()).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: _Dtype, held: bytes | str) -> Any:
    held = held.encode("latin-1") if isinstance(held, str) else held
    return np.frombuffer(held, dtype.real(), count=1)[0]


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as protocols 0 to 2 write them."""
    if encoding not in ("latin1", "latin-1"):
        raise Foreign(f"it encodes a text in {encoding!r}")
    return text.encode("latin-1")


def _bytes(held: bytes = b"", *other: object) -> bytes:
    return bytes(held) if isinstance(held, (bytes, bytearray)) else str(held).encode("latin-1")


def _bytearray(held: bytes = b"", *other: object) -> bytearray:
    return bytearray(_bytes(held))


ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
}
for _module in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    ADMITTED[f"{_module}.multiarray", "_reconstruct"] = _reconstruct
    ADMITTED[f"{_module}.multiarray", "scalar"] = _scalar
    ADMITTED[f"{_module}.numeric", "_frombuffer"] = _frombuffer
for _module in ("builtins", "__builtin__"):  # of Python 3 and 2
    for _kind in (set, frozenset, list, tuple, dict):
        ADMITTED[_module, _kind.__name__] = _kind
    ADMITTED[_module, "bytes"] = _bytes
    ADMITTED[_module, "bytearray"] = _bytearray


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of an admitted name.

        Raises:
            Foreign: If the name is not admitted.
        """
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise Foreign(f"it wants {module}.{name}") from None


def read_plain_pickle(path: str | Path) -> Any:
    """Read a pickle of arrays, which may be read-only, and plain containers, of any protocol and numpy.

    Raises:
        Foreign: If it names anything else; none of its code has been executed then.
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated, damaged, or not a pickle.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Check the path.")
    with path.open("rb") as file:
        start = file.read(64)
        _refuse_text(path, start)
        file.seek(0)
        try:
            return _Plain(file, encoding="latin-1").load()
        except Foreign as error:
            words = "Pose files hold arrays, lists and dicts alone: do not trust this one."
            raise Foreign(f"{path}: {error}. {words}") from error
        except MemoryError as error:
            words = "it asks for more memory than there is: damaged, or too large for this machine"
            raise ValueError(f"{path}: {words}. {AGAIN}") from error
        except Exception as error:  # a damaged stream may raise any error
            size = path.stat().st_size
            raise ValueError(
                f"{path}: cut off or damaged after {size} bytes ({error}). {AGAIN}"
            ) from error


def _refuse_text(path: Path, start: bytes) -> None:
    """Raise an error that names the kind of a file that is not a pickle."""
    kinds = {b"<": "a web page", b"version https://git-lfs": "a pointer to the file, not the file"}
    for begins, kind in kinds.items():
        if start.lstrip().startswith(begins):
            raise ValueError(f"{path}: {kind}. {AGAIN} Are you signed in?")
    if not start:
        raise ValueError(f"{path}: empty. {AGAIN}")
