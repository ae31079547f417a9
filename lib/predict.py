"""`from lib.predict import Lifter`: 2D keypoints to 3D poses, see `lib.lifting.lifter`."""

from lib.errors import PoseWarning
from lib.lifting.lifter import Lifter

__all__ = ["Lifter", "PoseWarning"]
