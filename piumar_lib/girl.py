"""GIRL, first version: kept because the records of chapter 09 are about it.

    GIRL = sum_g q_g R_g + weight * sqrt(V(R))

The second version, which chapter 07 builds, is in `piumar_lib.group_robust`. Here the slope of the
deviation may make an easy group's weight negative, a sure mistake counts as easy, and groups by style
forget their weights at each epoch while random groups and true people do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from piumar_lib import dro
from piumar_lib.baselines.groups import group_risks
from piumar_lib.data_parallel import sum_over_processes
from piumar_lib.objective import Clips, Objective, Views
from piumar_lib.transport import variance_over_time

if TYPE_CHECKING:
    from piumar_lib.recognizer import Prediction, Recognizer
    from piumar_lib.training import Settings

SOURCES = ("style", "person", "random")
# So many clips place the centres of all: of MA-52's, every third.
SAMPLE = 4096


def style_statistics(frames: Tensor) -> Tensor:
    """How features move, whatever they are: mean and deviation over time of each channel, detached.

    Args:
        frames: Shape ``(batch, time, channels)``.

    Returns:
        Shape ``(batch, 2 channels)``.
    """
    frames = frames.detach()
    return torch.cat([frames.mean(1), variance_over_time(frames).sqrt()], dim=1)


def boundary_weights(logits: Tensor, strength: float = 1.0, temperature: float = 1.0) -> Tensor:
    """``1 + strength exp(-margin / temperature)``: clips near a decision boundary count more.

    Args:
        logits: Shape ``(batch, classes)``. The margin is the gap between the two largest.
        strength: Beta, at least 0; 0 weighs all clips alike.
        temperature: Tau, positive: margins well above it count as safe.

    Returns:
        Detached weights, shape ``(batch,)``, in ``[1, 1 + strength]``.
    """
    if logits.shape[1] < 2:
        return torch.ones_like(logits[:, 0]).detach()
    first, second = logits.detach().topk(2, dim=1).values.unbind(1)
    return 1 + strength * torch.exp((second - first) / temperature)


def cluster(style: Tensor, y: Tensor, groups: int, seed: int = 0) -> Tensor:
    """Cluster clips by style into pseudo-groups (k-means), regardless of their class.

    Args:
        style: From `style_statistics`, or any other features, shape ``(n, features)``.
        y: Classes, shape ``(n,)``: each class's mean style is removed, so that groups tell manners
            apart, not actions.
        groups: Number of groups G; fewer are made if there are fewer different clips.
        seed: Of the initial centres, and of the `SAMPLE` clips that place them if there are more.

    Returns:
        Membership, shape ``(n, groups)``; rows sum to one.

    Raises:
        ValueError: If ``groups`` is not positive.
    """
    from sklearn.cluster import KMeans

    if groups < 1:
        raise ValueError(f"groups: {groups} pseudo-groups. Ask for at least 1.")
    style, classes = style.double(), int(y.max()) + 1
    total = style.new_zeros(classes, style.shape[1]).index_add(0, y, style)
    residual = style - (total / y.bincount(minlength=classes).clamp_min(1)[:, None])[y]
    # Every feature counts alike; one that never varies stays zero.
    spread = residual.std(0, unbiased=False)
    least = max(1e-9 * spread.max().item(), torch.finfo(spread.dtype).tiny)
    residual = residual / spread.clamp_min(least)
    rows = torch.arange(len(residual))
    if len(rows) > SAMPLE:
        rows = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:SAMPLE]
    sample = residual[rows.to(residual.device)].cpu()
    different = len(sample.unique(dim=0))
    found = KMeans(min(groups, different), n_init=1, random_state=seed).fit(sample.numpy())
    centres = torch.as_tensor(found.cluster_centers_).to(residual)
    # Without the product of matrices, which loses digits where a clip lies near its centre.
    square = torch.cdist(residual, centres, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    return F.one_hot(square.argmin(1), groups).float()


class GIRL(Objective):
    """Group-invariant regularised loss.

    The groups are found anew before each epoch, from what a memory bank kept of every clip in the
    epoch before; in the first epoch all clips are one group.

    Args:
        groups: Number of pseudo-groups G.
        step: Eta, step size of the online group weights; 0 keeps them even.
        weight: Lambda, of the deviation of group risks; 0 omits it.
        boundary: Beta, how much more a clip on a decision boundary counts; 0 omits it.
        temperature: Tau of the boundary weights, in logits.
        source: ``"style"``: clusters of style statistics; ``"person"``: the true people (an oracle);
            ``"random"``: drawn once (a control).
        momentum: Judge groups by a running mean of their risks, which keeps this share at each batch;
            0 takes each batch at its word.
        views: See `Objective`.

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(
        self,
        groups: int = 4,
        step: float = 0.01,
        weight: float = 0.1,
        boundary: float = 1.0,
        temperature: float = 1.0,
        source: str = "style",
        momentum: float = 0.9,
        views: Views | None = None,
    ) -> None:
        super().__init__(views)
        if source not in SOURCES:
            raise ValueError(f"source: {source!r} is unknown. Choose from {SOURCES}.")
        lowest = min(step, weight, boundary)
        if groups < 1 or lowest < 0 or temperature <= 0 or not 0 <= momentum < 1:
            raise ValueError(
                f"groups={groups}, step={step}, weight={weight}, boundary={boundary}, "
                f"temperature={temperature}, momentum={momentum}: out of range. Choose groups >= 1, "
                "temperature > 0, momentum in [0, 1) and the others >= 0."
            )
        self.groups, self.step, self.weight, self.source = groups, step, weight, source
        self.boundary, self.temperature, self.momentum = boundary, temperature, momentum

    def start(self, model: Recognizer, clips: Clips, settings: Settings) -> None:
        """Forget everything; people and random groups are known before training."""
        self.seed, self.clips = settings.seed, len(clips)
        self.bank: Tensor | None = None
        self._regroup(torch.ones(len(clips), 1, device=clips.x.device))
        if self.source == "person":
            self._regroup(F.one_hot(clips.person).float())
        if self.source == "random":
            drawn = torch.randint(self.groups, (len(clips),), device=clips.x.device)
            self._regroup(F.one_hot(drawn, self.groups).float())

    def before_epoch(self, clips: Clips, epoch: int) -> None:
        """Find groups, from what the memory bank kept of the epoch before."""
        if self.bank is None or self.source != "style":
            return
        # Each process saw its own clips; together they saw all of them.
        seen = sum_over_processes(self.seen).clamp_min(1)[:, None]
        self._regroup(cluster(sum_over_processes(self.bank) / seen, clips.y, self.groups, self.seed))
        self.bank.zero_()
        self.seen.zero_()

    def risk(self, losses: Tensor, prediction: Prediction, batch: Clips) -> Tensor:
        """``sum_g q_g R_g + weight sqrt(V(R))`` over the groups of which someone is in the batch."""
        self._remember(batch.index, style_statistics(prediction.early))
        membership = self.membership[batch.index]
        weights = boundary_weights(prediction.logits, self.boundary, self.temperature)
        risks = group_risks(losses, weights, membership)
        judged = self._running(risks)
        # No weight vanishes: its group could not come back, nor be a batch of its own.
        self.q = dro.exponentiated_gradient(self.q, judged, self.step).clamp_min(1e-30)
        # Absent groups count nothing. They are not cut out: a GPU would have to wait for their number.
        present = ~risks.isnan()
        risks, judged, q, shares = (
            torch.where(present, v, 0.0) for v in (risks, judged, self.q, self.shares)
        )
        shares = shares / shares.sum()
        weighted = (q / q.sum() * risks).sum()
        if self.momentum == 0:
            return weighted + self.weight * dro.deviation(risks, shares)
        # The gradient of the deviation at the running risks, as weights on this batch's risks.
        from_mean = judged - (shares * judged).sum()
        slope = shares * from_mean / dro.deviation(judged, shares).clamp_min(1e-12)
        return weighted + self.weight * (slope * risks).sum()

    def state(self) -> dict[str, Tensor]:
        """Groups, their weights and risks, and the memory bank of all processes."""
        names = ("membership", "shares", "q", "past_risks")
        state = {name: getattr(self, name) for name in names}
        if self.bank is not None:
            state |= {"bank": sum_over_processes(self.bank), "seen": sum_over_processes(self.seen)}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave; the first process keeps the memory of all."""
        first = not distributed.is_initialized() or distributed.get_rank() == 0
        for name, value in state.items():
            value = value.to(self.membership.device)
            setattr(self, name, value if first or name not in ("bank", "seen") else 0 * value)

    def _running(self, risks: Tensor) -> Tensor:
        """What groups are judged by: their risks, averaged over past batches if so wished."""
        now = risks.detach()
        if self.momentum > 0:
            past = torch.where(self.past_risks.isnan(), now, self.past_risks)
            now = torch.where(now.isnan(), past, torch.lerp(now, past, self.momentum))
            self.past_risks = now
        return now

    def _regroup(self, membership: Tensor) -> None:
        self.membership = membership
        # Groups found anew are other groups: whoever was worst before need not be worst now.
        self.shares = membership.mean(0)
        self.q = self.shares.clamp_min(1e-30)
        self.past_risks = torch.full_like(self.q, torch.nan)

    def _remember(self, index: Tensor, values: Tensor) -> None:
        if self.bank is None:
            self.bank = values.new_zeros(self.clips, values.shape[1])
            self.seen = values.new_zeros(self.clips)
        self.bank[index], self.seen[index] = values, torch.ones_like(self.seen[index])
