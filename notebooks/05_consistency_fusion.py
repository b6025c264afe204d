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
# | time in `quick` | under a minute |
# | prerequisites | [03 temporal alignment](03_temporal_alignment.ipynb), [04 spectral perturbation](04_spectral_perturbation.ipynb) |
# | you will build | the gate, the fusion, the consistency loss, the regulariser; with them TFAM is complete |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - fuse two views by how well they agree on this clip, and measure whether the [gate](glossary.md#gate) is more than a constant,
# - pull features of a class together with a chosen share of the gradient,
# - plug [TFAM](glossary.md#tfam) into a recogniser, at the input or on features, and count what that makes run,
# - read a log of attempts: the gain over what was to be beaten, and over a control.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17"; by default SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, start

run = start(profile)
data, _ = given(data, people=2)
data_set = data or "spar-repetitions"
epochs = run.pick(quick=5, full=20)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Chapter 03 gave a view of a clip on a common clock, chapter 04 a view with a perturbed spectrum, which is
# averaged here to as many steps. What both views show is more likely to belong to the action. What only one
# shows may belong to the person. Below: one clip, and its two views.

# %% slideshow={"slide_type": "skip"}
import torch

from piumar_lib.evidence.folds import load_fold
from piumar_lib.recognizer import channel_scale
from piumar_lib.temporal_frequency import TemporalFrequencyModule

train, unseen, kind = load_fold(data_set, fold=0)
print(f"{train.name}: {len(train)} clips of {len(train.people)} people to learn from,")
print(f"{len(unseen)} clips of person(s) {unseen.people.tolist()} to be judged on")

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
x = torch.as_tensor(train.x)
x = (x - x.mean((0, 1))) / channel_scale(x)
y = torch.as_tensor(train.y)
batch = torch.randperm(len(x))[:64]
channels = x.shape[-1]
module = TemporalFrequencyModule.make(channels, width=32)
module.frequency.probability = 1.0  # for the figure: perturb each clip
aligned, perturbed = (view.detach() for view in module.views(x[batch], y[batch]))

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, sharey=True, figsize=(7, 2.8))
name = f"clip: {train.class_names[y[batch[0]]]}"
views = {name: x[batch], "aligned view": aligned, "perturbed view": perturbed}
for ax, (name, view) in zip(axes, views.items(), strict=True):
    for channel, style in zip(range(min(3, channels)), ("-", "--", ":"), strict=False):
        ax.plot(view[0, :, channel], style, label=f"channel {channel + 1}")
    ax.set_title(name, fontsize=11)
    ax.set(xlabel="frame" if name.startswith("clip") else "canonical step")
axes[0].set_ylabel("signal [standard deviations]")
axes[0].legend(fontsize=8)
show(fig, alt=f"Three channels of one clip of {x.shape[1]} frames, and the same channels in its two "
     f"views of {aligned.shape[1]} steps. The aligned view gives more steps to fast movement; the "
     "perturbed view keeps the timing, but its swings and ripples have other sizes.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-05.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The gate: how well do two views agree?

# %% [markdown] slideshow={"slide_type": "notes"}
# Both views pass through the *same* remaining layers and arrive, averaged over time, as features $a$ and
# $b$ of shape `(batch, width)`. Do they agree? The obvious measure is their cosine, and it fails: post-ReLU
# features are non-negative, so averages of them all point into the same corner. By hand, with two channels:

# %%
import torch.nn.functional as F

a = torch.tensor([[5.0, 4.0], [5.0, 4.0]])
b = torch.tensor([[5.0, 4.0], [4.0, 5.0]])  # the first clip's views agree, the second one's are opposite
center = torch.tensor([4.5, 4.5])  # of the features of many clips
print("cosine of the features:      ", F.cosine_similarity(a, b).numpy().round(3))
print("cosine about their mean:     ", F.cosine_similarity(a - center, b - center).numpy().round(3))

# %% [markdown] slideshow={"slide_type": "notes"}
# So TFAM compares *centred* features, and standardises what it finds. With $\mu$ the running mean of the
# features, $m$ and $s$ the running mean and deviation of the cosine $c$, all of them over training batches:

# %% [markdown]
# $$ c = \cos(a - \mu, b - \mu), \qquad g = \sigma \left( w \, \frac{c - m}{s} + v \right) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The bias $v$ is learnt, from 0; the weight $w$ is 1: a clip whose views agree one standard deviation better
# than usual has the gate $\sigma(1 + v)$, at first 0.73. A learnt $w$ falls in training, as nothing rewards doubt
# about people whom the network soon recognises without fail, and then the gate is a constant again. No gradient
# passes through $c$: views should agree because they see the same, not because trust pays. The abstract asks for
# "consistency-driven" fusion and gives no formula; this one is ours.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The fusion: the mean where views agree, the minimum where they do not
#
# $$ f = g \, \frac{a + b}{2} + (1 - g) \min(a, b) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# A post-ReLU feature says how much of something was seen. The element-wise minimum keeps what *both*
# views have seen. In code, and against the library, with statistics as after some training:

# %%
def fuse(a, b, center, mean, sd, weight, bias):
    cosine = F.cosine_similarity(a - center, b - center).detach()
    g = torch.sigmoid(weight * (cosine - mean) / sd + bias)[:, None]
    return g * (a + b) / 2 + (1 - g) * torch.minimum(a, b)


# %% slideshow={"slide_type": "subslide"}
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.notebook import assert_same

fusion = AdaptiveFusion(8).double().eval()
fusion.center.mean.fill_(0.5)
fusion.mean.mean.fill_(0.2)
fusion.variance.mean.fill_(0.3**2 - 1e-6)  # the library adds a millionth, in case all cosines are equal


def library(a, b, weight, bias):
    return torch.func.functional_call(fusion, {"weight": weight, "bias": bias}, (a, b))


a, b = torch.rand(2, 5, 8, dtype=torch.double)
assert_same(lambda a, b, w, v: fuse(a, b, 0.5, 0.2, 0.3, w, v), library, a, b,
            torch.tensor(3.0).double(), torch.tensor(-1.0).double())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Effect of the gate's weight (interactive)

# %% [markdown] slideshow={"slide_type": "notes"}
# Take a channel that one view alone has seen, with value 1. The weight decides how fast it is given up as
# the views agree less.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
import numpy as np

from piumar_lib.notebook import fixed_figure


def draw(weight=1.0):
    z = torch.linspace(-3, 3, 61)
    fig, ax = fixed_figure(7, 2.4)
    ax.axhline(0.5, linestyle=":", color="C2", label="plain mean")
    ax.plot(z, torch.sigmoid(weight * z) / 2, color="C0", label=f"fused, $w$ = {weight:g}, $v$ = 0")
    ax.axhline(0, color="C4", linestyle="--", label="minimum")
    ax.set(xlabel="agreement of this clip's views [standard deviations]", ylabel="what is kept")
    ax.set_ylim(-0.05, 0.65)
    ax.legend(loc="upper left", ncols=3)
    least, most = (float(torch.sigmoid(torch.tensor(weight * end))) / 2 for end in (-3, 3))
    show(fig, alt=f"What is kept of a feature that one view alone has seen, at weight {weight:g}: from "
         f"{least:.2f} where views agree three deviations less than usual to {most:.2f} where they "
         "agree three more; a plain mean keeps 0.5, the minimum nothing.")


# %% tags=["hide-input"]
draw(weight=1.0)

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import interact

interact(draw, weight=(0.0, 8.0, 0.5));

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Consistency as a loss

# %% [markdown] slideshow={"slide_type": "notes"}
# In training the views' predictions $p_a$ and $p_b$ are asked to agree. The [Jensen-Shannon](glossary.md#jensen-shannon) divergence
# measures how far two distributions are from their mixture $m$; it is symmetric, and never above $\log 2$:

# %% [markdown]
# $$ \mathrm{JS} = \frac{1}{2} \mathrm{KL}(p_a, m) + \frac{1}{2} \mathrm{KL}(p_b, m), \qquad
# m = \frac{p_a + p_b}{2}, \qquad \mathrm{KL}(p, m) = \sum_k p_k \log \frac{p_k}{m_k} $$

# %%
def js(logits_a, logits_b):
    p, q = logits_a.softmax(-1), logits_b.softmax(-1)
    m = (p + q) / 2
    return ((p * (p / m).log() + q * (q / m).log()).sum(-1) / 2).mean()


# %%
from piumar_lib.objective import js_divergence

logits = torch.randn(2, 4, 6, dtype=torch.double)
assert_same(js, js_divergence, *logits)
print(f"JS = {js(*logits):.4f}, below log 2 = {np.log(2):.4f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The Wasserstein regulariser

# %% [markdown] slideshow={"slide_type": "notes"}
# "Wasserstein-regularised" in the abstract becomes this: summarise a clip's frames by mean and deviation of
# each channel, a Gaussian with independent channels, and pull it to the [barycentre](glossary.md#barycentre) of its class. The squared
# 2-Wasserstein distance of such Gaussians is $|m - m'|^2 + |s - s'|^2$, and their barycentre has the average
# mean and the average deviation. By hand, one channel: two clips with means 1 and 3, deviations 1 and 2 have
# the barycentre (2, 1.5), and both are $1^2 + 0.5^2 = 1.25$ away from it.

# %%
def omega(frames, y, classes):
    """Mean squared distance of frames (batch, steps, width) to their class's barycentre."""
    law = torch.cat([frames.mean(1), frames.var(1, correction=0).sqrt()], 1)  # (batch, 2 width)
    same = F.one_hot(y, classes).to(law)  # (batch, classes)
    barycenter = (same.T @ law / same.sum(0)[:, None].clamp_min(1)).detach()
    return (law - barycenter[y]).square().sum(1).mean() / frames.shape[2]


# %% slideshow={"slide_type": "subslide"}
from piumar_lib.fusion import WassersteinRegularizer

by_hand = torch.tensor([[[0.0], [2.0]], [[1.0], [5.0]]])  # means 1 and 3, deviations 1 and 2
print("by hand:", omega(by_hand, torch.tensor([0, 0]), 1).item())
frames, labels = torch.randn(6, 10, 4), torch.tensor([0, 0, 1, 1, 1, 2])
assert_same(lambda f: omega(f, labels, 3),
            lambda f: WassersteinRegularizer(3, 4).distance(f, labels), frames)

# %% [markdown] slideshow={"slide_type": "notes"}
# That is the first batch. Then each barycentre is a running one and moves a tenth of the way with each batch,
# so a class with a single clip in a batch is pulled, too.
#
# How strongly? A fixed weight is nothing for one network and everything for another. So the weight is set by
# gradients with respect to the features: $\Omega$ may have the share $\rho$ of the cross-entropy's $C$.

# %% [markdown]
# $$ \lambda = \rho \, \frac{|\nabla C|}{|\nabla \Omega|}, \qquad \rho = 0.1 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The ratio is a running mean, renewed in every fourth batch, and a constant for back-propagation.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## All of TFAM in one loss

# %% [markdown] slideshow={"slide_type": "notes"}
# The fused decision is trained, each view's own decision as well (weight 1/2), the views' predictions are
# asked to agree, and the aligned view's features are pulled to their class's barycentre:

# %% [markdown]
# $$ L = C(f) + \frac{1}{2} ( C(a) + C(b) ) + \mathrm{JS}(a, b) + \lambda \Omega $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The library's name for it is `TwoViews`. Written out, with a list to watch how hard $\lambda \Omega$ pulls
# on the backbone's weights, beside what the [first version](glossary.md#first-version) had, $\Omega$ with a constant weight of 0.01:

# %% slideshow={"slide_type": "skip"}
from torch import nn

from piumar_lib.backbones import tiny_cnn
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TwoViews
from piumar_lib.transport import frame_law_spread


def size(term, model):
    """Of a term's gradient in the backbone's weights."""
    weights = [*model.backbone.parameters()]
    return nn.utils.get_total_norm(torch.autograd.grad(term, weights, retain_graph=True))


class Watched(TwoViews):
    def loss(self, model, batch):
        p = model(batch.x, batch.y)
        entropy, *views = (F.cross_entropy(logits, batch.y) for logits in (p.logits, *p.view_logits))
        entropy = entropy + sum(views) / 2
        pull = self.regularizer(entropy, p.frames[0], batch.y)
        if self.regularizer.calls % 5 == 0:
            both = pull, 0.01 * frame_law_spread(p.frames[0], batch.y)
            pulls.append([100 * float(size(term, model) / size(entropy, model)) for term in both])
        return entropy + js(*p.view_logits) + pull


# %% slideshow={"slide_type": "skip"}
from piumar_lib.batch import Batch

some = Batch(torch.randn(64, 32, 34), *(torch.arange(64) % n for n in (12, 12, 64)))
losses, pulls = [], []
for kind_of_loss in (Watched, TwoViews):
    torch.manual_seed(seed)
    model = Recognizer(tiny_cnn(34), 32, 12, TemporalFrequencyModule.make(34, 32))
    objective = kind_of_loss()
    objective.start(model, some)
    losses.append(objective.loss(model, some))
torch.testing.assert_close(*losses)

# %% [markdown] slideshow={"slide_type": "notes"}
# And the module around it: two branches, whose views are equally long, in front of the layers that both share.

# %%
from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.perturbation import SpectralPerturbation


def two_views(x, y, temporal, frequency):
    aligned, perturbed = temporal(x, y), frequency(x, y)
    return torch.stack([aligned, perturbed.unflatten(1, (aligned.shape[1], -1)).mean(2)])


assert_same(lambda x: two_views(x, some.y, MonotoneAlignment(steps=16), SpectralPerturbation(34)),
            lambda x: torch.stack(TemporalFrequencyModule.make(34, 32).views(x, some.y)), some.x)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Plug it in

# %% [markdown] slideshow={"slide_type": "notes"}
# `Recognizer` takes a backbone and, if you like, a plug-in. `at` is the layer in front of which the plug-in sits:
# `"input"` is in front of all, `"features"` behind the first one, numbers stand for any. Not behind the last
# layer: only an average over time follows there, and the perturbation keeps each clip's mean.

# %% [markdown]
# > **Predict.** Behind the plug-in all layers see two views of 16 steps instead of one clip of 32 frames. How
# > many more operations does a recogniser take with TFAM at the input, and how many on features? How much more
# > *time* does a training step take?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.plug_in_cost import plug_in_cost
from piumar_lib.notebook import costs
from piumar_lib.objective import Objective
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch

plug_ins = {"none": (None, 0)}
plug_ins["first version, input"] = TFAM(TemporalBranch(), FrequencyBranch()), "input"
for place, wide in (("input", 34), ("features", 32), (2, 32)):
    plug_ins[f"TFAM, {place}"] = TemporalFrequencyModule.make(wide, 32), place


# %% slideshow={"slide_type": "skip"}
def recognizer(plug_in, at, width=32):
    """A model, and a step of its training up to the gradient."""
    model = Recognizer(tiny_cnn(34, width), width, 12, plug_in, at)
    objective = TwoViews() if isinstance(plug_in, TemporalFrequencyModule) else Objective()
    objective.start(model, some, None)

    def step():
        model.train().zero_grad()
        objective.loss(model, some).backward()

    step()  # the regulariser compares gradients in the first of every four
    return model, step


# %% slideshow={"slide_type": "skip"}
models = {name: recognizer(*plug_in) for name, plug_in in plug_ins.items()}
work = {name: costs.count_work(step) for name, (_, step) in models.items()}
with torch.no_grad():
    alone = {name: costs.count_work(lambda m=m: m.eval()(some.x)) for name, (m, _) in models.items()}
seconds = costs.seconds_each({name: step for name, (_, step) in models.items()}, rounds=3)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.notebook import show_table

ratios = {name: (alone[name].flops / alone["none"].flops, work[name].flops / work["none"].flops,
                 seconds[name] / seconds["none"]) for name in plug_ins}
show_table(["plug-in, place", "parameters", "FLOPs, inference", "FLOPs, training", "time, training",
            "operations, training"],
           [[name, costs.count_parameters(models[name][0]), *(f"{r:.2f}" for r in ratios[name]),
             str(work[name].operations)] for name in plug_ins])

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** FLOPs and time are in units of the recogniser without a plug-in. The first version kept all
# 32 frames, so at the input everything ran twice. Two views of 16 steps make the layers behind run no more than
# once. (In training at the input there is a little more: the clock's floor is learnt, so the gradient has to go
# back through the first layer, too.) What TFAM itself starts are hundreds of small operations, and a small
# network waits for them: FLOPs are not time. The goal was a step of at most 1.15 times [ERM](glossary.md#erm)'s on features.

# %% slideshow={"slide_type": "subslide"}
for width in (32, 64, 128):
    steps = {n: recognizer(p, "features", width)[1] for n, p in
             (("ERM", None), ("TFAM", TemporalFrequencyModule.make(width, width)))}
    taken = costs.seconds_each(steps, rounds=3)
    slower = taken["TFAM"] / taken["ERM"]
    print(f"on features, width {width}: {slower:.2f} times ERM's step, goal "
          f"{'met' if slower <= 1.15 else 'missed'}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Behind a video backbone the features are few. What does TFAM make run there, counted with its share of all
# that comes after the backbone and now runs twice? And [GIRL](glossary.md#girl) (chapter 07) on top?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
video, rows = {name: plug_in_cost(name) for name in ("videomae-base", "resnet50-tsm")}, []
for name, found in video.items():
    for label, w in found.items():
        for method in ("TFAM", "TFAM and GIRL"):
            flops, started = (100 * (one / erm - 1) for one, erm in
                              zip(w[method], w["ERM"], strict=True))
            rows.append([f"{name}, {label}", method, f"{flops:.4f} %", f"{started:.0f} %"])
show_table(["behind", "method", "FLOPs added", "operations added"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The goal was at most 3 % of a training step of VideoMAE-base in FLOPs *and* in operations
# started. FLOPs: met, by far. Operations: missed, by far. Each of them is tiny, and a device that is busy with
# the backbone may hide them; [chapter 10](10_costs.ipynb) has what was timed.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Predict, run, compare

# %% [markdown] slideshow={"slide_type": "notes"}
# Is the gate more than a constant on people who were left out, and does it know when it is right? We leave
# out some people in turn, train TFAM with the loss written out above, and watch its pull.

# %% [markdown]
# > **Predict.** How large is the regulariser's gradient, in percent of the cross-entropy's, with $\rho$ = 0.1?
# > And with the constant weight 0.01?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.evidence import folds, methods
from piumar_lib.training import clips_at_once, fit

left_out, name = [], "TFAM"  # as the registry of methods calls it
for fold in list(folds.folds(data_set))[: run.pick(quick=2, full=10)]:
    pulls, (known, stranger, kind) = [], load_fold(data_set, fold)
    k = methods.resolve(name, {"epochs": epochs})
    model = methods.build(name, known.x.shape[-1], known.classes, k, seed)
    fit(model, known, methods.settings(name, k, kind, seed), Watched(), run.device)
    left_out.append((model.eval(), stranger))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ours, first = np.array(pulls).T
step = 5 * np.arange(1, len(ours) + 1)
fig, ax = plt.subplots(figsize=(7, 2.6))
ax.axhspan(5, 20, color="0.9", label="5 to 20 %")
ax.plot(step, ours, "-", color="C0", label="$\\lambda\\Omega$, share 0.1")
ax.plot(step, first, "--", color="C4", label="first version, weight 0.01")
ax.set(xlabel="training step", ylabel="gradient [% of $C$'s]", yscale="log")
ax.legend(ncols=3, loc="center", fontsize=8)
inside = 100 * np.mean((ours >= 5) & (ours <= 20))
show(fig, alt=f"The regulariser's gradient over training, in percent of the cross-entropy's: median "
     f"{np.median(ours):.0f} %, {inside:.0f} % of the steps between 5 and 20 %; with a constant weight "
     f"of 0.01 the median is {np.median(first):.2f} %.")

# %% tags=["hide-input"]
print(f"pull on the backbone's weights, median over training: {np.median(ours):.1f} % of the "
      f"cross-entropy's; with the first version's weight {np.median(first):.2f} %")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The share is set at the features and arrives at the weights in about that size. The constant
# weight did next to nothing.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Sort the clips of each person left out by how well their views agree. Are those that agree
# > least recognised less often than those that agree most? (In evaluation nothing is perturbed: the aligned
# > clip is compared with the clip itself.) And how far does the gate spread over them?

# %% slideshow={"slide_type": "skip"}
@torch.no_grad()
def look(model, stranger):
    """Of each clip: standardised agreement, gate, that of the plain cosine, right or not."""
    found, fusion = [], model.to("cpu").plug_in.fusion
    for part in torch.arange(len(stranger)).split(clips_at_once(stranger.x.shape[1])):
        p = model(torch.as_tensor(stranger.x[part]))
        a, b = (frames.mean(1) for frames in p.frames)
        right = p.logits.argmax(1) == torch.as_tensor(stranger.y[part])
        found.append(torch.stack([fusion.agreement(a, b), fusion.gate(a, b)[:, 0],
                                  F.cosine_similarity(a, b).sigmoid(), right]))
    return torch.cat(found, 1).numpy()


looks = [look(*pair) for pair in left_out]
agreement, gate, plain, _ = np.concatenate(looks, 1)
bias = np.mean([model.plug_in.fusion.bias.item() for model, _ in left_out])

# %% slideshow={"slide_type": "skip"}
by_person = []
for found, (_, stranger) in zip(looks, left_out, strict=True):
    for person in stranger.people:
        agree, _, _, is_right = found[:, stranger.person == person]
        quarters = np.array_split(is_right[agree.argsort()], 4)  # from the least agreement to the most
        by_person.append([quarter.mean() for quarter in quarters if len(quarter)])
by_person = np.array([shares for shares in by_person if len(shares) == 4]).reshape(-1, 4)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib import metrics
from piumar_lib.evidence.tables import paired
from piumar_lib.evidence.wording import points
from piumar_lib.notebook import plots

bars = 100 * by_person.mean(0) if len(by_person) else np.full(4, np.nan)
gates = {f"TFAM's, learnt $v$ = {bias:.2f}": gate, "plain cosine's": plain}
fig, (left, middle) = plt.subplots(1, 2, figsize=(7, 2.8))
for (label, trust), style in zip(gates.items(), ("-", "--"), strict=True):
    left.ecdf(trust, label=label, linestyle=style)
left.set(xlabel="gate", ylabel="share of clips below", xlim=(0, 1))
left.legend(loc="upper left", fontsize=8)
middle.bar(["least", "", " ", "most"], bars, **plots.UNSEEN)
middle.set(xlabel="quarters of a person's clips, by agreement", ylabel="recognised [%]", ylim=(0, 105))
show(fig, alt="Left: distribution of the gate over clips of people left out; its deviation is "
     f"{gate.std():.2f}, with the plain cosine {plain.std():.3f}. Right: share recognised in quarters "
     f"of rising agreement, mean over {len(by_person)} people: "
     + ", ".join(f"{bar:.0f} %" for bar in bars) + ".")

# %% tags=["hide-input"]
print(f"deviation of the gate: {gate.std():.2f}, with the plain cosine {plain.std():.3f}")
if len(by_person) > 1:
    c = metrics.compare(by_person[:, 3], by_person[:, 0])
    print(f"most agreement over least: {points(c)} points, {len(by_person)} people")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The standardised agreement spreads over clips of new people, where the plain cosine of the first
# version treats all of them alike; and where the last interval lies above zero, it *knows* where the
# recogniser is right. What the gate knows and what the fusion makes of it are two things: the log below asks
# what the gate is worth.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The evidence: a log of attempts

# %% [markdown] slideshow={"slide_type": "notes"}
# What was tried while the defaults were found is written down, each attempt beside what it has to beat (plain
# augmentation) and beside its *control*, two views with all of the attempt's hyperparameters and an unchanged
# clock. It is all development: twenty real people of two data sets, at their own tempo and at one length; the
# inner folds in which [SPAR](glossary.md#spar)'s hyperparameters are searched; five synthetic populations that no table reports on.
# No final fold was looked at. Cells are mean differences over people in points with 95 % intervals. Every training
# has 20 epochs. On the smallest set that is about 50 updates of the weights: nothing is trained to the end there.

# %% [markdown]
# > **Predict.** Where is TFAM worth most: at the input, behind the first block, or deeper? And in a network
# > twice as wide?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.evidence import development
from piumar_lib.evidence.tables import show_development

PLACES = ["TFAM, defaults", "behind the first block", "in front of the last block", "behind all blocks"]
PLACES += ["width 64", *(f"width 64, {place}" for place in PLACES[1:])]
TRIED = [*PLACES, "without augmentation", "first version of TFAM"]
show_development(TRIED)

# %% [markdown] slideshow={"slide_type": "notes"}
# The same, over the control: is it the alignment, or would any two views do?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
show_development(TRIED, over="control")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** An interval that contains zero says that these people cannot tell the two apart. A line that
# gains over augmentation but not over its control owes that to the second view, not to the clock. A place is
# a good default only if it holds for the wide network, too. None leads in every column: in the narrow network
# the means over augmentation are highest at the input on SPAR and on synthetic people, and behind the first
# block on the twenty real ones. So the course keeps the input. And behind all blocks no perturbation is left.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Which part carries what?
#
# > **Predict.** Exchange one part of TFAM at a time: mean or minimum instead of the gate, the first version's
# > gate, no regulariser or twice its pull, no consistency loss. Which of these loses?

# %% slideshow={"slide_type": "skip"}
PARTS = ["mean instead of the gate", "minimum instead of the gate", "gate of the first version",
         "no regulariser", "regulariser pulls 20 %", "no consistency"]
log = development.read_log()


def scores(name, pool):
    """The attempt's accuracy of each person."""
    lines = [line for line in log.get(name, []) if line["data"] in development.POOLS[pool]]
    return {(line["data"], p): v[0] for line in lines for p, v in line["people"].items()}


def change(name, pool):
    """What a change of one part adds to TFAM's defaults, in points, paired over people."""
    both = scores(name, pool), scores("TFAM, defaults", pool)
    return points(paired(*both)) if both[0] and both[0].keys() == both[1].keys() else ""


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
show_table(["changed", *development.POOLS],
           [[name, *(change(name, pool) for pool in development.POOLS)] for name in PARTS])

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** These are differences to TFAM's defaults: below zero, the part was worth something; around zero
# it is a choice, not a finding. No correction is made for looking at many lines, so a single one that just
# clears zero is no finding either.
#
# [Chapter 09](09_evidence.ipynb) judges TFAM on people whom nothing was developed on.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: which bias keeps how much?
#
# *10 minutes, easy.*
#
# Read the formula backwards. Write `bias_for(kept)`: the bias $v$ with which, where two views agree as well as
# views usually do, the fused feature keeps the share `kept` (between 0 and 0.5) of what one view alone has seen.

# %% tags=["exercise"]
def bias_for(kept):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.bias_for(bias_for)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def bias_for(kept):
#     return np.log(2 * kept / (1 - 2 * kept))
# ```
#
# At the usual agreement $c = m$, so the weight has no say and $g = \sigma(v)$. The minimum is 0 there and the
# mean is a half: $g / 2$ is kept. To keep more than a half no bias is large enough.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: how far can two predictions disagree?
#
# *15 minutes, medium.*
#
# Write `consistency(p, q)`: the Jensen-Shannon divergence in nats of predictions of shape
# `(batch, classes)`, for each clip: the mean of both [Kullback-Leibler](glossary.md#kullback-leibler) divergences to the average prediction.
# A class that a prediction rules out (probability 0) must do no harm. What is the largest value, and when?

# %% tags=["exercise"]
def consistency(p, q):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.consistency(consistency)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def consistency(p, q):
#     middle = (p + q) / 2
#     to_p = torch.special.xlogy(p, p / middle.clamp_min(1e-30)).sum(-1)
#     to_q = torch.special.xlogy(q, q / middle.clamp_min(1e-30)).sum(-1)
#     return (to_p + to_q) / 2
# ```
#
# At most $\log 2$, when the two have no class in common: then each is half of the average.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- On people left out the gate has deviation {gate.std():.2f}; with the plain cosine "
      f"{plain.std():.3f}.")
print(f"- The regulariser pulls with {np.median(ours):.0f} % of the cross-entropy's gradient; a "
      f"constant weight of 0.01 would be {np.median(first):.2f} %.")

# %% tags=["hide-input"]
w = video["videomae-base"]["training"]
share = [100 * (one / erm - 1) for one, erm in zip(w["TFAM and GIRL"], w["ERM"], strict=True)]
at_features, at_input, before = (
    f"{ratios[name][1]:.2f}" for name in ("TFAM, features", "TFAM, input", "first version, input"))
print(f"- A small recogniser with TFAM runs {at_features} times its FLOPs in training with the plug-in "
      f"on features, {at_input} times at the input; the first version {before} times. TFAM and GIRL add "
      f"{share[0]:.4f} % FLOPs and {share[1]:.0f} % operations to a training step of VideoMAE-base.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
for pool in development.POOLS:
    cells = [development.in_points(development.outcome(log.get("TFAM, defaults", []), pool, over))
             for over in ("against", "control")]
    print(f"- {pool}: TFAM over augmentation {cells[0] or 'not yet trained'}, "
          f"over its control {cells[1]}")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | "adaptively fused" | the gate, the fusion | `fusion.AdaptiveFusion` | `test_fusion.py` | standardised cosine of centred features; mean and minimum; its spread is measured, its worth is in the log |
# | "consistency-driven" | the gate; consistency as a loss | `objective.js_divergence`, `temporal_frequency.TwoViews` | `test_temporal_frequency.py` | Jensen-Shannon with weight 1; no gradient through the gate's agreement |
# | Wasserstein-regularised alignment | the Wasserstein regulariser | `fusion.WassersteinRegularizer` | `test_fusion.py` | diagonal Gaussians, running barycentre of the class, a tenth of the cross-entropy's gradient |
# | "at feature level", plug-in module | plug it in, the log's places | `temporal_frequency.TemporalFrequencyModule`, `recognizer.Recognizer` | `test_temporal_frequency.py` | behind the first layer, or in front of it; the log has more places |
# | (silent) what it costs | plug it in | `plug_in_cost.plug_in_cost`, `costs.count_work` | `test_costs.py` | counted with what runs twice |
# | better on people never seen | the log of attempts | `development.outcome` | `test_development.py` | development people alone; chapter 09 judges on others |

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. J. Lin. *Divergence measures based on the Shannon entropy.* IEEE Transactions on Information
#    Theory 37(1), 1991.
# 3. G. Peyré, M. Cuturi. *Computational Optimal Transport*, section 2.6: Gaussians and their barycentres.
#    [arXiv 1803.00567](https://arxiv.org/abs/1803.00567), 2019.
