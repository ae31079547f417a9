"""What poses people take: a Gaussian over the rotations of a body's joints, learned from data, for `lib.lifting.body_fit`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.errors import UserError
from lib.files import replacing
from lib.lifting.rotations import rotation_vector
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix

SHIPPED = Path(__file__).with_name("pose_prior.npz")
"""The project's own, from motion capture (docs/body.md)."""

FLOOR = 0.1
"""Radians that every joint may turn about every axis, also where the data never turns it."""


@dataclass(frozen=True)
class PosePrior:
    """A Gaussian over the rotations of all joints but the root.

    mean (K-1, 3, 3): rotation matrices M relative to the parent; precision (3 (K-1), 3 (K-1)): of the rotation vectors
    log(R M^T) in the axes of the parent.
    """

    mean: np.ndarray
    precision: np.ndarray


def learn_pose_prior(poses: np.ndarray) -> PosePrior:
    """The prior of poses (F, 3 K), rotation vectors in radians, root first.

    M is the rotation nearest to the mean matrix (chordal mean; Hartley et al., "Rotation Averaging", IJCV 2013). FLOOR is
    added to the covariance, so that a joint that never moves stays near its mean and the precision is finite.
    """
    rotations = axis_angle_to_matrix(torch.as_tensor(poses, dtype=torch.float64).unflatten(1, (-1, 3)))[:, 1:]
    U, _, Vh = torch.linalg.svd(rotations.mean(0))
    signs = torch.ones_like(U[..., 0])
    signs[:, 2] = torch.det(U @ Vh)
    mean = U @ torch.diag_embed(signs) @ Vh
    vectors = rotation_vector(rotations @ mean.transpose(-1, -2)).flatten(1)
    covariance = vectors.T @ vectors / len(vectors) + FLOOR**2 * torch.eye(vectors.shape[1], dtype=vectors.dtype)
    return PosePrior(mean.numpy(), torch.linalg.inv(covariance).numpy())


def save_pose_prior(path: Path, prior: PosePrior) -> None:
    """Both arrays as float32."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, mean=prior.mean.astype(np.float32), precision=prior.precision.astype(np.float32))


def load_pose_prior(path: Path = SHIPPED) -> PosePrior:
    """What `save_pose_prior` wrote; UserError for another file."""
    try:
        with np.load(path, allow_pickle=False) as z:
            mean, precision = z["mean"], z["precision"]
        size = 3 * len(mean)
        if mean.shape != (len(mean), 3, 3) or precision.shape != (size, size):
            raise ValueError(f"arrays of shape {mean.shape} and {precision.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(precision).all()):
            raise ValueError("numbers are not finite")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            f"{path}: is not a pose prior ({' '.join(str(error).split())[:100]}); make one with "
            "python main/prepare_data.py pose-prior"
        ) from None
    return PosePrior(mean, precision)
