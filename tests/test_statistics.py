"""Statistics of a study, against SciPy, statsmodels, published analyses, brute force and simulation."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from piumar_lib.evidence import statistics
from piumar_lib.evidence.contrasts import CONTRASTS, Result
from piumar_lib.evidence.forest import draw_contrasts, draw_forest, draw_side_by_side

seeds = st.integers(0, 2**32 - 1)

# Trials of the BCG vaccine (Colditz et al., 1994): tuberculosis and none, vaccinated and control.
BCG = np.array([
    [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619],
    [33, 5036, 47, 5761], [180, 1361, 372, 1079], [8, 2537, 10, 619], [505, 87886, 499, 87892],
    [29, 7470, 45, 7232], [17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338],
    [27, 16886, 29, 17825],
])  # fmt: skip
# Ten trials of blood pressure (Riley, Higgins and Deeks, 2011): differences, half 95 % intervals.
PRESSURE = np.array([0.0, 0.1, -0.4, -0.8, -0.63, 0.22, -0.34, -0.51, 0.03, -0.81])
PRESSURE_HALF = np.array([0.83, 0.43, 0.05, 0.39, 0.59, 0.59, 0.14, 0.20, 0.24, 0.59])


def log_risk_ratios():
    """Log risk ratios of the BCG trials and their variances, (13,) each."""
    sick, well, control_sick, control_well = BCG.T
    vaccinated, control = sick + well, control_sick + control_well
    variances = 1 / sick - 1 / vaccinated + 1 / control_sick - 1 / control
    return np.log(sick / vaccinated / (control_sick / control)), variances


def people_with(means, variances, seed=0):
    """Data sets of 5 to 9 people whose mean and variance of the mean are exactly these."""
    rng, sets = np.random.default_rng(seed), {}
    for k, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        z = stats.zscore(rng.normal(size=5 + k % 5), ddof=1)
        sets[f"set {k}"] = mean + z * math.sqrt(variance * len(z))
    return sets


def study(seed, sets=5):
    rng = np.random.default_rng(seed)
    people = rng.integers(2, 15, sets)
    return {f"set {k}": rng.normal(rng.normal(0.01, 0.02), 0.03, n) for k, n in enumerate(people)}


def numbers(found):
    """All numbers of a difference or pooled difference, but not the data sets' own."""
    return np.array([value for value in astuple(found) if isinstance(value, int | float)], float)


# One data set


@given(seeds, st.integers(2, 40), st.floats(0.002, 0.05), st.floats(0.5, 0.99))
def test_paired_is_scipys_t_test_and_interval_and_statsmodels_equivalence(seed, people, bound, level):
    rng = np.random.default_rng(seed)
    scores, reference = rng.random((2, people))
    scores = reference + 0.1 * (scores - 0.45)
    found = statistics.paired(scores, reference, level, bound)
    expected = stats.ttest_rel(scores, reference)
    interval = expected.confidence_interval(level)
    assert found.difference == pytest.approx((scores - reference).mean())
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.equivalence_p == pytest.approx(ttost_paired(scores, reference, -bound, bound)[0])
    assert (found.people, found.bound) == (people, bound)
    assert found.deviation == pytest.approx((scores - reference).std(ddof=1))


@given(seeds, st.integers(2, 20), st.floats(0.1, 10))
def test_order_sign_and_unit(seed, people, scale):
    rng = np.random.default_rng(seed)
    scores, reference = rng.random((2, people))
    order = rng.permutation(people)
    found = statistics.paired(scores, reference)
    assert numbers(statistics.paired(scores[order], reference[order])) == pytest.approx(numbers(found))
    flipped = statistics.paired(reference, scores)
    expected = replace(found, difference=-found.difference, low=-found.high, high=-found.low)
    assert numbers(flipped) == pytest.approx(numbers(expected))
    scaled = statistics.paired(scale * scores, scale * reference, bound=scale * 0.01)
    assert (scaled.p, scaled.equivalence_p) == pytest.approx((found.p, found.equivalence_p))
    assert (scaled.low, scaled.high) == pytest.approx((scale * found.low, scale * found.high))


@pytest.mark.parametrize("scores", [[0.9], [0.9, 0.9, 0.9], [0.5, 0.5]])
def test_without_spread_between_people_nothing_is_decided(scores):
    found = statistics.paired(scores, np.full(len(scores), 0.5))
    assert found.difference == pytest.approx(scores[0] - 0.5)
    assert np.isnan([found.low, found.high, found.p, found.equivalence_p]).all()
    assert statistics.verdict(found) == statistics.verdict(found, p=0.0) == "not decided"


def test_rounding_is_no_spread():
    reference = np.array([0.6, 0.7, 0.1])
    scores = reference + 0.1
    assert np.ptp(scores - reference) > 0
    assert math.isnan(statistics.paired(scores, reference).p)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match=r"scores: (nan|inf) at position 1, 3 .* the score 0"):
        statistics.paired([0.1, bad, 0.2, bad], np.zeros(4))
    with pytest.raises(ValueError, match="reference: .* position 2"):
        statistics.paired(np.zeros(3), [0, 0, bad])
    with pytest.raises(ValueError, match="differences, shrec17: .* position 0"):
        statistics.pool({"spar": np.ones(3), "shrec17": [bad, 0]})


def test_what_else_is_wrong_is_named():
    ones = np.ones(3)
    for call, words in (
        (lambda: statistics.paired(ones, ones[:2]), "3 and 2 people"),
        (lambda: statistics.paired([], []), "shape"),
        (lambda: statistics.paired(ones, ones, level=95), "level: .*, got 95"),
        (lambda: statistics.paired(ones, ones, bound=-0.01), "bound: .*, got -0.01"),
        (lambda: statistics.pool({}), "no data set"),
        (lambda: statistics.clustered(ones, [1, 2]), "cluster: shape"),
        (lambda: statistics.power(0, 10, 0.01), "deviation: .*, got 0"),
        (lambda: statistics.detectable(0.02, 1), "people: 1"),
        (lambda: statistics.detectable(0.02, 9, power=0.01), "power: .*, got 0.01"),
        (lambda: statistics.power(0.02, 9, 0.01, alpha=5), "alpha: .*, got 5"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_interval_of_ten_people_covers():
    rng, runs = np.random.default_rng(0), 3000
    found = [statistics.paired(rng.normal(0.01, 0.03, 10), np.zeros(10)) for _ in range(runs)]
    assert np.mean([f.low < 0.01 < f.high for f in found]) == pytest.approx(0.95, abs=0.01)


# Data sets together


def test_pooled_bcg_trials_are_those_of_metafor():
    # rma(yi, vi, data=dat, test="knha") and predict(...) in metafor's README (Viechtbauer, 2010).
    found = statistics.pool(people_with(*log_risk_ratios()))
    assert found.tau**2 == pytest.approx(0.3132, abs=5e-5)
    assert found.difference == pytest.approx(-0.7145, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((-1.1084, -0.3206), abs=5e-5)
    assert found.p == pytest.approx(0.0019, abs=5e-5)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    # metafor's prediction interval, (0.14, 1.76) as a ratio, has one degree of freedom more.
    half = (found.prediction_high - found.difference) * np.divide(*stats.t.ppf(0.975, [12, 11]))
    assert np.exp(found.difference + np.array([-half, half])) == pytest.approx([0.14, 1.76], abs=0.005)


def test_pooled_blood_pressure_is_that_of_pimeta():
    # pima(sbp$y, sbp$sigmak, method = "HK") in pimeta's documentation: Partlett and Riley's interval.
    errors = PRESSURE_HALF / stats.norm.ppf(0.975)
    found = statistics.pool(people_with(PRESSURE, errors**2))
    assert found.tau**2 == pytest.approx(0.0700, abs=5e-5)
    assert found.difference == pytest.approx(-0.3287, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((-0.5761, -0.0814), abs=5e-5)
    prediction = found.prediction_low, found.prediction_high
    assert prediction == pytest.approx((-0.9887, 0.3312), abs=1e-4)
    assert found.i_squared == pytest.approx(0.705, abs=5e-4)  # from Q, as by DerSimonian and Laird


@given(seeds, st.integers(2, 8))
@settings(max_examples=20, deadline=None)
def test_between_variance_maximises_the_restricted_likelihood(seed, sets):
    """The likelihood of all contrasts that hold no mean, from SciPy's normal density."""
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0.5, 3, sets)
    means = rng.normal(0, np.sqrt(variances + rng.choice([0, 1, 5])))
    contrasts = np.linalg.svd(np.ones((1, sets)))[2][1:]  # (sets - 1, sets)

    def likelihood(tau_squared):
        covariance = contrasts @ np.diag(variances + tau_squared) @ contrasts.T
        return stats.multivariate_normal.logpdf(contrasts @ means, cov=covariance)

    tried = [likelihood(value) for value in np.linspace(0, 3 * np.ptp(means) ** 2, 300)]
    assert likelihood(statistics.between_variance(means, variances)) >= max(tried) - 1e-9


def test_pooling_equals_statsmodels_where_the_estimators_of_tau_agree():
    # With equal variances, restricted maximum likelihood and Paule and Mandel's estimate are the same.
    means, variances = np.random.default_rng(1).normal(0, 3, 7), np.full(7, 0.8)
    expected = combine_effects(means, variances, method_re="pm", use_t=True)
    tau_squared = statistics.between_variance(means, variances)
    assert tau_squared == pytest.approx(expected.tau2, rel=1e-4)
    mean, error = statistics.hartung_knapp(means, variances, tau_squared)
    assert (mean, error) == pytest.approx((expected.mean_effect_re, math.sqrt(expected.var_hksj_re)))
    q, i_squared = statistics.heterogeneity(means, variances)
    assert (q, i_squared) == pytest.approx((expected.q, expected.i2))


@given(seeds)
def test_q_of_any_variances_is_statsmodels(seed):
    rng = np.random.default_rng(seed)
    means, variances = rng.normal(0, 1, 6), rng.uniform(0.1, 3, 6)
    expected = combine_effects(means, variances, method_re="dl")
    q, i_squared = statistics.heterogeneity(means, variances)
    assert q == pytest.approx(expected.q)
    assert i_squared == pytest.approx(max(0, expected.i2), abs=1e-12)


@given(seeds, st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_pooling_does_not_mind_order_sign_and_unit(seed, scale):
    sets = study(seed)
    found = statistics.pool(sets)
    rng = np.random.default_rng(seed)
    shuffled = {name: rng.permutation(sets[name]) for name in rng.permutation(list(sets))}
    close = {"rel": 1e-4, "abs": 1e-6, "nan_ok": True}
    assert numbers(statistics.pool(shuffled)) == pytest.approx(numbers(found), **close)
    flipped = statistics.pool({name: -values for name, values in sets.items()})
    expected = replace(
        found, difference=-found.difference, low=-found.high, high=-found.low,
        prediction_low=-found.prediction_high, prediction_high=-found.prediction_low,
    )  # fmt: skip
    assert numbers(flipped) == pytest.approx(numbers(expected), **close)
    scaled = statistics.pool({n: scale * values for n, values in sets.items()}, bound=scale * 0.01)
    for key in ("p", "equivalence_p", "q", "i_squared"):
        assert getattr(scaled, key) == pytest.approx(getattr(found, key), **close)
    for key in ("low", "high", "tau", "prediction_low"):
        assert getattr(scaled, key) == pytest.approx(scale * getattr(found, key), **close)


def test_pooled_equivalence_is_two_t_tests():
    found = statistics.pool(study(4), bound=0.03)
    error = (found.high - found.low) / 2 / stats.t.ppf(0.975, 4)
    lower = stats.t.sf((found.difference + 0.03) / error, 4)
    upper = stats.t.cdf((found.difference - 0.03) / error, 4)
    assert found.equivalence_p == pytest.approx(max(lower, upper))


def test_people_sets_and_each_set_are_kept():
    sets = study(2)
    found = statistics.pool(sets)
    assert (found.people, found.sets) == (sum(map(len, sets.values())), 5)
    assert list(found.by_set) == list(sets) and not found.note
    for name, values in sets.items():
        assert found.by_set[name] == statistics.paired(values, np.zeros(len(values)))


def test_one_set_is_paired_and_says_so():
    values = np.random.default_rng(0).normal(0.02, 0.03, 12)
    found, alone = statistics.pool({"spar": values}), statistics.paired(values, np.zeros(12))
    for key in ("difference", "low", "high", "p", "equivalence_p", "people", "bound"):
        assert getattr(found, key) == getattr(alone, key)
    assert np.isnan([found.tau, found.q, found.i_squared, found.prediction_low]).all()
    assert "one data set (spar)" in found.note
    assert statistics.verdict(found) == statistics.verdict(alone)


def test_two_sets_have_an_interval_but_predict_nothing():
    found = statistics.pool(study(3, sets=2))
    assert np.isfinite([found.low, found.high]).all()
    assert np.isnan([found.prediction_low, found.prediction_high]).all()


@pytest.mark.parametrize("values", [[0.05], [0.05] * 6])
def test_a_set_without_spread_borrows_the_others_variance(values):
    sets = study(5)
    found = statistics.pool(sets | {"still": values})
    freedom = np.array([len(v) - 1 for v in sets.values()])
    common = freedom @ [v.var(ddof=1) for v in sets.values()] / freedom.sum()
    own = [v.var(ddof=1) / len(v) for v in sets.values()]
    means = [v.mean() for v in sets.values()]
    same = statistics.pool(people_with([*means, 0.05], [*own, common / len(values)]))
    keys = ("difference", "low", "high", "p", "tau", "q", "prediction_low")
    assert [getattr(found, k) for k in keys] == pytest.approx([getattr(same, k) for k in keys], rel=1e-5)
    assert found.note.endswith(": still")
    assert math.isnan(found.by_set["still"].low)


def test_if_no_set_has_spread_all_weigh_the_same():
    means = [0.01, 0.03, 0.02, 0.05]
    found = statistics.pool({str(k): np.full(k + 1, mean) for k, mean in enumerate(means)})
    alone = statistics.paired(means, np.zeros(4))
    for key in ("difference", "low", "high", "p"):
        assert getattr(found, key) == pytest.approx(getattr(alone, key))
    assert math.isnan(found.q)


def test_identical_methods_everywhere_decide_nothing_and_do_not_fail():
    found = statistics.pool({"a": np.zeros(4), "b": np.zeros(1), "c": np.zeros(7)})
    assert found.difference == found.tau == 0 and math.isnan(found.prediction_low)
    assert math.isnan(found.p) and statistics.verdict(found) == "not decided"


@pytest.mark.parametrize("tau", [0.0, 0.02])
def test_pooled_interval_covers(tau):
    rng, runs = np.random.default_rng(0), 300
    people = (10, 8, 28, 13, 44, 20)
    covered = 0
    for _ in range(runs):
        found = statistics.pool({f"of {n}": rng.normal(rng.normal(0.01, tau), 0.03, n) for n in people})
        covered += found.low < 0.01 < found.high
    assert covered / runs == pytest.approx(0.95, abs=0.03)


# Clusters above people


def population(rng, clusters=5, people=20, between=0.02):
    cluster = np.repeat(np.arange(clusters), people)
    return 0.01 + rng.normal(0, between, clusters)[cluster] + rng.normal(0, 0.03, len(cluster)), cluster


@pytest.mark.parametrize("seed", range(4))
def test_balanced_clusters_are_the_mixed_model(seed):
    differences, cluster = population(np.random.default_rng(seed), clusters=6, people=8, between=0.05)
    found = statistics.clustered(differences, cluster)
    model = MixedLM(differences, np.ones((len(differences), 1)), groups=cluster).fit(reml=True)
    assert model.cov_re[0, 0] > 0
    error = (found.high - found.low) / 2 / stats.t.ppf(0.975, 5)
    assert found.difference == pytest.approx(model.fe_params[0])
    assert error == pytest.approx(model.bse_fe[0], rel=1e-3)


@pytest.mark.parametrize("name", ["synthetic", "synthetic-52", "synthetic:people=20"])
def test_synthetic_people_of_any_name_are_clusters_and_stand_alone(name):
    gains, cluster = population(np.random.default_rng(0))
    records = {name: [{"fold": f, "people": np.flatnonzero(cluster == f)} for f in range(5)]}
    found = statistics.pool_people({name: dict(enumerate(gains))}, records)
    assert found.by_set[name] == statistics.clustered(gains, cluster) and found.sets == 1
    with pytest.raises(ValueError, match=f"data: {name} has synthetic people, .* Give it alone"):
        statistics.pool_people({"spar": {"1": 0.1}, name: dict(enumerate(gains))}, records)


def test_clusters_of_one_person_are_people_and_order_does_not_matter():
    differences, cluster = population(np.random.default_rng(0))
    alone = statistics.paired(differences, np.zeros(100))
    assert statistics.clustered(differences, np.arange(100)) == alone
    order = np.random.default_rng(1).permutation(100)
    found = statistics.clustered(differences, cluster)
    again = statistics.clustered(differences[order], cluster[order])
    assert numbers(again) == pytest.approx(numbers(found))
    assert (found.people, found.deviation) == (100, alone.deviation)


def test_unbalanced_clusters_count_the_same_and_one_cluster_decides_nothing():
    differences, cluster = np.array([0.0, 0.02, 0.04, 0.1]), np.array([7, 7, 7, 3])
    assert statistics.clustered(differences, cluster).difference == pytest.approx((0.02 + 0.1) / 2)
    assert math.isnan(statistics.clustered(differences, np.zeros(4)).p)


def test_clustered_intervals_cover_where_people_as_units_do_not():
    rng, runs = np.random.default_rng(0), 1500
    clusters, people = [], []
    for _ in range(runs):
        differences, cluster = population(rng)
        for kept, found in (
            (clusters, statistics.clustered(differences, cluster)),
            (people, statistics.paired(differences, np.zeros(100))),
        ):
            kept.append(found.low < 0.01 < found.high)
    assert np.mean(clusters) == pytest.approx(0.95, abs=0.015)
    assert np.mean(people) < 0.7


# Power and verdicts


@pytest.mark.parametrize("people", [2, 3, 10, 44, 150])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
def test_power_is_that_of_the_noncentral_t(people, alpha):
    effect, deviation = 0.012, 0.03
    assert statistics.power(deviation, people, effect, alpha) == pytest.approx(
        TTestPower().power(effect / deviation, people, alpha)
    )
    law = stats.nct(people - 1, effect / deviation * math.sqrt(people))
    edge = stats.t.isf(alpha / 2, people - 1)
    expected = law.sf(edge) + law.cdf(-edge)
    assert statistics.power(deviation, people, effect, alpha) == pytest.approx(expected, rel=1e-6)
    assert statistics.power(deviation, people, -effect, alpha) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6, 0.001])
@pytest.mark.parametrize("people", [2, 3, 10, 44, 150])
def test_what_is_detectable_is_detected_with_that_power(people, alpha):
    effect = statistics.detectable(0.03, people, 0.8, alpha)
    assert statistics.power(0.03, people, effect, alpha) == pytest.approx(0.8)
    assert statistics.detectable(0.06, people, 0.8, alpha) == pytest.approx(2 * effect)


@pytest.mark.parametrize("people", [2, 10, 150, 2000])
def test_power_rises_from_alpha_to_one(people):
    found = [statistics.power(1.0, people, effect, 0.01) for effect in np.linspace(0, 2000, 500)]
    assert found[0] == pytest.approx(0.01) and found[-1] == pytest.approx(1)
    assert (np.diff(found) >= -1e-12).all()


def test_power_tables_of_ten_people():
    assert math.ceil(TTestPower().solve_power(0.5, power=0.8, alpha=0.05)) == 34
    assert statistics.power(1.0, 33, 0.5) < 0.8 < statistics.power(1.0, 34, 0.5)
    rng = np.random.default_rng(0)
    p = stats.ttest_1samp(rng.normal(0.02, 0.03, (4000, 10)), 0, axis=1).pvalue
    assert statistics.power(0.03, 10, 0.02) == pytest.approx((p <= 0.05).mean(), abs=0.025)


def made(difference, p, equivalence_p, bound=0.01):
    low, high = difference - 0.001, difference + 0.001
    return statistics.Difference(difference, low, high, p, equivalence_p, 10, 0.01, bound)


@pytest.mark.parametrize("found, p, words", [
    (made(0.02, 0.01, 0.9), None, "a gain"),
    (made(-0.02, 0.01, 0.9), None, "a loss"),
    (made(0.003, 0.01, 0.001), None, "a gain"),  # within the bound, yet a gain
    (made(0.003, 0.04, 0.001), 0.12, "equivalent within 1 point"),
    (made(-0.003, 0.4, 0.001), None, "equivalent within 1 point"),
    (made(0.003, 0.4, 0.001, 0.02), None, "equivalent within 2 points"),
    (made(0.02, 0.04, 0.9), 0.12, "not decided"),
    (made(0.02, 0.4, 0.9), 0.01, "a gain"),
    (made(-0.02, 0.01, 0.9), math.nan, "not decided"),
    (made(math.nan, 0.01, 0.01), None, "not decided"),
    (made(-0.02, math.nan, 0.01), None, "not decided"),
    (made(-0.02, 0.01, math.nan), None, "not decided"),
])  # fmt: skip
def test_verdict(found, p, words):
    assert statistics.verdict(found, p) == words


def test_equivalence_counts_after_its_own_correction():
    close = made(0.003, 0.4, 0.03)
    assert statistics.verdict(close) == "equivalent within 1 point"
    assert statistics.verdict(close, 0.4, 0.05) == "equivalent within 1 point"
    assert statistics.verdict(close, 0.4, 0.06) == statistics.verdict(close, 0.4, math.nan)
    assert statistics.verdict(close, 0.4, 0.06) == "not decided"
    family = [close, made(0.003, 0.01, 0.001), made(0.02, 0.02, 0.9)]
    p = multipletests([f.p for f in family], method="holm")[1]
    equivalence = multipletests([f.equivalence_p for f in family], method="holm")[1]
    np.testing.assert_allclose(statistics.correct(family), np.transpose([p, equivalence]))
    assert statistics.correct([]) == []


def test_holm_and_verdicts_of_pooled_contrasts_go_together():
    found = [statistics.pool(study(seed)) for seed in range(3)]
    found.append(statistics.pool({"a": [0.1]}))
    corrected = statistics.correct(found)
    assert np.isnan(corrected[3]).all()
    for (p, equivalence_p), f in zip(corrected[:3], found, strict=False):
        assert p >= f.p and equivalence_p >= f.equivalence_p
    assert statistics.verdict(found[3], *corrected[3]) == "not decided"


# Forest plot


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_forest_has_a_line_for_each_set_and_a_diamond_that_spans_the_interval(ax):
    pooled = statistics.pool(study(0) | {"still": np.zeros(3)})
    words = draw_forest(ax, pooled)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0].startswith("set 0 (") and names[-2:] == ["still (3)", f"pooled ({pooled.people})"]
    assert (np.diff(ax.get_yticks()) < 0).all()
    (diamond,) = (patch for patch in ax.patches if len(patch.get_xy()) == 5)
    x = diamond.get_xy()[:, 0]
    assert (x.min(), x.max()) == pytest.approx((100 * pooled.low, 100 * pooled.high))
    lines = [line.get_xdata() for line in ax.lines]
    ends = [100 * pooled.prediction_low, 100 * pooled.prediction_high]
    assert any(np.allclose(x, ends) for x in lines if len(x) == 2)
    first = pooled.by_set["set 0"]
    assert any(np.allclose(x, [100 * first.low, 100 * first.high]) for x in lines if len(x) == 2)
    assert "still, 3 people: +0.0 (no interval)" in words
    assert f"{pooled.people} people in 6 data sets: {100 * pooled.difference:+.1f} [" in words


def test_forest_of_one_set_or_without_interval_draws_no_prediction(ax):
    pooled = statistics.pool({"alone": [0.02]})
    assert draw_forest(ax, pooled).count("+2.0 (") == 2
    assert len(ax.lines) == 4  # zero, the set, the pooled one, the rule between them
    assert all(np.isfinite(line.get_xdata()).all() for line in ax.lines)


def test_forests_side_by_side_share_scale_and_name_each_set_once():
    pooled = {title: statistics.pool(study(k)) for k, title in enumerate(("own tempo", "one length"))}
    fig, words = draw_side_by_side(pooled)
    left, right = fig.axes
    assert left.get_xlim() == right.get_xlim() and left.get_title(loc="left") == "own tempo"
    assert left.get_yticklabels()[0].get_text().startswith("set 0 (")
    assert not any(label.get_text() for label in right.get_yticklabels())
    assert left.get_xlabel() == "grey: within ±1 point" and "new data set" in right.get_xlabel()
    assert words.startswith("own tempo: set 0") and " one length: set 0" in words
    plt.close(fig)


def test_contrasts_have_a_panel_for_each_form_and_filled_diamonds_where_decided():
    verdicts = {"own tempo": "not decided", "one length": "equivalent within 1 point"}
    results = [
        Result(contrast, form, "ERM", statistics.pool(study(k)), 0.5, 0.25, verdict)
        for form, verdict in verdicts.items()
        for k, contrast in enumerate(CONTRASTS[:2])
    ]
    fig, words = draw_contrasts(results)
    for ax, (form, verdict) in zip(fig.axes, verdicts.items(), strict=True):
        assert ax.get_title(loc="left") == form
        assert [text.get_text() for text in ax.texts] == [verdict.split(" within")[0]] * 2
        diamonds = [line for line in ax.lines if line.get_marker() == "D"]
        assert [d.get_markerfacecolor() == "w" for d in diamonds] == [form == "own tempo"] * 2
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == ["augmentation\nover ERM", "TFAM\nover augmentation"]
    assert "correction for 4 tests" in fig.get_supxlabel()
    assert words.count("p 0.500") == words.count("p of equivalence 0.250") == 4
    assert words.startswith("augmentation over ERM, own tempo: ")
    plt.close(fig)
