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
        self.groups, folded, pairs = [], [], 0  # of the pairs of each joint: joint, rows in folded, node, mass
        for j in range(len(model.parents)):
            weighted = pooling.multiply(model.lbs_weights[:, j][None]).tocsr()
            weighted.eliminate_zeros()
            nodes = np.flatnonzero(np.diff(weighted.indptr))
            if len(nodes):
                weighted = weighted[nodes]
                folded.append((weighted @ basis.reshape(V, -1)).reshape(3 * len(nodes), -1))
                mass = torch.as_tensor(np.asarray(weighted.sum(axis=1)))[:, :, None]
                self.groups.append((j, slice(pairs, pairs + len(nodes)), torch.as_tensor(nodes), mass))
                pairs += len(nodes)
        self.folded = torch.as_tensor(np.concatenate(folded))  # (3 P, 1 + S + 9(K-1))
        rest = model.J_regressor @ np.concatenate([model.v_template[:, :, None], model.shapedirs], 2).reshape(V, -1)
        self.rest_joints = torch.as_tensor(rest).reshape(len(model.parents), 3, -1)  # of [1, betas]
        self.parents = [int(p) for p in model.parents]

    def root_joint(self, betas: np.ndarray) -> np.ndarray:
        """J0 (F, 3): the root joint, which stays in place whatever the pose, for betas (F, S)."""
        return self.rest_joints[0, :, 0].numpy() + betas @ self.rest_joints[0, :, 1:].numpy().T

    def __call__(
        self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, batch_size: int = 512
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
        # Frames last from here on: the rotations of many small vectors become products of long rows.
        local = (self.folded @ coefficients.T).unflatten(0, (-1, 3))  # (P, 3, B)
        world, offset = world.permute(1, 2, 3, 0).contiguous(), offset.permute(1, 2, 0).contiguous()
        nodes = local.new_zeros(sum(self.sizes), 3, len(pose))
        for joint, pairs, node, mass in self.groups:
            moved = offset[joint] * mass
            for c in range(3):
                moved.addcmul_(world[joint, :, c], local[pairs, c : c + 1])
            nodes.index_add_(0, node, moved)
        return nodes.permute(2, 0, 1) + transl[:, None]
