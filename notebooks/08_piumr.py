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

# %% [markdown]
# # 08 · PIUmr
#
# All parts together: whom does the whole method recognise, whom does it leave behind, and why?
#
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [05 consistency-driven fusion](05_consistency_fusion.ipynb), [07 pseudo-groups](07_pseudo_groups.ipynb) |
# | you will build | the whole method, its loss taken apart, and an examination of the people it fails on |
# | device | any laptop |
#
# After this chapter you can
#
# - assemble and train PIUmr in a few lines, and recompute its loss term by term,
# - judge it on unseen people, by the mean and by the worst quarter, beside what it has to beat,
# - find out why a person is not recognised: by looking, by comparing, and by changing one thing at a time.

# %% tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, used instead of SPAR
seed = 0

# %%
from piumar_lib.course import show, show_table, start
from piumar_lib.data import load_npz, require

run = start(profile)
if data:
    require(load_npz(data), people=2)
populations = run.pick(quick=(5,), full=(5, 6, 7, 8, 9))
clips_each, fresh_each, copies = run.pick(quick=(20, 60, 200), full=(40, 100, 400))
epochs, thin = run.pick(quick=15, full=20), run.pick(quick=4, full=2)

# %% [markdown]
# ## The idea in one figure
#
# A clip comes in twice: once on a common clock (chapter 03), once with a shaken spectrum (chapter 04).
# Both go through the same layers and are fused by how well they agree (chapter 05). The loss does not
# take the plain mean over clips: it looks at groups of similar style, and leans towards those that are
# worst off (chapters 06 and 07).
#
# The synthetic people below are new to this course: 40 to learn from, 20 unseen ones in each population.

# %%
from piumar_lib import folds

FOLD = f"synthetic:people=40,clips={clips_each}"
train, unseen, kind = folds.load_fold(FOLD, populations[0])
print(f"{len(train)} clips {train.x.shape[1:]} of {len(train.people)} people to learn from,",
      f"{len(unseen)} of {len(unseen.people)} unseen people")

# %%
import numpy as np
import torch

from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch

x, y = torch.as_tensor(train.x), torch.as_tensor(train.y)
x = (x - x.mean((0, 1))) / x.std((0, 1))
wave = train.class_names.index("waving")
WRIST = 2 * 10 + 1  # height of the right wrist
shown = int(torch.where(y == wave, x[:, :, WRIST].std(1), 0).argsort()[-6])
torch.manual_seed(seed)
aligned, perturbed = TFAM(TemporalBranch(34), FrequencyBranch(probability=1.0)).views(x, y)

# %%
def box(ax, x, y, width, height, text, once=False):
    """A box of the diagram; dashed if it exists in training only."""
    ax.add_patch(plt.Rectangle((x, y), width, height, fc="w", ec="C1" if once else "C0", lw=1.4,
                               ls="--" if once else "-"))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=8)


def arrow(ax, start, end, once=False):
    ax.annotate("", end, start, arrowprops={
        "arrowstyle": "->", "color": "C1" if once else "0.35", "ls": "--" if once else "-"})


def curve(ax, x, y, clip, title):
    inset = ax.inset_axes([x, y, 15, 11], transform=ax.transData)
    inset.plot(clip.detach()[:, WRIST], lw=1.2)
    inset.set(xticks=[], yticks=[])
    inset.set_title(title, fontsize=8, pad=2)

# %%
def draw_flow(ax, second, title, learning):
    ax.set(xlim=(0, 101), ylim=(-16 if learning else 6, 45))
    ax.axis("off")
    ax.set_title(title, loc="left", fontsize=10)
    curve(ax, 0, 18, x[shown], "a clip")
    curve(ax, 22, 29, aligned[shown], "common clock (03)")
    curve(ax, 22, 8, second, "shaken spectrum (04)" if learning else "the clip itself")
    box(ax, 45, 8, 11, 32, "shared\nlayers")
    box(ax, 65, 19, 14, 10, "gate, fusion\n(05)")
    box(ax, 86, 19, 14, 10, "decision")
    for a, b in (((15, 26), (22, 33)), ((15, 22), (22, 15)), ((37, 34), (45, 30)), ((37, 14), (45, 18)),
                 ((56, 30), (65, 26)), ((56, 18), (65, 22)), ((79, 24), (86, 24))):
        arrow(ax, a, b)

# %%
import matplotlib.pyplot as plt

fig, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5.4), height_ratios=(60, 38))
draw_flow(top, perturbed[shown], "training", learning=True)
box(top, 62, 36, 20, 8, "views agree:\n$J$, $V$ (03, 05)", True)
box(top, 30, -15, 28, 11, "style of early features:\npseudo-groups (07)", True)
box(top, 68, -15, 32, 11, "GIRL: boundary clips, worse\ngroups, even risks (06, 07)", True)
for a, b in (((56, 38), (62, 40)), ((50, 8), (50, -4)), ((58, -10), (68, -10)), ((93, 19), (93, -4))):
    arrow(top, a, b, once=True)
draw_flow(bottom, x[shown], "an unseen person", learning=False)
show(fig, alt="In training a clip splits into a view on the common clock and a view with a shaken "
     "spectrum; both pass the same layers, a gate fuses them, and dashed boxes add the loss: "
     "agreement of views, pseudo-groups from early features, GIRL. For an unseen person the dashed "
     "boxes are gone: the clip itself is the second view.")

# %% [markdown]
# Dashed is what exists in training only. The shaking does, too: below, the clip itself takes its place.
# To recognise an unseen person the method needs one clip: no label, no name, no other clips. Beside the
# network's own weights it keeps three numbers: the clock's floor and the gate's slope and bias.
#
# Keep the lower row in mind. **Whatever GIRL and the shaken spectra achieve must be in the weights** when
# training ends. Only the common clock still does something for somebody new.
#
# ## One training step
#
# | | the step | built in |
# |---|---|---|
# | 1 | before each epoch: cluster the style statistics of all clips, as last seen, into $G$ groups | [07](07_pseudo_groups.ipynb) |
# | 2 | draw a batch of 64 clips with their classes $y$ | [01](01_person_shift.ipynb) |
# | 3 | first view: each clip on the common clock, half an amplitude step | [03](03_temporal_alignment.ipynb) |
# | 4 | second view: half of the clips with shaken spectra | [04](04_spectral_perturbation.ipynb) |
# | 5 | both views through the same layers, mean over time: features $a$ and $b$ | [05](05_consistency_fusion.ipynb) |
# | 6 | fuse: $z = g \, \tfrac12 (a + b) + (1 - g) \min(a, b)$ with gate $g$ | [05](05_consistency_fusion.ipynb) |
# | 7 | each clip's loss: $\ell_i = C(z_i) + \tfrac12 (C(a_i) + C(b_i))$, cross-entropies | [05](05_consistency_fusion.ipynb) |
# | 8 | boundary weights $w_i = 1 + \beta e^{-\mathrm{margin}_i / \tau}$ | [07](07_pseudo_groups.ipynb) |
# | 9 | group risks $R_g = \sum_{i \in g} w_i \ell_i / \sum_{i \in g} w_i$, and their running means $\tilde R_g$ | [07](07_pseudo_groups.ipynb) |
# | 10 | group weights, at first the groups' shares $\pi_g$ of the clips: $q_g \leftarrow q_g e^{\eta \tilde R_g}$, normalised | [06](06_robust_optimisation.ipynb) |
# | 11 | loss $L = \sum_g q_g R_g + \lambda \sum_g s_g R_g + J + \mu V$, with $s$ the slope of the deviation of $\tilde R$ | [06](06_robust_optimisation.ipynb), [05](05_consistency_fusion.ipynb) |
# | 12 | keep the style statistics of this batch for line 1 | [07](07_pseudo_groups.ipynb) |
# | 13 | one step of AdamW along $-\nabla L$ | [01](01_person_shift.ipynb) |
#
# Two chapters' symbols meet here. $J$ and $V$ are chapter 05's consistency and regulariser, $V$ now with
# weight $\mu$, because $\lambda$ is the deviation's. Chapter 07's running risks $J_g$ are written
# $\tilde R_g$ here, its shares $a_g$ are $\pi_g$, its variance $V(R)$ is $\mathrm{Var}$, and its momentum
# is a plain 0.9.
#
# Without lines 1, 8 to 10 and 12, and with the plain mean of $\ell$ in line 11, this is TFAM. With one
# view instead of lines 3 to 6 it is GIRL. With neither it is ERM.

# %% [markdown]
# ## The assembly
#
# Every part is a class that an earlier chapter built. So the method is an expression:

# %%
from piumar_lib.backbones import tiny_cnn
from piumar_lib.girl import GIRL
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict

few = train.take(np.arange(300))
torch.manual_seed(seed)
tfam = TFAM(TemporalBranch(34), FrequencyBranch())
mine = Recognizer(tiny_cnn(34), width=32, classes=train.classes, plug=tfam)
fit(mine, few, Settings(epochs=3, seed=seed), GIRL());

# %% [markdown]
# For comparisons one wants all methods by name, with their hyperparameters in one table. That is
# `methods`: `resolve` collects the values, `build` makes the recogniser, `settings` says how to train.
# The same seed must give the same weights:

# %%
from piumar_lib import methods

knobs = methods.resolve("PIUmr", {"epochs": 3})
theirs = methods.build("PIUmr", 34, train.classes, knobs, seed)
fit(theirs, few, methods.settings("PIUmr", knobs, kind, seed), methods.METHODS["PIUmr"].objective(knobs))
assert mine.state_dict().keys() == theirs.state_dict().keys()
assert all(torch.equal(a, theirs.state_dict()[name]) for name, a in mine.state_dict().items())
print(f"all {sum(p.numel() for p in mine.parameters())} weights are equal after training")

# %%
import inspect

print(inspect.getsource(methods.build))

# %% [markdown]
# And these are the values that the method needs. None of them was chosen on people of this chapter. In the
# symbols of the table of steps: `groups` is $G$, `step` $\eta$, `weight` $\lambda$, `boundary` $\beta$,
# `temperature` $\tau$, `regulariser` $\mu$. `supervision` is the $\tfrac12$ of line 7, `probability` the
# half of line 4, `amplitude_step` that of line 3; `momentum` belongs to the running means.

# %%
table = methods.knobs_of("PIUmr").items()
show_table(["knob", "default", "a search tries", "according to"],
           [[n, f"{k.default:g}", ", ".join(f"{v:g}" for v in k.values), k.source] for n, k in table])

# %% [markdown]
# Each of these lines could have been otherwise. The paper publishes none of them; chapter 09 shows how
# sensitive the results are.
#
# ## Train five methods
#
# We train everything now and take the loss apart afterwards, on a trained model. Beside PIUmr stand its
# two halves, plain ERM, and plain augmentation, which any method has to beat to be worth its lines.

# %%
def learn(method, clips, kind, epochs):
    """Train a method by name; returns model and objective (which remembers its groups)."""
    knobs = methods.resolve(method, {"epochs": epochs})
    model = methods.build(method, clips.x.shape[-1], clips.classes, knobs, seed)
    objective = methods.METHODS[method].objective(knobs)
    fit(model, clips, methods.settings(method, knobs, kind, seed), objective, run.device)
    return model, objective

# %%
from piumar_lib import metrics


def by_person(model, clips):
    correct = predict(model, clips, device=run.device).argmax(1) == clips.y
    return metrics.accuracy_by_person(correct, clips.person)

# %% [markdown]
# For each population we keep the people themselves, too: `make_people` draws styles, `make_clips` lets
# them act. The clips of `load_fold` are made just so, which the assertion confirms. *Known people* are
# judged on clips that training never saw.

# %%
from piumar_lib.data import synthetic

NAMES = ("ERM", "augmentation", "TFAM", "GIRL", "PIUmr")
crowds, strangers, models, objectives = {}, {}, {}, {}
scores = {name: {"known": {}, "unseen": {}} for name in NAMES}

# %%
for number in populations:
    clips, new, _ = folds.load_fold(FOLD, number)
    crowds[number] = synthetic.make_people(40, number)
    strangers[number] = synthetic.make_people(20, 1000 + number)
    assert (synthetic.make_clips(strangers[number], 40, seed=1000 + number).x == new.x).all()
    more = synthetic.make_clips(crowds[number], 20, seed=2000 + number, person_offset=100 * number)
    for name in NAMES:
        model, objectives[number, name] = learn(name, clips, kind, epochs)
        models[number, name] = model
        scores[name]["known"] |= by_person(model, more)
        scores[name]["unseen"] |= by_person(model, new)

# %% [markdown]
# ## The loss, taken apart
#
# $$ L = \underbrace{\sum_g q_g R_g}_{\text{weighted risk}} + \underbrace{\lambda \sum_g s_g R_g}_{\text{deviation}} + \underbrace{J}_{\text{consistency}} + \underbrace{\mu V}_{\text{regulariser}}, \qquad
# s_g = \pi_g \frac{\tilde R_g - \overline{R}}{\sqrt{\mathrm{Var}(\tilde R)}} $$
#
# with $\pi_g$ the share of clips in group $g$, and mean $\overline R$ and variance of the running risks
# $\tilde R$ taken with these shares. Without running means, that is with $\tilde R = R$, the sum
# $\sum_g s_g R_g$ *is* the deviation of $R$. With them, the slope is that of calmer risks.
#
# By hand. Two groups; A has two clips with losses $0.2$ and $1.0$ and boundary weights $1$ and $2$; B has
# one clip with loss $0.6$. Then $R_A = (0.2 + 2 \cdot 1.0) / 3 = 0.733$ and $R_B = 0.6$. Let the groups be
# equally large, $\pi = q = (\tfrac12, \tfrac12)$: two numbers deviate from their mean by half their
# distance, $0.067$, and $s = (\tfrac12, -\tfrac12)$. With $\lambda = 0.1$: $0.667 + 0.0067 = 0.673$.

# %%
from piumar_lib import dro, girl

members = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
risks = girl.group_risks(torch.tensor([0.2, 1.0, 0.6]), torch.tensor([1.0, 2.0, 1.0]), members)
print(f"R = {risks[0]:.3f}, {risks[1]:.3f}; L = {risks.mean() + 0.1 * dro.deviation(risks):.4f}")

# %% [markdown]
# Now the real thing. First lines 3 to 6, for a batch of trained PIUmr's clips. The branches and layers
# are the model's; everything else is written out.

# %%
def forward_by_hand(model, x, y):
    """Frames of the first view, and features z (fused), a, b."""
    first, second = model.plug.views((x - model.mean) / model.scale, y)
    frames = model.backbone(torch.cat([first, second])).chunk(2)
    a, b = (view.mean(1) for view in frames)
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    g = torch.sigmoid(model.plug.fusion.weight * cosine + model.plug.fusion.bias)[:, None]
    return frames[0], (g * (a + b) / 2 + (1 - g) * torch.minimum(a, b), a, b)

# %% [markdown]
# Lines 7 to 10, with GIRL's defaults $\beta = \tau = 1$, $\eta = 0.01$, momentum $0.9$:

# %%
def groups_by_hand(objective, scores, losses, index):
    """Group risks, group weights q and slopes s."""
    best, second = scores.detach().topk(2).values.T
    w = 1 + (second - best).exp()
    m = objective.membership[index]
    risks = (m.T @ (w * losses)) / (m.T @ w)
    running = 0.9 * objective.past_risks + 0.1 * risks.detach()
    q = objective.q * (0.01 * running).exp()
    shares = objective.membership.mean(0)
    away = running - shares @ running
    return risks, q / q.sum(), shares * away / (shares @ away.square()).sqrt()

# %% [markdown]
# Consistency and regulariser, as chapters 05 and 03 define them:

# %%
def consistency_by_hand(a, b):
    p, q = a.softmax(1), b.softmax(1)
    m = (p + q) / 2
    return ((p * (p / m).log() + q * (q / m).log()).sum(1) / 2).mean()


def regulariser_by_hand(frames, y):
    mean, sd = frames.mean(1), (frames.var(1, unbiased=False) + 1e-8).sqrt()
    law = torch.cat([mean, sd], 1)
    centre = torch.stack([law[y == k].mean(0) for k in y])
    return (law - centre).square().sum(1).mean() / frames.shape[-1]

# %%
def terms_by_hand(model, objective, batch):
    frames, features = forward_by_hand(model, batch.x, batch.y)
    scores = [model.head(f) for f in features]  # decision, first view, second view
    ce = [-s.log_softmax(1).gather(1, batch.y[:, None])[:, 0] for s in scores]
    losses = ce[0] + 0.5 * (ce[1] + ce[2])
    risks, q, s = groups_by_hand(objective, scores[0], losses, batch.index)
    return {
        "weighted risk": q @ risks, "deviation": 0.1 * (s @ risks),
        "consistency": consistency_by_hand(*scores[1:]),
        "regulariser": 0.01 * regulariser_by_hand(frames, batch.y),
    }

# %% [markdown]
# The library's side is `objective.loss(model, batch)`. It changes running means, so we work with copies.
# The batch has 16 clips of each group, and both sides draw the same noise.

# %%
import copy

from piumar_lib.objective import Clips, Objective

first = populations[0]
model = copy.deepcopy(models[first, "PIUmr"]).train()
weights = list(model.parameters())
clips = Clips(*(torch.as_tensor(v, device=run.device) for v in (
    train.x, train.y, train.person, np.arange(len(train)))))


def gradient(objective, batch):
    """Loss of a batch and its gradient, one long vector; the objective stays as it was."""
    torch.manual_seed(seed)
    loss = copy.deepcopy(objective).loss(model, batch)
    return loss, torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])

# %%
objective = objectives[first, "PIUmr"]
groups = objective.membership.argmax(1)
torch.manual_seed(seed)
order = torch.randperm(len(clips), device=run.device)
sixteen = [order[groups[order] == g][:16] for g in range(4)]
batch = clips.take(torch.cat(sixteen))

# %%
torch.manual_seed(seed)
terms = terms_by_hand(model, objective, batch)
total = sum(terms.values())
ours = torch.cat([g.flatten() for g in torch.autograd.grad(total, weights, retain_graph=True)])
library, theirs = gradient(objective, batch)
torch.testing.assert_close(total, library)
torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
print(f"loss {total.item():.4f}: equal in value, and in the gradient of all {len(ours)} weights")

# %% [markdown]
# Equal to the library, so these four terms are all there is.
#
# > **Predict.** Which of the four pulls hardest at the weights of this trained model? And the deviation of
# > group risks, the term that the abstract is about: does it pull as hard as the rest together, a tenth, a
# > hundredth?

# %%
def pull(term):
    found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None]).norm().item()


pulls = {name: pull(term) for name, term in terms.items()}
share = 100 * pulls["deviation"] / pulls["weighted risk"]

# %%
fig, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(7, 2.4))
left.barh(list(terms), [t.item() for t in terms.values()], color="C0")
right.barh(list(terms), list(pulls.values()), color="C1", hatch="///", edgecolor="white")
left.invert_yaxis()
left.set(xlabel="value [nats; regulariser: own units]", title="what it adds to the loss")
right.set(xlabel="length of its gradient", title="how hard it pulls")
show(fig, alt="Values and gradient lengths of the loss's terms on one batch: " + "; ".join(
    f"{name} {terms[name].item():.3f} and {pulls[name]:.3f}" for name in terms) + ".")

# %% [markdown]
# And all of GIRL together: how far does it turn a step away from the step that TFAM would make on the same
# batch? Cosine 1 is the same direction. For comparison: how much does the direction change from one batch
# to the next?

# %%
plain = Objective(objective.views)
drawn = [clips.take(order[k * 64 : k * 64 + 64]) for k in range(8)]
steps = [(gradient(objective, b)[1], gradient(plain, b)[1]) for b in drawn]
cosine = torch.nn.functional.cosine_similarity
turn = np.mean([cosine(a, b, dim=0).item() for a, b in steps])
noise = np.mean([cosine(a[1], b[1], dim=0).item() for a, b in zip(steps, steps[1:], strict=False)])
print(f"deviation pulls {share:.0f} % as hard as the weighted risk")
print(f"cosine of PIUmr's step with TFAM's on the same batch {turn:.2f},",
      f"of TFAM's steps on two batches {noise:.2f}")

# %% [markdown]
# **Compare.** The two cosines say how much room GIRL has at its default settings: where the first is near 1
# and the second is not, the luck of the batch turns a step more than the whole of GIRL does. Then do
# not expect PIUmr and TFAM to differ much on average. At the end of training the training people are
# mostly learnt, and groups that are all well leave nothing to even out.
#
# ## Unseen people, worst people
#
# > **Predict.** Order the five: ERM, augmentation, TFAM, GIRL, PIUmr. Is the order the same for people that
# > the recogniser knows and for unseen ones? For the mean and for the worst quarter?

# %%
from piumar_lib import plots

summary = {n: {k: metrics.summarise(list(v.values())) for k, v in s.items()} for n, s in scores.items()}
of_known, of_unseen = ([100 * summary[n][k].mean for n in NAMES] for k in ("known", "unseen"))
fig, ax = plt.subplots()
plots.known_and_unseen(ax, NAMES, of_known, of_unseen)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(fig, alt="Accuracy on new clips of known people and on unseen people: " + "; ".join(
    f"{n} {a:.0f} and {b:.0f} %" for n, a, b in zip(NAMES, of_known, of_unseen, strict=True)) + ".")

# %%
rows = []
for name in NAMES:
    s, gap = summary[name]["unseen"], summary[name]["known"].mean - summary[name]["unseen"].mean
    interval = metrics.interval(s.low, s.high)
    rows.append([name, 100 * s.mean, interval, 100 * s.worst_quarter, 100 * s.worst, 100 * gap])
show_table(["unseen people [%]", "mean", "95 % over people", "worst quarter", "worst person",
            "known minus unseen"], rows)

# %% [markdown]
# Means of methods differ by little, people by a lot. So compare person by person. One family of five
# questions, fixed beforehand: each method against ERM, and PIUmr against augmentation.

# %%
from piumar_lib.course import tables

pairs = [(name, "ERM") for name in NAMES[1:]] + [("PIUmr", "augmentation")]
contrasts = {
    f"{a} minus {b}": tables.paired(scores[a]["unseen"], scores[b]["unseen"]) for a, b in pairs
}
judged = tables.correct(contrasts)

# %%
fig, ax = plt.subplots(figsize=(7, 2.4))
words = plots.effects(ax, contrasts)
show(fig, alt=f"Paired differences over {summary['ERM']['unseen'].people} unseen people, in points, "
     f"with 95 % intervals: {words}.")

# %%
for name, j in judged.items():
    print(f"{name:<24} {tables.points(j.comparison):<19} p {j.p:.3f}: {j.verdict}")

# %% [markdown]
# **Compare.** The right column is all that this run establishes. "Not established" means that these people
# cannot tell, not that there is no difference. An interval is of one comparison alone and of its mean;
# p is of ranks, and corrected for five comparisons. So an interval may leave out zero although the
# verdict is "not established". Two cautions: the unseen people of one population are judged by one
# trained model, whose luck they share; and hyperparameters are defaults here. Chapter 09 searches them
# for every method alike, on more people, with five seeds.
#
# ## Real people, one left out at a time
#
# SPAR's ten people, their repetitions brought to one length. One person is left out, the others teach; in
# `quick` for two of the ten, in `full` for all. (A path in `data` puts your own people in their place.)
#
# > **Predict.** Repetitions of one length, so tempo is gone. Will PIUmr still gain over ERM? Over
# > augmentation?

# %%
from collections import Counter

real = data or "spar-repetitions"
RIVALS = ("ERM", "augmentation", "PIUmr")
mistakes = {}  # of PIUmr: person to pairs of classes (true, said)
left_out = {name: {} for name in RIVALS}
for fold in list(folds.folds(real))[:: run.pick(quick=5, full=1)]:
    known, person, sort = folds.load_fold(real, fold)
    known = known.thinned(thin) if data else known.take(np.arange(len(known)) % thin == 0)
    for name in RIVALS:
        model, _ = learn(name, known, sort, epochs)
        left_out[name] |= by_person(model, person)
    said = predict(model, person, device=run.device).argmax(1)
    for p, true, answer in zip(person.person.tolist(), person.y.tolist(), said.tolist(), strict=True):
        mistakes.setdefault(p, Counter()).update([(true, answer)] if true != answer else [])

# %%
fig, ax = plt.subplots(figsize=(7, 3))
plots.two_by_person(ax, left_out["PIUmr"], left_out["ERM"], ("PIUmr", "ERM"))
ax.legend()
both = tables.correct({f"PIUmr minus {other}": tables.paired(left_out["PIUmr"], left_out[other])
                       for other in RIVALS[:2]})
better = sum(left_out["PIUmr"][p] > left_out["ERM"][p] for p in left_out["ERM"])
show(fig, alt=f"{len(left_out['ERM'])} people left out one after the other: {better} of them are "
     "recognised better by PIUmr than by ERM. " + "; ".join(
         f"{n} {tables.points(j.comparison)} points" for n, j in both.items()) + ".")

# %%
for name in RIVALS:
    values = 100 * np.array(list(left_out[name].values()))
    print(f"{name:<14} mean {values.mean():.1f} %, worst person {values.min():.1f} %")
for name, j in both.items():
    print(f"{name:<24} {tables.points(j.comparison):<19} p {j.p:.3f}: {j.verdict}")

# %% [markdown]
# **Compare.** Two questions, two answers: read both printed lines. With two people no test can say
# anything: of four ways to toss two coins, two are as extreme as any result. With ten, nearly everybody
# must go the same way. In profile `full` (SPAR, seed 0) that happens once, and not in PIUmr's favour:
# against augmentation it loses. Against ERM nothing is established. There the figure shows what a mean
# hides: lines that go up beside lines that go down. The committed records of chapter 09 have all ten people with
# five seeds and searched hyperparameters.

# %% [markdown]
# ## The paper's first figure, measured
#
# Why should a recogniser fail on new people? The paper's first figure argues with three measurements, and gives no
# formula. Ours, on the person who is left out:
#
# - **Cross-talk.** Noise in space (a tenth of each channel's deviation) upsets features of *motion*: how much does the
#   mean step between the features' frames change, relative to its size? And a warped tempo upsets features of
#   *frequency*: how much does the entropy of the features' spectrum change, whose largest value is 1?
# - **Margins.** For each clip the mean cosine similarity of its features to clips of the same class, minus that to the
#   nearest other class. The paper's pile up at zero.
# - **Sharpness.** How much does the training loss rise if the weights go 0.05 along its gradient? A flat minimum is said
#   to generalise better.
#
# Beside TFAM as this chapter has it stands its second version, with augmentation: a clock with nearly no uniform part, a
# perturbation that keeps power, a gate that moves (`piumar_lib.temporal_frequency`).
#
# > **Predict.** Which of the three does a common clock lessen? Do margins of real people pile up at zero?

# %%
from piumar_lib import diagnostics

LOOKED_AT = ("ERM", "augmentation", "TFAM", "TFAM 2 + augmentation")


def look(model, known, person):
    """Cross-talk and margins on a person left out, sharpness on 256 training clips."""
    model.eval()
    x, y = (torch.as_tensor(v, device=run.device) for v in (person.x, person.y))
    fit_x, fit_y = (torch.as_tensor(v[:256], device=run.device) for v in (known.x, known.y))
    talk = diagnostics.cross_talk(x, lambda clips: model(clips).frames[0])
    rise = diagnostics.sharpness(
        lambda: torch.nn.functional.cross_entropy(model(fit_x).logits, fit_y), [*model.parameters()])
    again = torch.bincount(y)[y] > 1  # a margin needs another clip of the class, and a second class
    if len(y[again].unique()) < 2:
        return talk, torch.empty(0), rise
    with torch.no_grad():
        margins = diagnostics.class_margins(model(x[again]).features, y[again])
    return talk, margins.cpu(), rise

# %%
looks = {name: [] for name in LOOKED_AT}
for fold in list(folds.folds(real))[:: run.pick(quick=10, full=3)]:
    known, person, sort = folds.load_fold(real, fold)
    known = known.thinned(thin) if data else known.take(np.arange(len(known)) % thin == 0)
    for name in LOOKED_AT:
        model, _ = learn(name, known, sort, epochs)
        looks[name].append(look(model, known, person))

# %%
margins_of = {name: torch.cat([m for _, m, _ in found]) for name, found in looks.items()}
rows = []
for name, found in looks.items():
    m = margins_of[name]
    talk = 100 * np.mean([t for t, _, _ in found], axis=0)
    near = 100 * (m.abs() < 0.05).float().mean().item()
    rise = np.mean([r for *_, r in found])
    rows.append([name, *talk, f"{m.mean():.2f}", near, f"{rise:.3f}"])
show_table(["left-out people", "motion under noise [%]", "entropy under warping [%]", "mean margin",
            "margins within 0.05 of 0 [%]", "rise of the loss"], rows)

# %%
fig, ax = plt.subplots(figsize=(7, 2.6))
edges = np.linspace(-0.6, 1, 33)
for name, style in zip(LOOKED_AT, ("-", "--", ":", "-."), strict=True):
    clips_in = 100 * np.histogram(margins_of[name], edges)[0] / max(1, len(margins_of[name]))
    ax.stairs(clips_in, edges, label=name, ls=style, lw=1.5)
ax.axvline(0, color="0.6", lw=1)
ax.set(xlabel="margin: same class minus nearest other class", ylabel="clips, %")
ax.legend(fontsize=8)
below = {name: 100 * (m < 0).float().mean().item() for name, m in margins_of.items()}
show(fig, alt="Distributions of the margins of left-out people's clips, for four methods: a peak at "
     "zero, and a broad rest above it. Below zero: "
     + ", ".join(f"{n} {v:.0f} %" for n, v in below.items()) + ".")

# %% [markdown]
# **Compare.** Read the columns. A common clock lessens cross-talk of both kinds, as it should: what is aligned hardly
# changes when tempo does. The second version resamples to half as many steps, over which a spectrum's entropy moves more
# easily, so compare its column with care. Margins do peak at zero, as the paper's do: actions whose features hardly
# differ, below a broad rest of clips that are far from any other class. No method here moves the peak away. The last
# column is one number a method, from few trainings: ERM's minimum is the sharpest of the four, that of plain augmentation
# the flattest. So on SPAR the paper's first argument holds, and alignment answers it; the second holds, and is not
# answered; the third speaks for augmentation at least as much as for TFAM.

# %% [markdown]
# ## Whom does it leave behind?
#
# Back to synthetic people, of whom we know everything. Sort the unseen ones by how well PIUmr recognised
# them. Somebody is last. Is that a fact about this person, or about these 40 clips? Let everybody act again.
#
# > **Predict.** On new clips, will the worst quarter of people be recognised as before, better, or worse?
# > And the best quarter?

# %%
again = {"ERM": {}, "PIUmr": {}}
for number, crowd_of in strangers.items():
    fresh = synthetic.make_clips(crowd_of, fresh_each, 3000 + number, person_offset=1000 + 100 * number)
    for name in again:
        again[name] |= by_person(models[number, name], fresh)

before, after = scores["PIUmr"]["unseen"], again["PIUmr"]
ranking = sorted(before, key=before.get)
quarter = len(ranking) // 4
last, top_people = ranking[:quarter], ranking[-quarter:]

# %%
fig, ax = plt.subplots(figsize=(7, 2.8))
plots.two_by_person(ax, after, before, ("new clips", "first clips"))
ax.set_xticks([])
ax.legend()
moved = {label: [100 * np.mean([s[p] for p in group]) for s in (before, after)]
         for label, group in (("worst quarter", last), ("best quarter", top_people))}
show(fig, alt=f"Accuracy of {len(ranking)} unseen people on their first clips, sorted, and on new ones. "
     + "; ".join(f"{label} {a:.0f} and then {b:.0f} %" for label, (a, b) in moved.items()) + ".")

# %%
same = len(set(last) & set(sorted(after, key=after.get)[:quarter]))
for label, (a, b) in moved.items():
    print(f"{label}: {a:.1f} % on the clips that ranked them, {b:.1f} % on new clips")
print(f"{same} of the {quarter} worst people are among the worst on new clips, too")

# %% [markdown]
# **Compare.** Both ends move towards the middle: whoever is last was, in part, unlucky. So rank people on one
# set of clips and report on another. What stays low on new clips is a person, and worth an examination.
#
# ## Look: the worst person beside the best
#
# People also choose *what* they do. To compare manners, let both make every action equally often: we hand
# everybody the same habits, and change nothing else.

# %%
import dataclasses

first = populations[0]
crowd, people = crowds[first], strangers[first]
here = [p for p in ranking if p // 100 == 10 + first]  # this population's people, worst first
LOW, HIGH = (p - 1000 - 100 * first for p in (here[0], here[-1]))


def acting(people, action, clips, draw=0):
    """Everybody makes one action, ``clips`` times; the same draw gives everything else alike."""
    only = np.zeros_like(people.habits)
    only[:, action] = 1
    return synthetic.make_clips(dataclasses.replace(people, habits=only), clips, 4000 + draw)

# %%
right = {name: np.zeros((len(people), train.classes)) for name in ("ERM", "PIUmr")}
for action in range(train.classes):
    shown_clips = acting(people, action, 20)
    for name in right:
        scored = by_person(models[first, name], shown_clips)
        right[name][:, action] = list(scored.values())
of_low, of_high = (right["PIUmr"][k] for k in (LOW, HIGH))

# %%
fig, ax = plt.subplots(figsize=(7, 3))
at = np.arange(train.classes)[np.argsort(of_low - of_high)]
ax.bar(np.arange(len(at)) - 0.2, 100 * of_high[at], 0.38, label="best person", **plots.KNOWN)
ax.bar(np.arange(len(at)) + 0.2, 100 * of_low[at], 0.38, label="worst person", **plots.UNSEEN)
ax.set_xticks(range(len(at)), [train.class_names[k] for k in at], rotation=35, ha="right", fontsize=8)
ax.set(ylabel="recognised [%]", ylim=(0, 118))
ax.legend(ncols=2, loc="upper right")
lost = [train.class_names[k] for k in at if of_low[k] < 0.5]
slips = [train.class_names[k] for k in at if of_high[k] < 0.5]
show(fig, alt="Share of 20 clips of each action that PIUmr recognises, best and worst person. Below "
     f"half: of the worst person's actions {', '.join(lost) or 'none'}; of the best person's "
     f"{', '.join(slips) or 'none'}.")

# %% [markdown]
# The worst person is not bad at everything, nor need the best be good at everything: people were ranked
# on what they do often. Take the action with the widest gap, and look at three clips of either person.
# Thin and grey: eight clips of that action by training people, what the recogniser has learnt from.

# %%
gap_at = int(at[0])
both_act = acting(people, gap_at, 3, draw=1)
answers = predict(models[first, "PIUmr"], both_act, device=run.device).argmax(1)
taught = train.x[train.y == gap_at]
channel = int(taught.std(1).mean(0).argmax())  # the one that moves most

# %%
fig, axes = plt.subplots(2, 3, figsize=(7, 3.8), sharex=True, sharey=True)
time = np.arange(both_act.x.shape[1]) / both_act.rate
for row, (who, label) in zip(axes, ((HIGH, "best"), (LOW, "worst")), strict=True):
    for ax, k in zip(row, np.flatnonzero(both_act.person == who), strict=True):
        ax.plot(time, taught[:8, :, channel].T, color="0.8", lw=0.7)
        ax.plot(time, both_act.x[k, :, channel], color="C0" if label == "best" else "C1", lw=1.8)
        ax.set_title(f"taken for: {train.class_names[answers[k]]}", fontsize=8)
    row[0].set_ylabel(f"{label} person\n[torso lengths]", fontsize=9)
for ax in axes[1]:
    ax.set_xlabel("time [s]")
taken = {label: int((answers[both_act.person == who] == gap_at).sum())
         for label, who in (("best", HIGH), ("worst", LOW))}
show(fig, alt=f"Three clips of {train.class_names[gap_at]} by the best and by the worst person, over "
     f"eight of training people. Recognised: {taken['best']} of 3 and {taken['worst']} of 3.")

# %% [markdown]
# One can see *that* the lower row differs: in size, in time, in direction, or by something that moves along.
# One cannot see which of these the recogniser stumbles over. So compare, then intervene.
#
# ## Compare: what is this person like?

# %%
TRAITS = {
    "tempo [1: the generator's middle]": lambda p: np.exp(0.55 * p.tempo),
    "amplitude [1: the generator's middle]": lambda p: np.exp(0.45 * p.amplitude),
    "onset [s]": lambda p: np.clip(0.35 + 0.35 * p.onset, 0.05, 1.2),
    "co-motion [share of the action]": lambda p: np.abs(p.comotion).mean((1, 2)),
    "direction [degrees]": lambda p: np.degrees(np.abs(p.direction).mean(1)),
    "tremor [torso lengths]": lambda p: p.tremor_amplitude,
    "sway [torso lengths]": lambda p: p.sway_amplitude,
    "uses the left side": lambda p: p.left,
}

# %%
def rank(values, value):
    """Share of training people below a value, in percent."""
    return f"{100 * np.mean(values < value):.0f}"


table = []
for label, trait in TRAITS.items():
    usual_values, own_values = trait(crowd), trait(people)
    low, high = own_values[LOW], own_values[HIGH]
    row = [f"{value:.3g}" for value in (np.median(usual_values), high, low)]
    table.append([label, *row, rank(usual_values, high), rank(usual_values, low)])
show_table(["trait", "median of training people", "best", "worst", "best: training people below [%]",
            "worst: training people below [%]"], table)

# %% [markdown]
# Look for numbers near 0 or 100 in the last column: there this person is beyond nearly everybody the
# recogniser learnt from. But a table of one person proves nothing; unusual traits need not be the reason.
#
# ## Change one thing at a time
#
# With real people one would have to guess. Here we can *intervene*: give the people of the worst quarter
# one trait of the middle of the crowd, leave all others and every random draw as they are, let them act
# again, and recognise the clips with the very same models.
#
# $$ \Delta_{p,f} = \mathrm{accuracy}(p \text{ with } f \text{ made usual}) - \mathrm{accuracy}(p) $$
#
# Two traits have no middle: the sign of a direction or of a co-motion is arbitrary, and the middle of both
# signs is none at all. So there we take the trait away. Nobody in the crowd has so little of it: read these
# two bars as the most that could be gained.

# %%
REMOVED = ("comotion", "direction")


def usual_trait(people, crowd, field):
    """People with one trait replaced by the crowd's median, or by none where its sign is arbitrary."""
    values = getattr(people, field)
    middle = 0.0 if field in REMOVED else np.median(getattr(crowd, field))
    return dataclasses.replace(people, **{field: np.full_like(values, middle)})


FIELDS = ("tempo", "onset", "asymmetry", "amplitude", "direction", "comotion", "left",
          "tremor_amplitude", "sway_amplitude")
LABEL = {f: f.removesuffix("_amplitude") for f in FIELDS}
LABEL |= {"left": "handedness", "comotion": "co-motion"}


def made(field):
    return f"{LABEL[field]} {'removed' if field in REMOVED else 'made usual'}"

# %%
def labels_of(number):
    """Person labels of a population's twenty unseen people."""
    return range(1000 + 100 * number, 1020 + 100 * number)


def act_as(people, number):
    """New clips of the worst quarter's people of one population, and their scores under two models."""
    counts = np.array([copies if p in last else 0 for p in labels_of(number)])
    clips = synthetic.make_clips(people, counts, 5000 + number, person_offset=1000 + 100 * number)
    return {name: by_person(models[number, name], clips) for name in ("ERM", "PIUmr")}


# %%
changed = {name: {} for name in ("ERM", "PIUmr")}  # trait to the change of each person, in points
for number, these in strangers.items():
    if not set(last) & set(labels_of(number)):
        continue
    own = act_as(these, number)
    for field in FIELDS:
        repaired = act_as(usual_trait(these, crowds[number], field), number)
        for name, by in changed.items():
            by.setdefault(field, []).extend(100 * (repaired[name][p] - s) for p, s in own[name].items())

# %% [markdown]
# > **Predict.** Which trait, made usual, gives the worst people most back under ERM? And under PIUmr: for which
# > trait should there be *less* to give back, because the method takes care of it already?

# %%
order_of = sorted(FIELDS, key=lambda f: -np.mean(changed["ERM"][f]))
fig, ax = plt.subplots(figsize=(7, 3.6))
for shift, name, style in ((-0.19, "ERM", plots.KNOWN), (0.19, "PIUmr", plots.UNSEEN)):
    rows_at = np.arange(len(order_of)) + shift
    ax.barh(rows_at, [np.mean(changed[name][f]) for f in order_of], 0.36, label=name, **style)
    for k, f in zip(rows_at, order_of, strict=True):
        ax.plot(changed[name][f], np.full(len(changed[name][f]), k), "|", color="0.3", ms=5)
names_of = {f: LABEL[f] + (" (removed)" if f in REMOVED else "") for f in order_of}
ax.set_yticks(range(len(order_of)), names_of.values())
ax.invert_yaxis()
ax.axvline(0, color="0.3", ls=":", lw=1.2)
ax.set_xlabel("change of accuracy when this trait is made usual [points]")
ax.legend(loc="lower right")
words = "; ".join(f"{label} {np.mean(changed['ERM'][f]):+.1f} and {np.mean(changed['PIUmr'][f]):+.1f}"
                  for f, label in names_of.items())
show(fig, alt=f"Change of accuracy of {len(changed['ERM'][order_of[0]])} people when one trait is made "
     f"usual, in points, under ERM and under PIUmr: {words}. Ticks are single people.")

# %%
for name in changed:
    found = {f: metrics.bootstrap_interval(np.array(v)) for f, v in changed[name].items()}
    clear = [f"{LABEL[f]} {np.mean(changed[name][f]):+.1f} [{low:+.1f}, {high:+.1f}]"
             for f, (low, high) in found.items() if low > 0 or high < 0]
    print(f"{name}, interval over people leaves out zero: {', '.join(clear) or 'none'}")

# %%
less = {f: np.array(changed["ERM"][f]) - np.array(changed["PIUmr"][f]) for f in FIELDS}
relieved = [LABEL[f] for f, v in less.items() if metrics.bootstrap_interval(v)[0] > 0]
most = max(less, key=lambda f: less[f].mean())
low, high = metrics.bootstrap_interval(less[most])
negative = sum(v.mean() < 0 for v in less.values())
print(f"ERM minus PIUmr is largest for {LABEL[most]}: {less[most].mean():+.1f} points "
      f"[{low:+.1f}, {high:+.1f}]; it is negative for {negative} of {len(FIELDS)} traits")

# %% [markdown]
# **Compare.** A long bar says: *this* is why these people fail. Where PIUmr's bar is shorter than ERM's, the
# method may have taken some of that burden. Where both are equally long it has not, at least not from these
# people. The largest of nine differences is large by luck, too: trust it only if its interval leaves out
# zero by far.
#
# Look at tempo and amplitude: the common clock and the amplitude step were built for them. If their bars are
# as long as ERM's, the parts exist and these people still fail by that trait; they are, after all, the ones
# whom PIUmr recognises worst.
#
# Single ticks are as telling as the bars: people fail for different reasons, and one person's remedy leaves
# another where they were. Bars or ticks that point left are no mistake: a trait may compensate for another
# one.
#
# Two cautions. The worst quarter is PIUmr's; ERM's would be other people, so do not read ERM's bars as its
# own worst case. And these are synthetic people, whose reasons we built in.
#
# Move the knobs: one person at a time, one trait, from wholly their own to wholly usual.

# %%
def repair_one(rank, trait, usual):
    """A person's place, and everybody with one trait moved part of the way to the usual."""
    full = usual_trait(people, crowd, trait)
    mixed = (1 - usual) * getattr(people, trait) + usual * getattr(full, trait)
    return here[rank - 1] - 1000 - 100 * first, dataclasses.replace(people, **{trait: mixed})


# %%
from piumar_lib.course import fixed_figure


def draw_repair(rank=1, trait="amplitude", usual=1.0):
    who, changed_people = repair_one(rank, trait, usual)
    counts = np.where(np.arange(len(people)) == who, 40, 0)
    fig, ax = fixed_figure(5, 2.2, right=1.4)
    found = {}
    for shift, label, now, style in ((-0.2, "as they are", people, plots.UNSEEN),
                                     (0.2, "changed", changed_people, plots.KNOWN)):
        clips = synthetic.make_clips(now, counts, 6000)
        found[label] = [100 * by_person(models[first, n], clips)[who] for n in ("ERM", "PIUmr")]
        bars = ax.bar(np.arange(2) + shift, found[label], 0.38, label=label, **style)
        ax.bar_label(bars, fmt="%.0f", fontsize=9)
    ax.set_xticks((0, 1), ("ERM", "PIUmr"))
    ax.set(ylabel="recognised [%]", ylim=(0, 115))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    way = "removed" if trait in REMOVED else "usual"
    title = f"person {rank} from the worst, {LABEL[trait]} {100 * usual:.0f} % {way}"
    ax.set_title(title, loc="left", fontsize=10)
    show(fig, alt=f"{title}: PIUmr recognises {found['changed'][1]:.0f} % of 40 clips, "
         f"{found['as they are'][1]:.0f} % before.")


draw_repair()

# %%
from ipywidgets import SelectionSlider, interact

traits = SelectionSlider(options=[(LABEL[f], f) for f in FIELDS], value="amplitude")
interact(draw_repair, rank=(1, 20), trait=traits, usual=(0.0, 1.0, 0.25));

# %%
draw_repair(rank=1, trait="comotion", usual=1.0)

# %% [markdown]
# ### The hardest real person
#
# Real people cannot be repaired like this. What one can do is ask *what* they are taken for. One pair of
# classes that explains most mistakes points to a manner; mistakes all over point to the recording.

# %%
hardest = min(left_out["PIUmr"], key=left_out["PIUmr"].get)
pairs_lost = mistakes[hardest]
names = folds.load_fold(real, 0).train.class_names
for (true, said), count in pairs_lost.most_common(3):
    print(f"{names[true]} taken for {names[said]}: {count} clips")
lost_clips = sum(pairs_lost.values())
share_top = 100 * pairs_lost.most_common(1)[0][1] / lost_clips if lost_clips else 0.0
print(f"person {hardest}: {lost_clips} mistakes, {share_top:.0f} % of them of the first kind")

# %% [markdown]
# ## Exercise 1: the luck of the last
#
# *10 minutes, medium.*
#
# Suppose `people` people are *exactly alike*: each clip is recognised with probability `share`. Everybody has
# `clips` clips. Write `worst_by_luck(share, people, clips, generator)`: the accuracy of the worst of them,
# on average. (Draw a few thousand crowds with a NumPy generator.) How much of the worst person above may be
# luck?

# %%
def worst_by_luck(share, people, clips, generator):
    ...


# %%
from piumar_lib.course import check

check.worst_by_luck(worst_by_luck)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def worst_by_luck(share, people, clips, generator):
#     return generator.binomial(clips, share, (4000, people)).min(1).mean() / clips
# ```
#
# Ask it about the people above: `worst_by_luck(np.mean(list(before.values())), len(before), 40,
# np.random.default_rng(0))`, beside `min(before.values())`. From the mean down to the first number is what
# luck alone can do; what is left down to the second one is the person. (A person may be unlucky, too.)
# </details>

# %% [markdown]
# ## Exercise 2: manner or habit?
#
# *10 minutes, easy.*
#
# Somebody may be badly recognised because of *how* they move, or because they do the difficult actions more
# often. Write `balanced(correct, y)`: the mean over actions (those that occur) of the share of right clips. It
# does not depend on how often somebody does what.

# %%
def balanced(correct, y):
    ...


# %%
check.balanced(balanced)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def balanced(correct, y):
#     return np.mean([correct[y == k].mean() for k in np.unique(y)])
# ```
#
# Where this is much higher than the plain share of right clips, it is the habits; where it is as low, it is
# the manner.
# </details>

# %% [markdown]
# ## What we saw

# %%
mean, worst = ({n: 100 * getattr(summary[n]["unseen"], key) for n in NAMES}
               for key in ("mean", "worst_quarter"))
print(f"- PIUmr is one expression of parts; its loss is {len(terms)} terms, recomputed to the gradient. "
      f"The deviation of group risks pulls {share:.0f} % as hard as the weighted risk.")
both_of = (f"{n} {mean[n]:.1f} and {worst[n]:.1f} %" for n in ("ERM", "augmentation", "PIUmr"))
print(f"- Unseen people, mean and worst quarter: {'; '.join(both_of)}.")
for where, found in (("synthetic people", judged), ("real people, one left out at a time", both)):
    ours = (f"{n} {tables.points(j.comparison)}, {j.verdict}" for n, j in found.items() if "PIUmr" in n)
    print(f"- {where.capitalize()}: {'; '.join(ours)}.")

# %%
crossed = {name: 100 * np.mean([t.motion for t, _, _ in looks[name]]) for name in ("ERM", "TFAM")}
print("- Cross-talk, real people: noise in space changes the features' motion by "
      f"{crossed['ERM']:.1f} % under ERM, by {crossed['TFAM']:.1f} % under TFAM.")
# %%
strongest = max(FIELDS, key=lambda f: np.mean(changed["PIUmr"][f]))
back, (unlucky, fair) = np.mean(changed["PIUmr"][strongest]), moved["worst quarter"]
print(f"- Why people fail: {made(strongest)} gives the worst quarter {back:+.1f} points back, more than "
      f"any other trait. Less to be gained under PIUmr than under ERM, with an interval that leaves out "
      f"zero: {', '.join(relieved) or 'no trait'}.")
print(f"- Some of it was luck: {unlucky:.0f} % on the clips that ranked them, {fair:.0f} % on new ones.")

# %% [markdown]
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | TFAM and GIRL, one framework | the assembly, thirteen lines | `methods.METHODS`, `methods.build` | `test_methods.py` | one small network; defaults in one table |
# | GIRL at loss level | the loss, taken apart | `girl.GIRL`, `objective.Objective` | `test_girl.py`, `test_objective.py` | four terms, their weights |
# | generalises to people never seen | five methods, paired | `training.fit`, `metrics.compare` | `test_training.py`, `test_metrics.py` | synthetic people and SPAR instead of MA-52 |
# | (the paper's first figure) cross-talk, margins, sharp minima | measured on left-out people | `diagnostics.cross_talk`, `diagnostics.class_margins`, `diagnostics.sharpness` | `test_diagnostics.py` | all three formulas |
# | (reviewers: pseudocode) | one training step | `training.fit`, `training.fit_clips` | `test_training.py`, `test_baselines.py` | ours |
# | (reviewers: worst case, per person) | whom it leaves behind, and why | `metrics.summarise` | `test_metrics.py` | intervention on one trait at a time |

# %% [markdown]
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. I. Loshchilov, F. Hutter. *Decoupled Weight Decay Regularization.*
#    [arXiv 1711.05101](https://arxiv.org/abs/1711.05101), 2019. (AdamW)
# 3. F. Galton. *Regression towards mediocrity in hereditary stature.* Journal of the Anthropological
#    Institute 15, 1886.
# 4. J. Pearl. *Causality.* Cambridge University Press, 2nd edition, 2009. Why one intervenes.
# 5. P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur. *Sharpness-Aware Minimization for Efficiently Improving
#    Generalization.* [arXiv 2010.01412](https://arxiv.org/abs/2010.01412), 2021.
