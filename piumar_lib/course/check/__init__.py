"""Checks of the exercises: ``check.NAME(answer)`` tries an answer and prints one line."""

from piumar_lib.course.check.costs import training_hours
from piumar_lib.course.check.person_shift import split_people, standard_error

__all__ = ["split_people", "standard_error", "training_hours"]
