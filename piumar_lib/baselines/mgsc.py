"""MGSC: views agree in their decision and, step by step, in their features.

MGSC, multi-granularity soft consistency (Yang, arXiv 2508.15853), regularises speech recognition by two
consistencies at once, of the sentence's meaning and of the tokens' alignment, and claims a synergy:
both together gain more than the sum of each. Each weight can be 0 here, so that the claim can be tested.

Ledger. The paper's: two terms, coarse and fine, minimised together; the fine one about steps in their
order of time. Ours: what has to agree. The paper compares encoder and decoder of one pass, and asks its
attention for an order of time; a recogniser of clips has neither decoder nor attention, but two views.
So the coarse term is the course's Jensen-Shannon divergence of the views' decisions, and the fine one
the distance of their steps after dynamic time warping, which keeps the order of time. Default weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.recognizer import Prediction
from piumar_lib.support.ranges import NonNegative, checked
from piumar_lib.temporal_frequency import TwoViews
from piumar_lib.transport import at_least_single


class MGSC(TwoViews):
    """`TwoViews` with a second consistency, that of the views' steps.

        model = Recognizer(tiny_cnn(34), 32, 12, TemporalFrequencyModule.make(34, 32), at="input")
        losses = fit(model, data, objective=MGSC())

    The other arguments are those of `TwoViews`, which is left if ``step_consistency`` is 0.

    Args:
        step_consistency: Weight of the steps' consistency, see `step_distance`.

    Raises:
        ValueError: If a weight is negative.
    """

    @checked
    def __init__(
        self,
        supervision: NonNegative = 0.5,
        consistency: NonNegative = 1.0,
        step_consistency: NonNegative = 1.0,
        regularizer_share: NonNegative = 0.1,
        over: Objective | None = None,
    ) -> None:
        super().__init__(supervision, consistency, regularizer_share, over)
        self.step_consistency = step_consistency

    def combine(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """The loss of a batch, after `start`; see `Objective.combine`."""
        loss = super().combine(losses, prediction, batch)
        if self.step_consistency == 0:
            return loss
        return loss + self.step_consistency * step_distance(*prediction.frames)


def step_distance(a: Tensor, b: Tensor) -> Tensor:
    """Distance of the views' steps after time warping, relative to the mean distance of any two.

    The warped mean squared distance of steps ``(batch, steps, width)``, divided by twice the mean
    variance of all steps in the batch: 0 for equal views, about 1 for unrelated views (less, because
    warping selects near ones). It has no unit, so scaling features down does not reduce it. 0 if all
    steps are equal.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = at_least_single(a), at_least_single(b)
        every = torch.cat([a, b]).flatten(0, 1)  # (2 B K, W)
        spread = every.var(0, correction=0).mean()
        cost = (a[:, :, None] - b[:, None]).square().mean(-1)  # (B, K, K)
        least = torch.finfo(spread.dtype).eps * (every.square().mean() + 1e-12)  # less is rounding
        return warped(cost).mean() / (2 * spread).clamp_min(least)


def warped(cost: Tensor) -> Tensor:
    """Mean cost along the cheapest path from the first pair of steps to the last: time warping.

    A path goes to the next step in either sequence or in both, which counts twice, so that the weights
    of every path sum to ``2 K`` (Sakoe and Chiba, 1978, symmetric form). By antidiagonals, so that the
    loop has ``2 K - 1`` turns. From costs of pairs, not negative, ``(batch, K, K)``, to ``(batch,)``.
    """
    steps = cost.shape[1]
    # Row i is shifted by i: entry (i, d) is the cost of the pair (i, d - i), infinite if there is none.
    diagonals = F.pad(cost, (0, steps), value=torch.inf).flatten(1)[:, :-steps].unflatten(1, (steps, -1))
    first, *others = diagonals.unbind(2)  # 2 K - 1 times (B, K)
    before, last = torch.full_like(first, torch.inf), 2 * first
    for pair in others:
        single = torch.minimum(last, _next(last)) + pair
        before, last = last, torch.minimum(single, _next(before) + 2 * pair)
    return last[:, -1] / (2 * steps)


def _next(totals: Tensor) -> Tensor:
    """Totals ``(batch, K)`` of the step before, infinite for the first."""
    return F.pad(totals[:, :-1], (1, 0), value=torch.inf)
