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
# What does each part of PIUmr cost in FLOPs, run time and memory, and how does it compare with existing libraries?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [08 PIUmr from scratch](08_piumr_from_scratch.ipynb) |
# | you will build | a cost breakdown of every part, scaling exponents, a FLOP count by hand |
# | device | any laptop; the benchmarks come from committed records |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - count FLOPs by hand and with a profiler, and say why FLOPs are not run time,
# - predict the cost of a larger batch, a longer clip, more channels or more groups,
# - read a benchmark: the same work, the same run, a ratio, and the bound that limits it.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
seed = 0

# %% slideshow={"slide_type": "skip"}
import torch

from piumar_lib.notebook import show, show_table, start

run = start(profile)
repeats = run.pick(quick=2, full=9, gpu=20)
device = run.device
torch.manual_seed(seed);

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# On video, PIUmr is a small plug-in behind a large backbone. The plug-in costs more than its own layers: two views pass
# through everything behind it, here the temporal mixing layer and the classification head. We count the floating point
# operations (FLOPs) of matrix multiplications and convolutions. The backbone is counted on torch's `meta` device, whose
# tensors have shapes but no values, so counting is free.

# %% [markdown]
# > **Predict.** How much does [TFAM](glossary.md#tfam) add to the FLOPs of VideoMAE-base [[4](#references)]: about
# > 10 %, 1 %, or less than 0.1 %? And to the number of kernel launches?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.plug_in_cost import plug_in_cost
from piumar_lib.notebook import costs
from piumar_lib.temporal_frequency import TemporalFrequencyModule

SHAPES = {"videomae-base": (8, 768), "resnet50-tsm": (8, 2048)}  # (frames, channels) of the features
CLIPS = 16
video = {name: plug_in_cost(name, CLIPS) for name in SHAPES}
plain, added = {}, {}  # FLOPs of one clip
for name, found in video.items():
    _, plain[name], tfam, _ = (work.flops / CLIPS for work in found["inference"].values())
    added[name] = tfam - plain[name]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
import matplotlib.pyplot as plt

LABELS = ("whole recogniser", "added by TFAM")

def in_words(count):
    unit, name = next((u, n) for u, n in ((1e9, "billion"), (1e6, "million"), (1, "")) if count >= u)
    return f"{count / unit:,.0f} {name}".strip()

fig, axes = plt.subplots(1, 2, figsize=(7, 1.8), sharey=True)
words = []
for ax, name in zip(axes, SHAPES, strict=True):
    values = (plain[name], added[name])
    ax.barh(LABELS, values, color=["0.6", "C0"])
    ax.set(xscale="log", title=name, xlabel="FLOPs of one clip", xlim=(1e3, 1e15))
    for row, value in enumerate(values):
        ax.text(value * 1.4, row, in_words(value), va="center", fontsize=9)
    words.append(f"{name}: " + ", ".join(map(" ".join, zip(LABELS, map(in_words, values), strict=True))))
show(fig, alt=f"FLOPs of one clip on a logarithmic axis. {'; '.join(words)}.")

# %% tags=["hide-input"]
rows = []
for name, found in video.items():
    for phase, part in {"inference": "TFAM", "training": "TFAM and GIRL"}.items():
        flops, launches = (100 * (one / erm - 1) for one, erm in
                           zip(found[phase][part], found[phase]["ERM"], strict=True))
        rows.append([f"{name}, {phase}: {part}", f"{flops:.4f}", f"{launches:.0f}"])
show_table(["", "added FLOPs [%]", "added kernel launches [%]"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** TFAM adds 0.0036 % to the FLOPs of VideoMAE-base and 0.0523 % to those of ResNet-50 with temporal shift
# [[5](#references)], because behind the backbone a clip is a few feature vectors. (We count a multiply-add as two FLOPs;
# papers that count it as one report half of these numbers.) The number of operations tells another story: TFAM adds 21 % in
# inference, TFAM and GIRL together 74 % in training with VideoMAE-base, and more if its attention is fused. Our goal was at
# most 3 % of FLOPs and of run time: it is met in FLOPs, and was missed in run time on a GPU (see the benchmarks below).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Counting FLOPs by hand

# %% [markdown]
# An $m \times k$ times a $k \times n$ matrix takes $m n$ sums of $k$ products: $k$ multiplications and about $k$
# additions each. The backward pass has two such matmuls, for the gradients of the input and of the weights:
#
# $$ \text{forward} = 2 m k n, \qquad \text{forward + backward} = 6 m k n $$

# %% [markdown] slideshow={"slide_type": "notes"}
# A linear layer from 3 to 4 channels takes $2 \cdot 5 \cdot 3 \cdot 4 = 120$ FLOPs on 5 frames, 360 with the backward pass.

# %%
def matmul_flops(m, k, n, backward=False):
    return (6 if backward else 2) * m * k * n

layer = torch.nn.Linear(3, 4)
frames = torch.randn(5, 3, requires_grad=True)
counted = [costs.count_flops(lambda: layer(frames)),
           costs.count_flops(lambda: layer(frames).sum().backward())]
assert counted == [matmul_flops(5, 3, 4), matmul_flops(5, 3, 4, backward=True)]
print("by hand and counted:", counted)

# %% [markdown] slideshow={"slide_type": "notes"}
# The same for TFAM with $T$ frames of $C$ channels. The second view passes through the mixing layer (a convolution over
# three frames to 256 channels, and a linear layer back) and the head, the fused features pass through the head as well,
# and the barycentric projection multiplies the $T \times T$ plan by the $T \times C$ features:

# %% slideshow={"slide_type": "skip"}
def tfam_flops(T, C, hidden=256, classes=52):
    mixing = matmul_flops(T, 3 * C, hidden) + matmul_flops(T, hidden, C)
    heads, projection = 2 * matmul_flops(1, C, classes), matmul_flops(T, T, C)
    return mixing + heads + projection, projection

for name, shape in SHAPES.items():
    total, projection = tfam_flops(*shape)
    assert total == added[name]
    print(f"{name}: {in_words(total)}, {100 * projection / total:.1f} % of them in the projection")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## FLOPs are not run time
#
# A matmul of two $n \times n$ matrices does $2 n$ times the FLOPs of their addition, but does not take $2 n$ times as
# long: the addition waits for memory, with 1/12 FLOP per byte.

# %% [markdown] slideshow={"slide_type": "notes"}
# Run time is bounded by arithmetic or by memory traffic, whichever takes longer (the *roofline* model). The *arithmetic
# intensity* of an operation is its number of FLOPs per byte read or written: for this matmul in single precision $2 n^3$ on
# $12 n^2$ bytes, for the addition $n^2$ on the same bytes. FLOP counters ignore additions like this one, and sorting, too.

# %% slideshow={"slide_type": "skip"}
side = run.pick(quick=512, full=1024, gpu=4096)
a, b = torch.randn(2, side, side, device=device)
work = {"matmul": lambda: a @ b, "addition": lambda: a + b}
seconds = costs.seconds_each(work, repeats, device)

# %% tags=["hide-input"]
slower = seconds["matmul"] / seconds["addition"]
print(f"{side} x {side} matrices: the matmul does {2 * side} times the FLOPs of the addition, "
      f"in {slower:.0f} times its time; FLOPs per byte: {side / 6:.0f} and 0.08")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A cost breakdown

# %% [markdown] slideshow={"slide_type": "notes"}
# Each part is measured alone, on features as VideoMAE-base gives them: a batch of clips with 8 frames of 768 channels.
# *Saved activations* are the tensors, parameters among them, that autograd keeps for the backward pass. *Kernel
# launches* are counted as the PyTorch operations that forward and backward pass start: on a GPU each launches at least
# one kernel, whatever its size. [GIRL](glossary.md#girl) is a loss and has no forward pass of its own.

# %% [markdown]
# > **Predict.** Which part takes longest: the exact transport plan, the plan by [Sinkhorn](glossary.md#sinkhorn), or
# > the spectral perturbation?

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
EXACT, SINKHORN = "exact plan", "Sinkhorn plan"

def make_parts(channels, steps=16, **sinkhorn):
    exact, frequency = MonotoneAlignment(steps), SpectralPerturbation(channels, probability=1.0)
    fusion = AdaptiveFusion(channels)
    return {EXACT: exact, SINKHORN: SinkhornAlignment(channels, steps, **sinkhorn),
            "perturbation": frequency, "fusion": fusion,
            "TFAM": TemporalFrequencyModule(exact, frequency, fusion)}

# %% slideshow={"slide_type": "skip"}
def passes(part, x, y):
    """Functions for the forward pass, and for forward and backward pass, in training mode."""
    inputs = (x, x.flip(0)) if isinstance(part, AdaptiveFusion) else (x, y)

    def forward():
        if isinstance(part, TemporalFrequencyModule):
            return part.fusion(*(view.mean(1) for view in part.views(x, y)))
        return part(*inputs)

    return forward, lambda: forward().square().sum().backward()

# %% slideshow={"slide_type": "skip"}
def girl_step(groups, batch=BATCH, classes=52, channels=768):
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
    girl.before_epoch(clips, 1)  # from now on there are groups
    return step

# %% slideshow={"slide_type": "skip"}
time, channels = SHAPES["videomae-base"]
x = torch.randn(BATCH, time, channels, device=device, requires_grad=True)
y = torch.arange(BATCH, device=device) // 2
parts = {name: passes(part.to(device).train(), x, y)
         for name, part in make_parts(channels, steps=8).items()}
calls = {(name, k): part[k] for name, part in parts.items() for k in (0, 1)}
seconds = costs.seconds_each(calls, repeats, device)
forward, both = ({name: seconds[name, k] for name in parts} for k in (0, 1))
saved = {name: costs.count_saved_bytes(part[0]) / x.nbytes for name, part in parts.items()}
launches = {name: costs.count_operations(part[1]) for name, part in parts.items()}
grouped = girl_step(4)
both["GIRL"] = costs.seconds_each({"GIRL": grouped}, repeats)["GIRL"]
launches["GIRL"] = costs.count_operations(grouped)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rows = [[name, 1e3 * forward[name] if name in forward else "-", 1e3 * both[name],
         f"{saved[name]:.1f}" if name in saved else "-", launches[name]] for name in both]
show_table(["part", "forward [ms]", "and backward [ms]", "saved [size of input]", "kernel launches"],
           rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Sinkhorn takes longest: in the committed run it launches 2085 kernels, twelve times as many as the exact
# plan with its 176. GIRL costs 85 launches and 1.2 ms.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How costs scale

# %% [markdown]
# Operations for $B$ clips of $T$ frames and $C$ channels, $K$ canonical steps and $I$ Sinkhorn iterations:
#
# - exact plan $B T K$, with the projection $B T K C$,
# - Sinkhorn's plan $I B T K$,
# - spectral perturbation $B C T \log T$,
# - fusion $B T C$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** By which factor does the time of the spectral perturbation grow if clips become four times as long? And
# > that of GIRL, with sixteen times as many groups?

# %% slideshow={"slide_type": "skip"}
base = {"B": 16, "T": 32, "C": 64, "K": 16}
grids = run.pick(
    quick={"B": (16, 64, 256), "T": (32, 128, 512), "C": (64, 256, 1024), "K": (16, 64, 256)},
    full={n: tuple(v * 2**k for k in range(7 - (n == "K"))) for n, v in base.items()},
)

def at_size(name, size):
    s = base | {name: size}
    if name == "K":  # no more steps than frames
        s |= {"B": 2, "T": grids["K"][-1]}
    x = torch.randn(s["B"], s["T"], s["C"], device=device)
    made = make_parts(s["C"], s["K"], tolerance=1e-12, iterations=20)  # it always takes 20 iterations
    y = torch.arange(s["B"], device=device) // 2
    chosen = (EXACT, SINKHORN) if name == "K" else (EXACT, SINKHORN, "perturbation", "fusion")
    return {n: passes(made[n].to(device).train(), x, y)[0] for n in chosen}

measured = {}  # (part, what grows) to seconds for each size
for name, sizes in grids.items():
    for size in sizes:
        for part, taken in costs.seconds_each(at_size(name, size), repeats, device).items():
            measured.setdefault((part, name), []).append(taken)
slopes = {key: costs.exponent(grids[key[1]][-3:], taken[-3:]) for key, taken in measured.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
NAMES = {"B": "clips B", "T": "frames T", "C": "channels C", "K": "steps K"}
STYLES = {EXACT: "C0o-", SINKHORN: "C1s--", "perturbation": "C2^-.", "fusion": "C3D:"}
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
words = "; ".join(f"{part} in {name} {slope:.1f}" for (part, name), slope in slopes.items())
show(fig, alt=f"Time of four parts against clips, frames, channels and steps. Last slopes: {words}.")

# %% tags=["hide-input"]
groups = (4, 16, 64)
taken = costs.seconds_each({g: girl_step(g, batch=256) for g in groups}, repeats)
growth = costs.exponent(groups, list(taken.values()))
print("GIRL, 256 clips: " + ", ".join(f"{g} groups {1e3 * s:.2f} ms" for g, s in taken.items()))
print(f"frames x 4: spectral perturbation x {4 ** slopes['perturbation', 'T']:.1f}; groups x 16: GIRL x "
      f"{16**growth:.1f}; last slopes {min(slopes.values()):.1f} to {max(slopes.values()):.1f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The spectral perturbation takes 4.9 times as long, as $T \log T$ predicts; groups are free: sixteen times as
# many take no longer. A cost that grows like $n^r$ has slope $r$ in a log-log plot. At small sizes the lines are flat, because the fixed
# cost of a kernel launch dominates (*launch-bound*). At the largest sizes the slopes of this run are between 0.5 and 1.1:
# near the formulas' 1 (1.1 for $T \log T$), below it where fixed costs still count, above it where the cache is too small.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Implicit differentiation, measured
#
# The gradient needs only the final plan, while unrolling saves the activations of every iteration.

# %% [markdown] slideshow={"slide_type": "notes"}
# Chapter [02](02_optimal_transport.ipynb) derives the gradient of a Sinkhorn plan by implicit differentiation
# [[2](#references)]. Here both ways, each with 100 iterations, are timed with their gradient.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.transport import sinkhorn_plan


def unrolled(cost, source, target, epsilon=0.05, iterations=100):
    g = torch.zeros_like(target)[:, None]  # (B, 1, K)
    for _ in range(iterations):
        f = -torch.logsumexp(-cost / epsilon + g + target.log()[:, None], 2, keepdim=True)  # (B, T, 1)
        g = -torch.logsumexp(-cost / epsilon + f + source.log()[:, :, None], 1, keepdim=True)
    return torch.exp(f + g - cost / epsilon) * source[:, :, None] * target[:, None]  # (B, T, K)

# %% tags=["hide-input"]
cost = torch.rand(64, 32, 16, device=device, requires_grad=True)
masses = [torch.full((64, n), 1 / n, device=device) for n in (32, 16)]
plans = {"unrolled": lambda: unrolled(cost, *masses),
         "implicit": lambda: sinkhorn_plan(cost, *masses, 0.05, 100)}
torch.testing.assert_close(plans["unrolled"](), plans["implicit"](), rtol=1e-3, atol=1e-6)
taken = costs.seconds_each({n: (lambda f=f: f().square().sum().backward()) for n, f in plans.items()},
                           repeats, device)
stored = {n: costs.count_saved_bytes(f) for n, f in plans.items()}
speed, memory = (d["unrolled"] / d["implicit"] for d in (taken, stored))
print(f"implicit: {speed:.1f} times as fast as unrolling, with 1/{memory:.0f} of the saved activations")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Benchmarks against existing libraries
#
# Both sides do the same work in one run; **bold** numbers missed their goal, and "n. m." means not measured. The
# overhead was timed with PIUmr's [first version](glossary.md#first-version).

# %% [markdown] slideshow={"slide_type": "notes"}
# `python tests/benchmarks/run.py` makes the records. Both sides alternate within one run, and we quote the ratio of
# their times or throughputs. The goals were set before anything was measured. The rows below answer this chapter's
# question; the book's page of records lists all. FLOPs utilisation is relative to the fastest matmul measured; papers
# usually divide by the data sheet's peak, which no matmul reaches: the 49 % would then be 38 %.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.evidence.records import ROOT, read_records

records = read_records(ROOT / "notebooks" / "results" / "benchmarks.jsonl")
GPU, CPU = "NVIDIA H200", "CPU, x86_64, 1 thread"
SHOWN = {
    "plan and gradient, 32 x 16, POT, plain form (fastest)": "Sinkhorn with gradient, speed-up over POT",
    "plan and gradient, 32 x 16, geomloss": "Sinkhorn with gradient, speed-up over geomloss",
    "exact plan, 64 x 32 x 32, POT in a loop": "exact plans, speed-up over POT in a loop",
    "PIUmr adds to a training step of videomae-base": "PIUmr, overhead of a training step [%]",
    "FLOPs utilisation, videomae-base, compiled":
        "FLOPs utilisation of measured matmul speed, VideoMAE-base [%]",
    "time that training waits for clips": "training time spent waiting for clips [%]",
    "read from the mp4 cache, decord": "reading 16 frames, speed-up of the mp4 cache over decord",
}

# %% tags=["hide-input"]
rows = {what: [r for r in records if r["what"] == what] for what in SHOWN}

def measured_on(what, device):
    found = next((r for r in rows[what] if r["device"] == device), None)
    mark = "**" if found and found["verdict"] == "missed" else ""
    return f"{mark}{found['ratio']:.2g}{mark}" if found else "n. m."

def goal_of(r):
    return "none" if r["goal"] is None else f"{'at most' if r['at_most'] else 'at least'} {r['goal']:g}"

show_table(["", "goal", "CPU, 1 thread", "H200"],
           [[words, goal_of(rows[what][0]), measured_on(what, CPU), measured_on(what, GPU)]
            for what, words in SHOWN.items() if rows[what]])
met = [r["verdict"] == "met" for r in records if r["goal"] is not None]
print(f"{sum(met)} of {len(met)} goals met; {len(records)} benchmarks on record")

# %% [markdown] slideshow={"slide_type": "notes"}
# **What limits us where a goal was missed?**
#
# - *A plan without gradient* runs at about POT's speed (0.87 to 1.7 times as fast), because POT's plain form does the
#   same matmuls. Ours also absorbs scaling factors into the exponent [[3](#references)], against overflow.
# - *The exact plan* makes four passes over $B T K$ numbers: it is memory-bound.
# - *PIUmr in a training step* added 6.2 % on the H200, and the goal was 3 %. Boolean indexing dropped groups that were
#   absent from a batch, and each such operation forces a host-device synchronisation. The indexing is gone and a test
#   forbids synchronisation in a step; on VideoMAE-base the overhead has not been measured since.
# - *A small network:* behind the course's CNN, which needs a few milliseconds a step, TFAM multiplies the time of a
#   step by 1.5 to 2.7, compiled by 1.4 to 2.3, although it adds at most 5 % to the FLOPs.
# - *Preparing clips* is bound by h264 decoding, which a plain loop has to do, too.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it: where the plug-in sits

# %% [markdown] slideshow={"slide_type": "notes"}
# All layers behind the plug-in see two views of $K$ steps instead of one clip of $T$ frames. If they hold the fraction
# $\alpha$ of the FLOPs, the recogniser needs $1 - \alpha + 2 \alpha K / T$ times as many. We compare the formula with a count for each
# layer of the course's CNN. At the input, 16 steps of 32 frames cost nothing by the formula, as two views have half the
# length each; counted, they cost 4 % more than no plug-in.

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

def relative_flops(at, steps):
    plug_in = TemporalFrequencyModule.make(outputs[at].shape[2], 32)
    plug_in.temporal.steps = steps
    model = Recognizer(layers, 32, 12, plug_in, at).eval()
    return (costs.count_flops(lambda: model(clip))
            / costs.count_flops(lambda: Recognizer(layers, 32, 12)(clip)))

each = [costs.count_flops(lambda f=layer, z=z: f(z))
        for layer, z in zip(layers, outputs[:-1], strict=True)]
fractions = [sum(each[at:]) / sum(each) for at in range(len(layers))]

def draw_fractions(steps=(16,)):
    fig, ax = fixed_figure(5, 2.4)
    p, words = torch.linspace(0, 1, 2), []
    for k, style, mark in zip(steps, ("C0-", "C1--", "C2:"), "os^", strict=False):
        found = [relative_flops(at, k) for at in range(len(layers))]
        ax.plot(p, 1 - p + 2 * p * k / 32, style, label=f"{k} steps")
        ax.plot(fractions, found, style[:2] + mark, markersize=5)
        words.append(f"{k} steps {found[0]:.2f} at the input, {found[-1]:.2f} before the last layer")
    ax.set(xlabel="fraction of FLOPs behind the plug-in", ylabel="relative FLOPs", ylim=(0.4, 2.2))
    ax.legend(fontsize=8, loc="upper left")
    show(fig, alt="FLOPs of inference with a plug-in relative to none, formula as lines and counts as "
         f"marks, for clips of 32 frames: {'; '.join(words)}.")

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
interact(lambda steps: draw_fractions((steps,)), steps=(4, 32, 4));

# %% tags=["hide-input"]
draw_fractions((8, 16, 32))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: how long will training take?
#
# *10 minutes, easy.*
#
# You train for `epochs` epochs on `clips` clips. The forward pass of one clip takes `flops` FLOPs, matmuls reach `peak`
# FLOPs a second on your GPU, and training reaches the fraction `utilization` of that peak, the **model FLOPs
# utilisation** (MFU). Write the number of *hours* for forward and backward passes; ignore the optimiser.

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
# def training_hours(clips, epochs, flops, peak, utilization):
#     forward_and_backward = 3 * flops  # the backward pass has two matmuls for each one forward
#     return clips * epochs * forward_and_backward / (peak * utilization) / 3600
# ```
#
# VideoMAE-base at 361 GFLOPs a clip, 16,836 clips and 50 epochs on a device of 400 TFLOP/s at an MFU of 45 % takes 1.4
# hours. If yours takes ten times as long, reading the clips is probably the bottleneck.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - TFAM adds 0.0036 % to the FLOPs of VideoMAE-base: its cost lies in kernel launches, not in arithmetic.
# - FLOPs predict run time only for compute-bound operations such as matmul. Small ones are launch-bound, elementwise
#   ones memory-bound.
# - Costs grow at most about linearly in clips, frames, channels and steps; more groups cost nothing.
# - Implicit differentiation removes the iterations from the backward pass and from memory.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | TFAM is a plug-in module | the idea figure, counting FLOPs by hand, the cost breakdown | `plug_in_cost.plug_in_cost`, `costs.seconds_each` | `test_costs.py` | behind two backbones, with all that runs twice |
# | (silent) cost of the transport | implicit differentiation, measured | `transport.EntropicPlan`, `transport.scale_to_marginals` | `test_transport.py` | implicit differentiation, factors moved into the exponent |
# | (silent) GFLOPs, latency, memory | cost breakdown, scaling, benchmarks | `costs.exponent`, `costs.count_saved_bytes`, `costs.count_operations` | `test_costs.py` | ratios in one run, goals set beforehand |
#
# Reviewers of the paper [[1](#references)] asked for these costs. Those of the authors' code are not known; these are of ours.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. M. Eisenberger, A. Toker, L. Leal-Taixé, F. Bernard, D. Cremers. *A Unified Framework for Implicit Sinkhorn Differentiation.* [arXiv 2205.06688](https://arxiv.org/abs/2205.06688), CVPR 2022.
# 3. B. Schmitzer. *Stabilized Sparse Scaling Algorithms for Entropy Regularized Transport Problems.* [arXiv 1610.06519](https://arxiv.org/abs/1610.06519), SIAM J. Sci. Comput. 2019.
# 4. Z. Tong, Y. Song, J. Wang, L. Wang. *VideoMAE.* [arXiv 2203.12602](https://arxiv.org/abs/2203.12602), 2022.
# 5. J. Lin, C. Gan, S. Han. *TSM: Temporal Shift Module for Efficient Video Understanding.* [arXiv 1811.08383](https://arxiv.org/abs/1811.08383), ICCV 2019.
