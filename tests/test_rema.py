"""ReMA: what is put in and where, against the definition written out clip by clip."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from piumar_lib.alignment import centered_motion_energy
from piumar_lib.backbones import tiny_cnn
from piumar_lib.baselines.rema import MaskedReMA, ReMA, aligned, block_motion
from piumar_lib.batch import Batch
from piumar_lib.recognizer import Recognizer
from piumar_lib.training import Settings, fit

each_form = pytest.mark.parametrize("form", [ReMA, MaskedReMA])


def moves_once(n, at=3, time=32):
    """Clips that rest, but for one movement around frame ``at``, in different amplitudes."""
    bump = torch.exp(-((torch.arange(float(time)) - at) ** 2) / 2)
    return (1 + torch.arange(float(n)))[:, None, None] * bump[:, None] * torch.ones(3)


# A random stretch


def stretches(x, mixed):
    """Clip and changed frames, of each clip that ReMA changed."""
    for i, frames in enumerate((x != mixed).any(2)):
        if frames.any():
            yield i, frames


def test_rema_replaces_one_stretch_and_keeps_its_mean_and_spread():
    x, y = torch.randn(300, 32, 2, dtype=torch.double), torch.arange(300) % 4
    mixed = ReMA(probability=1.0, share=0.5).mix(x, y)
    found = list(stretches(x, mixed))
    assert len(found) > 250  # the shortest stretches are of one frame or none
    for i, frames in found:
        places = frames.nonzero()[:, 0]
        assert places[-1] - places[0] + 1 == len(places) <= 17
        assert torch.equal(mixed[i, ~frames], x[i, ~frames])
        before, after = x[i, frames].numpy(), mixed[i, frames].numpy()
        assert np.allclose(before.mean(0), after.mean(0))
        assert np.allclose(before.std(0), after.std(0))
    lengths = np.array([frames.sum().item() for _, frames in found]) / 32
    assert lengths.mean() == pytest.approx(0.25, abs=0.04) and lengths.max() > 0.45


def test_rema_takes_what_it_puts_in_from_the_same_place_of_another_clip_of_the_class():
    x, y = torch.randn(60, 32, 2, dtype=torch.double), torch.arange(60) % 4
    mixed = ReMA(probability=1.0, share=0.9).mix(x, y)

    def shape(z):
        return (z - z.mean(-2, keepdim=True)) / z.std(-2, keepdim=True)

    partners = []
    for i, frames in stretches(x, mixed):
        if frames.sum() > 4:
            distance = (shape(mixed[i, frames]) - shape(x[:, frames])).abs().amax((1, 2))
            assert distance.min() < 1e-6
            partners.append((i, distance.argmin().item()))
    assert len(partners) > 40
    assert all(i != j and y[i] == y[j] for i, j in partners)
    assert len({j for _, j in partners}) > 20


def test_rema_chooses_clips_with_its_probability():
    x, y = torch.randn(2000, 32, 1), torch.arange(2000) % 40
    changed = [(ReMA(p).mix(x, y) != x).any((1, 2)).float().mean().item() for p in (0.3, 1.0)]
    assert abs(changed[0] - 0.3 * changed[1]) < 5 * np.sqrt(0.3 * 0.7 / 2000)
    assert torch.equal(ReMA(probability=0.0).mix(x, y), x)
    assert torch.equal(ReMA(share=0.0).mix(x, y), x)


def test_rema_leaves_a_clip_alone_that_has_no_other_of_its_class():
    x, y = torch.randn(3, 16, 2), torch.arange(3)
    assert torch.allclose(ReMA(probability=1.0).mix(x, y), x, atol=1e-5)
    still = torch.ones(4, 16, 2)
    assert torch.equal(ReMA(probability=1.0).mix(still, torch.zeros(4)), still)


@each_form
def test_rema_trains_on_the_mixed_clips(monkeypatch, form):
    x, y = torch.randn(12, 8, 3), torch.arange(12) % 3
    data = Batch(x, y, y, torch.arange(12))
    model = Recognizer(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), 4, 3)
    rema = form()
    monkeypatch.setattr(rema, "mix", lambda x, y: x.flip(0) + y[:, None, None])
    expected = F.cross_entropy(model(x.flip(0) + y[:, None, None]).logits, y)
    assert rema.loss(model, data).item() == pytest.approx(expected.item(), rel=1e-6)


# Masks


def test_masks_are_whole_blocks_and_cover_their_share():
    x = torch.randn(200, 30, 2)
    mask = MaskedReMA(coverage=0.3, block=4).where(x)
    blocks = F.pad(mask.int(), (0, 2), value=-1).unflatten(1, (8, 4))
    for clip in blocks:
        values = [{v for v in block.tolist() if v >= 0} for block in clip]
        assert all(len(v) == 1 for v in values)
        assert sum(v == {1} for v in values) == 2  # round(0.3 * 8)
    assert MaskedReMA(coverage=0.01, block=4).where(x).sum(1).min() >= 2  # at least one block
    assert MaskedReMA(coverage=1.0, block=7).where(x).all()
    assert MaskedReMA(block=100).where(x).all()  # one block is the whole clip


def test_block_motion_is_the_mean_energy_of_a_block_over_that_of_the_clip():
    x = torch.randn(5, 10, 3, dtype=torch.double) * torch.tensor([1.0, 1e3, 1e-3])
    x[..., 1] += 7
    energy = centered_motion_energy(x / x.std((0, 1)))
    motion = block_motion(x, torch.arange(10) // 4)
    for i in range(5):
        for k, frames in enumerate((range(4), range(4, 8), range(8, 10))):
            expected = np.mean([energy[i, t] for t in frames]) / energy[i].numpy().mean()
            assert motion[i, k].item() == pytest.approx(expected)


def test_blocks_are_drawn_without_replacement_by_the_law_of_their_motion():
    size = torch.tensor([1, 2, 0.3, 1]).repeat_interleave(4)[:, None]
    clip = torch.randn(1, 16, 2, dtype=torch.double) * size
    weight = torch.exp(-block_motion(clip, torch.arange(16) // 4))[0].tolist()
    expected = dict.fromkeys([(i, j) for i in range(4) for j in range(i + 1, 4)], 0.0)
    for first, second in permutations(range(4), 2):
        chance = weight[first] / sum(weight) * weight[second] / (sum(weight) - weight[first])
        expected[tuple(sorted((first, second)))] += chance
    n = 20_000
    mask = MaskedReMA(coverage=0.5, block=4).where(clip.expand(n, -1, -1))[:, ::4]
    for (i, j), chance in expected.items():
        seen = (mask[:, i] & mask[:, j]).double().mean().item()
        assert abs(seen - chance) < 5 * np.sqrt(chance * (1 - chance) / n)


def test_masks_avoid_the_movement_which_random_stretches_hit():
    x, y = moves_once(400), torch.arange(400) % 4
    moving = centered_motion_energy(x)[0] > 0.1 * centered_motion_energy(x)[0].max()
    hit = {}
    for rema in (ReMA(1.0, 0.5), MaskedReMA(1.0)):
        mask = rema.where(x)
        hit[type(rema)] = ((mask & moving).sum() / mask.sum()).item()
    # By chance it would be the movement's share of the clip.
    assert hit[MaskedReMA] < 0.25 * moving.float().mean() and hit[ReMA] > 0.5 * moving.float().mean()
    changed = (MaskedReMA(1.0).mix(x, y) != x).any(2)
    assert changed.any(0).sum() >= 16  # but it replaces, and not always the same


def test_masked_replacement_keeps_mean_and_spread_of_what_it_replaces():
    x, y = torch.randn(60, 32, 2, dtype=torch.double), torch.arange(60) % 4
    mixed = MaskedReMA(1.0, 0.5).mix(x, y)
    found = list(stretches(x, mixed))
    assert len(found) == 60 and all(frames.sum() == 16 for _, frames in found)
    for i, frames in found:
        before, after = x[i, frames].numpy(), mixed[i, frames].numpy()
        assert np.allclose(before.mean(0), after.mean(0)) and np.allclose(before.std(0), after.std(0))
        assert torch.equal(mixed[i, ~frames], x[i, ~frames])


def test_aligned_is_the_standard_score_put_back():
    x, other = torch.randn(2, 1, 9, 2, dtype=torch.double).unbind()
    inside = torch.tensor([0, 1, 1, 1, 0, 1, 1, 0, 0])[None, :, None].double()
    at = inside[0, :, 0] > 0
    a, b = x[0, at].numpy(), other[0, at].numpy()
    expected = a.mean(0) + (b - b.mean(0)) / b.std(0) * a.std(0)
    assert np.allclose(aligned(other, x, inside)[0, at], expected)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_masks_do_not_depend_on_the_unit(scale):
    x, y = torch.randn(20, 32, 3, dtype=torch.double), torch.arange(20) % 2
    mixed = []
    for unit in (1.0, scale):
        torch.manual_seed(1)
        mixed.append(MaskedReMA(1.0).mix(unit * x, y) / unit)
    assert torch.allclose(*mixed) and not torch.equal(mixed[0], x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_form
def test_small_and_still_batches_stay_finite_and_of_their_type(form, dtype):
    for x in (torch.randn(1, 16, 2), torch.randn(5, 2, 2), torch.ones(4, 16, 2), torch.zeros(1, 16, 2)):
        mixed = form(1.0).mix(x.to(dtype), torch.zeros(len(x)))
        assert mixed.dtype == dtype and torch.isfinite(mixed).all()
        if len(x) == 1 or not x.diff(dim=0).any():  # its own partner, or one of its like
            assert torch.allclose(mixed, x.to(dtype), atol=1e-5)


@each_form
def test_a_seed_fixes_the_mix(form):
    x, y = torch.randn(20, 32, 3), torch.arange(20) % 2
    mixed = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        mixed.append(form().mix(x, y))
    assert torch.equal(mixed[0], mixed[1]) and not torch.equal(mixed[0], mixed[2])
    assert not torch.equal(mixed[0], x)  # at the defaults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coverage": 0.0}, r"coverage: must be a number, above 0 and at most 1, got 0.0"),
        ({"coverage": 1.1}, "coverage: must be a number, above 0 and at most 1, got 1.1"),
        ({"block": 0}, "block: must be a whole number, at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MaskedReMA(**options)


def test_clips_of_one_frame_have_no_motion_to_avoid():
    with pytest.raises(ValueError, match="x: 1 frame shows no motion"):
        MaskedReMA().where(torch.ones(3, 1, 2))


@pytest.mark.parametrize("rows", [np.arange(96), np.arange(0, 96, 12), np.arange(0, 96, 2), [5]])
def test_the_masked_form_trains_the_same_way_twice(toy, rows):
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        model = Recognizer(tiny_cnn(3, width=8, depth=2), 8, 2)
        losses = fit(model, toy.take(rows), Settings(epochs=1, batch_size=16), MaskedReMA())
        assert np.isfinite(losses).all()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)
