"""The feet of a fitted body: heels and toes that stand on the floor, moved by turning the joints of the legs."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch

from lib.joints import SMPL_24
from lib.lifting.body_moves import BATCH, Posed, move_points
from lib.lifting.body_points import BodyPoints
from lib.lifting.floor.feet import SIDES, Feet
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.rotations import rotation_vector
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix

SOLE = 0.02
"""Metres above a foot's lowest vertex to which its sole reaches."""

HEEL, TOE = 0.15, 0.12
"""Parts of a foot's length, from behind and from the front, that are its heel and its toes."""

LEG_HOLD, ANKLE_HOLD, TOE_HOLD, BODY_HOLD = 1e-4, 1e-5, 1e-2, 1.0
"""How hard joints resist (`lib.lifting.body_moves`): hips and knees; ankles; toes; all others, the pelvis among them. Lifted
knees and ankles tell how a leg is bent; the direction of a foot is a guess, so the ankle gives way first."""

PLACE_HOLD = 0.005
"""How hard the pelvis resists being moved: its place is less sure than the angles of the legs."""


class BodyFeet:
    """Heels and toes of one body model. regressors: vertices to joints, then to each mesh of the sequences, sparse."""

    def __init__(self, model: BodyModel, regressors: list[sp.csr_matrix], device: str | torch.device = "cpu"):
        self.model = model
        self.names, self.rows = sole_points(model)
        self.points = BodyPoints(CoarseBody(model, [*regressors, self.rows]), regressors[0].shape[0], device)
        self.chosen = slice(self.points.count - len(self.names), self.points.count)
        hold = torch.full((len(model.parents),), BODY_HOLD)
        for name, value in {"Hip": LEG_HOLD, "Knee": LEG_HOLD, "Ankle": ANKLE_HOLD, "Foot": TOE_HOLD}.items():
            for side in SIDES:
                hold[SMPL_24.names.index(f"{side}_{name}")] = value
        self.hold = hold.to(device, self.points.folded.dtype)

    def __call__(self, sequence: PoseSequence) -> Feet:
        """Where heels and toes are in a sequence with a body of this model."""
        body = self._posed(sequence)
        parts = [self.points(r, body.shape) for r in body.rotations.split(BATCH)]
        nodes = torch.cat([part[0][:, self.chosen] for part in parts])
        joints = _numbers(torch.cat([part[3] for part in parts]) + body.transl[:, None])
        hips, knees, ends = (
            joints[:, [SMPL_24.names.index(f"{side}_{name}") for side in SIDES]] for name in ("Hip", "Knee", "Ankle")
        )
        reach = np.linalg.norm(knees - hips, axis=-1) + np.linalg.norm(ends - knees, axis=-1)
        assert sequence.body is not None
        rest = sequence.body.rest_vertices
        clearance = self.rows @ rest[:, 1] - rest[:, 1].min()
        side = np.array([SIDES.index(name[0]) for name in self.names])
        return Feet(self.names, _numbers(nodes + body.transl[:, None]), clearance, side, hips, ends, reach)

    def plant(self, sequence: PoseSequence, moves: np.ndarray) -> PoseSequence:
        """The sequence with its heels and toes moved by moves (T, P, 3) metres, as far as joints allow; bones keep their
        length."""
        before = self._posed(sequence)
        goal = torch.as_tensor(self(sequence).points + moves).to(before.transl)
        after = move_points(self.points, before, self.chosen, goal, self.hold, PLACE_HOLD)
        parts = [self.points(r, after.shape)[0] for r in after.rotations.split(BATCH)]
        nodes = _numbers(torch.cat(parts) + after.transl[:, None])
        root = nodes[:, [sequence.joint_set.root]]
        pose3d, *meshes, _ = np.split(nodes - root, np.cumsum(self.points.sizes)[:-1], axis=1)
        assert sequence.body is not None
        assert sequence.root is not None
        pose = _numbers(rotation_vector(after.rotations).flatten(1))
        body = replace(sequence.body, pose=pose, transl=_numbers(after.transl) - root[:, 0])
        return replace(
            sequence,
            pose3d=pose3d,
            meshes=tuple(mesh.astype(np.float32) for mesh in meshes),
            root=sequence.root + root[:, 0],
            body=body,
        )

    def _posed(self, sequence: PoseSequence) -> Posed:
        assert sequence.body is not None
        pose, transl = (torch.as_tensor(a).to(self.points.folded) for a in (sequence.body.pose, sequence.body.transl))
        shape = np.concatenate([sequence.body.betas, sequence.body.offsets.ravel()])
        rotations = axis_angle_to_matrix(pose.unflatten(1, (-1, 3)))
        return Posed(rotations, torch.as_tensor(shape).to(pose), transl)


def sole_points(model: BodyModel) -> tuple[tuple[str, ...], sp.csr_matrix]:
    """Names and a sparse (4, V): the mean of the vertices of each heel's and each toe's sole; the body is at rest, Y up, and
    faces +Z."""
    names, rows = [], []
    for side in SIDES:
        foot = [SMPL_24.names.index(f"{side}_{name}") for name in ("Ankle", "Foot")]
        mine = model.lbs_weights[:, foot].sum(1) > 0.5
        y, z = model.v_template[:, 1], model.v_template[:, 2]
        sole = mine & (y < y[mine].min() + SOLE)
        back, front = z[sole].min(), z[sole].max()
        parts = {"Heel": z < back + HEEL * (front - back), "Toe": z > front - TOE * (front - back)}
        for name, part in parts.items():
            names.append(f"{side}_{name}")
            rows.append((sole & part) / (sole & part).sum())
    return tuple(names), sp.csr_matrix(np.array(rows))


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
