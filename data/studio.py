"""Four cameras around a capture space, like Human3.6M's studio, for annotations that this project makes itself."""

import numpy as np

from lib.camera import Camera, camera_to_pixel, look_at

# Orders of magnitude of the published calibration: about 5 m away at 1.5 m height, 1145 px focal length,
# images of 1000 x 1002 (cameras 1 and 4) and 1000 x 1000 pixels (cameras 2 and 3).
_AZIMUTHS = np.deg2rad([45.0, -45.0, 135.0, -135.0])
_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))

ROOM = 3000.0
"""Longest way of the pelvis in mm along x or y in one stretch of a motion: people that stay within it are seen whole."""

MIN_DEPTH = 100.0
"""Millimetres in front of the camera; anything nearer is not seen."""


def studio_cameras(seed: int, centre: tuple[float, float, float] = (0.0, 0.0, 900.0)) -> dict[int, Camera]:
    """{1..4: Camera} looking at `centre` (mm, world, Z up); the same seed gives the same cameras.

    Positions, aims and intrinsics vary a little with the seed, as they do between Human3.6M's subjects.
    """
    rng = np.random.default_rng([seed, 36])
    cameras = {}
    for index, (azimuth, (width, height)) in enumerate(zip(_AZIMUTHS, _SIZES, strict=True), start=1):
        azimuth = azimuth + rng.normal(0, np.deg2rad(6))
        distance, z = rng.uniform(4800, 5800), rng.uniform(1300, 1700)
        position = (centre[0] + distance * np.cos(azimuth), centre[1] + distance * np.sin(azimuth), z)
        target = np.asarray(centre) + rng.normal(0, 80, 3)
        f = rng.normal(1146, 2, 2)
        c = np.array([width, height]) / 2 + rng.normal(0, 8, 2)
        cameras[index] = look_at(position, target, f, c, width, height, roll=rng.normal(0, np.deg2rad(1)))
    return cameras


def in_image(joints: np.ndarray, camera: Camera) -> np.ndarray:
    """(F,) bool: all joints (F, J, 3) mm, camera axes, are in front of the camera and inside its image."""
    ahead = joints[..., 2].min(1) > MIN_DEPTH
    safe = np.where(ahead[:, None, None], joints, 1.0)
    pixels = camera_to_pixel(safe, camera.f, camera.c)
    return ahead & (pixels >= 0).all((1, 2)) & (pixels <= [camera.width, camera.height]).all((1, 2))


def stretches(ground: np.ndarray) -> list[slice]:
    """Cut a way (T, 2), mm, into stretches none of which is longer than ROOM in x or in y."""
    cuts, low, high = [0], ground[0], ground[0]
    for i, point in enumerate(ground):
        low, high = np.minimum(low, point), np.maximum(high, point)
        if (high - low).max() > ROOM:
            cuts.append(i)
            low = high = point
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], len(ground)], strict=True)]
