"""TFAM: the temporal-frequency alignment module, and its training objective.

With their defaults, for the course's own network:

    module = TemporalFrequencyModule.make(channels=34, width=32)
    model = Recognizer(tiny_cnn(34), width=32, classes=12, plug_in=module, at="input")
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib import transport
from piumar_lib.alignment import MonotoneAlignment
from piumar_lib.batch import Batch, Labels
from piumar_lib.fusion import AdaptiveFusion, WassersteinRegularizer
from piumar_lib.objective import Objective, Trainer, ViewWeights, js_divergence
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.plug_in import PlugIn
from piumar_lib.recognizer import Model, Prediction
from piumar_lib.support.ranges import NonNegative, checked


class TemporalFrequencyModule(PlugIn):
    """Two views of a clip: one on a common clock, one with a perturbed spectrum; fused by agreement.

    A plug-in for `Recognizer`: before the backbone (``at="input"``) or after its first layer
    (``at="features"``). The abstract says feature level; on the development people no deeper layer was
    better than the input on average over data sets, so it is at the input for sequences, and after the
    backbone for video. A layer that is not linear in time has to follow the plug-in: an average over
    time alone would cancel the perturbation, which preserves each clip's mean.

    The perturbed view is averaged to the number of steps of the aligned one. With half as many steps as
    frames, later layers therefore cost no more for two views than for one clip.

    Args:
        temporal: Branch that makes the aligned view, such as `MonotoneAlignment`.
        frequency: Branch that makes the perturbed view, such as `SpectralPerturbation`.
        fusion: Fuses the two views' features after the backbone; such as `AdaptiveFusion`.
    """

    def __init__(self, temporal: nn.Module, frequency: nn.Module, fusion: nn.Module) -> None:
        super().__init__()
        self.temporal, self.frequency, self.fusion = temporal, frequency, fusion

    @classmethod
    def make(cls, channels: int, width: int) -> TemporalFrequencyModule:
        """TFAM with its defaults, for ``channels`` input channels and a backbone's ``width``."""
        return cls(MonotoneAlignment(), SpectralPerturbation(channels), AdaptiveFusion(width))

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The aligned and the perturbed view of ``x`` ``(batch, time, channels)``, equally long."""
        aligned = self.temporal(x, y)  # (B, K, C)
        return [aligned, evenly(self.frequency(x, y), aligned.shape[1])]


def evenly(x: Tensor, steps: int) -> Tensor:
    """Average clips ``(batch, time, channels)`` to equal steps, ``(batch, steps, channels)``."""
    if x.shape[1] % steps == 0:  # several times as fast as multiplying by a plan
        return x.unflatten(1, (steps, -1)).mean(2)
    with torch.autocast(x.device.type, enabled=False):
        wide = transport.at_least_single(x)
        even = wide.new_full((1, x.shape[1]), 1 / x.shape[1])
        plan = transport.monotone_coupling(even, steps, check=False)
        return transport.barycentric_projection(plan, wide).to(x.dtype)


class TwoViews(Objective):
    """Cross-entropy of the decision and of both views, their consistency, and the regulariser.

    Args:
        supervision: Weight of each view's own cross-entropy.
        consistency: Weight of the Jensen-Shannon divergence between the views' predictions.
        regularizer_share: Norm of the regulariser's gradient, relative to the cross-entropy's; see
            `WassersteinRegularizer`.
        over: Objective that reduces the clips' losses to one, such as `GroupRobustObjective`; by default
            their mean. Its `start`, `before_epoch`, `risk` and `people` are used, its `loss`, `update`
            and `finish` are not.
    """

    @checked
    def __init__(
        self,
        supervision: NonNegative = 0.5,
        consistency: NonNegative = 1.0,
        regularizer_share: NonNegative = 0.1,
        over: Objective | None = None,
    ) -> None:
        super().__init__(ViewWeights(supervision, consistency, 0.0))
        self.regularizer_share, self.over = regularizer_share, over or Objective()
        self.people = self.over.people
        self.regularizer: WassersteinRegularizer | None = None

    def start(self, model: Model, clips: Labels, trainer: Trainer | None = None) -> None:
        """Create the regulariser for the model's width; without a trainer, `over` is not started."""
        if trainer is not None:
            self.over.start(model, clips, trainer)
        head = model.head
        regularizer = WassersteinRegularizer(head.out_features, head.in_features, self.regularizer_share)
        self.regularizer = regularizer.to(clips.y.device)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Call `over`, which may form groups."""
        self.over.before_epoch(clips, epoch)

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """The loss of a batch, from one forward pass."""
        if self.regularizer is None:
            self.start(model, Labels(batch.y, batch.person))
        return super().loss(model, batch)

    def combine(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """The loss of a batch, after `start`; see `Objective.combine`."""
        assert self.regularizer is not None  # since `start`
        entropy = self.over.risk(losses, prediction, batch)
        consistency = self.view_weights.consistency * js_divergence(*prediction.view_logits)
        return entropy + consistency + self.regularizer(entropy, prediction.frames[0], batch.y)
