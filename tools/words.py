"""Prose inside code: docstrings, comments, and texts that are printed, raised, drawn or shown as help.

Names are not prose: identifiers, keys of dictionaries, operands of comparisons, and every string that is
a key of some dictionary, such as the name of a method.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("piumar_lib", "tools", "book", "data_scripts")
# A string of one word is prose if it has this keyword, or is an argument of this function.
KEYWORDS = {"alt", "description", "epilog", "help", "label", "title", "xlabel", "ylabel", "zlabel"}
FUNCTIONS = {"annotate", "print", "set_title", "set_xlabel", "set_ylabel", "suptitle", "text", "title"}


def list_code(root: Path) -> list[Path]:
    """The Python files whose docstrings, comments and messages are searched."""
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))


def flatten(source: str) -> str:
    """A file on one line, without quotes and signs of comments, for a quick first search."""
    return re.sub(r"""(?:[\s"'#]|\bf(?=["']))+""", " ", source)


def names_in(source: str) -> set[str]:
    """Strings that are keys of a dictionary in a file."""
    tree = ast.parse(source)
    keys = (key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys)
    return {text for key in keys if key is not None for text in _strings(key)}


def find_prose(source: str, names: set[str], comments: bool = True) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and other prose of a file, each on one line, with its line number.

    Args:
        source: Text of a Python file.
        names: Strings that are names, see `names_in`.
        comments: Whether to include comments; in a chapter they are the cells of prose.
    """
    if comments:
        yield from _comments(source)
    tree = ast.parse(source)
    shown, keys = set[ast.AST](), set[ast.AST]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            shown.update(node.args if called in FUNCTIONS else [])
            shown.update(k.value for k in node.keywords if k.arg in KEYWORDS)
        elif isinstance(node, ast.JoinedStr):
            keys.update(part for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Subscript):
            keys.add(node.slice)
        elif isinstance(node, ast.Compare):
            keys.update(ast.walk(node))
    for node in ast.walk(tree):
        if node not in keys and isinstance(node, ast.Constant | ast.JoinedStr):
            for text in _strings(node):
                words = text.split()
                if text not in names and (len(words) > 1 or node in shown):
                    yield node.lineno, " ".join(words)


def _strings(node: ast.AST) -> Iterator[str]:
    """The text of a string; fields of an f-string become braces."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments; those on consecutive lines are one text, with the number of its first line."""
    first, last, text = 0, -1, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            if text and row > last + 1:
                yield first, text
                text = ""
            first = first if text else row
            last, text = row, f"{text} {token.string.lstrip('# ')}".strip()
    if text:
        yield first, text
