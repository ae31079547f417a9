"""Which way is up in a clip of a camera that stands still, from the people alone.

Three cues, each with its standard deviation, are combined by least squares in the two angles that turn a direction:
cameras are held upright; people who stand or walk are upright; places where feet stand lie in a horizontal plane. All but the
first are robust.
"""

from dataclasses import dataclass

import numpy as np

from lib.joints import HUMAN36M_17, JointSet

CAMERA_UP = np.array([0.0, -1.0, 0.0])

ROLL_SIGMA, PITCH_SIGMA = 5.0, 15.0
"""Degrees by which a camera is held askew: to the side, and up or down."""

BODY_SIGMA = 4.0
"""Degrees by which the mean axis of one lifted upright person misses the vertical (docs/body.md)."""

INDEPENDENT = 1.0
"""Seconds after which a person's lean is a new one."""

LEAN = 3.5
"""Degrees by which the line from the ankles to the neck leans forward in people who stand and walk (docs/body.md)."""

STRAIGHT = 30.0
"""Degrees that knees, and the torso against the legs, may be bent in an upright person."""

TILT_LIMIT = 45.0
"""Degrees from the camera's own vertical, or from its opposite, within which a straight person counts as upright."""

HEIGHT_SIGMA = 0.03
"""Metres by which the place of a planted foot misses a horizontal plane."""

STEPS = 6
"""Gauss-Newton steps, and re-weightings of places in each."""


@dataclass(frozen=True)
class Vertical:
    """up (3,): unit vector, camera axes; sigma: degrees, its standard deviation; 0 where the direction was given."""

    up: np.ndarray
    sigma: float


def body_axes(pose3d: np.ndarray, joint_set: JointSet = HUMAN36M_17) -> tuple[np.ndarray, np.ndarray]:
    """Where a person's own up is, (T, 3) unit, and in which frames (T,) bool it is the vertical's.

    pose3d (T, J, 3) in camera axes. Up is the line from the ankles to the neck, turned back by LEAN. A person is upright
    with straight knees and a torso in line with the legs, within TILT_LIMIT of the camera's vertical: not when lying. In an
    upside-down image people stand on the camera's head; then they are upright there.
    """
    at = {name: pose3d[:, joint_set.names.index(name)] for name in joint_set.names}
    ankles = (at["R_Ankle"] + at["L_Ankle"]) / 2
    line, torso, legs = _unit(at["Neck"] - ankles), _unit(at["Neck"] - at["Pelvis"]), _unit(at["Pelvis"] - ankles)
    left = at["L_Hip"] - at["R_Hip"]
    left = _unit(left - (left * line).sum(-1, keepdims=True) * line)
    forward = np.cross(left, line)
    lean = np.deg2rad(LEAN)
    axes = np.cos(lean) * line - np.sin(lean) * forward
    knees = [_angle(at[f"{side}_Knee"] - at[f"{side}_Hip"], at[f"{side}_Ankle"] - at[f"{side}_Knee"]) for side in "RL"]
    straight = (np.minimum(*knees) < STRAIGHT) & (_angle(torso, legs) < STRAIGHT)
    tilt = _angle(axes, CAMERA_UP)
    upright = straight & (tilt < TILT_LIMIT)
    inverted = straight & (tilt > 180 - TILT_LIMIT)
    return axes, inverted if inverted.sum() > upright.sum() else upright


def estimate_vertical(chosen: np.ndarray, seconds: float, places: np.ndarray | None = None) -> Vertical:
    """The vertical of a clip.

    chosen (N, 3): axes of upright people, from `body_axes`, seen for so many seconds; places (C, 3): where feet were planted,
    metres, camera axes, in front of the camera.
    """
    turned_over = len(chosen) and np.median(chosen @ CAMERA_UP) < 0
    start = -CAMERA_UP if turned_over else CAMERA_UP
    mean, spread = _robust_mean(chosen) if len(chosen) else (start, 0.0)
    sigma = np.deg2rad(np.hypot(BODY_SIGMA, spread / np.sqrt(1 + seconds / INDEPENDENT)))
    if seconds < INDEPENDENT:
        sigma *= np.sqrt(INDEPENDENT / max(seconds, 1e-3))
    up = mean
    places = np.zeros((0, 3)) if places is None else places
    for _ in range(STEPS):
        side = _unit(np.array([1.0, 0.0, 0.0]) - up[0] * up)
        basis = np.stack([side, np.cross(side, up)])  # what roll and pitch turn `up` towards
        away = [basis @ (start - up), basis @ (mean - up)]
        precision = [1 / np.deg2rad([ROLL_SIGMA, PITCH_SIGMA]) ** 2, np.full(2, sigma**-2 if len(chosen) else 0.0)]
        matrix = np.diag(precision[0] + precision[1])
        pull = sum(p * a for p, a in zip(precision, away, strict=True))
        if len(places) >= 3:
            level, slope, weight = _plane(places, up, basis)
            matrix = matrix + (slope * weight[:, None]).T @ slope
            pull = pull - (slope * weight[:, None]).T @ level
        step = np.linalg.solve(matrix, pull)
        up = _unit(up + step @ basis)
    return Vertical(up, float(np.rad2deg(np.sqrt(np.trace(np.linalg.inv(matrix)) / 2))))


def _plane(places: np.ndarray, up: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights (C,) of the places, their change (C, 2) as `up` turns, and robust weights (C,); height and tilt about the mean.

    Cauchy weights: a foot on a step, or one that was never planted, is half as heavy at HEIGHT_SIGMA from the plane.
    """
    height, slope = places @ up, places @ basis.T
    weight = np.ones(len(places))
    for _ in range(STEPS):
        middle = np.average(height, weights=weight)
        weight = 1 / (1 + ((height - middle) / HEIGHT_SIGMA) ** 2)
    mean = np.average(slope, axis=0, weights=weight)
    return height - middle, slope - mean, weight / HEIGHT_SIGMA**2


def _robust_mean(axes: np.ndarray) -> tuple[np.ndarray, float]:
    """The direction (3,) of least summed angles to axes (N, 3) (Weiszfeld), and their median distance from it in degrees."""
    mean = _unit(np.median(axes, axis=0))
    for _ in range(10):
        weight = 1 / np.maximum(_angle(axes, mean), 1.0)
        mean = _unit((axes * weight[:, None]).sum(0))
    return mean, float(np.median(_angle(axes, mean)))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between vectors (..., 3)."""
    return np.rad2deg(np.arccos(np.clip((_unit(a) * _unit(b)).sum(-1), -1, 1)))
