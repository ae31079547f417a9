"""What the network is shown of a person: the view of a virtual camera that is turned to them.

A network knows persons of the sizes and places it was trained on. A virtual camera in the same place as the real one,
turned so that its optical axis meets the person, and with a focal length that makes them as large as in the studio
(`SHOWN_SIZE`), shows every person alike. As only the camera turns, the 3D pose in its axes is the wanted one up to a
known rotation. docs/predict.md has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

ASSUMED_FOCAL = 1.2
"""Focal length over the picture's longer side where the camera is unknown: 45 degrees from side to side, the middle of
the focal lengths in training (`lib.training.augment.ViewRange.focal`)."""

SHOWN_SIZE = 0.33
"""Larger side of a person's box over the picture's side in the view: a standing person 5 m before a studio camera."""

SMOOTHING = 12.0
"""Standard deviation, in frames, of the Gaussian that a virtual camera's motion is smoothed with."""


@dataclass(frozen=True)
class VirtualCamera:
    """pose2d (T, J, 2) float32: the network's input; rotation (T, 3, 3): `view = rotation @ camera`, so row vectors in
    the view's axes turn back by `points @ rotation`."""

    pose2d: np.ndarray
    rotation: np.ndarray


def virtual_camera(
    pixels: np.ndarray, image_size: tuple[int, int], camera: Sequence[float] | None = None
) -> VirtualCamera:
    """The view of one person over time: pixels (T, J, 2), consecutive frames, in a picture of (width, height).

    camera: f_x, f_y, c_x, c_y in px; None for an unknown one, which is taken to have ASSUMED_FOCAL and its principal
    point in the middle. The virtual camera is turned to the middle of the joints' box, without roll, and its focal
    length makes the box SHOWN_SIZE; both are smoothed over time. The shape of the picture plays no part.
    """
    f = np.array(camera[:2]) if camera else np.full(2, ASSUMED_FOCAL * max(image_size))
    c = np.array(camera[2:]) if camera else np.array(image_size) / 2
    rays = (np.asarray(pixels, np.float64) - c) / f
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    rotation = _turned_to(_smooth((rays.min(1) + rays.max(1)) / 2))
    seen = rays @ rotation.transpose(0, 2, 1)
    seen = seen[..., :2] / seen[..., 2:]
    extent = _smooth(np.ptp(seen, axis=1).max(-1))
    return VirtualCamera((2 * SHOWN_SIZE * seen / extent[:, None, None]).astype(np.float32), rotation)


def person_size(pixels: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """(T,): larger side of the joints' box over the longer side of the picture; pixels (T, J, 2)."""
    return np.ptp(pixels, axis=1).max(-1) / max(image_size)


def _turned_to(aim: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) into axes whose z goes along aim (T, 3) and whose x stays in the camera's x-z plane."""
    z = aim / np.linalg.norm(aim, axis=-1, keepdims=True)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-2)


def _smooth(values: np.ndarray) -> np.ndarray:
    return gaussian_filter1d(values, SMOOTHING, axis=0, mode="nearest")
