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
# # 12 · Train on MA-52
#
# The whole method on video, from a cache of clips to a judged model: what does it recognise of people it never saw?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | about a minute |
# | prerequisites | [08 PIUmr from scratch](08_piumr_from_scratch.ipynb), [11 prepare MA-52](11_prepare_ma52.ipynb) |
# | you will build | a training that resumes exactly where it was killed, a report by person, a submission, a recogniser for your own recordings |
# | device | any laptop for the stand-in; one GPU for the benchmark |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - train any method of the course on [MA-52](glossary.md#ma-52), stop at any moment, and resume,
# - judge them on people they never saw, person by person, and say what the comparison allows,
# - hand in a submission, and use the model on a recording of your own.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
root = ""  # absolute path of MA-52; without it, and without a cache, a stand-in is made
preset = ""  # a recipe: videomae-base, resnet50-tsm, manet, tiny; by default what suits the profile
method = "PIUmr + augmentation"  # any of piumar_lib.evidence.methods.METHODS but MiniRocket
cache = ""  # folder of the clip cache
index = ""  # the .csv of the index
split = ""  # the .txt of a split: who trains, who is held out
out = ""  # folder of the run: checkpoint, history, record, model
seed = 0  # of everything that is drawn
overrides = {}  # any other setting or hyperparameter, such as {"epochs": 10, "radius": 0.1}

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.config import SETTINGS, TrainConfig

paths = {"cache": cache, "index": index, "split": split, "out": out}
given = {name: path for name, path in paths.items() if path} | {"seed": seed}
given |= {name: value for name, value in overrides.items() if name in SETTINGS}
of_method = {name: value for name, value in overrides.items() if name not in given}

# %% slideshow={"slide_type": "skip"}
from pathlib import Path

import numpy as np

from piumar_lib.evidence.records import ROOT
from piumar_lib.notebook import show, show_table, start

run = start(profile)
recipe = preset or run.pick(quick="tiny", full="tiny", gpu="videomae-base")
amount = run.pick(quick={"epochs": 4, "test_views": 1}, full={"epochs": 40, "test_views": 1}, gpu={})
build = ROOT / "build" / "ma52" / run.name

# %% [markdown] slideshow={"slide_type": "notes"}
# `method` is a row of [chapter 09](09_evidence.ipynb)'s table: the same objectives and the same loop as for sequences.
# Every setting has a default and a meaning, numbers have a range and words their choices
# (`python -m piumar_lib.ma52 train --help`); those in `overrides` replace the recipe's. Whatever is unknown or out of
# range is refused before anything starts:

# %% slideshow={"slide_type": "skip"}
for wrong in ({"epoch": 3}, {"learning_rate": -1.0}, {"method": "PIUMR"}, {"plug_in": "tfam"}):
    try:
        TrainConfig.make(recipe, **wrong)
    except ValueError as error:
        print(str(error).split(" Choose from")[0])

# %% [markdown] slideshow={"slide_type": "notes"}
# ## Clips
#
# With `cache`, `index` and `split`, all three, this cell does nothing; [chapter 11](11_prepare_ma52.ipynb) ends with
# the commands that make them. Otherwise it goes through that chapter's four steps: verify, index, split, cache; on
# MA-52 if `root` names it (hours of processor time, on all cores), else on a [stand-in](glossary.md#stand-in).

# %% slideshow={"slide_type": "skip"}
import os

from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare import cache as caching
from piumar_lib.ma52.prepare import splits
from piumar_lib.ma52.prepare.index import make_index, write_index
from piumar_lib.ma52.prepare.verify import verify

# %% slideshow={"slide_type": "skip"}
size = run.pick(quick=64, full=128, gpu=256)
clips_wanted, people_wanted, width = run.pick(quick=(96, 12, 128), full=(480, 24, 216))


def prepare():
    """Paths of cache, index and split."""
    folder = Path(root).expanduser() if root else build / "standin-0"
    if not root:
        standin.write(folder, standin.plan(clips_wanted, people_wanted, width, 0), progress=False)
        print(f"no MA-52 here: a stand-in of {clips_wanted} clips of {people_wanted} people")
    report = verify(folder)
    if not report.usable:
        raise ValueError(report.to_text())
    clips = make_index(folder, report.entries)
    write_index(build / "index.csv", clips)
    folds = splits.write_splits(build / "splits", splits.person_disjoint(clips), 0)
    settings, workers = caching.CacheSettings(size=size), os.cpu_count() if root else 1
    caching.make_cache(folder, clips, build / f"cache-{size}-0", settings, workers, progress=bool(root))
    return {"cache": build / f"cache-{size}-0", "index": build / "index.csv", "split": folds[0]}


# %% slideshow={"slide_type": "skip"}
prepared = {} if {"cache", "index", "split"} <= set(given) else prepare()
base = {**amount, **prepared, **given}

# %% [markdown] slideshow={"slide_type": "notes"}
# ERM is the baseline. As `method` ends in "+ augmentation", both are trained on augmented clips: cut, lit and mirrored
# at random. In the table of methods that baseline is called *augmentation*.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.comparison import baseline_of

if recipe == "tiny":
    base.setdefault("cpu", run.device == "cpu")
plain = baseline_of(method)
config = TrainConfig.make(recipe, **{"out": build / "runs" / "erm", **base, "method": plain})
print(f"{recipe}: {config.backbone}, {config.epochs} epochs of batches of {config.batch_size}, "
      f"{config.optimizer} at {config.learning_rate:g}, {config.precision}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# The backbone reduces space first and time last. [TFAM](glossary.md#tfam) sits where a sequence of features is left: behind the
# backbone, at feature level, so that two views do not run the backbone twice. Behind TFAM a small layer looks at
# neighbouring moments. Without one, an average over time would follow: aligning moments could only weigh them, and
# a perturbed spectrum, whose mean stays, would change nothing.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.train import load_data

whole = TrainConfig.make(recipe, **{**base, "method": "PIUmr", "out": build / "none"})
model = build_model(whole).eval()
train_clips, held_out, fold = load_data(config, model.frames)
parameters = sum(p.numel() for p in model.parameters())
print(f"{fold.title}: {len(train_clips)} clips to train on, {len(held_out)} held out; "
      f"{parameters / 1e6:.2f} million parameters")

# %% slideshow={"slide_type": "skip"}
import torch

from piumar_lib.ma52.transforms import to_input

torch.manual_seed(0);

# %% slideshow={"slide_type": "skip"}
one = train_clips[0]["video"][None]
video = to_input(one, model.size)
with torch.no_grad():
    features = model.recognizer.backbone[0](video)
    views = model.recognizer.plug_in.views(features)
    prediction = model(video)
stages = [("bytes", one), ("input", video), ("features", features), ("aligned view", views[0]),
          ("pooled", prediction.features), ("actions", prediction.logits)]

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 1.2))
for k, (name, tensor) in enumerate(stages):
    ax.text(k, 0, f"{name}\n{'×'.join(map(str, tensor.shape[1:]))}", ha="center", va="center",
            fontsize=9, bbox={"boxstyle": "round", "fc": "C0" if k == 3 else "white", "alpha": 0.4})
    if k:
        ax.annotate("", (k - 0.38, 0), (k - 0.62, 0), arrowprops={"arrowstyle": "->"})
for k, word in enumerate(("on the device", "backbone", "TFAM", "mixing, mean", "head")):
    ax.text(k + 0.5, 0.4, word, ha="center", fontsize=9)
ax.set(xlim=(-0.6, len(stages) - 0.4), ylim=(-0.4, 0.65))
ax.axis("off")
show(fig, alt="From bytes to actions: " + ", ".join(
    f"{name} {' x '.join(map(str, tensor.shape[1:]))}" for name, tensor in stages))

# %% [markdown] slideshow={"slide_type": "notes"}
# ## Where weights start
#
# By default, where others have trained them. `videomae-base` starts from `MCG-NJU/videomae-base-finetuned-kinetics`,
# which has learned from labelled videos of actions; `resnet50-tsm` and `manet` start from `microsoft/resnet-50`,
# which has learned from ImageNet's photographs. They are fetched from the hub once. Without a network, set
# `HF_HOME` to a folder that has them; `weights = "random"` starts from nothing. `tiny`, here, always does.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A step by hand

# %% [markdown] slideshow={"slide_type": "notes"}
# **The rate.** Large steps at the start would tear trained features apart: the rate rises linearly to its peak
# $r_0$ in $w$ epochs, then falls along half a cosine. At epoch $e$, until the last epoch $E$:

# %% [markdown]
# $$r(e) = r_0 \frac{1 + \cos(\pi \frac{e - w}{E - w})}{2} .$$

# %% [markdown] slideshow={"slide_type": "notes"}
# And layers near the input, which know edges already, move less: each has `layer_decay` times the rate of the
# one above it.

# %% slideshow={"slide_type": "skip"}
import math

from piumar_lib.ma52.optimizer import rate_at

per_epoch = max(1, len(train_clips) // config.batch_size)

# %%
def rate_by_hand(step):
    e, w, E = step / per_epoch, config.warmup, config.epochs
    if e < w:
        return config.learning_rate * (step + 1) / math.ceil(w * per_epoch)
    return config.learning_rate * (1 + math.cos(math.pi * (e - w) / (E - w))) / 2

# %% slideshow={"slide_type": "skip"}
if config.scheduler == "cosine":
    every = range(per_epoch * config.epochs)
    assert all(math.isclose(rate_by_hand(s), rate_at(s, per_epoch, config)) for s in every)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
recipes = {name: TrainConfig.make(name) for name in ("videomae-base", "manet")}
fig, axes = plt.subplots(1, 2, figsize=(7, 2.4))
for ax, (name, c) in zip(axes, recipes.items(), strict=True):
    rates = np.array([rate_at(s, 20, c) for s in range(20 * c.epochs)])
    for share, style, words in ((1, "-", "head"), (c.layer_decay**12, "--", "12 layers below")):
        ax.plot(np.arange(len(rates)) / 20, rates * share, style, color="C0", label=words)
    ax.set(title=name, xlabel="epoch", yscale="log", ylim=(c.learning_rate / 1000, 2 * c.learning_rate))
axes[0].set_ylabel("learning rate")
axes[0].legend(fontsize=7)
lowest = recipes["videomae-base"].layer_decay ** 12
show(fig, alt="Learning rates: VideoMAE's rises for five epochs and falls along a cosine, twelve layers "
     f"below the head at {lowest:.3f} of the head's; MANet's falls to a tenth at epochs 30 and 60.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **The loss.** Labels of micro-actions are debatable, so they are smoothed: a share $\varepsilon$ of each is spread
# over all 52: $\ell_i = -\sum_k \left((1 - \varepsilon)\,[k = y_i] + \varepsilon / 52\right) \log p_{ik}$. TFAM's views
# and [GIRL](glossary.md#girl)'s groups build on these losses as in chapters 05 and 07 (`TwoViews`, `GroupRobustObjective`).

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.notebook import assert_same
from piumar_lib.objective import ViewWeights, clip_losses
from piumar_lib.recognizer import Prediction

y = torch.tensor([9, 9, 0, 43, 51])


def losses_by_hand(logits):
    log_p = logits.log_softmax(1)
    return -0.9 * log_p[torch.arange(len(y)), y] - 0.1 * log_p.mean(1)


assert_same(
    losses_by_hand, lambda z: clip_losses(Prediction(z), y, ViewWeights(), 0.1), torch.randn(5, 52)
)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Small batches.** How much clips of *one* action differ guides TFAM's perturbation
# ([chapter 04](04_spectral_perturbation.ipynb)). Each action of a batch gives up one degree of freedom for its own
# mean, so that $n$ clips of $m$ actions have $n - m$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** MANet's recipe takes 10 clips a step, of 52 actions. How many degrees of freedom have these?

# %% slideshow={"slide_type": "subslide"}
labels, rng = train_clips.labels().numpy(), np.random.default_rng(0)
for n in (10, 16, 64):
    left = [n - len({*rng.choice(labels, n)}) for _ in range(500)]
    print(f"{n} clips: {np.mean(left):.1f} on average")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Too few for a variance. So squares and degrees of freedom are averaged over batches, and only then
# divided: $v = \overline{\textstyle\sum_i (c_i - \bar c_{y_i})^2} \,/\, \overline{n - m}$. By hand:

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.perturbation import SpectralPerturbation

guide, squares, freedom = SpectralPerturbation(channels=3), 0, 0
for _ in range(20):
    c, y = torch.randn(10, 4, 3), torch.randint(52, (10,))  # (clips, coefficients, channels)
    own = torch.stack([c[y == k].mean(0) for k in y])
    squares, freedom = squares + ((c - own) ** 2).sum(0), freedom + 10 - len(y.unique())
    guide.observe(c, y)
assert torch.allclose(squares / freedom, guide.squares.mean / guide.freedom.mean, rtol=1e-4)
print(f"the true variance is 1; of 20 batches of 10: {(squares / freedom).mean():.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Class barycentres of the regulariser, risks of GIRL's groups, the noise of TFAM's clock are running ones as well,
# over the batches of all GPUs, and a checkpoint holds them.
#
# **What is drawn.** Which clips a step sees, how each is cut and lit, which spectra are perturbed: all of it
# follows from the seed and the *number* of the step. Nothing depends on what happened before. So a training
# can begin at any step, and two GPUs see between them what one would have seen:

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.batch import Labels
from piumar_lib.ma52.batch_sampler import BatchSampler

known = Labels(train_clips.labels(), train_clips.persons())
steps = list(BatchSampler(known, config).steps(0))
assert list(BatchSampler(known, config).steps(2)) == steps[2:]
halves = [list(BatchSampler(known, config, None, 2, k).steps(0)) for k in (0, 1)]
assert all({*a} | {*b} == {*s} for a, b, s in zip(*halves, steps, strict=True))
print(f"{len(steps)} steps; the first clips of step 2: {[clip for clip, _ in steps[2][:6]]}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Train

# %% [markdown] slideshow={"slide_type": "notes"}
# The benchmark's score is *F1_mean*: the mean of four F1 scores, macro and micro, of body parts and of actions.
# Micro F1 counts every clip alike and is the share of clips that are right. Macro F1 is the mean over classes, in
# which a rare action weighs as much as a frequent one.

# %% [markdown]
# > **Predict.** Fifty-odd training clips, 52 actions, people the model never saw: what will [F1_mean](glossary.md#f1_mean) be after
# > a few epochs? (In `quick`. A rule that always says *nodding* gets the body part right for all heads.)

# %% [markdown] slideshow={"slide_type": "notes"}
# The figure below grows while the training runs; on a page it is complete.

# %% slideshow={"slide_type": "skip"}
import shutil

from piumar_lib.ma52.history import read_history
from piumar_lib.ma52.train import train
from piumar_lib.notebook import plots
from piumar_lib.notebook.live import Live

if run.name == "quick":
    shutil.rmtree(build / "runs", ignore_errors=True)  # elsewhere, what is finished is kept
live = Live(plots.history)

# %% slideshow={"slide_type": "subslide"}
erm = train(config, progress=False, watch=live)
live.finish(read_history(config.out))

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.ma52.__main__ import say

print(say(erm))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** On so small a stand-in little can be learned: this run shows that everything *works*, not how well.
# For that one needs MA-52 and a GPU.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Resuming an interrupted run

# %% [markdown] slideshow={"slide_type": "notes"}
# A checkpoint holds weights, the optimiser's moments, [running statistics](glossary.md#running-statistics), GIRL's groups and the step; it is
# written whole or not at all, as safetensors, so nothing is ever unpickled.

# %% [markdown]
# > **Predict.** We stop a training in the middle and give the same command again. Will the model be *equal*
# > to one that was never stopped, or nearly?

# %% [markdown] slideshow={"slide_type": "notes"}
# A few clips suffice to see it, whatever the data set:

# %% slideshow={"slide_type": "skip"}
whole = splits.read_split(config.split)
some = splits.Split("some of its clips", whole.train[:96], whole.held_out[:32])
few = splits.write_splits(build / "few", [some], 0)[0]
short = {**base, "split": few, "epochs": 2, "warmup": 0.0, "eval_every": 0, "method": "PIUmr"}


# %% slideshow={"slide_type": "skip"}
def fresh(name):
    """Settings of a short run in an empty folder."""
    shutil.rmtree(build / name, ignore_errors=True)
    return TrainConfig.make(recipe, **{**short, "out": build / name})

# %% slideshow={"slide_type": "subslide"}
import signal


def stop_once(rows):
    if len(rows) == 2:
        signal.raise_signal(signal.SIGINT)  # as Ctrl-C does


interrupted = fresh("interrupted")
try:
    train(interrupted, progress=False, watch=stop_once)
except KeyboardInterrupt as stopped:
    print(str(stopped).replace(f"{ROOT}/", ""))
resumed = train(interrupted, progress=False)

# %% slideshow={"slide_type": "subslide"}
never = fresh("never-stopped")
through = train(never, progress=False)
bytes_of = [(Path(c.out) / "model.safetensors").read_bytes() for c in (interrupted, never)]
equal = bytes_of[0] == bytes_of[1]
print("models are equal, byte for byte:", equal)
assert equal or run.device != "cpu"

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Equal. (On a GPU some sums are added up in any order, so there the two may differ in the last
# digits.) The tests kill a training twenty times with `kill -9`, at random moments, and ask for the same.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## PIUmr, with the same budget

# %% [markdown] slideshow={"slide_type": "notes"}
# Another method is another name; everything else stays as it was. (Another `method` above takes PIUmr's place here.)
# GIRL finds its groups once, before the second epoch, within each action.

# %%
beside = Path(f"{config.out}-piumr") if "out" in given else build / "runs" / "piumr"
ours = TrainConfig.make(recipe, **{**base, **of_method, "out": beside, "method": method})
live = Live(plots.history)
piumr = train(ours, progress=False, watch=live)
live.finish(read_history(ours.out))

# %% slideshow={"slide_type": "skip"}
end = [row for row in read_history(ours.out) if "loss" in row][-1]
told = ("floor", "groups", "risk of the worst group", "weight of its clips")
print("; ".join(f"{name}: {end[name]:.3g}" for name in told if name in end))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.metrics import compare, interval

columns = ["method", "F1_mean", "top-1", "mean over people", "95 % interval", "worst quarter"]


def row_of(record, name):
    found, over = record["held out"]["scores"], record["held out"]["over people"]
    return [name, 100 * found["F1_mean"], 100 * found["action top-1"], 100 * over["mean"],
            interval(over["low"], over["high"]), 100 * over["worst_quarter"]]


show_table(columns, [row_of(record, record["method"]) for record in (erm, piumr)])

# %% [markdown] slideshow={"slide_type": "notes"}
# F1_mean and top-1 count clips. The columns behind them count people, which is what we ask for. A difference is
# believed when its interval over people, on the same people, leaves out zero:

# %% slideshow={"slide_type": "skip"}
from piumar_lib.evidence.wording import points

who = sorted(erm["held out"]["people"])
scores = [np.array([np.divide(*r["held out"]["people"][p]) for p in who]) for r in (erm, piumr)]
difference = compare(scores[1], scores[0])
print(f"PIUmr over ERM on {len(who)} people: {points(difference)} points, p {difference.p:.2f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Judge
#
# > **Predict.** Which body part is most often taken for another one?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data.labels import ACTIONS, BODY_PARTS
from piumar_lib.ma52 import scores as scoring
from piumar_lib.ma52.evaluate import read_predictions

# %% slideshow={"slide_type": "skip"}
said = read_predictions(Path(ours.out) / "predictions.safetensors")
confusion = np.array(piumr["held out"]["confusion of parts"])
shares = confusion / confusion.sum(1, keepdims=True).clip(1)
wrong = shares - 2 * np.eye(7)  # what is right comes last
most = [int(k) for k in np.flatnonzero(np.isclose(wrong.max(1), wrong.max()))]
mistaken = "; ".join(f"{BODY_PARTS[k]} for {BODY_PARTS[wrong[k].argmax()]}" for k in most)
error, bins = scoring.calibration(said.y, said.actions, bins=8)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7), width_ratios=(1.2, 1, 1))
axes[0].imshow(shares, cmap="Greys", vmin=0, vmax=1)
axes[0].set(xticks=range(7), yticks=range(7), xlabel="recognised as", title="body parts")
axes[0].set_xticklabels(BODY_PARTS, rotation=90, fontsize=6)
axes[0].set_yticklabels(BODY_PARTS, fontsize=6)
by_person = np.sort([c / n for c, n in piumr["held out"]["people"].values()])
axes[1].bar(range(len(by_person)), 100 * by_person, **plots.UNSEEN)
axes[1].set(xlabel="unseen person, worst first", ylabel="clips recognised, %", xticks=[])
sure, right, _ = np.array(bins).T
axes[2].plot([0, 1], [0, 1], ":", color="grey")
axes[2].plot(sure, right, "o-", color="C0")
axes[2].set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title="calibration")
show(fig, alt=f"Left: body parts as recognised; most often mistaken: {mistaken}. Middle: unseen people "
     f"from {100 * by_person[0]:.0f} to {100 * by_person[-1]:.0f} %. "
     f"Right: calibration error {error:.2f}.")
print(f"most often mistaken, {100 * wrong.max():.0f} % of the clips: {mistaken}")

# %% [markdown] slideshow={"slide_type": "notes"}
# On the right, a reliability diagram: of clips of such confidence, the share that is right. On the dotted line the
# two are equal; the mean distance from it is the *expected calibration error*.
#
# The most frequent confusions, with pictures: a clip of the true action above a clip of the action that was
# recognised instead. Would you have known better?

# %% slideshow={"slide_type": "skip"}
by_action = {clip.action: k for k, clip in reversed(list(enumerate(train_clips.clips)))}
place = {clip.name: k for k, clip in enumerate(held_out.clips)}
guess = said.actions.argmax(1)
pairs = scoring.hardest_pairs(said.y, guess, most=20)
pairs = [(a, b, n) for a, b, n in pairs if b in by_action][:4]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(2, max(1, len(pairs)), figsize=(7, 3.2), squeeze=False)
for column, (a, b, n) in zip(axes.T, pairs, strict=False):
    clip = said.names[np.flatnonzero((said.y == a) & (guess == b))[0]]
    for ax, picture, words in zip(
        column, (held_out[place[clip]]["video"], train_clips[by_action[b]]["video"]),
        (f"{ACTIONS[a]} ({n})", f"taken for: {ACTIONS[b]}"), strict=True,
    ):
        ax.imshow(picture[len(picture) // 2])
        ax.set_title(words, fontsize=6)
        ax.set(xticks=[], yticks=[])
named = "; ".join(f"{ACTIONS[a]} as {ACTIONS[b]}, {n} clips" for a, b, n in pairs)
show(fig, alt=f"The most frequent confusions, each above a clip of what it was taken for: {named}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Use it

# %% [markdown] slideshow={"slide_type": "notes"}
# `load_model` needs the run's folder, `recognize` any video. A short one is one clip:

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.model import load_model
from piumar_lib.ma52.prepare.video import read_frames, write_mp4
from piumar_lib.ma52.recognize import recognize

# %% slideshow={"slide_type": "skip"}
trained = load_model(ours.out, run.device)
index_of = {clip.name: clip for clip in held_out.clips}
name = said.names[0]
source = Path(root).expanduser() if root else build / "standin-0"
recording = source / index_of[name].split / name
if not recording.is_file():  # the cache alone is here
    recording = caching.cached_path(Path(ours.cache), index_of[name].split, name, held_out.settings)
if recording.suffix == ".npy":  # a raw cache: its frames, as a video
    write_mp4(build / "clip.mp4", np.load(recording))
    recording = build / "clip.mp4"
seen = recognize(trained, recording)

# %%
for action, probability in seen.best():
    print(f"{100 * probability:5.1f} %  {action}")
print("in truth:", ACTIONS[index_of[name].action])

# %% [markdown] slideshow={"slide_type": "notes"}
# A long one becomes a timeline of windows. We put four clips of one person behind one another. Below the
# frames: how much the picture changes, and what each window is taken for. (The temporal branch's clock goes by the
# same kind of change, but in the backbone's features. The tall spikes are where one clip ends and the next begins.)

# %% slideshow={"slide_type": "skip"}
person = said.person[0]
four = [clip for clip in held_out.clips if clip.person == person][:4]
films = [read_frames(caching.cached_path(Path(ours.cache), c.split, c.name, held_out.settings))
         if held_out.settings.form == "mp4" else held_out[place[c.name]]["video"].numpy() for c in four]
# %% slideshow={"slide_type": "skip"}
long = build / "long.mp4"
write_mp4(long, np.concatenate(films))
line = recognize(trained, long, length=2.0, stride=0.5, crop="middle")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def timeline(line):
    """Frames, motion energy and what windows are taken for."""
    fig, (top, middle, bottom) = plt.subplots(3, 1, figsize=(7, 3.8), height_ratios=(1.2, 1, 1.2))
    at = np.linspace(0, len(line.energy) - 1, 10).astype(int)
    top.imshow(np.concatenate(line.recording.read(at), axis=1))
    top.axis("off")
    middle.plot(line.recording.times, line.energy, color="C0")
    middle.set(ylabel="change", xlim=(0, line.recording.seconds))
    names = list(dict.fromkeys(action for *_, action, _ in line.timeline()))
    for begin, end, action, p in line.timeline():
        bottom.plot([begin, end], [names.index(action)] * 2, color="C1", lw=6, alpha=min(1, 0.15 + p))
    bottom.set(xlabel="time, s", xlim=(0, line.recording.seconds), yticks=range(len(names)))
    bottom.set_yticklabels(names, fontsize=6)
    best = max(line.timeline(), key=lambda row: row[3])
    show(fig, alt=f"{line.recording.seconds:.1f} s in {len(line.start)} windows: frames, change, and "
         f"actions; the surest is {best[2]} at {best[0]:.1f} s, {100 * best[3]:.0f} %.")


timeline(line)

# %% [markdown] slideshow={"slide_type": "notes"}
# Choose a recording of your own (it stays on this machine). On a page without a kernel there is nothing to
# choose; what follows a choice looks like the figure above.

# %% slideshow={"slide_type": "skip"}
from ipywidgets import FileUpload, Output

upload, output = FileUpload(accept="video/*", description="a recording"), Output()

# %% slideshow={"slide_type": "skip"}
def use(change):
    """Recognise what was chosen."""
    item = change["new"][0]
    path = build / f"mine{Path(item['name']).suffix}"
    path.write_bytes(bytes(item["content"]))
    with output:
        timeline(recognize(trained, path))


# %% slideshow={"slide_type": "skip"}
upload.observe(use, "value")
upload

# %% slideshow={"slide_type": "skip"}
use({"new": [{"name": "clip.mp4", "content": recording.read_bytes()}]})  # as if it had been chosen
output

# %% [markdown] slideshow={"slide_type": "notes"}
# **Export.** The trained model is two files, weights and one JSON. As one program, without this library:

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.ma52.model import export

program = torch.export.load(export(load_model(ours.out), build / "piumr.pt2")).module()
with torch.no_grad():
    batch = to_input(torch.stack([held_out[k]["video"] for k in range(3)]), trained.size)
    theirs, mine = program(batch), load_model(ours.out)(batch).logits.softmax(-1)
assert torch.allclose(theirs, mine, atol=1e-5)
print(f"the exported program agrees within {(theirs - mine).abs().max():.1e}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Submit to the benchmark's server

# %% [markdown] slideshow={"slide_type": "notes"}
# The benchmark's server takes a zip with one table: five actions and five body parts for each test clip, in
# the order of the list. It is checked before it is called done.

# %%
from piumar_lib.ma52.submit import submit

handed_in = submit(ours.out, build / "submission.zip")
print(f"{handed_in} test clips in {(build / 'submission.zip').relative_to(ROOT)}; checked")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same from the shell

# %% [markdown] slideshow={"slide_type": "notes"}
# From the repository's root; `python` is that of the course, `.venv/bin/python`.

# %% [markdown]
# ```bash
# python -m piumar_lib.ma52 train --preset videomae-base --method "PIUmr + augmentation" \
#     --cache build/ma52/cache --index build/ma52/index.csv \
#     --split build/ma52/splits/person-disjoint/fold1.txt --out build/ma52/runs/piumr-1-0
# python -m piumar_lib.ma52 report build/ma52/runs/piumr-1-0
# python -m piumar_lib.ma52 submit build/ma52/runs/piumr-1-0 --out build/ma52/submission.zip
# ```

# %% [markdown] slideshow={"slide_type": "notes"}
# On four GPUs write `python -m torch.distributed.run --standalone --nproc-per-node 4 -m` for `python -m`: the
# steps stay the same, each GPU takes a quarter of a batch. (Running statistics and GIRL's groups are those of all;
# of two medians, the clock's noise and the typical size, it is the average of four.)
#
# **A sweep** through papermill, folds by seeds. Each job trains ERM in `out` and PIUmr beside it, in `out`-piumr. A
# killed job goes on where it was with the same command:
#
# ```bash
# for fold in 1 2 3 4 5; do for seed in 0 1 2; do
#   python -m tools papermill 12 build/sweep-$fold-$seed.ipynb \
#     -p profile gpu -p cache $PWD/build/ma52/cache -p index $PWD/build/ma52/index.csv \
#     -p split $PWD/build/ma52/splits/person-disjoint/fold$fold.txt \
#     -p seed $seed -p out $PWD/build/ma52/runs/sweep-$fold-$seed
# done; done
# python -m piumar_lib.ma52 table build/ma52/runs/sweep-*
# ```
#
# The last line compares runs as chapter 09 does: by person, paired, corrected. It wants every method on the same
# people, and finished runs only. Here with the two runs above:

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.ma52.comparison import compare_runs

(table,) = compare_runs([config.out, ours.out]).values()
lines = [[row.method, 100 * row.summary.mean, 100 * row.summary.worst_quarter, points(row.gain)]
         for row in table]
show_table(["method", "mean over people", "worst quarter", "over ERM"], lines)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## On a GPU, at full scale

# %% [markdown] slideshow={"slide_type": "notes"}
# The records below were made on one GPU, on a stand-in of full size, rendered straight into a cache, with **the first
# version** of TFAM and GIRL (their commit has it; the trainer no longer does). Nothing of MA-52 itself was seen: no
# number of this chapter says how well PIUmr recognises micro-actions there. The clips came from
#
# ```bash
# python data_scripts/make_synthetic_ma52.py --cache --device cuda --width 320 --size 128 \
#     --workers 15 --out build/ma52/full
# ```
#
# and each record holds the command that trained:

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
import textwrap

from piumar_lib.evidence.records import read_records


def show_command(record):
    lines = textwrap.wrap(record["command"], 95, break_on_hyphens=False)
    print(" \\\n    ".join(lines))


large = read_records(ROOT / "notebooks" / "results" / "full-scale.jsonl")
NAMES = ("ERM", "PIUmr, first version")
show_command(large[0])
for name, r in zip(NAMES, large, strict=True):
    print(f"{name}: {r['steps']} steps in {r['seconds']:.0f} s on {r['device']}, "
          f"commit {r['commit']}")
    print(f"    {r['clips/s']:.0f} clips/s, {100 * r['waiting']:.1f} % of the time waiting for clips")

# %% [markdown] slideshow={"slide_type": "notes"}
# PIUmr's command ends in `--plug tfam --loss girl`, which is how a method was named then, always augmented. Two
# settings are new. `--weights random`: these weights were
# never trained on other videos. And `--modality difference`: the network sees each frame *minus the clip's mean
# frame*, so all that stands still vanishes. (That is background subtraction; the RGB differences of Wang et al.
# are between neighbouring frames.)

# %% [markdown]
# > **Predict.** How much does that help a small network with random weights, on people that it never saw?

# %% [markdown] slideshow={"slide_type": "notes"}
# Its clips came from
#
# ```bash
# python data_scripts/make_synthetic_ma52.py --cache --clips 6000 --people 100 --width 320 \
#     --size 144 --out build/modality/cache
# ```

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
small = read_records(ROOT / "notebooks" / "results" / "modality.jsonl")
show_command(small[0])
show_table(["input", "clips", "epochs", "top-1, %", "body part, %", "device"],
           [[r["config"]["modality"], r["trained on"], r["config"]["epochs"],
             100 * r["held out"]["scores"]["action top-1"], 100 * r["held out"]["scores"]["body top-1"],
             r["device"]] for r in small])

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** With pictures the small network learns how frequent the actions are, and no more: clothes and
# walls fill them, and a movement of a few pixels is lost among these. Pretrained weights have long learned to
# look past that; random ones cannot in so few steps. With differences there is nothing else left to look at. It
# takes a camera that stands still, as MA-52's does.
#
# At full scale, then: what is learned, and what did the [first version](glossary.md#first-version) of TFAM and GIRL add?

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** The network is a thousand times as large as those of the chapters before, and sees video. How many
# > points over ERM, on people that it never saw?

# %% slideshow={"slide_type": "skip"}
people = sorted(large[0]["held out"]["people"])
every = standin.plan()
mine = (every.split != "test") & np.isin(every.person + 1, [int(p) for p in people])
most_frequent = np.bincount(every.action[mine]).max() / mine.sum()
by_person = [np.array([np.divide(*r["held out"]["people"][p]) for p in people]) for r in large]
gap = compare(by_person[1], by_person[0])
print(f"{len(people)} people, {mine.sum()} clips; {NAMES[1]}, over ERM: {points(gap)} points, "
      f"p {gap.p:.2f}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 2.9))
for name, r, style in zip(NAMES, large, ("C0o-", "C1s--"), strict=True):
    looks = [(c["epoch"], c["action top-1"]) for c in r["curve"] if "action top-1" in c]
    looks.append((r["config"]["epochs"], r["held out"]["scores"]["action top-1"]))
    axes[0].plot(*zip(*[(e, 100 * s) for e, s in looks], strict=True), style, label=name)
axes[0].axhline(100 * most_frequent, color="0.4", ls=":", label="always the most frequent")
axes[0].set(xlabel="epoch", ylabel="clips recognised, %", ylim=(0, 100), title="unseen people")
axes[0].legend(fontsize=8)
axes[1].plot([0, 100], [0, 100], ":", color="0.4")
axes[1].plot(100 * by_person[0], 100 * by_person[1], "o", color="C0", markersize=4)
axes[1].set(xlabel="ERM, %", ylabel="PIUmr, first version, %", xlim=(0, 100), ylim=(0, 100))
axes[1].set(aspect="equal", title="each unseen person")
ends = [100 * r["held out"]["scores"]["action top-1"] for r in large]
show(fig, alt=f"Left: on unseen people ERM and the first version of PIUmr rise to {ends[0]:.0f} and "
     f"{ends[1]:.0f} %; always the most frequent action would be right in {100 * most_frequent:.0f} %. "
     "Right: person by person, PIUmr over ERM; the points lie about the diagonal.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
show_table(columns, [row_of(record, name) for name, record in zip(NAMES, large, strict=True)])
step = [1000 * r["config"]["batch"] / r["clips/s"] for r in large]
print("a step:", ", ".join(f"{ms:.1f} ms with {name}" for name, ms in zip(NAMES, step, strict=True)))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Learning is beyond doubt. What the first version of TFAM and GIRL adds is not established: the interval
# of the difference holds zero, and a gain of a point, too; a large gain is unlikely *here*. The method as these
# chapters teach it has not run at this scale. And the stand-in's people differ in clothes, build and manner by our
# own recipe; how people differ in MA-52 only MA-52 can tell.
#
# With `profile = "gpu"`, `cache`, `index` and `split` this chapter makes such a run. The index of a filmed cache is
# `index.csv` in it, and `prepare_ma52.py split` makes splits from it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: the best epoch
#
# *5 minutes, easy.*
#
# A colleague judges after every epoch on the held-out people and reports the best epoch. Write
# `optimism(curves)`: from accuracies of shape `(runs, epochs)` to the mean gap between the best epoch and the
# *last* one, in the units of `curves`. What is it if nothing is learned at all?

# %% tags=["exercise"]
def optimism(curves):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.optimism(optimism)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def optimism(curves):
#     return (curves.max(1) - curves[:, -1]).mean()
# ```
#
# Thirty looks at nothing gain two standard deviations. Hence the record judges the last step, whatever the
# curve looked like on the way.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- ERM and PIUmr trained for {erm['steps']} steps each; a run that was stopped ended "
      f"{'equal, byte for byte' if equal else 'within rounding'}.")
print(f"- On {len(who)} people that neither saw: ERM {100 * scores[0].mean():.1f} %, PIUmr "
      f"{100 * scores[1].mean():.1f} %, difference {points(difference)} points"
      + ("." if difference.low > 0 or difference.high < 0 else ": nothing is established."))
print(f"- A submission of {handed_in} clips passed its check; a recording of "
      f"{line.recording.seconds:.0f} s was read through {len(line.start)} windows.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | plug-and-play module | the idea in one figure | `model.build_model`, `model.MicroActionRecognizer`, `methods.temporal_frequency` | `test_ma52_model.py` | `TemporalFrequencyModule` behind the backbone, one temporal layer behind it; 16 canonical steps, or as many as there are moments |
# | group-invariant loss | PIUmr, with the same budget | `train.train`, `train.make_objective`, `group_robust.GroupRobustObjective` | `test_ma52_train.py` | groups within each action, found once, by the style of the aligned features |
# | (silent) small batches | a step by hand | `methods.temporal_frequency`, `train.make_objective`, `running.RunningMean` | `test_ma52_model.py` | variances, barycentres and group risks are running ones, over all processes |
# | (silent) backbone, recipe | a step by hand | `config.PRESETS`, `optimizer.rate_at` | `test_ma52_config.py` | VideoMAE's usual fine-tuning, without its mixing of clips; MANet's published recipe, on a ResNet-50 without its squeeze-and-excitation blocks |
# | (silent) input | on a GPU, at full scale | `model.MicroActionRecognizer`, `config.TrainConfig` | `test_ma52_model.py` | pictures by default; less the clip's mean picture for random weights |
# | MA-52's scores | judge | `evaluate.report`, `scores.official_scores` | `test_ma52_scores.py` | by person, on person-disjoint folds; the last step, never the best |
#
# ## References
#
# 1. D. Guo, K. Li, B. Hu, Y. Zhang, M. Wang. *Benchmarking Micro-action Recognition: Dataset, Methods, and
#    Applications.* IEEE Transactions on Circuits and Systems for Video Technology 34(7), 2024. (MA-52, MANet)
# 2. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 3. Z. Tong, Y. Song, J. Wang, L. Wang. *VideoMAE: Masked Autoencoders are Data-Efficient Learners for
#    Self-Supervised Video Pre-Training.* [arXiv 2203.12602](https://arxiv.org/abs/2203.12602), 2022.
# 4. J. Lin, C. Gan, S. Han. *TSM: Temporal Shift Module for Efficient Video Understanding.*
#    [arXiv 1811.08383](https://arxiv.org/abs/1811.08383), 2019.
# 5. L. Wang, Y. Xiong, Z. Wang, Y. Qiao, D. Lin, X. Tang, L. Van Gool. *Temporal Segment Networks: Towards Good
#    Practices for Deep Action Recognition.* [arXiv 1608.00859](https://arxiv.org/abs/1608.00859), ECCV 2016.
#    (differences of pictures as input)
