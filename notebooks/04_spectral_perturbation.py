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
# # 04 · Spectral perturbation
#
# Which frequencies tell people apart, and what if training saw all of them?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [01 person shift](01_person_shift.ipynb) |
# | you will build | TFAM's frequency branch: how much spectra vary above noise, and gains of that size |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - take a clip apart into frequencies, and say how much of what varies between clips is mere noise,
# - describe the rest by four smooth coefficients, and say how much of it is personal,
# - perturb training clips by just as much, keep their power, and judge on unseen people whether it helps.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import fixed_figure, given, show, show_table, start

run = start(profile)
data, yours = given(data)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# A clip is a sum of waves: low frequencies carry the movement, high frequencies the tremor. How strong each
# wave is differs from clip to clip. Much of that is chance; what a body shapes is the *smooth* course of the
# spectrum. The frequency branch measures how much this course varies among clips of one action, and draws
# new ones. The data: four-second windows of [SPAR](glossary.md#spar), real wrists.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import torch

from piumar_lib.data import spar, synthetic
from piumar_lib.perturbation import SpectralPerturbation, log_spectrum, rayleigh_floor
from piumar_lib.recognizer import channel_scale
from piumar_lib.spectrum import dct_matrix

real = yours if data else spar.windows(spar.load_recordings())

# %% slideshow={"slide_type": "skip"}
def standardized(clips):
    """Clips as the recogniser sees them, in double precision, with actions and people."""
    x = torch.as_tensor(clips.x, dtype=torch.float64)
    x = (x - x.mean((0, 1))) / channel_scale(x)
    return x, torch.as_tensor(clips.y), torch.as_tensor(clips.person)


def levels(x):
    return log_spectrum(torch.fft.rfft(x, dim=1)[:, 1:])

# %% slideshow={"slide_type": "skip"}
x, y, _ = standardized(real)
time = x.shape[1]
hertz = np.arange(1, time // 2 + 1) * real.rate / time
print(f"{real.name}: {tuple(x.shape)} = (clips, frames, channels), {len(real.people)} people")
torch.manual_seed(seed)
shown, channel = int(torch.nonzero(y == (y.mode().values if data else 1))[0]), 0
branch = SpectralPerturbation(x.shape[2], probability=1.0)
perturbed = [branch(x, y) for _ in range(3)]
level = levels(x)
smooth = dct_matrix(level.shape[1])[:4]
course = (smooth.T @ smooth @ level)[shown, :, channel].numpy()
band = (levels(perturbed[0]) - level).std(0)[:, channel].numpy()

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

seconds = np.arange(time) / real.rate
fig, (left, right) = plt.subplots(1, 2)
left.fill_between(hertz, course - band, course + band, color="C3", alpha=0.4, label="± 1 sd of gains")
left.plot(hertz, course, color="C0", lw=2.5, label="its smooth part")
left.plot(hertz, level[shown, :, channel], color="0.3", lw=0.8, label="one clip")
left.set(xlabel="frequency [Hz]", ylabel="log-amplitude", title="its spectrum")
left.legend(fontsize=8)
for other, style in zip(perturbed, ("-", "--", ":"), strict=True):
    right.plot(seconds, other[shown, :, channel], style, color="C1", lw=1.2)
right.plot(seconds, x[shown, :, channel], color="C0")
right.set(xlabel="time [s]", ylabel="channel 1 [sd]", title="itself, and three perturbed")
show(fig, alt=f"Left: a jagged spectrum, its smooth part, and a band of {band.mean():.2f} either way. "
     "Right: the clip and three versions, which rise and fall with it but are larger or smaller.")

# %% [markdown] slideshow={"slide_type": "notes"}
# The thin curves are clips nobody recorded, but another person might have made.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-04.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A clip as a sum of waves

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand, on $T = 8$ samples of $\cos(2 \pi \cdot 2 t / 8)$, that is $1, 0, -1, 0, 1, 0, -1, 0$: multiply
# by a wave of $k$ periods and add up. For $k = 2$ each nonzero sample contributes $1$, so $X_2 = 4$. For all
# other $k$ they cancel. This is the Fourier transform of $T$ real samples:

# %% [markdown]
# $$ X_k = \sum_{t=0}^{T-1} x_t \, e^{-2 \pi i k t / T}, \qquad k = 0, \dots, T/2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The rest of the **spectrum**, $k > T/2$, follows by conjugate symmetry.

# %%
def fourier_by_hand(x):
    k, t = torch.arange(x.shape[1] // 2 + 1), torch.arange(x.shape[1])
    angle = -2 * torch.pi * (k[:, None] * t).double() / x.shape[1]
    return torch.complex(angle.cos(), angle.sin()) @ x.to(torch.complex128)

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same

t = torch.arange(8, dtype=torch.float64)
cosine = torch.cos(2 * torch.pi * 2 * t / 8)[None, :, None]
print(np.abs(fourier_by_hand(cosine)[0, :, 0].numpy()).round(2))
torch.manual_seed(seed)
some = torch.randn(6, 12, 2, dtype=torch.float64)  # (clips, frames, channels)
classes = torch.tensor([0, 0, 0, 1, 1, 1])
assert_same(fourier_by_hand, lambda x: torch.fft.rfft(x, dim=1), some)

# %% [markdown] slideshow={"slide_type": "notes"}
# `assert_same` compares values and gradients, here and below. The way back is `torch.fft.irfft`.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Log-amplitude

# %% [markdown] slideshow={"slide_type": "notes"}
# Write $X_k = \vert X_k \vert e^{i \varphi_k}$. The amplitude says how strong a wave is, the phase when it
# peaks. A limb that is a quarter longer moves 1.25 times as far: every amplitude is multiplied by 1.25, at
# all frequencies alike. In logarithms factors become differences: $\log 1.25 = 0.22$ is added everywhere. So

# %% [markdown]
# $$ l_k = \tfrac12 \log\bigl(\vert X_k \vert^2 + c_k\bigr), \qquad k = 1, \dots, T/2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The offset $c_k$, a millionth of the batch's mean power at $k$, keeps empty frequencies from minus infinity.
# Frequency 0 is left out: it is the clip's mean, on a wrist gravity, and says how the arm is held.

# %%
def level_by_hand(x):
    power = torch.fft.rfft(x, dim=1)[:, 1:].abs().square()
    return 0.5 * (power + 1e-6 * power.mean(0)).log()  # (clips, frequencies, channels)

# %%
assert_same(level_by_hand, levels, some)
longer = level_by_hand(1.25 * some) - level_by_hand(some)
print(f"1.25 times as large: {longer.min().item():.3f} to {longer.max().item():.3f} at each frequency")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Noise alone varies, too

# %% [markdown] slideshow={"slide_type": "notes"}
# A test without people: 4,000 clips of white noise, all of the same power.

# %% [markdown]
# > **Predict.** How much does the [log-amplitude](glossary.md#log-amplitude) at one frequency vary among them, and how much more if all
# > clips are ten times as strong?

# %% slideshow={"slide_type": "subslide"}
torch.manual_seed(seed)
noise = torch.randn(4000, 64, 1)  # (clips, frames, channels)
for strength in (1, 10):
    found = levels(strength * noise)[:, :-1].var(0).mean().item()
    print(f"strength {strength:>2}: variance {found:.3f}, the library's {rayleigh_floor(64)[0]:.3f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** It is $\pi^2 / 24 = 0.41$ (a standard deviation of 0.64), whatever the strength. The real and
# the imaginary part of $X_k$ are Gaussian, so the power is its mean times an exponentially distributed
# number $E$ with mean 1, and $\mathrm{Var} \log E = \pi^2 / 6$. Half a logarithm has a quarter of the
# variance. Amplitudes then have a Rayleigh distribution, so we call this the **Rayleigh floor** of a single
# spectrum. The last frequency of an even number of frames is a real number; its floor is $\pi^2 / 8$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much do clips differ?

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: $l = 1, 3$ in class 0 and $10, 12$ in class 1. Their variance is 28.3, but actions are meant to
# differ. Within classes: means 2 and 11, residuals $-1, 1, -1, 1$, sum of squares 4, divided by $4 - 2$: the
# variance is 2. For $B$ clips $i$ of $Y$ classes:

# %% [markdown]
# $$ v_k = \frac{1}{B - Y} \sum_{i=1}^{B} (l_{ik} - \bar l_{y_i k})^2 $$

# %%
def squares_within(value, y):
    """Squares about the mean of each class, summed, and their degrees of freedom."""
    groups = [value[y == k] for k in y.unique()]
    return sum((g - g.mean(0)).square().sum(0) for g in groups), len(y) - len(groups)


def variance_within(value, y):
    squares, freedom = squares_within(value, y)
    return squares / max(freedom, 1)

# %% slideshow={"slide_type": "skip"}
four = torch.tensor([1.0, 3, 10, 12])[:, None, None]
print(f"{four.var().item():.1f} in all, {variance_within(four, torch.tensor([0, 0, 1, 1])).item():.1f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# A **variance-guided** perturbation is large where clips of one class differ. Guided by what, though? The
# [first version](glossary.md#first-version) of this branch took $v_k$ as it is.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** Which share of $v_k$ is floor, on real wrists and on synthetic skeletons?

# %% slideshow={"slide_type": "skip"}
skeletons = synthetic.make_clips(synthetic.make_people(20, seed=70), 40, seed=70)
seen = {}
for clips in (real, skeletons):
    xs, ys, ps = standardized(clips)
    seen[clips.name] = xs, levels(xs), ys, ps, rayleigh_floor(xs.shape[1]).double()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2, sharey=True)
floor_share = {}
for ax, clips in zip(axes, (real, skeletons), strict=True):
    _, lev, ys, _, floor = seen[clips.name]
    at = np.arange(1, lev.shape[1]) * clips.rate / clips.x.shape[1]  # without the last
    v = variance_within(lev, ys).mean(1)[:-1]
    floor_share[clips.name] = 100 * (floor[:-1].mean() / v.mean()).item()
    ax.plot(at, v, color="C0", label="within class")
    ax.fill_between(at, floor[:-1], color="0.7", label="Rayleigh floor")
    ax.set(xlabel="frequency [Hz]", title=clips.name, ylim=(0, 1))
axes[0].set_ylabel("variance of log-amplitude")
axes[1].legend(loc="upper left", fontsize=8)
words = ", ".join(f"{s:.0f} % of it on {n}" for n, s in floor_share.items())
show(fig, alt=f"Variance of log-amplitude within classes over frequency, and the floor: {words}.")
print("floor:", words)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Most of it. And the curve is rather flat, so the first version shook all frequencies alike,
# mostly by the size of a statistical accident that has nothing to do with people.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The smooth part

# %% [markdown] slideshow={"slide_type": "notes"}
# That accident is independent from one frequency to the next. A body is not: a longer limb raises *all*
# frequencies. By hand on four frequencies: $l = (2, 2, 2, 2)$ is four times the row
# $(\tfrac12, \tfrac12, \tfrac12, \tfrac12)$ and nothing else: one number, the level, says it all. The next
# row falls from left to right: the tilt. Row $j$ of the discrete cosine transform has $j$ half-waves along
# the $F$ frequencies; with $c_0 = \sqrt{1/F}$ and $c_j = \sqrt{2/F}$ its rows are orthonormal:

# %% [markdown]
# $$ s_j = \sum_{k=1}^{F} D_{jk} \, l_k, \qquad D_{jk} = c_j \cos\Bigl(\frac{\pi}{F} \bigl(k - \tfrac12\bigr) j\Bigr) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# Speech processing calls the $s_j$ a cepstrum. We keep the first $J = 4$: that is our choice.

# %%
def cosines(F, J):
    k, j = torch.arange(F, dtype=torch.float64), torch.arange(min(J, F))[:, None]
    rows = torch.cos(torch.pi / F * (k + 0.5) * j) * (2 / F) ** 0.5
    rows[0] /= 2**0.5
    return rows  # (coefficients, frequencies)

# %%
from scipy import fft

print((cosines(4, 4) @ torch.full((4,), 2.0, dtype=torch.float64)).numpy().round(2))
assert np.allclose(cosines(64, 64), fft.dct(np.eye(64), norm="ortho", axis=0))
assert np.allclose(cosines(64, 4), dct_matrix(64)[:4])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is it personal?

# %% [markdown] slideshow={"slide_type": "notes"}
# A coefficient is a weighted sum of frequencies, so its floor is that of the frequencies, weighted by
# $D_{jk}^2$. What lies above it need not be personal: one person's clips vary, too. We may look, with person
# labels that training never sees. Remove the mean of each class *and* person, and compare what is left:

# %% [markdown]
# $$ r_j = 1 - \frac{\tfrac{1}{B - G} \sum_i (s_{ij} - \bar s_{y_i p_i j})^2}{\tfrac{1}{B - Y} \sum_i (s_{ij} - \bar s_{y_i j})^2} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# $G$ is the number of pairs of class and person. This is $R^2$ corrected for the number of groups: 0 if
# people do not matter, 1 if nothing else does. As a control we shuffle the person labels.

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** How much of the variance above the floor do 4 of 32 coefficients hold? Which share of
# > their variance lies between ten people with a watch?

# %% slideshow={"slide_type": "skip"}
def between_people(value, y, person):
    """Variance within classes, and how much of it lies between people."""
    person = person.unique(return_inverse=True)[1]  # yours may have any numbers
    pairs = y * (person.max() + 1) + person
    within = variance_within(value, y)
    return within, within - variance_within(value, pairs)


def personal(value, y, person):
    within, between = between_people(value, y, person)
    return 100 * (between.sum() / within.sum()).item()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 2)
for ax, (name, (_, lev, ys, ps, floor)) in zip(axes, seen.items(), strict=True):
    D = cosines(lev.shape[1], 10)
    within, between = (v.mean(1) for v in between_people(D @ lev, ys, ps))
    ax.bar(range(len(D)), within, color="C3", label="within class")
    ax.bar(range(len(D)), between, color="none", edgecolor="k", hatch="///", label="between people")
    ax.plot(D.square() @ floor, "_", color="C2", ms=14, mew=2, label="Rayleigh floor")
    ax.set(xlabel="coefficient $j$", title=name)
axes[0].set_ylabel("variance of $s_j$")
axes[0].legend(fontsize=8)
show(fig, alt="Variance of ten coefficients within classes. The level's is largest by far, and a large "
     "part of it lies between people; from the sixth coefficient on, it is close to the floor.")

# %% slideshow={"slide_type": "skip"}
share, kept = {}, {}
torch.manual_seed(seed)
for name, (_, lev, ys, ps, floor) in seen.items():
    D = cosines(lev.shape[1], lev.shape[1])
    above = (variance_within(D @ lev, ys) - (D.square() @ floor)[:, None]).clamp_min(0).sum(1)
    kept[name] = 100 * (above[:4].sum() / above.sum().clamp_min(1e-12)).item()
    shuffled = ps[torch.randperm(len(ps))]
    single, share[name], chance = (
        personal(v, ys, p) for v, p in ((lev, ps), (D[:4] @ lev, ps), (D[:4] @ lev, shuffled)))
    print(f"{name}: {len(D[:4])} of {len(D)} hold {kept[name]:.0f} % above the floor; between people "
          f"{share[name]:z.0f} % (single frequencies {single:z.0f} %, shuffled {chance:z.0f} %)")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** From the sixth coefficient on, wrists vary by little more than white noise: the floor is
# right. Four coefficients hold nearly all that is above it, and a larger share of theirs is personal than
# of single frequencies. Not all of it: the rest lies between clips of one person (where the window begins,
# a repetition more or less). The branch cannot tell the two apart: it has no person labels.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A batch has too few clips

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: 12 clips of [MA-52](glossary.md#ma-52)'s 52 classes hold about 11 classes. So $B - Y$ is about 1: one number to
# estimate a variance from, and in some batches none. The branch averages squares and degrees of freedom
# *apart*, over batches, and divides at the end. The newest batch $n$ counts with weight
# $\max(1/n, 0.05)$: a plain mean at first, then an exponential moving average.

# %%
def running_variance(batches):
    squares = freedom = 0.0
    for n, (value, y) in enumerate(batches, start=1):
        new, weight = squares_within(value, y), max(1 / n, 0.05)
        squares = (1 - weight) * squares + weight * new[0]
        freedom = (1 - weight) * freedom + weight * new[1]
        yield (squares / max(freedom, 1e-6)).item()

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
batches = [(2 * torch.randn(12, 1, 1), torch.randint(52, (12,))) for _ in range(200)]  # variance 4
alone = [(variance_within(*b).item() if squares_within(*b)[1] else np.nan) for b in batches]
running = list(running_variance(batches))
library = SpectralPerturbation(1, coefficients=1)
for value, classes_drawn in batches:
    library.observe(value, classes_drawn)
assert np.isclose(running[-1], (library.squares.mean / library.freedom.mean).item())

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 2.5))
ax.plot(alone, ".", color="C1", label="from one batch")
ax.plot(running, color="C0", label="running")
ax.axhline(4, color="k", ls="--", label="true variance")
ax.set(xlabel="batch", ylabel="variance", ylim=(0, 20))
ax.legend(ncols=3, fontsize=8)
inside = [100 * np.mean([2 < v < 8 for v in found]) for found in (alone, running[20:])]
words = f"within a factor of 2: {inside[0]:.0f} % of single batches, {inside[1]:.0f} % of running ones"
show(fig, alt=f"Estimates from one batch lie anywhere, running ones along the true variance; {words}.")
print(words)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A gain that keeps the power

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: multiply amplitudes by $e$ or by $1/e$, with equal odds. Power is multiplied by 7.4 or 0.14, on
# average by 3.8. A log gain that is right on average is far too large in power, and the network meets
# these loud clips in training only. For a Gaussian draw $\epsilon$ and standard deviation $d$

# %% [markdown]
# $$ \mathrm{E} \, e^{2 d \epsilon} = e^{2 d^2}, \qquad \text{so} \quad \log g = d \, \epsilon - d^2 \quad \text{has} \quad \mathrm{E} \, g^2 = 1 $$

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** On the watch, $d = \sqrt{v_k}$ is about 0.8. By how much does $e^{d \epsilon}$ raise the power?

# %% slideshow={"slide_type": "subslide"}
torch.manual_seed(seed)
d = variance_within(level, y).sqrt()
eps = torch.randn(level.shape, dtype=level.dtype)
for words, log_gain in (("naive", d * eps), ("mended", d * eps - d**2)):
    print(f"{words}: power times {(2 * log_gain).exp().mean().item():.2f}, "
          f"median amplitude times {log_gain.exp().median().item():.2f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** More than threefold: that is what the first version did. Mending has a price: the typical wave
# gets weaker, so that a few may get much stronger. The smaller $d$, the smaller the price.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The perturbation

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand, for the watch: the level's variance is 4.9 above its floor, so $d_0 = 2.2$; its row is
# $1/\sqrt{32} = 0.18$ at every frequency, so the log gain of all frequencies has standard deviation 0.39,
# together. In general, with probability $q = 0.5$ for each clip, and for each channel

# %% [markdown]
# $$ \log g_k = \sum_{j=0}^{J-1} D_{jk} \, d_j \epsilon_j - \sum_{j=0}^{J-1} D_{jk}^2 \, d_j^2, \qquad d_j = s \sqrt{\max(0, v_j - \text{floor}_j)} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The second sum is the variance of the first, so power is kept at each frequency. The scale is $s = 1$ by
# default. If the standard deviation exceeds 1 at some frequency, all $d_j$ shrink until it is 1. The gain is
# positive, so phases stay, and so does frequency 0, the mean.

# %% slideshow={"slide_type": "subslide"}
def log_gain_by_hand(x, y, s=1.0):
    D = cosines(x.shape[1] // 2, 4).to(x.dtype)  # (J, F)
    value = D @ level_by_hand(x)  # (B, J, C)
    floor = D.square() @ rayleigh_floor(x.shape[1]).to(x.dtype)
    d = s * (variance_within(value, y) - floor[:, None]).clamp_min(0).sqrt()  # (J, C)
    d = d / (D.T.square() @ d.square()).amax(0).sqrt().clamp_min(1)
    return D.T @ (d * torch.randn_like(value)) - D.T.square() @ d.square()  # (B, F, C)


def perturb_by_hand(x, y, s=1.0, q=0.5):
    with torch.no_grad():
        chosen = torch.rand(len(x), 1, 1) < q
        gain = torch.where(chosen, log_gain_by_hand(x, y, s), 0).exp()
        gain = torch.cat([torch.ones_like(gain[:, :1]), gain], 1)  # frequency 0 stays
    return torch.fft.irfft(torch.fft.rfft(x, dim=1) * gain, n=x.shape[1], dim=1)

# %% slideshow={"slide_type": "skip"}
assert_same(
    lambda x: perturb_by_hand(x, classes), lambda x: SpectralPerturbation(2)(x, classes), some.float()
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Note `no_grad`: the gain is given, and the gradient reaches the clip only through the spectrum that is
# multiplied by it. In evaluation the branch does nothing; in training, phases and means stay:

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
assert branch.eval()(x, y) is x
before, after = (torch.fft.rfft(v, dim=1) for v in (x, branch.train()(x, y)))
ratio = (after / before)[before.abs() > 1e-9 * before.abs().max()]  # less is only rounding
assert ratio.angle().abs().max() < 1e-6 and torch.allclose(before[:, 0], after[:, 0])

# %% [markdown] slideshow={"slide_type": "subslide"}
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/spectrum.png"><img src="pictures/spectrum.gif" alt="Left, the amplitude spectrum of a wrist&#x27;s movement, right the movement. The perturbed spectrum rises, falls and tilts smoothly about the recorded one; the movement changes in size."></picture>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How far does it move a clip?

# %% [markdown] slideshow={"slide_type": "notes"}
# Does the default do anything? The unit is how far two people are apart: the root mean square difference of
# their coefficients in one class, $\sqrt 2$ times the standard deviation between people. The same for all
# other coefficients, the ragged rest, in which people hardly differ.

# %% [markdown]
# > **Predict.** Does a perturbed clip move half as far as people differ, as far, or five times as far?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.tfam import FrequencyBranch


def moves(x, y, person, plug_in):
    """Mean power gain; move of the smooth part, and of the rest, in units of two people's difference."""
    before, after = levels(x), levels(plug_in.train()(x, y))
    D, found = cosines(before.shape[1], before.shape[1]), []
    for part in (D[:4], D[4:]):
        people = 2 * between_people(part @ before, y, person)[1].sum()
        found.append(((part @ (after - before)).square().sum((1, 2)).mean() / people).sqrt().item())
    return (2 * (after - before)).exp().mean().item(), *found

# %% slideshow={"slide_type": "subslide"}
MAKE = {
    "first version": lambda channels, q: FrequencyBranch(probability=q),
    "gain": lambda channels, q: SpectralPerturbation(channels, probability=q),
    "swap": lambda channels, q: SpectralPerturbation(channels, probability=q, kind="swap"),
}
rows, moved = [], {}
torch.manual_seed(seed)
for name, (xs, _, ys, ps, _) in seen.items():
    for kind, make in MAKE.items():
        moved[name, kind] = moves(xs, ys, ps, make(xs.shape[2], 1.0))
        rows.append([f"{name}, {kind}", *(f"{v:.2f}" for v in moved[name, kind])])
show_table(["perturbed clips", "power times", "smooth part moves", "the rest moves"], rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** By default the smooth part of a perturbed clip moves about as far as two people are apart, the
# rest stays, and power is kept in the mean. The first version moved the rest, two to three times as far as
# people differ there, and multiplied the power. The third row is another kind of perturbation:

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Swap: part of the way to another clip

# %% [markdown] slideshow={"slide_type": "notes"}
# Real clips know more than a Gaussian: coefficients go together, and so do channels. So go a random part
# $u$ of the way to another clip $i'$ of the class. By hand: from level 2 towards level 6, with $u = 0.25$, to
# level 3; the log gain is 1 times the row of the level.

# %% [markdown]
# $$ \log g_k = u \sum_{j=0}^{J-1} D_{jk} \, (s_{i'j} - s_{ij}), \qquad u \sim \mathrm{Uniform}(0, s) $$

# %%
from piumar_lib.perturbation import another_of_class


def swap_by_hand(x, y):
    value = cosines(x.shape[1] // 2, 4) @ level_by_hand(x)
    toward = value[another_of_class(y)] - value  # at random, itself if alone
    return cosines(x.shape[1] // 2, 4).T @ (torch.rand(len(y), 1, 1, dtype=x.dtype) * toward)

# %% slideshow={"slide_type": "skip"}
swap = SpectralPerturbation(2, kind="swap")
assert_same(
    lambda x: swap_by_hand(x, classes),
    lambda x: swap.log_gain(torch.fft.rfft(x, dim=1), classes, x.shape[1])[:, 1:], some,
)

# %% [markdown] slideshow={"slide_type": "notes"}
# It needs no variance and no floor, and stays between recorded clips. But it keeps no power, as the table shows.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Skeleton size: one profile for a limb

# %% [markdown] slideshow={"slide_type": "notes"}
# The abstract speaks of spectral signatures of physical attributes, such as skeleton size. A longer forearm
# raises *all its channels* by the same amount, and leaves the legs alone. Do channels really go together?

# %% [markdown]
# > **Predict.** How strongly are the levels $s_0$ of a joint's two coordinates correlated, within a class?
# > And those of different joints?

# %% slideshow={"slide_type": "subslide"}
from piumar_lib.transport import class_mean

xs, lev, ys, _, _ = seen[skeletons.name]
size = (cosines(lev.shape[1], 1) @ lev)[:, 0]  # (clips, channels): the level
r = (size - class_mean(size, ys)).T.corrcoef()[0::2, 1::2]  # each joint's x with each joint's y
coherent = r.diagonal().mean().item(), r[~torch.eye(len(r), dtype=torch.bool)].mean().item()
print(f"correlation of levels: {coherent[0]:.2f} within a joint, {coherent[1]:.2f} between joints")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** A joint's coordinates go together, and different joints hardly. By default each channel has its
# own draw. `groups_of_channels` shares $\epsilon$, and the average $d$, among the channels of a limb. In
# code by hand that is one more index:

# %% slideshow={"slide_type": "skip"}
limb = torch.tensor([0, 0, 1])  # two coordinates of an arm, one of a leg
eps = torch.randn(5, 4, 2)[..., limb]  # (clips, coefficients, channels)
grouped = SpectralPerturbation(34, groups_of_channels=[c // 2 for c in range(34)])
gains = grouped.log_gain(torch.fft.rfft(xs, dim=1), ys, xs.shape[1])
assert torch.equal(eps[..., 0], eps[..., 1]) and torch.allclose(gains[..., 0], gains[..., 1])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Does it help on unseen people?

# %% [markdown] slideshow={"slide_type": "notes"}
# In [TFAM](glossary.md#tfam) the perturbed clip is a second view, beside an aligned one ([05](05_consistency_fusion.ipynb)). Below:
# TFAM over TFAM without the perturbation, with all else equal, on nine sets of real people who were left out.
# [Chapter 09](09_evidence.ipynb) says how these records were made.

# %% [markdown]
# > **Predict.** On how many of the nine does it help? And by how many points, all together?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.evidence import contrasts, forest, protocol
from piumar_lib.evidence.wording import points

BOTH = "TFAM + augmentation", "TFAM, no perturbation + augmentation"
pooled = {form: contrasts.compare(contrasts.read(protocol.REAL, form), *BOTH) for form in protocol.FORMS}
fig, words = forest.draw_side_by_side(pooled)
fig.supxlabel("TFAM over TFAM without perturbation, same unseen people [points]", fontsize=10)
show(fig, alt=f"Forest plot of what the perturbation adds, by data set and pooled. {words}")
for form, found in pooled.items():
    print(f"{form}: {points(found)} points")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Only UTKinect's interval lies above zero at own tempo, and three lie below. The mean is below zero: `TFAM
# + augmentation` over `TFAM, no perturbation + augmentation` on `real people, own tempo`: -0.6 points [-1.7,
# +0.6], and `TFAM + augmentation` over `TFAM, no perturbation + augmentation` on `real people, one length`:
# -0.5 points [-1.3, +0.3]. Either interval contains zero, so a small gain is still possible; on hands, it
# costs: `TFAM + augmentation` over `TFAM, no perturbation + augmentation` on `shrec17-own-tempo`: -2.5 points
# [-4.6, -0.4].
#
# So nothing here says that TFAM gains by its spectra. Two possible reasons: much of what is perturbed is not
# personal, as we saw above; and augmentation, which is on in both, changes amplitudes as well.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What was tried: the log of attempts

# %% [markdown] slideshow={"slide_type": "notes"}
# Each line below is TFAM with one thing changed, on people kept for development: first its gain over
# augmentation, then over its control, which has the same perturbation but leaves time as it is.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from piumar_lib.evidence import development
from piumar_lib.evidence.tables import show_development

DEFAULT = "TFAM, defaults"
TRIED = ["no perturbation", "perturbation of half the size", "perturbation of twice the size",
         "swap instead of gain", "profile of a joint or sensor", "profile of the whole clip"]
for over in ("against", "control"):
    show_development([DEFAULT, *TRIED], over=over)

# %% [markdown] slideshow={"slide_type": "notes"}
# What is the perturbation itself worth? Each line against the *default*, on the same people:

# %% tags=["hide-input"]
log = development.read_log()
default = {line["data"]: line["people"] for line in log.get(DEFAULT, [])}


def beside_default(about):
    """An attempt's lines, with TFAM's defaults as what it has to beat."""
    for line in (line for line in log.get(about, []) if line["data"] in default):
        usual = default[line["data"]]
        yield line | {"people": {p: (of[0], usual[p][0]) for p, of in line["people"].items()}}


compared = {about: list(beside_default(about)) for about in TRIED}
show_table(["over TFAM's defaults, points", *development.POOLS], development.rows(compared))
cells = [(f"{about}, {pool}", development.outcome(lines, pool))
         for about, lines in compared.items() for pool in development.POOLS]
clear = [(words, c.difference) for words, c in cells if c and (c.low > 0 or c.high < 0)]
for words, difference in clear:
    print(f"{words}: {'better' if difference > 0 else 'worse'} than the default")
print(f"{len(clear)} of {sum(c is not None for *_, c in cells)} intervals exclude zero")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The lines name what these people tell apart. One interval in twenty excludes zero by chance. And
# the default was chosen on these very people: chapter 09 judges it on others.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Try it: scale and coefficients

# %% [markdown] slideshow={"slide_type": "notes"}
# Choose the scale, and how many coefficients count as smooth. The figure below shows a nod.

# %% [markdown]
# > **Predict.** At which scale would *you* stop recognising the action: 0.5, 1 or 2?

# %% slideshow={"slide_type": "skip"}
nods = np.flatnonzero(skeletons.y == skeletons.class_names.index("nodding"))
nod = int(nods[skeletons.x[nods, :, 1].std(1).argmax()])  # the largest nod: easiest to see


def versions(name, index, channel, scale, coefficients=4, count=3):
    """A channel of a clip, and of perturbed versions of it, guided by every fifth clip."""
    xs, ys = (seen[name][k][[index, *range(0, len(seen[name][0]), 5)]] for k in (0, 2))
    torch.manual_seed(seed + 2)
    plug_in = SpectralPerturbation(xs.shape[2], scale, 1.0, coefficients=coefficients)
    return xs[0, :, channel], [plug_in(xs, ys)[0, :, channel] for _ in range(count)]

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import interact


def draw(scale=1.0, coefficients=4):
    clip, (other,) = versions(real.name, shown, channel, scale, coefficients, 1)
    fig, (left, right) = fixed_figure(7, 2.8, columns=2)
    for values, style, words in ((other, "C1--", "perturbed"), (clip, "C0", "clip")):
        left.plot(hertz, levels(values[None, :, None])[0, :, 0], style, label=words)
        right.plot(seconds, values, style)
    left.set(xlabel="frequency [Hz]", ylabel="log-amplitude")
    right.set(xlabel="time [s]", ylabel="channel 1 [sd]")
    left.legend(loc="upper right", fontsize=8)
    times = (other.var() / clip.var()).item()
    show(fig, alt=f"Scale {scale:.1f}, {coefficients} coefficients: variance times {times:.2f}.")

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
draw()
interact(draw, scale=(0.0, 3.0, 0.1), coefficients=(1, 16));

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.5), sharey=True)
for ax, scale in zip(axes, (0.5, 1.0, 2.0), strict=True):
    clip, others = versions(skeletons.name, nod, 1, scale)
    when = np.arange(len(clip)) / skeletons.rate
    for other, style in zip(others, ("-", "--", ":"), strict=True):
        ax.plot(when, other, style, color="C1", lw=1)
    ax.plot(when, clip, color="C0", lw=1.5)
    ax.set(title=f"scale {scale:g}", xlabel="time [s]")
axes[0].set_ylabel("height of the nose [sd]")
show(fig, alt="A nod with three perturbed versions each at scales 0.5, 1 and 2: peaks stay where they "
     "are; their heights change, most at scale 2.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Every peak is where it was. At scale 2 most versions are lower, so that a few may be far higher.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: another person's strengths, one's own timing
#
# *10 minutes, easy.*
#
# Write `swap_amplitude(x, other)`: the clip with *all* Fourier amplitudes of `other` and the phases of `x`,
# both `(batch, time, channels)`. Methods for images use this as augmentation [[2, 3](#references)].

# %% tags=["exercise"]
def swap_amplitude(x, other):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.swap_amplitude(swap_amplitude)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def swap_amplitude(x, other):
#     mine, theirs = torch.fft.rfft(x, dim=1), torch.fft.rfft(other, dim=1)
#     return torch.fft.irfft(torch.polar(theirs.abs(), mine.angle()), n=x.shape[1], dim=1)
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 2: smooth noise without cosines
#
# *15 minutes, hard.*
#
# A few cosines make smooth noise, but its variance differs between frequencies. Write
# `smooth_noise(clips, frequencies, channels)`: Gaussian draws with variance 1 at every frequency, neighbours
# correlated by 0.5 or more, far ones less. Clips and channels stay independent.

# %% tags=["exercise"]
def smooth_noise(clips, frequencies, channels):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
check.smooth_noise(smooth_noise)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def smooth_noise(clips, frequencies, channels, r=0.7):
#     eps = torch.randn(clips, frequencies, channels)
#     for k in range(1, frequencies):
#         eps[:, k] = r * eps[:, k - 1] + (1 - r**2) ** 0.5 * eps[:, k]
#     return eps
# ```
#
# Each step keeps the variance: $r^2 + (1 - r^2) = 1$.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
name = real.name
power, distance, _ = moved[name, "gain"]
print(f"- Noise: {floor_share[name]:.0f} % of the variance within classes of log-amplitudes on {name} "
      f"({floor_share[skeletons.name]:.0f} % on skeletons) is the Rayleigh floor.")
print(f"- The rest: 4 coefficients hold {kept[name]:.0f} % of what is above the floor; "
      f"{share[name]:.0f} % of their variance lies between people.")
print(f"- The perturbation multiplies power by {power:.2f} on average (first version "
      f"{moved[name, 'first version'][0]:.1f}), moves {distance:.1f} times as far as people differ.")
for form, found in pooled.items():
    print(f"- What it adds to TFAM on unseen people, {form}: {points(found)} points.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | frequency branch, variance-guided perturbations | the perturbation | `perturbation.SpectralPerturbation`, `perturbation.log_spectrum`, `perturbation.filtered` | `test_perturbation.py` | Gaussian log gains that keep power in the mean; phases stay; probability 0.5 |
# | guided by variance | how much do clips differ? a batch has too few clips | `perturbation.rayleigh_floor`, `perturbation.SpectralPerturbation.variance`, `running.RunningMean` | `test_perturbation.py` | variance *within class* above the Rayleigh floor, over many batches; without person labels |
# | long abstract: spectral signatures of physical attributes (e.g. skeleton size) | the smooth part; skeleton size | `perturbation.SpectralPerturbation(groups_of_channels=())`, `spectrum.dct_matrix` | `test_perturbation.py` | four cosine coefficients along frequency, of which size is the first; one profile a channel, as an option one a limb |
# | long abstract: disentangles motion patterns | is it personal? | `perturbation.SpectralPerturbation(coefficients=4)` | `test_perturbation.py` | smooth amplitudes count as movement style and are perturbed, all else stays; only a part of the former is personal |
# | (silent) | swap; what was tried | `perturbation.another_of_class`, `development.ATTEMPTS` | `test_perturbation.py`, `test_development.py` | part of the way to another clip of the class: an option, tried with others on people for development alone |
# | the first version, where we compare | how far does it move a clip? | `tfam.FrequencyBranch`, `spectrum.perturb`, `spectrum.log_amplitude`, `spectrum.apply_gain`, `spectrum.style_deviation`, `spectrum.style_residual`, `spectrum.to_spectrum`, `spectrum.from_spectrum` | `test_spectrum.py`, `test_tfam.py` | independent gains for each frequency, floor included |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. Y. Yang, S. Soatto. *FDA: Fourier Domain Adaptation for Semantic Segmentation.*
#    [arXiv 2004.05498](https://arxiv.org/abs/2004.05498), 2020.
# 3. Q. Xu et al. *A Fourier-based Framework for Domain Generalization.*
#    [arXiv 2105.11120](https://arxiv.org/abs/2105.11120), 2021.
# 4. X. Li et al. *Uncertainty Modeling for Out-of-Distribution Generalization.*
#    [arXiv 2202.03958](https://arxiv.org/abs/2202.03958), 2022. Variance-guided noise on feature statistics.
# 5. D. M. Burns et al. *Shoulder physiotherapy exercise recognition: machine learning the inertial
#    signals from a smartwatch.* [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
