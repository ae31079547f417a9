"""Filters over time, in seconds, and the stretches of a clip that they may not leave."""

from itertools import pairwise

import numpy as np

PAUSE = 0.5
"""Seconds without a frame after which smoothing starts anew."""

REACH = 3.0
"""Standard deviations after which a Gaussian weight counts as zero."""


def stretches(frames: np.ndarray, fps: float, breaks: np.ndarray | None = None) -> list[slice]:
    """The rows that may be smoothed together, in order.

    frames (T,) increasing frame numbers at fps in Hz. A new stretch starts after more than PAUSE seconds without a frame
    and at every row of breaks (T,) bool.
    """
    starts = np.diff(frames, prepend=frames[0]) > PAUSE * fps
    if breaks is not None:
        starts |= breaks
    edges = [0, *(np.flatnonzero(starts[1:]) + 1).tolist(), len(frames)]
    return [slice(a, b) for a, b in pairwise(edges)]


def gaussian(values: np.ndarray, seconds: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of values (T, ...) at increasing times (T,), sigma in seconds.

    Each result is the value there of a straight line fitted to the neighbours under Gaussian weights (local linear
    regression, Cleveland 1979). In the middle of evenly spaced rows this is the weighted mean; at both ends, and around
    missing frames, it does not lag behind a steady motion as the mean does.
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    weight, moment, square = np.ones(len(flat)), np.zeros(len(flat)), np.zeros(len(flat))
    total, tilt = flat.copy(), np.zeros_like(flat)
    limit = REACH * sigma * (1 + 1e-9)
    for shift in range(1, len(flat)):
        early, late = slice(0, -shift), slice(shift, None)
        gap = seconds[late] - seconds[early]
        if gap.min() > limit:
            break
        w = np.where(gap <= limit, np.exp(-0.5 * (gap / sigma) ** 2), 0.0)
        for here, there, distance in ((early, late, gap), (late, early, -gap)):
            weight[here] += w
            moment[here] += w * distance
            square[here] += w * distance**2
            total[here] += w[:, None] * flat[there]
            tilt[here] += (w * distance)[:, None] * flat[there]
    determinant = weight * square - moment**2
    line = determinant > 1e-9 * weight * sigma**2
    safe = np.where(line, determinant, 1.0)[:, None]
    fitted = (square[:, None] * total - moment[:, None] * tilt) / safe
    return np.where(line[:, None], fitted, total / weight[:, None]).reshape(np.shape(values))


class OneEuro:
    """One-Euro filter: little lag in fast motion, little jitter at rest (Casiez, Roussel, Vogel, CHI 2012).

    For joints (J, D) of one moment after the other; causal, so it works on a live stream. Each joint is low-passed,
    out_t = out_{t-1} + a (x_t - out_{t-1}) with a = 1 / (1 + rate / (2 pi cutoff)), and cutoff = min_cutoff + beta * speed
    in Hz. speed is the length of the joint's velocity vector, itself low-passed at speed_cutoff, so the result does not
    depend on the direction of the axes. beta is in Hz per (unit of points / s): the default is for metres.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 5.0, speed_cutoff: float = 1.0):
        self._min_cutoff, self._beta, self._speed_cutoff = min_cutoff, beta, np.float64(speed_cutoff)
        self._out: np.ndarray | None = None
        self._velocity: np.ndarray | None = None

    def __call__(self, points: np.ndarray, rate: float) -> np.ndarray:
        """The filtered points (J, D), which came 1 / rate seconds after those before; the first are returned unchanged."""
        points = np.asarray(points, np.float64)
        if self._out is None or self._velocity is None:
            self._out, self._velocity = points, np.zeros(points.shape)
            return points
        speed_share = _share(self._speed_cutoff, rate)
        self._velocity = self._velocity + speed_share * ((points - self._out) * rate - self._velocity)
        cutoff = self._min_cutoff + self._beta * np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        self._out = self._out + _share(cutoff, rate) * (points - self._out)
        return self._out


def one_euro(
    points: np.ndarray, fps: float | np.ndarray, min_cutoff: float = 1.0, beta: float = 5.0, speed_cutoff: float = 1.0
) -> np.ndarray:
    """`OneEuro` over joints (T, J, D) sampled at fps in Hz, one number or one per step (T - 1,)."""
    points = np.asarray(points, np.float64)
    rates = np.broadcast_to(np.asarray(fps, np.float64), (max(len(points) - 1, 0),))
    out, step = points.copy(), OneEuro(min_cutoff, beta, speed_cutoff)
    for t, rate in enumerate([np.inf, *rates][: len(points)]):
        out[t] = step(points[t], rate)
    return out


def _share(cutoff: np.ndarray, fps: float) -> np.ndarray:
    """What a first-order low-pass with this cutoff (Hz) takes of a new sample."""
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
