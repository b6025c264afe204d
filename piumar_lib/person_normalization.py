"""Person normalisation: map an unseen person's features to the distribution of the training people's.

A few *unlabelled* clips of the new person suffice to estimate the distribution of this person's
features. Two methods map it to the training people's:

- *Gaussian optimal transport*: each person's features, averaged over time, are modelled by a Gaussian.
  The new person's Gaussian is mapped to the barycentre of the training people's (Agueh and Carlier,
  2011): mean and scale (``"diagonal"``), or the whole covariance (``"full"``, the Bures map).
- *Batch statistics*: each batch normalisation uses the person's statistics (AdaBN, Li et al., 2018).

Label shift confounds both: the features of a person who only nods differ from the average over all
actions, and this difference must not be removed. So training people are reweighted to the class
frequencies that the recogniser predicts for the new person (``matched``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.modules.batchnorm import _BatchNorm

from piumar_lib.data.sequences import Sequences
from piumar_lib.recognizer import Recognizer

KINDS = ("batch statistics", "diagonal", "full")
CLIPS_AT_A_TIME = 1024
RIDGE = 1e-3  # of the mean variance, added to each variance: some channels of a rectifier are 0


@dataclass(frozen=True)
class Gaussian:
    """The distribution of one person's features: ``mean (width,)``, ``covariance (width, width)``."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def fit(cls, features: Tensor, weights: Tensor | None = None, kind: str = "full") -> Gaussian:
        """Estimate from ``(n, width)`` features; ``weights (n,)`` need not sum to one.

        The covariance is the biased estimate; for ``kind="diagonal"`` its off-diagonal entries are zero.
        """
        features = features.double()
        weights = features.new_ones(len(features)) if weights is None else weights.to(features)
        weights = weights / weights.sum()
        mean = weights @ features
        centered = features - mean
        covariance = (weights[:, None] * centered).T @ centered
        return cls(mean, covariance if kind == "full" else covariance.diagonal().diag())

    def shrunk(self, target: Gaussian, clips: int, prior: float) -> Gaussian:
        """Shrink towards ``target``, which counts as ``prior`` clips beside this one's ``clips``."""
        share = clips / (clips + prior)
        mean = target.mean.lerp(self.mean, share)
        return Gaussian(mean, target.covariance.lerp(self.covariance, share))


@dataclass(frozen=True)
class GaussianBarycenter:
    """Barycentre of training people's features: the Gaussian with the least mean squared 2-Wasserstein
    distance to theirs; all people have equal weights.

        barycenter = GaussianBarycenter.fit(features, person, kind="full")
        mapped = barycenter.transport(features_of_new_person, alpha=0.5)
    """

    center: Gaussian
    kind: str

    @classmethod
    def fit(
        cls, features: Tensor, person: Tensor, kind: str = "diagonal", weights: Tensor | None = None
    ) -> GaussianBarycenter:
        """Estimate the barycentre over people.

        Features are ``(n, width)``, ``kind`` is ``"diagonal"`` or ``"full"``, and ``weights`` are those
        of each clip among its person's clips, ``(n,)``; people whose weights are all zero are left out.

        Raises:
            ValueError: If the kind is unknown, or no clip has any weight.
        """
        if kind not in KINDS[1:]:
            raise ValueError(f"kind: {kind!r} is unknown. Choose from {', '.join(KINDS[1:])}.")
        weights = features.new_ones(len(features)) if weights is None else weights
        seen = person[weights > 0].unique()
        if len(seen) == 0:
            raise ValueError("weights: none is positive. Give at least one clip a positive weight.")
        people = [Gaussian.fit(features[person == p], weights[person == p], kind) for p in seen]
        mean = torch.stack([g.mean for g in people]).mean(0)
        covariance = bures_barycenter(torch.stack([g.covariance for g in people]))
        return cls(Gaussian(mean, covariance), kind)

    def transport(
        self, features: Tensor, seen: Tensor | None = None, alpha: float = 0.5, prior: float = 4.0
    ) -> Tensor:
        """Move a new person's features towards the barycentre, by the Gaussian optimal map.

        Args:
            features: Features to move, shape ``(n, width)``.
            seen: Features that the person's Gaussian is estimated from, shape ``(m, width)``; by default
                ``features``.
            alpha: Position on the geodesic (McCann's interpolation): 0 is the identity, 1 the full
                transport.
            prior: Strength of the shrinkage towards the barycentre, as a number of clips: with few
                clips, the person's Gaussian stays close to it and the features move little.

        Returns:
            Shape and type of ``features``.
        """
        seen = features if seen is None else seen
        person = Gaussian.fit(seen, kind=self.kind).shrunk(self.center, len(seen), prior)
        matrix = bures_map(person.covariance, self.center.covariance)
        moved = self.center.mean + (features.double() - person.mean) @ matrix
        return features.double().lerp(moved, alpha).to(features)


def bures_map(source: Tensor, target: Tensor) -> Tensor:
    """Matrix of the optimal map between centred Gaussians: symmetric ``A`` with ``A S A = T``.

    ``A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2`` (Peyre and Cuturi, remark 2.31), of positive semi-definite
    covariances ``(width, width)``; a ridge on both keeps it finite for directions without variance.
    """
    ridge = RIDGE * target.diagonal().mean().clamp_min(1e-12) * torch.eye(len(target)).to(target)
    source, target = source + ridge, target + ridge
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def bures_barycenter(covariances: Tensor) -> Tensor:
    """Covariance of the barycentre of Gaussians, by a fixed-point iteration.

    ``S <- S^-1/2 (mean_i (S^1/2 C_i S^1/2)^1/2)^2 S^-1/2`` (Alvarez-Esteban et al., 2016). Where the
    matrices commute, as diagonal ones do, one step reaches the fixed point, the square of the mean of
    the roots. From each person's covariance, positive semi-definite, ``(people, width, width)``, to
    ``(width, width)``.
    """
    scale = covariances.diagonal(dim1=1, dim2=2).mean().clamp_min(1e-12)
    # Without variance in every direction there is no inverse root.
    ridge = 1e-6 * scale * torch.eye(covariances.shape[1]).to(covariances)
    center = covariances.mean(0) + ridge
    for _ in range(100):
        root, inverse = _power(center, 0.5), _power(center, -0.5)
        middle = _power(root @ (covariances + ridge) @ root, 0.5).mean(0)
        before, center = center, inverse @ middle @ middle @ inverse
        if (center - before).abs().max() <= 1e-7 * scale:
            break
    return center


class TrainingPeople:
    """Features and statistics of the training clips under a trained recogniser, as a reference.

    Attributes:
        features: Features that decisions are made from, shape ``(n, width)``.
        y, person: Class and person of each training clip, shape ``(n,)``.
        moments: Mean and mean square of the inputs of each batch normalisation, by its name, in each
            class, shape ``(2, classes, channels)``.

    Raises:
        ValueError: If a norm's input merges the frames of all clips into one axis, as CFD's does.
    """

    def __init__(self, model: Recognizer, data: Sequences) -> None:
        device = model.head.weight.device
        self.y, self.person = torch.as_tensor(data.y), torch.as_tensor(data.person)
        self.moments: dict[str, Tensor] = {}
        member = one_hot(self.y, model.head.out_features).double()
        self.counts = member.sum(0)  # (classes,)
        average = (member / self.counts.clamp_min(1)).T

        def note(name: str, norm: _BatchNorm, x: Tensor) -> None:
            if x.ndim == 2 and len(x) > 2 * some.stop - 2 * some.start:
                raise ValueError(f"{name}: normalises single frames. Use one that keeps clips.")
            x = x.cpu().double()  # a mean square less a squared mean
            clips = torch.stack([_per_clip(x), _per_clip(x.square())])  # (2, views * b, channels)
            clips = clips.unflatten(1, (-1, some.stop - some.start)).mean(1)
            self.moments[name] = self.moments.get(name, 0) + average[:, some] @ clips

        features = []
        with _watched(model, note) as watched, torch.no_grad():
            for start in range(0, len(data), CLIPS_AT_A_TIME):
                some = slice(start, min(start + CLIPS_AT_A_TIME, len(data)))
                features.append(watched(torch.as_tensor(data.x[some], device=device)).features.cpu())
        self.features = torch.cat(features)

    def weights(self, frequency: Tensor) -> Tensor:
        """Weights ``(n,)`` that give every person's clips the class frequencies ``(classes,)``."""
        _, own = self.person.unique(return_inverse=True)
        cells = own * len(frequency) + self.y  # of person and class
        return frequency[self.y].double() / cells.bincount()[cells]

    def statistics(self, name: str, frequency: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance ``(channels,)`` of a norm's inputs at class frequencies ``(classes,)``."""
        # Classes without training clips have no moments.
        known = frequency.double() * (self.counts > 0)
        mean, square = known / known.sum() @ self.moments[name]
        return mean, (square - mean.square()).clamp_min(0)


@torch.no_grad()
def normalize_person(
    model: Recognizer,
    clips: np.ndarray | Tensor,
    training: TrainingPeople,
    seen: np.ndarray | Tensor | None = None,
    kind: str = "batch statistics",
    alpha: float = 0.5,
    prior: float = 4.0,
    matched: bool = True,
) -> np.ndarray:
    """Recognise clips of one new person after normalising this person's features.

        training = TrainingPeople(model, train)
        probabilities = normalize_person(model, clips_of_new_person, training)

    Args:
        model: A trained recogniser; it is not changed.
        clips: The new person's clips, shape ``(n, time, channels)``.
        training: Features and moments of the training people under this model.
        seen: Unlabelled clips of the person to estimate from, shape ``(m, time, channels)``; by default
            ``clips``.
        kind: What is normalised, one of `KINDS`.
        alpha: Strength of the normalisation, in [0, 1]: 0 is the identity, 1 the full map to the
            training people.
        prior: Shrinkage, as a number of clips; see `GaussianBarycenter.transport`.
        matched: Whether training people are weighted to the class frequencies that the model predicts
            on ``seen``: the correction for label shift. Its disadvantage: if most predictions are wrong,
            a part of the person's own shift is mistaken for label shift and remains.

    Returns:
        Class probabilities, shape ``(n, classes)``.

    Raises:
        ValueError: If there is no clip to estimate from, a value is out of range, the kind is unknown,
            or batch statistics are requested of a model without batch normalisation.
    """
    _check(model, clips, seen, kind, alpha, prior)
    clips = torch.as_tensor(clips).to(model.head.weight)
    seen = clips if seen is None else torch.as_tensor(seen).to(model.head.weight)
    model = copy.deepcopy(model).eval()
    prediction = model(seen)
    frequency = prediction.logits.softmax(-1).mean(0).cpu().double() if matched else None
    if kind == KINDS[0]:
        _adapt_norms(model, seen, alpha * len(seen) / (len(seen) + prior), training, frequency)
        return model(clips).logits.softmax(-1).cpu().numpy()
    weights = None if frequency is None else training.weights(frequency)
    barycenter = GaussianBarycenter.fit(training.features, training.person, kind, weights)
    moved = barycenter.transport(model(clips).features.cpu(), prediction.features.cpu(), alpha, prior)
    return model.head(moved.to(clips)).softmax(-1).cpu().numpy()


def _adapt_norms(
    model: Recognizer, seen: Tensor, share: float, training: TrainingPeople, frequency: Tensor | None
) -> None:
    """Shift each norm's running statistics, in place, by the person's deviation from training people.

    Norms are adapted one after the other, because a norm's input depends on those before it.
    """

    def adapt(name: str, norm: _BatchNorm, x: Tensor) -> None:
        assert norm.running_mean is not None and norm.running_var is not None  # as `_norms` has them
        mean = _per_clip(x).mean(0)
        variance = _per_clip((x - _along_channels(mean, x)).square()).mean(0)
        usual_mean, usual_variance = (
            (norm.running_mean.clone(), norm.running_var.clone())
            if frequency is None
            else (s.to(mean) for s in training.statistics(name, frequency))
        )
        ratio = (variance + norm.eps) / (usual_variance + norm.eps)
        norm.running_mean += share * (mean - usual_mean)
        # Variances are multiplied, not shifted, so that they stay positive.
        scaled = (norm.running_var + norm.eps) * ratio**share - norm.eps
        norm.running_var.copy_(scaled.clamp_min(0))

    with _watched(model, adapt):
        model(seen)


@contextmanager
def _watched(model: Recognizer, look: Callable[[str, _BatchNorm, Tensor], None]) -> Iterator[Recognizer]:
    """The model in evaluation mode; ``look`` gets each batch normalisation's input before it does."""
    was_training = model.training
    hooks = [
        module.register_forward_pre_hook(lambda norm, x, name=name: look(name, norm, x[0]))
        for name, module in _norms(model)
    ]
    try:
        yield model.eval()
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)


def _norms(model: nn.Module) -> list[tuple[str, _BatchNorm]]:
    """Batch normalisations with running statistics, by name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]


def _per_clip(x: Tensor) -> Tensor:
    """Mean of ``(batch, channels, ...)`` over all further axes, ``(batch, channels)``."""
    return x.flatten(2).mean(2) if x.ndim > 2 else x


def _along_channels(values: Tensor, x: Tensor) -> Tensor:
    """Values ``(channels,)`` in a shape that broadcasts against ``(batch, channels, ...)``."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Power of symmetric positive semi-definite matrices, through their eigenvalues."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    least = values[..., -1:] * torch.finfo(matrix.dtype).eps
    return vectors * values.clamp_min(least).pow(exponent)[..., None, :] @ vectors.mT


def _check(
    model: Recognizer,
    clips: np.ndarray | Tensor,
    seen: np.ndarray | Tensor | None,
    kind: str,
    alpha: float,
    prior: float,
) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} is unknown. Choose from {', '.join(KINDS)}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: must be in [0, 1], got {alpha}.")
    if prior < 0:
        raise ValueError(f"prior: {prior} is negative. Choose 0, or more to shrink more.")
    if len(clips) == 0 or (seen is not None and len(seen) == 0):
        raise ValueError("clips, seen: empty. Give at least one clip of the new person in each.")
    if kind == KINDS[0] and not _norms(model):
        raise ValueError(
            "kind: the model has no batch normalisation to adapt. Choose 'diagonal' or 'full'."
        )
