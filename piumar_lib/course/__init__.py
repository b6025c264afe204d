"""What a chapter's cells call: profiles, figures with alt text, tables, checks of exercises."""

from piumar_lib.course.agree import assert_same
from piumar_lib.course.figure import fixed_figure, show, show_table
from piumar_lib.course.plan import PLAN, Step
from piumar_lib.course.profile import Profile, start

__all__ = ["PLAN", "Profile", "Step", "assert_same", "fixed_figure", "show", "show_table", "start"]
