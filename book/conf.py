"""Settings of Sphinx; ``python -m tools book`` lays out the sources, and calls it."""

import sys
from pathlib import Path

from pybtex.backends.plaintext import Backend
from pybtex.plugin import register_plugin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "PIUmr-course"
author = "The PIUmr-course authors"
copyright = f"{author}. Code and text under the MIT licence"
language = "en-GB"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "book.formulas",
    "book.search",
    "book.faster",
]

# Chapters: executed before, with nothing from elsewhere
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, str] = {}
nb_render_plugin = "described"  # book/outputs.py
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # what cells display as Markdown has tables and formulas
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4  # the names that GitHub gives to headings
bibtex_bibfiles = [str(ROOT / "book" / "references.bib")]
bibtex_reference_style = "author_year"
# Else it is looked for among all installed packages, once for each citation.
register_plugin("pybtex.backends", "plaintext", Backend, force=True)

# The library
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_use_type_comments = False  # there are none, and looking takes time
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}  # not all that it stands for
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # a docstring's `frames` may be that of several classes
default_role = "code"
add_module_names = False
toc_object_entries = False  # each would be copied into the sidebar of each page

# Pages
html_theme = "sphinx_book_theme"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_js_files = ["page.js"]
html_copy_source = False
html_scaled_image_link = False
html_domain_indices = False
pygments_style = "a11y-high-contrast-light"
html_context = {"default_mode": "auto"}  # light or dark, as the system is
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_navbar_depth": 1,
    "toc_title": "On this page",
    "use_download_button": False,
    "use_fullscreen_button": False,
}
