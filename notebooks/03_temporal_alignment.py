# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 03 · Temporal alignment
#
# What if everyone moved at the same pace?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [01 person shift](01_person_shift.ipynb), [02 optimal transport](02_optimal_transport.ipynb) |
# | you will build | TFAM's temporal branch: a motion-based clock, transport to canonical time, an amplitude step |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - put a slow and a fast person's movement on a common clock, and say how close they are then,
# - choose the clock's floor, noise threshold and number of steps, and name what each choice gives up,
# - test on unseen people whether alignment helps, against a control that lacks only the alignment.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same, fixed_figure, given, show, start

run = start(profile)
data, yours = given(data)
epochs = run.pick(quick=4, full=12)  # on your own people

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Eight synthetic people nod. Only their timing differs: when they begin (onset), how fast they are (tempo), which part they hurry
# through (asymmetry). We take the slowest and the fastest, and draw the intended movement, without noise. Left: height of the
# nose against time. Right: the same two clips after the alignment of this chapter, whose purpose the paper calls a 'stable
# dynamic trajectory' [[1](#references)]. `align` is four library calls; each has a section.

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipywidgets import interact
from torch import nn

from piumar_lib import alignment, check, transport
from piumar_lib.data import synthetic
from piumar_lib.data.actions import course, teaching_actions
from piumar_lib.evidence import contrasts, forest, protocol
from piumar_lib.evidence.methods import METHODS, build, resolve, settings
from piumar_lib.running import RunningMean
from piumar_lib.training import fit, predict

clock_only = dict.fromkeys(synthetic.FACTORS, 0.0) | {"tempo": 0.8, "onset": 1.0, "asymmetry": 1.0}
head = tuple(a for a in teaching_actions() if a.name in ("bowing head", "nodding"))
people = synthetic.make_people(8, seed=3, actions=head, scale=clock_only)
persons = {"slow": int(people.tempo.argmin()), "fast": int(people.tempo.argmax())}
nod = next(a for a in head if a.name == "nodding")
RATE = 25  # frames per second of this drawing
seconds = np.arange(120) / RATE

# %% slideshow={"slide_type": "skip"}
def draw_nod(p):  # as the generator of chapter 01 draws it, without jitter and noise
    onset = synthetic.onset_seconds(people.onset[p])
    duration = synthetic.movement_seconds(people.scale["tempo"] * people.tempo[p])
    phase = np.clip((seconds - onset) / duration, 0, 1) ** np.exp(0.275 * people.asymmetry[p])
    return course(np.array([nod.course]), phase[None])[0][:, None] * nod.field.ravel()

def align(x, floor=0.1, steps=16, noise=0.0):
    motion = (alignment.centered_motion_energy(x) - noise).clamp(min=0)
    plan = transport.monotone_coupling(transport.time_mass(motion, floor), steps)
    return transport.barycentric_projection(plan, x)

def distance(z):
    """Root mean square distance of two clips, relative to their spread: 0 if equal, 1.4 if unrelated."""
    return ((z[0] - z[1]).square().mean() / z.var(1).mean()).sqrt().item()

pair = torch.as_tensor(np.stack([draw_nod(p) for p in persons.values()]))  # (clips, frames, coordinates)

# %% tags=["hide-input"]
NOSE = 1  # the nose's vertical coordinate, in torso lengths
STYLES = {"slow": {"color": "C0", "ls": "-"}, "fast": {"color": "C4", "ls": "--"}}

def draw_pair(ax, z, scale=1.0):
    for (name, style), clip in zip(STYLES.items(), z, strict=True):
        ax.plot(np.arange(len(clip)) * scale, -100 * clip[:, NOSE], label=name, **style)
    ax.grid(axis="x")
    ax.locator_params(axis="x", integer=True)

aligned = align(pair)
fig, (left, right) = plt.subplots(1, 2, sharey=True)
draw_pair(left, pair, 1 / RATE)
draw_pair(right, aligned)
left.set(xlabel="time [s]", ylabel="nose, upward\n[torso lengths / 100]", title="recorded time")
right.set(xlabel="canonical step", title="canonical time")
left.legend(loc="upper right")
show(fig, alt="Two nods. In recorded time the fast person's ends while the slow one's continues, "
     f"relative distance {distance(pair):.2f}. In canonical time, {aligned.shape[1]} steps, the two "
     f"curves run close together, distance {distance(aligned):.2f}.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The same, moving
#
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/common_clock.png"><img src="pictures/common_clock.gif" alt="Two nods, a slow and a fast one. Their frames slide from the time of the recording to canonical time, where the two curves almost coincide."></picture>

# %% [markdown] slideshow={"slide_type": "notes"}
# The alignment knows neither the class nor that the two clips belong together. Each clip is resampled **alone**, because a clip
# of an unseen person comes alone, too. This distinguishes it from dynamic time warping (DTW), which aligns one clip to another
# [[5](#references)]. In canonical time every step covers about the same arc length of the trajectory.

# %% [markdown] slideshow={"slide_type": "notes"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-03.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Motion energy: how much happens
#
# In a clip with frames $x_1, \dots, x_T$, the [motion energy](glossary.md#motion-energy) at frame $t$ is the mean length of the
# steps before and after it:
#
# $$ e_t = \tfrac{1}{2} \bigl( {\lVert x_t - x_{t-1} \rVert} + {\lVert x_{t+1} - x_t \rVert} \bigr) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The first and the last step count twice. By hand, four frames of a point that jumps once, by $(3, 4)$: steps $0, 5, 0$, padded
# $0, 0, 5, 0, 0$; means of neighbours $0, 5/2, 5/2, 0$.
#
# Why this energy? The sum of $e_1 \dots e_t$ is, but for the ends, the *arc length* travelled so far. A person who follows the
# same path more slowly travels the same length. And why centred? With backward steps alone the clock runs half a frame late,
# which is a larger part of a fast movement than of a slow one. `assert_same` compares value and gradient with the library's
# function, here and below.

# %%
def energy_by_hand(x):
    step = x.diff(dim=1).norm(dim=-1)  # (B, T - 1)
    step = torch.cat([step[:, :1], step, step[:, -1:]], 1)  # (B, T + 1)
    return (step[:, :-1] + step[:, 1:]) / 2  # (B, T)

# %% slideshow={"slide_type": "skip"}
jump = torch.tensor([[[0.0, 0], [0, 0], [3, 4], [3, 4]]], dtype=torch.float64)
print(energy_by_hand(jump))
torch.manual_seed(seed)
some = torch.randn(5, 12, 3, dtype=torch.float64)
assert_same(energy_by_hand, alignment.centered_motion_energy, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A distribution over time: energy with a floor
#
# Normalised energy is a probability distribution over frames. In $a$, a fraction $\phi$ of it (the floor) is spread uniformly:
#
# $$ a_t = \frac{\phi}{T} + (1 - \phi) \frac{e_t}{\sum_u e_u}, \qquad 0 \le \phi \le 1 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# At $\phi = 1$ all frames have the same weight: the **uniform clock**, our control. In the branch, $\phi$ is the sigmoid of a
# learned number and starts at 0.1. By hand, for the jump and $\phi = 0.2$: $0.05$ for each frame, and $0.8$ of $(0, 1/2, 1/2, 0)$
# on top.

# %% slideshow={"slide_type": "skip"}
def mass_by_hand(energy, floor):
    share = energy / energy.sum(1, keepdim=True)
    return floor / energy.shape[1] + (1 - floor) * share

a = mass_by_hand(energy_by_hand(jump), 0.2)
print(a.numpy().round(4), "sum", f"{a.sum():.4f}")
floor = torch.tensor(0.3, dtype=torch.float64)
assert_same(mass_by_hand, transport.time_mass, energy_by_hand(some), floor)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Cumulative mass: the motion clock
#
# > **Predict.** With floor 0.1, whose cumulative mass $A_t = a_1 + \dots + a_t$ is steeper, the slow or the fast person's, and is
# > either of them ever constant?

# %% [markdown] slideshow={"slide_type": "notes"}
# $A_t$ rises from 0 to 1, fast during motion and slowly at rest: it is the fraction of the clip's movement that is completed at
# frame $t$. We call it the clip's *motion clock*; it is a smoothed arc-length parametrisation.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
own_clock = transport.time_mass(alignment.centered_motion_energy(pair), 0.1).cumsum(1)
steepest = own_clock.diff(dim=1).max(1).values * RATE
fig, ax = plt.subplots(figsize=(7, 2.8))
for (name, style), curve in zip(STYLES.items(), own_clock, strict=True):
    ax.plot((np.arange(len(curve)) + 1) / RATE, curve, label=f"{name} person", **style)
ax.plot([0, 120 / RATE], [0, 1], color="0.6", ls=":", label="floor 1: uniform clock")
ax.set(xlabel="time [s]", ylabel="cumulative mass $A_t$")
ax.legend(loc="lower right")
show(fig, alt=f"Both curves climb from 0 to 1, the fast person's by at most {steepest[1]:.2f} "
     f"per second, the slow one's by {steepest[0]:.2f}; before and after the nod both hardly climb.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The fast person's curve is steeper, at most 2.20 per second against 0.69, and the floor keeps both rising. The
# bends are the turning points of the head, where it is slow. Frames at which the curves are equally high correspond.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The exact plan: transport to equal steps
#
# Frame $t$ covers $[A_{t-1}, A_t]$, and step $k$ of $K$ covers $[\tfrac{k-1}{K}, \tfrac{k}{K}]$; the plan is their overlap:
#
# $$ P_{tk} = \vert \, [A_{t-1}, A_t] \cap [\tfrac{k-1}{K}, \tfrac{k}{K}] \, \vert $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Canonical time has $K$ steps of mass $1/K$, by default $K = 16$. Mass is transported in order, which is optimal for any convex
# cost on a line (chapter 02, [[2](#references)]). The plan's rows sum to $a$, its columns to $1/K$. There are no iterations, and
# the floor gets a gradient. By hand, the jump with $K = 3$: $A = (0.05, 0.5, 0.95, 1)$. Frame 1 goes to step 1. Frame 2 is cut at
# one third, frame 3 at two thirds. Frame 4 goes to step 3.

# %%
def plan_by_hand(mass, steps):
    end = mass.cumsum(1)[:, :, None]  # (B, T, 1)
    begin = end - mass[:, :, None]
    edges = torch.linspace(0, 1, steps + 1, dtype=mass.dtype)
    overlap = torch.minimum(end, edges[1:]) - torch.maximum(begin, edges[:-1])
    return overlap.clamp(min=0)  # (B, T, K)

# %% slideshow={"slide_type": "skip"}
print(plan_by_hand(a, 3).numpy().round(3))
assert_same(lambda e: plan_by_hand(mass_by_hand(e, 0.3), 7),  # of the energy, as mass sums to one
            lambda e: transport.monotone_coupling(transport.time_mass(e, 0.3), 7), energy_by_hand(some))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Barycentric projection: resample the clip
#
# Each step is the weighted average of the frames that it receives:
#
# $$ z_k = \frac{\sum_t P_{tk} x_t}{\sum_t P_{tk}} = K \sum_t P_{tk} x_t $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: steps 1 and 3 of the jump receive mass at $(0, 0)$ alone and at $(3, 4)$ alone. Step 2 receives as much of the one as
# of the other, $1/6$ each: $z_2 = (1.5, 2)$.

# %%
def project_by_hand(plan, x):
    return torch.einsum("btk,btc->bkc", plan, x) / plan.sum(1)[:, :, None]

# %% slideshow={"slide_type": "skip"}
print(project_by_hand(plan_by_hand(a, 3), jump))
random_plan = transport.monotone_coupling(mass_by_hand(energy_by_hand(some), 0.3), 7)
assert_same(project_by_hand, transport.barycentric_projection, random_plan, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How invariant to tempo is it?
#
# Two tests without noise: the two nods, and one smooth path at two tempi, once constant, once slow first and fast later.
#
# > **Predict.** How much of the nods' distance is left at the default floor of 0.1, and how much at 0.5? Do more frames bring the
# > distance of the path's two tempi to zero?

# %% [markdown] slideshow={"slide_type": "notes"}
# The path has three coordinates and is sampled at $T$ frames. After a perfect alignment both clips are equal. We report the
# aligned distance as a fraction of what the uniform clock leaves.

# %% slideshow={"slide_type": "skip"}
def left_over(two, floor, steps=16):
    return distance(align(two, floor, steps)) / distance(align(two, 1.0, steps))

def two_paths(frames):
    u = (torch.arange(frames, dtype=torch.float64) + 0.5) / frames
    u = torch.stack([u, u**1.8])
    return torch.stack([torch.sin(2 * np.pi * u), torch.sin(4 * np.pi * u + 0.3), u**2], -1)

floors = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
nods_left = {f: left_over(pair, f) for f in floors}
frames = np.array([16, 32, 64, 128, 256, 512])
paths_left = {f: [left_over(two_paths(n), f) for n in frames] for f in (0, 0.05, 0.1, 0.5, 1)}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
left.plot(floors, nods_left.values(), "o-", ms=4)
left.set(xlabel="floor $\\phi$", ylabel="distance left [fraction]", ylim=(0, None), title="two nods")
for (f, values), marker in zip(paths_left.items(), "osd^v", strict=True):
    right.loglog(frames, values, marker + "-", label=f"floor {f:g}", ms=4)
right.set_xticks(frames, frames)
right.minorticks_off()
right.set(xlabel="frames $T$", ylabel="distance left [fraction]", ylim=(3e-6, 2))
right.set_title("one path at two tempi")
right.legend(fontsize=9, loc="lower left", ncols=2)
show(fig, alt=f"Left: of the nods' distance {nods_left[0.1]:.2f} is left at floor 0.1 and "
     f"{nods_left[0.5]:.2f} at 0.5. Right: without a floor the paths' distance falls from "
     f"{paths_left[0][0]:.2f} at 16 frames to {paths_left[0][-1]:.4f} at 512; at floors 0.05, 0.1, 0.5 "
     "it stays at " + ", ".join(f"{paths_left[f][-1]:.2f}" for f in (0.05, 0.1, 0.5)) + ".")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** At floor 0.1 a fraction of 0.17 is left of the nods' distance, at 0.5 nearly all of it (0.94). The path explains
# why: the floor's part of the mass still follows the person's own tempo, so the fraction left is about $\phi$, however many
# frames there are. Of the nods' distance more is left: a nod swings twice, and near $\phi = 0.75$ the two are half a swing apart,
# which is worse than the uniform clock. The alignment is exactly invariant only without a floor and in the limit of many frames.
#
# Why have a floor at all? It bounds the damage of a *wrong* clock, where noise is as large as motion. And it keeps *pauses*:
# touching the nose and staying there differs from a short touch only by a pause, which a clock without a floor skips. The default
# of 0.1 is a compromise, and the floor is learned. Choose the floor below and watch the two nods meet or part.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw(floor=0.1):
    z = align(pair, floor)
    fig, ax = fixed_figure(7, 2.6)
    draw_pair(ax, z)
    ax.set(xlabel="canonical step", title=f"floor {floor:.2f}: relative distance {distance(z):.2f}")
    ax.legend(loc="upper right")
    show(fig, alt=f"At floor {floor:.2f} the two nods are {distance(z):.2f} apart.")
interact(draw, floor=(0.0, 1.0, 0.05));

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A threshold at the noise level
#
# > **Predict.** With sensor noise every frame at rest has some energy. Who rests longer, and how does that change canonical time?

# %% [markdown] slideshow={"slide_type": "notes"}
# Below are the same two people *as the generator records them*: 12.5 frames per second, noise with a standard deviation of 3
# thousandths of a torso length on each of 34 coordinates, and a clip that continues after the nod.

# %% [markdown] slideshow={"slide_type": "subslide"}
# The remedy: only motion above the noise level gets mass, $(e_t - \nu)_+$. Second differences estimate $\nu$, because those of a
# smooth movement nearly vanish:
#
# $$ \nu = \tfrac{1}{\sqrt 3} \, \operatorname{median} \, {\lVert x_{t+1} - 2 x_t + x_{t-1} \rVert} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# No labels for frames at rest are needed. White noise of variance $\sigma^2$ has first differences of variance $2 \sigma^2$ and
# second differences of variance $6 \sigma^2$, which are $\sqrt 3$ times as long. The median is over all frames of all clips of a
# batch, and the branch keeps a running mean of it over training. Frames without any change, as in padding, are ignored.

# %% slideshow={"slide_type": "skip"}
def noise_by_hand(x):
    bend = x.diff(n=2, dim=1).norm(dim=-1)  # (B, T - 2)
    return bend[bend > 0].median() / 3**0.5

assert_same(noise_by_hand, alignment.noise_energy, some)
clips = synthetic.make_clips(people, 6, seed=3, frames=60)
nods = clips.take(clips.y == clips.class_names.index("nodding"))
first = [int(np.flatnonzero(nods.person == p)[0]) for p in persons.values()]
everybody, recorded = torch.as_tensor(clips.x).double(), torch.as_tensor(nods.x[first]).double()
noise = alignment.noise_energy(everybody).item()
print(f"estimated {noise:.4f}, from the generator's noise {synthetic.NOISE * (2 * 34) ** 0.5:.4f}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
clocks = {"all motion counts": 0.0, "motion above noise": noise}
apart = {name: distance(align(recorded, noise=threshold)) for name, threshold in clocks.items()}
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6), sharey=True)
for ax, (name, threshold) in zip(axes, clocks.items(), strict=True):
    draw_pair(ax, align(recorded, noise=threshold))
    ax.set(xlabel="canonical step", title=f"{name}\ndistance {apart[name]:.2f}")
axes[0].set_ylabel("nose, upward\n[torso lengths / 100]")
axes[1].legend(fontsize=8)
show(fig, alt="Noisy nods on a common clock. If all motion counts, the fast nod is squeezed into the "
     f"first steps and the curves are {apart['all motion counts']:.2f} apart; with the threshold they "
     f"run together again, {apart['motion above noise']:.2f} apart.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The fast person rests longer, so noise at rest gets more of the mass: the fast nod is squeezed into the first
# steps, and the relative distance of the two clips is 1.59. With the threshold it is 0.46.
#
# More steps keep more detail; fewer tolerate a clock that is one frame off, because each averages over more frames. With the
# default, 16 steps for 32 frames, the layers after the alignment also do half the work.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Amplitude normalisation
#
# A clip's size $s$ goes half-way ($\alpha = 1/2$, on a logarithmic scale) to the typical size $\tilde s$, about its mean $\bar x$:
#
# $$ x_t \mapsto \bar x + (x_t - \bar x) \, r^{-\alpha}, \qquad r = \min(\max(s / \tilde s, \, 1/20), \, 20) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# People also differ in the amplitude of their movements. The size $s$ is the root mean square over channels of the standard
# deviation over time, and $\tilde s$ the running mean of its batch medians. Between $\mathcal N(\bar x, s^2 I)$ and
# $\mathcal N(\bar x, \tilde s^2 I)$ the optimal transport map scales by $\tilde s / s$ about the mean; *displacement
# interpolation* [[4](#references)] would scale by $1 - \alpha + \alpha \tilde s / s$. We take $(\tilde s / s)^\alpha$, which
# treats twice and half the size alike. The clip's mean over time, its posture, is unchanged. Amplitude is normalised after the
# alignment, when the standard deviation no longer depends on the duration of the movement.

# %%
def size_by_hand(x):
    return x.var(1, correction=0).mean(-1).sqrt()  # (B,)

def amplitude_by_hand(x, typical, step=0.5, limit=20.0):
    mean = x.mean(1, keepdim=True)  # (B, 1, C)
    ratio = (size_by_hand(x) / typical).clamp(1 / limit, limit)
    return mean + (x - mean) * ratio[:, None, None] ** -step

# %% slideshow={"slide_type": "skip"}
normalize = alignment.AmplitudeNormalization().double()  # in training: it learns the typical size
assert_same(lambda x: amplitude_by_hand(x, size_by_hand(x).median().detach()), normalize, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The temporal branch, written out
#
# The branch learns one parameter, the floor, and keeps two running estimates: the noise level and the typical size.

# %% [markdown] slideshow={"slide_type": "notes"}
# In the architecture it is the first box behind the clip; its output, 16 canonical steps, goes to the backbone.

# %%
class Alignment(nn.Module):
    def __init__(self, steps=16, floor=0.1):
        super().__init__()
        self.steps = steps
        self.floor_logit = nn.Parameter(torch.tensor(floor).logit())
        self.noise, self.size = RunningMean(), RunningMean(start=1.0)

    def forward(self, x):
        if self.training:
            self.noise.update(noise_by_hand(x))
        motion = (energy_by_hand(x) - self.noise.mean).clamp(min=0)
        mass = mass_by_hand(motion, self.floor_logit.sigmoid())  # (B, T)
        z = project_by_hand(plan_by_hand(mass, min(self.steps, x.shape[1])), x)  # (B, K, C)
        if self.training:
            self.size.update(size_by_hand(z).median())
        return amplitude_by_hand(z, self.size.mean)

# %% slideshow={"slide_type": "skip"}
assert_same(Alignment(steps=7).double(), alignment.MonotoneAlignment(steps=7).double(), some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Alternative: entropic transport to learned anchors
#
# Each frame $x_t$ goes to the learned anchor $k$ that it resembles (LN: layer normalisation), with a penalty for breaking the order:
#
# $$ M_{tk} = 1 - \cos(\mathrm{LN}(x_t), \text{anchor}_k) + \lambda {\Bigl(\frac{t - 1/2}{T} - \frac{k - 1/2}{K}\Bigr)}^2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The exact plan depends on *when* and *how much* something moves, but not on *what* is seen. A second kind of plan has $K$
# learned prototypes, the anchors. LN is layer normalisation (each frame to mean 0 and variance 1 over its coordinates). The plan
# comes from [Sinkhorn](glossary.md#sinkhorn)'s algorithm [[3](#references)] of chapter 02 with marginals $a$ and $1/K$. It
# iterates until the error of the marginals is below a tolerance, as the gradient comes from implicit differentiation, which
# assumes a converged plan. Without the temporal prior, mass goes to every step of similar pose, and a nod passes each pose
# several times; chapter 02 shows such plans. Anchors cost iterations, parameters, and one more hyperparameter, $\varepsilon$. We
# offer them for comparison, as `alignment.SinkhornAlignment`; the default is the exact plan.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Does it help on unseen people?
#
# We compare TFAM with the [motion clock](glossary.md#motion-clock) to the same network with a **uniform clock**, the control: its
# floor is 1 ([uniform mass](glossary.md#uniform-mass)), so nothing is aligned.
#
# At *own tempo* all clips of a data set have one frame rate; at *one length* each is resampled to the same number of frames.
#
# > **Predict.** Resampling to one length removes most of the differences in tempo. Is anything left to align?

# %% [markdown] slideshow={"slide_type": "notes"}
# Both use data augmentation, which itself warps time, and a second, perturbed view (chapters 04 and 05). Each real person is held
# out once; chapter [09](09_evidence.ipynb) describes how the records were made.
#
# How to read the figure: a square is a data set (in brackets and as its size: the number of people), its line a 95 % interval
# over people. The diamond is the mean over data sets with its interval; the thin line through it is the prediction interval, in
# which the difference on a tenth data set is expected. In the grey band, within a point of zero, differences do not matter to us.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
BOTH = "TFAM + augmentation", "TFAM, uniform clock + augmentation"
pooled = {form: contrasts.compare(contrasts.read(protocol.REAL, form), *BOTH) for form in protocol.FORMS}
fig, words = forest.draw_side_by_side(pooled)
fig.supxlabel("TFAM over its uniform clock, same unseen people [points]", fontsize=10)
show(fig, alt=f"Forest plot of what the motion clock adds, by data set and pooled. {words}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** At own tempo the interval of the mean gain is above zero, before chapter 09 corrects for twelve tests:
# `TFAM + augmentation` over `TFAM, uniform clock + augmentation` on `real people, own tempo`: +2.1 points [+0.4, +3.8]. Most of it
# comes from UTD-MHAD (+6.6), SPAR (+5.1), MSR Action3D (+4.1) and SHREC'17 (+2.4); the other five sets gain at most 1.8. SPAR, MSR
# Action3D and UTKinect also served to choose hyperparameters; on the other six sets it is less certain: `TFAM + augmentation` over
# `TFAM, uniform clock + augmentation` on `new people, own tempo`: +1.5 points [-0.9, +3.8]. At one length little is left to align:
# `TFAM + augmentation` over `TFAM, uniform clock + augmentation` on `real people, one length`: +0.5 points [-0.4, +1.5].
#
# The page of records, which `make book` writes, lists all attempts on development people, from which the defaults were chosen:
# other floors, numbers of steps and clocks, entropic plans, and the branch without its amplitude step. With a path or a name in
# `data`, the next cell trains both methods on four fifths of your own people and judges them on the others.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
for name in BOTH if data else ():
    out, k = np.isin(yours.person, yours.people[::5]), resolve(name, {"epochs": epochs})
    model, how = build(name, yours.x.shape[-1], yours.classes, k, seed), settings(name, k, "any", seed)
    fit(model, yours.take(~out), how, METHODS[name].objective(k), device=run.device)
    is_correct = predict(model, yours.take(out), device=run.device).argmax(1) == yours.y[out]
    print(f"your people, {name}: {100 * is_correct.mean():.1f} %")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: undo the alignment
#
# *15 minutes, medium.*
#
# Write `undo(z, mass)`: resample an aligned clip `z` (batch, steps, channels) to the frames whose distribution is `mass` (batch,
# frames); the result is (batch, frames, channels). Hint: normalise the plan by rows, not by columns.

# %% tags=["exercise"]
def undo(z, mass):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
check.undo(undo)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def undo(z, mass):
#     plan = transport.monotone_coupling(mass, z.shape[1])
#     return plan @ z / plan.sum(2, keepdim=True)
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: transfer the tempo of another clip
#
# *15 minutes, hard.*
#
# With `undo` you can do more than normalise: write `borrow_clock(x, other, floor)`, which resamples the movement of `x` to the
# tempo of `other`, and to as many frames. With `other = x` the clip must come back nearly unchanged, for which 16 steps are
# too few. With other clips of the same class this is a data augmentation with realistic tempo.

# %% tags=["exercise"]
def borrow_clock(x, other, floor):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
check.borrow_clock(borrow_clock)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def borrow_clock(x, other, floor):
#     theirs = transport.time_mass(alignment.centered_motion_energy(other), floor)
#     plan = transport.monotone_coupling(theirs, x.shape[1])
#     return plan @ align(x, floor, x.shape[1]) / plan.sum(2, keepdim=True)
# ```
#
# Align with the clip's own clock, then undo with the other's. Chapter 09 evaluates this augmentation as `reclock`.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - Without a floor, cumulative motion energy, a smoothed arc length, is a clock that does not depend on tempo. Transport to equal
#   steps of it aligns each clip *alone*; the distance of two nods falls to 0.17 of what the uniform clock leaves, at floor 0.1.
# - The floor $\phi$ sets how much of a person's own tempo remains: about the fraction $\phi$ on a smooth path, more where the
#   movement repeats.
# - Sensor noise at rest distorts the clock; a threshold at the estimated noise level repairs it.
# - What TFAM gains by **its alignment** over a uniform clock, on 153 real people: +2.1 points [+0.4, +3.8] at own tempo (not
#   decided), +0.5 points [-0.4, +1.5] at one length (not decided). Chapter 09 corrects these verdicts for twelve tests.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | 'stable dynamic trajectory' | how invariant to tempo is it? | `alignment.MonotoneAlignment`, `transport.monotone_coupling`, `transport.barycentric_projection` | `test_alignment.py`, `test_transport.py` | each clip alone to 16 canonical steps; measured: the distance left between two tempi |
# | differences in 'execution speed' | energy, mass, cumulative mass | `alignment.MotionClock`, `alignment.UniformClock`, `alignment.centered_motion_energy`, `transport.time_mass` | `test_alignment.py`, `test_transport.py` | arc length with a floor of 0.1; measured: gain over the uniform clock, on nine sets of real people |
# | (silent) | a threshold at the noise level | `alignment.noise_energy` | `test_alignment.py` | median second difference over the data, running |
# | 'normalises person-specific motion characteristics' | amplitude, and the clock | `alignment.AmplitudeNormalization` | `test_alignment.py` | size on a logarithmic scale, about the clip's mean; measured in the log of attempts |
# | Wasserstein-regularised alignment | entropic transport to learned anchors | `alignment.SinkhornAlignment`, `transport.sinkhorn_plan` | `test_alignment.py`, `test_transport.py` | temporal prior, weight 4, temperature 0.05, to a tolerance of 0.001 |
# | (silent) | does it help on unseen people? | `development.ATTEMPTS`, `development.outcome` | `test_development.py` | chosen on development people alone |
# | (silent) | the first version, where we compare | `tfam.TemporalBranch`, `transport.motion_energy`, `transport.variance_over_time`, `transport.frame_law_spread`, `transport.class_mean` | `test_tfam.py`, `test_transport.py` | floor 0.5, amplitude about 0, 30 iterations of Sinkhorn |
# | (silent) | exercise: transfer the tempo of another clip | `baselines.reclock.Reclock`, `transport.reclock`, `transport.interpolate`, `transport.frames_at` | `test_reclock.py`, `test_transport.py` | the same transport used to augment; chapter 09 judges it |
# | plug and play | `METHODS["TFAM"]`: at the input | `recognizer.Recognizer`, `temporal_frequency.TemporalFrequencyModule` | `test_recognizer.py`, `test_temporal_frequency.py` | at the input by default; behind a layer is an attempt of the log |
# | (silent) | digits of sums over time | `transport.at_least_single` | `test_transport.py` | single precision, even where the features are half |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. G. Peyré, M. Cuturi. *Computational Optimal Transport.* [arXiv 1803.00567](https://arxiv.org/abs/1803.00567), 2019.
# 3. M. Cuturi. *Sinkhorn Distances: Lightspeed Computation of Optimal Transport.* [arXiv 1306.0895](https://arxiv.org/abs/1306.0895), 2013.
# 4. R. J. McCann. *A Convexity Principle for Interacting Gases.* Advances in Mathematics 128, 1997.
# 5. H. Sakoe, S. Chiba. *Dynamic programming algorithm optimization for spoken word recognition.* IEEE Transactions on Acoustics, Speech, and Signal Processing 26, 1978.
