"""How far a person's 3D poses can be trusted, from the poses alone.

The numbers need no ground truth: bones do not change their length, and people do not shake. docs/predict.md says how the
limits were derived.
"""

from dataclasses import dataclass

import numpy as np

from lib.joints import JointSet

LIMBS = (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
"""Thigh, shank, upper arm, forearm: each once on the right and once on the left."""

STEP = 0.04
"""Seconds between the three poses that an acceleration is taken from, or the step from frame to frame where that is longer."""

MAX_LIMB_SPREAD = 0.2
MAX_JITTER = 20.0
MAX_IMPUTED = 0.2


@dataclass(frozen=True)
class Quality:
    """limb_spread: coefficient of variation (standard deviation over mean) of a limb's length over all frames and both
    sides, mean of the four limbs; jitter: mean acceleration of the joints in m/s2, None where fewer than three frames
    are evenly spaced; imputed: share of the 2D joints that were not detected but imputed."""

    limb_spread: float
    jitter: float | None
    imputed: float

    def warnings(self) -> list[str]:
        """One clause for every number above its limit."""
        found = []
        if self.limb_spread > MAX_LIMB_SPREAD:
            found.append(
                f"limb lengths vary by {self.limb_spread:.0%} (usual: below {MAX_LIMB_SPREAD:.0%}); check the image size "
                "and the keypoints, or the pose is unlike those of the training"
            )
        if self.jitter is not None and self.jitter > MAX_JITTER:
            found.append(
                f"joints shake with {self.jitter:.0f} m/s2 (usual: below {MAX_JITTER:.0f}); check the frame rate, or use "
                "--smooth one-euro"
            )
        if self.imputed > MAX_IMPUTED:
            found.append(f"{self.imputed:.0%} of the joints were imputed (limit: {MAX_IMPUTED:.0%})")
        return found

    def __str__(self) -> str:
        jitter = "" if self.jitter is None else f", joints accelerate by {self.jitter:.1f} m/s2"
        imputed = f", {self.imputed:.1%} of the joints imputed" if self.imputed else ""
        return f"limb lengths vary by {self.limb_spread:.1%}{jitter}{imputed}"


def measure(pose3d: np.ndarray, joint_set: JointSet, frames: np.ndarray, fps: float, imputed: np.ndarray) -> Quality:
    """Quality of one person's poses (T, J, 3), metres, at increasing frame numbers (T,) of fps; imputed (T, J) bool."""
    return Quality(limb_spread(pose3d, joint_set), jitter(pose3d, frames, fps), float(imputed.mean()))


def limb_spread(pose3d: np.ndarray, joint_set: JointSet) -> float:
    """Mean over LIMBS of the coefficient of variation of the limb's lengths, both sides and all frames together."""
    spreads = []
    for upper, lower in LIMBS:
        ends = [[joint_set.names.index(f"{side}_{name}") for side in "RL"] for name in (upper, lower)]
        lengths = np.linalg.norm(pose3d[:, ends[0]] - pose3d[:, ends[1]], axis=-1)
        spreads.append(lengths.std() / max(lengths.mean(), 1e-9))
    return float(np.mean(spreads))


def jitter(pose3d: np.ndarray, frames: np.ndarray, fps: float) -> float | None:
    """Mean acceleration of all joints, m/s2, over triples of frames that lie STEP apart."""
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
