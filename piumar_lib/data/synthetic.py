"""Synthetic people: seated skeletons that perform micro-actions, each in a personal style.

A clip of action y by person p is, for 17 COCO joints in two dimensions,

    pose_p + a_p sum_c (1[c = y] + kappa_pyc) Rot(theta_pc) D_c g_c(phi(t)) + tremor + sway + noise,
    phi(t) = clip((t - onset) / duration, 0, 1) ** asymmetry,

with ``D_c`` the displacement field of action c (`piumar_lib.data.actions`) and ``g_c`` its course.
Each action y is accompanied by two others; only for these is ``kappa_pyc`` not zero. Every personal
factor is heavy-tailed and can be switched off, for ablations.

Coordinates: x to the image's right, y downward, in torso lengths, hips at the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from piumar_lib.data.actions import Action, course, teaching_actions
from piumar_lib.data.sequences import Sequences
from piumar_lib.data.skeleton import JOINTS, MIRROR, POSES, rest_pose

FACTORS = (
    "tempo", "onset", "asymmetry", "amplitude", "direction", "comotion", "handedness",
    "tremor", "sway", "bones", "posture", "habits",
)  # fmt: skip
RATE = 12.5  # frames per second
NOISE = 0.003  # torso lengths, of every joint in every frame: the pose estimator's error
TEMPO_SPREAD, TEMPO_LIMITS = 0.55, (0.4, 2.8)  # of log tempo; limits relative to the typical tempo
# Data sets by name, each with the strength of factors that are not at 1. Each fold is a separate
# population, and no person occurs in two folds.
SYNTHETIC = {
    "synthetic": {},
    "synthetic-52": {},  # MA-52's 52 actions with a long tail, and its distribution of clips per person
    "synthetic-comotion": {"comotion": 3.0, "tempo": 0.5, "onset": 0.5},
}
JITTER = 1 / 4  # standard deviation within a person, relative to that between people


def is_synthetic(data: str) -> bool:
    """Whether a data set's name is in `SYNTHETIC`, followed by options or not."""
    return data.partition(":")[0] in SYNTHETIC


@dataclass(frozen=True, eq=False)
class People:
    """The styles of P people over C actions; all arrays, first axis people.

    Attributes:
        actions: The C actions that they make.
        scale: Strength of each factor of `FACTORS` (0 off, 1 as designed).
        tempo, onset, asymmetry, amplitude: Standardised t4 draw of each person, shape ``(P,)``.
        direction: Rotation of each action's field in radians, ``(P, C)``.
        partners, comotion: The two accompanying actions, and their weights, ``(P, C, 2)``.
        left: Probability of using the left side, ``(P,)``.
        tremor_amplitude, tremor_rate: Size of the tremor in torso lengths, its rate in Hz, ``(P,)``.
        tremor_joints: Which joints tremble, ``(P, 17)``.
        sway_amplitude, sway_rate: Size of the sway in torso lengths, its rate in Hz, ``(P,)``.
        pose: Rest positions of the joints, torso lengths, ``(P, 17, 2)``.
        habits: Probability of each action, ``(P, C)``.
    """

    actions: tuple[Action, ...]
    scale: dict[str, float]
    tempo: np.ndarray
    onset: np.ndarray
    asymmetry: np.ndarray
    amplitude: np.ndarray
    direction: np.ndarray
    partners: np.ndarray
    comotion: np.ndarray
    left: np.ndarray
    tremor_amplitude: np.ndarray
    tremor_rate: np.ndarray
    tremor_joints: np.ndarray
    sway_amplitude: np.ndarray
    sway_rate: np.ndarray
    pose: np.ndarray
    habits: np.ndarray

    def __len__(self) -> int:
        return len(self.tempo)


def make_people(
    n: int,
    seed: int,
    actions: tuple[Action, ...] | None = None,
    scale: Mapping[str, float] | None = None,
) -> People:
    """Draw the styles of ``n`` people.

    The same seed draws the same people for every ``scale``, so switching one factor off changes nothing
    else. By default they make the 12 teaching actions (`all_actions` has MA-52's 52); ``scale`` is the
    strength of single factors, for example ``{"tempo": 0}``, and those not named stay at 1.

    Raises:
        ValueError: If ``n`` is not positive, ``actions`` are fewer than two, or ``scale`` has an unknown
            factor or an invalid value.
    """
    if n < 1:
        raise ValueError(f"n: {n} people cannot be drawn. Ask for at least 1.")
    strength = dict.fromkeys(FACTORS, 1.0) | dict(scale or {})
    for factor, value in strength.items():
        if factor not in FACTORS:
            raise ValueError(f"scale: a factor must be one of {', '.join(FACTORS)}, got {factor!r}.")
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"scale: {factor}={value} is not a strength. Choose a number >= 0.")
    actions = teaching_actions() if actions is None else actions
    classes = len(actions)
    if classes < 2:
        raise ValueError(f"actions: {classes} of them leave nothing to recognise. Give at least 2.")
    rng = np.random.default_rng([seed, 1])

    tempo, onset, asymmetry, amplitude = _t4(rng, (4, n))
    partners = _two_others(rng, n, classes)
    comotion = 0.14 * np.abs(_t4(rng, (n, classes, 2))) * rng.choice([-1, 1], (n, classes, 2))
    direction = 0.3 * _t4(rng, (n, classes))
    left = rng.beta(0.4, 0.4, n)
    tremor_amplitude = 0.0075 * np.exp(0.5 * _t4(rng, n))
    tremor_rate = rng.uniform(1.2, 5.0, n)
    tremor_joints = rng.random((n, len(JOINTS))) < 0.35
    sway_amplitude = 0.020 * np.exp(0.5 * _t4(rng, n))
    sway_rate = rng.uniform(0.1, 0.5, n)
    bones, angles = _t4(rng, (n, len(JOINTS))), _t4(rng, (n, len(JOINTS)))
    frequency = np.array([action.frequency for action in actions])
    frequency = frequency / frequency.sum()
    personal = rng.dirichlet(np.maximum(0.4 * classes * frequency, 0.02), n)
    habits = frequency + strength["habits"] * 0.85 * (personal - frequency)
    habits = np.maximum(habits, 0)

    return People(
        actions=tuple(actions),
        scale=strength,
        tempo=tempo,
        onset=onset,
        asymmetry=asymmetry,
        amplitude=amplitude,
        direction=strength["direction"] * direction,
        partners=partners,
        comotion=strength["comotion"] * comotion,
        left=0.5 + np.clip(strength["handedness"], 0, 1) * (left - 0.5),
        tremor_amplitude=strength["tremor"] * tremor_amplitude,
        tremor_rate=tremor_rate,
        tremor_joints=tremor_joints,
        sway_amplitude=strength["sway"] * sway_amplitude,
        sway_rate=sway_rate,
        pose=rest_pose(np.exp(0.1 * strength["bones"] * bones), 0.15 * strength["posture"] * angles),
        habits=habits / habits.sum(1, keepdims=True),
    )


def movement_seconds(tempo: np.ndarray) -> np.ndarray:
    """Duration of a movement, from a person's standardised tempo."""
    return 1.3 / np.clip(np.exp(TEMPO_SPREAD * tempo), *TEMPO_LIMITS)


def onset_seconds(onset: np.ndarray) -> np.ndarray:
    """Onset of a movement, from a person's standardised onset."""
    return np.clip(0.35 + 0.35 * onset, 0.05, 1.2)


def relative_amplitude(amplitude: np.ndarray) -> np.ndarray:
    """Amplitude of a movement relative to its action's, from a person's standardised amplitude."""
    return np.clip(np.exp(0.45 * amplitude), 0.35, 3.0)


def make_clips(
    people: People,
    clips_each: int | np.ndarray,
    seed: int,
    frames: int = 32,
    centered: bool = True,
    person_offset: int = 0,
    rate: float = RATE,
) -> Sequences:
    """Generate clips of people, whose styles `make_people` draws.

    Args:
        people: Styles of the people.
        clips_each: Number of clips of every person, or one number for each, shape ``(P,)``.
        seed: Seed of the clips; other seeds give other clips of the same people.
        frames, rate: Frames of a clip, and frames per second.
        centered: Whether to subtract each clip's mean pose, so that only movement is left. The video
            renderer needs absolute positions.
        person_offset: Offset of the person labels, to distinguish two populations.

    Returns:
        Clips of shape ``(n, frames, 34)``: x and y of the 17 joints, in torso lengths.

    Raises:
        ValueError: If ``clips_each`` is not one integer or one for each person, ``frames`` is too small,
            or ``rate`` is not positive.
    """
    counts = np.asarray(clips_each)
    if counts.shape not in ((), (len(people),)) or counts.dtype.kind not in "iu":
        raise ValueError(
            f"clips_each: shape {counts.shape} of {counts.dtype} for {len(people)} people. "
            "Give one whole number, or one for each person."
        )
    counts = np.broadcast_to(counts, len(people))
    if counts.min() < 0 or counts.sum() < 1:
        raise ValueError(f"clips_each: {clips_each} gives no clips. Ask for at least 1.")
    if frames < 4:
        raise ValueError(f"frames: {frames} cannot hold a movement. Ask for at least 4.")
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"rate: {rate} frames per second show nothing. Give a positive number.")
    rng = np.random.default_rng([seed, 2])
    who = np.repeat(np.arange(len(people)), counts)
    n, scale = len(who), people.scale
    what = (people.habits[who].cumsum(1) < rng.random((n, 1))).sum(1)
    what = np.minimum(what, len(people.actions) - 1)

    def personal(trait: np.ndarray, factor: str) -> np.ndarray:
        return scale[factor] * (trait[who] + JITTER * _t4(rng, n))

    seconds = movement_seconds(personal(people.tempo, "tempo"))
    onset = onset_seconds(personal(people.onset, "onset"))
    asymmetry = np.exp(0.275 * personal(people.asymmetry, "asymmetry"))
    amplitude = relative_amplitude(personal(people.amplitude, "amplitude"))
    time = np.arange(frames) / rate
    phase = np.clip((time - onset[:, None]) / seconds[:, None], 0, 1) ** asymmetry[:, None]

    # The action itself and the two that accompany it, each rotated by its personal angle.
    fields = np.stack([action.field for action in people.actions]).astype(np.float32)
    kinds = np.array([action.course for action in people.actions])
    motion = np.zeros((n, frames, len(JOINTS), 2), np.float32)
    terms = np.concatenate([what[:, None], people.partners[who, what]], axis=1)
    weights = np.concatenate([np.ones((n, 1)), people.comotion[who, what]], axis=1)
    jitter = 0.3 * JITTER * scale["direction"] * _t4(rng, (n, 3))
    for k in range(3):
        angle = people.direction[who, terms[:, k]] + jitter[:, k]
        field = _rotate(fields[terms[:, k]], angle) * weights[:, k, None, None]
        motion += course(kinds[terms[:, k]], phase)[:, :, None, None] * field[:, None]
    motion *= amplitude[:, None, None, None]
    other_side = rng.random(n) < people.left[who]
    motion[other_side] = motion[other_side][:, :, MIRROR] * np.array([-1, 1], np.float32)

    motion += _tremor(rng, people, who, time)
    motion += _sway(rng, people, who, time)
    motion += NOISE * rng.standard_normal(motion.shape, dtype=np.float32)
    motion = motion - motion.mean(1, keepdims=True) if centered else motion + people.pose[who][:, None]
    return Sequences(
        x=motion.reshape(n, frames, -1),
        y=what,
        person=who + person_offset,
        class_names=tuple(action.name for action in people.actions),
        rate=rate,
        name="synthetic people",
    )


def clips_per_person(n: int, total: int, seed: int) -> np.ndarray:
    """Distribute ``total`` clips over ``n`` people as unevenly as in MA-52, at least one each; ``(n,)``.

    MA-52's training people have 11 to 303 clips each, median 46: close to log-normal.

    Raises:
        ValueError: If there are fewer clips than people.
    """
    if n < 1 or total < n:
        raise ValueError(f"total: {total} clips for {n} people. Ask for at least one clip a person.")
    weights = np.exp(0.75 * np.clip(np.random.default_rng([seed, 3]).standard_normal(n), -2.2, 2.2))
    exact = 1 + (total - n) * weights / weights.sum()
    counts = exact.astype(int)
    # Clips lost to rounding go to the largest remainders.
    counts[np.argsort(counts - exact)[: total - counts.sum()]] += 1
    return counts


def _t4(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Student's t with 4 degrees of freedom, clipped to +-5: a few people are extreme."""
    return np.clip(rng.standard_t(4, shape), -5, 5)


def _two_others(rng: np.random.Generator, n: int, classes: int) -> np.ndarray:
    """For each person and action, two different other actions, shape ``(n, classes, 2)``.

    With only two actions, it is the other one twice.
    """
    first = rng.integers(1, classes, (n, classes))
    second = rng.integers(1, max(2, classes - 1), (n, classes))
    second = second + (second >= first) if classes > 2 else second
    return (np.arange(classes)[None, :, None] + np.stack([first, second], -1)) % classes


def _rotate(field: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotate displacement fields ``(n, 17, 2)`` by ``(n,)`` radians."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = field[..., 0], field[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1).astype(np.float32)


def _tremor(rng: np.random.Generator, people: People, who: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Tremor of a person's joints: one rate per person, random phases, shape ``(n, time, 17, 2)``."""
    start = rng.uniform(0, 2 * np.pi, (len(who), len(JOINTS), 2)).astype(np.float32)
    angle = (2 * np.pi * people.tremor_rate[who, None] * time).astype(np.float32)
    size = (people.tremor_amplitude[who, None] * people.tremor_joints[who]).astype(np.float32)
    # sin(angle + start) by the addition theorem: two products per joint instead of a sine.
    sine, cosine = np.sin(angle)[..., None, None], np.cos(angle)[..., None, None]
    size = size[..., None]
    return sine * (size * np.cos(start))[:, None] + cosine * (size * np.sin(start))[:, None]


def _sway(rng: np.random.Generator, people: People, who: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Slow sway of the whole upper body about the hips, shape ``(n, time, 17, 2)``."""
    height = np.maximum(-POSES[:, 1], 0).astype(np.float32)  # of each joint above the hips
    start = rng.uniform(0, 2 * np.pi, (len(who), 1))
    swing = np.sin(2 * np.pi * people.sway_rate[who, None] * time + start)
    swing = (people.sway_amplitude[who, None] * swing).astype(np.float32)
    along = np.stack([height, 0.2 * height], axis=-1)
    return swing[:, :, None, None] * along
