"""Extract poses from video: a person's joints in every frame of every clip, in one file.

    make poses-env                                                                 # once
    python data_scripts/extract_poses.py my-clips --out build/poses.safetensors    # your own videos
    python data_scripts/extract_poses.py ROOT --index INDEX.csv --out build/poses.safetensors    # MA-52

A run can be killed; the same command resumes it. Where several people are in the picture,
mediapipe keeps to one; of those whom rtmlib finds, the largest is followed.
"""

from __future__ import annotations

import argparse
import os
import sys

from piumar_lib.ma52.prepare.engines import ENGINES, find_command
from piumar_lib.ma52.prepare.extract import AT_MOST, Extraction, extract, videos_below, videos_of_index
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.support.command import Parser, at_least, command_line, path

FEW = 0.5  # a clip with the person in a smaller fraction of its frames is listed
RATE = 25  # frames a second and core, about


@command_line
def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 if a clip gave no poses."""
    options = parser().parse_args(argv)
    if options.index is None:
        videos = videos_below(options.root)
    else:
        videos = videos_of_index(options.root, read_index(options.index))
    if options.dry_run:
        frames = sum(video.frames for video in videos)
        hours = f", about {frames / RATE / 3600 / options.workers:.1f} hours" if frames else ""
        print(f"{options.out}: would hold poses of {len(videos)} clips{hours}")
        return 0
    engine = ENGINES[options.engine]
    command = find_command(engine, options.python)
    result = extract(videos, options.out, engine, command, options.workers, options.at_most, True)
    return say(result, options)


def say(result: Extraction, options: argparse.Namespace) -> int:
    """Print the result and return the exit code."""
    if result.poses is not None:
        found = result.poses.xy.isfinite().any(2).any(1).float().mean().item()
        print(
            f"{options.out}: {len(result.poses)} clips, {len(result.poses.xy)} frames, the person found "
            f"in {100 * found:.1f} % of them; {result.frames / result.seconds:.0f} frames a second"
        )
    few = [name for name, share in result.found.items() if share < FEW]
    for name in few[:5]:
        print(f"note: {name}: the person was found in {100 * result.found[name]:.0f} % of its frames")
    for name, fault in [*result.bad.items()][:5]:
        print(f"left out: {name}: {fault}", file=sys.stderr)
    if result.bad:
        place = options.out.with_suffix(".bad.csv")
        print(f"all {len(result.bad)} that were left out: {place}", file=sys.stderr)
    return 1 if result.bad else 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    command = Parser(description=__doc__)
    command.add_argument("root", type=path, help="folder of videos, or that of MA-52")
    command.add_argument("--index", type=path, help="the .csv of MA-52's index")
    command.add_argument("--out", type=path, required=True, help="the .safetensors to write")
    command.add_argument("--engine", choices=ENGINES, default="mediapipe", help="(%(default)s)")
    command.add_argument("--python", type=path, help="of another environment than make poses-env makes")
    cores = os.cpu_count() or 1
    command.add_argument("--workers", type=at_least(1), default=cores, help="processes (%(default)s)")
    about = "pixels of a frame's longer side; larger ones are shrunk (%(default)s)"
    command.add_argument("--at-most", type=at_least(64), default=AT_MOST, help=about)
    command.add_argument("--dry-run", action="store_true", help="only say what would be done")
    return command


if __name__ == "__main__":
    sys.exit(main())
