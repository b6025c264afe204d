"""Numbers that a chapter's prose quotes from its own outputs are those of the committed run.

For each chapter a list of pairs: a fragment of the prose that holds measured numbers and no others,
and a regular expression whose groups are these numbers, in any order, in the outputs of the executed
notebook (printed lines, tables, alternative texts of figures).
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from test_claims import prose

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])")
Quotes = list[tuple[str, str]]
QUOTES: dict[str, Quotes] = {
    "02_optimal_transport": [
        ("No assignment is better (0 of", r"(\d+) are better"),
        ("the least mean squared distance, 2.12; the largest is 6.21", r"from (\S+) to (\S+); sorting"),
        ("the area between the curves, 0.40, is", r"the area between them is ([\d.]+),"),
        (
            "the plain form has 0 % finite entries at $\\varepsilon = 0.001$, the log form 100 %",
            r"at epsilon (\S+), plain and log form: (\d+) % (\d+) %",
        ),
        (
            "0.198 at $\\varepsilon = 1$ to 0.174 at 0.01; the exact plan costs 0.170.",
            r"Costs: (1): (\S+), .* (0.01): (\S+), .* exact ([\d.]+)\.",
        ),
        (
            ": 6 at $\\varepsilon = 0.1$, 51 at 0.01, 508 at 0.001.",
            r"1e-6: (0.1): (\d+), .* (0.01): (\d+), .* (0.001): (\d+)\.",
        ),
        (
            "its error is 0.23 s, against 0.05 s for pose + order and 0.01 s for DTW",
            r" pose (\S+) s, pose \+ order (\S+) s, DTW (\S+) s",
        ),
        ("The monotone coupling reaches 0.06 s", r"monotone (\S+) s"),
        ("the cumulative sums, here 0.40.", r"the area between them is ([\d.]+),"),
        (
            "after 6 iterations at $\\varepsilon = 0.1$, and after 508 at 0.001.",
            r"1e-6: (0.1): (\d+), .* (0.001): (\d+)\.",
        ),
        (
            "0.01 s and the monotone coupling by 0.06 s; entropic transport by pose alone errs by "
            "0.23 s",
            r"monotone (\S+) s, pose (\S+) s, .* DTW (\S+) s",
        ),
    ],
    "13_appendix_transport": [
        ("whose areas are 0.53 π and 0.37 π", r"the ends have (\S+) pi and (\S+) pi"),
        ("reaches 0.64 π, the averaged covariance 0.86 π", r"area (\S+) pi and .* covariance (\S+) pi;"),
        ("With 500 directions the estimate is 12.71", r"(500) directions: (\S+)"),
        (
            "it is 0.00 between the ring and the cloud, where the sliced distance is 0.10",
            r"ring, Gaussian (\S+) and (\S+);",
        ),
        ("both are 0.00 for the reversal", r"reversal (\S+) and"),
        ("area 0.64 π, the averaged covariance 0.86 π", r"area (\S+) pi and .* covariance (\S+) pi;"),
        ("500 random directions give 12.71", r"(500) directions: (\S+)"),
        (
            "gives 0.00 for a ring and a cloud, the sliced one 0.10",
            r"ring, Gaussian (\S+) and (\S+);",
        ),
        ("both give 0.00 for a clip and its reversal", r"reversal \S+ and ([\d.]+\d)"),
    ],
}


def outputs(path: Path) -> str:
    """Everything that an executed notebook printed or showed, as text."""
    found = []
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found.append(output.get("text", "") + data.get("text/markdown", ""))
            found.append(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
    return "\n".join(found)


def problem(text: str, printed: str, fragment: str, pattern: str) -> str | None:
    """What is wrong with one quotation, in a sentence; None if it is right."""
    if fragment not in text:
        return f"{fragment!r} is not in the prose"
    match = re.search(pattern, printed)
    if not match:
        return f"{fragment!r}: no output matches {pattern!r}"
    if sorted(map(float, match.groups())) != sorted(map(float, NUMBER.findall(fragment))):
        return f"{fragment!r}: the committed run printed {match.groups()}"
    return None


ALL = [(stem, *quote) for stem, quotes in QUOTES.items() for quote in quotes]


@pytest.mark.parametrize("stem, fragment, pattern", ALL, ids=[f"{q[0][:2]}: {q[1]}" for q in ALL])
def test_a_number_in_prose_is_what_the_committed_run_printed(stem, fragment, pattern):
    path = ROOT / "notebooks" / f"{stem}.py"
    assert problem(prose(path), outputs(path.with_suffix(".ipynb")), fragment, pattern) is None


SAID, PRINTED = "It falls from 0.70 to -3 % here.", "risk 0.70, change -3 %"


@pytest.mark.parametrize(
    ("fragment", "pattern", "reason"),
    [
        ("from 0.70 to -3 %", r"risk (\S+), change (\S+)", None),
        ("from 0.7 to -3 %", r"risk (\S+), change (\S+)", "not in the prose"),
        ("from 0.70 to -3 %", r"gain (\S+)", "no output matches"),
        ("from 0.70 to -3 %", r"risk (\S+),", "the committed run printed"),
        ("to -3 %", r"risk (\S+),", "the committed run printed"),
    ],
)
def test_a_wrong_quotation_is_found(fragment, pattern, reason):
    found = problem(SAID, PRINTED, fragment, pattern)
    assert found is None if reason is None else reason in found


def test_outputs_are_printed_lines_tables_and_alternative_texts(tmp_path):
    v4 = nbformat.v4
    shown = v4.new_output("display_data", {"image/png": ""}, metadata={"image/png": {"alt": "a curve"}})
    table = v4.new_output("display_data", {"text/markdown": "| 1 |"})
    cell = v4.new_code_cell(outputs=[v4.new_output("stream", text="said"), shown, table])
    nbformat.write(v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    assert all(part in outputs(tmp_path / "a.ipynb") for part in ("said", "a curve", "| 1 |"))
