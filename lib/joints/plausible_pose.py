"""What people look like in 2D: a Gaussian over the 17 joints, learned from motion capture.

It completes people of whom only a part is seen (conditional mean) and measures how much a set of joints looks like a
person (Mahalanobis distance), which distinguishes keypoint conventions. Place and size in the image are free: with the
mean m, the covariance C and the seen joints o,

    x_o = s m_o + t + e_o,  e ~ N(0, s^2 C),     s, t by generalised least squares,
    missing joints u:  x_u = s m_u + t + C_uo C_oo^-1 (x_o - s m_o - t).

`python -m data.plausible_pose` makes the file; docs/joints.md has what it is worth.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.joints.skeletons import HUMAN36M_17

FILE = Path(__file__).with_name("plausible_pose.npz")

MIN_KNOWN = 3
"""Joints that must be seen to place the others."""


@dataclass(frozen=True)
class PlausiblePose:
    """mean (J, 2) and covariance (2 J, 2 J), x and y in turn, of poses with centroid 0 and root mean square size 1."""

    mean: np.ndarray
    covariance: np.ndarray

    def complete(self, xy: np.ndarray) -> np.ndarray:
        """xy (T, J, 2), NaN where missing: a new array with every missing joint at its conditional mean.

        Frames with fewer than MIN_KNOWN joints are unchanged.
        """
        out = xy.copy()
        for known, rows in _by_pattern(xy):
            if known.sum() < MIN_KNOWN or known.all():
                continue
            o, u = np.repeat(known, 2), np.repeat(~known, 2)
            fitted, rest = self._fit(xy[rows][:, known], known)
            missing = self.covariance[np.ix_(u, o)] @ np.linalg.solve(self.covariance[np.ix_(o, o)], rest.T)
            out[np.ix_(rows, ~known)] = (fitted @ self._design()[u].T + missing.T).reshape(len(rows), -1, 2)
        return out

    def distance(self, xy: np.ndarray) -> np.ndarray:
        """(T,) how unlike a person each pose xy (T, J, 2) is, NaN where missing; near 1 for people.

        The Mahalanobis distance of the seen joints, over the root of their number; infinite where too few are seen or
        are all at one point.
        """
        out = np.full(len(xy), np.inf)
        for known, rows in _by_pattern(xy):
            if known.sum() < MIN_KNOWN:
                continue
            o = np.repeat(known, 2)
            _, rest = self._fit(xy[rows][:, known], known)
            squared = np.einsum("ti,it->t", rest, np.linalg.solve(self.covariance[np.ix_(o, o)], rest.T))
            size = _spread(xy[rows][:, known]) / _spread(self.mean[known])
            with np.errstate(divide="ignore", invalid="ignore"):
                value = np.sqrt(squared / (2 * known.sum())) / size
            out[rows] = np.where(size > 0, value, np.inf)
        return out

    def _design(self) -> np.ndarray:
        """(2 J, 3): what size and place (s, t_x, t_y) do to the coordinates."""
        return np.column_stack(
            [self.mean.ravel(), np.tile([1.0, 0.0], len(self.mean)), np.tile([0.0, 1.0], len(self.mean))]
        )

    def _fit(self, seen: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Size and place (T, 3) of the seen joints (T, K, 2), and what is left over (T, 2 K)."""
        o = np.repeat(known, 2)
        A, flat = self._design()[o], seen.reshape(len(seen), -1)
        weighted = np.linalg.solve(self.covariance[np.ix_(o, o)], A)
        fitted = np.linalg.solve(A.T @ weighted, weighted.T @ flat.T).T
        return fitted, flat - fitted @ A.T


@functools.cache
def plausible_pose() -> PlausiblePose:
    """The Gaussian that the project ships, of Human3.6M's 17 joints."""
    with np.load(FILE) as file:
        half = file["covariance_half"].astype(np.float64)
        covariance = np.zeros((2 * len(HUMAN36M_17),) * 2)
        covariance[np.triu_indices(len(covariance))] = half
        return PlausiblePose(file["mean"].astype(np.float64), covariance + np.triu(covariance, 1).T)


def learn(poses: np.ndarray, noise: float) -> PlausiblePose:
    """The Gaussian of poses (N, J, 2), whose joints are detected with a standard deviation of noise (parts of the size)."""
    centred = poses - poses.mean(1, keepdims=True)
    normal = (centred / _spread(poses)[:, None, None]).reshape(len(poses), -1)
    covariance = np.cov(normal.T) + noise**2 * np.eye(normal.shape[1])
    return PlausiblePose(normal.mean(0).reshape(-1, 2), covariance)


def save(pose: PlausiblePose, path: Path) -> None:
    """Write what `plausible_pose` reads: single precision, half of the symmetric covariance."""
    half = pose.covariance[np.triu_indices(len(pose.covariance))]
    np.savez(path, mean=pose.mean.astype(np.float32), covariance_half=half.astype(np.float32))


def _spread(xy: np.ndarray) -> np.ndarray:
    """Root mean square distance of the joints (..., J, 2) from their centroid."""
    return np.sqrt(((xy - xy.mean(-2, keepdims=True)) ** 2).sum(-1).mean(-1))


def _by_pattern(xy: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Which joints are seen (J,) and the rows of the frames with just these, for every pattern that occurs."""
    known = np.isfinite(xy).all(-1)
    if len(known) and (known == known[0]).all():
        return [(known[0], np.arange(len(known)))]  # the usual case; finding the patterns takes longer than using them
    patterns, inverse = np.unique(known, axis=0, return_inverse=True)
    return [(pattern, np.flatnonzero(inverse.ravel() == i)) for i, pattern in enumerate(patterns)]
