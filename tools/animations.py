"""Six small animations; ``python -m tools pictures`` writes them, see `tools.pictures`.

An animation is a generator: it draws a figure, changes it, and yields it for every frame. All of them
show the library's own functions at work on synthetic people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from torch import Tensor

from piumar_lib import dro, transport
from piumar_lib.alignment import MonotoneAlignment, MotionClock, centered_motion_energy
from piumar_lib.data import synthetic
from piumar_lib.data.actions import all_actions, course, teaching_actions
from piumar_lib.data.skeleton import LIMBS
from piumar_lib.ma52.standin.render import make_looks, render
from piumar_lib.notebook import triangle
from piumar_lib.perturbation import SpectralPerturbation

FRAMES = 40  # of an animation
NOSE = 1  # channel of the nose's height


class Animation(NamedTuple):
    """A function that draws, and what is said of it."""

    draw: Callable[[], Iterator[Figure]]  # yields the figure for each frame
    alt: str  # what it shows, in words
    still: int = FRAMES - 1  # frame of the still twin


def nods() -> tuple[Tensor, np.ndarray]:
    """A slow and a fast nod without noise ``(2, frames, 34)``, and the time of each frame in seconds."""
    nod = next(action for action in teaching_actions() if action.name == "nodding")
    seconds = np.arange(75) / 25
    clips = []
    for onset, duration in ((0.3, 2.3), (0.6, 0.9)):
        phase = np.clip((seconds - onset) / duration, 0, 1)
        progress = course(np.array([nod.course]), phase[None])[0]
        clips.append(progress[:, None] * nod.field.ravel())
    return torch.as_tensor(np.stack(clips)), seconds


def common_clock() -> Iterator[Figure]:
    """Frames of two nods move from their own time to canonical time."""
    clips, seconds = nods()
    alignment = MonotoneAlignment(clock=MotionClock(0.1)).eval()
    mass = alignment.clock(clips).detach()
    own = torch.as_tensor(seconds / seconds[-1])
    canonical = mass.cumsum(1) - mass / 2
    fig, ax = plt.subplots(figsize=(5.8, 3.1))
    lines = [
        ax.plot([], [], style, color=color, label=name)[0]
        for name, color, style in (("slow person", "C0", "-"), ("fast person", "C4", "--"))
    ]
    height = -100 * clips[:, :, NOSE].numpy()
    ax.set(
        xlim=(0, 1),
        ylim=(height.min() - 1, height.max() + 1),
        ylabel="nose, upward\n[torso lengths / 100]",
    )
    ax.legend(loc="upper right", facecolor="w", frameon=True, edgecolor="none")
    for part in _ease(FRAMES):
        for line, y, at in zip(lines, height, canonical, strict=True):
            line.set_data(((1 - part) * own + part * at).numpy(), y)
        ax.set_xlabel("time" if part < 0.5 else "canonical time: cumulative motion energy")
        yield fig


def epsilon() -> Iterator[Figure]:
    """The entropic plan between two distributions, as epsilon falls."""
    at = torch.linspace(0, 1, 40, dtype=torch.float64)
    source = _bumps(at, 0.2, 0.45)
    target = _bumps(at, 0.75)
    cost = (at[:, None] - at).square()
    fig, ax = plt.subplots(figsize=(4, 3.6))
    shown = ax.imshow(np.zeros((40, 40)), origin="lower", cmap="Greys", interpolation="nearest")
    ax.set(xlabel="source", ylabel="target", xticks=[], yticks=[])
    ax.grid(visible=False)
    for value in np.geomspace(1, 0.002, FRAMES):
        plan = transport.sinkhorn_plan(
            cost[None], source[None], target[None], epsilon=value, iterations=3000
        )[0]
        shown.set_data(plan.T.numpy())
        shown.set_clim(0, float(plan.max()))
        paid = (plan * cost).sum()
        ax.set_title(f"$\\varepsilon$ = {value:.3f}, transport cost {paid:.3f}")
        yield fig


def two_people() -> Iterator[Figure]:
    """The same action of a slow and of a fast person, who sit and are built differently, too."""
    style = dict.fromkeys(synthetic.FACTORS, 0.0) | {"tempo": 1.0, "bones": 1.0, "posture": 1.0}
    crowd = synthetic.make_people(40, seed=3, scale=style)
    clips = synthetic.make_clips(crowd, 12, seed=1, frames=FRAMES, centered=False, rate=16)
    touches = np.flatnonzero(clips.y == clips.class_names.index("touching nose"))
    touches = touches[crowd.tempo[clips.person[touches]].argsort()]
    fig, axes = plt.subplots(1, 2, figsize=(5.4, 3.4))
    drawn = []
    for ax, clip, name in zip(axes, touches[[0, -1]], ("slow person", "fast person"), strict=True):
        poses = clips.x[clip].reshape(FRAMES, 17, 2)
        drawn.append((*_skeleton(ax), poses[0] + 5 * (poses - poses[0])))
        ax.set_title(name)
    fig.supxlabel("the movement is drawn five times as large as it is", fontsize=10)
    for frame in range(FRAMES):
        for limbs, head, poses in drawn:
            for limb, (a, b) in zip(limbs, LIMBS, strict=False):
                limb.set_data(*poses[frame, [a, b]].T)
            head.set_center(poses[frame, :5].mean(0))
        yield fig


def spectrum() -> Iterator[Figure]:
    """One clip under several draws of the spectral perturbation: spectrum and clip."""
    people = synthetic.make_people(12, seed=2)
    clips = synthetic.make_clips(people, 12, seed=2)
    x, y = torch.as_tensor(clips.x), torch.as_tensor(clips.y)
    wrist = 2 * 10 + 1
    chosen = int(x[:, :, wrist].std(1).argmax())
    torch.manual_seed(0)
    branch = SpectralPerturbation(x.shape[2], probability=1.0)
    draws = [branch(x, y)[chosen, :, wrist] for _ in range(5)]
    stops = [x[chosen, :, wrist], *draws[1:], x[chosen, :, wrist]]
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
    seconds = np.arange(x.shape[1]) / clips.rate
    frequency = np.fft.rfftfreq(x.shape[1], 1 / clips.rate)
    left.plot(frequency[1:], _amplitude(stops[0]), color="0.6")
    right.plot(seconds, 100 * stops[0], color="0.6", label="recorded")
    moved = (
        left.plot([], [], "--", color="C4")[0],
        right.plot([], [], "--", color="C4", label="perturbed")[0],
    )
    left.set(xlabel="frequency [Hz]", ylabel="amplitude", yscale="log", title="spectrum")
    spectra = torch.stack([_amplitude(stop) for stop in stops])
    left.set_ylim(0.8 * float(spectra.min()), 1.5 * float(spectra.max()))
    right.set(xlabel="time [s]", ylabel="wrist [torso lengths / 100]", title="clip")
    most = 1.2 * max(100 * float(stop.abs().max()) for stop in stops)
    right.set_ylim(-most, most)
    right.legend(loc="upper right")
    for now, after in zip(stops, stops[1:], strict=False):
        for part in _ease(FRAMES // len(stops[1:])):
            clip = (1 - part) * now + part * after
            moved[0].set_data(frequency[1:], _amplitude(clip))
            moved[1].set_data(seconds, 100 * clip)
            yield fig


def robust_weights() -> Iterator[Figure]:
    """Worst-case weights of three people over the triangle, as the radius of the ball grows."""
    risks = torch.tensor([0.2, 0.4, 0.9], dtype=torch.float64)
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3), width_ratios=(1.3, 1))
    triangle.shade(left, risks)
    left.set(title="disc: weights to choose from", xlim=(-0.1, 1.1), ylim=(-0.1, 1))
    path = left.plot([], [], color="C4", linewidth=3)[0]
    here = left.plot([], [], "o", color="C4", markersize=9)[0]
    bars = right.bar(["A", "B", "C"], [1 / 3] * 3, color="C0")
    right.axhline(1 / 3, color="0.3", linestyle=":")
    right.set(ylim=(0, 1), xlabel="person", ylabel="weight")
    walked: list[np.ndarray] = []
    for radius in np.linspace(0, 1, FRAMES) ** 2:
        robust = dro.chi_square(risks, float(radius))
        walked.append(triangle.place(robust.weights))
        path.set_data(*np.array(walked).T)
        here.set_data(*np.array(walked[-1:]).T)
        if 0 < radius < 1:  # then the ball has an edge inside the triangle
            triangle.outline(left, lambda p: np.square(3 * p - 1).sum(-1) / 6, radius)
        for bar, weight in zip(bars, robust.weights, strict=True):
            bar.set_height(float(weight))
        right.set_title(f"$\\rho$ = {radius:.2f}, robust risk {robust.value:.2f}")
        yield fig
        if 0 < radius < 1:
            left.collections[-1].remove()


def motion_energy() -> Iterator[Figure]:
    """A rendered clip beside its motion energy so far."""
    people = synthetic.make_people(8, seed=5, actions=all_actions())
    clips = synthetic.make_clips(people, 30, seed=5, frames=FRAMES, centered=False, rate=16)
    moved = centered_motion_energy(torch.as_tensor(clips.x))
    chosen = int((moved.amax(1) / moved.mean(1) * (moved.mean(1) > moved.mean())).argmax())
    person = clips.person[[chosen]]
    joints = clips.x[[chosen]].reshape(1, FRAMES, 17, 2)
    film = _without_noise(render(joints, make_looks(8, 5), person, 240, view=3.2)[0].numpy())
    energy = 100 * moved[chosen].numpy()
    seconds = np.arange(FRAMES) / clips.rate
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.1), width_ratios=(1, 1.6))
    shown = left.imshow(film[0])
    left.set_title(clips.class_names[clips.y[chosen]])
    left.axis("off")
    right.plot(seconds, energy, color="0.8")
    line = right.plot([], [], color="C0")[0]
    right.set(xlabel="time [s]", ylabel="motion energy\n[torso lengths / 100]", ylim=(0, None))
    for frame in range(FRAMES):
        shown.set_data(film[frame])
        line.set_data(seconds[: frame + 1], energy[: frame + 1])
        yield fig


ANIMATIONS = {
    "common_clock": Animation(
        common_clock,
        "Two nods, a slow and a fast one. Their frames slide from the time of the recording to "
        "canonical time, where the two curves almost coincide.",
    ),
    "epsilon": Animation(
        epsilon,
        "An entropic transport plan between a distribution with two peaks and one with a single peak. "
        "As epsilon falls from 1 to 0.002, two blurred spots become a thin monotone line of lower cost.",
    ),
    "two_people": Animation(
        two_people,
        "Two seated skeletons lift a hand towards the nose. The fast person's hand is down again when "
        "the slow person's is still on its way up.",
        still=14,
    ),
    "spectrum": Animation(
        spectrum,
        "Left, the amplitude spectrum of a wrist's movement, right the movement. The perturbed spectrum "
        "rises, falls and tilts smoothly about the recorded one; the movement changes in size.",
        still=14,
    ),
    "robust_weights": Animation(
        robust_weights,
        "A triangle whose corners are three people with risks 0.2, 0.4 and 0.9. As the radius grows, "
        "the worst-case weights leave the centre, turn at an edge, and end in the corner of the largest "
        "risk.",
        still=24,
    ),
    "motion_energy": Animation(
        motion_energy,
        "A rendered person crosses the arms; beside her the curve of motion energy is drawn, which has "
        "a single peak while she moves.",
    ),
}


def _without_noise(film: np.ndarray) -> np.ndarray:
    """A video ``(time, height, width, 3)`` whose pixels change only by more than noise."""
    usual = np.median(film, axis=0).astype(np.uint8)
    changed = np.abs(film.astype(int) - usual).max(-1, keepdims=True) > 24
    return np.where(changed, film, usual)


def _ease(frames: int) -> np.ndarray:
    """From 0 to 1, slowly at both ends."""
    u = np.linspace(0, 1, frames)
    return u * u * (3 - 2 * u)


def _bumps(at: Tensor, *centers: float) -> Tensor:
    peaks = torch.tensor(centers, dtype=at.dtype)[:, None]
    mass = ((at - peaks) / 0.07).square().div(-2).exp().sum(0) + 0.02
    return mass / mass.sum()


def _amplitude(clip: Tensor) -> Tensor:
    """Of each frequency but that of the mean."""
    return torch.fft.rfft(clip, norm="ortho")[1:].abs()


def _skeleton(ax: Axes) -> tuple[list[Line2D], Circle]:
    """Limbs and head of a person, to be moved; the lines of the face, which come last, are left out."""
    ax.set(aspect="equal", xlim=(-1.2, 1.2), ylim=(1.45, -1.9))
    ax.axis("off")
    limbs = [ax.plot([], [], color="C0", linewidth=2.4, solid_capstyle="round")[0] for _ in LIMBS[:-4]]
    head = Circle((0, 0), 0.2, fill=False, color="C0", linewidth=2.4)
    ax.add_patch(head)
    return limbs, head
