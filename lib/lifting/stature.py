"""How tall a lifted person is, and the scale of everything about them."""

from dataclasses import replace

import numpy as np

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import PoseSequence

CHAIN = (("R_Ankle", "R_Knee"), ("R_Knee", "R_Hip"), ("L_Ankle", "L_Knee"), ("L_Knee", "L_Hip"), ("Pelvis", "Torso"),
         ("Torso", "Neck"), ("Neck", "Head"))  # fmt: skip
"""Bones along which a person's height adds up; legs count half on each side."""

HEIGHT_OF_CHAIN = 1.08
"""A person's height over the length of CHAIN on the built-in body; captured people have 1.03 to 1.16 (docs/body.md)."""


def chain_length(pose3d: np.ndarray) -> float:
    """Metres: median over the frames of the length of CHAIN; pose3d (T, 17, 3)."""
    names = HUMAN36M_17.names
    total = 0.0
    for a, b in CHAIN:
        length = np.linalg.norm(pose3d[:, names.index(a)] - pose3d[:, names.index(b)], axis=-1)
        total += float(np.median(length)) * (0.5 if a[1] == "_" else 1.0)
    return total


def sequence_stature(sequence: PoseSequence) -> float:
    """Metres: of the fitted body, else by the usual proportions from the length of the bones."""
    if sequence.body is not None:
        return sequence.body.height
    return HEIGHT_OF_CHAIN * chain_length(sequence.pose3d)


def scaled(sequence: PoseSequence, factor: float) -> PoseSequence:
    """Everything in metres times `factor`: it projects onto the same pixels. UserError where a body was fitted already."""
    if sequence.body is not None:
        raise UserError("scale before a body is fitted: its shape holds its size")
    root = None if sequence.root is None else factor * sequence.root
    meshes = tuple(factor * mesh for mesh in sequence.meshes)
    return replace(sequence, pose3d=factor * sequence.pose3d, meshes=meshes, root=root)


def with_height(sequence: PoseSequence, height: float) -> PoseSequence:
    """The sequence scaled so that the person is `height` metres tall."""
    return scaled(sequence, height / sequence_stature(sequence))
