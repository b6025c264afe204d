"""Sources of groups: clusters against scikit-learn's score, controls against what they control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from piumar_lib import pseudo_groups
from piumar_lib.batch import Batch
from piumar_lib.pseudo_groups import (
    PersonGroups,
    RandomGroups,
    StyleGroups,
    residual_style,
    style_of,
)

SOURCES = (StyleGroups(2), RandomGroups(2), PersonGroups())
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)


def clips(y):
    """Clips of given classes by four people."""
    index = torch.arange(len(y))
    return Batch(torch.zeros(len(y), 2, 1), y, index % 4, index)


def manners(classes=3, each=40, rare=8, features=5):
    """Styles in two manners, one of them rare, and classes that differ far more than manners do."""
    y = torch.arange(classes).repeat_interleave(each)
    manner = (torch.arange(each) < rare).long().repeat(classes)
    offset, way = 500 * torch.randn(classes, features), 10 * torch.randn(2, features)
    return offset[y] + way[manner] + 0.5 * torch.randn(len(y), features), y, manner


def test_style_is_mean_and_standard_deviation_over_time_detached():
    frames = torch.randn(4, 7, 3, requires_grad=True)
    numbers, style = frames.detach().numpy(), style_of(frames)
    expected = np.concatenate([numbers.mean(1), numbers.std(1)], axis=1)
    assert style.numpy() == pytest.approx(expected, abs=1e-6) and not style.requires_grad


@given(seed=st.integers(0, 999), unit=st.sampled_from([1e-12, 1e-3, 1.0, 1e6]))
def test_residual_style_knows_neither_class_nor_unit(seed, unit):
    torch.manual_seed(seed)
    style, y = torch.randn(30, 4).double(), torch.arange(30) % 3
    moved = unit * (style + torch.randint(-8, 8, (3, 4))[y])
    assert torch.allclose(residual_style(style, y), residual_style(moved, y), atol=1e-6)
    within = torch.stack([residual_style(style, y)[y == k].mean(0) for k in range(3)])
    assert within.numpy() == pytest.approx(0, abs=1e-9)
    assert residual_style(style, y).std(0, unbiased=False).numpy() == pytest.approx(1)


def test_what_never_varies_is_no_style():
    constant = torch.tensor([0.1, 7.3, 1e5])[torch.arange(30) % 3, None]
    assert residual_style(constant, torch.arange(30) % 3).eq(0).all()


@pytest.mark.parametrize("seed", range(4))
def test_style_groups_are_the_manners_of_each_class(seed):
    torch.manual_seed(seed)
    style, y, manner = manners()
    group = StyleGroups(2).find(style, clips(y), seed)
    assert adjusted_rand_score(2 * y + manner, group) == 1


def test_groups_never_mix_classes():
    style, y, _ = manners(classes=4)
    for source in (StyleGroups(3), RandomGroups(3)):
        group = source.find(style, clips(y), 0)
        assert all(len(y[group == g].unique()) == 1 for g in group.unique())
        assert len(group.unique()) == 12


def test_random_groups_have_the_sizes_of_style_groups_and_other_members():
    style, y, manner = manners(each=60, rare=12)
    chance, ours = (s.find(style, clips(y), 0) for s in (RandomGroups(2), StyleGroups(2)))
    assert torch.equal(chance.bincount(), ours.bincount())
    for k in range(3):
        assert abs(adjusted_rand_score(manner[y == k], chance[y == k])) < 0.15
        assert adjusted_rand_score(manner[y == k], ours[y == k]) == 1
    assert not torch.equal(RandomGroups(2).find(style, clips(y), 1), chance)


def test_persons_are_the_true_people():
    data = clips(torch.arange(30) % 3)
    assert torch.equal(PersonGroups().find(torch.randn(30, 2), data, 0), data.person)


@each_source
def test_equal_styles_and_seeds_give_equal_groups_and_leave_the_generator_alone(source):
    style, y, _ = manners()
    before = torch.get_rng_state()
    first, again = (source.find(style, clips(y), 5) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)


@each_source
@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_or_equal_clips_make_fewer_groups(source, n):
    y = torch.arange(n) % 2 * 3  # classes 1 and 2 have no clip
    for style in (torch.zeros(n, 3), torch.randn(n, 3)):
        group = source.find(style, clips(y), 0)
        assert group.shape == (n,) and group.dtype == torch.long
    if isinstance(source, StyleGroups):
        assert len(source.find(torch.zeros(n, 3), clips(y), 0).unique()) == len(y.unique())


def test_of_many_clips_a_sample_places_the_centres(monkeypatch):
    monkeypatch.setattr(pseudo_groups, "SAMPLE", 30)
    style, y, manner = manners(classes=1, each=300, rare=90)
    assert adjusted_rand_score(manner, StyleGroups(2).find(style, clips(y), 0)) == 1


@pytest.mark.parametrize("source", [StyleGroups, RandomGroups])
def test_a_number_of_groups_that_is_not_positive_is_refused(source):
    with pytest.raises(ValueError, match="each: must be a whole number, at least 1, got 0"):
        source(0)
