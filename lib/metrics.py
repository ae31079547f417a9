"""Errors between predicted and true poses: pure functions on numpy arrays or torch tensors.

Unit in, unit out. "root" is the joint at index 0 by default.
"""

from collections.abc import Sequence

import numpy as np


def mpjpe(pred, target, root: int = 0):
    """Per-joint error of root-aligned poses: (B, J, 3), (B, J, 3) to (B, J), numpy in numpy out, torch in torch out.

    The mean over everything is the MPJPE; the root's own zero is part of it, as the release counts.
    """
    difference = (pred - pred[..., root : root + 1, :]) - (target - target[..., root : root + 1, :])
    return (difference**2).sum(-1) ** 0.5


def velocity_errors(
    pred: np.ndarray, target: np.ndarray, sequences: np.ndarray, frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Differences of velocity between frames that follow each other: (P, J) per frame, and (P,) the later sample's row.

    pred, target (N, J, 3); two samples follow each other where sequences (N,) are equal and frames (N,) differ by one. The
    mean is MPJVE (Pavllo et al., CVPR 2019), here over pairs of frames, in the poses' unit per frame.
    """
    order = np.lexsort((frames, sequences))
    pair = (np.diff(sequences[order]) == 0) & (np.diff(frames[order]) == 1)
    before, after = order[:-1][pair], order[1:][pair]
    difference = (pred[after] - pred[before]) - (target[after] - target[before])
    return np.sqrt((difference**2).sum(-1)), after


def pa_mpjpe(pred, target):
    """Per-joint error after the best similarity transform of each predicted pose: (B, J, 3) twice to (B, J).

    Rotation without reflection, one scale, translation (Procrustes analysis: Umeyama, PAMI 1991). Computed in float64
    by numpy; torch tensors come back as torch tensors on their device.
    """
    if hasattr(pred, "detach"):
        result = pa_mpjpe(pred.detach().cpu().double().numpy(), target.detach().cpu().double().numpy())
        return pred.new_tensor(result)
    pred, target = np.asarray(pred, np.float64), np.asarray(target, np.float64)
    return np.sqrt(((procrustes_align(pred, target) - target) ** 2).sum(-1))


def n_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Per-joint error of root-relative poses after the best scale of each prediction: (B, J, 3) twice to (B, J).

    Without a known size nobody can tell a tall person from a short one who is nearer; this error leaves that out (N-MPJPE,
    Rhodin et al., CVPR 2018). Nothing is turned. The scale minimises the squared distance; no predicted pose is scaled
    to less than nothing.
    """
    scale = (pred * target).sum((1, 2)) / np.maximum((pred**2).sum((1, 2)), np.finfo(np.float64).tiny)
    return np.sqrt(((np.maximum(scale, 0)[:, None, None] * pred - target) ** 2).sum(-1))


def pck(errors, threshold: float) -> float:
    """Fraction of the joints, 0 to 1, with an error strictly below `threshold`; errors of any shape, unit of `threshold`.

    Percentage of correct keypoints in 3D (Mehta et al., 3DV 2017, use 150 mm).
    """
    return float((np.asarray(errors) < threshold).mean())


def auc(errors, thresholds: Sequence[float]) -> float:
    """Mean of `pck` over the thresholds: the area under the curve of correct joints, 0 to 1."""
    return float(np.mean([pck(errors, threshold) for threshold in thresholds]))


def procrustes_align(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Each pose of pred (B, J, 3) moved onto target (B, J, 3) by the similarity that minimises the squared distance.

    A predicted pose with all joints in one point stays one point, at the target's centre.
    """
    target_mean = target.mean(axis=1, keepdims=True)
    x = pred - pred.mean(axis=1, keepdims=True)
    y = target - target_mean
    U, singular, Vt = np.linalg.svd(np.swapaxes(x, 1, 2) @ y)
    handedness = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    singular[:, -1] *= handedness
    U[:, :, -1] *= handedness[:, None]
    norm = (x**2).sum((1, 2))
    scale = singular.sum(1) / np.where(norm > 0, norm, 1)
    return scale[:, None, None] * (x @ (U @ Vt)) + target_mean
