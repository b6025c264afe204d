"""Figures of a notebook keep the text and the width that `piumar_lib.notebook.show` gave them."""

from __future__ import annotations

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer


class DescribedFigures(NbElementRenderer):
    """MyST-NB's renderer; text and width are in the output's metadata, as in Jupyter."""

    def render_image(self, data: MimeData) -> list[nodes.Element]:
        """Render one image, with a warning if it has no alternative text."""
        (image,) = super().render_image(data)
        given = data.output_metadata.get(data.mime_type, {})
        image["alt"] = given.get("alt", "")
        if "width" in given:
            image["width"] = f"{given['width']}px"
        if not image["alt"]:
            self.logger.warning("a figure has no alt text. Use show(fig, alt)", line=data.line)
        return [image]
