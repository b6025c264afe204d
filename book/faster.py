"""Sphinx in less time: what it need not do, or not twice, and pages dealt out to processes."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.pycode.parser import Parser
from sphinx.search.en import SearchEnglish
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


# That read and write pages: more than cores, as some pages take much longer than others.
PROCESSES = 6


class ForeignTypes(SphinxPostTransform):
    """Makes text of references to types that no page describes, such as ``int``."""

    default_priority = 5  # before references are resolved

    def run(self, **_: Any) -> None:
        """Look at one page."""
        described = {name.rpartition(".")[2] for name in self.env.domains.python_domain.objects}
        for reference in list(self.document.findall(pending_xref)):
            name = reference["reftarget"].rpartition(".")[2]
            if reference["refdomain"] == "py" and name not in described:
                reference.replace_self(reference.children)


def skip_imported(app: Sphinx, what: str, _: str, member: Any, *__: Any) -> bool | None:
    """Skip what a module imports; autodoc would describe it first, and leave it out then."""
    if what != "module" or not (inspect.isclass(member) or inspect.isroutine(member)):
        return None
    return True if member.__module__ != app.env.current_document.autodoc_module else None


def deal_out(app: Sphinx, env: Any, pages: list[str]) -> None:
    """Order pages so that no process gets all of the library's, which are long and stand together."""
    pages[:] = [page for first in range(PROCESSES) for page in pages[first::PROCESSES]]


def find_nothing(self: Parser) -> None:
    """Look for no lines of definitions: they are for links to sources, and there are none."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx."""
    Parser.parse_definition = find_nothing  # type: ignore[method-assign]
    SearchEnglish.stem = cache(SearchEnglish.stem)  # type: ignore[method-assign]
    app.add_post_transform(ForeignTypes)
    app.connect("autodoc-skip-member", skip_imported)
    app.connect("env-before-read-docs", deal_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
