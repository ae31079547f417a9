"""Rotations as matrices and vectors."""

import torch


def nearest_rotation(matrix: torch.Tensor) -> torch.Tensor:
    """The rotations (..., 3, 3) R nearest to matrices M (..., 3, 3): they maximise trace(R^T M) (Kabsch)."""
    U, _, Vh = torch.linalg.svd(matrix)
    signs = torch.ones_like(U[..., 0])
    signs[..., 2] = torch.det(U @ Vh)
    return U @ torch.diag_embed(signs) @ Vh


def rotation_vector(rotation: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3), by way of unit quaternions, exact up to half a turn."""
    m = rotation
    diagonal = m.diagonal(dim1=-2, dim2=-1)
    trace = diagonal.sum(-1, keepdim=True)
    squares = torch.cat([trace, 2 * diagonal - trace], -1) + 1  # 4 q^2 of w, x, y, z
    w, x, y, z = squares.unbind(-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    rows = torch.stack(
        [torch.stack(row, -1) for row in ((w, a, b, c), (a, x, d, e), (b, d, y, f), (c, e, f, z))],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    q = torch.nn.functional.normalize(rows.gather(-2, best).squeeze(-2), dim=-1)
    q = torch.where(q[..., :1] < 0, -q, q)
    sine = q[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, q[..., :1])
    return q[..., 1:] * torch.where(sine > 1e-7, angle / sine.clamp_min(1e-12), torch.full_like(sine, 2.0))
