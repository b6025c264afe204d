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
# # 00 · Start here
#
# Does everything work on this machine, and what does this course set out to repair?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | a few seconds |
# | prerequisites | Python; a first course in machine learning |
# | you will build | nothing yet: you check the set-up and meet the ten people of the first data set |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - check that the packages and the data are what the course was written for,
# - choose a profile and know what it costs,
# - find your way on the map and read a chapter the way it is meant to be read.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Two people lift an arm sideways and lower it again, over and over, with a motion sensor at the
# wrist. A recogniser is to say *which exercise* this is, whoever does it.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import show, start

run = start(profile)

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data import spar

exercise = "abduction"
recordings = spar.load_recordings()
label = spar.EXERCISES.index(exercise)
chosen = [r for r in recordings if r.y == label and r.right]
signals = {r.person: r.x[:, 0] for r in chosen}
print(len(recordings), "recordings;", len(signals), "people doing", exercise, "with the right arm")

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np


def draw_person(ax, person, seconds=8, color="C0", style="-"):
    signal = signals[person][: int(seconds * spar.RATE)]
    time = np.arange(len(signal)) / spar.RATE
    ax.plot(time, signal, style, color=color, label=f"person {person}")
    ax.set(xlabel="time [s]", ylabel="acceleration [g]")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=2)


fig, ax = plt.subplots()
draw_person(ax, 10, color="C0")
draw_person(ax, 4, color="C4", style="--")
ax.set_title(f"The same exercise: {exercise}", loc="left")
show(fig, alt=f"Eight seconds of {exercise}: both people repeat one arm movement, but the curve of "
     "person 4 rises and falls about twice as often as that of person 10.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Both curves carry the same label. To a model that has only met slow people, the fast one looks
# like something else. That is a **person shift**, and it is what this course is about: build a
# recogniser that holds up on people who were not in the training set.
#
# The method is PIUmr, *person independence universal [micro-action](glossary.md#micro-action) recognition*
# [[1](#references)]. *Micro-actions* are small unintended movements: a nod, a shrug, a hand that
# touches the face. Their clips are gated by a licence, so you start with data that everybody may
# have: the recordings above, and synthetic skeletons from chapter 01 on. The recordings are called
# *SPAR*: ten people did seven shoulder exercises, with each arm, wearing a watch
# [[2](#references)].

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Check the set-up

# %% [markdown] slideshow={"slide_type": "notes"}
# `load_recordings` has already compared the data file's checksum with the published one. The next
# cell shows which versions you run. Small differences to the list in `requirements.txt` do no
# harm; for `torch` they may change the digits of a result.

# %%
from importlib.metadata import version

for package in ("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "ipywidgets"):
    print(f"{package:<14} {version(package)}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Choose a profile

# %% [markdown] slideshow={"slide_type": "notes"}
# Each chapter has one cell of parameters, and each has the parameter `profile`:

# %% [markdown]
# | profile | what it is for |
# |---|---|
# | `quick` | a first read: each chapter within a minute on two cores |
# | `full` | what the figures in the repository were made with: more people, more seeds, some minutes |
# | `gpu` | like `full`, on a CUDA device |

# %% [markdown] slideshow={"slide_type": "notes"}
# To choose, change the word in that cell and run the chapter anew. The environment variable
# `PIUMR_PROFILE`, if set, wins over the cell; so were the repository's figures made. (Chapter 09 is an
# exception: it reads its results from records, which are the same in each profile.) `start` prints what
# you got. Chapters then ask the profile for their sizes:

# %%
seeds = run.pick(quick=2, full=6)
print(f"profile {run.name}: this chapter would train with {seeds} seeds on {run.device}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Read the map

# %% [markdown] slideshow={"slide_type": "notes"}
# An arrow leads from a chapter to one that builds on it. Each chapter also starts alone: it imports from
# `piumar_lib` what earlier chapters built.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import PLAN

depth = {}
for step in PLAN:
    depth[step.number] = 1 + max((depth[n] for n in step.needs), default=-1)
columns = {d: [s.number for s in PLAN if depth[s.number] == d] for d in depth.values()}
place = {
    number: (d, (len(column) - 1) / 2 - row)
    for d, column in columns.items() for row, number in enumerate(column)
}

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.6))
for step in PLAN:
    ax.text(
        *place[step.number], f"{step.number}\n" + step.name.replace("_", "\n"),
        ha="center", va="center", fontsize=7.5, color="white",
        bbox={"boxstyle": "round", "color": "C0"},
    )
    for need in step.needs:
        ax.annotate(
            "", place[step.number], place[need], zorder=0,
            arrowprops={"arrowstyle": "->", "shrinkA": 26, "shrinkB": 26, "color": "0.5"},
        )
ax.set(xlim=(-0.5, max(depth.values()) + 0.5), ylim=(-1.6, 1.6))
ax.axis("off")
show(fig, alt="From person shift (01) two paths lead to the whole method in chapter 08: one through "
     "temporal alignment, which also needs transport (02), spectra and fusion (03 to 05), one through "
     "robust risks and pseudo-groups (06, 07). Evidence, costs and MA-52 (09 to 12) follow. Chapter 14 "
     "is an appendix to 06.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Predict, run, compare

# %% [markdown] slideshow={"slide_type": "notes"}
# Before each experiment a chapter asks you for a guess. Write it down: being wrong *on record* is
# what makes the next figure stick.

# %% [markdown]
# > **Predict.** All ten people do the same exercise, told to do it the same way. The slowest takes
# > how many times as long for one repetition as the fastest: 1.1, 1.3, 1.6 or 2 times?

# %% [markdown] slideshow={"slide_type": "notes"}
# The curves are periodic. `repetition_bounds` finds their period and cuts at the troughs.

# %% slideshow={"slide_type": "subslide"}
def seconds_per_repetition(recording):
    bounds = spar.repetition_bounds(recording.x)
    return float(np.diff(bounds).mean() / spar.RATE)


tempo = {r.person: seconds_per_repetition(r) for r in chosen}
slowest, fastest = max(tempo, key=tempo.get), min(tempo, key=tempo.get)
ratio = tempo[slowest] / tempo[fastest]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots()
order = sorted(tempo, key=tempo.get)
ax.bar([str(person) for person in order], [tempo[person] for person in order])
ax.set(xlabel="person, from fast to slow", ylabel="one repetition [s]", title=exercise)
show(fig, alt=f"Seconds for one repetition of {exercise}: from {tempo[fastest]:.1f} s (person "
     f"{fastest}) to {tempo[slowest]:.1f} s (person {slowest}), a factor of {ratio:.1f}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** About twice, from the fastest to the slowest. And tempo is only the easiest difference
# to see: people also differ in amplitude, direction, onset and habits. Chapter 01 shows how much
# that costs a recogniser.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Move a knob

# %% [markdown] slideshow={"slide_type": "notes"}
# Choose another person, with the mouse or with the arrow keys. The figure below the widget shows
# everyone at once, for readers of the page without a live kernel.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import SelectionSlider, interact

from piumar_lib.notebook import fixed_figure


def draw(person=10):
    fig, ax = fixed_figure(7, 3.2)
    draw_person(ax, person)
    show(fig, alt=f"Eight seconds of {exercise} by person {person}.")


interact(draw, person=SelectionSlider(options=sorted(signals), value=10));

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 5, figsize=(7, 3), sharex=True, sharey=True)
for ax, person in zip(axes.flat, sorted(signals), strict=True):
    signal = signals[person][: int(8 * spar.RATE)]
    ax.plot(np.arange(len(signal)) / spar.RATE, signal, lw=1)
    ax.set_title(f"person {person}")
fig.supxlabel("time [s]", fontsize=10)
fig.supylabel("acceleration [g]", fontsize=10)
show(fig, alt=f"Eight seconds of {exercise} by each of ten people. All curves swing periodically; "
     "people 3 and 4 swing about twice as fast, and depth and shape differ from person to person.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: is tempo personal or a matter of the exercise?
#
# *10 minutes, easy.*
#
# The table below has a row for each person and a column for each of the seven exercises: seconds for
# one repetition with the right arm. Write `fastest_people(seconds)`, which gives for each *exercise*
# the row of the person who is fastest. How many different people does it name?

# %%
people = sorted({r.person for r in recordings})
right = {(r.person, r.y): seconds_per_repetition(r) for r in recordings if r.right}
seconds = np.array([[right[person, y] for y in range(7)] for person in people])
print("shape", seconds.shape)


# %% tags=["exercise"]
def fastest_people(seconds):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.fastest_people(fastest_people)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def fastest_people(seconds):
#     return seconds.argmin(axis=0)
# ```
#
# Ask it: `np.array(people)[fastest_people(seconds)]` names the same person every time. Tempo is a habit
# of the person, which a model that has never met this person cannot know.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- Packages and data are in place: {len(recordings)} recordings with the right checksum.")
print(f"- Profile {run.name} on {run.device}; the whole course runs in it without a GPU.")
print(f"- The same exercise, ten people: one repetition takes {tempo[fastest]:.2f} s to "
      f"{tempo[slowest]:.2f} s, a factor of {ratio:.2f}.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# Each chapter ends with such a table, so that you always know whose claim you are reading. Words in
# quotation marks are the abstract's. The paper's definitions beyond it are not public to us; where it is
# silent we define something ourselves, and say so.
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | people differ in "motion style and execution speed" | seconds of one repetition | `data.spar` | `test_data.py` | ten people and seven exercises instead of MA-52 |
# | and in "physical attributes (e.g. skeleton size)" | not here: a watch sees no bones; from chapter 01 on | `data.synthetic` | `test_synthetic.py` | synthetic skeletons, each with bones of its own |

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. F.-Q. Cui, J. Huang, A. Tong, Z. Jia, J. Zhang, Z. Liu, D. Guo, J. Lu, M. Wang. *Every
#    Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via
#    Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. D. M. Burns, N. Leung, M. Hardisty, C. M. Whyne, P. Henry, S. McLachlin. *Shoulder
#    physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch.*
#    [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
