"""GIRL, the loss-level half of PIUmr: group-invariant regularised loss.

    GIRL = sum_g q_g R_g + weight * sqrt(V(R))

*Pseudo-groups* stand in for people, whose labels it does not need: training clips are clustered by
style, the mean and the deviation over time of early features with the class mean removed. Inside a
group, *boundary* clips count more. Between groups, weights ``q`` move towards the worse ones, and
the deviation of the group risks ``R`` is kept small: for ``weight = sqrt(2 rho)`` and even ``q`` the
sum is the worst-case group risk over a chi-square ball of radius ``rho`` (`piumar_lib.dro`).

The paper publishes no equations; these definitions are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from piumar_lib import dro
from piumar_lib.data_parallel import sum_over_processes as _over_processes
from piumar_lib.objective import Clips, Objective, Views
from piumar_lib.transport import variance_over_time

if TYPE_CHECKING:
    from piumar_lib.recognizer import Prediction, Recognizer
    from piumar_lib.training import Settings

SOURCES = ("style", "batch", "difficulty", "trajectory", "person", "random")
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


def group_risks(losses: Tensor, weights: Tensor, membership: Tensor) -> Tensor:
    """Weighted mean loss of each group: ``R_g = sum_i m_ig w_i l_i / sum_i m_ig w_i``.

    Under data-parallel training the sums run over the batches of all processes, so that the risks,
    and through them the loss and its gradient, are those of the global batch.

    Args:
        losses: Shape ``(batch,)``.
        weights: Shape ``(batch,)``.
        membership: How much each clip belongs to each group, rows sum to one, ``(batch, groups)``.

    Returns:
        Shape ``(groups,)``; NaN for a group of which nobody is in the batch.
    """
    with torch.autocast(losses.device.type, enabled=False):  # else the product loses digits
        share = membership.to(losses.dtype) * weights[:, None]
        total, size = _over_processes(share.T @ losses), _over_processes(share.sum(0))
    return torch.where(size > 0, total / size.clamp_min(torch.finfo(size.dtype).tiny), torch.nan)


def cluster(
    style: Tensor, y: Tensor, groups: int, softness: float = 0.0, per_class: bool = False, seed: int = 0
) -> Tensor:
    """Cluster clips by style into pseudo-groups (k-means), regardless of their class.

    Args:
        style: From `style_statistics`, or any other features, shape ``(n, features)``.
        y: Classes, shape ``(n,)``: each class's mean style is removed, so that groups tell manners
            apart, not actions.
        groups: Number of groups G; fewer are made if there are fewer different clips.
        softness: 0 gives each clip to its nearest group; above, a clip belongs to all, with weight
            ``exp(-d^2 / (2 softness s^2))`` for its distance d and the mean squared distance s^2 to
            the nearest centre.
        per_class: Make groups within each class, ``groups * classes`` in all.
        seed: Of the initial centres, and of the `SAMPLE` clips that place them if there are more.

    Returns:
        Membership, shape ``(n, groups)`` or ``(n, groups * classes)``; rows sum to one.

    Raises:
        ValueError: If ``groups`` is not positive, or ``softness`` is negative.
    """
    if groups < 1:
        raise ValueError(f"groups: {groups} pseudo-groups. Ask for at least 1.")
    if softness < 0:
        raise ValueError(f"softness: {softness} is negative. Choose 0 (hard groups) or more.")
    style, classes = style.double(), int(y.max()) + 1
    total = style.new_zeros(classes, style.shape[1]).index_add(0, y, style)
    residual = style - (total / y.bincount(minlength=classes).clamp_min(1)[:, None])[y]
    # Every feature counts alike; one that never varies stays zero.
    spread = residual.std(0, unbiased=False)
    least = max(1e-9 * spread.max().item(), torch.finfo(spread.dtype).tiny)
    residual = residual / spread.clamp_min(least)
    if not per_class:
        return _k_means(residual, groups, softness, seed)
    membership = residual.new_zeros(len(y), classes * groups, dtype=torch.float32)
    for k in y.unique().tolist():
        membership[y == k, k * groups : (k + 1) * groups] = _k_means(
            residual[y == k], groups, softness, seed
        )
    return membership


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
        source: Where groups come from. ``"style"``: clusters of style statistics. ``"batch"``: the
            same within each batch, without memory; which group is which is then unknown, so ``step``
            should be 0. ``"difficulty"``: quantiles of the clips' losses. ``"trajectory"``: clusters
            of how the losses went, epoch by epoch. ``"person"``: the true people (an oracle).
            ``"random"``: drawn once (a control).
        softness: See `cluster`.
        per_class: See `cluster`.
        until: Epoch from which on groups stay as they are (None: never).
        momentum: Judge groups by a running mean of their risks, which keeps this share at each batch.
            0 takes each batch at its word: then much of the deviation is the noise of a few clips.
        fair: Group weights start at the groups' shares of the clips, and the deviation weighs groups by
            them, so that without ``step``, ``weight`` and ``boundary`` GIRL is plain training. Off,
            every group counts alike, however few its clips, as in GroupDRO.
        squared: Penalise the variance instead of its root, as V-REx does. Its weights may be
            negative, see chapter 06; for comparison only.
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
        softness: float = 0.0,
        per_class: bool = False,
        until: int | None = None,
        momentum: float = 0.9,
        fair: bool = True,
        squared: bool = False,
        views: Views | None = None,
    ) -> None:
        super().__init__(views)
        if source not in SOURCES:
            raise ValueError(f"source: {source!r} is unknown. Choose from {SOURCES}.")
        lowest = min(step, weight, boundary, softness)
        if groups < 1 or lowest < 0 or temperature <= 0 or not 0 <= momentum < 1:
            raise ValueError(
                f"groups={groups}, step={step}, weight={weight}, boundary={boundary}, softness="
                f"{softness}, temperature={temperature}, momentum={momentum}: out of range. Choose "
                "groups >= 1, temperature > 0, momentum in [0, 1) and the others >= 0."
            )
        self.groups, self.step, self.weight, self.source = groups, step, weight, source
        self.boundary, self.temperature, self.squared = boundary, temperature, squared
        self.softness, self.per_class, self.until = softness, per_class, until
        self.momentum, self.fair = momentum, fair

    def start(self, model: Recognizer, clips: Clips, settings: Settings) -> None:
        """Forget everything; people and random groups are known before training."""
        self.seed, self.clips = settings.seed, len(clips)
        self.bank: Tensor | None = None
        self.past: list[Tensor] = []
        self._regroup(torch.ones(len(clips), 1, device=clips.x.device))
        if self.source == "person":
            self._regroup(torch.nn.functional.one_hot(clips.person).float())
        if self.source == "random":
            drawn = torch.randint(self.groups, (len(clips),), device=clips.x.device)
            self._regroup(torch.nn.functional.one_hot(drawn, self.groups).float())

    def before_epoch(self, clips: Clips, epoch: int) -> None:
        """Find groups, from what the memory bank kept of the epoch before."""
        if self.bank is None or self.source in ("batch", "person", "random"):
            return
        if self.until is not None and epoch > self.until:
            return
        # Each process saw its own clips; together they saw all of them.
        bank = _over_processes(self.bank) / _over_processes(self.seen).clamp_min(1)[:, None]
        if self.source == "difficulty":
            rank = bank[:, 0].argsort().argsort()
            level = rank * self.groups // len(rank)
            membership = torch.nn.functional.one_hot(level, self.groups).float()
        else:
            past = [*self.past, bank]
            if self.source == "trajectory":
                self.past = past
            membership = self._cluster(torch.cat(past, dim=1), clips.y)
        self._regroup(membership)
        self.bank.zero_()
        self.seen.zero_()

    def risk(self, losses: Tensor, prediction: Prediction, batch: Clips) -> Tensor:
        """``sum_g q_g R_g + weight sqrt(V(R))`` over the groups of which someone is in the batch."""
        style = style_statistics(prediction.early)
        by_loss = self.source in ("difficulty", "trajectory")
        self._remember(batch.index, losses.detach()[:, None] if by_loss else style)
        if self.source == "batch":
            self._regroup(self._cluster(style, batch.y))
            membership = self.membership
        else:
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
        if self.squared:
            middle = (shares * risks).sum()
            return weighted + self.weight * (shares * (risks - middle).square()).sum()
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
        state |= {f"past {k}": bank for k, bank in enumerate(self.past)}
        if self.bank is not None:
            state |= {"bank": _over_processes(self.bank), "seen": _over_processes(self.seen)}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave; the first process keeps the memory of all."""
        state = {name: value.to(self.membership.device) for name, value in state.items()}
        past = sum(name.startswith("past ") for name in state)
        self.past = [state.pop(f"past {k}") for k in range(past)]
        first = not distributed.is_initialized() or distributed.get_rank() == 0
        for name, value in state.items():
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
        self.shares = torch.full_like(membership[0], 1 / membership.shape[1])
        if self.fair:
            self.shares = membership.mean(0)
        self.q = self.shares.clamp_min(1e-30)
        self.past_risks = torch.full_like(self.q, torch.nan)

    def _cluster(self, features: Tensor, y: Tensor) -> Tensor:
        return cluster(features, y, self.groups, self.softness, self.per_class, self.seed)

    def _remember(self, index: Tensor, values: Tensor) -> None:
        if self.bank is None:
            self.bank = values.new_zeros(self.clips, values.shape[1])
            self.seen = values.new_zeros(self.clips)
        self.bank[index], self.seen[index] = values, torch.ones_like(self.seen[index])


def _k_means(features: Tensor, groups: int, softness: float, seed: int) -> Tensor:
    """Membership ``(n, groups)`` in k-means clusters of ``features (n, d)``."""
    from sklearn.cluster import KMeans

    rows = torch.arange(len(features))
    if len(rows) > SAMPLE:
        rows = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:SAMPLE]
    sample = features[rows.to(features.device)].cpu()
    different = len(sample.unique(dim=0))
    found = KMeans(min(groups, different), n_init=1, random_state=seed).fit(sample.numpy())
    centres = torch.as_tensor(found.cluster_centers_).to(features)
    # Without the product of matrices, which loses digits where a clip lies near its centre.
    square = torch.cdist(features, centres, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    if softness == 0:
        membership = torch.nn.functional.one_hot(square.argmin(1), groups)
    else:
        scale = 2 * softness * square.amin(1).mean().clamp_min(1e-12)
        membership = (-square / scale).softmax(1)
        membership = torch.nn.functional.pad(membership, (0, groups - membership.shape[1]))
    return membership.float()
