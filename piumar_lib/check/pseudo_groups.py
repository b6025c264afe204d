"""Checks of chapter 07."""

from __future__ import annotations

from collections.abc import Callable

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
def by_lot(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(group, y, rng)``: the members of groups change places within each class."""
    y = rng.permutation(np.repeat(np.arange(3), 40))
    group = 4 * y + rng.choice(4, 120, p=(0.55, 0.2, 0.15, 0.1))
    given = group.copy()
    drawn = np.asarray(answer(given, y.copy(), np.random.default_rng(1)))
    require(np.array_equal(given, group), "the groups that were given have changed: work on a copy.")
    require(drawn.shape == group.shape, f"the shape is {drawn.shape} instead of (120,).")
    require(not np.array_equal(drawn, group), "every clip is where it was: nothing was drawn.")
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
def strength_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(margins, temperature)``: where the hardest tenth carries half of the whole weight."""
    import torch

    from piumar_lib.group_robust import hard_weights

    for temperature in (0.6, 0.3, 0.8):
        margins = torch.as_tensor(rng.permutation(np.linspace(-1.5, 18.5, 200)))
        given = float(answer(margins.clone(), temperature))
        e = torch.sigmoid(-margins.sort().values / temperature)
        hot = torch.sigmoid(-margins.sort().values * temperature)
        unsigned = torch.sigmoid(-margins.abs().sort().values / temperature)
        gap = (-margins.sort().values / temperature).exp()
        misconceptions = {
            "this looks at the extra weight alone; the whole weight has a 1 for every clip.": e.sum()
            / (2 * e[:20].sum()),
            "the tenth is to carry as much as all the others, so half of n is the aim, not n.": 180
            / (e[:20].sum() - e.sum() / 2),
            "the tenth's own ones are forgotten: each of its clips weighs 1 to begin with.": 100
            / (e[:20].sum() - e.sum() / 2),
            "this is the tenth with the largest margins; hard clips have small ones.": 80
            / (e[-20:].sum() - e.sum() / 2),
            "margins are divided by the temperature, not multiplied.": 80
            / (hot[:20].sum() - hot.sum() / 2),
            "a margin below zero is that of a wrong clip: keep its sign.": 80
            / (unsigned[:20].sum() - unsigned.sum() / 2),
            "the extra weight is a sigmoid, not an exponential: it is bounded by beta.": 80
            / (gap[:20].sum() - gap.sum() / 2),
        }
        rule_out(given, misconceptions, rtol=1e-4)
        require(np.isfinite(given), f"at temperature {temperature} there is such a strength.")
        logits = torch.stack([margins, torch.zeros_like(margins)], 1)
        w = hard_weights(logits, torch.zeros(200, dtype=torch.long), given, temperature)
        share = float(w[margins.argsort()[:20]].sum() / w.sum())
        require(
            abs(share - 0.5) < 1e-6,
            f"at temperature {temperature} the tenth carries {share:.2f}, not half.",
        )
    even = float(answer(torch.full((200,), 3.0, dtype=torch.float64), 1.0))
    require(even == float("inf"), "with equal margins no strength will do: the answer is infinity.")
    return "the tenth carries exactly half, where any strength makes it."
