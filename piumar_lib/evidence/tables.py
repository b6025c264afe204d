"""Tables of evidence for chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from piumar_lib.data.people.catalog import NAMES
from piumar_lib.evidence import contrasts, protocol
from piumar_lib.evidence.contrasts import Result
from piumar_lib.evidence.methods import METHODS
from piumar_lib.evidence.records import STUDY
from piumar_lib.evidence.wording import points
from piumar_lib.notebook.figure import show_table


def show_contrasts(results: Sequence[Result]) -> None:
    """Display the planned contrasts, in points."""
    rows = contrasts.table(results)
    show_table([*rows[0]], [[*row.values()] for row in rows])


def show_methods(
    form: str,
    reference: str,
    methods: Sequence[str] = (*protocol.PLANNED, *protocol.OTHERS),
    folder: Path = STUDY,
) -> None:
    """Display gains of methods over a reference, in points, on three kinds of people.

    An asterisk marks methods that use person labels of the training clips. Methods without records are
    left out; synthetic clips have only one form.
    """
    columns = {"synthetic": ("synthetic",), "SPAR": ("spar",), "eight other sets": NAMES}
    records = {column: contrasts.read(sets, form, folder) for column, sets in columns.items()}

    def cell(method: str, own: Mapping[str, list[dict]]) -> str:
        # A method that is not yet evaluated on all people is left out.
        whole = all(_people(of_set, method) == _people(of_set, reference) for of_set in own.values())
        return points(contrasts.compare(own, method, reference)) if whole else ""

    lines = []
    for name in methods:
        cells = [cell(name, own) for own in records.values()]
        if name != reference and any(cells):
            lines.append([name + " *" * METHODS[name].uses_person_labels, *cells])
    show_table([f"gain over {reference} at {form} [points]", *columns], lines)


PARTS = {  # the reference of each component of the method
    "augmentation": ("augmentation", "ERM"),
    "TFAM on top of it": ("TFAM + augmentation", "augmentation"),
    "GIRL on top of TFAM": ("PIUmr + augmentation", "TFAM + augmentation"),
}


def show_networks(form: str = "own tempo", folder: Path = STUDY) -> None:
    """Display accuracies of other networks, and the gains of the method's components, in points.

    Only the first seed is used, and only data sets on which every method was evaluated on all people.
    """
    lines, ends = [], ("ERM", [*PARTS.values()][-1][0])  # without any component, with all of them
    for network, model in protocol.NETWORKS.items():
        if own := _first_seed(form, folder, model):
            means = (np.mean([_mean(records, method) for records in own.values()]) for method in ends)
            cells = [points(contrasts.compare(own, *pair)) for pair in PARTS.values()]
            lines.append([network, len(own), *(100 * mean for mean in means), *cells])
    gains = (f"{part} [points]" for part in PARTS)
    show_table(["network", "data sets", *(f"{method}, mean [%]" for method in ends), *gains], lines)


def _mean(records: Sequence[dict], method: str) -> float:
    """Mean accuracy over people."""
    return float(np.mean([*contrasts.scores(records, method).values()]))


def _first_seed(form: str, folder: Path, model: Mapping[str, str | int]) -> dict[str, list[dict]]:
    """A network's records with the first seed, of data sets with every method and all people."""
    found = {}
    methods = {method for pair in PARTS.values() for method in pair}
    for name in protocol.REAL:
        data = protocol.data_of(name, form)
        try:
            everybody = _people(protocol.committed(data, folder), "augmentation")
            records = [r for r in protocol.committed(data, folder, model) if r["seed"] == 0]
        except FileNotFoundError:
            continue
        if all(_people(records, method) == everybody for method in methods):
            found[name] = records
    return found


def _people(records: Sequence[dict], method: str) -> set[str]:
    """The people on whom a method was evaluated."""
    return {person for r in records if r["method"] == method for person in r["people"]}
