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
# | you will build | TFAM's frequency branch: random gains on the smooth part of spectra, as large as the differences between clips of one action, beyond what noise explains |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - estimate how much of the variance between spectra is only noise, and describe the rest by four coefficients,
# - measure which part of it is due to the person,
# - write the branch that perturbs training clips by as much, keeps their mean power, and judge it on unseen people.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
data = ""  # path of your own .npz, or a set such as "shrec17", used instead of SPAR
seed = 0

# %% slideshow={"slide_type": "skip"}
from piumar_lib.notebook import assert_same, fixed_figure, given, show, start

run = start(profile)
data, yours = given(data)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# A clip is a sum of waves: low frequencies carry the movement, high frequencies the tremor. If the size of the waves differs
# between people but not between actions, a network should not rely on it. So in training we show each clip also with other sizes,
# as another person might have made it; the label stays. The amplitudes differ from clip to clip. Much of this is chance; what a
# body shapes is the *smooth* part of the spectrum. The paper's frequency branch perturbs spectra, guided by their variance
# [[1](#references)]; ours measures how much the smooth part varies among clips of one action, and draws new ones. Below: a clip
# of [SPAR](glossary.md#spar), four seconds from a watch on a real wrist [[5](#references)], and three clips that no one recorded,
# but that another person could have made.

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipywidgets import interact
from torch import nn
from torch.nn import functional as F

from piumar_lib import check, perturbation
from piumar_lib.check import blocks, core
from piumar_lib.data import spar
from piumar_lib.evidence import contrasts, forest, protocol
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.recognizer import channel_scale
from piumar_lib.running import RunningMean
from piumar_lib.spectrum import dct_matrix

real = yours if data else spar.windows(spar.load_recordings())
x, y = torch.as_tensor(real.x, dtype=torch.float64), torch.as_tensor(real.y)
x = (x - x.mean((0, 1))) / channel_scale(x)  # as the recogniser sees them
person = torch.as_tensor(np.unique(real.person, return_inverse=True)[1])
print(f"{real.name}: {tuple(x.shape)} = (clips, frames, channels), {len(real.people)} people")
torch.manual_seed(seed)
shown, channel = int(torch.nonzero(y == (y.mode().values if data else 1))[0]), 0
branch = SpectralPerturbation(x.shape[2], probability=1.0)
perturbed = [branch(x, y) for _ in range(3)]
level, moved = (perturbation.log_spectrum(torch.fft.rfft(z, dim=1)[:, 1:]) for z in (x, perturbed[0]))
hertz = np.arange(1, level.shape[1] + 1) * real.rate / x.shape[1]
seconds = np.arange(x.shape[1]) / real.rate

# %% tags=["hide-input"]
rows = dct_matrix(level.shape[1])[:4]
smooth = (rows.T @ rows @ level)[shown, :, channel].numpy()
band = (moved - level).std(0)[:, channel].numpy()
fig, (left, right) = plt.subplots(1, 2)
left.fill_between(hertz, smooth - band, smooth + band, color="C3", alpha=0.4, label="± 1 sd of log gain")
left.plot(hertz, smooth, color="C0", lw=2.5, label="smooth part")
left.plot(hertz, level[shown, :, channel], color="0.3", lw=0.8, label="one clip")
left.set(xlabel="frequency [Hz]", ylabel="log-amplitude", title="spectrum")
left.legend(fontsize=8)
right.plot(seconds, x[shown, :, channel], color="C0", lw=2.5)
for other, style in zip(perturbed, ("C1-", "C2--", "C4:"), strict=True):
    right.plot(seconds, other[shown, :, channel], style, lw=1.2)
right.set(xlabel="time [s]", ylabel="channel 1 [sd]", title="clip (thick), three perturbed")
show(fig, alt=f"Left: a jagged spectrum, its smooth part, and a band of {band.mean():.2f} around it. "
     "Right: the clip and three perturbed versions, which rise and fall with it, larger or smaller.")

# %% [markdown] slideshow={"slide_type": "notes"}
# ![Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk.](pictures/architecture-04.svg)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A clip as a sum of waves
#
# The Fourier transform measures how much of a wave with $f$ periods the frames $x_0, \dots, x_{T-1}$ of a clip contain:
#
# $$ X_f = \sum_{t=0}^{T-1} x_t \, e^{-2 \pi i f t / T}, \qquad f = 0, \dots, T/2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand, on $T = 8$ samples of $\cos(2 \pi \cdot 2 t / 8)$, that is $1, 0, -1, 0, 1, 0, -1, 0$: multiply by a wave with $f$
# periods and add up. For $f = 2$ each nonzero sample contributes $1$, so $X_2 = 4$; for all other $f$ they cancel. The rest of
# the [spectrum](glossary.md#spectrum), $f > T/2$, follows by conjugate symmetry, as the samples are real: half the frame rate,
# the Nyquist frequency, is the highest that a clip can show. The inverse transform is `torch.fft.irfft`. `assert_same` compares
# values and gradients.

# %%
def fourier(x):
    f, t = torch.arange(x.shape[1] // 2 + 1), torch.arange(x.shape[1])
    angle = -2 * torch.pi * (f[:, None] * t).double() / x.shape[1]
    return torch.complex(angle.cos(), angle.sin()) @ x.to(torch.complex128)  # (B, 1 + T/2, C)

# %% slideshow={"slide_type": "skip"}
cosine = torch.tensor([1.0, 0, -1, 0, 1, 0, -1, 0])[None, :, None]
print(np.abs(fourier(cosine)[0, :, 0].numpy()).round(2))
some = torch.randn(6, 12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
assert_same(fourier, lambda x: torch.fft.rfft(x, dim=1), some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Log-amplitude
#
# The amplitude says how strong a wave is, the [phase](glossary.md#phase) $\varphi_f$ when it peaks. In logarithms a longer limb
# adds the same number at all frequencies:
#
# $$ L_f = \log \vert X_f \vert, \qquad X_f = \vert X_f \vert \, e^{i \varphi_f}, \qquad f = 1, \dots, F, \quad F = T/2 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# A limb that is a quarter longer moves 1.25 times as far: every amplitude is multiplied by 1.25, which adds $\log 1.25 = 0.22$ to
# its logarithm. To each power we add a millionth of the batch's mean, which keeps the logarithm finite at empty frequencies.
# Frequency 0 is left out: it is the clip's mean, on a wrist gravity.

# %% slideshow={"slide_type": "skip"}
def log_amplitude(x):
    power = torch.fft.rfft(x, dim=1)[:, 1:].abs().square()  # (B, F, C)
    return 0.5 * (power + 1e-6 * power.mean(0) + torch.finfo(power.dtype).tiny).log()

assert_same(log_amplitude, lambda x: perturbation.log_spectrum(torch.fft.rfft(x, dim=1)[:, 1:]), some)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Noise alone varies, too
#
# A test without people: 4,000 clips of white noise, all with the same power.
#
# > **Predict.** Is the variance of the [log-amplitude](glossary.md#log-amplitude) larger if all clips are ten times as strong?
# > Does it differ between frequencies?

# %% slideshow={"slide_type": "skip"}
def noise_floor(time):
    floor = torch.full((time // 2,), torch.pi**2 / 24, dtype=torch.float64)  # (F,)
    floor[-1] *= 1 if time % 2 else 3  # the last frequency of an even length is real
    return floor

torch.manual_seed(seed)
noise = torch.randn(4000, 64, 1)  # (clips, frames, channels)
for strength in (1, 10):
    found = log_amplitude(strength * noise).var(0)[:, 0]
    print(f"strength {strength}: variance {found[:-1].mean():.2f}, last frequency {found[-1]:.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Compare.** It is 0.41, or $\pi^2 / 24$, whatever the strength, and three times that at the last frequency: the
# [Rayleigh floor](glossary.md#rayleigh-floor) of a single spectrum.

# %% [markdown] slideshow={"slide_type": "notes"}
# Real and imaginary part of $X_f$ are Gaussian, so amplitudes have a Rayleigh distribution, hence the name, and the power is
# exponentially distributed; its logarithm has the variance $\pi^2 / 6$. The log-amplitude is half of that logarithm, so its
# variance is a quarter. At the last frequency of an even length $X_f$ is real: the power is a single squared Gaussian, whose
# logarithm has the variance $\pi^2 / 2$.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much do clips differ?
#
# $v_f$ is the variance of log-amplitude within classes: $B$ clips $i$ with classes $y_i$, each compared with the mean of its
# class, one of $Y$:
#
# $$ v_f = \frac{1}{B - Y} \sum_{i=1}^{B} (L_{if} - \bar L_{y_i f})^2 $$
#
# > **Predict.** Which fraction of $v_f$ is only noise, in wrist recordings?

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: $L = 1, 3$ in class 0 and $10, 12$ in class 1. Their variance is 28.3, but actions are meant to differ. Within classes:
# means 2 and 11, residuals $-1, 1, -1, 1$, sum of squares 4, divided by $4 - 2$: the variance is 2. Each class mean takes one
# degree of freedom. A [variance-guided](glossary.md#variance-guided) perturbation is large where clips of one class differ;
# feature statistics have been perturbed by their variance over a batch [[4](#references)]. The
# [first version](glossary.md#first-version) of our branch took $v_f$ as it is.

# %% slideshow={"slide_type": "skip"}
def squares_within(value, y):
    """Squares about the mean of each class, summed, and their degrees of freedom."""
    groups = [value[y == k] for k in y.unique()]
    return sum((g - g.mean(0)).square().sum(0) for g in groups), len(y) - len(groups)

def variance_within(value, y):
    squares, freedom = squares_within(value, y)
    return squares / max(freedom, 1)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
level = log_amplitude(x)  # (B, F, C)
floor = noise_floor(x.shape[1])
within = variance_within(level, y).mean(1)
fig, ax = plt.subplots(figsize=(7, 2.8))
ax.plot(hertz[:-1], within[:-1], color="C0")  # without the last frequency
ax.fill_between(hertz[:-1], floor[:-1], color="0.8")
ax.text(hertz.mean(), 0.2, "Rayleigh floor", ha="center")
ax.text(hertz.mean(), 0.64, "within classes", color="C0", ha="center")
ax.set(xlabel="frequency [Hz]", ylabel="variance of log-amplitude", ylim=(0, 1))
show(fig, alt="Variance of log-amplitude within classes, nearly equal at all frequencies; the floor is "
     f"{100 * floor[:-1].mean() / within[:-1].mean():.0f} % of it.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Most of it: 70 %. The curve is also nearly flat, so the first version perturbed all frequencies alike, and mostly
# by an amount that is mere estimation noise.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The smooth part
#
# In the discrete cosine transform (DCT) of $L$ over $F$ frequencies, $\tilde L_0$ is its level, $\tilde L_1$ its tilt, $\tilde L_j$ its part of $j$ half-waves.
#
# $$ \tilde L_j = \sum_{f=1}^{F} D_{jf} \, L_f, \qquad D_{jf} = r_j \cos\Bigl(\frac{\pi}{F} \bigl(f - \tfrac12\bigr) j\Bigr),
# \qquad r_0 = \sqrt{1/F}, \quad r_j = \sqrt{2/F} $$
#
# > **Predict.** How much of the variance above the floor do 4 of 32 coefficients hold? Which fraction of their variance is
# > between the ten people who wore the watch?

# %% [markdown] slideshow={"slide_type": "notes"}
# The amplitudes of white noise are independent across frequencies. Those of a body are not: a longer limb raises *all* of
# them. The rows of the DCT are orthonormal. We keep the first $J = 4$ coefficients; speech processing calls them a cepstrum.
# As noise is independent, the floor of a coefficient is the sum of the frequencies' floors, weighted by $D_{jf}^2$.
#
# What is above the floor need not be personal: one person's clips vary, too. We may look, with person labels that training never
# sees. Remove the mean of each class *and person* instead of that of each class; the fraction by which the variance falls is the
# fraction that lies between people, here corrected for degrees of freedom.

# %% slideshow={"slide_type": "skip"}
def cosines(frequencies, count):
    f, j = torch.arange(frequencies).double(), torch.arange(min(count, frequencies)).double()[:, None]
    scale = ((2 - (j == 0).double()) / frequencies).sqrt()
    return scale * torch.cos(torch.pi / frequencies * (f + 0.5) * j)  # (J, F)

def between_people(value, y, person):
    """Variance within classes, and the part of it that lies between people."""
    within = variance_within(value, y)
    return within, within - variance_within(value, y * (person.max() + 1) + person)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
torch.manual_seed(seed)
D = cosines(level.shape[1], level.shape[1])
within, between = between_people(D @ level, y, person)  # (J, C) each
above = (within - (D.square() @ floor)[:, None]).clamp_min(0).sum(1)
fig, ax = plt.subplots(figsize=(7, 2.8))
ax.bar(range(len(D[:10])), within[:10].mean(1), color="C3", label="within classes")
ax.bar(range(len(D[:10])), between[:10].mean(1), fill=False, hatch="///", label="between people")
ax.plot((D.square() @ floor)[:10], "_", color="C2", ms=30, mew=2, label="Rayleigh floor")
ax.set(xlabel="coefficient $j$", ylabel="variance of $\\tilde L_j$")
ax.legend()
show(fig, alt="Variance of ten coefficients within classes. The level's is largest by far, and a large "
     "part of it lies between people; from the sixth coefficient on, it is close to the floor.")
mixed = person[torch.randperm(len(y))]
parts = between_people(level, y, person), between_people(D[:4] @ level, y, mixed)
single, shuffled = (100 * part.sum() / whole.sum() for whole, part in parts)
print(f"{len(D[:4])} of {len(D)} hold {100 * above[:4].sum() / above.sum():.0f} % above the floor; "
      f"between people {100 * between[:4].sum() / within[:4].sum():.0f} % "
      f"(single frequencies {single:.0f} %, shuffled {shuffled:.0f} %)")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The four hold 95 % of what is above the floor; from the sixth coefficient on, clips vary by little more than white
# noise. Of the variance of the four, 41 % lies between people, against 21 % at single frequencies and 1 % if the labels are
# shuffled. The rest lies between clips of one person: where the window begins, one repetition more or less. The branch has no
# person labels and cannot tell the two apart.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A gain that keeps the power
#
# A first idea: multiply each amplitude by $e^{\sigma \xi}$, with $\sigma = \sqrt{v_f}$ and a standard Gaussian draw $\xi$.
#
# > **Predict.** For the wrist recordings $\sigma$ is about 0.8. By how much does this gain raise the power on average?

# %% [markdown] slideshow={"slide_type": "notes"}
# By hand: multiply amplitudes by $e$ or by $1/e$, with equal odds. The log gain $\gamma$ is 0 on average, but the power is
# multiplied by 7.4 or by 0.14, on average by 3.8. The network would meet such strong clips in training only.

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
sigma, xi = variance_within(level, y).sqrt(), torch.randn_like(level)  # (F, C), (B, F, C)
for words, gamma in (("sigma xi", sigma * xi), ("sigma xi - sigma^2", sigma * xi - sigma**2)):
    print(f"{words}: power times {(2 * gamma).exp().mean():.2f}, median gain {gamma.exp().median():.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Compare.** The power is 3.67 times as large. A log gain $\gamma$ that is lowered by its variance keeps it:
#
# $$ \mathbb{E} \, e^{2 \sigma \xi} = e^{2 \sigma^2}, \qquad \text{so} \quad \gamma = \sigma \, \xi - \sigma^2 \quad
# \text{has} \quad \mathbb{E} \, e^{2 \gamma} = 1 $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The first version of the branch did not lower it. Keeping the power has a price: the median gain falls to 0.55, so that a few
# waves can be much stronger. A small $\sigma$ costs little.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The variance-guided gain
#
# The log gain is smooth over frequency, as large as clips of a class differ beyond noise ($v_j$: variance of $\tilde L_j$ within classes;
# $\text{floor}_f$: the variance of noise); the second sum keeps the power:
#
# $$ \gamma_f = \sum_{j=0}^{J-1} D_{jf} \, \sigma_j \xi_j - \sum_{j=0}^{J-1} D_{jf}^2 \, \sigma_j^2 $$
#
# $$ \sigma_j = \sqrt{\max(0, v_j - \text{floor}_j)}, \qquad \text{floor}_j = \sum_f D_{jf}^2 \, \text{floor}_f $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The $\xi_j$ are standard Gaussian draws. The second sum is the variance of the first, so the mean power is kept at each
# frequency: an [energy-preserving gain](glossary.md#energy-preserving-gain). If the standard deviation of the log gain exceeds 1 at some
# frequency, all $\sigma_j$ of the channel shrink until it is 1.
#
# By hand: the variance of the level is 4 above its floor, so $\sigma_0 = 2$. With 16 frequencies its row is $1/4$ everywhere, so all
# frequencies share a log gain of $0.5 \, \xi_0 - 0.25$.

# %% slideshow={"slide_type": "skip"} tags=["core"]
def log_gain(variance, floor, basis, xi):
    """Return the log gain (B, F, C) for the draws ``xi`` (B, J, C) of a standard Gaussian.

    It is guided by the ``variance`` (J, C) of coefficients above their ``floor`` (J,); ``basis``
    (J, F) holds the cosines. If its standard deviation exceeds 1 at a frequency of a channel, all
    ``sigma`` of that channel shrink by one factor, until the largest is 1."""
    above = (variance - floor[:, None]).clamp(min=0)  # (J, C), sigma squared
    spread = basis.T.square() @ above  # (F, C), the variance of the log gain
    above = above / spread.amax(0).clamp(min=1)
    return basis.T @ (above.sqrt() * xi) - basis.T.square() @ above

# %% slideshow={"slide_type": "skip"} tags=["core-check"]
log_gain = check.log_gain(log_gain, otherwise=core.log_gain)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The frequency branch, written out
#
# In training the branch draws a new smooth gain for each clip; phases and the mean over time stay.
#
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/spectrum.png"><img src="pictures/spectrum.gif" alt="Left, the amplitude spectrum of a wrist&#x27;s movement, right the movement. The perturbed spectrum rises, falls and tilts smoothly about the recorded one; the movement changes in size."></picture>

# %% [markdown] slideshow={"slide_type": "notes"}
# One thing is missing: a batch has too few clips. Twelve clips of [MA-52](glossary.md#ma-52)'s 52 classes hold about 11 classes,
# so $B - Y$ is about 1. The branch averages squares and degrees of freedom *separately* over batches, and divides at the end: two
# [running statistics](glossary.md#running-statistics), a plain mean at first, then an exponential moving average. Under `no_grad`
# the gain is a constant: gradients reach the clip through the product alone. Each clip is perturbed with probability 0.5;
# evaluation changes nothing.

# %% slideshow={"slide_type": "skip"}
class FrequencyBranch(nn.Module):
    def __init__(self, channels, probability=0.5):
        super().__init__()
        self.probability = probability
        self.squares, self.freedom = RunningMean(4, channels), RunningMean()

    def forward(self, x, y):
        if not self.training:
            return x
        with torch.no_grad():
            level = log_amplitude(x)  # (B, F, C)
            basis = cosines(level.shape[1], 4).to(x)  # (J, F)
            smooth = basis @ level  # (B, J, C)
            squares, freedom = squares_within(smooth, y)
            self.squares.update(squares), self.freedom.update(torch.tensor(freedom))
            variance = self.squares.mean / self.freedom.mean.clamp(min=1e-6)  # (J, C)
            chosen = torch.rand(len(x), 1, 1) < self.probability
            floor = basis.square() @ noise_floor(x.shape[1]).to(x)  # (J,)
            gamma = chosen * log_gain(variance, floor, basis, torch.randn_like(smooth))
            gain = F.pad(gamma, (0, 0, 1, 0)).exp()  # 1 at frequency 0, the mean over time
        return torch.fft.irfft(torch.fft.rfft(x, dim=1) * gain, n=x.shape[1], dim=1)

blocks.frequency_branch(FrequencyBranch)  # three batches of training, then evaluation

# %% [markdown] slideshow={"slide_type": "notes"}
# The branch agrees with the library's `SpectralPerturbation`, which has more options, among them a scale, which multiplies all
# $\sigma_j$, and the number of coefficients that count as smooth. Try these two; the first figure shows the defaults.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw(scale=1.0, coefficients=4):
    torch.manual_seed(seed + 2)
    branch = SpectralPerturbation(x.shape[2], scale, 1.0, coefficients=coefficients)
    near = np.r_[shown, : len(x) : 5]
    clip, other = x[shown, :, channel], branch(x[near], y[near])[0, :, channel]
    fig, ax = fixed_figure(7, 2.8)
    ax.plot(seconds, clip, "C0", seconds, other, "C1--")
    ax.set(xlabel="time [s]", ylabel="channel 1 [sd]", title="clip (solid), perturbed (dashed)")
    times = (other.var() / clip.var()).item()
    show(fig, alt=f"Scale {scale:.1f}, {coefficients} coefficients: variance times {times:.2f}.")
draw()
interact(draw, scale=(0.0, 3.0, 0.1), coefficients=(1, 16));

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How far does it move a clip?
#
# Our unit is the typical distance between two people: $\sqrt 2$ times the standard deviation between people within one class.
#
# > **Predict.** How far does a perturbed clip move in the four smooth coefficients, and how far in all others, in which people
# > hardly differ: 0, 0.5, 1 or 3 units?

# %% slideshow={"slide_type": "skip"}
torch.manual_seed(seed)
change = log_amplitude(SpectralPerturbation(x.shape[2], probability=1.0)(x, y)) - level  # (B, F, C)
units = [(2 * between_people(part @ level, y, person)[1].sum()).sqrt() for part in (D[:4], D[4:])]
moves = [(part @ change).square().sum((1, 2)).mean().sqrt() for part in (D[:4], D[4:])]
print(f"power times {(2 * change).exp().mean():.2f}; smooth part moves {moves[0] / units[0]:.2f} units, "
      f"the rest {moves[1] / units[1]:.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Compare.** The smooth part of a perturbed clip moves 1.07 times as far as two people are apart, the rest 0.03 times, and the
# mean power stays (1.01 times).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Does it help on unseen people?
#
# We compare TFAM with TFAM without the perturbation, with all else equal, on nine sets of real people.
#
# > **Predict.** By how many points does the perturbation change accuracy, pooled over the nine sets?

# %% [markdown] slideshow={"slide_type": "notes"}
# In [TFAM](glossary.md#tfam) the perturbed clip is a second view beside an aligned one ([05](05_consistency_fusion.ipynb)). Each
# person is held out once; [chapter 09](09_evidence.ipynb) describes how these records were made.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
BOTH = "TFAM + augmentation", "TFAM, no perturbation + augmentation"
pooled = {form: contrasts.compare(contrasts.read(protocol.REAL, form), *BOTH) for form in protocol.FORMS}
fig, words = forest.draw_side_by_side(pooled)
fig.supxlabel("TFAM over TFAM without perturbation, same unseen people [points]", fontsize=10)
show(fig, alt=f"Forest plot of what the perturbation adds, by data set and pooled. {words}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** No gain is established. On single sets the perturbation harms more often than not: at own tempo UTD-MHAD loses 4.2
# points, SHREC'17 2.5 and Pen digits 0.9, while UTKinect gains 3.0. All nine together: `TFAM + augmentation` over
# `TFAM, no perturbation + augmentation` on `real people, own tempo`: -0.6 points [-1.7, +0.6], and `TFAM + augmentation` over
# `TFAM, no perturbation + augmentation` on `real people, one length`: -0.5 points [-1.3, +0.3].
#
# Two possible reasons: much of what is perturbed is not personal, as we saw above; and data augmentation, which is on in both,
# changes amplitudes as well. Half and twice the scale, a random part of the distance to another clip of the class
# (`kind="swap"`), and one profile shared by the channels of a limb were tried on development people; the page of records, which
# `make book` writes, lists these attempts.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise 1: another person's amplitudes, one's own timing
#
# *10 minutes, easy.*
#
# Write `swap_amplitude(x, other)`: the clip with *all* Fourier amplitudes of `other` and the phases of `x`, both
# `(batch, time, channels)`. Methods for images use this as augmentation [[2, 3](#references)].

# %% tags=["exercise"]
def swap_amplitude(x, other):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
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
# `smooth_noise(clips, frequencies, channels)`: Gaussian draws with variance 1 at every frequency, neighbours correlated by 0.5 or
# more, the first and the last frequency by less. Clips and channels stay independent.

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
#     xi = torch.randn(clips, frequencies, channels)
#     for k in range(1, frequencies):
#         xi[:, k] = r * xi[:, k - 1] + (1 - r**2) ** 0.5 * xi[:, k]  # variance r^2 + 1 - r^2
#     return xi
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - Most of what varies between spectra of one action is noise: for wrist recordings 70 % is the Rayleigh floor.
# - Four smooth coefficients hold 95 % of the rest. Of their variance, 41 % lies between people.
# - A Gaussian gain of that size, lowered by its variance, keeps the mean power and moves a clip 1.07 times as far as two people
#   are apart.
# - On unseen real people TFAM is no better with this perturbation than without: -0.6 points [-1.7, +0.6] at own tempo; it loses
#   on UTD-MHAD, SHREC'17 and Pen digits, and gains on UTKinect.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | frequency branch, variance-guided perturbations | the frequency branch, written out | `perturbation.SpectralPerturbation`, `perturbation.energy_preserving_gain`, `perturbation.log_spectrum`, `perturbation.filtered` | `test_perturbation.py` | Gaussian log gains that keep power in the mean; phases stay; probability 0.5 |
# | guided by variance | how much do clips differ? the variance-guided gain | `perturbation.rayleigh_floor`, `perturbation.SpectralPerturbation.variance`, `running.RunningMean` | `test_perturbation.py` | variance *within class* above the Rayleigh floor, over many batches; without person labels |
# | long abstract: spectral signatures of physical attributes (e.g. skeleton size) | the smooth part | `perturbation.SpectralPerturbation(groups_of_channels=())`, `spectrum.dct_matrix` | `test_perturbation.py` | four cosine coefficients along frequency, of which size is the first; one profile a channel, as an option one a limb |
# | long abstract: disentangles motion patterns | the smooth part | `perturbation.SpectralPerturbation(coefficients=4)` | `test_perturbation.py` | smooth amplitudes count as movement style and are perturbed, all else stays; only a part of the former is personal |
# | (silent) | does it help on unseen people? | `perturbation.another_of_class`, `development.ATTEMPTS` | `test_perturbation.py`, `test_development.py` | towards another clip of the class: an option, tried with others on people for development alone |
# | the first version, where we compare | a gain that keeps the power | `tfam.FrequencyBranch`, `spectrum.perturb`, `spectrum.log_amplitude`, `spectrum.apply_gain`, `spectrum.style_deviation`, `spectrum.style_residual`, `spectrum.to_spectrum`, `spectrum.from_spectrum` | `test_spectrum.py`, `test_tfam.py` | independent gains for each frequency, floor included |
#
# ## References
#
# 1. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 2. Y. Yang, S. Soatto. *FDA: Fourier Domain Adaptation for Semantic Segmentation.* [arXiv 2004.05498](https://arxiv.org/abs/2004.05498), 2020.
# 3. Q. Xu et al. *A Fourier-based Framework for Domain Generalization.* [arXiv 2105.11120](https://arxiv.org/abs/2105.11120), 2021.
# 4. X. Li et al. *Uncertainty Modeling for Out-of-Distribution Generalization.* [arXiv 2202.03958](https://arxiv.org/abs/2202.03958), 2022.
# 5. D. M. Burns et al. *Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch.* [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018.
