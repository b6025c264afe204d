"""Write synthetic people's skeleton clips to an .npz, in the format of a reader's own data.

Example: forty people whose tempo does not differ, twelve actions, forty clips each:

    python data_scripts/make_synthetic_people.py --off tempo --out people.npz
"""

from __future__ import annotations

import sys

from piumar_lib.data import describe, save_npz
from piumar_lib.data.actions import all_actions, teaching_actions
from piumar_lib.data.synthetic import FACTORS, make_clips, make_people
from piumar_lib.support.command import Parser, at_least, command_line, path

ACTIONS = {"teaching": teaching_actions, "all": all_actions}


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = Parser(description=__doc__)
    parser.add_argument("--people", type=int, default=40, help="how many people (%(default)s)")
    parser.add_argument("--clips-each", type=int, default=40, help="clips of each (%(default)s)")
    parser.add_argument("--frames", type=int, default=32, help="of a clip, at 12.5 Hz (%(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="other numbers draw other people")
    parser.add_argument(
        "--actions", choices=ACTIONS, default="teaching", help="12 of equal frequency, or MA-52's 52"
    )
    parser.add_argument(
        "--off", nargs="+", choices=FACTORS, default=[], metavar="FACTOR",
        help=f"personal factors to switch off: {', '.join(FACTORS)}",
    )  # fmt: skip
    parser.add_argument(
        "--absolute", action="store_true", help="keep joints where they are, not centred by clip"
    )
    parser.add_argument("--out", type=path, required=True, help="the .npz to write")
    parser.add_argument("--force", action="store_true", help="overwrite it")
    options = parser.parse_args(argv)
    people = make_people(
        options.people, options.seed, ACTIONS[options.actions](), dict.fromkeys(options.off, 0)
    )
    clips = make_clips(
        people, options.clips_each, options.seed, options.frames, centered=not options.absolute
    )
    save_npz(options.out, clips, options.force)
    print(f"{options.out}\n{describe(clips)}")


if __name__ == "__main__":
    sys.exit(main())
