"""The recogniser of micro-actions: a backbone, a method's plug-in, time, and one or two heads.

    video -> backbone -> [plug-in] -> mixing in time -> norm -> mean over time -> action (and part)
    poses -> [plug-in] -> block -> [or here] -> blocks -> norm -> mean over time -> action (and part)

A method's plug-in follows a video backbone, where a clip is a sequence of features; only "HDF as
published" works on feature maps, after the backbone's stages. Poses are a sequence already: there the
plug-in sits at the input, or at the method's layer. All other layers are the same without it, so that a
comparison isolates the method.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from piumar_lib.backbones import width_behind
from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part
from piumar_lib.evidence.methods import METHODS
from piumar_lib.ma52.backbones import ShiftedResNet, VideoMAE, load_backbone
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.hierarchical_head import HierarchicalHead
from piumar_lib.ma52.pose_backbones import POSE_BACKBONES, PoseNetwork
from piumar_lib.ma52.prepare.poses import read_joints
from piumar_lib.recognizer import Prediction, Recognizer
from piumar_lib.support.checkpoint import OtherModel, restore_weights, write_tensors
from piumar_lib.support.files import as_path, read_json, whole, write_text

# One number before a recogniser is standardised, one for each channel afterwards.
FREE_SHAPES = ("recognizer.mean", "recognizer.scale")


class TemporalMixing(nn.Module):
    """A residual convolution over three neighbouring frames, initialised to the identity.

    Without a later layer that depends on order, temporal alignment could only reweight frames, and a
    perturbed spectrum would have no effect, because features are averaged over time at the end.
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
    """Recognise micro-actions in video, or in poses.

    The backbone is from `piumar_lib.ma52.backbones.load_backbone`, or of `POSE_BACKBONES`; the
    configuration determines the plug-in and the heads.

    Attributes:
        frames, size: Frames of a clip, and pixels of their side; size is 0 for poses.
        shape: Shape of a clip: ``(frames, 3, size, size)``, of poses ``(frames, channels)``.
        joints: Names of the joints, of a recogniser of poses.
    """

    part_of: Tensor

    def __init__(
        self,
        backbone: VideoMAE | ShiftedResNet | PoseNetwork,
        config: TrainConfig,
        joints: Sequence[str] = (),
    ) -> None:
        super().__init__()
        width, self.config, self.joints = backbone.channels, config, tuple(joints)
        self.frames, self.size = backbone.frames, backbone.size
        of_frame = (backbone.inputs,) if isinstance(backbone, PoseNetwork) else (3, self.size, self.size)
        self.shape = (self.frames, *of_frame)
        last = nn.Sequential(nn.LayerNorm(width), nn.Dropout(config.dropout))
        layers, method = _stack(backbone, last), METHODS[config.method]
        at = method.layer if config.level == "method" else config.level
        # Initialising the plug-in must not change the heads: all methods start from the same model.
        self.recognizer = Recognizer(
            layers, width, len(ACTIONS), at=at if config.sees_poses else "features"
        )
        part_of = torch.from_numpy(body_part(np.arange(len(ACTIONS))))
        self.register_buffer("part_of", part_of, persistent=False)
        if config.body == "hierarchical":
            self.recognizer.head = HierarchicalHead(width, self.part_of)
        self.body_head = nn.Linear(width, len(BODY_PARTS)) if config.body == "head" else None
        before = width
        if config.sees_poses:
            before = width_behind(layers, self.shape[-1], self.recognizer.at)
        self.recognizer.plug_in = method.plug_in(before, width, config.of_method)
        if method.behind_stages is not None:
            assert not isinstance(backbone, PoseNetwork)  # its configuration is refused
            backbone.put_behind_stages(method.behind_stages)

    @property
    def backbone(self) -> VideoMAE | ShiftedResNet | PoseNetwork:
        """The network of video; for poses, all blocks."""
        first, *others = self.recognizer.backbone
        if isinstance(first, VideoMAE | ShiftedResNet):
            return first
        return PoseNetwork([first, *others[:-1]], self.shape[-1], self.recognizer.head.in_features)

    def standardize(self, poses: Tensor) -> None:
        """Estimate the mean of each channel from training clips, and one scale for all channels.

        There is one scale because all channels are lengths in the same unit: this preserves the shape of
        a body, and does not amplify the noise of joints that hardly move, such as hips. ``poses`` have
        the shape ``(n, time, channels)``.
        """
        poses = self.to_modality(poses)
        recognizer, mean = self.recognizer, poses.mean((0, 1))
        spread = (poses - mean).square().mean().sqrt().clamp_min(1e-6)
        recognizer.mean, recognizer.scale = mean.to(recognizer.mean), spread.expand_as(mean).clone()

    def to_modality(self, clips: Tensor) -> Tensor:
        """Clips, or their differences from their mean over time, whichever the configuration has."""
        return clips - clips.mean(1, keepdim=True) if self.config.modality == "difference" else clips

    def forward(self, video: Tensor, y: Tensor | None = None) -> Prediction:
        """Recognise.

        Args:
            video: Clips ``(batch, frames, 3, size, size)``, from `piumar_lib.ma52.transforms.to_input`;
                or poses ``(batch, frames, channels)`` from `piumar_lib.ma52.pose_dataset.PoseDataset`.
            y: Actions ``(batch,)``; in training only, to guide the perturbation.

        Returns:
            The prediction of actions; with a head for body parts, its logits are ``coarse``.
        """
        prediction = self.recognizer(self.to_modality(video), y)
        if self.body_head is not None:
            prediction.coarse = self.body_head(prediction.features), self.part_of
        return prediction

    def probabilities(self, prediction: Prediction) -> list[Tensor]:
        """Those of actions ``(batch, 52)``, and of body parts ``(batch, 7)`` if a head says these."""
        said = [prediction.logits.float().softmax(-1)]
        if prediction.coarse is not None:
            said.append(prediction.coarse[0].float().softmax(-1))
        if self.config.body == "hierarchical":  # of its head for parts, through the actions
            parts = said[0].new_zeros(len(said[0]), len(BODY_PARTS))
            said.append(parts.index_add(1, self.part_of, said[0]))
        return said


def _stack(backbone: VideoMAE | ShiftedResNet | PoseNetwork, last: nn.Module) -> nn.Sequential:
    """The layers between which a plug-in may sit; after a video backbone, one sees order in time."""
    if not isinstance(backbone, PoseNetwork):
        return nn.Sequential(backbone, TemporalMixing(backbone.channels), last)
    blocks = {f"block{number}": block for number, block in enumerate(backbone)}
    return nn.Sequential(OrderedDict(blocks | {"last": last}))


def build_model(
    config: TrainConfig, weights: str | None = None, joints: Sequence[str] = ()
) -> MicroActionRecognizer:
    """Build an untrained recogniser; the same for the same seed.

    ``weights`` are taken instead of the configuration's, and for poses ``joints`` instead of the names
    in the configuration's file.

    Raises:
        OSError: If trained weights of the backbone are not available.
        ValueError: If there are no trained weights, or no names of joints.
    """
    weights = weights or config.weights
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        if not config.sees_poses:
            return MicroActionRecognizer(load_backbone(config.backbone, weights, config.pixels), config)
        if weights != "random":
            raise ValueError(f"weights: {config.backbone} has no trained weights. Choose 'random'.")
        joints = joints or read_joints(config.poses)
        network = POSE_BACKBONES[config.backbone](joints, 3 if config.joint_scores else 2)
        return MicroActionRecognizer(network, config, joints)


def save_model(model: MicroActionRecognizer, folder: str | Path) -> None:
    """Write ``model.safetensors`` and ``model.json``, all that `load_model` needs.

    Raises:
        OSError: If they cannot be written.
    """
    folder = as_path(folder)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    about = {"config": json.loads(model.config.to_json()), "actions": ACTIONS, "frames": model.frames,
             "size": model.size, "joints": model.joints}  # fmt: skip
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
        about = read_json(folder / "model.json", keys=["config", "actions", "joints"])
        config = TrainConfig.make(**about["config"])
        model = build_model(config, "random", about["joints"])
        _require_actions(about["actions"])
        restore_weights(model, load_file(folder / "model.safetensors"), FREE_SHAPES)
    except OtherModel as error:
        raise ValueError(
            f"{folder / 'model.safetensors'}: holds another model than model.json and this course have: "
            f"{error}. Take both files from one run; or delete record.json there, and the same training "
            "command writes them again."
        ) from error
    except (TypeError, ValueError, RuntimeError, SafetensorError) as error:
        said = str(error).splitlines()[0].rstrip(".:")
        raise ValueError(
            f"{folder}: its model is damaged or of another version of the course ({said}). Delete "
            "record.json there: the same training command then writes the model again; or train again, "
            "into another folder."
        ) from error
    return model.to(device).eval()


def fastest_device() -> str:
    """The first GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _require_actions(names: Sequence[str]) -> None:
    """Raise if a model has other classes, or a different order: their names would be wrong."""
    if len(names) != len(ACTIONS):
        raise OtherModel([f"{len(names)} actions, {len(ACTIONS)} here"])
    pairs = enumerate(zip(names, ACTIONS, strict=True))
    if other := [f"action {k} is {a!r}, {b!r} here" for k, (a, b) in pairs if a != b]:
        raise OtherModel(other)


class Probabilities(nn.Module):
    """The exported program: from a standardised video, or poses, to probabilities of actions only."""

    def __init__(self, model: MicroActionRecognizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor) -> Tensor:
        """Map clips, of video ``(batch, frames, 3, size, size)``, to ``(batch, 52)``."""
        return self.model(video).logits.softmax(-1)


def export(model: MicroActionRecognizer, path: str | Path) -> Path:
    """Write the recogniser, backbone and plug-in and all, as one program for `torch.export.load`.

    The model is set to evaluation mode, and moved to the CPU.

    Raises:
        ValueError: If the path does not end in ``.pt2``.
        OSError: If it cannot be written.
    """
    path = as_path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"path: {path} does not end in .pt2, which torch.export.load asks for.")
    recognizer = Probabilities(model).eval().cpu()
    video = torch.zeros(2, *model.shape)
    # Clips of a batch may be any number; frames and pixels, or joints, are the backbone's.
    many = {"video": {0: torch.export.Dim("clips", min=1, max=4096)}}
    program = torch.export.export(recognizer, (video,), dynamic_shapes=many)
    # Through memory: torch's own writer kills the whole process when the disk is full.
    packed = io.BytesIO()
    torch.export.save(program, packed)
    with whole(path) as part:
        part.write_bytes(packed.getbuffer())
    return path
