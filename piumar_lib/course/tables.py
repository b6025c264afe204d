"""Tables of evidence, and what they establish, in words.

A *family* is a set of comparisons that answer one question; Holm's correction is within a family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piumar_lib import metrics
from piumar_lib.course.figure import show_table
from piumar_lib.metrics import Comparison

if TYPE_CHECKING:
    from piumar_lib.contrasts import Result
    from piumar_lib.statistics import Difference, Pooled


@dataclass(frozen=True)
class Judged:
    """A paired difference, and its p value corrected within its family."""

    comparison: Comparison
    p: float

    @property
    def verdict(self) -> str:
        """What it establishes: "a gain", "a loss", or that it does not."""
        return metrics.verdict(self.comparison, self.p)


# Differences in words


def signed(value: float) -> str:
    """A share as signed points with one digit; never ``-0.0``."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def points(c: Comparison | Difference | Pooled | None) -> str:
    """A difference with its interval, in points: ``+2.6 [+0.7, +4.5]``; "" if there is none.

    One person, or people who all differ alike, have no interval.
    """
    if c is None:
        return ""
    alike = np.isnan(c.low) and not isinstance(c, Comparison) and c.people > 1
    ends = "(all alike: no interval)" if alike else metrics.interval(c.low, c.high, signed)
    return f"{signed(c.difference)} {ends}"


def p_value(c: Comparison | None, corrected: float) -> str:
    """A corrected p value; "" if there is none."""
    return "" if c is None else in_words(corrected)


def in_words(p: float) -> str:
    """A p value with three digits."""
    return "-" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def listed(names: Iterable[str]) -> str:
    """``"a, b"``, or "nothing"; names that hold a comma are quoted."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names) or "nothing"


# From scores to judged differences


def correct(family: Mapping[str, Comparison]) -> dict[str, Judged]:
    """Holm's correction within a family."""
    p_values = metrics.holm([c.p for c in family.values()]) if family else []
    return {n: Judged(c, float(p)) for (n, c), p in zip(family.items(), p_values, strict=True)}


def paired(scores: Mapping[str, float], reference: Mapping[str, float]) -> Comparison:
    """Compare two methods' scores by person.

    Raises:
        ValueError: If they do not score the same people.
    """
    if scores.keys() != reference.keys():
        raise ValueError(
            f"scores, reference: {len(scores)} and {len(reference)} people, who differ. "
            "Judge both on the same people."
        )
    people = sorted(scores)
    return metrics.compare(
        np.array([scores[p] for p in people]), np.array([reference[p] for p in people])
    )


# Shown in chapters


def show_contrasts(results: Sequence[Result]) -> None:
    """Display the planned contrasts, in points."""
    header = ["contrast", "form", "difference", "p (Holm)", "p of equivalence", "people", "sets", "I²",
              "a new set", "verdict"]  # fmt: skip
    lines = []
    for r in results:
        new = metrics.interval(r.pooled.prediction_low, r.pooled.prediction_high, signed)
        lines.append([
            r.contrast.name, r.form, points(r.pooled), in_words(r.p_holm),
            in_words(r.pooled.equivalence_p), r.pooled.people, r.pooled.sets,
            f"{100 * r.pooled.i_squared:.0f} %", new if r.pooled.sets > 2 else "", r.verdict,
        ])  # fmt: skip
    show_table(header, lines)


def show_methods(form: str, reference: str, folder: Path | None = None) -> None:
    """Display every method's gain over a reference, in points, on three kinds of people.

    Args:
        form: Of the clips; synthetic ones are what they are.
        reference: A method.
        folder: Of the records; by default those of the study.
    """
    from piumar_lib import contrasts, evidence
    from piumar_lib.methods import METHODS

    columns = {"synthetic": ("synthetic",), "SPAR": ("spar",), "the eight sets": evidence.NAMES}
    records = {
        column: contrasts.read(sets, form, folder or evidence.STUDY) for column, sets in columns.items()
    }

    def people(of_set: list[dict], method: str) -> set[str]:
        return {person for r in of_set if r["method"] == method for person in r["people"]}

    def cell(method: str, own: Mapping[str, list[dict]]) -> str:
        # Part of the people say nothing of all of them: a row that is still being trained is left out.
        whole = all(people(of_set, method) == people(of_set, reference) for of_set in own.values())
        return points(contrasts.compare(own, method, reference)) if whole else ""

    lines = []
    for name in (*evidence.PLANNED, *evidence.OTHERS):
        cells = [cell(name, own) for own in records.values()]
        if name != reference and any(cells):
            told = "yes" if METHODS[name].uses_person_labels else ""
            lines.append([name, told, *cells])
    show_table([f"over {reference}, {form}", "told people", *columns], lines)


def show_development(abouts: Sequence[str], over: str = "against") -> None:
    """Display what the log of attempts says of some, in points, a column for each pool of people.

    Args:
        abouts: Attempts, as `piumar_lib.development.ATTEMPTS` calls them.
        over: ``"against"`` for the difference over what an attempt has to beat, or ``"control"``.
    """
    from piumar_lib import development

    log = development.read_log()
    shown = {about: log[about] for about in abouts if about in log}
    people = [max((found.people for lines in shown.values()
                   if (found := development.outcome(lines, pool))), default=0)
              for pool in development.POOLS]  # fmt: skip
    header = [f"{pool} ({n} people)" for pool, n in zip(development.POOLS, people, strict=True)]
    show_table(["attempt", *header], development.rows(shown, over))


def show_hyperparameters() -> None:
    """Display each hyperparameter once: whose, default, values searched, source."""
    from piumar_lib.methods import AUGMENTATION, COMMON, METHODS

    every = {"all": COMMON, "augmented ones": AUGMENTATION} | {
        name: m.hyperparameters for name, m in METHODS.items() if not m.augmented and not m.like
    }
    lines = [
        [method, name, f"{h.default:g}", ", ".join(f"{v:g}" for v in h.values), h.source]
        for method, own in every.items()
        for name, h in own.items()
    ]
    show_table(["method", "hyperparameter", "default", "searched", "source"], lines)
