"""Checks of the exercises: ``check.NAME(answer)`` tries an answer and prints one line."""

from piumar_lib.check.appendix_robust_risks import cvar_bound
from piumar_lib.check.appendix_transport import between
from piumar_lib.check.consistency_fusion import (
    bias_for,
    consistency,
    fuse,
    gate,
    regularizer_weight,
)
from piumar_lib.check.costs import training_hours
from piumar_lib.check.evidence import best_gain, holm_by_hand
from piumar_lib.check.optimal_transport import (
    after_shift,
    log_sinkhorn,
    overlap_plan,
    project,
    soft_dtw,
)
from piumar_lib.check.person_shift import split_people, standard_error
from piumar_lib.check.piumr_from_scratch import worst_by_luck
from piumar_lib.check.prepare_ma52 import shared_people
from piumar_lib.check.pseudo_groups import (
    hard_weights,
    pair_index,
    shuffle_members,
    update_risks,
)
from piumar_lib.check.robust_optimisation import (
    exponentiated_weights,
    largest_weight,
    radius_for,
    worst_weights,
)
from piumar_lib.check.spectral_perturbation import log_gain, smooth_noise, swap_amplitude
from piumar_lib.check.start_here import fastest_people
from piumar_lib.check.temporal_alignment import borrow_clock, undo
from piumar_lib.check.train_ma52 import optimism

__all__ = [
    "after_shift", "best_gain", "between", "bias_for", "borrow_clock", "consistency", "cvar_bound",
    "exponentiated_weights", "fastest_people", "fuse", "gate", "hard_weights", "holm_by_hand",
    "largest_weight", "log_gain", "log_sinkhorn", "optimism", "overlap_plan", "pair_index", "project",
    "radius_for", "regularizer_weight", "shared_people", "shuffle_members", "smooth_noise", "soft_dtw",
    "split_people", "standard_error", "swap_amplitude", "training_hours", "undo", "update_risks",
    "worst_by_luck", "worst_weights",
]  # fmt: skip
