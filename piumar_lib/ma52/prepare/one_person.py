"""Tracking of one person through a clip in which an estimator finds several."""

from __future__ import annotations

import numpy as np

PATIENCE = 15  # frames without the person after which another one may be followed


class OnePerson:
    """Follows the largest person of the first frame that shows any, always to the nearest one.

    The nearest person has the smallest mean distance of joints to the last known ones. A person who is
    farther away than the tracked person is tall is another one.

    Attributes:
        last: Joints of the person when last seen, ``(joints, 3)``.
        missed: Frames since then.
    """

    def __init__(self) -> None:
        self.last: np.ndarray | None = None
        self.missed = 0

    def __call__(self, people: np.ndarray) -> np.ndarray | None:
        """The person among ``people``, pixels and scores ``(people, joints, 3)``; None if not there."""
        person = self._choose(people)
        if person is None:
            self.missed += 1
            return None
        self.last, self.missed = person, 0
        return person

    def _choose(self, people: np.ndarray) -> np.ndarray | None:
        if len(people) == 0:
            return None
        if self.last is None or self.missed >= PATIENCE:
            return people[np.argmax(np.ptp(people[..., :2], axis=1).prod(-1))]  # the area of its box
        away = np.linalg.norm(people[..., :2] - self.last[:, :2], axis=-1).mean(1)
        nearest = int(np.argmin(away))
        return people[nearest] if away[nearest] <= np.ptp(self.last[:, 1]) else None
