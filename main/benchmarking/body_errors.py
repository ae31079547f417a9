"""How far a lifted person is from the known one: joints, limbs, rotations, and feet on the floor."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.spatial.transform import Rotation

from data.source import Chunk
from lib.joints import HUMAN36M_17, SMPL_24
from lib.lifting.fitted_body import FittedBody
from lib.lifting.floor.body_feet import BodyFeet
from lib.lifting.floor.contacts import Contact, find_contacts, speeds
from lib.lifting.floor.feet import SIDES, leg_joints
from lib.lifting.floor.level import in_camera_axes
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.quality import LIMBS
from lib.metrics import mpjpe, pa_mpjpe
from smplpytorch.smplpytorch.body_model import BodyModel

ROTATIONS = ("Hip", "Knee", "Shoulder", "Elbow")
"""SMPL joints whose rotations, relative to the parent, make the mean of the table."""

PLANTED = 0.25
"""m/s below which a point of a captured foot stands."""

POSE_COLUMNS = {
    "mpjpe": "MPJPE, mm",
    "pa_mpjpe": "PA-MPJPE, mm",
    "acceleration": "acceleration error, mm/frame²",
    "varies": "limb length varies, mm",
    "limbs": "limb length error, mm",
    "rotation": "rotation error, °",
    "root": "pelvis, °",
    "residual": "residual, mm",
}
FLOOR_COLUMNS = {
    "slide": "sliding, mm per contact",
    "slide_step": "mm/frame",
    "own_slide": "sliding in found contacts, mm",
    "sunk": "deepest, mm",
    "step": "pelvis' way, mm/frame",
    "worst_step": "worst",
    "up": "vertical, °",
    "up_sigma": "stated, °",
}
"""Errors and their names in the tables of docs/body.md, which explains them."""


@dataclass(frozen=True)
class Truth:
    """A captured clip in camera axes: joints (T, 17, 3) metres; seconds (T,); up (3,); pose (T, 3 K) with the root's rotation to
    camera axes; limbs: lengths by `_limb_lengths`; feet: of the model, and heels and toes (T, P, 3) metres."""

    joints: np.ndarray
    seconds: np.ndarray
    up: np.ndarray
    pose: np.ndarray
    limbs: np.ndarray
    feet: BodyFeet
    soles: np.ndarray

    @classmethod
    def of(cls, chunk: Chunk, rows: np.ndarray, model: BodyModel, like: PoseSequence) -> "Truth":
        """The rows of a chunk; like: what was lifted from them, for the times."""
        smpl = chunk.smpl
        assert smpl is not None
        joints, R = chunk.joints[rows] / 1000, smpl.R[rows]
        pose, betas = smpl.pose[smpl.frame[rows]].copy(), smpl.betas[smpl.frame[rows[0]]]
        assert model.joint_regressor is not None
        feet = BodyFeet(model, [sp.csr_matrix(model.joint_regressor)])
        root = model.J_regressor[0] @ (model.v_template + model.shapedirs @ betas)
        pose[:, :3] = (Rotation.from_matrix(R) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
        transl = np.einsum("tij,tj->ti", R, root + smpl.transl[smpl.frame[rows]]) - root
        offsets, residual = np.zeros((len(HUMAN36M_17), 3)), np.zeros(len(rows))
        body = FittedBody(model, pose, betas, transl, offsets, residual)
        soles = feet(replace(like, body=body)).points
        return cls(joints, like.seconds, R[0] @ [0.0, 0.0, 1.0], pose, _limb_lengths(body), feet, soles)


def measured(sequence: PoseSequence, truth: Truth) -> dict[str, float | None]:
    """The columns of both tables."""
    seen = in_camera_axes(sequence)
    pose, known = seen.pose3d, truth.joints - truth.joints[:, [HUMAN36M_17.root]]
    at = HUMAN36M_17.names.index
    ends = [(at(f"{side}_{upper}"), at(f"{side}_{lower}")) for side in SIDES for upper, lower in LIMBS]
    a, b = np.array(ends).T
    errors: dict[str, float | None] = {
        "mpjpe": 1000 * float(mpjpe(pose, known).mean()),
        "pa_mpjpe": 1000 * float(pa_mpjpe(pose, known).mean()),
        "acceleration": 1000 * _mean(np.linalg.norm(np.diff(pose - known, n=2, axis=0), axis=-1)),
        "varies": 1000 * float(np.linalg.norm(pose[:, a] - pose[:, b], axis=-1).std(0).mean()),
    }
    errors |= dict.fromkeys(("limbs", "rotation", "root", "residual"))
    if (body := seen.body) is not None:
        turn = _rotation_errors(seen, truth)
        errors |= {
            "limbs": 1000 * float(np.abs(_limb_lengths(body) - truth.limbs).mean()),
            "rotation": float(turn[:, [SMPL_24.names.index(f"{s}_{n}") for s in SIDES for n in ROTATIONS]].mean()),
            "root": float(turn[:, 0].mean()),
            "residual": 1000 * float(body.residual.mean()),
        }
    return errors | _floor_errors(sequence, seen, truth)


def joint_rotations(sequence: PoseSequence, truth: Truth) -> dict[str, float] | None:
    """Mean rotation error of each of SMPL's joints but the root, right and left together, degrees; None without a body."""
    if sequence.body is None:
        return None
    turn = _rotation_errors(in_camera_axes(sequence), truth).mean(0)
    names = [name.split("_")[-1] for name in SMPL_24.names]
    return {
        name: float(turn[[k for k, other in enumerate(names) if other == name]].mean())
        for name in dict.fromkeys(names[1:])
    }


def _floor_errors(sequence: PoseSequence, seen: PoseSequence, truth: Truth) -> dict[str, float | None]:
    """How feet slide and sink, how the pelvis moves, and the vertical.

    Contacts are those of the capture: points slower than PLANTED. Heels and toes of a body, ankles of joints alone. Without a
    floor of its own a result is measured against the true vertical and the median height of its planted feet.
    """
    assert seen.root is not None
    if seen.body is None:
        points, captured = seen.pose3d[:, leg_joints("Ankle")], truth.joints[:, leg_joints("Ankle")]
        names, clearance = [f"{side}_Ankle" for side in SIDES], np.zeros(len(SIDES))
    else:
        feet = truth.feet(seen)
        points, captured, names, clearance = feet.points, truth.soles, list(feet.names), feet.clearance
    points = points + seen.root[:, None]
    contacts = _stands(speeds(captured, truth.seconds) < PLANTED, truth.seconds)
    floor = sequence.floor
    height = points @ (truth.up if floor is None else floor.up) - clearance
    planted = np.concatenate([height[c.rows, c.point] for c in contacts]) if contacts else height.ravel()
    ground = np.median(planted) if floor is None or seen.body is None else floor.height
    rotation = np.eye(3) if floor is None else floor.rotation
    errors: dict[str, float | None] = {
        "slide": _slide(points, contacts),
        "slide_step": _slide_step(points, contacts),
        "own_slide": None,
        "sunk": 1000 * float(np.maximum(ground - height, 0).max()),
        "up": None,
        "up_sigma": None,
    }
    way = np.diff(seen.root, axis=0) - np.diff(truth.joints[:, HUMAN36M_17.root], axis=0)
    steps = 1000 * np.linalg.norm(way @ rotation.T, axis=-1)
    errors |= {"step": _mean(steps), "worst_step": float(steps.max(initial=0))}
    if floor is not None:
        own = np.stack([sequence.extras[f"contact_{name}"] for name in names], 1) > 0
        errors["own_slide"] = _slide(points, _stands(own, truth.seconds))
        errors["up"] = float(np.rad2deg(np.arccos(np.clip(floor.up @ truth.up, -1, 1))))
        errors["up_sigma"] = floor.up_sigma
    return errors


def _stands(planted: np.ndarray, seconds: np.ndarray) -> list[Contact]:
    """The contacts of points that are planted where (T, P) says so."""
    height, speed = np.where(planted, 0.0, 1.0), np.where(planted, 0.0, 9.0)
    return find_contacts(height, speed, seconds, [slice(0, len(planted))])


def _slide(points: np.ndarray, contacts: list[Contact]) -> float | None:
    """Farthest distance of a planted point from its mean place, mm, mean over the contacts."""
    if not contacts:
        return None
    rows = [points[c.rows, c.point] for c in contacts]
    return 1000 * float(np.mean([np.linalg.norm(r - r.mean(0), axis=-1).max() for r in rows]))


def _slide_step(points: np.ndarray, contacts: list[Contact]) -> float | None:
    """Mean way of a planted point from frame to frame, mm."""
    steps = [np.linalg.norm(np.diff(points[c.rows, c.point], axis=0), axis=-1) for c in contacts]
    return 1000 * _mean(np.concatenate(steps)) if steps else None


def _rotation_errors(sequence: PoseSequence, truth: Truth) -> np.ndarray:
    """(T, K) degrees, geodesic."""
    assert sequence.body is not None
    known = Rotation.from_rotvec(truth.pose.reshape(-1, 3))
    found = Rotation.from_rotvec(sequence.body.pose.reshape(-1, 3))
    return np.rad2deg((found.inv() * known).magnitude()).reshape(len(truth.pose), -1)


def _limb_lengths(body: FittedBody) -> np.ndarray:
    """Metres of the bones between SMPL's joints at the ends of LIMBS, right and left."""
    joints, at = body.rest_joints, SMPL_24.names.index
    return np.array([np.linalg.norm(joints[at(f"{s}_{a}")] - joints[at(f"{s}_{b}")]) for s in SIDES for a, b in LIMBS])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0
