"""What chapters hold is counted as a reader would count it."""

from __future__ import annotations

import re

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from test_course import put_executed, write_chapter

from tools import counts
from tools.__main__ import main
from tools.counts import BANNED, Size, count, find_banned, find_missing_terms, find_uncited

CELL = """
print("a")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two words
#
# Here are five more words, `not these two` and not $x + y$.
#
# | | |
# |---|---|
# | facts | 1 |

# %% [markdown] slideshow={"slide_type": "subslide"}
# | a | b |
# |---|---|
# | one | 2 and -3.5 |

# %% [markdown]
# ## Paper ledger
#
# | a | 4 |
# |---|---|
"""
SHOWN = "| c | d |\n| --- | --- |\n| 1.5 | 2,000 |"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    path = write_chapter(tmp_path, "01_first", CELL)
    shown = {"output_type": "display_data", "data": {"text/markdown": SHOWN}, "metadata": {}}
    put_executed(tmp_path, path, outputs=[shown])
    return tmp_path


def test_a_chapter_is_counted(root):
    path = root / "notebooks" / "01_first.py"
    found = counts.measure(path, path.with_suffix(".ipynb"))
    assert (found.tables, found.numbers, found.slides, found.figures) == (2, 4, 2, 0)
    assert found.lines == len(path.read_text().splitlines())
    assert found.cells == path.read_text().count("# %%") and found.code == found.cells - 4


def test_the_command_says_what_is_too_much(root, capsys, monkeypatch):
    monkeypatch.setattr(counts, "CELLS", 1)
    monkeypatch.setattr(counts, "LIMITS", {"slides": 1, "tables": 2})
    monkeypatch.setattr(counts, "TERMS", ("five more words", "DTW"))
    (root / "README.md").write_text("Turn `a knob`, or a dearer [knob](knob.md).\n")
    assert main(["--root", str(root), "counts"]) == 0
    assert "| 01_first |" in (shown := capsys.readouterr().out) and "at most 1" in shown
    assert main(["--root", str(root), "counts", "--check"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"01_first: \d cells\. At most 1", said)
    assert "all chapters: 2 slides, at most 1" in said and "tables, at most" not in said
    assert "the term 'DTW' never occurs" in said and "five more" not in said and "|" not in said
    assert said.count("README.md: ") == 2 and "README.md: 'dearer': say more expensive" in said
    assert main(["--root", str(root), "counts", "--check", "--only", "01"]) == 1
    assert "all chapters" not in (said := capsys.readouterr().out) and "README" not in said
    monkeypatch.setattr(counts, "CELLS", 90)
    assert main(["--root", str(root), "counts", "--check", "--only", "01"]) == 0


@pytest.mark.parametrize("text", ["Move a knob.", "STRANGERS", "the cheapest\nplan", "mean squared way"])
def test_private_words_are_found(text):
    (found,) = find_banned(" ".join(text.split()))
    assert ": say " in found


def test_code_and_formulas_may_say_what_they_like():
    assert find_banned("`knob` and $rival$ and [a](rival.md) and knobbly") == []
    for pattern in BANNED:
        re.compile(pattern)


def test_terms_are_found_across_lines_and_in_any_case():
    assert find_missing_terms(["Arc\nlength, dtw", " ".join(counts.TERMS[2:])]) == ["cross-validation"]


def test_a_reference_has_to_be_cited():
    listed = "1. A. *First.* 2020.\n2. B. *Second\n   one.* 2021.\n"
    prose = f"As in [[1](#references)].\n\n## References\n\n{listed}"
    notebook = new_notebook(cells=[new_markdown_cell(prose)])
    assert find_uncited(notebook) == ["Second one"]


def test_sizes_add_up(root):
    table, _ = count(root)
    header, _, first, total = table.splitlines()
    assert header.count("|") == len(Size._fields) + 2
    assert first.split("|")[2:] == total.split("|")[2:]


CODE = '''
"""A knob, `rival`."""
x = {"a knob": 1}  # cheapest
# plan

def f(rival, rivals="crease"):
    """A bowl, on
    two lines: the cheapest
    plan."""
    if rival == "a dearer rival":
        raise ValueError(f"{rival}: the cheapest "
                         f"plan of {x['a crease']}")
    ax.plot(x, y, label="crease")
    parser.add_argument("--knob", help="knob")
    print("rival", "a knob")
'''


def found_in_code(root):
    return [problem.partition(": say")[0] for problem in counts.search_code(root, [])]


def test_docstrings_comments_and_messages_are_searched_but_not_names(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "a.py").write_text(CODE)
    assert sorted(found_in_code(tmp_path)) == [
        "tools/a.py:11: 'cheapest plan'",  # a message of two parts
        "tools/a.py:13: 'crease'",  # a label of one word
        "tools/a.py:14: 'knob'",
        "tools/a.py:15: 'rival'",  # but not "a knob", which is a key of a dictionary
        "tools/a.py:2: 'knob'",
        "tools/a.py:3: 'cheapest plan'",  # a comment of two lines
        "tools/a.py:7: 'bowl'",
        "tools/a.py:7: 'cheapest plan'",
    ]


def test_a_name_of_another_file_is_no_word(tmp_path):
    for folder, text in {
        "book": "f('a rival, by lot')",
        "data_scripts": "x = {'a rival, by lot': 1}",
    }.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text(text)
    assert found_in_code(tmp_path) == []
    (tmp_path / "data_scripts" / "a.py").unlink()
    assert found_in_code(tmp_path) == ["book/a.py:1: 'rival'", "book/a.py:1: 'by lot'"]


def test_code_of_chapters_is_searched_as_well(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    cell = '\nprint("a dearer one")\n\n# %% [markdown]\n# Prose of `code`.\n'
    path = write_chapter(tmp_path, "01_first", cell)
    put_executed(tmp_path, path)
    _, problems = count(tmp_path, ["01"])
    (found,) = [problem for problem in problems if "dearer" in problem]
    assert re.fullmatch(r"notebooks/01_first\.py:\d+: 'dearer': say more expensive", found)
