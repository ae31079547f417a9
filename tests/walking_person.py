"""A made-up person who walks with feet that stand still, in front of a camera that is held askew."""

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import camera_to_pixel
from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import PoseSequence

ANKLE = 0.09
"""Metres of an ankle above the floor in stance."""

FPS, F, SIZE = 25.0, 1100.0, (1280, 720)
CAMERA_HEIGHT, DISTANCE = 1.4, 5.0
STANCE, STRIDE = 0.6, 1.0
"""Part of the second that a stride takes in which a foot stands, and metres of a stride."""


def walking(seconds: float = 4.0, heading: float = 40.0, start: float = -1.5, lean: float = 3.5) -> np.ndarray:
    """(T, 17, 3) metres, x right, y up from the floor, z towards the viewer: along `heading` degrees from x, 1 m/s."""
    t = np.arange(round(seconds * FPS)) / FPS
    joints = {}
    way = STRIDE * (t - 0.3)
    for name, y in {"Pelvis": 0.88, "Torso": 1.12, "Neck": 1.37, "Nose": 1.5, "Head": 1.62}.items():
        ahead = np.tan(np.deg2rad(lean)) * (y - ANKLE) + (0.08 if name == "Nose" else 0.0)
        joints[name] = np.stack([way + ahead, np.full_like(t, y), np.zeros_like(t)], -1)
    for side, z, phase in (("R", 1, 0.0), ("L", -1, 0.5)):
        turn = np.floor(t + phase)
        swing = np.clip((t + phase - turn - STANCE) / (1 - STANCE), 0, 1)
        x = STRIDE * (turn + swing**2 * (3 - 2 * swing) - phase)
        hip = joints["Pelvis"] + [0, 0, 0.1 * z]
        ankle = np.stack([x, ANKLE + 0.12 * np.sin(np.pi * swing), np.full_like(t, 0.1 * z)], -1)
        joints[f"{side}_Hip"], joints[f"{side}_Ankle"] = hip, ankle
        joints[f"{side}_Knee"] = _knee(hip, ankle)
        joints[f"{side}_Shoulder"] = joints["Neck"] + [0, -0.03, 0.18 * z]
        joints[f"{side}_Elbow"] = joints["Neck"] + [0, -0.31, 0.2 * z]
        joints[f"{side}_Wrist"] = joints["Neck"] + [0.05, -0.56, 0.22 * z]
    points = np.stack([joints[name] for name in HUMAN36M_17.names], 1) + [start, 0, 0]
    return points @ Rotation.from_euler("y", heading, degrees=True).as_matrix().T


def _knee(hip: np.ndarray, ankle: np.ndarray, thigh: float = 0.44, shank: float = 0.44) -> np.ndarray:
    line = ankle - hip
    length = np.minimum(np.linalg.norm(line, axis=-1), 0.999 * (thigh + shank))[:, None]
    along = line / np.linalg.norm(line, axis=-1, keepdims=True)
    part = (length**2 + thigh**2 - shank**2) / (2 * length)
    forward = np.array([1.0, 0, 0]) - along[:, :1] * along
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    return hip + part * along + np.sqrt(thigh**2 - part**2) * forward


def up_of(pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """The true vertical in the axes of the camera, (3,)."""
    return _askew(pitch, roll) @ [0.0, -1.0, 0.0]


def filmed(
    joints: np.ndarray, pitch: float = 0.0, roll: float = 0.0, noise: float = 0.0, camera: bool = True, **changes
) -> PoseSequence:
    """The sequence that a lifter would give: exact pixels, poses with Gaussian noise in metres, in camera axes.

    pitch, roll: degrees by which the camera is turned from level; camera: whether its focal length is known.
    """
    seen = (joints * [1, -1, -1] + [0, CAMERA_HEIGHT, DISTANCE]) @ _askew(pitch, roll).T
    root = seen[:, [HUMAN36M_17.root]]
    pose = seen - root
    pose = pose + noise * np.random.default_rng(0).normal(size=pose.shape) * (np.arange(17) > 0)[:, None]
    c = np.array(SIZE) / 2
    values = {
        "pose3d": pose,
        "pose2d": camera_to_pixel(seen, np.array([F, F]), c),
        "joint_set": HUMAN36M_17,
        "fps": FPS,
        "image_size": SIZE,
        "camera": (F, F, *c) if camera else None,
    }
    return PoseSequence(**{**values, **changes})


def true_contacts(seconds: float = 4.0) -> np.ndarray:
    """(T, 2) bool of R and L: where `walking` stands."""
    t = np.arange(round(seconds * FPS)) / FPS
    return np.stack([(t + phase) % 1 < STANCE for phase in (0.0, 0.5)], 1)


def _askew(pitch: float, roll: float) -> np.ndarray:
    return Rotation.from_euler("xz", [pitch, roll], degrees=True).as_matrix()
