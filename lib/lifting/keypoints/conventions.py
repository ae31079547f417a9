"""Which keypoint convention joints without names are in: the one in which they look like people.

Read in a wrong order, joints make bodies that no camera has seen. `lib.joints.plausible_pose` measures it; docs/joints.md
has the figures.
"""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import JOINT_SETS, joint_sets_of, known_joint_sets
from lib.joints.conversion import convert_joints
from lib.joints.imputation import MIN_JOINTS
from lib.joints.plausible_pose import plausible_pose
from lib.lifting.tracking import FAR_AWAY

CLEAR = 1.4
"""How many times as unlike a person a reading must be to be ruled out. In motion capture the wrong reading is 1.6 times
worse or more in every clip, and 1.4 times or more in 99.9 % of single frames."""

LOOKED_AT = 500
"""Detections that are looked at, evenly spread."""


def joint_set_of(
    path: Path, values: np.ndarray, said: str | None, asked: str | None, force: bool, notes: list[str]
) -> str:
    """The joint set of values (N, J, 3), NaN where missing.

    asked: by the caller; said: by the file. A convention from either must look like people at least as much as the others
    with as many joints do, unless force. Without either, the clear one is taken, with a line in notes. UserError
    where it is not clear, wrong or unknown.
    """
    count = values.shape[1]
    fitting = joint_sets_of(count)
    if not fitting:
        raise UserError(f"{path}: {count} joints per person; the known keypoint conventions are {known_joint_sets()}")
    name = asked or said
    if name is not None and name not in fitting:
        raise UserError(
            f"{path}: {count} joints per person, but the convention {name} has {len(JOINT_SETS[name])}; "
            f"{count} fits {' or '.join(fitting)}"
        )
    if len(fitting) == 1 or (force and name is not None):
        return name or fitting[0]
    if name is not None:
        if better := clearly_better(values, name):
            raise UserError(f"{path}: {doubt_of(name, better)}; give --joint-set {better}, or --force if you are sure")
        return name
    unlike = unlikeness(values, fitting)
    best = min(fitting, key=unlike.__getitem__)
    second = min(unlike[other] for other in fitting if other != best)
    if not (np.isfinite(unlike[best]) and second >= CLEAR * unlike[best]):
        raise UserError(f"{path}: {count} joints may be {' or '.join(fitting)}; choose one with --joint-set")
    notes.append(
        f"{path}: {count} joints read as {best}, in which they look most like people; use --joint-set to choose another"
    )
    return best


def clearly_better(values: np.ndarray, name: str) -> str | None:
    """The convention of as many joints in which the joints (N, J, 3), NaN where missing, look clearly more like people than in
    the one of this name; None where there is none."""
    fitting = joint_sets_of(values.shape[1])
    if len(fitting) == 1:
        return None
    unlike = unlikeness(values, fitting)
    best = min(fitting, key=unlike.__getitem__)
    return best if np.isfinite(unlike[best]) and unlike[name] >= CLEAR * unlike[best] else None


def doubt_of(name: str, better: str) -> str:
    """What is said of joints that were read in one convention and are in another."""
    return f"read as {name} the joints do not look like people, as {better} they do"


def unlikeness(values: np.ndarray, joint_sets: list[str]) -> dict[str, float]:
    """How unlike people the joints (N, J, 3), NaN where missing, are in each reading; near 1 for people.

    The median over the detections in which every reading has MIN_JOINTS joints; infinite where there are none.
    """
    rows = np.unique(np.linspace(0, len(values) - 1, LOOKED_AT).astype(int))
    shown = np.where(np.abs(values[rows]) < FAR_AWAY, values[rows], np.nan)
    read = [convert_joints(shown, joint_set)[0] for joint_set in joint_sets]
    enough = np.all([np.isfinite(xy).all(-1).sum(-1) >= MIN_JOINTS for xy in read], axis=0)
    if not enough.any():
        return dict.fromkeys(joint_sets, np.inf)
    distances = [float(np.median(plausible_pose().distance(xy[enough]))) for xy in read]
    return dict(zip(joint_sets, distances, strict=True))
