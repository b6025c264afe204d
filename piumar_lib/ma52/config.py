"""Every setting of a training on MA-52, in one place: default, unit, range and meaning.

    config = TrainConfig.make("videomae-base", method="PIUmr + augmentation", radius=0.1,
                              cache=..., index=..., split=..., out=...)

The method is one of `piumar_lib.evidence.methods.METHODS`, and its hyperparameters are those of that
table. The command line (``python -m piumar_lib.ma52 train --help``) and chapter 12 take both, so a
setting has one name wherever it is given.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piumar_lib.evidence.methods import (
    AUGMENTATION,
    FIXED,
    METHODS,
    NOT_SEARCHED,
    Hyperparameters,
    put_in,
)
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.ma52.backbones import BACKBONES, MODALITIES, WEIGHTS
from piumar_lib.ma52.pose_backbones import POSE_BACKBONES
from piumar_lib.objective import Objective
from piumar_lib.support.files import as_path, read_json
from piumar_lib.support.hyperparameter import Hyperparameter, unknown
from piumar_lib.support.ranges import Range

# Where the plug-in sits: where the method has it, at the input, or after the first layer.
LEVELS = ("method", "input", "features")
# Prediction of body parts: the part of the most probable action; a separate head; or a head for parts
# and one for actions within a part, whose probabilities are multiplied.
BODIES = ("derived", "head", "hierarchical")
# Clips that a sweep can normalise together in the evaluation: of a person, or of one session.
NORMALIZED_BY = ("person", "session")


def _setting(
    default: Any, about: str, low: float | None = None, high: float | None = None, choices: Any = ()
) -> Any:
    whole = isinstance(default, (int, tuple))
    allowed = None if low is None else Range(low, math.inf if high is None else high, whole=whole)
    one = Hyperparameter(default, about=about, range=allowed, choices=tuple(choices))
    return field(default=default, metadata={"is": one})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training; `SETTINGS` has their descriptions, ranges and choices.

    Attributes:
        method: A name in `piumar_lib.evidence.methods.METHODS`. Clips are varied (``min_scale``,
            ``color_jitter``, ``hflip``) if its name ends in "augmentation".
        hyperparameters: All hyperparameters of the method.

    Raises:
        ValueError: If a value has another type, is out of range, or does not go with another one.
    """

    # Paths that are read and written
    cache: str = _setting("", "folder of the clip cache, for a video backbone")
    poses: str = _setting("", ".safetensors of poses, for a backbone of poses")
    index: str = _setting("", "the .csv of the index")
    split: str = _setting("", "the .txt of a split: who trains, who is held out")
    out: str = _setting("", "folder of the run: checkpoint, history, record, model")
    chosen_on: str = _setting("", "the .txt of a split on whose held-out people settings were chosen")
    # Method and model
    method: str = _setting("augmentation", "a method of the course, such as 'PIUmr + augmentation'")
    backbone: str = _setting(
        "videomae-base", "backbone: of video, or of poses", choices=(*BACKBONES, *POSE_BACKBONES)
    )
    weights: str = _setting("pretrained", "its initial weights", choices=WEIGHTS)
    pixels: int = _setting(0, "input size in pixels; 0: the backbone's own", 0, 1024)
    modality: str = _setting("rgb", "input: clips, or their motion", choices=MODALITIES)
    joint_scores: bool = _setting(False, "poses: add the estimator's confidence of each joint")
    level: str = _setting("method", "poses: where the plug-in sits; video: features", choices=LEVELS)
    body: str = _setting("derived", "body part: of the action, or of a head", choices=BODIES)
    dropout: float = _setting(0.0, "fraction of features dropped before the head", 0, 0.95)
    # Steps
    epochs: int = _setting(30, "passes over the training clips", 1, 10_000)
    batch_size: int = _setting(64, "clips of a step, over all processes", 2, 65_536)
    grad_accum_steps: int = _setting(1, "gradient accumulation steps", 1, 1024)
    optimizer: str = _setting("adamw", "optimizer", choices=("adamw", "sgd"))
    learning_rate: float = _setting(2.5e-4, "peak learning rate", 1e-12, 100)
    scheduler: str = _setting("cosine", "schedule of the learning rate", choices=("cosine", "steps"))
    warmup: float = _setting(5.0, "epochs in which the learning rate rises", 0, 10_000)
    milestones: tuple[int, ...] = _setting((30, 60), "epochs after which 'steps' divides it by 10", 0)
    layer_decay: float = _setting(0.75, "layer-wise learning-rate decay", 0.01, 1)
    weight_decay: float = _setting(0.05, "weight decay, not of biases and norms", 0, 10)
    sgd_momentum: float = _setting(0.9, "momentum of sgd", 0, 0.999)
    grad_clip: float = _setting(5.0, "gradient clipping norm; 0: no clipping", 0, 1e6)
    label_smoothing: float = _setting(
        0.1, "label smoothing: fraction of a label spread over all actions", 0, 0.9
    )
    balanced: bool = _setting(False, "sample actions with equal probability")
    ema: float = _setting(
        0.0, "decay of weights' exponential moving average, evaluated; 0: none", 0, 0.99999
    )
    # Augmentation, of methods that augment
    min_scale: float = _setting(0.7, "smallest side of a random crop, as a fraction", 0.05, 1)
    color_jitter: float = _setting(0.2, "standard deviation of log brightness and contrast", 0, 2)
    hflip: float = _setting(0.5, "probability of exchanging left and right", 0, 1)
    rotation: float = _setting(0.1, "poses: standard deviation of a rotation, radians", 0, 3.2)
    size_jitter: float = _setting(0.1, "poses: standard deviation of log size", 0, 2)
    joint_jitter: float = _setting(0.05, "poses: that of each joint's shift, torso lengths", 0, 1)
    time_warp: float = _setting(0.3, "poses: standard deviation of log speed", 0, 2)
    # The run
    precision: str = _setting("fp32", "precision of arithmetic", choices=("fp32", "bf16", "fp16"))
    compiled: bool = _setting(False, "fuse the backbone's operations (torch.compile): pays in long runs")
    workers: int = _setting(0, "processes that read clips", 0, 256)
    seed: int = _setting(0, "seed of all random draws", 0, 2**31 - 1)
    eval_every: int = _setting(
        1, "epochs between evaluations on held-out people; 0: only at the end", 0, 10_000
    )
    test_views: int = _setting(1, "temporal views of a clip at the end", 1, 100)
    save_minutes: float = _setting(10.0, "minutes between checkpoints, beside each epoch's", 0, 1e6)
    cpu: bool = _setting(False, "train on the CPU even if there is a GPU")
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, one in SETTINGS.items():
            object.__setattr__(self, name, one.check(name, getattr(self, name)))
        own = put_in(self.method, own_hyperparameters(self.method), self.hyperparameters)
        object.__setattr__(self, "hyperparameters", own)
        self._require_input()
        if self.batch_size % self.grad_accum_steps or self.batch_size // self.grad_accum_steps < 2:
            raise ValueError(
                f"grad_accum_steps: {self.grad_accum_steps} parts of a batch of {self.batch_size}. "
                "Each part needs equally many clips, at least 2."
            )
        if self.warmup > self.epochs:
            raise ValueError(
                f"warmup: {self.warmup} of {self.epochs} epochs. Choose at most as many as epochs."
            )
        groups = any(isinstance(part, GroupRobustObjective) for part in self.objective().modules())
        if groups and self.epochs < 2:
            raise ValueError(
                f"epochs: {self.method} finds its groups after the first, and epochs is 1. "
                "Choose at least 2."
            )

    def _require_input(self) -> None:
        """Raise if settings do not match the backbone's input."""
        if self.sees_poses and self.pixels:
            raise ValueError(f"pixels: {self.pixels}, but {self.backbone} sees poses. Leave it at 0.")
        if self.sees_poses and METHODS[self.method].behind_stages is not None:
            raise ValueError(
                f"method: {self.method} needs a video backbone, whose features have height and width, "
                f"got {self.backbone}. Choose {'HDF + augmentation' if self.is_augmented else 'HDF'!r}."
            )
        if not self.sees_poses and self.level == "input":
            raise ValueError(
                f"level: 'input', but a plug-in cannot sit in front of {self.backbone}, where a clip is "
                "pictures. Leave level at 'method', or choose a backbone of poses."
            )

    @classmethod
    def make(cls, preset: str = "", **settings: Any) -> TrainConfig:
        """Settings of a preset (`PRESETS`; "" for the defaults), overridden by ``settings``.

        Hyperparameters of the method are given like settings.

        Raises:
            ValueError: If the preset or a setting is unknown, or a value is invalid.
        """
        if preset and preset not in PRESETS:
            raise ValueError(f"preset: {preset!r} is unknown. Choose from {', '.join(PRESETS)}.")
        settings = PRESETS.get(preset, {}) | settings
        own = own_hyperparameters(settings.get("method", SETTINGS["method"].default))
        chosen = dict(settings.pop("hyperparameters", {}))
        for name in [name for name in settings if name not in SETTINGS]:
            if name not in own:
                raise unknown(name, [*SETTINGS, *own])
            chosen[name] = settings.pop(name)
        return cls(**settings, hyperparameters=chosen)

    def objective(self) -> Objective:
        """A new objective of the method."""
        return METHODS[self.method].objective(self.of_method)

    @property
    def of_method(self) -> Hyperparameters:
        """All arguments of the functions of the method's row in `METHODS`."""
        return FIXED | dict(self.hyperparameters)

    @property
    def sees_poses(self) -> bool:
        """Whether the backbone takes poses; otherwise it takes video."""
        return self.backbone in POSE_BACKBONES

    @property
    def is_augmented(self) -> bool:
        """Whether training clips are varied."""
        return METHODS[self.method].augmented

    def to_json(self) -> str:
        """All settings as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """The settings of a run, from its ``config.json``.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or of another version of the course.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no run. Train one: python -m piumar_lib.ma52 train --help")
        remedy = "Train again, into another folder."
        settings = read_json(path, remedy)
        try:
            return cls.make(**settings)
        except ValueError as error:
            raise ValueError(f"{path}: does not fit this course's version: {error} {remedy}") from error

    def require_paths(self) -> None:
        """Raise unless all paths that are read exist.

        Raises:
            ValueError: If a path is not given.
            FileNotFoundError: If there is nothing at one of them.
        """
        source = "poses" if self.sees_poses else "cache"
        for name in (source, "index", "split", "out"):
            if not getattr(self, name):
                raise ValueError(
                    f"{name}: no path is given. It is the {SETTINGS[name].about}.{self._say_input(name)}"
                )
        for name in (source, "index", "split", "chosen_on"):
            path = as_path(getattr(self, name))
            if getattr(self, name) and not path.exists():
                raise FileNotFoundError(
                    f"{name}: {path} is not there. Make it with prepare_ma52.py, or give its new path."
                )

    def _say_input(self, missing: str) -> str:
        """Remedy if poses were given to a backbone of video, or vice versa."""
        other = {"cache": "poses", "poses": "cache"}.get(missing, "")
        if not other or not getattr(self, other):
            return ""
        backbones = BACKBONES if other == "cache" else POSE_BACKBONES
        return (
            f" {self.backbone} takes no {other}: for that choose backbone from {', '.join(backbones)}."
        )


SETTINGS: dict[str, Hyperparameter] = {
    f.name: f.metadata["is"] for f in dataclasses.fields(TrainConfig) if f.metadata
}

# Recipes. VideoMAE's is the usual one for fine-tuning it (Tong et al., 2022: AdamW, layer-wise decay
# 0.75, five epochs of warm-up, rate 1e-3 for 256 clips), without its mixing of clips. MANet's is as
# published (Guo et al., repository VUT-HFUT/Micro-Action); its squeeze-and-excitation blocks are not
# in our ResNet. That of poses was chosen on training people of the stand-in who were held out for it:
# motion was more informative about them than positions of joints.
PRESETS: Mapping[str, dict[str, Any]] = {
    "videomae-base": {"precision": "bf16", "workers": 8},
    "resnet50-tsm": {
        "backbone": "resnet50-tsm",
        "learning_rate": 5e-4,
        "layer_decay": 0.9,
        "warmup": 2.0,
        "dropout": 0.5,
        "precision": "bf16",
        "workers": 8,
    },
    "manet": {
        "backbone": "resnet50-tsm",
        "epochs": 80,
        "batch_size": 10,
        "optimizer": "sgd",
        "learning_rate": 0.00125,
        "scheduler": "steps",
        "warmup": 0.0,
        "milestones": (30, 60),
        "layer_decay": 1.0,
        "weight_decay": 1e-4,
        "grad_clip": 20.0,
        "label_smoothing": 0.0,
        "dropout": 0.5,
        "color_jitter": 0.0,
        "workers": 4,
    },
    "poses": {
        "backbone": "poses-cnn",
        "weights": "random",
        "modality": "difference",
        "epochs": 10,
        "learning_rate": 3e-3,
        "layer_decay": 1.0,
        "warmup": 2.0,
        "eval_every": 0,
        "cpu": True,
    },
    "tiny": {
        "backbone": "resnet-tiny-tsm",
        "weights": "random",
        "epochs": 6,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "layer_decay": 1.0,
        "warmup": 1.0,
        "cpu": True,
    },
}


def own_hyperparameters(method: str) -> dict[str, Hyperparameter]:
    """A method's hyperparameters, as far as they are not settings of the training.

    Raises:
        ValueError: If the method is unknown, or cannot be trained on video.
    """
    if method not in METHODS:
        raise unknown(method, METHODS, "method")
    chosen = METHODS[method]
    if chosen.classify is not None:
        raise ValueError(
            f"method: {method} makes no steps: it fits a classifier to fixed convolutions of sequences, "
            "at once. Train it on sequences (chapter 09), or choose another method for video."
        )
    steps = {"steps": NOT_SEARCHED["steps"]} if "amplitude_step" in chosen.hyperparameters else {}
    return dict(chosen.hyperparameters) | steps | (AUGMENTATION if chosen.augmented else {})
