"""Studies beside the comparison: sensitivity, size, people, shift, and the two open questions.

Each is a list of experiments on populations that the comparison never looks at (SPAR has only its ten
people: there, on search folds). An *attempt* pairs a method with what it has to beat, in a setting in
which it might.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from piumar_lib.experiments import Experiment, experiment
from piumar_lib.folds import SPARE, search_folds
from piumar_lib.methods import Knobs

SEEDS = range(2)

KNOBS: dict[str, tuple] = {
    "groups": (1, 2, 4, 8, 16),
    "step": (0.0, 0.01, 0.05, 0.2),
    "weight": (0.0, 0.03, 0.1, 0.5, 1.0),
    "boundary": (0.0, 1.0, 3.0, 10.0),
    "temperature": (0.25, 1.0, 4.0),
    "momentum": (0.0, 0.9, 0.98),
    "scale": (0.0, 0.5, 1.0, 2.0, 4.0),
    "steps": (8, 16, 32),
    "floor": (0.1, 0.3, 0.5, 0.7, 0.9),
    "amplitude_step": (0.0, 0.25, 0.5, 1.0),
}
EPSILONS = (0.02, 0.05, 0.1, 0.3)  # of "temporal, Sinkhorn"
GRID = {"groups": (2, 4, 8, 16), "weight": (0.0, 0.1, 0.5, 1.0)}
COMPARED = ("ERM", "augmentation", "TFAM", "PIUmr")
WIDTHS = (16, 32, 64)
PEOPLE = (5, 10, 20, 40, 80)
SHIFTS = (0.0, 0.5, 1.0, 1.5)


def sensitivity() -> list[Experiment]:
    """PIUmr with one knob changed at a time, groups by weight, and Sinkhorn's epsilon."""
    settings: list[tuple[str, Knobs]] = [("PIUmr", {})]
    settings += [("PIUmr", {name: value}) for name, values in KNOBS.items() for value in values]
    settings += [
        ("PIUmr", {"groups": g, "weight": w}) for g in GRID["groups"] for w in GRID["weight"]
    ]
    settings += [("temporal, Sinkhorn", {"epsilon": value}) for value in EPSILONS]
    return [
        experiment("synthetic", method, fold, seed, knobs)
        for seed in SEEDS
        for fold in SPARE
        for method, knobs in settings
    ]


def size() -> list[Experiment]:
    """The recogniser's width, the number of training people, the amount of style shift."""
    settings = [("synthetic", {"width": w}) for w in WIDTHS]
    # The number of clips stays: more people, fewer clips of each.
    settings += [(f"synthetic:people={n},clips={1600 // n}", {}) for n in PEOPLE]
    settings += [(f"synthetic:shift={s}", {}) for s in SHIFTS]
    return [
        experiment(data, method, fold, seed, knobs)
        for seed in SEEDS
        for fold in SPARE
        for data, knobs in settings
        for method in COMPARED
    ]


@dataclass(frozen=True)
class Attempt:
    """An honest attempt: does ``method`` beat ``against`` in this setting?

    Attributes:
        question: What is tried, in a few words.
        data: The setting. SPAR has no people to spare: there, attempts are judged on search folds,
            which split the same ten people otherwise than the comparison does.
        method, knobs: What is tried.
        against, against_knobs: What it has to beat.
    """

    question: str
    data: str
    method: str
    knobs: Knobs = field(default_factory=dict)
    against: str = "ERM"
    against_knobs: Knobs = field(default_factory=dict)

    def pairs(self) -> list[tuple[Experiment, Experiment]]:
        """What to run: the attempt and its opponent, fold by fold."""
        search = self.data.startswith("spar")
        where = search_folds(self.data) if search else SPARE[:3]
        return [
            (
                experiment(self.data, self.method, fold, seed, self.knobs, search),
                experiment(self.data, self.against, fold, seed, self.against_knobs, search),
            )
            for seed in SEEDS
            for fold in where
        ]


def _both(**knobs: float) -> dict[str, Knobs]:
    return {"knobs": dict(knobs), "against_knobs": dict(knobs)}


GIRL_ATTEMPTS = (
    Attempt("defaults", "synthetic", "GIRL"),
    Attempt("true people as groups", "synthetic", "GIRL, oracle groups"),
    Attempt("random groups", "synthetic", "GIRL, random groups"),
    Attempt("strong weight decay", "synthetic", "GIRL", **_both(weight_decay=1.0)),
    Attempt("early stopping, 8 epochs", "synthetic", "GIRL", **_both(epochs=8)),
    Attempt("larger model, width 96", "synthetic", "GIRL", **_both(width=96)),
    Attempt("52 actions, long tail", "synthetic-52", "GIRL"),
    Attempt("long tail, true people", "synthetic-52", "GIRL, oracle groups"),
    Attempt("four times the clips of each person", "synthetic:clips=160", "GIRL"),
    Attempt("few people", "synthetic:people=10", "GIRL"),
    Attempt("stronger shift", "synthetic:shift=1.5", "GIRL"),
    Attempt("every group counts alike", "synthetic", "GIRL, groups alike"),
    Attempt("groups within each class", "synthetic", "GIRL, groups of classes"),
    Attempt("groups of the early epochs", "synthetic", "GIRL, early groups"),
    Attempt("groups of loss trajectories", "synthetic", "GIRL, trajectories"),
    Attempt("groups of each batch", "synthetic", "GIRL, groups of a batch"),
    Attempt("soft groups", "synthetic", "GIRL, soft groups"),
    Attempt("quantiles of difficulty", "synthetic", "GIRL, difficulty"),
    Attempt("boundary weights alone", "synthetic", "GIRL", {"weight": 0.0, "step": 0.0}),
    Attempt("group weights alone", "synthetic", "GIRL", {"weight": 0.0, "boundary": 0.0}),
    Attempt("variance alone", "synthetic", "GIRL", {"step": 0.0, "boundary": 0.0}),
    Attempt("variance counts more", "synthetic", "GIRL", {"weight": 0.5}),
    Attempt("more, risks of the batch", "synthetic", "GIRL", {"weight": 0.5, "momentum": 0.0}),
    Attempt("fast group weights", "synthetic", "GIRL", {"step": 0.2}),
    Attempt("with augmentation", "synthetic", "GIRL + augmentation", against="augmentation"),
    Attempt("real repetitions", "spar-repetitions", "GIRL"),
    Attempt("real, true people", "spar-repetitions", "GIRL, oracle groups"),
    Attempt("real, difficulty", "spar-repetitions", "GIRL, difficulty"),
)

_REAL = "spar-repetitions"
ALIGNMENT_ATTEMPTS = (
    Attempt("augmentation, for comparison", _REAL, "augmentation"),
    Attempt("alignment at the input", _REAL, "temporal"),
    Attempt("alignment, no amplitude step", _REAL, "temporal", {"amplitude_step": 0.0}),
    Attempt("floor starts at 0.2", _REAL, "temporal", {"floor": 0.2}),
    Attempt("learned mass", _REAL, "temporal, learned mass"),
    Attempt("mass above noise", _REAL, "temporal, mass above noise"),
    Attempt("alignment of features", _REAL, "temporal", {"at": 1}),
    Attempt("aligned and itself, minimum", _REAL, "aligned and itself"),
    Attempt("falls back to itself", _REAL, "aligned, or itself"),
    Attempt("learned gate per clip", _REAL, "aligned or itself, learned"),
    Attempt("transport as augmentation", _REAL, "reclock"),
    Attempt("transport as augmentation, always", _REAL, "reclock", {"chance": 1.0}),
    Attempt("clock and size of others", _REAL, "reclock, size too"),
    Attempt("clip and its re-clocked self agree", _REAL, "reclock and itself"),
    Attempt(
        "transport as augmentation, on top", _REAL, "reclock + augmentation", against="augmentation"
    ),
    Attempt("alignment, on top", _REAL, "temporal + augmentation", against="augmentation"),
    Attempt("TFAM, on top", _REAL, "TFAM + augmentation", against="augmentation"),
    Attempt(
        "falls back to itself, on top", _REAL, "aligned or itself, augmented", against="augmentation"
    ),
    Attempt("own tempo: alignment", "spar-own-tempo", "temporal"),
    Attempt("own tempo: transport as augmentation", "spar-own-tempo", "reclock"),
    Attempt("own tempo: augmentation", "spar-own-tempo", "augmentation"),
    Attempt("synthetic: transport as augmentation", "synthetic", "reclock"),
    Attempt(
        "synthetic, on top", "synthetic", "reclock + augmentation", against="augmentation"
    ),
)


def attempts() -> list[Experiment]:
    """All attempts at the two open questions."""
    tried = (*ALIGNMENT_ATTEMPTS, *GIRL_ATTEMPTS)
    return [e for attempt in tried for pair in attempt.pairs() for e in pair]


STUDIES = {"sensitivity": sensitivity, "size": size, "attempts": attempts}
