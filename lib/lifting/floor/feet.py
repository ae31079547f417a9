"""The points of a body that stand on the floor."""

from dataclasses import dataclass

import numpy as np

from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.stature import sequence_stature

SIDES = ("R", "L")

ANKLE_HEIGHT = 0.055
"""An ankle's height over a flat sole, in parts of a person's height: between the ankle joint of Human3.6M's skeleton on the
built-in body and its lowest vertex."""


@dataclass(frozen=True)
class Feet:
    """P points that may be planted, and the legs that carry them; in the sequence's axes, metres, relative to the root.

    names; points (T, P, 3); clearance (P,): above the floor at which each stands; side (P,): index into SIDES; hips and ankles
    (T, 2, 3), of SIDES; reach (T, 2): length of the stretched leg.
    """

    names: tuple[str, ...]
    points: np.ndarray
    clearance: np.ndarray
    side: np.ndarray
    hips: np.ndarray
    ankles: np.ndarray
    reach: np.ndarray


def ankles(sequence: PoseSequence) -> Feet:
    """A foot is its ankle: all that 17 joints show of it."""
    hips, knees, ends = (sequence.pose3d[:, leg_joints(name)] for name in ("Hip", "Knee", "Ankle"))
    reach = np.linalg.norm(knees - hips, axis=-1) + np.linalg.norm(ends - knees, axis=-1)
    clearance = np.full(len(SIDES), ANKLE_HEIGHT * sequence_stature(sequence))
    names = tuple(f"{side}_Ankle" for side in SIDES)
    return Feet(names, ends, clearance, np.arange(len(SIDES)), hips, ends, reach)


def leg_joints(name: str) -> list[int]:
    """Numbers of the joint of this name on each of SIDES."""
    return [HUMAN36M_17.names.index(f"{side}_{name}") for side in SIDES]
