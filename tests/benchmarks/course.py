"""8. The course itself: time and memory of its chapters, and what importing the library takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from row import Row

ROOT = Path(__file__).parents[2]
RECORD = Path("notebooks/results/chapters.json")
MODULES = (
    "transport", "temporal_frequency", "group_robust", "recognizer", "training", "metrics",
    "evidence.methods", "evidence.experiments",
)  # fmt: skip


def seconds_of(code: str, tries: int) -> float:
    """Least time on the clock that a fresh Python takes for ``code``, without starting."""
    timed = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
    return min(
        float(subprocess.check_output([sys.executable, "-c", timed], text=True, cwd=ROOT))
        for _ in range(tries)
    )


def measure(quick: bool, device: str) -> Iterator[Row]:
    """From what `make readme` measured, and from imports of fresh processes."""
    measured = json.loads((ROOT / RECORD).read_text(encoding="utf-8"))["chapters"]
    minutes = sum(m["seconds"] for m in measured.values()) / 60
    note = f"{len(measured)} chapters, as measured by make readme"
    yield Row("all chapters in quick", minutes, 8, True, "min", note)
    worst = max(measured, key=lambda name: measured[name]["peak_mb"])
    yield Row("largest memory of a chapter", measured[worst]["peak_mb"] / 1024, 1.5, True, "GB", worst)
    tries = 1 if quick else 5
    ours = "import torch, " + ", ".join(f"piumar_lib.{module}" for module in MODULES)
    more = seconds_of(ours, tries) - seconds_of("import torch", tries)
    yield Row("import of piumar_lib, beyond torch", more, 0.3, True, "s", ", ".join(MODULES))
