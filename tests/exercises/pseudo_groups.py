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


def _weights(logits, y, beta, tau, gap=None, mean=True, shape=torch.sigmoid):
    """Weights by another way than masking: sort the other classes."""
    z = logits.detach()
    rows = torch.arange(len(y))
    others = torch.stack([torch.cat([row[:k], row[k + 1 :]]) for row, k in zip(z, y, strict=True)])
    margin = z[rows, y] - others.sort(1).values[:, -1]
    h = 1 + beta * shape(-(margin if gap is None else gap(z, y, margin)) / tau)
    return h / h.mean() if mean else h


def _two_largest(z, y, margin):
    top = z.topk(2).values
    return top[:, 0] - top[:, 1]


def _to_largest(z, y, margin):
    return z.gather(1, y[:, None])[:, 0] - z.amax(1)


def masked_in_place(logits, y, beta, tau):
    z = logits.detach()
    own = z[torch.arange(len(y)), y].clone()
    z[torch.arange(len(y)), y] = -torch.inf
    return _weights(torch.zeros_like(z), y, beta, tau, lambda *_: own - z.amax(1))


def attached(logits, y, beta, tau):
    return _weights(logits, y, beta, tau) + 0 * logits.sum()


def sigmoid_alone(logits, y, beta, tau):
    extra = _weights(logits, y, 1.0, tau, mean=False) - 1
    return extra / extra.mean()


def by_one_hot(running, costs, group, momentum):
    """Group means as a product with the one-hot groups."""
    member = torch.nn.functional.one_hot(group, len(running)).to(costs)  # (B, G)
    count = member.sum(0)
    means = member.T @ costs / count.clamp(min=1)
    return running - (1 - momentum) * (count > 0) * (running - means)


def _update(running, costs, group, momentum, absent=True, divide=True, by=None):
    count = group.bincount(minlength=len(running))
    now = torch.zeros_like(running).index_add(0, group, costs)
    now = now / (by or count.clamp(min=1)) if divide else now
    moved = momentum * running + (1 - momentum) * now
    return torch.where(count > 0, moved, running) if absent else moved


def in_place_update(running, costs, group, momentum):
    running.copy_(by_one_hot(running, costs, group, momentum))
    return running


def divides_by_zero(running, costs, group, momentum):
    means = torch.zeros_like(running).index_add(0, group, costs) / group.bincount(minlength=len(running))
    return momentum * running + (1 - momentum) * means


def of_all(running, costs, group, momentum):
    return momentum * running + (1 - momentum) * costs.mean()


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
    "shuffle_members": Answers(
        by_argsort,
        {
            "work on a copy": in_place,
            "nothing was shuffled": lambda group, y, rng: group.copy(),
            "the same members": by_class(lambda own, rng: own // 4 * 4 + rng.permutation(4)[own % 4]),
            "left their class": lambda group, y, rng: rng.permutation(group),
            "another size": by_class(lambda own, rng: rng.choice(own, len(own))),
            "another generator": by_class(lambda own, rng: np.roll(own, 1)),
        },
    ),
    "hard_weights": Answers(
        _weights,
        {
            "have changed: work on a copy": masked_in_place,
            "detach": attached,
            "has to count less": lambda z, y, b, t: _weights(z, y, b, -t),
            "divide by the mean": lambda z, y, b, t: _weights(z, y, b, t, mean=False),
            "not sum to one": lambda z, y, b, t: _weights(z, y, b, t) / len(y),
            "no sign": lambda z, y, b, t: _weights(z, y, b, t, _two_largest),
            "true class out": lambda z, y, b, t: _weights(z, y, b, t, _to_largest),
            "not multiplied": lambda z, y, b, t: _weights(z, y, b, 1 / t),
            "not an exponential": lambda z, y, b, t: _weights(z, y, b, t, shape=torch.exp),
            "weighs 1 to begin with": sigmoid_alone,
            "beta is missing": lambda z, y, b, t: _weights(z, y, 1.0, t),
            "weights of the formula": lambda z, y, b, t: _weights(z.softmax(1), y, b, t),
        },
    ),
    "update_risks": Answers(
        by_one_hot,
        {
            "work on a copy": in_place_update,
            "divide by zero": divides_by_zero,
            "keeps its risk": lambda *given: _update(*given, absent=False),
            "other way round": lambda r, c, g, m: _update(r, c, g, 1 - m),
            "not their sum": lambda *given: _update(*given, divide=False),
            "clips of its own": of_all,
            "have an effect": lambda r, c, g, m: _update(r, c, g, 0.9),
            "forgets the past": lambda r, c, g, m: _update(r, c, g, 0.0),
            "that of the batch": lambda *given: _update(*given, by=len(given[1])),
            "moving averages of the formula": lambda r, c, g, m: _update(r, c, g, m**2),
        },
    ),
}
