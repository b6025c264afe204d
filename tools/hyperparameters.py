"""The page of hyperparameters: what may be chosen, for a method or a training on MA-52."""

from __future__ import annotations

from collections.abc import Mapping

from piumar_lib.evidence.methods import AUGMENTATION, COMMON, METHODS, NOT_SEARCHED
from piumar_lib.ma52.config import SETTINGS
from piumar_lib.notebook.figure import markdown_table
from piumar_lib.support.hyperparameter import Hyperparameter
from tools.templates import render


def hyperparameters_page() -> str:
    """Return the page as Markdown."""
    own = {name: method for name, method in METHODS.items() if not method.augmented and not method.like}
    return render(
        "hyperparameters.md.j2",
        common=_table(COMMON),
        augmentation=_table(AUGMENTATION),
        not_searched=_table(NOT_SEARCHED),
        single={n: _table(m.hyperparameters) for n, m in own.items() if m.hyperparameters},
        ma52=_table(SETTINGS),
    )


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
