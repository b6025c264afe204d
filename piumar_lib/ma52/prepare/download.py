"""Fetch MA-52 from the Hugging Face hub and unpack it.

The data set is gated: sign its licence on the hub first (non-commercial research only). An interrupted
download goes on where it stopped.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from piumar_lib.ma52.prepare.archive import DownloadError, unpack
from piumar_lib.ma52.prepare.layout import list_path, split_of_list
from piumar_lib.support.files import as_path, require_room, whole

REPOSITORY = "kunli-cs/MA-52"
WANTED = (".zip", ".txt")


def list_files(token: str | None = None, endpoint: str | None = None) -> dict[str, int]:
    """The data set's archives and lists, and their sizes in bytes.

    Raises:
        DownloadError: If the hub cannot be reached or does not let this account in.
    """
    from huggingface_hub import HfApi

    with _explained(endpoint):
        info = HfApi(endpoint, token=token).dataset_info(REPOSITORY, files_metadata=True)
    return {f.rfilename: f.size or 0 for f in info.siblings or () if f.rfilename.endswith(WANTED)}


def download(
    root: str | Path, token: str | None = None, endpoint: str | None = None, progress: bool = True
) -> list[Path]:
    """Download whatever is missing into ``root/download``, and unpack it into ``root``.

    Args:
        root: Folder; created if need be.
        token: Of the hub; by default the one that ``hf auth login`` has kept.
        endpoint: Another hub.
        progress: Show progress bars.

    Returns:
        What was downloaded.

    Raises:
        DownloadError: If anything is in the way; the message says what to do next.
    """
    from huggingface_hub import hf_hub_download

    root = as_path(root)
    files = list_files(token, endpoint)
    require_room(root, bytes_needed(root, files))
    fetched = []
    for name, size in files.items():
        with _explained(endpoint):
            path = Path(
                hf_hub_download(
                    REPOSITORY, name, repo_type="dataset", local_dir=root / "download",
                    token=token, endpoint=endpoint,
                )
            )  # fmt: skip
        if size and path.stat().st_size != size:
            got = path.stat().st_size
            raise DownloadError(f"{path}: {got} bytes instead of {size}. Delete it, then try again.")
        fetched.append(path)
    for path in fetched:
        if path.suffix == ".zip":
            unpack(path, root, progress)
        else:
            split = split_of_list(path.name)
            with whole(list_path(root, split) if split else root / path.name) as part:
                shutil.copyfile(path, part)
    return fetched


def bytes_needed(root: Path, files: dict[str, int]) -> int:
    """Of archives that are missing, and of what all of them hold: videos do not shrink in one."""
    missing = sum(s for n, s in files.items() if not (root / "download" / n).is_file())
    return missing + sum(files.values())


class _explained:
    """Turn the hub's errors into one that says what to do next."""

    def __init__(self, endpoint: str | None) -> None:
        from huggingface_hub import constants

        self.page = f"{endpoint or constants.ENDPOINT}/datasets/{REPOSITORY}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        from huggingface_hub import errors

        if error is None or not isinstance(error, Exception) or isinstance(error, DownloadError):
            return
        if isinstance(error, errors.GatedRepoError):
            said = f"this account has not signed the licence. Sign it at {self.page}, then try again."
        elif isinstance(error, (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError)):
            said = "no token, or one that opens nothing. Run 'hf auth login', or give --token."
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            said = "the disk is full. Make room; a begun download goes on."
        elif isinstance(error, errors.HfHubHTTPError):
            said = f"the hub refused: {str(error).splitlines()[0]} Try again later."
        else:
            said = f"the hub cannot be reached ({type(error).__name__}). Check the network; try again."
        raise DownloadError(f"{REPOSITORY}: {said}") from error
