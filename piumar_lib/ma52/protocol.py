"""Provenance of scores, in every table and record: people, selection of settings, number of epochs.

A score on people who are also in training is no estimate for unseen ones. A score with settings that
were chosen on the same people is optimistic, because the best of many is partly due to chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from piumar_lib.ma52.prepare.lists import NAMED
from piumar_lib.ma52.prepare.splits import read_split
from piumar_lib.support.files import as_path, read_json

RECORD = "record.json"
RECORD_KEYS = (
    "method", "data", "split", "selection", "held out", "steps", "seconds", "config", "command",
    "commit", "versions", "device",
)  # fmt: skip
# May change when a run is resumed. The split may move, but must hold the same clips.
FREE = ("out", "cache", "poses", "index", "split", "chosen_on", "workers", "save_minutes")


class Protocol(NamedTuple):
    """Provenance of the scores of a run, or of several.

    Attributes:
        kind: Kind of the split: ``"person-disjoint"``, ``"official"`` and so on.
        people: Number of people evaluated; None of several runs.
        shared: Number of evaluated people who are trained on, too.
        rules: State of a training that is evaluated.
        epochs: Number of epochs after which a training is evaluated.
        views: Temporal views of a clip.
        chosen_on: Number of evaluated people on whom the settings were chosen.
    """

    kind: str
    people: int | None
    shared: int
    rules: tuple[str, ...]
    epochs: tuple[int, ...]
    views: tuple[int, ...]
    chosen_on: int = 0

    def __str__(self) -> str:
        epochs, views = ("/".join(map(str, values)) for values in (self.epochs, self.views))
        many = "" if self.views == (1,) else "s"
        of = "" if self.people is None else f" of {self.people}"
        leak = ": not scores of unseen people" if self.shared else ""
        said = (
            f"{self.kind}, people shared with training: {self.shared}{of}{leak}; {'/'.join(self.rules)} "
            f"({epochs}), {views} view{many} of a clip"
        )
        if self.chosen_on:
            said += f"; OPTIMISTIC: settings were chosen on {self.chosen_on} of these people"
        return said


def describe_split(title: str, train: Iterable[str], held_out: Iterable[str]) -> dict[str, Any]:
    """Entries of a record about a split, from its title and the people on both sides."""
    train, held_out = set(train), set(held_out)
    return {
        "kind": kind_of(title),
        "title": title,
        "people trained on": len(train),
        "people held out": len(held_out),
        "shared people": len(train & held_out),
    }


def describe_selection(
    held_out: Iterable[str], epochs: int, views: int, averaged: bool, chosen_on: str | Path = ""
) -> dict[str, Any]:
    """Entries of a record about the selection of the evaluated state and its settings.

    The state after the last of ``epochs`` is evaluated on the people ``held_out``, with so many temporal
    views of a clip, and averaged weights or not. ``chosen_on`` is the file of the split on whose
    held-out people settings were chosen; "" for none.

    Raises:
        FileNotFoundError, ValueError: If ``chosen_on`` is no split.
    """
    rule = "last epoch, averaged weights" if averaged else "last epoch"
    return {"rule": rule, "epoch": epochs, "views": views} | _describe_choice(held_out, chosen_on)


def _describe_choice(held_out: Iterable[str], chosen_on: str | Path) -> dict[str, Any]:
    """The split on which settings were chosen, and how many of ``held_out`` it held out as well."""
    if not chosen_on:
        return {"settings chosen on": "", "people chosen on": 0}
    other = read_split(chosen_on)
    people = {found["person"] for name in other.held_out if (found := NAMED.fullmatch(name))}
    return {"settings chosen on": other.title, "people chosen on": len(set(held_out) & people)}


def kind_of(title: str) -> str:
    """The kind of a split, by its title: all of its folds together."""
    return title.partition(", fold")[0]


def protocol_of(record: Mapping[str, Any]) -> Protocol:
    """Provenance of a record's scores."""
    split, chosen = record["split"], record["selection"]
    return Protocol(
        split["kind"],
        split["people held out"],
        split["shared people"],
        (chosen["rule"],),
        (chosen["epoch"],),
        (chosen["views"],),
        chosen["people chosen on"],
    )


def merge(protocols: Iterable[Protocol]) -> Protocol:
    """The protocol of several runs on one kind of split; numbers of people are the worst fold's."""
    found = list(protocols)
    return Protocol(
        found[0].kind,
        None,
        max(one.shared for one in found),
        tuple(sorted({rule for one in found for rule in one.rules})),
        tuple(sorted({epoch for one in found for epoch in one.epochs})),
        tuple(sorted({views for one in found for views in one.views})),
        max(one.chosen_on for one in found),
    )


def read_record(folder: str | Path) -> dict[str, Any]:
    """The record of a finished run, as `piumar_lib.ma52.train.train` returns it.

    Raises:
        FileNotFoundError: If the folder holds no finished run.
        ValueError: If its record is damaged, or of an earlier version of the course.
    """
    path = as_path(folder) / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no finished run. Let its training end first.")
    remedy = "Delete it; the same training command then writes it again."
    return read_json(path, remedy, RECORD_KEYS)


def find_other_runs(folder: str | Path) -> list[Path]:
    """Finished runs in the same folder with the same method and split, but other settings.

    Picking the best of them would choose settings on the evaluated people. Runs that differ only in
    their seed are left out.
    """
    folder = as_path(folder).absolute()
    own = read_json(folder / RECORD)
    beside = sorted(path.parent for path in folder.parent.glob(f"*/{RECORD}"))
    return [other for other in beside if other != folder and _has_other_settings(other, own)]


def _has_other_settings(folder: Path, own: Mapping[str, Any]) -> bool:
    try:
        other = read_json(folder / RECORD)
    except ValueError:  # a damaged neighbour is left to its own report
        return False
    same = all(other.get(name) == own.get(name) for name in ("method", "data"))
    return same and count_settings([other, own]) > 1


def count_settings(records: Iterable[Mapping[str, Any]]) -> int:
    """Number of different settings of records, except for the seed and settings that may differ.

    Settings that one of them lacks, being of an earlier version, do not count.
    """
    configs = [record["config"] for record in records]
    names = sorted(set.intersection(*map(set, configs)) - {*FREE, "seed"})
    return len({json.dumps([config[name] for name in names], sort_keys=True) for config in configs})


def mark_chosen(record: Mapping[str, Any], chosen_on: str | Path | None) -> dict[str, Any]:
    """A record with the people on whom its settings were chosen; unchanged without ``chosen_on``.

    Raises:
        FileNotFoundError, ValueError: If ``chosen_on`` is no split.
    """
    if not chosen_on:
        return dict(record)
    choice = _describe_choice(record["held out"]["people"], chosen_on)
    return {**record, "selection": record["selection"] | choice}
