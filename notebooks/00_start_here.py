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
# Does everything work on this machine, and what problem does this course address?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | a few seconds |
# | prerequisites | Python and NumPy; a first course in machine learning: training a network by gradient descent, cross-entropy, train and test sets. PyTorch helps. Optimal transport, Fourier analysis and robust optimisation are introduced where they are needed |
# | you will build | nothing yet: you check the set-up and meet the ten people of the first data set |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - describe the parts of PIUmr and what we found when we tested them,
# - check that the packages and the data are what the course was written for,
# - choose a profile, and plan your reading or your lecture.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Two people lift an arm sideways and lower it again, over and over, with a motion sensor at the wrist. A recogniser
# has to say *which exercise* this is, for any person.

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
signals = {r.person: r.x[:, 0] for r in recordings if r.y == label and r.right}
print(len(recordings), "recordings;", len(signals), "people doing", exercise, "with the right arm")

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

fig, ax = plt.subplots()
for person, style in ((10, "C0-"), (4, "C4--")):
    signal = signals[person][: int(8 * spar.RATE)]
    ax.plot(np.arange(len(signal)) / spar.RATE, signal, style, label=f"person {person}")
ax.set(xlabel="time [s]", ylabel="acceleration [g]")
ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=2)
ax.set_title(f"The same exercise: {exercise}", loc="left")
show(fig, alt=f"Eight seconds of {exercise}: both people repeat one arm movement, but the curve of "
     "person 4 rises and falls about twice as often as that of person 10.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Both curves carry the same label. To a model trained on slow people only, the fast one looks like another exercise.
# This is a *distribution shift* between people, a **person shift**. The field of *domain generalisation* studies such
# shifts: train on some domains (here people), test on others.
#
# The method is PIUmr, *person independence universal [micro-action](glossary.md#micro-action) recognition*
# [[1](#references)]. *Micro-actions* are small unintended movements: a nod, a shrug, a hand that touches the face.
# The benchmark MA-52 is available under a licence only, so the course starts with openly available data: the
# recordings above and, from chapter 01 on, synthetic skeletons. A *clip* is a recording of one action: a matrix with
# a row for each frame and a column for each channel. The recordings are called *SPAR*: ten people did seven shoulder
# exercises with each arm, wearing a watch [[2](#references)].

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What you will build

# %% [markdown]
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture.svg)

# %% [markdown] slideshow={"slide_type": "notes"}
# PIUmr plugs two parts into any recogniser. **TFAM**, the *temporal-frequency alignment module*, works on features.
# Its temporal branch resamples a clip so that slow and fast people become alike; its frequency branch perturbs the
# spectrum in training, about as much as clips of one action differ; fusion trusts the two views as far as they agree.
# **GIRL**, the *group-invariant regularised loss*, works on the loss: it finds groups of clips with a similar style
# of movement and minimises a weighted risk in which the worst groups count most. Chapter
# [08](08_piumr_from_scratch.ipynb) puts all of it together in about 200 lines.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What the course found
#
# ![Pooled difference of each of the six contrasts with its 95 % interval, on the left at own tempo, on the right at one length. The list below has the numbers and the verdicts.](pictures/contrasts.svg)

# %% [markdown] slideshow={"slide_type": "notes"}
# Changes in accuracy on 153 real people of nine data sets, each person held out once (3 of 3 planned seeds at own tempo, 2 at one
# length). At their *own tempo* clips keep their speed; at *one length* all are resampled to the same number of frames.
#
# - **Augmentation** over plain training ([ERM](glossary.md#erm)): +1.3 points [-1.1, +3.6] at own tempo (not decided), +1.2 points [-0.5, +2.9] at one length (not decided);
# - **TFAM on top of it**: +2.3 points [-0.1, +4.7] at own tempo (not decided), +0.2 points [-1.4, +1.7] at one length (not decided);
# - **Its alignment**, against a uniform clock: +2.1 points [+0.4, +3.8] at own tempo (not decided), +0.5 points [-0.4, +1.5] at one length (not decided);
# - **GIRL on top of TFAM**: +0.1 points [-0.4, +0.6] at own tempo (equivalent within 1 point), +0.0 points [-0.3, +0.2] at one length (equivalent within 1 point);
# - **TFAM or the best baseline** of the search: +0.1 points [-2.8, +3.0] at own tempo (not decided), +1.5 points [-1.3, +4.3] at one length (not decided);
# - **Person normalisation** by unlabelled clips of the new person: +1.1 points [-0.4, +2.5] at own tempo (not decided), +0.6 points [-0.3, +1.6] at one length (not decided).
#
# So no gain is established on average, and GIRL changes accuracy by less than a point. At own tempo TFAM gains most on SPAR, MSR
# Action3D and SHREC'17, but the first two also served to develop it. On the six data sets that served neither later development
# nor the choice of hyperparameters, `TFAM + augmentation` over `augmentation` on `new people, own tempo`: +1.1 points [-1.1, +3.3].
# With a larger network no gain is left: `TFAM + augmentation` over `augmentation` on `real people, own tempo, ResNet-1D`: -0.1 points [-0.7, +0.5].
#
# `A` over `B` is the accuracy of `A` minus that of `B`. Brackets hold 95 % confidence intervals over data sets. *Not decided* means
# that neither a gain nor a loss (corrected for twelve tests) nor equivalence is established. Chapter [09](09_evidence.ipynb) has the
# protocol, which was fixed before the results were computed, and further comparisons.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Check the set-up
#
# `load_recordings` has compared the checksum of the data file with the published one. Small differences of versions from
# `requirements.txt` do no harm, but another version of `torch` may change the last digits of a result.

# %% slideshow={"slide_type": "skip"}
from importlib.metadata import version

for package in ("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "ipywidgets"):
    print(f"{package:<14} {version(package)}")

# %% [markdown] slideshow={"slide_type": "skip"}
# ### Profiles
#
# Each chapter has a cell of parameters; one of them is `profile`:
#
# - `quick`, for a first reading, in which each chapter runs within a minute on two cores,
# - `full`, which produced the committed outputs: more people and seeds, a few minutes a chapter,
# - `gpu`, like `full`, on a CUDA device.
#
# The environment variable `PIUMR_PROFILE`, if set, overrides the cell. The numbers in the text are those of the committed outputs,
# in profile `full`. In another profile your numbers will differ, and with few people in `quick` sometimes also their order; only
# results that a chapter reads from records (03 to 05, 07, 09 to 12) stay the same.
#
# The first cells of a chapter use a few helpers. `start` reads the profile, `run.pick` chooses a size by it, and
# `given(data)` loads your own file if you name one. `show` displays a figure with a description, and `assert_same`
# compares two functions, in values and in gradients.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Plan your reading

# %% tags=["hide-input"]
from piumar_lib.notebook import draw_plan

fig, ax = plt.subplots(figsize=(7, 3.9))
draw_plan(ax)
show(fig, alt="From person shift (01) two paths lead to the whole method in chapter 08: one through "
     "temporal alignment, which also needs transport (02), spectra and fusion (03 to 05), one through "
     "robust risks and pseudo-groups (06, 07). Evidence, costs and MA-52 (09 to 12) follow; appendices "
     "belong to single chapters.")

# %% [markdown] slideshow={"slide_type": "notes"}
# An arrow leads from a chapter to one that builds on it. Each chapter also runs alone, because it imports from
# `piumar_lib` what earlier chapters built. If the subject is new to you, allow 40 to 90 minutes for each of 01 to 08.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### For lecturers: decks and slides, at two minutes each
#
# - **45 minutes, 21 slides:** 00/3, 4; 01/3, 7, 8, 11, 12; 03/3, 7, 8, 11, 12; 06/3, 5, 6; 09/9, 10, 11, 15, 16, 20.
# - **90 minutes, 38 slides:** also 02/4, 5, 6, 7, 12, 15, 16 after 01; 04/3, 10, 11, 18, 19 after 03; 07/3, 8, 9, 21, 22 after
#   06; and exercise 1 of 01, if students have installed the course.
# - **A term:** a chapter a week (00 with 01, 11 with 12; 08 as a lab), with the student edition (`make student`) as homework.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Notation
#
# | symbol | meaning | symbol | meaning |
# |---|---|---|---|
# | $x \in \mathbb{R}^{T \times C}$ | a clip: $T$ frames, $C$ channels | $h$; $h'$, $h''$; $c$ | features; of two views; their cosine |
# | $B$, $N$ | clips in a batch, in the training set | $\hat p$ | predicted probabilities |
# | $y$, $Y$ | class of a clip, number of classes | $\ell$, $H$, $\mathcal L$ | loss of a clip, cross-entropy, whole loss |
# | $e_t$, $\nu$, $\phi$ | motion energy, noise level, floor | $\Omega$, $\lambda$ | Wasserstein regulariser, weight of a penalty |
# | $a$, $b$, $A$ | masses of frames, of steps; cumulative mass | $\mu$, $\sigma$ | mean, standard deviation |
# | $P \in \mathbb{R}^{T \times K}$ | plan from frames to $K$ canonical steps | $R_g$, $\pi_g$ | risk and share of group $g$, of $G$ groups |
# | $M$, $\varepsilon$ | cost of a plan, entropic regularisation | $p_g$, $q_g$ | weights of groups: arbitrary ones, those in training |
# | $W_p$ | Wasserstein distance of order $p$ | $\rho$, $\eta$ | radius of the chi-square ball, threshold |
# | $z$, $s$ | aligned clip, size of its movement | $V$, $v$ | variance of the risks, other variances |
# | $X_f$, $L_f$ | spectrum, log-amplitude at frequency $f$ of $F$ | $\psi$, $Q$ | style of a clip, clusters in a class |
# | $D$, $J$ | cosine transform, number of coefficients | $u_i$, $\beta$ | weight of a hard clip, its strength |
# | $\gamma_f$, $\xi_j$ | log gain, Gaussian draw | $\kappa$, $w$ | momentum, weight in a mean |
# | $\alpha$ | a fraction, as of the worst groups | $d$, $\tau$ | gain of a person, deviation between data sets |
#
# These letters mean the same in the text of all chapters; others serve one section. Transport keeps its own (02, 13):
# $x$, $y$ are also two samples, $u$, $v$ Sinkhorn's factors, $f$, $g$ the logarithms of $a u$, $b v$, and $\gamma$ smooths soft-DTW.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Predict, run, compare

# %% [markdown] slideshow={"slide_type": "notes"}
# Before each experiment a chapter asks you for a prediction. Write it down: you learn more from the next figure once
# you have committed to an answer.

# %% [markdown]
# > **Predict.** Person 4 is the fastest of the ten in abduction. In how many of the *seven* exercises is one and the
# > same person the fastest: 1, 3, 5 or 7?

# %% [markdown] slideshow={"slide_type": "notes"}
# The curves are periodic. `repetition_bounds` finds the period of their first principal component, and cuts at its minima.

# %% slideshow={"slide_type": "skip"}
def seconds_per_repetition(recording):
    bounds = spar.repetition_bounds(recording.x)
    return float(np.diff(bounds).mean() / spar.RATE)


people = sorted(signals)
right = {(r.person, r.y): seconds_per_repetition(r) for r in recordings if r.right}
seconds = np.array([[right[person, y] for y in range(7)] for person in people])  # (10 people, 7)
ratio = seconds.max(0) / seconds.min(0)  # (7,)
first = max(int((seconds.argmin(0) == row).sum()) for row in range(10))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots()
ax.plot(seconds.T, np.arange(7), "o", color="0.7")
for person, style in ((10, "C0o"), (4, "C4s")):
    ax.plot(seconds[people.index(person)], np.arange(7), style, ms=8, label=f"person {person}")
ax.set(xlabel="one repetition [s]; grey: the other eight people", yticks=np.arange(7))
ax.set_yticklabels(spar.EXERCISES)
ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=2)
show(fig, alt="Seconds for one repetition of seven exercises by ten people. One and the same person is "
     f"the fastest in {first} of 7 exercises. The slowest takes from {ratio.min():.1f} to "
     f"{ratio.max():.1f} times as long as the fastest.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** In 7 of 7: it is always person 4. The slowest takes 1.4 to 2.2 times as long, and is not always the
# same person. And tempo is only the difference that is easiest to see: people also differ in amplitude, direction,
# onset and more. Chapter [01](01_person_shift.ipynb) measures how much accuracy that costs.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: does tempo depend on the person or on the exercise?
#
# *10 minutes, easy.*
#
# The array `seconds` has a row for each person and a column for each of the seven exercises: the duration of one
# repetition with the right arm. Write `fastest_people(seconds)`, which returns for each *exercise* the row of the
# fastest person. Then find the *slowest* people with the same function: how many different ones are there?

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
# `np.array(people)[fastest_people(seconds)]` is person 4 every time; with `-seconds` these are the slowest, five
# different people. Tempo depends on both: on the person, above all for the fast ones, and on the exercise.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - Recognition across people is a problem of distribution shift: the same exercise takes one person up to 2.2 times
#   as long as another.
# - PIUmr addresses it with TFAM at feature level and GIRL at loss level.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# Each chapter ends with such a table. Words in quotation marks are from the long abstract in the paper's HTML version; where it is
# silent, we define something ourselves and say so.
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | people differ in "motion styles, execution speed, and physiques" | seconds of one repetition | `data.spar` | `test_data.py` | ten people and seven exercises instead of MA-52 |
# | and in "physical attributes (e.g., skeleton size)" | not here: a watch sees no bones; from chapter 01 on | `data.synthetic` | `test_synthetic.py` | synthetic skeletons, each with bones of its own |
#
# ## References
#
# 1. F.-Q. Cui, J. Huang, A. Tong, Z. Jia, J. Zhang, Z. Liu, D. Guo, J. Lu, M. Wang. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. D. M. Burns, N. Leung, M. Hardisty, C. M. Whyne, P. Henry, S. McLachlin. *Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch.* [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
