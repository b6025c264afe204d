"""The probe of the person: what it finds, what it must not find, and its records."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from piumar_lib.evidence import person_probe as probe
from piumar_lib.evidence.experiments import experiment
from piumar_lib.evidence.protocol import plan
from piumar_lib.evidence.records import read_records


def clips(rng, people=4, classes=3, each=20, person=0.0, of_class=3.0, width=6):
    """Features with a direction of each class and of each person; ``(features, y, person)``."""
    y, who = (v.ravel() for v in np.meshgrid(np.arange(classes), np.repeat(np.arange(people), each)))
    x = rng.normal(size=(len(y), width))
    x += of_class * rng.normal(size=(classes, width))[y] + person * rng.normal(size=(people, width))[who]
    return x, y, who


def test_chance_without_a_person_and_no_mistake_with_a_strong_one():
    rng = np.random.default_rng(0)
    assert abs(probe.person_probe(*clips(rng, person=0.0))) < 0.12
    assert probe.person_probe(*clips(rng, person=8.0)) > 0.98
    weak, strong = (probe.person_probe(*clips(np.random.default_rng(1), person=s)) for s in (0.3, 1.0))
    assert 0 < weak < strong


def test_who_makes_which_class_tells_nothing():
    # Each person makes mostly one class, and the classes' features differ widely.
    rng = np.random.default_rng(0)
    x, y, who = clips(rng, people=3, each=40, of_class=10.0)
    kept = (y == who) | (rng.random(len(y)) < 0.3)
    raw = LogisticRegression(max_iter=1000).fit(x[kept], who[kept]).score(x[kept], who[kept])
    assert raw > 0.6
    assert abs(probe.person_probe(x[kept], y[kept], who[kept])) < 0.15


def test_scale_shift_and_order_change_nothing():
    x, y, who = clips(np.random.default_rng(2), person=0.7)
    found = probe.person_probe(x, y, who)
    assert probe.person_probe(5 * x + 3, y, who + 7) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("who", [[0] * 20, [0] * 17 + [1] * 3])
def test_too_few_people_or_clips(who):
    with pytest.raises(ValueError, match="Give two or more people, each with at least 5"):
        probe.person_probe(np.zeros((20, 2)), np.zeros(20), np.array(who))


def test_records_are_resumed_and_reproducible(own, tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "PROBED", ("ERM",))
    monkeypatch.setattr(probe, "plan", lambda *a: plan(*a, model={"updates": 3})[:1])
    out = tmp_path / "probe.jsonl"
    first = probe.make(own, out)
    assert probe.make(own, out) == first and len(read_records(out)) == 1
    out.unlink()
    assert probe.make(own, out)[0]["probe"] == first[0]["probe"]


def test_a_file_that_changed_since_it_was_planned_is_not_trained_on(own):
    planned = experiment(own, "ERM", 0, 0, {"updates": 1})
    arrays = dict(np.load(own))
    np.savez(own, **arrays | {"y": 1 - arrays["y"]})
    with pytest.raises(ValueError, match=r"own.npz: has changed meanwhile. Start the same command"):
        probe.run(planned)


@pytest.mark.parametrize(
    ("people", "enough"), [([0] * 9, False), ([0] * 5 + [1] * 4, False), ([0] * 5 + [1] * 5, True)]
)
def test_a_fold_with_one_person_or_few_clips_is_left_out(people, enough, own, monkeypatch):
    """As two of UTD-MHAD's five folds would stop the whole command."""
    unseen = SimpleNamespace(person=np.array(people))
    monkeypatch.setattr(probe, "load_fold", lambda data, fold: SimpleNamespace(unseen=unseen))
    assert probe._may_be_probed(experiment(own, "ERM", 0, 0)) == enough


def test_scores_by_data_set_and_fold():
    records = [
        {"data": "shrec17-own-tempo", "method": "ERM", "fold": f, "seed": 0, "probe": 0.1 * f}
        for f in (2, 0, 1)
    ]
    records.append({"data": "shrec17", "method": "ERM", "fold": 0, "seed": 0, "probe": 0.9})
    found = probe.scores(records, "own tempo", "ERM")
    assert [*found] == ["shrec17"] and np.allclose(found["shrec17"], [0.0, 0.1, 0.2])


def test_seeds_are_paired_by_their_number_and_folds_that_a_method_lacks_are_left_out():
    probes = {"ERM": {(0, 0): 0.5, (0, 1): 0.7, (1, 0): 0.1}, "augmentation": {(0, 0): 0.9, (0, 1): 0.3}}
    rows = [
        {"data": "shrec17-own-tempo", "method": method, "fold": fold, "seed": seed, "probe": value}
        for method, of in probes.items()
        for (fold, seed), value in of.items()
    ]
    ours, theirs = (probe.scores(rows, "own tempo", m)["shrec17"] for m in ("augmentation", "ERM"))
    assert ours - theirs == pytest.approx([0.0])
    one_seed = [r for r in rows if (r["method"], r["seed"]) != ("augmentation", 1)]
    ours, theirs = (probe.scores(one_seed, "own tempo", m)["shrec17"] for m in ("augmentation", "ERM"))
    assert ours - theirs == pytest.approx([0.4])


def test_predictions_that_are_not_finite_are_a_training_that_diverged(own, monkeypatch):
    monkeypatch.setattr("piumar_lib.evidence.experiments.predict", lambda *_: np.full((32, 2), np.nan))
    record = probe.run(experiment(own, "ERM", 0, 0, {"updates": 1}))
    assert record["probe"] is None and record["failed"].startswith("predictions are not finite")


def test_a_training_that_diverges_leaves_its_fold_out_for_all_methods(own, monkeypatch):
    def diverge(e):
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(probe, "train", diverge)
    record = probe.run(experiment(own, "ERM", 0, 0))
    assert record["probe"] is None and record["failed"] == "the loss is not finite"
    rows = [
        {"data": "shrec17-own-tempo", "method": method, "fold": fold, "seed": 0, "probe": value}
        for method, fold, value in [("ERM", 0, 0.5), ("ERM", 1, 0.7), ("augmentation", 1, 0.6)]
    ]
    rows.append(rows[0] | {"method": "augmentation"} | {"probe": record["probe"]})
    for method, value in (("ERM", 0.7), ("augmentation", 0.6)):
        assert probe.scores(rows, "own tempo", method)["shrec17"].tolist() == [value]
