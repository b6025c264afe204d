"""Tables of evidence: families, verdicts, what is shown while records are missing; and their figures."""

from __future__ import annotations

import dataclasses
import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from piumar_lib import evidence, experiments, folds, metrics, plots, studies
from piumar_lib.course import tables
from piumar_lib.course.chapters import find_root, list_chapters, read_parameters, to_notebook
from piumar_lib.methods import METHODS
from piumar_lib.metrics import Comparison

OPEN = "not established in this run"


def record(e, right, clips=100):
    """A record as `experiments.run` returns it; ``right`` maps people to correct clips."""
    return e.key() | {"people": {str(p): [int(c), clips] for p, c in right.items()}}


def made(data, methods, edge=None, seeds=2, chosen=None):
    """Records of a data set in which 100 people differ, and each method has its edge over ERM."""
    rng = np.random.default_rng(0)
    base = rng.integers(40, 80, 20)
    return [
        record(
            experiments.experiment(data, method, fold, seed),
            {
                100 * fold + k: b + (edge or {}).get(method, 0) + rng.integers(0, 3)
                for k, b in enumerate(base)
            },
        )
        for seed in range(seeds)
        for fold in (chosen or folds.folds(data))
        for method in methods
    ]


@pytest.fixture
def shown(monkeypatch):
    """Tables that would be displayed: header and rows."""
    seen = []
    monkeypatch.setattr(tables, "show_table", lambda header, rows: seen.append((header, rows)))
    return seen


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def judged(difference, low, high, p):
    return tables.Judged(Comparison(difference, low, high, p), p)


# Words


def test_points_have_signs_and_zero_is_never_negative():
    assert tables.points(Comparison(0.026, 0.0071, 0.0449, 0.1)) == "+2.6 [+0.7, +4.5]"
    assert tables.points(Comparison(-0.0001, -0.02, 0.0, 0.1)) == "+0.0 [-2.0, +0.0]"
    assert tables.points(None) == "" and tables.p_value(None, 0.5) == ""
    assert tables.p_value(Comparison(0, 0, 0, 0), 0.0004) == "< 0.001"
    assert tables.p_value(Comparison(0, 0, 0, 0), 0.0321) == "0.032"


def test_names_with_a_comma_are_quoted():
    assert tables.listed(["TFAM", "temporal, Sinkhorn"]) == 'TFAM, "temporal, Sinkhorn"'
    assert tables.listed([]) == "nothing"


def test_verdicts_say_what_is_better_worse_open_and_what_only_looks_so():
    words = tables.verdicts(
        {
            "a": judged(0.1, 0.05, 0.2, 0.01),
            "b": judged(-0.1, -0.2, -0.05, 0.01),
            "c": judged(0.1, 0.05, 0.2, 0.2),
            "d": judged(0.1, -0.05, 0.2, 0.01),
        }
    )
    assert words == "better: a; worse: b; not established: 2 of 4 (uncorrected interval without zero: c)"
    assert judged(0.1, 0.05, 0.2, 0.2).verdict == judged(0.1, -0.05, 0.2, 0.01).verdict == OPEN


# Families


def test_correction_is_within_a_family():
    family = {name: Comparison(0.1, 0.05, 0.2, p) for name, p in (("a", 0.01), ("b", 0.04))}
    assert {name: j.p for name, j in tables.correct(family).items()} == {"a": 0.02, "b": 0.04}
    assert tables.correct({}) == {}


def test_a_table_corrects_each_kind_on_its_own():
    methods = ["ERM", "augmentation", "CVaR", "TFAM", "GIRL", "random groups"]
    records = made("synthetic", methods, {"augmentation": 5, "TFAM": 8, "CVaR": -5})
    rows = {row.method: row for row in tables.comparison(records)}
    assert list(rows) == methods[:-1]  # a control has its parent to be compared with
    for family in (["augmentation", "CVaR"], ["TFAM", "GIRL"]):
        wanted = metrics.holm([rows[name].gain.p for name in family])
        assert [rows[name].p_holm for name in family] == pytest.approx(wanted.tolist())
    ours = metrics.holm([rows[name].against_best.p for name in ("TFAM", "GIRL")])
    assert [rows[n].p_holm_best for n in ("TFAM", "GIRL")] == pytest.approx(ours.tolist())
    assert rows["augmentation"].against_best is None and rows["ERM"].gain is None
    assert tables.comparison([]) == []


def test_established_and_strongest():
    records = made(
        "synthetic", ["ERM", "augmentation", "CVaR", "TFAM"], {"augmentation": 5, "TFAM": 8, "CVaR": -5}
    )
    rows = tables.comparison(records)
    assert tables.strongest(rows) == "augmentation" and tables.strongest([]) == ""
    assert tables.established(rows) == "better than ERM: augmentation, TFAM; worse: CVaR"
    ours = tables.of_kind(rows, "ours")
    assert [row.method for row in ours] == ["TFAM"]
    assert tables.established(ours, "best") == "better than the best baseline: TFAM; worse: nothing"


def test_a_small_p_with_an_interval_over_zero_establishes_nothing():
    row = tables.comparison(made("synthetic", ["ERM", "TFAM"]))[1]
    row = dataclasses.replace(row, gain=Comparison(0.01, -0.01, 0.03, 0.001), p_holm=0.001)
    assert tables.established([row]) == "better than ERM: nothing; worse: nothing"


def test_ablations_are_compared_with_their_own_parent():
    children = ["two identity views", "TFAM, mean fusion", "random groups"]
    records = made(
        "synthetic", ["ERM", "TFAM", "PIUmr", *children], {"TFAM": 10, "two identity views": 4}
    )
    families = tables.ablations(records)
    assert {parent: list(family) for parent, family in families.items()} == {
        "TFAM": children[:2],
        "PIUmr": children[2:],
    }
    assert families["TFAM"]["two identity views"].comparison.difference == pytest.approx(-0.06, abs=0.01)
    assert families["TFAM"]["two identity views"].verdict == "a loss"
    assert tables.ablations([r for r in records if r["method"] != "PIUmr"]).keys() == {"TFAM"}


def test_pairs_must_be_of_the_same_people():
    assert tables.paired({"1": 0.5, "2": 0.7}, {"2": 0.6, "1": 0.5}).difference == pytest.approx(0.05)
    with pytest.raises(ValueError, match="2 and 1 people"):
        tables.paired({"1": 0.5, "2": 0.7}, {"1": 0.5})


# What is there


def test_rows_that_are_not_complete_are_left_out_and_counted():
    whole = made("synthetic-52", ["ERM", "TFAM"])
    some = made("synthetic-52", ["DSU"], chosen=[10, 11])
    total = len(evidence.methods_of("synthetic-52"))
    kept, words = tables.so_far(whole + some)
    assert {r["method"] for r in kept} == {"ERM", "TFAM"} and words == f"2 of {total} rows so far"
    kept, words = tables.so_far(made("synthetic-52", evidence.methods_of("synthetic-52"), seeds=1))
    assert len(kept) == 5 * total and words == f"{total} of {total} rows"


def test_before_erm_is_complete_the_shared_folds_are_shown():
    early = made("synthetic-52", ["ERM", "TFAM"], chosen=[10, 11])
    begun = made("synthetic-52", ["ERM"], chosen=[12])
    kept, words = tables.so_far(early + begun)
    assert {r["fold"] for r in kept} == {10, 11} and words.endswith("so far; shown are 2 of 5 folds")
    assert len(tables.comparison(kept)) == 2


def test_outcomes_have_finished_attempts_only():
    done, half = (
        studies.Attempt("done", "synthetic", "GIRL"),
        studies.Attempt("half", "synthetic", "TFAM"),
    )
    records = []
    for tried, against in done.pairs():
        people = range(100 * tried.fold, 100 * tried.fold + 20)
        records.append(record(tried, {p: 60 + p % 3 for p in people}))
        records.append(record(against, {p: 50 + p % 3 for p in people}))
    records.append(record(half.pairs()[0][0], {1000: 50}))
    found = tables.outcomes([done, half], records)
    assert list(found) == ["done"]
    assert (
        found["done"].comparison.difference == pytest.approx(0.1) and found["done"].verdict == "a gain"
    )


def test_a_records_key_is_its_experiment():
    e = experiments.experiment("synthetic", "GIRL", 5, 1, {"groups": 8}, search=True)
    assert tables.key_of(json.loads(json.dumps(record(e, {1: 1})))) == e


def test_scores_of_a_setting():
    settings = [{}, {"groups": 8}]
    records = [
        record(
            experiments.experiment("synthetic", "GIRL", 5, seed, knobs), {1: 50 + 10 * len(knobs) + seed}
        )
        for knobs in settings
        for seed in (0, 1)
    ]
    assert tables.scores_of(records, "GIRL") == {"1": pytest.approx(0.505)}
    assert tables.scores_of(records, "GIRL", knobs={"groups": 8}) == {"1": pytest.approx(0.605)}
    assert tables.scores_of(records, "GIRL", "synthetic:shift=0.5") == {}


def test_missing_files_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"size.jsonl: no records.*evidence --study size$"):
        tables.records_of("size")
    with pytest.raises(FileNotFoundError, match=r"evidence --data synthetic$"):
        tables.records_of("search-synthetic")
    e = experiments.experiment("synthetic", "ERM", 5, 0)
    (tmp_path / "size.jsonl").write_text(json.dumps(record(e, {1: 1})) + "\n")
    assert [tables.key_of(r) for r in tables.records_of("size")] == [e]


# What peeking is worth


@pytest.fixture
def searched(own):
    """A search of two settings: one suits person 1 of a reader's own file, the other everybody else."""
    return [
        record(
            experiments.experiment(own, "CORAL", fold, 0, knobs, search=True),
            {p: value for p in folds.load_search_fold(own, fold).unseen.people.tolist()
             for value in [90 if (p == 1) == bool(knobs) else 60]},
        )
        for knobs in ({}, {"weight": 10.0})
        for fold in folds.search_folds(own)
    ]  # fmt: skip


def test_peeking_takes_the_best_on_the_folds_own_people(own, searched):
    usual, honest, best = tables.peeking(searched, own, "CORAL")
    own_people = [folds.load_fold(own, fold).unseen.people.tolist() for fold in folds.folds(own)]
    with_defaults = [np.mean([0.6 if p == 1 else 0.9 for p in people]) for people in own_people]
    with_other = [np.mean([0.9 if p == 1 else 0.6 for p in people]) for people in own_people]
    assert usual == pytest.approx(np.mean(with_defaults))
    assert best == pytest.approx(np.mean(np.maximum(with_defaults, with_other)))
    assert honest < best and usual < best
    assert np.isnan(tables.peeking(searched, own, "MMD")).all()


def test_choices_are_counted_over_folds(own, searched, shown):
    tables.show_choices({own: searched}, ["CORAL", "MMD"])
    ((header, rows),) = shown
    assert header == ["method", own]
    assert rows[0][1].startswith(("defaults (", "weight 10 (")) and rows[0][1].endswith("of 5)")
    assert rows[1][1] == "defaults (5 of 5)"


# Tables as shown


def test_show_comparison_has_everything(shown):
    rows = tables.comparison(made("synthetic", ["ERM", "augmentation", "CORAL"], {"augmentation": 5}))
    tables.show_comparison(rows)
    ((header, lines),) = shown
    assert all(len(line) == len(header) for line in lines)
    by_name = {line[0]: dict(zip(header[:8], line[:8], strict=True)) for line in lines}
    assert by_name["CORAL"]["told people"] == "yes" and by_name["ERM"]["told people"] == "no"
    assert by_name["ERM"]["over ERM [points]"] == "" and header[9] == "over augmentation [points]"
    assert by_name["augmentation"]["mean [%]"] == pytest.approx(100 * rows[1].summary.mean)
    assert by_name["augmentation"]["sd over seeds"] == pytest.approx(100 * rows[1].seed_deviation)


def test_show_gains_is_the_short_form(shown):
    rows = tables.comparison(made("synthetic", ["ERM", "TFAM"], {"TFAM": 8}))
    tables.show_gains(rows)
    ((header, lines),) = shown
    assert len(header) == len(lines[0]) == 7
    assert lines[1][5] == tables.points(rows[1].gain) and lines[0][5] == ""


def test_families_stand_side_by_side(shown):
    one, other = judged(0.1, 0.05, 0.2, 0.01), judged(-0.1, -0.2, 0.05, 0.3)
    tables.show_judged("against TFAM", {"real": {"a": one}, "synthetic": {"b": other}})
    ((header, lines),) = shown
    assert header == ["against TFAM", "real [points]", "p (Holm)", "synthetic [points]", "p (Holm)"]
    assert lines == [
        ["a", "+10.0 [+5.0, +20.0]", "0.010", "", ""],
        ["b", "", "", "-10.0 [-20.0, +5.0]", "0.300"],
    ]


def test_attempts_have_a_line_each(shown):
    attempt = studies.Attempt("deep", "synthetic", "temporal", {"at": 1})
    tables.show_attempts(
        [attempt, studies.Attempt("later", "synthetic", "GIRL")], {"deep": judged(0.1, 0.05, 0.2, 0.01)}
    )
    ((header, (line,)),) = shown
    assert dict(zip(header, line, strict=True)) == {
        "attempt": "deep",
        "data": "synthetic",
        "method": "temporal (at 1)",
        "over": "ERM",
        "points": "+10.0 [+5.0, +20.0]",
        "p (Holm)": "0.010",
        "verdict": "a gain",
    }


def test_hyperparameters_are_merged_but_none_is_lost(shown):
    tables.show_hyperparameters()
    ((header, lines),) = shown
    assert header[-1] == "methods" and len({tuple(line[:4]) for line in lines}) == len(lines)
    count = sum(line[4].replace("temporal, Sinkhorn", "x").count(",") + 1 for line in lines)
    assert count == len(evidence.hyperparameter_table())


def test_commands_name_a_chapter_and_parameters_that_exist():
    import shlex

    words = shlex.split(tables.command("synthetic", "TFAM, mean fusion"))
    assert words[:5] == ["python", "-m", "piumar_lib.course", "papermill", "09"]
    given = {words[k + 1]: words[k + 2] for k, word in enumerate(words) if word == "-p"}
    assert given == {"profile": "full", "data": "synthetic", "rerun": "TFAM, mean fusion"}
    (chapter,) = list_chapters(find_root(), ["09"])
    assert given.keys() <= read_parameters(to_notebook(chapter.path)).keys()


def test_commands_are_folded_away(monkeypatch):
    import IPython.display

    seen = []
    monkeypatch.setattr(IPython.display, "display", seen.append)
    tables.show_commands("synthetic", ["ERM", "TFAM"])
    (text,) = (shown.data for shown in seen)
    assert text.startswith("<details>") and tables.command("synthetic", "TFAM") in text


# Figures


def test_effects_are_in_points_and_leave_lines_empty(ax):
    words = plots.effects(
        ax, {"a": Comparison(0.02, 0.01, 0.04, 0.1), "b": None}, {"a": "ours", "b": "baseline"}
    )
    assert words == "a +2.0"
    segments = ax.collections[0].get_segments()
    assert segments[0][:, 0].tolist() == [1.0, 4.0] and [t.get_text() for t in ax.get_yticklabels()] == [
        "a",
        "b",
    ]
    assert plots.effects(ax, {}) == ""


def test_kinds_have_marks_of_their_own(ax):
    comparison = Comparison(0.02, 0.01, 0.04, 0.1)
    plots.effects(ax, {"a": comparison, "b": comparison}, {"a": "ours", "b": "baseline"})
    marks = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    assert [(m.get_marker(), m.get_markerfacecolor() == "white") for m in marks] == [
        ("o", False),
        ("s", True),
    ]
    plots.name_kinds(ax.figure, ("ours", "baseline"))
    assert [t.get_text() for t in ax.figure.legends[0].get_texts()] == ["ours", "baseline"]
    assert {m.kind for m in METHODS.values()} - {"attempt"} <= plots.MARKS.keys()


def test_panels_share_their_lines():
    fig, axes = plt.subplots(1, 2, sharey=True)
    c = Comparison(0.02, 0.01, 0.04, 0.1)
    words = plots.panels(axes, {"one": {"a": c}, "two": {"b": c}})
    assert words == "one: a +2.0. two: b +2.0"
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["a", "b"]
    assert axes[0].collections[0].get_segments()[0][:, 1].tolist() == [1.0, 1.0]
    assert axes[1].collections[0].get_segments()[1][:, 1].tolist() == [0.0, 0.0]
    plt.close(fig)


def test_curves_have_means_and_intervals(ax):
    scores = [np.array([0.4, 0.6]), np.array([0.8, 0.8])]
    assert plots.curve(ax, [0, 1], scores, "ERM", **plots.LINES[0]) == pytest.approx([50, 80])
    (bars,) = ax.collections
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx([40, 60])


def test_changes_mark_the_default(ax):
    plots.changes(
        ax, {1: Comparison(-0.02, -0.03, -0.01, 0.1), 4: None, 8: Comparison(0.0, 0.0, 0.0, 1.0)}, 8
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "4", "8"]
    (diamond,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (2, 0)
    assert ax.collections[0].get_segments()[0][:, 1].tolist() == pytest.approx([-3, -1])


def test_two_by_person_sorts_by_the_reference(ax):
    plots.two_by_person(ax, {"1": 0.9, "2": 0.4}, {"1": 0.8, "2": 0.5}, ("TFAM", "ERM"))
    reference, method = ax.lines
    assert reference.get_ydata().tolist() == [50, 80] and method.get_ydata().tolist() == [40, 90]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "1"]


def test_gains_are_over_erm_or_over_the_best_baseline(ax):
    rows = tables.comparison(
        made("synthetic", ["ERM", "augmentation", "TFAM"], {"augmentation": 5, "TFAM": 8})
    )
    for over, names in (("ERM", ["augmentation", "TFAM"]), ("best", ["ERM", "TFAM"])):
        ax.clear()
        words = plots.gains(ax, rows, over)
        assert [t.get_text() for t in ax.get_yticklabels()] == names
        assert words.startswith(f"{names[0]} ") and "best baseline" in ax.get_xlabel() or over == "ERM"


# What cannot be judged


def test_failed_trainings_are_shown_as_failed(shown, capsys):
    records = made("spar-windows", ["ERM", "CORAL", "TFAM"])
    broken = [
        r | {"people": dict.fromkeys(r["people"], [0, 100]), "failed": "loss is nan"}
        if r["method"] == "CORAL"
        else r
        for r in records
    ]
    rows = tables.comparison(broken)
    assert tables.strongest(rows) == "ERM" and "CORAL" not in tables.established(rows)
    for show in (tables.show_gains, tables.show_comparison):
        show(rows)
        (line,) = (line for line in shown[-1][1] if line[0] == "CORAL")
        assert "failed" in line and len(line) == len(shown[-1][0])
        assert all(cell in ("CORAL", "yes", "failed", "") for cell in line)
        assert capsys.readouterr().out == "CORAL: 20 of 20 trainings failed: loss is nan\n"


def test_one_person_is_shown_without_an_interval(shown, ax):
    records = made("spar-windows", ["ERM", "TFAM"])
    records = [r | {"people": {"a": [50 + r["seed"], 100]}} for r in records]
    rows = tables.comparison(records)
    tables.show_comparison(rows)
    cells = " ".join(str(cell) for line in shown[-1][1] for cell in line)
    assert "[" not in cells and cells.count("(one person: no interval)") == 4
    gain = rows[1].gain
    assert tables.points(gain) == "+0.0 (one person: no interval)"
    assert "better than ERM: nothing; worse: nothing" in tables.established(rows)
    assert "nan" not in plots.differences(ax, {"TFAM minus ERM": gain})
