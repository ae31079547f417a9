"""The floor in front of a camera, and the axes that are level with it."""

from dataclasses import dataclass

import numpy as np

UNCERTAIN = 6.0
"""Degrees of standard deviation above which a vertical is warned about."""


@dataclass(frozen=True)
class Floor:
    """A plane in camera axes (x right, y down, z forward), the same in all frames.

    up (3,): unit vector against gravity; height: metres along `up` from the camera to the floor, below 0 where the camera is
    above it; up_sigma, degrees, and height_sigma, metres: standard deviations, 0 where the value was given.
    """

    up: np.ndarray
    height: float
    up_sigma: float = 0.0
    height_sigma: float = 0.0

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3): camera axes to level axes, `level = rotation @ camera`: y down along gravity, z the camera's forward
        direction without its tilt."""
        down = -self.up
        view = np.array([0.0, 0.0, 1.0]) - down[2] * down
        if np.linalg.norm(view) < 1e-3:  # a camera that looks straight down or up: its upper edge is forward
            view = np.array([0.0, -1.0, 0.0]) + down[1] * down
        forward = view / np.linalg.norm(view)
        return np.stack([np.cross(down, forward), down, forward])

    def to_level(self, points: np.ndarray) -> np.ndarray:
        """Places (..., 3), metres, camera axes, to level axes with the floor at y = 0 and the camera above x = z = 0."""
        return points @ self.rotation.T + [0.0, self.height, 0.0]

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `to_level`."""
        return (points - [0.0, self.height, 0.0]) @ self.rotation

    def __str__(self) -> str:
        tilt = np.rad2deg(np.arccos(np.clip(-self.up[1], -1, 1)))
        vertical = f"vertical {tilt:.0f} degrees from the camera's"
        vertical += f" (+- {self.up_sigma:.1f})" if self.up_sigma else " (given)"
        side = "below" if self.height <= 0 else "above"
        return f"{vertical}, floor {abs(self.height):.2f} m {side} the camera (+- {100 * self.height_sigma:.0f} cm)"

    def warnings(self) -> list[str]:
        """A clause where the vertical should not be trusted."""
        if self.up_sigma <= UNCERTAIN:
            return []
        return [
            f"the vertical is uncertain by {self.up_sigma:.1f} degrees (usual: below {UNCERTAIN:.0f}), as nobody is seen to "
            "stand or walk upright for long; give it with --up"
        ]
