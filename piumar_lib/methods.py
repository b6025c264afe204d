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
from torch import Tensor, nn

from piumar_lib import spectrum
from piumar_lib.alignment import MonotoneAlignment, MotionClock, UniformClock
from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.features import CORAL, DANN, DSU, MMD, MixStyle, Mixup, ReMA
from piumar_lib.baselines.groups import EIIL, IRM, JTT, CVaR, Fish, GroupDRO, VREx
from piumar_lib.baselines.hdf import HDFObjective, HDFPlug
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.girl import GIRL
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import Clips, Objective, Views
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import GroupSource, PersonGroups, RandomGroups, StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.tfam import TFAM, ConsistencyFusion, FrequencyBranch, Reclock, TemporalBranch
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


COMMON = {
    "rate": Knob(3e-3, (1e-3, 3e-3, 1e-2)),
    "weight_decay": Knob(1e-2, (1e-4, 1e-2, 1e-1)),
}
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


def _temporal(channels: int, k: Knobs, **options: Any) -> TemporalBranch:
    steps = None if k["steps"] is None else int(k["steps"])
    return TemporalBranch(channels, steps, **_pick(k, _TEMPORAL | _SINKHORN) | options)


def _frequency(k: Knobs, **options: Any) -> FrequencyBranch:
    return FrequencyBranch(**_pick(k, _FREQUENCY) | options)


def _reclock(k: Knobs, **options: Any) -> Reclock:
    return Reclock(k["chance"], k["floor"], **options)


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


def two_views(k: Knobs, over: Objective | None = None) -> TwoViews:
    """TFAM's objective, with knobs; ``over`` turns clips' losses into one."""
    return TwoViews(**_pick(k, _TWO_VIEWS), over=over)


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
    fusion: Callable[[Knobs], ConsistencyFusion] = lambda k: ConsistencyFusion(),
    objective: Callable[[Knobs], Objective] = _plain,
    kind: str = "ablation",
    **options: Any,
) -> Method:
    """TFAM with one thing changed."""

    def plug(channels: int, k: Knobs) -> TFAM:
        return TFAM(temporal(channels, k), frequency(k), fusion(k))

    return Method(about, kind, objective, plug, knobs=_TFAM, like="TFAM", **options)


def _like_piumr(about: str, kind: str = "ablation", told: bool = False, **options: Any) -> Method:
    """PIUmr with GIRL changed."""
    return Method(
        about, kind, lambda k: _girl(k, **options), _tfam, knobs=_PIUMR, like="PIUmr", told=told
    )


def _girl_attempt(about: str, told: bool = False, **options: Any) -> Method:
    """GIRL alone, changed."""
    return Method(about, "attempt", lambda k: _girl(k, **options), knobs=_GIRL, like="GIRL", told=told)


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


def _girl_2(
    about: str, source: type[GroupSource] = StyleGroups, step: float | None = None
) -> Method:
    """GIRL's second version alone, or with one thing changed."""
    like = "" if source is StyleGroups and step is None else "GIRL 2"
    return Method(
        about, "attempt", lambda k: group_robust(k, source, step), knobs=_GIRL_2, like=like,
        told=source is PersonGroups,
    )  # fmt: skip


def _piumr_2(k: Knobs) -> Objective:
    return two_views(k, over=group_robust(k))


class WorstDirection(Objective):
    """TFAM whose frequency branch perturbs along the worst direction instead of a random one."""

    def loss(self, model: Recognizer, batch: Clips) -> Tensor:
        """Find the direction on the plain recogniser, then hand it to the branch."""
        x = (batch.x - model.mean) / model.scale
        level = spectrum.log_amplitude(spectrum.to_spectrum(x))

        def plain(x: Tensor) -> Tensor:
            logits = model.head(model.backbone(x).mean(1))
            return nn.functional.cross_entropy(logits, batch.y, reduction="sum")

        model.eval()  # the running statistics belong to real clips
        deviation = spectrum.style_deviation(level, batch.y)
        model.plug.frequency.given = spectrum.adversarial_noise(x, deviation, plain)
        model.train()
        return super().loss(model, batch)


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
    "temporal": Method(
        "exact transport of motion energy", "ours", plug=_temporal, knobs=_TEMPORAL
    ),
    "temporal, Sinkhorn": Method(
        "transport to learnt anchors",
        "ours",
        plug=lambda channels, k: _temporal(channels, k, transport="sinkhorn"),
        knobs=_SINKHORN,
    ),
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
    "reclock": Method(
        "clips on the clocks of others",
        "ours",
        plug=lambda channels, k: _reclock(k),
        knobs=_RECLOCK,
    ),
    "reclock + augmentation": Method(
        "clips on the clocks of others, and augmentation",
        "ours",
        plug=lambda channels, k: _reclock(k),
        augmented=True,
        knobs=_RECLOCK,
    ),
    # Controls
    "two identity views": _like_tfam(
        "is it the second view?", lambda c, k: None, lambda k: None, kind="control"
    ),
    "uniform mass": _like_tfam(
        "TFAM with the clock left as it is",
        lambda c, k: _temporal(c, k, mass="uniform"),
        kind="control",
    ),
    "random groups": _like_piumr("PIUmr, groups drawn once", "control", source="random"),
    "oracle groups": _like_piumr("PIUmr, true people as groups", "control", True, source="person"),
    # Ablations of TFAM
    "TFAM, Sinkhorn": _like_tfam(
        "entropic transport to anchors", lambda c, k: _temporal(c, k, transport="sinkhorn")
    ),
    "TFAM, learned mass": _like_tfam(
        "mass is motion times a learned factor", lambda c, k: _temporal(c, k, mass="learned")
    ),
    "TFAM, mass above noise": _like_tfam(
        "mass is motion beyond the median", lambda c, k: _temporal(c, k, mass="above noise")
    ),
    "TFAM, no amplitude step": _like_tfam(
        "alignment in time alone", lambda c, k: _temporal(c, k, amplitude_step=0.0)
    ),
    "TFAM, total variance": _like_tfam(
        "classes' spectra are perturbed too", frequency=lambda k: _frequency(k, variance="total")
    ),
    "TFAM, low-rank noise": _like_tfam(
        "frequencies move together", frequency=lambda k: _frequency(k, noise="low-rank")
    ),
    "TFAM, residual of another": _like_tfam(
        "another clip's own deviation", frequency=lambda k: _frequency(k, noise="residual")
    ),
    "TFAM, worst direction": _like_tfam(
        "adversarial in the same ellipsoid", objective=lambda k: WorstDirection(_views(k))
    ),
    "TFAM, cosine transform": _like_tfam(
        "DCT instead of FFT", frequency=lambda k: _frequency(k, transform="dct")
    ),
    "TFAM, mean fusion": _like_tfam("no gate", fusion=lambda k: ConsistencyFusion("mean")),
    "TFAM, falls back": _like_tfam(
        "the perturbed view where they disagree", fusion=lambda k: ConsistencyFusion("fall back")
    ),
    "TFAM, learned fusion": _like_tfam(
        "the gate learns whom to trust",
        fusion=lambda k: ConsistencyFusion("learned", k["width"]),
    ),
    "TFAM, no consistency": _like_tfam(
        "views need not agree", objective=lambda k: _plain(k | {"consistency": 0.0})
    ),
    "TFAM, no supervision": _like_tfam(
        "the decision alone is trained", objective=lambda k: _plain(k | {"supervision": 0.0})
    ),
    "TFAM, no regulariser": _like_tfam(
        "laws of frames are free", objective=lambda k: _plain(k | {"regulariser": 0.0})
    ),
    # Ablations of GIRL
    "PIUmr, one group": _like_piumr("boundary weights alone", groups=1),
    "PIUmr, no boundary": _like_piumr("all clips of a group count alike", boundary=0.0),
    "PIUmr, even groups": _like_piumr("no group weights", step=0.0),
    "PIUmr, no variance": _like_piumr("group weights alone", weight=0.0),
    "PIUmr, groups alike": _like_piumr("small groups count as much as large ones", fair=False),
    "PIUmr, squared": _like_piumr("variance instead of its root", squared=True),
    # Attempts: see `piumar_lib.studies`
    "GIRL, oracle groups": _girl_attempt("true people", True, source="person"),
    "GIRL, random groups": _girl_attempt("drawn once", source="random"),
    "GIRL, groups of classes": _girl_attempt("groups within each class", per_class=True),
    "GIRL, early groups": _girl_attempt("kept from the third epoch on", until=2),
    "GIRL, soft groups": _girl_attempt("each clip in every group", softness=1.0),
    "GIRL, groups alike": _girl_attempt("small groups count as much as large ones", fair=False),
    "GIRL, groups of a batch": _girl_attempt("no memory", source="batch", step=0.0),
    "GIRL, difficulty": _girl_attempt("quantiles of losses", source="difficulty"),
    "GIRL, trajectories": _girl_attempt("clusters of loss curves", source="trajectory"),
    "GIRL + augmentation": Method("with augmentation", "attempt", _girl, augmented=True, knobs=_GIRL),
    "GIRL 2": _girl_2("worst weighting of style groups, hard clips"),
    "GIRL 2, random groups": _girl_2("members drawn by lot", RandomGroups),
    "GIRL 2, oracle groups": _girl_2("true people", PersonGroups),
    "GIRL 2, exponentiated gradient": _girl_2("online group weights, no ball", step=0.05),
    "reclock, size too": Method(
        "clock and amplitude of others",
        "attempt",
        plug=lambda channels, k: _reclock(k, amplitude=True),
        knobs=_RECLOCK,
    ),
    "reclock and itself": Method(
        "a clip and its re-clocked self agree",
        "attempt",
        _plain,
        lambda channels, k: TFAM(_reclock(k)),
        knobs=_RECLOCK | _VIEWS,
    ),
    "aligned and itself": _like_tfam(
        "the clip beside its aligned self", frequency=lambda k: None, kind="attempt"
    ),
    "aligned, or itself": _like_tfam(
        "falls back to the clip where they disagree",
        frequency=lambda k: None,
        fusion=lambda k: ConsistencyFusion("fall back"),
        kind="attempt",
    ),
    "aligned or itself, learned": _like_tfam(
        "a gate chooses for each clip",
        frequency=lambda k: None,
        fusion=lambda k: ConsistencyFusion("learned", k["width"]),
        kind="attempt",
    ),
    "aligned or itself, augmented": _like_tfam(
        "falls back to the clip, with augmentation",
        frequency=lambda k: None,
        fusion=lambda k: ConsistencyFusion("fall back"),
        kind="attempt",
        augmented=True,
    ),
    "temporal, learned mass": Method(
        "motion times a learned factor",
        "attempt",
        plug=lambda channels, k: _temporal(channels, k, mass="learned"),
        knobs=_TEMPORAL,
    ),
    "temporal, mass above noise": Method(
        "motion beyond the median",
        "attempt",
        plug=lambda channels, k: _temporal(channels, k, mass="above noise"),
        knobs=_TEMPORAL,
    ),
    "temporal + augmentation": Method(
        "alignment and augmentation", "attempt", plug=_temporal, augmented=True, knobs=_TEMPORAL
    ),
    # The second version of TFAM, with its control
    "TFAM 2": _like_tfam_2("common clock, smooth perturbation, adaptive fusion", like=""),
    "TFAM 2, features": _like_tfam_2("behind the first block", at="features"),
    "TFAM 2 + augmentation": _like_tfam_2("with augmentation", augmented=True),
    # TFAM's hyperparameters are held, so that the group-robust loss alone is compared.
    "PIUmr 2": _like_tfam_2(
        "TFAM 2 with GIRL 2 over it", objective=_piumr_2, knobs=_TFAM_2 | _GIRL_2
    ),
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


def build_method(
    method: Method, channels: int, classes: int, knobs: Knobs, seed: int
) -> Recognizer:
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
