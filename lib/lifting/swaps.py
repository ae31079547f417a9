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


def without_swaps(k: Keypoints, fps: float) -> tuple[Keypoints, list[str]]:
    """The keypoints with left and right exchanged back, legs and arms each for themselves, and a line about it.

    fps: frame numbers per second. Each frame is either as it was found or exchanged. What makes the way of the joints shortest
    is right, where each change costs JUMP and exchanged time RARE (Viterbi's algorithm). Frames farther apart than MAX_STEP have
    nothing to do with each other.
    """
    if len(k.frames) < 2:
        return k, []
    names, xy, scores = JOINT_SETS[k.joint_set].names, k.xy.copy(), k.scores.copy()
    seconds = np.diff(k.frames) / fps
    size = _size(k.xy)
    lines = []
    for limb, parts in LIMBS.items():
        left, right = np.array([[names.index(f"{side}_{part}") for part in parts] for side in "LR"])
        swapped = _exchanged(*_ways(k.xy[:, left], k.xy[:, right], size), seconds)
        if not swapped.any():
            continue
        here, there = (np.ix_(swapped, np.concatenate(pair)) for pair in ((left, right), (right, left)))
        xy[here], scores[here] = k.xy[there], k.scores[there]
        lines.append(f"person {k.person}: left and right {limb} exchanged in {frame_ranges(k.frames[swapped])}")
    return (replace(k, xy=xy, scores=scores), lines) if lines else (k, [])


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


def _exchanged(stay: np.ndarray, cross: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(T,) bool from the ways (T - 1,) of `_ways`; seconds (T - 1,): from frame to frame."""
    short, long = np.minimum(stay, cross), np.maximum(stay, cross)
    shows = (seconds <= MAX_STEP) & (short < np.maximum(CONTINUOUS, CLEAR * long))  # NaN is no evidence
    same, change = np.where(shows, stay, 0.0), np.where(shows, cross + JUMP, 0.0)
    rare = RARE * np.minimum(seconds, MAX_STEP)
    cost, origin = np.array([0.0, rare[0]]), np.zeros((len(stay), 2), int)
    for t, ways in enumerate(zip(same, change, strict=True)):
        paths = cost[:, None] + np.array([ways, ways[::-1]])  # [from, to]
        origin[t] = paths.argmin(0)
        cost = paths.min(0) + [0.0, rare[t]]
    state = np.zeros(len(stay) + 1, bool)
    state[-1] = cost.argmin()
    for t in range(len(stay) - 1, -1, -1):
        state[t] = origin[t, int(state[t + 1])]
    return state
