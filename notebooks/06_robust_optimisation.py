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
# # 06 · Robust optimisation
#
# Which average should a loss minimise so that nobody is left behind?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [01 person shift](01_person_shift.ipynb) |
# | you will build | three robust averages, each checked by a convex solver, and the group weights that GIRL runs |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - compute the worst average risk in a [chi-square ball](glossary.md#chi-square-ball), in a [Kullback-Leibler](glossary.md#kullback-leibler) ball and under [CVaR](glossary.md#cvar)'s
#   cap, with its gradient, and have a solver confirm it,
# - say up to which radius *mean plus deviation* is such a worst case, why a variance penalty is not (it may
#   train against those for whom all is well), and what [GIRL](glossary.md#girl) does beyond that radius,
# - name the errors of a worst case that is taken over a small batch, and say which people get the weight.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17"; by default synthetic people
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, show_table, start

run = start(profile)
data, yours = given(data)
crowd, epochs = run.pick(quick=20, full=40), run.pick(quick=15, full=20)
draws, rounds = run.pick(quick=10_000, full=50_000), run.pick(quick=1_000, full=5_000)
descents = run.pick(quick=400, full=2_000)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# A recogniser's **risk** for a person is its mean loss on that person's clips (in *nats*: cross-entropies
# with natural logarithms). Say it has risk 0.2 for A, 0.4 for B, 0.9 for C. An average gives each person a
# weight; the three weights sum to one. So every point of the triangle below is an average: a corner gives
# all weight to one person, the centre gives each a third. Training on the plain mean ([ERM](glossary.md#erm)) looks at the
# centre.
#
# Now let an **adversary** choose the weights, anywhere in the disc, so that the average is as *bad* as
# possible. Who minimises *that* average cannot forget C.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib import dro

abc = torch.tensor([0.2, 0.4, 0.9], dtype=torch.float64)
worst = dro.chi_square(abc, rho=0.15)
print(f"mean {abc.mean():.3f}, worst average in the disc {worst.value:.3f}, maximum {abc.max():.3f}")

# %% slideshow={"slide_type": "skip"}
CORNERS = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
fine = np.array([(i, j, 240 - i - j) for i in range(241) for j in range(241 - i)]) / 240
x_fine, y_fine = (fine @ CORNERS).T  # where each law of weights lies in the triangle

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def triangle(ax, risks):
    """Shade the triangle of weights by the average of ``risks``, dark where it is high."""
    ax.tricontourf(x_fine, y_fine, fine @ risks.numpy(), 12, cmap="Greys", alpha=0.45)
    for name, (x, y), risk in zip("ABC", CORNERS, risks, strict=True):
        ax.text(x, y + (0.04 if y else -0.04), f"{name}: {risk:.1f}", ha="center",
                va="bottom" if y else "top")
    ax.fill(*CORNERS.T, fill=False, ec="0.5", lw=0.8)
    ax.plot(*CORNERS.mean(0), "o", color="k", ms=6)
    ax.set_aspect("equal")
    ax.axis("off")

# %% slideshow={"slide_type": "skip"}
def chi_square_distance(p):
    """(1 / 2G) sum (G p - 1)^2 of laws ``(..., G)``."""
    return np.square(p.shape[-1] * p - 1).sum(-1) / (2 * p.shape[-1])


def outline(ax, distance, radius, **style):
    style = {"colors": "C0", "linewidths": 2} | style
    ax.tricontour(x_fine, y_fine, distance(fine), [radius], **style)

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, width_ratios=(1.4, 1))
triangle(left, abc)
outline(left, chi_square_distance, 0.15)
place = worst.weights.numpy() @ CORNERS
left.annotate("", place, CORNERS.mean(0), arrowprops={"arrowstyle": "->", "lw": 1.5})
left.plot(*place, "*", color="C4", ms=16, mec="w")
left.text(0.5, 0.23, "ERM", ha="center", va="top")
left.text(place[0] + 0.04, place[1] + 0.02, "adversary")
right.bar(np.arange(3) - 0.2, np.full(3, 1 / 3), 0.38, color="k", label="ERM")
right.bar(np.arange(3) + 0.2, worst.weights, 0.38, color="C4", label="adversary")
right.set_xticks(range(3), list("ABC"))
right.set(ylabel="weight", xlabel="person")
right.legend()
show(fig, alt="A triangle of weights, darker towards C, whose risk is highest. The worst point of a "
     f"disc about the centre lies straight towards C: weights {worst.weights[0]:.2f}, "
     f"{worst.weights[1]:.2f}, {worst.weights[2]:.2f} instead of a third each.")

# %% [markdown] slideshow={"slide_type": "notes"}
# How far may the adversary go? At radius 0 we are back at ERM, and with the whole triangle allowed all
# weight goes to the worst person: one noisy person would rule everything. The disc is the compromise.
# Its shape is a choice, too.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The gradient of a robust risk is the worst weights

# %% [markdown] slideshow={"slide_type": "notes"}
# For $G$ groups of clips (here: people) with risks $R = (R_1, \dots, R_G)$ and a set $B$ of weights
# around the even ones, the **robust risk** is one number:

# %% [markdown]
# $$ S_B(R) = \max_{p \in B} \; \sum_{g=1}^{G} p_g R_g $$

# %% [markdown] slideshow={"slide_type": "notes"}
# For fixed weights $p$ this sum is a plane over the risks, with slope $p$. The maximum of many planes is
# a convex function that at $R$ touches the winner's plane. So its gradient there is the winner $p^*$: this
# is **Danskin's theorem**. (At a tie there are several winners, and the function has a kink.)

# %% [markdown]
# $$ \frac{\partial S_B}{\partial R_g} = p^*_g $$

# %% [markdown] slideshow={"slide_type": "notes"}
# So one need not differentiate through the search for $p^*$. Find it, treat it as a constant, and
# average. To train on a [robust risk](glossary.md#robust-risk) is to train on a weighted mean, with new weights in every step.
# The library returns both: `.value`, one number, and `.weights`, shape `(G,)`.
#
# By hand, with the whole triangle as $B$: $p^* = (0, 0, 1)$ and $S_B = 0.9$. If A's risk rises a
# little, nothing changes: slope 0. If C's does, the value rises by as much: slope 1.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## CVaR: a cap on every weight
#
# The first adversary may give nobody more than $1 / (\alpha G)$. **Conditional value at risk**, CVaR,
# is the worst average under that cap:
#
# $$ \mathrm{CVaR}_\alpha(R) = \max_p \; \sum_g p_g R_g \quad \text{with} \quad 0 \le p_g \le \frac{1}{\alpha G}, \quad \sum_g p_g = 1 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The adversary fills the worst group up to the cap, then the next, until nothing is left. So it is the
# mean of the worst share $\alpha$ of groups. By hand for A, B, C and $\alpha = 1/2$: the cap is $2/3$.
# C gets $2/3$, B the remaining $1/3$, A nothing: $\frac23 \cdot 0.9 + \frac13 \cdot 0.4 = 0.73$.

# %%
def cvar_by_hand(risks, alpha):
    worst_first = risks.sort(descending=True).values
    cap = 1 / (alpha * len(risks))
    left_over = 1 - cap * torch.arange(len(risks))
    return left_over.clamp(0, cap).to(risks) @ worst_first


print(f"{cvar_by_hand(abc, 0.5):.2f}")

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same

torch.manual_seed(seed)
some = torch.randn(7, dtype=torch.float64)
assert_same(lambda r: cvar_by_hand(r, 0.3), lambda r: dro.cvar(r, 0.3).value, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Kullback-Leibler: a price for leaving the centre

# %% [markdown] slideshow={"slide_type": "notes"}
# The second adversary may go anywhere, but pays $T$ for each unit of Kullback-Leibler divergence (KL)
# from even weights, $K(p) = \sum_g p_g \log (G p_g)$:

# %% [markdown]
# $$ \max_p \; \sum_g p_g R_g - T \, K(p) \;=\; T \log \Bigl( \frac1G \sum_g e^{R_g / T} \Bigr), \qquad p^*_g = \frac{e^{R_g / T}}{\sum_h e^{R_h / T}} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Why? At the best $p$, moving a little weight from one group to another gains nothing. So
# $R_g - T \log (G p_g)$ is the same number for all groups. Solve for $p_g$: a softmax. Insert it: that
# number *is* the value. $T$ is called temperature. Cold is close to the maximum, hot close to the mean.
#
# By hand for $T = 0.5$: $e^{0.4}, e^{0.8}, e^{1.8} = 1.49, 2.23, 6.05$; their mean is $3.26$; the value
# is $0.5 \log 3.26 = 0.59$, and the weights are $0.15, 0.23, 0.62$.

# %%
def kl_by_hand(risks, temperature):
    return temperature * (risks / temperature).exp().mean().log()


print(f"{kl_by_hand(abc, 0.5):.2f}", dro.kl_penalty(abc, 0.5).weights.numpy().round(2))
assert_same(lambda r: kl_by_hand(r, 0.5), lambda r: dro.kl_penalty(r, 0.5).value, some)

# %% [markdown] slideshow={"slide_type": "notes"}
# A price or a limit? With a limit, $K(p) \le \rho$, the weights are again a softmax, at the temperature
# where the limit is just reached. And for *every* temperature we have a bound, because in the ball the
# price paid is at most $T \rho$:
#
# $$ \max_{K(p) \le \rho} \; \sum_g p_g R_g \;\le\; T \rho + T \log \Bigl( \frac1G \sum_g e^{R_g / T} \Bigr) $$
#
# with equality at the right $T$. That gives a second way to the same number. The library searches the
# temperature by halving intervals, and averages with constant weights. Ours below finds $T$ by SciPy and
# then takes the *right-hand side*, with no weights in sight. If Danskin is right, the gradients agree.

# %% slideshow={"slide_type": "skip"}
from scipy.optimize import brentq


def kl_ball_by_hand(risks, rho):
    def too_far(log_t):
        p = (risks.detach() / np.exp(log_t)).softmax(-1)
        return (p * (len(p) * p).log()).sum().item() - rho

    t = np.exp(brentq(too_far, -3, 8, xtol=1e-14))
    return t * rho + kl_by_hand(risks, t)


assert_same(lambda r: kl_ball_by_hand(r, 0.3), lambda r: dro.kl_ball(r, 0.3).value, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Chi-square: a disc
#
# The third adversary stays within a squared distance of even weights. This is the disc of the idea
# figure:
#
# $$ \frac{1}{2G} \sum_g (G p_g - 1)^2 \le \rho, \qquad \text{that is} \qquad G \sum_g p_g^2 \le 1 + 2 \rho $$
#
# Take any threshold $\eta$, and write $(R_g - \eta)_+$ for what exceeds it, 0 if nothing does. Then
#
# $$ \begin{aligned}
# \sum_g p_g R_g - \eta \; &\le \; \sum_g p_g (R_g - \eta)_+ \; \le \; \sqrt{G \sum_g p_g^2} \, \sqrt{\frac1G \sum_g (R_g - \eta)_+^2} \\
# &\le \; \sqrt{1 + 2 \rho} \, \sqrt{\frac1G \sum_g (R_g - \eta)_+^2}
# \end{aligned} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# (the middle step is the Cauchy-Schwarz inequality). All three are equalities if
# $p_g$ is proportional to $(R_g - \eta)_+$ and lies on the edge of the ball. So **whoever is below the
# threshold gets nothing, and above it the weight grows in proportion to the excess**.
#
# By hand with $\eta = 0.3$: excesses $0, 0.1, 0.6$, so weights $0, 1/7, 6/7$. They lie on the edge if
# $1 + 2 \rho = 3 \cdot 37/49$, $\rho = 0.63$. Value: $0.4/7 + 0.9 \cdot 6/7 = 0.83$. The right-hand side:
# $0.3 + \sqrt{2.27} \sqrt{0.37/3} = 0.83$. The same.

# %% slideshow={"slide_type": "subslide"}
def chi_square_by_hand(risks, rho):
    def excess(r, eta):
        return (r - eta).clamp(min=0)

    def too_far(eta):
        x = excess(risks.detach(), eta)
        return (x.square().mean() / x.mean() ** 2).item() - (1 + 2 * rho)

    low, high = risks.min().item() - 100, risks.max().item() - 1e-9
    eta = brentq(too_far, low, high, xtol=1e-14)
    return eta + ((1 + 2 * rho) * excess(risks, eta).square().mean()).sqrt()

# %% slideshow={"slide_type": "skip"}
from functools import partial

print(f"{chi_square_by_hand(abc, 31 / 49):.3f}", dro.chi_square(abc, 31 / 49).weights.numpy().round(3))
for rho in (0.05, 0.4, 1.5):
    ours, library = partial(chi_square_by_hand, rho=rho), partial(dro.chi_square, rho=rho)
    assert_same(ours, lambda r, f=library: f(r).value, some)

# %% [markdown] slideshow={"slide_type": "notes"}
# (The library needs no search here: it sorts the risks and tries how many of them are active.)
#
# **Groups of unequal size** count as so many equal ones. If group $g$ has the share $\pi_g$ of the clips, the
# ball is $\frac12 \sum_g \pi_g (p_g / \pi_g - 1)^2 \le \rho$, and weights are $\pi_g (R_g - \eta)_+$, normalised.
# At radius 0 every *clip* counts alike, not every group. This is the ball that GIRL uses, with $\rho = 0.05$.

# %% slideshow={"slide_type": "skip"}
uneven = dro.chi_square(abc, 0.3, sizes=torch.tensor([2.0, 1, 3])).weights
one_by_one = dro.chi_square(abc[[0, 0, 1, 2, 2, 2]], 0.3).weights  # A twice, B once, C three times
torch.testing.assert_close(uneven, torch.stack([part.sum() for part in one_by_one.split([2, 1, 3])]))
print("sizes 2, 1, 3:", uneven.numpy().round(3))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A second opinion

# %% [markdown] slideshow={"slide_type": "notes"}
# Two versions by one author may share a mistake. CVXPY knows nothing of thresholds and temperatures: we
# hand it the definition, linear goal and convex set, and a general solver (CLARABEL) finds the best
# weights.

# %% slideshow={"slide_type": "skip"}
import cvxpy as cp

BALLS = {
    "chi-square": lambda p, n, rho: cp.sum_squares(n * p - 1) / (2 * n) <= rho,
    "KL": lambda p, n, rho: cp.sum(cp.rel_entr(p, np.full(n, 1 / n))) <= rho,
    "CVaR": lambda p, n, alpha: p <= 1 / (alpha * n),
}

# %%
def solver_says(name, risks, radius):
    p = cp.Variable(len(risks), nonneg=True)
    within = [cp.sum(p) == 1, BALLS[name](p, len(risks), radius)]
    value = cp.Problem(cp.Maximize(risks @ p), within).solve(solver=cp.CLARABEL)
    return value, p.value

# %% [markdown] slideshow={"slide_type": "notes"}
# To compare three adversaries we want one knob for all. Take the **share** $\alpha$ of people that CVaR
# cares about. A cap $p_g \le 1 / (\alpha G)$ implies $G \sum_g p_g^2 \le 1/\alpha$ and
# $K(p) \le \log (1 / \alpha)$. So with

# %% [markdown]
# $$ \rho_{\chi^2} = \frac12 \Bigl( \frac1\alpha - 1 \Bigr), \qquad \rho_{\mathrm{KL}} = \log \frac1\alpha $$

# %% [markdown] slideshow={"slide_type": "notes"}
# everything that CVaR's adversary may do, the others may do as well. By Jensen's inequality
# $K(p) \le \log (G \sum_g p_g^2)$, so the disc lies inside the KL ball, too. Three nested sets.

# %% slideshow={"slide_type": "skip"}
RADIUS = {
    "CVaR": lambda share: share,
    "chi-square": lambda share: (1 / share - 1) / 2,
    "KL": lambda share: float(np.log(1 / share)),
}

# %% slideshow={"slide_type": "skip"}
FUNCTION = {"CVaR": dro.cvar, "chi-square": dro.chi_square, "KL": dro.kl_ball}


def robust(name, risks, share):
    return FUNCTION[name](risks, RADIUS[name](share))

# %% slideshow={"slide_type": "skip"}
def disagreement(name, risks, share):
    value, _ = solver_says(name, risks, RADIUS[name](share))
    return abs(robust(name, torch.as_tensor(risks), share).value.item() - value)


# %%
rng = np.random.default_rng(seed)
trials = [(rng.normal(size=n), share) for n in (3, 5, 8) for share in (0.35, 0.6, 0.9)]
error = {name: [disagreement(name, *trial) for trial in trials] for name in RADIUS}
print({name: f"{max(values):.0e}" for name, values in error.items()})
assert max(map(max, error.values())) < 2e-5

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Shrink the share from 1 (nobody may be reweighted) to 1/3 (all weight may go to C). The
# > adversary walks from the centre to corner C. On a straight road, on a curve, or with a bend? For which
# > of the three?

# %% slideshow={"slide_type": "skip"}
def kl_distance(p):
    return (p * np.log(np.maximum(3 * p, 1e-300))).sum(-1)

# %% slideshow={"slide_type": "skip"}
# CVaR's sets have a share instead of a radius; with a minus, so that far out is large.
DISTANCE = {"CVaR": lambda p: -1 / (3 * p.max(-1)), "chi-square": chi_square_distance, "KL": kl_distance}

# %% slideshow={"slide_type": "skip"}
STYLE = {
    "CVaR": {"color": "C2", "ls": ":"}, "chi-square": {"color": "C0", "ls": "-"},
    "KL": {"color": "C4", "ls": "--"},
}
shares = np.linspace(1, 1 / 3, 61)
roads = {n: torch.stack([robust(n, abc, s).weights for s in shares]).numpy() for n in RADIUS}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, width_ratios=(1.3, 1), figsize=(7, 3.4))
triangle(left, abc)
for name, style in STYLE.items():
    left.plot(*(roads[name] @ CORNERS).T, label=name, lw=2.4, **style)
    radius = RADIUS[name](0.6) * (-1 if name == "CVaR" else 1)
    outline(left, DISTANCE[name], radius, colors=style["color"], linestyles=style["ls"], linewidths=1)
    right.plot(shares, roads[name] @ abc.numpy(), label=name, **style)
right.set(xlabel="share $\\alpha$ of people", ylabel="worst average", xlim=(1, 1 / 3))
right.legend()
half = {n: (robust(n, abc, 0.6).value.item()) for n in RADIUS}
show(fig, alt="Left: three nested sets about the centre for share 0.6, a hexagon, a disc, a rounded "
     "triangle, and the roads of the three adversaries to corner C. Right: worst average over share; at "
     "0.6 " + ", ".join(f"{n} {v:.2f}" for n, v in half.items()) + "; all end at 0.9.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Thin lines: the sets for share 0.6. Thick lines: the roads. Chi-square goes *straight*,
# as long as it is free to; where it hits the edge (A's weight is 0) it bends and follows the edge. KL
# curves and reaches the edge only at the very end: softmax weights are never 0. CVaR does not look at
# *how much* worse C is: it first takes everything from A and gives it to B and C alike, then everything
# from B.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## When is mean plus deviation a worst case?

# %% [markdown] slideshow={"slide_type": "notes"}
# Many losses punish *inequality*: mean risk plus some measure of spread. That looks like a different
# idea. It is not, for one of these measures. Let $\bar R$ be the mean and
# $V = \frac1G \sum_g (R_g - \bar R)^2$.

# %% [markdown]
# **Proposition.** If risks differ at all ($V > 0$), then for every $\rho \ge 0$
#
# $$ \max_{\text{chi-square ball}} \sum_g p_g R_g \;\le\; \bar R + \sqrt{2 \rho V} $$
#
# with equality exactly if $\rho \le \rho^*$, and then the worst weights are $p^*$:
#
# $$ \rho^* = \frac{V}{2 (\bar R - R_{\min})^2}, \qquad p^*_g = \frac1G \Bigl( 1 + \sqrt{2 \rho / V} \, (R_g - \bar R) \Bigr) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# *Proof.* Write $p_g = 1/G + d_g$ with $\sum_g d_g = 0$. Then
# $\sum_g p_g R_g = \bar R + \sum_g d_g (R_g - \bar R)$, which by Cauchy-Schwarz is at most
# $\bar R + \Vert d \Vert \sqrt{G V}$. In the ball $\Vert d \Vert^2 \le 2 \rho / G$: there is the bound.
# It is reached only by $d$ along $R - \bar R$ in full length, which is $p^*$. Those are weights as long
# as the smallest, that of $R_{\min}$, is not negative:
# $\sqrt{2 \rho / V} \, (\bar R - R_{\min}) \le 1$. That is $\rho \le \rho^*$. ∎
#
# By hand: $\bar R = 0.5$, $V = (0.09 + 0.01 + 0.16)/3 = 0.087$, so $\rho^* = 0.087 / 0.18 = 0.48$. For
# $\rho = 0.1$ the value is $0.5 + \sqrt{0.0173} = 0.63$, the weights are $0.18, 0.28, 0.54$.

# %% slideshow={"slide_type": "subslide"}
def deviation_by_hand(risks, rho):
    return risks.mean() + (2 * rho * (risks - risks.mean()).square().mean()).sqrt()


def weights_by_hand(risks, rho):
    away = risks - risks.mean()
    return (1 + (2 * rho / away.square().mean()) ** 0.5 * away) / len(risks)

# %%
print(f"threshold {dro.variance_threshold(abc):.2f}, value {deviation_by_hand(abc, 0.1):.2f},",
      "weights", weights_by_hand(abc, 0.1).numpy().round(2))
below = 0.9 * dro.variance_threshold(some).item()
assert_same(lambda r: deviation_by_hand(r, 2.0), lambda r: dro.mean_plus_deviation(r, 2.0), some)
assert_same(lambda r: deviation_by_hand(r, below), lambda r: dro.chi_square(r, below).value, some)
torch.testing.assert_close(weights_by_hand(some, below), dro.chi_square(some, below).weights)

# %% [markdown] slideshow={"slide_type": "notes"}
# Note that $\rho^*$ is invariant to scaling and shifting the risks. Only their *shape* matters. (For groups of
# unequal size all of this holds with means and variances that are weighted by their shares.)
#
# **For what is run.** GIRL's radius is $\rho = 0.05$, so $\sqrt{2 \rho} = 0.32$. All weights are positive, and
# the formula is exact, as long as no group is more than $1 / 0.32 = 3.2$ deviations better off than the mean. With
# up to 11 equal groups that cannot happen (exercise 2). Beyond that GIRL does not follow the formula, but the
# ball's own closed form: it clips at zero, and stays a worst case.

# %% slideshow={"slide_type": "subslide"}
def lowest_weights(groups, rho=0.05):
    """By the formula and in the ball, in even shares: one group at risk 0, all others at 1."""
    risks = torch.tensor([0.0] + [1.0] * (groups - 1), dtype=torch.float64)
    both = weights_by_hand(risks, rho), dro.chi_square(risks, rho).weights
    return [f"{groups * weights.min():+.2f}" for weights in both]


show_table(["groups, one of them easy", "lowest weight by the formula", "in the ball"],
           [[str(groups), *lowest_weights(groups)] for groups in (4, 11, 12, 50)])

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Two groups of eight people with equal mean and deviation. In the one, a few are much
# > *harder* than the rest; in the other, a few are much *easier*. For which is the formula right up to
# > the larger radius?

# %% slideshow={"slide_type": "skip"}
from scipy.stats import norm


def shaped(tail, groups):
    """Risks with mean 1 and deviation 0.3; positive tail: a few hard ones, negative: a few easy ones."""
    z = norm.ppf((np.arange(groups) + 0.5) / groups)
    z = np.expm1(tail * z) / tail if abs(tail) > 1e-6 else z
    return torch.as_tensor(1 + 0.3 * (z - z.mean()) / z.std())

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw_weights(ax, risks, rho):
    p = dro.chi_square(risks, rho).weights
    ax.bar(range(len(p)), p, color="C0", label="adversary")
    ax.plot(range(len(p)), weights_by_hand(risks, rho), "_", color="C4", ms=14, mew=2, label="formula")
    ax.axhline(1 / len(p), color="k", ls=":", label="even")
    ax.axhline(0, color="k", lw=0.8)
    ax.set(xticks=[], xlabel="people, easy to hard")

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw_values(ax, risks, rho):
    radii = np.linspace(0, 2, 41)
    limit = dro.variance_threshold(risks).item()
    bound = [dro.mean_plus_deviation(risks, r).item() for r in radii]
    exact = [dro.chi_square(risks, r).value.item() for r in radii]
    ax.plot(radii, bound, "--", color="C4", label="mean + $\\sqrt{2 \\rho V}$")
    ax.plot(radii, exact, color="C0", label="worst average")
    if limit <= 2:
        ax.axvline(limit, color="0.4", ls=":", label="$\\rho^*$")
    ax.plot(rho, dro.chi_square(risks, rho).value, "o", color="C0")

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from piumar_lib.notebook import fixed_figure


def draw(rho=0.4, tail=-1.0, groups=8):
    risks = shaped(tail, groups)
    fig, (left, right) = fixed_figure(7, 3, columns=2)
    draw_weights(left, risks, rho)
    draw_values(right, risks, rho)
    left.set_ylabel("weight")
    right.set(xlabel="radius $\\rho$", ylabel="risk")
    left.legend(loc="upper left", fontsize=8)
    right.legend(loc="lower right", fontsize=8)
    gap = (dro.mean_plus_deviation(risks, rho) - dro.chi_square(risks, rho).value).item()
    show(fig, alt=f"Radius {rho:.2f}, tail {tail:.1f}: the formula exceeds the worst average by "
         f"{gap:.3f}; threshold {dro.variance_threshold(risks):.2f}.")

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
draw()

# %% [markdown] slideshow={"slide_type": "notes"}
# Move the radius and the shape. When does a dash of the formula fall below zero, and what happens on
# the right at that moment?

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import interact

interact(draw, rho=(0.0, 2.0, 0.05), tail=(-1.5, 1.5, 0.1), groups=(3, 12));

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(2, 3, figsize=(7, 4.6), sharey="row")
limits_of_shape = {}
for (top, bottom), tail in zip(axes.T, (-1.0, 0.0, 1.0), strict=True):
    risks = shaped(tail, 8)
    draw_weights(top, risks, 0.4)
    draw_values(bottom, risks, 0.4)
    limits_of_shape[tail] = dro.variance_threshold(risks).item()
    kind = {-1: "a few easy ones", 0: "symmetric", 1: "a few hard ones"}[tail]
    top.set_title(f"{kind}\n$\\rho^* = {limits_of_shape[tail]:.2f}$", fontsize=10)
    bottom.set_xlabel("radius $\\rho$")
axes[0, 0].set_ylabel("weight at $\\rho = 0.4$")
axes[1, 0].set_ylabel("risk")
axes[0, 2].legend(fontsize=8)
axes[1, 0].legend(fontsize=8)
show(fig, alt="Eight people, three shapes of risks. With a few easy people the formula leaves the worst "
     f"average at radius {limits_of_shape[-1.0]:.2f} and gives them negative weight at 0.4; symmetric "
     f"risks: {limits_of_shape[0.0]:.2f}; with a few hard people only at {limits_of_shape[1.0]:.2f}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** With a few hard people. There the mean is close to the easy majority, and much weight can
# move before anybody's is used up. In the extreme case of one hard person among $G$,
# $\rho^* = (G-1)/2$: the formula holds until all weight is on that person. With one easy person among
# $G$ it is $\rho^* = 1 / (2 (G-1))$.
#
# Beyond the threshold the formula still is an upper bound. But it is no worst case: the average it
# stands for has a **negative weight**. Does that matter?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The trap: negative weights train against people
#
# The best known penalty of this kind takes the variance itself. V-REx [[5](#references)] minimises
#
# $$ \bar R + \beta V, \qquad \text{slope} \quad \frac{1}{G} \bigl( 1 + 2 \beta (R_g - \bar R) \bigr) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The slope is negative for the easiest group as soon as $\beta > 1 / (2 (\bar R - R_{\min}))$. Unlike
# $\rho^*$ this *does* depend on scale. By hand for A, B, C and $\beta = 10$, a common default:

# %% [markdown]
# $$ \tfrac13 \, (1 - 6, \, 1 - 2, \, 1 + 8) = (-1.67, -0.33, 3) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Two of three people have negative weight. Gradient *descent* on this loss is gradient *ascent* on their risk.
#
# The [first version](glossary.md#first-version) of this course's GIRL made that very mistake: it added $\lambda$ times the slope of the
# deviation to online weights $q$, and nothing kept the sum positive, so easy groups could get negative weight.

# %%
def vrex(risks, beta=10.0):
    return risks.mean() + beta * risks.var(unbiased=False)


def slope(objective, risks):
    risks = risks.clone().requires_grad_()
    return torch.autograd.grad(objective(risks), risks)[0]

# %%
print(slope(vrex, abc).numpy().round(2), "negative from beta =", round(0.5 / (0.5 - 0.2), 2), "on")
torch.testing.assert_close(slope(vrex, some), (1 + 20 * (some - some.mean())) / len(some))
with_deviation = slope(lambda r: dro.mean_plus_deviation(r, 2.0), some)
torch.testing.assert_close(with_deviation, weights_by_hand(some, 2.0))

# %% [markdown] slideshow={"slide_type": "notes"}
# A loss with a negative slope is not **monotone**: it may prefer a model that is worse for everybody.
# Compare our three people with three whose risk is 1, each worse off than before:

# %% slideshow={"slide_type": "skip"}
equal = torch.ones(3, dtype=torch.float64)
LOSSES = {
    "mean (ERM)": lambda r: r.mean(),
    "V-REx, $\\beta = 10$": vrex,
    "mean + deviation, $\\rho = 2$": lambda r: dro.mean_plus_deviation(r, 2.0),
    "chi-square ball, $\\rho = 2$": lambda r: dro.chi_square(r, 2.0).value,
}

# %% slideshow={"slide_type": "subslide"}
rows = []
for name, loss in LOSSES.items():
    a, b = loss(abc).item(), loss(equal).item()
    rows.append([name, f"{a:.2f}", f"{b:.2f}", "0.2, 0.4, 0.9" if a < b else "**1, 1, 1**"])
show_table(["loss", "risks 0.2, 0.4, 0.9", "risks 1, 1, 1", "prefers"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# V-REx, and the deviation beyond its threshold, prefer that everybody be equally badly off. A worst
# average with $p \ge 0$ never does: if all risks fall, every average of them falls.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### A geometric picture: three people choose a meeting point

# %% [markdown] slideshow={"slide_type": "notes"}
# Three people live at A, B, C and look for a place $w$ to meet. A person's risk is the squared
# distance. Set the slope of any loss to zero: $\sum_g p_g (w - c_g) = 0$. As the weights of all our
# losses sum to one, $w = \sum_g p_g c_g$, the average of the homes $c_g$ with the loss's weights. **The triangle of homes is the triangle of
# weights.** Negative weights are places outside of it, and for such a place the nearest point of the
# triangle is closer to *everybody*.

# %% [markdown]
# > **Predict.** Three people nearly on one street, B in between. Where does each loss send them if
# > inequality counts more and more?

# %% slideshow={"slide_type": "skip"}
homes = torch.tensor([[0.0, 0.0], [0.7, 0.5], [2.4, 0.0]], dtype=torch.float64)


def squared_distances(w, homes):
    return (torch.as_tensor(w) - homes).square().sum(-1)

# %% slideshow={"slide_type": "skip"}
from scipy.optimize import minimize


def meet(loss):
    def goal(w):
        return float(loss(squared_distances(w, homes)))

    return minimize(goal, homes.mean(0), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-8}).x

# %% slideshow={"slide_type": "skip"}
hyperparameter = np.linspace(0, 1, 9) ** 2
ways = {
    "chi-square ball": [meet(lambda r, s=s: dro.chi_square(r, 2 * s).value) for s in hyperparameter],
    "mean + deviation": [meet(lambda r, s=s: dro.mean_plus_deviation(r, 2 * s)) for s in hyperparameter],
    "V-REx": [meet(lambda r, s=s: vrex(r, 10 * s)) for s in hyperparameter],
}

# %% slideshow={"slide_type": "skip"}
ends = {"ERM": ways["V-REx"][0]} | {name: way[-1] for name, way in ways.items()}
LOOKS = {"ERM": ("k", "o", "-."), "chi-square ball": ("C0", "s", "-"),
         "mean + deviation": ("C1", "^", "--"), "V-REx": ("C4", "D", ":")}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), width_ratios=(1.25, 1))
left.fill(*homes.T.numpy(), color="0.9")
for name, (color, marker, line) in LOOKS.items():
    left.plot(*np.array(ways.get(name, [ends[name]])).T, line, color=color)
    left.plot(*ends[name], color=color, marker=marker, ls=line, label=name, ms=7, mec="w")
    right.plot(range(3), squared_distances(ends[name], homes), color=color, marker=marker, ls=line)
for letter, home in zip("ABC", homes.numpy(), strict=True):
    box = {"fc": "w", "ec": "k", "pad": 2}
    left.text(*home, letter, weight="bold", ha="center", va="center", bbox=box)
left.set(xlabel="east [km]", ylabel="north [km]", aspect="equal", ylim=(-1.2, 0.7))
left.legend(fontsize=8, loc="lower left")
right.set_xticks(range(3), list("ABC"))
right.set(ylabel="squared distance [km²]", xlabel="person", ylim=(0, None))
far = squared_distances(ends["V-REx"], homes)
near = squared_distances(ends["chi-square ball"], homes)
show(fig, alt="Left: the chi-square ball's meeting place walks from the centroid to the middle between "
     "A and C and stays in the triangle; mean plus deviation and V-REx leave it southwards. Right: "
     "squared distances of A, B, C; chi-square " + ", ".join(f"{v:.2f}" for v in near) + "; V-REx "
     + ", ".join(f"{v:.2f}" for v in far) + ".")
assert (near < far).all() and (near < squared_distances(ends["mean + deviation"], homes)).all()

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The chi-square ball ends where the farthest person is as near as possible. The two
# penalties share a road, because both trade the mean for the same spread, and it leaves town, towards
# the point that is equally far from all three. The deviation follows it part of the way, V-REx goes
# farther: at either end *each* of the three has farther to go than with chi-square. Equality was bought
# by levelling down.
#
# This is not a slip of V-REx's authors. They want weights beyond the triangle, to *extrapolate* to
# groups that differ more than the training groups do. That is a bet on what strangers are like. It is not
# protection of the worst-off, and it has a price.
#
# ### In training, with true people as groups
#
# Now a recogniser. It is a deliberately small one: softmax regression on six numbers of a clip (the
# logarithms of how much each channel moves, first six principal components). It cannot suit everybody,
# so people compete. Groups are the true people.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data import synthetic

if data:
    held = np.isin(yours.person, yours.people[0::5])
    known, unseen = yours.take(~held), yours.take(held)
else:
    known = synthetic.make_clips(synthetic.make_people(crowd, seed=90 + seed), 40, seed=90 + seed)
    strangers = synthetic.make_people(20, seed=1090 + seed)
    unseen = synthetic.make_clips(strangers, 40, seed=1090 + seed, person_offset=1000)

# %% slideshow={"slide_type": "skip"}
who, person = np.unique(known.person, return_inverse=True)
print(f"{known.name}: {len(known)} clips of {len(who)} people; unseen: {len(unseen.people)} people")

# %% slideshow={"slide_type": "skip"}
unit = known.x.std() if data else 1  # the constant is small beside the movements of our skeletons
moves = np.log(known.x.std(1) / unit + 1e-3)
u, _, _ = np.linalg.svd((moves - moves.mean(0)) / moves.std(0).clip(1e-6), full_matrices=False)
six = torch.as_tensor(np.c_[u[:, :6] * len(u) ** 0.5, np.ones(len(u))], dtype=torch.float64)

# %% slideshow={"slide_type": "skip"}
y, group = torch.as_tensor(known.y), torch.as_tensor(person)
counts = torch.bincount(group).double()


def risks_of(w):
    losses = torch.nn.functional.cross_entropy(six @ w, y, reduction="none")
    return torch.zeros(len(who), dtype=torch.float64).index_add(0, group, losses) / counts

# %% slideshow={"slide_type": "skip"}
def regress(loss, steps=descents):
    w = torch.zeros(six.shape[1], known.classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(risks_of(w)).backward()
        optimizer.step()
        schedule.step()
    return risks_of(w).detach()

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** All three losses besides ERM narrow the gap between people. Who pays for it? Is anybody
# > better off with *mean + deviation* than with the exact worst case of the same radius, $\rho = 1.5$?

# %% slideshow={"slide_type": "skip"}
TRAIN = {
    "ERM": lambda r: r.mean(),
    "chi-square ball": lambda r: dro.chi_square(r, 1.5).value,
    "mean + deviation": lambda r: dro.mean_plus_deviation(r, 1.5),
    "V-REx": vrex,
}

# %% slideshow={"slide_type": "skip"}
got = {name: regress(loss) for name, loss in TRAIN.items()}
slopes = {name: len(who) * slope(loss, got[name]) for name, loss in TRAIN.items()}
order = got["ERM"].argsort()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4))
for name, (color, marker, line) in LOOKS.items():
    left.plot(got[name][order], line, color=color, marker=marker, ms=3, lw=1, label=name)
    right.plot(slopes[name][order], line, color=color, marker=marker, ms=3, lw=1)
right.axhline(0, color="k", lw=0.8)
left.set(xlabel="person, from easy to hard for ERM", ylabel="risk [nats]")
right.set(xlabel="person, from easy to hard for ERM", ylabel="final weight [even share]")
left.legend(fontsize=8)
top, first, low = (", ".join(f"{n} {f(n):z.2f}" for n in got) for f in (
    lambda n: got[n].max(), lambda n: got[n][order[0]], lambda n: slopes[n].min()))
show(fig, alt=f"Left: risk of each training person. Highest risk: {top}; of the person that is easiest "
     f"for ERM: {first}. Right: final weights; lowest: {low}.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rows = [[name, *(f"{v:.2f}" for v in (r.mean(), r.min(), r.max())), int((slopes[name] < -1e-6).sum()),
         int((got["chi-square ball"] < r - 1e-6).sum())] for name, r in got.items()]
show_table(["risk of training people [nats]", "mean", "lowest", "highest", "people with negative weight",
            "better off with chi-square"], rows)

# %% tags=["hide-input"]
better = int((got["chi-square ball"] < got["mean + deviation"] - 1e-6).sum())
lifted = {name: (r[order[0]] - got["ERM"][order[0]]).item() for name, r in got.items()}
print(f"chi-square instead of mean + deviation: {better} of {len(who)} people are better off")
print("risk of ERM's easiest person rises by", ", ".join(f"{v:.2f} ({n})" for n, v in lifted.items()))
limit = dro.variance_threshold(got["ERM"]).item()
print(f"threshold at ERM's risks: rho* = {limit:.2f}, deviation weight {(2 * limit) ** 0.5:.2f};",
      f"V-REx: beta = {0.5 / (got['ERM'].mean() - got['ERM'].min()).item():.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The second printed line says what each loss costs ERM's easiest person: a small model can only
# be pulled one way. With the exact worst case the pull *away* from them ends at weight 0: it stops
# caring for them. The other two may go on, below 0, and count their misfortune as a success. Is anybody
# better off with the deviation? The first printed line says how many people are better off with the worst
# case of the same radius; the others, if any, are those for whom the deviation is no worse.
#
# **When is it harmless?** Below the threshold. Then the slopes are honest weights. The thresholds in
# the last line are those at ERM's risks; they move as training goes on. Three ways to stay honest:

# %% [markdown] slideshow={"slide_type": "subslide"}
# - the **root** of the variance with a small weight $\lambda = \sqrt{2 \rho}$ (exercise 2: how small is
#   always safe?),
# - the exact worst case, `dro.chi_square`: weights of the same form, but **clipped** at 0 for everybody
#   below the threshold $\eta$. This is what GIRL runs, at every radius,
# - a model that can suit everybody: if all risks can be low, equality need not be bought. (Try it: keep
#   34 components instead of 6.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Minibatches: bias of a worst case

# %% [markdown] slideshow={"slide_type": "notes"}
# A mean over a batch is right on average. A worst average is not. Take a large population of losses and
# compute the exact robust risk. Then do the same on batches of $m$ losses, many times, and average. A
# bound like chi-square's above (exercise 1 has CVaR's) says which way it errs: in the batch, $\eta$ is
# chosen to suit *the batch*, and the minimum of an average is at least the average of minima. (Chi-square's
# root errs the same way: the root of an average is at least the average of roots. So does KL's logarithm.)

# %% [markdown]
# > **Predict.** Losses like $\vert N(0, 1) \vert$, share 0.3. How far off is CVaR of a batch of 16, in
# > percent: 0.3, 3 or 30? And how does the error shrink with $m$?

# %% slideshow={"slide_type": "skip"}
share, sizes = 0.3, np.array([4, 8, 16, 32, 64, 128])
places = (torch.arange(50_000, dtype=torch.float64) + 0.5) / 50_000
truth = {n: robust(n, 2**0.5 * torch.erfinv(places), share).value.item() for n in RADIUS}

# %% slideshow={"slide_type": "subslide"}
torch.manual_seed(seed)
bias, spread = {n: [] for n in RADIUS}, {n: [] for n in RADIUS}
for m in sizes:
    batches = torch.randn(draws, m, dtype=torch.float64).abs()
    for name in RADIUS:
        values = robust(name, batches, share).value
        bias[name].append(values.mean().item() - truth[name])
        spread[name].append(values.std().item() / draws**0.5)
at16 = int(np.flatnonzero(sizes == 16)[0])
print(f"CVaR, m = 16: {bias['CVaR'][at16]:+.3f} with standard error {spread['CVaR'][at16]:.3f}, "
      f"of {truth['CVaR']:.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Batches of *people* bring a second error, in the other direction. Let all 20 people be present, but
# estimate each one's risk from only $n$ clips. The maximum over weights is convex in the risks, so at noisy
# risks it is on average higher than at their mean (Jensen again): the adversary overfits estimation noise.
# **Running risks** help: an exponential moving average (EMA) of each person's risk with momentum $\mu$,
#
# $$ \tilde R_g \leftarrow \mu \tilde R_g + (1 - \mu) R_g $$
#
# here with $\mu = 0.9$, as in GIRL, is an average over about 19 batches.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** GIRL's ball, $\rho = 0.05$. With two clips a person, does the adversary push in about the right
# > direction? We measure the cosine between its departure from even weights and the one at the true risks.

# %% slideshow={"slide_type": "skip"}
lot = 0.2 + 0.5 * shaped(1.0, 20)  # true risks of 20 people
each = np.array([1, 2, 4, 8, 16, 32])
exact = dro.chi_square(lot, 0.05)

# %% slideshow={"slide_type": "skip"}
def estimates(n, momentum, steps=60, trials=300):
    """Estimated risks of all people, from ``n`` exponential losses each; shape ``(trials, people)``."""
    rate = torch.tensor(float(n), dtype=torch.float64)
    noise = torch.distributions.Gamma(rate, rate).sample((steps, trials, len(lot)))
    running = noise[0] * lot
    for batch in noise[1:]:
        running = momentum * running + (1 - momentum) * batch * lot
    return running

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
high, aim = {}, {}
for momentum in (0.0, 0.9):
    found = [dro.chi_square(estimates(n, momentum), 0.05) for n in each]
    high[momentum] = [(f.value.mean() - exact.value).item() for f in found]
    aim[momentum] = [torch.nn.functional.cosine_similarity(
        f.weights - 1 / len(lot), exact.weights - 1 / len(lot)).mean().item() for f in found]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
for name, style in STYLE.items():
    low, width = -np.array(bias[name]), 2 * np.array(spread[name])
    left.errorbar(sizes, low, width, label=name, capsize=2, **style)
left.loglog(sizes, -bias["CVaR"][0] * sizes[0] / sizes, color="0.6", lw=1, label="$1/m$")
left.set(xlabel="losses in the batch, $m$", ylabel="too low by", title="few clips: too low")
left.set_xticks(sizes, sizes)
left.minorticks_off()
left.legend(fontsize=8)
for momentum, style in ((0.0, "o-"), (0.9, "s--")):
    right.semilogx(each, aim[momentum], style, color="C0", label=f"$\\mu$ = {momentum:g}")
right.set_xticks(each, each)
right.minorticks_off()
right.set(xlabel="clips of each person, $n$", ylabel="cosine with the true direction",
          title="noisy risks: wrong aim", ylim=(0, 1))
right.legend(fontsize=8)
low = -np.array(bias["CVaR"])
show(fig, alt="Left: robust risks of small batches are too low; CVaR by "
     f"{low[0]:.3f} at 4 losses, {low[at16]:.3f} at 16, {low[-1]:.3f} at 128. Right: cosine of the "
     f"adversary's direction with the true one rises from {aim[0.0][0]:.2f} with one clip a person to "
     f"{aim[0.0][-1]:.2f} with 32; with running risks from {aim[0.9][0]:.2f} to {aim[0.9][-1]:.2f}.")

# %% tags=["hide-input"]
falls = {n: np.polyfit(np.log(sizes), np.log(-np.array(bias[n])), 1)[0] for n in RADIUS}
print("slopes in the left figure:", ", ".join(f"{n} {s:.2f}" for n, s in falls.items()))
print(f"CVaR at m = 16 is too low by {-100 * bias['CVaR'][at16] / truth['CVaR']:.1f} %")
print(f"chi-square ball, 2 clips a person: value too high by {100 * high[0.0][1] / exact.value:.0f} %, "
      f"running {100 * high[0.9][1] / exact.value:.0f} %; "
      f"cosine {aim[0.0][1]:.2f}, running {aim[0.9][1]:.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** About 3 percent, and about as $1/m$: twice the batch, half the error. KL is worst off and
# recovers more slowly, as its weights hang on the very largest losses, which a small batch does not
# have. On the right, with two clips a person the adversary pushes in a direction that has little to do with
# who is badly off. With running risks most of its push arrives where it should.
#
# Running risks have a price: while the model learns, old risks are out of date.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Online weights: GroupDRO

# %% [markdown] slideshow={"slide_type": "notes"}
# [GroupDRO](glossary.md#groupdro) [[4](#references)] keeps the weights $q$ as a slow variable of its own. In each step groups with
# high risk gain, and the model takes a gradient step, of size $\gamma$, on the weighted mean. ($\eta$ is a
# step size from here on, no longer a threshold.)

# %% [markdown]
# $$ q_g \leftarrow \frac{q_g \, e^{\eta R_g}}{\sum_h q_h \, e^{\eta R_h}}, \qquad w \leftarrow w - \gamma \sum_g q_g \nabla R_g(w) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# This is memory, too: after $t$ steps from even weights $q$ is the softmax of $\eta$ times the *sum* of all
# past risks. With $\eta = 0$ it stays even: ERM. By hand: $q$ even, $\eta = 1$: proportional to
# $e^{0.2}, e^{0.4}, e^{0.9} = 1.22, 1.49, 2.46$, so $0.24, 0.29, 0.48$.

# %%
def online_by_hand(q, risks, step):
    grown = q * (step * risks).exp()
    return grown / grown.sum()

# %%
even = torch.full((3,), 1 / 3, dtype=torch.float64)
print(online_by_hand(even, abc, 1.0).numpy().round(2))
for step in (0.0, 0.1, 1.0):
    q = some.softmax(0)
    torch.testing.assert_close(online_by_hand(q, some, step), dro.exponentiated_gradient(q, some, step))
torch.testing.assert_close(dro.exponentiated_gradient(even, abc, 0.0), even)

# %% [markdown] slideshow={"slide_type": "notes"}
# (Values only: like all weights here, these are constants for back-propagation.)
#
# For a convex problem the *average* of all models comes close to the worst case over all weights, with a gap of
# order $1 / \sqrt{t}$. Networks are not convex, and nobody averages them this way. In GIRL online weights are the
# **ablation**. Two things speak against them: no ball holds them back, and their step depends on the *scale* of
# the risks. In nats, guessing among 52 classes costs $\log 52 / \log 7 = 2$ times as much as among 7. The ball's
# weights depend on the shape of the risks alone, so their scale drops out; GIRL divides risks by $\log K$ all the
# same, so that the ablation is fair and 1 always means guessing.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Four people whose true risks stay as they are, judged by running risks from four clips a batch.
# > Where does the largest weight go in 300 batches: online, with the same risks doubled, and in the ball?

# %% slideshow={"slide_type": "skip"}
def largest_weights(scale, step=None, batches=300):
    """Largest weight after each batch; ``step`` for online weights, else GIRL's ball."""
    torch.manual_seed(seed)
    true = scale * torch.tensor([0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    running, q, largest = true.mean().expand(4), torch.full((4,), 0.25, dtype=torch.float64), []
    for noise in torch.distributions.Gamma(4.0, 4.0).sample((batches, 4)):
        running = 0.9 * running + 0.1 * noise * true
        online = step and dro.exponentiated_gradient(q, running, step)
        q = online if step else dro.chi_square(running, 0.05).weights
        largest.append(q.max().item())
    return largest

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
LINES = {"online, $\\eta$ = 0.05": (1, 0.05), "online, risks doubled": (2, 0.05),
         "ball, $\\rho$ = 0.05": (1, None), "ball, risks doubled": (2, None)}
fig, ax = plt.subplots(figsize=(6, 2.8))
ends = {}
for (name, how), line in zip(LINES.items(), ("-", "--", "-", ":"), strict=True):
    found = largest_weights(*how)
    ends[name] = found[-1]
    ax.plot(found, line, color="C4" if how[1] else "C0", lw=3 if line == ":" else 1.4, label=name)
ax.set(xlabel="batch", ylabel="largest weight", ylim=(0.2, 1))
ax.legend(fontsize=8)
show(fig, alt="Largest of four weights over 300 batches. Online weights go on growing, faster if all "
     "risks are doubled; those of the ball stay, and are the same for doubled risks. At the end: "
     + ", ".join(f"{v:.2f} ({n})" for n, v in ends.items()) + ".")
np.testing.assert_allclose(*(largest_weights(scale) for scale in (1, 2)))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** As long as somebody is worst, online weights go on growing, twice as fast for doubled risks: in the
# end one person has nearly all weight. In the ball the largest weight stays below
# $\frac14 (1 + \sqrt{2 \rho \cdot 3}) = 0.39$ for four people. GIRL's weights, in one line: *the worst case in a
# chi-square ball of radius 0.05 about the groups' shares, at running risks in units of guessing*:

# %% slideshow={"slide_type": "skip"}
from piumar_lib.batch import Batch
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.pseudo_groups import PersonGroups
from piumar_lib.recognizer import Prediction
from piumar_lib.training import Settings, fit, predict


def weights_of_girl(batches, y, person):
    """Let the library's objective see scores of all clips, one batch after the other."""
    clips = Batch(torch.zeros(len(y), 2, 1), y, person, torch.arange(len(y)))
    objective = GroupRobustObjective(PersonGroups())
    objective.start(None, clips, Settings())
    for number, logits in enumerate(batches):
        objective.before_epoch(clips, number)  # groups are found before the second
        losses = torch.nn.functional.cross_entropy(logits, y, reduction="none")
        objective.risk(losses, Prediction(logits, early_features=clips.x), clips)
    return objective

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
labels, persons = torch.arange(24) % 7, torch.tensor([0] * 12 + [1] * 8 + [2] * 4)
girl = weights_of_girl(torch.randn(5, 24, 7) * 3, labels, persons)
by_definition = dro.chi_square(girl.running, 0.05, torch.tensor([12.0, 8, 4])).weights
torch.testing.assert_close(girl.q, by_definition)
print("running risks", girl.running.numpy().round(2), "weights", girl.q.numpy().round(3))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who gets the weight?

# %% [markdown] slideshow={"slide_type": "notes"}
# Back to people. Train the recogniser of chapter 01, plain ERM. Take each person's risk, for training
# people and for people it never saw, and ask the three adversaries for their weights at share 0.25.

# %% slideshow={"slide_type": "skip"}
from piumar_lib import metrics
from piumar_lib.backbones import tiny_cnn
from piumar_lib.notebook import plots
from piumar_lib.recognizer import Recognizer

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
model = Recognizer(tiny_cnn(known.x.shape[-1]), 32, known.classes)
fit(model, known, Settings(epochs=epochs, seed=seed), device=run.device)
model.cpu();

# %% slideshow={"slide_type": "skip"}
def by_person(clips):
    """Risk and accuracy of each person, arrays of shape ``(people,)``."""
    chance = predict(model, clips)
    loss = -np.log(chance[np.arange(len(clips)), clips.y].clip(1e-7))
    accuracy = metrics.accuracy_by_person(chance.argmax(1) == clips.y, clips.person)
    return torch.tensor([loss[clips.person == p].mean() for p in clips.people]).double(), accuracy


sides = {"training people": by_person(known), "unseen people": by_person(unseen)}

# %% [markdown]
# > **Predict.** At share 0.25 CVaR gives nothing to three quarters of the people. How many people do the
# > other two leave without any weight? And do people with the lowest accuracy get the most?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
MARKS = {"CVaR": "^", "chi-square": "s", "KL": "o"}
fig, axes = plt.subplots(1, 3, figsize=(7, 3.1))
plots.people_bars(axes[0], sides["unseen people"][1])
axes[0].set(title="unseen people", xlabel="person, best first")
for ax, (side, (risks, _)) in zip(axes[1:], sides.items(), strict=True):
    rising, fill = risks.sort().values, "w" if side == "unseen people" else None
    for name, style in STYLE.items():
        weights = len(risks) * robust(name, rising, 0.25).weights
        ax.plot(rising, weights, marker=MARKS[name], ms=4, lw=0.8, mfc=fill, label=name, **style)
    ax.set(xlabel="risk [nats]", title=side)
axes[1].set_ylabel("weight [even share]")
axes[2].legend(fontsize=8)
limits = {side: (r.min().item(), r.max().item()) for side, (r, _) in sides.items()}
words = "; ".join(f"{side} {low:.2f} to {top:.2f}" for side, (low, top) in limits.items())
show(fig, alt="Left: accuracy of unseen people, best first. Middle and right: weight of each person "
     "over risk. CVaR is a step, chi-square zero and then a straight line, KL an exponential. "
     f"Risks in nats: {words}.")

# %% slideshow={"slide_type": "skip"}
def row(words, value, p, scores, quarter):
    left_out = int((p * len(p) < 0.01).sum())
    return [words, f"{value:.2f}", float(p.numpy() @ scores), 100 * p[quarter].sum().item(), left_out]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rows = []
for side, (risks, accuracy) in sides.items():
    scores = 100 * np.array(list(accuracy.values()))
    quarter = risks.argsort(descending=True)[: int(np.ceil(len(risks) / 4))]
    even = torch.full_like(risks, 1 / len(risks))
    rows.append(row(f"{side}, even weights", risks.mean(), even, scores, quarter))
    for name in RADIUS:
        found = robust(name, risks, 0.25)
        rows.append(row(f"{side}, {name}", found.value, found.weights, scores, quarter))
show_table(["weights", "risk [nats]", "accuracy [%]",
            "weight of the quarter with the highest risk [%]",
            "people with under 1 % of an even share"], rows)

# %% slideshow={"slide_type": "skip"}
from scipy.stats import spearmanr

risks, accuracy = sides["unseen people"]
agree = spearmanr(risks, list(accuracy.values())).statistic
most = {n: robust(n, risks, 0.25).weights for n in RADIUS}

# %% slideshow={"slide_type": "skip"}
hardest = unseen.people[int(risks.argmax())]
place = sorted(accuracy, key=accuracy.get).index(int(hardest)) + 1
print(f"risks in nats: {words}")
print(f"rank correlation of risk and accuracy over unseen people: {agree:.2f}")
print(f"highest risk: person {hardest}, rank {place} from below in accuracy, gets " + ", ".join(
    f"{100 * p.max():.0f} % ({n})" for n, p in most.items()))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The three shapes are the three derivations: a step at a rank, a hinge at a threshold, an
# exponential. CVaR treats all of the highest quarter alike. The other two follow the size of the risk; KL
# in particular may hand a large part to *one* person, while nobody's weight is ever exactly 0.
#
# The weights follow the *loss*, which is highest where the model is confidently wrong. The printed
# correlation says how closely that goes with low accuracy. Whoever has few or odd clips may rule a worst
# case for that reason alone.
#
# Last, compare the two right-hand panels' axes. A robust loss can only see the left one of them: the
# risks of people in the training set. A network that fits all of them has nothing left to reweigh,
# however badly strangers fare. So whether training with such weights helps strangers is an empirical
# question; nothing in this chapter answers it. Chapter 09 does the comparison, with GroupDRO, V-REx and
# CVaR among the rivals. Chapter 07 takes the worst case to groups that are *not* given.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: CVaR by a threshold
#
# *20 minutes, hard.*
#
# The bound for chi-square held for any threshold $\eta$. Find such a bound for CVaR: start from
# $\sum_g p_g R_g - \eta \le \sum_g p_g (R_g - \eta)_+$ and use the cap. Write `cvar_bound(risks, eta,
# alpha)`, its right-hand side: at least CVaR for every $\eta$, and equal to it for the best one.

# %% tags=["exercise"]
def cvar_bound(risks, eta, alpha):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.cvar_bound(cvar_bound)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def cvar_bound(risks, eta, alpha):
#     return eta + (risks - eta).clamp(min=0).mean() / alpha
# ```
#
# As $p_g \le 1 / (\alpha G)$, the sum is at most $\frac{1}{\alpha G} \sum_g (R_g - \eta)_+$. CVaR has
# the exponent 1 where chi-square has 2, and KL an exponential: one family.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: how much deviation is safe?
#
# *20 minutes, hard.*
#
# Write `largest_weight(risks)`: the largest $\lambda$ for which $\bar R + \lambda \sqrt V$ gives nobody
# a negative weight. (Its slopes are those of the worst-case weights above.)

# %% tags=["exercise"]
def largest_weight(risks):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.largest_weight(largest_weight)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def largest_weight(risks):
#     return risks.var(unbiased=False).sqrt() / (risks.mean() - risks.min())
# ```
#
# This is $\sqrt{2 \rho^*}$. It is smallest when all groups but one easy one are equal: then it is
# $1 / \sqrt{G - 1}$, which is therefore safe for *all* risks of $G$ groups. Geometrically: the largest
# disc that fits into the triangle. For four groups it is 0.58.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 3: how soft is a soft maximum?
#
# *15 minutes, medium.*
#
# `kl_penalty` is never above the maximum. Write `temperature_for(error, groups)`: the largest
# temperature at which it is at most `error` below the maximum, whatever the risks are.

# %% tags=["exercise"]
def temperature_for(error, groups):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.temperature_for(temperature_for)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def temperature_for(error, groups):
#     return error / np.log(groups)
# ```
#
# Keep only the largest term of the sum:
#
# $$ T \log \Big(\frac1G \sum_g e^{R_g / T}\Big) \ge T \log \Big(\frac1G e^{R_{\max} / T}\Big) = R_{\max} - T \log G $$
#
# Replace all terms by the largest: the value is at most $R_{\max}$.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print("- Three worst averages equal the solver's: largest error " + ", ".join(
    f"{max(v):.0e} ({n})" for n, v in error.items()) + "; their slopes are the worst weights.")
hurt = int((slopes["mean + deviation"] < -1e-6).sum())
easy, hard = limits_of_shape[-1.0], limits_of_shape[1.0]
print(f"- Mean plus deviation is the worst case up to rho* = {easy:.2f} (few easy people) or {hard:.2f} "
      f"(few hard ones). Trained with it at radius 1.5, {hurt} of {len(who)} people had negative weight "
      f"in the end; {better} are better off with the exact worst case.")

# %% tags=["hide-input"]
print(f"- CVaR of 16 losses is off by {bias['CVaR'][at16]:+.3f} (standard error "
      f"{spread['CVaR'][at16]:.3f}). GIRL's ball at risks from 2 clips a person aims with cosine "
      f"{aim[0.0][1]:.2f}, at running risks with {aim[0.9][1]:.2f}. Of the weight over unseen people "
      "the worst one gets " + ", ".join(f"{100 * p.max():.0f} % ({n})" for n, p in most.items()) + ".")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | distributionally robust optimisation | three worst averages | `dro.chi_square`, `dro.kl_ball`, `dro.kl_penalty`, `dro.cvar`, `dro.Robust` | `test_dro.py` (CVXPY) | the paper's ball is not public to us |
# | subgroup variance is regularised | mean plus deviation as a worst case | `dro.mean_plus_deviation`, `dro.variance_threshold`, `dro.deviation` | `test_dro.py` | the *root* of the variance, because of the trap |
# | group-invariant regularised loss | the ball that GIRL runs | `group_robust.GroupRobustObjective`, `dro.chi_square` | `test_group_robust.py` | radius 0.05 about the groups' shares, clipped at zero; running risks over $\log K$ |
# | worst groups count more | online weights | `dro.exponentiated_gradient` | `test_dro.py` | as in GroupDRO; in GIRL an ablation |
# | (silent; reviewers asked for a link to worst-case risk) | the proposition | `dro.chi_square` | `test_dro.py` | ours |
# | (silent) groups | true people, in this chapter only | `metrics.accuracy_by_person` | `test_metrics.py` | pseudo-groups follow in chapter 07 |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261),
#    2025.
# 2. H. Namkoong, J. C. Duchi. *Variance-based Regularization with Convex Objectives.*
#    [arXiv 1610.02581](https://arxiv.org/abs/1610.02581), 2017. The chi-square ball and the variance.
# 3. R. T. Rockafellar, S. Uryasev. *Optimization of Conditional Value-at-Risk.* Journal of Risk 2(3),
#    2000.
# 4. S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang. *Distributionally Robust Neural Networks for Group
#    Shifts.* [arXiv 1911.08731](https://arxiv.org/abs/1911.08731), 2020.
# 5. D. Krueger et al. *Out-of-Distribution Generalization via Risk Extrapolation.*
#    [arXiv 2003.00688](https://arxiv.org/abs/2003.00688), 2021.
# 6. D. Levy, Y. Carmon, J. C. Duchi, A. Sidford. *Large-Scale Methods for Distributionally Robust
#    Optimization.* [arXiv 2010.05893](https://arxiv.org/abs/2010.05893), 2020. The bias of batches.
# 7. P. Artzner, F. Delbaen, J.-M. Eber, D. Heath. *Coherent Measures of Risk.* Mathematical Finance 9(3),
#    1999. Why a measure of risk should be monotone.
# 8. J. M. Danskin. *The Theory of Max-Min.* Springer, 1967.
