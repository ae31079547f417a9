"""Pose errors one sample at a time."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation


def plain_mpjpe(pred: np.ndarray, target: np.ndarray, root: int = 0) -> np.ndarray:
    """(B, J, 3) twice to (B, J): distance of every joint after both roots were moved to the origin."""
    errors = np.zeros(pred.shape[:2])
    for b in range(pred.shape[0]):
        for j in range(pred.shape[1]):
            errors[b, j] = np.linalg.norm((pred[b, j] - pred[b, root]) - (target[b, j] - target[b, root]))
    return errors


def plain_pa_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(B, J, 3) twice to (B, J): distance after the best proper rotation, then the best scale, then the shift."""
    errors = np.zeros(pred.shape[:2])
    for b in range(pred.shape[0]):
        x, y = pred[b] - pred[b].mean(0), target[b] - target[b].mean(0)
        turned = Rotation.align_vectors(y, x)[0].apply(x)
        scale = (turned * y).sum() / (turned * turned).sum()  # least squares of |scale * turned - y|
        errors[b] = np.linalg.norm(scale * turned - y, axis=1)
    return errors


def plain_n_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(B, J, 3) twice to (B, J): distance after the scale, not below 0, that a search finds to be best for each pose."""
    errors = np.zeros(pred.shape[:2])
    for b in range(pred.shape[0]):
        best = minimize_scalar(
            lambda s, b=b: ((s * pred[b] - target[b]) ** 2).sum(),
            bounds=(0, 10),
            method="bounded",
            options={"xatol": 1e-10},
        )
        errors[b] = np.linalg.norm(best.x * pred[b] - target[b], axis=1)
    return errors
