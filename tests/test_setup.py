"""The files that make installing and running work agree with one another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import piumar_lib

ROOT = Path(__file__).parents[1]
TARGETS = {
    "course", "test", "lab", "book", "student", "solutions", "slides", "notebooks", "pairs", "readme",
    "benchmarks", "papermill", "clean",
}  # fmt: skip


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    return {Requirement(line).name: Requirement(line) for line in lines}


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line)


def test_pins_cover_exactly_what_is_declared_and_satisfy_it():
    assert pinned().keys() == declared().keys()
    for name, version in pinned().items():
        assert declared()[name].specifier.contains(version), name


def test_torch_is_pinned_exactly_and_first():
    assert next(iter(pinned())) == "torch"
    assert str(declared()["torch"].specifier) == f"=={pinned()['torch']}"


def test_conda_environment_installs_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r requirements.txt", "-e ."]}


def test_every_module_imports_only_what_is_declared():
    # Distribution and import name differ for these; the last three come with ipykernel.
    names = {"sklearn": "scikit-learn", "bs4": "beautifulsoup4", "PIL": "pillow", "jinja2": "nbconvert",
             "dask": "distributed"}  # fmt: skip
    known = {name.lower() for name in declared()} | {"piumar_lib"}
    known |= {"ipython", "pygments", "jupyter_client"}
    pattern = re.compile(r"^\s*(?:from|import) ([A-Za-z_]\w*)", re.MULTILINE)
    for path in (ROOT / "piumar_lib").rglob("*.py"):
        for module in pattern.findall(path.read_text()):
            if module not in sys.stdlib_module_names:
                assert names.get(module, module).lower() in known, f"{path.name}: {module}"


def test_version_agrees_with_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == piumar_lib.__version__


def test_help_is_the_default_and_lists_every_target():
    done = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True)
    listed = re.findall(r"^make (\w+) +\S", done.stdout, re.MULTILINE)
    assert set(listed) == TARGETS | {"help"}
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony and set(phony[1].split()) == TARGETS | {"help"}


@pytest.fixture
def copy(tmp_path):
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_failed_installation_leaves_no_stamp_and_stops(copy):
    python = copy / "python"  # passes the version check and makes an environment without pip
    python.write_text(
        '#!/bin/sh\n[ "$1" = -m ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python\n'
        '[ "$2" != pip ]\n'
    )
    python.chmod(0o755)
    command = ["make", "-C", str(copy), "course", f"PYTHON={python}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert (copy / ".venv/bin/python").exists(), "the test never came to the installation"
    assert not (copy / ".venv/.installed").exists()
    assert "piumar_lib.course run" not in done.stdout


def test_stamp_spares_the_second_installation(copy):
    stamp = copy / ".venv/.installed"
    stamp.parent.mkdir()
    stamp.touch()
    command = ["make", "-n", "-C", str(copy), "course"]
    assert "pip install" not in subprocess.check_output(command, text=True)
    later = stamp.stat().st_mtime + 10
    os.utime(copy / "requirements.txt", (later, later))
    assert "pip install" in subprocess.check_output(command, text=True)


def test_missing_python_is_named_with_the_remedy(copy):
    command = ["make", "-C", str(copy), "course", "PYTHON=no-such-python"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 or newer not found (tried: no-such-python)" in done.stderr
    assert "PYTHON=/path/to" in done.stderr


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/test.yml"])
def test_automation_runs_what_a_person_runs(path):
    assert "make test" in (ROOT / path).read_text()


def test_ci_script_is_strict_and_executable():
    script = ROOT / ".ci/run"
    assert "set -euo pipefail" in script.read_text()
    assert script.stat().st_mode & 0o100
