"""A small SMPL-format body for tests: 24 joints and one closed surface of 898 vertices, in numpy arrays only. And the built-in
body, made once."""

from dataclasses import replace
from functools import cache

import numpy as np

from lib.joints import SMPL_PARENTS
from lib.lifting.fitted_body import FittedBody
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.builtin_body import build_builtin_body

CELL = 0.05  # metres; the surface is the boundary of cubes of this size

# Boxes of cubes (x0, x1, y0, y1, z0, z1), upper bounds excluded: trunk, neck, head and, for the left, arm, leg, foot.
_MIDDLE = ((-3, 3, -7, 5, -2, 2), (-1, 1, 5, 7, -1, 1), (-2, 2, 7, 11, -2, 2))
_LEFT = ((3, 16, 3, 5, -1, 1), (1, 3, -23, -7, -1, 1), (1, 3, -24, -23, -1, 3))

# Places in metres: where the 24 joints of SMPL are meant to be, in SMPL's order.
_SMPL_PLACES = (
    (0, -0.28, 0), (0.1, -0.35, 0), (-0.1, -0.35, 0), (0, -0.17, 0), (0.1, -0.74, 0), (-0.1, -0.74, 0), (0, -0.05, 0),
    (0.1, -1.1, 0), (-0.1, -1.1, 0), (0, 0.05, 0), (0.1, -1.17, 0.12), (-0.1, -1.17, 0.12), (0, 0.27, 0),
    (0.07, 0.2, 0), (-0.07, 0.2, 0), (0, 0.37, 0), (0.17, 0.2, 0), (-0.17, 0.2, 0), (0.43, 0.2, 0), (-0.43, 0.2, 0),
    (0.68, 0.2, 0), (-0.68, 0.2, 0), (0.77, 0.2, 0), (-0.77, 0.2, 0),
)  # fmt: skip
# The same for Human3.6M's 17: taken from the list above, or a place of its own.
_HUMAN36M_PLACES = (
    *(_SMPL_PLACES[k] for k in (0, 2, 5, 8, 1, 4, 7)),
    (0, -0.02, 0), (0, 0.25, 0), (0, 0.42, 0.08), (0, 0.53, 0),
    *(_SMPL_PLACES[k] for k in (16, 18, 20, 17, 19, 21)),
)  # fmt: skip


def _surface() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) metres and outward triangles (F, 3) of the boundary of the cubes."""
    low = np.array([-18, -26, -4])
    filled = np.zeros((37, 39, 9), bool)
    mirrored = [(-x1, -x0, *rest) for x0, x1, *rest in _LEFT]
    for x0, x1, y0, y1, z0, z1 in (*_MIDDLE, *_LEFT, *mirrored):
        filled[x0 - low[0] : x1 - low[0], y0 - low[1] : y1 - low[1], z0 - low[2] : z1 - low[2]] = True
    corners = []
    for axis in range(3):
        u, v = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
        for side in (1, -1):
            open_cells = np.argwhere(filled & ~np.roll(filled, -side, axis))
            quad = np.array([0 * u, u, u + v, v])[::side] + (side == 1) * np.eye(3, dtype=int)[axis]
            corners.append(open_cells[:, None] + quad)
    points, index = np.unique(np.concatenate(corners).reshape(-1, 3), axis=0, return_inverse=True)
    quads = index.reshape(-1, 4)
    return (points + low) * CELL, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int64)


def _average_near(vertices: np.ndarray, places: np.ndarray, width: float) -> np.ndarray:
    """(K, V) weights, rows summing to one: a Gaussian mean of the vertices about each place."""
    squared = ((places[:, None] - vertices[None]) ** 2).sum(-1)
    weights = np.exp(-(squared - squared.min(1, keepdims=True)) / (2 * width**2))
    weights[weights < 1e-3] = 0
    return weights / weights.sum(1, keepdims=True)


def _skinning(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V, 24) weights from the distance to each joint's bones, that is, the segments to its children."""
    nearest = np.full((len(vertices), len(joints)), np.inf)
    children = set(SMPL_PARENTS)
    segments = [(p, joints[p], joints[k]) for k, p in enumerate(SMPL_PARENTS) if p >= 0]
    segments += [(k, joints[k], joints[k]) for k in range(len(joints)) if k not in children]
    for owner, start, end in segments:
        along = end - start
        share = np.clip((vertices - start) @ along / max(along @ along, 1e-12), 0, 1)
        distance = np.linalg.norm(vertices - start - share[:, None] * along, axis=1)
        nearest[:, owner] = np.minimum(nearest[:, owner], distance)
    weights = np.exp(-((nearest - nearest.min(1, keepdims=True)) / 0.03))
    weights[weights < 1e-3] = 0
    return weights / weights.sum(1, keepdims=True)


def tiny_body() -> BodyModel:
    """The body in T-pose, metres, Y up, facing +Z, left along +X; left/right symmetric, feet at about y = -1.2."""
    vertices, faces = _surface()
    rng = np.random.default_rng(0)
    shapedirs = 0.002 * rng.standard_normal((1, 3, 10)) * vertices[..., None]
    shapedirs[:, :, 0] = 0.04 * vertices * [0.5, 1, 0.5]  # taller
    shapedirs[:, :, 1] = 0.05 * vertices * [0.2, 0, 1]  # thicker
    J_regressor = _average_near(vertices, np.array(_SMPL_PLACES), 0.05)
    return BodyModel(
        v_template=vertices,
        shapedirs=shapedirs,
        posedirs=1e-4 * rng.standard_normal((len(vertices), 3, 9 * 23)),
        J_regressor=J_regressor,
        lbs_weights=_skinning(vertices, J_regressor @ vertices),
        faces=faces,
        parents=np.array(SMPL_PARENTS),
        joint_regressor=_average_near(vertices, np.array(_HUMAN36M_PLACES), 0.05),
        source="tests/bodies.py",
    )


@cache
def builtin_body() -> BodyModel:
    """The built-in body; no test changes its arrays."""
    return build_builtin_body()


def skinnable_body() -> BodyModel:
    """The tiny body without pose blend shapes, which no skin in a file holds, and with SMPL's four joints per vertex at most."""
    body = tiny_body()
    weights = body.lbs_weights.copy()
    np.put_along_axis(weights, np.argsort(weights, axis=1)[:, :-4], 0.0, axis=1)
    return replace(body, posedirs=0 * body.posedirs, lbs_weights=weights / weights.sum(1, keepdims=True))


def resting_body(frames: int) -> FittedBody:
    """The tiny body at rest, upright in camera axes, in some frames."""
    model = tiny_body()
    pose = np.zeros((frames, 3 * len(model.parents)))
    pose[:, 0] = np.pi
    zeros = np.zeros((frames, 3))
    return FittedBody(model, pose, np.zeros(10), zeros, np.zeros((17, 3)), np.zeros(frames))
