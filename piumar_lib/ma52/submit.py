"""From a trained recogniser to the file that Codabench takes."""

from __future__ import annotations

from pathlib import Path

import torch

from piumar_lib.ma52.clips import open_clips
from piumar_lib.ma52.codabench import require_zip, write_submission
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.evaluate import predict
from piumar_lib.ma52.model import load_model
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.ma52.standin.videos import TRUTH
from piumar_lib.support.files import as_path, read_json, require_writable


def submit(folder: str | Path, path: str | Path, views: int = 1, progress: bool = False) -> int:
    """Recognise all test clips and write a submission; it is checked before it is called done.

    Args:
        folder: Of a finished run; its configuration says where clips and index are.
        path: Ends in ``.zip``.
        views: Temporal views of each clip.
        progress: Show a progress bar.

    Returns:
        The number of clips.

    Raises:
        ValueError: If the path has another ending; if a test clip is missing from the cache or could not
            be decoded, or has no pose: every line of the list needs a prediction.
        OSError: If the file cannot be written.
    """
    require_writable(require_zip(path).parent)
    config = TrainConfig.read(as_path(folder) / "config.json")
    model = load_model(folder, "cuda" if torch.cuda.is_available() else "cpu")
    clips = sorted(
        (clip for clip in read_index(config.index) if clip.split == "test"), key=lambda clip: clip.name
    )
    if not clips:
        raise ValueError(f"index: {config.index} has no test clips. Make it from the whole download.")
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


def read_truth(root: str | Path) -> dict[str, tuple[int, int]]:
    """Person and action of a stand-in's test clips, which a real benchmark does not tell.

    Raises:
        FileNotFoundError: If ``root`` is no stand-in.
    """
    path = as_path(root) / "standin.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no stand-in. Labels of MA-52's test clips are not published.")
    truth = read_json(path, "Make the stand-in again, in another folder.", [TRUTH])[TRUTH]
    return {name: (person, action) for name, (person, action) in truth.items()}
