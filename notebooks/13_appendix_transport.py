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
# # 13 · Appendix: more on optimal transport
#
# What lies between two distributions, and which distance sees which difference?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | a few seconds |
# | prerequisites | [02 optimal transport](02_optimal_transport.ipynb); eigenvalues of symmetric matrices |
# | you will build | the Bures-Wasserstein distance, McCann's interpolation, the sliced Wasserstein distance |
# | device | any laptop |

# %% [markdown] slideshow={"slide_type": "subslide"}
# PIUmr uses plans in one dimension and diagonal Gaussians. This appendix presents two distances between point clouds
# that PIUmr does not use. After it you can
#
# - interpolate two Gaussians along the optimal transport map, and say why averaging covariances differs,
# - compute a distance between any two clouds by sorting their projections,
# - name a difference that each of the two distances misses.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
seed = 0

# %% slideshow={"slide_type": "skip"}
import matplotlib.pyplot as plt
import numpy as np
import torch

from piumar_lib import transport
from piumar_lib.notebook import assert_same, show, start

start(profile)
torch.manual_seed(seed);

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# An ellipse shows a Gaussian with mean zero: the points at one standard deviation. What lies between two of them?

# %% [markdown]
# > **Predict.** Two narrow ellipses lean right and left. Half-way between them along optimal transport, is the
# > ellipse narrow or round? Which is rounder, transport's half-way ellipse or the average of the two covariances?

# %% [markdown] slideshow={"slide_type": "notes"}
# Two functions draw the answer; `mccann`, derived in the next section, follows optimal transport. The square root
# of a symmetric matrix takes the roots of its eigenvalues.

# %% slideshow={"slide_type": "skip"}
def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T

def mccann(cov_x, cov_y, alpha):
    """Covariance (C, C) a fraction alpha of the way from cov_x to cov_y."""
    half = root(cov_x)
    whole = torch.linalg.inv(half) @ root(half @ cov_y @ half) @ torch.linalg.inv(half)  # optimal map
    part = (1 - alpha) * torch.eye(len(half), dtype=half.dtype) + alpha * whole
    return part @ cov_x @ part

# %% slideshow={"slide_type": "skip"}
cov_x = torch.tensor([[1.0, 0.85], [0.85, 1.0]], dtype=torch.float64)
cov_y = torch.tensor([[1.0, -0.6], [-0.6, 0.5]], dtype=torch.float64)
ALPHAS = (0, 0.25, 0.5, 0.75, 1)
between_them = {
    "McCann": [mccann(cov_x, cov_y, alpha) for alpha in ALPHAS],
    "averaged covariance": [(1 - alpha) * cov_x + alpha * cov_y for alpha in ALPHAS],
}
size = {name: [torch.linalg.det(m).sqrt().item() for m in found] for name, found in between_them.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
angle = torch.linspace(0, 2 * np.pi, 100, dtype=torch.float64)
circle = torch.stack([angle.cos(), angle.sin()])  # (2, 100)
fig, ax = plt.subplots(figsize=(7, 2.5))
for (name, found), style in zip(between_them.items(), ("C0-", "C1--"), strict=True):
    for k, matrix in enumerate(found):
        x, y = root(matrix) @ circle
        ax.plot(x + 2.15 * k, y, style, label=None if k else name)
ax.set(xticks=[2.15 * k for k in range(5)], yticks=[],
       xticklabels=[f"$\\alpha$ = {a:g}" for a in ALPHAS])
ax.set_aspect("equal")
ax.spines["left"].set_visible(False)
ax.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
show(fig, alt="Ellipses from one leaning right to one leaning left. Half-way, McCann's has the area "
     f"{size['McCann'][2]:.2f} pi and the averaged covariance {size['averaged covariance'][2]:.2f} pi; "
     f"the ends have {size['McCann'][0]:.2f} pi and {size['McCann'][-1]:.2f} pi.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** Both midpoints are rounder than the ends, whose areas are 0.53 π and 0.37 π. McCann's interpolation
# reaches 0.64 π, the averaged covariance 0.86 π. Averaging puts one cloud on top of the other; transport moves points.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Gaussians: a closed form
#
# In one dimension, $\mathcal{N}(0, 1)$ and $\mathcal{N}(3, 2^2)$ have $W_2^2 = (0 - 3)^2 + (1 - 2)^2 = 10$ (chapter
# 02). For means $\mu_x, \mu_y$ and full covariances $\Sigma_x, \Sigma_y$ [[1](#references)]:
#
# $$ W_2^2 = {\lVert \mu_x - \mu_y \rVert}^2 +
# \mathrm{tr}\left( \Sigma_x + \Sigma_y - 2 (\Sigma_x^{1/2} \Sigma_y \Sigma_x^{1/2})^{1/2} \right) $$

# %% [markdown] slideshow={"slide_type": "notes"}
# The trace is the squared **Bures distance** of the covariances. Our code computes it differently from the library:
# the trace of the root is the sum of the square roots of the eigenvalues of $\Sigma_x \Sigma_y$.

# %%
def w2_by_hand(mean_x, root_x, mean_y, root_y):
    cov_x, cov_y = root_x @ root_x.T, root_y @ root_y.T  # (C, C)
    cross = torch.linalg.eigvals(cov_x @ cov_y).real.sqrt().sum()
    return (mean_x - mean_y).square().sum() + cov_x.trace() + cov_y.trace() - 2 * cross

# %% slideshow={"slide_type": "skip"}
def w2_library(mean_x, root_x, mean_y, root_y):
    return transport.gaussian_w2(mean_x, root_x @ root_x.T, mean_y, root_y @ root_y.T)

gaussians = [torch.randn(*shape, dtype=torch.float64) for shape in ((3,), (3, 3), (3,), (3, 3))]
assert_same(w2_by_hand, w2_library, *gaussians)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### McCann's interpolation
#
# For mean zero the optimal map is linear, and **McCann's interpolation** [[2](#references)] moves each point a
# fraction $\alpha$ of the way to its image. Its covariance is
#
# $$ \Sigma_\alpha = S \Sigma_x S, \qquad S = (1 - \alpha) I + \alpha
# \Sigma_x^{-1/2} (\Sigma_x^{1/2} \Sigma_y \Sigma_x^{1/2})^{1/2} \Sigma_x^{-1/2} $$

# %% [markdown] slideshow={"slide_type": "notes"}
# It is a geodesic: a quarter of the way along, the distance from the start is a quarter of the whole.

# %% slideshow={"slide_type": "skip"}
zero = torch.zeros(2, dtype=torch.float64)
ends = cov_y, mccann(cov_x, cov_y, 0.25)
whole, part = (transport.gaussian_w2(zero, cov_x, zero, end).sqrt() for end in ends)
torch.testing.assert_close(part, 0.25 * whole)
print(f"distance {whole:.3f}; a quarter of the way along: {part:.3f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The sliced Wasserstein distance
#
# Shift a cloud in the plane by $(3, 4)$. Along the direction at angle $\varphi$ the shift is
# $3 \cos\varphi + 4 \sin\varphi$, with mean square $(9 + 16) / 2 = 12.5$. In general, project both clouds onto a
# random unit vector $\theta$, where sorting solves the problem, and average over directions [[3](#references)]:
#
# $$ SW_2^2(x, y) = \mathbb{E}_\theta \, W_2^2(\langle x, \theta \rangle, \langle y, \theta \rangle) $$

# %%
def sliced_by_hand(x, y, directions=500):
    theta = torch.randn(x.shape[1], directions, dtype=x.dtype, generator=torch.manual_seed(7))
    theta = theta / theta.norm(dim=0)  # (C, directions)
    difference = (x @ theta).sort(0).values - (y @ theta).sort(0).values  # (n, directions)
    return difference.square().mean()

# %% slideshow={"slide_type": "skip"}
def sliced_library(x, y):
    return transport.sliced_w2(x, y, 500, torch.manual_seed(7))

cloud = torch.randn(30, 2, dtype=torch.float64)
print(f"500 directions: {sliced_by_hand(cloud, cloud + torch.tensor([3.0, 4.0])):.2f}")
assert_same(sliced_by_hand, sliced_library, cloud, torch.randn_like(cloud))

# %% [markdown] slideshow={"slide_type": "notes"}
# With 500 directions the estimate is 12.71, close to 12.5. A [sliced](glossary.md#sliced) distance costs
# $O(n \log n)$ for each direction, needs no cost matrix, and is differentiable.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What does each distance see?
#
# Three pairs of clouds: a shift; a ring and a Gaussian cloud with the *same mean and covariance*; and a wrist
# trajectory (scaled by ten) with its reversal.
#
# > **Predict.** Which of the two distances, Gaussian $W_2$ or sliced, is zero for which pair?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data import synthetic


def whiten(x):
    x = x - x.mean(0)
    return x @ torch.linalg.inv(root(x.T @ x / len(x)))

turn = torch.rand(300, dtype=torch.float64) * 2 * np.pi
ring = whiten(torch.stack([turn.cos(), turn.sin()], 1))  # (300, 2)
blob = whiten(torch.randn(300, 2, dtype=torch.float64))
people = synthetic.make_people(8, seed=3)
wrists = 10 * synthetic.make_clips(people, 1, seed=1).x.reshape(8, 32, 17, 2)[:, :, 10]  # (8, 32, 2)
wrist = torch.as_tensor(wrists[wrists.std(1).min(-1).argmax()], dtype=torch.float64)  # (32, 2)
PAIRS = {"shift": (blob, blob + 0.5), "ring and cloud": (ring, blob), "reversal": (wrist, wrist.flip(0))}

# %% slideshow={"slide_type": "skip"}
def gaussian(x, y):
    moments = [moment for z in (x, y) for moment in (z.mean(0), torch.cov(z.T, correction=0))]
    return transport.gaussian_w2(*moments).item()

seen = {name: (abs(gaussian(*pair)), sliced_library(*pair).item()) for name, pair in PAIRS.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7))
for ax, (name, pair) in zip(axes, PAIRS.items(), strict=True):
    for points, marker, color in zip(pair, "ox", ("C0", "C4"), strict=True):
        ax.plot(*points.T, marker, ms=3.5, alpha=0.6, color=color, mfc="none")
    ax.set_title("{}\nsquared: Gaussian {:.2f}, sliced {:.2f}".format(name, *seen[name]), fontsize=10)
    ax.set_aspect("equal", adjustable="datalim")
show(fig, alt="Three pairs of clouds. Squared distances, Gaussian and sliced: "
     + "; ".join(f"{k} {g:.2f} and {s:.2f}" for k, (g, s) in seen.items())
     + ". A ring equals a Gaussian cloud for the Gaussian distance; a reversed clip is the same cloud.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The Gaussian distance sees only means and covariances: squared, it is 0.00 between the ring and the
# cloud, where the sliced distance is 0.10. Neither sees *time*: both are 0.00 for the reversal, as a set of frames
# has no order. To regularise features this is welcome, since people differ in tempo; for alignment PIUmr uses plans.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: McCann's interpolation of two samples
#
# *10 minutes, easy.*
#
# Write `between(x, y, alpha)` for two samples of equal size in one dimension (NumPy arrays): the sample a fraction
# `alpha` of the way from `x` to `y`.

# %% tags=["exercise"]
def between(x, y, alpha):
    ...

# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.between(between)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def between(x, y, alpha):
#     return (1 - alpha) * np.sort(x) + alpha * np.sort(y)
# ```
#
# The library's `reclock` does this to the time distributions of two clips.
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - **Transport interpolates by moving points**: half-way its ellipse has the area 0.64 π, the averaged covariance
#   0.86 π.
# - **Sliced distances need only sorting**: 500 random directions give 12.71 for a shift whose exact squared distance is 12.5.
# - **Each distance misses something**: the Gaussian one gives 0.00 for a ring and a cloud, the sliced one 0.10, and
#   both give 0.00 for a clip and its reversal.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | (silent) which distance | Gaussian and sliced | `transport.gaussian_w2`, `transport.sliced_w2` | `test_transport.py` | taught beside the diagonal form that PIUmr uses |
#
# ## References
#
# 1. G. Peyré, M. Cuturi. *Computational Optimal Transport.* Foundations and Trends in Machine Learning, 2019. [arXiv 1803.00567](https://arxiv.org/abs/1803.00567). Section 2.6.
# 2. R. J. McCann. *A Convexity Principle for Interacting Gases.* Advances in Mathematics 128, 1997.
# 3. N. Bonneel, J. Rabin, G. Peyré, H. Pfister. *Sliced and Radon Wasserstein barycenters of measures.* Journal of Mathematical Imaging and Vision 51, 2015.
