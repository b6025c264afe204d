"""Scores and their statistics, against scikit-learn, SciPy, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from piumar_lib import metrics

seeds = st.integers(0, 2**32 - 1)


def clips(seed, n=60, classes=5, people=4):
    """True and predicted classes, and who made each clip."""
    rng = np.random.default_rng(seed)
    y, person = rng.integers(0, classes, n), 10 * rng.integers(0, people, n)
    return y, np.where(rng.random(n) < 0.6, y, rng.integers(0, classes, n)), person


@given(seeds, st.integers(1, 60), st.integers(2, 9))
def test_f1_is_scikit_learns(seed, n, classes):
    y, predicted, _ = clips(seed, n, classes)
    macro, micro = metrics.f1(y, predicted, classes)
    labels = range(classes)
    expected = f1_score(y, predicted, labels=labels, average=None, zero_division=0).mean()
    assert macro == pytest.approx(expected)
    assert micro == pytest.approx(accuracy_score(y, predicted))


def test_f1_by_hand_counts_classes_that_no_clip_shows():
    y, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    # Class 0: precision 1, recall 1/2. Class 1: precision 2/3, recall 1. Class 2: nothing.
    assert metrics.f1(y, predicted, 2) == pytest.approx(((2 / 3 + 4 / 5) / 2, 3 / 4))
    assert metrics.f1(y, predicted, 3) == pytest.approx(((2 / 3 + 4 / 5) / 3, 3 / 4))


@given(seeds)
def test_order_does_not_matter(seed):
    y, predicted, person = clips(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    correct = y == predicted
    assert metrics.f1(y[order], predicted[order], 5) == metrics.f1(y, predicted, 5)
    shuffled = metrics.accuracy_by_person(correct[order], person[order])
    assert shuffled == pytest.approx(metrics.accuracy_by_person(correct, person))
    scores = np.random.default_rng(seed).random(13)
    again = np.random.default_rng(seed + 1).permutation(scores)
    assert metrics.worst_quarter(scores) == pytest.approx(metrics.worst_quarter(again))
    p = np.random.default_rng(seed).random(7) / 10
    order = np.random.default_rng(seed).permutation(7)
    assert metrics.holm(p)[order] == pytest.approx(metrics.holm(p[order]))


@given(seeds, st.integers(1, 80))
def test_people_pool_back_to_the_total(seed, n):
    y, predicted, person = clips(seed, n)
    scores = metrics.accuracy_by_person(y == predicted, person)
    assert list(scores) == sorted(set(person.tolist()))
    pooled = sum((person == p).sum() * score for p, score in scores.items()) / n
    assert pooled == pytest.approx(accuracy_score(y, predicted))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5], 0.5),
        ([0.9, 0.2, 0.7], 0.2),
        ([0.9, 0.2, 0.7, 0.4], 0.2),
        ([0.9, 0.2, 0.7, 0.4, 0.5], 0.3),  # a quarter of five people is more than one
        ([8, 7, 6, 5, 4, 3, 2, 1], 1.5),
    ],
)
def test_worst_quarter_by_hand(scores, expected):
    assert metrics.worst_quarter(np.array(scores)) == pytest.approx(expected)


def test_summary_gathers_the_parts():
    scores = np.random.default_rng(0).random(11)
    s = metrics.summarize(scores, level=0.8)
    assert (s.mean, s.worst, s.people) == (pytest.approx(scores.mean()), scores.min(), 11)
    assert s.worst_quarter == pytest.approx(np.sort(scores)[:3].mean())
    theirs = stats.ttest_1samp(scores, 0).confidence_interval(0.8)
    assert (s.low, s.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


# Bootstrap


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_is_scipys_percentile_bootstrap(level):
    scores = np.random.default_rng(0).beta(5, 2, 25)
    low, high = metrics.bootstrap_interval(scores, level)
    theirs = stats.bootstrap(
        (scores,), np.mean, confidence_level=level, n_resamples=10_000, method="percentile", rng=1
    ).confidence_interval
    # A tail quantile of 10,000 draws is known to about 3 % of the mean's standard error.
    tolerance = 0.15 * scores.std() / 5
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=tolerance)
    assert low < scores.mean() < high


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_interval_covers_as_often_as_it_says(level):
    rng = np.random.default_rng(0)
    trials, people = 600, 40
    covered = 0
    for seed in range(trials):
        low, high = metrics.bootstrap_interval(rng.normal(0.7, 0.1, people), level, 300, seed)
        covered += low <= 0.7 <= high
    # The percentile interval of 40 people is a few per cent too short; the rest is sampling.
    assert abs(covered / trials - level) < 0.02 + 3 * np.sqrt(level * (1 - level) / trials)


def test_interval_is_reproducible_and_depends_on_the_seed():
    scores = np.random.default_rng(0).random(9)
    assert metrics.bootstrap_interval(scores) == metrics.bootstrap_interval(scores, seed=0)
    assert metrics.bootstrap_interval(scores) != metrics.bootstrap_interval(scores, seed=1)
    assert metrics.bootstrap_interval(np.array([0.5])) == (0.5, 0.5)


def test_one_person_has_no_interval():
    alone = metrics.summarize(np.array([0.45]))
    assert (alone.mean, alone.worst, alone.worst_quarter, alone.people) == (0.45, 0.45, 0.45, 1)
    assert np.isnan([alone.low, alone.high]).all()
    assert metrics.interval(alone.low, alone.high) == "(one person: no interval)"


def test_intervals_as_text():
    assert metrics.interval(0.4012, 0.502) == "[40.1, 50.2]"
    assert metrics.interval(-1.25, 3.0, metrics.one_digit) == "[-1.2, 3.0]"
    assert metrics.interval(None, None) == metrics.interval(np.nan, np.nan)


# Tests


def rejected(p, alpha):
    """Holm's step-down procedure as he states it."""
    out = np.zeros(len(p), bool)
    for rank, test in enumerate(np.argsort(p, kind="stable")):
        if p[test] > alpha / (len(p) - rank):
            break
        out[test] = True
    return out


@given(seeds, st.integers(1, 12))
def test_holm_rejects_what_the_procedure_rejects(seed, n):
    rng = np.random.default_rng(seed)
    p = rng.random(n) ** 3
    p[rng.integers(n)] = p[rng.integers(n)]  # a tie, now and then
    corrected = metrics.holm(p)
    assert (corrected >= p).all() and (corrected <= 1).all()
    for alpha in [0.01, 0.05, 0.3, *corrected * (1 + 1e-9), *corrected * (1 - 1e-9)]:
        if 0 < alpha < 1:
            assert (rejected(p, alpha) == (corrected <= alpha)).all()


def test_holm_by_hand():
    assert metrics.holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])
    assert metrics.holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy_by_person([1, 0], [1]), r"correct, person: shapes \(2,\) and \(1,\)"),
        (lambda: metrics.accuracy_by_person([], []), "correct, person: .* one entry per clip"),
        (lambda: metrics.accuracy_by_person([[1]], [[1]]), "correct, person: .* one entry per clip"),
        (lambda: metrics.bootstrap_interval([]), r"scores: shape \(0,\). .* each person"),
        (lambda: metrics.bootstrap_interval([[0.5]]), r"scores: shape \(1, 1\)"),
        (
            lambda: metrics.bootstrap_interval([0.5, 0.6], level=1.0),
            r"level: must be in \(0, 1\), got 1.0",
        ),
        (lambda: metrics.bootstrap_interval([0.5, 0.6], level=95), "level: .* got 95"),
        (lambda: metrics.summarize([]), "scores: shape"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
