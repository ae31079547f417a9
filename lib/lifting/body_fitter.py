"""Bodies for lifted sequences: the network's joints and mesh nodes in, a `FittedBody` out."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from lib.errors import UserError
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.lifting import HEIGHT_RANGE
from lib.lifting.body_fit import BETAS_PRECISION, fit_body, fit_shape
from lib.lifting.body_points import BodyPoints
from lib.lifting.body_smoothing import Timing
from lib.lifting.fitted_body import FittedBody
from lib.lifting.floor.body_feet import BodyFeet
from lib.lifting.pose_prior import PosePrior, load_pose_prior
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.sequence_smoothing import steady_parts, steady_root, without_flips
from lib.lifting.stature import scaled
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body, load_joint_regressor

JOINT_WEIGHT = 30.0
"""Weight of a joint; a mesh node has 1. The network is surer of its joints, and only meshes show twists (docs/body.md)."""

IMPUTED_WEIGHT = 0.05
"""Part of its weight that a joint keeps which was not detected but imputed, and the mesh nodes near it."""

LOWEST_WEIGHT = 0.1
"""The same for a joint with the lowest score."""

SCALINGS, SAME_HEIGHT = 8, 1e-3
"""Most fits of the shape that bring a body to a given height, and the part of it that may be missing."""

TORSO = ("Pelvis", "R_Hip", "L_Hip", "Torso", "Neck", "L_Shoulder", "R_Shoulder")
"""Joints by which the whole body is turned first."""


class BodyFitter:
    """Fits one body model to sequences of one network, whose meshes are coarse versions of that model's.

    joint_regressor (J, V): vertices to the network's joints; poolings: sparse (R, V) per mesh of the sequences;
    betas_precision: how hard shapes are pulled to the usual one (`lib.lifting.body_fit`), less for sizes that are sure.
    """

    def __init__(
        self,
        model: BodyModel,
        joint_regressor: np.ndarray,
        poolings: list[sp.csr_matrix],
        prior: PosePrior | None = None,
        device: str | torch.device = "cpu",
        betas_precision: float = BETAS_PRECISION,
    ):
        self.model, self.betas_precision = model, betas_precision
        self.prior = load_pose_prior() if prior is None else prior
        if len(self.prior.mean) != len(model.parents) - 1:
            raise UserError(
                f"the pose prior is for {len(self.prior.mean) + 1} joints, {model.source} has {len(model.parents)}"
            )
        self._regressors = [sp.csr_matrix(joint_regressor), *poolings]
        self.points = BodyPoints(CoarseBody(model, self._regressors), len(joint_regressor), device)
        rest = np.concatenate([joint_regressor @ model.v_template, *(p @ model.v_template for p in poolings)])
        joints = rest[: len(joint_regressor)]
        self._nearest = np.linalg.norm(rest[:, None] - joints, axis=-1).argmin(1)  # joint of every point
        self._nominal = np.where(np.arange(len(rest)) < len(joints), JOINT_WEIGHT, 1.0)
        self._torso = tuple(HUMAN36M_17.names.index(name) for name in TORSO)

    def __call__(self, sequence: PoseSequence, height: float | None = None, smoothness: float = 0.0) -> PoseSequence:
        """The sequence with its body, and with that body's joints and mesh nodes in place of the network's.

        Limbs then have one length in all frames. height: of the person in metres, which everything is scaled to; smoothness:
        seconds, see `lib.lifting.body_smoothing`, the root then moves steadily; 0 for each frame by itself. UserError where a
        pose is not finite, and for a height or smoothness that means nothing.
        """
        sequence.require_finite()
        if height is not None and not HEIGHT_RANGE[0] <= height <= HEIGHT_RANGE[1]:
            raise UserError(f"height {height:g}: must be {HEIGHT_RANGE[0]:g} to {HEIGHT_RANGE[1]:g} metres")
        if not smoothness >= 0:
            raise UserError(f"smoothness {smoothness:g}: must be 0 or more seconds")
        if smoothness > 0:
            sequence = without_flips(sequence)
        points = np.concatenate([sequence.pose3d, *sequence.meshes], axis=1)
        weights = self._weights(sequence)
        usual = None if height is None else self._usual_betas(height)
        if height is not None:
            factor = self._scale(points, weights, height, usual)
            sequence, points = scaled(sequence, factor), factor * points
        timing = None
        if smoothness > 0 and len(points) > 2:
            timing = Timing(smoothness, sequence.seconds, steady_parts(sequence))
        shape = self._shape(points, weights, usual)
        fit = fit_body(self.points, points, weights, self.prior, self._torso, shape, timing)
        root = fit.points[:, [sequence.joint_set.root]]
        pose3d, *meshes = np.split(fit.points - root, np.cumsum(self.points.sizes)[:-1], axis=1)
        fitted = replace(
            sequence,
            pose3d=pose3d,
            meshes=tuple(meshes),
            root=None if sequence.root is None else sequence.root + root[:, 0],
            body=FittedBody(self.model, fit.pose, fit.betas, fit.transl - root[:, 0], fit.offsets, fit.residual),
        )
        return fitted if timing is None else replace(fitted, root=steady_root(fitted))

    @cached_property
    def feet(self) -> BodyFeet:
        """The feet of the bodies that this fits."""
        return BodyFeet(self.model, self._regressors, self.points.folded.device)

    def _usual_betas(self, height: float) -> np.ndarray:
        """The smallest betas (S,) of a body that is `height` metres tall, as `FittedBody.height` measures it."""
        y, change = self.model.v_template[:, 1], self.model.shapedirs[:, 1]
        betas = np.zeros(change.shape[-1])
        for _ in range(SCALINGS):
            rest = y + change @ betas
            top, bottom = rest.argmax(), rest.argmin()
            by = change[top] - change[bottom]
            betas = betas + by * (height - (rest[top] - rest[bottom])) / (by @ by)
        return betas

    def _scale(self, points: np.ndarray, weights: np.ndarray, height: float, usual: np.ndarray | None) -> float:
        """By what the points (T, R, 3) have to be multiplied so that the body that fits them is `height` metres tall.

        The usual shape holds a body back, so its height follows the points' by a power below 1, found by secants.
        """
        factor, power, before = 1.0, 0.5, (0.0, 0.0)
        for attempt in range(SCALINGS):
            betas = self._shape(factor * points, weights, usual)[: self.points.betas].double().cpu().numpy()
            tall = float(np.ptp(self.model.v_template[:, 1] + self.model.shapedirs[:, 1] @ betas))
            miss = float(np.log(height / tall))
            if abs(miss) < SAME_HEIGHT:
                break
            here = (float(np.log(factor)), float(np.log(tall)))
            if attempt and abs(here[0] - before[0]) > 1e-6:
                power = float(np.clip((here[1] - before[1]) / (here[0] - before[0]), 0.1, 1.0))
            before, factor = here, factor * float(np.exp(miss / power))
        return factor

    def _shape(self, points: np.ndarray, weights: np.ndarray, usual: np.ndarray | None) -> torch.Tensor:
        return fit_shape(self.points, points, weights, self.prior, self._torso, usual, self.betas_precision)

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
