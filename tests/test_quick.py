"""The quick tests are those of the files that are named, and cover every main subject."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from quick_files import QUICK, mark_quick

TESTS = Path(__file__).parent
SUBJECTS = (
    "transport", "spectrum", "alignment", "perturbation", "fusion", "temporal_frequency",  # TFAM
    "dro", "pseudo_groups", "group_robust",  # GIRL
    "data", "recognizer", "training", "baselines",
    "metrics", "statistics", "contrasts", "ma52", "notebook",
)  # fmt: skip


def test_every_named_file_is_there_once():
    assert len(set(QUICK)) == len(QUICK)
    assert not [name for name in QUICK if not (TESTS / f"{name}.py").is_file()]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_main_subject_is_tested_by_some(subject):
    named = re.compile(rf"^from piumar_lib[\w.]*(\.{subject}\b| import .*\b{subject}\b)", re.MULTILINE)
    assert any(named.search((TESTS / f"{name}.py").read_text()) for name in QUICK)


def stand_in(name: str) -> SimpleNamespace:
    marks = []
    return SimpleNamespace(path=TESTS / f"{name}.py", add_marker=marks.append, marks=marks)


def test_tests_of_named_files_are_marked_and_no_others(request):
    assert request.node.get_closest_marker("quick"), "conftest.py does not mark"
    named, other = stand_in("test_transport"), stand_in("test_browser_book")
    mark_quick([named, other])
    assert [mark.name for mark in named.marks] == ["quick"] and not other.marks
