"""For all that pytest runs: the tests, and the chapters in build/notebooks that nbmake executes."""

import pytest

from tools.chapters import CHAIN
from tools.steady import keep_looking

keep_looking()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process of ``-n 2 --dist loadgroup`` execute the chapters of a chain, in order, first."""
    chain = [item for item in items if item.path.suffix == ".ipynb" and item.path.stem[:2] in CHAIN]
    for item in chain:
        item.add_marker(pytest.mark.xdist_group("chain"))
    items.sort(key=lambda item: item not in chain)
