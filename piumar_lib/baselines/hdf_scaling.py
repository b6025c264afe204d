"""HDF's loss, as far as it is published: a weighted contrastive term and sharpness-aware steps.

The published code is unfinished here, and figure and code differ: see `piumar_lib.baselines.hdf_ledger`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib.baselines.hdf import HDFObjective
from piumar_lib.batch import Batch
from piumar_lib.recognizer import Prediction
from piumar_lib.support.data_parallel import gather_over_processes
from piumar_lib.support.ranges import NonNegative, Positive, checked


class DistributionAwareScaling(HDFObjective):
    """HDF's DSM, the Distribution-aware Scaling Module, with sharpness-aware steps.

    Args:
        weight: Weight of the contrastive term and the trace together.
        trace: Weight of the trace of the unit features' covariance, which is kept large, in units of the
            contrastive term.
        radius: Radius rho of the sharpness-aware step (Foret et al., ICLR 2021); 0 for a plain one.
        eta: Cosine of the pairs that count fully in the contrastive term's denominator; the others count
            by a Gaussian of this width.
        temperature: Temperature of the contrastive term.
        cross_entropy: Weight of the cross-entropy.
    """

    @checked
    def __init__(
        self,
        weight: NonNegative = 0.1,
        trace: NonNegative = 0.5,
        radius: NonNegative = 0.05,
        eta: Positive = 0.2,
        temperature: Positive = 0.07,
        cross_entropy: Positive = 10.0,
    ) -> None:
        super().__init__(weight, trace, radius, temperature)
        self.eta, self.cross_entropy = eta, cross_entropy

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Weighted sum of the mean loss, the contrastive term, and minus the covariance's trace."""
        features = gather_over_processes(prediction.features)
        term = self.contrast(features, gather_over_processes(batch.y)) - self.trace * spread(features)
        return self.cross_entropy * losses.mean() + self.weight * term

    def contrast(self, features: Tensor, y: Tensor) -> Tensor:
        """Supervised contrastive loss whose denominator weighs pairs by a Gaussian of their cosine.

        Of features ``(batch, width)``. Since weights are at most 1 it may be negative, down to
        ``-(1 + eta) ** 2 / (2 * eta ** 2)``.
        """
        unit = F.normalize(features, dim=1)
        cosine = unit @ unit.T
        itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
        log_weight = -((cosine - self.eta) / self.eta).square() / 2
        others = (cosine / self.temperature + log_weight).masked_fill(itself, -torch.inf)
        log_share = cosine / self.temperature - others.logsumexp(1, keepdim=True)
        same = (y[:, None] == y) & ~itself
        total = log_share.masked_fill(~same, 0.0).sum(1)
        return -(total / same.sum(1).clamp_min(1)).mean()


def spread(features: Tensor) -> Tensor:
    """Trace of the covariance of features ``(batch, width)`` on the unit sphere; 0 for a single clip."""
    unit = F.normalize(features, dim=1)
    return unit.var(0, correction=min(1, len(unit) - 1)).sum()
