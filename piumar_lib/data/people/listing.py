"""The catalogue on a terminal: a table of all data sets, and the card of one before its download."""

from __future__ import annotations

from collections.abc import Iterable

from piumar_lib.data.people.catalog import PeopleSet

HEAD = ("name", "people", "classes", "clips", "download", "licence")


def table(sets: Iterable[PeopleSet]) -> str:
    """One line per data set: name, people, classes, clips, download, licence."""
    rows = [HEAD, *((s.name, s.people, s.classes, s.clips, s.size, s.license) for s in sets)]
    lines = (f"{a:<17} {b:>6} {c:>7} {d:>6}  {e:<15}  {f}" for a, b, c, d, e, f in rows)
    return "\n".join(lines)


def card(people_set: PeopleSet, address: str) -> str:
    """The facts that a reader should know before files are downloaded from ``address``."""
    s = people_set
    lines = {
        "holds": f"{s.people} people, {s.classes} classes, {s.clips} clips at {s.rate:g} Hz",
        "modality": s.modality,
        "clips": s.clips_are,
        "beware": s.traps,
        "licence": s.license,
        "cite": s.citation,
        "page": s.page,
        "source": address,
        "download": s.size,
    }
    facts = (f"  {key + ':':<10}{value}" for key, value in lines.items())
    return "\n".join((f"{s.title} ({s.name})", *facts))
