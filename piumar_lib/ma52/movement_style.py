"""Movement style of a person relative to the stand-in's people: tempo, onset and amplitude from poses.

    one = measure_style(track)                 # of one clip
    reference = read_reference()               # the stand-in's 186 people
    reference.percentiles(median_of(several))  # 80: four of five of them have a smaller value

In a clip of one movement, joints move fast during it and slowly before and after. So the clip is
smoothed, reduced to its two principal components, and segmented into before, during and after by maximum
likelihood with two variances of the velocity, one during the movement and one outside it (a change-point
model). The stand-in's people are measured in the same way, also from an estimator with errors. Their
true values are known, and `ReferencePeople.agreement` is the rank correlation with the measured ones:
high for amplitude, moderate for onset, low for tempo. One reason is that an action which ends in a pose
has a short movement.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piumar_lib.data.joints import parents
from piumar_lib.ma52.pose_dataset import measure
from piumar_lib.ma52.pose_tracks import Track
from piumar_lib.ma52.windows import SHORT
from piumar_lib.support.files import as_path, read_json, write_text

REFERENCE = Path(__file__).with_name("models") / "poses" / "people.json"
SMOOTH = 0.1  # standard deviation of the Gaussian over time, seconds
COMPONENTS = 2
SHORTEST = 0.3  # shortest duration of a movement, in seconds
STILL = 0.03  # torso lengths per second: speeds below it are noise
CLIPS = 25  # of each of the stand-in's people are measured
AGAIN = "Take the file as the course has it: git checkout, or install the course again."


class MovementStyle(NamedTuple):
    """Style of a movement.

    Attributes:
        tempo: Duration in seconds, up to the end of the movement or of the clip.
        onset: Start of the movement, in seconds from the start of the clip.
        amplitude: Largest displacement of a joint, in torso lengths.
    """

    tempo: float
    onset: float
    amplitude: float


@dataclass(frozen=True)
class ReferencePeople:
    """Medians of people.

    Attributes:
        source: Description of the people.
        styles: One for each person.
        clips: Number of measured clips of each person.
        agreement: Rank correlation over people between measured and true tempo, onset and amplitude, for
            synthetic people.
    """

    source: str
    styles: tuple[MovementStyle, ...]
    clips: tuple[int, ...]
    agreement: MovementStyle

    def values(self, name: str) -> np.ndarray:
        """A field of `MovementStyle` for all people, shape ``(people,)``."""
        return np.array([getattr(style, name) for style in self.styles])

    def percentiles(self, style: MovementStyle) -> MovementStyle:
        """Percentage of people with smaller values, plus half of those with equal ones."""
        ranks = []
        for name, value in style._asdict().items():
            own = self.values(name)
            ranks.append(100 * float(((own < value) + 0.5 * (own == value)).mean()))
        return MovementStyle(*ranks)

    def write(self, path: Path) -> None:
        """Write a file that `read_reference` reads."""
        columns = {name: self.values(name).round(4).tolist() for name in MovementStyle._fields}
        about = {"source": self.source, "clips": list(self.clips)}
        agreement = {name: round(value, 3) for name, value in self.agreement._asdict().items()}
        write_text(path, json.dumps({**about, "agreement": agreement, **columns}) + "\n")


def read_reference(path: str | Path = REFERENCE) -> ReferencePeople:
    """Read the reference people, by default the stand-in's.

    Raises:
        FileNotFoundError, ValueError: If there is no such file, or it is damaged.
    """
    path = as_path(path)
    held = read_json(path, AGAIN, ["source", "clips", "agreement", *MovementStyle._fields])
    try:
        rows = zip(*(map(float, held[name]) for name in MovementStyle._fields), strict=True)
        styles, agreement = tuple(starmap(MovementStyle, rows)), MovementStyle(**held["agreement"])
        clips = tuple(map(int, held["clips"]))
        if not styles or len(clips) != len(styles):
            raise ValueError(f"{len(clips)} numbers of clips for {len(styles)} people")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error}). {AGAIN}") from error
    return ReferencePeople(str(held["source"]), styles, clips, agreement)


def measure_style(track: Track) -> MovementStyle:
    """Tempo, onset and amplitude of the movement in one clip.

    Raises:
        ValueError: If the clip is longer than `piumar_lib.ma52.windows.SHORT` seconds, too short, or
            shows no torso.
    """
    if track.seconds > SHORT:
        raise ValueError(
            f"{track.name}: must last at most {SHORT:g} s, as one movement is measured, got "
            f"{track.seconds:.1f} s. Cut a clip about one movement from it."
        )
    body = measure(track.xy, track.score, track.joints, parents(track.joints).tolist())
    if body is None:
        raise ValueError(f"{track.name}: no torso was found. Record shoulders, and hips if possible.")
    fewest = max(2, round(SHORTEST * track.rate))
    if len(body) <= fewest + 1:
        raise ValueError(f"{track.name}: {len(body)} frames hold no movement. Give a second or more.")
    course, loadings = _reduce(body[..., :2], track.rate)
    speed = np.square(np.diff(course, axis=0) * track.rate).sum(1)  # (frames - 1,)
    first, last = find_movement(speed, fewest)
    path = course[first : last + 1] @ loadings  # (frames of the movement, 2 joints)
    path = path.reshape(len(path), -1, 2)
    reach = np.linalg.norm(path[:, None] - path[None], axis=-1).max()
    return MovementStyle((last - first) / track.rate, (first + 0.5) / track.rate, float(reach))


def _reduce(body: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The smoothed clip as ``(frames, components)``, and the loadings ``(components, 2 joints)``."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(body.astype(float), SMOOTH * rate, axis=0, mode="nearest")
    flat = smooth.reshape(len(smooth), -1)
    flat = flat - flat.mean(0)
    loadings = np.linalg.svd(flat, full_matrices=False)[2][:COMPONENTS]
    return flat @ loadings.T, loadings


def find_movement(speed: np.ndarray, fewest: int) -> tuple[int, int]:
    """Interval of the movement.

    Its ends are two change points of a Gaussian with mean 0, whose variance differs between the movement
    and the rest, estimated by maximum likelihood over all pairs of ends (compare Chen and Gupta, JASA
    1997, who test for one such change at a time).

    Args:
        speed: Squared speed, torso lengths a second squared, shape ``(time,)``.
        fewest: Smallest number of steps of the movement.

    Returns:
        Its first step, and the one after its last.
    """
    steps = len(speed)
    sums = np.concatenate([[0.0], speed.cumsum()])
    first, last = np.triu_indices(steps + 1, fewest)
    during, rest = last - first, steps - (last - first)
    inside = (sums[last] - sums[first]) / during
    outside = (sums[-1] - sums[last] + sums[first]) / np.maximum(rest, 1)
    # Minus twice the log likelihood of velocities with these variances, up to a constant.
    cost = during * np.log(inside + STILL**2) + rest * np.log(outside + STILL**2)
    cost[(outside > inside) & (rest > 0)] = np.inf
    best = int(cost.argmin())
    return int(first[best]), int(last[best])


def median_of(styles: Sequence[MovementStyle]) -> MovementStyle:
    """The median of several clips.

    Raises:
        ValueError: If there is none.
    """
    if not styles:
        raise ValueError("styles: must be those of one or more clips, got none.")
    return MovementStyle(*np.median(np.array(styles), axis=0).tolist())


def measure_standin(folder: Path) -> ReferencePeople:
    """Measure the people in a stand-in's train and val, and the agreement with their true styles.

    Its folder holds ``poses.safetensors`` and ``standin.json``.

    Raises:
        FileNotFoundError, ValueError: If it holds no stand-in's poses.
    """
    from scipy.stats import spearmanr

    from piumar_lib.ma52.prepare.layout import STANDIN
    from piumar_lib.ma52.prepare.poses import read_poses
    from piumar_lib.ma52.standin.videos import MADE_WITH, TRUTH

    held = read_json(folder / STANDIN, "Make it with make_synthetic_ma52.py.", [MADE_WITH, TRUTH])
    poses, made = read_poses(folder / "poses.safetensors"), held[MADE_WITH]
    clips: dict[int, list[Track]] = {}
    for row, name in enumerate(poses.names):
        if name in held[TRUTH]:
            continue  # test clips have no person label
        mine = clips.setdefault(int(name.split("_")[0]) - 1, [])
        if len(mine) < CLIPS:
            mine.append(Track(name, poses.joints, *poses.clip(name), float(poses.rate[row])))
    styles = tuple(median_of(list(map(measure_style, mine))) for mine in clips.values())
    truth = np.array(true_styles(made["people"], made["seed"]))[[*clips]]
    pairs = zip(np.array(styles).T, truth.T, strict=True)
    ranks = [float(spearmanr(own, true).statistic) for own, true in pairs]
    counts = tuple(len(mine) for mine in clips.values())
    return ReferencePeople(f"stand-in, seed {made['seed']}", styles, counts, MovementStyle(*ranks))


def true_styles(people: int, seed: int) -> list[MovementStyle]:
    """True styles of a stand-in's people, in the order of their numbers.

    Tempo and onset are in seconds. The amplitude is a factor: an action's own amplitude is that times
    how far its joints go.
    """
    from piumar_lib.data import synthetic
    from piumar_lib.data.actions import all_actions

    made = synthetic.make_people(people, seed, all_actions())
    tempo, onset = synthetic.movement_seconds(made.tempo), synthetic.onset_seconds(made.onset)
    columns = np.stack([tempo, onset, synthetic.relative_amplitude(made.amplitude)], axis=1)
    return [MovementStyle(*row) for row in columns.tolist()]
