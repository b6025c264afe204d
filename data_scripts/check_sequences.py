"""Check an .npz of your own sequences before you train on it, and print what is in it.

The file holds X (n, time, channels), y (n,), person (n,) and, if you like, lengths (n,),
class_names (classes,) and rate in Hz. Labels may be codes, people may be names. The exit code is 0 if
chapters 01 to 09 and the evidence can all use it, else 1.
"""

from __future__ import annotations

import sys

from piumar_lib.data import describe, load_npz, require
from piumar_lib.support.command import Parser, at_least, command_line, path


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = Parser(description=__doc__)
    parser.add_argument("file", type=path, help="the .npz to check")
    parser.add_argument(
        "--few", type=at_least(0), default=5, help="name classes that fewer people make (%(default)s)"
    )
    options = parser.parse_args(argv)
    data = require(load_npz(options.file), name=str(options.file))
    print(f"{options.file}: good to use\n{describe(data, options.few)}")


if __name__ == "__main__":
    sys.exit(main())
