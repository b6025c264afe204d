"""Prepare a download of MA-52 (or its stand-in): verify it, index it, split it by person, cache it.

If you have poses instead of videos, begin with `poses`; without --index they are indexed, too.

    python data_scripts/prepare_ma52.py verify ROOT --json build/report.json
    python data_scripts/prepare_ma52.py index ROOT --out build/ma52/index.csv
    python data_scripts/prepare_ma52.py split build/ma52/index.csv --out build/ma52/splits
    python data_scripts/prepare_ma52.py cache ROOT build/ma52/index.csv --out build/ma52/cache
    python data_scripts/prepare_ma52.py poses FOLDER --index build/ma52/index.csv \\
        --out build/ma52/poses.safetensors

The download itself is never changed.
"""

from __future__ import annotations

import argparse
import os
import sys

import numpy as np

from piumar_lib.data.joints import LAYOUTS
from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.prepare import cache, pose_sources, splits
from piumar_lib.ma52.prepare.cache import CacheSettings
from piumar_lib.ma52.prepare.index import make_index, read_index, write_index
from piumar_lib.ma52.prepare.pose_files import gather
from piumar_lib.ma52.prepare.poses import write_poses
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.files import write_text

# Settings of each protocol of `splits.PROTOCOLS`.
OWN = {"official": (), "person-disjoint": ("folds", "seed"), "leave-people-out": ("people", "seed")}


@command_line
def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 if something is wrong."""
    options = parser().parse_args(argv)
    return options.run(options)


def run_verify(options: argparse.Namespace) -> int:
    """Report; the exit code says whether the download is usable."""
    report = verify(options.root, options.decode, options.workers, progress=True)
    print(report.to_text(options.most))
    if options.json:
        write_text(options.json, report.to_json() + "\n")
    return 0 if report.usable else 1


def run_index(options: argparse.Namespace) -> int:
    """Write the table of all clips that can be used."""
    report = verify(options.root, workers=options.workers, progress=True)
    if not report.usable and not options.leave_out:
        print(report.to_text(), file=sys.stderr)
        print("error: mend this, or leave such clips out with --leave-out", file=sys.stderr)
        return 1
    if not report.entries:
        raise ValueError(f"{options.root}: no clip can be used. See why: prepare_ma52.py verify")
    said = f"{len(report.entries)} clips"
    if options.dry_run:
        print(f"{options.out}: would hold {said}")
        return 0
    write_index(options.out, make_index(options.root, report.entries, options.workers, progress=True))
    print(f"{options.out}: {said}")
    return 0


def run_split(options: argparse.Namespace) -> int:
    """Write the folds of a protocol, and say what the official lists leak."""
    clips = read_index(options.index)
    made = splits.PROTOCOLS[options.protocol](clips, **settings_of(options))
    print(splits.leak(clips))
    print(say_few(splits.people_per_action(clips), options.few))
    for split in made:
        print(f"{split.title}: {len(split.train)} clips to train on, {len(split.held_out)} held out")
    if not options.dry_run:
        written = splits.write_splits(options.out / options.protocol, made, options.seed or 0)
        print(f"{options.out / options.protocol}: {len(written)} files")
    return 0


def settings_of(options: argparse.Namespace) -> dict[str, int]:
    """What was given of seed, folds and people.

    Raises:
        ValueError: If the protocol has no such setting.
    """
    names = {name for own in OWN.values() for name in own}
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    for name in sorted(given.keys() - OWN[options.protocol]):
        whose = " and ".join(protocol for protocol, own in OWN.items() if name in own)
        raise ValueError(f"--{name}: {options.protocol} has none, only {whose}. Leave it out.")
    return given


def run_cache(options: argparse.Namespace) -> int:
    """Decode every clip once; the exit code is 1 if some could not be decoded."""
    clips = read_index(options.index)
    settings = CacheSettings(options.size, options.crop, options.form, options.frames)
    room = cache.estimate_bytes(clips, settings) / 1e9
    print(f"{len(clips)} clips as {settings.form}, {settings.size} pixels: about {room:.1f} GB")
    if options.dry_run:
        return 0
    kept = cache.make_cache(
        options.root, clips, options.out, settings, options.workers or os.cpu_count() or 1, progress=True
    )
    bad = [k for k in kept if k.fault]
    lost = sum(not k.found for k in kept if not k.fault)
    about = f"; the person was not found in {lost}" if settings.crop == "person" else ""
    print(f"{options.out}: {len(kept) - len(bad)} clips kept{about}")
    for k in bad[:5]:
        print(f"left out: {k.split}/{k.name}: {k.fault}", file=sys.stderr)
    if bad:
        print(f"all {len(bad)} that were left out: {options.out / 'bad.csv'}", file=sys.stderr)
    return 1 if bad else 0


def run_poses(options: argparse.Namespace) -> int:
    """Write one file of poses, and an index if there is none; the exit code is 1 if clips are bad."""
    beside = None if options.index else options.out.parent / "index.csv"
    if beside and beside.is_file() and any(clip.sha256 for clip in read_index(beside)):
        raise ValueError(
            f"{beside}: is an index of videos. Give it as --index, or choose another folder."
        )
    index = read_index(options.index) if options.index else None
    poses, report = gather(options.source, index, options.joints, progress=True)
    good = report.usable or options.leave_out
    print(report.to_text(options.most), file=sys.stdout if good else sys.stderr)
    if options.json:
        write_text(options.json, report.to_json() + "\n")
    if not good:
        print("error: mend this, or leave such clips out with --leave-out", file=sys.stderr)
        return 1
    if poses is None:
        raise ValueError("poses: no clip can be used. The report above says why.")
    said = f"{len(poses)} clips of {len(poses.joints)} joints"
    if options.dry_run:
        print(f"{options.out}: would hold {said}")
        return 0
    write_poses(options.out, poses)
    print(f"{options.out}: {said}")
    if beside:
        write_index(beside, report.clips)
        print(f"{beside}: their index, made from the poses alone")
    return 0


def say_few(makers: np.ndarray, few: int, most: int = 12) -> str:
    """Name the actions that few people make, rarest first; actions without people are only counted."""
    rare = [k for k in np.argsort(makers, kind="stable") if 0 < makers[k] < few]
    named = ", ".join(f"{ACTIONS[k]} ({makers[k]})" for k in rare[:most]) or "none"
    more = f" and {len(rare) - most} more" if len(rare) > most else ""
    return f"made by fewer than {few} people: {named}{more}; by nobody: {np.sum(makers == 0)}"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = Parser(description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    shown = "faults shown of each kind (%(default)s)"

    command = commands.add_parser("verify", help="name every fault of lists and clips")
    command.add_argument("root", type=path, help="folder with train/, val/, test/ and the lists")
    command.add_argument("--decode", action="store_true", help="decode every frame: slow, finds more")
    command.add_argument("--json", type=path, help="write the report for programs, too")
    command.add_argument("--most", type=at_least(0), default=5, help=shown)
    command.add_argument("--workers", type=at_least(1), help="threads; by default one for each core")
    command.set_defaults(run=run_verify)

    command = commands.add_parser("index", help="write one table of all clips")
    command.add_argument("root", type=path, help="folder with train/, val/, test/ and the lists")
    command.add_argument("--out", type=path, required=True, help="the .csv to write")
    command.add_argument("--leave-out", action="store_true", help="go on without clips that are bad")
    command.add_argument("--dry-run", action="store_true", help="only say what would be written")
    command.add_argument("--workers", type=at_least(1), help="threads; by default one for each core")
    command.set_defaults(run=run_index)

    command = commands.add_parser("split", help="write folds as small text files")
    command.add_argument("index", type=path, help="the .csv of the index")
    command.add_argument("--out", type=path, required=True, help="folder to write into")
    command.add_argument("--protocol", choices=splits.PROTOCOLS, default="person-disjoint")
    command.add_argument("--folds", type=int, help="of person-disjoint (5)")
    command.add_argument("--people", type=int, help="of leave-people-out: out at a time (10)")
    command.add_argument("--seed", type=at_least(0), help="of both: orders people differently (0)")
    about = "actions of fewer are named (%(default)s)"
    command.add_argument("--few", type=at_least(0), default=12, help=about)
    command.add_argument("--dry-run", action="store_true", help="only say what would be written")
    command.set_defaults(run=run_split)

    command = commands.add_parser("cache", help="decode every clip once, cropped and small")
    command.add_argument("root", type=path, help="folder with train/, val/ and test/")
    command.add_argument("index", type=path, help="the .csv of the index")
    command.add_argument("--out", type=path, required=True, help="folder of the cache")
    usual = CacheSettings()
    command.add_argument("--size", type=int, default=usual.size, help="of the square (%(default)s)")
    command.add_argument("--crop", choices=cache.CROPS, default=usual.crop, help="(%(default)s)")
    command.add_argument("--form", choices=cache.FORMS, default=usual.form, help="(%(default)s)")
    command.add_argument("--frames", type=int, default=usual.frames, help="of a clip; 0: all")
    command.add_argument("--workers", type=at_least(1), help="processes; by default one for each core")
    command.add_argument("--dry-run", action="store_true", help="only say how much room it takes")
    command.set_defaults(run=run_cache)

    about = "read pose files into one"
    command = commands.add_parser("poses", help=about, description=pose_sources.__doc__)
    command.add_argument("source", type=path, nargs="+", help="pose files, or folders of them")
    command.add_argument("--index", type=path, help="the .csv of the index; by default one is made")
    command.add_argument("--out", type=path, required=True, help="the .safetensors to write")
    about = "to reduce to; by default what the files have"
    command.add_argument("--joints", type=int, choices=sorted(LAYOUTS), help=about)
    command.add_argument("--leave-out", action="store_true", help="go on without clips that are bad")
    command.add_argument("--json", type=path, help="write the report for programs, too")
    command.add_argument("--most", type=at_least(0), default=5, help=shown)
    command.add_argument("--dry-run", action="store_true", help="only say what would be written")
    command.set_defaults(run=run_poses)
    return top


if __name__ == "__main__":
    sys.exit(main())
