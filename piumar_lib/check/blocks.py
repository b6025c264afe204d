"""The blocks of chapter 08, compared with the library's: same values, same gradients, same draws.

``blocks.NAME(block)`` prints one line if the block agrees, and raises an `AssertionError` if not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from piumar_lib import dro
from piumar_lib.alignment import MonotoneAlignment, MotionClock
from piumar_lib.batch import Batch, Labels
from piumar_lib.fusion import AdaptiveFusion, WassersteinRegularizer
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.group_robust import hard_weights as library_hard_weights
from piumar_lib.objective import js_divergence as library_js_divergence
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import StyleGroups
from piumar_lib.recognizer import Recognizer
from piumar_lib.settings import Settings
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.training import fit_clips
from piumar_lib.transport import monotone_coupling

BATCH, TIME, CHANNELS, WIDTH, CLASSES = 24, 32, 6, 8, 4


def motion_clock(block: type[nn.Module]) -> None:
    """Compare a class whose ``forward`` gives masses of clips, ``(B, T, C)`` to ``(B, T)``."""
    _same("motion clock", block(), MotionClock(), [(x,) for x, _ in _clips()])


def overlap_plan(block: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Compare a function of masses ``(B, T)`` and ``(B, K)`` that gives plans ``(B, T, K)``."""
    levels = [x[:, :, 0] for x, _ in _clips()]
    for steps in (7, 16):  # of the softmax, as masses sum to one
        _same(
            f"monotone plan, {steps} steps",
            lambda level, k=steps: block(level.softmax(1), level.new_full((BATCH, k), 1 / k)),
            lambda level, k=steps: monotone_coupling(level.softmax(1), k),
            [(level,) for level in levels],
        )


def temporal_branch(block: type[nn.Module]) -> None:
    """Compare a class whose ``forward`` aligns clips, ``(B, T, C)`` to ``(B, 16, C)``."""
    _same("temporal branch", block(), MonotoneAlignment(), [(x,) for x, _ in _clips()])


def frequency_branch(block: Callable[[int], nn.Module]) -> None:
    """Compare a class, made from a number of channels, that perturbs clips with given classes."""
    _same("frequency branch", block(CHANNELS), SpectralPerturbation(CHANNELS), _clips())


def adaptive_fusion(block: Callable[[int], nn.Module]) -> None:
    """Compare a class that is made from a width and fuses two of ``(B, W)`` to ``(B, W)``."""
    views = [(x[:, 0], x[:, 1]) for x, _ in _clips()]
    _same("adaptive fusion", block(CHANNELS), AdaptiveFusion(CHANNELS), views)


def tfam(block: Callable[[int, int], Any]) -> None:
    """Compare a class, made from channels and width, whose ``views`` gives two of ``(B, 16, C)``."""
    ours, library = block(CHANNELS, WIDTH), TemporalFrequencyModule.make(CHANNELS, WIDTH)
    _same("TFAM's views", ours, library, _clips(), lambda module: _joined(module.views))


def recognizer(block: Callable[..., Any], tfam: Callable, backbone: Callable, channels: int = 6) -> None:
    """Compare a recogniser: ``block(clips, backbone, width, classes, tfam)``, logits of three views."""
    (x, y), *_ = _clips()
    torch.manual_seed(0)
    ours = block(x, backbone(channels), 32, CLASSES, tfam(channels, 32))
    library = _library(ours, x)

    def views(module: Any) -> Callable[..., Tensor]:
        return lambda x, y: torch.stack(_logits(module(x, y)))

    _same("logits of fused, first and second view", ours, library, [(x, y)], views)


def consistency(block: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Compare a function of two views' logits ``(B, classes)`` that gives a scalar."""
    _same("Jensen-Shannon divergence", block, library_js_divergence, [_logit_pairs()])


def wasserstein_regularizer(block: Callable[[int, int], nn.Module]) -> None:
    """Compare a class, made from classes and width, called with (cross-entropy, frames, classes)."""
    ours, library = block(CLASSES, CHANNELS), WassersteinRegularizer(CLASSES, CHANNELS)

    def of_clips(module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
        def loss(x: Tensor, y: Tensor) -> Tensor:
            frames = x * 1.0
            return module(frames.square().mean(), frames, y)

        return loss

    _same("Wasserstein regulariser", ours, library, [(x.float(), y) for x, y in _clips()], of_clips)


def find_groups(block: Callable[..., Tensor]) -> None:
    """Compare a function of styles ``(N, S)`` and classes ``(N,)`` that gives groups ``(N,)``."""
    style, y = torch.randn(160, 10, generator=_generator()), torch.arange(160) % CLASSES
    library = StyleGroups(4).find(style, Labels(y, 0 * y), 0)
    assert torch.equal(block(style, y), library), "pseudo-groups differ from the library's"
    print(f"pseudo-groups: equal, {len(library.unique())} groups of {len(y)} clips")


def worst_weights(block: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Compare a function from risks and fractions, both ``(G,)``, and a radius to weights ``(G,)``."""
    generator = _generator()
    for groups in range(2, 40):
        risks, shares = torch.rand(2, groups, generator=generator, dtype=torch.float64) + 0.01
        shares = shares / shares.sum()
        for radius in (0.01, 0.05, 0.5, 2.0):
            library = dro.chi_square(risks, radius, shares).weights
            torch.testing.assert_close(block(risks, shares, radius), library, atol=1e-9, rtol=1e-7)
    print("worst-case weights: equal for 2 to 39 groups and four radii")


def hard_weights(block: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Compare a function of logits ``(B, classes)`` and classes ``(B,)`` that gives weights ``(B,)``."""
    logits, y = _logit_pairs()[0], torch.arange(BATCH) % CLASSES
    torch.testing.assert_close(block(logits, y), library_hard_weights(logits, y), check_dtype=False)
    print(f"weights of hard clips: equal in value {tuple(y.shape)}")


def training(
    train: Callable[..., Any],
    loss: Callable[..., Any],
    recognizer: Callable[..., Any],
    tfam: Callable[[int, int], Any],
    backbone: Callable[[int], nn.Sequential],
) -> None:
    """Compare a complete training that forms groups, by all final weights, in double precision.

    The reader's loop is called as ``train(model, loss, x, y, epochs=3)``, the loss made by
    ``loss(y, width, classes)``, see chapter 08, and the three blocks called as `recognizer` calls them.
    Epochs have three batches each; there are pseudo-groups from the second on.
    """
    x = torch.randn(192, TIME, CHANNELS, generator=_generator(), dtype=torch.float64).cumsum(1)
    y = torch.arange(len(x)) % CLASSES
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = recognizer(x, backbone(CHANNELS), 32, CLASSES, tfam(CHANNELS, 32)).double()
        library = _library(ours, x)
        train(ours, loss(y, 32, CLASSES).double(), x, y, epochs=3)
    everything = Batch(x, y, torch.zeros_like(y), torch.arange(len(y)))
    fit_clips(library, everything, Settings(epochs=3), TwoViews(over=GroupRobustObjective()))
    for mine, theirs in zip(_parameters(ours), _parameters(library), strict=True):
        torch.testing.assert_close(mine.view_as(theirs), theirs, atol=1e-5, rtol=1e-5)
    print("training: all weights equal after 3 epochs of three steps")


def _same(
    name: str,
    ours: Any,
    library: Any,
    inputs: Sequence[tuple[Tensor, ...]],
    call: Callable[[Any], Callable[..., Tensor]] = lambda block: block,
) -> None:
    """Raise unless outputs agree batch after batch, and then, for modules, in evaluation mode."""
    if isinstance(ours, nn.Module):
        kind = inputs[0][0].dtype
        inputs, ours, library = [*inputs, inputs[0]], ours.to(kind), library.to(kind)
    for number, batch in enumerate(inputs):
        if isinstance(ours, nn.Module):
            training = number < len(inputs) - 1
            ours.train(training), library.train(training)
        found = [_value_and_gradient(call(block), batch) for block in (ours, library)]
        for what, mine, theirs in zip(("value", "gradient"), *found, strict=True):
            message = f"{name}: its {what} differs from the library's. Compare code and formula."
            assert torch.allclose(mine, theirs, atol=1e-5, rtol=1e-4), message
    print(f"{name}: equal in value {tuple(found[0][0].shape)} and in gradient")


def _value_and_gradient(function: Callable[..., Tensor], batch: tuple[Tensor, ...]) -> list[Tensor]:
    """A function's value for a batch, and the gradient of a random weighting of its outputs."""
    x, *others = batch
    with torch.random.fork_rng():
        torch.manual_seed(0)
        leaf = x.clone().requires_grad_()
        value = function(leaf, *others)
        weight = torch.randn(value.shape, generator=_generator()).to(value)
        return [value.detach(), torch.autograd.grad((weight * value).sum(), leaf)[0]]


def _clips() -> list[tuple[Tensor, Tensor]]:
    """Three batches of smooth clips ``(B, T, C)`` and their classes ``(B,)``."""
    generator = _generator()
    x = torch.randn(3, BATCH, TIME, CHANNELS, generator=generator, dtype=torch.float64)
    x = x.cumsum(2) * torch.rand(3, BATCH, 1, 1, generator=generator)
    return [(one, torch.randint(CLASSES, (BATCH,), generator=generator)) for one in x]


def _logit_pairs() -> tuple[Tensor, Tensor]:
    first, second = 3 * torch.randn(2, BATCH, CLASSES, generator=_generator()).double()
    return first, second


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _joined(views: Callable[..., Sequence[Tensor]]) -> Callable[..., Tensor]:
    return lambda x, y: torch.stack(list(views(x, y)))


def _logits(prediction: Any) -> list[Tensor]:
    """Of the fused features, then of each view; a chapter's recogniser has all in one list."""
    if isinstance(prediction.logits, Tensor):
        return [prediction.logits, *prediction.view_logits]
    return list(prediction.logits)


def _library(ours: Any, x: Tensor) -> Recognizer:
    """The library's recogniser of clips like ``x``, with a copy of the same backbone and head."""
    module = TemporalFrequencyModule.make(x.shape[-1], ours.head.in_features)
    made = Recognizer(deepcopy(ours.backbone), ours.head.in_features, ours.head.out_features, module)
    made.head.load_state_dict(ours.head.state_dict())
    made.to(x.dtype).standardize(x)
    return made


def _parameters(model: Any) -> list[Tensor]:
    """Parameters of backbone and head, then two scalars: the clock's floor and the gate's bias."""
    scalars = [p.detach() for p in model.parameters() if p.ndim == 0]
    return [p.detach() for p in (*model.backbone.parameters(), *model.head.parameters())] + scalars
