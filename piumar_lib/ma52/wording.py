"""Records of runs as text, each score beside that of a constant answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from piumar_lib import metrics
from piumar_lib.ma52.protocol import protocol_of
from piumar_lib.ma52.scores import majority_over_people

if TYPE_CHECKING:
    from pathlib import Path

MOST = 5  # actions that are named of those never predicted


def say(record: Mapping[str, Any]) -> str:
    """A record in a few lines."""
    found = record["held out"]
    people = metrics.summarize([c / n for c, n in found["people"].values()])
    pairs = "; ".join(f"{a} as {b} ({n})" for a, b, n in found["hardest pairs"][:3]) or "none"
    return "\n".join([
        f"{record['method']} on {record['data']}, {record['device']}: {record['steps']} steps",
        str(protocol_of(record)),
        f"official scores, %: {_say_scores(found)}",
        _say_constant(found),
        f"over {people.people} people: {100 * people.mean:.1f} % "
        f"{metrics.interval(people.low, people.high)}, worst quarter {100 * people.worst_quarter:.1f}, "
        f"worst {100 * people.worst:.1f}; always {found['majority']['action']!r}: "
        f"{100 * majority_over_people([found]):.1f} %",
        _say_never(found),
        f"most frequent confusions: {pairs}; calibration error {found['calibration error']:.3f}",
    ])  # fmt: skip


def _say_scores(found: Mapping[str, Any]) -> str:
    """Official scores, each with that of the constant answer in brackets."""
    beside = found["majority"]["scores"]
    return ", ".join(
        f"{name} {100 * value:.2f}" + (f" ({100 * beside[name]:.2f})" if name in beside else "")
        for name, value in found["scores"].items()
    )


def _say_constant(found: Mapping[str, Any]) -> str:
    constant, best = found["majority"], found["best constant"]
    answers = f"{constant['action']!r} and {constant['body part']!r}"
    said = f"in brackets: always {answers}, the most frequent of the training clips"
    if best["action"] == constant["action"]:
        return said
    top = 100 * best["scores"]["action top-1"]
    return f"{said}; the best constant action would be {best['action']!r}, {top:.2f}"


def _say_never(found: Mapping[str, Any]) -> str:
    missed, clips = found["never predicted"], found["clips"]
    if not missed:
        return "never predicted: none of the actions that are shown"
    named = "; ".join(
        f"{action} ({_count(n, 'clip')} of {people} {'person' if people == 1 else 'people'})"
        for action, n, people in missed[:MOST]
    )
    more = f"; and {len(missed) - MOST} more" if len(missed) > MOST else ""
    lost = sum(n for _, n, _ in missed)
    said = f"{_count(len(missed), 'action')}, {lost} of {_count(clips, 'clip')}"
    return f"never predicted: {said}: {named}{more}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def say_other_runs(others: Iterable[Path]) -> str:
    """That a run may have been picked among others; "" if there are none."""
    names = [path.name for path in others]
    if not names:
        return ""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    runs = "1 run" if len(names) == 1 else f"{len(names)} runs"
    return (
        f"OPTIMISTIC if this run was chosen for its scores: beside it, {runs} of this method with other "
        f"settings on the same split ({', '.join(names[:MOST])}{more})"
    )
