"""A person as SMPL-style parameters: what `lib.lifting.body_fitter` finds and the writers read."""

from dataclasses import dataclass, replace

import numpy as np

from smplpytorch.smplpytorch.body_model import BodyModel


@dataclass(frozen=True)
class FittedBody:
    """One person's body in T frames of a `PoseSequence`: one shape, a rotation per joint and frame.

    model: the body, Y up at rest; pose (T, 3 K): rotation vectors in radians, the root's to camera axes (x right, y down,
    z forward), the others' relative to their parent; betas (S,); transl (T, 3) metres: vertices posed by `pose` and `betas`,
    plus transl, are relative to the same root as the sequence's pose3d; offsets (J, 3) metres: of the sequence's joints
    from where the body's regressor puts them, fixed to a bone; residual (T,) metres: mean distance of the fitted body's points
    from the network's joints and mesh nodes.
    """

    model: BodyModel
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    offsets: np.ndarray
    residual: np.ndarray

    def __post_init__(self):
        T, K, S = len(self.pose), len(self.model.parents), self.model.shapedirs.shape[-1]
        want = {"pose": (T, 3 * K), "betas": (S,), "transl": (T, 3), "residual": (T,)}
        for name, shape in want.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"FittedBody: {name} has shape {getattr(self, name).shape}, expected {shape}")

    def rows(self, index: np.ndarray | list[int]) -> "FittedBody":
        """The frames that `index`, row numbers or bool (T,), picks."""
        return replace(self, **{name: getattr(self, name)[index] for name in ("pose", "transl", "residual")})

    @property
    def rest_joints(self) -> np.ndarray:
        """(K, 3) metres: the joints of this shape at rest, Y up."""
        return self.model.J_regressor @ self.rest_vertices

    @property
    def rest_vertices(self) -> np.ndarray:
        """(V, 3) metres: the vertices of this shape at rest, Y up."""
        return self.model.v_template + self.model.shapedirs @ self.betas

    @property
    def height(self) -> float:
        """Metres from the lowest to the highest vertex at rest."""
        return float(np.ptp(self.rest_vertices[:, 1]))

    def __str__(self) -> str:
        worst = int(self.residual.argmax())
        return (
            f"body: residual {1000 * self.residual.mean():.1f} mm, {1000 * self.residual[worst]:.1f} mm in the worst frame, "
            f"height {self.height:.2f} m"
        )
