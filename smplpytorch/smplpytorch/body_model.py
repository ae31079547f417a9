"""The arrays of an SMPL-format body model, whether read from a .pkl or made by `builtin_body`."""

from dataclasses import dataclass, fields
from hashlib import sha256

import numpy as np

from lib.errors import UserError


@dataclass(frozen=True)
class BodyModel:
    """Plain float64 arrays under SMPL's published names (Loper et al. 2015); lengths in metres, Y up, facing +Z.

    v_template (V, 3); shapedirs (V, 3, S); posedirs (V, 3, 9 * (K - 1)); J_regressor (K, V); lbs_weights (V, K);
    faces (F, 3) int64; parents (K,) int64 with -1 at the root; joint_regressor (17, V) or None: vertices to
    Human3.6M joints, only known for the built-in body; source: file name or "built-in".
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    lbs_weights: np.ndarray
    faces: np.ndarray
    parents: np.ndarray
    joint_regressor: np.ndarray | None = None
    source: str = "built-in"

    def __post_init__(self):
        V, K = len(self.v_template), len(self.parents)
        S = self.shapedirs.shape[-1] if self.shapedirs.ndim == 3 else 0
        want = {
            "v_template": (V, 3),
            "shapedirs": (V, 3, S),
            "posedirs": (V, 3, 9 * (K - 1)),
            "J_regressor": (K, V),
            "lbs_weights": (V, K),
            "faces": (len(self.faces), 3),
        }
        for name, shape in want.items():
            got = getattr(self, name)
            if got.shape != shape:
                raise UserError(
                    f"{self.source}: {name} has shape {got.shape}, expected {shape} for {V} vertices and {K} joints; "
                    "the file is not a complete SMPL model, download it again"
                )
            if got.dtype.kind == "f" and not np.isfinite(got).all():
                raise UserError(f"{self.source}: {name} holds NaN or infinite values; download the file again")
        if V == 0 or len(self.faces) == 0 or self.faces.min() < 0 or self.faces.max() >= V:
            raise UserError(f"{self.source}: faces name vertices outside 0..{V - 1}; download the file again")
        if self.parents[0] != -1 or any(not 0 <= p < k for k, p in enumerate(self.parents[1:].tolist(), start=1)):
            raise UserError(f"{self.source}: kintree_table is not a tree with its root first")

    def digest(self) -> str:
        """SHA-256 over all arrays: the identity of the model in caches."""
        h = sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                h.update(f"{field.name}{value.shape}{value.dtype}".encode())
                h.update(np.ascontiguousarray(value).tobytes())
        return h.hexdigest()
