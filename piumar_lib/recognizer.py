"""The recogniser: standardisation, backbone with an optional plug-in, average over time, classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from piumar_lib.plug_in import PlugIn
from piumar_lib.transport import at_least_single

_absent = partial(torch.empty, 0)


@dataclass
class Prediction:
    """A recogniser's output for a batch; without a model, all but ``logits`` may be left empty.

    Attributes:
        logits: The decision, shape ``(batch, classes)``.
        view_logits: Each view's own decision; empty unless the plug-in makes two views.
        frames: Each view's features before averaging, ``(batch, steps, width)``.
        early_features: The first view's features after the first layer that follows the plug-in, where
            style still shows, ``(batch, steps, width)``.
        features: Features of the decision, fused and averaged over time, ``(batch, width)``.
        coarse: Logits of the head for coarser labels, ``(batch, labels)``, and the coarser label of each
            class, ``(classes,)``; None for a recogniser without such a head.
    """

    logits: Tensor
    view_logits: list[Tensor] = field(default_factory=list)
    frames: list[Tensor] = field(default_factory=list)
    early_features: Tensor = field(default_factory=_absent)
    features: Tensor = field(default_factory=_absent)
    coarse: tuple[Tensor, Tensor] | None = None


def channel_scale(x: Tensor) -> Tensor:
    """Standard deviation of each channel of clips ``(n, time, channels)``, in the clips' own units.

    A channel that is constant here, up to rounding, may vary in unseen people: its scale is 1.
    """
    spread = x.std((0, 1))
    return torch.where(spread > 1e-6 * x.abs().amax((0, 1)), spread, 1.0)


class Model(Protocol):
    """Interface of a recogniser, of sequences or of video, for the training loop and objectives."""

    @property
    def head(self) -> nn.Linear:
        """The classifier: a linear map from features to classes."""

    @property
    def plug_in(self) -> PlugIn | None:
        """The plug-in before one of the layers, such as TFAM."""

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the input's channels."""

    def __call__(self, x: Tensor, y: Tensor | None = None) -> Prediction:
        """Recognise clips ``x``; their classes ``y`` are given in training only."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The learned parameters."""

    def buffers(self) -> Iterator[Tensor]:
        """The buffers, such as running statistics."""

    def train(self) -> Self:
        """Switch to training mode; returns itself."""


class Recognizer(nn.Module):
    """Recognise actions in clips, with or without a plug-in such as TFAM.

        model = Recognizer(tiny_cnn(34), width=32, classes=12)  # ERM
        tfam = TemporalFrequencyModule.make(channels=34, width=32)
        model = Recognizer(tiny_cnn(34), width=32, classes=12, plug_in=tfam)  # TFAM

    Args:
        backbone: Maps ``(batch, time, channels)`` to ``(batch, steps, width)``.
        width: Channels of the backbone's output.
        classes: Number of classes.
        plug_in: Turns a clip into one or two views, such as `MonotoneAlignment`, `SpectralPerturbation`
            or, with both, `TemporalFrequencyModule`; None leaves clips as they are.
        at: Layer of the backbone before which the plug-in sits: 0 or ``"input"`` for the input
            itself, 1 or ``"features"`` for the features after the first. After the last one
            (``len(backbone)``) only an average over time follows. It ignores order, so alignment only
            reweights frames, and it depends on the clip's mean alone, which the perturbation preserves.

    Raises:
        ValueError: If there is no such layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: nn.Sequential,
        width: int,
        classes: int,
        plug_in: PlugIn | None = None,
        at: int | str = 0,
    ) -> None:
        super().__init__()
        places = {"input": 0, "features": 1}
        layer = places.get(at) if isinstance(at, str) else at
        if layer is None or not 0 <= layer <= len(backbone):
            raise ValueError(f"at: must be from 0 to {len(backbone)} or in {[*places]}, got {at}.")
        self.backbone, self.plug_in, self.at = backbone, plug_in, layer
        self.head = nn.Linear(width, classes)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    def standardize(self, x: Tensor) -> None:
        """Estimate each channel's mean and scale from training clips ``(n, time, channels)``."""
        self.mean = x.mean((0, 1)).to(self.mean)
        self.scale = channel_scale(x).to(self.scale)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Prediction:
        """Recognise clips ``(batch, time, channels)``; only training uses their classes, to perturb."""
        x = self.backbone[: self.at]((x - self.mean) / self.scale)
        plug_in = self.plug_in
        views = [x] if plug_in is None else plug_in.views(x, y)
        # Both views are one batch, so that batch normalisation has the same statistics in training and
        # later.
        early = self.backbone[self.at : self.at + 1](torch.cat(views))
        # Objectives use the features outside autocast.
        deep = at_least_single(self.backbone[self.at + 1 :](early))
        frames = list(deep.unflatten(0, (len(views), -1)))
        pooled = [view.mean(1) for view in frames]
        logits = [self.head(view) for view in pooled] if len(views) > 1 else []
        fused = plug_in.fusion(*pooled) if plug_in is not None and len(views) > 1 else pooled[0]
        return Prediction(self.head(fused), logits, frames, early[: x.shape[0]], fused)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # Before training the statistics are scalars, afterwards one number for each channel.
        for name in ("mean", "scale"):
            if prefix + name in state_dict:
                shape = state_dict[prefix + name].shape
                setattr(self, name, getattr(self, name).new_empty(shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
