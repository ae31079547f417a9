"""How far a person's 3D poses can be trusted, from the poses alone.

The numbers need no ground truth: bones do not change their length, people do not shake, and a right pose projects onto
the joints that it was lifted from. docs/predict.md has how the limits were derived.
"""

from dataclasses import dataclass

import numpy as np

from lib.joints import JointSet

LIMBS = (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
"""Thigh, shank, upper arm, forearm: each once on the right and once on the left."""

STEP = 0.04
"""Seconds between the three poses that an acceleration is taken from, or the step from frame to frame where that is longer."""

INVERTED_BY = 0.1
"""Parts of the person's size by which the neck is below the pelvis, and the feet above it, in an inverted person."""

MAX_LIMB_SPREAD, MAX_MISFIT, MAX_INVERTED, MAX_JITTER, MAX_IMPUTED = 0.12, 0.022, 0.1, 65.0, 0.2
"""Limits above which `Quality.warnings` warns."""


@dataclass(frozen=True)
class Quality:
    """How far one person's poses can be trusted.

    limb_spread: coefficient of variation (standard deviation over mean) of a limb's length over all frames and both sides,
    mean of the four limbs; misfit: mean distance of the projected 3D joints from the 2D joints, in parts of the person's
    size in the image; inverted: fraction of the frames in which the person is upside down in the image; jitter: mean
    acceleration of the joints in m/s2, None where fewer than three frames are evenly spaced; imputed: fraction of the 2D
    joints that were not detected but imputed.
    """

    limb_spread: float
    misfit: float
    inverted: float
    jitter: float | None
    imputed: float

    def warnings(self) -> list[str]:
        """One clause for every number above its limit."""
        found = []
        if self.limb_spread > MAX_LIMB_SPREAD:
            found.append(
                f"limb lengths vary by {self.limb_spread:.0%} (usual: below {MAX_LIMB_SPREAD:.0%}); the pose may be "
                "wrong: check the keypoints, or it is unlike the poses of the training"
            )
        if self.misfit > MAX_MISFIT:
            found.append(
                f"the 3D joints miss the keypoints by {self.misfit:.1%} of the person's size (usual: below {MAX_MISFIT:.1%}); "
                "check the order of the joints, or the body is unlike those of the training"
            )
        if self.inverted > MAX_INVERTED:
            found.append(
                f"the person is upside down in {self.inverted:.0%} of the frames (limit: {MAX_INVERTED:.0%}); check that the "
                "image is upright"
            )
        if self.jitter is not None and self.jitter > MAX_JITTER:
            found.append(
                f"joints shake with {self.jitter:.0f} m/s2 (usual: below {MAX_JITTER:.0f}); check the frame rate, or use "
                "--smooth"
            )
        if self.imputed > MAX_IMPUTED:
            found.append(f"{self.imputed:.0%} of the joints were imputed (limit: {MAX_IMPUTED:.0%})")
        return found

    def __str__(self) -> str:
        jitter = "" if self.jitter is None else f", joints accelerate by {self.jitter:.1f} m/s2"
        imputed = f", {self.imputed:.1%} of the joints imputed" if self.imputed else ""
        inverted = f", upside down in {self.inverted:.0%} of the frames" if self.inverted else ""
        return f"limb lengths vary by {self.limb_spread:.1%}, misfit {self.misfit:.1%}{inverted}{jitter}{imputed}"


def misfit(pose3d: np.ndarray, pose2d: np.ndarray) -> float:
    """Mean distance of the projected joints from the 2D joints, in parts of the larger side of the 2D joints' box.

    pose3d (T, J, 3) in the axes of a camera that looks at the person, pose2d (T, J, 2) as that camera sees them. The
    projection is scaled orthographic, with the scale and the place that fit best in each frame, so neither focal length
    nor distance plays a part.
    """
    size = np.ptp(pose2d, axis=1).max(-1)
    seen = pose2d - pose2d.mean(1, keepdims=True)
    flat = pose3d[..., :2] - pose3d[..., :2].mean(1, keepdims=True)
    scale = (flat * seen).sum((1, 2)) / np.maximum((flat**2).sum((1, 2)), 1e-12)
    distance = np.linalg.norm(scale[:, None, None] * flat - seen, axis=-1).mean(1)
    return float((distance / size).mean())


def inverted(pose2d: np.ndarray, joint_set: JointSet) -> float:
    """Fraction of the frames with the neck below the pelvis and the feet above it, by INVERTED_BY; pose2d (T, J, 2), y down."""
    y = {name: pose2d[:, joint_set.names.index(name), 1] for name in ("Neck", "Pelvis", "R_Ankle", "L_Ankle")}
    margin = INVERTED_BY * np.ptp(pose2d, axis=1).max(-1)
    head_down = y["Neck"] - y["Pelvis"] > margin
    feet_up = y["Pelvis"] - (y["R_Ankle"] + y["L_Ankle"]) / 2 > margin
    return float((head_down & feet_up).mean())


def limb_spread(pose3d: np.ndarray, joint_set: JointSet) -> float:
    """Mean over LIMBS of the coefficient of variation of the limb's lengths, both sides and all frames together."""
    spreads = []
    for upper, lower in LIMBS:
        ends = [[joint_set.names.index(f"{side}_{name}") for side in "RL"] for name in (upper, lower)]
        lengths = np.linalg.norm(pose3d[:, ends[0]] - pose3d[:, ends[1]], axis=-1)
        spreads.append(lengths.std() / max(lengths.mean(), 1e-9))
    return float(np.mean(spreads))


def jitter(pose3d: np.ndarray, frames: np.ndarray, fps: float) -> float | None:
    """Mean acceleration of all joints, m/s2, over triples of frames STEP apart."""
    if len(frames) < 3:
        return None
    usual = int(np.diff(frames).min())
    step = usual * max(1, round(STEP * fps / usual))
    rows = np.flatnonzero(np.isin(frames, frames - step) & np.isin(frames, frames + step))
    if not len(rows):
        return None
    before, after = np.searchsorted(frames, frames[rows] - step), np.searchsorted(frames, frames[rows] + step)
    change = pose3d[before] - 2 * pose3d[rows] + pose3d[after]
    return float(np.linalg.norm(change, axis=-1).mean() * (fps / step) ** 2)
