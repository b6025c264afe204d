"""Write a stand-in for MA-52: synthetic people on video, in the benchmark's exact layout.

Example: a hundred and twenty small clips of twelve people, for a first try:

    python data_scripts/make_synthetic_ma52.py --clips 120 --people 12 --width 160 --out build/ma52

Without options it has as many clips, people and pixels as MA-52. A run can be killed; the same command
resumes it.

Poses instead of videos, as an estimator would see them, take about 20 seconds of one core at full scale:

    python data_scripts/make_synthetic_ma52.py --poses --out build/ma52/standin
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch

from piumar_lib.data.joints import LAYOUTS
from piumar_lib.data.labels import CLIPS, PEOPLE
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.cache import CacheSettings
from piumar_lib.ma52.standin.cache import write_cache
from piumar_lib.ma52.standin.poses import FORMS, write_pose_files, write_standin_poses
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import require_room

# Of a clip of 1080 x 1296 pixels, as measured. Smaller ones: 830 at 432 pixels across, 260 at 216.
KB_AT_FULL_SIZE = 3000
# In a frame: two coordinates, and a score where the form has one; as text in COCO's.
BYTES_OF_A_JOINT = {"halpe": 8, "coco": 38}


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = Parser(description=__doc__)
    total = sum(CLIPS.values())
    parser.add_argument("--clips", type=int, default=total, help="how many clips (%(default)s)")
    parser.add_argument("--people", type=int, default=PEOPLE, help="of whom (%(default)s)")
    parser.add_argument("--width", type=int, default=1080, help="pixels across (%(default)s)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="other numbers draw other people")
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=at_least(1), default=cores, help="processes (%(default)s)")
    about = "render into a cache, without any video file"
    parser.add_argument("--cache", action="store_true", help=about)
    parser.add_argument("--poses", action="store_true", help="write poses.safetensors and its index")
    about = "of --poses: files as they are published for MA-52"
    parser.add_argument("--format", choices=FORMS, help=about)
    about = "of --poses without --format (17)"
    parser.add_argument("--joints", type=int, choices=sorted(LAYOUTS), help=about)
    parser.add_argument("--size", type=int, default=128, help="of the cache's square (%(default)s)")
    parser.add_argument("--frames", type=at_least(1), default=16, help="of a cached clip (%(default)s)")
    about = "that renders into the cache (%(default)s)"
    parser.add_argument("--device", type=usable_device, default="cpu", help=about)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be written")
    parser.add_argument("--out", type=path, required=True, help="folder to write into")
    options = parser.parse_args(argv)
    if (options.format or options.joints) and not options.poses:
        parser.error("--format and --joints are of --poses. Give that, too.")
    if options.poses and (options.cache or (options.format and options.joints)):
        parser.error("--poses goes without --cache, and --format without --joints. Leave one out.")
    plan = standin.plan(options.clips, options.people, options.width, options.seed)
    if options.cache:
        render_cache(plan, options)
        return
    if options.poses:
        write_all_poses(plan, options)
        return
    say(plan, options.out)
    if not options.dry_run:
        missing = standin.write(options.out, plan, options.workers)
        print(f"{options.out}: {missing} clips written, {len(plan) - missing} were already there")


def render_cache(plan: standin.Plan, options: argparse.Namespace) -> None:
    """Render every clip into a cache, or only say how much room that takes."""
    if options.dry_run:
        settings = CacheSettings(options.size, form="raw", frames=options.frames)
        needed = len(plan) * settings.frames * settings.size**2 * 3
        print(f"{len(plan)} clips of {plan.people} people, {settings.frames} frames of "
              f"{settings.size} pixels: about {needed / 1e9:.1f} GB")  # fmt: skip
        return
    how = options.size, options.frames, options.device, options.workers
    missing = write_cache(options.out, plan, *how)
    print(f"{options.out}: {missing} clips rendered, {len(plan) - missing} were already there")


def write_all_poses(plan: standin.Plan, options: argparse.Namespace) -> None:
    """Write poses of every clip, in one file or in files of a published form; see `--dry-run`, too."""
    joints = len(FORMS[options.format][0]) if options.format else options.joints or 17
    needed = int(plan.frames.sum()) * joints * BYTES_OF_A_JOINT.get(options.format, 12)
    print(f"{len(plan)} clips of {plan.people} people, {joints} joints: about {needed / 1e9:.2f} GB")
    require_room(options.out, needed, "Ask for fewer clips, or choose another disk.")
    if options.dry_run:
        return
    if options.format:
        for written in write_pose_files(options.out, plan, options.format):
            print(f"{written}: written")
        return
    write_standin_poses(options.out, plan, joints)
    print(f"{options.out / 'poses.safetensors'} and index.csv: {len(plan)} clips of {joints} joints")


def usable_device(name: str) -> str:
    """A type for argparse: a device on which torch can compute here."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        words = f"{name} cannot be used here. Install torch's build for it, or choose cpu."
        raise argparse.ArgumentTypeError(words) from error
    return name


def say(plan: standin.Plan, out: Path) -> None:
    """Print what a plan holds, and whether the disk has room for it."""
    counts = ", ".join(f"{np.sum(plan.split == split)} {split}" for split in CLIPS)
    needed = 1024 * len(plan) * KB_AT_FULL_SIZE * (plan.width / 1080) ** 1.5
    print(
        f"{len(plan)} clips ({counts}) of {plan.people} people, {plan.width} x {plan.height} "
        f"pixels; about {needed / 1e9:.1f} GB"
    )
    require_room(out, needed, "Make it smaller (--width, --clips) or choose another disk.")


if __name__ == "__main__":
    sys.exit(main())
