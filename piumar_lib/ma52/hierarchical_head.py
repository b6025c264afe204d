"""A hierarchical head: body parts first, then actions within a part."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HierarchicalHead(nn.Linear):
    """Logits whose softmax is P(action) = P(part of the action) P(action | part).

    One linear layer scores parts; another one, this, scores actions, which compete only within their
    part. The cross-entropy of the product is the sum of both cross-entropies, and the probabilities of a
    part's actions add up to that of the part. The combination is soft: no part is chosen before its
    actions are scored.

    Args:
        width: Channels of the features.
        part_of: The part of each action, from 0 without gaps, shape ``(actions,)``.

    Attributes:
        parts: Linear layer from features to logits of parts.
    """

    part_of: Tensor
    member: Tensor

    def __init__(self, width: int, part_of: Tensor) -> None:
        super().__init__(width, len(part_of))
        self.parts = nn.Linear(width, int(part_of.max()) + 1)
        member = nn.functional.one_hot(part_of).bool()  # (A, P)
        self.register_buffer("part_of", part_of, persistent=False)
        self.register_buffer("member", member, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(..., width)`` to ``(..., actions)``: log P(part) + log P(action | part), plus a number.

        That number, the same for all actions of a clip, is the logarithm of the sum over parts, so that
        a clip's energy is that of its parts.
        """
        scores = super().forward(features)
        apart = torch.where(self.member, scores[..., None], -torch.inf)  # (..., A, P)
        total = apart.logsumexp(-2)[..., self.part_of]  # (..., A)
        return self.parts(features)[..., self.part_of] + scores - total
