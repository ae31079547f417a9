"""A lifted person, smoothed over time, never across a pause, a cut or a jump."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from lib.errors import UserError
from lib.lifting import GAUSSIAN
from lib.lifting.floor.path import Cue, solve_path
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.quality import jitter, limb_spread
from lib.lifting.root_translation import placement_precision
from lib.lifting.smoothing import gaussian, one_euro, stretches
from lib.lifting.virtual_camera import jumps

SIGMA = 0.05
"""Seconds: standard deviation of the Gaussian of `--smooth gaussian`; what people do in captured motion stays (docs/body.md)."""

MAX_TURN, MAX_TURN_RATE = 0.1, 2.0
"""Metres, and metres per second, by which the joints of a pose move on average between two frames. In motion capture of
acrobats that is 0.06 m at 30 frames a second; more is an ambiguous view, as of a back that was taken for a front."""

SHORT_FLIP = 0.3
"""Seconds; a pose that turns over and back within them was a mistake."""


def smoothed(sequence: PoseSequence, way: str = GAUSSIAN) -> PoseSequence:
    """The sequence with pose, root and meshes filtered over time, and with the `quality` of the result.

    way: GAUSSIAN, which looks at the frames before and after each one (`without_flips`, `gaussian` with SIGMA, `steady_root`), or
    ONE_EURO, which looks at those before (`one_euro`). UserError where a body was fitted already: filtered joints would leave it.
    """
    if sequence.body is not None:
        raise UserError("smooth before a body is fitted: the fit keeps what is smooth")
    if way == GAUSSIAN:
        sequence = without_flips(sequence)
    parts = steady_parts(sequence)

    def calm(points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        if way == GAUSSIAN:
            return gaussian(points, frames / sequence.fps, SIGMA)
        return one_euro(points, sequence.fps / np.diff(frames))

    def smooth(points: np.ndarray) -> np.ndarray:
        found = np.concatenate([calm(points[part], sequence.frames[part]) for part in parts])
        return found.astype(points.dtype, copy=False)

    root = sequence.root
    if root is not None:
        root = steady_root(sequence) if way == GAUSSIAN else smooth(root[:, None])[:, 0]
    meshes = tuple(smooth(mesh) for mesh in sequence.meshes)
    pose, quality = smooth(sequence.pose3d), sequence.quality
    if quality is not None:
        spread, shaking = limb_spread(pose, sequence.joint_set), jitter(pose, sequence.frames, sequence.fps)
        quality = replace(quality, limb_spread=spread, jitter=shaking)
    return replace(sequence, pose3d=pose, root=root, meshes=meshes, quality=quality)


def steady_root(sequence: PoseSequence) -> np.ndarray | None:
    """The root's places (T, 3), metres, of a pelvis that accelerates as people do; None where the sequence has none.

    Each frame's place counts as surely as its keypoints say it, which is far less along the line of sight than across.
    """
    if sequence.root is None:
        return None
    cue = Cue(sequence.root, placement_precision(sequence))
    return solve_path(cue, None, [], sequence.seconds, steady_parts(sequence))[0]


def without_flips(sequence: PoseSequence) -> PoseSequence:
    """The sequence without short mistakes: where a pose turns over and within SHORT_FLIP back to what it was, joints and meshes
    take the straight way between the frames before and after."""
    pose, seconds = sequence.pose3d, sequence.seconds
    moved = jumps(sequence.pose2d, seconds)
    points = [pose.copy(), *(mesh.copy() for mesh in sequence.meshes)]
    mended = 0
    for start, stop in pairwise(np.flatnonzero(_turned_over(pose, seconds)).tolist()):
        ends = [start - 1, stop]
        if start < mended or np.ptp(seconds[ends]) > SHORT_FLIP or moved[start : stop + 1].any():
            continue
        if _turned_over(pose[ends], seconds[ends]).any():
            continue
        share = (seconds[start:stop] - seconds[start - 1]) / np.ptp(seconds[ends])
        for values in points:
            before, after = values[ends]
            values[start:stop] = before + share[:, None, None] * (after - before)
        mended = stop + 1
    return replace(sequence, pose3d=points[0], meshes=tuple(points[1:]))


def steady_parts(sequence: PoseSequence) -> list[slice]:
    """The rows in which the person moves steadily: without a pause, a cut, a jump, or a pose that turns over at once."""
    breaks = jumps(sequence.pose2d, sequence.seconds) | _turned_over(sequence.pose3d, sequence.seconds)
    return stretches(sequence.frames, sequence.fps, breaks)


def _turned_over(pose3d: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(T,) bool: frames whose pose is not what the pose before can have become; pose3d (T, J, 3) at times (T,)."""
    step = np.linalg.norm(np.diff(pose3d, axis=0), axis=-1).mean(1)
    return np.concatenate([[False], step > MAX_TURN + MAX_TURN_RATE * np.diff(seconds)])
