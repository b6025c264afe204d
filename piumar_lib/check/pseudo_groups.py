"""Checks of chapter 07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from piumar_lib.check.base import check, require, rule_out


@check
def pair_index(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(a, b)``: the adjusted Rand index of two groupings."""
    from sklearn.metrics import adjusted_rand_score, rand_score

    for _ in range(5):
        b = rng.integers(3, size=60)
        a = np.where(rng.random(60) < 0.5, b, rng.integers(4, size=60))
        given, right = float(answer(a.copy(), b.copy())), adjusted_rand_score(a, b)
        agree = rand_score(a, b)
        same = [(x[:, None] == x)[np.triu_indices(60, 1)].mean() for x in (a, b)]
        chance = same[0] * same[1] + (1 - same[0]) * (1 - same[1])
        misconceptions = {
            "this is the share of pairs that agree, without the correction for chance.": agree,
            "chance is taken away, but perfect agreement would not be 1: divide by what is left.": agree
            - chance,
            "pairs that are together by chance are one half of chance; those apart are the other.": (
                agree - same[0] * same[1]
            )
            / (1 - same[0] * same[1]),
            "divide by what is left above chance, not by chance.": (agree - chance) / chance,
        }
        rule_out(given, misconceptions)
        whole = [(x[:, None] == x).mean() for x in (a, b)]
        everyone = ((a[:, None] == a) == (b[:, None] == b)).mean()
        all_chance = whole[0] * whole[1] + (1 - whole[0]) * (1 - whole[1])
        require(
            not np.isclose(given, (everyone - all_chance) / (1 - all_chance)),
            "a clip is no pair with itself: count each pair of two once.",
        )
        require(
            np.isclose(answer((a + 1) % 4, b), given),
            "numbers of groups are only names: compare within each grouping.",
        )
        require(np.isclose(given, right), f"{given:.3f}, but scikit-learn says {right:.3f}.")
    shuffled = np.mean([answer(a, rng.permutation(b)) for _ in range(30)])
    return f"scikit-learn agrees; 30 shuffled groupings have {shuffled:+.3f} on average."


@check
def shuffle_members(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(group, y, rng)``: the members of groups change places within each class."""
    y = rng.permutation(np.repeat(np.arange(3), 40))
    group = 4 * y + rng.choice(4, 120, p=(0.55, 0.2, 0.15, 0.1))
    given = group.copy()
    drawn = np.asarray(answer(given, y.copy(), np.random.default_rng(1)))
    require(np.array_equal(given, group), "the groups that were given have changed: work on a copy.")
    require(drawn.shape == group.shape, f"the shape is {drawn.shape} instead of (120,).")
    require(not np.array_equal(drawn, group), "every clip is where it was: nothing was shuffled.")
    names = len(np.unique(group))
    require(
        len({*zip(group.tolist(), drawn.tolist(), strict=True)}) > names,
        "the groups have new numbers, but the same members.",
    )
    require(
        bool((drawn // 4 == y).all()),
        "members have left their class: each class's clips change places among themselves.",
    )
    require(
        np.array_equal(np.bincount(drawn, minlength=12), np.bincount(group, minlength=12)),
        "some group has another size than before: let members change places instead.",
    )
    other = np.asarray(answer(group.copy(), y.copy(), np.random.default_rng(2)))
    require(not np.array_equal(other, drawn), "another generator should draw other members.")
    same = np.asarray(answer(group.copy(), y.copy(), np.random.default_rng(1)))
    require(np.array_equal(same, drawn), "the same generator state should draw the same members.")
    return f"sizes and classes stay, {100 * np.mean(drawn != group):.0f} % of the clips have moved."


@check
def hard_weights(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(logits, y, beta, tau)``: weights of clips by their signed margin."""
    import torch

    for beta, tau in ((1.0, 1.0), (3.0, 0.5), (0.5, 2.0)):
        logits = torch.as_tensor(rng.normal(size=(12, 4)) * 2).requires_grad_()
        y = torch.as_tensor(rng.permutation(np.arange(12) % 4))
        z = logits.detach().numpy().copy()
        given = answer(logits, y.clone(), beta, tau)
        changed = not np.array_equal(logits.detach(), z)
        require(not changed, "the logits that were given have changed: work on a copy.")
        require(
            not getattr(given, "requires_grad", False),
            "weights are constants for backpropagation: detach the logits.",
        )
        own = z[np.arange(12), y]
        others = np.where(np.eye(4, dtype=bool)[y], -np.inf, z)
        margin = own - others.max(1)
        two = np.sort(z)[:, -1] - np.sort(z)[:, -2]

        def weights(gap: np.ndarray, shape: Callable = _sigmoid, beta: float = beta) -> np.ndarray:
            extra = shape(-gap)
            return (1 + beta * extra) / (1 + beta * extra).mean()

        plain = 1 + beta * _sigmoid(-margin / tau)
        misconceptions = {
            "a clip with a large margin is safe: it has to count less.": weights(-margin / tau),
            "divide by the mean, so that the weights average 1.": plain,
            "the weights should average 1, not sum to one.": plain / plain.sum(),
            "this gap has no sign: a confidently wrong clip has a negative margin.": (
                weights(two / tau), weights(np.abs(margin) / tau),
            ),
            "the largest OTHER logit is meant: leave the true class out.": (
                weights((own - z.max(1)) / tau)
            ),
            "margins are divided by the temperature, not multiplied.": (
                weights(margin * tau) if tau != 1 else np.nan
            ),
            "the weight is bounded: a sigmoid, not an exponential.": weights(margin / tau, np.exp),
            "each clip weighs 1 to begin with; beta times the sigmoid comes on top.": (
                _sigmoid(-margin / tau) / _sigmoid(-margin / tau).mean()
            ),
            "beta is missing: it says how much more a hard clip counts.": (
                weights(margin / tau, beta=1.0) if beta != 1 else np.nan
            ),
        }  # fmt: skip
        right = plain / plain.mean()
        rule_out(given, misconceptions, right)  # without a correct clip, z.max() is the largest other
        require(np.allclose(given, right), "these are not the weights of the formula.")
    return "hard clips count up to 1 + beta times as much, and the weights average 1."


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@check
def update_risks(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(running, costs, group, momentum)``: moving averages of group risks after a batch."""
    import torch

    for momentum in (0.9, 0.7):
        running = torch.as_tensor(rng.uniform(0.5, 1.5, 4))
        costs, group = torch.as_tensor(rng.uniform(0, 2, 6)), torch.tensor([0, 0, 0, 1, 3, 3])
        old = running.numpy().copy()
        given = answer(running, costs.clone(), group.clone(), momentum)
        changed = not np.array_equal(running, old)
        require(not changed, "the risks that were given have changed: work on a copy.")
        require(np.isfinite(np.asarray(given)).all(), "group 2 has no clip here: do not divide by zero.")
        count = np.bincount(group, minlength=4)
        total = np.bincount(group, costs, 4)
        there = count > 0
        now = total / np.maximum(count, 1)

        def average(new: np.ndarray, kept: float = momentum, old: np.ndarray = old) -> Any:
            return kept * old + (1 - kept) * new

        right = np.where(there, average(now), old)
        misconceptions = {
            "a group that is not in the batch keeps its risk; here it drifts towards 0.": average(now),
            "the momentum is what a group keeps of its past; yours is the other way round.": (
                np.where(there, average(now, 1 - momentum), old)
            ),
            "a group's risk in the batch is the mean of its clips, not their sum.": (
                np.where(there, average(total), old)
            ),
            "each group has clips of its own: this is the mean of all of them.": (
                average(costs.mean().numpy()), np.where(there, average(costs.mean().numpy()), old),
            ),
            "does `momentum` have an effect?": (
                np.where(there, average(now, 0.9), old) if momentum != 0.9 else np.nan
            ),
            "this forgets the past: the batch is one part of the average.": np.where(there, now, old),
            "divide by the number of the group's own clips, not by that of the batch.": (
                np.where(there, average(total / len(costs)), old), average(total / len(costs)),
            ),
        }  # fmt: skip
        rule_out(given, misconceptions)
        require(np.allclose(given, right), "these are not the moving averages of the formula.")
    return "groups in the batch move by a tenth, or as the momentum says; all others stay."
