"""The page of hyperparameters: what may be chosen, for a method or a training on MA-52."""

from __future__ import annotations

from collections.abc import Mapping

from piumar_lib.evidence.methods import AUGMENTATION, COMMON, METHODS, NOT_SEARCHED
from piumar_lib.ma52.config import SETTINGS
from piumar_lib.notebook.figure import markdown_table
from piumar_lib.support.hyperparameter import Hyperparameter

INTRODUCTION = """# Hyperparameters

Each is declared once, in the class that takes it, with its default, range and description. This page,
error messages, `--help`, searches and the chapters' parameters all read it from there. *Searched* lists
the values that a search may draw; *source* says who chose them: this course, a paper, or another
benchmark. Methods that are not listed have no hyperparameters of their own, or take over those of the
method that they are compared with."""


def hyperparameters_page() -> str:
    """Return the page as Markdown."""
    pieces = [INTRODUCTION, "## All methods", _table(COMMON)]
    pieces += ['## Methods with "+ augmentation"', _table(AUGMENTATION)]
    pieces += ["## Never searched", _table(NOT_SEARCHED)]
    pieces += ["## Single methods"]
    for name, method in METHODS.items():
        if method.hyperparameters and not method.augmented and not method.like:
            pieces += [f"### {name}", _table(method.hyperparameters)]
    pieces += [
        "## Training on MA-52",
        "In addition to those of the method. Give them as `overrides` in chapter 12, or to "
        "`python -m piumar_lib.ma52 train`.",
        _table(SETTINGS),
    ]
    return "\n\n".join(pieces) + "\n"


def _table(own: Mapping[str, Hyperparameter]) -> str:
    rows = [
        [f"`{name}`", _text(h.default), ", ".join(map(_text, h.values)), h.allowed, h.about, h.source]
        for name, h in own.items()
    ]
    return markdown_table(["name", "default", "searched", "allowed", "what it is", "source"], rows)


def _text(value: object) -> str:
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
