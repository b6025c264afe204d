"""Each benchmark runs once, tiny, so that none of them rots; what it measures is not judged here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from slow import slow_but

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
import evidence  # noqa: E402
import run as benchmarks  # noqa: E402
from row import Row  # noqa: E402

SLOW = ("sinkhorn", "reading", "preparation", "course")


@pytest.mark.parametrize("name", slow_but({*benchmarks.NAMES} - {*SLOW}, benchmarks.NAMES))
def test_benchmark_runs(name, tmp_path):
    rows = benchmarks.run(name, quick=True, device="cpu", workers=1, build=tmp_path)
    assert rows and all(row.ratio is None or row.ratio > -100 for row in rows)
    assert all(benchmarks.show(row).startswith("  ") for row in rows)


@pytest.mark.parametrize(
    "row, verdict",
    [
        (Row("a", 3.0, 2), "met"),
        (Row("a", 1.9, 2), "missed"),
        (Row("a", 1.9, 2, at_most=True), "met"),
        (Row("a", 2.1, 2, at_most=True), "missed"),
        (Row("a", 1.0), ""),
        (Row("a", None, 2), "not measured"),
    ],
)
def test_verdict(row, verdict):
    assert row.verdict == verdict


def test_records_replace_those_of_the_same_benchmark_and_device(tmp_path):
    path = tmp_path / "b.jsonl"

    def record(name, device, ratio):
        return {"benchmark": name, "device": device, "ratio": ratio}

    benchmarks.keep(path, [record("a", "cpu", 1), record("b", "cpu", 1)])
    benchmarks.keep(path, [record("a", "gpu", 2), record("b", "cpu", 3)])
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert found == [record("a", "cpu", 1), record("a", "gpu", 2), record("b", "cpu", 3)]


def test_command_prints_a_table_and_keeps_no_records_of_a_quick_run(tmp_path, monkeypatch, capsys):
    command = ["run.py", "--quick", "--only", "exact_transport", "--out", str(tmp_path / "b.jsonl")]
    monkeypatch.setattr(sys, "argv", command)
    benchmarks.main()
    assert "POT in a loop" in capsys.readouterr().out
    assert not (tmp_path / "b.jsonl").exists()


def test_batched_seeds_have_the_gradients_of_one_after_the_other():
    at_once, in_a_row = evidence.gradients()
    together, apart = at_once(), in_a_row()
    for k, own in enumerate(apart):
        for a, b in zip(together, own, strict=True):
            assert torch.allclose(a[k], b, atol=1e-5)


def test_committed_records_name_their_origin():
    records = benchmarks.read_records(benchmarks.RECORDS)
    assert {r["benchmark"] for r in records} == set(benchmarks.NAMES)
    for r in records:
        assert r["command"].startswith("python tests/benchmarks/run.py")
        assert r["commit"] and r["versions"]
