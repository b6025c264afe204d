"""Which code of a cell is worth a slide, and where it can be cut: at its statements."""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode

from tools.blocks import CODE_WIDTH, wrapped

LONGEST_CODE = 14  # longer code is cut at its statements, or moves to the notes
QUIET = re.compile(r"(print|show|draw|display|plot|knob)")  # names of what only draws or prints


def is_quiet(cell: NotebookNode) -> bool:
    """Whether code only imports, prepares, prints or draws: it defines nothing and shows no result."""
    if re.search(r"^interact\(|plt\.subplots", cell.source, re.M):
        return True
    body = ast.parse(_plain(cell.source)).body
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    teaches = any(not QUIET.match(name) for name in defined)
    return not (teaches or cell.outputs) or all(_says_nothing(node) for node in body)


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.For | ast.With):
        return all(_says_nothing(inner) for inner in node.body)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return bool(QUIET.match(ast.unparse(node.value.func).rpartition(".")[2]))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Assert)


def cut_code(source: str) -> list[str]:
    """Cut code at its statements into parts that fit; none if a statement is too long.

    Imports are left out: they teach nothing on a slide, and are in the notebook.
    """
    lines = source.splitlines()
    body = ast.parse(_plain(source)).body
    starts = [_first_line(node) for node in body]
    pieces = []
    for node, begin, end in zip(body, starts, [*starts[1:], len(lines)], strict=True):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            piece = "\n".join(lines[begin:end]).strip("\n")
            pieces.append(f"\n{piece}" if isinstance(node, ast.FunctionDef | ast.ClassDef) else piece)
    parts: list[str] = []
    for piece in pieces:
        joined = f"{parts[-1]}\n{piece}" if parts else piece
        if parts and wrapped(joined.splitlines(), CODE_WIDTH) <= LONGEST_CODE:
            parts[-1] = joined
        else:
            parts.append(piece)
    parts = [part.strip("\n") for part in parts]
    fits = all(wrapped(part.splitlines(), CODE_WIDTH) <= LONGEST_CODE for part in parts)
    return parts if fits else []


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]) - 1


def _plain(source: str) -> str:
    """Code without Jupyter's own commands, which Python cannot parse."""
    return re.sub(r"^\s*[%!].*$", "", source, flags=re.M)
