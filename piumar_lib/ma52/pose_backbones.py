"""Networks for poses: ``(batch, time, channels)`` in, ``(batch, time, width)`` out, layer by layer.

Both see joints, bones and motion (`piumar_lib.backbones.skeleton_graph.Streams`), side by side from the
first layer on. Published methods often train one network for each of these streams and add their
predictions; with one network a plug-in has one place instead of three, and a run takes a third of the
time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from piumar_lib.backbones.cnn import TemporalConv
from piumar_lib.backbones.skeleton_graph import AverageJoints, GraphBlock, Streams, partitions
from piumar_lib.data.joints import parents

FRAMES = 32  # of 45 to 75 that a clip of MA-52 has: at least 13 a second


class PoseNetwork(nn.Sequential):
    """Layers from poses to features, before each of which a plug-in may sit.

    Attributes:
        inputs, channels: Channels of input and output.
        frames: Moments of a clip.
        size: 0, since there are no pixels.
    """

    frames, size = FRAMES, 0

    def __init__(self, layers: Sequence[nn.Module], inputs: int, channels: int) -> None:
        super().__init__(*layers)
        self.inputs, self.channels = inputs, channels


def pose_cnn(joints: Sequence[str], dims: int = 2, width: int = 96, depth: int = 4) -> PoseNetwork:
    """Convolutions over time, which see all joints at once, each of ``dims`` numbers."""
    inputs = len(joints) * dims
    first = nn.Sequential(Streams(parents(joints).tolist(), dims), TemporalConv(3 * inputs, width))
    return PoseNetwork([first, *(TemporalConv(width, width) for _ in range(depth - 1))], inputs, width)


def pose_graph(joints: Sequence[str], dims: int = 2, width: int = 32, depth: int = 3) -> PoseNetwork:
    """Graph convolutions over the body, then over time: ST-GCN, smaller (Yan et al., AAAI 2018).

    There are ``depth`` blocks (published: 9), with ``width`` channels for each joint (64 to 256).
    """
    tree = parents(joints).tolist()
    sizes, adjacency = [3 * dims] + [width] * depth, partitions(tree)
    blocks = [GraphBlock(adjacency, i, o, 9) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    first, last = (Streams(tree, dims), blocks[0]), (blocks[-1], AverageJoints(len(joints)))
    layers = [nn.Sequential(*first), *blocks[1:-1], nn.Sequential(*last)]
    return PoseNetwork(layers, len(joints) * dims, width)


# From the names of joints, and 2 or, with scores, 3 numbers a joint.
POSE_BACKBONES: dict[str, Callable[[Sequence[str], int], PoseNetwork]] = {
    "poses-cnn": pose_cnn,
    "poses-graph": pose_graph,
}
