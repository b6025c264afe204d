"""The study of person normalization: what is trained, what a record holds, and how gains are taken."""

from __future__ import annotations

import pytest

from piumar_lib import folds, person_study
from piumar_lib.experiments import read_records
from piumar_lib.folds import DEVELOPMENT, load_fold
from piumar_lib.person_normalization import KINDS, TrainingPeople, normalize_person
from piumar_lib.person_study import CLIPS, SHOWN, WAYS, clips_of, gains, keys, main, run, trainings


@pytest.fixture
def short(monkeypatch):
    """Three ways only, and few numbers of clips."""
    monkeypatch.setattr(person_study, "WAYS", WAYS[1:4])
    monkeypatch.setattr(person_study, "CLIPS", (2, 12, None))
    monkeypatch.setattr(person_study, "SHOWN", (None, 1))


@pytest.fixture
def trained(monkeypatch):
    """The models that were trained."""
    seen, fit = [], person_study.fit

    def spy(model, *rest):
        seen.append(model)
        return fit(model, *rest)

    monkeypatch.setattr(person_study, "fit", spy)
    return seen


def test_synthetic_populations_of_development_and_all_folds_of_other_data(own):
    assert {t["fold"] for t in trainings("synthetic:clips=20", "ERM", 2)} == {*DEVELOPMENT}
    assert {t["fold"] for t in trainings(own, "ERM", 1)} == {*folds.folds(own)}
    assert len(trainings(own, "ERM", 3)) == 3 * len(trainings(own, "ERM", 1))


def test_every_kind_is_tried_with_and_without_the_remedy_for_all_clips_and_classes():
    tried = keys({"data": "d", "method": "ERM", "fold": 0, "seed": 0})
    assert len({tuple(key.values()) for key in tried}) == len(tried)
    for shown in SHOWN:
        for clips in CLIPS:
            cell = [k for k in tried if (k["shown"], k["clips"]) == (shown, clips)]
            kinds = {(k["kind"], k["matched"]) for k in cell if k["kind"] != "none"}
            assert kinds == {(kind, matched) for kind in KINDS for matched in (False, True)}
        assert sum(k["kind"] == "none" and k["shown"] == shown for k in tried) == 1


def test_a_persons_clips_are_their_own_in_random_order_of_so_many_classes(toy):
    everything, one = clips_of(toy, 3, None, 0), clips_of(toy, 3, 1, 0)
    assert {*everything.person} == {*one.person} == {3}
    assert len(everything) == 16 and len(one) == 8 and len({*one.y}) == 1
    first = [clips_of(toy, 3, None, seed).y.tolist() for seed in range(4)]
    assert first[0] == everything.y.tolist() and len({*map(tuple, first)}) > 1
    assert sorted(everything.x.sum((1, 2))) == sorted(toy.take(toy.person == 3).x.sum((1, 2)))


def test_records_are_of_unseen_people_estimated_from_their_first_clips(own, short, trained):
    training = trainings(own, "ERM", 1)[0]
    records, (model,) = run(training), trained
    train, unseen, _ = load_fold(own, 0)
    seen_in_training = TrainingPeople(model, train)
    for record in records:
        enough = record["shown"] is None or record["clips"] != 12  # eight clips a class
        assert [*record["people"]] == (["0", "5"] if enough else [])
        for person, found in record["people"].items():
            clips = clips_of(unseen, int(person), record["shown"], 0)
            kind = "diagonal" if record["kind"] == "none" else record["kind"]
            probabilities = normalize_person(
                model, clips.x, seen_in_training, clips.x[: record["clips"]], kind,
                record["alpha"], record["prior"], record["matched"],
            )  # fmt: skip
            assert found == [int((probabilities.argmax(1) == clips.y).sum()), len(clips)]


def test_gains_are_paired_by_person_and_averaged_over_seeds():
    way, base = dict(zip(person_study.WAY, WAYS[2], strict=True)), {"clips": None, "shown": None}
    none = dict(zip(person_study.WAY, person_study.NONE, strict=True))
    records = [
        none | base | {"people": {"1": [5, 10], "2": [1, 10]}},
        none | base | {"people": {"1": [7, 10], "2": [3, 10]}},
        way | base | {"people": {"1": [9, 10], "2": [4, 10]}},
        way | base | {"clips": 5, "people": {"2": [6, 10]}},
    ]
    found = gains(records)
    assert found[(*WAYS[2], None, None)].difference == pytest.approx((0.3 + 0.2) / 2)
    assert found[(*WAYS[2], None, 5)].difference == pytest.approx(0.4) and len(found) == 2


def test_the_command_line_resumes_and_prints_a_line_for_each_way(own, short, trained, tmp_path, capsys):
    path = tmp_path / "new" / "records.jsonl"
    arguments = ["--data", own, "--method", "ERM", "--seeds", "1", "--workers", "1", "--out", str(path)]
    main(arguments)
    printed, lines = capsys.readouterr().out.splitlines(), path.read_text().splitlines()
    assert len(lines) == len(trained) * 20 and len(printed) == 2 + 6
    assert printed[1].startswith("all classes, batch statistics, alpha 0.5, prior 0 ")
    assert printed[4].startswith("  1 classes, ") and printed[4].split()[-2] == "-"
    assert printed[-1] == f"records: {path}"
    record = read_records(path)[0]
    assert {"command", "commit", "versions", "device", "seed"} <= {*record}
    path.write_text("\n".join(lines[:-3]))
    trained.clear()
    main(arguments)
    assert len(trained) == 1 and len(read_records(path)) == len(lines)
    assert {"people", *person_study.WAY} <= {*read_records(path)[-1]}
    assert capsys.readouterr().out.splitlines() == printed
