"""Checks of chapter 07."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from piumar_lib.course.check.base import check, require, rule_out


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
def soften(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(squares, softness)``: memberships from squared distances ``(clips, groups)``."""
    import torch

    squares = torch.as_tensor(rng.uniform(0.1, 5, (50, 4)))
    some = torch.as_tensor(answer(squares.clone(), 1.0))
    require(some.shape == squares.shape, f"the shape is {tuple(some.shape)} instead of (50, 4).")
    require(
        not torch.allclose(some.sum(0), torch.ones(4).to(some)),
        "the softmax runs over the clips; each clip's memberships should sum to one.",
    )
    require(
        torch.allclose(some.sum(1), torch.ones(50).to(some)),
        "each clip's memberships should sum to one.",
    )
    require(
        torch.equal(some.argmax(1), squares.argmin(1)), "the nearest centre should have most of a clip."
    )
    require(
        torch.allclose(torch.as_tensor(answer(9 * squares, 1.0)), some),
        "in other units of length memberships change: the unit must come from the distances themselves.",
    )
    slope = ((some[:, 0] / some[:, 1]).log() / (squares[:, 1] - squares[:, 0])).mean()
    unit, mean = squares.amin(1).mean(), squares.mean()
    misconceptions = {
        "the factor 2 of a normal density is missing.": 1 / unit,
        "the unit is the mean over all centres; asked is the mean over the nearest ones.": 1
        / (2 * mean),
        "a mean over clips is asked for, not their sum.": 1 / (2 * squares.amin(1).sum()),
    }
    rule_out(slope, misconceptions)
    require(np.isclose(float(slope), float(1 / (2 * unit))), "the exponent has a wrong unit.")
    twice = torch.as_tensor(answer(squares.clone(), 2.0))
    log_ratio = ((twice[:, 0] / twice[:, 1]).log() / (squares[:, 1] - squares[:, 0])).mean()
    require(
        np.isclose(float(log_ratio), float(slope / 2)), "softness should make it softer, in proportion."
    )
    hard = torch.as_tensor(answer(squares.clone(), 0))
    nearest = torch.nn.functional.one_hot(squares.argmin(1), 4).to(hard)
    require(
        bool(hard.isfinite().all()) and torch.equal(hard, nearest),
        "at softness 0 each clip should belong to its nearest centre, wholly.",
    )
    far = torch.as_tensor(answer(squares + 1e6, 1e-4))
    require(
        bool(far.isfinite().all()),
        "far from all centres it is 0 / 0: take the largest exponent out first.",
    )
    return "rows sum to one, units do not matter, and far centres are harmless."


@check
def strength_for(answer: Callable, rng: np.random.Generator) -> str:
    """``answer(margins, temperature)``: where the nearest tenth carries half of the whole weight."""
    import torch

    from piumar_lib import girl

    for temperature in (0.6, 0.3, 1.0):
        margins = torch.as_tensor(rng.permutation(np.linspace(0, 20, 200)))
        given = float(answer(margins.clone(), temperature))
        e = (-margins.sort().values / temperature).exp()
        hot = (-margins.sort().values * temperature).exp()
        misconceptions = {
            "this looks at the extra weight alone; the whole weight has a 1 for every clip.": e.sum()
            / (2 * e[:20].sum()),
            "the tenth is to carry as much as all the others, so half of n is the aim, not n.": 180
            / (e[:20].sum() - e.sum() / 2),
            "the tenth's own ones are forgotten: each of its clips weighs 1 to begin with.": 100
            / (e[:20].sum() - e.sum() / 2),
            "this is the tenth with the largest margins; clips on a boundary have small ones.": 80
            / (e[-20:].sum() - e.sum() / 2),
            "margins are divided by the temperature, not multiplied.": 80
            / (hot[:20].sum() - hot.sum() / 2)
            if temperature != 1
            else np.nan,
        }
        rule_out(given, misconceptions, rtol=1e-4)
        require(np.isfinite(given), f"at temperature {temperature} there is such a strength.")
        logits = torch.stack([margins, torch.zeros_like(margins)], 1)
        w = girl.boundary_weights(logits, given, temperature)
        share = float(w[margins.argsort()[:20]].sum() / w.sum())
        require(
            abs(share - 0.5) < 1e-6,
            f"at temperature {temperature} the tenth carries {share:.2f}, not half.",
        )
    even = float(answer(torch.full((200,), 3.0, dtype=torch.float64), 1.0))
    require(even == float("inf"), "with equal margins no strength will do: the answer is infinity.")
    return "the tenth carries exactly half, where any strength makes it."
