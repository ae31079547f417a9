"""Left and right that a detector took for each other: in a motion they change places from one frame to the next, and back."""

from dataclasses import replace

import numpy as np

from lib.joints import JOINT_SETS
from lib.joints.imputation import frame_ranges
from lib.lifting.keypoints.readers import Keypoints

LIMBS = {"legs": ("Hip", "Knee", "Ankle"), "arms": ("Shoulder", "Elbow", "Wrist")}
"""Joints that are exchanged together."""

MAX_STEP = 0.05
"""Seconds from frame to frame, at most: in more a sprinter's legs really change places."""

JUMP = 0.06
"""By how much shorter the joints' way must be if they have changed places, on average, in parts of the person's size. In motion
capture of acrobats seen by cameras it is 0.012 at most at 30 frames a second and 0.057 at 10, without any exchange."""

CONTINUOUS, CLEAR = 0.1, 0.6
"""A step shows something where the shorter of both ways is below CONTINUOUS, or CLEAR of the longer one; others are cuts."""

RARE = 0.1
"""Parts of the person's size that a second of exchanged frames costs. Detectors take left for right for moments, so of two ways
to read a clip the one with less of it is right, and what is long and doubtful stays as it was found."""

START = np.array([0.0, RARE * MAX_STEP])
"""What it costs that the first frame is as it was found, and that it is exchanged."""


def without_swaps(k: Keypoints, fps: float) -> tuple[Keypoints, list[str]]:
    """The keypoints with left and right exchanged back, legs and arms each for themselves, and a line about it.

    fps: frame numbers per second. Each frame is either as it was found or exchanged. What makes the way of the joints shortest
    is right, where each change costs JUMP and exchanged time RARE (Viterbi's algorithm). Frames farther apart than MAX_STEP have
    nothing to do with each other.
    """
    swapped = {limb: _cheapest(_costs(k, limb, fps)) for limb in LIMBS}
    lines = [
        f"person {k.person}: left and right {limb} exchanged in {frame_ranges(k.frames[rows])}"
        for limb, rows in swapped.items()
        if rows.any()
    ]
    return (_exchanged(k, swapped), lines) if lines else (k, [])


class LiveSwaps:
    """`without_swaps` for one person as the frames come: what those so far say (the first half of Viterbi's algorithm).

    Frames after it would correct some decisions; docs/joints.md has what that costs.
    """

    def __init__(self) -> None:
        self._last: Keypoints | None = None
        self._cost = dict.fromkeys(LIMBS, START)

    def __call__(self, k: Keypoints, fps: float) -> Keypoints:
        """The keypoints of one frame (T = 1), which comes after those before; fps: frame numbers per second."""
        last, self._last = self._last, k
        if last is None:
            return k
        both = replace(k, frames=np.concatenate([last.frames, k.frames]), xy=np.concatenate([last.xy, k.xy]))
        self._cost = {limb: (cost[:, None] + _costs(both, limb, fps)[0]).min(0) for limb, cost in self._cost.items()}
        return _exchanged(k, {limb: cost[None].argmin(1) == 1 for limb, cost in self._cost.items()})


def _joints(joint_set: str, limb: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the left joints of a limb, and of the right ones."""
    names = JOINT_SETS[joint_set].names
    left, right = np.array([[names.index(f"{side}_{part}") for part in LIMBS[limb]] for side in "LR"])
    return left, right


def _exchanged(k: Keypoints, swapped: dict[str, np.ndarray]) -> Keypoints:
    """The keypoints with left and right exchanged in rows (T,) bool of each limb."""
    xy, scores = k.xy.copy(), k.scores.copy()
    for limb, rows in swapped.items():
        left, right = _joints(k.joint_set, limb)
        here, there = (np.ix_(rows, np.concatenate(pair)) for pair in ((left, right), (right, left)))
        xy[here], scores[here] = k.xy[there], k.scores[there]
    return replace(k, xy=xy, scores=scores)


def _size(xy: np.ndarray) -> np.ndarray:
    """(T,): larger side of the box of the known joints; at least a pixel."""
    known = np.isfinite(xy).all(-1, keepdims=True)
    box = np.where(known, xy, -np.inf).max(1) - np.where(known, xy, np.inf).min(1)
    return np.maximum(box.max(-1), 1.0)


def _ways(left: np.ndarray, right: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T - 1,) each: how far the joints (T, J, 2) of both sides go from frame to frame, on average, in parts of the person's size
    (T,): if they are what they are called, and if they have changed places. NaN where less than two thirds are known."""
    before, after = np.concatenate([left, right], 1)[:-1], np.concatenate([left, right], 1)[1:]
    other = np.concatenate([right, left], 1)[1:]
    ways = np.linalg.norm(np.stack([after - before, other - before]), axis=-1)  # (2, T - 1, 2 J)
    known = np.isfinite(ways).all(0)
    ways = np.where(known, ways, 0).sum(-1) / np.maximum(known.sum(-1), 1)
    ways = np.where(3 * known.sum(-1) >= 2 * known.shape[1], ways, np.nan) / np.maximum(size[1:], size[:-1])
    return ways[0], ways[1]


def _costs(k: Keypoints, limb: str, fps: float) -> np.ndarray:
    """(T - 1, 2, 2): what each step costs from a frame as it was found (0) or exchanged (1) to the next one, likewise."""
    left, right = _joints(k.joint_set, limb)
    stay, cross = _ways(k.xy[:, left], k.xy[:, right], _size(k.xy))
    seconds = np.diff(k.frames) / fps
    short, long = np.minimum(stay, cross), np.maximum(stay, cross)
    shows = (seconds <= MAX_STEP) & (short < np.maximum(CONTINUOUS, CLEAR * long))  # NaN is no evidence
    same, change = np.where(shows, stay, 0.0), np.where(shows, cross + JUMP, 0.0)
    rare = RARE * np.minimum(seconds, MAX_STEP)
    return np.moveaxis(np.array([[same, change + rare], [change, same + rare]]), -1, 0)


def _cheapest(costs: np.ndarray) -> np.ndarray:
    """(T,) bool: which frames are exchanged in the cheapest way through the steps (T - 1, 2, 2) of `_costs`."""
    total, origin = START, np.zeros(costs.shape[:2], int)
    for t, step in enumerate(costs):
        ways = total[:, None] + step
        origin[t], total = ways.argmin(0), ways.min(0)
    state = np.zeros(len(costs) + 1, bool)
    state[-1] = total.argmin()
    for t in range(len(costs) - 1, -1, -1):
        state[t] = origin[t, int(state[t + 1])]
    return state
