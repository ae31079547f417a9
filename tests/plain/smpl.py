"""SMPL and the mesh targets of one sample, step by step: slow, float64, without any of the project's shortcuts.

Equations: Loper et al., SIGGRAPH Asia 2015, and the released HGN's data loader.
"""

import numpy as np
import scipy.sparse as sp
from scipy.spatial.transform import Rotation

from smplpytorch.smplpytorch.body_model import BodyModel


def plain_smpl(model: BodyModel, rotations: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and posed joints (K, 3), metres, of one person without translation.

    rotations (K, 3, 3): the root's in space, the others' relative to their parents; betas (S,).
    """
    V, K = model.lbs_weights.shape
    v_shaped = model.v_template + model.shapedirs @ betas
    joints = model.J_regressor @ v_shaped
    v_posed = v_shaped + model.posedirs @ (rotations[1:] - np.eye(3)).ravel()
    world = np.zeros((K, 4, 4))
    for k, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[k]
        local[:3, 3] = joints[k] - (joints[parent] if parent >= 0 else 0)
        world[k] = world[parent] @ local if parent >= 0 else local
    from_rest = world.copy()  # the joint's rest place is taken off first
    for k in range(K):
        from_rest[k, :3, 3] -= world[k, :3, :3] @ joints[k]
    vertices = np.empty((V, 3))
    for v in range(V):
        blended = sum(weight * from_rest[k] for k, weight in enumerate(model.lbs_weights[v]) if weight)
        vertices[v] = blended[:3, :3] @ v_posed[v] + blended[:3, 3]
    return vertices, world[:, :3, 3]


def plain_mesh_target(
    model: BodyModel,
    pose: np.ndarray,
    betas: np.ndarray,
    transl: np.ndarray,
    R: np.ndarray,
    t: np.ndarray,
    joints: np.ndarray,
    poolings: list[sp.csr_matrix],
) -> list[np.ndarray]:
    """Coarse meshes (R_i, 3), metres, camera axes, relative to the pose's root, one for every pooling (R_i, V).

    pose (3 K,) axis-angle, betas (S,), transl (3,) metres, all in world space; R (3, 3), t (3,) mm: the camera;
    joints (17, 3) mm: the pose in world space.
    """
    if (np.abs(betas) > 3).any():
        betas = np.zeros_like(betas)
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()
    rotations[0] = R @ rotations[0]
    vertices, posed = plain_smpl(model, rotations, betas)
    J0 = posed[0]
    vertices = 1000 * (vertices + R @ transl + t / 1000 - J0 + R @ J0)
    return [(pooling @ vertices - (R @ joints[0] + t)) / 1000 for pooling in poolings]


def plain_pose3d(joints: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """World joints (17, 3) mm to camera axes, relative to the root, metres."""
    seen = np.array([R @ joint + t for joint in joints])
    return (seen - seen[0]) / 1000


def plain_pose2d(
    joints: np.ndarray, R: np.ndarray, t: np.ndarray, f: np.ndarray, c: np.ndarray, width: int, height: int
) -> np.ndarray:
    """World joints (17, 3) mm to normalized image coordinates (17, 2): x in [-1, 1], y in [-h/w, h/w]."""
    screen = []
    for joint in joints:
        X, Y, Z = R @ joint + t
        x, y = f[0] * X / Z + c[0], f[1] * Y / Z + c[1]
        screen.append((x / width * 2 - 1, y / width * 2 - height / width))
    return np.array(screen)
