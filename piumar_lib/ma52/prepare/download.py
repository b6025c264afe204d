"""Fetch MA-52, or poses that others extracted from it, from the Hugging Face hub.

The data set is gated: sign its licence on the hub first (non-commercial research only). Poses are
made from those videos and fall under the same licence, whether their page asks for it or not. An
interrupted download resumes where it stopped.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from piumar_lib.ma52.prepare.archive import DownloadError, unpack
from piumar_lib.ma52.prepare.layout import SPLITS, list_path, split_of_list
from piumar_lib.support.files import as_path, require_room, whole

REPOSITORY = "kunli-cs/MA-52"
# Poses: 28 joints of OpenPose, and joints of Halpe, beside files of iMiGUE, another data set.
POSES = {"openpose": "kunli-cs/MA-52_openpose_28kp", "halpe": "Geo2425/MMN"}


def list_files(token: str | None = None, endpoint: str | None = None) -> dict[str, int]:
    """The data set's archives and lists, and their sizes in bytes.

    Raises:
        DownloadError: If the hub cannot be reached or does not let this account in.
    """
    return _list(REPOSITORY, (".zip", ".txt"), token, endpoint)


def list_pose_files(form: str, token: str | None = None, endpoint: str | None = None) -> dict[str, int]:
    """Pose files of MA-52, in a ``form`` of `POSES`, and their sizes in bytes.

    Raises:
        DownloadError: If the hub cannot be reached, does not let this account in, or has none.
    """
    found = _list(POSES[form], (".pkl",), token, endpoint)
    files = {name: size for name, size in found.items() if "imigue" not in name.lower()}
    if not files:
        raise DownloadError(f"{POSES[form]}: has no pose file (.pkl) any more. Look at its page.")
    return files


def download_poses(
    root: str | Path, form: str, token: str | None = None, endpoint: str | None = None
) -> list[Path]:
    """Download pose files, in a ``form`` of `POSES`, that are missing into ``root/poses/form``.

    Raises:
        DownloadError: If anything is in the way; the message says what to do next.
    """
    folder = as_path(root) / "poses" / form
    files = list_pose_files(form, token, endpoint)
    require_room(folder, sum(s for name, s in files.items() if not (folder / name).is_file()))
    return [_fetch(POSES[form], name, size, folder, token, endpoint) for name, size in files.items()]


def _list(
    repository: str, wanted: tuple[str, ...], token: str | None, endpoint: str | None
) -> dict[str, int]:
    from huggingface_hub import HfApi

    with _explained(repository, endpoint):
        info = HfApi(endpoint, token=token).dataset_info(repository, files_metadata=True)
    return {f.rfilename: f.size or 0 for f in info.siblings or () if f.rfilename.endswith(wanted)}


def _fetch(
    repository: str, name: str, size: int, folder: Path, token: str | None, endpoint: str | None
) -> Path:
    from huggingface_hub import hf_hub_download

    with _explained(repository, endpoint):
        path = Path(hf_hub_download(
            repository, name, repo_type="dataset", local_dir=folder, token=token, endpoint=endpoint
        ))  # fmt: skip
    if size and (got := path.stat().st_size) != size:
        raise DownloadError(f"{path}: {got} bytes instead of {size}. Delete it, then try again.")
    return path


def download(
    root: str | Path, token: str | None = None, endpoint: str | None = None, progress: bool = True
) -> list[Path]:
    """Download whatever is missing into ``root/download``, and unpack it into ``root``.

    Args:
        root: Folder; created if necessary.
        token: Access token of the hub; by default the one that ``hf auth login`` has kept.
        endpoint: Address of another hub.
        progress: Whether to show progress bars.

    Returns:
        What was downloaded.

    Raises:
        DownloadError: If anything is in the way; the message says what to do next.
    """
    root = as_path(root)
    files = list_files(token, endpoint)
    require_room(root, bytes_needed(root, files))
    folder = root / "download"
    fetched = [_fetch(REPOSITORY, name, size, folder, token, endpoint) for name, size in files.items()]
    for path in fetched:
        if path.suffix == ".zip":
            unpack(path, root, progress)
        else:
            split = split_of_list(path.name)
            with whole(list_path(root, split) if split else root / path.name) as part:
                shutil.copyfile(path, part)
    return fetched


def bytes_needed(root: Path, files: dict[str, int]) -> int:
    """Of archives that are missing, and of clips to unpack: videos do not shrink in an archive."""
    missing = sum(s for n, s in files.items() if not (root / "download" / n).is_file())
    unpacked = sum(path.stat().st_size for split in SPLITS for path in (root / split).glob("*.mp4"))
    return missing + max(0, sum(files.values()) - unpacked)


@contextmanager
def _explained(repository: str, endpoint: str | None) -> Iterator[None]:
    """Turn the hub's errors into one that says what to do next."""
    from huggingface_hub import constants, errors

    try:
        yield
    except Exception as error:
        if isinstance(error, errors.GatedRepoError):
            page = f"{endpoint or constants.ENDPOINT}/datasets/{repository}"
            said = f"this account has not signed the licence. Sign it at {page}, then try again."
        elif isinstance(error, (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError)):
            said = "no token, or one that opens nothing. Run 'hf auth login', or give --token."
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            said = "the disk is full. Make room; the same command resumes the download."
        elif isinstance(error, errors.HfHubHTTPError):
            said = f"the hub refused: {str(error).splitlines()[0]} Try again later."
        else:
            said = f"the hub cannot be reached ({type(error).__name__}). Check the network; try again."
        raise DownloadError(f"{repository}: {said}") from error
