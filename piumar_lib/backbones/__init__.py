"""Models that turn a sequence into a sequence: ``(batch, time, channels)`` in and out.

A backbone is an ``nn.Sequential``, so that a plug-in can sit before any of its layers. Time keeps its
length; `width_behind` returns the width of the features before a plug-in or a head.

- `piumar_lib.backbones.cnn`: the course's own, which trains in seconds.
- `piumar_lib.backbones.resnet`, `piumar_lib.backbones.inception_time`: the field's usual networks.
- `piumar_lib.backbones.skeleton_graph`: for skeletons; it uses the connections of the joints.
- `piumar_lib.backbones.minirocket`: no network, but a strong classical baseline: fixed convolutions
  and a linear classifier.
"""

from piumar_lib.backbones.cnn import TemporalConv, tiny_cnn
from piumar_lib.backbones.inception_time import inception_time
from piumar_lib.backbones.layers import width_behind
from piumar_lib.backbones.minirocket import MiniRocket, minirocket_ridge
from piumar_lib.backbones.resnet import resnet1d
from piumar_lib.backbones.skeleton_graph import skeleton_graph

__all__ = [
    "MiniRocket", "TemporalConv", "inception_time", "minirocket_ridge", "resnet1d", "skeleton_graph",
    "tiny_cnn", "width_behind",
]  # fmt: skip
