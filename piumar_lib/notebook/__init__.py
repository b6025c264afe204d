"""Helper functions for chapters: profiles, figures with alt text, tables, costs."""

from piumar_lib.notebook.agree import assert_same
from piumar_lib.notebook.figure import fixed_figure, show, show_table
from piumar_lib.notebook.given import given
from piumar_lib.notebook.plan import PLAN, Step, draw_plan
from piumar_lib.notebook.profile import Profile, start

__all__ = [
    "PLAN", "Profile", "Step", "assert_same", "draw_plan", "fixed_figure", "given", "show",
    "show_table", "start",
]  # fmt: skip
