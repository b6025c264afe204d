"""Every setting of a training on MA-52, in one place: default, unit, range and meaning.

    config = TrainConfig.make("videomae-base", cache=..., index=..., split=..., out=..., plug="tfam")

The command line (``python -m piumar_lib.ma52 train --help``) and the parameters of chapter 12 are made
from this list, so that a setting has one name wherever it is given.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piumar_lib.files import as_path, parse_json, read_json
from piumar_lib.ma52.backbones import BACKBONES, MODALITIES, WEIGHTS

TRANSPORTS = ("exact", "sinkhorn")
CLOCKS = ("motion", "uniform")
# Settings that only the first version of TFAM and GIRL had, and what to look at instead.
FIRST_VERSION = {
    "mass": "clock",
    "amplitude": "amplitude_step",
    "regulariser": "regularizer_share",
    "step": "radius",
    "weight": "radius",
    "boundary": "beta",
}


class FirstVersion(ValueError):
    """A run of the method's first version, which this course no longer trains."""


def _setting(
    default: Any, words: str, low: float | None = None, high: float | None = None, choices: Any = ()
) -> Any:
    metadata = {"words": words, "low": low, "high": high, "choices": tuple(choices)}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training; the metadata of each field has its words, range and choices.

    Raises:
        ValueError: If a value has another type, is out of range, or does not go with another one.
    """

    # What is read and written
    cache: str = _setting("", "folder of the clip cache")
    index: str = _setting("", "the .csv of the index")
    split: str = _setting("", "the .txt of a split: who trains, who is held out")
    out: str = _setting("", "folder of the run: checkpoint, history, record, model")
    # Model
    backbone: str = _setting("videomae-base", "video backbone", choices=BACKBONES)
    weights: str = _setting("pretrained", "where its weights start", choices=WEIGHTS)
    pixels: int = _setting(0, "side of what the backbone sees; 0: as it was made for", 0, 1024)
    modality: str = _setting("rgb", "what it sees: pictures, or what moves", choices=MODALITIES)
    plug: str = _setting("none", "feature level: tfam is the method", choices=("none", "tfam"))
    loss: str = _setting("erm", "loss level: girl is the method", choices=("erm", "girl"))
    body: str = _setting("derived", "body part: of the action, or a head", choices=("derived", "head"))
    dropout: float = _setting(0.0, "share of features dropped before the head", 0, 0.95)
    # Steps
    epochs: int = _setting(30, "passes over the training clips", 1, 10_000)
    batch: int = _setting(64, "clips of a step, over all processes", 2, 65_536)
    accumulate: int = _setting(1, "parts of a step, one after the other: less memory", 1, 1024)
    optimiser: str = _setting("adamw", "how steps are made", choices=("adamw", "sgd"))
    rate: float = _setting(2.5e-4, "peak learning rate", 1e-12, 100)
    schedule: str = _setting("cosine", "how the rate falls", choices=("cosine", "steps"))
    warmup: float = _setting(5.0, "epochs in which the rate rises", 0, 10_000)
    drops: tuple[int, ...] = _setting((30, 60), "epochs after which 'steps' divides it by 10", 0)
    layer_decay: float = _setting(0.75, "rate of a layer over that of the next", 0.01, 1)
    weight_decay: float = _setting(0.05, "pull of weights towards 0, not of biases and norms", 0, 10)
    momentum: float = _setting(0.9, "of sgd", 0, 0.999)
    clip: float = _setting(5.0, "largest norm of the gradient; 0: any", 0, 1e6)
    smoothing: float = _setting(0.1, "share of a label spread over all actions", 0, 0.9)
    balanced: bool = _setting(False, "draw rare actions as often as frequent ones")
    ema: float = _setting(0.0, "decay of averaged weights, used for judging; 0: none", 0, 0.99999)
    # Variety
    smallest: float = _setting(0.7, "least share of the side that a random cut keeps", 0.05, 1)
    light: float = _setting(0.2, "deviation of log brightness and contrast", 0, 2)
    mirror: float = _setting(0.5, "chance of exchanging left and right", 0, 1)
    # TFAM
    transport: str = _setting("exact", "to equal steps, or entropic to anchors", choices=TRANSPORTS)
    clock: str = _setting("motion", "mass on time; uniform aligns nothing: a control", choices=CLOCKS)
    floor: float = _setting(0.1, "share of evenly spread mass at the start; learned", 0.001, 0.999)
    steps: int = _setting(16, "canonical steps K; exact: at most as many as moments", 1, 1024)
    amplitude_step: float = _setting(0.5, "share of the way to movements of one size", 0, 1)
    scale: float = _setting(1.0, "deviations s by which spectra are perturbed", 0, 10)
    probability: float = _setting(0.5, "chance of a clip's spectrum to be perturbed", 0, 1)
    supervision: float = _setting(0.5, "weight of each view's own cross-entropy", 0, 100)
    consistency: float = _setting(1.0, "weight of the divergence between views", 0, 100)
    regularizer_share: float = _setting(0.1, "regulariser's gradient over the cross-entropy's", 0, 100)
    # GIRL
    groups: int = _setting(4, "pseudo-groups in each action", 1, 1000)
    radius: float = _setting(0.05, "rho: radius of the ball of group weights", 0, 1000)
    beta: float = _setting(1.0, "how much more hard clips count", 0, 100)
    temperature: float = _setting(1.0, "margin beyond which a clip is safe, in logits", 1e-6, 1000)
    risk_momentum: float = _setting(0.9, "what a group's running risk keeps of its past", 0, 0.999)
    # The run
    precision: str = _setting("fp32", "of arithmetic", choices=("fp32", "bf16", "fp16"))
    compiled: bool = _setting(False, "fuse the backbone's operations (torch.compile): pays in long runs")
    workers: int = _setting(0, "processes that read clips", 0, 256)
    seed: int = _setting(0, "of everything that is drawn", 0, 2**31 - 1)
    judge_every: int = _setting(1, "epochs between looks at held-out people; 0: at the end", 0, 10_000)
    views: int = _setting(1, "temporal views of a clip at the end", 1, 100)
    save_minutes: float = _setting(10.0, "minutes between checkpoints, beside each epoch's", 0, 1e6)
    cpu: bool = _setting(False, "train on the CPU even if there is a GPU")

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = _typed(f.name, getattr(self, f.name), f.default)
            object.__setattr__(self, f.name, value)
            choices, low, high = (f.metadata[name] for name in ("choices", "low", "high"))
            if choices and value not in choices:
                raise ValueError(f"{f.name}: {value!r} is unknown. Choose from {', '.join(choices)}.")
            for number in value if isinstance(value, tuple) else (value,):
                if low is not None and not low <= number <= (high if high is not None else number):
                    most = f"to {high}" if high is not None else "up"
                    raise ValueError(
                        f"{f.name}: {value} is out of range ({f.metadata['words']}). "
                        f"Choose it from {low} {most}."
                    )
        if self.batch % self.accumulate or self.batch // self.accumulate < 2:
            raise ValueError(
                f"accumulate: {self.accumulate} parts of a batch of {self.batch}. "
                "Each part needs equally many clips, at least 2."
            )
        if self.loss == "girl" and self.epochs < 2:
            raise ValueError(
                "loss: girl finds its groups after the first epoch, and epochs is 1. Choose at least 2."
            )
        if self.warmup > self.epochs:
            raise ValueError(
                f"warmup: {self.warmup} of {self.epochs} epochs. Choose at most as many as epochs."
            )

    @classmethod
    def make(cls, preset: str = "", **settings: Any) -> TrainConfig:
        """Settings of a preset (`PRESETS`; "" for the defaults), with ``settings`` put in.

        Raises:
            ValueError: If the preset or a setting is unknown, or a value cannot be right.
            FirstVersion: If it is a setting of the method's first version alone.
        """
        if preset and preset not in PRESETS:
            raise ValueError(f"preset: {preset!r} is unknown. Choose from {', '.join(PRESETS)}.")
        known = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            if name in FIRST_VERSION and name not in known:
                raise FirstVersion(
                    f"{name}: only the method's first version had it. Leave it out, and look at "
                    f"{FIRST_VERSION[name]} instead."
                )
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}? " if close else ""
                every = ", ".join(known)
                raise ValueError(f"{name}: there is no such setting. {hint}There are: {every}.")
        return cls(**(PRESETS.get(preset, {}) | settings))

    @property
    def method(self) -> str:
        """What the course calls this combination of plug and loss."""
        return {
            ("none", "erm"): "ERM",
            ("tfam", "erm"): "TFAM",
            ("none", "girl"): "GIRL",
            ("tfam", "girl"): "PIUmr",
        }[self.plug, self.loss]

    def to_json(self) -> str:
        """All settings as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """What `to_json` wrote."""
        return cls.make(**parse_json(text, "config"))

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """The settings of a run, from its ``config.json``.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or of another version of the course.
            FirstVersion: If the run is one of the method's first version.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no run. Train one: python -m piumar_lib.ma52 train --help")
        settings = read_json(path, "Train again, into another folder.")
        refuse_first_version(settings, path.parent)
        try:
            return cls.make(**settings)
        except ValueError as error:
            raise ValueError(
                f"{path}: does not fit this course's version: {error} Train again, into another folder."
            ) from error

    def require_paths(self) -> None:
        """See that everything that is read is there.

        Raises:
            ValueError: If a path is not given.
            FileNotFoundError: If there is nothing at one of them.
        """
        for name in ("cache", "index", "split", "out"):
            if not getattr(self, name):
                raise ValueError(f"{name}: no path is given. It is the {describe()[name]['words']}.")
        for name in ("cache", "index", "split"):
            path = as_path(getattr(self, name))
            if not path.exists():
                raise FileNotFoundError(f"{name}: {path} is not there. Make it with prepare_ma52.py.")


# Recipes. VideoMAE's is the usual one for fine-tuning it (Tong et al., 2022: AdamW, layer-wise decay
# 0.75, five epochs of warm-up, rate 1e-3 for 256 clips), without its mixing of clips. MANet's is as
# published (Guo et al., repository VUT-HFUT/Micro-Action); its squeeze-and-excitation blocks are not in
# our ResNet.
PRESETS: Mapping[str, dict[str, Any]] = {
    "videomae-base": {"precision": "bf16", "workers": 8},
    "resnet50-tsm": {
        "backbone": "resnet50-tsm",
        "rate": 5e-4,
        "layer_decay": 0.9,
        "warmup": 2.0,
        "dropout": 0.5,
        "precision": "bf16",
        "workers": 8,
    },
    "manet": {
        "backbone": "resnet50-tsm",
        "epochs": 80,
        "batch": 10,
        "optimiser": "sgd",
        "rate": 0.00125,
        "schedule": "steps",
        "warmup": 0.0,
        "drops": (30, 60),
        "layer_decay": 1.0,
        "weight_decay": 1e-4,
        "clip": 20.0,
        "smoothing": 0.0,
        "dropout": 0.5,
        "light": 0.0,
        "workers": 4,
    },
    "tiny": {
        "backbone": "resnet-tiny-tsm",
        "weights": "random",
        "epochs": 6,
        "batch": 16,
        "rate": 3e-3,
        "layer_decay": 1.0,
        "warmup": 1.0,
        "cpu": True,
    },
}


def is_first_version(settings: Any) -> bool:
    """Whether these are the settings of a run of the method's first version."""
    return isinstance(settings, Mapping) and not FIRST_VERSION.keys().isdisjoint(settings)


def refuse_first_version(settings: Any, folder: Path) -> None:
    """See that a run's settings are not those of the method's first version.

    Raises:
        FirstVersion: If they are.
    """
    if is_first_version(settings):
        raise FirstVersion(
            f"{folder}: holds a run of the first version of TFAM and GIRL, whose parts and settings are "
            "no longer trained or loaded. Train again, into another folder; its record can still be "
            f"read: python -m piumar_lib.ma52 report {folder}"
        )


def describe() -> dict[str, dict[str, Any]]:
    """Of each setting: ``default``, ``words``, ``low``, ``high`` and ``choices``."""
    return {
        f.name: {"default": f.default, **f.metadata} for f in dataclasses.fields(TrainConfig)
    }


def parameters_cell() -> str:
    """Chapter 12's settings as papermill parameters; None leaves a preset's value."""
    lines = []
    for name, about in describe().items():
        low, high = about["low"], about["high"]
        span = "" if low is None else f"; from {low:g}" + (f" to {high:g}" if high is not None else "")
        if about["choices"]:
            span = f": {', '.join(about['choices'])}"
        lines.append(f"{name} = None  # {about['words']}{span}")
    return "\n".join(lines)


def _typed(name: str, value: Any, default: Any) -> Any:
    """``value`` in the type of ``default``, or a ValueError."""
    kind = type(default)
    if kind is tuple and isinstance(value, (list, tuple)):
        if all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return tuple(value)
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif kind is str and isinstance(value, Path):
        return str(value)
    elif type(value) is kind:
        return value
    raise ValueError(f"{name}: {value!r} is no {kind.__name__}. Give one such as {default!r}.")
