"""Chapter 08's own PIUmr is the library's: block by block, step by step, and in its accuracy."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from slow import slow_but

from piumar_lib.batch import Batch, Labels
from piumar_lib.check import blocks
from piumar_lib.evidence import from_scratch, methods
from piumar_lib.settings import Settings
from tools.chapters import list_chapters, read_notebook, to_notebook
from tools.exercises import find_cores

ROOT = Path(__file__).parents[1]
(CHAPTER,) = list_chapters(ROOT, ["08"])
NOTEBOOK = to_notebook(CHAPTER.path)
SOURCE = "\n".join(c.source for c in NOTEBOOK.cells if c.cell_type == "code")
KINDS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
COMPARISONS = [
    ast.unparse(node) for node in ast.parse(SOURCE).body
    if isinstance(node, ast.Expr) and ast.unparse(node).startswith("blocks.")
]  # fmt: skip


def typed(source: str = SOURCE) -> dict:
    """What a chapter's functions and classes are called, without running anything else."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, KINDS)]
    space: dict = {"run": SimpleNamespace(device="cpu")}
    exec(compile(ast.Module(nodes, []), CHAPTER.stem, "exec"), space)
    return space


@cache
def spar():
    return from_scratch.load()


# Block by block


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_each_block_is_the_library_s(comparison, capsys):
    exec(comparison, typed())
    assert "equal" in capsys.readouterr().out


def test_each_comparison_is_called():
    public = {n for n, f in vars(blocks).items() if callable(f) and f.__module__ == blocks.__name__}
    called = {re.match(r"blocks\.(\w+)", text)[1] for text in COMPARISONS}
    assert called == {name for name in public if not name.startswith("_")}


@pytest.mark.parametrize(
    ("right", "wrong", "comparison"),
    [
        (" / math.sqrt(3)", "", "motion_clock"),
        ("(1 - floor) * motion", "motion", "motion_clock"),
        ("end_b - b[:, None]", "end_b", "overlap_plan"),
        ("begin).clamp_min(0)", "begin)", "overlap_plan"),
        ("-self.amplitude_step)", "self.amplitude_step)", "temporal_branch"),
        ("self.size.update(size.median())", "self.size.update(size.mean())", "temporal_branch"),
        (" - basis.square().T @ sd.square()", "", "frequency_branch"),
        ("*= 1 if time % 2 else 3", "*= 1", "frequency_branch"),
        ("len(y) - len(y.unique())", "len(y)", "frequency_branch"),
        ("(first + second) / 2 + (1 - g)", "(first + second) / 2 + g", "adaptive_fusion"),
        ("self.center.update((first + second).mean(0) / 2)", "pass", "adaptive_fusion"),
        ("return aligned, F.", "return x[:, ::2], F.", "tfam"),
        ("(x - self.mean) / self.scale", "x / self.scale", "recognizer"),
        (" - math.log(2)", "", "consistency"),
        ("self.batches % 4", "self.batches % 3", "wasserstein_regularizer"),
        ("old.lerp(new, 0.1)", "old.lerp(new, 0.2)", "wasserstein_regularizer"),
        ("style.double() - class_mean(style.double(), y)", "style.double()", "find_groups"),
        ("((1 + 2 * rho) * total - 1)", "((1 + rho) * total - 1)", "worst_weights"),
        ("torch.sigmoid((other - true)", "torch.sigmoid((true - other)", "hard_weights"),
        ("0.5 * (first + second)", "(first + second)", "training"),
        ("(q / self.shares)[group] * ", "q[group] * ", "training"),
        ("loss.girl.regroup(seed)", "pass", "training"),
        ("1 - momentum)", "0.2)", "training"),
        ('"weight_decay": 0.0', '"weight_decay": 1.0', "training"),
        ("entropy + consistency(*out.logits[1:]) + ", "entropy + ", "training"),
        ("            schedule.step()\n", "", "training"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_noticed(right, wrong, comparison):
    assert SOURCE.count(right) >= 1
    space = typed(SOURCE.replace(right, wrong))
    with pytest.raises(AssertionError):
        for call in COMPARISONS:
            if call.startswith(f"blocks.{comparison}("):
                exec(call, space)


def test_functions_of_earlier_chapters_fit_in(capsys):
    """A reader may put the answers of chapters 02 to 07 in place of this chapter's functions."""
    space, put = typed(), set()
    for chapter in list_chapters(ROOT)[:8]:
        notebook = to_notebook(chapter.path)
        for core in find_cores(notebook):
            if core.answer in space:
                exec(notebook.cells[core.gap].source, space)
                put.add(core.answer)
    prose = " ".join(c.source for c in NOTEBOOK.cells if c.cell_type == "markdown")
    named = prose[prose.index("**Your own functions.**") : prose.index("The student")]
    assert put == set(re.findall(r"`(\w+)`", named)) and len(put) == 9
    for comparison in COMPARISONS:
        exec(comparison, space)
    assert capsys.readouterr().out.count("equal") >= len(COMPARISONS)


def test_a_seed_gives_the_library_s_initial_weights():
    clips, _ = spar()
    space = typed()
    space["train"] = lambda model, *rest: model
    ours = space["learn"](clips, 3)
    library = methods.build("PIUmr", 6, clips.classes, methods.resolve("PIUmr", {}), 3)
    library.standardize(torch.as_tensor(clips.x))
    for mine, theirs in zip(ours.backbone.parameters(), library.backbone.parameters(), strict=True):
        assert torch.equal(mine.flatten(), theirs.flatten())
    assert torch.equal(ours.head.weight, library.head.weight)
    torch.testing.assert_close(ours.scale, library.scale)


def test_a_step_on_real_people_has_the_library_s_loss_and_gradient():
    clips, _ = spar()
    few = clips.take(np.arange(0, len(clips), len(clips) // 60)[:60])
    x, y, index = torch.as_tensor(few.x), torch.as_tensor(few.y), torch.arange(60)
    space = typed()
    space["train"] = lambda model, *rest: model
    ours, k = space["learn"](few, 0), methods.resolve("PIUmr", {})
    library = methods.build("PIUmr", 6, few.classes, k, 0)
    library.standardize(x)
    objective = methods.METHODS["PIUmr"].objective(k)
    batch = Batch(x, y, torch.zeros_like(y), index)
    objective.start(library, Labels(y, batch.person), Settings())
    loss, found = space["PIUmrLoss"](y, 32, few.classes), []
    for value in (
        lambda: loss(ours.train()(x, y), y, index),
        lambda: objective.loss(library.train(), batch),
    ):
        torch.manual_seed(0)
        found.append(value())
    torch.testing.assert_close(*found, atol=1e-5, rtol=0)
    for value in found:
        value.backward()
    for mine, theirs in zip(ours.backbone.parameters(), library.backbone.parameters(), strict=True):
        assert theirs.grad.norm() > 1e-4
        torch.testing.assert_close(mine.grad.view_as(theirs), theirs.grad, atol=1e-5, rtol=1e-3)


# Its accuracy


@pytest.mark.parametrize("seeds", slow_but([2], [2, len(from_scratch.SEEDS)]))
def test_several_seeds_reach_the_accuracy_of_the_library(seeds):
    clips, unseen = spar()
    space, found = typed(), []
    for seed in from_scratch.SEEDS[:seeds]:
        model = space["learn"](clips, seed, epochs=from_scratch.EPOCHS)
        counts = from_scratch.counts(space["recognize"](model, unseen), unseen)
        found.append(from_scratch.accuracy(counts))
    interval = from_scratch.interval_for_mean_of(len(found), from_scratch.accuracies("PIUmr"))
    assert interval.low <= np.mean(found) <= interval.high, found


def test_the_interval_tells_piumr_from_erm():
    erm, piumr = (from_scratch.accuracies(method) for method in from_scratch.METHODS)
    low, high = from_scratch.interval_for_mean_of(5, piumr)
    assert np.mean(erm) < low < np.mean(piumr) < high < low + 0.06


def test_the_prediction_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).standard_normal((3000, 8))
    inside = 0
    for row in draws:
        low, high = from_scratch.interval_for_mean_of(3, row[:5])
        inside += low <= row[5:].mean() <= high
    assert abs(inside / len(draws) - 0.95) < 0.012
    with pytest.raises(ValueError, match="values, others: must be at least 2 and 1, got 1 and 5"):
        from_scratch.interval_for_mean_of(5, [0.8])


# The record, and what the chapter says


def test_the_record_is_of_the_chapter_s_split_and_says_where_it_comes_from():
    records = from_scratch.read_records(from_scratch.FILE)
    _, unseen = spar()
    clips = {str(p): int((unseen.person == p).sum()) for p in unseen.people}
    keys = [(r["method"], r["seed"]) for r in records]
    assert keys == [(m, s) for m in from_scratch.METHODS for s in from_scratch.SEEDS]
    for r in records:
        assert {p: many for p, (_, many) in r["people"].items()} == clips
        assert r["epochs"] == from_scratch.EPOCHS and r["device"] and r["versions"]
        assert r["command"].startswith("python -m piumar_lib.evidence.from_scratch --out ")
        assert re.fullmatch("[0-9a-f]{7,}", r["commit"])


def test_numbers_in_prose_are_the_record_s():
    prose = " ".join(" ".join(c.source for c in NOTEBOOK.cells if c.cell_type == "markdown").split())
    erm, piumr = (100 * np.array(from_scratch.accuracies(method)) for method in from_scratch.METHODS)
    means = f"`ERM` has {erm.mean():.1f} % and `PIUmr` {piumr.mean():.1f} %"
    assert f"{means}, which is {piumr.mean() - erm.mean():.1f} points more" in prose
    assert f"differ by up to {np.ptp(piumr):.1f} points" in prose


def test_the_interventions_in_prose_are_those_of_the_committed_run():
    prose = " ".join(" ".join(c.source for c in NOTEBOOK.cells if c.cell_type == "markdown").split())
    outputs = [o for c in read_notebook(CHAPTER.pair).cells for o in c.get("outputs", [])]
    alts = [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("metadata", {})]
    found = dict(re.findall(r"(tempo|amplitude) ([+-][\d.]+ and [+-][\d.]+)[;.]", alts[-1]))
    erm, piumr = found["tempo"].split(" and ")
    assert f"tempo, with a change of {erm} points under ERM and {piumr} under PIUmr," in prose
    assert f"amplitude, {found['amplitude']}." in prose


def test_the_method_takes_no_more_lines_than_promised():
    """The backbone is any network, and docstrings say what the reader writes."""
    nodes = [n for n in ast.parse(SOURCE).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    last = next(i for i, n in enumerate(nodes) if n.name == "batches")
    method = [n for n in nodes[:last] if n.name not in ("TemporalConv", "small_cnn")]
    lines = [line for n in method for line in ast.get_source_segment(SOURCE, n).splitlines()]
    said = [n.body[0] for n in method if ast.get_docstring(n)]
    code = sum(bool(line.strip()) for line in lines) - sum(n.end_lineno - n.lineno + 1 for n in said)
    assert method[-1].name == "PIUmrLoss" and 150 <= code <= 200


def test_the_method_takes_nothing_from_the_library():
    nodes = [n for n in ast.parse(SOURCE).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    last = next(i for i, n in enumerate(nodes) if n.name == "erm_loss")
    inside = [n for node in nodes[:last] for n in ast.walk(node)]
    used = {n.id for n in inside if isinstance(n, ast.Name)}
    used -= {n.arg for n in inside if isinstance(n, ast.arg)}
    library = {
        alias.asname or alias.name
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("piumar_lib")
        for alias in node.names
    }
    assert library and not used & library


def test_the_command_makes_records(tmp_path, monkeypatch, capsys):
    clips, unseen = spar()
    monkeypatch.setattr(
        from_scratch, "load", lambda: [of.take(np.arange(0, len(of), 20)) for of in (clips, unseen)]
    )
    out = tmp_path / "records.jsonl"
    from_scratch.main(["--out", str(out), "--seeds", "0", "1", "--epochs", "1"])
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["method"] + str(r["seed"]) for r in records] == ["ERM0", "ERM1", "PIUmr0", "PIUmr1"]
    assert len(from_scratch.accuracies("PIUmr", records)) == 2
    with pytest.raises(FileNotFoundError, match="no records of GIRL. Make them: python -m"):
        from_scratch.accuracies("GIRL", records)


def test_every_third_person_is_unseen():
    clips, unseen = spar()
    assert unseen.people.tolist() == [2, 5, 8]
    assert not set(clips.people) & set(unseen.people) and len(clips.people) == 7
