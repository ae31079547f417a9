"""SMPL evaluated at the nodes of coarse meshes only, never at the vertices."""

import numpy as np
import scipy.sparse as sp
import torch

from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics, pose_features


class CoarseBody:
    """Pose and shape parameters to pooled vertices.

    A vertex is sum_j w_vj (R_j (v_template + shapedirs betas + posedirs p)_v + o_j) and a coarse node is a fixed
    linear combination of vertices, so pooling, skinning weights and blend shapes fold into one tensor,

        node_r = sum_j R_j (A_rj [1, betas, p]) + o_j m_rj,   A_rj = sum_v pool_rv w_vj [template, shapedirs, posedirs]_v,

    kept for the (node, joint) pairs with any weight. Everything is float64 on the CPU; the results are stored as
    float32, which hides the last bits in which processors differ.
    """

    def __init__(self, model: BodyModel, poolings: list[sp.csr_matrix]):
        pooling = sp.vstack(poolings).tocsr()  # (R, V)
        self.sizes = [p.shape[0] for p in poolings]
        V = len(model.v_template)
        basis = np.concatenate([model.v_template[:, :, None], model.shapedirs, model.posedirs], axis=2)
        self.node, self.joint, self.mass, folded = [], [], [], []
        for j in range(len(model.parents)):
            weighted = pooling.multiply(model.lbs_weights[:, j][None]).tocsr()
            nodes = np.flatnonzero(np.diff(weighted.indptr) > 0)
            if len(nodes):
                weighted = weighted[nodes]
                folded.append((weighted @ basis.reshape(V, -1)).reshape(len(nodes), 3, -1))
                self.mass.append(np.asarray(weighted.sum(axis=1)).ravel())
                self.node.append(nodes)
                self.joint.append(np.full(len(nodes), j))
        self.node, self.joint, self.mass = (
            torch.as_tensor(np.concatenate(a)) for a in (self.node, self.joint, self.mass)
        )
        self.folded = torch.as_tensor(np.concatenate(folded)).flatten(0, 1).T.contiguous()  # (1 + S + 9(K-1), 3 P)
        rest = model.J_regressor @ np.concatenate([model.v_template[:, :, None], model.shapedirs], 2).reshape(V, -1)
        self.rest_joints = torch.as_tensor(rest).reshape(len(model.parents), 3, -1)  # of [1, betas]
        self.parents = [int(p) for p in model.parents]

    def root_joint(self, betas: np.ndarray) -> np.ndarray:
        """J0 (F, 3): the root joint, which stays in place whatever the pose, for betas (F, S)."""
        return self.rest_joints[0, :, 0].numpy() + betas @ self.rest_joints[0, :, 1:].numpy().T

    def __call__(
        self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, batch_size: int = 1024
    ) -> tuple[np.ndarray, ...]:
        """pose (F, 72) axis-angle, betas (F, S), transl (F, 3) metres to one (F, R, 3) float64 array per pooling."""
        parts = [
            self._batch(*(torch.as_tensor(a[i : i + batch_size], dtype=torch.float64) for a in (pose, betas, transl)))
            for i in range(0, len(pose), batch_size)
        ]
        nodes = torch.cat(parts).numpy() if parts else np.zeros((0, sum(self.sizes), 3))
        return tuple(np.split(nodes, np.cumsum(self.sizes)[:-1], axis=1))

    def _batch(self, pose: torch.Tensor, betas: torch.Tensor, transl: torch.Tensor) -> torch.Tensor:
        rotations = axis_angle_to_matrix(pose.unflatten(1, (-1, 3)))
        shape = torch.cat([torch.ones_like(betas[:, :1]), betas], dim=1)
        joints = torch.einsum("kcs,bs->bkc", self.rest_joints, shape)
        posed, world = forward_kinematics(rotations, joints, self.parents)
        offset = posed - (world @ joints.unsqueeze(-1)).squeeze(-1)
        coefficients = torch.cat([shape, pose_features(rotations)], dim=1)
        local = (coefficients @ self.folded).unflatten(1, (-1, 3))  # (B, P, 3)
        moved = (world[:, self.joint] @ local.unsqueeze(-1)).squeeze(-1) + offset[:, self.joint] * self.mass[:, None]
        nodes = moved.new_zeros(len(pose), sum(self.sizes), 3).index_add_(1, self.node, moved)
        return nodes + transl[:, None]
