"""Answers to the exercises of chapter 07."""

from __future__ import annotations

import numpy as np
import torch

from exercises import Answers


def by_contingency(a, b):
    """Hubert and Arabie's formula, from the table of both groupings."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(n):
        return (n * (n - 1) / 2).sum()

    rows, columns, total = pairs(table.sum(1)), pairs(table.sum(0)), len(a) * (len(a) - 1) / 2
    chance = rows * columns / total
    return (pairs(table) - chance) / ((rows + columns) / 2 - chance)


def _pairs(a, b, everyone=False):
    where = np.triu_indices(len(a), 0 if everyone else 1)
    if everyone:
        where = np.indices((len(a), len(a))).reshape(2, -1)
    in_a, in_b = (x[where[0]] == x[where[1]] for x in (a, b))
    agree, alpha, gamma = (in_a == in_b).mean(), in_a.mean(), in_b.mean()
    return agree, alpha * gamma, alpha * gamma + (1 - alpha) * (1 - gamma)


def rand(a, b):
    return _pairs(a, b)[0]


def undivided(a, b):
    agree, _, chance = _pairs(a, b)
    return agree - chance


def half_chance(a, b):
    agree, together, _ = _pairs(a, b)
    return (agree - together) / (1 - together)


def by_chance(a, b):
    agree, _, chance = _pairs(a, b)
    return (agree - chance) / chance


def with_itself(a, b):
    agree, _, chance = _pairs(a, b, everyone=True)
    return (agree - chance) / (1 - chance)


def same_number(a, b):
    return (a == b).mean()


def by_argsort(group, y, rng):
    """Sort by class twice, once in a random order: the k-th clip of a class takes another's place."""
    lots = rng.permutation(len(y))
    drawn = np.empty_like(group)
    drawn[np.argsort(y, kind="stable")] = group[lots[np.argsort(y[lots], kind="stable")]]
    return drawn


def by_class(change):
    """An answer that gives ``change(groups of a class, rng)`` to each class."""

    def answer(group, y, rng):
        drawn = group.copy()
        for k in np.unique(y):
            drawn[y == k] = change(group[y == k], rng)
        return drawn

    return answer


def in_place(group, y, rng):
    for k in np.unique(y):
        group[y == k] = rng.permutation(group[y == k])
    return group


def rule(margins, temperature, whole=2, own=True, smallest=True, multiply=False, extra=False,
         shape=torch.sigmoid):  # fmt: skip
    exponent = -margins.sort().values * temperature if multiply else -margins.sort().values / temperature
    e, tenth = shape(exponent), len(margins) // 10
    mine = e[:tenth].sum() if smallest else e[-tenth:].sum()
    if extra:
        return e.sum() / (2 * mine)
    gained = mine - e.sum() / 2
    lacking = len(margins) / whole - tenth * own
    return lacking / gained if gained > 0 or not smallest else float("inf")


def by_search(margins, temperature):
    """Bisection on the logarithm of beta."""
    order = margins.argsort()

    def share(beta):
        w = 1 + beta / (1 + (margins / temperature).exp())
        return w[order[: len(margins) // 10]].sum() / w.sum()

    if share(1e12) < 0.5:
        return float("inf")
    low, high = -10.0, 12.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if share(10**middle) < 0.5 else (low, middle)
    return 10**low


ANSWERS = {
    "pair_index": Answers(
        by_contingency,
        {
            "without the correction": rand,
            "would not be 1": undivided,
            "one half of chance": half_chance,
            "not by chance": by_chance,
            "no pair with itself": with_itself,
            "only names": same_number,
        },
    ),
    "by_lot": Answers(
        by_argsort,
        {
            "work on a copy": in_place,
            "nothing was drawn": lambda group, y, rng: group.copy(),
            "the same members": by_class(lambda own, rng: own // 4 * 4 + rng.permutation(4)[own % 4]),
            "left their class": lambda group, y, rng: rng.permutation(group),
            "another size": by_class(lambda own, rng: rng.choice(own, len(own))),
            "another generator": by_class(lambda own, rng: np.roll(own, 1)),
        },
    ),
    "strength_for": Answers(
        by_search,
        {
            "extra weight alone": lambda m, t: rule(m, t, extra=True),
            "not n": lambda m, t: rule(m, t, whole=1),
            "own ones": lambda m, t: rule(m, t, own=False),
            "largest margins": lambda m, t: rule(m, t, smallest=False),
            "not multiplied": lambda m, t: rule(m, t, multiply=True),
            "keep its sign": lambda m, t: rule(m.abs(), t),
            "not an exponential": lambda m, t: rule(m, t, shape=torch.exp),
            "carries": lambda m, t: 0.5 * rule(m, t),
        },
    ),
}
