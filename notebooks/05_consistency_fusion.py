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
# # 05 · Consistency-driven fusion
#
# Two views of one clip: when may a recogniser trust both of them?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under half a minute |
# | prerequisites | [03 temporal alignment](03_temporal_alignment.ipynb), [04 spectral perturbation](04_spectral_perturbation.ipynb) |
# | you will build | the gate, the fusion, the consistency loss and the regulariser, and from them the module TFAM and its loss |
# | numbers in the text | of the committed run, profile `full`; `quick` differs where it trains |
#
# **You are here:** clip → temporal branch and frequency branch → **fusion** → backbone → **losses**. This chapter completes
# [TFAM](glossary.md#tfam).

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - fuse two views by how well they agree on this clip, and measure on unseen people whether that [gate](glossary.md#gate) is
#   more than a constant,
# - write TFAM and its loss, with a regulariser that gets a chosen fraction of the gradient, and plug it into a backbone,
# - read an ablation: each variant against the default, with intervals over people.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17"; by default SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same, given, plots, show, start

run = start(profile)
data, _ = given(data, people=2)
data_set = data or "spar-repetitions"
epochs, people = run.pick(quick=5, full=10), run.pick(quick=2, full=10)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from piumar_lib import check, metrics
from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.backbones import tiny_cnn
from piumar_lib.batch import Batch
from piumar_lib.evidence import development, folds
from piumar_lib.fusion import AdaptiveFusion, WassersteinRegularizer
from piumar_lib.objective import Objective, js_divergence
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import Recognizer, channel_scale
from piumar_lib.running import RunningMean
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import Settings, clips_at_once, fit

# %% slideshow={"slide_type": "skip"}
train, _, _ = folds.load_fold(data_set, fold=0)
torch.manual_seed(seed)
x = torch.as_tensor(train.x)  # (clips, frames, channels)
x = (x - x.mean((0, 1))) / channel_scale(x)
clips = Batch(x, *map(torch.as_tensor, (train.y, train.person, np.arange(len(x)))))
clips = clips.take(torch.randperm(len(x))[:320])
channels = x.shape[2]
module = TemporalFrequencyModule.make(channels, width=32)
module.frequency.probability = 1.0  # for the figure: perturb each clip
aligned, perturbed = (view.detach() for view in module.views(clips.x, clips.y))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, sharey=True, figsize=(7, 2.8))
views = {"clip": clips.x, "aligned view": aligned, "perturbed view": perturbed}
for ax, (name, view) in zip(axes, views.items(), strict=True):
    for channel, style in zip(range(min(2, channels)), ("C0-", "C1--"), strict=False):
        ax.plot(view[0, :, channel], style, label=f"channel {channel + 1}")
    ax.set_title(name, fontsize=11)
    ax.set_xlabel("frame" if name == "clip" else "canonical step")
axes[0].set_ylabel("signal [sd]")
axes[0].legend(fontsize=9)
show(fig, alt=f"Two channels of one clip, {train.class_names[clips.y[0]]}, of {x.shape[1]} frames, "
     f"and of its two views of {aligned.shape[1]} steps. The aligned view gives more steps to fast "
     "movement; the perturbed view keeps the timing, but its swings and ripples have other sizes.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Chapter 03 resampled a clip to canonical time, chapter 04 perturbed its spectrum; here the perturbed clip is averaged to as
# many steps. What both views show is likely to belong to the action. What only one of them shows may belong to the person.
# Fusion keeps the former, and a loss asks that predictions from both views be consistent.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-05.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The gate: how well do two views agree?

# %% [markdown] slideshow={"slide_type": "notes"}
# Both views pass through the *same* [backbone](glossary.md#backbone) and, averaged over time, become features $a$ and $b$ of
# shape `(batch, width)`. Do they agree? The obvious measure is their cosine, and it fails: post-ReLU features are non-negative,
# so they all point into the same orthant, and every cosine is large. Take two clips with two channels. The views of the first
# are equal, those of the second rank the channels in opposite order:

# %%
a = torch.tensor([[5.0, 4.0], [5.0, 4.0]])
b = torch.tensor([[5.0, 4.0], [4.0, 5.0]])
center = torch.tensor([4.5, 4.5])  # the mean of the features of many clips
print("cosine:         ", F.cosine_similarity(a, b).numpy().round(3))
print("centred cosine: ", F.cosine_similarity(a - center, b - center).numpy().round(3))

# %% [markdown] slideshow={"slide_type": "notes"}
# The cosines are 1 and 0.976; after centring they are 1 and $-1$. So TFAM compares *centred* features, and standardises the
# result. Let $\mu$ be the running mean of the features (an exponential moving average over training batches), and $m$ and $s$
# the running mean and standard deviation of the centred cosine $c$:

# %% [markdown]
# $$ c = \cos(a - \mu, \, b - \mu), \qquad g = \sigma \Bigl( \frac{c - m}{s} + v \Bigr) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The bias $v$ is learned and starts at 0. A clip with $c$ one standard deviation above the mean then has the gate $\sigma(1) =
# 0.73$. No gradient passes through $c$: otherwise the network could open the gate by making any two views similar. A gated
# multimodal unit [[4](#references)] learns its gate from the features; this one has a single parameter, which leaves little to
# overfit to training people. The abstract asks for "consistency-driven" fusion and gives no formula [[1](#references)]; this
# one is ours.

# %% slideshow={"slide_type": "subslide"} tags=["core"]
def gate(a, b, center, mean, sd, bias):
    """Gate of each clip, (batch, 1), from features a and b, (batch, width).

    It is the logistic function of bias plus the cosine of the centred features, standardised by its
    mean and standard deviation. Only the bias gets a gradient. ``center`` has shape (width,).
    """
    cosine = F.cosine_similarity(a - center, b - center).detach()  # (batch,)
    return torch.sigmoid((cosine - mean) / sd + bias)[:, None]

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
def library_gate(a, b, center, mean, sd, bias):
    fusion = AdaptiveFusion(a.shape[1]).to(a).eval()
    fusion.center.mean, fusion.mean.mean, fusion.variance.mean = center, mean, sd**2 - 1e-6
    return torch.sigmoid(fusion.agreement(a, b) + bias)[:, None]

gate = check.gate(gate, otherwise=library_gate)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The fusion: the mean where views agree, the minimum where they do not
#
# $$ f = g \, \frac{a + b}{2} + (1 - g) \min(a, b) $$
#
# A post-ReLU feature says how much of a pattern was found. The element-wise minimum keeps what *both* views found.

# %% tags=["core"]
def fuse(a, b, g):
    """Mix the mean of features a and b, (batch, width), with their minimum in each channel.

    The gate g, (batch, 1), is the weight of the mean.
    """
    return g * (a + b) / 2 + (1 - g) * torch.minimum(a, b)

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
def library_fuse(a, b, g):
    fusion = AdaptiveFusion(a.shape[1])
    fusion.gate = lambda a, b: g
    return fusion(a, b)

fuse = check.fuse(fuse, otherwise=library_fuse)

# %% slideshow={"slide_type": "subslide"}
by_hand = gate(a, b, center, torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.0))
print("gates", by_hand[:, 0].numpy().round(2), "fused", fuse(a, b, by_hand).numpy().round(2).tolist())

# %% [markdown] slideshow={"slide_type": "notes"}
# With $m = 0$, $s = 1$ and $v = 0$ the gates are 0.73 and 0.27. The first clip's views are equal, and so are their mean and
# minimum. In the second both channels become $0.27 \cdot 4.5 + 0.73 \cdot 4 = 4.13$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Consistency as a loss
#
# $$ \mathrm{JS}(p_a, p_b) = \tfrac12 \, \mathrm{KL}(p_a \Vert m) + \tfrac12 \, \mathrm{KL}(p_b \Vert m), \qquad
# m = \tfrac12 (p_a + p_b), \qquad \mathrm{KL}(p \Vert m) = \sum_k p_k \log \frac{p_k}{m_k} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# In training the views' predictions $p_a$ and $p_b$ are asked to agree. Suppose there are two classes, and the views are
# certain of different ones: $p_a = (1, 0)$, $p_b = (0, 1)$. Both differ from their mixture $m = (½, ½)$ by $\log 2$. The
# [Jensen-Shannon](glossary.md#jensen-shannon) divergence [[2](#references)] averages the two
# [Kullback-Leibler](glossary.md#kullback-leibler) divergences to the mixture. It is symmetric, and never above $\log 2$.

# %% tags=["core"]
def consistency(logits_a, logits_b):
    """Batch mean of the Jensen-Shannon divergence, in nats, of predictions with logits (batch, classes).

    Value and gradient stay finite for certain predictions, so work with logarithms of probabilities.
    """
    log_p, log_q = logits_a.log_softmax(1), logits_b.log_softmax(1)
    log_m = torch.logaddexp(log_p, log_q) - np.log(2)  # (batch, classes)
    return sum((one.exp() * (one - log_m)).sum(1).mean() for one in (log_p, log_q)) / 2

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
consistency = check.consistency(consistency, otherwise=js_divergence)

# %% [markdown] slideshow={"slide_type": "notes"}
# Consistency regularisation is common in other settings: AugMix [[5](#references)] minimises the Jensen-Shannon divergence
# between predictions for augmented images, R-Drop [[6](#references)] a symmetric divergence between two passes with different
# dropout. Here the views differ by what differs between people: tempo, and the spectrum.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The Wasserstein regulariser

# %% [markdown] slideshow={"slide_type": "notes"}
# The abstract speaks of *Wasserstein-regularised* alignment. We summarise the features of a clip over time by the mean and the
# standard deviation of each channel, a Gaussian with independent channels, and penalise its distance to the
# [barycentre](glossary.md#barycentre) of its class. The squared 2-[Wasserstein](glossary.md#wasserstein) distance of such
# Gaussians is $\vert m - m' \vert^2 + \vert s - s' \vert^2$, and the barycentre has their average mean and average standard
# deviation [[3](#references)]. With one channel, two clips with means 1 and 3 and standard deviations 1 and 2 have the
# barycentre $(2, 1.5)$, and both are at squared distance $1^2 + 0.5^2 = 1.25$.

# %%
def distance_to_barycenter(frames, y):
    """Mean squared distance of frames (batch, steps, width) to their class's barycentre, over width."""
    summary = torch.cat([frames.mean(1), frames.var(1, correction=0).sqrt()], 1)  # (batch, 2 width)
    same = (y[:, None] == y).to(summary)  # (batch, batch)
    barycenter = (same @ summary / same.sum(1, keepdim=True)).detach()  # of each clip's class
    return (summary - barycenter).square().sum(1).mean() / frames.shape[2]

two_clips = torch.tensor([[[0.0], [2.0]], [[1.0], [5.0]]])  # means 1 and 3, standard deviations 1 and 2
print("squared distance", distance_to_barycenter(two_clips, torch.tensor([0, 0])).item())
frames, labels = torch.randn(6, 10, 4).double(), torch.tensor([0, 0, 1, 1, 1, 2])
assert_same(lambda f: distance_to_barycenter(f, labels),
            lambda f: WassersteinRegularizer(3, 4).double().distance(f, labels), frames)

# %% [markdown] slideshow={"slide_type": "notes"}
# This is the library's first batch. Later its barycentres are exponential moving averages with weight 0.1 for the newest batch,
# so a class with a single clip in a batch has a target, too.
#
# How strong should the penalty $\Omega$ be? The right weight $\lambda$ depends on the scale of the features, which changes in
# training. So it is set by gradients with respect to the features: that of $\lambda \Omega$ gets the fraction $\rho = 0.1$ of
# the size of that of the cross-entropy $C$. VQGAN weights its adversarial loss in the same way [[7](#references)].

# %% [markdown] slideshow={"slide_type": "slide"}
# ## All of TFAM in one loss
#
# $$ L = C(f) + \tfrac12 \bigl( C(a) + C(b) \bigr) + \mathrm{JS}(p_a, p_b) + \lambda \, \Omega(a), \qquad
# \lambda = \rho \, \frac{\Vert \nabla C \Vert}{\Vert \nabla \Omega \Vert} $$
#
# Four terms: the cross-entropy of the fused prediction; that of each view, with weight ½, so that either is useful alone;
# consistency; and the regulariser on the aligned view's features. The ratio of gradients is a moving average, updated in every
# fourth batch, and a constant for backpropagation.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## TFAM, written out
#
# `MonotoneAlignment` is the temporal branch of chapter 03, `SpectralPerturbation` the frequency branch of chapter 04. The
# fusion keeps running statistics for the gate, and the module makes two views of equal length. In evaluation nothing is
# perturbed, and the second view is the clip itself.

# %% slideshow={"slide_type": "subslide"}
class Fusion(nn.Module):
    no_weight_decay = ("bias",)

    def __init__(self, width):
        super().__init__()
        self.bias, self.center = nn.Parameter(torch.zeros(())), RunningMean(width)
        self.mean, self.variance = RunningMean(), RunningMean(start=1.0)

    def gate(self, a, b):
        sd = (self.variance.mean + 1e-6).sqrt()
        return gate(a, b, self.center.mean, self.mean.mean, sd, self.bias)  # (batch, 1)

    def forward(self, a, b):
        if self.training:
            self.center.update((a + b).mean(0) / 2)
            cosine = F.cosine_similarity(a - self.center.mean, b - self.center.mean)  # (batch,)
            self.mean.update(cosine.mean())
            self.variance.update((cosine - self.mean.mean).square().mean())
        return fuse(a, b, self.gate(a, b))  # (batch, width)

# %% slideshow={"slide_type": "subslide"}
class TFAM(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.temporal, self.frequency = MonotoneAlignment(), SpectralPerturbation(channels)
        self.fusion = Fusion(width)

    def views(self, x, y=None):
        aligned = self.temporal(x, y)  # (batch, 16, channels)
        perturbed = F.adaptive_avg_pool1d(self.frequency(x, y).mT, aligned.shape[1]).mT
        return [aligned, perturbed]

# %% slideshow={"slide_type": "subslide"}
class TFAMLoss(Objective):
    def start(self, model, clips, trainer=None):
        head = model.head
        self.regularizer = WassersteinRegularizer(head.out_features, head.in_features).to(clips.y.device)

    def loss(self, model, batch):
        p = model(batch.x, batch.y)
        fused, *views = (F.cross_entropy(logits, batch.y) for logits in (p.logits, *p.view_logits))
        entropy = fused + sum(views) / 2
        pull = self.regularizer(entropy, p.frames[0], batch.y)  # lambda times distance_to_barycenter
        return entropy + consistency(*p.view_logits) + pull

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Plug it in
#
# `Recognizer(backbone, width, classes, plug_in, at)` puts a [plug-in](glossary.md#plug-in) in front of a layer of the backbone:
# `at="input"`, or `at="features"` behind the first layer. All layers behind it see two views of 16 steps instead of one clip of
# 32 frames, which costs about the same; [chapter 10](10_costs.ipynb) counts FLOPs and kernel launches.
#
# We make five training steps with our module and loss, and five with the library's, from equal weights and random draws.

# %% slideshow={"slide_type": "subslide"}
def train_steps(plug_in, objective):
    torch.manual_seed(seed)
    model = Recognizer(tiny_cnn(channels), 32, train.classes, plug_in, at="input").train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    objective.start(model, clips)
    for rows in torch.arange(len(clips.y)).tensor_split(5):
        optimizer.zero_grad()
        loss = objective.loss(model, clips.take(rows))
        loss.backward()
        optimizer.step()
    return loss, [p.grad for p in model.parameters()]

ours = train_steps(TFAM(channels, 32), TFAMLoss())
torch.testing.assert_close(ours, train_steps(TemporalFrequencyModule.make(channels, 32), TwoViews()))
print(f"fifth step: equal loss {ours[0]:.3f}, equal gradients of all {len(ours[1])} parameters")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Does the gate know when the recogniser is wrong?
#
# Each SPAR person is held out in turn (leave-one-person-out). We train TFAM as written above on the others, at one length of
# clips, and sort the unseen person's clips by their gate.

# %% [markdown]
# > **Predict.** Is the quarter of the clips with the lowest gates recognised less often than the quarter with the highest? And
# > how much do the gates vary between clips: is their standard deviation closer to 0.01 or to 0.1?

# %% slideshow={"slide_type": "skip"}
left_out, weights = [], []  # (model, unseen clips); lambda at the end of training
for fold in list(folds.folds(data_set))[:people]:
    known, unseen, _ = folds.load_fold(data_set, fold)
    torch.manual_seed(seed)
    model = Recognizer(tiny_cnn(channels), 32, known.classes, TFAM(channels, 32))
    objective = TFAMLoss()
    fit(model, known, Settings(epochs=epochs, seed=seed), objective, run.device)
    left_out.append((model.cpu().eval(), unseen))
    weights.append(0.1 * objective.regularizer.ratio.mean.item())

# %% slideshow={"slide_type": "skip"}
@torch.no_grad()
def look(model, unseen):
    """Gate of each clip, gate of the plain cosine, and whether the clip is recognised: (3, clips)."""
    found = []
    for part in torch.arange(len(unseen)).split(clips_at_once(unseen.x.shape[1])):
        p = model(torch.as_tensor(unseen.x[part]))
        a, b = (frames.mean(1) for frames in p.frames)
        is_right = p.logits.argmax(1) == torch.as_tensor(unseen.y[part])
        gates = model.plug_in.fusion.gate(a, b)[:, 0], F.cosine_similarity(a, b).sigmoid()
        found.append(torch.stack([*gates, is_right]))
    return torch.cat(found, 1).numpy()


looks, quarters = [look(*pair) for pair in left_out], []  # accuracy of each person's quarters
for (gates, _, is_right), (_, unseen) in zip(looks, left_out, strict=True):
    for rows in (np.flatnonzero(unseen.person == person) for person in unseen.people):
        if len(rows) >= 4:
            parts = np.array_split(is_right[rows][gates[rows].argsort()], 4)
            quarters.append([100 * part.mean() for part in parts])
quarters = np.array(quarters).reshape(-1, 4)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
adaptive, plain, _ = np.concatenate(looks, 1)
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9))
for gates, style, name in ((adaptive, "C0-", "TFAM"), (plain, "C4--", "plain cosine")):
    left.ecdf(gates, color=style[:2], linestyle=style[2:], label=name, linewidth=2)
left.set(xlabel="gate", ylabel="fraction of clips below", xlim=(0, 1))
left.legend(loc="upper left")
bars = right.bar(["lowest", "", " ", "highest"], quarters.mean(0), **plots.UNSEEN)
right.bar_label(bars, fmt="%.0f")
right.set(xlabel="quarters of a person's clips, by gate", ylabel="accuracy [%]", ylim=(0, 112))
show(fig, alt=f"Left: distribution of the gate over clips of unseen people; its standard deviation is "
     f"{adaptive.std():.2f}, with the plain cosine {plain.std():.3f}. Right: accuracy in quarters of "
     f"rising gate, mean over {len(quarters)} people: "
     + ", ".join(f"{quarter:.0f} %" for quarter in quarters.mean(0)) + ".")
if len(quarters) > 1:
    c = metrics.compare(quarters[:, 3], quarters[:, 0])
    print(f"highest over lowest quarter: {c.difference:+.1f} points [{c.low:+.1f}, {c.high:+.1f}]")
print(f"weight of the regulariser at the end of training: {min(weights):.2g} to {max(weights):.2g}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.**

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The evidence: a log of attempts
#
# What was tried while the defaults were chosen is recorded in a [log of attempts](glossary.md#log-of-attempts), all of it on
# development people: twenty real people of two data sets and the ten of [SPAR](glossary.md#spar), at their own tempo, and a
# hundred synthetic ones. Every training has 20 epochs and data augmentation. Below, each row changes one thing of TFAM: the
# place of the plug-in in the backbone, or one of the parts that this chapter derived.

# %% [markdown]
# > **Predict.** A plain mean takes the place of the gate, and $f = (a + b) / 2$. How many points does that cost?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
POOLS = {"real, own tempo": "MSR, UTKinect", "SPAR, own tempo": "SPAR", "synthetic": "synthetic"}
ROWS = ["behind the first block", "in front of the last block", "behind all blocks",
        "mean instead of the gate", "minimum instead of the gate", "no consistency", "no regulariser"]
log, over, words = development.read_log(), {}, []
default = {line["data"]: line["people"] for line in log["TFAM, defaults"]}
for attempt in ROWS:  # over TFAM's defaults, on the same people
    over[attempt] = [line | {"people": {p: (own[0], default[line["data"]][p][0])
                                        for p, own in line["people"].items()}} for line in log[attempt]]
fig, axes = plt.subplots(1, 3, figsize=(7, 3.4), sharey=True, sharex=True)
for ax, (pool, name) in zip(axes, POOLS.items(), strict=True):
    found = {attempt: development.outcome(lines, pool) for attempt, lines in over.items()}
    title = f"{name} ({found[ROWS[0]].people})"
    words.append(f"{title}: {plots.effects(ax, found)}")
    ax.set_title(title, fontsize=11)
    ax.set_xlabel("")
fig.supxlabel("variant over TFAM's default, same unseen people [points]", fontsize=10)
show(fig, alt="Accuracy of variants of TFAM over its default in points, by data set and number of "
     f"people. {'. '.join(words)}.")
for pool, name in POOLS.items():
    gain, clock = (development.in_points(development.outcome(log["TFAM, defaults"], pool, role))
                   for role in ("against", "control"))
    print(f"{name}: TFAM over augmentation {gain}, over its control {clock}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.**

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: which bias keeps how much?
#
# *10 minutes, easy.*
#
# Write `bias_for(kept)`: the bias $v$ with which, where two views agree as well as views usually do, the fused feature keeps
# the fraction `kept` (between 0 and 0.5) of what only one view found.

# %% tags=["exercise"]
def bias_for(kept):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.bias_for(bias_for)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def bias_for(kept):
#     return np.log(2 * kept / (1 - 2 * kept))
# ```
#
# At the usual agreement $c = m$, so $g = \sigma(v)$. The minimum is 0 there and the mean a half, so $g / 2$ is kept. No bias is
# large enough to keep more than a half.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: the weight of a regulariser
#
# *15 minutes, medium.*
#
# Write `regularizer_weight(entropy, distance, frames, fraction)`: the $\lambda$ with which the gradient of `distance` with
# respect to `frames` has the given fraction of the size of that of `entropy`. Both are scalars that depend on `frames`;
# training will still have to go backward through them.

# %% tags=["exercise"]
def regularizer_weight(entropy, distance, frames, fraction):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.regularizer_weight(regularizer_weight)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def regularizer_weight(entropy, distance, frames, fraction):
#     terms = (entropy, distance)
#     gradients = [torch.autograd.grad(t, frames, retain_graph=True)[0] for t in terms]
#     return fraction * gradients[0].norm() / gradients[1].norm()
# ```
#
# `torch.autograd.grad` computes the gradient at the features alone, which costs the short way back through the head, and
# `retain_graph=True` keeps the graph for the training step.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - TODO

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | "adaptively fused" | the gate, the fusion | `fusion.AdaptiveFusion` | `test_fusion.py` | standardised cosine of centred features; mean and minimum; its worth is in the log |
# | "consistency-driven" | the gate; consistency as a loss | `objective.js_divergence`, `temporal_frequency.TwoViews` | `test_temporal_frequency.py` | Jensen-Shannon with weight 1; no gradient through the gate's agreement |
# | Wasserstein-regularised alignment | the Wasserstein regulariser | `fusion.WassersteinRegularizer` | `test_fusion.py` | diagonal Gaussians, moving barycentre of the class, a tenth of the cross-entropy's gradient |
# | "at feature level", plug-in module | TFAM written out, plug it in | `temporal_frequency.TemporalFrequencyModule`, `recognizer.Recognizer` | `test_temporal_frequency.py` | in front of the backbone, or behind its first layer |
# | better on unseen people | the log of attempts | `development.outcome` | `test_development.py` | development people; chapter 09 judges on all |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. J. Lin. *Divergence measures based on the Shannon entropy.* IEEE Transactions on Information Theory 37(1), 1991.
# 3. G. Peyré, M. Cuturi. *Computational Optimal Transport.* [arXiv 1803.00567](https://arxiv.org/abs/1803.00567), 2019. Section 2.6: Gaussians and their barycentres.
# 4. J. Arevalo et al. *Gated Multimodal Units for Information Fusion.* [arXiv 1702.01992](https://arxiv.org/abs/1702.01992), 2017.
# 5. D. Hendrycks et al. *AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty.* [arXiv 1912.02781](https://arxiv.org/abs/1912.02781), ICLR 2020.
# 6. X. Liang et al. *R-Drop: Regularized Dropout for Neural Networks.* [arXiv 2106.14448](https://arxiv.org/abs/2106.14448), NeurIPS 2021.
# 7. P. Esser, R. Rombach, B. Ommer. *Taming Transformers for High-Resolution Image Synthesis.* [arXiv 2012.09841](https://arxiv.org/abs/2012.09841), CVPR 2021. VQGAN.
