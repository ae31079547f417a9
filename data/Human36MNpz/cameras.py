"""Human3.6M's cameras: the calibration is not in VideoPose3D's files, so it comes with the project (cameras.json)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import Camera


@dataclass(frozen=True)
class DistortedCamera:
    """A camera with its lens: radial (3,) k1, k2, k3 and tangential (2,) p1, p2; name: Human3.6M's number of it."""

    name: str
    pinhole: Camera
    radial: np.ndarray
    tangential: np.ndarray


def read_cameras() -> dict[str, list[DistortedCamera]]:
    """{subject: its four cameras, in the order of VideoPose3D's files}."""
    content = json.loads(Path(__file__).with_name("cameras.json").read_text())
    cameras = {}
    for subject, extrinsics in content["extrinsics"].items():
        pairs = zip(content["intrinsics"], extrinsics, strict=True)
        cameras[subject] = [_camera(intrinsic, extrinsic) for intrinsic, extrinsic in pairs]
    return cameras


def _camera(intrinsic: dict, extrinsic: dict) -> DistortedCamera:
    w, x, y, z = extrinsic["orientation"]
    R = Rotation.from_quat([x, y, z, w]).as_matrix().T
    f, c, radial, tangential = (np.array(intrinsic[name]) for name in ("f", "c", "radial", "tangential"))
    t = -R @ np.array(extrinsic["position"])
    pinhole = Camera(R, t, f, c, intrinsic["width"], intrinsic["height"])
    return DistortedCamera(intrinsic["id"], pinhole, radial, tangential)


def project_distorted(joints: np.ndarray, camera: DistortedCamera) -> np.ndarray:
    """Camera-space joints (..., 3) to pixels (..., 2) through the lens, as VideoPose3D projects.

    With q = clip(xy / z, -1, 1) and r2 = |q|^2: f (q (1 + k1 r2 + k2 r2^2 + k3 r2^3 + p . q) + p r2) + c.
    """
    q = np.clip(joints[..., :2] / joints[..., 2:], -1, 1)
    r2 = (q**2).sum(-1, keepdims=True)
    k1, k2, k3 = camera.radial
    p = camera.tangential
    scale = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + (q * p).sum(-1, keepdims=True)
    return camera.pinhole.f * (q * scale + p * r2) + camera.pinhole.c
