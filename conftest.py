"""For all that pytest runs: the tests, and the chapters in build/notebooks that nbmake executes."""

import pytest

from piumar_lib.course.steady import keep_looking

keep_looking()


def pytest_collection_modifyitems(items):
    """Keep chapters 11 and 12 in one process: they share a stand-in of MA-52 and its cache."""
    for item in items:
        if item.path.suffix == ".ipynb" and "ma52" in item.path.name:
            item.add_marker(pytest.mark.xdist_group("ma52"))
