"""From a trained recogniser to the file that Codabench takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from piumar_lib.ma52.clips import open_clips
from piumar_lib.ma52.codabench import require_zip, write_submission
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.evaluate import predict
from piumar_lib.ma52.model import fastest_device, load_model
from piumar_lib.ma52.prepare.index import Clip, read_index
from piumar_lib.ma52.prepare.lists import ANONYMOUS, read_list
from piumar_lib.ma52.prepare.published import numbered
from piumar_lib.support.files import as_path, require_writable


def submit(
    folder: str | Path,
    path: str | Path,
    views: int = 1,
    progress: bool = False,
    root: str | Path | None = None,
    **moved: str | Path | None,
) -> int:
    """Recognise all test clips, write a submission and check it.

    Args:
        folder: Folder of a finished run; its configuration says where clips and index were.
        path: Ends in ``.zip``.
        views: Temporal views of each clip.
        progress: Whether to show a progress bar.
        root: Root of the download. Its test list then says which lines there are, and in which
            order; without it, those are the index's test clips by name.
        moved: Where ``index``, and ``cache`` or ``poses``, lie, if not where the training read them.

    Returns:
        The number of clips.

    Raises:
        ValueError: If the path has another ending; if a test clip is missing from index or cache,
            could not be decoded, or has no pose: every line of the list needs a prediction.
        FileNotFoundError: If index, cache or poses are not where they were.
        OSError: If the file cannot be written.
    """
    require_writable(require_zip(path).parent)
    config = TrainConfig.read(as_path(folder) / "config.json")
    places: dict[str, Any] = {name: str(place) for name, place in moved.items() if place}
    config = replace(config, **places)
    for name in ("index", "poses" if config.sees_poses else "cache"):
        if not as_path(getattr(config, name)).exists():
            raise FileNotFoundError(
                f"{name}: {getattr(config, name)}, which the training read, is not there. If it was "
                f"moved, say where it is: --{name}."
            )
    model = load_model(folder, fastest_device())
    clips = find_test_clips(config.index, root)
    data = open_clips(config, clips, model.frames, views)
    if data.left_out:
        where, what, make = (
            ("poses", "have no pose", "Find their poses") if config.sees_poses
            else ("cache", "could not be decoded", "Download them again, then run prepare_ma52.py cache")
        )  # fmt: skip
        raise ValueError(
            f"{where}: {len(data.left_out)} test clips {what}, {data.left_out[0]} is the first. {make}: "
            "all have to be in the file."
        )
    found = predict(model, data, workers=config.workers, progress=progress)
    write_submission(path, found.names, found.actions, found.parts)
    return len(found)


def find_test_clips(index: str | Path, root: str | Path | None = None) -> list[Clip]:
    """The clips that need a prediction, in the order of their lines; for ``root`` see `submit`.

    Raises:
        ValueError: If the index has no test clips, lacks some of the list, or has others besides.
    """
    clips = {clip.name: clip for clip in read_index(index) if clip.split == "test"}
    if not clips:
        raise ValueError(f"index: {index} has no test clips. Make it from the whole download.")
    names = _names_in_list(as_path(root)) if root is not None else _names_up_to_last(clips)
    missing, others = [n for n in names if n not in clips], clips.keys() - set(names)
    if missing:
        raise ValueError(
            f"index: {index} lacks {len(missing)} of the {len(names)} test clips of the list, "
            f"{missing[0]} is the first. Mend these clips, then make index and cache again."
        )
    if others:
        raise ValueError(
            f"index: {index} has {len(others)} test clips that the list does not name, {min(others)} is "
            "the first: it is that of another test list, and equal names need not be equal clips. Make "
            "index and cache from the clips that came with the list."
        )
    return [clips[name] for name in names]


def _names_in_list(root: Path) -> list[str]:
    entries, faults = read_list(root, "test")
    if bad := [fault for fault in faults if fault.serious]:
        raise ValueError(f"root: {root}/{bad[0].where}: {bad[0].what}. {bad[0].remedy}")
    return list(dict.fromkeys(entry.name for entry in entries))


def _names_up_to_last(clips: Iterable[str]) -> list[str]:
    """The names of the list that clips are from: a published test list leaves out no number."""
    if not all(ANONYMOUS.fullmatch(name) for name in clips):
        return sorted(clips)
    return numbered(1 + max(int(name.removeprefix("test").removesuffix(".mp4")) for name in clips))
