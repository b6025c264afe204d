"""The letters of chapter 00's table mean the same in every chapter."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from test_claims import prose

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("[01]*.py"))
NAMES = {
    "frames": "T", "channels": "C", "canonical steps": "K", "classes": "Y y", "actions": "Y",
    "groups": "G", "coefficients": "J", "clusters": "Q", "features": "h", "means": r"\mu",
    "deviations": r"\sigma", "momentum": r"\kappa", "radius": r"\rho", "threshold": r"\eta",
    "floor": r"\phi", "style": r"\psi", "noise level": r"\nu", "log gain": r"\gamma",
    "regulariser": r"\Omega",
}  # fmt: skip
LETTER = r"\$(\\?[A-Za-z]+)(?:'+|_\w|_\{\w+\})?(?: = [\d./]+)?\$"


def table() -> list[str]:
    text = (NOTEBOOKS / "00_start_here.py").read_text()
    rows = re.findall(r"^# \| (\$.+) \|$", text, re.M)
    return [cell for row in rows for cell in row.split(" | ")[::2]]


def renamed(text: str) -> list[str]:
    """Letters that stand beside the name of another letter's meaning, each with its words."""
    found = []
    for name, letters in NAMES.items():
        for pattern in (rf"{LETTER} {name}\b", rf"\b{name} {LETTER}"):
            found += [m[0] for m in re.finditer(pattern, text) if m[1] not in letters.split()]
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_keeps_the_letters_of_the_table(path):
    assert not renamed(prose(path))


@pytest.mark.parametrize("text", ["With $K$ classes", "momentum $\\mu = 0.9$", "of means $m$"])
def test_another_letter_is_found(text):
    assert renamed(text)


def test_no_letter_of_the_table_has_two_meanings():
    letters = [letter for cell in table() for letter in re.findall(r"\$([^$]+)\$", cell)]
    assert len(letters) > 30
    assert not [letter for letter, times in Counter(letters).items() if times > 1]


def test_a_letter_has_one_shape():
    formulas = " ".join(re.findall(r"\$\$.+?\$\$|\$[^$]+\$", " ".join(map(prose, CHAPTERS))))
    # No second epsilon beside \varepsilon; \sigma is a standard deviation, not the logistic function.
    assert not re.findall(r"\\epsilon|\\sigma ?(?:\\[Bb]ig+l? ?)?\(", formulas)
