"""The study of person normalization: what is trained, what a record holds, and how gains are taken."""

from __future__ import annotations

import shlex
from itertools import product

import numpy as np
import pytest
from scipy import stats

from piumar_lib.evidence import folds, person_gain, person_study
from piumar_lib.evidence.__main__ import main as evidence
from piumar_lib.evidence.contrasts import CONTRASTS
from piumar_lib.evidence.experiments import experiment
from piumar_lib.evidence.folds import DEVELOPMENT, load_fold
from piumar_lib.evidence.methods import METHODS, build, resolve, settings
from piumar_lib.evidence.person_gain import (
    CLIPS,
    DEFAULT,
    FILE,
    NONE,
    SHOWN,
    WAYS,
    as_method,
    differences,
    gain,
)
from piumar_lib.evidence.person_study import clips_of, main, run, trainings
from piumar_lib.evidence.protocol import SEEDS, UPDATES
from piumar_lib.evidence.records import append_record, read_records
from piumar_lib.person_normalization import KINDS, TrainingPeople, normalize_person
from piumar_lib.training import fit, predict


@pytest.fixture
def short(monkeypatch):
    """Two ways only, and few numbers of clips, and updates."""
    for module in (person_study, person_gain):  # one makes records, the other reads them
        monkeypatch.setattr(module, "CLIPS", (2, 12, None))
        monkeypatch.setattr(module, "SHOWN", (None, 1))
    monkeypatch.setattr(person_study, "WAYS", {name: WAYS[name] for name in ("AdaBN", DEFAULT)})
    monkeypatch.setattr("piumar_lib.evidence.protocol.UPDATES", 3)


def test_synthetic_populations_of_development_and_all_folds_of_other_data(own, tmp_path):
    assert {t.fold for t in trainings("synthetic:clips=20", "ERM", 2, tmp_path)} == {*DEVELOPMENT}
    planned = trainings(own, "ERM", 3, tmp_path)
    assert [(t.seed, t.fold) for t in planned] == [*product(range(3), folds.folds(own))]
    assert {dict(t.hyperparameters)["updates"] for t in planned} == {UPDATES}


def test_every_kind_is_tried_and_the_default_is_one_of_the_ways():
    assert {way.get("kind", KINDS[0]) for way in WAYS.values()} == {*KINDS}
    assert WAYS[DEFAULT] == {} and NONE not in WAYS and None in CLIPS and None in SHOWN


def test_the_default_way_is_the_one_that_it_is_called(toy):
    k = resolve("ERM", {"epochs": 1})
    model = build("ERM", 3, 2, k, 0)
    fit(model, toy, settings("ERM", k, "", 0))
    people, x = TrainingPeople(model, toy), toy.x[:5]
    spelled = {"kind": "batch statistics", "alpha": 0.5, "prior": 4.0, "matched": True}
    one, other = (normalize_person(model, x, people, x, **way) for way in (WAYS[DEFAULT], spelled))
    assert np.array_equal(one, other)


def test_a_persons_clips_are_their_own_in_random_order_of_so_many_classes(toy):
    everything, one = clips_of(toy, 3, None, 0), clips_of(toy, 3, 1, 0)
    assert {*everything.person} == {*one.person} == {3}
    assert len(everything) == 16 and len(one) == 8 and len({*one.y}) == 1
    first = [clips_of(toy, 3, None, seed).y.tolist() for seed in range(4)]
    assert first[0] == everything.y.tolist() and len({*map(tuple, first)}) > 1
    assert sorted(everything.x.sum((1, 2))) == sorted(toy.take(toy.person == 3).x.sum((1, 2)))


def test_a_record_is_of_unseen_people_estimated_from_their_first_clips(own, short):
    e = experiment(own, "augmentation", 0, 1, {"updates": 3})
    record = run(e)
    assert {name: record[name] for name in e.key()} == e.key() and record["device"]
    train, unseen, kind = load_fold(own, 0)
    k = dict(e.hyperparameters)
    model = build("augmentation", 3, 2, k, 1)
    made = settings("augmentation", k, kind, 1, len(train))
    fit(model, train, made, METHODS["augmentation"].objective(k))
    people = TrainingPeople(model, train)
    assert [*record["people"]] == ["0", "5"]
    for person, found in record["people"].items():
        for column, shown in enumerate((None, 1)):
            clips = clips_of(unseen, int(person), shown, 1)
            assert found["clips"][column] == len(clips)
            assert found[NONE][column] == (predict(model, clips).argmax(1) == clips.y).sum()
            for way in ("AdaBN", DEFAULT):
                for n, right in zip((2, 12, None), found[way][column], strict=True):
                    said = normalize_person(model, clips.x, people, clips.x[:n], **WAYS[way])
                    enough = n is None or n <= len(clips)
                    assert right == ((said.argmax(1) == clips.y).sum() if enough else None)
        assert found["AdaBN"][1][1] is None  # eight clips of a class


def test_a_training_that_diverges_is_a_record_that_recognises_nothing(own, short, tmp_path):
    """And the others go on; such a learning rate is beyond any network."""
    e = experiment(own, "augmentation", 0, 1, {"updates": 3, "learning_rate": 1e30})
    record = run(e)
    assert "Lower the learning rate" in record["failed"]
    for found in record["people"].values():
        assert found[NONE] == [0, 0] and min(found["clips"]) > 0
        assert {n for row in found[DEFAULT] for n in row} <= {0, None}
    assert gain([record], DEFAULT).difference == 0


def cell(right, clips=10, few=None):
    """What a record holds of a person: so many right before, and after with all clips."""
    before, after = right
    rows = [[None] * (len(CLIPS) - 2) + [few, after]] * 2
    return {"clips": [clips] * 2, NONE: [before] * 2} | dict.fromkeys(WAYS, rows)


def of(data, people, fold=0):
    return {"data": data, "method": "augmentation", "fold": fold, "people": people}


def test_differences_are_paired_by_person_and_averaged_over_seeds():
    records = [
        of("utkinect", {"1": cell((5, 9)), "2": cell((1, 4), few=6)}),
        of("utkinect", {"1": cell((7, 9)), "2": cell((3, 4))}),
    ]
    assert differences(records, DEFAULT) == pytest.approx({"1": 0.3, "2": 0.2})
    assert differences(records, DEFAULT, 3) == pytest.approx({"1": 0.3, "2": 0.2})
    assert differences(records, DEFAULT, clips=20) == pytest.approx({"2": 0.5})  # in one seed
    assert gain(records, DEFAULT).difference == pytest.approx((0.3 + 0.2) / 2)
    assert gain(records, DEFAULT, clips=1) is None  # nobody has


def test_people_of_one_number_in_two_data_sets_are_two_people():
    """Pooled as the planned contrasts are; by hand where all sets are alike."""
    records = [of(name, {"1": cell((1, a)), "2": cell((2, b))}) for name, a, b in
               (("utkinect", 3, 4), ("mmg", 4, 5), ("shrec17", 2, 3))]  # fmt: skip
    found = gain(records, "AdaBN")
    assert (found.people, found.sets) == (6, 3)
    assert found.difference == pytest.approx(np.mean([0.2, 0.3, 0.1]))
    assert gain(records[:1], "AdaBN").people == 2


def test_records_of_two_forms_or_of_two_methods_are_not_pooled():
    """Both forms hold the same people, who would count twice."""
    own, one = (of(data, {"1": cell((5, 9)), "2": cell((5, 8))}) for data in ("mmg-own-tempo", "mmg"))
    assert gain([own], DEFAULT).people == gain([one], DEFAULT).people == 2
    with pytest.raises(ValueError, match=r"records: of 2 forms \(one length; own tempo\)\. Give one"):
        gain([own, one], DEFAULT)
    with pytest.raises(ValueError, match=r"records: of 2 methods \(ERM; augmentation\)\. Give one"):
        gain([own, own | {"method": "ERM"}], DEFAULT)


def test_synthetic_people_count_by_population():
    records = [of("synthetic", {str(10 * f + p): cell((1, 1 + f + p)) for p in range(2)}, fold=f)
               for f in range(4)]  # fmt: skip
    found = gain(records, "AdaBN")
    means = [(f + 0.5) / 10 for f in range(4)]
    half = stats.t.ppf(0.975, 3) * np.std(means, ddof=1) / 2
    assert (found.difference, found.high) == pytest.approx((np.mean(means), np.mean(means) + half))


def study_record(data, method, people, **more):
    return experiment(data, method, 0, 0, **more).key() | {"people": people}


def test_the_default_way_with_all_clips_counts_as_a_method(own, tmp_path):
    people = {"1": cell((5, 9), few=7), "2": cell((1, 4))}
    for data, method in ((own, "augmentation"), (own, "ERM"), ("spar-windows", "augmentation")):
        append_record(tmp_path / FILE, study_record(data, method, people))
    (record,) = as_method("normalised", own, tmp_path)
    assert record["method"] == "normalised" and record["data"] == own
    assert record["people"] == {"1": [9, 10], "2": [4, 10]}
    assert len(as_method("normalised", "spar-windows", tmp_path)) == 1
    assert as_method("normalised", "spar-repetitions", tmp_path) == []
    assert as_method("normalised", own, tmp_path / "nowhere") == []


def test_a_readers_file_counts_by_what_it_holds_however_it_is_spelled(own, tmp_path, monkeypatch):
    append_record(tmp_path / FILE, study_record(own, "augmentation", {"1": cell((5, 9))}))
    monkeypatch.chdir(tmp_path)
    assert len(as_method("normalised", "own.npz", tmp_path)) == 1
    arrays = dict(np.load(own))
    np.savez(own, **arrays | {"y": 1 - arrays["y"]})
    assert as_method("normalised", own, tmp_path) == []


# Command line


def test_by_default_there_are_as_many_seeds_as_the_plan_has(own, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(person_study, "make", lambda data, method, seeds, *_: seen.append(seeds) or [])
    assert main(["--data", own, "--out", str(tmp_path / FILE)]) == 0 and seen == [SEEDS]


def test_the_command_line_resumes_and_prints_a_line_for_each_way(own, short, tmp_path, capsys):
    path = tmp_path / "new" / "records.jsonl"
    arguments = ["--data", own, "--method", "ERM", "--seeds", "1", "--workers", "1", "--out", str(path)]
    assert main(arguments) == 0
    printed, lines = capsys.readouterr().out.splitlines(), path.read_text().splitlines()
    assert len(lines) == 5 and len(printed) == 2 + 2 * 2
    assert printed[0] == f"{own}: gain in points, by clips of the person: 2, 12, all"
    assert printed[1].startswith("all classes, AdaBN ") and printed[-1] == f"records: {path}"
    assert printed[3].startswith("  1 classes, ") and printed[3].split()[-2] == "-"
    record = read_records(path)[0]
    assert {"command", "commit", "versions", "device", "seed", "content"} <= {*record}
    path.write_text("\n".join(lines[:-2]))
    assert main(arguments) == 0
    assert len(read_records(path)) == 5 and capsys.readouterr().out.splitlines() == printed


def test_a_readers_data_reach_all_contrasts_by_the_commands_that_are_named(own, short, tmp_path, capsys):
    where = ["--data", own, "--out", str(tmp_path / "mine")]
    few = ["--seeds", "1", "--workers", "1"]
    assert evidence(["train", *where, *few]) == 0
    assert evidence(["contrasts", *where]) == 1
    named = shlex.split(capsys.readouterr().err.partition("Make them: ")[2])
    assert named[:3] == ["python", "-m", "piumar_lib.evidence.person_study"]
    assert main([*named[3:], *few]) == 0
    capsys.readouterr()
    assert evidence(["contrasts", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in lines] == [f"contrast: {c}" for c in CONTRASTS]


def test_the_scheduler_reaches_the_runner(own, tmp_path, monkeypatch):
    seen = []

    def fake(*arguments):
        seen.append(arguments[-1])
        return []

    monkeypatch.setattr(person_study, "make", fake)
    main(["--data", own, "--scheduler", "tcp://there:1", "--out", str(tmp_path / FILE)])
    assert seen == ["tcp://there:1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--data", "magic"], "data: 'magic' is unknown"), (["--data", "missing.npz"], "no such file")],
)
def test_mistakes_end_in_one_line(tmp_path, capsys, arguments, words):
    assert main([*arguments, "--out", str(tmp_path / FILE)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1
