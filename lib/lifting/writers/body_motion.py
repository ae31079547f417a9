"""A fitted body's motion as the writers need it: on an even grid of frames, with the root joint's place."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from lib.errors import UserError
from lib.joints import SMPL_24
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import even_grid

Y_UP = np.diag([1.0, -1.0, -1.0])
"""Camera axes to x right, y up, z towards the viewer, as `lib.camera.y_up`."""

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Camera axes to x right, y forward, z up."""

HUMANOID = (
    "hips", "leftUpperLeg", "rightUpperLeg", "spine", "leftLowerLeg", "rightLowerLeg", "chest", "leftFoot", "rightFoot",
    "upperChest", "leftToes", "rightToes", "neck", "leftShoulder", "rightShoulder", "head", "leftUpperArm", "rightUpperArm",
    "leftLowerArm", "rightLowerArm", "leftHand", "rightHand", "leftMiddleProximal", "rightMiddleProximal",
)  # fmt: skip
"""VRM's and Unity's names of SMPL's joints, by which programs map a skeleton to their own."""


@dataclass(frozen=True)
class BodyMotion:
    """T frames at `rate` Hz. rotations (T, K): the root's to the axes that were asked for, the others' relative to the parent;
    vectors (T, K, 3): the same as rotation vectors, radians; root (T, 3) metres, in these axes: where the root joint is."""

    rotations: list[Rotation]
    vectors: np.ndarray
    root: np.ndarray
    rate: float


def body_of(sequence: PoseSequence, path: object) -> FittedBody:
    """The sequence's body; UserError, naming the output, where none was fitted."""
    if sequence.body is None:
        raise UserError(f"{path}: this format holds a fitted body; add --fit-body")
    return sequence.body


def body_motion(sequence: PoseSequence, offset: np.ndarray, axes: np.ndarray) -> BodyMotion:
    """The motion of the sequence's body, moved by offset (T, 1, 3) metres, camera axes; axes (3, 3): camera axes to the file's.

    Missing frames in between are interpolated, rotations along the shortest way. Where none is missing, all but the root's are
    unchanged to the last bit.
    """
    body, frames = sequence.body, sequence.frames
    assert body is not None  # the caller has checked it
    joints = body.pose.reshape(len(body.pose), -1, 3)
    rotations = [Rotation.from_rotvec(joints[:, k]) for k in range(joints.shape[1])]
    rotations[0] = Rotation.from_matrix(axes) * rotations[0]
    root = (body.rest_joints[0] + body.transl + offset[:, 0]) @ axes.T
    grid, step = even_grid(frames)
    complete = np.array_equal(grid, frames)
    if not complete:
        rotations = [Slerp(frames, rotation)(grid) for rotation in rotations]
        root = np.stack([np.interp(grid, frames, column) for column in root.T], axis=-1)
    vectors = np.stack([rotation.as_rotvec() for rotation in rotations], axis=1)
    if complete:
        vectors[:, 1:] = joints[:, 1:]
    return BodyMotion(rotations, vectors, root, sequence.fps / step)


def joint_names(body: FittedBody) -> tuple[str, ...]:
    """SMPL's names, or numbers for a body with other joints."""
    count = len(body.model.parents)
    return SMPL_24.names if count == len(SMPL_24) else tuple(f"joint_{k}" for k in range(count))


def bone_names(body: FittedBody) -> tuple[str, ...]:
    """Names that programs for characters know, or numbers for a body with other joints than SMPL's."""
    return HUMANOID if len(body.model.parents) == len(HUMANOID) else joint_names(body)


def strongest_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest of each vertex's skinning weights (V, K), scaled to sum 1: joints (V, 4) uint16, weights (V, 4) float32.

    Joints without weight are 0, as glTF wants.
    """
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    kept = np.take_along_axis(weights, joints, axis=1)
    kept = (kept / kept.sum(1, keepdims=True)).astype(np.float32)
    return np.where(kept > 0, joints, 0).astype(np.uint16), kept
