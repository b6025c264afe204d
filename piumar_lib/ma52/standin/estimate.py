"""Simulated output of a pose estimator on a stand-in's videos: true joints in pixels, plus errors.

The errors have the properties of real estimators' errors: they are larger at hands and feet, and
correlated over time; in some frames a joint is hard to see, with a large error and a low score; a joint
or a whole frame may be lost; and in a few clips another person sits behind. Their sizes are those of
`Detector`; none was fitted to MA-52, whose poses must not be redistributed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from piumar_lib.data.actions import all_actions
from piumar_lib.data.joints import COCO
from piumar_lib.data.synthetic import make_people
from piumar_lib.ma52.standin.points import derive
from piumar_lib.ma52.standin.render import Looks, make_looks, to_pixels
from piumar_lib.ma52.standin.videos import Plan, joints_of

PIXELS, SCORES = 16, 256  # coordinates end in sixteenths of a pixel, scores in 256ths
# How much larger the error is than at shoulders, hips and head, by the first of these in a joint's name.
HARDER = {"elbow": 1.3, "knee": 1.3, "wrist": 1.8, "ankle": 1.8, "foot": 2.0, "heel": 2.0, "toe": 2.0,
          "hand": 2.0, "finger": 2.5, "thumb": 2.5, "index": 2.5, "pinky": 2.5}  # fmt: skip


@dataclass(frozen=True)
class Detector:
    """Error model of an estimator.

    Attributes:
        jitter: Standard deviation at shoulders, hips and head, torso lengths.
        memory: Correlation of the error from one frame to the next.
        spread: Standard deviation, from clip to clip, of the jitter's logarithm.
        hard, hard_frames: Fraction of joints that are hard to see, and for how many frames on average.
        harder: How many times larger the error then is.
        dropped, dropped_frames: Fraction of joints that are lost, and for how many frames on average.
        lost, lost_frames: Fraction of frames without a person, and their mean number in succession.
        bystanders: Fraction of clips with a second person.
        certainty: Error, in torso lengths, at which the score is 1 / e.
    """

    jitter: float = 0.015
    memory: float = 0.7
    spread: float = 0.4
    hard: float = 0.04
    hard_frames: float = 6
    harder: float = 4
    dropped: float = 0.01
    dropped_frames: float = 4
    lost: float = 0.003
    lost_frames: float = 3
    bystanders: float = 0.02
    certainty: float = 0.1


@dataclass(frozen=True)
class Estimate:
    """Poses of a clip as an estimator writes them.

    Attributes:
        row: Row of the clip in the plan.
        main: Number of the person whom the clip is about.
        keypoint: Pixels, float32 ``(people, frames, joints, 2)``; 0 and 0 where a joint was lost.
        score: 0 to 1, float32 ``(people, frames, joints)``; 0 where a joint was lost.
    """

    row: int
    main: int
    keypoint: np.ndarray
    score: np.ndarray


def true_joints(plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
    """The name of each clip, and its true joints: pixels to the right and down, ``(frames, 17, 2)``."""
    looks = make_looks(plan.people, plan.seed)
    for person in range(plan.people):
        mine, moves = joints_of(plan, person)
        pixels = to_pixels(moves, looks, np.full(len(mine), person), plan.width, plan.height)
        for row, joints in zip(mine, pixels, strict=True):
            yield str(plan.name[row]), joints[: plan.frames[row]]


def estimate(
    plan: Plan, joints: Sequence[str] = COCO, detector: Detector | None = None
) -> Iterator[Estimate]:
    """Estimate poses of all clips, person by person, in the order of the plan.

    ``joints`` are the names of a layout, and errors those of a `Detector`.
    """
    crowd = make_people(plan.people, plan.seed, all_actions()).pose
    looks = make_looks(plan.people, plan.seed)
    for person in range(plan.people):
        yield from _estimate_person(plan, person, crowd, looks, joints, detector or Detector())


def _estimate_person(
    plan: Plan, person: int, crowd: np.ndarray, looks: Looks, joints: Sequence[str], detector: Detector
) -> Iterator[Estimate]:
    mine, moves = joints_of(plan, person)
    rng = np.random.default_rng([plan.seed, 8, person])
    seen, score = blur(derive(moves, joints), joints, detector, rng)
    keypoint = to_pixels(seen, looks, np.full(len(mine), person), plan.width, plan.height)
    keypoint, score = _rounded(keypoint, score)
    watched = rng.random(len(mine)) < detector.bystanders
    for k, row in enumerate(mine.tolist()):
        frames = plan.frames[row]
        here, main = [(keypoint[k, :frames], score[k, :frames])], 0
        if watched[k]:
            pose = crowd[rng.integers(len(crowd))]
            other = _bystander(pose, frames, plan, looks, joints, detector, rng)
            main = int(rng.integers(2))
            here.insert(1 - main, other)
        people = [np.stack(arrays) for arrays in zip(*here, strict=True)]
        yield Estimate(row, main, *people)


def _bystander(
    pose: np.ndarray, frames: int, plan: Plan, looks: Looks, joints: Sequence[str],
    detector: Detector, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A second person who sits still, half as large, beside and behind."""
    place = np.array([rng.choice([-1.6, 1.6]), -0.4])
    still = np.broadcast_to(0.5 * pose + place, (1, frames, len(COCO), 2))
    seen, score = blur(derive(still, joints), joints, detector, rng)
    whose = rng.integers(len(looks), size=1)
    keypoint = to_pixels(seen, looks, whose, plan.width, plan.height)
    keypoint, score = _rounded(keypoint, np.float32(0.6) * score)
    return keypoint[0], score[0]


def blur(
    true: np.ndarray, joints: Sequence[str], detector: Detector, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add an estimator's errors to true joints, torso lengths ``(clips, frames, joints, 2)``.

    Returns:
        Estimated joints, float32 of the same shape, and their scores ``(clips, frames, joints)``; NaN
        and 0 where a joint is not found.
    """
    shape = true.shape[:3]
    harder = (next((h for part, h in HARDER.items() if part in joint), 1.0) for joint in joints)
    size = detector.jitter * np.array([*harder], np.float32)
    size = size * np.exp(detector.spread * rng.standard_normal((shape[0], 1, 1), np.float32))
    hard = _spells(rng, shape, detector.hard, detector.hard_frames)
    size = np.where(hard, np.float32(detector.harder) * size, size)  # (clips, frames, joints)
    error = _correlated(rng, true.shape, detector.memory)
    error *= size[..., None]
    certain = np.exp(-size / np.float32(detector.certainty)) * (1 - 0.1 * rng.random(shape, np.float32))
    gone = _spells(rng, shape, detector.dropped, detector.dropped_frames)
    gone |= _spells(rng, (*shape[:2], 1), detector.lost, detector.lost_frames)
    error += true
    error[gone] = np.nan
    certain[gone] = 0
    return error, certain


def _correlated(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """Noise of standard deviation 1 that is alike from frame to frame (axis 1), float32."""
    noise = rng.standard_normal(shape, np.float32)
    new = (1 - memory**2) ** 0.5
    for frame in range(1, shape[1]):
        noise[:, frame] *= new
        noise[:, frame] += memory * noise[:, frame - 1]
    return noise


def _spells(rng: np.random.Generator, shape: tuple[int, ...], share: float, length: float) -> np.ndarray:
    """Random intervals of ``length`` frames on average (axis 1) that cover a fraction, bool."""
    drawn = rng.random(shape, np.float32)
    on = np.empty(shape, bool)
    on[:, 0] = drawn[:, 0] < share
    begin = share / (length * (1 - share)) if share < 1 else 1
    for frame in range(1, shape[1]):
        on[:, frame] = drawn[:, frame] < np.where(on[:, frame - 1], 1 - 1 / length, begin)
    return on


def _rounded(keypoint: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As precise as estimators are, with 0 for what was not found."""
    pixels = (keypoint * PIXELS).round() / PIXELS
    pixels[score == 0] = 0
    return pixels, np.ceil(score * SCORES) / SCORES
