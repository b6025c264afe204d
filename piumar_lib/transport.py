"""Optimal transport for sequences: moving mass along time, and comparing distributions of frames.

Two transports resample a clip to K steps of canonical time. Time is one-dimensional, so the *exact*
optimal plan is monotone and has a closed form (Peyre and Cuturi, "Computational Optimal Transport",
section 2.6); the *entropic* plan takes any cost and is found by Sinkhorn's iterations (Cuturi, 2013).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEAST = 1e-30  # smaller sums are replaced by it, so that scalings stay far from overflow


def motion_energy(x: Tensor, smooth: int = 3) -> Tensor:
    """Motion energy of each frame: the length of the step from the frame before.

    Of clips ``(batch, time, channels)``, averaged over ``smooth`` frames (odd): non-negative energies in
    units of ``x``, shape ``(batch, time)``.

    Raises:
        ValueError: If there are fewer than 2 frames, or ``smooth`` is not odd.
    """
    if x.shape[1] < 2:
        raise ValueError(f"x: {x.shape[1]} frames show no motion. Give clips of at least 2.")
    if smooth < 1 or smooth % 2 == 0:
        raise ValueError(f"smooth: {smooth} frames have no middle one. Choose an odd width.")
    # The tiny constant keeps the gradient of the norm finite where nothing moves.
    steps = (x.diff(dim=1).square().sum(-1) + 1e-12).sqrt()
    energy = torch.cat([steps[:, :1], steps], dim=1)
    padded = torch.nn.functional.pad(energy[:, None], (smooth // 2, smooth // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, smooth, stride=1)[:, 0]


def time_mass(energy: Tensor, floor: Tensor | float = 0.5) -> Tensor:
    """Distribution of mass over time by motion energy: ``a_t = floor / T + (1 - floor) e_t / sum e``.

    Args:
        energy: Energy of each frame, non-negative, shape ``(batch, time)``.
        floor: Fraction of the mass that is uniform over time, in [0, 1]; at 1 the clock is unchanged.

    Returns:
        Positive masses that sum to one over time, shape ``(batch, time)``.
    """
    energy = energy + torch.finfo(energy.dtype).tiny  # uniform for a clip without motion
    share = energy / energy.sum(1, keepdim=True)
    mass = floor / energy.shape[1] + (1 - floor) * share
    return mass / mass.sum(1, keepdim=True)


def overlap_plan(source: Tensor, target: Tensor) -> Tensor:
    """Monotone coupling of two distributions on a line: the optimal plan for any convex cost.

    ``P_tk = |[A_{t-1}, A_t] intersected with [A'_{k-1}, A'_k]|`` with A and A' the cumulative masses
    (Peyre and Cuturi, section 2.6).

    Args:
        source: Distribution over frames, non-negative, sums to one, shape ``(..., time)``.
        target: Distribution over steps, non-negative, sums to one, shape ``(..., steps)``.

    Returns:
        Plan of shape ``(..., time, steps)`` with marginals ``source`` and ``target``.

    Raises:
        ValueError: If a distribution does not sum to one, or is negative.
    """
    _require_unit_mass("source", source)
    _require_unit_mass("target", target)
    source_end, target_end = source.cumsum(-1)[..., :, None], target.cumsum(-1)[..., None, :]
    upper = torch.minimum(source_end, target_end)
    lower = torch.maximum(source_end - source[..., :, None], target_end - target[..., None, :])
    return (upper - lower).clamp_min(0)


def monotone_coupling(mass: Tensor, steps: int, check: bool = True) -> Tensor:
    """`overlap_plan` to K steps of equal mass: the optimal plan for any convex cost.

    ``P_tk = |[A_{t-1}, A_t] intersected with [(k-1)/K, k/K]|`` with A the cumulative mass. No
    iterations, ``O(batch T K)``, differentiable almost everywhere.

    Args:
        mass: Mass of each frame, non-negative, sums to one over time, shape ``(batch, time)``.
        steps: Number of canonical steps K.
        check: Whether to check that masses sum to one. Modules whose masses do so by construction skip
            the check, which synchronises with the GPU.

    Returns:
        Plan of shape ``(batch, time, steps)`` with marginals ``mass`` and ``1 / steps``.

    Raises:
        ValueError: If ``mass`` is not 2-D or does not sum to one, or ``steps`` is not positive.
    """
    if mass.ndim != 2:
        raise ValueError(f"mass: shape {tuple(mass.shape)} is not (batch, time). Add the batch axis.")
    if steps < 1:
        raise ValueError(f"steps: {steps} canonical steps. Ask for at least 1.")
    if check:
        _require_unit_mass("mass", mass)
    # By the end of frame t, step k has received the fraction clamp(K A_t - k, 0, 1) of its mass; the
    # increase is the contribution of frame t.
    edges = steps * torch.nn.functional.pad(mass.cumsum(1), (1, 0))
    filled = (edges[..., None] - torch.arange(steps, device=mass.device)).clamp_(0, 1)
    return filled.diff(dim=1).div_(steps)


def sinkhorn_plan(
    cost: Tensor,
    source: Tensor,
    target: Tensor,
    epsilon: float = 0.05,
    iterations: int = 100,
    tolerance: float = 0.0,
    check: bool = True,
) -> Tensor:
    """Entropic optimal transport: ``argmin <P, cost> + epsilon KL(P | source x target)``.

    Args:
        cost: Cost of each pair of frame and step, shape ``(batch, time, steps)``.
        source: Positive masses, sum one, shape ``(batch, time)``.
        target: Masses, sum one, shape ``(batch, steps)`` or ``(steps,)``; a step without mass gets none.
        epsilon: Regularisation strength in units of ``cost``. Towards 0 the plan becomes exact,
            towards infinity it becomes the independent coupling, the product of its marginals.
        iterations: Largest number of pairs of updates; a smaller ``epsilon`` needs more.
        tolerance: Stop once every clip's marginal error (the mass in the wrong row) is at most this.
        check: Whether to check that masses sum to one, as in `monotone_coupling`.

    Returns:
        Plan of shape ``(batch, time, steps)``. Its column sums are exact, its row sums converge. The
        backward pass uses implicit differentiation (`EntropicPlan`) instead of unrolled iterations.

    Raises:
        ValueError: If ``epsilon`` or ``iterations`` is not positive, or masses do not sum to one.
    """
    if epsilon <= 0:
        raise ValueError(f"epsilon: must be a positive number, got {epsilon}.")
    if iterations < 1:
        raise ValueError(f"iterations: {iterations} updates make no plan. Ask for at least 1.")
    if check:
        _require_unit_mass("source", source)
        _require_unit_mass("target", target)
    target = target.expand(len(cost), -1)
    return EntropicPlan.apply(cost, source, target, epsilon, iterations, tolerance)


class EntropicPlan(torch.autograd.Function):
    """Sinkhorn's plan with its gradient by implicit differentiation.

    A plan ``P = a u exp(-C / epsilon) v b`` is determined by its marginals. Differentiate ``log P`` and
    both marginals: the change of ``log u`` and ``log v`` solves a linear system in P alone. So the
    backward pass needs no saved iterations (Eisenberger et al., CVPR 2022).
    """

    @staticmethod
    def forward(
        ctx: Any,
        cost: Tensor,
        source: Tensor,
        target: Tensor,
        epsilon: float,
        iterations: int,
        tolerance: float,
    ) -> Tensor:
        """Iterate to the plan; the batch goes last, so that each sum runs over contiguous memory."""
        parts = (-cost / epsilon).permute(1, 2, 0), source.T[:, None], target.T[None]
        exponent, rows, columns = (part.contiguous() for part in parts)
        plan = scale_to_marginals(exponent, rows, columns, iterations, tolerance=tolerance)
        plan = plan.permute(2, 0, 1).contiguous()
        ctx.save_for_backward(plan)
        ctx.epsilon = epsilon
        return plan

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        """Solve the adjoint system, reduced to the steps: ``(batch, steps, steps)``."""
        (plan,) = ctx.saved_tensors
        rows, columns, weighted = plan.sum(2).clamp_min(LEAST), plan.sum(1), gradient * plan
        share = plan / rows[:, :, None]
        system = torch.diag_embed(columns) - share.mT @ plan
        # Only sums of a row's and a column's change matter, so one direction is undetermined: fix it,
        # and add a ridge of rounding's size, because a tiny epsilon may split the plan into blocks.
        system = system + columns[:, :, None] * columns[:, None, :]
        system = system + 8 * torch.finfo(plan.dtype).eps * torch.diag_embed(columns)
        right = weighted.sum(1) - (share.mT @ weighted.sum(2)[:, :, None])[:, :, 0]
        on_target = torch.linalg.solve_ex(system, right)[0]
        on_source = (weighted.sum(2) - (plan @ on_target[:, :, None])[:, :, 0]) / rows
        level = (rows * on_source).sum(1, keepdim=True)
        on_source, on_target = on_source - level, on_target + level
        on_cost = (plan * (on_source[:, :, None] + on_target[:, None, :]) - weighted) / ctx.epsilon
        return on_cost, on_source, on_target, None, None, None


def scale_to_marginals(
    exponent: Tensor,
    rows: Tensor,
    columns: Tensor,
    iterations: int,
    pause: int = 10,
    tolerance: float = 0.0,
) -> Tensor:
    """Scale rows and columns of ``exp(exponent)`` in turn to the given sums (Sinkhorn).

    Products with scalings are several times as fast as sums of exponentials, but overflow. So every
    ``pause`` iterations the scalings are absorbed into the exponent, while they are still small
    (Schmitzer, SIAM J. Sci. Comput. 2019); a scaling that would change by more is clamped until then.

    Args:
        exponent: Shape ``(time, steps, batch)``.
        rows, columns: Positive sums, shapes ``(time, 1, batch)`` and ``(1, steps, batch)``.
        iterations, pause: Number of pairs of updates, and of those between two absorptions.
        tolerance: Largest fraction of each plan's mass in the wrong rows at which to stop, tested at
            each absorption.

    Returns:
        Shape ``(time, steps, batch)``; its column sums are exact.
    """
    # First the largest entry of each row, then of each column, becomes a product of marginals: no row
    # and no column of the kernel can vanish.
    exponent = exponent - exponent.amax(1, keepdim=True)
    exponent = exponent - exponent.amax(0, keepdim=True) + rows.log() + columns.log()
    for done in range(0, iterations, pause):
        kernel = exponent.exp()
        v = torch.ones_like(kernel[:1])
        for _ in range(min(pause, iterations - done)):
            u = rows / (kernel * v).sum(1, keepdim=True).clamp_min_(LEAST)
            v = columns / (kernel * u).sum(0, keepdim=True).clamp_min_(LEAST)
        exponent = exponent + u.log() + v.log()
        if tolerance and _misplaced((u * kernel * v).sum(1), rows[:, 0]).amax() <= tolerance:
            break
    # In a column without mass all exponents are -inf.
    return columns * exponent.softmax(0).nan_to_num(0.0)


def barycentric_projection(plan: Tensor, x: Tensor) -> Tensor:
    """Resample a clip by a plan: each step is the average frame, weighted by the mass it received.

    ``z_k = sum_t P_tk x_t / sum_t P_tk``, of plans ``(batch, time, steps)`` and clips
    ``(batch, time, channels)``; shape ``(batch, steps, channels)``.
    """
    share = plan / plan.sum(1, keepdim=True).clamp_min(torch.finfo(plan.dtype).tiny)
    return share.transpose(1, 2).to(x.dtype) @ x


def reclock(x: Tensor, mass: Tensor, other: Tensor, share: Tensor | float = 1.0) -> Tensor:
    """Play clips on a clock between their own and another one (McCann's interpolation).

    On a line, the geodesic from ``mass`` to ``other`` moves quantiles evenly, ``(1 - share) Q(u) +
    share Q'(u)``. The frame at quantile u moves to the interpolated quantile.

    Args:
        x: Clips, shape ``(batch, time, channels)``.
        mass, other: Positive masses on time, sum one, shape ``(batch, time)``.
        share: Position on the geodesic, in [0, 1], a number or shape ``(batch, 1)``: 0 changes nothing.

    Returns:
        Shape of ``x``, linearly interpolated between frames.
    """
    time = x.shape[1]
    edges = torch.linspace(0, 1, time + 1, dtype=mass.dtype, device=x.device).expand(len(x), -1)
    own, theirs = (
        interpolate(edges, torch.nn.functional.pad(m.cumsum(1), (1, 0)), edges) for m in (mass, other)
    )
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    position = interpolate(middle, torch.lerp(own, theirs, torch.as_tensor(share).to(own)), own)
    return frames_at(x, position * time - 0.5)


def interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Piecewise linear interpolation, row by row, constant outside.

    Of values ``y`` at rising nodes ``x``, both ``(batch, n)``; read at points ``(batch, m)``.
    """
    right = torch.searchsorted(x.contiguous(), at.contiguous()).clamp(1, x.shape[1] - 1)
    (x0, y0), (x1, y1) = ((x.gather(1, k), y.gather(1, k)) for k in (right - 1, right))
    weight = (at - x0) / (x1 - x0).clamp_min(torch.finfo(x.dtype).tiny)
    return torch.lerp(y0, y1, weight.clamp(0, 1))


def frames_at(x: Tensor, position: Tensor) -> Tensor:
    """Read clips ``(batch, time, channels)`` at fractional frames ``(batch, m)``, linearly."""
    position = position.clamp(0, x.shape[1] - 1)
    left = position.long().clamp_max(max(0, x.shape[1] - 2))
    weight = (position - left)[..., None].to(x.dtype)
    index = left[..., None].expand(-1, -1, x.shape[2])
    following = (index + 1).clamp_max(x.shape[1] - 1)
    return torch.lerp(x.gather(1, index), x.gather(1, following), weight)


def wasserstein_1d(x: Tensor, y: Tensor, p: float = 2) -> Tensor:
    """p-Wasserstein distance, p at least 1, between two samples of equal size on a line, by sorting.

    From samples ``(..., n)`` to distances ``(...,)``.

    Raises:
        ValueError: If the numbers of samples differ, or ``p`` is below 1.
    """
    if p < 1:
        raise ValueError(f"p: the order must be at least 1, got {p}.")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"x and y: {x.shape[-1]} and {y.shape[-1]} samples. Give equally many.")
    gap = (x.sort(-1).values - y.sort(-1).values).abs()
    total = gap.pow(p).mean(-1)
    # The root's gradient is infinite at 0, the minimum of the distance: define it as 0 there.
    apart = total > 0
    return torch.where(apart, torch.where(apart, total, 1.0).pow(1 / p), 0.0)


def gaussian_w2(mean_x: Tensor, cov_x: Tensor, mean_y: Tensor, cov_y: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance between Gaussians, of their means plus of their covariances.

    ``|mean_x - mean_y|^2 + tr(X + Y - 2 (X^1/2 Y X^1/2)^1/2)``, X and Y the covariances (Peyre and
    Cuturi, remark 2.31).

    Args:
        mean_x, mean_y: Means, shape ``(..., channels)``.
        cov_x, cov_y: Covariances, positive semi-definite, shape ``(..., channels, channels)``. The
            gradient is finite also where eigenvalues are equal.

    Returns:
        Squared distances, shape ``(...,)``.
    """
    root = _SymmetricRoot.apply(cov_x)
    cross = _SymmetricRoot.apply(root @ cov_y @ root)
    trace = (cov_x + cov_y - 2 * cross).diagonal(dim1=-2, dim2=-1).sum(-1)
    return (mean_x - mean_y).square().sum(-1) + trace.clamp_min(0)


def gaussian_w2_diagonal(mean_x: Tensor, sd_x: Tensor, mean_y: Tensor, sd_y: Tensor) -> Tensor:
    """`gaussian_w2` for independent channels: ``|mean_x - mean_y|^2 + |sd_x - sd_y|^2``.

    From means and standard deviations ``(..., channels)`` to squared distances ``(...,)``.
    """
    return (mean_x - mean_y).square().sum(-1) + (sd_x - sd_y).square().sum(-1)


def sliced_w2(
    x: Tensor, y: Tensor, directions: int = 64, generator: torch.Generator | None = None
) -> Tensor:
    """Squared sliced 2-Wasserstein distance: the 1-D one, averaged over random directions.

    Of two clouds of equally many points, ``(..., n, channels)``; shape ``(...,)``. Source: Bonneel et
    al. (2015).
    """
    axes = torch.randn(x.shape[-1], directions, dtype=x.dtype, device=x.device, generator=generator)
    axes = axes / axes.norm(dim=0)
    on_x, on_y = (x @ axes).transpose(-1, -2), (y @ axes).transpose(-1, -2)
    # Mean squares directly, because a root has an infinite gradient where the clouds coincide.
    return (on_x.sort(-1).values - on_y.sort(-1).values).square().mean((-2, -1))


def frame_law_spread(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Wasserstein regulariser: mean squared distance of clips' frame distributions to their barycentre.

    Each clip's frames ``(time, channels)`` are summarised as a diagonal Gaussian. The barycentre of such
    Gaussians has the average mean and the average standard deviation; the result is the mean squared
    distance to it, divided by the number of channels. With classes ``y (batch,)`` each class has its own
    barycentre, so that differences between actions are not reduced.
    """
    mean = x.mean(1)
    sd = (variance_over_time(x) + 1e-8).sqrt()
    group = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
    distance = gaussian_w2_diagonal(mean, sd, class_mean(mean, group), class_mean(sd, group))
    return distance.mean() / x.shape[-1]


def variance_over_time(x: Tensor) -> Tensor:
    """Biased variance of clips ``(batch, time, channels)`` over time, ``(batch, channels)``.

    Equal to ``x.var(1, correction=0)``, and several times as fast.
    """
    return (x - x.mean(1, keepdim=True)).square().mean(1)


def class_mean(x: Tensor, y: Tensor) -> Tensor:
    """For each clip, the mean of ``x (batch, ...)`` over the batch's clips of its class; same shape."""
    same = (y[:, None] == y[None, :]).to(x.dtype)
    same = same / same.sum(1, keepdim=True)
    return torch.einsum("ij,j...->i...", same, x)


def at_least_single(x: Tensor) -> Tensor:
    """``x`` in at least single precision, which sums over time need."""
    return x.float() if x.dtype.itemsize < 4 else x


class _SymmetricRoot(torch.autograd.Function):
    """Square root of a symmetric positive semi-definite matrix, shape ``(..., channels, channels)``.

    A small change dA changes the root R by dR with ``R dR + dR R = dA``. In A's eigenbasis that is one
    division by the sum of two roots, which is well defined for equal eigenvalues; torch's gradient
    through the eigenvectors divides by their difference.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        """The root by eigenvalues; negative ones, from rounding errors, count as zero."""
        values, vectors = torch.linalg.eigh(matrix)
        roots = values.clamp_min(0).sqrt()
        ctx.save_for_backward(roots, vectors)
        return vectors * roots[..., None, :] @ vectors.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Solve the same equation for the gradient; it is zero where both roots are zero."""
        roots, vectors = ctx.saved_tensors
        sums = roots[..., :, None] + roots[..., None, :]
        turned = vectors.mT @ (gradient + gradient.mT) @ vectors / 2
        turned = torch.where(sums > 0, turned / torch.where(sums > 0, sums, 1.0), 0.0)
        return vectors @ turned @ vectors.mT


def _misplaced(sums: Tensor, mass: Tensor) -> Tensor:
    """Fraction of each clip's mass in the wrong rows; ``(time, batch)`` to ``(batch,)``."""
    return (sums - mass).abs().sum(0) / 2


def _require_unit_mass(name: str, mass: Tensor) -> None:
    """Raise if masses are negative or do not sum to one; NaN is left for the loss to report.

    Raises:
        ValueError: Naming the argument, the sum and the remedy.
    """
    if torch.compiler.is_compiling():  # a data-dependent branch would split the compiled graph
        return
    total = mass.detach().sum(-1)
    wrong = (total - 1).abs() > 1e-2
    if wrong.any():
        raise ValueError(
            f"{name}: sums to {float(total[wrong][0]):.4g}, not to 1. Divide it by its sum over time."
        )
    least = mass.detach().amin()
    if least < -1e-6:
        raise ValueError(f"{name}: has {float(least):.4g} in it. Give masses of at least 0.")
