"""The files that make installing and running work agree with one another."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import piumar_lib
from tools.chapters import list_chapters

ROOT = Path(__file__).parents[1]
TARGETS = {
    "course", "test", "lint", "chapters", "unit", "coverage", "quick", "install", "lab", "book", "pdf",
    "student", "solutions", "hosted", "slides", "notebooks", "pairs", "readme", "benchmarks",
    "papermill", "poses-env", "lock", "clean",
}  # fmt: skip


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = sum(project["optional-dependencies"].values(), project["dependencies"])
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
    assert pip == {"pip": ["-c constraints.txt", "-r requirements.txt", "-e ."]}


def imported(path):
    """Names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def test_every_module_imports_only_what_is_declared():
    # Distribution and import name differ for these; the last three come with ipykernel.
    names = {"sklearn": "scikit-learn", "bs4": "beautifulsoup4", "PIL": "pillow", "jinja2": "nbconvert",
             "dask": "distributed", "docutils": "myst-nb", "myst_nb": "myst-nb",
             "myst_parser": "myst-nb", "sphinx": "myst-nb",
             "pybtex": "sphinxcontrib-bibtex"}  # fmt: skip
    known = {name.lower() for name in declared()} | {"piumar_lib", "tools", "book"}
    known |= {"ipython", "pygments", "jupyter_client"}
    # A program of an environment of its own, which these files describe.
    files = (ROOT / "data_scripts").glob("poses-*.txt")
    poses = {line.split("==")[0] for file in files for line in file.read_text().splitlines()}
    for path in (p for name in ("piumar_lib", "tools", "book") for p in (ROOT / name).rglob("*.py")):
        known_here = poses if path.name == "estimator_program.py" else known
        for module in imported(path):
            if module not in sys.stdlib_module_names:
                assert names.get(module, module).lower() in known_here, f"{path.name}: {module}"


def test_version_agrees_with_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == piumar_lib.__version__


def test_help_is_the_default_and_lists_every_target():
    done = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True)
    listed = re.findall(r"^make ([\w-]+) +\S", done.stdout, re.MULTILINE)
    assert set(listed) == TARGETS | {"help"}
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony and set(phony[1].split()) == TARGETS | {"help"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """What a surrounding make was given does not reach the one that is tested."""
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "LOCK", "PYTHON", "VENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def copy(tmp_path):
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_failed_installation_leaves_no_stamp_and_stops(copy):
    python = copy / "python"  # passes the version check and makes an environment without pip
    python.write_text(
        '#!/bin/sh\n[ "$1" = -m ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python\n[ "$2" != pip ]\n'
    )
    python.chmod(0o755)
    command = ["make", "-C", str(copy), "course", f"PYTHON={python}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert (copy / ".venv/bin/python").exists(), "the test never came to the installation"
    assert not (copy / ".venv/.installed").exists()
    assert "tools run" not in done.stdout


@pytest.mark.parametrize("changed", ["requirements.txt", "constraints.txt"])
def test_stamp_spares_the_second_installation(copy, changed):
    stamp = copy / ".venv/.installed"
    stamp.parent.mkdir()
    stamp.touch()
    command = ["make", "-n", "-C", str(copy), "course"]
    assert "pip install" not in subprocess.check_output(command, text=True)
    later = stamp.stat().st_mtime + 10
    os.utime(copy / changed, (later, later))
    assert "pip install" in subprocess.check_output(command, text=True)


def installations(copy: Path, *wishes: str) -> list[str]:
    """Lines of pip in what `make course` would do in an empty folder."""
    command = ["make", "-n", "-C", str(copy), "course", *wishes]
    return [line for line in subprocess.check_output(command, text=True).splitlines() if " pip " in line]


def test_everything_is_installed_in_the_locked_versions_unless_they_are_refused(copy):
    assert len(installations(copy)) == 3  # torch, then the rest, then the library
    assert all("-c constraints.txt" in line for line in installations(copy))
    (copy / "constraints.txt").unlink()
    assert len(installations(copy, "LOCK=")) == 3
    assert not [line for line in installations(copy, "LOCK=") if "constraints" in line]


def test_lock_is_made_from_versions_that_it_did_not_choose(copy):
    lines = subprocess.check_output(["make", "-n", "-C", str(copy), "lock"], text=True).splitlines()
    assert not [line for line in lines if "-c constraints.txt" in line]
    assert any("pip freeze" in line and line.endswith(">> constraints.txt") for line in lines)


def test_missing_python_is_named_with_the_remedy(copy):
    command = ["make", "-C", str(copy), "course", "PYTHON=no-such-python"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 or newer not found (tried: no-such-python)" in done.stderr
    assert "PYTHON=/path/to" in done.stderr


def test_automation_runs_what_a_person_runs():
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_make_test_is_lint_chapters_and_unit_and_slow_tests_are_left_to_the_week():
    command = ["make", "-n", "-C", str(ROOT), "-o", ".venv/.installed", "test"]
    done = subprocess.check_output(command, text=True)
    assert all(part in done for part in ("ruff check .", "codespell", "mypy"))
    patterns = re.findall(r"build/notebooks/(\S+)", done)
    for chapter in list_chapters(ROOT):
        assert sum(fnmatch(f"{chapter.stem}.ipynb", one) for one in patterns) == 1, chapter.stem
    ignored = re.findall(r"--ignore (\S+)", done)
    assert ignored == ["tests/test_chapters.py"] and f"pytest {ignored[0]}\n" in done
    assert done.count('-m "not slow"') == 1
    assert "not slow" not in subprocess.check_output([*command, "SLOW=yes"], text=True)
    weekly = (ROOT / ".github/workflows/weekly.yml").read_text()
    assert 'SLOW: "yes"' in weekly and "run: make test\n" in weekly


def test_ci_script_is_strict_and_executable():
    script = ROOT / ".ci/run"
    assert "set -euo pipefail" in script.read_text()
    assert script.stat().st_mode & 0o100
