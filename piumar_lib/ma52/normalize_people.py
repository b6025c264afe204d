"""Evaluation of a finished run with person normalisation.

Labels of held-out clips are not used, but all clips of a person are needed at once, with the person's
identity. So this is for the folds of train and val; MA-52's test list does not identify people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from piumar_lib.data.labels import ACTIONS
from piumar_lib.data.sequences import Sequences
from piumar_lib.ma52.clips import load_data
from piumar_lib.ma52.config import NORMALIZED_BY
from piumar_lib.ma52.evaluate import Predicted, report
from piumar_lib.ma52.model import MicroActionRecognizer, fastest_device, load_model
from piumar_lib.ma52.pose_dataset import PoseDataset
from piumar_lib.ma52.protocol import read_record
from piumar_lib.person_normalization import TrainingPeople, normalize_person
from piumar_lib.support.files import as_path


def normalize_people(folder: str | Path, by: str = "person") -> dict[str, Any]:
    """Evaluate a finished run with each held-out person normalised from this person's unlabelled clips.

    Body parts are derived from actions, and each clip has one view. The hyperparameters are the defaults
    of `piumar_lib.person_normalization.normalize_person`. ``by`` is one of
    `piumar_lib.ma52.config.NORMALIZED_BY`; the run's folder is not changed.

    Returns:
        The run's record with the new results as ``held out``, the argument as ``normalized by``, and as
        ``before`` the number of correct clips and of clips of each person without normalisation.

    Raises:
        FileNotFoundError: If the run has not ended, or one of its input files is missing.
        ValueError: If ``by`` is unknown, the run is on video, or its network has no batch normalisation.
    """
    if by not in NORMALIZED_BY:
        raise ValueError(f"by: {by!r} is unknown. Choose from {', '.join(NORMALIZED_BY)}.")
    record, model = read_record(folder), load_model(folder, fastest_device())
    if not model.config.sees_poses:
        raise ValueError(f"{as_path(folder)}: is a run on video. Choose a run on poses.")
    known, held_out, _ = load_data(model.config, model.frames)
    assert isinstance(known, PoseDataset) and isinstance(held_out, PoseDataset)
    training = TrainingPeople(model.recognizer, to_sequences(model, known))
    clips = to_sequences(model, held_out)
    person = np.array([clip.person for clip in held_out.clips])
    # Sessions are numbered anew for each person.
    sessions = np.array([f"{clip.person} {clip.session}" for clip in held_out.clips])
    together = person if by == "person" else sessions
    actions = np.empty((len(clips), len(ACTIONS)))
    for one in np.unique(together):
        mine = together == one
        actions[mine] = normalize_person(model.recognizer, clips.x[mine], training)
    found = Predicted(tuple(clip.name for clip in held_out.clips), person, clips.y, actions)
    return record | {
        "held out": report(found, known.labels().numpy()),
        "selection": record["selection"] | {"views": 1},
        "normalized by": by,
        "before": record["held out"]["people"],
    }


def to_sequences(model: MicroActionRecognizer, data: PoseDataset) -> Sequences:
    """Clips as inputs of the model's recogniser, one view each."""
    x = model.to_modality(data.some_clips(len(data.clips)))
    return Sequences(x, data.labels(), data.persons(), class_names=ACTIONS)
