"""Four cameras around a capture space, like Human3.6M's studio, for annotations that this project makes itself."""

import numpy as np

from lib.camera import Camera, look_at

# Orders of magnitude of the published calibration: about 5 m away at 1.5 m height, 1145 px focal length,
# pictures of 1000 x 1002 (cameras 1 and 4) and 1000 x 1000 pixels (cameras 2 and 3).
_AZIMUTHS = np.deg2rad([45.0, -45.0, 135.0, -135.0])
_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))


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
