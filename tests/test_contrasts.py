"""The planned contrasts: people's differences, pooled and corrected, none made of what is not known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

from piumar_lib.evidence import folds, statistics
from piumar_lib.evidence.__main__ import main
from piumar_lib.evidence.contrasts import (
    CONTRASTS,
    NORMALIZED,
    POOLS,
    Contrast,
    Result,
    best_baseline,
    compare,
    compute,
    differences,
    in_form,
    label_of,
    name_of,
    scores,
    seeds,
    seeds_of_all,
    table,
)
from piumar_lib.evidence.experiments import experiment
from piumar_lib.evidence.person_gain import CLIPS, DEFAULT, FILE
from piumar_lib.evidence.protocol import (
    BASELINES,
    BUDGET,
    FORMS,
    PLANNED,
    SEARCHED_ON,
    data_of,
    records_path,
)
from piumar_lib.evidence.records import read_records
from piumar_lib.evidence.wording import in_words, points

AUGMENTATION = Contrast("augmentation", "augmentation", ("ERM",))
SIZES = {"shrec17": 9, "mmg": 12, "uiprmd": 7}
SETS = [*SIZES]


def record(method, people, fold=0, seed=0, data="d", k=None):
    key = {"data": data, "method": method, "fold": fold, "seed": seed, "search": False}
    return key | {"hyperparameters": k or {"backbone": "cnn", "width": 32}, "people": people}


def add(path, record):
    """Add a line; unlike the runner's, it need not survive a power cut."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def made(data, people, methods=PLANNED, seeds=2, gain=0.01, seed=0):
    """Records in three folds of people with 20 to 40 clips; each method is ``gain`` above the last."""
    rng = np.random.default_rng([seed, people])
    clips = {str(p): int(rng.integers(20, 41)) for p in range(people)}
    found = []
    for one, fold, (rank, method) in product(range(seeds), range(3), enumerate(methods)):
        right = {p: int(rng.binomial(n, 0.5 + gain * rank)) for p, n in clips.items()}
        mine = {p: [right[p], clips[p]] for p in clips if int(p) % 3 == fold}
        found.append(record(method, mine, fold, one, data))
    return found


def normalized(r, rng):
    """A record of the person study for the same people."""
    people = {}
    for p, (_, clips) in r["people"].items():
        rows = [[None] * (len(CLIPS) - 1) + [int(rng.binomial(clips, 0.6))]] * 2
        people[p] = {"clips": [clips, clips], "none": [0, 0], DEFAULT: rows}
    return r | {"method": "augmentation", "people": people}


@pytest.fixture
def folder(tmp_path):
    """The records of three data sets in both forms, and a search that preferred DSU."""
    folder, rng = tmp_path / "records", np.random.default_rng(1)
    folder.mkdir()
    for (name, people), form in product(SIZES.items(), FORMS):
        data = data_of(name, form)
        for r in made(data, people, seed=len(form)):
            add(records_path(data, folder), r)
            if r["method"] == "augmentation":
                add(folder / FILE, normalized(r, rng))
    for form, baseline, rate in product(FORMS, BASELINES, range(BUDGET)):
        right = 9 if baseline.startswith("DSU") else 5
        best = record(
            baseline, {"1": [right, 10]}, data=data_of("utkinect", form), k={"learning_rate": rate}
        )
        add(folder / "search.jsonl", best)
    return folder


# Differences


def brute_force(records, tried, against):
    """Person by person, with loops alone."""
    gains = {}
    for person in sorted({p for r in records for p in r["people"]}):
        values = []
        for a in records:
            for b in records:
                if (a["method"], b["method"]) != (tried, against) or person not in a["people"]:
                    continue
                if (a["fold"], a["seed"]) == (b["fold"], b["seed"]):
                    (right, n), (other, m) = a["people"][person], b["people"][person]
                    values.append(right / n - other / m)
        if values:
            gains[person] = sum(values) / len(values)
    return gains


@pytest.mark.parametrize("seed", range(3))
def test_differences_are_those_of_a_loop_over_people_folds_and_seeds(seed):
    records = made("d", 10, ("ERM", "TFAM", "GIRL"), seeds=3, seed=seed)
    np.random.default_rng(seed).shuffle(records)
    for tried, against in (("TFAM", "ERM"), ("ERM", "GIRL")):
        found = differences(records, tried, against)
        assert found == pytest.approx(brute_force(records, tried, against)) and len(found) == 10
    gone = records[4:]  # some trainings are there under one method alone
    assert differences(gone, "TFAM", "ERM") == pytest.approx(brute_force(gone, "TFAM", "ERM"))


def test_scores_average_seeds_not_clips():
    """Two seeds of one person with 10 and 30 of 40 right, one of another."""
    found = [record("ERM", {"1": [10, 40]}), record("ERM", {"1": [30, 40], "0": [1, 2]}, seed=1),
             record("TFAM", {"1": [40, 40]})]  # fmt: skip
    assert scores(found, "ERM") == {"0": 0.5, "1": 0.5} and scores(found, "TFAM") == {"1": 1.0}
    with pytest.raises(ValueError, match="d: GIRL has no training .* --data d --methods 'GIRL'"):
        scores(found, "GIRL")


def test_methods_that_swap_places_swap_signs_and_one_gains_nothing_over_itself():
    records = made("d", 8, ("ERM", "TFAM"))
    there, back = differences(records, "TFAM", "ERM"), differences(records, "ERM", "TFAM")
    assert there == pytest.approx({p: -gain for p, gain in back.items()})
    same = [r | {"method": m} for r in records if r["method"] == "ERM" for m in ("ERM", "TFAM")]
    assert {*differences(same, "TFAM", "ERM").values()} == {0.0}


def test_a_training_that_failed_counts_as_nothing_recognised():
    records = [record("ERM", {"a": [5, 10]}), record("TFAM", {"a": [0, 10]}) | {"failed": "nan"}]
    assert differences(records, "TFAM", "ERM") == {"a": -0.5}


def test_methods_without_a_training_in_common_are_named():
    records = [record("ERM", {"a": [5, 10]}, seed=0), record("TFAM", {"a": [5, 10]}, seed=1)]
    for tried in ("TFAM", "GIRL"):
        words = f"d: {tried} and ERM have no training in common. Train both: .* --methods '{tried}'"
        with pytest.raises(ValueError, match=words):
            differences(records, tried, "ERM")


def test_a_training_that_is_there_twice_is_named():
    records = [record("ERM", {"a": [5, 10]}), record("TFAM", {"a": [5, 10]}, fold=2, seed=1)]
    records.append(records[1] | {"hyperparameters": {"learning_rate": 1}})
    with pytest.raises(ValueError, match="TFAM, fold 2, seed 1 is there twice.* Remove those"):
        differences(records, "TFAM", "ERM")


# The best baseline


@pytest.mark.parametrize("form", FORMS)
def test_the_best_baseline_is_the_one_that_did_best_on_the_searchs_people_in_that_form(
    form, monkeypatch
):
    monkeypatch.setattr("piumar_lib.evidence.protocol.BUDGET", 2)
    (other,) = (f for f in FORMS if f != form)
    shares = {"A": (3, 8), "B": (6, 6), "C": (5, 4)}  # of two sets of hyperparameters, ten clips
    search = [
        record(m, {"1": [right, 10]}, data=data_of(name, form), k={"learning_rate": k})
        for m, rights in shares.items()
        for k, right in enumerate(rights)
        for name in SEARCHED_ON
    ]
    search += [record("C", {"1": [10, 10]}, data=data_of("utkinect", other), k={"learning_rate": 1})]
    search += [record("B", {"1": [10, 10]}, data=data_of("shrec17", form), k={"learning_rate": 0})]
    assert best_baseline(("A", "B", "C"), form, search) == "A"  # by its better set
    assert best_baseline(("B", "C"), form, search) == "B"
    assert best_baseline(("C",), form, []) == "C"
    with pytest.raises(ValueError, match="search.jsonl: has no search of D, .*Run it"):
        best_baseline(("D", "C"), form, search)
    with pytest.raises(ValueError, match="has no search of C"):
        best_baseline(("C", "A"), form, [])
    with pytest.raises(
        ValueError, match=f"has 3 of 4 trainings of A, {form}. Run the search to its end"
    ):
        best_baseline(("A", "B"), form, search[1:])


# All together


def by_hand(folder, form, tried, against):
    """Each set's mean difference and its variance, and all people's number, from the files."""
    means, variances, people = [], [], 0
    for name in SETS:
        records = read_records(folder / f"{name}.jsonl")
        if tried == NORMALIZED:
            study = read_records(folder / FILE)
            records += [
                r | {
                    "method": NORMALIZED,
                    "people": {p: [v[DEFAULT][0][-1], v["clips"][0]] for p, v in r["people"].items()},
                }
                for r in study
            ]  # fmt: skip
        records = [r for r in records if r["data"] == data_of(name, form)]
        gains = np.array([*brute_force(records, tried, against).values()])
        means.append(gains.mean())
        variances.append(gains.var(ddof=1) / len(gains))
        people += len(gains)
    return np.array(means), np.array(variances), people


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning:statsmodels")
def test_contrasts_are_those_of_an_independent_meta_analysis(folder):
    results = compute(SETS, FORMS, folder)
    assert [(r.form, r.contrast) for r in results] == [*product(FORMS, CONTRASTS)]
    raw, equivalence = [], []
    for r in results:
        against = r.contrast.against[0] if len(r.contrast.against) == 1 else "DSU + augmentation"
        assert r.against == against
        means, variances, people = by_hand(folder, r.form, r.contrast.tried, against)
        pooled = combine_effects(means, variances, method_re="chi2", use_t=True)
        assert r.pooled.q == pytest.approx(pooled.q, abs=1e-9)
        assert r.pooled.i_squared == pytest.approx(max(0, pooled.i2), abs=1e-9)
        # With the variance between sets given, the mean is a weighted regression on a constant, whose
        # standard error is Hartung and Knapp's.
        weights = 1 / (variances + r.pooled.tau**2)
        mean = np.average(means, weights=weights)
        error = math.sqrt(np.average((means - mean) ** 2, weights=weights) / (len(means) - 1))
        assert r.pooled.difference == pytest.approx(mean)
        interval = stats.t.interval(0.95, len(means) - 1, mean, error)
        assert (r.pooled.low, r.pooled.high) == pytest.approx(interval)
        raw.append(2 * stats.t.sf(abs(mean) / error, len(means) - 1))
        assert r.pooled.p == pytest.approx(raw[-1])
        distances = (mean + 0.01) / error, (0.01 - mean) / error
        equivalence.append(stats.t.sf(min(distances), len(means) - 1))
        assert r.pooled.equivalence_p == pytest.approx(equivalence[-1])
        assert (r.pooled.people, r.pooled.sets) == (people, 3) == (sum(SIZES.values()), 3)
        assert [*r.pooled.by_set] == SETS
    # Holm's method, over all results of both forms:
    assert len(raw) == 12
    corrected = multipletests(raw, method="holm")[1]
    assert [r.p_holm for r in results] == pytest.approx([*corrected])
    assert any(r.p_holm > r.pooled.p for r in results)
    corrected = multipletests(equivalence, method="holm")[1]
    assert [r.equivalence_p_holm for r in results] == pytest.approx([*corrected])
    for r in results:
        assert r.verdict == statistics.verdict(r.pooled, r.p_holm, r.equivalence_p_holm)


def test_equivalence_that_holds_only_uncorrected_is_not_decided(tmp_path):
    """The same comparison alone, and among four of which only its own p value is small."""
    (tmp_path / "search.jsonl").touch()
    for r in made("mmg", 40, ("ERM", "augmentation"), gain=0.0):
        for person in r["people"].values():  # 400 clips each, of which 14 change in two folds
            person[:] = [200 + (r["method"] != "ERM") * (r["fold"] - 1) * 14, 400]
        add(tmp_path / "mmg.jsonl", r)
        if r["method"] == "ERM":
            worse = {p: [right - 40 + 35 * (int(p) % 2), n] for p, (right, n) in r["people"].items()}
            add(tmp_path / "mmg.jsonl", r | {"method": "TFAM", "people": worse})
    far = [Contrast(str(k), "TFAM", ("ERM",)) for k in range(9)]
    (alone,) = compute(["mmg"], ["one length"], tmp_path, [AUGMENTATION])
    among, *_ = compute(["mmg"], ["one length"], tmp_path, [AUGMENTATION, *far])
    assert (alone.verdict, among.verdict) == ("equivalent within 1 point", "not decided")
    assert among.pooled.equivalence_p == alone.equivalence_p_holm == alone.pooled.equivalence_p
    assert among.equivalence_p_holm == pytest.approx(10 * alone.equivalence_p_holm)


def test_contrasts_of_part_of_the_people_are_refused(folder):
    path = folder / "mmg.jsonl"
    kept = [r for r in read_records(path) if (r["method"], r["fold"]) != ("ERM", 2)]
    path.write_text("".join(json.dumps(r) + "\n" for r in kept))
    with pytest.raises(ValueError, match="mmg: augmentation and ERM were not trained for 4 of its 12"):
        compute(SETS, FORMS, folder)
    own = {"mmg": [r for r in kept if r["data"] == "mmg"]}
    assert compare(own, "augmentation", "ERM", partial=True).people == 8


def test_synthetic_people_have_all_contrasts_but_that_of_the_normalized_person():
    results = compute(["synthetic"])
    assert [r.contrast for r in results] == [c for c in CONTRASTS if c.tried != NORMALIZED]


def test_one_set_alone_is_a_paired_t_test_over_its_people(folder):
    (result,) = compute(["mmg"], ["own tempo"], folder, [AUGMENTATION])
    records = [r for r in read_records(folder / "mmg.jsonl") if r["data"] == "mmg-own-tempo"]
    test = stats.ttest_1samp([*brute_force(records, "augmentation", "ERM").values()], 0)
    assert result.pooled.p == result.p_holm == pytest.approx(test.pvalue)
    interval = test.confidence_interval(0.95)
    assert (result.pooled.low, result.pooled.high) == pytest.approx((interval.low, interval.high))


def test_records_of_another_width_have_no_say(folder):
    before = compute(["mmg"], ["own tempo"], folder, [AUGMENTATION])
    wide = {"backbone": "cnn", "width": 64}
    extra = record("ERM", {"0": [0, 10]}, 0, 0, "mmg-own-tempo", wide)
    add(folder / "mmg.jsonl", extra)
    assert compute(["mmg"], ["own tempo"], folder, [AUGMENTATION]) == before


def test_a_clear_gain_is_one_and_no_difference_is_not_decided(tmp_path):
    (tmp_path / "search.jsonl").touch()
    for name, people in SIZES.items():
        for r in made(name, people, ("ERM", "augmentation"), gain=0.3):
            add(tmp_path / f"{name}.jsonl", r)
            if r["method"] == "ERM":
                add(tmp_path / f"{name}.jsonl", r | {"method": "TFAM + augmentation"})
    contrasts = [AUGMENTATION, Contrast("nothing", "TFAM + augmentation", ("ERM",)),
                 Contrast("back", "ERM", ("augmentation",))]  # fmt: skip
    gain, nothing, loss = compute(SETS, ["one length"], tmp_path, contrasts)
    assert (gain.verdict, loss.verdict) == ("a gain", "a loss")
    assert nothing.pooled.difference == 0 and math.isnan(nothing.pooled.p)
    # What is not known is neither gain nor loss, and leaves the others' p values known.
    assert math.isnan(nothing.p_holm) and nothing.verdict == "not decided"
    assert gain.p_holm < 0.05 and loss.p_holm < 0.05


NEEDED = [name for name in PLANNED if name not in BASELINES or name.startswith("DSU")]


@pytest.mark.parametrize("method", NEEDED)
def test_a_method_that_is_missing_is_named_with_the_remedy(folder, method):
    path = folder / "mmg.jsonl"
    kept = [r for r in read_records(path) if r["method"] != method]
    path.write_text("".join(json.dumps(r) + "\n" for r in kept))
    with pytest.raises(ValueError, match="have no training in common. Train both") as error:
        compute(SETS, FORMS, folder)
    assert method in str(error.value)


def test_person_normalization_that_is_missing_is_named(folder):
    path = folder / FILE
    kept = [r for r in read_records(path) if r["data"] != "mmg-own-tempo"]
    path.write_text("".join(json.dumps(r) + "\n" for r in kept))
    with pytest.raises(FileNotFoundError) as error:
        compute(SETS, FORMS, folder)
    assert str(error.value) == (
        f"{path}: no records of mmg-own-tempo. Make them: python -m piumar_lib.evidence.person_study "
        f"--data mmg-own-tempo --out {path}"
    )


def test_data_that_are_missing_are_named_with_the_command(folder):
    with pytest.raises(FileNotFoundError, match="pendigits.jsonl: .* train --data pendigits"):
        compute([*SETS, "pendigits"], FORMS, folder)


# A reader's own files


def write_own(path, folder, people=6, seed=0):
    """A file and its records, as the study makes them."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, X=rng.standard_normal((4 * people, 8, 3)), y=np.arange(4 * people) % 2,
             person=np.arange(4 * people) // 4)  # fmt: skip
    data, content = folds.identify(str(path))
    for r in made(data, people, seed=seed):
        r["content"] = content
        add(records_path(data, folder), r)
        if r["method"] == "augmentation":
            add(folder / FILE, normalized(r, rng))
    return data


@pytest.fixture
def two(folder, tmp_path):
    """Two files of one name."""
    paths = tmp_path / "a" / "mine.npz", tmp_path / "b" / "mine.npz"
    return [write_own(path, folder, 6 + k, k) for k, path in enumerate(paths)]


def test_a_file_counts_once_and_in_its_own_form_alone(folder, two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = compute([*two, "a/mine.npz"], FORMS, folder)
    assert [r.form for r in results] == ["own tempo"] * len(CONTRASTS)
    assert {(r.pooled.sets, r.pooled.people) for r in results} == {(2, 13)}
    mixed = compute([*two, "mmg"], FORMS, folder)
    assert [r.pooled.sets for r in mixed] == [3] * 6 + [1] * 6
    assert in_form(["mmg", "mmg", "a/mine.npz"], "own tempo") == ["mmg", two[0]]
    assert in_form(["mmg", "a/mine.npz", "synthetic"], "one length") == ["mmg"]
    with pytest.raises(ValueError, match="forms: none of the data sets has clips of one length"):
        compute(two, ["one length"], folder)


def test_files_of_one_name_both_stay_in_the_summary(folder, two):
    (result,) = compute(two, ["own tempo"], folder, [AUGMENTATION])
    assert [*result.summary()["by_set"]] == two
    assert name_of(two[0]) == "mine" and name_of("shrec17") == "shrec17"
    assert label_of(two[0]) == "mine" and label_of("shrec17") == "SHREC'17"
    (result,) = compute([two[0], "mmg"], ["own tempo"], folder, [AUGMENTATION])
    assert [*result.summary()["by_set"]] == ["mine", "mmg"]


def no_constant(word):
    raise AssertionError(f"{word} is no JSON")


def test_the_command_writes_all_numbers_without_nan(folder, two, tmp_path, capsys):
    path = tmp_path / "new" / "contrasts.json"
    arguments = ["contrasts", "--data", *two, "--out", str(folder), "--json", str(path)]
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(CONTRASTS) + 1 and said[-1] == f"numbers: {path}"
    numbers = json.loads(path.read_text(), parse_constant=no_constant)
    results = compute(two, FORMS, folder)
    assert [n["name"] for n in numbers] == [c.name for c in CONTRASTS]
    for n, r in zip(numbers, results, strict=True):
        assert n["prediction_low"] is None  # of two sets
        assert n["difference"] == r.pooled.difference and n["p_holm"] == r.p_holm
        assert n["equivalence_p_holm"] == r.equivalence_p_holm
        assert (n["verdict"], n["against"], n["form"]) == (r.verdict, r.against, "own tempo")
        assert [n["by_set"][name]["people"] for name in two] == [6, 7]


def test_the_table_has_points_and_a_dash_for_what_is_not_known(folder, two):
    results = compute(SETS, ["one length"], folder)
    for row, r in zip(table(results), results, strict=True):
        assert row["difference"] == points(r.pooled)
        assert row["people"] == "28" and row["sets"] == "3" and row["verdict"] == r.verdict
        assert row["p of equivalence (Holm)"] == in_words(r.equivalence_p_holm)
        assert row["I²"] == f"{100 * r.pooled.i_squared:.0f} %"
    near = replace(results[0].pooled, low=-0.0001)
    (row,) = table([replace(results[0], pooled=near)])
    assert " [+0.0, " in row["difference"]  # no negative zero
    (result,) = compute(two[:1], FORMS, folder, [AUGMENTATION])
    lost = replace(result.pooled, low=math.nan, p=math.nan, equivalence_p=math.nan)
    (row,) = table([Result(AUGMENTATION, "own tempo", "ERM", lost, math.nan, math.nan, "not decided")])
    unknown = ("p (Holm)", "p of equivalence (Holm)", "I²", "a new set")
    assert {row[name] for name in unknown} == {"-"} and "nan" not in str(row)


def test_the_planned_contrasts_are_six_and_untouched_sets_were_not_searched_on():
    assert len(CONTRASTS) == len({c.name for c in CONTRASTS}) == 6
    assert not {*POOLS["new people"]} & {*SEARCHED_ON} and len(POOLS["new people"]) == 6
    for c in CONTRASTS:
        for method in {c.tried, *c.against} - {NORMALIZED}:
            assert experiment("synthetic", method, 10, 0).method == method


# Seeds


def test_seeds_are_those_that_every_data_set_has(tmp_path, monkeypatch):
    few, many = (made("a", 6, ("ERM", "augmentation"), n) for n in (1, 2))
    assert (seeds({"a": many}, "ERM"), seeds({"a": many, "b": few}, "ERM")) == (2, 1)
    assert seeds({"a": many}, "TFAM") == 0
    assert seeds({"a": many[:-1]}, "augmentation") == 1  # the second lacks a fold
    whole = {"a": made("a", 6, (*PLANNED, NORMALIZED))}
    monkeypatch.setattr("piumar_lib.evidence.contrasts.read", lambda sets, form, folder: whole)
    assert seeds_of_all("own tempo", tmp_path) == 2
    whole["b"] = [r for r in whole["a"] if r["method"] != PLANNED[-1] or r["seed"] == 0]
    assert seeds_of_all("own tempo", tmp_path) == 1
