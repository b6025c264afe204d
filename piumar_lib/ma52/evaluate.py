"""Evaluate a trained recogniser: official scores, and person by person."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from piumar_lib import metrics
from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part
from piumar_lib.ma52 import scores
from piumar_lib.ma52.clips import Clips, count_workers
from piumar_lib.ma52.model import MicroActionRecognizer
from piumar_lib.support import checkpoint
from piumar_lib.support.files import as_path

if TYPE_CHECKING:
    from accelerate import Accelerator

CLIPS_AT_A_TIME = 32


@dataclass(frozen=True)
class Predicted:
    """A recogniser's predictions; arrays have one row per clip.

    Attributes:
        names: Names of the clips.
        person: Person of each clip, as written in its name; "" for test clips.
        y: Actions 0 to 51; -1 for test clips.
        actions: Probabilities, shape ``(clips, 52)``.
        parts: Probabilities of body parts from a head of their own, ``(clips, 7)``, or None.
    """

    names: tuple[str, ...]
    person: np.ndarray
    y: np.ndarray
    actions: np.ndarray
    parts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def state(self) -> dict[str, Any]:
        """For `piumar_lib.support.checkpoint.save`."""
        state = {"names": list(self.names), "person": self.person.tolist(), "y": self.y.tolist(),
                 "actions": torch.from_numpy(self.actions)}  # fmt: skip
        return state | ({} if self.parts is None else {"parts": torch.from_numpy(self.parts)})


def read_predictions(path: str | Path) -> Predicted:
    """Read ``predictions.safetensors`` of a run.

    Raises:
        FileNotFoundError, ValueError: If there is no such file, or it is damaged.
    """
    state = checkpoint.load(as_path(path), keys=("names", "person", "y", "actions"))
    parts = state["parts"].numpy() if "parts" in state else None
    return Predicted(
        tuple(state["names"]), np.array(state["person"]), np.array(state["y"]),
        state["actions"].numpy(), parts,
    )  # fmt: skip


@torch.no_grad()
def predict(
    model: MicroActionRecognizer,
    data: Clips,
    accelerator: Accelerator | None = None,
    workers: int = 0,
    progress: bool = False,
) -> Predicted:
    """Recognise all clips of a data set; temporal views of a clip are averaged.

    The model is set to evaluation mode; the data have to be in it, with as many views as wished. An
    ``accelerator`` shares the work between processes, which all have to call this, and sets the
    precision; ``workers`` are processes that read clips.
    """
    device = next(model.parameters()).device
    model.eval()
    processes = 1 if accelerator is None else accelerator.num_processes
    own = range(0 if accelerator is None else accelerator.process_index, len(data), processes)
    # All processes get equally many, so that results can be gathered; duplicates count once.
    mine = [*own, *[0] * (-(-len(data) // processes) - len(own))]
    loader = DataLoader(data, CLIPS_AT_A_TIME, sampler=mine, num_workers=count_workers(data, workers))
    found, views = [], f" x {data.views} views" if data.views > 1 else ""
    for item in tqdm(loader, f"evaluating {len(data.clips)} clips{views}", disable=not progress):
        clips = data.inputs(item, model.size, device)
        with nullcontext() if accelerator is None else accelerator.autocast():
            prediction = model(clips)
        found.append(torch.cat(model.probabilities(prediction), dim=1))
    order = torch.tensor(mine, device=device)
    probabilities = torch.cat(found)
    if accelerator is not None and processes > 1:
        order, probabilities = accelerator.gather(order), accelerator.gather(probabilities)
    probabilities = probabilities.cpu().double()  # in this order: a Mac's GPU has no double precision
    return _collect(data, order.cpu(), probabilities)


def _collect(data: Clips, order: Tensor, probabilities: Tensor) -> Predicted:
    """Views in any order, some twice, to clips in theirs."""
    of_view = probabilities.new_empty(len(data), probabilities.shape[1])
    of_view[order] = probabilities
    of_clip = of_view.unflatten(0, (-1, data.views)).mean(1).numpy()
    actions, parts = of_clip[:, : len(ACTIONS)], of_clip[:, len(ACTIONS) :]
    return Predicted(
        tuple(clip.name for clip in data.clips),
        np.array([clip.person for clip in data.clips]),
        data.labels().numpy(),
        np.ascontiguousarray(actions),
        np.ascontiguousarray(parts) if parts.size else None,
    )


def by_person(found: Predicted) -> dict[str, list[int]]:
    """Number of correct clips and of clips, by person; empty without clips."""
    return metrics.count_by_person(found.actions.argmax(1) == found.y, found.person)


def short_report(found: Predicted, train_y: np.ndarray) -> dict[str, float]:
    """Official scores, accuracy of each body part's clips, and the worst quarter of people.

    ``majority top-1`` is that of the most frequent action of the training clips ``train_y``.
    """
    right, part = found.actions.argmax(1) == found.y, body_part(found.y)
    people = np.array([c / n for c, n in by_person(found).values()])
    return scores.official_scores(found.y, found.actions, found.parts) | {
        "majority top-1": scores.most_frequent(train_y).scores(found.y)["action top-1"],
        "mean over people": float(people.mean()),
        "worst quarter of people": metrics.worst_quarter(people),
        **{f"part {BODY_PARTS[k]}": float(right[part == k].mean()) for k in np.unique(part)},
    }


def report(found: Predicted, train_y: np.ndarray) -> dict[str, Any]:
    """Report on a trained recogniser from its predictions on held-out clips; scores are in [0, 1].

    Returns:
        ``scores`` (official), ``people`` (correct clips and clips of each), ``over people`` (mean with
        its interval, None for one person; worst quarter, worst), ``f1 over people`` (each person's macro
        F1 over the actions that the person shows), ``confusion of parts`` (7 x 7; rows are true),
        ``hardest pairs``, ``calibration error``, ``never predicted`` (actions that are shown, with their
        clips and people), ``best constant`` (what is always right most often) and ``majority`` (always
        the most frequent action and body part of the training clips, ``train_y``; with the clips of
        each person that are right).
    """
    from sklearn.metrics import confusion_matrix

    people = by_person(found)
    shares = np.array([c / n for c, n in people.values()])
    predicted = found.actions.argmax(1)
    parts = body_part(found.y), body_part(predicted)
    f1 = np.array(list(f1_over_own_actions(found).values()))
    return {
        "clips": len(found),
        "scores": scores.official_scores(found.y, found.actions, found.parts),
        "people": people,
        "over people": _over_people(shares),
        "f1 over people": _over_people(f1),
        "confusion of parts": confusion_matrix(*parts, labels=range(len(BODY_PARTS))).tolist(),
        "hardest pairs": [
            [ACTIONS[a], ACTIONS[b], n] for a, b, n in scores.hardest_pairs(found.y, predicted)
        ],
        "calibration error": scores.calibration(found.y, found.actions)[0],
        "never predicted": [
            [ACTIONS[a], clips, makers]
            for a, clips, makers in scores.never_predicted(found.y, predicted, found.person)
        ],
        "best constant": _judge_constant(scores.most_frequent(found.y), found),
        "majority": _judge_constant(scores.most_frequent(train_y), found),
    }


def _judge_constant(constant: scores.Constant, found: Predicted) -> dict[str, Any]:
    action, part = constant.names
    counts = metrics.count_by_person(found.y == constant.action, found.person)
    people = {person: right for person, (right, _) in counts.items()}
    own = {"action": action, "body part": part, "scores": constant.scores(found.y)}
    return own | {"right of people": people}


def _over_people(scores: np.ndarray) -> dict[str, float | None]:
    """A summary for JSON, which has no nan."""
    return {k: None if np.isnan(v) else v for k, v in vars(metrics.summarize(scores)).items()}


def f1_over_own_actions(found: Predicted) -> dict[str, float]:
    """Each person's F1 in [0, 1], averaged over the actions that the person shows; empty without clips.

    An average over all 52 would mostly count how many actions a person happens to show.
    """
    from sklearn.metrics import f1_score

    predicted, scored = found.actions.argmax(1), {}
    for p in np.unique(found.person):
        mine = found.person == p
        labels = np.unique(found.y[mine])
        scored[str(p)] = float(
            f1_score(found.y[mine], predicted[mine], labels=labels, average="macro", zero_division=0)
        )
    return scored
