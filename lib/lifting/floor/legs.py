"""Legs that are led to where their feet stand: the pelvis comes within reach; with joints alone knees bend."""

import numpy as np

from lib.joints import HUMAN36M_17
from lib.lifting.floor.feet import SIDES, Feet
from lib.lifting.smoothing import gaussian

LONGEST = 0.9999
"""Of a leg's length, the farthest that its ankle is put from the hip."""

STRETCHED = 0.995
"""Of a leg's length, the farthest that the pelvis leaves an ankle; knees are then bent by 11 degrees."""

EASE, STEPS = 0.1, 12
"""Seconds over which the pelvis gives way (standard deviation of a Gaussian), and how often it is asked to."""

NEAR = 4
"""Power of the inverse distance by which a mesh node follows the joints around it."""


def within_reach(feet: Feet, moves: np.ndarray, seconds: np.ndarray, parts: list[slice]) -> np.ndarray:
    """How the pelvis has to move, (T, 3) metres, so that both ankles can follow their feet's moves (T, P, 3); smooth in time.

    A leg that is too short pulls the pelvis along itself. A pull is spread over EASE, which weakens it, and repeated.
    """
    carried = np.stack([moves[:, feet.side == side].mean(1) for side in range(len(SIDES))], 1)
    goal = feet.ankles + carried
    shift = np.zeros((len(moves), 3))
    for _ in range(STEPS):
        way = goal - feet.hips - shift[:, None]
        length = np.linalg.norm(way, axis=-1)
        excess = np.maximum(length - STRETCHED * feet.reach, 0)
        if not excess.any():
            break
        pull = (way * (excess / np.maximum(length, 1e-9))[..., None])[np.arange(len(way)), excess.argmax(1)]
        shift += np.concatenate([gaussian(pull[part], seconds[part], EASE) for part in parts])
    return shift


def move_ankles(pose3d: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The pose (T, 17, 3) with its ankles moved by moves (T, 2, 3) metres, of SIDES, or as far as the legs reach.

    The hips stay, thigh and shank keep the lengths that they have in each frame, and the knee stays in the plane in which
    it is bent.
    """
    moved = pose3d.copy()
    for number, side in enumerate(SIDES):
        hip, knee, ankle = (HUMAN36M_17.names.index(f"{side}_{name}") for name in ("Hip", "Knee", "Ankle"))
        start, bend, end = pose3d[:, hip], pose3d[:, knee], pose3d[:, ankle]
        thigh, shank = np.linalg.norm(bend - start, axis=-1), np.linalg.norm(end - bend, axis=-1)
        way = end + moves[:, number] - start
        wanted = np.linalg.norm(way, axis=-1)
        reach = np.clip(wanted, np.abs(thigh - shank) + 1e-6, LONGEST * (thigh + shank))
        along = way / np.maximum(wanted, 1e-9)[:, None]
        outwards = bend - start
        outwards = outwards - (outwards * along).sum(-1, keepdims=True) * along
        size = np.linalg.norm(outwards, axis=-1)
        outwards = np.where(size[:, None] > 1e-4, outwards, _forward(pose3d, along))
        outwards = outwards / np.maximum(np.linalg.norm(outwards, axis=-1, keepdims=True), 1e-9)
        part = (reach**2 + thigh**2 - shank**2) / np.maximum(2 * reach, 1e-9)
        height = np.sqrt(np.maximum(thigh**2 - part**2, 0))
        unmoved = (moves[:, number] == 0).all(-1)[:, None]
        moved[:, knee] = np.where(unmoved, bend, start + part[:, None] * along + height[:, None] * outwards)
        moved[:, ankle] = np.where(unmoved, end, start + reach[:, None] * along)
    return moved


def move_nodes(nodes: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mesh nodes (T, N, 3) that follow the joints around them from before to after (T, J, 3)."""
    distance = np.linalg.norm(nodes[:, :, None] - before[:, None], axis=-1)
    weight = 1 / np.maximum(distance, 1e-3) ** NEAR
    weight /= weight.sum(-1, keepdims=True)
    return (nodes + weight @ (after - before)).astype(nodes.dtype)


def _forward(pose3d: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The person's forward direction (T, 3), across `along`: where knees go when a straight leg bends."""
    names = HUMAN36M_17.names
    left = pose3d[:, names.index("L_Hip")] - pose3d[:, names.index("R_Hip")]
    return np.cross(along, left)
