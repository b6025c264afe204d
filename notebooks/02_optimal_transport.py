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
# # 02 · Optimal transport
#
# How far apart are two clips, and which frame of one belongs to which frame of the other?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under half a minute |
# | prerequisites | [00 start here](00_start_here.ipynb); what a gradient is |
# | you will build | Wasserstein distances on a line, Sinkhorn's algorithm in two forms, distances between clouds |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - compute a transport plan on a line by sorting, and for any cost by a linear programme,
# - write [Sinkhorn](glossary.md#sinkhorn) in ten lines, and say what [epsilon](glossary.md#epsilon) does and what it costs,
# - tell which distance sees what: Gaussian, [sliced](glossary.md#sliced), and what none of them sees.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # your own .npz, or a set such as "shrec17": two clips of it take the nods' place at the end
first_clip = 0
second_clip = 1
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, show_table, start

run = start(profile)
data, yours = given(data, people=1, classes=1, clips=1, frames=2)
if data and not 0 <= min(first_clip, second_clip) < max(first_clip, second_clip) < len(yours):
    raise ValueError(f"first_clip, second_clip: {first_clip} and {second_clip} are no two different "
                     f"clips. Choose from 0 to {len(yours) - 1}.")
rounds, most_iterations = run.pick(quick=400, full=2000), run.pick(quick=1000, full=10_000)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# Two synthetic people nod: the slowest and the fastest of eight. We draw the movement they mean to
# make, free of noise, at 25 frames per second. A *clip* is a table: a row for each frame, a column for
# each coordinate of the 17 joints.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib.data import synthetic
from piumar_lib.data.actions import course, teaching_actions

RATE, FRAMES, NOSE = 25, 80, 1
people = synthetic.make_people(8, seed=3)
nodding = next(a for a in teaching_actions() if a.name == "nodding")
seconds = np.arange(FRAMES) / RATE

# %% slideshow={"slide_type": "skip"}
def nod(p):
    """Progress and clip of person p: chapter 01's recipe, tempo (somewhat milder) and onset alone."""
    duration = 1.3 / np.exp(0.45 * people.tempo[p])
    onset = np.clip(0.35 + 0.35 * people.onset[p], 0.05, 1.2)
    phase = np.clip((seconds - onset) / duration, 0, 1)
    way = course(np.array([nodding.course]), phase[None])[0]
    return phase, torch.as_tensor(way[:, None] * nodding.field.ravel())


(slow_phase, slow), (fast_phase, fast) = nod(people.tempo.argmin()), nod(people.tempo.argmax())

# %% [markdown] slideshow={"slide_type": "notes"}
# Below, thin lines join frames that belong together. Nobody marked them: each clip was given a *mass*
# on time (much where much moves, chapter 03 says how), and the mass of one clip was carried to the
# other in the cheapest way. That is [optimal transport](glossary.md#optimal-transport). `line_plan` is this chapter's second section.

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt

from piumar_lib import transport


def line_plan(a, b):
    end_a, end_b = a.cumsum(-1)[..., :, None], b.cumsum(-1)[..., None, :]
    upper = torch.minimum(end_a, end_b)
    lower = torch.maximum(end_a - a[..., :, None], end_b - b[..., None, :])
    return (upper - lower).clamp_min(0)


# %% slideshow={"slide_type": "skip"}
def masses(x, floor=0.02):
    return transport.time_mass(transport.motion_energy(x[None]), floor)[0]


pair_plan = line_plan(masses(slow), masses(fast))

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw_matches(ax, plan, every=3, gap=0.4):
    partner = (plan @ torch.arange(plan.shape[1], dtype=plan.dtype)) / plan.sum(1)
    for t in range(0, len(plan), every):
        k = partner[t].item()
        y = np.interp(k, np.arange(FRAMES), -fast[:, NOSE])
        ax.plot([t / RATE, k / RATE], [gap - slow[t, NOSE], y], color="0.6", lw=0.7)
    ax.plot(seconds, gap - slow[:, NOSE], color="C0", label="slow person")
    ax.plot(seconds, -fast[:, NOSE], color="C4", ls="--", label="fast person")
    ax.set(xlabel="time [s]", ylabel="nose, upward", yticks=[])


# %% tags=["hide-input"]
fig, ax = plt.subplots()
draw_matches(ax, pair_plan)
ax.legend(loc="lower right", ncols=2)
share = (fast_phase > 0) & (fast_phase < 1)
show(fig, alt="Two nods one above the other, joined by thin lines: peak to peak, trough to trough, "
     f"although the slow nod takes {((slow_phase > 0) & (slow_phase < 1)).sum() / RATE:.1f} s and the "
     f"fast one {share.sum() / RATE:.1f} s.")

# %% [markdown] slideshow={"slide_type": "notes"}
# One answer, two parts: a **plan** (which frame belongs to which) and a **distance** (what carrying
# costs). We build both from the ground up: from sorting to Sinkhorn's algorithm.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## On a line, sort

# %% [markdown] slideshow={"slide_type": "notes"}
# Given $n$ numbers $x_i$ and $n$ numbers $y_i$, every $x$ must go to one $y$, each $y$ once. Carrying
# costs the $p$-th power of the way. The cheapest assignment gives the $p$-Wasserstein distance. On a
# line it pairs smallest with smallest, second with second, and so on; $x_{(i)}$ is the $i$-th smallest:

# %% [markdown]
# $$ W_p(x, y) = \left( \tfrac{1}{n} \sum_{i=1}^{n} \vert x_{(i)} - y_{(i)} \vert^p \right)^{1/p} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: $x = (0, 3, 1)$ and $y = (5, 2, 0)$ become $(0, 1, 3)$ and $(0, 2, 5)$. The ways are
# $0, 1, 2$. So $W_1 = 3/3 = 1$ and $W_2 = \sqrt{5/3} = 1.29$.

# %%
def w_by_hand(x, y, p=2):
    way = (torch.sort(x, -1).values - torch.sort(y, -1).values).abs()
    return (way**p).mean(-1) ** (1 / p)


x, y = torch.tensor([0.0, 3, 1]), torch.tensor([5.0, 2, 0])
print(f"W1 {w_by_hand(x, y, 1):.2f}, W2 {w_by_hand(x, y, 2):.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Does the library do the same? One helper asks this question in every section: same values, and the
# same gradients for a random weighting of the outputs.

# %% slideshow={"slide_type": "skip"}
import inspect

from piumar_lib.notebook import assert_same

print(inspect.getsource(assert_same))


# %% slideshow={"slide_type": "subslide"}
from functools import partial

torch.manual_seed(seed)
samples = torch.randn(2, 4, 9, dtype=torch.float64)
for p in (1, 2):
    assert_same(partial(w_by_hand, p=p), partial(transport.wasserstein_1d, p=p), *samples)


# %%
from scipy.stats import wasserstein_distance

theirs = [wasserstein_distance(x, y) for x, y in zip(*samples, strict=True)]
assert np.allclose(transport.wasserstein_1d(*samples, p=1), theirs)
print("W1 agrees with scipy.stats.wasserstein_distance")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Why may we sort? Take $x_1 \le x_2$ and $y_1 \le y_2$. Crossing over costs more than going straight:
#
# $$ (x_1 - y_2)^2 + (x_2 - y_1)^2 - (x_1 - y_1)^2 - (x_2 - y_2)^2 = 2 (x_2 - x_1)(y_2 - y_1) \ge 0 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# So uncross, pair by pair, until nothing crosses. The same holds for every convex cost of the way.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Seven numbers can be assigned in 5040 ways. How many of them beat sorting?

# %% slideshow={"slide_type": "skip"}
from itertools import permutations

rng = np.random.default_rng(seed)
x, y = rng.normal(0, 1, 7), rng.normal(1, 2, 7)
every = np.array(list(permutations(range(7))))
costs = np.square(x - y[every]).mean(1)
by_sorting = np.square(np.sort(x) - np.sort(y)).mean()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
for a, b in zip(np.sort(x), np.sort(y), strict=True):
    left.plot([a, b], [1, 0], "o-", color="C0", lw=1)
left.set(yticks=[0, 1], yticklabels=["$y$", "$x$"], xlabel="value", title="sorted: nothing crosses")
right.hist(costs, 50, color="0.7")
right.axvline(by_sorting, color="C4", label="sorting")
right.set(xlabel="mean squared way", ylabel="assignments", title="all 5040 assignments")
right.legend()
better = int((costs < by_sorting - 1e-12).sum())
show(fig, alt=f"Left: seven points joined in order. Right: mean squared way of all 5040 assignments, "
     f"from {costs.min():.2f} to {costs.max():.2f}; sorting has {by_sorting:.2f}, {better} are better.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** None. Sorting costs $n \log n$ steps instead of $n!$ trials.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Masses on a line: cut where the cumulative sums cut

# %% [markdown] slideshow={"slide_type": "notes"}
# Frames do not weigh the same. Let $a_t$ be masses at $T$ ordered places and $b_k$ at $K$ places; both
# sum to one. A **plan** $P$ is a table of shape $(T, K)$: $P_{tk}$ is what goes from place $t$ to place
# $k$. Row sums are $a$, column sums are $b$. To carry in order, lay both masses out on the interval
# from 0 to 1, with $A_t = a_1 + \dots + a_t$, $A_0 = 0$, and $B_k$ likewise. Then $P_{tk}$ is the
# length of an overlap:

# %% [markdown]
# $$ P_{tk} = \vert \, [A_{t-1}, A_t] \cap [B_{k-1}, B_k] \, \vert $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: $a = (0.5, 0.3, 0.2)$, $b = (0.4, 0.6)$. The first place sends $0.4$ to the first and, as
# that is full, $0.1$ to the second. The others go to the second.

# %%
a = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
b = torch.tensor([0.4, 0.6], dtype=torch.float64)
print(line_plan(a, b))
print("row sums", line_plan(a, b).sum(1).numpy(), "column sums", line_plan(a, b).sum(0).numpy())

# %% [markdown] slideshow={"slide_type": "notes"}
# You have seen the code of `line_plan` above: the length of an overlap is the smaller end minus the
# larger beginning, if positive. The library's `monotone_coupling` is the case where $b$ is even, $1/K$ each.
# Masses must keep summing to one, so only gradients *along* that constraint mean anything. We compare
# them through a softmax, which stays on it.

# %% slideshow={"slide_type": "skip"}
logits = torch.randn(5, 12, dtype=torch.float64)
even = torch.full((5, 7), 1 / 7, dtype=torch.float64)
assert_same(
    lambda z: line_plan(z.softmax(1), even),
    lambda z: transport.monotone_coupling(z.softmax(1), 7), logits,
)

# %% [markdown] slideshow={"slide_type": "notes"}
# The two masses below will be with us for a while: a source with two bumps, a target with one. Left:
# the cumulative sums. Mass at a height $h$ on the one curve goes to the same height on the other; so
# $W_1$ is the area between the curves. Right: the plan.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import plots

N = 40
place = torch.arange(N, dtype=torch.float64) / (N - 1)


def bump(*centers, width=0.07):
    mass = sum(torch.exp(-((place - c) ** 2) / (2 * width**2)) for c in centers) + 0.02
    return mass / mass.sum()


# %% slideshow={"slide_type": "skip"}
source, target = bump(0.2, 0.45), bump(0.75)
line_cost = (place[:, None] - place[None, :]) ** 2
exact = line_plan(source, target)
area = ((source.cumsum(0) - target.cumsum(0)).abs()[:-1] / (N - 1)).sum().item()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
left.step(place, source.cumsum(0), where="post", label="source")
left.step(place, target.cumsum(0), "--", where="post", color="C4", label="target")
left.fill_between(place, source.cumsum(0), target.cumsum(0), step="post", color="0.9")
left.set(xlabel="place", ylabel="cumulative mass", title=f"area between: $W_1$ = {area:.2f}")
left.legend()
plots.plan(right, exact)
right.set(xlabel=f"from place [steps of {N}]", ylabel=f"to place [steps of {N}]", title="plan, monotone")
distance = (exact * (place[:, None] - place).abs()).sum().item()
assert abs(area - distance) < 1e-12
show(fig, alt=f"The source's cumulative mass runs ahead of the target's; area between: {area:.2f}, "
     "which is also what the plan costs if a way costs its length. The plan is a monotone staircase.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Any cost: a linear programme

# %% [markdown] slideshow={"slide_type": "notes"}
# Off the line there is no order to follow. Let $C_{tk}$ be the cost of one unit from $t$ to $k$, any
# number. The cheapest plan solves

# %% [markdown]
# $$ \min_{P \ge 0} \; \sum_{t,k} P_{tk} C_{tk} \quad \text{with} \quad
# \sum_k P_{tk} = a_t, \quad \sum_t P_{tk} = b_k $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Linear cost, linear constraints: a linear programme with $T K$ unknowns and $T + K$ constraints. For
# $T = 3$, $K = 2$ that is 6 unknowns and 5 constraints. SciPy solves it.

# %%
from scipy.optimize import linprog


def cheapest_plan(cost, a, b):
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    found = linprog(np.ravel(cost), A_eq=sums, b_eq=np.concatenate([a, b]))
    return found.x.reshape(n, m), found.fun


# %%
tiny_cost = (torch.arange(3.0)[:, None] - torch.arange(2.0)).double().numpy() ** 2
tiny_plan, tiny_value = cheapest_plan(tiny_cost, a, b)
assert np.allclose(tiny_plan, line_plan(a, b))
print("on a line the programme finds the same plan; it costs", round(tiny_value, 3))

# %% [markdown] slideshow={"slide_type": "notes"}
# Where the cheapest plan is unique, the **value** has a simple gradient:
# $\partial\, \text{value} / \partial C_{tk} = P_{tk}$. If a way becomes dearer by a little, you pay that
# little times what goes there. The plan itself need not be differentiated. A finite difference agrees:

# %% slideshow={"slide_type": "skip"}
rng = np.random.default_rng(seed)
nudge = 1e-6 * rng.normal(size=tiny_cost.shape)
change = cheapest_plan(tiny_cost + nudge, a, b)[1] - tiny_value
assert np.isclose(change, (tiny_plan * nudge).sum(), rtol=1e-3, atol=1e-11)
print(f"value changes by {change:.3e}; the plan predicts {(tiny_plan * nudge).sum():.3e}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Here is why one wants other costs. A repeated movement has a *phase*, and phases live on a circle: 0.95
# is close to 0.05. Same two masses, two costs: way on the line, and way on the circle.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** On the circle, will the plan still be monotone?

# %% slideshow={"slide_type": "skip"}
early, late = bump(0.1)[::2] / bump(0.1)[::2].sum(), bump(0.9)[::2] / bump(0.9)[::2].sum()
way = (place[::2, None] - place[None, ::2]).abs()
found = {}
for name, cost in (("on a line", way**2), ("on a circle", torch.minimum(way, 1 - way) ** 2)):
    found[name] = cheapest_plan(cost, late, early)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
for ax, (name, (matrix, value)) in zip(axes, found.items(), strict=True):
    plots.plan(ax, torch.as_tensor(matrix).sqrt())
    ax.set(title=f"{name}: cost {value:.3f}", xlabel="from phase [steps of 20]", ylabel="")
axes[0].set(ylabel="to phase [steps of 20]", yticks=range(0, 20, 5))
show(fig, alt="From late to early phases. On a line the plan is one monotone staircase of cost "
     f"{found['on a line'][1]:.3f}. On a circle the mass goes forward over the end, cost "
     f"{found['on a circle'][1]:.3f}: two staircases, cut where the circle is cut.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** It falls into two monotone pieces: most of the mass goes forward, over the end of the
# cycle, and begins again at 0. How much goes over the end is part of what the programme finds out.
#
# Linear programmes have two drawbacks for learning. They take long for many frames and many clips, and
# their plan jumps: a small change of $C$ leaves it as it is or moves it all at once, so its gradient is
# zero or undefined.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Entropic transport: a price on being too sure

# %% [markdown] slideshow={"slide_type": "notes"}
# The row and column sums $a$ and $b$ of a plan are its *marginals*. Add a penalty that keeps the plan
# close to their product $a b^\top$, which is the plan that knows nothing. KL is the [Kullback-Leibler](glossary.md#kullback-leibler)
# divergence, $\varepsilon > 0$ a temperature:

# %% [markdown]
# $$ \min_{P} \; \sum_{t,k} P_{tk} C_{tk} + \varepsilon \, \mathrm{KL}(P \,\vert\, a b^\top), \qquad
# \mathrm{KL}(P \,\vert\, Q) = \sum_{t,k} P_{tk} \log \frac{P_{tk}}{Q_{tk}} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# with the same row and column sums. The solution has a form that can be written down, with a positive
# factor $u_t$ for each row and $v_k$ for each column:

# %% [markdown]
# $$ P_{tk} = a_t \, u_t \, e^{-C_{tk} / \varepsilon} \, v_k \, b_k $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Row sums fix $u$ given $v$, column sums fix $v$ given $u$. *Sinkhorn's algorithm* does one, then the
# other, and repeats.
#
# By hand: two places, $a = b = (0.5, 0.5)$; to stay costs 0, to change places 1.
# By symmetry $u_1 = u_2$ and $v_1 = v_2$, so a share $1 / (1 + e^{-1/\varepsilon})$ stays where it is:
# 0.73 for $\varepsilon = 1$.

# %%
def sinkhorn(cost, a, b, epsilon, iterations):
    kernel = torch.exp(-cost / epsilon)
    v = torch.ones_like(b)
    for _ in range(iterations):
        u = 1 / (kernel @ (v * b))
        v = 1 / (kernel.T @ (u * a))
    return (a * u)[:, None] * kernel * (v * b)[None, :]


# %% slideshow={"slide_type": "subslide"}
half = torch.full((2,), 0.5, dtype=torch.float64)
print(sinkhorn(1 - torch.eye(2, dtype=torch.float64), half, half, 1.0, 10))
print(f"stays: {1 / (1 + np.exp(-1)):.4f} / 2 = {0.5 / (1 + np.exp(-1)):.4f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Fewer than ten lines. Each step is differentiable, so a gradient flows from the plan back to cost and
# masses, through all iterations. The library's `sinkhorn_plan` is batched, and gets the same gradient
# without going back through them ([chapter 10](10_costs.ipynb) shows how):

# %%
def library_plan(cost, a, b):
    return transport.sinkhorn_plan(cost[None], a[None], b, 0.1, 500)[0]


cost = torch.rand(6, 5, dtype=torch.float64)
a, b = torch.rand(6, dtype=torch.float64).softmax(0), torch.rand(5, dtype=torch.float64).softmax(0)
assert_same(lambda c, a, b: sinkhorn(c, a, b, 0.1, 500), library_plan, cost, a, b)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## In the log domain

# %% [markdown] slideshow={"slide_type": "notes"}
# Why logarithms? At $\varepsilon = 0.001$ and $C = 1$ the kernel is $e^{-1000}$, which no floating
# point number holds: it becomes 0. The factors $u$ make up for it by growing without bound, and 0 times
# infinity is not a number. So keep $f = \log u$ and $g = \log v$ instead. The row update becomes

# %% [markdown]
# $$ f_t = -\log \sum_k \exp\left( -C_{tk} / \varepsilon + g_k + \log b_k \right) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# and `logsumexp` takes the largest exponent out before it exponentiates, so nothing overflows. By hand,
# for the $2 \times 2$ example with $g = 0$: $f_1 = -\log(0.5 + 0.5 e^{-1}) = 0.38$.

# %%
def log_sinkhorn(cost, a, b, epsilon, iterations):
    kernel, g = -cost / epsilon, torch.zeros_like(b)
    for _ in range(iterations):
        f = -torch.logsumexp(kernel + g + b.log(), dim=1)
        g = -torch.logsumexp(kernel + (f + a.log())[:, None], dim=0)
    return torch.exp(kernel + (f + a.log())[:, None] + g + b.log())


print(f"f by hand {-np.log(0.5 + 0.5 * np.exp(-1)):.2f}")
assert_same(lambda c, a, b: log_sinkhorn(c, a, b, 0.1, 500), library_plan, cost, a, b)

# %% [markdown] slideshow={"slide_type": "notes"}
# Two programs may share an error, so one more witness: `gradcheck` compares the gradient with finite
# differences, in double precision.

# %% slideshow={"slide_type": "skip"}
inputs = [value.clone().requires_grad_() for value in (cost, a, b)]
assert torch.autograd.gradcheck(library_plan, inputs)
print("gradients agree with finite differences")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What epsilon does
#
# > **Predict.** The two masses again. What does the plan look like for a very large $\varepsilon$, what
# > for a very small one? And which of the two needs more iterations?

# %% slideshow={"slide_type": "skip"}
EPSILONS = (1.0, 0.1, 0.01, 0.001)
plans = {e: log_sinkhorn(line_cost, source, target, e, most_iterations) for e in EPSILONS}
exact_cost = (exact * line_cost).sum().item()
paid = {e: (p * line_cost).sum().item() for e, p in plans.items()}

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def strip(matrices, titles):
    fig, axes = plt.subplots(1, len(titles), figsize=(7, 2.2), sharey=True)
    for ax, matrix, title in zip(axes, matrices, titles, strict=True):
        plots.plan(ax, matrix.sqrt())
        ax.set_title(title, fontsize=9.5)
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
    fig.supxlabel("from place", fontsize=10)
    axes[0].set_ylabel("to place")
    return fig


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
product = source[:, None] * target[None, :]
fig = strip([product, *plans.values(), exact],
            ["product", *[f"$\\varepsilon$ = {e:g}" for e in EPSILONS], "exact"])
show(fig, alt="From left to right: the product of the marginals, entropic plans with smaller and "
     "smaller epsilon, the exact plan. A blurred cloud sharpens into the staircase. Costs: "
     + ", ".join(f"{e:g}: {c:.3f}" for e, c in paid.items()) + f"; exact {exact_cost:.3f}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Large $\varepsilon$: the product $a b^\top$, every frame goes everywhere. Small: the exact
# plan. Between them $\varepsilon$ is a *blur*, in units of the cost: it can tell ways apart whose costs
# differ by about $\varepsilon$ or more. For a squared distance, the blur in place is about
# $\sqrt{\varepsilon}$.
#
# A small $\varepsilon$ has a price. The plan's columns are right after each update, its rows only in the
# limit; here is how far they are off.

# %% slideshow={"slide_type": "skip"}
def row_errors(epsilon, iterations):
    kernel, log_a, log_b, errors = -line_cost / epsilon, source.log(), target.log(), []
    f = -torch.logsumexp(kernel + log_b, dim=1)
    for _ in range(iterations):
        g = -torch.logsumexp(kernel + (f + log_a)[:, None], dim=0)
        f_next = -torch.logsumexp(kernel + g + log_b, dim=1)
        # With f and g the plan's rows sum to a * exp(f - f_next).
        errors.append((source * (f - f_next).expm1().abs()).sum().item())
        f = f_next
    return np.maximum(errors, 1e-16)


# %% slideshow={"slide_type": "skip"}
CURVES = (0.1, 0.03, 0.01, 0.003, 0.001)
errors = {e: row_errors(e, rounds) for e in CURVES}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots()
for (e, error), style in zip(errors.items(), ("-", "--", "-.", ":", (0, (6, 1))), strict=True):
    ax.loglog(np.arange(1, rounds + 1), error, ls=style, label=f"$\\varepsilon$ = {e:g}")
ax.axhline(1e-6, color="0.5", lw=1)
ax.text(1.02, 1.6e-6, "$10^{-6}$: stop here", fontsize=9)
ax.set(xlabel="iterations", ylabel="row sums off by (total)", ylim=(1e-11, 3))
ax.legend(loc="lower left", fontsize=9, bbox_to_anchor=(1, 0))
needed = {e: int((err < 1e-6).argmax()) + 1 if (err < 1e-6).any() else None for e, err in errors.items()}
show(fig, alt="Error of the row sums against iterations, falling faster for larger epsilon. Iterations "
     "to reach 1e-6: "
     + ", ".join(f"{e:g}: {n or f'more than {rounds}'}" for e, n in needed.items()) + ".")

# %% [markdown] slideshow={"slide_type": "notes"}
# Here the number of iterations grows about like $1 / \varepsilon$. And the form without logarithms?

# %% slideshow={"slide_type": "subslide"}
rows = []
single = [value.float() for value in (line_cost, source, target)]
for e in CURVES:
    verdicts = []
    for form in (sinkhorn, log_sinkhorn):
        plan = form(*single, e, rounds)
        off = (plan.sum(1) - single[1]).abs().sum().item()
        verdicts.append(f"off by {off:.0e}" if np.isfinite(off) else "not a number")
    rows.append([f"{e:g}", *verdicts])
show_table(["epsilon", "plain form, single precision", "log form, single precision"], rows)
assert "not a number" in rows[-1][1] and "not a number" not in rows[-1][2]

# %% [markdown] slideshow={"slide_type": "notes"}
# The plain form breaks where the log form is merely slow. The library joins them: it works with plain
# factors and moves them into the exponent every tenth time, before they can grow too large.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Move a knob

# %% [markdown] slideshow={"slide_type": "notes"}
# Move $\varepsilon$ on a logarithmic scale. The strip above shows stations of the same
# way.

# %% tags=["hide-input"]
from ipywidgets import interact

from piumar_lib.notebook import fixed_figure


def draw_plan(log10_epsilon=-1.5):
    e = 10**log10_epsilon
    plan = log_sinkhorn(line_cost, source, target, e, 100)
    off = (plan.sum(1) - source).abs().sum().item()
    fig, ax = fixed_figure(3.4, 2.8)
    plots.plan(ax, plan.sqrt())
    ax.set(title=f"$\\varepsilon$ = {e:.2g}, rows off by {off:.0e}", xlabel="from", ylabel="to")
    show(fig, alt=f"The plan at epsilon {e:.2g} after 100 iterations; its cost is "
         f"{(plan * line_cost).sum():.3f}, the exact plan's {exact_cost:.3f}.")


draw_plan()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
interact(draw_plan, log10_epsilon=(-3.5, 1.0, 0.25));

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Distances between clouds: Gaussians

# %% [markdown] slideshow={"slide_type": "notes"}
# Often one wants only a number: how far apart are two clips, as clouds of frames? If both clouds were
# Gaussian, with means $m, n$ and covariances $A, B$, there is a closed form:

# %% [markdown]
# $$ W_2^2 = {\lVert m - n \rVert}^2 + \mathrm{tr}\left( A + B - 2 (A^{1/2} B A^{1/2})^{1/2} \right) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The second part is the (squared) *Bures* distance. With independent channels, standard deviations $s$
# and $r$, it is $\lVert s - r \rVert^2$. By hand, in one dimension: mean 0, deviation 1 against mean 3,
# deviation 2: $W_2^2 = 9 + 1 = 10$.
#
# In code, take another route than the library: the trace of that root is the sum of the roots of the
# eigenvalues of $A B$.

# %%
def w2_by_hand(m, root_a, n, root_b):
    A, B = root_a @ root_a.T, root_b @ root_b.T
    cross = torch.linalg.eigvals(A @ B).real.sqrt().sum()
    return (m - n).square().sum() + A.trace() + B.trace() - 2 * cross


def w2_library(m, root_a, n, root_b):
    return transport.gaussian_w2(m, root_a @ root_a.T, n, root_b @ root_b.T)


# %%
torch.manual_seed(seed)
gaussians = [torch.randn(*s, dtype=torch.float64) for s in ((3,), (3, 3), (3,), (3, 3))]
assert_same(w2_by_hand, w2_library, *gaussians)

# %% slideshow={"slide_type": "skip"}
def w2_diagonal(m, s, n, r):
    return transport.gaussian_w2(m, torch.diag(s**2), n, torch.diag(r**2))


m, n, s, r = *torch.randn(2, 3, dtype=torch.float64), *torch.rand(2, 3, dtype=torch.float64) + 0.1
assert_same(w2_diagonal, transport.gaussian_w2_diagonal, m, s, n, r)
one = [torch.tensor([value], dtype=torch.float64) for value in (0, 1, 3, 2)]
print("by hand 10, library", transport.gaussian_w2_diagonal(*one).item())

# %% [markdown] slideshow={"slide_type": "subslide"}
# The distance comes with a *map*: the linear map that carries the one Gaussian onto the other,
#
# $$ M = A^{-1/2} (A^{1/2} B A^{1/2})^{1/2} A^{-1/2} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# To go a share $\alpha$ of the way, move every point a share $\alpha$ towards its image. This is
# *McCann's interpolation*; its covariance is $A_\alpha = S A S$ with $S = (1 - \alpha) I + \alpha M$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** A narrow ellipse that leans right, and one that leans left. Half way between them: a
# > round blob, or again something narrow? And if you average the two covariances instead?

# %% slideshow={"slide_type": "skip"}
def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


def mccann(A, B, alpha):
    half = root(A)
    M = torch.linalg.inv(half) @ root(half @ B @ half) @ torch.linalg.inv(half)
    S = (1 - alpha) * torch.eye(len(A), dtype=A.dtype) + alpha * M
    return S @ A @ S


# %% slideshow={"slide_type": "skip"}
A = torch.tensor([[1.0, 0.85], [0.85, 1.0]], dtype=torch.float64)
B = torch.tensor([[1.0, -0.6], [-0.6, 0.5]], dtype=torch.float64)
zero = torch.zeros(2, dtype=torch.float64)
ALPHAS = (0, 0.25, 0.5, 0.75, 1)
whole, part = (transport.gaussian_w2(zero, A, zero, end).sqrt() for end in (B, mccann(A, B, 0.25)))
torch.testing.assert_close(part, 0.25 * whole)
print(f"distance {whole:.3f}; a quarter of the way along: {part:.3f}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
angle = torch.linspace(0, 2 * np.pi, 100, dtype=torch.float64)
circle = torch.stack([angle.cos(), angle.sin()])
fig, ax = plt.subplots(figsize=(7, 1.9))
size = {}
for alpha in ALPHAS:
    kinds = {"McCann": mccann(A, B, alpha), "average": (1 - alpha) * A + alpha * B}
    for (kind, matrix), style in zip(kinds.items(), ("C0-", "C1--"), strict=True):
        ellipse = root(matrix) @ circle
        ax.plot(ellipse[0] + 2.6 * 4 * alpha, ellipse[1], style, label=kind if alpha == 0.5 else None)
        size[kind, alpha] = torch.linalg.det(matrix).sqrt().item()
ax.set(xticks=[10.4 * a for a in ALPHAS], xticklabels=[f"$\\alpha$ = {a:g}" for a in ALPHAS], yticks=[])
ax.set_aspect("equal")
ax.spines["left"].set_visible(False)
ax.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
show(fig, alt="Ellipses from one leaning right to one leaning left. Half way, McCann's has area "
     f"{size['McCann', 0.5]:.2f} (in units of pi), the averaged covariance {size['average', 0.5]:.2f}; "
     f"the ends have {size['McCann', 0]:.2f} and {size['McCann', 1]:.2f}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Half way both are rounder than the ends. But averaging covariances swells more than
# transport does: it puts both clouds on top of one another, instead of moving the points. Chapter 03
# uses a McCann step with a single variance for all channels, to bring small and large movers closer
# together.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Sliced: back to the line
#
# Clouds need not be Gaussian. Project both onto a random direction $\theta$, where sorting solves the
# problem, and average over directions:
#
# $$ SW_2^2(x, y) = \mathbb{E}_\theta \, W_2^2(\langle x, \theta \rangle, \langle y, \theta \rangle) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: in two dimensions, shift a cloud by $(3, 4)$. Along the direction at
# angle $\varphi$ the shift is $3 \cos\varphi + 4 \sin\varphi$, whose mean square is $(9 + 16) / 2 = 12.5$: the
# squared length over the dimension.

# %%
def sliced_by_hand(x, y, directions=500):
    theta = torch.randn(x.shape[1], directions, dtype=x.dtype, generator=torch.manual_seed(7))
    theta = theta / theta.norm(dim=0)
    difference = (x @ theta).sort(0).values - (y @ theta).sort(0).values
    return difference.square().mean()


def sliced_library(x, y):
    return transport.sliced_w2(x, y, 500, torch.manual_seed(7))


# %% slideshow={"slide_type": "skip"}
cloud = torch.randn(30, 2, dtype=torch.float64)
moved = cloud + torch.tensor([3.0, 4.0], dtype=torch.float64)
print(f"by hand 12.5, with 500 directions {sliced_by_hand(cloud, moved):.2f}")
assert_same(sliced_by_hand, sliced_library, cloud, torch.randn_like(cloud))

# %% [markdown] slideshow={"slide_type": "notes"}
# What does each distance see? Three pairs of clouds, one drawn as circles, one as crosses: a shift; a
# ring against a blob with the *same mean and covariance*; and the way of a wrist in a clip (ten times
# as large as it is) against the same clip played backwards.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Which of the two distances is zero for which pair?

# %% slideshow={"slide_type": "skip"}
turn = torch.rand(300, dtype=torch.float64) * 2 * np.pi
ring = torch.stack([turn.cos(), turn.sin()], 1) * np.sqrt(2)
blob = torch.randn(300, 2, dtype=torch.float64)


def whiten(x):
    x = x - x.mean(0)
    return x @ torch.linalg.inv(root(x.T @ x / len(x)))


# %% slideshow={"slide_type": "skip"}
ring, blob = whiten(ring), whiten(blob)
clip = synthetic.make_clips(people, 1, seed=1).x.reshape(8, 32, 17, 2)
most = clip[:, :, 10].std(1).min(-1).argmax()  # whose right wrist moves most, in both coordinates
wrist = torch.as_tensor(10 * clip[most, :, 10], dtype=torch.float64)
PAIRS = {"shift": (blob, blob + 0.5), "ring, blob": (ring, blob), "reversed": (wrist, wrist.flip(0))}


def gaussian(x, y):
    (m, A), (n, B) = ((z.mean(0), torch.cov(z.T, correction=0)) for z in (x, y))
    return transport.gaussian_w2(m, A, n, B).item()


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
seen = {k: (gaussian(*pair), sliced_library(*pair).item()) for k, pair in PAIRS.items()}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7))
for ax, (name, pair) in zip(axes, PAIRS.items(), strict=True):
    for points, style in zip(pair, ("o", "x"), strict=True):
        ax.plot(*points.T, style, ms=3.5, alpha=0.6, color="C0" if style == "o" else "C4", mfc="none")
    gaussian_part, sliced_part = seen[name]
    ax.set_title(f"{name}\nGaussian {abs(gaussian_part):.2f}, sliced {sliced_part:.2f}", fontsize=10)
    ax.set_aspect("equal", adjustable="datalim")
show(fig, alt="Three pairs of clouds. Squared distances, Gaussian and sliced: "
     + "; ".join(f"{k} {abs(g):.2f} and {s:.2f}" for k, (g, s) in seen.items())
     + ". A ring looks like a blob to the Gaussian distance; backwards, a clip is the same cloud.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The Gaussian distance sees means and covariances only. The sliced one also sees shape.
# Neither sees *time*: a cloud of frames has forgotten their order. As a regulariser on features that is
# welcome, since people differ in tempo. For alignment it is not, and we return to plans.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Back to people

# %% [markdown] slideshow={"slide_type": "notes"}
# For the two nods we know the truth: which moment of the slow nod is the same progress as which moment
# of the fast one. Three candidates of a plan:

# %% [markdown]
# - **line**: carry motion mass in order (the idea figure);
# - **pose**: entropic, cost = squared distance of the poses, which ignores time;
# - **pose and progress**: the same plus five times the squared difference in progress, that is, in how
#   much of its movement a clip has done ($A_t$ against $B_k$). The factor is our choice.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** A nod passes the same pose several times. What will the second plan do?

# %% slideshow={"slide_type": "skip"}
if data:  # in units of its own, as motion is measured with a small constant
    size = np.float64(yours.x.std())
    slow, fast = (torch.as_tensor(yours.x[k] / size) for k in (first_clip, second_clip))
pose = torch.cdist(slow, fast).square()
pose = pose / pose.max().clamp_min(1e-30)
a, b = masses(slow), masses(fast)
progress = (a.cumsum(0)[:, None] - b.cumsum(0)[None, :]).square()
three = {
    "line": line_plan(a, b),
    "pose": log_sinkhorn(pose, a, b, 0.01, 500),
    "pose and progress": log_sinkhorn(pose + 5 * progress, a, b, 0.01, 500),
}

# %% [markdown] slideshow={"slide_type": "notes"}
# The truth: at each moment of the slow nod, the frame of the fast nod with the same progress of the
# recipe. The error is the mean distance from the truth to where the plan sends a moment's mass, on
# average over that mass, while the slow person moves.

# %% slideshow={"slide_type": "skip"}
moving = np.flatnonzero((slow_phase > 0) & (slow_phase < 1))
inside = np.flatnonzero((fast_phase > 0) & (fast_phase < 1))
truth = np.interp(slow_phase[moving], fast_phase[inside], inside)


def error_in_seconds(plan):
    share = (plan / plan.sum(1, keepdim=True)).numpy()[moving]
    way = np.abs(np.arange(plan.shape[1]) - truth[:, None])
    return float((share * way).sum(1).mean() / RATE)


# %% slideshow={"slide_type": "skip"}
mistakes = {} if data else {name: error_in_seconds(plan) for name, plan in three.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9), sharey=True)
for ax, (name, matrix) in zip(axes, three.items(), strict=True):
    plots.plan(ax, matrix.sqrt())
    ax.set(xlabel="slow person [frame]", ylabel="", title=name)
    if not data:
        ax.plot(moving, truth, "--", color="C4", lw=1.2)
        ax.set_xlabel(f"slow person [frame]\noff by {mistakes[name]:.2f} s")
axes[0].set_ylabel("fast person [frame]")
text = ", ".join(f"{k} {v:.2f} s" for k, v in mistakes.items()) or "not known for your data"
about = "" if data else ("The dashed line is the truth. In order along the line the plan follows it. By "
     "pose alone the mass goes to several moments of the same pose; with progress it comes close again.")
show(fig, alt=f"Three plans between two clips: line, pose, pose and progress. {about} Errors: {text}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Pose alone confuses the way down with the way up, and one swing with the next. Order is
# what makes a plan an alignment. On noise-free clips the plan on the line is about as good as pose and
# progress together, and it needs no iterations and no factor. Chapter [03](03_temporal_alignment.ipynb)
# builds both kinds into a layer, and tests them on clips with noise, where [motion energy](glossary.md#motion-energy) is a worse
# guide.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: read one clip on the other's clock
#
# *10 minutes, easy.*
#
# A plan $P$ of shape `(T, K)` and a clip `x` of shape `(T, channels)`: write `project`, which gives for
# each step $k$ the average of the frames that it received, weighted by how much it received.

# %% tags=["exercise"]
def project(plan, x):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.project(project)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def project(plan, x):
#     return (plan.T @ x) / plan.sum(0)[:, None]
# ```
#
# The library's `barycentric_projection` does this for a batch.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: what does a shift cost?
#
# *10 minutes, medium.*
#
# Two samples on a line, both with mean zero, have squared 2-Wasserstein distance `centered`. Now the
# second one is shifted by `shift`. Write the new squared distance, without sorting again.

# %% tags=["exercise"]
def after_shift(centered, shift):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.after_shift(after_shift)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def after_shift(centred, shift):
#     return centred + shift**2
# ```
#
# Shifting everything does not change the order, and the mixed term is `2 * shift` times the difference
# of the means, which is zero. In any dimension the mean and the rest separate in the same way: look at
# the Gaussian formula.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- On a line: {better} of 5040 assignments beat sorting; if a way costs its length, the plan "
      f"costs what the area between the cumulative sums says, {area:.2f}.")
print(f"- Epsilon, if a way costs its square: {paid[1.0]:.3f} at 1, {paid[0.01]:.3f} at 0.01, exact "
      f"{exact_cost:.3f}. "
      f"Row error below 1e-6 after {needed[0.1]} iterations at 0.1 and {needed[0.01]} at 0.01.")
ring_gaussian, ring_sliced = seen["ring, blob"]
print(f"- Ring against blob: Gaussian {abs(ring_gaussian):.2f}, sliced {ring_sliced:.2f}; "
      f"a clip against itself reversed: both {abs(seen['reversed'][0]):.2f}.")
print(f"- Plans between a slow and a fast nod, error against the truth: {text}.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | Wasserstein-regularised temporal alignment | plans between clips | `transport.monotone_coupling`, `transport.sinkhorn_plan`, `transport.barycentric_projection` | `test_transport.py` | which transport, and of what, is ours: mass on time (chapter 03) |
# | (silent) which distance | on a line, Gaussian, sliced | `transport.wasserstein_1d`, `transport.gaussian_w2`, `transport.gaussian_w2_diagonal`, `transport.sliced_w2` | `test_transport.py` | diagonal Gaussian form as regulariser; the others are taught beside it |
# | (silent) epsilon, iterations | what epsilon does | `transport.sinkhorn_plan`, `transport.scale_to_marginals`, `transport.EntropicPlan` | `test_transport.py` | factors moved into the exponent, gradient of the limit |

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. G. Peyré, M. Cuturi. *Computational Optimal Transport.* Foundations and Trends in Machine Learning,
#    2019. [arXiv 1803.00567](https://arxiv.org/abs/1803.00567). Sections 2.6 (line and Gaussians) and 4
#    (Sinkhorn).
# 2. M. Cuturi. *Sinkhorn Distances: Lightspeed Computation of Optimal Transport.* NeurIPS 2013.
#    [arXiv 1306.0895](https://arxiv.org/abs/1306.0895).
# 3. R. J. McCann. *A convexity principle for interacting gases.* Advances in Mathematics 128, 1997.
# 4. N. Bonneel, J. Rabin, G. Peyré, H. Pfister. *Sliced and Radon Wasserstein barycenters of measures.*
#    Journal of Mathematical Imaging and Vision 51, 2015.
