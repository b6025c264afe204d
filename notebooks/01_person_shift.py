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
# Why does recognition fail on people it never saw?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [00 start here](00_start_here.ipynb) |
# | you will build | a recogniser, an honest test of it, and a list of what makes unseen people hard |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - show that a recogniser that is right on people it knows is wrong more often on people it does not,
# - name the leak in a random split, in overlapping windows, and in [MA-52](glossary.md#ma-52)'s official lists,
# - switch a style factor off and measure how much of the loss it explains.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
train_list = ""  # path of MA-52's train_list_videos.txt, if you have it
val_list = ""  # path of MA-52's val_list_videos.txt
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, show_table, start

run = start(profile)
data, yours = given(data, people=2)
folds, steps, draws = run.pick(quick=2, full=5), run.pick(quick=150, full=250), run.pick(quick=1, full=4)
clips_each, factor_steps = run.pick(quick=20, full=30), run.pick(quick=220, full=300)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Train one recogniser on some people. Then test it twice, both times on clips it has never seen: new
# clips of *the same people*, and clips of *other people*. Two helpers are enough. Each gets a closer
# look below; here is what they do.
#
# `learn` trains a small network by plain empirical risk minimisation ([ERM](glossary.md#erm): make the average loss on
# the training clips small). It always takes the same number of steps, so that more clips do not mean
# more training. `right` says which clips of a test set are recognised.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib.backbones import tiny_cnn
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict


def learn(clips, steps, init=seed):
    torch.manual_seed(init)
    model = Recognizer(tiny_cnn(clips.x.shape[-1]), width=32, classes=clips.classes)
    epochs = max(1, round(64 * steps / len(clips)))  # 64 clips make one step
    fit(model, clips, Settings(epochs=epochs, seed=init), device=run.device)
    return model.cpu()


# %% slideshow={"slide_type": "skip"}
def right(model, clips):
    return predict(model, clips).argmax(1) == clips.y


# %% [markdown] slideshow={"slide_type": "notes"}
# First the synthetic people: 40 to learn from, 20 others. They make twelve micro-actions, for example
# nodding, waving, shrugging. You meet them in a moment.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data import synthetic

people = synthetic.make_people(40, seed=seed + 100)
others = synthetic.make_people(20, seed=seed + 600)
training = synthetic.make_clips(people, 40, seed=1)
known = synthetic.make_clips(people, 20, seed=2)  # the same people, new clips
unseen = synthetic.make_clips(others, 40, seed=3, person_offset=1000)
model = learn(training, steps=run.pick(quick=400, full=600))

# %% [markdown] slideshow={"slide_type": "notes"}
# Then the ten real people of [SPAR](glossary.md#spar) from chapter 00: seven shoulder exercises, cut into windows of
# 4 s. Nobody's windows are drawn at random here: the recogniser learns from the first 70 % of some
# people's recordings. It is tested on the last 30 % of *the same recordings*, and on everything from
# the people that were held out.
#
# To let everybody be a stranger once, we repeat this: each fold of `GroupKFold` holds other people out.
# If `data` names a file of yours, it takes SPAR's place; then the last 30 % of each person's clips of
# each action, in the file's order, stand for "later".

# %% slideshow={"slide_type": "skip"}
from sklearn.model_selection import GroupKFold

from piumar_lib.data import spar

if data:
    real, late = yours, []
    for pair in set(zip(real.person, real.y, strict=True)):
        rows = np.flatnonzero((real.person == pair[0]) & (real.y == pair[1]))
        late += list(rows[max(1, int(0.7 * len(rows))):])
    late = np.isin(np.arange(len(real)), late)
    first, last = real.take(~late), real.take(late)
else:
    recordings = spar.load_recordings()
    real = spar.windows(recordings, time=32)
    first = spar.windows(recordings, time=32, part=(0, 0.7))
    last = spar.windows(recordings, time=32, part=(0.7, 1))
name = "your data" if data else "SPAR"
folds = min(folds, len(real.people), np.bincount(real.y).max())

# %% slideshow={"slide_type": "skip"}
from piumar_lib.metrics import accuracy_by_person


def by_person(model, clips):
    return accuracy_by_person(right(model, clips), clips.person)


# %% slideshow={"slide_type": "skip"}
spar_known, spar_unseen = {p: [] for p in real.people}, {}
for _, held in GroupKFold(folds).split(real.x, groups=real.person):
    strangers = np.unique(real.person[held])
    recognizer = learn(first.take(~np.isin(first.person, strangers)), steps)
    spar_unseen |= by_person(recognizer, real.take(held))
    for p, value in by_person(recognizer, last.take(~np.isin(last.person, strangers))).items():
        spar_known[p].append(value)
spar_known = {p: float(np.mean(values)) for p, values in spar_known.items()}

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt

from piumar_lib.notebook import plots


def percent(scores):
    return 100 * float(np.mean(list(scores.values())))


# %% slideshow={"slide_type": "skip"}
scores = {"known": by_person(model, known), "unseen": by_person(model, unseen)}
bars_known = [percent(scores["known"]), percent(spar_known)]
bars_unseen = [percent(scores["unseen"]), percent(spar_unseen)]
gap = np.subtract(bars_known, bars_unseen)

# %% tags=["hide-input"]
fig, ax = plt.subplots()
plots.known_and_unseen(ax, ["synthetic people", name], bars_known, bars_unseen)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt=f"Synthetic people: {bars_known[0]:.0f} % right on people it knows, "
     f"{bars_unseen[0]:.0f} % on unseen people. {name}: {bars_known[1]:.0f} % against "
     f"{bars_unseen[1]:.0f} %.")

# %% [markdown] slideshow={"slide_type": "notes"}
# The network has not seen a single clip of either bar. What it has seen, on the left of each pair,
# is *the person*; on SPAR even an earlier part of the same recording, which helps as well. That is worth
# a good many points, and it is the part of the accuracy that is gone on the day the recogniser meets
# somebody new.
#
# Bars are means over people: every person counts the same, however many clips there are of them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Meet the synthetic people

# %% [markdown] slideshow={"slide_type": "notes"}
# Real people differ in everything at once. The synthetic ones differ in twelve *style factors* that
# we can switch on and off: each is drawn once for a person and then stays. Below, two people do the
# same action. Early moments are pale. In the skeletons the movement is drawn twice as large as it is.

# %% slideshow={"slide_type": "skip"}
standing = synthetic.make_clips(people, 40, seed=1, centered=False)  # joints where they are
action = standing.class_names.index("waving")
poses = standing.x.reshape(len(standing), -1, 17, 2)
waves = np.flatnonzero(standing.y == action)
waves = waves[people.tempo[standing.person[waves]].argsort()]  # from slow to fast people
example = waves[[len(waves) // 10, -len(waves) // 10]]

# %% slideshow={"slide_type": "skip"}
WRISTS = (9, 10)


def way(clip):
    """Distance of the wrist that moves more from where it started, torso lengths."""
    wrists = clip[:, WRISTS] - clip[:1, WRISTS]
    return np.linalg.norm(wrists[:, wrists.std(0).sum(-1).argmax()], axis=-1)


# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 3), width_ratios=(1, 1, 1.7))
for ax, k, label, style in zip(axes, example, ("slow", "fast"), ("-", "--"), strict=False):
    plots.clip(ax, poses[k], magnify=2)
    ax.set_title(f"{label} person")
    color = {"-": "C0", "--": "C4"}[style]
    axes[2].plot(np.arange(32) / synthetic.RATE, way(poses[k]), style, color=color, label=label)
axes[2].set(xlabel="time [s]", ylabel="wrist from its start\n[torso lengths]", title="waving")
axes[2].legend()
show(fig, alt="Two seated skeletons wave. They differ in posture and in which joints tremble; the "
     "wrist of the fast person is soon done, that of the slow one swings on. Reach: fast "
     f"{way(poses[example[1]]).max():.2f}, slow {way(poses[example[0]]).max():.2f} torso lengths.")


# %% [markdown] slideshow={"slide_type": "subslide"}
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/two_people.png"><img src="pictures/two_people.gif" alt="Two seated skeletons lift a hand towards the nose. The fast person&#x27;s hand is down again when the slow person&#x27;s is still on its way up."></picture>

# %% [markdown] slideshow={"slide_type": "subslide"}
# Here is the recipe of a clip without tremor, sway and noise. At time $t$ the joints are at
#
# $$ x(t) = s + a \sum_c w_c R_c D_c g_c(\varphi(t)), \qquad
# \varphi(t) = \mathrm{clip}\left(\tfrac{t - o}{d}, 0, 1\right)^{\gamma} $$
#
# - $s$: the pose at rest (bones, posture), 17 joints with 2 coordinates;
# - $D_c$: where action $c$ moves each joint, also $17 \times 2$; $g_c$: how far along it is, one number;
# - $\varphi$: progress from 0 to 1, with onset $o$, duration $d$, asymmetry $\gamma$;
# - $a$: amplitude; $R_c$: a small turn (direction); $w_c$: 1 for the action itself, and small weights
#   for two other actions that this person moves along with it ([co-motion](glossary.md#co-motion)).

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: with $o = 0.35$ s, $d = 1.3$ s and $\gamma = 1$, one second after the clip began
# $\varphi = 0.65 / 1.3 = 0.5$, half way. Let us rebuild a clip of a person without any style.

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.data.actions import course, teaching_actions

plain = dict.fromkeys(synthetic.FACTORS, 0.0)
robot = synthetic.make_people(1, seed=0, scale=plain)
clip = synthetic.make_clips(robot, 1, seed=4)
act = teaching_actions()[clip.y[0]]
t = np.arange(32) / synthetic.RATE
phase = np.clip((t - 0.35) / 1.3, 0, 1)
by_hand = course(np.array([act.course]), phase[None])[0][:, None] * act.field.ravel()
by_hand -= by_hand.mean(0)  # clips are centred: the mean pose is taken away
print(act.name, by_hand.shape, "= (frames, 17 joints x 2)")

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data.skeleton import MIRROR

mirrored = (by_hand.reshape(32, 17, 2)[:, MIRROR] * [-1, 1]).reshape(32, 34)
left_over = min(np.std(clip.x[0] - version) for version in (by_hand, mirrored))
assert abs(left_over - synthetic.NOISE) < 0.1 * synthetic.NOISE
print(f"what is left: {left_over:.4f}; the generator's noise: {synthetic.NOISE:.4f} torso lengths")

# %% [markdown] slideshow={"slide_type": "notes"}
# (Anybody may use the other hand, hence the mirror image. There is no gradient to compare here: the
# generator is data, nothing learns through it.)
#
# Turn a style factor up and watch six people nod. All other factors are off, so the fan that opens
# is this factor alone.

# %% slideshow={"slide_type": "skip"}
from ipywidgets import SelectionSlider, interact

HEAD = tuple(a for a in teaching_actions() if a.name in ("nodding", "bowing head"))
NOD = [a.name for a in HEAD].index("nodding")


def nods(factor, strength):
    crowd = synthetic.make_people(6, seed=9, actions=HEAD, scale=plain | {factor: strength})
    clips = synthetic.make_clips(crowd, 12, seed=9)
    first_nod = [np.flatnonzero((clips.person == p) & (clips.y == NOD))[0] for p in range(6)]
    return clips.x[first_nod].reshape(6, 32, 17, 2)[:, :, 0, 1]  # the nose, downward


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from piumar_lib.notebook import fixed_figure


def draw_nods(ax, factor, strength):
    for p, nose in enumerate(nods(factor, strength)):
        ax.plot(np.arange(32) / synthetic.RATE, -nose, color=f"C{p}", lw=1.2)


def hyperparameter(factor="tempo", strength=1.0):
    fig, ax = fixed_figure(5, 2.6)
    draw_nods(ax, factor, strength)
    ax.set(xlabel="time [s]", ylabel="nose, upward\n[torso lengths]", ylim=(-0.25, 0.25))
    ax.set_title(f"{factor}, strength {strength:g}")
    show(fig, alt=f"Six people nod; their only difference is {factor}, at strength {strength:g}.")


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
one_of = SelectionSlider(options=["tempo", "onset", "amplitude", "tremor", "sway"])
interact(hyperparameter, factor=one_of, strength=(0.0, 1.5, 0.25));

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(3, 3, figsize=(7, 5), sharex=True, sharey=True)
for row, factor in zip(axes, ("tempo", "amplitude", "sway"), strict=True):
    for ax, strength in zip(row, (0, 0.5, 1), strict=True):
        draw_nods(ax, factor, strength)
        ax.set_title(f"{factor}, strength {strength:g}")
fig.supxlabel("time [s]", fontsize=10)
fig.supylabel("nose, upward [torso lengths]", fontsize=10)
spread = {f: 100 * nods(f, 1.0).std(0).mean() for f in ("tempo", "amplitude", "sway")}
show(fig, alt="Nose height of six nodding people. At strength 0 all six curves coincide up to noise. "
     "With tempo they fan out in time, with amplitude in height, with sway by a slow swing. Spread "
     "between people at strength 1, in hundredths of a torso length: "
     + ", ".join(f"{f} {s:.1f}" for f, s in spread.items()) + ".")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The recogniser

# %% [markdown] slideshow={"slide_type": "notes"}
# It has four parts: standardise each channel with the training clips' mean and scale; a *backbone*,
# three convolutions along time; the mean over time; one linear layer. With the backbone's features
# $h_t$ (32 numbers for each of $T$ frames), weights $W$ and bias $b$, it gives each class a probability.
# $p$ holds them all, $p_y$ is the one of the clip's true class $y$, and $\ell$ is the clip's loss:

# %% [markdown]
# $$ p = \mathrm{softmax}\left(W \bar h + b\right), \qquad \bar h = \tfrac{1}{T} \sum_t h_t, \qquad
# \ell = -\log p_y $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: if only two classes are left, with scores 2 and 0, then
# $p = e^2 / (e^2 + 1) = 0.88$ for the first, and its loss is $-\log 0.88 = 0.13$.

# %%
from torch.nn import functional as F

from piumar_lib.objective import training_loss


def loss_by_hand(x, y):
    h = model.backbone((x - model.mean) / model.scale)
    score = h.mean(1) @ model.head.weight.T + model.head.bias
    p = score.exp() / score.exp().sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()


# %%
x, y = torch.as_tensor(known.x[:8]), torch.as_tensor(known.y[:8])
print("clips", tuple(x.shape), "-> features", tuple(model.backbone(x).shape))
print(f"two classes by hand: {F.cross_entropy(torch.tensor([[2.0, 0.0]]), torch.tensor([0])):.2f}")

# %% slideshow={"slide_type": "subslide"}
weights = list(model.parameters())
ours, theirs = loss_by_hand(x, y), training_loss(model(x, y), y)
torch.testing.assert_close(ours, theirs)
for a, b in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(theirs, weights), strict=True):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
count = sum(w.numel() for w in weights)
print(f"loss {ours.item():.3f}, equal in value and in the gradient of all {count} weights")

# %% [markdown] slideshow={"slide_type": "notes"}
# ERM makes the mean of $\ell$ over all training clips small. Nothing in it knows that clips come in
# people. `fit` is a plain loop around it: batches of 64, AdamW, a learning rate that rises and falls
# once.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## People are the unit
#
# > **Predict.** The mean over unseen people hides how they differ. In the idea figure's run, how many
# > points lie between the best and the worst of the 20?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib import metrics

fig, (left, right_ax) = plt.subplots(1, 2, sharey=True, figsize=(7, 3))
plots.people_bars(left, scores["known"], unseen=False)
plots.people_bars(right_ax, scores["unseen"])
left.set(title="people it knows", xlabel="40 people, best first")
right_ax.set(title="unseen people", xlabel="20 people, best first", ylabel="")
summary = {k: metrics.summarize(list(v.values())) for k, v in scores.items()}
below = {k: sum(a < 0.5 for a in v.values()) for k, v in scores.items()}
show(fig, alt="Accuracy of each person, from best to worst. Below one half lie "
     f"{below['known']} of 40 people it knows and {below['unseen']} of 20 unseen people; the worst "
     f"have {100 * summary['known'].worst:.0f} % and {100 * summary['unseen'].worst:.0f} %.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def in_percent(s):
    return [100 * s.mean, metrics.interval(s.low, s.high), 100 * s.worst_quarter, s.people]


header = ["tested on", "mean [%]", "95 % interval", "worst quarter [%]", "people"]
show_table(header, [[k, *in_percent(s)] for k, s in summary.items()])
best, worst = max(scores["unseen"].values()), summary["unseen"].worst
print(f"from the best to the worst unseen person: {100 * (best - worst):.0f} points")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The gap is wide. Look at the right-hand tail: some strangers are recognised as well as
# anybody, a few hardly at all. Three habits for the rest of the course:

# %% [markdown]
# - score each person, then average people;
# - report the **worst quarter**: the mean over the 25 % of people with the lowest scores. The single
#   worst person is too noisy a number;
# - draw *people* for intervals, because people are what we want to generalise over.

# %% [markdown] slideshow={"slide_type": "notes"}
# The last one is not a matter of taste. The intervals are made by the *bootstrap*: draw as many units
# again as there are, with replacement, take their mean, and repeat; the interval holds the middle 95 %
# of the means. Compare two of the same mean accuracy: one draws single clips as if they were
# independent, one draws whole people, as the table above does.

# %% slideshow={"slide_type": "subslide"}
correct = right(model, unseen).astype(float)
by_clip = metrics.bootstrap_interval(correct, draws=2000)
by_people = metrics.bootstrap_interval(list(scores["unseen"].values()), draws=2000)
wider = np.ptp(by_people) / np.ptp(by_clip)
for kind, (low, high) in (("clips", by_clip), ("people", by_people)):
    print(f"drawing {kind:<7} {100 * low:.1f} to {100 * high:.1f} %")
print(f"the honest interval is {wider:.1f} times as wide")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Nine sets of real people

# %% [markdown] slideshow={"slide_type": "notes"}
# Is SPAR an exception? [Chapter 09](09_evidence.ipynb) trains on nine data sets; everybody is left out once. Its
# records say how plain training recognises them, each clip at its own tempo.

# %% [markdown]
# > **Predict.** In how many of the nine does the [worst quarter](glossary.md#worst-quarter) of people lie ten points or more below the mean?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.evidence import contrasts, protocol

rows, far = [], []
for set_name, own in contrasts.read(protocol.REAL, "own tempo").items():
    s = metrics.summarize(list(contrasts.scores(own, "ERM").values()))
    rows.append([set_name, *in_percent(s)])
    far.append(s.mean - s.worst_quarter >= 0.1)
show_table(["unseen people of", *header[1:]], sorted(rows, key=lambda row: row[1]))
print(f"{sum(far)} of {len(rows)} worst quarters lie ten points or more below the mean")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** SPAR is no exception, nor the rule. Five of the nine leave somebody far behind. Pens, paths of a finger
# and UI-PRMD's exercises are nearly solved for strangers, too: little is left there for a clever method to gain. Keep that in mind for every mean over data sets.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Leaks: three splits of the same recordings

# %% [markdown] slideshow={"slide_type": "notes"}
# How do people split data in practice? Often at random, with `KFold` or its relatives. And often the
# pieces are windows that overlap by half. The next figure shows three ways to split SPAR's windows of
# one exercise: each row is a person, each square a window in its order in time. Pale squares are for
# training, hatched ones for testing.

# %% slideshow={"slide_type": "skip"}
from sklearn.model_selection import StratifiedKFold

apart = real
overlapping = apart if data else spar.windows(recordings, time=32, overlap=0.5)
at_random = StratifiedKFold(folds, shuffle=True, random_state=seed)
SPLITS = {
    "random, windows overlap": (overlapping, lambda d: at_random.split(d.x, d.y)),
    "random, windows apart": (apart, lambda d: at_random.split(d.x, d.y)),
    "by person, windows overlap": (overlapping, lambda d: GroupKFold(folds).split(d.x, groups=d.person)),
    "by person, windows apart": (apart, lambda d: GroupKFold(folds).split(d.x, groups=d.person)),
}

# %% tags=["hide-input"]
if data:  # your clips are as they are
    SPLITS = {split: entry for split, entry in SPLITS.items() if "apart" in split}
SHOWN = [split for split in SPLITS if split != "by person, windows overlap"]
fig, axes = plt.subplots(1, len(SHOWN), figsize=(7, 2.7), sharey=True)
for ax, split in zip(axes, SHOWN, strict=True):
    clips, splitter = SPLITS[split]
    test = np.isin(np.arange(len(clips)), next(splitter(clips))[1])
    for row, p in enumerate(clips.people[:10]):
        mine = test[(clips.person == p) & (clips.y == 1)][:12]
        for column, is_test in enumerate(mine):
            style = plots.UNSEEN if is_test else plots.KNOWN | {"alpha": 0.35}
            ax.bar(column, 0.8, 0.85, bottom=row + 0.6, **style)
    ax.set(title=split.replace(", ", "\n"), xlabel="window, in order", xticks=[])
    ax.grid(False)
some = real.people[:10]
axes[0].set(ylabel="person", yticks=np.arange(len(some)) + 1, yticklabels=some)
show(fig, alt="Pale squares are for training, hatched ones for testing. In both random splits the "
     "rows mix both kinds, side by side. In the split by person each row is one kind throughout.")

# %% [markdown] slideshow={"slide_type": "notes"}
# In the two random splits, a test window mostly has training windows of the same person beside it, from
# the same recording. If windows overlap, each half of it is also half of a neighbour: most of its
# samples are *in* the training set.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Same network, same number of steps, same recordings. Order the three splits by the
# > accuracy they report. How many points lie between the first and the last?

# %% slideshow={"slide_type": "skip"}
reported = {}
for split, (clips, splitter) in SPLITS.items():
    verdict = np.zeros(len(clips))
    for train, test in splitter(clips):
        verdict[test] = right(learn(clips.take(train), steps), clips.take(test))
    reported[split] = accuracy_by_person(verdict, clips.person)
means = {split: percent(values) for split, values in reported.items()}
inflation = means[SHOWN[0]] - means[SHOWN[-1]]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 2.6))
for row, (split, value) in enumerate(means.items()):
    ax.barh(-row, value, 0.7, **(plots.UNSEEN if "person" in split else plots.KNOWN | {"alpha": 0.6}))
    ax.text(103, -row, f"{value:.1f} %", va="center")
    ax.plot([100 * v for v in reported[split].values()], [-row] * len(reported[split]), "k|", ms=11)
ax.set_yticks(-np.arange(len(means)), means)
ax.set(xlabel="reported accuracy [%], a tick for each person", xlim=(0, 118))
show(fig, alt="Reported accuracy: " + ", ".join(
    f"{s} {v:.1f} % (worst person {100 * min(reported[s].values()):.0f} %)" for s, v in means.items()))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The two random splits come first. Only the hatched bars answer the question "how well will
# it do on somebody new?" The plain ones answer another question, "how well will it do on the people who
# are in the file?", and are often quoted as if it were the first.
#
# The third bar is a control: overlap makes twice as many training windows. Is what it gains under
# one split also gained under the other?

# %% tags=["hide-input"]
print(f"from the first to the last of the splits: {inflation:.1f} points")
for split in () if data else ("random", "by person"):
    gained = means[f"{split}, windows overlap"] - means[f"{split}, windows apart"]
    print(f"overlap, split {split:<10} {gained:+.1f} points")
print(f"random instead of by person: {means[SHOWN[-2]] - means[SHOWN[-1]]:+.1f} points, windows apart")

# %% [markdown] slideshow={"slide_type": "notes"}
# On these recordings the person is the big leak. What overlap adds is small: a repetition takes one or
# two seconds, so the next window is a near copy even if it shares no sample. For everyday activities
# others measured about 10 points from random folds, and 16 with overlapping windows, while overlap
# brought nothing under a split by person [[3](#references)].
#
# Why does it happen? Look for each window's closest relative: once among the other windows of the same
# person, once among everybody else's. We compare amplitude spectra (chapter 04 explains them), so
# that it does not matter at which moment of a repetition a window begins.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** For how many of ten windows is the closest window of the same person closer than that of
# > anybody else? And which of the two shows the same exercise more often?

# %% slideshow={"slide_type": "skip"}
from scipy.spatial.distance import cdist


def closest(clips):
    spread = clips.x.std((0, 1))
    x = (clips.x - clips.x.mean((0, 1))) / np.where(spread > 0, spread, 1)
    spectrum = np.abs(np.fft.rfft(x, axis=1)).reshape(len(x), -1) / np.sqrt(x[0].size * x.shape[1])
    distance = cdist(spectrum, spectrum)
    np.fill_diagonal(distance, np.inf)
    same = clips.person[:, None] == clips.person
    return [np.where(choice, distance, np.inf) for choice in (same, ~same)]


# %% slideshow={"slide_type": "skip"}
own, foreign = closest(apart)
nearer = 100 * (own.min(1) < foreign.min(1)).mean()
agree = [100 * (apart.y[d.argmin(1)] == apart.y).mean() for d in (own, foreign)]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(4.6, 3.8))
ax.plot(own.min(1), foreign.min(1), ".", ms=3, alpha=0.5)
limit = np.quantile(np.r_[own.min(1), foreign.min(1)], 0.99)
ax.plot([0, limit], [0, limit], ":", color="0.3")
note = f"{nearer:.0f} % lie above the line:\none's own is closer"
ax.text(0.97, 0.05, note, transform=ax.transAxes, ha="right")
ax.set(xlim=(0, limit), ylim=(0, limit), xlabel="to the closest window of the same person [sd]",
       ylabel="to the closest window\nof anybody else [sd]")
show(fig, alt=f"Each dot is a window. {nearer:.0f} % lie above the diagonal: the closest window of the "
     f"same person is nearer than that of anybody else, and shows the same exercise in {agree[0]:.0f} "
     f"% of cases, against {agree[1]:.0f} %.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Under a random split there are always training windows of the same person. To copy the
# label of the closest would already score well, without knowing what the exercises have in common. A
# stranger offers no such relative. Random folds are right when clips are independent, and clips of one
# person are not.

# %% tags=["hide-input"]
for kind, value in zip(("the same person", "anybody else"), agree, strict=True):
    print(f"label of the closest window of {kind:<16} right for {value:.0f} % of windows")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## MA-52's official lists
#
# The benchmark of micro-actions, MA-52 [[2](#references)], comes with official lists for training,
# validation and test. Its file names begin with the person, as in `0003_01_0001.mp4`. The training
# and the validation list **share all 186 people** that can be identified this way. So a result on the
# official validation set is of the kind "people it knows"; the test set's files are anonymous.

# %% [markdown] slideshow={"slide_type": "notes"}
# This is no reproach: the lists were made to compare recognisers, not people. But a claim about
# *person independence* needs another split, which chapter 11 will make. You need not believe us: if
# you have the lists, give their paths as parameters. Without them, the cell shows the count on two
# tiny lists of the same form, written to a temporary folder.

# %% slideshow={"slide_type": "skip"}
from pathlib import Path
from tempfile import TemporaryDirectory

from piumar_lib.data.labels import people_in_list

with TemporaryDirectory() as folder:
    tiny = {
        "train": "0001_01_0001.mp4 9\n0001_02_0001.mp4 5\n0002_01_0001.mp4 9\n0003_01_0001.mp4 2",
        "val": "0001_01_0002.mp4 9\n0003_01_0002.mp4 5",
    }
    given = {"train": train_list, "val": val_list}
    for part, lines in tiny.items():
        if not (train_list and val_list):
            given[part] = Path(folder, f"{part}.txt")
            given[part].write_text(lines)
    in_train, in_val = (people_in_list(given[part]) for part in ("train", "val"))
print("MA-52's lists:" if train_list and val_list else "No lists given; two tiny ones instead:")
shared = set(in_train) & set(in_val)
print(f"{len(in_train)} people in train, {len(in_val)} in val, {len(shared)} in both")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which style factor does the harm?

# %% [markdown] slideshow={"slide_type": "notes"}
# Now the experiment that only synthetic people allow. Switch one factor off, for the people we train
# on and for the strangers alike, and train anew. Whatever the accuracy on strangers gains is what
# this factor had cost. The same seed draws the same people, so nothing else changes.

# %% [markdown]
# > **Predict.** Twelve factors: tempo, onset, asymmetry, amplitude, direction, co-motion, handedness,
# > tremor, sway, bones, posture, habits. Which one costs most? Which cost *nothing*, by construction,
# > because a centred clip holds no trace of them? And what if clips were not centred?

# %% slideshow={"slide_type": "skip"}
def accuracies(off=None, draw=0, centered=True):
    """Percent right on known and on unseen people, for a fresh pair of populations."""
    scale = {off: 0.0} if off else {}
    base = 2000 + 10 * seed + draw  # populations of this section alone
    crowd = synthetic.make_people(40, seed=base, scale=scale)
    strangers = synthetic.make_people(20, seed=base + 5000, scale=scale)
    train = synthetic.make_clips(crowd, clips_each, seed=base, centered=centered)
    more = synthetic.make_clips(crowd, 10, seed=base + 1000, centered=centered)
    test = synthetic.make_clips(strangers, 30, seed=base + 5000, centered=centered, person_offset=1000)
    trained = learn(train, factor_steps, init=draw)
    return np.array([percent(by_person(trained, clips)) for clips in (more, test)])


# %% slideshow={"slide_type": "skip"}
factors = run.pick(quick=("tempo", "amplitude", "direction", "bones"), full=synthetic.FACTORS)
everything = [accuracies(draw=d) for d in range(draws)]
gains = {f: [(accuracies(f, d) - everything[d])[1] for d in range(draws)] for f in factors}
uncentered = [accuracies(None, d, centered=False) for d in range(draws)]
reference = np.mean(everything, axis=0)  # known, unseen
trap = np.mean(uncentered, axis=0) - reference

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
order = sorted(gains, key=lambda f: -np.mean(gains[f]))
mean_gain = {f: float(np.mean(gains[f])) for f in order}
low, high = ([float(edge(gains[f])) for f in order] for edge in (min, max))
fig, ax = plt.subplots(figsize=(6.5, 0.9 + 0.27 * len(order)))
plots.forest(ax, order, list(mean_gain.values()), low, high, reference=0)
ax.set(xlabel="gain on unseen people with this factor off [points]")
ax.set_title(f"mean and range over {draws} populations" if draws > 1 else "one population", loc="left")
show(fig, alt="Gain in points on unseen people when a factor is off: "
     + ", ".join(f"{f} {g:+.1f}" for f, g in mean_gain.items())
     + f"; the reference with all factors on is {reference[1]:.1f} %.")

# %% tags=["hide-input"]
print(f"all factors on: {reference[1]:.1f} % on unseen people")
print(f"costliest factor: {order[0]}, {mean_gain[order[0]]:+.1f} points when off")
total, missing = sum(mean_gain.values()), 100 - reference[1]
print(f"all gains sum to {total:.1f} points; {missing:.1f} are missing to 100 %")
assert mean_gain["bones"] == 0  # exactly: the clips are the same numbers
print(f"not centring: {trap[0]:+.1f} points on known people, {trap[1]:+.1f} on unseen people")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Bones and posture cost exactly nothing: every clip is centred, its mean pose is taken
# away, and with it the body. (`quick` shows one of the two, and one draw; look at the ranges in
# `full` before you believe an order.) Gains do not add up: without one obstacle the next one matters
# more or less. In `full` they sum to more than there is to gain. And switching off habits also changes
# which actions are common in the test.
#
# The last line is the **trap**. Leave the clips *uncentred*, in training and in testing, and accuracy
# breaks down, on strangers most of all. Bodies differ by far more than a [micro-action](glossary.md#micro-action) moves them. A
# network can learn its way around the bodies that it was shown; a new body is off its map. Before any
# clever method, take away what you can take away by subtraction.
#
# The rest cannot be subtracted. Chapters [03](03_temporal_alignment.ipynb) and
# [04](04_spectral_perturbation.ipynb) take up two parts: tempo, and what varies between people at a
# given frequency.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: a split by person
#
# *10 minutes, easy.*
#
# Write `split_people`: given the person of each clip, return a boolean array that says which clips
# are for testing. Nobody may be on both sides. About `share` of the *people* (rounded, at least one)
# are tested, and another `seed` draws other people.

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
# You may record 400 clips to *test* a recogniser: 10 people with 40 clips each, or 40 people with 10
# each. Let people's true accuracies have standard deviation `between`, and let a clip of a person
# with accuracy `a` be right with probability `a`, where `a` averages `mean`. Write the standard error
# of the mean accuracy over `people` people with `clips` clips each. Which of the two ways to spend 400
# clips is better, with `mean` 0.8 and `between` 0.2?

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
#     within = mean * (1 - mean) - between**2  # mean of a (1 - a) over people
#     return np.sqrt((between**2 + within / clips) / people)
# ```
#
# Ten people with 40 clips give 0.066, 40 people with ten clips 0.036. More clips shrink only the second
# term, which is small already with ten clips a person. From there on it takes more people.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- Known people {bars_known[0]:.0f} %, unseen people {bars_unseen[0]:.0f} %: {gap[0]:.0f} points"
      f" (synthetic); {bars_known[1]:.0f} % and {bars_unseen[1]:.0f} % on {name}. Worst quarter of "
      f"unseen synthetic people: {100 * summary['unseen'].worst_quarter:.0f} %.")
print("- Reported accuracy, same network, same recordings: "
      + "; ".join(f"{split} {means[split]:.0f} %" for split in SHOWN)
      + f". Up to {inflation:.0f} points too many. MA-52's official train and val lists share all 186 "
      "people.")
print(f"- Costliest factor: {order[0]} ({mean_gain[order[0]]:+.0f} points when off). Not centring: "
      f"{trap[1]:+.0f} points on unseen people, {trap[0]:+.0f} on known ones.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | inter-person variability degrades recognition | idea figure, person bars | `data.synthetic`, `data.spar` | `test_synthetic.py`, `test_data.py` | synthetic people and SPAR; MA-52 itself in chapter 12 |
# | person independence is the aim | split by person, leaks | `metrics` | `test_metrics.py` | `GroupKFold` over people; mean over people, worst quarter |
# | MA-52 is the benchmark | official lists | `data.labels` | `test_data.py` | we point out that train and val share people |
# | (silent) which differences matter | factor by factor | `data.synthetic.make_people(scale=...)` | `test_synthetic.py` | twelve factors and their sizes are ours |
# | (silent) backbone | tiny CNN, about 16,000 weights | `backbones`, `recognizer`, `training` | `test_training.py` | so that a laptop trains it in seconds |
#
# What the synthetic factors show holds for the generator. How much each of them matters for real
# people nobody has measured on MA-52; the idea figure and the leaks are there on real recordings.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action
#    Recognition via Distributionally Robust Optimization.*
#    [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. D. Guo, K. Li, B. Hu, Y. Zhang, M. Wang. *Benchmarking Micro-action Recognition: Dataset,
#    Methods, and Applications.* [arXiv 2403.05234](https://arxiv.org/abs/2403.05234), 2024.
# 3. A. Dehghani, T. Glatard, E. Shihab. *Subject Cross Validation in Human Activity Recognition.*
#    [arXiv 1904.02666](https://arxiv.org/abs/1904.02666), 2019.
# 4. D. M. Burns et al. *Shoulder physiotherapy exercise recognition: machine learning the inertial
#    signals from a smartwatch.* [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
