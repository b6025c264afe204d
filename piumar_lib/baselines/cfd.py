"""CFD: normalise each training person, then restore a gated part of what was removed.

CFD, calibrated feature decomposition (Zheng et al., arXiv 2111.13945), is a method for person
re-identification in unseen domains. Its two parts are implemented here with people as domains: batch
normalisation for each person, calibrated by the instance and standardised over people (CSBN); and
instance normalisation whose removed part is restored through a gate (CIN).

It is the nearest relative of `piumar_lib.person_normalization`, which estimates a new person from
several unlabelled clips. CFD uses person labels in training only; for a new person it needs a single
clip.

Ledger. The paper's: both parts, their order and purpose. Ours, because the announced repository
(zkcys001/CFD) had no code when we checked and we work from the abstract: calibration mixes the person's
moments with the clip's, with a learned weight for each channel; for a new person, the training people's
average replaces the person's moments; the gate reads the mean and the deviation that instance
normalisation removed. The losses on the removed parts are left out: the only loss is that of the
decision.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.plug_in import PlugIn
from piumar_lib.recognizer import Model
from piumar_lib.running import RunningMean, require_clips
from piumar_lib.support.ranges import InnerShare, checked
from piumar_lib.transport import at_least_single

EPSILON = 1e-5  # added to variances, as batch normalisation does


class CFDPlugIn(PlugIn):
    """CFD on features ``(batch, time, channels)``: a plug-in for `Recognizer`, after its first layer.

        model = Recognizer(tiny_cnn(34), 32, 12, CFDPlugIn(32), at="features")
        losses = fit(model, data, objective=CFD())

    Args:
        channels: Channels of the features.
        calibration: Initial weight of the clip in the moments; it is learned for each channel. At 0 a
            person is normalised as a whole, at 1 each clip.

    Attributes:
        person: Who made the clips of the next training batch, shape ``(batch,)``; `CFD` fills it in.
            None treats the batch as one person. It has no effect in evaluation.

    Raises:
        ValueError: If ``calibration`` is out of range.
    """

    no_weight_decay = ("calibration_logit",)

    @checked
    def __init__(self, channels: int, calibration: InnerShare = 0.5) -> None:
        super().__init__()
        self.person: Tensor | None = None
        self.calibration_logit = nn.Parameter(torch.full((channels,), float(calibration)).logit())
        self.typical = RunningMean(2, channels)  # people's mean and variance, averaged over people
        self.standard = nn.BatchNorm1d(channels)
        self.gate = nn.Linear(2 * channels, channels)

    def normalized(self, x: Tensor) -> Tensor:
        """CSBN: calibrated normalisation for each person, standardised over all; same shape."""
        clip = moments(x)
        person = self.typical.mean.to(x)[:, None]  # (2, 1, C)
        if self.training:
            one = clip.new_zeros(len(x))
            person, average = person_moments(clip, one if self.person is None else self.person)
            self.typical.update(average.detach())
        mean, variance = torch.lerp(person, clip, self.calibration_logit.sigmoid())  # (B, C) each
        x = (x - mean[:, None]) * (variance[:, None] + EPSILON).rsqrt()
        return self.standard(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def restored(self, x: Tensor) -> Tensor:
        """CIN: instance normalisation plus the removed part, scaled by the gate."""
        mean, variance = moments(x)
        deviation = (variance + EPSILON).sqrt()
        gate = self.gate(torch.cat([mean, deviation], 1)).sigmoid()[:, None]  # (B, 1, C)
        return torch.lerp((x - mean[:, None]) / deviation[:, None], x, gate)

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The features ``(batch, time, channels)`` after both parts.

        Raises:
            ValueError: If ``x`` is no batch of clips.
        """
        require_clips(x)
        with torch.autocast(x.device.type, enabled=False):
            return [self.restored(self.normalized(at_least_single(x))).to(x.dtype)]


class CFD(Objective):
    """ERM that passes person labels to a `CFDPlugIn`; batches are drawn from eight people."""

    people = 8

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """ERM's.

        Raises:
            ValueError: If the recogniser has no `CFDPlugIn`.
        """
        if not isinstance(model.plug_in, CFDPlugIn):
            raise ValueError(
                f"plug_in: {type(model.plug_in).__name__} takes no people. Build it with CFDPlugIn."
            )
        model.plug_in.person = batch.person
        try:
            return super().loss(model, batch)
        finally:
            model.plug_in.person = None


def moments(x: Tensor) -> Tensor:
    """Mean and variance over time of ``(batch, time, channels)``, shape ``(2, batch, channels)``."""
    return torch.stack([x.mean(1), x.var(1, correction=0)])


def person_moments(clip: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of all frames of each person, from those of the person's clips.

    ``clip`` has each clip's, ``(2, batch, channels)``, of equally long clips. Returns those of each
    clip's ``person``, of the same shape, and their average over people, ``(2, channels)``.
    """
    known, place = person.unique(return_inverse=True)
    member = nn.functional.one_hot(place, len(known)).to(clip)
    share = (member / member.sum(0)).T  # (people, B), rows sum to one
    mean = share @ clip[0]
    # The variance within clips, and that of clips about their person.
    variance = share @ (clip[1] + (clip[0] - mean[place]).square())
    people = torch.stack([mean, variance])  # (2, people, C)
    return people[:, place], people.mean(1)
