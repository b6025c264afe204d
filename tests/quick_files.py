"""The files of the tests that `pytest -m quick` runs.

Each takes less than 15 seconds of a CPU, all together 2 minutes; with two workers, half of that by the
clock. They need no executed chapter, browser or video, and nothing that only one system has.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

QUICK = (
    "test_alignment", "test_claims", "test_command", "test_contrasts", "test_data", "test_diagnostics",
    "test_dro", "test_exercises", "test_files", "test_folds", "test_fusion", "test_given",
    "test_group_robust", "test_joints", "test_ma52_config", "test_ma52_scores", "test_metrics",
    "test_objective", "test_perturbation", "test_plain_pickle", "test_plots", "test_pose_files",
    "test_poses", "test_positive_control", "test_pseudo_groups", "test_quick", "test_reclock",
    "test_recognizer", "test_records", "test_reference", "test_spectrum",
    "test_statistics", "test_synthetic", "test_tables", "test_temporal_frequency", "test_tfam",
    "test_training", "test_transport",
)  # fmt: skip


def mark_quick(items: Iterable[pytest.Item]) -> None:
    """Give the marker to every test of these files."""
    for item in items:
        if item.path.stem in QUICK:
            item.add_marker(pytest.mark.quick)
