"""Bodies for lifted sequences: the network's joints and mesh nodes in, a `FittedBody` out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from lib.errors import UserError
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.joints.imputation import frame_ranges
from lib.lifting.body_fit import BodyPoints, fit_body
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_prior import PosePrior, load_pose_prior
from lib.lifting.pose_sequence import PoseSequence
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body, load_joint_regressor

JOINT_WEIGHT = 3.0
"""Weight of a joint; a mesh node has 1."""

IMPUTED_WEIGHT = 0.05
"""Part of its weight that a joint keeps which was not detected but imputed, and the mesh nodes near it."""

LOWEST_WEIGHT = 0.1
"""The same for a joint with the lowest score."""

TORSO = ("Pelvis", "R_Hip", "L_Hip", "Torso", "Neck", "L_Shoulder", "R_Shoulder")
"""Joints by which the whole body is turned first."""


class BodyFitter:
    """Fits one body model to sequences of one network, whose meshes are coarse versions of that model's.

    joint_regressor (J, V): vertices to the network's joints; poolings: sparse (R, V) per mesh of the sequences.
    """

    def __init__(
        self,
        model: BodyModel,
        joint_regressor: np.ndarray,
        poolings: list[sp.csr_matrix],
        prior: PosePrior | None = None,
        device: str | torch.device = "cpu",
    ):
        self.model = model
        self.prior = load_pose_prior() if prior is None else prior
        if len(self.prior.mean) != len(model.parents) - 1:
            raise UserError(
                f"the pose prior is for {len(self.prior.mean) + 1} joints, {model.source} has {len(model.parents)}"
            )
        body = CoarseBody(model, [sp.csr_matrix(joint_regressor), *poolings])
        self.points = BodyPoints(body, len(joint_regressor), device)
        rest = np.concatenate([joint_regressor @ model.v_template, *(p @ model.v_template for p in poolings)])
        joints = rest[: len(joint_regressor)]
        self._nearest = np.linalg.norm(rest[:, None] - joints, axis=-1).argmin(1)  # joint of every point
        self._nominal = np.where(np.arange(len(rest)) < len(joints), JOINT_WEIGHT, 1.0)
        self._torso = tuple(HUMAN36M_17.names.index(name) for name in TORSO)

    def __call__(self, sequence: PoseSequence) -> PoseSequence:
        """The sequence with its body, and with that body's joints and mesh nodes in place of the network's.

        Limbs then have one length in all frames. UserError where a pose is not finite.
        """
        points = np.concatenate([sequence.pose3d, *sequence.meshes], axis=1)
        bad = ~np.isfinite(points).all((1, 2))
        if bad.any():
            raise UserError(f"person {sequence.person}: {frame_ranges(sequence.frames[bad])} hold NaN; skip them first")
        fit = fit_body(self.points, points, self._weights(sequence), self.prior, self._torso)
        root = fit.points[:, [sequence.joint_set.root]]
        pose3d, *meshes = np.split(fit.points - root, np.cumsum(self.points.sizes)[:-1], axis=1)
        return replace(
            sequence,
            pose3d=pose3d,
            meshes=tuple(meshes),
            root=None if sequence.root is None else sequence.root + root[:, 0],
            body=FittedBody(self.model, fit.pose, fit.betas, fit.transl - root[:, 0], fit.offsets, fit.residual),
        )

    def _weights(self, sequence: PoseSequence) -> np.ndarray:
        """(T, R), about 1 in a frame's sum; scores count relative to the person's median, since detectors' scales differ."""
        detected = ~sequence.imputed
        usual = np.median(sequence.scores[detected]) if detected.any() else 1.0
        trust = np.clip(sequence.scores / max(usual, 1e-9), LOWEST_WEIGHT, 1.0)
        trust = np.where(detected, trust, IMPUTED_WEIGHT)
        return trust[:, self._nearest] * self._nominal / self._nominal.sum()


def build_fitter(
    faces: tuple[np.ndarray, ...], coarsen_levels: int, smpl_dir: str | Path, regressor_file: Path, device="cpu"
) -> BodyFitter:
    """The fitter for a network with meshes of these faces (F, 3): on the built-in body, or on the SMPL model in smpl_dir.

    The body is the one whose coarse meshes have the same faces. regressor_file: SMPL's vertices to the 17 joints. UserError
    where the network has no meshes, or where neither body is the one that it was trained on.
    """
    if not faces:
        raise UserError("a body is fitted to joints and meshes, and this network has no meshes; choose other weights")
    for folder in dict.fromkeys((BUILT_IN, str(smpl_dir))):
        try:
            model = load_body(folder)
        except UserError as problem:
            raise UserError(f"the weights were not trained on the built-in body: {problem}") from None
        poolings = _matching_poolings(model, faces, coarsen_levels)
        if poolings is not None:
            return BodyFitter(model, load_joint_regressor(model, regressor_file), poolings, device=device)
    raise UserError(
        f"the meshes of these weights belong neither to the built-in body nor to {model.source}; name the folder of the SMPL "
        "model that they were trained on"
    )


def _matching_poolings(
    model: BodyModel, faces: tuple[np.ndarray, ...], coarsen_levels: int
) -> list[sp.csr_matrix] | None:
    """Vertices to nodes, per mesh; None where the model's coarse meshes are other ones."""
    scales = build_scales(HUMAN36M_17, model.faces, coarsen_levels)[1 : 1 + len(faces)]
    pairs = zip(scales, faces, strict=True)
    same = all(scale.faces is not None and np.array_equal(scale.faces, f) for scale, f in pairs)
    return [scale.pooling for scale in scales] if same else None
