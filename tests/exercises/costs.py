"""Answers to the exercise of chapter 10."""

from __future__ import annotations

from exercises import Answers


def by_seconds(clips, epochs, flops, peak, utilization):
    speed = peak * utilization / (flops + 2 * flops)  # clips a second
    seconds = sum(clips / speed for _ in range(epochs))
    return seconds / 60 / 60


def _hours(clips, epochs, flops, peak, utilization, ways=3):
    return ways * clips * epochs * flops / peak / utilization / 3600


ANSWERS = {
    "training_hours": Answers(
        by_seconds,
        {
            "way forward alone": lambda *args: _hours(*args, ways=1),
            "more than the forward": lambda *args: _hours(*args, ways=2),
            "in seconds": lambda *args: _hours(*args) * 3600,
            "not shorter": lambda *args: _hours(*args) * args[4] ** 2,
            "where is the utilisation": lambda *args: _hours(*args) * args[4],
            "one epoch": lambda *args: _hours(*args) / args[1],
            "which is not right": lambda *args: _hours(*args, ways=4),
        },
    ),
}
