"""The interface of every method at input or feature level: what a recogniser has plugged in."""

from __future__ import annotations

from torch import Tensor, nn


class PlugIn(nn.Module):
    """Turns clips, or features, into one or two views. One view is what `forward` makes of a clip.

    Attributes:
        fusion: Turns both views' features into those of the decision, all ``(batch, width)``; only a
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
