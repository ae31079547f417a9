"""From what a person does (path, feet, hands, gaze) to SMPL pose parameters, by two-bone inverse kinematics.

Axes of a body are SMPL's: x to the person's left, y up, z forward, T-pose at rest. The world is Human3.6M's, Z up.
Limbs are indexed 0 = left, 1 = right.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from lib.joints import SMPL_24

FRAME_RATE = 50  # Hz, Human3.6M's
_INDEX = {name: k for k, name in enumerate(SMPL_24.names)}
_LEGS = tuple(tuple(_INDEX[f"{side}_{part}"] for part in ("Hip", "Knee", "Ankle")) for side in "LR")
_ARMS = tuple(tuple(_INDEX[f"{side}_{part}"] for part in ("Shoulder", "Elbow", "Wrist")) for side in "LR")
_SPINE = tuple(_INDEX[name] for name in ("Spine1", "Spine2", "Spine3"))
_NECK = tuple(_INDEX[name] for name in ("Neck", "Head"))
LOOSE_JOINTS = tuple(_INDEX[f"{side}_{part}"] for part in ("Collar", "Wrist", "Hand", "Foot") for side in "LR")
"""Joints that no target drives: they only get small slow movements."""
_FLEXION_RANGE = (0.03, 2.6)  # radians of knees and elbows: never straight through, never folded flat
_Y_UP_TO_Z_UP = Rotation.from_euler("x", 90, degrees=True)


@dataclass(frozen=True)
class Skeleton:
    """One person's T-pose: joints (24, 3) metres, Y up, and the height `sole` of the lowest point of the body."""

    joints: np.ndarray
    sole: float

    def length(self, chain: tuple[int, ...]) -> float:
        """Metres along a chain of joints."""
        return float(np.linalg.norm(np.diff(self.joints[list(chain)], axis=0), axis=1).sum())

    @property
    def thigh(self) -> float:
        return self.length(_LEGS[0][:2])

    @property
    def shank(self) -> float:
        return self.length(_LEGS[0][1:])

    @property
    def arm(self) -> float:
        return self.length(_ARMS[0])

    @property
    def ankle_height(self) -> float:
        return float(self.joints[_LEGS[0][2], 1] - self.sole)

    @property
    def head_from_shoulder(self) -> np.ndarray:
        """(3,) from the left shoulder to the head joint; its first value is negative: inwards."""
        return self.joints[_NECK[1]] - self.joints[_ARMS[0][0]]


@dataclass
class Script:
    """What a person does over T frames at 50 Hz, in metres and radians.

    pelvis (T, 2): place on the floor; hips (T,): wanted height of the hip joints above the ankles' rest height;
    heading (T,): about world Z, 0 = facing -Y; tilt, spine, head (T, 3): rotation vectors of pelvis, back and neck in
    body axes; feet (T, 2, 3): ankles, world x and y and the lift above their rest height; foot_yaw (T, 2): like
    heading; foot_pitch (T, 2): positive = toes down; knees (T, 2): how far the knees point outwards;
    wrists (T, 2, 3): from the shoulder in units of the arm's length, chest axes with x outwards on both sides;
    loose (T, len(LOOSE_JOINTS), 3): rotation vectors of the joints that nothing else drives.
    """

    pelvis: np.ndarray
    hips: np.ndarray
    heading: np.ndarray
    tilt: np.ndarray
    spine: np.ndarray
    head: np.ndarray
    feet: np.ndarray
    foot_yaw: np.ndarray
    foot_pitch: np.ndarray
    knees: np.ndarray
    wrists: np.ndarray
    loose: np.ndarray


def two_bone_ik(
    upper: np.ndarray, lower: np.ndarray, hinge: np.ndarray, target: np.ndarray, pole: np.ndarray
) -> tuple[Rotation, Rotation]:
    """Rotations of the upper joint (T) and of the hinge (T) that bring the end of a two-bone limb to `target`.

    upper, lower (3,): the bones at rest; hinge (3,): unit axis about which the middle joint bends, by positive angles
    only; target (T, 3): from the upper joint; pole (T, 3): the side to which the middle joint points. A target out of
    reach is met in direction only.
    """
    along = hinge * (hinge @ lower)
    across = lower - along
    # |upper + R(flexion) lower|^2 = constant + 2 (a cos(flexion) + b sin(flexion)), solved for the flexion.
    a, b = upper @ across, upper @ np.cross(hinge, across)
    constant = upper @ upper + lower @ lower + 2 * upper @ along
    cosine = ((target**2).sum(-1) - constant) / (2 * np.hypot(a, b))
    flexion = np.clip(np.arctan2(b, a) + np.arccos(np.clip(cosine, -1, 1)), *_FLEXION_RANGE)
    bend = Rotation.from_rotvec(flexion[:, None] * hinge)
    end = upper + bend.apply(lower)
    rest = _frame(end, np.cross(end, hinge))
    return Rotation.from_matrix(_frame(target, pole) @ np.swapaxes(rest, -1, -2)), bend


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T, 3, 3) right-handed axes as columns: along `first`, the part of `second` across it, and their product."""
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    second = second - (second * first).sum(-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def solve(script: Script, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Pose (T, 24, 3), axis-angle relative to the parent, and SMPL translation (T, 3) metres, Z-up world."""
    joints, frames = skeleton.joints, len(script.heading)
    pose = np.zeros((frames, len(joints), 3))
    root = Rotation.from_euler("z", script.heading[:, None]) * _Y_UP_TO_Z_UP * Rotation.from_rotvec(script.tilt)
    pose[:, 0] = root.as_rotvec()
    pose[:, list(_SPINE)] = script.spine[:, None] / len(_SPINE)
    pose[:, list(_NECK)] = script.head[:, None] / len(_NECK)
    pose[:, list(LOOSE_JOINTS)] = script.loose

    pelvis = np.column_stack([script.pelvis, np.zeros(frames)])
    ankles = script.feet + [0, 0, skeleton.ankle_height]
    hips = np.stack([root.apply(joints[leg[0]] - joints[0]) for leg in _LEGS], axis=1)
    # The pelvis is as high as wanted but no higher than both legs reach.
    apart = np.linalg.norm((pelvis[:, None] + hips - ankles)[..., :2], axis=-1)
    reach = 0.99 * (skeleton.thigh + skeleton.shank)
    highest = (ankles[..., 2] + np.sqrt(np.maximum(reach**2 - apart**2, 0.01)) - hips[..., 2]).min(1)
    wanted = skeleton.ankle_height + script.hips - hips[..., 2].mean(1)
    pelvis[:, 2] = gaussian_filter1d(np.minimum(wanted, highest), 3, mode="nearest")

    for side, out in enumerate((1.0, -1.0)):
        hip, knee, ankle = _LEGS[side]
        target = root.inv().apply(ankles[:, side] - pelvis) - (joints[hip] - joints[0])
        pole = np.column_stack([out * script.knees[:, side], np.full(frames, 0.6), np.ones(frames)])
        thigh, shank = two_bone_ik(
            joints[knee] - joints[hip], joints[ankle] - joints[knee], np.array([1.0, 0, 0]), target, pole
        )
        foot = Rotation.from_euler("z", script.foot_yaw[:, side, None]) * _Y_UP_TO_Z_UP
        foot = foot * Rotation.from_euler("x", script.foot_pitch[:, side, None])
        pose[:, hip], pose[:, knee] = thigh.as_rotvec(), shank.as_rotvec()
        pose[:, ankle] = ((root * thigh * shank).inv() * foot).as_rotvec()

        shoulder, elbow, wrist = _ARMS[side]
        target = script.wrists[:, side] * skeleton.arm * [out, 1, 1]
        # Elbows point outwards and down; backwards too under a hanging hand, forwards under a hand at the head.
        before = 1.2 * np.clip(script.wrists[:, side, 1] / 0.9 + 0.65, 0, 1) - 0.6
        pole = np.column_stack([np.full(frames, 0.6 * out), np.full(frames, -0.6), before])
        upper, fore = two_bone_ik(
            joints[elbow] - joints[shoulder], joints[wrist] - joints[elbow], np.array([0, -out, 0]), target, pole
        )
        pose[:, shoulder], pose[:, elbow] = upper.as_rotvec(), fore.as_rotvec()
    return pose, pelvis - joints[0]
