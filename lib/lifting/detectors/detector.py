"""The interface of everything that finds people's joints in images."""

from typing import Protocol

import numpy as np


class Detector(Protocol):
    """Finds people in the frames of one video; called with one frame after the other, so it may follow them.

    name: for messages; joint_set: a key of `lib.joints.JOINT_SETS`.
    """

    name: str
    joint_set: str

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The people in a frame (H, W, 3) uint8 RGB: (K, J, 3), x, y in pixels of the frame and a score in [0, 1], 0 where
        a joint is missing. K is 0 if no person is found; the order of people is arbitrary."""
        ...
