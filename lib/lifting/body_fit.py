"""SMPL-style body parameters for lifted poses: one shape a person, a rotation per joint and frame, a translation.

The network's outputs, 17 joints and the nodes of two coarse meshes, are known linear functions of a posed body
(`smplpytorch...CoarseBody`). So the body is found by Gauss-Newton on these points alone; no vertex is touched.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib.lifting.body_points import BodyPoints, axial, normal_equations, parent_axes, turned
from lib.lifting.body_smoothing import Timing, TurnSmoother
from lib.lifting.pose_prior import PosePrior
from lib.lifting.rotations import nearest_rotation, rotation_vector

BATCH = 256
"""Frames fitted at a time."""

OVERLAP = 32
"""Frames on each side that a smooth fit of a batch looks at."""

ITERATIONS = 12
"""Gauss-Newton steps of one solve; from a mean pose six are enough (docs/body.md)."""

SMOOTH_ITERATIONS = 4
"""Further steps of a smooth fit."""

SHAPE_FRAMES = 128
"""Most frames that the shape is estimated from, spread over the clip."""

DAMPING = 3e-5
OUTLIER_DISTANCE = 0.3
"""Metres at which a point's weight has fallen to a quarter (Geman-McClure)."""

BETAS_PRECISION = 1e-4
"""Pull of the shape parameters towards the usual ones, relative to squared metres of the mean point (docs/body.md)."""

MARKER_PRECISION = 1e-3
"""Pull of the markers' offsets towards 0, as above."""

PRIOR_STRENGTH = 1e-6
"""Weight of the pose prior, as above."""

LIMIT_STRENGTH = 3e-3
"""Square metres of the mean point per square radian beyond a joint's limits."""


@dataclass(frozen=True)
class BodyFit:
    """A fitted person: pose (T, 3 K) rotation vectors, the root's in camera axes; betas (S,), the same in all frames;
    transl (T, 3) metres, so that body(pose, betas) + transl fits the given root-relative points;
    offsets (J, 3): of the markers, metres (`BodyPoints`); points (T, R, 3): of the fitted body, metres, in the axes and
    relative to the root of what was fitted; residual (T,): weighted mean distance of all points, metres."""

    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    offsets: np.ndarray
    points: np.ndarray
    residual: np.ndarray


def fit_body(
    points: BodyPoints,
    target: np.ndarray | torch.Tensor,
    weights: np.ndarray | torch.Tensor,
    prior: PosePrior,
    upright: tuple[int, ...],
    shape: torch.Tensor,
    timing: Timing | None = None,
) -> BodyFit:
    """Fit one person.

    target (T, R, 3): the points of `points` in camera axes, metres; weights (T, R) >= 0, about 1 in a frame's sum: the less
    it is, the more the pose follows the prior; upright: points of the torso by which the root is first turned; shape: by
    `fit_shape`; timing: how smooth joints turn, None for each frame by itself.
    """
    solver = _PoseSolver(points, prior)
    target, weights = (torch.as_tensor(a, dtype=shape.dtype, device=shape.device) for a in (target, weights))
    parts = []
    for rows, kept in _batches(len(target), 0 if timing is None else OVERLAP):
        first = solver.start(target[rows], weights[rows], shape, list(upright))
        rotations, transl, _ = solver.solve(target[rows], weights[rows], shape, *first)
        if timing is not None:
            smoother = TurnSmoother(timing, rows, shape)
            rotations, transl = solver.smooth(target[rows], weights[rows], shape, rotations, transl, smoother)
        rotations, transl = rotations[kept], transl[kept]
        nodes = points(rotations, shape)[0] + transl[:, None]
        goal, weight = target[rows][kept], weights[rows][kept]
        distance = ((nodes - goal).norm(dim=-1) * weight).sum(1) / weight.sum(1).clamp_min(1e-12)
        parts.append((rotation_vector(rotations).flatten(1), transl, nodes, distance))
    pose, places, fitted, distances = (torch.cat(part).double().cpu().numpy() for part in zip(*parts, strict=True))
    betas, offsets = shape.double().cpu().split([points.betas, points.shape_size - points.betas])
    return BodyFit(pose, betas.numpy(), places, offsets.view(-1, 3).numpy(), fitted, distances)


def fit_shape(
    points: BodyPoints,
    target: np.ndarray | torch.Tensor,
    weights: np.ndarray | torch.Tensor,
    prior: PosePrior,
    upright: tuple[int, ...],
    usual: np.ndarray | None = None,
    betas_precision: float = BETAS_PRECISION,
) -> torch.Tensor:
    """The person's shape (S + 3 markers,): betas and the markers' offsets, with the poses of up to SHAPE_FRAMES frames.

    usual (S,): betas towards which the shape is pulled, 0 where they are None; betas_precision: how hard, in square metres of
    the mean point; the other arguments as for `fit_body`.
    """
    like: dict[str, Any] = {"dtype": points.folded.dtype, "device": points.folded.device}
    target, weights = torch.as_tensor(target, **like), torch.as_tensor(weights, **like)
    solver = _PoseSolver(points, prior)
    some = torch.linspace(0, len(target) - 1, min(SHAPE_FRAMES, len(target))).round().long().to(target.device)
    shape = torch.zeros(points.shape_size, **like)
    if usual is not None:
        shape[: points.betas] = torch.as_tensor(usual, **like)
    solver.usual = shape
    solver.shape_precision = torch.full_like(shape, MARKER_PRECISION)
    solver.shape_precision[: points.betas] = betas_precision
    start = solver.start(target[some], weights[some], shape, list(upright))
    return solver.solve(target[some], weights[some], shape, *start, with_shape=True)[2]


def _batches(count: int, overlap: int) -> list[tuple[slice, slice]]:
    """Rows to solve together, BATCH and `overlap` more on each side, and which of these rows are kept."""
    found = []
    for first in range(0, count, BATCH):
        start, stop = max(first - overlap, 0), min(first + BATCH + overlap, count)
        found.append((slice(start, stop), slice(first - start, min(first + BATCH, count) - start)))
    return found


class _PoseSolver:
    """Rotations and translation of B frames by Gauss-Newton, all frames at once."""

    def __init__(self, points: BodyPoints, prior: PosePrior):
        self.points = points
        like: dict[str, Any] = {"dtype": points.folded.dtype, "device": points.folded.device}
        self.mean = torch.as_tensor(prior.mean, **like)
        self.precision = torch.as_tensor(prior.precision, **like) * PRIOR_STRENGTH
        self.eye = torch.eye(3, **like)
        self.usual = torch.zeros(points.shape_size, **like)
        self.shape_precision = torch.full((points.shape_size,), MARKER_PRECISION, **like)
        self.low, self.high = (torch.as_tensor(a, **like).flatten() for a in (prior.low, prior.high))

    def start(self, target, weights, shape, upright) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean pose, turned and moved onto the torso's points."""
        B = len(target)
        rotations = torch.cat([self.eye[None], self.mean]).expand(B, -1, -1, -1).clone()
        nodes = self.points(rotations, shape)[0][:, upright]
        goal, weight = target[:, upright], weights[:, upright, None]
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
        middle, goal_middle = (nodes * weight).sum(1, keepdim=True), (goal * weight).sum(1, keepdim=True)
        rotations[:, 0] = nearest_rotation(((goal - goal_middle) * weight).transpose(1, 2) @ (nodes - middle))
        nodes = self.points(rotations, shape)[0][:, upright]
        return rotations, ((goal - nodes) * weight).sum(1)

    def solve(
        self, target, weights, shape, rotations, transl, with_shape: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotations, translation and shape after ITERATIONS steps; the shape changes only where that is asked for."""
        for _ in range(ITERATIONS):
            arms, world, error, weight, matrix, gradient = self._equations(target, weights, shape, rotations, transl)
            if with_shape:
                change, coupling = self._shape_step(matrix, gradient, arms, error, weight, world, shape)
                shape, gradient = shape + change, gradient - coupling @ change
            step = torch.linalg.solve(matrix, gradient)
            rotations = turned(rotations, parent_axes(world, self.points.parents), step[:, :-3].unflatten(1, (-1, 3)))
            transl = transl + step[:, -3:]
        return rotations, transl, shape

    def smooth(
        self, target, weights, shape, rotations, transl, smoother: TurnSmoother
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations and translation after SMOOTH_ITERATIONS steps in which frames count on their neighbours."""
        for _ in range(SMOOTH_ITERATIONS):
            _, world, _, _, matrix, gradient = self._equations(target, weights, shape, rotations, transl)
            parent = parent_axes(world, self.points.parents)
            step = smoother.step(matrix, gradient, rotations, parent)
            rotations = turned(rotations, parent, step[:, :-3].unflatten(1, (-1, 3)))
            transl = transl + step[:, -3:]
        return rotations, transl

    def _equations(self, target, weights, shape, rotations, transl) -> tuple[torch.Tensor, ...]:
        """Lever arms, world rotations, errors and robust weights of the points, and the normal equations with the prior."""
        nodes, arms, world, _ = self.points(rotations, shape)
        error = target - nodes - transl[:, None]
        weight = weights / (1 + (error.norm(dim=-1) / OUTLIER_DISTANCE) ** 2) ** 2
        matrix, gradient = normal_equations(arms, error, weight)
        self._add_prior(matrix, gradient, rotations, world)
        matrix.diagonal(dim1=1, dim2=2).add_(DAMPING)
        return arms, world, error, weight, matrix, gradient

    def _shape_step(self, matrix, gradient, arms, error, weight, world, shape) -> tuple[torch.Tensor, torch.Tensor]:
        """The change of the one shape, poses eliminated (Schur complement), and the (B, 3 K + 3, S) coupling to the poses."""
        columns = self.points.by_shape(world)  # (B, R, 3, S)
        weighted = columns * weight[..., None, None]
        moments = arms.flatten(2).transpose(1, 2) @ weighted.flatten(2)  # (B, 3 K, 3 S): sums of S_rk times column
        by_joint = axial(moments.unflatten(1, (-1, 3)).unflatten(3, (3, -1)).movedim(4, 2))  # (B, K, S, 3)
        coupling = torch.cat([by_joint.transpose(2, 3).flatten(1, 2), weighted.sum(1)], 1)
        solved = torch.linalg.solve(matrix, torch.cat([coupling, gradient[..., None]], 2))
        back = coupling.transpose(1, 2) @ solved
        own = columns.flatten(1, 2).transpose(1, 2) @ weighted.flatten(1, 2)
        pulled = (weighted * error[..., None]).sum((1, 2))
        left = (own - back[..., :-1]).mean(0) + torch.diag(self.shape_precision)
        right = (pulled - back[..., -1]).mean(0) - self.shape_precision * (shape - self.usual)
        return torch.linalg.solve(left, right), coupling

    def _add_prior(self, matrix, gradient, rotations, world) -> None:
        """The Gaussian over log(R M^T), and its limits: a turn w of a joint changes that vector by about W_parent^T w."""
        B, K = rotations.shape[:2]
        parent = world[:, self.points.parents[1:]]
        away = rotation_vector(rotations[:, 1:] @ self.mean.transpose(-1, -2)).flatten(1)
        beyond = away - torch.minimum(torch.maximum(away, self.low), self.high)
        pull = (away @ self.precision + LIMIT_STRENGTH * beyond).view(B, K - 1, 3, 1)
        gradient[:, 3 : 3 * K] -= (parent @ pull).flatten(1)
        blocks = torch.einsum("bkij,kjlm,blnm->bkiln", parent, self.precision.view(K - 1, 3, K - 1, 3), parent)
        stiff = LIMIT_STRENGTH * (beyond != 0).to(beyond).view(B, K - 1, 1, 3)
        joint = torch.arange(K - 1, device=blocks.device)
        blocks[:, joint, :, joint] += ((parent * stiff) @ parent.transpose(-1, -2)).transpose(0, 1)
        matrix[:, 3 : 3 * K, 3 : 3 * K] += blocks.reshape(B, 3 * K - 3, 3 * K - 3)
