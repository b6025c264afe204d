"""The interface of every method at input or feature level: what a recogniser has plugged in."""

from __future__ import annotations

from torch import Tensor, nn


class PlugIn(nn.Module):
    """Turns clips, or features, into one or two views. One view is what `forward` makes of a clip.

    Attributes:
        fusion: Of a plug-in with two views: from both views' features to those of the decision, all
            ``(batch, width)``.
    """

    fusion: nn.Module

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """Views ``(batch, steps, channels)`` of clips ``(batch, time, channels)``.

        Args:
            x: Clips.
            y: Their classes, shape ``(batch,)``, if they are known, as in training.
        """
        return [self(x, y)]
