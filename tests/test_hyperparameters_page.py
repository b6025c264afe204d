"""The page of hyperparameters names each of them, as the class that takes it declares it."""

from __future__ import annotations

import inspect

import pytest
from bs4 import BeautifulSoup

from piumar_lib.baselines.groups import GroupDRO
from piumar_lib.evidence.methods import METHODS, hyperparameters_of
from piumar_lib.ma52.config import SETTINGS
from tools.hyperparameters import hyperparameters_page
from tools.rendering import render_markdown


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, list[str]]]:
    """Rows by the heading that they stand below and by their name."""
    page = BeautifulSoup(render_markdown(hyperparameters_page()), "html.parser")
    found = {}
    for table in page.find_all("table"):
        rows = [[cell.text for cell in row.find_all("td")] for row in table.find_all("tr")[1:]]
        found[table.find_previous(["h2", "h3"]).text] = {name: rest for name, *rest in rows}
    return found


def test_whatever_a_method_takes_is_on_the_page(tables):
    names = {name for rows in tables.values() for name in rows}
    for method in METHODS:
        assert {*hyperparameters_of(method)} <= names, method
    assert [*tables["Training on MA-52"]] == [*SETTINGS]


def test_a_row_says_what_the_signature_says(tables):
    argument = inspect.signature(GroupDRO).parameters["step"]
    default, searched, allowed, about, source = tables["GroupDRO"]["step"]
    assert default == str(argument.default) and searched == "0.001, 0.01, 0.1"
    assert allowed == "a number, at least 0" and source == "DomainBed"
    assert about in inspect.getdoc(GroupDRO)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        GroupDRO(step=-1)
