"""Command line of the course: ``python -m tools --help``."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from piumar_lib.command import at_least, command_line, path
from piumar_lib.course.profile import PROFILES


@command_line
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    arguments = _parser().parse_args(argv)
    from tools.chapters import find_root

    root = arguments.root.resolve() if arguments.root else find_root()
    return arguments.command(root, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    parser.add_argument("--root", type=path, help="repository root (default: found from here)")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Any, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(command=command)
        return sub

    run = add("run", _run, "execute chapters into build/notebooks/ and report time and memory")
    run.add_argument("--profile", choices=PROFILES, default="quick")
    run.add_argument("--only", nargs="+", metavar="NN", help="numbers of the chapters to run")
    run.add_argument("--record", action="store_true", help="keep the measurements for README.md")
    run.add_argument("--timeout", type=at_least(1), help="limit for one cell, in seconds")

    add("notebooks", _notebooks, "convert chapters, unexecuted, to build/notebooks/")

    pairs = add("pairs", _pairs, "execute chapters into the committed notebooks/*.ipynb")
    pairs.add_argument("--only", nargs="+", metavar="NN", help="numbers of the chapters")
    pairs.add_argument("--check", action="store_true", help="only check the pairs that are there")
    pairs.add_argument("--profile", choices=PROFILES, default="full")

    add("book", _book, "build the HTML book in build/book/")

    records = add("records", _records, "write the page of the study's records as Markdown")
    records.add_argument("--out", type=path, required=True, metavar="FILE")

    for name, words in (
        ("student", "write notebooks without solutions to build/student/"),
        ("solutions", "write notebooks with every exercise solved to build/solutions/"),
        ("slides", "build lecture slides in build/slides/ from executed notebooks"),
    ):
        made = add(name, _slides if name == "slides" else _edition, words)
        made.add_argument("--only", nargs="+", metavar="NN", help="numbers of the chapters")
        made.set_defaults(edition=name)

    readme = add("readme", _readme, "refresh the chapter table of README.md")
    readme.add_argument("--check", action="store_true", help="only say whether it is current")

    mill = add("papermill", _papermill, "execute one chapter with parameters of your own")
    mill.add_argument("chapter", help="number or name, such as 05")
    mill.add_argument("output", type=path, help="where the executed notebook goes")
    mill.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    # argparse takes -1 for a number, but -1e-3 for an option (python/cpython#105712).
    mill._negative_number_matcher = re.compile(r"-\.?\d")
    return parser


def _run(root: Path, arguments: argparse.Namespace) -> int:
    from tools.run import run_chapters

    a = arguments
    outcomes = run_chapters(root, a.profile, a.only, a.record, a.timeout)
    return int(any(outcome.error for outcome in outcomes))


def _notebooks(root: Path, arguments: argparse.Namespace) -> None:
    from tools.run import write_notebooks

    print(f"{len(write_notebooks(root))} notebooks in {root / 'build' / 'notebooks'}")


def _pairs(root: Path, arguments: argparse.Namespace) -> None:
    from tools.chapters import list_chapters
    from tools.pairs import check_pair, make_pairs

    if not arguments.check:
        make_pairs(root, arguments.only, arguments.profile)
        return
    for chapter in list_chapters(root, arguments.only):
        check_pair(chapter)


def _book(root: Path, arguments: argparse.Namespace) -> None:
    from tools.book import build_book

    print(f"The book is at {build_book(root).as_uri()}")


def _records(root: Path, arguments: argparse.Namespace) -> None:
    from piumar_lib.files import write_text
    from tools.records import records_page

    write_text(arguments.out, records_page(root))
    print(f"records: {arguments.out}")


def _edition(root: Path, arguments: argparse.Namespace) -> None:
    from tools.editions import write_edition

    written = write_edition(root, arguments.edition, arguments.only)
    print(f"{len(written)} notebooks in {written[0].parent}")


def _slides(root: Path, arguments: argparse.Namespace) -> None:
    from tools.slides import build_slides

    print(f"The slides are at {build_slides(root, arguments.only).as_uri()}")


def _readme(root: Path, arguments: argparse.Namespace) -> int:
    from tools.readme import update_readme

    changed = update_readme(root, check=arguments.check)
    if arguments.check and changed:
        print("README.md: the chapter table is not current. Run: make readme", file=sys.stderr)
    return int(arguments.check and changed)


def _papermill(root: Path, arguments: argparse.Namespace) -> None:
    from tools.run import run_papermill

    parameters = {name: _value(text) for name, text in arguments.p}
    run_papermill(root, arguments.chapter, arguments.output, parameters)


def _value(text: str) -> Any:
    """Read a literal as Python does; anything else is a string, as a shell user expects."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
