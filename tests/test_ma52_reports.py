"""What stands beside every score: a constant answer, who was judged, and how settings were chosen."""

from __future__ import annotations

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from forks import exit_code, start
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score

from piumar_lib.data.labels import ACTIONS, BODY_PARTS, CLIPS, body_part
from piumar_lib.ma52 import batches, scores, train
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.comparison import compare_runs, say_table
from piumar_lib.ma52.evaluate import Predicted, report, short_report
from piumar_lib.ma52.history import say_progress
from piumar_lib.ma52.prepare.splits import Split, write_splits
from piumar_lib.ma52.protocol import (
    Protocol,
    count_settings,
    describe_selection,
    describe_split,
    find_other_runs,
    merge,
    protocol_of,
)
from piumar_lib.ma52.wording import say
from piumar_lib.notebook.plots import history

# Clips of each action in MA-52's val list, as published.
VAL = (
    153, 74, 9, 3, 76, 168, 121, 228, 480, 641, 595, 112, 56, 47, 21, 41, 37, 176,
    43, 138, 73, 177, 186, 197, 119, 33, 46, 48, 30, 115, 128, 198, 30, 40, 25, 16,
    21, 20, 44, 40, 28, 63, 33, 72, 25, 2, 12, 34, 209, 248, 45, 10,
)  # fmt: skip


def predicted(y, said, person, parts=None):
    """Predictions of actions that are named."""
    y, said = np.array(y), np.array(said)
    names = tuple(f"{k}.mp4" for k in range(len(y)))
    return Predicted(names, np.array(person), y, np.eye(52)[said] * 0.9 + 0.1 / 52, parts)


# Constant answers


def test_the_best_constant_answer_on_the_val_list_is_the_published_share():
    y = np.repeat(np.arange(52), VAL)
    assert len(y) == CLIPS["val"] == 5586
    constant = scores.most_frequent(y)
    assert constant.names == ("nodding", "head")
    assert constant.scores(y)["action top-1"] == 641 / 5586
    assert f"{100 * constant.scores(y)['action top-1']:.3f}" == "11.475"


def test_a_constant_answer_scores_as_scikit_learns_does():
    rng = np.random.default_rng(0)
    train, y = rng.choice(52, 300, p=np.arange(52) / np.arange(52).sum()), rng.integers(0, 52, 200)
    found = scores.most_frequent(train)
    said = []
    for change in (lambda v: v, body_part):
        dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((300, 1)), change(train))
        said.append(dummy.predict(np.zeros((200, 1))))
    assert found == (said[0][0], said[1][0]) and found.action != scores.most_frequent(y).action
    own = found.scores(y)
    assert own["action top-1"] == (y == said[0]).mean() > 0
    assert own["body top-1"] == (body_part(y) == said[1]).mean()
    macro = f1_score(body_part(y), said[1], average="macro", labels=range(7), zero_division=0)
    assert own["body F1 macro"] == pytest.approx(macro)
    assert "action top-5" not in own, "there is one answer"


def test_there_is_no_constant_answer_to_nothing():
    for y in (np.zeros(0, int), np.zeros((2, 2), int)):
        with pytest.raises(ValueError, match=r"y: shape .* Give one action for each clip"):
            scores.most_frequent(y)


def test_actions_that_are_never_predicted_come_with_their_clips_and_people():
    y, person = np.array([9, 9, 9, 3, 3, 3, 41, 5]), np.array(["a", "a", "b", "a", "b", "b", "c", "c"])
    found = scores.never_predicted(y, np.array([9, 5, 9, 9, 9, 9, 9, 9]), person)
    assert found == [(3, 3, 2), (41, 1, 1)]
    assert scores.never_predicted(y, y, person) == []


def test_a_report_holds_constant_answers_and_what_was_never_predicted():
    found = predicted([9, 9, 0, 0, 30], [9, 9, 9, 0, 9], ["a", "a", "b", "b", "b"])
    said = report(found, train_y=np.array([0, 0, 0, 9, 9]))
    assert said["majority"]["action"] == "shaking body" and said["majority"]["body part"] == "body"
    assert said["majority"]["scores"]["action top-1"] == 2 / 5
    assert said["majority"]["right of people"] == {"a": 0, "b": 2}
    assert scores.majority_over_people([said]) == pytest.approx((0 + 2 / 3) / 2)
    assert said["best constant"]["scores"]["action top-1"] == 2 / 5
    assert said["never predicted"] == [["retracting feet", 1, 1]]
    assert short_report(found, np.array([9]))["majority top-1"] == 2 / 5
    assert json.loads(json.dumps(said, allow_nan=False)) == said


# What a record says, in words


def record_of(found, **more):
    split = describe_split("person-disjoint, fold 1 of 2", ["c", "d"], found["people"])
    selection = describe_selection(found["people"], 4, 1, False)
    record = {
        "method": "ERM", "data": "MA-52 layout, person-disjoint, fold 1 of 2", "steps": 1, "seconds": 1,
        "config": {"seed": 0, "epochs": 4}, "command": "", "commit": "", "versions": "",
        "device": "1 x CPU", "split": split, "selection": selection, "held out": found,
    }  # fmt: skip
    return record | more


@pytest.fixture
def found():
    clips = predicted([9, 9, 0, 0, 30], [9, 9, 9, 0, 9], ["a", "a", "b", "b", "b"])
    return report(clips, train_y=np.array([0, 0, 0, 9, 9]))


def test_every_top_1_stands_beside_a_constant_answer(found):
    said = say(record_of(found))
    assert "action top-1 60.00 (40.00)" in said and "body top-1 60.00 (40.00)" in said
    assert "in brackets: always 'shaking body' and 'body', the most frequent of the training" in said
    assert "the best constant action would be" not in said, "it is the same"
    assert "worst 33.3; always 'shaking body': 33.3 %" in said
    assert "never predicted: 1 action, 1 of 5 clips: retracting feet (1 clip of 1 person)" in said
    assert "action top-5 80.00," in said, "which no constant answer has"


def test_another_best_constant_is_told():
    clips = predicted([9, 9, 0], [9, 9, 9], ["a", "a", "b"])
    said = say(record_of(report(clips, np.array([0]))))
    assert "always 'shaking body' and 'body'" in said
    assert "the best constant action would be 'nodding', 66.67" in said


def test_a_record_says_on_whom_and_how_it_was_judged(found):
    said = say(record_of(found))
    assert (
        "person-disjoint, people shared with training: 0 of 2; last epoch (4), 1 view of a clip\n"
        in said
    )
    assert "OPTIMISTIC" not in said


def test_scores_of_people_who_are_trained_on_are_marked(found):
    split = describe_split("official", ["a", "b", "c"], ["a", "b"])
    said = say(record_of(found, split=split))
    assert "official, people shared with training: 2 of 2: not scores of unseen people; last" in said


def test_scores_on_people_on_whom_settings_were_chosen_are_marked(found, tmp_path):
    clips = [f"{person:04d}_01_0001.mp4" for person in (1, 2, 3)]
    splits = [Split("tuning, fold 1 of 2", (clips[2],), (clips[0], clips[1])),
              Split("tuning, fold 2 of 2", (clips[0],), (clips[2],))]  # fmt: skip
    one, two = write_splits(tmp_path, splits, 0)
    said = describe_selection(["0002", "0004"], 9, 3, True, one)
    assert said == {"rule": "last epoch, averaged weights", "epoch": 9, "views": 3,
                    "settings chosen on": "tuning, fold 1 of 2", "people chosen on": 1}  # fmt: skip
    text = say(record_of(found, selection=said))
    assert (
        "last epoch, averaged weights (9), 3 views of a clip; OPTIMISTIC: settings were chosen on 1 "
        in text
    )
    assert describe_selection(["0002", "0004"], 9, 3, True, two)["people chosen on"] == 0


# Tables


@pytest.fixture
def runs(found, tmp_path):
    """Writes records as runs of these names."""

    def write(**records):
        for name, changes in records.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "record.json").write_text(json.dumps(record_of(found, **changes)))
        return [tmp_path / name for name in records]

    return write


def test_a_table_carries_the_majority_share_and_the_protocol(runs):
    folders = runs(a={"method": "ERM"}, b={"method": "TFAM"})
    (table,) = compare_runs(folders).values()
    assert [row.majority for row in table] == [pytest.approx(1 / 3)] * 2
    said = say_table("MA-52", table)
    assert said.splitlines()[:2] == [
        "MA-52: 2 people",
        "  person-disjoint, people shared with training: 0; last epoch (4), 1 view of a clip",
    ]
    assert said.count("most frequent action 33.3") == 2


def test_methods_that_were_judged_otherwise_say_so_in_their_own_lines(runs):
    other = describe_selection([], 8, 3, False)
    folders = runs(a={"method": "ERM"}, b={"method": "TFAM", "selection": other})
    said = say_table("MA-52", *compare_runs(folders).values()).splitlines()
    assert "last epoch (4), 1 view of a clip" in said[2] and "last epoch (8), 3 views" in said[4]


def test_folds_are_counted_together():
    folds = [Protocol("a", 3, n, ("last epoch",), (epochs,), (1,)) for n, epochs in ((0, 4), (2, 6))]
    assert merge(folds) == Protocol("a", None, 2, ("last epoch",), (4, 6), (1,))
    assert merge([folds[0]]).shared == 0 and "training: 0; last epoch (4)" in str(merge([folds[0]]))


def test_settings_that_are_averaged_as_if_they_were_seeds_are_told(runs):
    folders = runs(
        a={"config": {"seed": 0, "epochs": 4, "out": "a"}},
        b={"config": {"seed": 1, "epochs": 4, "out": "b"}},
    )
    assert "different settings" not in say_table("MA-52", *compare_runs(folders).values())
    folders += runs(c={"config": {"seed": 0, "epochs": 8, "out": "c"}})
    said = say_table("MA-52", *compare_runs(folders).values())
    assert "2 different settings, averaged as seeds are; OPTIMISTIC if one of them was chosen" in said
    # A setting that a record of an earlier version lacks is no difference.
    assert count_settings([{"config": {"epochs": 4}}, {"config": {"epochs": 4, "new": 1}}]) == 1


def test_a_run_that_may_have_been_picked_among_others_says_so(runs, capsys):
    folders = runs(
        mine={}, seed={"config": {"seed": 3, "epochs": 4}}, wide={"config": {"seed": 0, "epochs": 8}},
        other={"method": "TFAM", "config": {"seed": 0, "epochs": 8}},
        fold={"data": "MA-52 layout, person-disjoint, fold 2 of 2", "config": {"epochs": 8}},
    )  # fmt: skip
    (folders[0].parent / "damaged").mkdir()
    (folders[0].parent / "damaged" / "record.json").write_text("{")
    assert [path.name for path in find_other_runs(folders[0])] == ["wide"]
    assert main(["report", str(folders[0])]) == 0
    said = capsys.readouterr().out
    assert "OPTIMISTIC if this run was chosen for its scores: beside it, 1 run of this method" in said
    assert "(wide)" in said
    assert main(["report", str(folders[3])]) == 0
    assert "OPTIMISTIC" not in capsys.readouterr().out


def test_on_whom_settings_were_chosen_can_be_said_later(runs, tmp_path, capsys):
    held_out = {"people": {"0001": [1, 2], "0002": [1, 1]}}
    (folder,) = runs(a={})
    record = json.loads((folder / "record.json").read_text())
    record["held out"] |= held_out
    record["held out"]["majority"]["right of people"] = {"0001": 1, "0002": 0}
    (folder / "record.json").write_text(json.dumps(record))
    (split,) = write_splits(tmp_path / "s", [Split("tuning", (), ("0001_01_0001.mp4",))], 0)
    for command in ("report", "table"):
        assert main([command, str(folder)]) == 0
        assert "OPTIMISTIC" not in capsys.readouterr().out
        assert main([command, str(folder), f"--chosen-on={split}"]) == 0
        assert "OPTIMISTIC: settings were chosen on 1 of these people" in capsys.readouterr().out
        assert main([command, str(folder), f"--chosen-on={tmp_path / 'none.txt'}"]) == 1
        assert "none.txt: no split" in capsys.readouterr().err


# While it runs


def test_progress_shows_the_majority_share_beside_top_1():
    assert say_progress([]) == ""
    rows = [{"step": 1, "epoch": 0.5, "loss": 3.21}]
    assert say_progress(rows) == "loss 3.210"
    rows.append({"step": 2, "epoch": 1, "held out": {"action top-1": 0.123, "majority top-1": 0.115}})
    rows.append({"step": 3, "epoch": 1.5, "loss": 3.0})
    assert say_progress(rows) == "loss 3.000, held-out top-1 12.3 % (most frequent action 11.5 %)"


def test_a_figure_of_a_training_shows_the_majority_share():
    row = {"step": 1, "epoch": 1, "loss": 3.0, "learning rate": 1.0, "clips/s": 1.0, "memory GB": 1.0}
    seen = {"F1_mean": 0.2, "mean over people": 0.3, "worst quarter of people": 0.1, "part head": 0.5,
            "action top-1": 0.31}  # fmt: skip
    for more, said in (
        ({}, "F1_mean 20.0 %."),
        ({"majority top-1": 0.25}, "top-1 31.0 %, always the most frequent action 25.0 %."),
    ):
        fig, words = history([row, {"step": 1, "epoch": 1, "held out": seen | more}])
        lines = [line for line in fig.axes[1].lines if line.get_linestyle() == ":" and
                 list(line.get_ydata()) == [25.0, 25.0]]  # fmt: skip
        assert words.endswith(said) and len(lines) == len(more)


def test_memory_that_cannot_be_locked_is_done_without(monkeypatch):
    def refuse(_):
        raise RuntimeError("CUDA error: out of memory\nmore")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    with pytest.warns(
        UserWarning, match=r"3 times 2.0 MB cannot be locked .*out of memory\).* ulimit -l"
    ):
        assert not batches.can_pin(2**21)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert batches.can_pin(2**21)


@pytest.mark.parametrize("allowed", [True, False])
def test_batches_are_locked_only_where_that_is_allowed(monkeypatch, allowed):
    asked, told = [], {}
    monkeypatch.setattr(batches, "can_pin", lambda size: asked.append(size) or allowed)
    monkeypatch.setattr(batches, "DataLoader", lambda *_, **settings: told.update(settings) or iter([]))
    data = {(0, 0): {"video": torch.zeros(8, 4, 4, 3, dtype=torch.uint8)}}
    sampler = SimpleNamespace(processes=2, steps=lambda first, end: [])
    config = SimpleNamespace(batch_size=6, workers=0)
    assert list(batches.VideoBatches(data, sampler, config, 4, torch.device("cuda")).read(0)) == []
    assert told["pin_memory"] is allowed and asked == [3 * 8 * 4 * 4 * 3]
    assert list(batches.VideoBatches(data, sampler, config, 4, torch.device("cpu")).read(0)) == []
    assert told["pin_memory"] is False and len(asked) == 1, "a CPU has no use for it"


def test_a_training_needs_no_locked_memory_and_its_record_says_how_it_was_judged(prepared, tmp_path):
    config = prepared.config(tmp_path / "run", epochs=1, eval_every=1, workers=1)
    given = [f"--{name}={getattr(config, name)}" for name in ("cache", "index", "split", "out")]
    chosen = f"--chosen-on={prepared.splits / 'fold1.txt'}"
    command = ["train", "--preset=tiny", "--epochs=1", "--batch-size=8", "--workers=1", *given, chosen]

    def train_with_little():
        import resource

        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))  # as ulimit -l 64 does
        return main([*command, "--pixels=32"])

    code = exit_code(start(train_with_little, tmp_path))
    said, shown = ((tmp_path / name).read_text() for name in ("stderr", "stdout"))
    assert code == 0, said
    assert "(most frequent action" in said, "the line of progress"
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    by_name = {clip.name: clip for clip in prepared.clips}
    lines = [line.split() for line in (prepared.splits / "fold1.txt").read_text().splitlines()[1:]]
    sides = {side: [by_name[name] for s, name in lines if s == side] for side in ("train", "held-out")}
    who = {side: {clip.person for clip in clips} for side, clips in sides.items()}
    assert record["split"] == {
        "kind": "person-disjoint", "title": "person-disjoint, fold 1 of 2",
        "people trained on": len(who["train"]), "people held out": len(who["held-out"]),
        "shared people": 0,
    }  # fmt: skip
    assert record["selection"] == {
        "rule": "last epoch", "epoch": 1, "views": 1, "people chosen on": len(who["held-out"]),
        "settings chosen on": "person-disjoint, fold 1 of 2",
    }  # fmt: skip
    counts = np.bincount([clip.action for clip in sides["train"]], minlength=52)
    majority = record["held out"]["majority"]
    assert majority["action"] == ACTIONS[counts.argmax()] and majority["body part"] in BODY_PARTS
    share = np.mean([clip.action == counts.argmax() for clip in sides["held-out"]])
    assert majority["scores"]["action top-1"] == pytest.approx(share)
    assert f"evaluating {len(sides['held-out'])} clips: 100%" in said
    assert f"({100 * share:.2f})" in shown and "OPTIMISTIC: settings were chosen on" in shown
    assert protocol_of(record).chosen_on == len(who["held-out"])


def test_a_split_of_settings_that_is_none_is_refused_before_anything_is_trained(
    prepared, tmp_path, monkeypatch
):
    monkeypatch.setattr(train.Run, "go_on", lambda *_: pytest.fail("trained"))
    damaged = tmp_path / "chosen.txt"
    for text, error in ((None, FileNotFoundError), ("no split", ValueError)):
        if text:
            damaged.write_text(text)
        config = prepared.config(tmp_path / "run", chosen_on=str(damaged))
        with pytest.raises(error, match=r"chosen.txt(: the first line| is not there)"):
            train.train(config, progress=False)
