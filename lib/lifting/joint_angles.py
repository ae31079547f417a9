"""Clinical joint angles of a fitted body.

Axes of every segment at rest: x left, y up, z forward; the rest pose is a T-pose. Rotations of the right side are mirrored
first, so that both sides count alike. Hip, knee, ankle and trunk: flexion about the proximal segment's x, then the floating
axis, then the distal segment's y (Grood and Suntay, J Biomech Eng 1983; ISB, Wu et al., J Biomech 2002). Shoulder: the
humerus relative to the thorax by plane of elevation, elevation and axial rotation, from an arm that hangs down (ISB, Wu et
al., J Biomech 2005). Elbow: flexion about the humerus' y in the T-pose. The axes are the body model's, not those of bony
landmarks, so angles may differ from a laboratory's by a constant.
"""

import warnings

import numpy as np
from scipy.spatial.transform import Rotation

from lib.joints import SMPL_24

MIRROR = np.array([1.0, -1.0, -1.0])
"""What a reflection in x does to a rotation vector."""


def joint_angles(pose: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> degrees (T,) of rotation vectors pose (T, 72), SMPL's joints, radians.

    Positive: flexion, dorsiflexion, adduction, internal rotation; trunk: forward flexion, bending to the right, rotation to
    the left; shoulder: plane 0 is abduction and 90 forward flexion, elevation 0 to 180 from hanging. Near 0 and 180 degrees of
    elevation, plane and rotation are not separate: only their sum means something.
    """
    vectors = np.asarray(pose, np.float64).reshape(len(pose), -1, 3)

    def turn(name: str, mirrored: bool = False) -> Rotation:
        return Rotation.from_rotvec(vectors[:, SMPL_24.names.index(name)] * (MIRROR if mirrored else 1.0))

    angles: dict[str, np.ndarray] = {}
    for side in ("L", "R"):
        right = side == "R"
        flexion, abduction, rotation = _degrees(turn(f"{side}_Hip", right), "XZY")
        angles |= {f"{side}_hip_flexion": -flexion, f"{side}_hip_adduction": -abduction}
        angles[f"{side}_hip_internal_rotation"] = -rotation
        angles[f"{side}_knee_flexion"] = _degrees(turn(f"{side}_Knee", right), "XZY")[0]
        angles[f"{side}_ankle_dorsiflexion"] = -_degrees(turn(f"{side}_Ankle", right), "XZY")[0]
        hanging = Rotation.from_euler("z", 90, degrees=True)  # from an arm that hangs down to the T-pose
        humerus = turn(f"{side}_Collar", right) * turn(f"{side}_Shoulder", right) * hanging
        plane, elevation, rotation = _degrees(humerus, "YZY")
        angles |= {f"{side}_shoulder_plane_of_elevation": -plane, f"{side}_shoulder_elevation": elevation}
        angles[f"{side}_shoulder_internal_rotation"] = -rotation
        angles[f"{side}_elbow_flexion"] = -_degrees(turn(f"{side}_Elbow", right), "YZX")[0]
    trunk = turn("Spine1") * turn("Spine2") * turn("Spine3")
    flexion, bending, rotation = _degrees(trunk, "XZY")
    return angles | {"trunk_flexion": flexion, "trunk_bending_right": bending, "trunk_rotation_left": rotation}


def _degrees(rotation: Rotation, order: str) -> np.ndarray:
    """Angles (3, T) about moving axes; where two axes fall together the last angle is 0."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gimbal lock")
        return rotation.as_euler(order, degrees=True).T + 0.0
