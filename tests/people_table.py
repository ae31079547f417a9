"""Samples whose joints follow from SMPL parameters and known skeletons, for tests of new people."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_matrix

from lib.joints import HUMAN36M_17, SMPL_24, SMPL_PARENTS
from lib.pose_table import PoseTable
from lib.training.people import PeopleMaker
from smplpytorch.smplpytorch.flexible_body import FlexibleBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics
from tests.bodies import builtin_body
from tests.tables import random_table

FRAMES = (
    "Pelvis", "Spine2", "Neck", "Head", "Spine3", "L_Shoulder", "L_Elbow", "Spine3", "R_Shoulder", "R_Elbow", "Pelvis",
    "R_Hip", "R_Knee", "Pelvis", "L_Hip", "L_Knee",
)  # fmt: skip
"""The SMPL joint that each of Human3.6M's bones turns with, in the order of `HUMAN36M_17.bones`."""

ADULT = np.array(
    [
        (0, 0.22, 0), (0, 0.24, 0), (0, 0.1, 0.12), (0, 0.12, -0.08), (0.17, -0.02, 0), (0.28, 0, 0), (0.26, 0, 0),
        (-0.17, -0.02, 0), (-0.28, 0, 0), (-0.26, 0, 0), (-0.11, 0, 0), (0, -0.42, 0), (0, -0.43, 0), (0.11, 0, 0),
        (0, -0.42, 0), (0, -0.43, 0),
    ]
)  # fmt: skip
"""A skeleton (16, 3) in the rest pose, metres: about 1.65 m from head to ankles."""

SKELETONS = np.stack([ADULT, ADULT * 1.1])
NODES = (5, 9)


def joints_of(pose: np.ndarray, skeleton: np.ndarray) -> np.ndarray:
    """(N, 17, 3) from axis-angle poses (N, 72) and skeletons (N, 16, 3)."""
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).double().unflatten(1, (-1, 3)))
    world = forward_kinematics(rotations, rotations.new_zeros(len(pose), 24, 3), list(SMPL_PARENTS))[1].numpy()
    joints = np.zeros((len(pose), len(HUMAN36M_17), 3))
    for i, (parent, joint) in enumerate(HUMAN36M_17.bones):
        turned = world[:, SMPL_24.names.index(FRAMES[i])] @ skeleton[:, i, :, None]
        joints[:, joint] = joints[:, parent] + turned[..., 0]
    return joints


def people_table(count: int = 40, seed: int = 0) -> PoseTable:
    """Two people, sample by sample, upright in front of level cameras, with small joint rotations that a body can do."""
    table = random_table(count, seed)
    rng = np.random.default_rng([seed, 7])
    pose = rng.normal(0, 0.15, (count, 24, 3))
    for k, name in enumerate(SMPL_24.names):
        part = name.split("_")[-1]
        if part in ("Knee", "Elbow"):  # hinges, which bend one way
            hinge = 0.05 + np.abs(pose[:, k, 0])
            pose[:, k] = 0
            pose[:, k, 0 if part == "Knee" else 1] = -hinge if name == "L_Elbow" else hinge
        elif part not in ("Hip", "Shoulder", "Neck", "Spine1"):
            pose[:, k] *= 0.1
    pose[:, 0] = [np.pi, 0, 0]  # from Y up to y down
    who = np.arange(count) % 2
    betas = rng.normal(0, 1, (2, 10)).astype(np.float32)[who]
    pose3d = joints_of(pose.reshape(count, -1), SKELETONS[who])
    return replace(
        table,
        pose3d=pose3d.astype(np.float32),
        smpl_pose=pose.reshape(count, -1).astype(np.float32),
        smpl_betas=betas,
        up=np.tile(np.float32([0, -1, 0]), (count, 1)),
    )


@cache
def flexible_body() -> FlexibleBody:
    """The built-in body with meshes of NODES nodes; its arrays are not changed by anybody."""
    body = builtin_body()
    rng, poolings = np.random.default_rng(3), []
    for nodes in NODES:
        vertices = rng.permutation(len(body.v_template))[:nodes]
        poolings.append(csr_matrix((np.ones(nodes), (np.arange(nodes), vertices)), (nodes, len(body.v_template))))
    return FlexibleBody(body, poolings)


def maker_of(table: PoseTable, ranges=None) -> PeopleMaker:
    columns = (torch.as_tensor(c) for c in (table.smpl_pose, table.smpl_betas, table.pose3d, table.up))
    return PeopleMaker(flexible_body(), *columns, ranges)
