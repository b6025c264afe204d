"""Check an .npz of your own sequences before you train on it, and print what is in it.

The file holds X (n, time, channels), y (n,), person (n,) and, if you like, lengths (n,),
class_names (classes,) and rate in Hz. Labels may be codes, people may be names. The exit code is 0 if
chapters 01 to 09 and the evidence can all use it, else 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from piumar_lib.data import describe, load_npz, require


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="the .npz to check")
    parser.add_argument(
        "--few", type=int, default=5, help="name classes that fewer people make (%(default)s)"
    )
    options = parser.parse_args(argv)
    try:
        data = require(load_npz(options.file), name=str(options.file))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: good to use\n{describe(data, options.few)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
