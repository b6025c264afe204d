"""MA-52's official scores, and what they hide: people, confusions, confidence."""

from __future__ import annotations

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
        probabilities: Of actions, shape ``(n, 52)``.
        parts: Probabilities of body parts from a head of their own (PCAN), shape ``(n, 7)``; without
            them the part is that of the most probable action (MANet).

    Raises:
        ValueError: If shapes or actions cannot be right.
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


def top_k(y: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Share of clips whose action is among the ``k`` most probable ones."""
    best = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(y)[:, None]).any(1).mean())


def confusion_of_parts(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Clips by true body part (rows) and that of the predicted action (columns), ``(7, 7)``."""
    table = np.zeros((len(BODY_PARTS), len(BODY_PARTS)), int)
    np.add.at(table, (body_part(y), body_part(predicted)), 1)
    return table


def hardest_pairs(y: np.ndarray, predicted: np.ndarray, most: int = 10) -> list[tuple[int, int, int]]:
    """The most frequent confusions: true action, predicted action, clips; most frequent first."""
    wrong = np.asarray(y) != np.asarray(predicted)
    pairs, counts = np.unique(np.stack([y, predicted])[:, wrong], axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [(int(pairs[0, k]), int(pairs[1, k]), int(counts[k])) for k in order]


def calibration(
    y: np.ndarray, probabilities: np.ndarray, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """Is a recogniser right as often as it is sure? Expected calibration error, and its bins.

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
