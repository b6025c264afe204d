"""Checks of chapter 04."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def log_gain(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(variance, floor, basis, xi)``: the log gain that variance above the floor guides."""
    import torch

    from piumar_lib.perturbation import energy_preserving_gain
    from piumar_lib.spectrum import dct_matrix

    frequencies = int(rng.integers(12, 24))
    basis, floor = dct_matrix(frequencies)[:4], torch.as_tensor(rng.uniform(0.3, 0.5, 4))
    eps, squares = torch.as_tensor(rng.normal(size=(6, 4, 3))), basis.T.square()

    def gain(sd: torch.Tensor, lowered: float = 1.0) -> torch.Tensor:
        return basis.T @ (sd * eps) - lowered * squares @ sd.square()

    for size, last in ((0.5, 0.7), (40.0, 0.1)):  # below the limit, then above it in two channels
        excess = torch.as_tensor(rng.uniform(0.2, 1, (4, 3))) * torch.tensor([0.5, size, size])
        variance = floor[:, None] + excess
        variance[3, 0] = last  # at first above the floor, then below
        above = (variance - floor[:, None]).clamp(min=0)
        largest = (squares @ above).amax(0)
        shrunk = above / largest.clamp(min=1)  # each channel by itself
        at_each = (squares @ above).clamp(min=1)  # (F, C)
        right, lost = energy_preserving_gain(above.sqrt(), basis, eps), squares @ shrunk
        misconceptions = {
            "noise perturbs, too: only what is above the floor may guide.": energy_preserving_gain(
                variance.sqrt(), basis, eps
            ),
            "the power grows in the mean: the variance of the log gain has to be subtracted.": gain(
                shrunk.sqrt(), 0
            ),
            "this keeps the mean amplitude; the mean power takes twice as much.": gain(
                shrunk.sqrt(), 0.5
            ),
            "a draw is multiplied by a standard deviation; this is a variance.": gain(shrunk, 0) - lost,
            "the variance of a weighted sum has the squares of the weights.": gain(shrunk.sqrt(), 0)
            - basis.T @ shrunk,
            "no standard deviation of the log gain may exceed 1: shrink them.": gain(above.sqrt()),
            "one factor shrinks a whole channel; here each frequency has its own.": gain(above.sqrt(), 0)
            / at_each.sqrt()
            - squares @ above / at_each,
            "the limit is each channel's own; one channel shrinks the others here.": gain(
                (above / largest.max().clamp(min=1)).sqrt()
            ),
        }
        given = torch.as_tensor(answer(*(part.clone() for part in (variance, floor, basis, eps))))
        require(given.shape == right.shape, f"the shape is {tuple(given.shape)}, not (B, F, C).")
        require(given.isfinite().all(), "a variance below its floor counts as 0 and gives no NaN.")
        rule_out(given, misconceptions, right)
        require(np.allclose(given, right), "these are not the log gains of the formula.")
    return "smooth, guided by variance above the floor, and the mean power stays."


@check
def swap_amplitude(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(x, other)``: amplitudes of ``other``, phases of ``x``."""
    import torch

    time = int(rng.integers(8, 20)) * 2 + 1  # odd, so that a forgotten length shows
    a, b = torch.as_tensor(rng.normal(size=(2, 4, time, 3)))
    out = torch.as_tensor(answer(a.clone(), b.clone()))
    require(not out.is_complex(), "a clip is real; this is complex.")
    require(
        out.shape == a.shape,
        f"the shape is {tuple(out.shape)} instead of {tuple(a.shape)}: the inverse "
        "transform has to be told the number of frames.",
    )
    require(not np.allclose(out, b), "this is the other clip, timing and all.")
    own, mine, theirs = np.fft.rfft(np.stack([out.numpy(), a.numpy(), b.numpy()]), axis=2)
    across = np.abs(np.fft.rfft(np.stack([out.numpy(), b.numpy()]), axis=3))
    size = np.abs(own)
    require(
        not np.allclose(size, np.abs(mine)), "the amplitudes are still one's own; take the other clip's."
    )
    right = np.allclose(size, np.abs(theirs), rtol=1e-4)
    require(
        right or not np.allclose(*across), "this transforms over channels; a clip's waves run over time."
    )
    require(right, "the amplitudes are not the other's at every frequency.")
    turned = np.abs(own / size - mine / np.abs(mine)).max()
    require(turned < 1e-3, "the phases are not one's own; with them goes the timing.")
    at_rest = torch.as_tensor(answer(torch.zeros_like(a), b.clone()))
    require(at_rest.isfinite().all(), "a clip at rest gives NaN: where X is 0, X / |X| is 0 / 0.")
    return "amplitudes of the one, phases of the other."


@check
def smooth_noise(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(clips, frequencies, channels)``: unit variance, neighbouring frequencies correlated."""
    import torch

    n, k = 8000, int(rng.integers(20, 30))
    eps = torch.as_tensor(answer(n, k, 2)).double()
    require(eps.shape == (n, k, 2), f"the shape is {tuple(eps.shape)} instead of {(n, k, 2)}.")
    variance, bound = eps.var(0), 6 * (2 / n) ** 0.5
    require(variance[0].min() < 1.5, "the variance is too large: a sum varies more than its parts.")
    require(
        variance[-1].max() < 1.5,
        "the variance grows with the frequency: damp what you have before you add to it.",
    )
    clips = (eps[1:] * eps[:-1]).mean() / (eps.square().mean() + 1e-9)
    require(abs(clips) < 0.1, "clips are correlated: each should have noise of its own.")
    require(eps.mean(0).abs().max() < 6 / n**0.5, "the mean should be 0 at every frequency.")
    require(variance.mean() > 0.8, "smoothing shrinks the variance: it should be 1.")
    require(
        (variance - 1).abs().max() < bound,
        "the variance should be 1 at every frequency, at the ends, too.",
    )
    between = np.corrcoef(eps[:, 0, 0], eps[:, 0, 1])[0, 1]
    require(abs(between) < 0.1, "channels are correlated: the noise knows the wrong neighbours.")
    near = (eps[:, 1:] * eps[:, :-1]).mean((0, 2))
    require(near.min() > 0.44, f"neighbours are correlated by {near.min():.2f} only.")
    far = (eps[:, 0] * eps[:, -1]).mean().abs()
    require(far < 0.5, "all frequencies move as one; the first and the last should not.")
    return f"neighbours are correlated by at least {near.min():.2f}."
