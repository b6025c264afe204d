"""Runs on poses evaluated with each held-out person's features normalised."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from piumar_lib.evidence.records import read_records
from piumar_lib.ma52 import normalize_people as evaluation
from piumar_lib.ma52 import sweep, train
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.clips import load_data
from piumar_lib.ma52.config import NORMALIZED_BY
from piumar_lib.ma52.evaluate import read_predictions
from piumar_lib.ma52.model import load_model
from piumar_lib.ma52.normalize_people import normalize_people, to_sequences
from piumar_lib.ma52.sweep_table import compare
from piumar_lib.person_normalization import TrainingPeople, normalize_person


@pytest.fixture(scope="module")
def swept(posed, tmp_path_factory):
    """The command's arguments, and the file of the records of one method on two folds."""
    folder = tmp_path_factory.mktemp("normalized")
    command = ["sweep", "--preset", "poses", "--poses", str(posed.poses), "--index", str(posed.index),
               "--splits", str(posed.splits), "--out", str(folder / "records.jsonl"), "--epochs", "2",
               "--batch-size", "16", "--warmup", "1", "--methods", "augmentation"]  # fmt: skip
    assert main([*command, "--normalize", "person"]) == main([*command, "--normalize", "session"]) == 0
    return command, folder / "records.jsonl"


@pytest.fixture
def run(swept):
    """Folder of the first run."""
    return read_records(swept[1])[0]["config"]["out"]


def test_a_record_says_what_is_normalised_and_what_came_before(swept):
    records = read_records(swept[1])
    by = [(r["fold"], r.get("normalized by", "")) for r in records]
    assert by == [(fold, by) for by in ("", "person", "session") for fold in (1, 2)]
    plain, normalized = records[:2], records[2:]
    for before, after in zip([*plain, *plain], normalized, strict=True):
        assert after["before"] == before["held out"]["people"]
        counts = after["held out"]["people"]
        assert {p: n for p, (_, n) in counts.items()} == {p: n for p, (_, n) in after["before"].items()}
        for key in ("config", "content", "split", "steps", "seed"):
            assert after[key] == before[key]
    names = [row.name for row in compare(records)]
    assert names == ["augmentation"] + [f"augmentation, normalised by {by}" for by in NORMALIZED_BY]


def test_what_is_trained_is_not_trained_again(swept, monkeypatch):
    def refuse(*_):
        raise AssertionError("trained again")

    command, out = swept
    before = out.read_bytes()
    monkeypatch.setattr(train, "Run", refuse)
    for more in ([], ["--normalize", "person"]):
        assert main([*command, *more]) == 0
    assert out.read_bytes() == before
    out.write_bytes(b"".join(before.splitlines(keepends=True)[:2]))
    assert main([*command, "--normalize", "session"]) == 0  # from the runs that are there
    assert [r.get("normalized by") for r in read_records(out)] == [None, None, "session", "session"]
    out.write_bytes(before)


def test_a_share_of_nothing_leaves_every_probability_as_it_was(run, monkeypatch):
    seen = []

    def watch(found, train_y):
        seen.append(found)
        return {}

    monkeypatch.setattr(evaluation, "report", watch)
    monkeypatch.setattr(evaluation, "normalize_person", partial(normalize_person, alpha=0.0))
    normalize_people(run)
    plain = read_predictions(f"{run}/predictions.safetensors")
    assert seen[0].names == plain.names and np.array_equal(seen[0].y, plain.y)
    assert np.allclose(seen[0].actions, plain.actions, atol=1e-6)


def test_each_person_or_session_is_normalised_alone(run):
    model = load_model(run)
    known, held_out, _ = load_data(model.config, model.frames)
    training = TrainingPeople(model.recognizer, to_sequences(model, known))
    clips = to_sequences(model, held_out)
    for by, owner in (("person", lambda c: c.person), ("session", lambda c: (c.person, c.session))):
        right: dict[str, int] = {}
        for one in {owner(clip) for clip in held_out.clips}:
            rows = [k for k, clip in enumerate(held_out.clips) if owner(clip) == one]
            said = normalize_person(model.recognizer, clips.x[rows], training).argmax(1)
            person = held_out.clips[rows[0]].person
            right[person] = right.get(person, 0) + int((said == clips.y[rows]).sum())
        counts = normalize_people(run, by)["held out"]["people"]
        assert {p: n for p, (n, _) in counts.items()} == right


def test_what_cannot_be_normalised_is_refused(run, prepared, tmp_path):
    with pytest.raises(ValueError, match="by: 'clip' is unknown. Choose from person, session"):
        normalize_people(run, "clip")
    with pytest.raises(FileNotFoundError, match="no finished run"):
        normalize_people(tmp_path / "nothing")
    config = prepared.config(tmp_path / "video", epochs=1)
    train.train(config, progress=False)
    with pytest.raises(ValueError, match="is a run on video. Choose a run on poses"):
        normalize_people(config.out)
    paths = {"cache": prepared.cache, "index": prepared.index, "splits": prepared.splits}
    with pytest.raises(ValueError, match="only runs on poses are normalised, not resnet-tiny-tsm"):
        sweep.plan("tiny", runs=tmp_path, normalized="person", **paths)


def test_a_normalised_sweep_needs_its_evaluation(posed, tmp_path):
    paths = {"poses": posed.poses, "index": posed.index, "splits": posed.splits}
    plan = sweep.plan("poses", runs=tmp_path, methods=["ERM"], normalized="person", **paths)
    with pytest.raises(ValueError, match="normalize: None, but normalised trainings are planned"):
        sweep.run(plan, tmp_path / "records.jsonl", train.train)
    assert not [*tmp_path.iterdir()]
