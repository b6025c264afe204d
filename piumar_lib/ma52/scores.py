"""MA-52's official scores, and further ones: by person, confusions, calibration, majority baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part
from piumar_lib.metrics import f1


def official_scores(
    y: np.ndarray, probabilities: np.ndarray, parts: np.ndarray | None = None
) -> dict[str, float]:
    """The benchmark's scores, in [0, 1].

    ``F1_mean`` is the mean of macro and micro F1 of body parts and of actions; micro F1 is top-1
    accuracy.

    Args:
        y: Actions 0 to 51, shape ``(n,)``.
        probabilities: Probabilities of actions, shape ``(n, 52)``.
        parts: Probabilities of body parts from a head of their own (PCAN), shape ``(n, 7)``; without
            them the part is that of the most probable action (MANet).

    Raises:
        ValueError: If shapes or actions are invalid.
    """
    y, probabilities = np.asarray(y), np.asarray(probabilities)
    _require(y, probabilities, len(ACTIONS), "probabilities")
    predicted, body = probabilities.argmax(1), body_part(y)
    if parts is None:
        predicted_body = body_part(predicted)
    else:
        _require(y, np.asarray(parts), len(BODY_PARTS), "parts")
        predicted_body = np.asarray(parts).argmax(1)
    action_macro, action_micro = f1(y, predicted, len(ACTIONS))
    body_macro, body_micro = f1(body, predicted_body, len(BODY_PARTS))
    return {
        "body top-1": body_micro,
        "action top-1": action_micro,
        "action top-5": top_k(y, probabilities, 5),
        "body F1 macro": body_macro,
        "action F1 macro": action_macro,
        "F1_mean": (body_macro + body_micro + action_macro + action_micro) / 4,
    }


class Constant(NamedTuple):
    """An answer that is always the same: action 0 to 51, body part 0 to 6."""

    action: int
    part: int

    @property
    def names(self) -> tuple[str, str]:
        """Names of the action and of the body part."""
        return ACTIONS[self.action], BODY_PARTS[self.part]

    def scores(self, y: np.ndarray) -> dict[str, float]:
        """Its official scores on clips of actions ``y``, shape ``(n,)``; it has no top-5."""
        one = np.ones((len(y), 1))
        said = official_scores(
            y, one * np.eye(len(ACTIONS))[self.action], one * np.eye(len(BODY_PARTS))[self.part]
        )
        return {name: value for name, value in said.items() if name != "action top-5"}


def most_frequent(y: np.ndarray) -> Constant:
    """The most frequent of actions ``(n,)``, and of body parts; of equally frequent ones the first.

    For training clips, it is the majority baseline. For the evaluated clips, it is the best constant
    answer, which is not available to a recogniser: 641 of the 5,586 clips of MA-52's val list are
    nodding, 11.475 %.

    Raises:
        ValueError: If there is no clip, or an action is out of range.
    """
    y = np.asarray(y)
    if y.ndim != 1 or len(y) == 0:
        raise ValueError(f"y: shape {y.shape}. Give one action for each clip, at least one.")
    parts = body_part(y)
    return Constant(int(np.bincount(y).argmax()), int(np.bincount(parts).argmax()))


def majority_over_people(reports: Iterable[Mapping[str, Any]]) -> float:
    """Mean over people of always answering the training clips' most frequent action, in [0, 1].

    Each person counts in the fold that holds this person out; ``reports`` are those of
    `piumar_lib.ma52.evaluate.report`, at least one of each fold.
    """
    people: dict[str, float] = {}
    for found in reports:
        right = found["majority"]["right of people"]
        people |= {person: right[person] / clips for person, (_, clips) in found["people"].items()}
    return float(np.mean([*people.values()]))


def accuracy_of_people(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Each person's accuracy in [0, 1] in a method's records, averaged over seeds."""
    people: dict[str, list[float]] = {}
    for record in records:
        for person, (right, clips) in record["held out"]["people"].items():
            people.setdefault(person, []).append(right / clips)
    return {person: float(np.mean(values)) for person, values in people.items()}


def never_predicted(
    y: np.ndarray, predicted: np.ndarray, person: np.ndarray
) -> list[tuple[int, int, int]]:
    """Actions that are shown and never predicted: number, clips, and people; most clips first.

    All arguments have the shape ``(n,)``; ``person`` says who made each clip.
    """
    missed = np.setdiff1d(y, predicted)
    found = [(int(a), int((y == a).sum()), len(np.unique(person[y == a]))) for a in missed]
    return sorted(found, key=lambda row: (-row[1], row[0]))


def top_k(y: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Top-k accuracy in [0, 1]: the true action is among the ``k`` most probable; nan without clips.

    ``y`` has the shape ``(n,)``, ``probabilities`` have ``(n, classes)``.
    """
    best = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(y)[:, None]).any(1).mean())


def hardest_pairs(y: np.ndarray, predicted: np.ndarray, most: int = 10) -> list[tuple[int, int, int]]:
    """The most frequent confusions: true action, predicted action and clips; most frequent first.

    ``y`` and ``predicted`` have the shape ``(n,)``.
    """
    wrong = np.asarray(y) != np.asarray(predicted)
    pairs, counts = np.unique(np.stack([y, predicted])[:, wrong], axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [(int(pairs[0, k]), int(pairs[1, k]), int(counts[k])) for k in order]


def calibration(
    y: np.ndarray, probabilities: np.ndarray, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error and its bins (Guo et al., ICML 2017).

    Args:
        y: Classes, shape ``(n,)``.
        probabilities: Shape ``(n, classes)``.
        bins: Equally wide ranges of the largest probability.

    Returns:
        The error: mean over clips of the gap between confidence and accuracy of their bin. And for
        each bin that is not empty its mean confidence, accuracy and number of clips.
    """
    confidence = np.asarray(probabilities).max(1)
    correct = np.asarray(probabilities).argmax(1) == np.asarray(y)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for k in np.unique(place):
        here = place == k
        found.append((float(confidence[here].mean()), float(correct[here].mean()), int(here.sum())))
    error = sum(count * abs(sure - right) for sure, right, count in found) / len(confidence)
    return float(error), found


def _require(y: np.ndarray, probabilities: np.ndarray, classes: int, name: str) -> None:
    if y.ndim != 1 or len(y) == 0 or probabilities.shape != (len(y), classes):
        raise ValueError(
            f"y, {name}: shapes {y.shape} and {probabilities.shape}. Give (n,) and (n, {classes}), "
            "with n at least 1."
        )
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{name}: NaN or infinite values. Look at the training's last loss.")
