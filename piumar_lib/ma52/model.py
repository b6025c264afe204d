"""The recogniser of micro-actions: a video backbone, a method's plug-in, time, and one or two heads.

    video -> backbone -> [plug-in] -> mixing in time -> norm -> mean over time -> action (and part)

Whatever a method plugs in, TFAM or another, sits behind the backbone, where a clip is a sequence of
features; "HDF as published" alone works on maps, behind the backbone's stages. The very same layers are
trained without it, so that a comparison is of the method.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part
from piumar_lib.evidence.methods import METHODS
from piumar_lib.ma52.backbones import (
    ShiftedResNet,
    VideoMAE,
    load_backbone,
    put_behind_stages,
)
from piumar_lib.ma52.config import OtherVersion, TrainConfig
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.support.checkpoint import OtherModel, restore_weights, write_tensors
from piumar_lib.support.files import as_path, read_json, whole, write_text

# One number before a recogniser is standardised, one for each channel afterwards.
FREE_SHAPES = ("recognizer.mean", "recognizer.scale")


class TemporalMixing(nn.Module):
    """A residual convolution over three neighbouring moments; at the start the identity.

    Without a layer that sees order behind it, an alignment in time could only weigh moments, and a
    perturbed spectrum would change nothing, because features are averaged over time in the end.
    """

    def __init__(self, channels: int, hidden: int = 256) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.look = nn.Conv1d(channels, hidden, 3, padding=1)
        self.back = nn.Linear(hidden, channels)
        nn.init.zeros_(self.back.weight)
        nn.init.zeros_(self.back.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, channels)`` to the same shape."""
        seen = self.look(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.back(nn.functional.gelu(seen))


class MicroActionRecognizer(nn.Module):
    """Recognise micro-actions in video.

    Args:
        backbone: From `piumar_lib.ma52.backbones.load_backbone`.
        config: Says which method's plug-in there is, and whether a head for body parts.

    Attributes:
        frames, size: What it takes: ``(batch, frames, 3, size, size)``.
        config: As given.
    """

    part_of: Tensor

    def __init__(self, backbone: VideoMAE | ShiftedResNet, config: TrainConfig) -> None:
        super().__init__()
        width, self.config = backbone.channels, config
        self.frames, self.size = backbone.frames, backbone.size
        last = nn.Sequential(nn.LayerNorm(width), nn.Dropout(config.dropout))
        layers = nn.Sequential(backbone, TemporalMixing(width), last)
        # What is drawn for the plug-in must not change the heads: all methods start from one model.
        self.recognizer = Recognizer(layers, width, len(ACTIONS), at="features")
        self.body_head = nn.Linear(width, len(BODY_PARTS)) if config.body == "head" else None
        self.register_buffer("part_of", _parts_of_actions(), persistent=False)
        method = METHODS[config.method]
        self.recognizer.plug_in = method.plug_in(width, width, config.of_method)
        if method.behind_stages is not None:
            put_behind_stages(backbone, method.behind_stages, config.method)

    @property
    def backbone(self) -> VideoMAE | ShiftedResNet:
        """What sees the video itself."""
        first = self.recognizer.backbone[0]
        assert isinstance(first, VideoMAE | ShiftedResNet)
        return first

    def forward(self, video: Tensor, y: Tensor | None = None) -> Prediction:
        """Recognise.

        Args:
            video: From `piumar_lib.ma52.transforms.to_input`, ``(batch, frames, 3, size, size)``.
            y: Actions ``(batch,)``; in training only, to guide the perturbation.

        Returns:
            The prediction of actions; with a head for body parts, its logits are ``coarse``.
        """
        if self.config.modality == "difference":
            video = video - video.mean(1, keepdim=True)
        prediction = self.recognizer(video, y)
        if self.body_head is not None:
            prediction.coarse = self.body_head(prediction.features), self.part_of
        return prediction


def _parts_of_actions() -> Tensor:
    """The body part of each action, shape ``(52,)``."""
    return torch.tensor([int(body_part(action)) for action in range(len(ACTIONS))])


def build_model(config: TrainConfig, weights: str | None = None) -> MicroActionRecognizer:
    """Build an untrained recogniser; the same for the same seed.

    Args:
        config: See `TrainConfig`.
        weights: Instead of the configuration's, where the backbone's weights come from.

    Raises:
        OSError: If trained weights of the backbone cannot be had.
    """
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        backbone = load_backbone(config.backbone, weights or config.weights, config.pixels)
        return MicroActionRecognizer(backbone, config)


def save_model(model: MicroActionRecognizer, folder: str | Path) -> None:
    """Write ``model.safetensors`` and ``model.json``, all that `load_model` needs.

    Raises:
        OSError: If they cannot be written.
    """
    folder = as_path(folder)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    about = {"config": json.loads(model.config.to_json()), "actions": ACTIONS, "frames": model.frames,
             "size": model.size}  # fmt: skip
    write_tensors(folder / "model.safetensors", tensors)
    write_text(folder / "model.json", json.dumps(about, indent=1) + "\n")


def load_model(folder: str | Path, device: str | torch.device = "cpu") -> MicroActionRecognizer:
    """Load a trained recogniser, in evaluation mode: ``model = load_model("build/ma52/run")``.

    Raises:
        FileNotFoundError: If the folder holds no trained model.
        ValueError: If its files are damaged, or hold another model: the tensor is named.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = as_path(folder)
    for name in ("model.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name}: no trained model. Train one: python -m piumar_lib.ma52 train --help"
            )
    try:
        about = read_json(folder / "model.json", keys=["config"])
        model = build_model(TrainConfig.from_json(json.dumps(about["config"])), weights="random")
        _require_actions(about.get("actions", ACTIONS))
        restore_weights(model, load_file(folder / "model.safetensors"), FREE_SHAPES)
    except OtherModel as error:
        raise ValueError(
            f"{folder / 'model.safetensors'}: holds another model than model.json and this course have: "
            f"{error}. Take both files from one run; or delete record.json there, and the same training "
            "command writes them again."
        ) from error
    except OtherVersion as error:
        raise ValueError(
            f"{folder}: does not fit this course's version: {error} Train again, into another folder."
        ) from error
    except (ValueError, RuntimeError, SafetensorError) as error:
        said = str(error).splitlines()[0].rstrip(".:")
        raise ValueError(
            f"{folder}: its model is damaged ({said}). Delete record.json there: the same training "
            "command then writes the model again."
        ) from error
    return model.to(device).eval()


def _require_actions(names: Sequence[str]) -> None:
    """Refuse a model of other classes, or of ours in another order: it would name each by another."""
    if len(names) != len(ACTIONS):
        raise OtherModel([f"{len(names)} actions, {len(ACTIONS)} here"])
    pairs = enumerate(zip(names, ACTIONS, strict=True))
    if other := [f"action {k} is {a!r}, {b!r} here" for k, (a, b) in pairs if a != b]:
        raise OtherModel(other)


class Probabilities(nn.Module):
    """From a standardised video to probabilities of actions, and nothing else: what is exported."""

    def __init__(self, model: MicroActionRecognizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor) -> Tensor:
        """Map ``(batch, frames, 3, size, size)`` to ``(batch, 52)``."""
        return self.model(video).logits.softmax(-1)


def export(model: MicroActionRecognizer, path: str | Path) -> Path:
    """Write the recogniser, backbone and plug-in and all, as one program for `torch.export.load`.

    Args:
        model: Is set to evaluation mode.
        path: Ends in ``.pt2``.

    Raises:
        ValueError: If the path has another ending.
        OSError: If it cannot be written.
    """
    path = as_path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"path: {path} does not end in .pt2, which torch.export.load asks for.")
    recognizer = Probabilities(model).eval().cpu()
    video = torch.zeros(2, model.frames, 3, model.size, model.size)
    # Clips of a batch may be any number; frames and pixels are the backbone's.
    many = {"video": {0: torch.export.Dim("clips", min=1, max=4096)}}
    program = torch.export.export(recognizer, (video,), dynamic_shapes=many)
    # By way of memory: torch's own writer ends the whole process when the disk is full.
    packed = io.BytesIO()
    torch.export.save(program, packed)
    with whole(path) as part:
        part.write_bytes(packed.getbuffer())
    return path
