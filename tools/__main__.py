"""Runs and publishes the chapters: ``python -m tools --help``."""

from __future__ import annotations

import ast
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from piumar_lib.notebook.profile import PROFILES
from piumar_lib.support.command import Parser, at_least, command_line, path

Command = Callable[[Path, Namespace], int | None]


@command_line
def main(argv: Sequence[str] | None = None) -> int | None:
    """Run one command and return the exit code."""
    from tools.chapters import find_root

    arguments = _parser().parse_args(argv)
    root = arguments.root.resolve() if arguments.root else find_root()
    return arguments.command(root, arguments)


def _parser() -> ArgumentParser:
    parser = Parser(prog="python -m tools", description=__doc__)
    parser.add_argument("--root", type=path, help="repository root (default: found from here)")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(command: Command, words: str, only: bool = False) -> ArgumentParser:
        sub = commands.add_parser(command.__name__, help=words, description=words)
        sub.set_defaults(command=command)
        if only:
            sub.add_argument("--only", nargs="+", metavar="NN", help="numbers of the chapters")
        return sub

    made = add(run, "execute chapters into build/notebooks/ and report time and memory", only=True)
    made.add_argument("--profile", choices=PROFILES, default="quick")
    made.add_argument("--record", action="store_true", help="keep the measurements for README.md")
    made.add_argument("--timeout", type=at_least(1), help="limit for one cell, in seconds")
    made.add_argument("--again", action="store_true", help="run unchanged chapters, too")
    made.add_argument("--workers", type=at_least(1), default=1, help="chapters that run at a time")
    add(notebooks, "convert chapters, unexecuted, to build/notebooks/")
    made = add(pairs, "execute chapters into the committed notebooks/*.ipynb", only=True)
    made.add_argument("--check", action="store_true", help="only check the pairs that are there")
    made.add_argument("--sync", action="store_true", help="take over prose and tags, keep the outputs")
    made.add_argument("--profile", choices=PROFILES, default="full")
    add(book, "build the HTML book in build/book/")
    add(pdf, "print the book to build/piumr-course.pdf")
    made = add(records, "write the page of the study's records as Markdown")
    made.add_argument("--out", type=path, required=True, metavar="FILE")
    add(student, "write notebooks without solutions to build/student/", only=True)
    add(solutions, "write notebooks with every exercise solved to build/solutions/", only=True)
    made = add(hosted, "write notebooks that fetch the course, as for Colab, to build/hosted/")
    made.add_argument("--repository", metavar="NAME", help="owner/name on GitHub, or a clone's folder")
    made.add_argument("--tag", help="of the repository; default: v and the version")
    add(slides, "build lecture slides in build/slides/ from executed notebooks", only=True)
    made = add(
        pictures, "draw animations with still twins, architecture and contrasts into notebooks/pictures/"
    )
    made.add_argument("--only", nargs="+", metavar="NAME", help="of animations, architecture, contrasts")
    made = add(claims, "put the records' numbers into the sentences of README and the chapters")
    made.add_argument("--check", action="store_true", help="only say what is outdated")
    made = add(counts, "count sizes of chapters, and check limits and words", only=True)
    made.add_argument("--check", action="store_true", help="print only that, and fail if there is any")
    made = add(readme, "refresh the chapter table of README.md")
    made.add_argument("--check", action="store_true", help="only say whether it is current")
    made = add(papermill, "execute one chapter with parameters of your own")
    made.add_argument("chapter", help="number or name, such as 05")
    made.add_argument("output", type=path, help="where the executed notebook goes")
    made.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    # argparse takes -1 for a number, but -1e-3 for an option (python/cpython#105712).
    made._negative_number_matcher = re.compile(r"-\.?\d")
    return parser


def run(root: Path, given: Namespace) -> int:
    from tools.run import run_chapters

    outcomes = run_chapters(
        root, given.profile, given.only, given.record, given.timeout, given.again, given.workers
    )
    return int(any(outcome.error for outcome in outcomes))


def notebooks(root: Path, given: Namespace) -> None:
    from tools.run import write_notebooks

    print(f"{len(write_notebooks(root))} notebooks in {root / 'build' / 'notebooks'}")


def pairs(root: Path, given: Namespace) -> None:
    from tools.chapters import list_chapters
    from tools.pairs import check_pair, make_pairs, sync_pair

    if not given.check and not given.sync:
        make_pairs(root, given.only, given.profile)
        return
    for chapter in list_chapters(root, given.only):
        if given.sync:
            sync_pair(chapter)
        check_pair(chapter)


def book(root: Path, given: Namespace) -> None:
    from tools.book import build_book

    print(f"The book is at {build_book(root).as_uri()}")


def pdf(root: Path, given: Namespace) -> None:
    from tools.book import build_pdf

    print(f"The book is at {build_pdf(root).as_uri()}")


def records(root: Path, given: Namespace) -> None:
    from piumar_lib.support.files import write_text
    from tools.records import records_page

    write_text(given.out, records_page(root))
    print(f"records: {given.out}")


def student(root: Path, given: Namespace) -> None:
    from tools.editions import write_edition

    written = write_edition(root, given.command.__name__, given.only)
    print(f"{len(written)} notebooks in {written[0].parent}")


def solutions(root: Path, given: Namespace) -> None:
    student(root, given)


def hosted(root: Path, given: Namespace) -> None:
    from tools.hosted import TAG, write_hosted

    written = write_hosted(root, given.repository, given.tag or TAG)
    print(f"{len(written)} notebooks in {written[0].parent}")


def slides(root: Path, given: Namespace) -> None:
    from tools.slides import build_slides

    print(f"The slides are at {build_slides(root, given.only).as_uri()}")


def pictures(root: Path, given: Namespace) -> None:
    from tools.pictures import write_pictures

    for written in write_pictures(root, given.only):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")


def counts(root: Path, given: Namespace) -> int:
    from tools.counts import count

    table, problems = count(root, given.only)
    print("\n".join(problems if given.check else [table, *problems]))
    return int(given.check and bool(problems))


def claims(root: Path, given: Namespace) -> int:
    from piumar_lib.support.files import write_text
    from tools.chapters import list_chapters
    from tools.claims import update

    outdated = 0
    for file in [root / "README.md", *(chapter.path for chapter in list_chapters(root))]:
        text = file.read_text(encoding="utf-8")
        fresh, found = update(text)
        print(*(f"{file.name}: {line}" for line in found), sep="\n", end="\n" * bool(found))
        outdated += len(found)
        if fresh != text and not given.check:
            write_text(file, fresh)
    return int(given.check and outdated > 0)


def readme(root: Path, given: Namespace) -> int:
    from tools.readme import update_readme

    changed = update_readme(root, check=given.check)
    if given.check and changed:
        print("README.md: the chapter table is not current. Run: make readme", file=sys.stderr)
    return int(given.check and changed)


def papermill(root: Path, given: Namespace) -> None:
    from tools.run import run_papermill

    run_papermill(root, given.chapter, given.output, {name: _value(text) for name, text in given.p})


def _value(text: str) -> Any:
    """Read a literal as Python does; anything else is a string, as a shell user expects."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
