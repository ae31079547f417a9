"""Some points of a fitted body moved to where they have to be, with few turns of few joints."""

from dataclasses import dataclass

import torch

from lib.lifting.body_points import BodyPoints, normal_equations, parent_axes, turned
from lib.lifting.rotations import rotation_vector

BATCH = 1024
"""Frames posed or moved at a time."""

DAMPING = 1e-3
"""Square metres per square radian by which each step is held back: a leg that is nearly straight would overshoot."""

MOVES = 10
"""Gauss-Newton steps; the start is centimetres from the end."""


@dataclass(frozen=True)
class Posed:
    """A body of one shape (S + 3 markers,) in T frames: rotations (T, K, 3, 3) relative to the parent, transl (T, 3) metres."""

    rotations: torch.Tensor
    shape: torch.Tensor
    transl: torch.Tensor


def move_points(
    points: BodyPoints, body: Posed, chosen: slice, goal: torch.Tensor, hold: torch.Tensor, hold_place: float
) -> Posed:
    """The body moved so that the chosen points reach goal (T, P, 3), metres, by as little turning of joints as possible.

    hold (K,): how hard each joint resists, square metres per square radian; hold_place: the same of transl, without unit.
    Gauss-Newton from the body's own pose; shape, and so all lengths, stay.
    """
    parts = []
    for rows in torch.arange(len(goal), device=goal.device).split(BATCH):
        start, rotations = body.rotations[rows], body.rotations[rows]
        transl = body.transl[rows]
        for _ in range(MOVES):
            nodes, arms, world, _ = points(rotations, body.shape)
            error = goal[rows] - nodes[:, chosen] - transl[:, None]
            matrix, gradient = normal_equations(arms[:, chosen], error, torch.ones_like(error[..., 0]))
            parent = parent_axes(world, points.parents)
            away = (parent @ rotation_vector(rotations @ start.transpose(-1, -2))[..., None]).flatten(1)
            stiff = hold.repeat_interleave(3)
            gradient[:, :-3] -= stiff * away
            gradient[:, -3:] -= hold_place * (transl - body.transl[rows])
            matrix.diagonal(dim1=1, dim2=2).add_(torch.cat([stiff + DAMPING, hold.new_full((3,), hold_place)]))
            step = torch.linalg.solve(matrix, gradient)
            rotations = turned(rotations, parent, step[:, :-3].unflatten(1, (-1, 3)))
            transl = transl + step[:, -3:]
        parts.append((rotations, transl))
    return Posed(torch.cat([r for r, _ in parts]), body.shape, torch.cat([t for _, t in parts]))
