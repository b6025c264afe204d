"""Download recordings of real people and convert them. Without names, the data sets are listed.

    python data_scripts/download_people.py shrec17

Licence, citation and size are shown first. Each set becomes data/people/NAME.npz, in the format of a
reader's own data. The data are their authors': cite them, and do not redistribute what is not free. An
interrupted run resumes with the unfinished file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from piumar_lib.data import describe, load_npz
from piumar_lib.data.people.catalog import CATALOG, PeopleSet, find
from piumar_lib.data.people.download import BASE_URL, address, archive_path, convert_folder, download
from piumar_lib.data.people.listing import card, table
from piumar_lib.data.people.recordings import folder
from piumar_lib.support.command import Parser, command_line, path

OTHER_COPY = "Give an unchanged copy, or leave out --from to fetch one."


def make(people_set: PeopleSet, options: argparse.Namespace) -> None:
    """Fetch and convert one set, unless it is there."""
    result = options.out / f"{people_set.name}.npz"
    if result.is_file():
        print(f"{result}: there already. Delete it to make it anew.")
        return
    where = address(people_set, options.base_url)
    print(card(people_set, str(options.source or where)), flush=True)
    if options.source:
        convert_folder(people_set, options.source, options.out, OTHER_COPY)
    else:
        download(people_set, options.out, options.base_url)
    print(f"{result}\n{describe(load_npz(result))}")


def clean(sets: list[PeopleSet], out: Path) -> None:
    """Remove the archives that are no longer needed."""
    for people_set in sets:
        archive_path(people_set, out).unlink(missing_ok=True)
    folder = out / "download"
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = Parser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets to download")
    parser.add_argument("--list", action="store_true", help="only list the data sets")
    parser.add_argument("--out", type=path, default=folder(), help="folder of the results (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the archive, too")
    about = "convert source files that you have"
    parser.add_argument("--from", type=path, dest="source", metavar="FOLDER", help=about)
    parser.add_argument("--base-url", default=BASE_URL, help="of a mirror (%(default)s)")
    options = parser.parse_args(argv)
    if options.list or not options.names:
        print(table(CATALOG.values()))
        if not options.list:
            print(f"\n{parser.format_usage()}")
        return
    sets = find(options.names)
    for people_set in sets:
        make(people_set, options)
    if not options.keep:
        clean(sets, options.out)


if __name__ == "__main__":
    sys.exit(main())
