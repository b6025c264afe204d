"""Every method that the course compares, and the one table of their hyperparameters.

A method says how a recogniser is built and trained: what is plugged in, what is minimised, whether
clips are augmented. Each value that it could choose is a `Knob` with default, range and source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn

from piumar_lib.alignment import MonotoneAlignment, MotionClock, UniformClock
from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.features import CORAL, DANN, DSU, MMD, MixStyle, Mixup
from piumar_lib.baselines.groups import EIIL, IRM, JTT, CVaR, Fish, GroupDRO, VREx
from piumar_lib.baselines.hdf import HDFObjective, HDFPlug
from piumar_lib.baselines.reclock import Reclock
from piumar_lib.baselines.rema import ReMA
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.girl import GIRL
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import Objective, Views
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import GroupSource, PersonGroups, RandomGroups, StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.tfam import TFAM, FrequencyBranch, TemporalBranch
from piumar_lib.training import Settings

Knobs = dict[str, Any]


@dataclass(frozen=True)
class Knob:
    """One hyperparameter: its default, the values that a search may draw, and who says so."""

    default: Any
    values: tuple
    source: str = "ours"


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        about: What it is, in a few words.
        kind: ``"baseline"``, ``"ours"``, ``"control"``, ``"ablation"`` or ``"attempt"``.
        objective: From knobs to what is minimised.
        plug: From channels and knobs to what is plugged into the recogniser, or None.
        at: The layer before which it sits, as in `Recognizer`.
        augmented: Whether training clips are augmented.
        knobs: Its own hyperparameters, besides those of `COMMON`.
        like: The method whose chosen hyperparameters it takes over, for ablations and controls.
        told: Whether it is given true person labels.
        archived: Whether its records alone are kept, see `FIRST_VERSION`.
    """

    about: str
    kind: str
    objective: Callable[[Knobs], Objective] = lambda k: Objective()
    plug: Callable[[int, Knobs], nn.Module | None] = lambda channels, k: None
    at: int | str = 0
    augmented: bool = False
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    like: str = ""
    told: bool = False
    archived: bool = False


COMMON = {
    "rate": Knob(3e-3, (1e-3, 3e-3, 1e-2)),
    "weight_decay": Knob(1e-2, (1e-4, 1e-2, 1e-1)),
}
# The last commit that trains all rows of the first version. Where a row is archived, its records are
# shown by chapter 09, and its code went.
FIRST_VERSION = "457645a"
FIXED = {"epochs": 20, "batch": 64, "width": 32, "at": None, "steps": None}  # never searched, may be set

_POSITIVE = ("rate", "epochs", "batch", "width", "steps", "alpha", "temperature", "epsilon")
_POSITIVE += ("groups", "anchors")
_WHOLE = ("epochs", "batch", "width", "steps", "at", "groups", "anchors")
_SHARES = ("probability", "chance", "share", "floor", "first", "anneal", "momentum")
_BED = "DomainBed"
_TEMPORAL = {"amplitude_step": Knob(0.5, (0.0, 0.25, 0.5, 1.0)), "floor": Knob(0.5, (0.2, 0.5, 0.8))}
_SINKHORN = {
    "amplitude_step": Knob(0.5, (0.0, 0.25, 0.5, 1.0)),
    "epsilon": Knob(0.05, (0.05, 0.1, 0.2)),
    "anchors": Knob(16, (8, 16, 32)),
}
_FREQUENCY = {"scale": Knob(1.0, (0.25, 0.5, 1.0, 2.0)), "probability": Knob(0.5, (0.25, 0.5, 1.0))}
_VIEWS = {
    "supervision": Knob(0.5, (0.25, 0.5, 1.0)),
    "consistency": Knob(1.0, (0.3, 1.0, 3.0)),
    "regulariser": Knob(0.01, (0.0, 0.01, 0.1)),
}
_GIRL = {
    "groups": Knob(4, (2, 4, 8)),
    "step": Knob(0.01, (0.0, 0.01, 0.05)),
    "weight": Knob(0.1, (0.03, 0.1, 0.5)),
    "boundary": Knob(1.0, (0.3, 1.0, 3.0)),
    "temperature": Knob(1.0, (0.5, 1.0, 2.0)),
    "momentum": Knob(0.9, (0.0, 0.9)),
}
_GIRL_2 = {
    "groups": Knob(4, (2, 4, 8)),
    "radius": Knob(0.05, (0.02, 0.05, 0.1, 0.2)),
    "beta": Knob(1.0, (0.3, 1.0, 3.0)),
    "temperature": Knob(1.0, (0.5, 1.0, 2.0)),
    "momentum": Knob(0.9, (0.9, 0.97)),
}
_RECLOCK = {"chance": Knob(0.5, (0.25, 0.5, 1.0)), "floor": Knob(0.5, (0.2, 0.5, 0.8))}
_ALIGNMENT = {"amplitude_step": Knob(0.5, (0.0, 0.5, 1.0)), "floor": Knob(0.1, (0.05, 0.1, 0.2))}
_PERTURBATION = {"scale": Knob(1.0, (0.5, 1.0, 2.0)), "probability": Knob(0.5, (0.25, 0.5, 1.0))}
_TWO_VIEWS = {
    "supervision": Knob(0.5, (0.25, 0.5, 1.0)),
    "consistency": Knob(1.0, (0.3, 1.0, 3.0)),
    "regulariser_share": Knob(0.1, (0.05, 0.1, 0.2)),
}
_TFAM_2 = _ALIGNMENT | _PERTURBATION | _TWO_VIEWS
_TFAM = _TEMPORAL | _FREQUENCY | _VIEWS
_PIUMR = _TFAM | _GIRL


def _pick(k: Knobs, names: Mapping[str, Knob]) -> Knobs:
    return {name: k[name] for name in names if name in k}


def _views(k: Knobs) -> Views:
    return Views(**_pick(k, _VIEWS))


def _plain(k: Knobs) -> Objective:
    return Objective(_views(k))


def _girl(k: Knobs, **options: Any) -> Objective:
    return GIRL(**_pick(k, _GIRL) | options, views=_views(k))


def _temporal(channels: int, k: Knobs, mass: str = "motion") -> TemporalBranch:
    steps = None if k["steps"] is None else int(k["steps"])
    return TemporalBranch(steps=steps, mass=mass, **_pick(k, _TEMPORAL))


def _frequency(k: Knobs) -> FrequencyBranch:
    return FrequencyBranch(**_pick(k, _FREQUENCY))


def _reclock(channels: int, k: Knobs) -> Reclock:
    return Reclock(k["chance"], k["floor"])


def _tfam(channels: int, k: Knobs) -> TFAM:
    return TFAM(_temporal(channels, k), _frequency(k))


def temporal_frequency(
    channels: int, k: Knobs, clock: type[nn.Module] | None = None
) -> TemporalFrequencyModule:
    """TFAM's second version, with knobs."""
    steps = 16 if k["steps"] is None else int(k["steps"])
    clock = MotionClock(k["floor"]) if clock is None else clock()
    return TemporalFrequencyModule(
        MonotoneAlignment(steps, clock, k["amplitude_step"]),
        SpectralPerturbation(channels, **_pick(k, _PERTURBATION)),
        AdaptiveFusion(int(k["width"])),
    )


def two_views(
    k: Knobs, over: Objective | None = None, kind: type[TwoViews] = TwoViews
) -> TwoViews:
    """TFAM's objective, with knobs; ``over`` turns clips' losses into one."""
    return kind(**_pick(k, _TWO_VIEWS), over=over)


def _like_tfam_2(about: str, **options: Any) -> Method:
    """The second version of TFAM with one thing changed; it is not searched anew."""
    chosen = {
        "objective": two_views, "plug": temporal_frequency, "knobs": _TFAM_2, "like": "TFAM 2",
    } | options  # fmt: skip
    return Method(about, "attempt", **chosen)


def _baseline(about: str, objective: type[Objective], told: bool = False, **knobs: Knob) -> Method:
    """A method at loss level whose knobs are its arguments."""
    return Method(about, "baseline", lambda k: objective(**_pick(k, knobs)), knobs=knobs, told=told)


def _like_tfam(
    about: str,
    temporal: Callable[[int, Knobs], nn.Module | None] = _temporal,
    frequency: Callable[[Knobs], nn.Module | None] = _frequency,
) -> Method:
    """The first version's TFAM with one branch changed, as a control."""

    def plug(channels: int, k: Knobs) -> TFAM:
        return TFAM(temporal(channels, k), frequency(k))

    return Method(about, "control", _plain, plug, knobs=_TFAM, like="TFAM")


def _like_piumr(about: str, told: bool = False, **options: Any) -> Method:
    """The first version's PIUmr with other groups, as a control."""
    return Method(
        about, "control", lambda k: _girl(k, **options), _tfam, knobs=_PIUMR, like="PIUmr", told=told
    )


def _archived(about: str, like: str = "", kind: str = "ablation", **options: Any) -> Method:
    """A row of the first version whose code went; ``like`` says whose hyperparameters it has."""

    def gone(*_: Any) -> Any:
        raise ValueError(
            f"method: {about!r} is of the first version, whose records alone are kept. To train it, "
            f"check out commit {FIRST_VERSION}."
        )

    knobs = {"TFAM": _TFAM, "PIUmr": _PIUMR, "GIRL": _GIRL}.get(like, {})
    chosen = {"objective": gone, "plug": gone, "knobs": knobs, "like": like} | options
    return Method(about, kind, archived=True, **chosen)


def group_robust(
    k: Knobs,
    source: type[GroupSource] = StyleGroups,
    step: float | None = None,
    kind: type[GroupRobustObjective] = GroupRobustObjective,
) -> GroupRobustObjective:
    """GIRL's second version, with knobs; ``step`` of exponentiated gradient, if so."""
    groups = source() if source is PersonGroups else source(int(k["groups"]))
    own = {name: k[name] for name in ("radius", "beta", "temperature", "momentum")}
    return kind(groups, step=step, **own, views=_views(k))


def _girl_2(about: str, source: type[GroupSource] = StyleGroups, step: float | None = None) -> Method:
    """GIRL's second version alone, or with one thing changed."""
    like = "" if source is StyleGroups and step is None else "GIRL 2"
    return Method(
        about, "attempt", lambda k: group_robust(k, source, step), knobs=_GIRL_2, like=like,
        told=source is PersonGroups,
    )  # fmt: skip


def _piumr_2(k: Knobs) -> Objective:
    return two_views(k, over=group_robust(k))


METHODS: dict[str, Method] = {
    # Baselines
    "ERM": Method("cross-entropy, nothing else", "baseline"),
    "augmentation": Method("warp, rotate, mirror or scale", "baseline", augmented=True),
    "Mixup": _baseline("blends of two clips", Mixup, alpha=Knob(0.2, (0.1, 0.2, 0.5), _BED)),
    "ReMA": _baseline(
        "parts of another clip of the class",
        ReMA,
        probability=Knob(0.5, (0.25, 0.5, 1.0)),
        share=Knob(0.5, (0.25, 0.5, 0.75)),
    ),
    "MixStyle": Method(
        "exchanged feature statistics",
        "baseline",
        plug=lambda channels, k: MixStyle(k["probability"], k["alpha"]),
        at=1,
        knobs={
            "probability": Knob(0.5, (0.25, 0.5, 1.0), "Zhou et al."),
            "alpha": Knob(0.1, (0.1, 0.3, 1.0), "Zhou et al."),
        },
    ),
    "DSU": Method(
        "perturbed feature statistics",
        "baseline",
        plug=lambda channels, k: DSU(k["probability"], k["factor"]),
        at=1,
        knobs={
            "probability": Knob(0.5, (0.25, 0.5, 1.0), "Li et al."),
            "factor": Knob(1.0, (0.5, 1.0, 2.0), "Li et al."),
        },
    ),
    "CORAL": _baseline(
        "equal covariances of people", CORAL, True, weight=Knob(1.0, (0.1, 1.0, 10.0), _BED)
    ),
    "MMD": _baseline(
        "equal laws of people's features", MMD, True, weight=Knob(1.0, (0.1, 1.0, 10.0), _BED)
    ),
    "DANN": _baseline(
        "an adversary that looks for people", DANN, True, weight=Knob(1.0, (0.01, 0.1, 1.0), _BED)
    ),
    "IRM": _baseline(
        "one classifier, optimal for all",
        IRM,
        True,
        weight=Knob(100.0, (0.1, 1.0, 10.0, 100.0), _BED),
        anneal=Knob(0.1, (0.1, 0.5), _BED),
    ),
    "V-REx": _baseline(
        "variance of people's risks",
        VREx,
        True,
        weight=Knob(10.0, (0.1, 1.0, 10.0), _BED),
        anneal=Knob(0.1, (0.1, 0.5), _BED),
    ),
    "GroupDRO": _baseline(
        "worst weighting of people", GroupDRO, True, step=Knob(0.01, (0.001, 0.01, 0.1), _BED)
    ),
    "Fish": _baseline(
        "agreeing gradients of people", Fish, True, share=Knob(0.5, (0.1, 0.5, 0.9), _BED)
    ),
    "CVaR": _baseline("the worst clips", CVaR, alpha=Knob(0.1, (0.1, 0.3, 0.5, 0.8), "Levy et al.")),
    "JTT": _baseline(
        "first mistakes count more",
        JTT,
        weight=Knob(10.0, (2.0, 5.0, 10.0), "Liu et al."),
        first=Knob(0.25, (0.1, 0.25, 0.5)),
    ),
    "EIIL": _baseline(
        "inferred environments",
        EIIL,
        step=Knob(0.01, (0.001, 0.01, 0.1), "Creager et al."),
        first=Knob(0.25, (0.1, 0.25, 0.5)),
    ),
    "HDF": Method(
        "gate, spectral noise, sharpness",
        "baseline",
        lambda k: HDFObjective(k["contrast"], k["trace"], k["radius"]),
        lambda channels, k: HDFPlug(),
        at=2,
        knobs={
            "contrast": Knob(0.1, (0.03, 0.1, 0.3)),
            "trace": Knob(0.01, (0.0, 0.01, 0.1)),
            "radius": Knob(0.05, (0.02, 0.05, 0.1), "HDF"),
        },
    ),
    # Ours
    "temporal": Method("exact transport of motion energy", "ours", plug=_temporal, knobs=_TEMPORAL),
    "temporal, Sinkhorn": _archived("transport to learnt anchors", kind="ours", knobs=_SINKHORN),
    "frequency": Method(
        "variance-guided perturbation",
        "ours",
        plug=lambda channels, k: _frequency(k),
        knobs=_FREQUENCY,
    ),
    "TFAM": Method("both branches, fused", "ours", _plain, _tfam, knobs=_TFAM),
    "GIRL": Method("pseudo-groups, worst weighting, even risks", "ours", _girl, knobs=_GIRL),
    "PIUmr": Method("TFAM and GIRL", "ours", _girl, _tfam, knobs=_PIUMR),
    "TFAM + augmentation": Method(
        "both branches and augmentation", "ours", _plain, _tfam, augmented=True, knobs=_TFAM
    ),
    "PIUmr + augmentation": Method(
        "the whole method and augmentation", "ours", _girl, _tfam, augmented=True, knobs=_PIUMR
    ),
    "reclock": Method("clips on the clocks of others", "ours", plug=_reclock, knobs=_RECLOCK),
    "reclock + augmentation": Method(
        "clips on the clocks of others, and augmentation",
        "ours",
        plug=_reclock,
        augmented=True,
        knobs=_RECLOCK,
    ),
    # Controls
    "two identity views": _like_tfam("is it the second view?", lambda c, k: None, lambda k: None),
    "uniform mass": _like_tfam(
        "TFAM with the clock left as it is", lambda c, k: _temporal(c, k, mass="uniform")
    ),
    "random groups": _like_piumr("PIUmr, groups drawn once", source="random"),
    "oracle groups": _like_piumr("PIUmr, true people as groups", True, source="person"),
    # Ablations of the first version's TFAM
    "TFAM, Sinkhorn": _archived("entropic transport to anchors", "TFAM"),
    "TFAM, learned mass": _archived("mass is motion times a learned factor", "TFAM"),
    "TFAM, mass above noise": _archived("mass is motion beyond the median", "TFAM"),
    "TFAM, no amplitude step": _archived("alignment in time alone", "TFAM"),
    "TFAM, total variance": _archived("classes' spectra are perturbed too", "TFAM"),
    "TFAM, low-rank noise": _archived("frequencies move together", "TFAM"),
    "TFAM, residual of another": _archived("another clip's own deviation", "TFAM"),
    "TFAM, worst direction": _archived("adversarial in the same ellipsoid", "TFAM"),
    "TFAM, cosine transform": _archived("DCT instead of FFT", "TFAM"),
    "TFAM, mean fusion": _archived("no gate", "TFAM"),
    "TFAM, falls back": _archived("the perturbed view where they disagree", "TFAM"),
    "TFAM, learned fusion": _archived("the gate learns whom to trust", "TFAM"),
    "TFAM, no consistency": _archived("views need not agree", "TFAM"),
    "TFAM, no supervision": _archived("the decision alone is trained", "TFAM"),
    "TFAM, no regulariser": _archived("laws of frames are free", "TFAM"),
    # Ablations of the first version's GIRL
    "PIUmr, one group": _archived("boundary weights alone", "PIUmr"),
    "PIUmr, no boundary": _archived("all clips of a group count alike", "PIUmr"),
    "PIUmr, even groups": _archived("no group weights", "PIUmr"),
    "PIUmr, no variance": _archived("group weights alone", "PIUmr"),
    "PIUmr, groups alike": _archived("small groups count as much as large ones", "PIUmr"),
    "PIUmr, squared": _archived("variance instead of its root", "PIUmr"),
    # Attempts with the first version: see `piumar_lib.studies`
    "GIRL, oracle groups": _archived("true people", "GIRL", "attempt", told=True),
    "GIRL, random groups": _archived("drawn once", "GIRL", "attempt"),
    "GIRL, groups of classes": _archived("groups within each class", "GIRL", "attempt"),
    "GIRL, early groups": _archived("kept from the third epoch on", "GIRL", "attempt"),
    "GIRL, soft groups": _archived("each clip in every group", "GIRL", "attempt"),
    "GIRL, groups alike": _archived("small groups count as much as large ones", "GIRL", "attempt"),
    "GIRL, groups of a batch": _archived("no memory", "GIRL", "attempt"),
    "GIRL, difficulty": _archived("quantiles of losses", "GIRL", "attempt"),
    "GIRL, trajectories": _archived("clusters of loss curves", "GIRL", "attempt"),
    "GIRL + augmentation": _archived("with augmentation", "", "attempt", augmented=True, knobs=_GIRL),
    "reclock, size too": _archived("clock and amplitude of others", "", "attempt", knobs=_RECLOCK),
    "reclock and itself": _archived(
        "a clip and its re-clocked self agree", "", "attempt", knobs=_RECLOCK | _VIEWS
    ),
    "aligned and itself": _archived("the clip beside its aligned self", "TFAM", "attempt"),
    "aligned, or itself": _archived("falls back to the clip where they disagree", "TFAM", "attempt"),
    "aligned or itself, learned": _archived("a gate chooses for each clip", "TFAM", "attempt"),
    "aligned or itself, augmented": _archived(
        "falls back to the clip, with augmentation", "TFAM", "attempt", augmented=True
    ),
    "temporal, learned mass": _archived(
        "motion times a learned factor", "", "attempt", knobs=_TEMPORAL
    ),
    "temporal, mass above noise": _archived(
        "motion beyond the median", "", "attempt", knobs=_TEMPORAL
    ),
    "temporal + augmentation": _archived(
        "alignment and augmentation", "", "attempt", augmented=True, knobs=_TEMPORAL
    ),
    # The second version, with its controls
    "GIRL 2": _girl_2("worst weighting of style groups, hard clips"),
    "GIRL 2, random groups": _girl_2("members drawn by lot", RandomGroups),
    "GIRL 2, oracle groups": _girl_2("true people", PersonGroups),
    "GIRL 2, exponentiated gradient": _girl_2("online group weights, no ball", step=0.05),
    "TFAM 2": _like_tfam_2("common clock, smooth perturbation, adaptive fusion", like=""),
    "TFAM 2, features": _like_tfam_2("behind the first block", at="features"),
    "TFAM 2 + augmentation": _like_tfam_2("with augmentation", augmented=True),
    # TFAM's hyperparameters are held, so that the group-robust loss alone is compared.
    "PIUmr 2": _like_tfam_2("TFAM 2 with GIRL 2 over it", objective=_piumr_2, knobs=_TFAM_2 | _GIRL_2),
    "PIUmr 2 + augmentation": _like_tfam_2(
        "both, with augmentation", objective=_piumr_2, knobs=_TFAM_2 | _GIRL_2, augmented=True
    ),
    "TFAM 2, uniform clock + augmentation": _like_tfam_2(
        "two views and nothing aligned, with augmentation",
        plug=lambda channels, k: temporal_frequency(channels, k, UniformClock),
        augmented=True,
    ),
}


def knobs_of(method: str) -> dict[str, Knob]:
    """All hyperparameters of a method, the common ones included.

    Raises:
        ValueError: If the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is unknown. Choose from {', '.join(METHODS)}.")
    return COMMON | dict(METHODS[method].knobs)


def resolve(method: str, chosen: Mapping[str, Any] | None = None) -> Knobs:
    """Defaults of a method, with ``chosen`` put in.

    Raises:
        ValueError: If the method or a hyperparameter is unknown, or a value is not a number.
    """
    return put_in(method, knobs_of(method), chosen)


def put_in(method: str, knobs: Mapping[str, Knob], chosen: Mapping[str, Any] | None) -> Knobs:
    """What `resolve` does, for a method that need not be in the table; ``method`` is for messages."""
    known = {name: knob.default for name, knob in knobs.items()} | FIXED
    for name, value in (chosen or {}).items():
        if name not in known:
            raise ValueError(f"{name}: {method} has no such knob. Choose from {', '.join(known)}.")
        if value is None and FIXED.get(name, 0) is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise ValueError(f"{name}: {value!r} is not a number. Give a finite one.")
        low, high = (1e-12 if name in _POSITIVE else 0), (1 if name in _SHARES else np.inf)
        if not low <= value <= high:
            raise ValueError(f"{name}: {value} is out of range. Choose it in [{low}, {high}].")
        if name in _WHOLE and value != int(value):
            raise ValueError(f"{name}: {value} is not a whole number. Round it.")
        # Equal values have to look the same in a record: not 1 here and 1.0 there.
        known[name] = int(value) if name in _WHOLE else float(value)
    return known


def draw(method: str, number: int) -> Knobs:
    """The ``number``-th set of hyperparameters that a search tries; number 0 is the defaults.

    Equal numbers draw equal common knobs for all methods, so that none is luckier in these; and other
    ones as long as there are any, so that a method with few knobs tries as many sets as the others.
    """
    if number == 0:
        return {}
    sets = [dict(zip(COMMON, v, strict=True)) for v in product(*(k.values for k in COMMON.values()))]
    sets.remove({name: knob.default for name, knob in COMMON.items()})
    order, own = np.random.default_rng(0).permutation(len(sets)), np.random.default_rng([number, 1])
    return sets[order[(number - 1) % len(sets)]] | {
        name: knob.values[own.integers(len(knob.values))] for name, knob in METHODS[method].knobs.items()
    }


def build(method: str, channels: int, classes: int, knobs: Knobs, seed: int) -> Recognizer:
    """Build a method's untrained recogniser; ``knobs`` from `resolve`."""
    return build_method(METHODS[method], channels, classes, knobs, seed)


def build_method(method: Method, channels: int, classes: int, knobs: Knobs, seed: int) -> Recognizer:
    """Build the untrained recogniser of a method that need not be in the table."""
    width = int(knobs["width"])
    at = method.at if knobs["at"] is None else knobs["at"]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = tiny_cnn(channels, width)
        # The plug draws its numbers last, so that the same seed gives all methods one backbone.
        model = Recognizer(backbone, width, classes, at=at)
        model.plug = method.plug(channels if model.at == 0 else width, knobs)
    return model


def settings(method: str, knobs: Knobs, augmentation: str, seed: int) -> Settings:
    """How a method trains; ``augmentation`` is the kind that suits the data."""
    return settings_of(METHODS[method], knobs, augmentation, seed)


def settings_of(method: Method, knobs: Knobs, augmentation: str, seed: int) -> Settings:
    """How a method that need not be in the table trains."""
    return Settings(
        epochs=int(knobs["epochs"]),
        batch=int(knobs["batch"]),
        rate=knobs["rate"],
        weight_decay=knobs["weight_decay"],
        augmentation=augmentation if method.augmented else "",
        seed=seed,
    )
