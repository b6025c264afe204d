"""Transport as augmentation: whose clock a clip gets, and how far it goes there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from piumar_lib.baselines.reclock import Reclock
from piumar_lib.transport import motion_energy, reclock, time_mass


def batch(n=12):
    return torch.randn(n, 16, 3), torch.arange(n) % 4


def two_clocks():
    """Class 0 moves early, class 1 late; within a class all clips have one clock, but not one size."""
    time = torch.arange(16.0)
    bump = torch.stack([torch.exp(-((time - at) ** 2) / 4) for at in (3.0, 12.0)])
    y = torch.arange(20) % 2
    return bump[y][..., None] * (1 + torch.arange(20.0))[:, None, None] * torch.ones(3), y


def test_reclocking_is_the_identity_in_evaluation_and_at_probability_zero():
    x, y = batch()
    assert Reclock(1.0).eval()(x, y) is x
    assert torch.allclose(Reclock(0.0)(x, y), x, atol=1e-5)
    assert not torch.allclose(Reclock(1.0)(x, y), x, atol=1e-2)
    assert torch.equal(Reclock(1.0).eval().views(x, y)[0], x)


def test_clips_go_to_the_clock_of_another_clip_of_their_class():
    x, y = two_clocks()
    for _ in range(5):
        assert torch.allclose(Reclock(1.0)(x, y), x, atol=1e-3)  # the class has one clock
    moved = (Reclock(1.0)(x) - x).abs().amax((1, 2)) > 0.05 * x.amax((1, 2))
    assert 3 < moved.sum() < 17  # without classes about half of them meet the other clock


def test_nobody_is_paired_with_himself_unless_he_is_alone():
    x = torch.randn(2, 16, 3)
    for _ in range(20):
        alone = Reclock(1.0)(x, torch.tensor([0, 1]))
        assert torch.allclose(alone, x, atol=1e-4)
        together = Reclock(1.0)(x, torch.tensor([1, 1]))
        assert (together - x).flatten(1).norm(dim=1).min() > 1e-4
    assert torch.allclose(Reclock(1.0)(x[:1]), x[:1], atol=1e-4)


def test_a_reclocked_clip_lies_on_the_way_between_two_clocks():
    x, y = torch.randn(2, 16, 3), torch.zeros(2, dtype=torch.long)
    torch.manual_seed(1)
    ours = Reclock(1.0, floor=0.3)(x, y)
    mass = time_mass(motion_energy(x), 0.3)
    on_the_way = torch.stack([reclock(x, mass, mass.flip(0), s) for s in torch.linspace(0, 1, 2001)])
    nearest = (on_the_way - ours).abs().amax((2, 3)).amin(0)
    assert nearest.max() < 0.01
    assert (ours - x).abs().amax((1, 2)).min() > 0.05


def test_each_clip_is_reclocked_with_its_chance_and_goes_any_part_of_the_way():
    n = 2000
    time = torch.arange(16.0)
    early, late = (torch.exp(-((time - at) ** 2) / 4) for at in (3.0, 12.0))
    x = torch.where(torch.arange(n)[:, None] % 2 == 0, early, late)[..., None]
    moved = ((Reclock(0.3)(x) - x).abs().amax((1, 2)) > 1e-4).float().mean()
    # Half of those chosen meet their own clock.
    assert abs(moved - 0.15) < 5 * np.sqrt(0.15 * 0.85 / n)


def test_reclocking_lets_gradients_through_to_what_the_clip_shows():
    x, y = batch()
    moved = Reclock(1.0)(x.requires_grad_(), y)
    moved.sum().backward()
    # Every frame is a mean of two of the clip's, on a clock that is taken as given.
    assert x.grad.sum((1, 2)).numpy() == pytest.approx(x[0].numel()) and (x.grad >= 0).all()


def test_reclocking_keeps_the_precision():
    x, y = batch()
    for dtype in (torch.bfloat16, torch.float64):
        out = Reclock(1.0)(x.detach().to(dtype), y)
        assert out.dtype == dtype and torch.isfinite(out).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Reclock(1.1), "probability: must be a number, at least 0 and at most 1, got 1.1"),
        (lambda: Reclock(-0.1), "probability: must be a number, at least 0 and at most 1, got -0.1"),
        (lambda: Reclock(floor=0), "floor: must be a number, above 0 and below 1, got 0"),
        (lambda: Reclock(floor=1), "floor: must be a number, above 0 and below 1, got 1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
