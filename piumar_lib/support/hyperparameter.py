"""Hyperparameters: description, default, range and source of each."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from piumar_lib.support.ranges import RANGES, Range


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter; all given values are validated here.

    Attributes:
        default: Default value; None if leaving it unset has a meaning.
        values: Values that a search may draw.
        source: Source of default and values.
        about: Description in a few words, with the unit.
        range: Range of a number, or of each of several.
        choices: Strings to choose from.
    """

    default: Any
    values: tuple = ()
    source: str = "ours"
    about: str = ""
    range: Range | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(self.default, tuple):
            return f"a list, each {self.range}"
        kinds = {bool: "True or False", str: "text"}
        return kinds.get(type(self.default)) or str(self.range)

    def check(self, name: str, value: Any) -> Any:
        """``value`` in canonical form, because equal values must be written equally in records.

        Raises:
            ValueError: If it has another type, or is out of range.
        """
        allowed = self.range or Range()
        if value is None and self.default is None:
            return None
        if isinstance(self.default, bool):
            right = isinstance(value, bool)
        elif isinstance(self.default, str):
            value = str(value)
            right = not self.choices or value in self.choices
        elif isinstance(self.default, tuple):
            right = isinstance(value, (list, tuple)) and all(v in allowed for v in value)
            value = tuple(value) if right else value
        else:
            right = value in allowed
            value = (int if allowed.whole else float)(value) if right else value  # not 1, then 1.0
        if not right:
            about = f" ({self.about})" if self.about else ""
            remedy = "Leave it out." if self.default is None else f"Its default is {self.default!r}."
            raise ValueError(f"{name}: must be {self.allowed}, got {value!r}{about}. {remedy}")
        return value


def of(owner: type, argument: str, *values: Any, source: str = "ours") -> Hyperparameter:
    """The hyperparameter of a class's argument, with the argument's default, range and description.

    The constructor of ``owner`` annotates it with a name of `piumar_lib.support.ranges`, and the class's
    docstring describes it. A search may draw ``values``.
    """
    declared = inspect.signature(owner).parameters[argument]
    about = argument_doc(owner, argument)
    return Hyperparameter(declared.default, values, source, about, RANGES[declared.annotation])


def argument_doc(owner: type, argument: str) -> str:
    """Description of an argument in the docstring of a class or its parent, up to a full stop.

    Raises:
        ValueError: If there is none.
    """
    for kind in owner.__mro__:
        text = inspect.cleandoc(kind.__doc__ or "")
        entry = rf"^ +(?:\w+, )*{argument}(?:, \w+)*: (.+?)(?:[.;:](?:\s|$))"
        if found := re.search(entry, text, re.M | re.S):
            return " ".join(found[1].split())
    raise ValueError(f"{owner.__name__}: its docstring says nothing of {argument}. Add it to Args.")


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that suggests a known name similar to ``name``, after a space; or ""."""
    known, word = list(known), name.strip("-")
    close = difflib.get_close_matches(name, known, 1) or [k for k in known if word and word in k]
    return f" Did you mean {close[0]!r}?" if close else ""


def unknown(name: str, known: Iterable[str], what: str = "setting", whose: str = "") -> ValueError:
    """The error for an unknown name, with a suggestion."""
    known = list(known)
    remedy = f"Choose from {', '.join(known)}." if known else "Leave it out."
    return ValueError(
        f"{name}: {whose or 'there'} {'has' if whose else 'is'} no such {what}.{nearest(name, known)} "
        f"{remedy}"
    )
