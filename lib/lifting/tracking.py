"""Who is who from frame to frame: 2D detections of several people to track numbers, one frame at a time.

A track is predicted by its motion; a detection fits it as well as its joints match the predicted ones (the overlap of
bodies, not only of boxes) and have their size. Tracks and detections are matched by optimal assignment (Kuhn 1955,
through SciPy). Nothing but the tracks of the last `MAX_GAP` seconds is kept, so a video of any length can be tracked.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from lib.lifting import DEFAULT_FPS

MAX_GAP = 1.5
"""Seconds after which a person who comes back gets a new number."""

REACH = 0.5
"""Farthest that a detection may be from where its track is predicted, in diagonals of the track's box, and ..."""

DRIFT = 0.5
"""... how much that grows with every second since the track was last seen: predictions get worse."""

FEW_JOINTS = 0.5
"""Cost of a detection without a joint in common with the track; in proportion with fewer missing. Ghosts have few joints."""

ABSENCE = 0.3
"""Cost of a track that was last seen MAX_GAP seconds ago; in proportion before that. Fresh tracks win."""

YOUTH = 0.2
"""Cost of a track that was seen once; it falls with the number of times. Long tracks win over flickering ghosts."""

GROWTH = 1.0
"""Cost of a detection that is larger than its track by a factor of e, or smaller; in proportion to the logarithm. Of two
people who cross, the nearer one hides the other, and is larger: what is seen is theirs."""

UNMATCHED = 1.0
"""What it costs to leave a track and a detection without partner; a detection at REACH costs as much."""

MOST_HIDDEN = 2.0
"""Largest factor from the box of the seen joints to the person's: the root of all joints over the seen ones, up to this."""

FAR_AWAY = 1e7
"""px: coordinates beyond are no places in an image."""

VELOCITY_GAIN = 0.25
"""How much of the prediction's error corrects the velocity; the first corrections are larger."""

STRAIGHT_ON = 1.0
"""Seconds for which an unseen person is expected to go straight on; then their predicted position stays."""


@dataclass
class _Track:
    """number: track number; joints (J, 2) px, NaN where never seen; velocity (2,) px per second; size: diagonal of the
    box in px; time: seconds, when last seen; length: times seen."""

    number: int
    joints: np.ndarray
    velocity: np.ndarray
    size: float
    time: float
    length: int = 1

    def predicted(self, time: float) -> np.ndarray:
        """(J, 2) px at a time in seconds."""
        return self.joints + self.velocity * min(time - self.time, STRAIGHT_ON)

    def see(self, joints: np.ndarray, time: float) -> None:
        """Continue with the joints (J, 2) of a detection, NaN where missing; missing ones move along."""
        predicted, pause = self.predicted(time), time - self.time
        error = joints - predicted
        if np.isfinite(error).any():
            error = np.nanmedian(error[np.isfinite(error).all(-1)], axis=0)
            self.velocity = self.velocity + max(VELOCITY_GAIN, 1 / self.length) * error / pause
        else:
            error = np.zeros(2)
        self.joints = np.where(np.isfinite(joints), joints, predicted + error)
        self.size = max(0.95 * self.size, _diagonal(joints))
        self.time, self.length = time, self.length + 1


class Tracker:
    """Follows people through a video, frame by frame.

    rate: frame numbers per second. Track numbers count from 0 in the order in which people appear, those of one frame
    from left to right in the detections' order; a number is never used twice.
    """

    def __init__(self, rate: float = DEFAULT_FPS):
        self.rate = rate
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, frame: int, detections: np.ndarray) -> np.ndarray:
        """Track numbers (K,) of the detections (K, J, 3) in one frame; K may be 0.

        detections: x, y in px and a score; a joint is missing where its score is not above 0 or a value is not finite or
        beyond FAR_AWAY.
        frame: number of the frame, larger than in the call before (ValueError otherwise). A detection without joints
        begins a track of its own.
        """
        time = frame / self.rate
        if any(track.time >= time for track in self._tracks):
            raise ValueError(f"frame {frame} does not come after the frame before it")
        self._tracks = [track for track in self._tracks if time - track.time <= MAX_GAP]
        detections = np.asarray(detections, np.float64)
        missing = ~(np.abs(detections) < FAR_AWAY).all(-1) | ~(detections[..., 2] > 0)
        joints = np.where(missing[..., None], np.nan, detections[..., :2])
        cost = np.array([[_cost(track, here, time) for track in self._tracks] for here in joints])
        numbers = np.full(len(joints), -1)
        if cost.size:
            for i, k in zip(*linear_sum_assignment(np.minimum(cost, UNMATCHED)), strict=True):
                if cost[i, k] < UNMATCHED:
                    self._tracks[k].see(joints[i], time)
                    numbers[i] = self._tracks[k].number
        for i in np.flatnonzero(numbers < 0):
            numbers[i], self._count = self._count, self._count + 1
            self._tracks.append(_Track(numbers[i], joints[i], np.zeros(2), _diagonal(joints[i]), time))
        return numbers


def _cost(track: _Track, joints: np.ndarray, time: float) -> float:
    """How badly a detection (J, 2) fits a track: distance over reach, and the penalties listed above."""
    predicted, pause = track.predicted(time), time - track.time
    known, seen = np.isfinite(predicted).all(-1), np.isfinite(joints).all(-1)
    both = known & seen
    if not both.any():
        return np.inf
    distance = np.linalg.norm(joints[both] - predicted[both], axis=-1).mean() / max(track.size, 1e-9)
    return (
        distance / (REACH + DRIFT * pause)
        + GROWTH * abs(np.log(_spread(joints[both]) / _spread(predicted[both])))
        + FEW_JOINTS * (1 - both.sum() / known.sum())
        + ABSENCE * pause / MAX_GAP
        + YOUTH / track.length
    )


def _spread(points: np.ndarray) -> float:
    """Root mean square distance of points (N, 2) from their middle, px; at least 1."""
    return max(float(np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean())), 1.0)


def _diagonal(joints: np.ndarray) -> float:
    """Diagonal of the box of the person whose seen joints (J, 2) these are; few joints span only a part of it."""
    seen = joints[np.isfinite(joints).all(-1)]
    if not len(seen):
        return 0.0
    return float(np.linalg.norm(np.ptp(seen, axis=0))) * min(np.sqrt(len(joints) / len(seen)), MOST_HIDDEN)
