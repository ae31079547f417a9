"""Made-up photographs of people, who are then lifted one by one."""

import numpy as np

from lib.camera import camera_to_pixel

SIZE = (1280, 720)
"""Pixels of the image."""

DISTANCE = 5.0
"""Metres from the camera to the pelvis, where nothing else is said."""


def photographed(
    people: np.ndarray, focal: float, root: tuple[float, ...] | np.ndarray = (0.0, 0.0, DISTANCE)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, 17, 2) of people (N, 17, 3), metres, relative to the pelvis, in camera axes; the camera f_x, f_y, c_x, c_y (4,)
    in pixels; and frame numbers (N,) so far apart that the people have nothing to do with each other.

    focal: in parts of the image's longer side; root: where the pelvis is, metres, by default in the middle of the image.
    """
    camera = np.array([focal * max(SIZE), focal * max(SIZE), SIZE[0] / 2, SIZE[1] / 2])
    return camera_to_pixel(people + root, camera[:2], camera[2:]), camera, 1000 * np.arange(len(people))
