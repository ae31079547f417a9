"""A body of any proportions, posed in batches on the training device: joints, coarse meshes, a detector's landmarks."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from lib.joints import HUMAN36M_17, SMPL_24
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.landmarks import landmarks
from smplpytorch.smplpytorch.proportions import PROPORTIONS, with_proportions


class PosedBody(NamedTuple):
    """B bodies in camera axes: joints (B, 17, 3) and meshes (B, R, 3) metres, relative to the pelvis of motion capture. The
    joints are those of the body's regressor, whose pelvis is some millimetres beside; None if it has none. world
    (B, K, 3, 3): rotations of SMPL's joints."""

    joints: torch.Tensor | None
    meshes: tuple[torch.Tensor, ...]
    world: torch.Tensor


class FlexibleBody:
    """Betas and proportions (smplpytorch.proportions) and joint rotations to what training needs; float32 on `device`.

    num_betas: shape parameters of the body model; proportions: names of those that follow them; parents: of SMPL's
    joints; landmark_names: see smplpytorch.landmarks. A `shape` (B, num_betas + proportions) holds both.
    """

    def __init__(self, model: BodyModel, poolings: list[sp.csr_matrix], device: torch.device | str = "cpu"):
        self.num_betas, self.proportions = model.shapedirs.shape[-1], tuple(PROPORTIONS)
        model = with_proportions(model)
        self.has_joints = model.joint_regressor is not None
        regressor = [sp.csr_matrix(model.joint_regressor)] if self.has_joints else []
        self.coarse = CoarseBody(model, regressor + poolings, torch.float32, device)
        self.parents = self.coarse.parents
        found = landmarks(model)
        self.landmark_names = tuple(mark.name for mark in found)

        def tensor(values: np.ndarray | list, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values)).to(device, dtype)

        self.offsets = tensor([mark.offset for mark in found])  # (L, 3, 1 + S)
        self.frames = tensor([SMPL_24.names.index(mark.frame) for mark in found], torch.long)
        self.anchors = tensor([HUMAN36M_17.names.index(mark.anchor) for mark in found], torch.long)
        self.pelvis = tensor(_pelvis_offset(model))  # (3, 1 + S)

    def pose(self, rotations: torch.Tensor, shape: torch.Tensor) -> PosedBody:
        """rotations (B, K, 3, 3) relative to the parent, the root's in camera axes; shape (B, S)."""
        points, world = self.coarse.posed(rotations, shape)
        one_shape = _with_one(shape)
        root = torch.einsum("cs,bs->bc", self.coarse.rest_joints[0], one_shape)
        turned = torch.einsum("bij,js,bs->bi", world[:, 0], self.pelvis, one_shape)
        points = tuple(group - (root + turned)[:, None] for group in points)
        joints, meshes = (points[0], points[1:]) if self.has_joints else (None, points)
        return PosedBody(joints, meshes, world)

    def landmarks(self, joints: torch.Tensor, world: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        """(B, L, 3) in the space of joints (B, 17, 3), the Human3.6M joints of a person with these bone rotations."""
        offset = torch.einsum("lcs,bs->blc", self.offsets, _with_one(shape))
        return joints[:, self.anchors] + (world[:, self.frames] @ offset.unsqueeze(-1)).squeeze(-1)


def _with_one(shape: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.ones_like(shape[:, :1]), shape], dim=1)


def _pelvis_offset(model: BodyModel) -> np.ndarray:
    """(3, 1 + S): from the root joint to the middle of the Human3.6M hips in the rest pose, as data.Mocap places it."""
    basis = np.concatenate([model.v_template[:, :, None], model.shapedirs], axis=2)
    regressor, names = model.joint_regressor, HUMAN36M_17.names
    if regressor is None:
        regressor, names = model.J_regressor, SMPL_24.names
    hips = regressor[[names.index("L_Hip"), names.index("R_Hip")]].mean(0)
    return np.einsum("v,vcs->cs", hips - model.J_regressor[0], basis)
