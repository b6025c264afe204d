"""The library's architecture: no circles, short chains, and who may import whom."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from house import (
    METHOD,
    count_lines,
    draw_graph,
    draw_rooms,
    find_chain,
    find_modules,
    find_taught,
    read_rule,
    report,
)

ROOT = Path(__file__).parents[1]


def test_no_circle_of_files_or_rooms_and_no_long_chain():
    TopologicalSorter(draw_rooms(ROOT)).prepare()
    assert len(find_chain(draw_graph(ROOT))) - 1 <= 9


def test_rooms_import_what_they_may():
    rule, rooms = read_rule(ROOT), draw_rooms(ROOT)
    assert rule.keys() == rooms.keys(), "CONTRIBUTING.md has a line for each folder"
    assert not {room: found - rule[room] for room, found in rooms.items() if found - rule[room]}
    assert not {room: unused for room, found in rooms.items() if (unused := rule[room] - found)}


def test_what_chapters_teach_is_small():
    modules, taught = find_modules(ROOT), find_taught(ROOT)
    assert "piumar_lib.transport" in taught
    assert sum(count_lines(modules[name]) for name in taught) <= 5000


def library(root, **files):
    (root / "piumar_lib" / "low").mkdir(parents=True)
    for name, text in {"__init__": "", "low/__init__": "", **files}.items():
        (root / "piumar_lib" / f"{name}.py").write_text(text)


def test_imports_are_found_wherever_they_are(tmp_path):
    library(tmp_path, **{
        "a": "from piumar_lib import b\ndef late():\n    from piumar_lib.low.c import thing",
        "b": "import piumar_lib.low.c", "low/c": "import math\nfrom piumar_lib import __version__",
    })  # fmt: skip
    graph = draw_graph(tmp_path)
    assert graph["piumar_lib.a"] == {"piumar_lib.b", "piumar_lib.low.c"}
    assert find_chain(graph) == ["piumar_lib.a", "piumar_lib.b", "piumar_lib.low.c"]
    assert draw_rooms(tmp_path) == {METHOD: {"low"}, "low": set()}


def test_a_circle_is_found_also_behind_a_late_import(tmp_path):
    library(tmp_path, a="from piumar_lib import b", b="def late():\n    from piumar_lib.a import x")
    with pytest.raises(CycleError):
        find_chain(draw_graph(tmp_path))


def test_the_report_has_every_number():
    said = "\n".join(report(ROOT))
    for number in ("lines: ", "longest chain: ", "median length", "annotated arguments: 100.0 %", "08 "):
        assert number in said
