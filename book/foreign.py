"""Names that are not the library's own, skipped to save Sphinx's time."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


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


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both with Sphinx."""
    app.add_post_transform(ForeignTypes)
    app.connect("autodoc-skip-member", skip_imported)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
