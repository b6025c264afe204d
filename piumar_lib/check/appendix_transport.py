"""Checks of chapter 13."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require


@check
def between(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(x, y, alpha)``: samples a fraction ``alpha`` of the way along the geodesic."""
    for _ in range(5):
        count, alpha = int(rng.integers(4, 20)), float(rng.uniform(0.1, 0.4))
        x, y = rng.normal(0, 1, count), rng.normal(3, 2, count)
        given = np.asarray(answer(x.copy(), y.copy(), alpha), dtype=float)
        require(
            given.shape != (2 * count,),
            "this is a mixture, which leaves every point where it is; McCann moves the points.",
        )
        require(
            given.shape == (count,), f"the shape is {given.shape}; it should be that of x, {(count,)}."
        )
        whole, first, second = (_distance(*pair) for pair in ((x, y), (x, given), (given, y)))
        require(
            not np.isclose(first, (1 - alpha) * whole), "this begins at y: at alpha = 0 it should be x."
        )
        require(
            not np.allclose(given, (1 - alpha) * x + alpha * y),
            "x and y are in no order: this pairs the points as they come, and paths cross.",
        )
        require(
            np.isclose(first, alpha * whole),
            f"the distance from x is {first:.4f}; it should be the fraction alpha of {whole:.4f}.",
        )
        require(
            np.isclose(second, (1 - alpha) * whole),
            "the distance from x is right, but a point of a geodesic is on the way to y.",
        )
    return "both distances are the right fractions of the whole."


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """The 2-Wasserstein distance by its quantile functions, at a fine grid of levels."""
    levels = (np.arange(len(x)) + 0.5) / len(x)
    quantiles = (np.quantile(z, levels, method="inverted_cdf") for z in (x, y))
    return float(np.sqrt(np.mean(np.square(np.subtract(*quantiles)))))
