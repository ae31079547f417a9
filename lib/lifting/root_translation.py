"""Where a root-relative pose is in front of a known pinhole camera."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lib.errors import UserError
from lib.joints.imputation import frame_ranges
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.virtual_camera import intrinsics

JOINT_SIGMA = 0.02
"""Metres, at a person's distance, by which a lifted joint misses the line of sight of its keypoint."""

REFINEMENTS = 2
"""Gauss-Newton steps after the linear solution; it converges quadratically from there."""


def with_root_translation(
    sequence: PoseSequence, camera: Sequence[float] | np.ndarray
) -> tuple[PoseSequence, list[str]]:
    """The sequence with the root's place in front of the camera (f_x, f_y, c_x, c_y, px), and a line about lost frames.

    Frames whose place cannot be found are skipped; UserError where that is all of them.
    """
    *f, cx, cy = intrinsics(camera, sequence.image_size)

    def fit(s: PoseSequence) -> np.ndarray:
        return fit_root_translation(s.pose3d, s.pose2d, s.scores, np.array(f), np.array([cx, cy]))

    try:
        return replace(sequence, root=fit(sequence)), []
    except UserError as problem:
        good = np.full(len(sequence.frames), False)
        for t in range(len(good)):
            try:
                fit(sequence.rows([t]))
                good[t] = True
            except UserError:
                continue
        if not good.any():
            raise UserError(f"person {sequence.person}: {problem}") from None
    lost = f"person {sequence.person}: skipped {frame_ranges(sequence.frames[~good])}: no place in front of the camera"
    kept = sequence.rows(good)
    return replace(kept, root=fit(kept)), [lost]


def fit_root_translation(
    pose3d: np.ndarray, pixels: np.ndarray, scores: np.ndarray, f: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Root position (T, 3), metres, camera axes, for which the pose projects onto the pixels.

    pose3d (T, J, 3) metres, root-relative, camera axes; pixels (T, J, 2) in the image that f, c (2,) px belong to;
    scores (T, J) >= 0 weigh the joints. With x = (u - cx) / fx, the projection (X + tx) / (Z + tz) = x, multiplied
    out, is linear in the unknown root t:

        tx - x tz = x Z - X        ty - y tz = y Z - Y

    Its weighted least squares give the start, the reprojection error itself is then lowered by Gauss-Newton steps.
    Raises UserError for frames in which fewer than two joints have weight, all joints fall onto one pixel, or the
    result is not in front of the camera.
    """
    rays = (np.asarray(pixels, np.float64) - c) / f
    pose3d, weights = np.asarray(pose3d, np.float64), np.asarray(scores, np.float64)[..., None]  # (T, J, 1)
    target = rays * pose3d[..., 2:] - pose3d[..., :2]
    root = _weighted_solution(np.ones_like(rays), -rays, target, weights)
    for _ in range(REFINEMENTS):
        points = pose3d + _in_front(pose3d, root)[:, None]
        depth = points[..., 2:]
        predicted = points[..., :2] / depth
        # Pixels count equally in both directions: residuals are scaled by f.
        scale = f / depth
        root = root + _weighted_solution(scale, -scale * predicted, f * (rays - predicted), weights)
    return _in_front(pose3d, root)


def placement_precision(sequence: PoseSequence) -> np.ndarray:
    """(T, 3, 3), 1/m2: how surely `fit_root_translation` places each frame's root if joints miss by JOINT_SIGMA.

    Across the line of sight millimetres, along it some centimetres.
    """
    assert sequence.root is not None
    points = sequence.pose3d + sequence.root[:, None]
    depth = points[..., 2:]
    slope = points[..., :2] / depth
    across = sequence.root[:, None, 2:] / depth
    jacobian = np.zeros((*points.shape[:2], 2, 3))
    jacobian[..., [0, 1], [0, 1]] = across
    jacobian[..., 2] = -across * slope
    weight = sequence.scores / np.maximum(np.median(sequence.scores), 1e-9)
    weight = np.clip(weight, 0, 1) * np.where(sequence.imputed, 0.05, 1.0)
    return np.einsum("tj,tjai,tjak->tik", weight, jacobian, jacobian) / JOINT_SIGMA**2 + 1e-6 * np.eye(3)


def _weighted_solution(a: np.ndarray, b: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Least squares of a_x tx + b_x tz = target_x and a_y ty + b_y tz = target_y over all joints, per frame.

    a, b, target (T, J, 2), weights (T, J, 1). Returns (T, 3) from the 3 x 3 normal equations.
    """
    aa, ab, at = ((weights * a * other).sum(1) for other in (a, b, target))  # each (T, 2)
    bb, bt = ((weights * b * other).sum((1, 2)) for other in (b, target))  # each (T,)
    # Eliminating tx and ty leaves the depth; what remains of its coefficient is the spread of the rays.
    enough = (aa > 0).all(1)
    aa = np.where(enough[:, None], aa, 1.0)
    spread = bb - (ab**2 / aa).sum(1)
    enough &= spread > 1e-12 * np.maximum(bb, 1e-300)
    if not enough.all():
        _refuse(~enough, "the joints with a score above 0 do not span the image, so their distance is unknown")
    tz = (bt - (ab * at / aa).sum(1)) / spread
    return np.column_stack([(at - ab * tz[:, None]) / aa, tz])


def _in_front(pose3d: np.ndarray, root: np.ndarray) -> np.ndarray:
    behind = (pose3d[..., 2] + root[:, None, 2]).min(1) <= 0
    if behind.any():
        _refuse(behind, "the fitted body is not in front of the camera; check the focal length and principal point")
    return root


def _refuse(bad: np.ndarray, why: str) -> None:
    raise UserError(f"root translation: in {bad.sum()} of {len(bad)} frames (first: index {np.argmax(bad)}) {why}")
