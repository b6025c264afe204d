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
# # 07 · Pseudo-groups
#
# How does one train for the worst group if nobody has labelled the groups?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [06 robust optimisation](06_robust_optimisation.ipynb); k-means |
# | you will build | groups of clips without person labels, weights of hard clips, and GIRL, the loss that joins them |
# | device | any laptop |
# | numbers in the text | of the committed run, profile `full`; `quick` trains less: digits differ, and with so few people sometimes also the order |
#
# **You are here:** clip → temporal and frequency branch → backbone → fusion → **losses**. This chapter completes
# [GIRL](glossary.md#girl), the group-invariant regularised loss, which weights clips; the network stays as it is.

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - cluster the clips of each action by style, and measure how well the clusters match people and traits,
# - write GIRL, and compute the weight that it gives to each clip,
# - show with a positive control that the loss works, and test on unseen people whether it helps them.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same, given, show, start

run = start(profile)
data, yours = given(data, people=2)
crowd, each, epochs = run.pick(quick=(40, 20, 12), full=(60, 40, 15))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Chapter 06 gave more weight to people with high risk. For that, each training clip needs a person label, which many data
# sets lack and some are not allowed to contain. The paper's loss, GIRL, uses **pseudo-groups** instead [[1](#references)]:
# clusters of clips with a similar **style**, the way in which somebody does an action. Below, each point is a clip of one
# action, placed by how much each joint moves (two principal components of 34 numbers). Markers show who made a clip, which
# the method does not know; outlines show the clusters that k-means finds.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch
from sklearn.cluster import KMeans
from torch.nn.functional import cross_entropy

from piumar_lib.batch import Batch
from piumar_lib.data import spar, synthetic
from piumar_lib.pseudo_groups import RandomGroups, StyleGroups, residual_style, style_of


def as_batch(data):
    person = torch.as_tensor(np.unique(data.person, return_inverse=True)[1])
    return Batch(torch.as_tensor(data.x), torch.as_tensor(data.y), person, torch.arange(len(data)))

five = synthetic.make_clips(synthetic.make_people(5, seed=71 + seed), 120, seed=71 + seed)
one_action = five.take(five.y == np.bincount(five.y).argmax())
size = torch.as_tensor(one_action.x).std(1).log()  # (clips, 34)
found = StyleGroups(4).find(size, as_batch(one_action), seed).unique(return_inverse=True)[1].numpy()

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from scipy.spatial import ConvexHull
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

at = PCA(2).fit_transform(residual_style(size, torch.as_tensor(one_action.y)))  # (clips, 2)
fig, ax = plt.subplots(figsize=(7, 3.6))
for i, person in enumerate(one_action.people):
    ax.plot(*at[one_action.person == person].T, "os^Dv"[i], color=f"C{i}", ms=6,
            mfc="w" if i % 2 else f"C{i}", label=f"person {i + 1}")
for k in np.unique(found):
    own = at[found == k]
    ax.fill(*own[ConvexHull(own).vertices].T, fill=False, ec="0.35", lw=1.5)
    ax.annotate(f"  cluster {k + 1}", own[own[:, 0].argmax()], va="center")
ax.set(xlabel="principal component 1", ylabel="component 2", xticks=[], yticks=[], xmargin=0.15)
ax.legend(loc="lower right", fontsize=9)
pure = sum(len({*one_action.person[found == k]}) == 1 for k in np.unique(found))
show(fig, alt=f"{len(one_action)} clips of one action by five people, by style. Of four clusters {pure} "
     f"hold one person each. Agreement {adjusted_rand_score(one_action.person, found):.2f}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Three clusters hold one person each, the fourth mixes three people. Their agreement with people is 0.91, where 1 is the same
# grouping and 0 is chance. But these are five people and one action. Do clusters find people in a crowd? If not, what do they find, and does weighting them help?

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Where we are
#
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-07.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Style: mean and standard deviation over time
#
# One channel has the values $0, 0, 2, 2$ in four frames: mean 1, standard deviation 1. *When* it rises is averaged out; what
# is left is where it stays and how much it moves. For features $h_t$ with $C$ channels, style $\psi$ is a vector of $2C$ numbers, in each channel:
#
# $$ \psi = (\mu, \sigma), \qquad
# \mu = \frac1T \sum_t h_t, \qquad \sigma^2 = \frac1T \sum_t (h_t - \mu)^2 $$

# %%
def style_by_hand(h):  # (B, T, C) -> (B, 2 C)
    mean = h.mean(1)
    sd = (h - mean[:, None]).square().mean(1).sqrt()  # (B, C)
    return torch.cat([mean, sd], 1).detach()

print(style_by_hand(torch.tensor([[[0.0], [0], [2], [2]]])))

# %% [markdown] slideshow={"slide_type": "notes"}
# Image stylisation transfers these numbers [[2](#references)], and MixStyle mixes them [[3](#references)]. Groups are found,
# not trained: no gradient flows through the style. As GIRL is "applied to the aligned features", $h$ is the output of the first
# layer. With [TFAM](glossary.md#tfam) it comes *after* the alignment, which removes most of the tempo and halves log size ratios.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Groups within each action
#
# Two nods have style 1 and 3, two waves 11 and 13. k-means over all four clips finds the actions. Without the mean of each
# action they are $-1, 1, -1, 1$; then two clusters *within* each action tell the first nod from the second. With $Q$ clusters
# per action, whose centres are $\bar r_{yk}$:
#
# $$ r_i = \frac{\psi_i - \bar \psi_{y_i}}{\text{standard deviation}}, \qquad
# g_i = Q y_i + \arg \min_{k < Q} \, \Vert r_i - \bar r_{y_i k} \Vert $$

# %% slideshow={"slide_type": "skip"}
def groups_by_hand(style, y, each):  # (N, 2 C), (N,) -> (N,)
    residual, group = style.double().clone(), torch.zeros_like(y)
    for k in y.unique():
        residual[y == k] -= residual[y == k].mean(0)
    residual = residual / residual.std(0, unbiased=False)
    for k in y.unique():
        own = residual[y == k]
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
        clusters = KMeans(each, n_init=4, random_state=seed).fit(own[order])
        group[y == k] = each * k + torch.as_tensor(clusters.predict(own)).long()
    return group

print(groups_by_hand(torch.tensor([[1.0], [3], [11], [13]]), torch.tensor([0, 0, 1, 1]), 2))
clips = as_batch(five)
moves = clips.x.std(1)
assert torch.equal(groups_by_hand(moves, clips.y, 4), StyleGroups(4).find(moves, clips, seed))

# %% [markdown] slideshow={"slide_type": "notes"}
# Why within an action? The question is in which *style* an action is recognised worst. Across actions, a cluster's risk would
# be mostly that of the actions in it. With $Y$ actions there are $G = Q Y$ groups.
#
# A control should differ in one thing. **Random groups** are these groups with their members shuffled within each action: as
# many groups, of the same sizes. **True people** as groups are the [oracle](glossary.md#oracle), which uses person labels.
# All sources follow one rule: in the first epoch all clips are one group, and before the second epoch groups are found, once,
# from the styles of the first. Style shows best early, before the network learns to ignore it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Do the groups find people?
#
# To compare two groupings, look at *pairs* of clips. They agree on a pair if both put it together, or both keep it apart. The
# **adjusted Rand index** (ARI) [[4](#references)] scales the fraction of pairs on which they agree, so that equal
# groupings have 1, and random ones 0 on average:
#
# $$ \mathrm{ARI} = \frac{\text{agreement} - \text{chance}}{1 - \text{chance}} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# With fewer groups than people the ARI cannot reach 1. Say there are four people, and two groups of two people each: $1/4$ of
# the pairs belong to one person, $1/2$ to one group. The groupings agree on $1/4 + 1/2 = 0.75$ of the pairs; by chance they
# would agree on $\frac14 \cdot \frac12 + \frac34 \cdot \frac12 = 0.5$. So the **ceiling** is $(0.75 - 0.5) / (1 - 0.5) = 0.5$.
# We train the recogniser of chapter 01 on 60 synthetic people and on [SPAR](glossary.md#spar), ten real people with a watch (or
# your own data), with and without TFAM, for one epoch, after which GIRL finds its groups.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.backbones import tiny_cnn
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import Settings, fit


def train(clips, epochs, objective, plug_in=None):
    torch.manual_seed(seed)
    model = Recognizer(tiny_cnn(clips.x.shape[-1]), 32, clips.classes, plug_in)
    fit(model, clips, Settings(epochs=epochs, seed=seed), objective, device=run.device)

people = synthetic.make_people(crowd, seed=70 + seed)
real = yours if data else spar.repetitions(spar.load_recordings(), time=32)
CROWDS = {"synthetic": synthetic.make_clips(people, each, seed=70 + seed), "real": real}

STYLES = {}
for name, data_set in CROWDS.items():
    tfam = TemporalFrequencyModule.make(channels=data_set.x.shape[-1], width=32)
    train(data_set, 1, plain := GroupRobustObjective())
    train(data_set, 1, TwoViews(over=(aligned := GroupRobustObjective())), plug_in=tfam)
    STYLES[name] = {"input": style_of(torch.as_tensor(data_set.x)), "layer 1": plain.style.cpu(),
                    "layer 1 behind TFAM": aligned.style.cpu()}

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Four groups per action. Which style comes closest to the ceiling, the best that four groups can reach: that
# > of the input, of the first layer, or of the first layer behind TFAM?

# %% slideshow={"slide_type": "skip"}
agreement = {}
for name, data_set in CROWDS.items():
    batch, y, person = as_batch(data_set), data_set.y, as_batch(data_set).person.numpy()
    found = {"random groups": RandomGroups().find(STYLES[name]["input"], batch, seed)}
    found |= {layer: StyleGroups().find(style, batch, seed) for layer, style in STYLES[name].items()}
    found["ceiling"] = person % 4
    scores = {of: [adjusted_rand_score(person[y == k], group[y == k]) for k in np.unique(y)]
              for of, group in found.items()}
    agreement[f"{name}, {len(data_set.people)} people"] = {of: np.mean(a) for of, a in scores.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.4))
for shift, fill, (name, values) in zip((-0.2, 0.2), ("C0", "w"), agreement.items(), strict=True):
    bars = ax.barh(np.arange(len(values)) + shift, np.maximum([*values.values()], 0), 0.38, color=fill,
                   edgecolor="C0", label=name)
    ax.bar_label(bars, fmt="%.2f", padding=4)
ax.set_yticks(range(len(values)), values)
ax.set(xlabel="agreement of groups with people (ARI), four groups per action")
ax.legend(loc="center right")
said = [f"{n}: " + ", ".join(f"{k} {max(v, 0):.2f}" for k, v in a.items()) for n, a in agreement.items()]
show(fig, alt=f"Agreement of clusters with people within each action. {'; '.join(said)}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** With synthetic people the styles hardly differ: input 0.05, first layer 0.08, behind TFAM 0.07, of a ceiling of
# 0.19. On SPAR the input comes closest, 0.14 of 0.47. Clusters have more to do with people than random groups, but **are not people**.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What did they find?
#
# We know the traits of synthetic people. For one trait $\theta$, say tempo, **eta squared** (the correlation ratio) is the
# fraction of its variance within an action that lies *between* groups. Groups {1, 3} and {3, 5} have means 2 and 4 about 3,
# so it is $(2 + 2) / (4 + 0 + 0 + 4) = 0.5$:
#
# $$ \text{eta squared} = \frac{\sum_g n_g \, (\bar \theta_g - \bar \theta_{y(g)})^2}{\sum_i (\theta_i - \bar \theta_{y_i})^2} $$

# %%
def within(values, label):  # (N, ...), (N,) -> (...): sum of squares about the mean of each label
    return sum(len(own) * own.var(0) for own in (values[label == k] for k in np.unique(label)))

def eta_squared(trait, group, y):
    return 1 - within(trait, group) / within(trait, y)

print(eta_squared(np.array([1.0, 3, 3, 5]), np.array([0, 0, 1, 1]), np.zeros(4)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Which do they capture: tempo, amplitude, onset, asymmetry, amplitude or rate of tremor, amplitude of sway?

# %% slideshow={"slide_type": "skip"}
TRAITS = {name.replace("_", " "): getattr(people, name) for name in (
    "amplitude", "tempo", "onset", "asymmetry", "tremor_amplitude", "tremor_rate", "sway_amplitude")}
rng = np.random.default_rng(seed)  # people as they are, then in 1000 random orders
order = np.stack([np.arange(crowd), *(rng.permutation(crowd) for _ in range(1000))], 1)  # (people, 1001)
y, person = CROWDS["synthetic"].y, CROWDS["synthetic"].person
group = StyleGroups().find(STYLES["synthetic"]["layer 1"], as_batch(CROWDS["synthetic"]), seed).numpy()
ratios = {name: eta_squared(trait[order][person], group, y) for name, trait in TRAITS.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ranked = sorted(TRAITS, key=lambda trait: ratios[trait][0])
eta, limit = np.array([(ratios[t][0], np.quantile(ratios[t][1:], 0.95)) for t in ranked]).T
fig, ax = plt.subplots(figsize=(7, 3.2))
ax.barh(ranked, eta, color=np.where(eta > limit, "C0", "0.75"))
ax.plot(limit, ranked, "|k", ms=14, mew=2.5, label="95 % of shuffles are below (blue: above)")
ax.set(xlabel="eta squared, clusters of the first layer")
ax.legend(loc="lower right", bbox_to_anchor=(1, 1))
words = ", ".join(f"{trait} {value:.2f}" for trait, value in zip(ranked[::-1], eta[::-1], strict=True))
show(fig, alt=f"Fraction of each trait's variance between groups: {words}. Above 95 % of shuffles: "
     f"{', '.join(np.array(ranked)[eta > limit])}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The clusters capture movement style: how *large* somebody's movements are. Eta squared is 0.38 for the amplitude
# of tremor, 0.36 for that of the action and 0.32 for that of sway. For tempo, which makes recognition hard (chapter 03), it is
# 0.11: a mean and a standard deviation over time do not say when. (The black marks shuffle *people*, as clips of one person
# are not independent. By chance a trait exceeds its mark in 5 % of runs, and at least one of seven does so in 30 %.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Hard clips
#
# The [signed margin](glossary.md#signed-margin) of a clip is the logit of its true class minus the largest other logit. Three
# clips of the first class have logits $(5, 0, 0)$, $(2, 2, 0)$ and $(0, 5, 0)$, so margins $5$ (safe), $0$ (on the
# **boundary**) and $-5$ (wrong). With $\beta = 1$ the weights are $1.007$, $1.5$ and $1.993$, divided by their mean:
#
# $$ \text{margin}_i = \text{logit}_{i y_i} - \max_{k \ne y_i} \text{logit}_{ik}, \qquad
# u_i \propto 1 + \beta \, \mathrm{sigmoid}(-\text{margin}_i) $$

# %% slideshow={"slide_type": "skip"} tags=["core"]
def hard_weights(logits, y, beta=1.0, tau=1.0):
    """Return ``1 + beta * sigmoid(-margin / tau)``, divided by its mean: ``(B,)``, without gradient.

    ``margin``: logit of the true class ``y (B,)`` minus the largest other of ``logits (B, classes)``."""
    logits = logits.detach()
    own = logits.gather(1, y[:, None])[:, 0]  # (B,)
    other = logits.scatter(1, y[:, None], -torch.inf).amax(1)  # (B,)
    u = 1 + beta * torch.sigmoid((other - own) / tau)
    return u / u.mean()

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
from piumar_lib import check, dro, group_robust

hard_weights = check.hard_weights(hard_weights, otherwise=group_robust.hard_weights)

# %% [markdown] slideshow={"slide_type": "notes"}
# The abstract says that GIRL up-weights "hard boundary cases". The gap between the *two largest* logits would be natural,
# too. But it has no sign: the third clip's gap is 5, so it would count as little as the first. The sign has a price: a
# **mislabelled** clip looks confidently wrong, too. As no clip counts more than $1 + \beta$ times as much as another, a
# fraction $\alpha$ of wrong labels carries at most $\alpha (1 + \beta) / (1 + \alpha \beta)$ of the weight, 9.5 % for 5 %
# wrong labels and $\beta = 1$. (The temperature `tau`, by default 1, divides the margin.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Running group risks
#
# A batch has losses 1 and 2 nats in group A, 4 in group B, no clip of group C, and there are 7 classes. Guessing costs
# $\log 7 = 1.95$ nats. So in this batch A has risk $1.5 / 1.95 = 0.77$, and B $2.06$. If all three had risk 1 so far, an
# **exponential moving average** with momentum $\kappa = 0.9$ moves A to $0.98$ and B to $1.11$, and C keeps 1:
#
# $$ \tilde R_g \leftarrow \kappa \tilde R_g + (1 - \kappa) \, R_g, \qquad
# R_g = \frac{1}{n_g \log Y} \sum_{i: g_i = g} \ell_i \qquad \text{if } n_g > 0 $$

# %% slideshow={"slide_type": "skip"} tags=["core"]
def update_risks(running, costs, group, momentum=0.9):
    """Return the moving averages of the group risks after a batch, ``(G,)``.

    A group's risk in the batch is the mean of its ``costs (B,)``; ``group (B,)`` is that of each clip.
    A group without clips in the batch keeps its risk. Do not change ``running (G,)`` in place."""
    count = group.bincount(minlength=len(running))  # (G,)
    total = torch.zeros_like(running).index_add(0, group, costs)  # (G,)
    moved = momentum * running + (1 - momentum) * total / count.clamp(min=1)
    return torch.where(count > 0, moved, running)

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
update_risks = check.update_risks(update_risks, otherwise=group_robust.update_risks)

# %% [markdown] slideshow={"slide_type": "notes"}
# Here $n_g$ is the number of clips of $g$ in the batch, and $\ell_i$ the cross-entropy of the prediction. Divided by
# $\log Y$, a [group risk](glossary.md#group-risk) of 1 means guessing, with 7 classes as with 52. Why a moving average? On
# [MA-52](glossary.md#ma-52) a batch has 10 to 16 clips, but there are 208 groups, four for each of 52 actions. A batch has
# one clip each of a few groups, so an adversary that trusts it chases noise. Chapter 14 measures how much averaging helps.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## GIRL, all together
#
# Two groups have shares $\pi = (0.8, 0.2)$ of the clips and risks $0.5$ and $1$: mean $0.6$, variance $0.04$. In the ball of
# radius $\rho = 0.05$ the worst-case weights relative to the shares are $1 + \sqrt{2 \rho / 0.04} \, (\tilde R_g - 0.6)$, that is
# $0.84$ and $1.63$ (chapter 06). A clip of a batch of $B$ has the weight of its group times that of [hard clips](glossary.md#hard-clips):
#
# $$ \mathcal L = \frac1B \sum_i \frac{q_{g_i}}{\pi_{g_i}} \, u_i \, \ell_i $$
#
# $$ q = \arg \max_{p \ge 0, \, \sum_g p_g = 1} \sum_g p_g \tilde R_g \quad \text{with} \quad
# \tfrac12 \sum_g \pi_g {\Bigl( \frac{p_g}{\pi_g} - 1 \Bigr)}^2 \le \rho $$

# %% slideshow={"slide_type": "skip"}
def worst_weights(risks, shares, rho):  # of chapter 06: (G,), (G,) -> (G,)
    return dro.chi_square(risks, rho, shares).weights

# %% [markdown] slideshow={"slide_type": "notes"}
# With $\rho = \beta = 0$ this is [ERM](glossary.md#erm). The defaults are $Q = 4$, $\rho = 0.05$, $\beta = 1$ and
# $\kappa = 0.9$. The radius costs effective sample size: in the worst case $1 / (1 + 2 \rho)$ of the clips are left, 91 %. The
# exponentiated weights of chapter 06 are an ablation.
#
# **Related work.** GroupDRO [[5](#references)] trains for the worst of *given* groups. GEORGE [[6](#references)] is the
# closest relative: it clusters the features of a trained network within each class, then runs GroupDRO on the clusters.
# Without groups one can take the worst case over single clips [[7](#references)], which is sensitive to wrong labels.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it does in training
#
# > **Predict.** GIRL trains on the synthetic people, with style groups and with random groups. With which do the risks of
# > an action's four groups differ more? What fraction of the variance of the risks lies between *actions*?

# %% slideshow={"slide_type": "skip"}
SOURCES = {"groups of style": StyleGroups(), "random groups": RandomGroups()}
trained = {name: GroupRobustObjective(source) for name, source in SOURCES.items()}
for objective in trained.values():
    train(CROWDS["synthetic"], epochs, objective)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True)
words = []
for ax, (name, objective) in zip(axes, trained.items(), strict=True):
    group, risks = objective.group.cpu().numpy(), objective.running.cpu().numpy()  # (N,), (G,)
    action = np.array([y[group == k][0] for k in range(len(risks))])
    means = np.array([risks[action == k].mean() for k in range(y.max() + 1)])
    ax.semilogy(means.argsort().argsort()[action], risks, "oC0", mfc="w", ms=6)
    ax.plot(np.sort(means), "_k", ms=16, mew=2)
    ax.set(title=name, xlabel="action, from easy to hard", xticks=[])
    hardest = risks[action == means.argmax()]
    words.append(f"{name} {100 * eta_squared(risks[group], y, 0 * y):.0f} %, and {hardest.min():.2f} to "
                 f"{hardest.max():.2f} in the hardest action")
axes[0].set_ylabel("running risk [guessing = 1]")
axes[0].yaxis.get_major_locator().set_params(subs=(1, 2, 5))
axes[0].yaxis.set_major_formatter("{x:g}")
axes[0].minorticks_off()
show(fig, alt="Running risks of the groups of each action after training, with their mean. Between "
     f"actions lies this much of the variance: {'; '.join(words)}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Circles are groups, bars the means of actions. In the hardest action the risks of style groups range from 0.03 to
# 0.19, those of random groups from 0.10 to 0.16. So style shows GIRL differences that random groups hide. But 70 % of the variance
# of the risks lies between actions, and random groups see that part too (86 % of theirs). GIRL mostly weights hard *actions*.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Positive control: a case that GIRL must win
#
# Does such a loss protect a group at all? A [positive control](glossary.md#positive-control) is a case made for it. The class
# is the *frequency* of two noisy channels. Two more channels hold an *offset*, as of a sensor worn the other way round: a
# spurious attribute that agrees with the class in 95 % of the training clips, and is far easier to learn. A network that
# relies on it fails for the **minority**, whose offset disagrees.

# %% tags=["hide-input"]
from piumar_lib.data import spurious

control = spurious.make_clips(200, seed)
fig, axes = plt.subplots(1, 4, figsize=(7, 1.9), sharex=True, sharey=True)
for ax, group in zip(axes, (1, 3, 0, 2), strict=True):  # first the majority of both classes
    motion, offset = control.x[control.person == group][0, :, [0, 2]]  # (T,) each
    ax.plot(motion, "C0-", label="motion channel")
    ax.plot(offset, "C4:", lw=1)
    ax.axhline(offset.mean(), color="C4", ls="--", label="offset channel and its mean")
    ax.set(title=control.class_names[group // 2] + ("" if group % 2 else ", minority"), xlabel="frame")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
show(fig, alt="A clip of each group. Slow and fast differ in the frequency of a noisy curve. Another "
     "has its mean below zero for slow and above for fast clips; in the minority it is the reverse.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** In the worst of the four groups, how far do true groups lift accuracy over ERM? Which fraction of that gain
# > do style groups recover, and which do random groups?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.evidence.positive_control import OBJECTIVES, recovered
from piumar_lib.evidence.records import RESULTS, read_records

record = read_records(RESULTS / "positive-control.jsonl")
worst = {row: np.array([100 * r["worst"] for r in record if r["row"] == row]) for row in OBJECTIVES}
parts = [f"{row} {recovered(record, row):.2f}" for row in ("style groups", "random groups")]
fig, ax = plt.subplots(figsize=(7, 3))
for at, values in enumerate(worst.values()):
    ax.plot(values, np.full(len(values), -at), "o", color="0.5", ms=5, mfc="w")
    ax.plot(values.mean(), -at, "Dk", ms=9)
    ax.text(103, -at, f"{values.mean():.0f} %", va="center")
ax.set_yticks(-np.arange(len(worst)), worst)
ax.set(xlabel="accuracy in the worst group [%]: each seed, and mean", xlim=(-2, 114), ylim=(-5.6, 0.6))
words = ", ".join(f"{row} {values.mean():.0f} %" for row, values in worst.items())
show(fig, alt=f"Accuracy in the worst group of ten seeds, which vary widely. Means: {words}. "
     f"Recovered of true groups' gain: {', '.join(parts)}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** In the worst group ERM reaches 47 %, true groups 79 %. Groups of style recover 0.97 of this gain, random groups
# 0.05; these rows have groups alone ($\beta = 0$). So the loss does what it was made for, *if* the groups show in the style
# and the minority is in the training set. Hard clips alone reach 60 %, as the minority is hard; style groups *and* hard
# clips, the default, reach 90 %. Seeds vary widely.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Unseen people
#
# > **Predict.** How many points does GIRL add on real, unseen people? How much of that do random groups add, too?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.evidence import contrasts, development, protocol, wording
from piumar_lib.notebook import plots

OVER = {"TFAM": "TFAM + augmentation", "random groups": "PIUmr, random groups + augmentation"}
records = {form: contrasts.read(protocol.REAL, form) for form in protocol.FORMS}
rows = {f"GIRL over {name}, {form}": contrasts.compare(records[form], "PIUmr + augmentation", reference)
        for name, reference in OVER.items() for form in records}
log = {name: a for name, a in development.read_log().items() if a[0]["against"] == OVER["TFAM"]}
TRIED = {"GIRL over TFAM": "PIUmr, defaults", "groups without hard clips": "groups alone",
         "hard clips without groups": "radius 0: hard clips alone",
         "true people as groups": "true people as groups"}
rows |= {name: development.outcome(log[a], "real, one length") for name, a in TRIED.items()}
outcomes = [{p: development.outcome(a, p, "control") for p in development.POOLS} for a in log.values()]
rows["GIRL over random groups"] = outcomes[[*log].index("PIUmr, defaults")]["real, one length"]
cells = [c for outcome in outcomes for c in outcome.values() if c]
fig, ax = plt.subplots(figsize=(7, 3.6))
plots.forest(ax, list(rows), *([100 * getattr(found, key) for found in rows.values()]
                               for key in ("difference", "low", "high")), reference=0)
ax.axhline(4.5, color="0.6", lw=0.8)
for at, whom in ((6.5, "153 people,\n9 data sets"), (0.5, "20 people used\nin development")):
    ax.text(0.99, at, whom, transform=ax.get_yaxis_transform(), ha="right", va="center")
ax.set(xlabel="gain, same unseen people, 95 % interval [points]")
words = "; ".join(f"{name} {wording.points(found)}" for name, found in rows.items())
show(fig, alt=f"What GIRL adds in the study, and below in the log of attempts: {words}. In the log, "
     f"over random groups {sum(c.low > 0 for c in cells)} intervals lie above zero, "
     f"{sum(c.high < 0 for c in cells)} below.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** By the records of [chapter 09](09_evidence.ipynb), nine sets of real people, GIRL adds little to TFAM, if
# anything, and clusters of style no more than random groups:
#
# - `PIUmr + augmentation` over `TFAM + augmentation` on `real people, own tempo`: +0.1 points [-0.4, +0.6]
# - `PIUmr + augmentation` over `TFAM + augmentation` on `real people, one length`: +0.0 points [-0.3, +0.2]
# - `PIUmr + augmentation` over `PIUmr, random groups + augmentation` on `real people, own tempo`: +0.1 points [-0.1, +0.4]
# - `PIUmr + augmentation` over `PIUmr, random groups + augmentation` on `real people, one length`: -0.1 points [-0.3, +0.1]
#
# Gains of two points are excluded, so this is no lack of statistical power; nor is the loss broken, as the positive control
# shows. But unseen people are in no group of the training set, and its hard groups are mostly hard actions. Below the line are
# the 20 real people on whom the defaults were chosen, so a gain there is partly a result of that choice. GIRL gains 3.7 points
# over TFAM on them, but random groups gain as much, and true people as groups do no better. In the whole log of attempts (on
# the page of records, which `make book` writes), no interval over random groups lies above zero, and 2 lie below.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The module, written out
#
# GIRL joins four functions of this chapter and one of chapter 06. `forward` takes a batch: its logits, its early features,
# its classes, and the indices of its clips in the training set. `regroup` is called once, before the second epoch.
#
# The library's `GroupRobustObjective` gets the same logits: a first epoch, new groups, then batches of the second epoch. The
# groups must be equal, and the loss in value and gradient.

# %% slideshow={"slide_type": "skip"}
class GIRL(torch.nn.Module):
    def __init__(self, y, features, each=4, rho=0.05, beta=1.0, tau=1.0, momentum=0.9):
        super().__init__()
        self.y, self.each, self.rho, self.momentum = y, each, rho, momentum
        self.beta, self.tau = beta, tau
        self.group, self.style = torch.zeros_like(y), torch.zeros(len(y), 2 * features)  # (N, 2 C)
        self.shares = self.risks = torch.ones(1)  # (G,): one group, with the risk of guessing

    def regroup(self):
        group = groups_by_hand(self.style, self.y, self.each)
        self.group = group.unique(return_inverse=True)[1]  # numbered without gaps
        self.shares = self.group.bincount() / len(self.y)
        self.risks = self.risks.repeat(len(self.shares))  # all begin with the risk of all clips

    def forward(self, logits, early, y, index):  # (B, T, C) features
        self.style[index], group = style_by_hand(early), self.group[index]
        losses = cross_entropy(logits, y, reduction="none")  # (B,)
        costs = losses.detach() / np.log(logits.shape[1])
        self.risks = update_risks(self.risks, costs, group, self.momentum)
        q = worst_weights(self.risks, self.shares, self.rho)  # (G,)
        weights = (q / self.shares)[group] * hard_weights(logits, y, self.beta, self.tau)
        return (weights * losses).mean()

# %% slideshow={"slide_type": "skip"}
ours, library = GIRL(clips.y, clips.x.shape[2]), GroupRobustObjective()
library.start(None, clips, Settings(seed=seed))
torch.manual_seed(seed)

def compare(b):
    def library_loss(logits):
        losses = cross_entropy(logits, b.y, reduction="none")
        return library.risk(losses, Prediction(logits, early_features=b.x), b)

    assert_same(lambda z: ours(z, b.x, b.y, b.index), library_loss, 2 * torch.randn(len(b.y), 12))

for epoch in (0, 1):
    for rows in torch.randperm(len(clips)).split(200):
        compare(clips.take(rows))
    if epoch == 0:
        ours.regroup()
        library.before_epoch(clips, 1)
assert torch.equal(ours.group, library.group)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: pairs
#
# *20 minutes, medium.*
#
# Write `pair_index(a, b)`: the [adjusted Rand index](glossary.md#adjusted-rand-index) by counting pairs, from two arrays of
# group numbers. Chance is the agreement of two groupings that keep their group sizes but are shuffled: with fractions
# $\alpha_1$ and $\alpha_2$ of pairs together in `a` and in `b`, it is $\alpha_1 \alpha_2 + (1 - \alpha_1)(1 - \alpha_2)$.

# %% tags=["exercise"]
def pair_index(a, b):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
check.pair_index(pair_index)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def pair_index(a, b):
#     first, second = np.triu_indices(len(a), 1)
#     in_a, in_b = a[first] == a[second], b[first] == b[second]
#     agree, alpha_1, alpha_2 = (in_a == in_b).mean(), in_a.mean(), in_b.mean()
#     chance = alpha_1 * alpha_2 + (1 - alpha_1) * (1 - alpha_2)
#     return (agree - chance) / (1 - chance)
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: the control
#
# *15 minutes, medium.*
#
# Write `shuffle_members(group, y, rng)`: random groups. The members of the groups are shuffled within each class, so that
# each group keeps its size and class; `rng` is a NumPy generator. Do not change `group` itself.

# %% tags=["exercise"]
def shuffle_members(group, y, rng):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
check.shuffle_members(shuffle_members)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def shuffle_members(group, y, rng):
#     drawn = group.copy()
#     for k in np.unique(y):
#         drawn[y == k] = rng.permutation(group[y == k])
#     return drawn
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - **Clusters of style are not people.** The agreement of four groups per action with 60 synthetic people is 0.08; the
#   ceiling is 0.19. They capture the size of movements: eta squared is 0.36 for amplitude, and 0.11 for tempo.
# - **GIRL works where its groups show.** Written out from five functions, it equals the library's loss in value and gradient.
#   In the positive control it recovers 0.97 of the gain of true groups, random groups 0.05.
# - **It does not measurably help unseen people.** On nine real data sets gains of two points are excluded. On the 20 people
#   on whom the defaults were chosen it gained 3.7 points, but random groups gained as much. In training, 70 % of the variance
#   of group risks lies between actions: GIRL mostly weights hard *actions*.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | GIRL is "applied to the aligned features" | style behind the alignment | `pseudo_groups.style_of` | `test_pseudo_groups.py` | first layer behind TFAM, in the first epoch |
# | "pseudo-groups" | groups within each action | `pseudo_groups.residual_style`, `pseudo_groups.StyleGroups`, `pseudo_groups.GroupSource` | `test_pseudo_groups.py` | four an action by k-means, found once |
# | simulates "challenging unseen distributions" | worst-case weights | `group_robust.GroupRobustObjective`, `dro.chi_square` | `test_group_robust.py` | reweightings of groups *seen*; leaving a group out is in the log of attempts |
# | up-weights "hard boundary cases" | hard clips | `group_robust.hard_weights`, `group_robust.true_class_margin` | `test_group_robust.py` | signed margin; at most $1 + \beta$ times as much |
# | subgroup variance is regularised | running group risks in the ball | `group_robust.update_risks` | `test_group_robust.py` | equal to mean plus standard deviation while all weights are positive (chapter 06) |
# | generalises "beyond easy or frequent samples" | actions as groups, in the log of attempts | `pseudo_groups.StyleGroups(each=1)` | `test_pseudo_groups.py` | rare and hard actions gain weight; frequency itself has none |
# | (silent) does it protect groups at all? | positive control | `positive_control.positive_control`, `positive_control.recovered` | `test_positive_control.py` | a spurious offset |
# | (silent; reviewers asked for true people) | the oracle, and random groups as control | `pseudo_groups.PersonGroups`, `pseudo_groups.RandomGroups` | `test_pseudo_groups.py` | of random groups, the same number and sizes |
# | (silent; reviewers asked for pseudocode) | the module, written out | `group_robust.GroupRobustObjective.risk` | `test_group_robust.py` | ours |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. X. Huang, S. Belongie. *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.* [arXiv 1703.06868](https://arxiv.org/abs/1703.06868), 2017.
# 3. K. Zhou, Y. Yang, Y. Qiao, T. Xiang. *Domain Generalization with MixStyle.* [arXiv 2104.02008](https://arxiv.org/abs/2104.02008), 2021.
# 4. L. Hubert, P. Arabie. *Comparing partitions.* Journal of Classification 2, 1985.
# 5. S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang. *Distributionally Robust Neural Networks for Group Shifts.* [arXiv 1911.08731](https://arxiv.org/abs/1911.08731), 2020.
# 6. N. Sohoni, J. Dunnmon, G. Angus, A. Gu, C. Ré. *No Subclass Left Behind.* [arXiv 2011.12945](https://arxiv.org/abs/2011.12945), 2020.
# 7. T. B. Hashimoto, M. Srivastava, H. Namkoong, P. Liang. *Fairness Without Demographics in Repeated Loss Minimization.* [arXiv 1806.08010](https://arxiv.org/abs/1806.08010), 2018.
