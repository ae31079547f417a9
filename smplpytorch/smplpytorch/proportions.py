"""Shapes of a body by its proportions: how long, how wide, how large each part is, for any SMPL-format body.

A statistical body's betas do not reach children and giants, and do not part a thigh from its shin. These directions do:
each joint strains the skin and bone that it carries about itself and shifts what hangs below.
"""

from dataclasses import replace

import numpy as np

from lib.joints import SMPL_24, SMPL_PARENTS
from smplpytorch.smplpytorch.body_model import BodyModel

_TRUNK = ("Pelvis", "Spine1", "Spine2", "Spine3")
_EVERY = tuple(name.removeprefix("L_") for name in SMPL_24.names if not name.startswith("R_"))

PROPORTIONS: dict[str, tuple[tuple[tuple[str, ...], tuple[float, float, float]], ...]] = {
    "stature": ((_EVERY, (1, 1, 1)),),
    "girth": ((_TRUNK, (1, 0, 1)), (("Shoulder", "Elbow"), (0, 1, 1)), (("Hip", "Knee"), (1, 0, 1))),
    "trunk": ((_TRUNK, (0, 1, 0)),),
    "shoulders": ((("Collar",), (1, 0, 0)), (("Spine3",), (0.4, 0, 0))),
    "head": ((("Head",), (1, 1, 1)), (("Neck",), (0.5, 1, 0.5))),
    "upper_arm": ((("Shoulder",), (1, 0, 0)),),
    "forearm": ((("Elbow",), (1, 0, 0)),),
    "thigh": ((("Hip",), (0, 1, 0)),),
    "shin": ((("Knee",), (0, 1, 0)),),
}
"""Proportion -> (joints, strain along x, y, z of the rest pose for a value of 1); a value of 0.1 is ten percent more."""


def strain_direction(v: np.ndarray, joints: np.ndarray, weights: np.ndarray, strain: np.ndarray) -> np.ndarray:
    """(V, 3): how vertices v (V, 3) move when each joint (K, 3) strains what it carries, weights (V, K), by strain (K, 3)."""
    shift = np.zeros_like(joints)
    shift[0] = strain[0] * joints[0]
    for k, parent in enumerate(SMPL_PARENTS[1:], start=1):
        shift[k] = shift[parent] + strain[parent] * (joints[k] - joints[parent])
    return weights @ (shift - strain * joints) + (weights @ strain) * v


def strain_of(groups: tuple, names: tuple[str, ...] = SMPL_24.names) -> np.ndarray:
    """(K, 3) strains of all joints from ((joint names without side, (x, y, z)), ...)."""
    strain = np.zeros((len(names), 3))
    for members, values in groups:
        for k, name in enumerate(names):
            if name.removeprefix("L_").removeprefix("R_") in members:
                strain[k] = values
    return strain


def with_proportions(model: BodyModel) -> BodyModel:
    """The body with one more shape direction per entry of PROPORTIONS, behind its own betas."""
    joints = model.J_regressor @ model.v_template
    directions = [
        strain_direction(model.v_template, joints, model.lbs_weights, strain_of(groups))
        for groups in PROPORTIONS.values()
    ]
    return replace(model, shapedirs=np.concatenate([model.shapedirs, np.stack(directions, axis=-1)], axis=-1))
