"""Graph network for skeletons, with edges between each joint and its parent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from piumar_lib.backbones.layers import channels_last


def partitions(parents: Sequence[int]) -> Tensor:
    """Normalised adjacency of a skeleton, split by distance to the root (Yan et al., section 3.3).

    ``D^-1/2 (A + I) D^-1/2``, with A the bones and D the number of neighbours, including the joint
    itself. Each entry (i, j) goes to one of three parts, which get weights of their own: j is the joint
    i itself, lies one bone nearer to the root (*centripetal*), or one farther from it (*centrifugal*).

    Returns:
        Shape ``(3, joints, joints)``: self, centripetal, centrifugal.

    Raises:
        ValueError: If a parent is no joint, or a joint's parents never end at a root (-1).
    """
    joints = len(parents)
    _require_tree(parents)
    parts = torch.zeros(3, joints, joints)
    parts[0] = torch.eye(joints)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            parts[1, joint, parent] = parts[2, parent, joint] = 1
    scale = parts.sum((0, 2)).rsqrt()  # (J,)
    return scale[:, None] * parts * scale


class Streams(nn.Module):
    """Input of the network: joints, bones and motion, concatenated and normalised.

    A bone is a joint minus its parent (zero at the root), motion the step to the next frame (zero in
    the last). A `Recognizer` standardises each coordinate beforehand, so bones are in those units.
    """

    parents: Tensor

    def __init__(self, parents: Sequence[int], dims: int) -> None:
        super().__init__()
        joints = len(parents)
        # A joint that is its own parent has a bone of zero.
        own = [joint if parent < 0 else parent for joint, parent in enumerate(parents)]
        self.register_buffer("parents", torch.tensor(own), persistent=False)
        self.norm = nn.BatchNorm1d(joints * 3 * dims)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, joints * dims)`` to ``(batch, time, joints * 3 * dims)``."""
        joints = x.unflatten(-1, (len(self.parents), -1))  # (B, T, J, D)
        bones = joints - joints[:, :, self.parents]
        motion = joints.diff(dim=1, append=joints[:, -1:])
        streams = torch.cat([joints, bones, motion], dim=-1).flatten(2)  # (B, T, J * 3 D)
        return self.norm(streams.transpose(1, 2)).transpose(1, 2)


class GraphConv(nn.Module):
    """``y_i = sum_k sum_j E_kij A_kij W_k x_j`` over the parts k of the adjacency A.

    The strengths E of the edges are learned, and start at one.
    """

    no_weight_decay = ("edges",)  # weight decay would disconnect the skeleton

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.edges = nn.Parameter(torch.ones_like(adjacency))
        self.mix = nn.Linear(len(adjacency) * inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, joints, inputs)`` to ``(batch, time, joints, outputs)``."""
        neighbors = torch.einsum("kij,btjc->btikc", self.edges * self.adjacency, x)
        return self.mix(neighbors.flatten(3))  # (B, T, J, 3 C) to outputs


class GraphBlock(nn.Module):
    """Convolution over the graph, then over time, with a residual connection."""

    def __init__(self, adjacency: Tensor, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.spatial = GraphConv(adjacency, inputs, outputs)
        self.temporal = nn.Sequential(
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _conv(outputs, outputs, kernel),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(_conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, joints * inputs)`` to ``(batch, time, joints * outputs)``."""
        x = x.unflatten(-1, (self.spatial.edges.shape[-1], -1))  # (B, T, J, C)
        image = self.temporal(self.spatial(x).permute(0, 3, 1, 2))  # (B, C, T, J)
        image = (image + self.shortcut(x.permute(0, 3, 1, 2))).relu()
        return image.permute(0, 2, 3, 1).flatten(2)


class AverageJoints(nn.Module):
    """Average over joints: ``(batch, time, joints * width)`` to ``(batch, time, width)``."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.joints = joints

    def forward(self, x: Tensor) -> Tensor:
        """Average."""
        return x.unflatten(-1, (self.joints, -1)).mean(2)


def skeleton_graph(
    channels: int, parents: Sequence[int], width: int = 16, depth: int = 3, kernel: int = 9
) -> nn.Sequential:
    """A small spatial-temporal graph network on joints, bones and motion.

    Yan, Xiong and Lin, "Spatial temporal graph convolutional networks for skeleton-based action
    recognition" (AAAI 2018): graph convolution, spatial partition and kernel. Joints and bones as two
    streams: Shi et al. (2s-AGCN, CVPR 2019); all streams in one network from the start, as Song et al.
    (EfficientGCN, 2021) join them early.

    Args:
        channels: ``joints * dims`` of the input, all coordinates of the first joint first.
        parents: Parent of each joint; -1 for the root.
        width: Channels of each joint, and of the output. Published: 64 to 256. Twice as many take nearly
            three times as long.
        depth: Number of blocks. Published: 9.
        kernel: Size of a filter, in frames; an odd number. Published: 9.

    Raises:
        ValueError: If ``parents`` is no tree, ``channels`` is no multiple of the number of joints, or
            ``kernel`` is even.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel: must be odd, got {kernel}.")
    adjacency, joints = partitions(parents), len(parents)
    if channels % joints:
        raise ValueError(
            f"channels: must be a multiple of {joints} joints, got {channels}. "
            "Give one parent for each joint."
        )
    dims = channels // joints
    sizes = [3 * dims] + [width] * depth
    blocks = [GraphBlock(adjacency, i, o, kernel) for i, o in pairwise(sizes)]
    return nn.Sequential(Streams(parents, dims), *blocks, AverageJoints(joints))


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Convolution over time of each joint's row of an image ``(batch, channels, time, joints)``."""
    conv = nn.Conv2d(inputs, outputs, (kernel, 1), padding=(kernel // 2, 0), bias=False)
    return channels_last(conv)


def _require_tree(parents: Sequence[int]) -> None:
    joints = len(parents)
    for joint in range(joints):
        at, steps = joint, 0
        while at != -1:
            if not 0 <= at < joints:
                raise ValueError(f"parents: each must be from -1 to {joints - 1}, got {at}.")
            at, steps = parents[at], steps + 1
            if steps > joints:
                raise ValueError(f"parents: joint {joint} hangs on itself. Give the root -1.")
