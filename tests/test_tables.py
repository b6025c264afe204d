"""Tables of evidence: words, what is shown of the study; and figures of differences."""

from __future__ import annotations

import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from piumar_lib.evidence import contrasts, experiments, folds, protocol, statistics, tables, wording
from piumar_lib.notebook import plots


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


def known(difference, low, high):
    return statistics.Difference(difference, low, high, 0.1, 0.5, 5, 0.1, 0.01)


# Words


def test_points_have_signs_and_zero_is_never_negative():
    assert wording.points(known(0.026, 0.0071, 0.0449)) == "+2.6 [+0.7, +4.5]"
    assert wording.points(known(-0.0001, -0.02, 0.0)) == "+0.0 [-2.0, +0.0]"
    assert wording.points(None) == ""
    assert wording.in_words(float("nan")) == "-"
    assert wording.points(statistics.paired([0.5], [0.4])) == "+10.0 (one person: no interval)"
    alike = statistics.paired([0.5, 0.75], [0.25, 0.5])
    assert wording.points(alike) == "+25.0 (no interval)"
    one_population = statistics.clustered([0.1, 0.2, 0.05], [0, 0, 0])
    assert wording.points(one_population) == "+11.7 (no interval)"


def test_names_with_a_comma_are_quoted():
    assert wording.listed(["TFAM", "PIUmr, random groups"]) == 'TFAM, "PIUmr, random groups"'
    assert wording.listed([]) == "nothing"


# The study's tables


@pytest.fixture
def study(tmp_path):
    """Records of synthetic and SPAR people under three methods; TFAM is better by 5 of 100 clips."""
    edge = {"augmentation": 0, "ERM": -4, "TFAM + augmentation": 5}
    for data in ("synthetic", "spar-own-tempo"):
        rng, lines = np.random.default_rng(0), []
        for fold in folds.folds(data):
            for k, base in enumerate(rng.integers(40, 80, 4)):
                for method, gain in edge.items():
                    e = experiments.experiment(data, method, fold, k)
                    right = int(base + gain + rng.integers(0, 3))
                    lines.append(json.dumps(e.key() | {"people": {str(10 * fold): [right, 100]}}))
        protocol.records_path(data, tmp_path).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_trained_method_has_a_line_and_what_was_not_run_an_empty_cell(study, shown, monkeypatch):
    monkeypatch.setattr(tables, "NAMES", ("spar",))
    tables.show_methods("own tempo", "augmentation", folder=study)
    ((header, lines),) = shown
    assert header[0] == "gain over augmentation at own tempo [points]"
    assert header[1:] == ["synthetic", "SPAR", "eight other sets"]
    rows = {line[0]: line[1:] for line in lines}
    assert rows.keys() == {"ERM", "TFAM + augmentation"}
    for name, (synthetic, spar, pooled) in rows.items():
        own = contrasts.compare(contrasts.read(["spar"], "own tempo", study), name, "augmentation")
        assert spar == pooled == wording.points(own)
        assert synthetic.startswith("+" if "TFAM" in name else "-")


def test_a_method_trained_for_some_of_the_people_has_an_empty_cell(study, shown, monkeypatch):
    monkeypatch.setattr(tables, "NAMES", ("spar",))
    path = protocol.records_path("spar-own-tempo", study)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [r for r in lines if r["method"] != "ERM" or r["fold"] < 5]
    path.write_text("\n".join(map(json.dumps, kept)) + "\n")
    tables.show_methods("own tempo", "augmentation", folder=study)
    rows = {line[0]: line[1:] for line in shown[0][1]}
    assert rows["ERM"][0] and rows["ERM"][1:] == ["", ""] and all(rows["TFAM + augmentation"])


def test_a_network_counts_on_data_sets_with_every_method(study, shown, monkeypatch):
    """And on the first seed alone, whatever others there are."""
    monkeypatch.setattr(tables, "PARTS", {name: tables.PARTS[name] for name in [*tables.PARTS][:2]})
    path = protocol.records_path("spar-own-tempo", study)
    usual = [json.loads(line) for line in path.read_text().splitlines()]
    wide = [
        r | {"hyperparameters": r["hyperparameters"] | {"width": 64}} for r in usual if r["seed"] < 2
    ]
    deep = [r | {"hyperparameters": r["hyperparameters"] | {"backbone": "resnet"}} for r in usual]
    deep = [r for r in deep if (r["method"], r["fold"]) != ("ERM", 3)]  # still being trained
    path.write_text("\n".join(map(json.dumps, usual + wide + deep)) + "\n")
    tables.show_networks("own tempo", study)
    ((header, lines),) = shown
    assert header[2:4] == ["ERM, mean [%]", "TFAM + augmentation, mean [%]"]
    assert header[4:] == ["augmentation [points]", "TFAM on top of it [points]"]
    assert [line[:2] for line in lines] == [["CNN, 32 channels", 1], ["CNN, 64 channels", 1]]
    first = {"spar": [r for r in usual if r["seed"] == 0]}
    means = [
        100 * np.mean([*contrasts.scores(first["spar"], method).values()])
        for method in ("ERM", "TFAM + augmentation")
    ]
    assert lines[1][2:4] == pytest.approx(means)
    assert lines[1][4:] == [
        wording.points(contrasts.compare(first, *pair)) for pair in tables.PARTS.values()
    ]


def test_contrasts_have_a_line_each(study, shown):
    planned = contrasts.CONTRASTS[:2]
    tables.show_contrasts(contrasts.compute(["spar"], ["own tempo"], study, planned))
    ((header, lines),) = shown
    assert [line[:2] for line in lines] == [[c.label, "own tempo"] for c in planned]
    assert all(len(line) == len(header) for line in lines)
    gain = dict(zip(header, lines[1], strict=True))
    assert (
        gain["people"] == "10"
        and gain["sets"] == "1"
        and gain["I²"] == "-"
        and gain["verdict"] == "a gain"
    )
    assert gain["a new set"] == "-"  # one set says nothing of others


# Figures


def test_effects_are_in_points_and_leave_lines_empty(ax):
    words = plots.effects(ax, {"a": known(0.02, 0.01, 0.04), "b": None})
    assert words == "a +2.0"
    segments = ax.collections[0].get_segments()
    assert segments[0][:, 0].tolist() == [1.0, 4.0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert plots.effects(ax, {}) == ""


def test_two_by_person_sorts_by_the_reference(ax):
    plots.two_by_person(ax, {"1": 0.9, "2": 0.4}, {"1": 0.8, "2": 0.5}, ("TFAM", "ERM"))
    reference, method = ax.lines
    assert reference.get_ydata().tolist() == [50, 80] and method.get_ydata().tolist() == [40, 90]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "1"]
