"""Sequences turned from camera axes to axes that are level with the floor, and back."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from lib.lifting.fitted_body import FittedBody
from lib.lifting.floor.plane import Floor
from lib.lifting.pose_sequence import PoseSequence


def levelled(sequence: PoseSequence, floor: Floor) -> PoseSequence:
    """A sequence in camera axes, with its root, in the level axes of `floor`."""
    assert sequence.root is not None
    assert sequence.floor is None
    turned = _turned(sequence, floor.rotation)
    return replace(turned, root=floor.to_level(sequence.root), floor=floor)


def in_camera_axes(sequence: PoseSequence) -> PoseSequence:
    """The sequence as the camera sees it: turned back if it is in level axes, else unchanged."""
    if sequence.floor is None:
        return sequence
    turned = _turned(sequence, sequence.floor.rotation.T)
    assert sequence.root is not None
    return replace(turned, root=sequence.floor.to_camera(sequence.root), floor=None)


def _turned(sequence: PoseSequence, rotation: np.ndarray) -> PoseSequence:
    return replace(
        sequence,
        pose3d=sequence.pose3d @ rotation.T,
        meshes=tuple(mesh @ rotation.T.astype(mesh.dtype) for mesh in sequence.meshes),
        body=None if sequence.body is None else _turned_body(sequence.body, rotation),
    )


def _turned_body(body: FittedBody, rotation: np.ndarray) -> FittedBody:
    """The body turned about the origin of its sequence; its root joint J0 stays in place in every pose, so transl changes too."""
    pose, root = body.pose.copy(), body.rest_joints[0]
    pose[:, :3] = (Rotation.from_matrix(rotation) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    return replace(body, pose=pose, transl=(root + body.transl) @ rotation.T - root)
