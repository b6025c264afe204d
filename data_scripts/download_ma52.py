"""Download MA-52 from the Hugging Face hub and unpack it. Sign its licence there first.

    hf auth login
    python data_scripts/download_ma52.py --out data/ma52

The data set is for non-commercial research only, and never part of this repository. An interrupted run
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys

from piumar_lib.ma52.prepare.download import REPOSITORY, bytes_needed, download, list_files
from piumar_lib.support.command import command_line, path
from piumar_lib.support.files import require_room


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, or 1 with the reason on the error stream."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=path, required=True, help="folder to unpack into")
    parser.add_argument("--token", help="of the hub; by default the one of 'hf auth login'")
    parser.add_argument("--endpoint", help="another hub")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be downloaded")
    options = parser.parse_args(argv)
    if options.dry_run:
        files = list_files(options.token, options.endpoint)
        for name, size in files.items():
            print(f"{name}: {size / 2**30:.2f} GB")
        require_room(options.out, bytes_needed(options.out, files))
        return
    fetched = download(options.out, options.token, options.endpoint)
    print(f"{options.out}: {len(fetched)} files of {REPOSITORY}, unpacked. Next: prepare_ma52.py verify")
    print(f"Once verified, {options.out / 'download'} may be deleted.")


if __name__ == "__main__":
    sys.exit(main())
