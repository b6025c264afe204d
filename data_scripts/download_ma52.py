"""Download MA-52 from the Hugging Face hub and unpack it. Sign its licence there first.

    hf auth login
    python data_scripts/download_ma52.py --out data/ma52
    python data_scripts/download_ma52.py --out data/ma52 --poses openpose

The second command takes poses that others extracted, instead of videos: they take less room, and
one can train on them without a GPU. The data set is for non-commercial research only, and so is whatever
was made from it; neither is ever part of this repository. An interrupted run resumes where it stopped.
"""

from __future__ import annotations

import argparse
import sys

from piumar_lib.ma52.prepare.download import (
    POSES,
    REPOSITORY,
    bytes_needed,
    download,
    download_poses,
    list_files,
    list_pose_files,
)
from piumar_lib.support.command import Parser, command_line, path
from piumar_lib.support.files import require_room


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=path, required=True, help="folder to unpack into")
    parser.add_argument("--poses", choices=POSES, help="pose files instead of videos")
    parser.add_argument("--token", help="of the hub; by default the one of 'hf auth login'")
    parser.add_argument("--endpoint", help="another hub")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be downloaded")
    options = parser.parse_args(argv)
    (fetch_poses if options.poses else fetch_videos)(options)


def fetch_videos(options: argparse.Namespace) -> None:
    """Download and unpack the data set."""
    if options.dry_run:
        files = list_files(options.token, options.endpoint)
        say(files)
        require_room(options.out, bytes_needed(options.out, files))
        return
    fetched = download(options.out, options.token, options.endpoint)
    print(f"{options.out}: {len(fetched)} files of {REPOSITORY}, unpacked. Next: prepare_ma52.py verify")
    print(f"Once verified, {options.out / 'download'} may be deleted.")


def fetch_poses(options: argparse.Namespace) -> None:
    """Download pose files."""
    print(f"Poses are made from MA-52's videos: sign the licence of {REPOSITORY} for these, too.")
    if options.dry_run:
        files = list_pose_files(options.poses, options.token, options.endpoint)
        say(files)
        require_room(options.out, sum(files.values()))
        return
    fetched = download_poses(options.out, options.poses, options.token, options.endpoint)
    folder = options.out / "poses" / options.poses
    print(f"{folder}: {len(fetched)} files of {POSES[options.poses]}.")
    print(f"Next: prepare_ma52.py poses {folder} --out build/ma52/poses.safetensors")


def say(files: dict[str, int]) -> None:
    """Print what would be downloaded."""
    for name, size in files.items():
        print(f"{name}: {size / 1e9:.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
