"""Pickles of strangers: arrays and containers are read, everything else is refused by its name."""

from __future__ import annotations

import io
import os
import pickle
import re
from collections import Counter, OrderedDict
from types import BuiltinFunctionType, FunctionType

import numpy as np
import pytest

from piumar_lib.support.plain_pickle import Foreign, read_plain_pickle

PROTOCOLS = pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
PLAIN = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6, dtype="f2").reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "empty": np.zeros((0, 3)),
    "no axis": np.array(5.0),
    "texts": np.array(["ä", "b"]),
    "numbers": [np.float32(3.5), np.int64(7), np.bool_(True)],
    "bytes": [b"abc", b"", bytearray(b"x\xff")],
    "containers": [{1, 2}, frozenset([1]), (1, [2]), OrderedDict(a=1), None, True, "ü", 10**30],
}


class OldNumpy(pickle._Pickler):
    """Writes the module paths of numpy 1, whatever the protocol."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_global(self, obj, name=None):
        module, name = obj.__module__.replace("numpy._core", "numpy.core"), name or obj.__qualname__
        if not module.startswith("numpy"):
            return super().save_global(obj, name)
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch |= dict.fromkeys((type, BuiltinFunctionType, FunctionType), save_global)


def same(a, b):
    if isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        return a.shape == b.shape and a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@PROTOCOLS
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_arrays_and_containers_are_read_as_they_were(tmp_path, protocol, old, name):
    path, buffer = tmp_path / "mit Umläuten.pkl", io.BytesIO()
    (OldNumpy if old else pickle.Pickler)(buffer, protocol).dump(PLAIN[name])
    assert not old or b"numpy._core" not in buffer.getvalue()
    path.write_bytes(buffer.getvalue())
    assert same(PLAIN[name], read_plain_pickle(path))


def test_an_array_of_arrays_is_read(tmp_path):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(2), [1, 2, 3]]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(ragged))
    read = read_plain_pickle(tmp_path / "a.pkl")
    assert read.dtype == object and read[1] == [1, 2, 3] and (read[0] == 0).all()


class Runs:
    def __init__(self, function, *arguments):
        self.made_by = (function, arguments)

    def __reduce__(self):
        return self.made_by


@PROTOCOLS
def test_a_pickle_that_would_run_a_program_is_refused_by_name_and_runs_nothing(tmp_path, protocol):
    path, trace = tmp_path / "MA52_train.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps([{"a": 1}, Runs(os.system, f'mkdir "{trace}"')], protocol))
    with pytest.raises(
        Foreign, match=rf"{re.escape(str(path))}: it wants {os.system.__module__}.system\. .* not trust"
    ):
        read_plain_pickle(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists(), "the pickle does what this test is about"


@pytest.mark.parametrize(
    ("held", "name"),
    [
        (Counter("aab"), "collections.Counter"),
        (Runs(eval, "1"), r"(builtins|__builtin__).eval"),
        (Runs(np.load, "x"), "numpy.load"),
        (np.random.default_rng(0), r"numpy\.random\.\S+"),
        (np.dtype("f4"), None),
        (np.zeros(2, "f4,i4"), "it has an array of type 'V8'"),
        (np.zeros(2, "M8[s]"), "it has an array of type 'M8'"),
    ],
)
def test_other_classes_are_refused(tmp_path, held, name):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(held, 2))
    if name is None:  # a type of numpy's alone does no harm
        read_plain_pickle(path)
        return
    with pytest.raises(Foreign, match=name):
        read_plain_pickle(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"c_codecs\nencode\n(Va\nVrot13\ntR.", "it encodes a text in 'rot13'"),
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(I0\ntVb\ntR.",
            "it makes an array of",
        ),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(Vi4,i4\ntRVabcdefgh\ntR.", "type 'i4,i4'"),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(I7\ntRVabcdefgh\ntR.", "type 7"),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VO\ntRVabcdefgh\ntR.", "damaged"),
        (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little"), "more memory than there is|cut off"),
    ],
)
def test_admitted_names_are_not_misused(tmp_path, content, words):
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_plain_pickle(path)


def test_an_array_that_says_it_is_larger_than_it_is_is_refused(tmp_path):
    path, small = tmp_path / "a.pkl", pickle.dumps(np.arange(6.0).reshape(2, 3), 2)
    path.write_bytes(small.replace(b"K\x02K\x03\x86", b"K\xffK\xff\x86"))
    assert path.read_bytes() != small
    with pytest.raises(ValueError, match=r"an array of shape \(255, 255\) does not hold what it should"):
        read_plain_pickle(path)


@PROTOCOLS
def test_a_file_that_was_cut_off_is_named_wherever_it_ends(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    whole = pickle.dumps(
        [{"frame_dir": "0001_01_0001", "keypoint": np.zeros((1, 4, 28, 2))}] * 2, protocol
    )
    for size in range(1, len(whole) - 1, 37):
        path.write_bytes(whole[:size])
        with pytest.raises(
            ValueError, match=rf"{re.escape(str(path))}: cut off or damaged after {size} bytes"
        ):
            read_plain_pickle(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty. Download it again"),
        (b"<!doctype html>", "a web page. Download it again. Are you signed in"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer to the file, not the file"),
        (b"PK\x03\x04 what else", "cut off or damaged"),
    ],
)
def test_what_is_no_pickle_is_named(tmp_path, content, words):
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_plain_pickle(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_plain_pickle(tmp_path / "b.pkl")
