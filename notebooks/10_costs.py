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
# # 10 · Costs
#
# What does each part cost, in operations, time and memory, and what would one pay elsewhere?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [08 PIUmr from scratch](08_piumr_from_scratch.ipynb) |
# | you will build | a bill for every part, a law for how it grows, and a gradient that skips its own history |
# | device | any laptop; the table of benchmarks comes from committed records |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - count operations by hand and by program, and say why operations are not time,
# - predict what doubling a batch, a clip, the channels or the groups will cost,
# - differentiate a fixed point without going back through its iterations,
# - read a benchmark: same work, same run, a ratio, and the limit that stops it.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
seed = 0

# %% slideshow={"slide_type": "skip"}
import torch

from piumar_lib.notebook import assert_same, show, show_table, start

run = start(profile)
rounds = run.pick(quick=2, full=9, gpu=20)
device = run.device
torch.manual_seed(seed);

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# PIUmr on video is a large network with a small plug-in. What does the plug-in make *run*? Not only itself: behind it
# two views go through all that one clip went through before, here the mixing in time and the head. Counted are
# floating point operations (FLOPs) of matrix products and convolutions, and how many operations of any kind are
# started. The backbone is counted on torch's `meta` device: tensors there have shapes but no numbers, so that
# counting is free. What follows it runs for real.

# %% [markdown]
# > **Predict.** [TFAM](glossary.md#tfam) has two branches, a spectrum, a transport and a fusion. What share of the FLOPs
# > of VideoMAE-base does it add: about 10 %, 1 %, or less than 0.1 %? And of the operations started?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.plug_in_cost import plug_in_cost
from piumar_lib.notebook import costs
from piumar_lib.temporal_frequency import TemporalFrequencyModule

SHAPES = {"videomae-base": (8, 768), "resnet50-tsm": (8, 2048)}  # (moments, channels) of features
COUNTED = 16  # clips
video = {name: plug_in_cost(name, COUNTED) for name in SHAPES}
operations, adds = {}, {}
for name, found in video.items():
    backbone, plain, tfam, _ = (work.flops / COUNTED for work in found["inference"].values())
    operations[name], adds[name] = plain, tfam - plain
    operations[f"{name}, head"] = plain - backbone

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt

SHOWN = ("all without TFAM", "mixing and head", "what TFAM adds")
bars = {n: (operations[n], operations[f"{n}, head"], adds[n]) for n in SHAPES}


def in_words(count):
    unit, name = next((u, n) for u, n in ((1e9, "billion"), (1e6, "million"), (1, "")) if count >= u)
    return f"{count / unit:,.0f} {name}".strip()


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7, 2.2), sharey=True)
for ax, (name, values) in zip(axes, bars.items(), strict=True):
    ax.barh(SHOWN, values, color=["0.6", "C2", "C0"])
    ax.set(xscale="log", title=name, xlabel="FLOPs for one clip", xlim=(1e3, 1e15))
    for k, value in enumerate(values):
        ax.text(value * 1.4, k, in_words(value), va="center", fontsize=9)
words = [f"{n}: " + ", ".join(f"{part} {in_words(v)}" for part, v in zip(SHOWN, values, strict=True))
         for n, values in bars.items()]
show(fig, alt=f"FLOPs of one clip on a logarithmic scale. {'; '.join(words)}.")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
share = {name: 1e6 * adds[name] / operations[name] for name in SHAPES}
rows = []
for name, found in video.items():
    for label, work in found.items():
        for method in ("TFAM", "TFAM and GIRL"):
            more = [100 * (one / erm - 1) for one, erm in zip(work[method], work["ERM"], strict=True)]
            rows.append([f"{name}, {label}", method, f"{more[0]:.4f} %", f"{more[1]:.0f} %"])
show_table(["behind", "method", "FLOPs added", "operations added"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Millionths of the FLOPs: the plug-in comes where a clip is a few vectors, no longer pixels. (A
# multiplication with an addition counts as two here; papers that count it as one print half of these numbers.)
# In *operations started* it is another matter: hundreds of small ones beside a backbone's thousand. Our goal for
# a training step of VideoMAE-base, at most 3 % of both, is met in FLOPs and missed in operations.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Counting by hand

# %% [markdown] slideshow={"slide_type": "notes"}
# The product of a matrix of $m \times k$ with one of $k \times n$ has $m n$ entries, each a sum of $k$
# products. A layer with $n$ outputs for each of $m$ moments costs as much; its backward pass needs two such
# products, one for its input and one for its weights:

# %% [markdown]
# $$ \text{forward} = 2 m k n, \qquad \text{both ways} = 6 m k n $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: 5 moments, 3 inputs, 4 outputs are $2 \cdot 5 \cdot 3 \cdot 4 = 120$ FLOPs, both ways 360.

# %%
def flops_by_hand(m, k, n, backward=False):
    return (6 if backward else 2) * m * k * n


layer = torch.nn.Linear(3, 4)
moments = torch.randn(5, 3, requires_grad=True)
counted = [costs.count_flops(lambda: layer(moments)),
           costs.count_flops(lambda: layer(moments).sum().backward())]
assert counted == [flops_by_hand(5, 3, 4), flops_by_hand(5, 3, 4, backward=True)]
print("by hand and counted:", counted)

# %% [markdown] slideshow={"slide_type": "notes"}
# What TFAM adds, by hand, for $T$ moments of $C$ channels: the mixing once more (a convolution over three moments
# to 256 channels, and a layer back), two heads of 52 classes more, as each view is classified, too, and the
# projection onto the plan, $T \times T$ with $T \times C$. The projection alone is what TFAM *is*:

# %% slideshow={"slide_type": "subslide"}
def tfam_by_hand(T, C, hidden=256, classes=52):
    mixing = flops_by_hand(T, 3 * C, hidden) + flops_by_hand(T, hidden, C)
    heads, projection = 2 * flops_by_hand(1, C, classes), flops_by_hand(T, T, C)
    return mixing + heads + projection, projection


for name, shape in SHAPES.items():
    whole, own = tfam_by_hand(*shape)
    assert whole == adds[name]
    print(f"{name}: {in_words(whole)}, of which TFAM's own products are {100 * own / whole:.1f} %")

# %% [markdown] slideshow={"slide_type": "notes"}
# **The trap.** Operations are not time. A sorted sum, an exponential, a Fourier transform count nothing
# here; a product of large matrices does hundreds of operations for each number that it fetches, an addition
# of two tensors one for every three. So let us measure.

# %% slideshow={"slide_type": "skip"}
side = run.pick(quick=512, full=1024, gpu=4096)
a, b = torch.randn(2, side, side, device=device)
waves = torch.randn(side, side, device=device)
ways = {"product of matrices": lambda: a @ b, "sum of matrices": lambda: a + b,
        "Fourier transform": lambda: torch.fft.rfft(waves), "exponential": lambda: a.exp()}
seconds = costs.seconds_each(ways, rounds, device)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
counts = {name: costs.count_flops(way) for name, way in ways.items()}
show_table(["work on matrices of one size", "FLOPs counted", "microseconds"],
           [[name, f"{counts[name]:.1e}", 1e6 * seconds[name]] for name in ways])
product, plus = seconds["product of matrices"], seconds["sum of matrices"]
times = counts["product of matrices"] / side**2
print(f"the product does {times:.0f} times the operations of the sum, "
      f"in {product / plus:.0f} times its time")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The bill

# %% [markdown] slideshow={"slide_type": "notes"}
# Each part alone, on features as VideoMAE-base gives them to TFAM: a batch of clips, 8 moments, 768
# channels. Time is measured forward and both ways; *kept* is what a forward pass must keep in memory until
# the backward pass has used it; *operations* are those that both ways start, whatever the size: on a GPU each is a
# kernel or more.

# %% [markdown]
# > **Predict.** Which part takes longest: transport in closed form, transport by [Sinkhorn](glossary.md#sinkhorn), or the spectrum?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.alignment import MonotoneAlignment, SinkhornAlignment
from piumar_lib.batch import Batch
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import PersonGroups
from piumar_lib.recognizer import Prediction
from piumar_lib.training import Settings

BATCH = run.pick(quick=16, full=16, gpu=64)


def make_parts(channels, steps=16, **sinkhorn):
    exact, frequency = MonotoneAlignment(steps), SpectralPerturbation(channels, probability=1.0)
    fusion = AdaptiveFusion(channels)
    return {"temporal, exact": exact,
            "temporal, Sinkhorn": SinkhornAlignment(channels, steps, **sinkhorn),
            "frequency": frequency, "fusion": fusion,
            "TFAM": TemporalFrequencyModule(exact, frequency, fusion)}


# %% slideshow={"slide_type": "skip"}
def calls(part, x, y):
    """Forward, and both ways, in training mode."""
    inputs = (x, x.flip(0)) if isinstance(part, AdaptiveFusion) else (x, y)

    def forward():
        if isinstance(part, TemporalFrequencyModule):
            return part.fusion(*(view.mean(1) for view in part.views(x, y)))
        return part(*inputs)

    def both():
        forward().square().sum().backward()

    return forward, both


# %% slideshow={"slide_type": "skip"}
time, channels = SHAPES["videomae-base"]
x = torch.randn(BATCH, time, channels, device=device, requires_grad=True)
y = torch.arange(BATCH, device=device) // 2
parts = {name: part.to(device).train() for name, part in make_parts(channels, steps=8).items()}
pairs = {name: calls(part, x, y) for name, part in parts.items()}

# %% slideshow={"slide_type": "skip"}
forward = costs.seconds_each({name: pair[0] for name, pair in pairs.items()}, rounds, device)
both = costs.seconds_each({name: pair[1] for name, pair in pairs.items()}, rounds, device)
kept = {name: costs.count_saved_bytes(pair[0]) for name, pair in pairs.items()}

# %% [markdown] slideshow={"slide_type": "notes"}
# [GIRL](glossary.md#girl) is no layer but a loss. It needs the clips' losses, their logits and their early features.

# %% slideshow={"slide_type": "skip"}
def girl_step(groups, batch=BATCH, classes=52, channels=channels):
    number = torch.arange(batch)
    clips = Batch(torch.zeros(batch, 1), number % classes, number % groups, number)
    girl = GroupRobustObjective(PersonGroups())  # as many people as groups
    girl.start(None, clips, Settings())
    logits = torch.randn(batch, classes, requires_grad=True)
    early = torch.randn(batch, 8, channels)

    def step():
        losses = torch.nn.functional.cross_entropy(logits, clips.y, reduction="none")
        girl.risk(losses, Prediction(logits, early_features=early), clips).backward()

    step()
    girl.before_epoch(clips, 1)  # now there are groups
    return step


# %% slideshow={"slide_type": "skip"}
with torch.device("cpu"):
    grouped = girl_step(4)
    both["GIRL"] = costs.seconds_each({"GIRL": grouped}, rounds)["GIRL"]
started = {name: costs.count_operations(pair[1]) for name, pair in pairs.items()}
started["GIRL"] = costs.count_operations(grouped)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rows = [[name, 1e3 * forward[name] if name in forward else "", 1e3 * both[name],
         f"{kept[name] / x.nbytes:.1f}" if name in kept else "", started[name]] for name in both]
show_table(["part", "forward [ms]", "both ways [ms]", "kept [sizes of the features]",
            "operations"], rows)

# %% tags=["hide-input"]
longest = max((n for n in both if n != "TFAM"), key=both.get)
print(f"longest: {longest}; TFAM both ways {1e3 * both['TFAM'] / BATCH:.2f} ms a clip, GIRL "
      f"{1e6 * both['GIRL'] / BATCH:.0f} microseconds a clip")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The parts that iterate or transform cost most, the closed form and the fusion least. The table of
# benchmarks below says what that is beside a backbone. There the backbone and what follows it are timed apart: what is
# added would drown in the noise of the whole.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How it grows

# %% [markdown] slideshow={"slide_type": "notes"}
# A cost that grows like $c \, n^p$ is a straight line of slope $p$ on doubly logarithmic paper. From the
# code one reads, for a batch of $B$ clips of $T$ moments and $C$ channels, $K$ steps, $I$ iterations:

# %% [markdown]
# - the exact plan $B T K$, and the projection with it $B T K C$,
# - Sinkhorn's plan $I B T K$,
# - the spectrum $B C T \log T$,
# - the fusion $B T C$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** By how much does the frequency branch's time grow if clips become four times as long? And
# > GIRL's, with four times as many groups?

# %% slideshow={"slide_type": "skip"}
base = {"B": 16, "T": 32, "C": 64, "K": 16}
grids = run.pick(
    quick={"B": (16, 64, 256), "T": (32, 128, 512), "C": (64, 256, 1024), "K": (16, 64, 256)},
    full={n: tuple(v * 2**k for k in range(6)) for n, v in base.items()},
)


def at_size(name, size):
    s = base | {name: size}
    if name == "K":  # no more steps than moments
        s |= {"B": 2, "T": grids["K"][-1]}
    x = torch.randn(s["B"], s["T"], s["C"], device=device)
    made = make_parts(s["C"], s["K"], tolerance=1e-12, iterations=20)  # never that exact: 20 iterations
    y = torch.arange(s["B"], device=device) // 2
    chosen = tuple(made)[:2] if name == "K" else tuple(made)[:4]
    return {n: calls(made[n].to(device).train(), x, y)[0] for n in chosen}


# %% slideshow={"slide_type": "skip"}
measured = {}  # (part, what grows) to seconds for each size
for name, sizes in grids.items():
    for size in sizes:
        for part, taken in costs.seconds_each(at_size(name, size), rounds, device).items():
            measured.setdefault((part, name), []).append(taken)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
NAMES = {"B": "clips B", "T": "moments T", "C": "channels C", "K": "steps K"}
STYLES = dict(zip(("temporal, exact", "temporal, Sinkhorn", "frequency", "fusion"),
                  ("C0o-", "C1s--", "C2^-.", "C3D:"), strict=True))
fig, axes = plt.subplots(1, 4, figsize=(7, 2.6), sharey=True)
for ax, (name, sizes) in zip(axes, grids.items(), strict=True):
    for part, style in STYLES.items():
        if (part, name) in measured:
            taken = [1e3 * s for s in measured[part, name]]
            ax.loglog(sizes, taken, style, label=part, markersize=4, base=2)
    ax.set_yscale("log")
    ax.set_xlabel(NAMES[name])
axes[0].set_ylabel("time, forward [ms]")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
slopes = {key: costs.exponent(grids[key[1]][-2:], taken[-2:]) for key, taken in measured.items()}
words = "; ".join(f"{part} in {name} {slope:.1f}" for (part, name), slope in slopes.items())
show(fig, alt=f"Time of four parts against clips, moments, channels and steps. Last slopes: {words}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# With $K$ given, 16 by default, transport is linear in $T$. (With $K = T$, as in the [first version](glossary.md#first-version), it was quadratic.)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
THEORY = {"temporal, exact": (1, 1, 1, 1), "temporal, Sinkhorn": (1, 1, 1, 1),
          "frequency": (1, 1, 1, ""), "fusion": (1, 1, 1, "")}
rows = [[part, *[f"{slopes[part, n]:.1f} ({t})" if (part, n) in slopes else "" for n, t in
                 zip(grids, powers, strict=True)]] for part, powers in THEORY.items()]
show_table(["slope at the largest sizes (theory)", *NAMES.values()], rows)

# %%
groups = (4, 16, 64)
taken = costs.seconds_each({g: girl_step(g, batch=256) for g in groups}, rounds)
growth = costs.exponent(groups, list(taken.values()))
print("GIRL, 256 clips: " + ", ".join(f"{g} groups {1e3 * s:.2f} ms" for g, s in taken.items())
      + f"; slope {growth:.2f}")

# %% slideshow={"slide_type": "skip"}
longer, more = 4 ** slopes["frequency", "T"], 4**growth
print(f"clips four times as long: {longer:.1f} times the time; four times the groups: {more:.1f} times")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** At small sizes lines are flat: a call costs some microseconds whatever it does, and doubling
# the work is free. Theory counts operations and is reached from below. Where a slope lies above it, tensors no
# longer fit into the processor's cache, and what is waited for is memory. More groups are nearly free.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A gradient without its history

# %% [markdown] slideshow={"slide_type": "notes"}
# Sinkhorn's plan of chapter 02 takes a hundred rounds. Going back through them costs twice as much again,
# and all the rounds' scalings have to be kept. But the gradient does not depend on how the plan was found.
# The plan is $P_{tk} = e^{f_t + g_k - C_{tk} / \varepsilon}$ (masses taken into $f$ and $g$), and its sums are
# given. Change $C$ by $\mathrm{d} C$. Then

# %% [markdown]
# $$ \mathrm{d} P_{tk} = P_{tk} \left( \mathrm{d} f_t + \mathrm{d} g_k - \mathrm{d} C_{tk} / \varepsilon \right),
# \qquad \sum_k \mathrm{d} P_{tk} = 0, \qquad \sum_t \mathrm{d} P_{tk} = 0 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# and the two sums are a linear system for $\mathrm{d} f$ and $\mathrm{d} g$, in terms of $P$ alone, with
# $a$ and $b$ the sums of its rows and columns:

# %% [markdown]
# $$ \begin{pmatrix} \mathrm{diag}(a) & P \\ P^\top & \mathrm{diag}(b) \end{pmatrix}
# \begin{pmatrix} \mathrm{d} f \\ \mathrm{d} g \end{pmatrix} =
# \frac{1}{\varepsilon} \begin{pmatrix} (P \odot \mathrm{d} C) \, 1 \\ (P \odot \mathrm{d} C)^\top 1 \end{pmatrix} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# For a loss with gradient $G$ with respect to $P$, the same matrix gives the gradient backwards: solve it
# for the row and column sums of $G \odot P$, call the solutions $\lambda$ and $\mu$, and

# %% [markdown]
# $$ \frac{\partial L}{\partial C_{tk}} = \frac{P_{tk}}{\varepsilon} \left( \lambda_t + \mu_k - G_{tk} \right) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The matrix has one free direction (add a constant to $f$, take it from $g$), so we use the pseudo-inverse.
# By hand, on a plan of 2 by 2 with $P_{tk} = 1/4$ and $G = (1, 0; 0, 0)$: sums of $G \odot P$ are $(1/4, 0)$
# both ways; $\lambda = \mu = (3/8, -1/8)$ solves the system, and with $\varepsilon = 1$ the gradient of
# $C_{11}$ is $(3/8 + 3/8 - 1) / 4 = -1/16$.

# %% slideshow={"slide_type": "subslide"}
def gradient_by_hand(P, G, epsilon):
    a, b = P.sum(1), P.sum(0)
    matrix = torch.cat([torch.cat([a.diag(), P], 1), torch.cat([P.T, b.diag()], 1)])
    sums = torch.cat([(G * P).sum(1), (G * P).sum(0)])
    solution = torch.linalg.pinv(matrix) @ sums
    lam, mu = solution[: len(a)], solution[len(a) :]
    return P / epsilon * (lam[:, None] + mu[None, :] - G)


corner = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
print(gradient_by_hand(torch.full((2, 2), 0.25, dtype=torch.float64), corner, 1.0))

# %% [markdown] slideshow={"slide_type": "notes"}
# The library does so for whole batches, reduced to a system of $K$ by $K$. Value and gradient against the
# form of chapter 02 that goes through all rounds in logarithms:

# %% slideshow={"slide_type": "skip"}
from piumar_lib.transport import sinkhorn_plan


def log_form(cost, source, target, epsilon=0.1, rounds=500):
    g = torch.zeros_like(target)[:, None]
    for _ in range(rounds):
        f = -torch.logsumexp(-cost / epsilon + g + target.log()[:, None], 2, keepdim=True)
        g = -torch.logsumexp(-cost / epsilon + f + source.log()[:, :, None], 1, keepdim=True)
    return torch.exp(f + g - cost / epsilon) * source[:, :, None] * target[:, None]


# %% slideshow={"slide_type": "skip"}
cost = torch.rand(3, 7, 5, dtype=torch.float64)
source, target = torch.full((3, 7), 1 / 7).double(), torch.full((3, 5), 1 / 5).double()
assert_same(lambda c: log_form(c, source, target),
            lambda c: sinkhorn_plan(c, source, target, 0.1, 500), cost)

# %% slideshow={"slide_type": "skip"}
P = sinkhorn_plan(cost, source, target, 0.1, 500)[0]
C = cost[:1].clone().requires_grad_()
G = torch.randn(7, 5, dtype=torch.float64)
(automatic,) = torch.autograd.grad((sinkhorn_plan(C, source[:1], target[:1], 0.1, 500)[0] * G).sum(), C)
torch.testing.assert_close(automatic[0], gradient_by_hand(P, G, 0.1))

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** A hundred rounds, both ways: how many times as fast is it, and how much less is kept?

# %% slideshow={"slide_type": "skip"}
sizes = run.pick(quick=((16, 8), (32, 16)), full=((16, 8), (32, 16), (64, 32)))
speed, memory = {}, {}
for time, steps in sizes:
    cost = torch.rand(64, time, steps, device=device, requires_grad=True)
    masses = [torch.full((64, n), 1 / n, device=device) for n in (time, steps)]
    forms = {"log form": lambda c=cost, m=masses: log_form(c, *m, 0.05, 100),
             "library": lambda c=cost, m=masses: sinkhorn_plan(c, *m, 0.05, 100)}
    whole_way = {n: (lambda f=f: f().square().sum().backward()) for n, f in forms.items()}
    taken = costs.seconds_each(whole_way, rounds, device)
    stored = {n: costs.count_saved_bytes(f) for n, f in forms.items()}
    speed[time, steps] = taken["log form"] / taken["library"]
    memory[time, steps] = stored["log form"] / stored["library"]

# %% slideshow={"slide_type": "subslide"}
for time, steps in sizes:
    print(f"64 plans of {time} x {steps}: {speed[time, steps]:.1f} times as fast, "
          f"{memory[time, steps]:.0f} times less memory")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The memory no longer grows with the rounds. The time has two causes: no way back, and products
# instead of logarithms on the way there (factors move into the exponent every tenth round, before they can
# overflow).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Side by side with what one would use instead

# %% [markdown] slideshow={"slide_type": "notes"}
# One command makes the table: `python tests/benchmarks/run.py`. Both sides do the same work in the same run,
# in turn; what is quoted is a ratio. The goals were set before anything was measured. Rows of what TFAM and
# PIUmr add were timed with their first version; operations that a step starts are counted above.

# %%
from piumar_lib.evidence.records import ROOT, read_records

records = read_records(ROOT / "notebooks" / "results" / "benchmarks.jsonl")
devices = list(dict.fromkeys(r["device"] for r in records))
with_goal = [r for r in records if r["goal"] is not None]
print(f"{len(records)} comparisons, measured on: {', '.join(devices) or 'nothing yet'}")


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def line(r):
    sign = "at most" if r["at_most"] else "at least"
    value = "-" if r["ratio"] is None else f"{r['ratio']:.3g} {r['unit']}"
    goal = "" if r["goal"] is None else f"{sign} {r['goal']:g}"
    return [r["what"], goal, value, r["verdict"], r["note"]]


for name in devices:
    show_table([f"on {name}: work, against", "goal", "measured", "verdict", "note"],
               [line(r) for r in with_goal if r["device"] == name])

# %% [markdown] slideshow={"slide_type": "notes"}
# All others of the same runs, for orientation:

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
for name in devices:
    show_table([f"on {name}: work, against", "measured", "note"],
               [[line(r)[k] for k in (0, 2, 4)]
                for r in records if r["goal"] is None and r["device"] == name])

# %% slideshow={"slide_type": "skip"}
missed = [r for r in with_goal if r["verdict"] != "met"]
print(f"{len(with_goal) - len(missed)} of {len(with_goal)} goals met; missed:")
for name in devices:
    print(f"- {name}:", "; ".join(r["what"] for r in missed if r["device"] == name) or "none")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Where a goal was missed, what stops it?**
#
# - *The plan alone, without a gradient*, with 100 iterations or to the tolerance of `SinkhornAlignment`. POT's plain
#   form works with the same products as ours. What ours does
#   beyond them, moving factors into the exponent, is what keeps it from breaking at a small temperature
#   (chapter 02); a goal of twice the speed of the same arithmetic is out of reach.
# - *The exact plan.* It goes over `batch x T x K` numbers four times: a difference, a clamp, a difference, a
#   division. Dividing first would save one of the four, but rounds differently: the records of chapter 09 would no
#   longer come out bit for bit.
# - *A step of a small recogniser.* The course's network takes a few milliseconds. Transforms, plan, projection and
#   regulariser, each forwards and back, take longer than that in a narrow network, half as long in a wide one.
#   `torch.compile` fuses what lies between the transforms, and saves less than a sixth: the goal is far.
# - *Preparing clips.* h264 has to be decoded once, frame by frame, by the same library on both sides. The note
#   says how much the straightforward loop would gain if everything else cost nothing: no more is to be had.
# - *In two processes.* Each process has to start, and that is counted in. What else the two take from each other was
#   not measured apart.
# - *The raw cache against a copy of memory.* Frames are read straight into place, but by a call for each frame, and
#   into memory that has to be touched first. It is a third of a copy, and many hundred times a decoder; as it takes
#   fifty times the room, `prepare_ma52.py cache --form raw` is the choice where a GPU starves.
#
# And on a GPU (`python tests/benchmarks/run.py --device cuda`):
#
# - *Small problems.* The plans of 64 clips are a few thousand numbers, too few for a GPU: it takes as long to start an
#   operation on them as to do it. Ours and POT's plain form start equally many for a plan, whatever its size, so
#   the ratios hardly differ between the three sizes. Only the way back, without a history, starts fewer.
# - *GIRL in a training step.* TFAM starts several times as many operations as GIRL (the bill) and adds nothing that
#   can be measured: they are started while the device is still busy with the backbone. So their number is not what
#   GIRL's few milliseconds were. It cut groups of which nobody was in the batch out of its tensors, and each cut asks
#   the device how many are left: the processor waits, in the middle of the step, and can hand over the way back only
#   then. Such groups now count nothing instead, and a test sees to it that nothing in a step has to be waited for.
#   The row above is from *before* that change; what a step costs since, on a smaller network,
#   [chapter 12](12_train_ma52.ipynb) says.
# - *Utilisation.* What a transformer does between its products (norms, activations, sums, conversions) reads and
#   writes memory, and computes little. `torch.compile` fuses much of it: that is the whole difference between the
#   two rows, and what `--compiled` does in training.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From clips to a whole data set

# %%
def found(what):
    return next((r for r in records if r["what"].startswith(what)), None)


CLIPS = 22_422
row = found("prepare, crop in the middle")
if row:
    per_clip = float(row["note"].split("; ")[1].split(" s ")[0])
    print(f"preparing {CLIPS} clips, cropped in the middle: {CLIPS * per_clip / 3600:.1f} hours of one "
          f"core of {row['device']}")
for form in ("mp4", "raw"):
    if r := found(f"read from the {form} cache"):
        gigabytes = CLIPS * float(r["note"].split()[0]) / 2**20
        print(f"cache as {form}: {gigabytes:.1f} GB at 224 pixels, about "
              f"{gigabytes * (256 / 224) ** 2:.0f} GB at the 256 that prepare_ma52.py makes")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Move a knob

# %% [markdown] slideshow={"slide_type": "notes"}
# What if the plug-in sits further in front? All layers behind it see two views of $K$ steps instead of one clip of
# $T$ moments. If they hold the share $p$ of the FLOPs, the recogniser takes $1 - p + 2 p K / T$ times as many.
# For the course's recogniser, layer by layer, by this line and counted:

# %% slideshow={"slide_type": "skip"}
from ipywidgets import interact

from piumar_lib.backbones import tiny_cnn
from piumar_lib.notebook import fixed_figure
from piumar_lib.recognizer import Recognizer

layers = tiny_cnn(34)
clip = torch.randn(1, 32, 34)
outputs = [clip]
for layer in layers:
    outputs.append(layer(outputs[-1]))
each = [costs.count_flops(lambda f=layer, z=z: f(z)) for layer, z in
        zip(layers, outputs[:-1], strict=True)]
behind = [sum(each[at:]) / sum(each) for at in range(len(layers))]


def counted_at(at, steps):
    plug_in = TemporalFrequencyModule.make(outputs[at].shape[2], 32)
    plug_in.temporal.steps = steps
    model = Recognizer(layers, 32, 12, plug_in, at).eval()
    return (costs.count_flops(lambda: model(clip))
            / costs.count_flops(lambda: Recognizer(layers, 32, 12)(clip)))


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw_share(steps=(16,)):
    fig, ax = fixed_figure(5, 2.4)
    p, words = torch.linspace(0, 1, 2), []
    for k, style, mark in zip(steps, ("C0-", "C1--", "C2:"), "os^", strict=False):
        found = [counted_at(at, k) for at in range(len(layers))]
        ax.plot(p, 1 - p + 2 * p * k / 32, style, label=f"{k} steps")
        ax.plot(behind, found, style[:2] + mark, markersize=5)
        words.append(f"{k} steps {found[0]:.2f} at the input, {found[-1]:.2f} in front of the last "
                     "layer")
    ax.set(xlabel="share of the FLOPs behind the plug-in", ylabel="relative FLOPs", ylim=(0.4, 2.2))
    ax.legend(fontsize=8, loc="upper left")
    show(fig, alt="FLOPs of an inference with a plug-in, relative to none, lines by hand, marks "
         f"counted, of 32 moments: {'; '.join(words)}.")


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
interact(lambda steps: draw_share((steps,)), steps=(4, 32, 4));

# %% [markdown] slideshow={"slide_type": "notes"}
# The same for three numbers of steps, without a knob:

# %% tags=["hide-input"]
draw_share((8, 16, 32))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: how long will it take?
#
# *10 minutes, easy.*
#
# You plan to train for `epochs` epochs on `clips` clips. One clip takes `flops` operations forward; a
# product of matrices reaches `peak` operations a second on your GPU, and training reaches the share
# `utilization` of that. Write the number of *hours*. (Forward and backward; the optimiser is free.)

# %% tags=["exercise"]
def training_hours(clips, epochs, flops, peak, utilization):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.training_hours(training_hours)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def training_hours(clips, epochs, flops, peak, utilisation):
#     both_ways = 3 * flops  # two products backward for each one forward
#     return clips * epochs * both_ways / (peak * utilisation) / 3600
# ```
#
# VideoMAE-base at 361 GFLOPs a clip, 16,836 clips and 50 epochs on a device of 400 TFLOP/s at 45 % takes
# 1.4 hours. If yours takes ten times as long, the clips are to blame, not the arithmetic.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- Counted with what runs twice, TFAM adds {share['videomae-base']:.1f} millionths to the FLOPs "
      f"of VideoMAE-base, {share['resnet50-tsm']:.0f} to those of ResNet-50-TSM.")
print(f"- Growth: exact transport has slope {slopes['temporal, exact', 'T']:.1f} in moments, "
      f"the spectrum {slopes['frequency', 'T']:.1f}; GIRL {growth:.2f} in groups.")
print(f"- A gradient without its history: {speed[sizes[-1]]:.1f} times as fast, with "
      f"{memory[sizes[-1]]:.0f} times less memory.")
print(f"- {len(with_goal) - len(missed)} of {len(with_goal)} goals met on {', '.join(devices)}.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | TFAM is a plug-in module | the idea figure, counting by hand, the bill | `plug_in_cost.plug_in_cost`, `costs.seconds_each` | `test_costs.py` | behind two backbones, with all that runs twice |
# | (silent) cost of the transport | a gradient without its history | `transport.EntropicPlan`, `transport.scale_to_marginals` | `test_transport.py` | implicit differentiation, factors moved into the exponent |
# | (silent) GFLOPs, latency, memory | the bill, how it grows, benchmarks | `costs.exponent`, `costs.count_saved_bytes`, `costs.count_operations` | `test_costs.py` | ratios in one run, goals set beforehand |
#
# Reviewers asked the authors for these costs; theirs are not known, and ours are of our implementation.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via
#    Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. M. Eisenberger, A. Toker, L. Leal-Taixé, F. Bernard, D. Cremers. *A Unified Framework for Implicit Sinkhorn
#    Differentiation.* [arXiv 2205.06688](https://arxiv.org/abs/2205.06688), CVPR 2022.
# 3. B. Schmitzer. *Stabilized Sparse Scaling Algorithms for Entropy Regularized Transport Problems.*
#    [arXiv 1610.06519](https://arxiv.org/abs/1610.06519), SIAM J. Sci. Comput. 2019.
# 4. Z. Tong, Y. Song, J. Wang, L. Wang. *VideoMAE.* [arXiv 2203.12602](https://arxiv.org/abs/2203.12602), 2022.
# 5. J. Lin, C. Gan, S. Han. *TSM: Temporal Shift Module for Efficient Video Understanding.*
#    [arXiv 1811.08383](https://arxiv.org/abs/1811.08383), ICCV 2019.
