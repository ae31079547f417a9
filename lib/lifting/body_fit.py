"""SMPL-style body parameters for lifted poses: one shape a person, a rotation per joint and frame, a translation.

The network's outputs, 17 joints and the nodes of two coarse meshes, are known linear functions of a posed body
(`smplpytorch...CoarseBody`). So the body is found by Gauss-Newton on these points alone; no vertex is touched.

A joint k is turned by a small rotation vector w_k about its own place, in the axes of the camera. Everything below it in
the tree turns with it, so that a point r moves by w_k x S_rk, where S_rk is the part of the point that is skinned to k
and the joints below it, seen from joint k. With weights v_r the normal equations need only G = sum_r v_r S_r S_r^T,
one product of a (points, 3 joints) matrix per frame:

    (J^T J)_kl = trace(G_kl) I - G_kl^T,        (J^T e)_k = sum_r v_r S_rk x e_r.

The derivative of the pose blend shapes is omitted from J (they move a point by millimetres); the points themselves have it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lib.lifting.pose_prior import PosePrior
from lib.lifting.rotations import rotation_vector
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics, pose_features

BATCH = 256
"""Frames fitted at a time."""

ITERATIONS = 12
"""Gauss-Newton steps of one solve; from a mean pose six are enough (docs/body.md)."""

SHAPE_FRAMES = 128
"""Most frames that the shape is estimated from, spread over the clip."""

MAX_TURN = 0.7
"""Largest rotation of a joint in one step, radians."""

DAMPING = 1e-4
OUTLIER_DISTANCE = 0.1
"""Metres at which a point's weight has fallen to a half (Geman-McClure)."""

BETAS_PRECISION = 3e-7
"""Pull of the shape parameters towards 0, relative to squared metres of the mean point."""

MARKER_PRECISION = 1e-4
"""Pull of the markers' offsets towards 0, as above."""

PRIOR_STRENGTH = 1e-6
"""Weight of the pose prior, as above."""


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


class BodyPoints:
    """Points of a posed body and how they move when its joints turn; float32 tensors on one device.

    The first `markers` points are joints as motion capture or annotators place them, which is not where the body's
    regressor does: they sit at an offset of their own, fixed to the bone that carries them, a constant of the person like
    the betas. shape (S + 3 markers,): betas, then the offsets in metres in the axes of the bones at rest.
    """

    def __init__(self, body: CoarseBody, markers: int = 0, device="cpu", dtype=torch.float32):
        self.parents = body.parents
        K = len(self.parents)
        joint = torch.empty(len(body.folded) // 3, dtype=torch.long)
        node = torch.empty_like(joint)
        mass = torch.empty(len(joint), dtype=torch.float64)
        for j, rows, nodes, m in body.groups:
            joint[rows], node[rows], mass[rows] = j, nodes, m.flatten()
        self.joint, self.node = joint.to(device), node.to(device)
        self.mass = mass.to(device, dtype)
        self.folded = body.folded.to(device, dtype)
        self.rest_joints = body.rest_joints.to(device, dtype)
        self.sizes = body.sizes
        self.count = sum(body.sizes)
        below = torch.eye(K)
        for k in range(K - 1, 0, -1):
            below[self.parents[k]] += below[k]
        self.below = below.to(device, dtype)  # below[k, j] = 1 where j is k or under it
        self.slot = self.node * K + self.joint
        self.gather = torch.zeros(self.count, len(joint), dtype=dtype, device=device)
        self.gather[self.node, torch.arange(len(joint), device=device)] = 1  # sums in one order, on a GPU too
        self.betas = self.rest_joints.shape[-1] - 1
        self.shape_size = self.betas + 3 * markers
        spread = torch.zeros(self.count * K, dtype=dtype, device=device).index_put_((self.slot,), self.mass)
        spread = spread.view(self.count, K)
        self.mass_below = spread @ self.below.T  # (R, K)
        self.carrier = spread[:markers].argmax(1)  # the joint whose bone carries each marker

    def __call__(self, rotations: torch.Tensor, shape: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """rotations (B, K, 3, 3) relative to the parent, shape (S + 3 markers,) of one person.

        Returns the points (B, R, 3), relative to the body's own origin; lever arms S (B, R, K, 3); world rotations
        (B, K, 3, 3) and joints (B, K, 3).
        """
        B, K = rotations.shape[:2]
        betas, offsets = shape[: self.betas], shape[self.betas :].view(-1, 3, 1)
        shape = torch.cat([shape.new_ones(1), betas]).expand(B, -1)
        rest = torch.einsum("kcs,bs->bkc", self.rest_joints, shape)
        joints, world = forward_kinematics(rotations, rest, self.parents)
        offset = joints - (world @ rest.unsqueeze(-1)).squeeze(-1)
        local = (self.folded @ torch.cat([shape, pose_features(rotations)], 1).T).unflatten(0, (-1, 3))  # (P, 3, B)
        parts = torch.einsum("bpij,pjb->bpi", world[:, self.joint], local) + offset[:, self.joint] * self.mass[:, None]
        spread = parts.new_zeros(B, self.count * K, 3).index_copy_(1, self.slot, parts).unflatten(1, (-1, K))
        marked = torch.arange(len(self.carrier), device=spread.device)
        spread[:, marked, self.carrier] += (world[:, self.carrier] @ offsets).squeeze(-1)
        points = spread.sum(2)
        arms = torch.einsum("brjc,kj->brkc", spread, self.below) - self.mass_below[..., None] * joints[:, None]
        return points, arms, world, joints

    def by_shape(self, world: torch.Tensor) -> torch.Tensor:
        """Derivative (B, R, 3, S + 3 markers) of the points by the shape; they are linear in it. world (B, K, 3, 3)."""
        rest = self.rest_joints[..., 1:]  # (K, 3, S)
        joints = [rest[0].expand(len(world), -1, -1)]
        for k, parent in enumerate(self.parents[1:], start=1):
            joints.append(joints[parent] + world[:, parent] @ (rest[k] - rest[parent]))
        offset = torch.stack(joints, 1) - world @ rest
        local = self.folded[:, 1 : 1 + rest.shape[-1]].unflatten(0, (-1, 3))  # (P, 3, S)
        parts = world[:, self.joint] @ local + offset[:, self.joint] * self.mass[:, None, None]
        columns = parts.new_zeros(len(world), self.count, 3, self.shape_size)
        columns[..., : self.betas] = torch.einsum("rp,bpcs->brcs", self.gather, parts)
        for marker, joint in enumerate(self.carrier.tolist()):
            first = self.betas + 3 * marker
            columns[:, marker, :, first : first + 3] = world[:, joint]
        return columns


def fit_body(
    points: BodyPoints,
    target: np.ndarray | torch.Tensor,
    weights: np.ndarray | torch.Tensor,
    prior: PosePrior,
    upright: tuple[int, ...],
) -> BodyFit:
    """Fit one person.

    target (T, R, 3): the points of `points` in camera axes, metres; weights (T, R) >= 0, about 1 in a frame's sum: the less
    it is, the more the pose follows the prior; upright: points of the torso by which the root is first turned. The one
    shape is solved for together with the poses of up to SHAPE_FRAMES frames, then the poses of all frames with it.
    """
    like: dict[str, Any] = {"dtype": points.folded.dtype, "device": points.folded.device}
    target, weights = torch.as_tensor(target, **like), torch.as_tensor(weights, **like)
    solver = _PoseSolver(points, prior)
    some = torch.linspace(0, len(target) - 1, min(SHAPE_FRAMES, len(target))).round().long().to(target.device)
    shape = torch.zeros(points.shape_size, **like)
    start = solver.start(target[some], weights[some], shape, list(upright))
    *_, shape = solver.solve(target[some], weights[some], shape, *start, with_shape=True)
    parts = []
    for rows in torch.arange(len(target), device=target.device).split(BATCH):
        first = solver.start(target[rows], weights[rows], shape, list(upright))
        rotations, transl, _ = solver.solve(target[rows], weights[rows], shape, *first)
        nodes = points(rotations, shape)[0] + transl[:, None]
        distance = ((nodes - target[rows]).norm(dim=-1) * weights[rows]).sum(1) / weights[rows].sum(1).clamp_min(1e-12)
        parts.append((rotation_vector(rotations).flatten(1), transl, nodes, distance))
    pose, places, fitted, distances = (torch.cat(part).double().cpu().numpy() for part in zip(*parts, strict=True))
    betas, offsets = shape.double().cpu().split([points.betas, points.shape_size - points.betas])
    return BodyFit(pose, betas.numpy(), places, offsets.view(-1, 3).numpy(), fitted, distances)


class _PoseSolver:
    """Rotations and translation of B frames by Gauss-Newton, all frames at once."""

    def __init__(self, points: BodyPoints, prior: PosePrior):
        self.points = points
        like: dict[str, Any] = {"dtype": points.folded.dtype, "device": points.folded.device}
        self.mean = torch.as_tensor(prior.mean, **like)
        self.precision = torch.as_tensor(prior.precision, **like) * PRIOR_STRENGTH
        self.eye = torch.eye(3, **like)

    def start(self, target, weights, shape, upright) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean pose, turned and moved onto the torso's points."""
        B = len(target)
        rotations = torch.cat([self.eye[None], self.mean]).expand(B, -1, -1, -1).clone()
        nodes = self.points(rotations, shape)[0][:, upright]
        goal, weight = target[:, upright], weights[:, upright, None]
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
        middle, goal_middle = (nodes * weight).sum(1, keepdim=True), (goal * weight).sum(1, keepdim=True)
        U, _, Vh = torch.linalg.svd(((goal - goal_middle) * weight).transpose(1, 2) @ (nodes - middle))
        signs = torch.ones_like(U[..., 0])
        signs[:, 2] = torch.det(U @ Vh)
        rotations[:, 0] = U @ torch.diag_embed(signs) @ Vh
        nodes = self.points(rotations, shape)[0][:, upright]
        return rotations, ((goal - nodes) * weight).sum(1)

    def solve(
        self, target, weights, shape, rotations, transl, with_shape: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotations, translation and shape after ITERATIONS steps; the shape changes only where that is asked for."""
        for _ in range(ITERATIONS):
            nodes, arms, world, _ = self.points(rotations, shape)
            error = target - nodes - transl[:, None]
            weight = weights / (1 + (error.norm(dim=-1) / OUTLIER_DISTANCE) ** 2) ** 2
            matrix, gradient = self._normal_equations(arms, error, weight)
            self._add_prior(matrix, gradient, rotations, world)
            matrix.diagonal(dim1=1, dim2=2).add_(DAMPING)
            if with_shape:
                change, coupling = self._shape_step(matrix, gradient, arms, error, weight, world, shape)
                shape, gradient = shape + change, gradient - coupling @ change
            step = torch.linalg.solve(matrix, gradient)
            turn = step[:, :-3].unflatten(1, (-1, 3))
            turn = turn * (MAX_TURN / turn.norm(dim=-1, keepdim=True).clamp_min(1e-9)).clamp(max=1)
            rotations = self._turned(rotations, world, turn)
            transl = transl + step[:, -3:]
        return rotations, transl, shape

    def _shape_step(self, matrix, gradient, arms, error, weight, world, shape) -> tuple[torch.Tensor, torch.Tensor]:
        """The change of the one shape, poses eliminated (Schur complement), and the (B, 3 K + 3, S) coupling to the poses."""
        columns = self.points.by_shape(world)  # (B, R, 3, S)
        weighted = columns * weight[..., None, None]
        moments = arms.flatten(2).transpose(1, 2) @ weighted.flatten(2)  # (B, 3 K, 3 S): sums of S_rk times column
        turned = _axial(moments.unflatten(1, (-1, 3)).unflatten(3, (3, -1)).movedim(4, 2))  # (B, K, S, 3)
        turned = turned.transpose(2, 3)
        coupling = torch.cat([turned.flatten(1, 2), weighted.sum(1)], 1)
        solved = torch.linalg.solve(matrix, torch.cat([coupling, gradient[..., None]], 2))
        back = coupling.transpose(1, 2) @ solved
        own = columns.flatten(1, 2).transpose(1, 2) @ weighted.flatten(1, 2)
        pulled = (weighted * error[..., None]).sum((1, 2))
        precision = torch.full_like(shape, MARKER_PRECISION)
        precision[: self.points.betas] = BETAS_PRECISION
        left = (own - back[..., :-1]).mean(0) + torch.diag(precision)
        right = (pulled - back[..., -1]).mean(0) - precision * shape
        return torch.linalg.solve(left, right), coupling

    def _normal_equations(self, arms, error, weight) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3 K + 3, 3 K + 3) and (B, 3 K + 3), rotations first, see the module's docstring."""
        B, _, K, _ = arms.shape
        flat = arms.flatten(2)
        weighted = flat * weight[..., None]
        G = (weighted.transpose(1, 2) @ flat).view(B, K, 3, K, 3)
        blocks = -G.transpose(2, 4)
        trace = G.diagonal(dim1=2, dim2=4).sum(-1)
        for axis in range(3):
            blocks[:, :, axis, :, axis] += trace
        size = 3 * K
        matrix = arms.new_zeros(B, size + 3, size + 3)
        matrix[:, :size, :size] = blocks.reshape(B, size, size)
        matrix[:, :size, size:] = _cross_matrix(weighted.sum(1).view(B, K, 3)).flatten(1, 2)
        matrix[:, size:, :size] = matrix[:, :size, size:].transpose(1, 2)
        matrix[:, size:, size:] = weight.sum(1)[:, None, None] * self.eye
        moments = weighted.transpose(1, 2) @ error
        pulled = _axial(moments.unflatten(1, (-1, 3))).flatten(1)
        return matrix, torch.cat([pulled, (error * weight[..., None]).sum(1)], 1)

    def _add_prior(self, matrix, gradient, rotations, world) -> None:
        """The Gaussian over log(R M^T): a turn w of a joint changes that vector by about W_parent^T w."""
        B, K = rotations.shape[:2]
        parent = world[:, self.points.parents[1:]]
        away = rotation_vector(rotations[:, 1:] @ self.mean.transpose(-1, -2)).flatten(1)
        pull = (away @ self.precision).view(B, K - 1, 3, 1)
        gradient[:, 3 : 3 * K] -= (parent @ pull).flatten(1)
        blocks = self.precision.view(K - 1, 3, K - 1, 3)
        turned = torch.einsum("bkij,kjlm,blnm->bkiln", parent, blocks, parent)
        matrix[:, 3 : 3 * K, 3 : 3 * K] += turned.reshape(B, 3 * K - 3, 3 * K - 3)

    def _turned(self, rotations, world, turn) -> torch.Tensor:
        root = self.eye.expand(len(world), 1, 3, 3)
        parent = torch.cat([root, world[:, self.points.parents[1:]]], 1)
        local = (parent.transpose(-1, -2) @ turn[..., None]).squeeze(-1)
        return axis_angle_to_matrix(local) @ rotations


def _cross_matrix(v: torch.Tensor) -> torch.Tensor:
    """[v]x with [v]x u = v x u: (..., 3) to (..., 3, 3)."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _axial(moments: torch.Tensor) -> torch.Tensor:
    """Sum of a x b from the sum of a b^T: (..., 3, 3) to (..., 3)."""
    skew = moments - moments.transpose(-1, -2)
    return torch.stack([skew[..., 1, 2], skew[..., 2, 0], skew[..., 0, 1]], -1)
