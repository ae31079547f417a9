"""One-Euro filter: little lag in fast motion, little jitter at rest (Casiez, Roussel, Vogel, CHI 2012)."""

import numpy as np


def one_euro(
    points: np.ndarray, fps: float, min_cutoff: float = 1.0, beta: float = 5.0, speed_cutoff: float = 1.0
) -> np.ndarray:
    """Smooth joints (T, J, D) sampled at fps in Hz; causal, so it works on a live stream as well.

    Each joint is low-passed, out_t = out_{t-1} + a (x_t - out_{t-1}) with a = 1 / (1 + fps / (2 pi cutoff)), and
    cutoff = min_cutoff + beta * speed in Hz. speed is the length of the joint's velocity vector, itself low-passed at
    speed_cutoff, so the result does not depend on the direction of the axes. beta is in Hz per (unit of points / s):
    the default is for metres. The first frame is returned as it is.
    """
    points = np.asarray(points, np.float64)
    speed_share = _share(np.float64(speed_cutoff), fps)
    out = points.copy()
    velocity = np.zeros(points.shape[1:])
    for t in range(1, len(points)):
        velocity += speed_share * ((points[t] - out[t - 1]) * fps - velocity)
        cutoff = min_cutoff + beta * np.linalg.norm(velocity, axis=-1, keepdims=True)
        out[t] = out[t - 1] + _share(cutoff, fps) * (points[t] - out[t - 1])
    return out


def _share(cutoff: np.ndarray, fps: float) -> np.ndarray:
    """What a first-order low-pass with this cutoff (Hz) takes of a new sample."""
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
