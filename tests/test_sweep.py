"""Sweeps: what is planned and refused, what is recorded and resumed, and the table against SciPy."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
from forks import in_forks
from scipy import stats

from piumar_lib.evidence.methods import METHODS
from piumar_lib.evidence.records import RESULTS, ROOT, read_records
from piumar_lib.evidence.wording import points
from piumar_lib.ma52 import standin, sweep, train
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.clips import count_workers, load_data
from piumar_lib.ma52.prepare.index import write_index
from piumar_lib.ma52.prepare.splits import person_disjoint, write_splits
from piumar_lib.ma52.protocol import describe_selection, describe_split
from piumar_lib.ma52.standin.cache import describe_clip
from piumar_lib.ma52.sweep_table import compare, to_markdown
from piumar_lib.support.files import sha256_of

TINY = {"epochs": 2, "batch_size": 16, "warmup": 1}
TWO = ("ERM", "augmentation")


@pytest.fixture
def plan(posed, tmp_path):
    """Plans trainings on six people's poses, in two folds."""

    def make(**changes):
        paths = {"poses": posed.poses, "index": posed.index, "splits": posed.splits}
        options = {"preset": "poses", "runs": tmp_path / "runs", "methods": TWO} | paths | TINY
        return sweep.plan(**options | changes)

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "records.jsonl"


@pytest.fixture(scope="module")
def swept(posed, tmp_path_factory):
    """The command's arguments, and the records of two methods on two folds."""
    folder = tmp_path_factory.mktemp("swept")
    command = ["sweep", "--preset", "poses", "--poses", str(posed.poses), "--index", str(posed.index),
               "--splits", str(posed.splits), "--out", str(folder / "records.jsonl"), "--epochs", "2",
               "--batch-size", "16", "--warmup", "1", "--methods", *TWO]  # fmt: skip
    assert main(command) == 0
    return command, folder / "records.jsonl"


# Planning


def test_trainings_go_fold_by_fold_and_each_has_a_folder_of_its_own(plan):
    trainings = plan(seeds=2)
    order = [(t.config.seed, t.fold, t.config.method) for t in trainings]
    assert order == [(s, f, m) for s in (0, 1) for f in (1, 2) for m in TWO]
    assert len({t.config.out for t in trainings}) == len(trainings)
    assert [t.fold for t in plan(folds=[2])] == [2, 2]
    assert plan()[0].config.out != plan(epochs=3)[0].config.out
    assert plan()[0].config.out == plan()[0].config.out


def test_the_planned_rows_are_eight_and_poses_get_the_nearest_hdf(plan, prepared, tmp_path):
    of_poses = [t.config.method for t in plan(methods=(), folds=[1])]
    paths = {"cache": prepared.cache, "index": prepared.index, "splits": prepared.splits}
    of_video = [t.config.method for t in sweep.plan("tiny", runs=tmp_path, folds=[1], **paths)]
    assert len(of_poses) == 8 and of_video == list(sweep.PLANNED) and {*of_video} <= METHODS.keys()
    assert {*of_video} - {*of_poses} == {"HDF as published + augmentation"}
    assert {*of_poses} - {*of_video} == {"HDF + augmentation"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"methods": ["ERM", "augmentatoin"]}, "augmentatoin: .* Did you mean 'augmentation'"),
        ({"methods": ["MiniRocket"]}, "method: MiniRocket makes no steps"),
        ({"methods": ["HDF as published"]}, "HDF as published needs a video backbone.* Choose 'HDF'"),
        ({"folds": [1, 3]}, "3: .* has no such fold. Choose from 1, 2"),
        ({"seeds": 0}, "seeds: must be at least 1, got 0"),
        ({"index": ""}, "index: no path is given"),
        ({"epoch": 3}, "epoch: there is no such setting. Did you mean 'epochs'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(plan, changes, fault):
    with pytest.raises(ValueError, match=fault):
        plan(**changes)


def test_a_folder_without_folds_is_refused(plan, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"splits: .* holds no fold1.txt"):
        plan(splits=tmp_path)


def test_the_command_refuses_in_one_line_and_lists(swept, capsys):
    command, out = swept
    before = out.read_bytes()
    assert main([*command, "--methods", "PIUMR"]) == 1
    assert capsys.readouterr().err.startswith("error: PIUMR: there is no such method. Did you mean")
    assert main([*command, "--methods", "ERM", "--dry-run", "--body", "hierarchical"]) == 0
    said = "fold 1, ERM, hierarchical head, seed 0\nfold 2, ERM, hierarchical head, seed 0\n"
    assert capsys.readouterr().out == said and out.read_bytes() == before


# Records


def test_a_record_is_that_of_its_training_with_fold_seed_and_digests(swept, posed, tmp_path):
    records = read_records(swept[1])
    assert [(r["fold"], r["method"]) for r in records] == [(f, m) for f in (1, 2) for m in TWO]
    people = [set(r["held out"]["people"]) for r in records]
    assert people[0] == people[1] and not people[0] & people[2] and len(people[0] | people[2]) > 4
    for r in records:
        assert r["seed"] == 0 and r["split"]["shared people"] == 0
        assert r["split"]["kind"] == "person-disjoint" and r["config"]["body"] == "derived"
        assert (r["selection"]["rule"], r["selection"]["epoch"]) == ("last epoch", 2)
        assert {"action top-1", "action F1 macro"} <= r["held out"]["scores"].keys()
        assert 0 < r["held out"]["majority"]["scores"]["action top-1"] < 1
        assert {"command", "commit", "versions", "device", "seconds"} <= r.keys()
        split = (posed.splits / f"fold{r['fold']}.txt").read_bytes()
        assert r["content"]["split"] == hashlib.sha256(split).hexdigest()
        assert r["content"]["poses"] == hashlib.sha256(posed.poses.read_bytes()).hexdigest()
        assert r["content"].keys() == {"poses", "index", "split"}
    alone = train.train(posed.config(tmp_path, method="augmentation", **TINY), progress=False)
    assert alone["held out"] == records[1]["held out"]


def test_what_is_recorded_is_not_trained_again(swept, monkeypatch, capsys):
    command, out = swept
    before = out.read_bytes()
    monkeypatch.setattr(train, "train", lambda *_: pytest.fail("trained again"))
    capsys.readouterr()
    assert main(command) == 0
    assert out.read_bytes() == before
    assert to_markdown(read_records(out)) in capsys.readouterr().out


def test_other_settings_are_not_taken_for_the_same(swept, plan):
    records = read_records(swept[1])
    assert all(t.is_recorded_in(r) for t, r in zip(plan(), records, strict=True))
    others = (*plan(seeds=2)[4:], *plan(epochs=3), *plan(body="head"), *plan(methods=["PIUmr"]))
    assert len(others) == 14 and not any(t.is_recorded_in(r) for t in others for r in records)
    older = json.loads(json.dumps(records[0]))
    del older["config"]["time_warp"]  # a setting that came later
    assert plan()[0].is_recorded_in(older)
    older["content"]["poses"] = "0"
    assert not plan()[0].is_recorded_in(older)


def test_an_error_ends_its_own_training_alone(plan, path, capsys):
    def work(config, progress):
        if config.method == "ERM" and config.split.endswith("fold1.txt"):
            raise FloatingPointError("step 3: the loss is nan")
        if config.method == "ERM":
            return {}["bug"]
        return train.train(config, progress)

    with pytest.raises(RuntimeError, match=r"2 of 4 trainings failed: fold 1, ERM, seed 0; fold 2, ERM"):
        sweep.run(plan(), path, work)
    said = capsys.readouterr().err
    assert "fold 1, ERM, seed 0: Traceback" in said or "step 3: the loss is nan" in said
    assert "KeyError: 'bug'" in said and "Traceback" in said
    assert [r["method"] for r in read_records(path)] == ["augmentation"] * 2
    assert len(sweep.run(plan(), path, train.train)) == 4
    assert [r["method"] for r in read_records(path)] == ["augmentation"] * 2 + ["ERM"] * 2


def test_a_sweep_that_was_killed_goes_on_and_ends_the_same(swept, plan, path, monkeypatch):
    trainings = plan()

    def step(self, *_):
        if self.step == 1 and self.config.method == "augmentation":
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(train.Run, "save", _and_then(train.Run.save, step))
        monkeypatch.setattr(train.Run, "_is_late", lambda self: True)  # a checkpoint after each step
        sweep.run(trainings, path, train.train, progress=False)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert [r["method"] for r in read_records(path)] == ["ERM"]
    with path.open("a") as file:
        file.write('{"method": "aug')  # a line that a killed run left
    records = sweep.run(trainings, path, train.train, progress=False)
    assert [r["held out"] for r in records] == [r["held out"] for r in read_records(swept[1])]
    assert len(read_records(path)) == 4


def _and_then(first, second):
    def both(self, *arguments):
        first(self, *arguments)
        second(self)

    return both


def test_processes_share_the_trainings(swept, plan, path, monkeypatch):
    monkeypatch.setattr(sweep, "in_parallel", in_forks)
    records = sweep.run(plan(), path, train.train, workers=2, progress=False)
    assert [r["held out"] for r in records] == [r["held out"] for r in read_records(swept[1])]
    assert {r["command"] for r in records} == {"notebook"}


def test_a_process_of_dask_reads_its_clips_itself(prepared, tmp_path, monkeypatch):
    config = prepared.config(tmp_path, workers=3)
    data, _, _ = load_data(config, 4)
    assert count_workers(data, config.workers) == 3
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert count_workers(data, config.workers) == 0
    assert train.train(config, progress=False)["steps"] > 1


# The table


def made_up(method, fold, scores, **config):
    """A record in which people were right in so many of 100 clips."""
    people = {f"{fold}-{k}": [int(n), 100] for k, n in enumerate(scores)}
    usual = {"body": "derived", "epochs": 10, "seed": 0, "method": method, "hyperparameters": {}}
    return {
        "method": method, "fold": fold, "seed": 0, "data": f"poses, person-disjoint, fold {fold} of 2",
        "content": {"poses": "a", "split": str(fold)}, "config": usual | config,
        "split": describe_split(f"person-disjoint, fold {fold} of 2", ["other"], people),
        "selection": describe_selection(people, 10, 1, False),
        "held out": {"people": people, "scores": {"action F1 macro": 0.25 * fold},
                     "majority": {"right of people": dict.fromkeys(people, 10)}},
    }  # fmt: skip


@pytest.fixture
def records():
    rng = np.random.default_rng(5)
    base = {fold: rng.integers(20, 60, 9) for fold in (1, 2)}
    gains = {"augmentation": (0, 0), "PIUmr + augmentation": (4, 6), "ERM": (-3, -2)}
    own = {m: [base[f] + (g and g + rng.integers(-4, 5, 9)) for f, g in zip((1, 2), gs, strict=True)]
           for m, gs in gains.items()}  # fmt: skip
    found = [made_up(m, f, own[m][f - 1]) for f in (1, 2) for m in gains]
    return [*found, made_up("augmentation", 1, base[1] + 1 + np.arange(9) % 3, body="hierarchical")]


def test_numbers_of_the_table_are_those_of_scipy(records):
    rows = {row.name: row for row in compare(records)}
    scores = {}
    for r in records:
        name = r["method"] + (", hierarchical head" if r["config"]["body"] != "derived" else "")
        for person, (right, clips) in r["held out"]["people"].items():
            scores.setdefault(name, {})[person] = right / clips
    p_values = {}
    for name, own in scores.items():
        row = rows[name]
        assert row.accuracy.mean == pytest.approx(np.mean([*own.values()]))
        assert row.majority == pytest.approx(0.1) and row.accuracy.people == len(own)
        if name == "augmentation":
            assert (
                row.difference is None
                and row.verdict == ""
                and np.isnan([row.p, row.equivalence_p]).all()
            )
            continue
        pairs = [(value, scores["augmentation"][person]) for person, value in own.items()]
        test = stats.ttest_rel(*np.transpose(pairs))
        interval, mean = test.confidence_interval(0.95), np.mean([a - b for a, b in pairs])
        assert row.difference.difference == pytest.approx(mean)
        assert [row.difference.low, row.difference.high] == pytest.approx([*interval])
        p_values[name] = test.pvalue, row.difference.equivalence_p
    for kind, corrected in enumerate(("p", "equivalence_p")):
        largest = 0.0
        order = sorted(p_values, key=lambda name: p_values[name][kind])
        for left, name in zip((3, 2, 1), order, strict=True):
            largest = max(largest, min(1, left * p_values[name][kind]))
            assert getattr(rows[name], corrected) == pytest.approx(largest)
    ours, plain = rows["PIUmr + augmentation"], rows["ERM"]
    assert (ours.verdict, plain.verdict) == ("a gain", "a loss")
    assert np.mean(ours.by_fold) == pytest.approx(ours.difference.difference)  # equally many people
    assert ours.macro_f1 == pytest.approx(0.375)
    head = rows["augmentation, hierarchical head"]
    assert head.folds == (1,) and head.difference.people == 9 and len(head.by_fold) == 1


def test_the_table_says_every_row(records, capsys):
    said = to_markdown(records)
    assert said.startswith("poses; person-disjoint, people shared with training: 0; ")
    assert said.count("\n") == 2 + 1 + 4
    ours = next(line for line in said.splitlines() if line.startswith("| PIUmr"))
    d = compare(records)[1].difference
    assert f"{100 * d.difference:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]" in ours
    assert "a gain" in ours and "| 18 |" in ours
    assert "over ERM" in to_markdown(records, "ERM")


def test_records_that_do_not_belong_together_are_refused(records):
    with pytest.raises(ValueError, match="TFAM: the sweep has no such row. Choose from augmentation"):
        compare(records, "TFAM")
    with pytest.raises(ValueError, match="records: there are none"):
        compare([])
    longer = made_up("TFAM", 1, range(9), epochs=20)
    with pytest.raises(ValueError, match=r"the records differ in epochs \(10 and 20\)"):
        compare([*records, longer])
    stronger = made_up("ERM", 2, range(9), hyperparameters={"weight": 2})
    with pytest.raises(ValueError, match="ERM differ in hyperparameters"):
        compare([*records, stronger])
    other = made_up("ERM", 1, range(9)) | {"content": {"poses": "b", "split": "1"}}
    with pytest.raises(ValueError, match="records: of 2 data sets"):
        compare([*records, other])


def test_a_row_without_a_common_fold_has_no_difference(records):
    rows = compare([r for r in records if r["method"] != "augmentation" or r["fold"] == 1]
                   + [made_up("TFAM", 2, range(9))])  # fmt: skip
    last = rows[-1]
    assert last.name == "TFAM" and last.difference is None and last.by_fold == ()


def test_committed_records_are_of_the_planned_rows_on_disjoint_people():
    records = read_records(RESULTS / "poses.jsonl")
    rows = {row.name for row in compare(records)}
    planned = {sweep.ON_POSES.get(method, method) for method in sweep.PLANNED}
    with_head = {f"{m}, hierarchical head" for m in ("augmentation", "PIUmr + augmentation")}
    two_best = ("augmentation", "CORAL + augmentation")
    normalized = {f"{m}, normalised by {by}" for m in two_best for by in ("person", "session")}
    assert rows == planned | with_head | normalized
    people = {r["fold"]: {*r["held out"]["people"]} for r in records}
    for r in records:
        assert {*r["held out"]["people"]} == people[r["fold"]] and r["split"]["shared people"] == 0
        right = sum(n for n, _ in r["held out"]["people"].values())
        top = r["held out"]["scores"]["action top-1"]
        assert right / r["held out"]["clips"] == pytest.approx(top)
        assert r["config"]["epochs"] == r["selection"]["epoch"] == 10
    assert sum(map(len, people.values())) == len(set().union(*people.values()))
    assert len({r["content"]["split"] for r in records}) == len(people)


def test_committed_runs_were_normalised_as_they_had_been_recorded():
    """The models had to be trained again: on the same machine, with the same number of threads."""
    records = read_records(RESULTS / "poses.jsonl")
    derived = [r for r in records if "normalized by" not in r and r["config"]["body"] == "derived"]
    runs = {(r["method"], r["fold"]): r["held out"]["people"] for r in derived}
    normalized = [r for r in records if "normalized by" in r]
    same = [r["before"] == runs[r["method"], r["fold"]] for r in normalized]
    assert len(same) == 20 and all(same)


def test_index_and_splits_of_the_committed_records_can_be_made_again(tmp_path):
    full = standin.plan()
    clips = [describe_clip(full, row) for row in range(len(full))]
    write_index(tmp_path / "index.csv", clips)
    made = write_splits(tmp_path / "splits", person_disjoint(clips), seed=0)
    for r in read_records(RESULTS / "poses.jsonl"):
        assert r["content"]["index"] == sha256_of(tmp_path / "index.csv")
        assert r["content"]["split"] == sha256_of(made[r["fold"] - 1])


def test_readme_and_chapter_12_say_what_the_committed_sweep_found():
    rows = {row.name: row for row in compare(read_records(RESULTS / "poses.jsonl"))}
    piumr = rows["PIUmr + augmentation"]
    assert (piumr.folds, piumr.accuracy.people) == ((1, 2, 3, 4, 5), 186)
    assert piumr.verdict == "a loss" and "a gain" not in {row.verdict for row in rows.values()}
    found = points(piumr.difference)
    value = found.replace(" [", " points [")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = f"no gain over augmentation is established, and PIUmr costs accuracy: {value}"
    assert said in readme
    chapter = (ROOT / "notebooks" / "12_train_ma52.py").read_text(encoding="utf-8")
    one = rows["augmentation, normalised by person"]
    assert one.verdict == "not decided" and f"clips, {points(one.difference)} (exploratory" in chapter
    assert f"Five folds with 186 people decide more: PIUmr has {found}, a loss." in chapter
