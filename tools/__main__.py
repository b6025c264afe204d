"""Runs and publishes the chapters: ``python -m tools --help``."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from piumar_lib.notebook.profile import PROFILES
from piumar_lib.support.command import Parser, at_least, command_line, path

Tell = Callable[[Any], int | None]


@command_line
def main(argv: Sequence[str] | None = None) -> int | None:
    """Run one command and return the exit code."""
    from tools.chapters import find_root

    given = vars(_parser().parse_args(argv))
    root, place, tell = (given.pop(name) for name in ("root", "place", "tell"))
    function = resolve_name(f"tools.{place}")  # imported only now, as most take seconds
    return tell(function(root.resolve() if root else find_root(), **given))


def _parser() -> ArgumentParser:
    parser = Parser(prog="python -m tools", description=__doc__)
    parser.add_argument("--root", type=path, help="repository root (default: found from here)")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, words: str, place: str, tell: Tell = _exit, only: bool = False) -> ArgumentParser:
        """Add a command: the function of `tools` that gets its options, and what tells the result."""
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(place=place, tell=tell)
        if only:
            sub.add_argument("--only", nargs="+", metavar="NN", help="numbers of the chapters")
        return sub

    words = "execute chapters into build/notebooks/ and report time and memory"
    made = add("run", words, "run:run_chapters", _exit_if_failed, only=True)
    made.add_argument("--profile", choices=PROFILES, default="quick")
    made.add_argument("--record", action="store_true", help="keep the measurements for README.md")
    made.add_argument("--timeout", type=at_least(1), help="limit for one cell, in seconds")
    made.add_argument("--again", action="store_true", help="run unchanged chapters, too")
    made.add_argument("--workers", type=at_least(1), default=1, help="chapters that run at a time")
    add("notebooks", "convert chapters, unexecuted, to build/notebooks/", "run:write_notebooks", _count)
    words = "execute chapters into the committed notebooks/*.ipynb"
    made = add("pairs", words, "pairs:make_pairs", only=True)
    made.add_argument("--check", action="store_true", help="only check the pairs that are there")
    made.add_argument("--sync", action="store_true", help="take over prose and tags, keep the outputs")
    made.add_argument("--profile", choices=PROFILES, default="full")
    add("book", "build the HTML book in build/book/", "book:build_book", _show_book)
    add("pdf", "print the book to build/piumr-course.pdf", "book:build_pdf", _show_book)
    made = add("records", "write the page of the study's records as Markdown", "records:write_page")
    made.add_argument("--out", type=path, required=True, metavar="FILE")
    words = "write notebooks without solutions to build/student/"
    add("student", words, "editions:write_edition", _count, only=True).set_defaults(name="student")
    words = "write notebooks with every exercise solved to build/solutions/"
    add("solutions", words, "editions:write_edition", _count, only=True).set_defaults(name="solutions")
    words = "write notebooks that fetch the course, as for Colab, to build/hosted/"
    made = add("hosted", words, "hosted:write_hosted", _count)
    made.add_argument("--repository", metavar="NAME", help="owner/name on GitHub, or a clone's folder")
    made.add_argument("--tag", help="of the repository; default: v and the version")
    words = "build lecture slides in build/slides/ from executed notebooks"
    add("slides", words, "slides:build_slides", _show_slides, only=True)
    words = "draw animations with still twins, architecture and contrasts into notebooks/pictures/"
    made = add("pictures", words, "pictures:write_pictures", _tell_sizes)
    made.add_argument("--only", nargs="+", metavar="NAME", help="of animations, architecture, contrasts")
    words = "put the records' numbers into the sentences of README and the chapters"
    made = add("claims", words, "claims:update_all")
    made.add_argument("--check", action="store_true", help="only say what is outdated")
    made = add(
        "counts", "count sizes of chapters, and check limits and words", "counts:report", only=True
    )
    made.add_argument("--check", action="store_true", help="print only that, and fail if there is any")
    made = add("readme", "refresh the chapter table of README.md", "readme:refresh")
    made.add_argument("--check", action="store_true", help="only say whether it is current")
    made = add("papermill", "execute one chapter with parameters of your own", "run:run_papermill")
    made.add_argument("chapter", help="number or name, such as 05")
    made.add_argument("output", type=path, help="where the executed notebook goes")
    pair = ("NAME", "VALUE")
    made.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=pair)
    # argparse takes -1 for a number, but -1e-3 for an option (python/cpython#105712).
    made._negative_number_matcher = re.compile(r"-\.?\d")
    return parser


def _exit(code: int | None) -> int | None:
    return code


def _exit_if_failed(outcomes: Sequence[Any]) -> int:
    return int(any(outcome.error for outcome in outcomes))


def _count(notebooks: Sequence[Path]) -> None:
    print(f"{len(notebooks)} notebooks in {notebooks[0].parent}")


def _show_book(page: Path) -> None:
    print(f"The book is at {page.as_uri()}")


def _show_slides(page: Path) -> None:
    print(f"The slides are at {page.as_uri()}")


def _tell_sizes(pictures: Sequence[Path]) -> None:
    for picture in pictures:
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
