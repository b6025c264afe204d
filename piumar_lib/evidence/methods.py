"""Every method that the course compares, and the one table of their hyperparameters.

A method defines how a recogniser is built and trained: its plug-in, its objective, and whether clips are
augmented. Each free value is a `Hyperparameter`, whose default, range and description come from the
class that takes it. Names of methods and hyperparameters are keys of the records and must not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from piumar_lib.alignment import MonotoneAlignment, MotionClock, UniformClock
from piumar_lib.backbones import (
    inception_time,
    minirocket_ridge,
    resnet1d,
    skeleton_graph,
    tiny_cnn,
    width_behind,
)
from piumar_lib.baselines.cfd import CFD, CFDPlugIn
from piumar_lib.baselines.daid import DAID
from piumar_lib.baselines.eris import ERIS
from piumar_lib.baselines.features import CORAL, DANN, DSU, MMD, MixStyle, Mixup
from piumar_lib.baselines.groups import EIIL, IRM, JTT, CVaR, Fish, GroupDRO, VREx
from piumar_lib.baselines.hdf import HDFObjective, HDFPlugIn
from piumar_lib.baselines.hdf_attention import TimeFrequencyAttention
from piumar_lib.baselines.hdf_scaling import DistributionAwareScaling
from piumar_lib.baselines.mgsc import MGSC
from piumar_lib.baselines.reclock import Reclock
from piumar_lib.baselines.rema import MaskedReMA, ReMA
from piumar_lib.baselines.weight_averaging import WeightAveraging
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import Objective, ViewWeights
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.plug_in import PlugIn
from piumar_lib.pseudo_groups import PersonGroups, RandomGroups, StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.support.hyperparameter import Hyperparameter, of, unknown
from piumar_lib.support.ranges import RANGES, Range
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews

if TYPE_CHECKING:
    from piumar_lib.data.sequences import Sequences

Hyperparameters = dict[str, Any]
GroupKind = type[StyleGroups] | type[PersonGroups]


@dataclass(frozen=True)
class Method:
    """A training method.

    Attributes:
        about: Description in a few words.
        kind: ``"baseline"``, ``"ours"`` or ``"control"``.
        objective: Creates the objective, from hyperparameters.
        plug_in: Creates the recogniser's plug-in, or None, from the number of its input channels, that
            of the backbone's output channels, and hyperparameters.
        layer: The layer before which the plug-in sits, as `Recognizer` has it.
        behind_stages: Creates, from the number of frames, a module that follows each stage of a network
            with feature maps ``(batch, time, channels, height, width)``, such as a network of video;
            None if it needs no such maps.
        augmented: Whether training clips are augmented.
        hyperparameters: Those of this method, besides `COMMON`.
        like: Methods whose chosen hyperparameters it inherits, the first one's with priority; it is then
            not searched, and differs from the first in one respect.
        uses_person_labels: Whether it uses person labels of the training clips.
        classify: Used instead of a recogniser: predicts the classes of unseen clips, from training
            clips, unseen clips and a seed.
    """

    about: str
    kind: str = "baseline"
    objective: Callable[[Hyperparameters], Objective] = lambda k: Objective()
    plug_in: Callable[[int, int, Hyperparameters], PlugIn | None] = lambda channels, width, k: None
    layer: int | str = 0
    behind_stages: Callable[[int], nn.Module] | None = None
    augmented: bool = False
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)
    like: tuple[str, ...] = ()
    uses_person_labels: bool = False
    classify: Callable[[Sequences, Sequences, int], np.ndarray] | None = None


COMMON = {
    "learning_rate": of(Settings, "learning_rate", 1e-3, 3e-3, 1e-2),
    "weight_decay": of(Settings, "weight_decay", 1e-4, 1e-2, 1e-1),
}
AUGMENTATION = {"augmentation_strength": of(Settings, "strength", 0.5, 1.0, 2.0)}
# From input channels, width and a skeleton's parents to a network. The larger ones have features of
# twice ``width``.
BACKBONES: dict[str, Callable[[int, int, tuple[int, ...] | None], nn.Sequential]] = {
    "cnn": lambda channels, width, parents: tiny_cnn(channels, width),
    "resnet": lambda channels, width, parents: resnet1d(channels, width),
    "inception_time": lambda channels, width, parents: inception_time(channels, width // 2),
    "skeleton_graph": lambda channels, width, parents: skeleton_graph(
        channels, parents or (), width // 2
    ),
}

_WHOLE = RANGES["Count"]
# Not searched, but may be set.
NOT_SEARCHED = {
    "epochs": of(Settings, "epochs"),
    # Data sets of all sizes then have the same cost, and training on small ones converges as well.
    "updates": Hyperparameter(None, about="Updates of the weights, instead of epochs", range=_WHOLE),
    "batch_size": of(Settings, "batch_size"),
    "backbone": Hyperparameter("cnn", about="Network", choices=tuple(BACKBONES)),
    "width": Hyperparameter(32, about="Channels of the network", range=_WHOLE),
    "layer": Hyperparameter(
        None, about="Layer before which the plug-in sits, not the method's", range=Range(0, whole=True)
    ),
    "steps": Hyperparameter(None, about="Canonical steps K, instead of 16", range=_WHOLE),
}
FIXED = {name: one.default for name, one in NOT_SEARCHED.items()}
_BED, _OURS = "DomainBed", "ours"

_TWO_VIEWS = {
    "supervision": of(TwoViews, "supervision", 0.25, 0.5, 1.0),
    "consistency": of(TwoViews, "consistency", 0.3, 1.0, 3.0),
    "regularizer_share": of(TwoViews, "regularizer_share", 0.05, 0.1, 0.2),
}
_PERTURBATION = {
    "scale": of(SpectralPerturbation, "scale", 0.5, 1.0, 2.0),
    "probability": of(SpectralPerturbation, "probability", 0.25, 0.5, 1.0),
}
_TFAM = {
    "amplitude_step": of(MonotoneAlignment, "amplitude_step", 0.0, 0.5, 1.0),
    "floor": of(MotionClock, "floor", 0.05, 0.1, 0.2),
    **_PERTURBATION,
    **_TWO_VIEWS,
}
_GIRL = {
    "groups": of(StyleGroups, "each", 2, 4, 8),
    "radius": of(GroupRobustObjective, "radius", 0.02, 0.05, 0.1, 0.2),
    "beta": of(GroupRobustObjective, "beta", 0.3, 1.0, 3.0),
    "temperature": of(GroupRobustObjective, "temperature", 0.5, 1.0, 2.0),
    "momentum": of(GroupRobustObjective, "momentum", 0.9, 0.97),
}


def _pick(k: Hyperparameters, names: Mapping[str, Hyperparameter]) -> Hyperparameters:
    return {name: k[name] for name in names if name in k}


def temporal_frequency(
    channels: int, width: int, k: Hyperparameters, clock: type[nn.Module] | None = None
) -> TemporalFrequencyModule:
    """TFAM, with hyperparameters; ``clock`` replaces the motion clock."""
    made = MotionClock(k["floor"]) if clock is None else clock()
    steps = {} if k["steps"] is None else {"steps": k["steps"]}
    return TemporalFrequencyModule(
        MonotoneAlignment(clock=made, amplitude_step=k["amplitude_step"], **steps),
        SpectralPerturbation(channels, **_pick(k, _PERTURBATION)),
        AdaptiveFusion(width),
    )


def _uniform_clock(channels: int, width: int, k: Hyperparameters) -> TemporalFrequencyModule:
    return temporal_frequency(channels, width, k, UniformClock)


def _equal_views(channels: int, width: int, k: Hyperparameters) -> TemporalFrequencyModule:
    """Two identical views of a clip, averaged to the number of TFAM's steps."""
    return _uniform_clock(channels, width, k | {"amplitude_step": 0.0, "scale": 0.0})


def _unperturbed(channels: int, width: int, k: Hyperparameters) -> TemporalFrequencyModule:
    return temporal_frequency(channels, width, k | {"scale": 0.0})


def two_views(
    k: Hyperparameters, over: Objective | None = None, kind: type[TwoViews] = TwoViews
) -> TwoViews:
    """TFAM's objective, with hyperparameters; ``over`` reduces the clips' losses to one."""
    return kind(**_pick(k, _TWO_VIEWS), over=over)


def group_robust(
    k: Hyperparameters,
    source: GroupKind = StyleGroups,
    step: float | None = None,
    kind: type[GroupRobustObjective] = GroupRobustObjective,
) -> GroupRobustObjective:
    """GIRL, with hyperparameters; ``step`` is that of the exponentiated gradient, if used."""
    groups = source(int(k["groups"])) if issubclass(source, StyleGroups) else source()
    own = {name: k[name] for name in ("radius", "beta", "temperature", "momentum")}
    views = {name: k[name] for name in ("supervision", "consistency") if name in k}
    return kind(groups, step=step, **own, view_weights=ViewWeights(**views))


def _loss(about: str, objective: type[Objective], told: bool = False, **declared: tuple) -> Method:
    """A method at loss level; each entry of ``declared`` is a source and the values of a search."""
    own = {name: of(objective, name, *v, source=source) for name, (source, *v) in declared.items()}
    return Method(
        about,
        objective=lambda k: objective(**_pick(k, own)),
        hyperparameters=own,
        uses_person_labels=told,
    )


def _plug_in(about: str, plug_in: type[PlugIn], layer: int = 0, **declared: tuple) -> Method:
    """A method at input or feature level, with entries of ``declared`` as in `_loss`."""
    own = {name: of(plug_in, name, *v, source=source) for name, (source, *v) in declared.items()}

    def make(channels: int, width: int, k: Hyperparameters) -> PlugIn:
        return plug_in(**_pick(k, own))

    return Method(about, plug_in=make, layer=layer, hyperparameters=own)


def _tfam(about: str, kind: str = "ours", **options: Any) -> Method:
    """TFAM, or TFAM with one change."""
    usual = dict[str, Any](objective=two_views, plug_in=temporal_frequency, hyperparameters=_TFAM)
    return Method(about, kind, **usual | options)


def _girl(about: str, source: GroupKind = StyleGroups, step: float | None = None) -> Method:
    """GIRL alone, or with one change."""
    own = source is StyleGroups and step is None
    return Method(
        about,
        "ours" if own else "control",
        lambda k: group_robust(k, source, step),
        hyperparameters=_GIRL,
        like=() if own else ("GIRL",),
        uses_person_labels=source is PersonGroups,
    )


def _piumr(about: str, kind: str = "ours", source: GroupKind = StyleGroups) -> Method:
    """TFAM and GIRL with the hyperparameters chosen for each, so only the loss differs from TFAM."""
    return _tfam(
        about,
        kind,
        objective=lambda k: two_views(k, group_robust(k, source)),
        hyperparameters=_TFAM | _GIRL,
        like=("TFAM", "GIRL"),
        uses_person_labels=source is PersonGroups,
    )


# Each of them also exists with augmentation, see `METHODS`.
WITHOUT_AUGMENTATION: dict[str, Method] = {
    # Baselines: data and features
    "Mixup": _loss("blends of two clips", Mixup, alpha=(_BED, 0.1, 0.2, 0.5)),
    "ReMA": _loss(
        "parts of another clip of the class",
        ReMA,
        probability=(_OURS, 0.25, 0.5, 1.0),
        share=(_OURS, 0.25, 0.5, 0.75),
    ),
    "masked ReMA": _loss(
        "ReMA in blocks with little motion",
        MaskedReMA,
        probability=(_OURS, 0.25, 0.5, 1.0),
        coverage=(_OURS, 0.25, 0.5),
        block=(_OURS, 2, 4, 8),
    ),
    "reclock": _plug_in(
        "clips resampled to other clips' clocks",
        Reclock,
        probability=(_OURS, 0.25, 0.5, 1.0),
        floor=(_OURS, 0.2, 0.5, 0.8),
    ),
    "MixStyle": _plug_in(
        "exchanged feature statistics",
        MixStyle,
        layer=1,
        probability=("Zhou et al.", 0.25, 0.5, 1.0),
        alpha=("Zhou et al.", 0.1, 0.3, 1.0),
    ),
    "DSU": _plug_in(
        "perturbed feature statistics",
        DSU,
        layer=1,
        probability=("Li et al.", 0.25, 0.5, 1.0),
        factor=("Li et al.", 0.5, 1.0, 2.0),
    ),
    "HDF": Method(
        "gate, spectral noise, sharpness",
        objective=lambda k: HDFObjective(k["contrast"], k["trace"], k["radius"]),
        plug_in=lambda channels, width, k: HDFPlugIn(),
        layer=2,
        hyperparameters={
            "contrast": of(HDFObjective, "weight", 0.03, 0.1, 0.3),
            "trace": of(HDFObjective, "trace", 0.0, 0.01, 0.1),
            "radius": of(HDFObjective, "radius", 0.02, 0.05, 0.1, source="HDF"),
        },
    ),
    "HDF as published": Method(
        "weighted frames and places, weighted contrast, sharpness; video only",
        objective=lambda k: DistributionAwareScaling(k["contrast"], k["trace"], k["radius"], k["eta"]),
        behind_stages=TimeFrequencyAttention,
        hyperparameters={
            "contrast": of(DistributionAwareScaling, "weight", 0.03, 0.1, 0.3, source="HDF"),
            "trace": of(DistributionAwareScaling, "trace", 0.0, 0.1, 0.5, source="HDF"),
            "radius": of(DistributionAwareScaling, "radius", 0.02, 0.05, 0.1, source="HDF"),
            "eta": of(DistributionAwareScaling, "eta", 0.1, 0.2, 0.4, source="HDF"),
        },
    ),
    # Baselines: people's features and risks
    "CORAL": _loss("equal feature covariances of people", CORAL, True, weight=(_BED, 0.1, 1.0, 10.0)),
    "MMD": _loss(
        "equal distributions of features over people", MMD, True, weight=(_BED, 0.1, 1.0, 10.0)
    ),
    "DANN": _loss("an adversary that predicts people", DANN, True, weight=(_BED, 0.01, 0.1, 1.0)),
    "IRM": _loss(
        "one classifier, optimal for every person",
        IRM,
        True,
        weight=(_BED, 0.1, 1.0, 10.0, 100.0),
        anneal=(_BED, 0.1, 0.5),
    ),
    "V-REx": _loss(
        "variance of people's risks", VREx, True, weight=(_BED, 0.1, 1.0, 10.0), anneal=(_BED, 0.1, 0.5)
    ),
    "GroupDRO": _loss("worst-case weights of people", GroupDRO, True, step=(_BED, 0.001, 0.01, 0.1)),
    "Fish": _loss("aligned gradients of people", Fish, True, share=(_BED, 0.1, 0.5, 0.9)),
    # Baselines: hard clips and inferred groups
    "CVaR": _loss("the worst clips", CVaR, alpha=("Levy et al.", 0.1, 0.3, 0.5, 0.8)),
    "JTT": _loss(
        "larger weights for a first training's errors",
        JTT,
        weight=("Liu et al.", 2.0, 5.0, 10.0),
        first=(_OURS, 0.1, 0.25, 0.5),
    ),
    "EIIL": _loss(
        "inferred environments",
        EIIL,
        step=("Creager et al.", 0.001, 0.01, 0.1),
        first=(_OURS, 0.1, 0.25, 0.5),
    ),
    "weight averaging": _loss(
        "mean of the weights over training", WeightAveraging, warm_up=(_OURS, 0.25, 0.5, 0.75)
    ),
    # Relatives of PIUmr
    "ERIS": _loss(
        "features of class and person, separated by energy",
        ERIS,
        True,
        person=(_OURS, 0.3, 0.9),
        energy=(_OURS, 1.0, 2.0),
        adversarial=(_OURS, 0.03, 0.1, 0.3),
    ),
    "CFD": Method(
        "normalised for each training person, and gated",
        objective=lambda k: CFD(),
        plug_in=lambda channels, width, k: CFDPlugIn(channels, k["calibration"]),
        layer="features",
        hyperparameters={"calibration": of(CFDPlugIn, "calibration", 0.2, 0.5, 0.8)},
        uses_person_labels=True,
    ),
    "MGSC": _tfam(
        "TFAM's views, consistent step by step",
        "baseline",
        objective=lambda k: MGSC(step_consistency=k["step_consistency"], **_pick(k, _TWO_VIEWS)),
        hyperparameters=_TFAM | {"step_consistency": of(MGSC, "step_consistency", 0.3, 1.0, 3.0)},
    ),
    "DAID": _loss(
        "classes and styles balanced, style removed",
        DAID,
        weight=(_OURS, 0.3, 0.7, 1.5),
        strength=(_OURS, 0.25, 0.5, 1.0),
    ),
    # Ours
    "TFAM": _tfam("common clock, smooth perturbation, adaptive fusion"),
    "TFAM, feature level": _tfam("behind the first block", layer="features", like=("TFAM",)),
    "GIRL": _girl("worst-case weights of style groups, hard clips"),
    "PIUmr": _piumr("TFAM and GIRL"),
    # Controls
    "TFAM, uniform clock": _tfam(
        "two views, nothing aligned", "control", plug_in=_uniform_clock, like=("TFAM",)
    ),
    "TFAM, no perturbation": _tfam(
        "aligned and unaligned view, unchanged spectra", "control", plug_in=_unperturbed, like=("TFAM",)
    ),
    "two equal views": _tfam(
        "nothing aligned, nothing perturbed", "control", plug_in=_equal_views, like=("TFAM",)
    ),
    "GIRL, random groups": _girl("groups with shuffled members", RandomGroups),
    "GIRL, true people": _girl("people as groups", PersonGroups),
    "GIRL, exponentiated gradient": _girl("online group weights, no ball", step=0.05),
    "PIUmr, random groups": _piumr("random groups", "control", RandomGroups),
    "PIUmr, true people": _piumr("people as groups", "control", PersonGroups),
}


def augmented(method: Method) -> Method:
    """The same with augmentation; it inherits hyperparameters from augmented methods."""
    like = tuple(f"{name} + augmentation" for name in method.like)
    return replace(method, augmented=True, like=like)


METHODS: dict[str, Method] = {
    "ERM": Method("cross-entropy, nothing else"),
    "augmentation": Method("warp, scale, and turn or mirror", augmented=True),
    **WITHOUT_AUGMENTATION,
    **{f"{name} + augmentation": augmented(m) for name, m in WITHOUT_AUGMENTATION.items()},
    "MiniRocket": Method("fixed convolutions, ridge classifier", classify=minirocket_ridge),
}


def row_of(method: str | Method) -> Method:
    """The row of a method in `METHODS`; a `Method` object need not be in the table.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(method, str) and method not in METHODS:
        raise unknown(method, METHODS, "method")
    return METHODS[method] if isinstance(method, str) else method


def hyperparameters_of(method: str | Method) -> dict[str, Hyperparameter]:
    """All hyperparameters of a method, the common ones included.

    Raises:
        ValueError: If the method is unknown.
    """
    row = row_of(method)
    return COMMON | (AUGMENTATION if row.augmented else {}) | dict(row.hyperparameters)


def resolve(method: str | Method, chosen: Mapping[str, Any] | None = None) -> Hyperparameters:
    """Defaults of a method, overridden by ``chosen``.

    Raises:
        ValueError: If the method or a hyperparameter is unknown, or a value is invalid.
    """
    name = method if isinstance(method, str) else method.about
    return put_in(name, hyperparameters_of(method) | NOT_SEARCHED, chosen)


def put_in(
    method: str, known: Mapping[str, Hyperparameter], chosen: Mapping[str, Any] | None
) -> Hyperparameters:
    """Defaults of the ``known`` hyperparameters, overridden by ``chosen``; ``method`` is for messages.

    Raises:
        ValueError: If a hyperparameter is unknown, or a value is invalid.
    """
    values = {name: one.default for name, one in known.items()}
    for name, value in (chosen or {}).items():
        if name not in known:
            raise unknown(name, known, "hyperparameter", method)
        values[name] = known[name].check(name, value)
    return values


def draw(method: str, number: int) -> Hyperparameters:
    """The ``number``-th set of hyperparameters that a search tries; number 0 is the defaults.

    The same number draws the same common hyperparameters and strength of augmentation for all methods,
    so that these do not favour any method. Draws differ as long as possible, so that a method with few
    hyperparameters tries as many sets as the others.
    """
    if number == 0:
        return {}
    sets = [dict(zip(COMMON, v, strict=True)) for v in product(*(h.values for h in COMMON.values()))]
    sets.remove({name: one.default for name, one in COMMON.items()})
    order, own = np.random.default_rng(0).permutation(len(sets)), np.random.default_rng([number, 1])
    drawn = {
        name: one.values[own.integers(len(one.values))]
        for name, one in (AUGMENTATION | dict(METHODS[method].hyperparameters)).items()
    }
    common = sets[order[(number - 1) % len(sets)]]
    return {name: (common | drawn)[name] for name in hyperparameters_of(method)}


def require_no_maps(method: str | Method) -> None:
    """Raise if a method needs features with height and width.

    Raises:
        ValueError: If it does.
    """
    if row_of(method).behind_stages is not None:
        name = method if isinstance(method, str) else method.about
        raise ValueError(
            f"method: {name!r} weighs places of feature maps, and clips here have no height and width. "
            "Train it on video (chapter 12), or choose 'HDF'."
        )


def build(
    method: str | Method,
    channels: int,
    classes: int,
    k: Hyperparameters,
    seed: int,
    parents: tuple[int, ...] | None = None,
) -> Recognizer:
    """Build a method's untrained recogniser; ``k`` from `resolve`, ``parents`` of a skeleton.

    Raises:
        ValueError: If the method has no recogniser or needs video, or a graph network gets no skeleton.
    """
    require_no_maps(method)
    method = row_of(method)
    if method.classify is not None:
        raise ValueError(f"method: {method.about!r} has no recogniser. Call its `classify`.")
    if k["backbone"] == "skeleton_graph" and parents is None:
        raise ValueError("backbone: skeleton_graph needs a skeleton. Give clips with `parents`.")
    layer = method.layer if k["layer"] is None else k["layer"]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = BACKBONES[k["backbone"]](channels, int(k["width"]), parents)
        width = width_behind(backbone, channels)
        # The plug-in is initialised last, so that the same seed gives all methods the same backbone.
        model = Recognizer(backbone, width, classes, at=layer)
        model.plug_in = method.plug_in(width_behind(backbone, channels, model.at), width, k)
    return model


def settings(
    method: str | Method, k: Hyperparameters, augmentation: str, seed: int, clips: int = 0
) -> Settings:
    """Training settings of a method, with ``k`` from `resolve`.

    ``augmentation`` is the kind that suits the data. The number of training clips is needed if ``k``
    counts updates.

    Raises:
        ValueError: If ``k`` counts updates and ``clips`` is missing.
    """
    epochs, batch = int(k["epochs"]), int(k["batch_size"])
    if k["updates"] is not None:
        if clips < 1:
            raise ValueError(f"clips: must be at least 1 to turn updates into epochs, got {clips}.")
        epochs = max(1, round(k["updates"] / max(1, round(clips / batch))))
    return Settings(
        epochs=epochs,
        batch_size=batch,
        learning_rate=k["learning_rate"],
        weight_decay=k["weight_decay"],
        augmentation=augmentation if row_of(method).augmented else "",
        strength=k.get("augmentation_strength", 1.0),
        seed=seed,
    )
