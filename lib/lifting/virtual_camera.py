"""What the network is shown of a person: the image of a virtual camera that is turned to them.

A network knows persons of the sizes and places it was trained on. A virtual camera in the same place as the real one,
turned so that its optical axis meets the person, and with a focal length that makes them as large as in the studio
(`SHOWN_SIZE`), shows every person alike. As only the camera turns, the 3D pose in its axes is the wanted one up to a
known rotation. docs/predict.md has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.camera import ASSUMED_FOCAL, SHOWN_SIZE, turned_to
from lib.errors import UserError
from lib.joints.imputation import frame_ranges
from lib.lifting import DEFAULT_FPS
from lib.lifting.smoothing import gaussian, stretches

SMOOTHING = 0.48
"""Standard deviation, in seconds, of the Gaussian that a virtual camera's motion is smoothed with."""

MIN_EXTENT = 4.0
"""Pixels. Joints that are all closer together than this show no pose."""

MAX_MOVE, MAX_MOVE_RATE = 0.25, 7.0
"""How far a person can move between two frames: in body heights, and in body heights per second (12 m/s)."""

MAX_GROWTH, MAX_GROWTH_RATE = 0.3, 3.0
"""How much a person's size in the image can change between two frames: natural logarithm, and the same per second."""

MOMENT, FEWEST = 0.2, 3
"""Seconds on both sides of a jump, and at least so many frames, whose medians must show it too, or it is one of a detector's
mistakes. The median of fewer frames follows a single mistake."""


@dataclass(frozen=True)
class VirtualCamera:
    """pose2d (T, J, 2) float32: the network's input; rotation (T, 3, 3): `virtual = rotation @ camera`, so row vectors in
    the virtual camera's axes turn back by `points @ rotation`."""

    pose2d: np.ndarray
    rotation: np.ndarray

    def last(self) -> "VirtualCamera":
        """Its last frame alone."""
        return VirtualCamera(self.pose2d[-1:], self.rotation[-1:])


def intrinsics(camera: Sequence[float] | np.ndarray | None, image_size: tuple[int, int]) -> tuple[float, ...]:
    """f_x, f_y, c_x, c_y in pixels: the given ones, or the assumed ones for an unknown camera (None).

    An unknown camera is taken to have ASSUMED_FOCAL and its principal point in the middle of the image.
    """
    if camera is None:
        focal = ASSUMED_FOCAL * max(image_size)
        return focal, focal, image_size[0] / 2, image_size[1] / 2
    values = np.asarray(camera, np.float64).ravel()
    if values.shape != (4,) or not np.isfinite(values).all() or min(values[:2]) <= 0:
        raise UserError("a camera is four numbers in pixels: f_x, f_y, c_x, c_y, the focal lengths above 0")
    return tuple(values.tolist())


def virtual_camera(
    pixels: np.ndarray,
    image_size: tuple[int, int],
    camera: Sequence[float] | np.ndarray | None = None,
    frames: np.ndarray | None = None,
    fps: float = DEFAULT_FPS,
) -> VirtualCamera:
    """The virtual camera of one person over time: pixels (T, J, 2) in an image of (width, height).

    camera: see `intrinsics`; frames (T,): increasing frame numbers at fps in Hz, consecutive ones by default. The
    virtual camera is turned to the middle of the joints' box, without roll, and its focal length makes the box
    SHOWN_SIZE. Both are smoothed over time (`gaussian`), but never across a pause or a jump (`jumps`). The shape of the
    image plays no part. UserError if all joints of a frame are at one point.
    """
    pixels = np.asarray(pixels, np.float64)
    frames = np.arange(len(pixels)) if frames is None else np.asarray(frames)
    if (tiny := extent(pixels) < MIN_EXTENT).any():
        raise UserError(
            f"all joints are within {MIN_EXTENT:g} pixels in {frame_ranges(frames[tiny])}; skip these frames"
        )
    *f, cx, cy = intrinsics(camera, image_size)
    seconds = (frames - frames[0]) / fps
    parts = stretches(frames, fps, jumps(pixels, seconds))

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.concatenate([gaussian(values[part], seconds[part], SMOOTHING) for part in parts])

    rays = (pixels - [cx, cy]) / f
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    rotation = np.asarray(turned_to(smooth((rays.min(1) + rays.max(1)) / 2)))
    seen = rays @ rotation.transpose(0, 2, 1)
    seen = seen[..., :2] / seen[..., 2:]
    size = np.exp(smooth(np.log(np.ptp(seen, axis=1).max(-1))))
    return VirtualCamera((2 * SHOWN_SIZE * seen / size[:, None, None]).astype(np.float32), rotation)


def jumps(pixels: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(T,) bool: rows in which the person moved or changed size faster than a person can since the row before.

    pixels (T, J, 2) at times (T,). Cuts, zooms and confused identities do that. Medians over the joints are compared, so
    that one or a few misplaced joints are no jump: of how far the joints moved, and of how much farther from their middle
    they are than before.
    """
    middle = np.median(pixels, axis=1, keepdims=True)
    distance = np.maximum(np.linalg.norm(pixels - middle, axis=-1), MIN_EXTENT / 4)
    # the median distance of a standing person's joints from their middle is about a quarter of the height
    height = 4 * np.median(distance, axis=1)
    move = np.median(np.linalg.norm(np.diff(pixels, axis=0), axis=-1), axis=1) / np.maximum(height[1:], height[:-1])
    growth = np.abs(np.median(np.diff(np.log(distance), axis=0), axis=1))
    step = np.diff(seconds)
    jump = (move > MAX_MOVE + MAX_MOVE_RATE * step) | (growth > MAX_GROWTH + MAX_GROWTH_RATE * step)
    return np.concatenate([[False], jump])


def lasting_jumps(pixels: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(T,) bool: `jumps` after which the person stays elsewhere, or of another size: a cut, a zoom, or another person.

    pixels (T, J, 2) at times (T,). Each joint's median over the MOMENT before is compared with that over the MOMENT after, or
    over FEWEST frames.
    """
    found, rows = jumps(pixels, seconds), np.arange(len(pixels))
    for row in np.flatnonzero(found):
        before = (rows < row) & ((seconds > seconds[row - 1] - MOMENT) | (rows >= row - FEWEST))
        after = (rows >= row) & ((seconds < seconds[row] + MOMENT) | (rows < row + FEWEST))
        ends = np.stack([np.median(pixels[side], axis=0) for side in (before, after)])
        found[row] = jumps(ends, seconds[[row - 1, row]])[1]
    return found


def extent(pixels: np.ndarray) -> np.ndarray:
    """(T,): larger side of the joints' box, in pixels; pixels (T, J, 2)."""
    return np.ptp(pixels, axis=1).max(-1)


def person_size(pixels: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """(T,): larger side of the joints' box over the longer side of the image; pixels (T, J, 2)."""
    return extent(pixels) / max(image_size)
