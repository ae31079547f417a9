"""Lifting people's own 2D keypoints to 3D; `Lifter` in lib/lifting/lifter.py is the door."""

from pathlib import Path

PRETRAINED = Path(__file__).resolve().parents[2] / "experiment" / "HGN_mocap_pretrained"
"""The project's own weights."""

DEFAULT_FPS = 25.0
"""Frames per second of an input without a frame rate."""

FPS_RANGE = (0.01, 10000.0)
"""Frames per second that are taken for a rate."""

MAX_IMAGE_SIDE = 1 << 20
"""Pixels. A larger width or height is a mistake."""

HEIGHT_RANGE = (0.3, 3.0)
"""Metres that are taken for a person's height."""

GAUSSIAN, ONE_EURO = SMOOTHERS = ("gaussian", "one-euro")
"""Ways of smoothing a lifted sequence over time (lib.lifting.smoothing)."""

FIT_SMOOTHNESS = 0.08
"""Seconds: what smooths a fitted body where no time is given."""
