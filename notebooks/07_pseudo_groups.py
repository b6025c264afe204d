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
# | prerequisites | [06 robust optimisation](06_robust_optimisation.ipynb) |
# | you will build | groups of clips without person labels, weights of hard clips, and GIRL, the loss that joins them |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - group the clips of each action by style, say how far the groups are people, and what they are instead,
# - write [GIRL](glossary.md#girl) down term by term, and say how much each clip counts in it,
# - show a case that GIRL must win, and test on people whether it helps there, against groups drawn at random.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # your own .npz, or a set such as "shrec17", used instead of SPAR and of synthetic people
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, show_table, start

run = start(profile)
data, yours = given(data, people=2)
crowd, each, epochs = run.pick(quick=(40, 20, 12), full=(60, 40, 15))
clips_each = run.pick(quick=20, full=40)
thin, real_epochs = run.pick(quick=4, full=1), run.pick(quick=15, full=12)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Chapter 06 protected the worst-off person. For that, each training clip had to carry a name. [MA-52](glossary.md#ma-52)'s
# do: its file names begin with the person. Many collections do not, and some must not. The paper's loss,
# GIRL, does without: it forms **pseudo-groups** that stand in for people never seen.
#
# So look for groups in *how* people do an action. Below, each point is a clip of one action, placed by its
# **style**: how much each joint moves (the two main directions of 34 numbers). Left, the names, which a
# method would not have. Right, the groups that k-means finds.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib.batch import Batch
from piumar_lib.data import spar, synthetic
from piumar_lib.pseudo_groups import PersonGroups, RandomGroups, StyleGroups, residual_style, style_of


def as_clips(data):
    """Sequences as training sees them; people are numbered without gaps."""
    person = torch.as_tensor(np.unique(data.person, return_inverse=True)[1])
    return Batch(torch.as_tensor(data.x), torch.as_tensor(data.y), person, torch.arange(len(data)))

# %% slideshow={"slide_type": "skip"}
few_all = synthetic.make_clips(synthetic.make_people(5, seed=70 + seed), 120, seed=70 + seed)
few = few_all.take(few_all.y == np.bincount(few_all.y).argmax())
moves = torch.as_tensor(few.x).std(1)
residual = residual_style(moves, torch.as_tensor(few.y))
found = StyleGroups(4).find(moves, as_clips(few), seed).numpy()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def scatter(ax, at, label):
    """Draw points with one colour and one marker for each label; the farthest are left out."""
    for i, k in enumerate(np.unique(label)):
        ax.scatter(*at[label == k].T, color=f"C{i}", marker="osD^v"[i], s=14, lw=0, alpha=0.8)
    low, high = np.quantile(at, (0.01, 0.975), axis=0)
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[], xlabel="direction 1")
    ax.grid(False)

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from sklearn.metrics import adjusted_rand_score

at = (residual @ torch.linalg.svd(residual, full_matrices=False)[2][:2].T).numpy()
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
scatter(left, at, few.person)
scatter(right, at, found)
left.set(title="who made them (hidden)", ylabel="direction 2")
right.set(title="groups found")
idea = adjusted_rand_score(few.person, found)
sizes = sorted(np.unique(found, return_counts=True)[1].tolist(), reverse=True)
show(fig, alt=f"{len(few)} clips of one action by five people, by style. Left, people overlap, though "
     f"some keep to one side. Right, four groups of {sizes} clips; agreement {idea:.2f} on a scale "
     "where 1 is the same grouping and 0 is chance.")

# %% [markdown] slideshow={"slide_type": "notes"}
# The groups on the right have something of the people on the left. How much, over all actions and with more
# people? And what else are they: is that of use? These two questions are this chapter.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-07.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Style: mean and deviation over time

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: one channel, four frames $0, 0, 2, 2$. Its mean is 1, its deviation is 1. *When* it rises is
# averaged out. What is left is where a channel stays and how much it moves.
#
# A clip's features $h_t$ come from the first layer of the network: frames $t = 1 \dots T$, channels
# $c = 1 \dots C$. Its style is a vector of $2C$ numbers:

# %% [markdown]
# $$ s = (\mu_1, \dots, \mu_C, \sigma_1, \dots, \sigma_C), \qquad
# \mu_c = \frac1T \sum_t h_{tc}, \qquad \sigma_c^2 = \frac1T \sum_t (h_{tc} - \mu_c)^2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# (Image stylisation transfers just these numbers [[2](#references)]; MixStyle mixes those of two images
# [[3](#references)].)

# %%
def style_by_hand(h):
    mean = h.mean(1)  # (batch, channels)
    deviation = (h - mean[:, None]).square().mean(1).sqrt()
    return torch.cat([mean, deviation], 1).detach()  # (batch, 2 channels)

# %%
print(style_by_hand(torch.tensor([[[0.0], [0], [2], [2]]])))
some = torch.randn(6, 9, 3, generator=torch.Generator().manual_seed(seed))
torch.testing.assert_close(style_by_hand(some), style_of(some))

# %% [markdown] slideshow={"slide_type": "notes"}
# `detach` says: groups are looked at, not trained. No gradient flows through them.
#
# The abstract says that GIRL is "applied to the aligned features". So if [TFAM](glossary.md#tfam) (chapters 03 to 05) is plugged in, this
# layer is the first one *behind* the alignment, which has taken out tempo and part of the size.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Groups within each action

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand, one number, two groups an action: two nods with 1 and 3, two waves with 11 and 13. Over all four
# clips k-means would find the actions. So first subtract each action's mean, 2 and 12: what is left is
# $-1, 1, -1, 1$. Then cluster *within* each action: the first nod, the second nod, the first wave, the second.

# %% [markdown]
# $$ r_i = \frac{s_i - \bar s_{y_i}}{\text{spread}}, \qquad
# g_i = G y_i + \arg \min_{k < G} \, \Vert r_i - c_{y_i k} \Vert $$

# %% [markdown] slideshow={"slide_type": "notes"}
# with $G$ centres $c_{yk}$ for each action $y$, placed by k-means. Why within an action? The question is which
# *manner of an action* is recognised worst. Across actions, a cluster's risk would be mostly that of the
# actions in it, and GIRL a loss about classes.

# %%
from sklearn.cluster import KMeans


def residual_by_hand(style, y):
    residual = style.double().clone()
    for k in y.unique():
        residual[y == k] -= residual[y == k].mean(0)
    return residual / residual.std(0, unbiased=False)

# %% slideshow={"slide_type": "skip"}
def groups_by_hand(style, y, each):
    residual, group = residual_by_hand(style, y), torch.zeros_like(y)
    for k in y.unique().tolist():
        own = residual[y == k]
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
        centers = KMeans(each, n_init=4, random_state=seed).fit(own[order].numpy()).cluster_centers_
        group[y == k] = each * k + torch.cdist(own, torch.as_tensor(centers)).argmin(1)
    return group

# %% slideshow={"slide_type": "skip"}
print(groups_by_hand(torch.tensor([[1.0], [3], [11], [13]]), torch.tensor([0, 0, 1, 1]), 2))
moves, y = torch.as_tensor(few_all.x).std(1), torch.as_tensor(few_all.y)
for groups in (2, 4):
    theirs = StyleGroups(groups).find(moves, as_clips(few_all), seed)
    assert torch.equal(groups_by_hand(moves, y, groups), theirs)
print("equal;", len(theirs.unique()), "groups of", theirs.bincount().min().item(), "to",
      theirs.bincount().max().item(), "clips")

# %% [markdown] slideshow={"slide_type": "notes"}
# ### One rule for every source of groups
#
# A control must differ in one thing. **Random groups** are these very groups with their members drawn by lot
# within each action: as many, of the same sizes. **True people** are the oracle. All three follow one rule: in
# the first epoch all clips are one group, and before the second epoch the groups are found, once, from
# the styles seen in the first. What is spurious is learnt first, so style shows best early.

# %% slideshow={"slide_type": "skip"}
chance = RandomGroups(4).find(moves, as_clips(few_all), seed)
assert torch.equal(chance.bincount(), theirs.bincount())
stay = (chance == theirs).float().mean()
print(f"the same sizes; {100 * stay:.0f} % of the clips stay where they were")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Do the groups find people?

# %% [markdown] slideshow={"slide_type": "notes"}
# To compare two groupings, take every *pair* of clips. The groupings agree on a pair if both put it
# together or both keep it apart. The **adjusted Rand index** (ARI) [[4](#references)] scales the share $a$
# of pairs on which they agree, so that equal groupings have 1 and random ones have 0 on average:

# %% [markdown]
# $$ \mathrm{ARI} = \frac{a - a_{\mathrm{chance}}}{1 - a_{\mathrm{chance}}} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# With fewer groups than people it cannot reach 1. A fair **ceiling** assigns whole people to $G$ groups.
# By hand, 4 people with many clips each in 2 groups: $1/4$ of the pairs belong to one person and $1/2$ to one
# group. All the former are together in both, $1/2$ of the pairs apart in both, so $a = 0.75$. By chance,
# $\frac14 \cdot \frac12$ are together in both and $\frac34 \cdot \frac12$ apart: $0.5$. The ceiling is
# $(0.75 - 0.5) / (1 - 0.5) = 0.5$.
#
# Two crowds: **synthetic people**, of whom we know everything; and **SPAR**, ten real people with a watch
# (or your own data). On each, the recogniser of chapter 01 is trained, once alone and once with TFAM. The
# loss is GIRL with radius 0 and no weight for [hard clips](glossary.md#hard-clips), which is plain cross-entropy; but it logs the
# styles that it sees in the first epoch.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.backbones import tiny_cnn
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import Settings, fit, predict

people = synthetic.make_people(crowd, seed=70 + seed)
CROWDS = {"synthetic": synthetic.make_clips(people, each, seed=70 + seed)}
real = yours if data else spar.repetitions(spar.load_recordings(), time=32)
CROWDS["real"] = real.thinned(thin) if data else real.take(np.arange(len(real)) % thin == 0)

# %% slideshow={"slide_type": "skip"}
class Logged(GroupRobustObjective):
    """GIRL that logs the first epoch's styles, and the weights of its groups after each batch."""

    def start(self, model, clips, settings):
        super().start(model, clips, settings)
        self.log = []

    def before_epoch(self, clips, epoch):
        self.first_style = self.style if epoch == 1 else getattr(self, "first_style", None)
        super().before_epoch(clips, epoch)

    def risk(self, losses, prediction, batch):
        value = super().risk(losses, prediction, batch)
        self.log.append(self.q / self.shares)
        return value

# %% slideshow={"slide_type": "skip"}
def train(clips, epochs, objective=None, init=0, plug_in=None):
    torch.manual_seed(seed + init)
    model = Recognizer(tiny_cnn(clips.x.shape[-1]), 32, clips.classes, plug_in)
    fit(model, clips, Settings(epochs=epochs, seed=seed + init), objective, device=run.device)
    return model.cpu().eval()

# %% slideshow={"slide_type": "skip"}
models, STYLES = {}, {}
for name, clips in CROWDS.items():
    x, alone, aligned = torch.as_tensor(clips.x), *(Logged(radius=0, beta=0) for _ in range(2))
    length = epochs if name == "synthetic" else real_epochs
    models[name] = train(clips, length, alone)
    tfam = TemporalFrequencyModule.make(channels=x.shape[-1], width=32)
    train(clips, 2, TwoViews(over=aligned), plug_in=tfam)  # its first epoch is all that we need
    STYLES[name] = {"input": style_of(x), "layer 1": alone.first_style.cpu(),
                    "layer 1 behind TFAM": aligned.first_style.cpu()}

# %% [markdown] slideshow={"slide_type": "notes"}
# Each synthetic clip's mean pose has been taken away (chapter 01), so its input has no means over time, only
# rounding errors, which we drop. We add a version in which the **posture is kept**: the skeletons where they
# are, with their bones and the way they sit.

# %% slideshow={"slide_type": "skip"}
uncentered = synthetic.make_clips(people, each, seed=70 + seed, centered=False)
STYLES["synthetic"]["input"] = STYLES["synthetic"]["input"][:, uncentered.x.shape[-1] :]
STYLES["synthetic"] = {"posture kept": style_of(torch.as_tensor(uncentered.x))} | STYLES["synthetic"]

# %% slideshow={"slide_type": "skip"}
def within(clips, a, b):
    """ARI of two groupings within each action, averaged over clips."""
    return sum(adjusted_rand_score(a[clips.y == k], b[clips.y == k]) * np.mean(clips.y == k)
               for k in np.unique(clips.y))

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Two, four or eight groups an action. Which styles come closest to the ceiling: posture, movement
# > at the input, the first layer, or the first layer behind TFAM?

# %% slideshow={"slide_type": "skip"}
COUNTS = (2, 4, 8)
curves = {}
for name, clips in CROWDS.items():
    place = np.unique(clips.person, return_inverse=True)[1]
    curves[name] = {"ceiling": [within(clips, place, place % g) for g in COUNTS]}
    for layer, style in STYLES[name].items():
        found = [StyleGroups(g).find(style, as_clips(clips), seed).numpy() for g in COUNTS]
        curves[name][layer] = [within(clips, place, group) for group in found]
    lots = [RandomGroups(g).find(style, as_clips(clips), seed).numpy() for g in COUNTS]
    curves[name]["random groups"] = [within(clips, place, group) for group in lots]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
LOOKS = {"ceiling": ("0.75", "-"), "posture kept": ("C5", "D-"), "input": ("C0", "o-"),
         "layer 1": ("C4", "s--"), "layer 1 behind TFAM": ("C1", "^:"), "random groups": ("C2", "-")}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True)
for ax, (name, lines) in zip(axes, curves.items(), strict=True):
    for layer, values in lines.items():
        color, line = LOOKS[layer]
        ax.plot(COUNTS, values, line, color=color, lw=6 if layer == "ceiling" else 1.5, label=layer)
    ax.set_xscale("log", base=2)
    ax.set_xticks(COUNTS, COUNTS)
    ax.minorticks_off()
    ax.set(xlabel="groups an action, $G$", title=f"{name}, {len(CROWDS[name].people)} people")
axes[0].set_ylabel("agreement with people (ARI)")
axes[0].legend(fontsize=8)
words = {n: ", ".join(f"{k} {max(v[1], 0):.2f}" for k, v in c.items()) for n, c in curves.items()}
show(fig, alt="Agreement of clusters with true people within each action, over the number of groups. "
     f"With four groups: synthetic: {words['synthetic']}. Real: {words['real']}.")

# %% tags=["hide-input"]
for name, values in words.items():
    print(f"{name}, four groups an action: {values}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Posture comes closest: bones and a way to sit are a signature that no action hides. Take it away, as
# one does to recognise skeletons, and less of the person is left. On a wrist, too, clusters stay far below the
# ceiling. So groups of style have more to do with people than random groups have, and yet **they are not people**.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What did they find?

# %% [markdown] slideshow={"slide_type": "notes"}
# With synthetic people we can ask what the clips of a group have in common, because we know each person's
# traits. Take one trait $f$, say tempo; each clip has its person's value. **Eta squared** (the correlation
# ratio) is the share of the trait's variance within an action that lies *between* its groups:

# %% [markdown]
# $$ \eta^2 = \frac{\sum_g n_g \, (\bar f_g - \bar f_{y(g)})^2}{\sum_i (f_i - \bar f_{y_i})^2} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand, one action: groups {1, 3} and {3, 5} have means 2 and 4 about 3: $(2 + 2) / (4 + 0 + 0 + 4) = 0.5$.

# %%
def deviations(values, label):
    """Sum of squares of what is left of ``values (n, ...)`` without the mean of each label."""
    return sum(((v := values[label == k]) - v.mean(0)).__pow__(2).sum(0) for k in np.unique(label))


def eta_squared(trait, group, y):
    return 1 - deviations(trait, group) / deviations(trait, y)


print(eta_squared(np.array([1.0, 3, 3, 5]), np.array([0, 0, 1, 1]), np.zeros(4)))

# %% [markdown] slideshow={"slide_type": "notes"}
# How large by chance? Clips of one person are not independent, so we shuffle *people*: everybody gets
# somebody else's trait, a thousand times. What 95 % of the shuffles stay below is the yardstick.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Eleven traits. With which do clusters of the first layer go together? And behind TFAM, which
# > puts clips on a common clock and takes half of their size out?

# %% slideshow={"slide_type": "skip"}
TRAITS = {
    "amplitude": people.amplitude, "tempo": people.tempo, "onset": people.onset,
    "asymmetry": people.asymmetry, "tremor, size": np.log(people.tremor_amplitude),
    "tremor, rate": people.tremor_rate, "sway, size": np.log(people.sway_amplitude),
    "sway, rate": people.sway_rate, "handedness": people.left,
    "co-motion": np.abs(people.comotion).mean((1, 2)), "direction": np.abs(people.direction).mean(1),
}

# %% slideshow={"slide_type": "skip"}
def explained(layer, shuffles=1000):
    """Eta squared of each trait with the groups, and the 95 % point under shuffling."""
    clips, rng = CROWDS["synthetic"], np.random.default_rng(seed)
    group = StyleGroups().find(STYLES["synthetic"][layer], as_clips(clips), seed).numpy()
    order = np.stack([np.arange(crowd)] + [rng.permutation(crowd) for _ in range(shuffles)], 1)
    ratios = [eta_squared(trait[order][clips.person], group, clips.y) for trait in TRAITS.values()]
    return np.array([(r[0], np.quantile(r[1:], 0.95)) for r in ratios])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ratios = {layer: explained(layer) for layer in ("layer 1", "layer 1 behind TFAM")}
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
rows_at = np.arange(len(TRAITS))[::-1]
for ax, (layer, values) in zip(axes, ratios.items(), strict=True):
    ax.barh(rows_at, values[:, 0], color="C0")
    ax.plot(values[:, 1], rows_at, "|", color="C4", ms=12, mew=2, label="95 % of shuffles")
    ax.set(xlabel="eta squared", title=layer)
axes[0].set_yticks(rows_at, TRAITS)
axes[1].legend(fontsize=8)
beyond = {layer: [f"{t} {v:.2f}" for t, (v, limit) in zip(TRAITS, values, strict=True) if v > limit]
          for layer, values in ratios.items()}
words = [f"{layer}, beyond chance: {', '.join(found) or 'nothing'}" for layer, found in beyond.items()]
show(fig, alt="Share of each personal trait that lies between the groups of an action, beside the 95 % "
     f"point of shuffled people. {'; '.join(words)}.")
print("\n".join(words))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The clusters capture movement *style*: how *large* one moves, amplitude above all, and in a larger
# crowd the size of tremor and sway. Some of it is left behind TFAM, which takes out half of the amplitude. Tempo,
# which makes recognition hard (chapter 03), has a small part: a mean and a deviation over time do not say when.
# (Of eleven traits one may well cross its line by luck: each does so once in twenty times.)
#
# If GIRL is to do anything, its groups must differ in *risk*. Risks also differ from action to action, so we take
# apart what lies between actions and what lies between the groups of an action:

# %% slideshow={"slide_type": "skip"}
clips, y = CROWDS["synthetic"], torch.as_tensor(CROWDS["synthetic"].y)
log_p = torch.as_tensor(predict(models["synthetic"], clips)).clamp_min(1e-7).log()
losses = -log_p[torch.arange(len(y)), y]
style_1 = STYLES["synthetic"]["layer 1"]
group = StyleGroups().find(style_1, as_clips(clips), seed)

# %% slideshow={"slide_type": "skip"}
def mean_in(label, values):
    """Each clip's mean of ``values (n,)`` over all clips with its label."""
    return (torch.bincount(label, values) / torch.bincount(label).clamp_min(1))[label]


by_action = mean_in(y, losses)
rows = [["between actions", "", f"{by_action.std() / losses.mean():.2f}"]]
for name, source in (("style", StyleGroups()), ("random", RandomGroups())):
    found = source.find(style_1, as_clips(clips), seed)
    sizes, apart = found.unique(return_counts=True)[1], mean_in(found, losses) - by_action
    rows.append([f"between {name} groups of an action", f"{sizes.min()} to {sizes.max()}",
                 f"{apart.std() / losses.mean():.2f}"])
show_table(["risks of training clips, plain training", "clips in a group", "deviation / mean"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# Actions differ most. The row *random* is what noise gives groups of these sizes. What *style* has beyond it is all
# that GIRL can get hold of besides the actions themselves.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Hard clips

# %% [markdown] slideshow={"slide_type": "notes"}
# The abstract says that GIRL up-weights "hard boundary cases". The **margin** of a clip is the score (logit) of
# its true class minus the largest other score. It has a sign: below zero the clip is recognised wrong. By hand,
# three clips of the first class with scores $(5, 0, 0)$, $(2, 2, 0)$ and $(0, 5, 0)$: margins $5$, $0$, $-5$. The
# first is safe, the second on the **boundary**, the third wrong beyond doubt. With $\beta = \tau = 1$

# %% [markdown]
# $$ m_i = z_{i y_i} - \max_{k \ne y_i} z_{ik}, \qquad h_i \propto 1 + \beta \, \sigma(-m_i / \tau) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# they get $1.007$, $1.5$ and $1.993$, with $\sigma$ the logistic function. Divided by their mean, weights
# average 1 in each batch. They are constants for back-propagation.

# %%
def margin_by_hand(logits, y):
    rows = torch.arange(len(y))
    others = logits.detach().clone()
    others[rows, y] = -torch.inf
    return logits.detach()[rows, y] - others.amax(1)


def hard_by_hand(logits, y, beta=1.0, tau=1.0):
    h = 1 + beta * torch.sigmoid(-margin_by_hand(logits, y) / tau)
    return h / h.mean()

# %% slideshow={"slide_type": "skip"}
from piumar_lib.group_robust import hard_weights, true_class_margin

three, first_class = torch.tensor([[5.0, 0, 0], [2, 2, 0], [0, 5, 0]]), torch.zeros(3, dtype=torch.long)
print(margin_by_hand(three, first_class), hard_by_hand(three, first_class))
scores, target = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed)), torch.arange(8) % 5
torch.testing.assert_close(margin_by_hand(scores, target), true_class_margin(scores, target))
torch.testing.assert_close(hard_by_hand(scores, target, 3, 0.5), hard_weights(scores, target, 3, 0.5))

# %% [markdown] slideshow={"slide_type": "notes"}
# A natural alternative is the gap between the *two largest* scores. That gap has no sign: the third clip's is 5, so it would count as little as the first.
#
# The sign has a price. A **mislabelled** clip looks confidently wrong, too. But no weight exceeds $1 + \beta$ times
# another, so if a share $\epsilon$ of the labels is wrong, they carry at most
# $\epsilon (1 + \beta) / (1 + \epsilon \beta)$ of the weight.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** We give 5 % of the real training clips a wrong label, and train. What share of the weight do they
# > get with the [signed margin](glossary.md#signed-margin), at $\beta = 1$: 5 %, close to the bound of 9.5 %, or more? And by the gap of the
# > two largest scores?

# %% slideshow={"slide_type": "skip"}
from dataclasses import replace

real_clips = CROWDS["real"]
rng = np.random.default_rng(seed)
flipped = rng.permutation(len(real_clips)) < 0.05 * len(real_clips)
shift = rng.integers(1, real_clips.classes, len(real_clips))
given = np.where(flipped, (real_clips.y + shift) % real_clips.classes, real_clips.y)
noisy = train(replace(real_clips, y=given), real_epochs)

# %% slideshow={"slide_type": "skip"}
logits = torch.as_tensor(predict(noisy, real_clips)).clamp_min(1e-30).log()  # equal up to a constant
margins = true_class_margin(logits, torch.as_tensor(given)).numpy()
top = logits.topk(2).values
WEIGHTS = {"signed margin": 1 + 1 / (1 + np.exp(margins)),
           "two largest": 1 + torch.exp(top[:, 1] - top[:, 0]).numpy()}
carried = {name: 100 * w[flipped].sum() / w.sum() for name, w in WEIGHTS.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 3))
for (name, w), color in zip(WEIGHTS.items(), ("C0", "C4"), strict=True):
    for mine, marker in ((~flipped, "."), (flipped, "x")):
        ax.plot(margins[mine], w[mine], marker, color=color, ms=4 if marker == "." else 6,
                label=f"{name}, {'right' if marker == '.' else 'wrong'} label")
ax.set(xlabel="signed margin [logits]", ylabel="weight before division")
ax.legend(fontsize=8)
show(fig, alt="Weight over signed margin. By the signed margin a falling S from 2 to 1; by the two "
     "largest scores a peak at zero, with all sorts of weights on the left of it. Most clips with a "
     "wrong label lie on the left.")

# %% tags=["hide-input"]
wrong = margins < 0
print(f"wrong labels: {100 * flipped.mean():.1f} % of the clips; of the weight "
      + ", ".join(f"{v:.1f} % ({n})" for n, v in carried.items()))
print(f"recognised wrong: {100 * wrong.mean():.1f} % of the clips; of the weight "
      + ", ".join(f"{100 * w[wrong].sum() / w.sum():.1f} % ({n})" for n, w in WEIGHTS.items()))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** With the signed margin wrong labels get close to what the bound allows, unless the network has
# learnt them by heart. The gap of the two largest scores is more careful with them, and for the same reason it
# passes over what the network gets confidently wrong. One cannot have both: a margin does not know whether the
# label or the network is mistaken. The log of attempts below compares the two on people.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Running group risks

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: in a batch, losses 1 and 2 nats in group A, 4 in group B, nobody of group C, and 7 classes. Guessing
# costs $\log 7 = 1.95$ nats. So the batch says $1.5 / 1.95 = 0.77$ of A and $2.06$ of B. If all groups had risk 1
# so far, an **exponential moving average** with momentum $\mu = 0.9$ makes it $0.98$, $1.11$, and still 1 for C:

# %% [markdown]
# $$ \tilde R_g \leftarrow \mu \tilde R_g + (1 - \mu) \, R_g, \qquad
# R_g = \frac{1}{n_g \log K} \sum_{i: g_i = g} \ell_i \qquad \text{if } n_g > 0 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# with $n_g$ the clips of $g$ in the batch.

# %% [markdown]
# - **Scale-free.** $\ell_i$ is the cross-entropy of the decision, and $K$ the number of classes. So 1 means guessing,
#   with 7 classes as with 52. If there are two views, training adds their losses; this **group risk** does not.
# - **Absent groups** keep what they have. Dividing by $n_g = 0$ would poison every gradient with NaN.
# - All groups begin with the risk of all clips and leave it as evidence comes in: after one batch by a tenth.

# %% slideshow={"slide_type": "skip"}
from torch.nn.functional import cross_entropy


def running_by_hand(running, logits, y, group, momentum=0.9):
    cost = cross_entropy(logits, y, reduction="none") / np.log(logits.shape[1])
    running = running.clone()
    for g in group.unique():
        running[g] = momentum * running[g] + (1 - momentum) * cost[group == g].mean()
    return running

# %% [markdown] slideshow={"slide_type": "notes"}
# On MA-52 a batch has 10 to 16 clips, and there are 52 actions in a long tail; with four groups each, 208 groups.
# Let us draw batches from its training list's class counts. A clip's loss is its group's true risk times an
# exponential variable. What does the worst case see of the true differences? We measure the cosine between the
# weights' departures from the shares, by estimated and by true risks: 1 if the adversary aims right, 0 if at noise.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Batches of 16. How many groups are in one, with how many clips each? And what is the cosine for risks
# > of a single batch, and for running risks after one epoch and after ten?

# %% slideshow={"slide_type": "skip"}
from piumar_lib import dro
from piumar_lib.data.actions import all_actions

counts = np.repeat([max(1, round(a.frequency / 4)) for a in all_actions()], 4)
member = torch.repeat_interleave(torch.arange(len(counts)), torch.as_tensor(counts))
pi = torch.as_tensor(counts / counts.sum())
generator = torch.Generator().manual_seed(seed)
truth = (0.3 * torch.randn(len(counts), generator=generator, dtype=torch.float64)).exp()


def aim(risks):
    a, b = (dro.chi_square(r, 0.05, pi).weights / pi - 1 for r in (risks, truth))
    return (pi @ (a * b) / ((pi @ a**2) * (pi @ b**2)).sqrt()).item()

# %% slideshow={"slide_type": "skip"}
def updated(running, rows, momentum):
    """Running risks after a batch of clips ``rows``; also of how many groups it has clips."""
    group = member[rows]
    losses = truth[group] * -torch.rand(len(rows), generator=generator, dtype=torch.float64).log()
    count = torch.bincount(group, minlength=len(pi))
    now = torch.bincount(group, losses, len(pi)) / count.clamp_min(1)
    return torch.where(count > 0, now.lerp(running, momentum), running), (count > 0).sum().item()


def order():
    return torch.randperm(len(member), generator=generator)

# %% slideshow={"slide_type": "subslide"}
even, rows = torch.ones(len(pi), dtype=torch.float64), []
for size in (10, 16, 64):
    single, present = zip(*(updated(even, order()[:size], 0.0) for _ in range(100)), strict=True)
    running, after = even, []
    for _ in range(10):
        for batch_rows in order().split(size):
            running, _ = updated(running, batch_rows, 0.9)
        after.append(aim(running))
    cosines = np.mean([aim(r) for r in single]), after[0], np.mean(after[-5:])
    rows.append([f"{size} clips", float(np.mean(present)), f"{size / np.mean(present):.2f}",
                 *(f"{v:.2f}" for v in cosines)])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
show_table(["batch", "groups in it, of 208", "clips of each", "cosine, one batch", "running, 1 epoch",
            "running, epochs 6 to 10"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** A batch of 16 has clips of about 15 groups: those are judged by one clip each, all others by none. Taken
# at its word, a batch says next to nothing about 208 groups; running risks say much more. They are no oracle either:
# an average over some 19 clips of exponential losses still errs by a quarter. Larger batches help little: what counts
# is how many clips a group's average has seen.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## GIRL, all together

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: two groups with shares $0.8$ and $0.2$ and running risks $0.5$ and $1$. Mean $0.6$, variance
# $V = 0.8 \cdot 0.1^2 + 0.2 \cdot 0.4^2 = 0.04$. In a ball of radius $\rho = 0.05$ the worst weights are, relative to
# the shares, $1 + \sqrt{2 \rho / V} \, (\tilde R_g - 0.6)$: that is $0.84$ and $1.63$. This is chapter 06's
# proposition, with groups of unequal size. All of it at once, with $\pi$ the shares of the groups:

# %% [markdown]
# $$ L = \frac1n \sum_i \frac{q_{g_i}}{\pi_{g_i}} \, h_i \, \ell_i, \qquad
# q = \arg \max_p \sum_g p_g \tilde R_g $$
#
# $$ \text{with} \quad \frac12 \sum_g \pi_g \Bigl( \frac{p_g}{\pi_g} - 1 \Bigr)^2 \le \rho, \qquad
# p_g \ge 0, \qquad \sum_g p_g = 1 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# With $\rho = 0$ and $\beta = 0$ this is plain training. All weights are constants for back-propagation.

# %% slideshow={"slide_type": "subslide"}
def worst_by_hand(risks, shares, rho):
    """Right as long as no weight is negative; beyond that the library's closed form clips at zero."""
    away = risks - shares @ risks
    return shares * (1 + (2 * rho / (shares @ away**2)) ** 0.5 * away)


two_risks, two_shares = torch.tensor([0.5, 1.0]), torch.tensor([0.8, 0.2])
q = worst_by_hand(two_risks, two_shares, 0.05)
print(q / two_shares)
torch.testing.assert_close(q, dro.chi_square(two_risks, 0.05, two_shares).weights)

# %%
def girl_by_hand(logits, y, group, running, shares, rho=0.05):
    losses = cross_entropy(logits, y, reduction="none")
    running = running_by_hand(running, logits.detach(), y, group)
    q = worst_by_hand(running, shares, rho)
    assert q.min() >= 0
    return ((q / shares)[group] * hard_by_hand(logits, y) * losses).mean(), running

# %% [markdown] slideshow={"slide_type": "notes"}
# A batch of 16 clips that lacks the last of four groups, after a first epoch. The library's class gets the same
# scores; its groups are given as "people".

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same
from piumar_lib.recognizer import Prediction

torch.manual_seed(seed)
place = torch.arange(32)
who = torch.cat([place[:16] % 4, torch.tensor([0] * 4 + [1] * 4 + [2] * 8)])
batch = Batch(torch.zeros(32, 5, 3), place % 6, who, place)
objective = GroupRobustObjective(PersonGroups())
objective.start(None, batch, Settings())


def library_risk(logits, clips):
    losses = cross_entropy(logits, clips.y, reduction="none")
    return objective.risk(losses, Prediction(logits, early_features=clips.x), clips)

# %% slideshow={"slide_type": "skip"}
library_risk(2 * torch.randn(16, 6), batch.take(place[:16]))
objective.before_epoch(batch, 1)
begun, late = (objective.running, objective.shares), batch.take(place[16:])
print("shares", objective.shares.tolist(), "running risks", objective.running.tolist())
assert_same(lambda z: girl_by_hand(z, late.y, late.person, *begun)[0],
            lambda z: library_risk(z, late), 2 * torch.randn(16, 6))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### What the radius costs

# %% [markdown] slideshow={"slide_type": "notes"}
# Relative to plain training a clip has weight $v_i = q_{g_i} / \pi_{g_i}$. The **effective sample size** (Kish), the
# number of equally weighted clips that would average as well, is

# %% [markdown]
# $$ n_{\mathrm{eff}} = \frac{(\sum_i v_i)^2}{\sum_i v_i^2} = \frac{n}{\sum_g \pi_g (q_g / \pi_g)^2} \ge
# \frac{n}{1 + 2 \rho} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# with equality on the edge of the ball, where the adversary always is if risks differ at all. So $\rho = 0.05$ gives
# up 9 % of the clips' worth, $\rho = 0.2$ nearly a third, whether the differences are real or noise.
#
# Move the knobs. The groups are those of the synthetic crowd.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from piumar_lib.notebook import fixed_figure

group, count = group.unique(return_inverse=True, return_counts=True)[1:]
shares, risks = count / count.sum(), torch.bincount(group, losses) / count / np.log(clips.classes)
margin = true_class_margin(log_p, y)


def draw_weights(left, right, radius, beta, line="o"):
    v = dro.chi_square(risks, radius, shares).weights / shares
    h = hard_weights(log_p, y, beta)
    left.plot(risks, v, line, ms=4, label=f"$\\rho$ = {radius:g}")
    right.plot(margin.clip(-8, 12), h, line, ms=3, label=f"$\\beta$ = {beta:g}")
    w = v[group] * h
    return 100 * (w.sum() ** 2 / w.square().sum() / len(w)).item()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw(radius=0.05, beta=1.0):
    fig, (left, right) = fixed_figure(7, 3, columns=2)
    effective = draw_weights(left, right, radius, beta)
    left.set(xlabel="risk of a group [guessing = 1]", ylabel="weight $q_g / \\pi_g$", ylim=(-0.1, 4))
    right.set(xlabel="margin of a clip [logits]", ylabel="weight $h_i$", ylim=(0, 4))
    left.set_title(f"effective: {effective:.0f} % of the clips", loc="left")
    show(fig, alt=f"Radius {radius:g}, beta {beta:g}: weights of groups over their risks, of clips over "
         f"their margins; {effective:.0f} % of the clips are effective.")


draw()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import interact

interact(draw, radius=(0.0, 1.0, 0.05), beta=(0.0, 5.0, 0.5));

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
words = []
for (radius, beta), line in zip(((0.0, 0.0), (0.05, 1.0), (0.5, 3.0)), (".", "o", "x"), strict=True):
    effective = draw_weights(left, right, radius, beta, line)
    words.append(f"radius {radius:g} and beta {beta:g}: {effective:.0f} % effective")
left.set(xlabel="risk of a group [guessing = 1]", ylabel="weight $q_g / \\pi_g$")
right.set(xlabel="margin of a clip [logits]", ylabel="weight $h_i$")
left.legend(fontsize=8)
right.legend(fontsize=8)
show(fig, alt="Left: weight of a group over its risk, a line that rises more steeply with a larger "
     "radius. Right: weight of a clip over its margin, a falling S. " + "; ".join(words) + ".")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### GIRL in pseudocode
#
# ```text
# given  clips with classes; a model; G groups an action, radius rho,
#        hardness beta and temperature tau, momentum mu
# all clips in one group;  pi, q, R~ <- 1
# for each epoch
#     before the second one, once:
#         subtract each action's mean from the styles in the bank, and divide by their spread
#         groups <- k-means within each action
#         pi, q <- shares of the groups;  R~ <- the risk of all clips, for each of them
#     for each batch
#         logits, early features <- model(batch)
#         in the first epoch:  bank[batch] <- mean and deviation over time of the early features    no gradient
#         l_i <- cross-entropy;  with two views, of decision and views
#         for every group that is present                                                           no gradient
#             R~_g <- mu R~_g + (1 - mu) (mean cross-entropy of the decision) / log K
#         q <- worst weights in the chi-square ball of radius rho around pi, at R~                  no gradient
#         m_i <- logit of the true class - largest other logit                                      no gradient
#         h_i <- 1 + beta sigmoid(-m_i / tau), divided by its mean over the batch                   no gradient
#         loss <- mean over i of  (q / pi)_g(i) h_i l_i
#         one step of the optimiser on the loss
# ```

# %% [markdown] slideshow={"slide_type": "notes"}
# No line of it mentions a person. The styles cost a mean and a deviation in the first epoch; the clustering,
# once, is the only other expense.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Positive control: a case that GIRL must win

# %% [markdown] slideshow={"slide_type": "notes"}
# Would such a loss protect a group at all? Before people, a **positive control**: a case that was made for it. Two
# noisy channels oscillate, and their *frequency* is the class. Two more hold an *offset*, as a sensor does that is
# worn the other way round. In 95 % of the training clips the offset agrees with the class; it is far easier to learn,
# and says nothing. Who leans on it fails for the **minority**, whose offset disagrees. Test clips have as many of them
# as of the others. (Across, the figure shows how much power a clip has at the two classes' frequencies, which a
# network has to find out first.)

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data import spurious

toy = spurious.make_clips(400, seed=seed)
power = np.abs(np.fft.rfft(toy.x[:, :, :2], axis=1)) ** 2  # classes have 2 and 3.5 cycles
faster = np.log(power[:, 3:5].sum((1, 2)) / power[:, 2].sum(1))
offset = toy.x[:, :, 2:].mean((1, 2))

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5, 3))
for group, name in enumerate(("slow, disagrees", "slow, agrees", "fast, disagrees", "fast, agrees")):
    mine = toy.person == group  # 2 class + agrees
    ax.scatter(faster[mine], offset[mine], s=14 if group % 2 else 40, marker=".x"[1 - group % 2],
               color=f"C{group // 2}", label=f"{name}: {100 * mine.mean():.1f} %")
ax.set(xlabel="log power at the fast over the slow frequency", ylabel="offset, mean over the clip")
ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt="Each point a clip: across, how fast it oscillates, upwards, its offset. Slow clips lie "
     "left, fast ones right. Nearly all slow ones have an offset near -0.5, fast ones near 0.5; of each "
     "class 2.5 % have the other's.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** In the worst of the four groups, how far do true groups lift accuracy over plain [ERM](glossary.md#erm)? What part of that
# > do groups of style recover, which nobody has named, and what part do random groups? And hard clips, without any
# > group?

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.evidence.positive_control import OBJECTIVES, positive_control, recovered
from piumar_lib.evidence.records import RESULTS, read_records

control = positive_control(range(seed, seed + run.pick(quick=2, full=3)), progress=False)
record = read_records(RESULTS / "positive-control.jsonl")
means = {row: [100 * np.mean([r[key] for r in control if r["row"] == row]) for key in ("worst", "mean")]
         for row in OBJECTIVES}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
show_table(["accuracy [%]", "worst group", "all groups", "of true groups' gain", "record of 10 seeds"],
           [[row, *means[row], *(f"{recovered(r, row):.2f}" for r in (control, record))]
            for row in OBJECTIVES])

# %% slideshow={"slide_type": "skip"}
assert min(recovered(r, "style groups") for r in (control, record)) >= 2 / 3
assert recovered(record, "random groups") <= 1 / 4 and recovered(control, "random groups") <= 1 / 2

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** ERM fails for the minority, true groups repair most of it, groups of style nearly as much, random groups
# next to nothing. So the loss does what it was made for, *if* the groups can be seen in the clips' style and the
# minority is among the training clips. Hard clips help on their own, as the minority is hard; so the four rows above
# them, which differ in their groups alone, do without. Both together are the default.
#
# What carries over to people? There the minority that counts is a person who is *not* in training, and people are
# not a style that clusters find, as we saw.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it does in training

# %% [markdown] slideshow={"slide_type": "notes"}
# Four ways to fill the groups, at the library's defaults $G = 4$, $\rho = 0.05$, $\beta = \tau = 1$, $\mu = 0.9$.
# *Random groups* are **the control**: everything but groups that mean something. *True people* are **the oracle**,
# which uses names. *Actions as groups* only see which actions are hard. MA-52's training people *are* known, so
# there the oracle is possible, and a fair rival.
#
# Twenty synthetic people are trained on. (With a path in `data`, your people take their place.)

# %% slideshow={"slide_type": "skip"}
if data:
    training = yours
else:
    at = 80 + 10 * seed
    training = synthetic.make_clips(synthetic.make_people(20, seed=at), clips_each, seed=at)
logs = {
    "styles": Logged(), "random groups": Logged(RandomGroups()), "true people": Logged(PersonGroups()),
    "actions as groups": Logged(StyleGroups(1)),
}
for objective in logs.values():
    train(training, epochs, objective)

# %% [markdown]
# > **Predict.** Do the weights of random groups stay nearer to 1? And how much of the weights is about actions?

# %% slideshow={"slide_type": "subslide"}
def inside(objective):
    """Deviation and lowest of weights after the first epoch; share of the last's between actions."""
    v = torch.stack([weight for weight in objective.log if len(weight) > 1]).cpu()
    last = v[-1][objective.group.cpu()].numpy()
    about_actions = eta_squared(last, training.y, 0 * training.y)
    deviation = ((v - 1) ** 2 @ objective.shares.cpu()).sqrt().mean()
    return [f"{deviation:.2f}", f"{v.min():.2f}", f"{100 * about_actions:.0f} %"]


rows = [[name, *inside(objective)] for name, objective in logs.items()]
show_table(["weights of groups", "deviation", "lowest", "of clips' weights: between actions"], rows)
lowest = min(row[2] for row in rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The weights of random groups do not stay nearer to 1: the adversary goes to the edge of the ball, at a
# deviation of $\sqrt{2 \rho} = 0.32$, whatever it finds there. And what it finds, with groups within actions, is in
# good part the actions: the last column. Random groups have that part, too; they lack only the style. No weight
# is ever negative; in the easiest groups it may be zero.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Unseen people

# %% [markdown] slideshow={"slide_type": "notes"}
# Whom does it help? The records of [chapter 09](09_evidence.ipynb) answer, nine sets of real people. *PIUmr over TFAM*
# is what GIRL adds, with TFAM's hyperparameters held. *PIUmr over random groups* is what the **clusters** add:
# $\beta$, $\rho$ and the sizes of the groups are the same on both sides.

# %% [markdown]
# > **Predict.** How many points does GIRL add? And how many of these do random groups add as well?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.evidence import contrasts, forest, protocol, tables, wording

PIUMR, REFERENCES = "PIUmr + augmentation", {
    "TFAM": "TFAM + augmentation", "random groups": "PIUmr, random groups + augmentation"}
study = {form: contrasts.read(protocol.REAL, form) for form in protocol.FORMS}
pooled = {f"over {short}, {form}": contrasts.compare(records, PIUMR, reference)
          for short, reference in REFERENCES.items() for form, records in study.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
own = {name: found for name, found in pooled.items() if "own tempo" in name}
fig, words = forest.draw_side_by_side(own)
fig.supxlabel("PIUmr, same unseen people [points]", fontsize=10)
show(fig, alt=f"Forest plot of PIUmr over TFAM and over random groups, by data set and pooled. {words}")

# %% tags=["hide-input"]
for name, found in pooled.items():
    print(f"PIUmr {name:<30} {wording.points(found)} points")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Nothing that matters, and random groups add it as well. All four are equivalent within a point:
# `PIUmr + augmentation` over `TFAM + augmentation` on `real people, own tempo`: +0.3 points [-0.1, +0.7], and
# `PIUmr + augmentation` over `TFAM + augmentation` on `real people, one length`: -0.1 points [-0.3, +0.2];
# against random groups `PIUmr + augmentation` over `PIUmr, random groups + augmentation` on `real people, own
# tempo`: +0.1 points [-0.1, +0.4], and `PIUmr + augmentation` over `PIUmr, random groups + augmentation` on
# `real people, one length`: -0.1 points [-0.3, +0.1]. This is no lack of power: GIRL's weights move as they
# should, and the positive control shows what they could do. But strangers are in no group of the training
# people, and hard groups there are mostly hard actions.
#
# ### The log of attempts
#
# While GIRL's defaults were sought, every attempt was logged, on people for development alone: none of them
# is judged on again. Most attempts stand on top of TFAM with augmentation. TFAM's hyperparameters are held, so
# that a line compares the loss and nothing else. *A group left out in each step* comes nearest to "unseen
# distributions": a step is judged on clips of a group that it did not see (meta-learning). First the gain over the
# same training without GIRL; then over the control with random groups. (Mean paired difference over people, with
# its 95 % interval.)

# %% slideshow={"slide_type": "skip"}
ALONE = ("GIRL alone", "GIRL with augmentation")
OVER_TFAM = (
    "PIUmr, defaults", "radius 0: hard clips alone", "radius 0.02", "radius 0.2", "groups alone",
    "hard clips count three times more", "1 group a class: actions as groups", "2 groups a class",
    "8 groups a class",
    "exponentiated gradient", "groups by pairwise similarity", "a group left out in each step",
    "margin without sign", "margin of similarities", "true people as groups",
)
tables.show_development([*ALONE, *OVER_TFAM])
tables.show_development([*ALONE, *OVER_TFAM], over="control")

# %% slideshow={"slide_type": "skip"}
from piumar_lib.evidence import development

attempts, said = development.read_log(), []
for over, words in (("against", "the same without GIRL"), ("control", "random groups")):
    cells = {f"{a}, {pool}": development.outcome(attempts[a], pool, over)
             for a in (*ALONE, *OVER_TFAM) if a in attempts for pool in development.POOLS}
    up = [name for name, cell in cells.items() if cell and cell.low > 0]
    down = [name for name, cell in cells.items() if cell and cell.high < 0]
    of = sum(cell is not None for cell in cells.values())
    said.append(f"over {words}: {len(up)} of {of} intervals lie above zero, {len(down)} below")
    print(f"{said[-1]}; better: {wording.listed(up)}; worse: {wording.listed(down)}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Each interval misses the truth once in twenty times, on either side once in forty. So count before you believe a
# single one: of eighty intervals around nothing at all, two lie above zero. What GIRL gains on the twenty real people
# at one length, random groups gain as well: over these no attempt is ahead.
#
# [Chapter 09](09_evidence.ipynb) judges GIRL on people whom nothing was developed on.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What is established, and what is not
#
# - **By proof** and by the assertions above: what GIRL computes, and that it is the worst average of group risks in a
#   ball, with no negative weight.
# - **By a case made for it**: where the minority shows in the style and is among the training clips, GIRL protects
#   it nearly as well as true groups do.
# - **By measuring**: groups of style are not people but ways to move.
# - **Not established**: that it helps strangers. They are in no training group, and resemble a reweighting of groups
#   only in part.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: pairs
#
# *20 minutes, medium.*
#
# Write `pair_index(a, b)`: the [adjusted Rand index](glossary.md#adjusted-rand-index) by counting pairs, from two arrays of group numbers. Chance
# is the agreement of two groupings that keep their group sizes but are shuffled: with shares $\alpha$ and
# $\gamma$ of pairs together in $a$ and in $b$, it is $\alpha \gamma + (1 - \alpha)(1 - \gamma)$.

# %% tags=["exercise"]
def pair_index(a, b):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.pair_index(pair_index)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def pair_index(a, b):
#     first, second = np.triu_indices(len(a), 1)
#     in_a, in_b = a[first] == a[second], b[first] == b[second]
#     agree, alpha, gamma = (in_a == in_b).mean(), in_a.mean(), in_b.mean()
#     chance = alpha * gamma + (1 - alpha) * (1 - gamma)
#     return (agree - chance) / (1 - chance)
# ```
#
# Without the correction even shuffled groups agree on most pairs: most pairs are apart in both.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: the control
#
# *15 minutes, medium.*
#
# Write `by_lot(group, y, rng)`: groups for the control. Within each class the members change places at random, so
# that each group keeps its size and its class; `rng` is a NumPy generator. Do not change `group` itself.

# %% tags=["exercise"]
def by_lot(group, y, rng):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.by_lot(by_lot)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def by_lot(group, y, rng):
#     drawn = group.copy()
#     for k in np.unique(y):
#         drawn[y == k] = rng.permutation(group[y == k])
#     return drawn
# ```
#
# New numbers for the same groups would be no control at all: names of groups mean nothing.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 3: half of the weight for a tenth of the clips
#
# *20 minutes, hard.*
#
# Write `strength_for(margins, temperature)`: the $\beta$ at which the tenth of clips with the smallest signed margins
# carries half of the *whole* weight $\sum_i h_i$; infinity if no $\beta$ does.

# %% tags=["exercise"]
def strength_for(margins, temperature):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.strength_for(strength_for)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def strength_for(margins, temperature):
#     extra = torch.sigmoid(-margins.sort().values / temperature)
#     tenth = len(margins) // 10
#     lacking = len(margins) / 2 - tenth
#     gained = extra[:tenth].sum() - extra.sum() / 2
#     return lacking / gained if gained > 0 else float("inf")
# ```
#
# The tenth has weight $n/10 + \beta E_{\mathrm{tenth}}$, all clips have $n + \beta E$: set the one to half of the
# other. If the tenth holds less than half of the extra weight $E$, no $\beta$ is enough; only a smaller $\tau$ is.
# Ask it about this chapter's clips: `strength_for(torch.as_tensor(margins), 1.0)`.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
for name, lines in curves.items():
    print(f"- Four groups an action, {name}: agreement with people {lines['layer 1'][1]:.2f}, "
          f"ceiling {lines['ceiling'][1]:.2f}, random groups {max(lines['random groups'][1], 0):.2f}.")
top_trait = list(TRAITS)[ratios["layer 1"][:, 0].argmax()]
print(f"- What they are instead: ways to move. {top_trait} leads with an eta squared of "
      f"{ratios['layer 1'][:, 0].max():.2f}, tempo has {ratios['layer 1'][1, 0]:.2f}.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
four_ways = ("ERM", "true groups", "style groups", "random groups")
print("- GIRL by hand and by library agree in value and gradient; lowest weight of a group in training: "
      f"{lowest}; 5 % wrong labels carry {carried['signed margin']:.1f} % of hard clips' weight.")
print("- A case made for it, accuracy in the worst group: "
      + ", ".join(f"{way} {means[way][0]:.0f} %" for way in four_ways) + ".")
for name, found in pooled.items():
    print(f"- Unseen people, PIUmr {name}: {wording.points(found)} points.")
print("- Log of attempts, " + "; ".join(said) + ".")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | GIRL is "applied to the aligned features" | style behind the alignment | `pseudo_groups.style_of` | `test_pseudo_groups.py` | mean and deviation over time of the first layer behind TFAM, seen in the first epoch |
# | "pseudo-groups" | residual style, k-means within each action | `pseudo_groups.residual_style`, `pseudo_groups.StyleGroups`, `pseudo_groups.GroupSource` | `test_pseudo_groups.py` | four an action, found once. Measured: not people, but ways to move |
# | simulates "challenging unseen distributions" | worst weighting of groups | `group_robust.GroupRobustObjective` | `test_group_robust.py` | reweightings of groups *seen*; leaving a group out is tried in the log of attempts |
# | up-weights "hard boundary cases" | hard clips | `group_robust.hard_weights`, `group_robust.true_class_margin` | `test_group_robust.py` | signed margin; at most $1 + \beta$ times as much |
# | subgroup variance is regularised | chi-square ball | `group_robust.GroupRobustObjective`, `dro.chi_square` | `test_group_robust.py` | running risks over $\log K$; equal to mean plus deviation while all weights are positive (chapter 06) |
# | generalises "beyond easy or frequent samples" | actions as groups | `pseudo_groups.StyleGroups(each=1)` | `test_pseudo_groups.py` | groups within actions, so rare and hard actions gain weight; nothing looks at frequency itself |
# | (silent) does it protect groups at all? | positive control | `positive_control.positive_control`, `positive_control.recovered` | `test_positive_control.py` | a spurious offset; groups of style recover what true groups gain |
# | (silent; reviewers asked for true people) | the oracle | `pseudo_groups.PersonGroups` | `test_pseudo_groups.py` | a control, here and in chapter 09 |
# | (silent) random groups | the control | `pseudo_groups.RandomGroups` | `test_pseudo_groups.py` | the same number and sizes |
# | (silent; reviewers asked for pseudocode) | the box | `group_robust.GroupRobustObjective.risk` | `test_group_robust.py` | ours |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261),
#    2025.
# 2. X. Huang, S. Belongie. *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.*
#    [arXiv 1703.06868](https://arxiv.org/abs/1703.06868), 2017. Style as mean and deviation.
# 3. K. Zhou, Y. Yang, Y. Qiao, T. Xiang. *Domain Generalization with MixStyle.*
#    [arXiv 2104.02008](https://arxiv.org/abs/2104.02008), 2021.
# 4. L. Hubert, P. Arabie. *Comparing partitions.* Journal of Classification 2, 1985.
# 5. S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang. *Distributionally Robust Neural Networks for Group
#    Shifts.* [arXiv 1911.08731](https://arxiv.org/abs/1911.08731), 2020. With known groups.
# 6. N. Sohoni, J. Dunnmon, G. Angus, A. Gu, C. Ré. *No Subclass Left Behind.*
#    [arXiv 2011.12945](https://arxiv.org/abs/2011.12945), 2020. Clusters of features, then GroupDRO.
# 7. T. B. Hashimoto, M. Srivastava, H. Namkoong, P. Liang. *Fairness Without Demographics in Repeated Loss
#    Minimization.* [arXiv 1806.08010](https://arxiv.org/abs/1806.08010), 2018. No groups at all.
