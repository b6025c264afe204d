"""Hyperparameters: what they may be is said once, and every way to give them asks there."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.baselines.groups import JTT, CVaR
from piumar_lib.evidence.methods import METHODS, NOT_SEARCHED, resolve
from piumar_lib.support.hyperparameter import Hyperparameter, argument_doc, of, unknown
from piumar_lib.support.ranges import RANGES, Count, Range, Share, checked

NUMBERS = st.one_of(st.floats(), st.integers(-5, 5), st.booleans())


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (Range(), "a number"),
        (Range(0), "a number, at least 0"),
        (Range(0, 1), "a number, at least 0 and at most 1"),
        (Range(0, 1, above=True, below=True), "a number, above 0 and below 1"),
        (Range(high=2.5), "a number, at most 2.5"),
        (Range(1, whole=True), "a whole number, at least 1"),
    ],
)
def test_a_range_in_words(allowed, words):
    assert str(allowed) == words


@given(NUMBERS, st.sampled_from([*RANGES]))
def test_a_range_holds_what_its_words_say(value, name):
    allowed, words = RANGES[name], str(RANGES[name])
    says = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    says = says and ("whole" not in words or value == round(value))
    says = says and not ("at least 0" in words and value < 0 or "at least 1" in words and value < 1)
    says = says and not ("above 0" in words and value <= 0)
    says = says and not ("at most 1" in words and value > 1 or "below 1" in words and value >= 1)
    assert (value in allowed) == says


class Taker:
    """Takes numbers.

    Args:
        share: Share of the cake, in slices; see the cook. And more.
        first, second: How often
            it is cut.
        free: Anything.
    """

    @checked
    def __init__(self, share: Share = 0.5, first: Count = 2, second: Count = 3, free: int = 0) -> None:
        self.given = (share, first, second, free)


def test_a_constructor_refuses_what_its_signature_does_not_allow():
    assert Taker(1, second=4, free=-7).given == (1, 2, 4, -7)
    with pytest.raises(ValueError, match="^share: must be .* at most 1, got 1.5. Its default is 0.5.$"):
        Taker(1.5)
    with pytest.raises(ValueError, match="^second: must be a whole number, at least 1, got 2.5"):
        Taker(second=2.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'third'"):
        Taker(third=1)


def test_a_hyperparameter_is_read_from_the_class_that_takes_it():
    one = of(Taker, "share", 0.2, 0.5, source="the cook")
    words = "Share of the cake, in slices"
    assert one == Hyperparameter(0.5, (0.2, 0.5), "the cook", words, Range(0, 1))
    assert argument_doc(Taker, "first") == argument_doc(Taker, "second") == "How often it is cut"
    with pytest.raises(ValueError, match="Taker: its docstring says nothing of nothing. Add it"):
        argument_doc(Taker, "nothing")


def test_the_table_reads_defaults_ranges_and_words_in_the_classes():
    for owner, argument in ((CVaR, "alpha"), (JTT, "weight"), (JTT, "first")):
        one = METHODS[owner.__name__].hyperparameters[argument]
        declared = inspect.signature(owner).parameters[argument]
        assert one.default == declared.default and one.range == RANGES[declared.annotation]
        assert one.about and one.about in " ".join(owner.__doc__.split())


@pytest.mark.parametrize("method", METHODS)
def test_every_hyperparameter_has_words_a_range_and_values_in_it(method):
    for name, one in METHODS[method].hyperparameters.items():
        assert len(one.about) > 10 and one.about[0].isupper() and one.source
        assert one.range is not None and one.default in one.range, name
        assert all(value in one.range for value in one.values)
        for wrong in (-1, math.nan, "1", True, None):
            with pytest.raises(ValueError, match=f"^{name}: must be {one.range}, got {wrong}|got '1'"):
                resolve(method, {name: wrong})


# A control takes its parent's hyperparameters, and some have no say in it.
@pytest.mark.parametrize(
    "method", [n for n, row in METHODS.items() if row.classify is None and row.kind != "control"]
)
def test_what_the_table_refuses_the_classes_refuse_too(method):
    for name, one in METHODS[method].hyperparameters.items():
        beyond = one.range.low if one.range.above else one.range.low - 1
        k = resolve(method) | {name: beyond}
        with pytest.raises(ValueError, match="must be"):
            METHODS[method].objective(k), METHODS[method].plug_in(6, 8, k)


@pytest.mark.parametrize(
    ("one", "right", "wrong"),
    [
        (Hyperparameter("a", choices=("a", "b")), {"b": "b"}, ["c", 1]),
        (Hyperparameter(False), {True: True}, [1, "yes", None]),
        (Hyperparameter((1,), range=Range(0, whole=True)), {(2, 3): (2, 3)}, [1, (-1,), (1.5,), "1"]),
        (Hyperparameter(None, range=Range(1, whole=True)), {None: None, 2.0: 2}, [0, 1.5, "2"]),
        (Hyperparameter(1.0, range=Range(0)), {1: 1.0}, [None, -1]),
    ],
)
def test_values_have_one_form(one, right, wrong):
    for value, expected in right.items():
        assert repr(one.check("x", value)) == repr(expected)
    for value in wrong:
        with pytest.raises(ValueError, match="^x: must be .*, got "):
            one.check("x", value)


def test_an_unknown_name_is_told_the_nearest():
    said = str(unknown("epoch", NOT_SEARCHED, "hyperparameter", "ERM"))
    assert said.startswith("epoch: ERM has no such hyperparameter. Did you mean 'epochs'? Choose from")
    assert "mean" not in str(unknown("zzz", NOT_SEARCHED))
    assert str(unknown("a", [], whose="ERM")) == "a: ERM has no such setting. Leave it out."


@pytest.mark.parametrize("value", [np.int64(4), np.float32(4), np.float64(4)])
def test_numbers_of_numpy_are_numbers(value):
    assert value in RANGES["Count"] and np.bool_(True) not in RANGES["Count"]
    assert np.float32("nan") not in RANGES["Positive"] and -value not in RANGES["Positive"]
