"""Figures show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from piumar_lib.data.skeleton import LIMBS, POSES
from piumar_lib.notebook import plots, triangle


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_skeleton_stands_upright_and_has_all_limbs(ax):
    plots.skeleton(ax, POSES)
    assert len(ax.lines) == len(LIMBS)
    bottom, top = ax.get_ylim()
    assert bottom > top  # y points downward, so the head is above the feet


def test_clip_magnifies_the_movement_about_its_mean(ax):
    poses = np.stack([POSES, POSES + (0.1, 0)])
    plots.clip(ax, poses, shown=2, magnify=3.0)
    first, last = ax.lines[0].get_xdata(), ax.lines[len(LIMBS)].get_xdata()
    assert last - first == pytest.approx([0.3, 0.3])
    assert ax.lines[0].get_alpha() < ax.lines[len(LIMBS)].get_alpha()


def test_plan_has_time_to_the_right_and_steps_upward(ax):
    plots.plan(ax, np.arange(6.0).reshape(3, 2))
    (image,) = ax.images
    assert image.get_array().shape == (2, 3) and image.origin == "lower"


def test_known_and_unseen_bars_have_their_heights_and_unseen_are_hatched(ax):
    plots.known_and_unseen(ax, ["a", "b"], [90, 80], [70, 60])
    assert [bar.get_height() for bar in ax.patches] == [90, 80, 70, 60]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True, True]


def test_forest_puts_the_first_name_on_top(ax):
    plots.forest(ax, ["first", "second"], [1.0, 2.0], [0.5, 1.0], [1.5, 4.0], reference=0)
    names = [text.get_text() for text in ax.get_yticklabels()]
    labels = dict(zip(names, ax.get_yticks(), strict=True))
    assert labels["first"] > labels["second"]
    segments = [s[:, 0].tolist() for s in ax.collections[0].get_segments()]
    assert segments == [[0.5, 1.5], [1.0, 4.0]]


def test_people_bars_go_from_best_to_worst(ax):
    plots.people_bars(ax, {1: 0.2, 2: 0.9, 3: 0.5})
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([90, 50, 20])


def test_a_triangle_of_weights_has_one_group_at_each_corner(ax):
    assert triangle.place(np.eye(3)).tolist() == triangle.CORNERS.tolist()
    assert triangle.place(np.full(3, 1 / 3)) == pytest.approx([0.5, 0.75**0.5 / 3])
    triangle.shade(ax, [0.2, 0.4, 0.9])
    assert [text.get_text() for text in ax.texts] == ["A: 0.2", "B: 0.4", "C: 0.9"]
    values = triangle.GRID @ [0.2, 0.4, 0.9]
    assert (values.min(), values.max()) == pytest.approx((0.2, 0.9))


def test_an_outline_is_where_the_divergence_is_the_radius(ax):
    triangle.outline(ax, lambda p: ((3 * p - 1) ** 2).sum(1) / 6, 0.15)
    (path,) = ax.collections[0].get_paths()
    away = np.linalg.norm(path.vertices - triangle.CORNERS.mean(0), axis=1)
    # |p - 1/3| = sqrt(2 rho / 3), and a step of the weights is shorter by root 2 in the triangle.
    assert away == pytest.approx(np.full(len(away), (2 * 0.15 / 3) ** 0.5 / 2**0.5), rel=1e-3)
