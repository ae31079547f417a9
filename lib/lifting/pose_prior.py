"""What poses people take: a Gaussian over the rotations of a body's joints, learned from data, for `lib.lifting.body_fit`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.errors import UserError
from lib.files import replacing
from lib.lifting.rotations import nearest_rotation, rotation_vector
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix

SHIPPED = Path(__file__).with_name("pose_prior.npz")
"""The project's own, from motion capture (docs/body.md)."""

ARRAYS = ("mean", "precision", "low", "high")
"""What a file holds of a `PosePrior`."""

FLOOR = 0.1
"""Radians that every joint may turn about every axis, also where the data never turns it."""

EXTREME = 0.001
"""Part of the poses in which a joint may turn farther than its limits."""


@dataclass(frozen=True)
class PosePrior:
    """A Gaussian over the rotations of all joints but the root.

    mean (K-1, 3, 3): rotation matrices M relative to the parent; precision (3 (K-1), 3 (K-1)): of the rotation vectors
    log(R M^T) in the axes of the parent; low and high (K-1, 3): limits of these vectors, radians, none by default.
    """

    mean: np.ndarray
    precision: np.ndarray
    low: np.ndarray = None  # type: ignore[assignment]
    high: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self):
        for name, limit in (("low", -np.inf), ("high", np.inf)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full((len(self.mean), 3), limit))


def learn_pose_prior(poses: np.ndarray) -> PosePrior:
    """The prior of poses (F, 3 K), rotation vectors in radians, root first.

    M is the rotation nearest to the mean matrix (chordal mean; Hartley et al., "Rotation Averaging", IJCV 2013). FLOOR is
    added to the covariance, so that a joint that never moves stays near its mean and the precision is finite. Limits are FLOOR
    beyond the quantiles EXTREME and 1 - EXTREME.
    """
    rotations = axis_angle_to_matrix(torch.as_tensor(poses, dtype=torch.float64).unflatten(1, (-1, 3)))[:, 1:]
    mean = nearest_rotation(rotations.mean(0))
    vectors = rotation_vector(rotations @ mean.transpose(-1, -2)).flatten(1)
    covariance = vectors.T @ vectors / len(vectors) + FLOOR**2 * torch.eye(vectors.shape[1], dtype=vectors.dtype)
    low, high = (np.quantile(vectors.numpy(), q, axis=0).reshape(-1, 3) for q in (EXTREME, 1 - EXTREME))
    return PosePrior(mean.numpy(), torch.linalg.inv(covariance).numpy(), low - FLOOR, high + FLOOR)


def save_pose_prior(path: Path, prior: PosePrior) -> None:
    """All arrays as float32."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{name: getattr(prior, name).astype(np.float32) for name in ARRAYS})  # type: ignore[arg-type]


def load_pose_prior(path: Path = SHIPPED) -> PosePrior:
    """What `save_pose_prior` wrote; UserError for another file."""
    try:
        with np.load(path, allow_pickle=False) as z:
            mean, precision, low, high = (z[name] for name in ARRAYS)
        size = 3 * len(mean)
        shapes = tuple(a.shape for a in (mean, precision, low, high))
        if shapes != ((len(mean), 3, 3), (size, size), (len(mean), 3), (len(mean), 3)):
            raise ValueError(f"arrays of shape {shapes}")
        if not (np.isfinite(mean).all() and np.isfinite(precision).all() and (low < high).all()):
            raise ValueError("numbers are not finite, or limits not in order")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            f"{path}: is not a pose prior ({' '.join(str(error).split())[:100]}); make one with "
            "python main/prepare_data.py pose-prior"
        ) from None
    return PosePrior(mean, precision, low, high)
