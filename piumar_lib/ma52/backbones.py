"""Video backbones: ``(batch, time, 3, height, width)`` in, ``(batch, steps, channels)`` out.

VideoMAE is a transformer over patches of two frames; ResNet-50 with temporal shift is the family of
MANet, the benchmark's own baseline. Both come from `transformers`. The tiny ones have random weights and
run on any CPU; they are for tests and experiments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from piumar_lib.support.checkpoint import OtherModel

if TYPE_CHECKING:
    from transformers import ResNetModel, VideoMAEModel

    Loaded = TypeVar("Loaded", ResNetModel, VideoMAEModel)


class VideoMAE(nn.Module):
    """VideoMAE's encoder; patches are averaged over space, so that time remains.

    Args:
        model: A ``transformers.VideoMAEModel``.

    Attributes:
        frames: Number of input frames, as in its position embedding.
        size: Side of the input, in pixels.
        channels: Channels of its output, at half of the frames.
        behind: Module of a method after the last layer: all layers have one resolution, so there is one
            stage.
    """

    def __init__(self, model: VideoMAEModel) -> None:
        super().__init__()
        self.model = model
        assert isinstance(model.config.image_size, int)  # it takes squares
        self.frames, self.size = model.config.num_frames, model.config.image_size
        self.channels = model.config.hidden_size
        self.behind: nn.Module | None = None

    def forward(self, video: Tensor) -> Tensor:
        """Map ``(batch, frames, 3, size, size)`` to ``(batch, frames / 2, channels)``."""
        tokens = self.model(pixel_values=video).last_hidden_state.unflatten(1, (self.steps, -1))
        if self.behind is not None:  # (batch, steps, places, channels)
            side = math.isqrt(tokens.shape[2])  # it takes squares
            maps = tokens.unflatten(2, (side, side)).permute(0, 1, 4, 2, 3)
            tokens = self.behind(maps).permute(0, 1, 3, 4, 2).flatten(2, 3)
        return tokens.mean(2)

    @property
    def steps(self) -> int:
        """Moments of its output."""
        return self.model.config.num_frames // self.model.config.tubelet_size

    def put_behind_stages(self, make: Callable[[int], nn.Module]) -> None:
        """Insert after the last layer the module that ``make`` returns for the frames of its output.

        It maps ``(batch, frames, channels, height, width)`` to the same shape; its parameters' names
        hold ``behind``.
        """
        self.behind = make(self.steps)


class TemporalShift(nn.Module):
    """Exchange an eighth of the channels with the frame before, an eighth with the one after.

    After Lin et al., TSM, ICCV 2019: frames see their neighbours at no cost. The number of ``frames``
    separates clips, because ResNets process single frames.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """Shift ``(batch * frames, channels, height, width)`` along time; edges are filled with 0."""
        clips, fold = x.unflatten(0, (-1, self.frames)), x.shape[1] // 8
        shifted = torch.zeros_like(clips)
        shifted[:, :-1, :fold] = clips[:, 1:, :fold]
        shifted[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
        shifted[:, :, 2 * fold :] = clips[:, :, 2 * fold :]
        return shifted.flatten(0, 1)


class OnClips(nn.Module):
    """A layer for maps of clips, ``(batch, frames, ...)``, among layers that take frames one by one."""

    def __init__(self, layer: nn.Module, frames: int) -> None:
        super().__init__()
        self.layer, self.frames = layer, frames

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch * frames, channels, height, width)`` to the same shape."""
        return self.layer(x.unflatten(0, (-1, self.frames))).flatten(0, 1)


class ShiftedResNet(nn.Module):
    """A ResNet that sees frames one by one, with `TemporalShift` before every residual branch.

    Args:
        model: A ``transformers.ResNetModel``.
        frames: Frames of a clip.
        size: Pixels of the side that it is trained with.

    Attributes:
        channels: Channels of its output, one step for each frame.
    """

    def __init__(self, model: ResNetModel, frames: int, size: int) -> None:
        super().__init__()
        self.model, self.frames, self.size = model, frames, size
        assert model.config.hidden_sizes is not None
        self.channels = model.config.hidden_sizes[-1]
        for block in self.blocks():
            # Inside the branch: the shortcut still sees the frame as it is.
            branch = block.get_submodule("layer").children()
            block.layer = nn.Sequential(TemporalShift(frames), *branch)

    def blocks(self) -> Iterator[nn.Module]:
        """The residual blocks, from the input on."""
        for stage in self.model.encoder.stages:
            yield from stage.get_submodule("layers").children()

    def put_behind_stages(self, make: Callable[[int], nn.Module]) -> None:
        """Insert the module that ``make`` returns after each stage, see `VideoMAE.put_behind_stages`."""
        for stage in self.model.encoder.stages:
            stage.get_submodule("layers").add_module("behind", OnClips(make(self.frames), self.frames))

    def forward(self, video: Tensor) -> Tensor:
        """Map ``(batch, frames, 3, size, size)`` to ``(batch, frames, channels)``."""
        if video.shape[1] != self.frames:
            raise ValueError(
                f"video: {video.shape[1]} frames, but the model shifts {self.frames}. Give as many."
            )
        pooled = self.model(video.flatten(0, 1)).pooler_output
        return pooled.flatten(1).unflatten(0, (-1, self.frames))


@dataclass(frozen=True)
class Source:
    """Where a backbone comes from.

    Attributes:
        checkpoint: Name on the hub; "" if there are no trained weights.
        frames, size: Frames of a clip that it takes, and pixels of their side.
        build: Makes the model from the checkpoint (or None for random weights), frames and size.
    """

    checkpoint: str
    frames: int
    size: int
    build: Callable[[str | None, int, int], VideoMAE | ShiftedResNet]


# Trained weights may have in addition the head of their own task. They may lack counters that batch
# normalisation with a fixed momentum does not use.
HEADS = ("classifier.", "fc_norm.")
UNUSED = (".num_batches_tracked",)


def _read_weights(kind: type[Loaded], checkpoint: str, **shape: Any) -> Loaded:
    """Trained weights; `transformers` itself would reinitialise tensors that do not fit.

    Raises:
        OtherModel: If a tensor is missing, has another shape, or is none of the model's.
        OSError: If there are no weights.
    """
    # Other sizes pass here and are refused below, by name and with both shapes.
    read: Any = kind.from_pretrained  # its stub knows of no report
    model, seen = read(checkpoint, ignore_mismatched_sizes=True, output_loading_info=True, **shape)
    faults = [f"{n} has shape {tuple(a)}, {tuple(b)} here" for n, a, b in seen["mismatched_keys"]]
    faults += [f"{n} is missing" for n in seen["missing_keys"] if not n.endswith(UNUSED)]
    faults += [f"{n} is none of its tensors" for n in seen["unexpected_keys"] if not n.startswith(HEADS)]
    faults += map(str, seen["error_msgs"])
    if faults:
        raise OtherModel(sorted(faults))
    return model


def _videomae(checkpoint: str | None, frames: int, size: int, **shape: Any) -> VideoMAE:
    from transformers import VideoMAEConfig, VideoMAEModel

    if size % 16:
        raise ValueError(f"size: {size} pixels. VideoMAE takes patches of 16: choose a multiple.")
    if checkpoint:
        # Its positions are sines of any number of patches, so that the side may differ.
        return VideoMAE(_read_weights(VideoMAEModel, checkpoint, image_size=size))
    return VideoMAE(VideoMAEModel(VideoMAEConfig(num_frames=frames, image_size=size, **shape)))


def _resnet(checkpoint: str | None, frames: int, size: int, **shape: Any) -> ShiftedResNet:
    from transformers import ResNetConfig, ResNetModel

    if checkpoint:
        return ShiftedResNet(_read_weights(ResNetModel, checkpoint), frames, size)
    return ShiftedResNet(ResNetModel(ResNetConfig(**shape)), frames, size)


_tiny_videomae = partial(
    _videomae, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
    patch_size=16,
)  # fmt: skip
_tiny_resnet = partial(
    _resnet, embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"
)
BACKBONES = {
    "videomae-base": Source("MCG-NJU/videomae-base-finetuned-kinetics", 16, 224, _videomae),
    "resnet50-tsm": Source("microsoft/resnet-50", 8, 224, _resnet),
    "videomae-tiny": Source("", 8, 64, _tiny_videomae),
    "resnet-tiny-tsm": Source("", 8, 64, _tiny_resnet),
}
WEIGHTS = ("pretrained", "random")
# "difference": each frame minus the clip's mean frame, which removes all that does not move. That is
# background subtraction; the RGB differences of Wang et al., TSN, are between neighbours. The camera has
# to stand still.
MODALITIES = ("rgb", "difference")


def load_backbone(name: str, weights: str = "pretrained", size: int = 0) -> VideoMAE | ShiftedResNet:
    """Load a backbone.

    Args:
        name: A key of `BACKBONES`.
        weights: ``"pretrained"`` (downloaded once, then kept by `transformers`), or ``"random"``.
        size: Pixels of the side that it takes; 0 for those that it was made for.

    Raises:
        ValueError: If the name is unknown, the backbone has no trained weights, or cannot take the size;
            if the weights are of another model, or damaged: the tensor is named.
        OSError: If the weights are not available; they are never replaced by random ones.
    """
    if name not in BACKBONES or weights not in WEIGHTS:
        raise ValueError(
            f"name, weights: {name!r}, {weights!r} are unknown. Choose name from {', '.join(BACKBONES)} "
            f"and weights from {', '.join(WEIGHTS)}."
        )
    from safetensors import SafetensorError

    source = BACKBONES[name]
    size = size or source.size
    if weights == "random":
        return source.build(None, source.frames, size)
    if not source.checkpoint:
        raise ValueError(f"weights: {name} has no trained weights. Choose weights='random'.")
    try:
        return source.build(source.checkpoint, source.frames, size)
    except (OtherModel, SafetensorError) as error:
        raise ValueError(
            f"weights of {name} ({source.checkpoint}) are of another model, or damaged: {error}. Delete "
            "them where HF_HOME keeps them, and connect once to have them downloaded again."
        ) from error
    except OSError as error:
        raise OSError(
            f"weights of {name} ({source.checkpoint}) are not on this machine and cannot be downloaded: "
            f"{str(error).splitlines()[0]} Connect once, set HF_HOME to a folder that has them, or "
            "choose weights='random'."
        ) from error


def compile_layers(
    backbone: VideoMAE | ShiftedResNet | nn.Sequential, backend: str = "inductor"
) -> None:
    """Compile each layer in place by `torch.compile`; weights and their names do not change.

    Layers are compiled separately, because layers of the same shape then share one compiled graph.
    """
    layers: list[nn.Module]
    if isinstance(backbone, nn.Sequential):
        layers = [*backbone]
    elif isinstance(backbone, ShiftedResNet):
        layers = [*backbone.blocks()]
    else:
        layers = [*backbone.model.encoder.layer]
    for layer in layers:
        layer.compile(backend=backend)
