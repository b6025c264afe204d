"""Base of all checks of exercises: whether an answer is right, not yet right, or missing."""

from __future__ import annotations

import contextlib
import functools
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Hint(Exception):
    """What is wrong with an answer, in one sentence that does not give the solution away."""


class Unsolved(Exception):
    """The exercise's gap has not been filled in."""


def require(condition: object, hint: str) -> None:
    """Raise `Hint` unless ``condition``, a truth value of Python, NumPy or torch, holds."""
    if not condition:
        raise Hint(hint)


def rule_out(
    given: Any, misconceptions: dict[str, Any], right: Any = None, rtol: float = 1e-5, atol: float = 1e-8
) -> None:
    """Raise `Hint` with the message of the misconception that would have given ``given``.

    ``misconceptions`` maps each hint to the value that its misconception gives, or to a tuple of such
    values. ``right`` is the right value, if a misconception may happen to give it as well.
    """

    def same(a: Any, b: Any) -> bool:
        return np.allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)

    for hint, values in misconceptions.items():
        for value in values if isinstance(values, tuple) else (values,):
            require(not same(given, value) or (right is not None and same(value, right)), hint)


def check(examine: Callable[[Any, np.random.Generator], str]) -> Callable[..., Any]:
    """Decorator: turn a function that examines an answer into ``check.NAME``.

    It gets an answer and a generator for fresh inputs, calls `require` with a hint for each known
    misconception, and returns a sentence for a right answer. Answers are judged by properties and by
    references of the library, never by themselves.

    The check prints one line and never raises, so that the chapter continues. Given a function of the
    library as ``otherwise``, it returns the answer if that is right, else the library's.
    """

    @functools.wraps(examine)
    def checked(answer: Any, otherwise: Callable | None = None) -> Any:
        verdict, line = judge(checked, answer)
        if otherwise is None or verdict == "right":
            print(line)
            return None if otherwise is None else answer
        print(f"{line.rstrip('.')}. Until then the chapter uses the library's function.")
        return otherwise

    vars(checked)["examine"] = examine
    del checked.__wrapped__  # so that help() shows the only argument
    return checked


def judge(checked: Callable, answer: Any, rng: np.random.Generator | None = None) -> tuple[str, str]:
    """Return the verdict on an answer, "right", "not yet" or "unsolved", and the line that says it.

    Fresh inputs are drawn each time, unless ``rng`` is given.
    """
    name = checked.__name__
    try:
        with _exit_raises():
            praise = vars(checked)["examine"](_asked(answer), rng or np.random.default_rng())
    except KeyboardInterrupt:  # the reader interrupted it
        raise
    except Unsolved:
        return "unsolved", f"{name} has no answer yet. Fill in the cell above and run both again."
    except Hint as hint:
        return "not yet", f"Not yet: {hint}"
    except SystemExit as error:
        where = _line_of(error, answer)
        return "not yet", f"Not yet: {where} ends Python, as exit() does. Return a value instead."
    except BaseException as error:  # some exceptions, such as asyncio's, do not derive from Exception
        where, said = _line_of(error, answer), " ".join(str(error).split())
        return "not yet", f"Not yet: {where} raised {type(error).__name__}: {said.rstrip('.')}."
    return "right", f"Right: {praise}"


@contextlib.contextmanager
def _exit_raises() -> Iterator[None]:
    """Let ``exit()`` raise SystemExit in notebooks, where it would only ask the kernel to stop later."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        yield
        return
    asked, shell.ask_exit = shell.ask_exit, sys.exit
    try:
        yield
    finally:
        shell.ask_exit = asked


def _asked(answer: Any) -> Any:
    """The answer; a function is wrapped so that returning None counts as unsolved."""
    if answer is None or answer is Ellipsis:
        raise Unsolved
    if not callable(answer):
        return answer

    @functools.wraps(answer)
    def asked(*args: Any, **named: Any) -> Any:
        result = answer(*args, **named)
        if result is None:
            raise Unsolved
        return result

    return asked


def _line_of(error: BaseException, answer: Any) -> str:
    """Which line of a learner's function an exception came from, or passed through."""
    code = getattr(answer, "__code__", None)
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code is code]
    if code is None or not lines:
        return "what it returns"
    return f"line {lines[-1] - code.co_firstlineno + 1} of {answer.__name__}"
