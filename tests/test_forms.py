"""Forms for issues and pull requests, the changelog and the version say what is true."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

import piumar_lib

ROOT = Path(__file__).parents[1]
FORMS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")
    if path.stem != "config"
}
TITLE = re.compile(r"^# # (\d\d) · (.+)$", re.MULTILINE)
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
CHANGES = (ROOT / "CHANGELOG.md").read_text()
FIELDS = {"input", "textarea", "dropdown", "checkboxes", "markdown"}

each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def test_there_is_a_form_for_each_occasion():
    names = {form["name"] for form in FORMS.values()}
    assert names == {"A chapter fails", "A number is wrong", "A question on the method"}


@each_form
def test_forms_are_complete(form):
    assert form["description"] and form["title"].endswith(": ")
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in FIELDS and field["attributes"]["label"]
        options = field["attributes"].get("options", [])
        assert (field["type"] == "dropdown") == bool(options) and len(options) == len(set(options))
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_form_of_chapters_offers_every_chapter():
    texts = [path.read_text() for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))]
    titles = [" ".join(TITLE.search(text).groups()) for text in texts]
    (field,) = [field for field in FORMS["chapter"]["body"] if field["id"] == "chapter"]
    assert field["attributes"]["options"][:-1] == titles


def test_checklist_and_forms_name_files_and_targets_that_there_are():
    text = (ROOT / ".github/pull_request_template.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make (\w+)`", text)
    assert "test" in named and set(named) <= targets
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all((ROOT / ".github" / link).is_file() for link in links)
    forms = "\n".join(path.read_text() for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
    paths = re.findall(r"notebooks/[\w/]*(?:\.py)?", forms)
    assert paths and all((ROOT / path).exists() for path in paths)


def test_changelog_begins_with_what_is_to_come_and_keeps_its_form():
    headings = re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+\.\d+\.\d+) - (\S+)", heading).groups() for heading in headings[1:]]
    days = [date.fromisoformat(day) for _, day in released]
    assert days == sorted(days, reverse=True)
    assert set(re.findall(r"^### (.+)$", CHANGES, re.MULTILINE)) <= set(KINDS)


def test_version_is_written_once_and_is_the_newest_that_the_changelog_knows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "piumar_lib.__version__"}
    newest = re.search(r"^## (\d\S*)", CHANGES, re.MULTILINE)
    assert newest and newest[1] == piumar_lib.__version__


def test_files_that_the_changelog_names_are_there():
    paths = re.findall(r"`((?:piumar_lib|data_scripts|tools)/[\w/.]+)`", CHANGES)
    assert paths and not [path for path in paths if not (ROOT / path).exists()]
