"""A person who walks on the spot with the right arm raised, facing the camera: right and left, up and down differ."""

import numpy as np

from lib.evaluation.style import SIDE_COLOURS
from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.glb import bone_mesh

# camera axes, metres, x right, y down, z away from the camera; facing it, the person's right is at negative x
STANDING = {
    "Pelvis": (0, 0, 0), "R_Hip": (-0.13, 0, 0), "R_Knee": (-0.14, 0.44, -0.02), "R_Ankle": (-0.15, 0.88, 0),
    "L_Hip": (0.13, 0, 0), "L_Knee": (0.14, 0.44, -0.02), "L_Ankle": (0.15, 0.88, 0),
    "Torso": (0, -0.24, 0.02), "Neck": (0, -0.49, 0), "Nose": (0, -0.56, -0.06), "Head": (0, -0.68, 0),
    "L_Shoulder": (0.16, -0.45, 0), "L_Elbow": (0.19, -0.17, 0.02), "L_Wrist": (0.20, 0.08, -0.02),
    "R_Shoulder": (-0.16, -0.45, 0), "R_Elbow": (-0.30, -0.70, -0.02), "R_Wrist": (-0.33, -0.94, -0.06),
}  # fmt: skip


def walking(length: int) -> np.ndarray:
    """(T, 17, 3) metres, camera axes, root-relative; all bone lengths constant."""
    pose = np.tile([STANDING[name] for name in HUMAN36M_17.names], (length, 1, 1)).astype(np.float64)
    phase = np.arange(length) * 2 * np.pi / 24
    for side, sign in (("R", 1), ("L", -1)):
        chain = [HUMAN36M_17.names.index(f"{side}_{joint}") for joint in ("Hip", "Knee", "Ankle")]
        _swing(pose, chain[0], chain[1:], 0.5 * sign * np.sin(phase))
        _swing(pose, chain[1], chain[2:], 0.5 * (1 + sign * np.sin(phase + 1)))
    arm = [HUMAN36M_17.names.index(f"R_{joint}") for joint in ("Elbow", "Wrist")]
    _swing(pose, arm[0], arm[1:], 0.6 * np.sin(2 * phase))
    return pose


def _swing(pose, pivot, moved, angle):
    """Turn the joints `moved` about the x axis through `pivot`, per frame, by `angle` (T,) radians."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    offset = pose[:, moved] - pose[:, [pivot]]
    turned = np.stack(
        [offset[..., 0], cos * offset[..., 1] - sin * offset[..., 2], sin * offset[..., 1] + cos * offset[..., 2]], -1
    )
    pose[:, moved] = pose[:, [pivot]] + turned


def make_sequence(length: int = 24, person: int = 0, root: tuple | None = None, mesh: bool = True) -> PoseSequence:
    """The person for `length` frames at 24 per second, seen by a camera of 640 x 480 pixels; L_Wrist not detected."""
    pose = walking(length)
    place = np.array(root if root is not None else (0, 0, 4.0))
    camera = pose + place
    pose2d = camera[..., :2] / camera[..., 2:] * 500 + [320, 240]
    scores = np.full(pose2d.shape[:2], 0.9)
    imputed = np.zeros(pose2d.shape[:2], bool)
    imputed[:, HUMAN36M_17.names.index("L_Wrist")] = True
    vertices, faces, _ = bone_mesh(pose, HUMAN36M_17, radius=0.05)
    return PoseSequence(
        pose3d=pose,
        pose2d=pose2d,
        joint_set=HUMAN36M_17,
        fps=24.0,
        image_size=(640, 480),
        person=person,
        scores=scores,
        imputed=imputed,
        root=None if root is None else np.tile(place, (length, 1)),
        meshes=(vertices, vertices) if mesh else (),
        faces=(faces, faces) if mesh else (),
    )


def colour_mask(picture: np.ndarray, side: str) -> np.ndarray:
    """(H, W) bool: where an RGB picture (H, W, 3) uint8 has the colour of this side of the body."""
    colour = np.array([int(SIDE_COLOURS[side][i : i + 2], 16) for i in (1, 3, 5)])
    return np.abs(picture.astype(int) - colour).sum(-1) < 90


def shows_right_arm_up(picture: np.ndarray) -> bool:
    """Whether the right side is at the picture's left and reaches higher than the left side: neither mirrored nor
    upside down, in the first frame of `make_sequence` seen by the camera."""
    (right_y, right_x), (left_y, left_x) = (np.nonzero(colour_mask(picture, side)) for side in ("right", "left"))
    return len(right_x) > 50 and len(left_x) > 50 and right_x.mean() < left_x.mean() and right_y.min() < left_y.min()
