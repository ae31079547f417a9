"""Linear blend skinning as pure functions, from the equations of SMPL (Loper et al., SIGGRAPH Asia 2015)."""

import torch


def axis_angle_to_matrix(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: axis-angle vectors (..., 3) in radians to rotation matrices (..., 3, 3).

    R = I + sin(a)/a K + (1 - cos(a))/a^2 K^2 with K the cross-product matrix of the vector and a its length; near
    zero both factors come from their Taylor series, so the value and its gradient are finite there.
    """
    squared = (axis_angle * axis_angle).sum(-1)
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + first[..., None, None] * K + second[..., None, None] * (K @ K)


def pose_features(rotations: torch.Tensor) -> torch.Tensor:
    """vec(R(theta_1..K-1) - I): rotations (B, K, 3, 3) to (B, 9 (K - 1)), the input of the pose blend shapes."""
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (rotations[:, 1:] - identity).flatten(1)


def forward_kinematics(
    rotations: torch.Tensor, joints: torch.Tensor, parents: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pose a joint tree.

    rotations (B, K, 3, 3) relative to the parent, joints (B, K, 3) at rest, parents: K indices, -1 at the root, every
    parent before its children. Returns the posed joints (B, K, 3) and the world rotation of every joint (B, K, 3, 3).
    """
    world, posed = [rotations[:, 0]], [joints[:, 0]]
    for k, parent in enumerate(parents[1:], start=1):
        world.append(world[parent] @ rotations[:, k])
        offset = (joints[:, k] - joints[:, parent]).unsqueeze(-1)
        posed.append(posed[parent] + (world[parent] @ offset).squeeze(-1))
    return torch.stack(posed, dim=1), torch.stack(world, dim=1)


def linear_blend_skinning(
    betas: torch.Tensor,
    pose: torch.Tensor,
    v_template: torch.Tensor,
    shapedirs: torch.Tensor,
    posedirs: torch.Tensor,
    J_regressor: torch.Tensor,
    lbs_weights: torch.Tensor,
    parents: list[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole SMPL function without translation.

    betas (B, S), pose (B, 3 K) axis-angle; v_template (V, 3), shapedirs (V, 3, S), posedirs (V, 3, 9 (K - 1)),
    J_regressor (K, V), lbs_weights (V, K). Returns vertices (B, V, 3) and posed joints (B, K, 3) in metres.
    """
    rotations = axis_angle_to_matrix(pose.unflatten(-1, (-1, 3)))
    v_shaped = v_template + torch.einsum("vcs,bs->bvc", shapedirs, betas)
    joints = torch.einsum("kv,bvc->bkc", J_regressor, v_shaped)
    v_posed = v_shaped + torch.einsum("vcp,bp->bvc", posedirs, pose_features(rotations))
    posed, world = forward_kinematics(rotations, joints, parents)
    offset = posed - (world @ joints.unsqueeze(-1)).squeeze(-1)
    transforms = torch.cat([world, offset.unsqueeze(-1)], dim=-1)  # (B, K, 3, 4)
    blended = torch.einsum("vk,bkij->bvij", lbs_weights, transforms)
    vertices = (blended[..., :3] @ v_posed.unsqueeze(-1)).squeeze(-1) + blended[..., 3]
    return vertices, posed
