"""MiniRocket: 84 fixed convolutions and a linear classifier (Dempster, Schmidt and Webb, KDD 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from piumar_lib.data.sequences import Sequences
from piumar_lib.recognizer import channel_scale

LENGTH = 9  # weights of a kernel
MOST_DILATIONS = 32  # of a kernel
MOST_CHANNELS = 9  # summed by a kernel
ALPHAS = np.logspace(-3, 3, 10)  # of the ridge, as in the paper


def make_kernels() -> np.ndarray:
    """All kernels with three weights of 2 and six of -1, which sum to zero; shape ``(84, 9)``."""
    places = np.array(list(combinations(range(LENGTH), 3)))
    kernels = np.full((len(places), LENGTH), -1.0)
    np.put_along_axis(kernels, places, 2.0, axis=1)
    return kernels


KERNELS = make_kernels()


class MiniRocket:
    """Features of a clip: how often each of many convolutions exceeds a threshold.

        features = MiniRocket(seed=0).fit(train.x).transform(unseen.x)

    Each of 84 kernels, at several dilations, is convolved with the sum of a few channels drawn at
    random; the same seed draws the same. Thresholds are quantiles of the convolution of a random
    training clip. A feature is the *proportion of positive values* (PPV): the fraction of frames at
    which the convolution exceeds its threshold. Every second convolution pads the clip with zeros, the
    others use only frames at which the kernel lies inside.

    Several channels as in the authors' code (``minirocket_multivariate``); they should have similar
    scales, because they are summed.

    Args:
        features: Number of features, rounded down to a multiple of 84.
        seed: Seed of the draws of channels and of training clips.

    Attributes:
        dilations: Frames from one weight to the next, shape ``(dilations,)``.
        channels: Whether a kernel adds up a channel, ``(dilations, 84, channels)``, 0 or 1.
        thresholds: Thresholds of each kernel, an array ``(84, thresholds)`` for each dilation.

    Raises:
        ValueError: If there are fewer than 84 features.
    """

    def __init__(self, features: int = 10_000, seed: int = 0) -> None:
        if features < len(KERNELS):
            raise ValueError(f"features: must be at least {len(KERNELS)}, got {features}.")
        self.features, self.seed = features, seed

    def fit(self, x: np.ndarray) -> MiniRocket:
        """Draw channels, and thresholds from training clips ``(n, time, channels)``.

        Raises:
            ValueError: If clips are shorter than a kernel.
        """
        if x.shape[1] < LENGTH:
            raise ValueError(f"x: {x.shape[1]} frames are too few. Give clips of at least {LENGTH}.")
        rng = np.random.default_rng(self.seed)
        self.dilations, counts = spread_dilations(x.shape[1], self.features // len(KERNELS))
        self.channels = draw_channels(rng, (len(self.dilations), len(KERNELS), x.shape[2]))
        levels = golden_quantiles(counts * len(KERNELS))
        self.thresholds = []
        for d, level in enumerate(levels):
            clips = x[rng.integers(len(x), size=len(KERNELS))]  # (84, T, C), one for each kernel
            summed = np.einsum("ktc,kc->kt", clips.astype(float), self.channels[d])
            values = convolve(summed, self.dilations[d])  # (84, T)
            each = zip(values, level.reshape(len(KERNELS), -1), strict=True)
            self.thresholds.append(np.array([np.quantile(v, q) for v, q in each]))
        return self

    def transform(self, x: np.ndarray, batch: int = 64) -> np.ndarray:
        """Features of clips ``(n, time, channels)``: shape ``(n, features)``, in [0, 1]."""
        parts = [x[start : start + batch].astype(float) for start in range(0, len(x), batch)]
        return np.concatenate([np.concatenate([*self._features(part)], axis=1) for part in parts])

    def _features(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Features of each dilation, shape ``(n, 84 * thresholds)``."""
        for d, dilation in enumerate(self.dilations):
            summed = np.einsum("ntc,kc->nkt", x, self.channels[d])
            values = convolve(summed, dilation)[..., None]  # (n, 84, T, 1)
            margin = LENGTH // 2 * dilation
            inside = values[:, :, margin:-margin]
            share = np.empty((len(x), *self.thresholds[d].shape))
            for first, seen in ((d % 2, values), (1 - d % 2, inside)):
                mine = slice(first, None, 2)  # every second kernel
                above = seen[:, mine] > self.thresholds[d][mine, None]  # (n, 42, T, thresholds)
                share[:, mine] = above.mean(2)
            yield share.reshape(len(x), -1)


def convolve(x: np.ndarray, dilation: int) -> np.ndarray:
    """Convolve each kernel with its own signal, with zeros around it; ``(..., 84, time)`` to the same.

    In double precision sums of single-precision values are exact, so that a constant signal gives 0.
    """
    time, margin = x.shape[-1], LENGTH // 2 * dilation
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(margin, margin)])
    moved = (padded[..., j * dilation : j * dilation + time] for j in range(LENGTH))
    return sum(weight[:, None] * m for weight, m in zip(KERNELS.T, moved, strict=True))


def spread_dilations(time: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Dilations from 1 to the widest that fits into a clip, evenly on a logarithmic scale.

    Returns:
        The dilations, and how many of a kernel's ``features`` each one gets.
    """
    several = min(features, MOST_DILATIONS)
    widest = np.log2((time - 1) / (LENGTH - 1))
    drawn = np.logspace(0, widest, several, base=2).astype(int)
    dilations, counts = np.unique(drawn, return_counts=True)
    counts = (counts * (features / several)).astype(int)
    left = features - counts.sum()  # distributed from the shortest dilation on
    return dilations, counts + left // len(counts) + (np.arange(len(counts)) < left % len(counts))


def golden_quantiles(counts: np.ndarray) -> list[np.ndarray]:
    """Arrays of ``counts`` low-discrepancy numbers in (0, 1): multiples of the golden ratio, mod 1."""
    golden = (1 + np.sqrt(5)) / 2
    return np.split(np.arange(1, counts.sum() + 1) * golden % 1, np.cumsum(counts)[:-1])


def draw_channels(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """The channels that each kernel sums, mostly few; 0 or 1, ``(dilations, kernels, channels)``.

    Their number is log-uniform, from one to nine or to all if there are fewer.
    """
    most = np.log2(min(shape[2], MOST_CHANNELS) + 1)
    several = (2 ** rng.uniform(0, most, shape[:2])).astype(int)
    rank = rng.random(shape).argsort(2).argsort(2)
    return (rank < several[..., None]).astype(float)


def minirocket_ridge(train: Sequences, unseen: Sequences, seed: int) -> np.ndarray:
    """Train MiniRocket with a ridge classifier and return the classes of unseen clips, ``(n,)``.

    Channels are standardised by the training clips, as in a `Recognizer`, and so are features; the
    strength of the ridge penalty is chosen by leave-one-out cross-validation on training clips. That
    takes most of the time, which grows faster than the number of training clips: 2,400 clips of 32
    frames took 50 to 100 s on one core. Unseen clips must have as many frames as those for training.

    Raises:
        ValueError: If clips are shorter than 9 frames.
    """
    clips = torch.as_tensor(train.x)
    mean, scale = clips.mean((0, 1)).numpy(), channel_scale(clips).numpy()
    rocket = MiniRocket(seed=seed).fit((train.x - mean) / scale)
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=ALPHAS))
    ridge.fit(rocket.transform((train.x - mean) / scale), train.y)
    return ridge.predict(rocket.transform((unseen.x - mean) / scale))
