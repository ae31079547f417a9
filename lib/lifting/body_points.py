"""Points of a posed body, and how they move when its joints turn.

A joint k is turned by a small rotation vector w_k about its own place, in the axes of the camera. Everything below it in
the tree turns with it, so that a point r moves by w_k x S_rk, where S_rk is the part of the point that is skinned to k
and the joints below it, seen from joint k. With weights v_r the normal equations need only G = sum_r v_r S_r S_r^T,
one product of a (points, 3 joints) matrix per frame:

    (J^T J)_kl = trace(G_kl) I - G_kl^T,        (J^T e)_k = sum_r v_r S_rk x e_r.

The derivative of the pose blend shapes is omitted from J (they move a point by millimetres); the points themselves have it.
"""

import torch

from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics, pose_features

MAX_TURN = 0.7
"""Largest rotation of a joint in one step, radians."""


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


def normal_equations(
    arms: torch.Tensor, error: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """J^T J (B, 3 K + 3, 3 K + 3) and J^T e (B, 3 K + 3), rotations first and the translation last.

    arms (B, R, K, 3), error (B, R, 3) and weight (B, R) of the points.
    """
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
    matrix[:, size:, size:] = torch.diag_embed(weight.sum(1)[:, None].expand(-1, 3))
    pulled = axial((weighted.transpose(1, 2) @ error).unflatten(1, (-1, 3))).flatten(1)
    return matrix, torch.cat([pulled, (error * weight[..., None]).sum(1)], 1)


def parent_axes(world: torch.Tensor, parents: list[int]) -> torch.Tensor:
    """World rotations (B, K, 3, 3) of the joints' parents; the root's parent is the camera."""
    root = torch.eye(3, dtype=world.dtype, device=world.device).expand(len(world), 1, 3, 3)
    return torch.cat([root, world[:, parents[1:]]], 1)


def turned(rotations: torch.Tensor, parent: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """rotations (B, K, 3, 3) relative to the parent after turns (B, K, 3) in the axes of the camera, MAX_TURN at most."""
    turn = turn * (MAX_TURN / turn.norm(dim=-1, keepdim=True).clamp_min(1e-9)).clamp(max=1)
    local = (parent.transpose(-1, -2) @ turn[..., None]).squeeze(-1)
    return axis_angle_to_matrix(local) @ rotations


def axial(moments: torch.Tensor) -> torch.Tensor:
    """Sum of a x b from the sum of a b^T: (..., 3, 3) to (..., 3)."""
    skew = moments - moments.transpose(-1, -2)
    return torch.stack([skew[..., 1, 2], skew[..., 2, 0], skew[..., 0, 1]], -1)


def _cross_matrix(v: torch.Tensor) -> torch.Tensor:
    """[v]x with [v]x u = v x u: (..., 3) to (..., 3, 3)."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
