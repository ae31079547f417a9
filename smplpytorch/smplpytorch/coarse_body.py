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

    kept for the (node, joint) pairs with any weight. Mesh targets are made in float64 on the CPU and stored as float32,
    which hides the last bits in which processors differ; training poses new people in float32 on its own device.
    """

    def __init__(
        self,
        model: BodyModel,
        poolings: list[sp.csr_matrix],
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ):
        pooling = sp.vstack(poolings).tocsr()  # (R, V)
        self.sizes = [p.shape[0] for p in poolings]
        self.num_betas = model.shapedirs.shape[-1]
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
                rows = slice(pairs, pairs + len(nodes))
                self.groups.append((j, rows, torch.as_tensor(nodes, device=device), mass.to(device, dtype)))
                pairs += len(nodes)
        self.folded = torch.as_tensor(np.concatenate(folded)).to(device, dtype)  # (3 P, 1 + S + 9(K-1))
        rest = model.J_regressor @ np.concatenate([model.v_template[:, :, None], model.shapedirs], 2).reshape(V, -1)
        self.rest_joints = torch.as_tensor(rest).reshape(len(model.parents), 3, -1).to(device, dtype)  # of [1, betas]
        self.parents = [int(p) for p in model.parents]

    def root_joint(self, betas: np.ndarray) -> np.ndarray:
        """J0 (F, 3): the root joint, which stays in place in every pose, for betas (F, S)."""
        rest = self.rest_joints[0].double().cpu().numpy()
        return rest[:, 0] + betas @ rest[:, 1:].T

    def __call__(
        self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, batch_size: int = 512
    ) -> tuple[np.ndarray, ...]:
        """pose (F, 72) axis-angle, betas (F, S), transl (F, 3) metres to one (F, R, 3) float64 array per pooling."""
        size = self.folded
        parts = [
            self._numbers(*(torch.as_tensor(a[i : i + batch_size]).to(size) for a in (pose, betas, transl)))
            for i in range(0, len(pose), batch_size)
        ]
        nodes = torch.cat(parts).cpu().numpy() if parts else np.zeros((0, sum(self.sizes), 3))
        return tuple(np.split(nodes, np.cumsum(self.sizes)[:-1], axis=1))

    def _numbers(self, pose: torch.Tensor, betas: torch.Tensor, transl: torch.Tensor) -> torch.Tensor:
        rotations = axis_angle_to_matrix(pose.unflatten(1, (-1, 3)))
        return torch.cat(self.posed(rotations, betas)[0], dim=1) + transl[:, None]

    def posed(self, rotations: torch.Tensor, betas: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """rotations (B, K, 3, 3) relative to the parent, betas (B, S), both of the body's own type and on its device.

        Returns one (B, R, 3) per pooling, metres, and the world rotation (B, K, 3, 3) of every joint.
        """
        shape = torch.cat([torch.ones_like(betas[:, :1]), betas], dim=1)
        joints = torch.einsum("kcs,bs->bkc", self.rest_joints, shape)
        posed, world = forward_kinematics(rotations, joints, self.parents)
        offset = posed - (world @ joints.unsqueeze(-1)).squeeze(-1)
        coefficients = torch.cat([shape, pose_features(rotations)], dim=1)
        # Frames last from here on: the rotations of many small vectors become products of long rows.
        local = (self.folded @ coefficients.T).unflatten(0, (-1, 3))  # (P, 3, B)
        turn, offset = world.permute(1, 2, 3, 0).contiguous(), offset.permute(1, 2, 0).contiguous()
        nodes = local.new_zeros(sum(self.sizes), 3, len(rotations))
        for joint, pairs, node, mass in self.groups:
            moved = offset[joint] * mass
            for c in range(3):
                moved.addcmul_(turn[joint, :, c], local[pairs, c : c + 1])
            nodes.index_add_(0, node, moved)
        return nodes.permute(2, 0, 1).split(self.sizes, dim=1), world
