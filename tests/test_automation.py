"""Workflows, the container and the hooks call what there is, and may do no more than they must."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+)\s*[?:]?=", MAKEFILE, re.MULTILINE))
PINS = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines()}
FILES = sorted(ROOT.glob(".github/workflows/*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = {f"{w}.{name}": job for w, flow in WORKFLOWS.items() for name, job in flow["jobs"].items()}
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)
each_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def missing(command: str) -> list[str]:
    """What a shell command names that does not exist: targets, files, distributions, programs."""
    program, *words = shlex.split(command)
    if program == "make":
        given = {word.split("=")[0] for word in words if "=" in word}
        return sorted(set(words) - {w for w in words if "=" in w} - TARGETS | given - VARIABLES)
    if program == "python" and words[:3] == ["-m", "pip", "install"]:
        return [word for word in _unnamed(words[3:]) if word not in PINS]
    if program == "python" and words[0] == "-m":
        return [] if importlib.util.find_spec(words[1]) else [words[1]]
    return [] if (Path(sys.executable).parent / program).exists() else [program]


def _unnamed(words: list[str]) -> list[str]:
    """What pip is to install, and files that are not there."""
    rest, files = [], []
    for before, word in zip(["", *words], words, strict=False):
        if before in ("-c", "-r"):
            files += [] if (ROOT / word).is_file() else [word]
        elif not word.startswith("-") and before != "-e":
            rest.append(word)
    return rest + files


def commands(job: dict) -> list[str]:
    return [line for step in job["steps"] for line in step.get("run", "").splitlines()]


def settings_of(job: dict, action: str) -> dict:
    (step,) = [step for step in job["steps"] if action in step.get("uses", "")]
    return step["with"]


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        ("make unit", []),
        ("make nothing", ["nothing"]),
        ("make course LOCK=", []),
        ("make course KEY=", ["KEY"]),
        ("python -m pip install -c constraints.txt torch", []),
        ("python -m pip install -c lock.txt torch tensorflow", ["tensorflow", "lock.txt"]),
        ("python -m pip install --no-deps -e .", []),
        ("python -m pytest -m quick", []),
        ("python -m piumar_lib.nothing", ["piumar_lib.nothing"]),
        ("ruff check .", []),
        ("flake9 .", ["flake9"]),
    ],
)
def test_what_a_command_lacks_is_found(command, absent):
    assert missing(command) == absent


@each_job
def test_jobs_call_what_there_is(job):
    assert commands(job)
    assert not [name for command in commands(job) for name in missing(command)]


@each_workflow
def test_workflows_may_only_read_and_end_when_they_are_outdated(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True


@each_job
def test_jobs_end_in_time_and_use_actions_of_one_major_version(job):
    assert 5 <= job["timeout-minutes"] <= 120
    assert "permissions" not in job
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


@each_job
def test_jobs_run_on_a_python_that_the_course_supports(job):
    matrix = job.get("strategy", {}).get("matrix", {})
    version = settings_of(job, "setup-python")["python-version"]
    versions = matrix["python"] if "matrix.python" in version else [version]
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    assert all(isinstance(v, str) and supported.contains(v) for v in versions)


def test_jobs_cover_what_make_test_does_and_other_systems():
    assert set(WORKFLOWS["test"]["jobs"]) == {"lint", "unit", "notebooks", "book", "quick"}
    assert JOBS["test.unit"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert JOBS["test.quick"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]
    called = {command for job in JOBS.values() for command in commands(job)}
    assert {"make unit", "make chapters", "make book", "make test"} <= called
    assert JOBS["weekly.scratch"]["env"]["LOCK"] == "", "the weekly run takes what is newest"


def test_lint_job_does_what_make_lint_does():
    command = ["make", "-n", "-o", ".venv/.installed", "lint"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.check_output(command, text=True, cwd=ROOT, env=environment).splitlines()
    lines = [re.sub(r"^\.venv/bin/(python -m )?", "", line) for line in done]
    style = [line for line in commands(JOBS["test.lint"]) if not line.startswith("python -m pip")]
    assert lines == [*style, "mypy", "tools counts --check"]
    assert "make lint" in commands(JOBS["test.unit"]), "types need the packages, which this job has"


def test_book_is_kept_from_where_make_puts_it():
    kept = settings_of(JOBS["test.book"], "upload-artifact")
    assert kept["path"] == "build/book" and kept["if-no-files-found"] == "error"


def test_nothing_names_an_address():
    paths = [*ROOT.glob(".github/**/*.yml"), ROOT / ".devcontainer/devcontainer.json"]
    assert len(paths) >= 3
    texts = {path.name: path.read_text() for path in paths}
    assert not [name for name, text in texts.items() if "://" in text or "index-url" in text]


def test_container_installs_by_make_and_finds_the_environment():
    assert not missing(CONTAINER["postCreateCommand"])
    assert CONTAINER["image"].startswith("python:3.11")
    interpreter = CONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter.endswith(".venv/bin/python") and "VENV ?= .venv\n" in MAKEFILE


def test_hooks_call_what_there_is():
    assert [hook["id"] for hook in HOOKS] == ["ruff", "format", "codespell", "types", "pairs"]
    assert not [name for hook in HOOKS for name in missing(hook["entry"])]


@pytest.mark.parametrize(
    ("text", "found"),
    [("They rec" + "ieve colours.", 1), ("Optimise the centre; ot and comotion; a trough.", 0)],
)
def test_spelling_is_checked_and_british_english_passes(tmp_path, text, found):
    (tmp_path / "page.md").write_text(text + "\n")
    command = [sys.executable, "-m", "codespell_lib", "--toml", str(ROOT / "pyproject.toml"), "page.md"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == found, done.stdout + done.stderr
    assert bool(done.returncode) == bool(found)
