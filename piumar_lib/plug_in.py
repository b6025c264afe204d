"""The interface of every method at input or feature level: a module inside a recogniser."""

from __future__ import annotations

from torch import Tensor, nn


class PlugIn(nn.Module):
    """Maps clips, or features, to one or two views. With one view, it is the output of `forward`.

    Attributes:
        fusion: Maps both views' features to the features of the decision, all ``(batch, width)``; only a
            plug-in with two views has one.
    """

    fusion: nn.Module

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """Views ``(batch, steps, channels)`` of clips ``(batch, time, channels)``.

        Args:
            x: Clips, shape ``(batch, time, channels)``.
            y: Classes of the clips, shape ``(batch,)``, if they are known, as in training.
        """
        return [self(x, y)]
