"""Distributionally robust risks: the largest weighted average of risks over weights near uniform ones.

Given risks of G groups (or samples), an adversary moves their weights p away from 1/G, within a ball or
under a penalty, to maximise the average ``<p, R>``. `chi_square`, `kl_penalty`, `kl_ball` and `cvar`
return the value and the adversary's weights. The weights are detached: by Danskin's theorem the value's
gradient with respect to the risks is exactly p, and that is what back-propagation finds.

Sources: Namkoong and Duchi (2017) for the chi-square ball, Hu and Hong (2013) for Kullback-Leibler,
Rockafellar and Uryasev (2000) for CVaR, Sagawa et al. (2020) for online group weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Robust(NamedTuple):
    """A robust risk: its ``value`` ``(...,)`` and the worst-case ``weights`` ``(..., groups)``."""

    value: Tensor
    weights: Tensor


def chi_square(risks: Tensor, rho: float, sizes: Tensor | None = None) -> Robust:
    """Worst case over the chi-square ball ``(1 / 2G) sum (G p_g - 1)^2 <= rho``.

    The optimal weights are ``(R_g - eta)_+``, normalised. With the k largest risks active, of mean R'
    and variance V, ``eta = R' - sqrt(V / ((1 + 2 rho) k / G - 1))``; the right k is the one whose eta
    lies between the k-th and the next risk. No iterations. Source: Namkoong and Duchi (2017).

    For groups of unequal size the ball is centred at their fractions ``pi`` of the clips: ``(1 / 2) sum
    pi_g (p_g / pi_g - 1)^2 <= rho``, with weights ``pi_g (R_g - eta)_+``, normalised.

    Args:
        risks: Risk of each group, shape ``(..., groups)``.
        rho: Radius of the ball, at least 0; at ``(groups - 1) / 2`` or more, all weight may go to the
            largest risk.
        sizes: Sizes of the groups, all positive, in any unit, same shape; equal by default.

    Raises:
        ValueError: If ``rho`` is negative.
    """
    _require(rho >= 0, f"rho: must be at least 0, got {rho}.")
    given = risks.detach()
    given = given - given.amax(-1, keepdim=True)  # only differences count, and large risks cancel
    sizes = torch.ones_like(given) if sizes is None else sizes.to(given)
    ordered, order = given.sort(-1, descending=True)
    size = sizes.gather(-1, order)
    k = size.cumsum(-1)
    mean = (size * ordered).cumsum(-1) / k
    variance = ((size * ordered.square()).cumsum(-1) / k - mean.square()).clamp_min(0)
    room = (1 + 2 * rho) * k / k[..., -1:] - 1
    eta = mean - (variance / room.clamp_min(torch.finfo(given.dtype).tiny)).sqrt()
    following = torch.cat([ordered[..., 1:], torch.full_like(ordered[..., :1], -math.inf)], -1)
    fits = (room > 0) & (eta >= following) & (eta < ordered)
    # If no k fits, the ball is so large (or the risks so equal) that the largest risks get all weight.
    first = fits.to(torch.int8).argmax(-1, keepdim=True)
    excess = (given - eta.gather(-1, first)).clamp_min(0)
    largest = (given == ordered[..., :1]).to(given.dtype)
    weights = sizes * torch.where(fits.any(-1, keepdim=True), excess, largest)
    if rho == 0:
        weights = sizes
    return _value(risks, weights / weights.sum(-1, keepdim=True))


def kl_penalty(risks: Tensor, temperature: float) -> Robust:
    """Worst case under the penalty ``temperature * KL(p | uniform)``: a soft maximum.

    ``value = temperature * log mean exp(R / temperature)``; the penalty is part of the value. The
    temperature is in units of the risks ``(..., groups)``; as it tends to 0, the value tends to the
    maximum.

    Raises:
        ValueError: If ``temperature`` is not positive.
    """
    _require(temperature > 0, f"temperature: must be a positive number, got {temperature}.")
    value = temperature * (torch.logsumexp(risks / temperature, -1) - math.log(risks.shape[-1]))
    return Robust(value, (risks.detach() / temperature).softmax(-1))


def kl_ball(risks: Tensor, rho: float) -> Robust:
    """Worst case over the ball ``KL(p | uniform) <= rho``.

    The weights are ``softmax(R / temperature)``; their divergence falls as the temperature rises, so
    bisection finds the temperature at which it is ``rho``, in nats. At ``log(groups)`` or more, all
    weight goes to the largest of the risks ``(..., groups)``.

    Raises:
        ValueError: If ``rho`` is negative.
    """
    _require(rho >= 0, f"rho: must be at least 0, got {rho}.")
    given = risks.detach().cpu().double()  # a Mac's GPU has no double precision
    if rho == 0:
        return _value(risks, torch.full_like(risks, 1 / risks.shape[-1]).detach())
    # In units of the risks' spread, temperatures from 1e-6 to 1e6 cover all numerically different radii.
    spread = (given.amax(-1, keepdim=True) - given.amin(-1, keepdim=True)).clamp_min(1e-30)
    scaled = (given - given.amax(-1, keepdim=True)) / spread
    low, high = torch.full_like(spread, math.log(1e-6)), torch.full_like(spread, math.log(1e6))
    for _ in range(80):  # halvings of the interval of log temperatures
        middle = (low + high) / 2
        weights = (scaled / middle.exp()).softmax(-1)
        divergence = torch.special.xlogy(weights, weights * risks.shape[-1]).sum(-1, keepdim=True)
        outside = divergence > rho
        low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
    return _value(risks, (scaled / high.exp()).softmax(-1).to(risks))


def cvar(risks: Tensor, alpha: float) -> Robust:
    """Conditional value at risk: the mean of the worst fraction ``alpha`` of groups.

    It is the worst case of risks ``(..., groups)`` over weights of at most ``1 / (alpha G)``
    (Rockafellar and Uryasev, 2000). The group at the fraction's boundary counts in part.

    Raises:
        ValueError: If ``alpha`` is not in (0, 1].
    """
    _require(0 < alpha <= 1, f"alpha: must be in (0, 1], got {alpha}.")
    groups = risks.shape[-1]
    rank = torch.arange(groups, dtype=risks.dtype, device=risks.device)
    by_rank = (alpha * groups - rank).clamp(0, 1) / (alpha * groups)
    order = risks.detach().argsort(-1, descending=True)
    weights = torch.empty_like(risks.detach()).scatter(-1, order, by_rank.expand_as(order))
    return _value(risks, weights)


def exponentiated_gradient(weights: Tensor, risks: Tensor, step: float) -> Tensor:
    """Update of GroupDRO's weights (Sagawa et al., 2020): multiply by ``exp(step R_g)``, then normalise.

    Weights are positive and sum to one, shape ``(..., groups)``, as do those returned, detached. A group
    that is absent from the batch has the risk NaN, which counts as 0.
    """
    growth = step * torch.nan_to_num(risks.detach(), nan=0.0)
    return (weights.log() + growth).softmax(-1)


def variance_threshold(risks: Tensor) -> Tensor:
    """Largest radius at which mean plus ``sqrt(2 rho V)`` equals the chi-square worst case.

    ``rho = V / (2 (mean - min)^2)``, shape ``(...,)``, of risks ``(..., groups)``: beyond it the
    smallest risk's weight would be negative. V is the biased variance; infinite if all risks are equal.
    """
    gap = risks.mean(-1) - risks.amin(-1)
    variance = risks.var(-1, unbiased=False)
    # Rounding may move the mean of equal risks away from them.
    return torch.where(risks.amax(-1) > risks.amin(-1), variance / (2 * gap.square()), math.inf)


def mean_plus_deviation(risks: Tensor, rho: float) -> Tensor:
    """``mean + sqrt(2 rho V)``: an upper bound of `chi_square`, equal to it up to `variance_threshold`.

    Of risks ``(..., groups)``, shape ``(...,)``; where all are equal the gradient is that of the mean.
    """
    _require(rho >= 0, f"rho: must be at least 0, got {rho}.")
    return risks.mean(-1) + math.sqrt(2 * rho) * deviation(risks)


def deviation(risks: Tensor) -> Tensor:
    """Biased standard deviation ``sqrt(V)`` of risks ``(..., groups)``, shape ``(...,)``.

    Where all risks are equal the gradient is zero, not infinite.
    """
    share = 1 / risks.shape[-1]
    middle = (share * risks).sum(-1, keepdim=True)
    variance = (share * (risks - middle).square()).sum(-1)
    safe = torch.where(variance > 0, variance, 1.0)
    return torch.where(variance > 0, safe.sqrt(), 0.0)


def _value(risks: Tensor, weights: Tensor) -> Robust:
    return Robust((weights * risks).sum(-1), weights)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
