"""Pinhole cameras in Human3.6M's conventions.

World space: millimetres, Z up. Camera space: millimetres, x right, y down, z forward,
`camera = R @ world + t` (t is the world origin seen from the camera, not the camera's position).
Pixel space: `pixel = f * camera_xy / camera_z + c`. Normalized image coordinates: what the network reads, x in [-1, 1]
across the image's width, y in [-h/w, h/w].
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

ASSUMED_FOCAL = 1.2
"""Focal length over the image's longer side where the camera is unknown: 45 degrees from side to side."""

SHOWN_SIZE = 0.33
"""Larger side of a person's box over the image's side in a virtual camera: a standing person 5 m from a studio camera."""


@dataclass(frozen=True)
class Camera:
    """One calibrated camera without lens distortion: R (3, 3), t (3,) mm, f (2,) px, c (2,) px, size in px."""

    R: np.ndarray
    t: np.ndarray
    f: np.ndarray
    c: np.ndarray
    width: int
    height: int


def world_to_camera(points: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """World points (..., J, 3) to camera axes: R (..., 3, 3) @ point + t (..., 3), same unit as t."""
    return points @ np.swapaxes(R, -1, -2) + np.asarray(t)[..., None, :]


def camera_to_pixel(points: np.ndarray, f: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Camera-space points (..., J, 3) to pixels (..., J, 2) with f, c (..., 2) px."""
    return points[..., :2] / points[..., 2:] * np.asarray(f)[..., None, :] + np.asarray(c)[..., None, :]


def pixel_to_normalized(pixels: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Pixels (..., J, 2) to normalized image coordinates: pixel / w * 2 - (1, h/w), with w, h scalars or (...)."""
    width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
    offset = np.stack([np.ones_like(width), height / width], axis=-1)
    return pixels / width[..., None, None] * 2 - offset[..., None, :]


def normalized_to_pixel(screen: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Inverse of `pixel_to_normalized`."""
    width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
    offset = np.stack([np.ones_like(width), height / width], axis=-1)
    return (screen + offset[..., None, :]) * width[..., None, None] / 2


def look_at(
    position: np.ndarray, target: np.ndarray, f: np.ndarray, c: np.ndarray, width: int, height: int, roll: float = 0.0
) -> Camera:
    """A camera at `position` (3,) mm, world, whose optical axis goes through `target`; the image's up is world Z.

    roll: rotation about the optical axis in radians, clockwise as seen in the image.
    """
    position, target = np.asarray(position, np.float64), np.asarray(target, np.float64)
    forward = target - position
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) <= 1e-9 * np.linalg.norm(forward):
        raise ValueError("look_at: the viewing direction is vertical or nothing, so the image's up is undefined")
    forward /= np.linalg.norm(forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    R = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.stack([right, down, forward])
    return Camera(R, -R @ position, np.asarray(f, np.float64), np.asarray(c, np.float64), int(width), int(height))


def y_up(points: np.ndarray) -> np.ndarray:
    """Camera axes (..., 3), x right, y down, z forward, to x right, y up, z towards the viewer: (x, -y, -z).

    Half a turn about x, so nothing is mirrored and the order of face corners keeps its meaning. It is what glTF, BVH
    and OBJ expect; Blender and MeshLab then show the person upright, facing the viewer as in the image.
    """
    return points * np.array([1.0, -1.0, -1.0])


def turned_to(aim: "np.ndarray | torch.Tensor") -> "np.ndarray | torch.Tensor":
    """Rotations (..., 3, 3) into axes whose z goes along aim (..., 3) and whose x stays in the camera's x-z plane.

    `turned = rotation @ camera`: the virtual camera that looks at a person, without roll. NumPy or PyTorch.
    """
    stack: Any
    if isinstance(aim, np.ndarray):
        stack = np.stack
    else:
        import torch  # late: commands that only print their help do not wait for it

        stack = torch.stack
    x, y, z = (aim[..., i] for i in range(3))
    across = (x * x + z * z) ** 0.5
    length = (across * across + y * y) ** 0.5
    right = [z / across, 0 * x, -x / across]
    down = [-x * y / (across * length), across / length, -y * z / (across * length)]
    return stack([stack(row, -1) for row in (right, down, [x / length, y / length, z / length])], -2)
