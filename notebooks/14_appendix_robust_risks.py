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
# # 14 · Appendix: other robust risks
#
# Which robust risks are there besides the chi-square ball, and how wrong is any of them on a minibatch?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [06 robust optimisation](06_robust_optimisation.ipynb); Jensen's inequality |
# | you will build | CVaR and two Kullback-Leibler robust risks, each checked against a convex solver |
# | device | any laptop |
#
# PIUmr uses none of this. CVaR can be trained as a method of its own (`piumar_lib.evidence.methods`), and the
# sections on minibatches and on who gets the weight apply to any robust risk.

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - compute the worst case under CVaR's cap and in a Kullback-Leibler ball, on one scale with the chi-square ball,
# - say in which direction a robust risk errs on a minibatch, and by how much,
# - tell from the three shapes who gets the weight.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17"; by default synthetic people
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import given, show, start

run = start(profile)
data, yours = given(data)
crowd, epochs = run.pick(quick=20, full=40), run.pick(quick=15, full=20)
draws = run.pick(quick=10_000, full=50_000)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# As in chapter 06, three people have risks 0.2, 0.4 and 0.9, and each point of the triangle is a choice of weights.
# An adversary makes the average as large as possible, within a set of allowed weights. Three sets are common: a
# hexagon (CVaR), a disc (chi-square) and a rounded triangle (Kullback-Leibler). As the set grows from the centre, the
# worst-case weights follow the thick line to corner C.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib import dro

RADIUS = {  # of sets that all contain CVaR's for this fraction of people; derived below
    "CVaR": lambda fraction: fraction,
    "chi-square": lambda fraction: (1 / fraction - 1) / 2,
    "KL": lambda fraction: float(np.log(1 / fraction)),
}
FUNCTION = {"CVaR": dro.cvar, "chi-square": dro.chi_square, "KL": dro.kl_ball}

def robust(name, risks, fraction):
    return FUNCTION[name](risks, RADIUS[name](fraction))

abc = torch.tensor([0.2, 0.4, 0.9]).double()
print("worst case for fraction 0.6:", ", ".join(f"{n} {robust(n, abc, 0.6).value:.2f}" for n in RADIUS))

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from piumar_lib.notebook import triangle

EDGE = {  # divergence from uniform weights, and its value at the edge of the set for fraction 0.6
    "CVaR": (lambda p: p.max(-1), 1 / 1.8),
    "chi-square": (lambda p: np.square(3 * p - 1).sum(-1) / 6, RADIUS["chi-square"](0.6)),
    "KL": (lambda p: (p * np.log(np.maximum(3 * p, 1e-300))).sum(-1), RADIUS["KL"](0.6)),
}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9))
fig.get_layout_engine().set(wspace=0.12)
for ax, name in zip(axes, EDGE, strict=True):
    triangle.shade(ax, abc)
    triangle.outline(ax, *EDGE[name], linewidths=1.5)
    path = torch.stack([robust(name, abc, f).weights for f in np.linspace(1, 1 / 3, 61)])
    ax.plot(*triangle.place(path).T, color="C4", lw=3, label="as the set grows")
    ax.plot(*triangle.place(robust(name, abc, 0.6).weights), "*", color="C4", ms=15, mec="w",
            label="worst case at fraction 0.6")
    ax.set_title(name, pad=22)
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
show(fig, alt="Three triangles of weights with the allowed set for fraction 0.6, its worst point as a "
     "star, and the line of worst points from the centre to corner C as the set grows. CVaR: a hexagon, "
     "and a line with a bend. Chi-square: a disc, and a straight line that meets the edge BC and "
     "follows it. Kullback-Leibler: a rounded triangle, and a curve.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Chi-square goes *straight* until A's weight is 0 and then follows the edge. KL curves and never quite reaches the
# edge, because its weights are a softmax. CVaR ignores *how much* worse C is: it first moves weight from A to B and C in equal parts.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## CVaR: a cap on every weight

# %% [markdown] slideshow={"slide_type": "notes"}
# Care about the worst fraction $\alpha = 1/2$ of three people. The cap on a weight is $1 / (\alpha G) = 2/3$. The
# adversary gives C the cap $2/3$, B the remaining $1/3$ and A nothing, so the value is
# $\frac23 \cdot 0.9 + \frac13 \cdot 0.4 = 0.73$. **Conditional value at risk**, [CVaR](glossary.md#cvar)
# [[1](#references)], is the mean of the worst fraction $\alpha$ of the groups:

# %% [markdown]
# No group may get more than $1 / (\alpha G)$, so the worst fraction $\alpha$ of the groups shares all the weight:
#
# $$ \mathrm{CVaR}_\alpha(R) = \max_p \; \sum_g p_g R_g \quad \text{with} \quad 0 \le p_g \le \frac{1}{\alpha G}, \quad \sum_g p_g = 1 $$

# %%
def cvar_by_hand(risks, alpha):
    worst_first = risks.sort(descending=True).values  # (G,)
    cap = 1 / (alpha * len(risks))
    left_over = 1 - cap * torch.arange(len(risks))  # (G,), before each group is served
    return left_over.clamp(0, cap).to(risks) @ worst_first

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same

torch.manual_seed(seed)
some = torch.randn(7, dtype=torch.float64)
print(f"{cvar_by_hand(abc, 0.5):.2f}")
assert_same(lambda r: cvar_by_hand(r, 0.3), lambda r: dro.cvar(r, 0.3).value, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Kullback-Leibler: a soft maximum

# %% [markdown] slideshow={"slide_type": "notes"}
# Here any weights are allowed, but the adversary pays $\lambda$ for each unit of
# [Kullback-Leibler](glossary.md#kullback-leibler) divergence from uniform weights,
# $\mathrm{KL}(p) = \sum_g p_g \log (G p_g)$. For $\lambda = 0.5$ the exponentials of $R_g / \lambda$ are $1.49$, $2.23$ and
# $6.05$ with mean $3.26$. The value is $0.5 \log 3.26 = 0.59$, and the weights are $0.15$, $0.23$ and $0.62$:

# %% [markdown]
# Subtract a price $\lambda$ for $\mathrm{KL}(p) = \sum_g p_g \log (G p_g)$, the divergence from uniform weights: the maximum is a softmax.
#
# $$ \max_p \; \sum_g p_g R_g - \lambda \, \mathrm{KL}(p) \;=\; \lambda \log \Bigl( \frac1G \sum_g e^{R_g / \lambda} \Bigr), \qquad p^*_g = \frac{e^{R_g / \lambda}}{\sum_{g'} e^{R_{g'} / \lambda}} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# At the optimum, moving a little weight between groups gains nothing, so $R_g - \lambda \log (G p_g)$ is the same number
# for all groups. Solving for $p_g$ gives a softmax, and inserting it shows that the number is the value. A low
# temperature $\lambda$ is close to the maximum, a high one close to the mean.
#
# With a *ball* $\mathrm{KL}(p) \le \rho$ instead of a price, the weights are again a softmax, at the temperature
# where the edge is reached. In the ball the price is at most $\lambda \rho$, so for *every* $\lambda$ there is a bound (the
# Lagrangian dual), with equality at the right $\lambda$:

# %% [markdown]
# With a ball in place of the price, each $\lambda$ gives a bound, and the best $\lambda$ the maximum:
#
# $$ \max_{\mathrm{KL}(p) \le \rho} \; \sum_g p_g R_g \;\le\; \lambda \rho + \lambda \log \Bigl( \frac1G \sum_g e^{R_g / \lambda} \Bigr) $$

# %% slideshow={"slide_type": "skip"}
from scipy.optimize import minimize_scalar


def kl_penalty_by_hand(risks, temperature):
    return temperature * (risks / temperature).exp().mean().log()

def kl_ball_by_hand(risks, rho):
    def dual(log_t):
        return (np.exp(log_t) * rho + kl_penalty_by_hand(risks.detach(), np.exp(log_t))).item()

    t = np.exp(minimize_scalar(dual, bounds=(-3, 8), method="bounded", options={"xatol": 1e-10}).x)
    return t * rho + kl_penalty_by_hand(risks, t)

print(f"{kl_penalty_by_hand(abc, 0.5):.2f}", dro.kl_penalty(abc, 0.5).weights.numpy().round(2))
assert_same(lambda r: kl_penalty_by_hand(r, 0.5), lambda r: dro.kl_penalty(r, 0.5).value, some)
assert_same(lambda r: kl_ball_by_hand(r, 0.3), lambda r: dro.kl_ball(r, 0.3).value, some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Three nested sets

# %% [markdown] slideshow={"slide_type": "notes"}
# To compare the three, choose the radii of both balls from CVaR's fraction $\alpha$, so that the sets are nested. The cap
# $p_g \le 1 / (\alpha G)$ implies $G \sum_g p_g^2 \le 1 / \alpha$, and by Jensen's inequality
# $\mathrm{KL}(p) \le \log (G \sum_g p_g^2)$.

# %% [markdown]
# With these radii CVaR's set lies in the chi-square ball, and that in the Kullback-Leibler ball:
#
# $$ \rho_{\chi^2} = \frac12 \Bigl( \frac1\alpha - 1 \Bigr), \qquad \rho_{\mathrm{KL}} = \log \frac1\alpha $$

# %% [markdown] slideshow={"slide_type": "notes"}
# For A, B, C and fraction 0.6 the values are 0.68 (CVaR), 0.74 (chi-square) and 0.80 (KL). A convex solver, given the
# definitions alone, agrees on nine random problems.

# %% slideshow={"slide_type": "skip"}
import cvxpy as cp

SETS = {
    "CVaR": lambda p, n, alpha: p <= 1 / (alpha * n),
    "chi-square": lambda p, n, rho: cp.sum_squares(n * p - 1) / (2 * n) <= rho,
    "KL": lambda p, n, rho: cp.sum(cp.rel_entr(p, np.full(n, 1 / n))) <= rho,
}

def difference(name, risks, fraction):
    p = cp.Variable(len(risks), nonneg=True)
    within = [cp.sum(p) == 1, SETS[name](p, len(risks), RADIUS[name](fraction))]
    value = cp.Problem(cp.Maximize(risks @ p), within).solve(solver=cp.CLARABEL)
    return abs(robust(name, torch.as_tensor(risks), fraction).value.item() - value)

# %% slideshow={"slide_type": "skip"}
rng = np.random.default_rng(seed)
trials = [(rng.normal(size=n), fraction) for n in (3, 5, 8) for fraction in (0.35, 0.6, 0.9)]
error = {name: max(difference(name, *trial) for trial in trials) for name in RADIUS}
print("largest difference to the solver:", ", ".join(f"{v:.0e} ({n})" for n, v in error.items()))
assert max(error.values()) < 2e-5

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Minibatches: bias of a worst case

# %% [markdown] slideshow={"slide_type": "notes"}
# The mean over a batch is an unbiased estimate. A worst case is not [[2](#references)]: there are two opposite biases.
#
# **Few samples: too low.** Take the robust risk of $m$ losses as an estimate of that of the population. By duality it
# is the least of many upper bounds (over $\lambda$ for KL, over thresholds $\eta$ otherwise), chosen to suit *the batch*;
# and the expectation of a minimum is at most the minimum of the expectations.
#
# **Noisy group risks: too high.** Let all people be present, but estimate each person's risk from $n$ clips. The
# maximum over weights is convex in the risks, so by Jensen's inequality it is too high on average: the adversary
# overfits the estimation noise. GIRL therefore uses an exponential moving average (EMA) with momentum $\kappa = 0.9$:
# its variance is that of a mean over $(1 + \kappa) / (1 - \kappa) = 19$ batches.

# %% [markdown]
# > **Predict.** Losses are distributed like $\vert \mathcal{N}(0, 1) \vert$, and $\alpha = 0.3$. By how many percent is
# > CVaR of a batch of 16 too low: 0.3, 3 or 30? And with two clips of each person and no EMA, how close to the
# > true direction does an adversary with $\rho = 0.05$ push: is the cosine 0.3, 0.6 or 0.9?

# %% slideshow={"slide_type": "skip"}
fraction, sizes = 0.3, np.array([4, 8, 16, 32, 64, 128])
quantiles = (torch.arange(50_000, dtype=torch.float64) + 0.5) / 50_000
truth = {n: robust(n, 2**0.5 * torch.erfinv(quantiles), fraction).value.item() for n in RADIUS}
torch.manual_seed(seed)
batches = {m: torch.randn(draws, m, dtype=torch.float64).abs() for m in sizes.tolist()}
low = {n: np.array([truth[n] - robust(n, b, fraction).value.mean().item() for b in batches.values()])
       for n in RADIUS}

z = torch.linspace(-1.5, 1.5, 20, dtype=torch.float64)
people = 0.7 + 0.15 * (z.exp() - z.exp().mean()) / z.exp().std()  # true risks; a few hard people
each, exact = np.array([1, 2, 4, 8, 16, 32]), dro.chi_square(people, 0.05)

def estimates(n, momentum, steps=60, trials=300):
    """EMA of the risks of all people, from ``n`` exponential losses each; shape ``(trials, people)``."""
    rate = torch.tensor(float(n)).double()
    noise = torch.distributions.Gamma(rate, rate).sample((steps, trials, len(people)))
    ema = noise[0] * people
    for batch in noise[1:]:
        ema = momentum * ema + (1 - momentum) * batch * people
    return ema

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
high, cosine = {}, {}
for momentum in (0.0, 0.9):
    found = [dro.chi_square(estimates(n, momentum), 0.05) for n in each]
    high[momentum] = [100 * (f.value.mean() / exact.value - 1).item() for f in found]
    cosine[momentum] = [torch.nn.functional.cosine_similarity(
        f.weights - 1 / 20, exact.weights - 1 / 20).mean().item() for f in found]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
STYLE = {"CVaR": ("C2", ":", "^"), "chi-square": ("C0", "-", "s"), "KL": ("C4", "--", "o")}
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
for name, (color, line, marker) in STYLE.items():
    left.loglog(sizes, low[name], color=color, ls=line, marker=marker, label=name)
left.set_xticks(sizes, sizes)
left.set(xlabel="losses in the batch, $m$", ylabel="too low by [nats]", title="few samples: too low")
for momentum, line in ((0.0, "o-"), (0.9, "s--")):
    right.semilogx(each, cosine[momentum], line, color="C0", label=f"momentum {momentum:g}")
right.set_xticks(each, each)
right.set(xlabel="clips of each person, $n$", ylabel="cosine with the true direction", ylim=(0, 1.02),
          title="noisy risks: wrong direction")
for ax in (left, right):
    ax.minorticks_off()
    ax.legend(fontsize=9)
show(fig, alt="Left: robust risks of small batches are too low; CVaR by "
     f"{low['CVaR'][0]:.3f} at 4 losses, {low['CVaR'][-1]:.3f} at 128, KL by more. Right: the cosine "
     f"of the adversary's direction with the true one rises from {cosine[0.0][0]:.2f} with one clip per "
     f"person to {cosine[0.0][-1]:.2f} with 32; with EMA from {cosine[0.9][0]:.2f} to "
     f"{cosine[0.9][-1]:.2f}.")

# %% slideshow={"slide_type": "skip"}
at16 = sizes.tolist().index(16)
slope = {n: np.polyfit(np.log(sizes), np.log(v), 1)[0] for n, v in low.items()}
print(f"16 losses, CVaR: too low by {100 * low['CVaR'][at16] / truth['CVaR']:.1f} %")
print("exponent of m:", ", ".join(f"{n} {s:.2f}" for n, s in slope.items()))
print(f"2 clips per person: value too high by {high[0.0][1]:.0f} %, with EMA by {high[0.9][1]:.0f} %; "
      f"cosine {cosine[0.0][1]:.2f}, with EMA {cosine[0.9][1]:.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** CVaR of 16 losses is too low by 3.0 %, and the bias of CVaR and chi-square falls like $1/m$: twice the batch,
# half the bias. KL's bias is largest and falls more slowly, with exponent -0.72, because its weights depend on the very
# largest losses, which a small batch lacks. With two clips per person the cosine is 0.29: most of the added weight goes to
# people whose risk is overestimated by chance. With EMA it is 0.80. The price is a lag: the average still contains old risks.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who gets the weight?

# %% [markdown] slideshow={"slide_type": "notes"}
# Train chapter 01's recogniser with ERM, and give each person's risk to the three adversaries, with fraction 0.25:
# first for the training people, then for the unseen people.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.backbones import tiny_cnn
from piumar_lib.data import synthetic
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit, predict

if data:
    held = np.isin(yours.person, yours.people[0::5])
    known, unseen = yours.take(~held), yours.take(held)
else:
    known = synthetic.make_clips(synthetic.make_people(crowd, seed=90 + seed), 40, seed=90 + seed)
    others = synthetic.make_people(20, seed=1090 + seed)
    unseen = synthetic.make_clips(others, 40, seed=1090 + seed, person_offset=1000)

torch.manual_seed(seed)
model = Recognizer(tiny_cnn(known.x.shape[-1]), 32, known.classes)
fit(model, known, Settings(epochs=epochs, seed=seed), device=run.device)
model.cpu()

def risks_by_person(clips):
    """Mean cross-entropy of each person, sorted; shape ``(people,)``."""
    probability = predict(model, clips)[np.arange(len(clips)), clips.y]
    loss = -np.log(probability.clip(1e-7))
    return torch.tensor([loss[clips.person == p].mean() for p in clips.people]).double().sort().values

sides = {"training people": risks_by_person(known), "unseen people": risks_by_person(unseen)}

# %% [markdown]
# > **Predict.** CVaR at fraction 0.25 gives each of the worst quarter of 20 unseen people 20 % of the weight. How
# > much does the single worst person get from chi-square, and how much from KL?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for ax, (side, risks) in zip(axes, sides.items(), strict=True):
    for name, (color, line, marker) in STYLE.items():
        weights = len(risks) * robust(name, risks, 0.25).weights
        ax.plot(risks, weights, color=color, ls=line, lw=1, marker=marker, ms=5, mfc="w", label=name)
    ax.set(xlabel="risk [nats]", title=side)
axes[0].set_ylabel("weight [uniform = 1]")
axes[0].legend(fontsize=9)
words = "; ".join(f"{side} {r.min():.2f} to {r.max():.2f}" for side, r in sides.items())
show(fig, alt="Weight of each person over risk. CVaR is a step, chi-square zero and then a straight "
     f"line, KL an exponential. Risks in nats: {words}.")
print(f"risks in nats: {words}")
print("weight of the worst unseen person: " + ", ".join(
    f"{100 * robust(n, sides['unseen people'], 0.25).weights.max():.0f} % ({n})" for n in RADIUS))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The worst unseen person gets 20 % from CVaR, 36 % from chi-square and 63 % from KL. The shapes are
# those of the derivations: a step at a rank, zero and then a line above a threshold, an exponential. KL can give most
# of the weight to *one* person, who may simply have few or odd clips.
#
# Now compare the two horizontal axes. The risks of training people go from 0.01 to 0.16 nats, those of unseen people from 0.04
# to 7.25. A robust loss sees only the left axis, and a network that fits all training people leaves it nothing to reweight.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: CVaR by a threshold
#
# *20 minutes, hard.*
#
# Chapter 06's bound for the chi-square ball holds for any threshold $\eta$. Find such a bound for CVaR: start from
# $\sum_g p_g R_g - \eta \le \sum_g p_g (R_g - \eta)_+$ and use the cap. Write `cvar_bound(risks, eta, alpha)`, its
# right-hand side: at least CVaR for every $\eta$, and equal to it for the best one.

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
# As $p_g \le 1 / (\alpha G)$, the sum is at most $\frac{1}{\alpha G} \sum_g (R_g - \eta)_+$. CVaR has the exponent 1
# where chi-square has 2, and KL an exponential: one family of duals.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - **CVaR, chi-square and KL are worst cases over nested sets**: a convex solver agrees with all three to 2e-08. As
#   functions of risk, their weights are a step (CVaR), zero and then a line (chi-square), and an exponential (KL).
# - **A worst case is biased on a minibatch**: too low with few samples (CVaR of 16 losses by 3.0 %), and with noisy group
#   risks it pushes in a wrong direction (cosine 0.29 with two clips per person, 0.80 with EMA).
# - **KL concentrates the weight**: the worst of 20 unseen people gets 63 % of it, 36 % from chi-square, 20 % from CVaR.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | distributionally robust optimisation | worst cases that PIUmr does not use | `dro.kl_ball`, `dro.kl_penalty`, `dro.cvar` | `test_dro.py` (CVXPY) | kept for comparison |
#
# ## References
#
# 1. R. T. Rockafellar, S. Uryasev. *Optimization of Conditional Value-at-Risk.* Journal of Risk 2(3), 2000.
# 2. D. Levy, Y. Carmon, J. C. Duchi, A. Sidford. *Large-Scale Methods for Distributionally Robust Optimization.* [arXiv 2010.05893](https://arxiv.org/abs/2010.05893), 2020. The bias of batches.
