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
# # 01 · Person shift
#
# Why do recognisers fail on people they have never seen?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [00 start here](00_start_here.ipynb) |
# | you will build | a recogniser, its evaluation on unseen people, and an ablation of what makes them hard |
# | device | any laptop |
# | numbers in the text | of the committed run, profile `full`; `quick` trains less: digits differ, and with so few people sometimes also the order |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - measure the accuracy gap between training people and unseen people,
# - name the data leakage in a random split, in overlapping windows, and in [MA-52](glossary.md#ma-52)'s official
#   lists,
# - measure by an ablation how much each difference between people contributes to the gap.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import fixed_figure, given, show, start

run = start(profile)
data, yours = given(data, people=2)
folds, steps, draws = run.pick(quick=2, full=5), run.pick(quick=150, full=250), run.pick(quick=1, full=4)
clips_each, factor_steps = run.pick(quick=20, full=30), run.pick(quick=220, full=300)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Train a recogniser on some people and test it twice, both times on clips that it has not seen: new clips of the
# *training people*, and clips of *unseen people*. The difference between the two accuracies is the cost of **person
# shift**, a distribution shift in which the people change and the task stays the same. PIUmr was proposed to reduce
# it for [micro-actions](glossary.md#micro-action) [[1](#references)].
#
# `learn` trains a small network by empirical risk minimisation ([ERM](glossary.md#erm): minimise the mean loss on the
# training clips), always for the same number of steps, so that more clips do not mean more training. `is_correct`
# returns a boolean mask of correctly classified clips. The first data are synthetic: 40 people for training and 20
# others for testing make twelve micro-actions, such as nodding, waving and shrugging. By default the mean pose of
# each clip is subtracted (`centered=True`).

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt
import numpy as np
import torch

from piumar_lib import metrics
from piumar_lib.backbones import tiny_cnn
from piumar_lib.data import spar, synthetic
from piumar_lib.notebook import plots
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict


def learn(clips, steps, init=seed):
    torch.manual_seed(init)
    model = Recognizer(tiny_cnn(clips.x.shape[-1]), width=32, classes=clips.classes)
    epochs = max(1, round(64 * steps / len(clips)))  # batches of 64 clips
    fit(model, clips, Settings(epochs=epochs, seed=init), device=run.device)
    return model.cpu()

def is_correct(model, clips):
    return predict(model, clips).argmax(1) == clips.y  # (clips,)

def by_person(model, clips):
    return metrics.accuracy_by_person(is_correct(model, clips), clips.person)  # {person: accuracy}

def percent(scores):
    return 100 * float(np.mean(list(scores.values())))

# %% slideshow={"slide_type": "skip"}
people = synthetic.make_people(40, seed=seed + 100)
others = synthetic.make_people(20, seed=seed + 600)
training = synthetic.make_clips(people, 40, seed=1)
known = synthetic.make_clips(people, 20, seed=2)  # the same people, new clips
unseen = synthetic.make_clips(others, 40, seed=3, person_offset=1000)
model = learn(training, steps=run.pick(quick=400, full=600))
scores = {"known": by_person(model, known), "unseen": by_person(model, unseen)}

# %% [markdown] slideshow={"slide_type": "notes"}
# Next come the ten real people of [SPAR](glossary.md#spar) [[4](#references)]: seven shoulder exercises, recorded
# at the wrist, in windows of 4 s. **Cross-validation** tests every window once, here in five folds (two in `quick`,
# which trains on half of the people). With a random split (`StratifiedKFold`) the people of the test windows are
# also in training; with a split by person (`GroupKFold`) they are held out. Your own `data` replace SPAR.

# %% slideshow={"slide_type": "skip"}
from sklearn.model_selection import GroupKFold, StratifiedKFold

recordings = [] if data else spar.load_recordings()
real, name = (yours, "your data") if data else (spar.windows(recordings, time=32), "SPAR")
folds = min(folds, len(real.people), np.bincount(real.y).max())

def splits(clips, how):
    if how == "by person":
        return GroupKFold(folds).split(clips.x, groups=clips.person)
    return StratifiedKFold(folds, shuffle=True, random_state=seed).split(clips.x, clips.y)

def cross_validate(clips, how):
    correct = np.zeros(len(clips))
    for train, test in splits(clips, how):
        correct[test] = is_correct(learn(clips.take(train), steps), clips.take(test))
    return metrics.accuracy_by_person(correct, clips.person)

reported = {f"{how}, windows apart": cross_validate(real, how) for how in ("random", "by person")}

# %% tags=["hide-input"]
bars_known = [percent(scores["known"]), percent(reported["random, windows apart"])]
bars_unseen = [percent(scores["unseen"]), percent(reported["by person, windows apart"])]
fig, ax = plt.subplots(figsize=(7, 3.4))
plots.known_and_unseen(ax, ["synthetic people", name], bars_known, bars_unseen)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
show(fig, alt=f"Synthetic people: {bars_known[0]:.0f} % accuracy on new clips of training people, "
     f"{bars_unseen[0]:.0f} % on unseen people. {name}: {bars_known[1]:.0f} % against "
     f"{bars_unseen[1]:.0f} %.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Synthetic people: 92 % against 79 %; SPAR: 96 % against 86 %. Neither bar uses training clips; the left bar of each
# pair shares *people* with training, and on SPAR even recordings. The gap is what is lost as soon as somebody new
# uses the recogniser. Bars are means over people: each person counts the same, however many clips there are.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Meet the synthetic people

# %% [markdown] slideshow={"slide_type": "notes"}
# Real people differ in everything at once. The synthetic ones have a [style](glossary.md#style) of twelve factors that can be
# switched off one by one: tempo, onset, asymmetry, amplitude, direction, [co-motion](glossary.md#co-motion) (other actions
# that move along), handedness, tremor, sway, bones, posture, and habits (which actions are frequent). Each factor is drawn
# once per person. [synthetic.py](../piumar_lib/data/synthetic.py) has the formula of a clip.

# %% [markdown]
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/two_people.png"><img src="pictures/two_people.gif" alt="Two seated skeletons lift a hand towards the nose. The fast person&#x27;s hand is down again when the slow person&#x27;s is still on its way up."></picture>

# %% [markdown] slideshow={"slide_type": "notes"}
# Below, six people nod; only one factor is switched on, here tempo. The six are from the 10th to the 90th percentile
# of that factor among 201 people; each clip also varies a little about its person's factor. Move the sliders.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data.actions import teaching_actions

HEAD = tuple(a for a in teaching_actions() if a.name in ("nodding", "bowing head"))
PLAIN = dict.fromkeys(synthetic.FACTORS, 0.0)

def nods(factor, strength):
    crowd = synthetic.make_people(201, seed=9, actions=HEAD, scale=PLAIN | {factor: strength})
    six = getattr(crowd, factor).argsort()[[20, 52, 84, 116, 148, 180]]  # 10th to 90th percentile
    clips_of = np.where(np.isin(np.arange(201), six), 20, 0)  # 20 for each of the six, else none
    clips = synthetic.make_clips(crowd, clips_of, seed=9)
    nodding = clips.y == clips.class_names.index("nodding")
    first = [np.flatnonzero((clips.person == p) & nodding)[0] for p in six]
    return clips.x[first].reshape(6, 32, 17, 2)[:, :, 0, 1]  # (people, frames): the nose, downward

tempo = np.exp(synthetic.TEMPO_SPREAD * synthetic.make_people(20_000, seed=seed).tempo)  # (people,)
low, high = synthetic.TEMPO_LIMITS
print(f"tempo {low} to {high}, {100 * np.mean(tempo >= high):.0f} % of people at the upper limit: three "
      f"swings in {1.3 / high:.2f} s, {3 * high / 1.3:.1f} Hz; Nyquist {synthetic.RATE / 2} Hz")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def draw_nods(factor="tempo", strength=1.0):
    fig, ax = fixed_figure(6, 2.8)
    for k, nose in enumerate(nods(factor, strength)):
        style = {0: ("C0-", f"lowest {factor}"), 5: ("C4--", f"highest {factor}")}.get(k, ("0.7", None))
        ax.plot(np.arange(32) / synthetic.RATE, -nose, style[0], label=style[1],
                zorder=2 + (k in (0, 5)))
    ax.legend(loc="upper right", fontsize=9)
    ax.set(xlabel="time [s]", ylabel="nose, upward\n[torso lengths]", ylim=(-0.16, 0.16))
    ax.set_title(f"six people nod; {factor} alone differs, strength {strength:g}", fontsize=10)
    show(fig, alt=f"Nose height of six people who nod and differ in {factor}, strength {strength:g}.")

draw_nods()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import SelectionSlider, interact

interact(draw_nods, factor=SelectionSlider(options=["tempo", "onset", "asymmetry", "amplitude"]),
         strength=(0.0, 1.0, 0.25));

# %% [markdown] slideshow={"slide_type": "notes"}
# A limit of this generator: tempo is clipped to between 0.4 and 2.8 times the typical one, and 7 % of people are at the upper
# limit. Three swings, as in waving, take them 0.46 s: 6.5 Hz. At 12.5 frames per second the Nyquist frequency is 6.25 Hz, so
# these clips are **aliased**: a part of what tempo costs below is lost in the recording, and no method can recover it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The recogniser

# %% [markdown] slideshow={"slide_type": "notes"}
# It standardises each channel with the training clips' mean and standard deviation, applies a *backbone* of three
# convolutions along time, averages over time, and ends in a linear layer. Suppose its logits for two classes are 2
# and 0. The probability of the first is $e^2 / (e^2 + 1) = 0.88$; if that is the true class, the loss is
# $-\log 0.88 = 0.13$. Nothing in ERM knows that clips belong to people.

# %% [markdown]
# With features $h_t$ (32 for each of $T$ frames), a linear head and true class $y$, ERM minimises the mean of $\ell$:
#
# $$ \hat p = \mathrm{softmax}\bigl(\text{head}(h)\bigr), \qquad h = \tfrac{1}{T} \sum_t h_t, \qquad
# \ell = -\log \hat p_y $$

# %%
def loss_by_hand(x, y):
    h = model.backbone((x - model.mean) / model.scale)  # (clips, frames, features)
    logits = h.mean(1) @ model.head.weight.T + model.head.bias  # (clips, classes)
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()

# %% slideshow={"slide_type": "skip"}
from piumar_lib.objective import training_loss

x, y = torch.as_tensor(known.x[:8]), torch.as_tensor(known.y[:8])
weights, losses = list(model.parameters()), (loss_by_hand(x, y), training_loss(model(x, y), y))
torch.testing.assert_close(*losses)
gradients = [torch.autograd.grad(loss, weights) for loss in losses]
torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
print(f"equal in value and in the gradient of all {sum(w.numel() for w in weights)} weights")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## People are the unit
#
# > **Predict.** The mean over [unseen](glossary.md#unseen) people hides how they differ. How many points of accuracy
# > lie between the best and the worst of the 20?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(7, 3))
for ax, kind, title in zip(axes, scores, ("training people", "unseen people"), strict=True):
    plots.people_bars(ax, scores[kind], unseen=kind == "unseen")
    ax.set(title=title, xlabel=f"{len(scores[kind])} people, best first", ylabel="accuracy [%]")
summary = {kind: metrics.summarize(list(v.values())) for kind, v in scores.items()}
away = max(scores["unseen"].values()) - summary["unseen"].worst
show(fig, alt="Accuracy of each person, best first. " + " ".join(
    f"{kind}: mean {100 * s.mean:.0f} %, worst quarter {100 * s.worst_quarter:.0f} %." for kind, s in
    summary.items()) + f" From the best to the worst unseen person: {100 * away:.0f} points.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Score people, not clips
#
# **Compare.** 85 points: most do about as well as training people, but several stay below 50 %. Therefore
#
# - score each person, then average over people;
# - report the **worst quarter**, the mean over the 25 % of people with the lowest scores;
# - resample *people*, not clips, for a confidence interval, because the aim is to generalise over people.

# %% [markdown] slideshow={"slide_type": "notes"}
# The [worst quarter](glossary.md#worst-quarter) of unseen people reaches 38 % accuracy, against 75 % among training
# people. (The single worst person would be too noisy.) As for intervals, the [bootstrap](glossary.md#bootstrap) draws,
# with replacement, as many units as there are, and averages them; the middle 95 % of many such means are the interval.
# Clips of one person resemble one another, so the unit to draw is the person with all clips: a **cluster bootstrap**.

# %% tags=["hide-input"]
intervals = {}
for unit, values in (("clips", is_correct(model, unseen)), ("people", [*scores["unseen"].values()])):
    intervals[unit] = 100 * np.array(metrics.bootstrap_interval(np.array(values, float), draws=2000))
    print(f"95 % interval over {unit:<6}  {intervals[unit][0]:.0f} to {intervals[unit][1]:.0f} %")
print(f"over people it is {np.ptp(intervals['people']) / np.ptp(intervals['clips']):.1f} times as wide")

# %% [markdown] slideshow={"slide_type": "notes"}
# Resampling clips gives 76 to 82 %, resampling people 67 to 89 %, which is 3.9 times as wide. (With few people even
# that is too narrow, as their spread is estimated, too; chapter 09 uses $t$ intervals.) For nine data sets of real
# people, [chapter 09](09_evidence.ipynb)'s first table has the mean and the worst quarter.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Leaks: three splits of the same recordings

# %% [markdown] slideshow={"slide_type": "notes"}
# Many studies split at random (`KFold`), and often the windows overlap by half. Both cause **data leakage**: the
# training set holds information about test clips that would not be available for a new person. The figure shows
# three ways to split SPAR's windows of one exercise. A row is a person and a square a window, in order of time.

# %% tags=["hide-input"]
overlapping = real if data else spar.windows(recordings, time=32, overlap=0.5)
SHOWN = {"random, windows overlap": overlapping, "random, windows apart": real,
         "by person, windows apart": real}
fig, axes = plt.subplots(1, len(SHOWN), figsize=(7, 2.7), sharey=True)
for ax, (split, clips) in zip(axes, SHOWN.items(), strict=True):
    test = np.isin(np.arange(len(clips)), next(splits(clips, split.split(",")[0]))[1])
    for row, p in enumerate(real.people[:10]):
        for column, tested in enumerate(test[(clips.person == p) & (clips.y == 1)][:12]):
            style = plots.UNSEEN if tested else plots.KNOWN | {"alpha": 0.35}
            ax.bar(column, 0.8, 0.85, bottom=row + 0.6, **style)
    ax.set(title=split.replace(", ", "\n"), xlabel="window, in order", xticks=[])
    ax.grid(False)
axes[0].set(ylabel="person", yticks=[])
marks = [axes[0].bar(0, 0, **style) for style in (plots.KNOWN | {"alpha": 0.35}, plots.UNSEEN)]
fig.legend(marks, ("training", "test"), loc="outside lower center", ncols=2)
show(fig, alt="Pale squares are for training, hatched ones for testing. In both random splits each row "
     "mixes both kinds. In the split by person each row is of one kind.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Which split reports the most?
#
# > **Predict.** Same network, same number of steps, same recordings. Order the three splits by the accuracy that they
# > report. How many points lie between the highest and the lowest?

# %% slideshow={"slide_type": "skip"}
if not data:  # your clips are not cut again
    reported["random, windows overlap"] = cross_validate(overlapping, "random")
means = {split: percent(values) for split, values in sorted(reported.items(), reverse=True)}
inflation = max(means.values()) - means["by person, windows apart"]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 2.6))
for row, (split, value) in enumerate(means.items()):
    ax.barh(-row, value, 0.7, **(plots.UNSEEN if "person" in split else plots.KNOWN | {"alpha": 0.6}))
    ax.text(103, -row, f"{value:.1f} %", va="center")
    ax.plot([100 * v for v in reported[split].values()], [-row] * len(reported[split]), "k|", ms=11)
ax.set_yticks(-np.arange(len(means)), means)
ax.set(xlabel="reported accuracy [%]; ticks are people", xlim=(0, 118))
show(fig, alt="Reported accuracy: " + ", ".join(f"{s} {v:.1f} %" for s, v in means.items())
     + f". Highest less lowest: {inflation:.1f} points.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The random split with overlapping windows reports 97.0 %, the split by person 86.2 %: two ways of
# testing the same network differ by 10.8 points. The hatched bars answer "how well will it work for somebody new?", the plain
# ones "how well does it work for the people in the file?". The person is the large leak here; overlap adds about a point. For
# everyday activities a random split inflated scores by about 10 points, and by 16 with overlapping windows [[3](#references)].
#
# The reason is a nearest neighbour that only the random split offers: for 89 % of windows the nearest window by
# amplitude spectrum (chapter 04) is one of the same person. Copying the label of the person's own nearest window
# would be correct for 97 % of windows, copying that of anyone else's for 77 %.

# %% slideshow={"slide_type": "skip"}
from scipy.spatial.distance import cdist

scaled = (real.x - real.x.mean((0, 1))) / np.maximum(real.x.std((0, 1)), 1e-12)
spectrum = np.abs(np.fft.rfft(scaled, axis=1)).reshape(len(real), -1)  # (clips, features)
distance = cdist(spectrum, spectrum) + np.diag(np.full(len(real), np.inf))
same = real.person[:, None] == real.person
own, foreign = (np.where(choice, distance, np.inf) for choice in (same, ~same))
labels = [100 * (real.y[d.argmin(1)] == real.y).mean() for d in (own, foreign)]
print(f"nearest neighbour of the same person: {100 * (own.min(1) < foreign.min(1)).mean():.0f} %; label "
      f"correct for {labels[0]:.0f} %; nearest label of anyone else correct for {labels[1]:.0f} %")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## MA-52's official lists
#
# - MA-52 [[2](#references)] has official lists. File names begin with the person: `0003_01_0001.mp4`.
# - The training list and the validation list **share all 186 people** that can be identified this way.
# - So a result on the official validation set is one on *training people*.

# %% [markdown] slideshow={"slide_type": "notes"}
# The test set's file names are anonymous. The lists were made to compare recognisers, and they serve that; a claim
# about *person independence* needs another split, which chapter 11 makes.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which style factor hurts most? An ablation

# %% [markdown] slideshow={"slide_type": "notes"}
# Only synthetic people allow this experiment. Switch one factor off, for training people and unseen people alike, and
# train again. The same seed draws the same people, so nothing else changes. The gain in accuracy on unseen people is
# what the factor had cost, in this generator; what it costs with real people is unknown. (`quick` tries four.)

# %% [markdown]
# > **Predict.** Which of the twelve factors costs most? Which cost *nothing*, because a clip whose mean pose has been
# > subtracted holds no trace of them? And how much is lost if the mean pose is not subtracted?

# %% slideshow={"slide_type": "skip"}
def accuracies(off=None, draw=0, centered=True):
    """Accuracy in percent on training people and on unseen people, for a fresh pair of populations."""
    base, scale, found = 2000 + 10 * seed + draw, {off: 0.0} if off else {}, []
    crowd = synthetic.make_people(40, seed=base, scale=scale)
    new = synthetic.make_people(20, seed=base + 5000, scale=scale)
    train = synthetic.make_clips(crowd, clips_each, seed=base, centered=centered)
    trained = learn(train, factor_steps, init=draw)
    for who, clips, shift in ((crowd, 10, 1000), (new, 30, 5000)):
        test = synthetic.make_clips(who, clips, seed=base + shift, centered=centered)
        found.append(percent(by_person(trained, test)))
    return np.array(found)

factors = run.pick(quick=("tempo", "amplitude", "direction", "bones"), full=synthetic.FACTORS)
everything = [accuracies(draw=d) for d in range(draws)]
gains = {f: [(accuracies(f, d) - everything[d])[1] for d in range(draws)] for f in factors}
reference = np.mean(everything, axis=0)  # training people, unseen people
trap = np.mean([accuracies(None, d, centered=False) for d in range(draws)], axis=0) - reference

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
mean_gain = {f: float(np.mean(gains[f])) for f in sorted(gains, key=lambda f: -np.mean(gains[f]))}
low, high = ([float(edge(gains[f])) for f in mean_gain] for edge in (min, max))
fig, ax = plt.subplots(figsize=(7, 0.9 + 0.25 * len(mean_gain)))
labels = [f.replace("comotion", "co-motion") for f in mean_gain]
plots.forest(ax, labels, list(mean_gain.values()), low, high, reference=0)
ax.set(xlabel="gain on unseen people with this factor off [points]")
ax.set_title(f"mean and range over {draws} populations" if draws > 1 else "one population", loc="left")
show(fig, alt="Gain in points on unseen people when a factor is off: "
     + ", ".join(f"{f} {g:+.1f}" for f, g in zip(labels, mean_gain.values(), strict=True))
     + f"; the reference with all factors on is {reference[1]:.1f} %.")
print(f"gains sum to {sum(mean_gain.values()):.0f} points; {100 - reference[1]:.0f} points are "
      "missing from 100 %")
print(f"without centring: {trap[0]:+.0f} points on training people, {trap[1]:+.0f} on unseen people")
assert mean_gain["bones"] == 0  # exactly: the clips are the same numbers

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Tempo costs most on average, +11.1 points when off (a part of it by aliasing), then amplitude with
# +7.6; their ranges overlap. Bones and posture cost exactly nothing, because the body is in the mean pose. Gains
# do not add up: they sum to 41 points, where 24 are missing from 100 %, because removing one difficulty makes
# others matter less. (Switching habits off also changes which actions are frequent in the test.)
#
# The **trap** is to keep the mean pose. Without centring, in training and in testing, accuracy falls by 26 points on
# training people and by 52 on unseen ones (last printed line). Bodies differ by far more than a micro-action moves
# them: overfitting to the training bodies is easy, and unseen bodies are out of distribution. Subtract what can be
# subtracted before any clever method. Chapter [03](03_temporal_alignment.ipynb) takes up tempo, and chapter
# [04](04_spectral_perturbation.ipynb) what differs between people at a given frequency.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: a split by person
#
# *10 minutes, easy.*
#
# Write `split_people`: given the person of each clip, return a boolean array that is true for test clips. No person may be on
# both sides. About `share` of the *people* (rounded, at least one) are tested, and another `seed` draws other people.

# %% tags=["exercise"]
def split_people(person, share, seed):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.split_people(split_people)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def split_people(person, share, seed):
#     people = np.unique(person)
#     number = max(1, round(share * len(people)))
#     chosen = np.random.default_rng(seed).choice(people, number, replace=False)
#     return np.isin(person, chosen)
# ```
#
# The unit that is drawn is the person; the clips follow. With scikit-learn:
# `GroupShuffleSplit(1, test_size=share, random_state=seed).split(x, groups=person)`.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: how many clips is a person worth?
#
# *15 minutes, medium.*
#
# You may record 400 clips to *test* a recogniser: 10 people with 40 clips each, or 40 people with 10 each. People's
# true accuracies have mean `mean` and standard deviation `between`, and each clip of a person is recognised with the
# person's accuracy as probability. Write the standard error of the mean accuracy over `people` people with `clips`
# clips each. Which of the two designs is better, with `mean` 0.8 and `between` 0.2?

# %% tags=["exercise"]
def standard_error(mean, between, people, clips):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
check.standard_error(standard_error)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def standard_error(mean, between, people, clips):
#     within = mean * (1 - mean) - between**2  # mean over people of accuracy * (1 - accuracy)
#     return np.sqrt((between**2 + within / clips) / people)
# ```
#
# Ten people with 40 clips give 0.066, 40 people with ten clips 0.036. More clips reduce the second term only, which
# is small with ten clips per person. Beyond that only more people help.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - **The same network is less accurate on unseen people than on training people**: 79 against 92 % for synthetic
#   people, 86 against 96 % on SPAR. The mean hides the worst quarter of unseen people, at 38 %.
# - **A random split reports up to 10.8 points too much**, because windows of one person are nearest neighbours.
#   MA-52's official training and validation lists share all 186 people.
# - **Tempo costs most on average**: +11.1 points on unseen people when it is off. Without centring, 52 points are
#   lost on unseen people and 26 on training people.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | inter-person variability degrades recognition | idea figure, person bars | `data.synthetic`, `data.spar` | `test_synthetic.py`, `test_data.py` | synthetic people and SPAR; MA-52 itself in chapter 12 |
# | person independence is the aim | split by person, leaks | `metrics` | `test_metrics.py` | `GroupKFold` over people; mean over people, worst quarter |
# | MA-52 is the benchmark | official lists | `data.labels` | `test_data.py` | we point out that train and val share people |
# | (silent) which differences matter | the ablation | `data.synthetic.make_people(scale=...)` | `test_synthetic.py` | twelve factors and their sizes are ours |
# | (silent) backbone | tiny CNN, about 16,000 weights | `backbones`, `recognizer`, `training` | `test_training.py` | so that a laptop trains it in seconds |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. D. Guo, K. Li, B. Hu, Y. Zhang, M. Wang. *Benchmarking Micro-action Recognition: Dataset, Methods, and Applications.* [arXiv 2403.05234](https://arxiv.org/abs/2403.05234), 2024.
# 3. A. Dehghani, T. Glatard, E. Shihab. *Subject Cross Validation in Human Activity Recognition.* [arXiv 1904.02666](https://arxiv.org/abs/1904.02666), 2019.
# 4. D. M. Burns et al. *Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch.* [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
