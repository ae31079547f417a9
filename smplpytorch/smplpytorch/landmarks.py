"""Where a 2D detector's keypoints are on a body: points of its surface, found by position, for any SMPL-format body.

People who annotate images mark what they see: the tip of the nose, the eyes, the ears, the outside of the hips, the tip
of the big toe. Motion capture puts its joints inside the body. Rules of place, not vertex numbers, find the points, so
They hold for SMPL and the built-in body; both are in a T-pose, Y up, facing +Z, with the left at +X.
"""

from dataclasses import dataclass

import numpy as np

from lib.joints import SMPL_24
from smplpytorch.smplpytorch.body_model import BodyModel

EYE = np.array([0.032, 0.029])
"""Metres from the tip of the nose sideways and up to the pupil."""

HIP_WIDTH, HIP_HEIGHT = 1.35, 0.2
"""Annotated hips are further outside than the joints (1: at the joints) and higher (1: at the pelvis joint)."""


@dataclass(frozen=True)
class Landmark:
    """A keypoint that turns with SMPL joint `frame` and keeps its distance from Human3.6M joint `anchor`.

    offset (3, 1 + S): from the anchor in the rest pose, metres, as a linear function of [1, betas].
    """

    name: str
    frame: str
    anchor: str
    offset: np.ndarray


def landmarks(model: BodyModel) -> list[Landmark]:
    """The keypoints of COCO, BODY_25 and Halpe that are not joints of Human3.6M's skeleton, or are elsewhere.

    Shoulders, elbows, wrists, knees and ankles are marked where the joints are, so they need no landmark.
    """
    basis = np.concatenate([model.v_template[:, :, None], model.shapedirs], axis=2)  # (V, 3, 1 + S)
    joint = dict(zip(SMPL_24.names, np.einsum("kv,vcs->kcs", model.J_regressor, basis), strict=True))
    v, carrier = model.v_template, np.array(SMPL_24.names)[model.lbs_weights.argmax(1)]  # the joint that moves it most
    head = np.flatnonzero(carrier == "Head")

    def best(among: np.ndarray, score: np.ndarray) -> np.ndarray:
        return basis[among[np.argmax(score[among])]]

    nose = best(head, v[:, 2])
    top = best(head, v[:, 1] - np.abs(v[:, 0]))  # in the middle of the head
    top = top * np.array([0.0, 1.0, 1.0])[:, None]
    found = {"Nose": ("Head", "Head", nose - top)}
    front = head[v[head, 2] > nose[2, 0] - 0.06]
    level = head[np.abs(v[head, 1] - nose[1, 0] - 0.015) < 0.03]
    hips = (joint["L_Hip"] + joint["R_Hip"]) / 2
    for side, sign in (("L", 1.0), ("R", -1.0)):
        pupil = nose[:2, 0] + EYE * [sign, 1.0]
        eye = best(front, -np.linalg.norm(v[:, :2] - pupil, axis=1))
        found[f"{side}_Eye"] = ("Head", "Head", eye - top)
        found[f"{side}_Ear"] = ("Head", "Head", best(level, sign * v[:, 0]) - top)
        outside = (joint[f"{side}_Hip"] - hips) * HIP_WIDTH
        found[f"{side}_Hip"] = ("Pelvis", "Pelvis", outside + (joint["Pelvis"] - hips) * HIP_HEIGHT)
        toes = np.flatnonzero(carrier == f"{side}_Foot")
        foot = np.flatnonzero((carrier == f"{side}_Ankle") | (carrier == f"{side}_Foot"))
        ankle, outwards = joint[f"{side}_Ankle"], sign * v[:, 0]
        found[f"{side}_Heel"] = (f"{side}_Ankle", f"{side}_Ankle", best(foot, -v[:, 2] - v[:, 1]) - ankle)
        found[f"{side}_BigToe"] = (f"{side}_Ankle", f"{side}_Ankle", best(toes, v[:, 2] - 0.5 * outwards) - ankle)
        found[f"{side}_SmallToe"] = (f"{side}_Ankle", f"{side}_Ankle", best(toes, 0.5 * v[:, 2] + outwards) - ankle)
    return [Landmark(name, frame, anchor, offset) for name, (frame, anchor, offset) in found.items()]
