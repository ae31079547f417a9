"""The joints that free names of body parts mean: left_shoulder, LShoulder, shoulder_l and L_Shoulder are one."""

import re
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import CONVERSIONS

_SIDED = {
    "shoulder": "Shoulder", "elbow": "Elbow", "wrist": "Wrist", "hip": "Hip", "knee": "Knee", "ankle": "Ankle",
    "eye": "Eye", "ear": "Ear", "heel": "Heel", "bigtoe": "BigToe", "toe": "BigToe", "smalltoe": "SmallToe",
    "littletoe": "SmallToe", "footindex": "BigToe",
}  # fmt: skip
_MIDDLE = {
    "nose": "Nose", "neck": "Neck", "thorax": "Neck", "head": "Head", "headtop": "Head", "tophead": "Head",
    "topofhead": "Head", "vertex": "Head", "upperneck": "UpperNeck", "pelvis": "Pelvis", "midhip": "Pelvis",
    "hipcenter": "Pelvis", "torso": "Torso", "spine": "Torso",
}  # fmt: skip
_NUMBERED = {f"{part}{n}": f"{s}_{part.title()}" for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
             for n, s in ((1, "R"), (2, "L"))} | {"chin": "UpperNeck", "forehead": "Head"}  # fmt: skip
"""DeepLabCut's human model (Leeds Sports Pose): 1 is right. Meant only where all 14 are there."""

MIN_PARTS = 3


def joint_names(parts: list[str]) -> list[str | None]:
    """A joint's name for every body part, None where it is no joint of ours."""
    if {p.lower() for p in parts} == set(_NUMBERED):
        return [_NUMBERED[p.lower()] for p in parts]
    return [_joint(part) for part in parts]


def _joint(part: str) -> str | None:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", part)
    plain = "".join(words).lower()
    if plain in _MIDDLE:
        return _MIDDLE[plain]
    rest = [w.lower() for w in words]
    for side in ("left", "right", "l", "r"):
        if side in rest:
            rest.remove(side)
        elif plain.startswith(side) and plain.removeprefix(side) in _SIDED:
            rest = [plain.removeprefix(side)]
        else:
            continue
        name = _SIDED.get("".join(rest))
        return f"{side[0].upper()}_{name}" if name else None
    return None


def best_set_with(names: set[str]) -> str | None:
    """The joint set that makes the most of these names; None where none has any.

    It has most of them; of several, most of Human3.6M's joints follow from them; of several, it has the fewest joints. A
    joint of one name is the same in all sets.
    """

    def worth(joint_set: str) -> tuple[int, int, int]:
        joints, table = set(JOINT_SETS[joint_set].names), CONVERSIONS[joint_set]
        formulas = [table.get(joint, ({joint: 1.0},)) for joint in HUMAN36M_17.names]
        derived = sum(any(set(f) <= joints & names for f in choices) for choices in formulas)
        return len(joints & names), derived, -len(joints)

    best = max(JOINT_SETS, key=worth)
    return best if names & set(JOINT_SETS[best].names) else None


def listed(names: list[str]) -> str:
    """The first names of a file on one line of bounded length, whatever characters they are made of."""
    return ", ".join("".join(c if c.isprintable() else "?" for c in name[:30]) for name in names[:12])


def arranged(path: Path, parts: list[str], values: np.ndarray) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """values (N, parts, 3) as (N, J, 3) of a joint set, its name, and a line about body parts that are no joints."""
    names = joint_names(parts)
    known = [n for n in names if n is not None]
    twice = sorted({n for n in known if known.count(n) > 1})
    if twice:
        both = listed([p for p, n in zip(parts, names, strict=True) if n == twice[0]])
        raise UserError(f"{path}: the body parts {both} are one joint ({twice[0]}); rename all but one")
    joint_set = best_set_with(set(known)) if len(known) >= MIN_PARTS else None
    if joint_set is None:
        raise UserError(
            f"{path}: too few body parts are joints of a person ({listed(parts)}); call them left_shoulder, "
            "right_knee, ... as in docs/joints.md"
        )
    joints = JOINT_SETS[joint_set].names
    out = np.full((len(values), len(joints), 3), np.nan)
    skipped = []
    for k, (part, name) in enumerate(zip(parts, names, strict=True)):
        if name in joints:
            out[:, joints.index(name)] = values[:, k]
        else:
            skipped.append(part)
    notes = (f"{path}: no joints of {joint_set}, so skipped: {listed(skipped)}",) if skipped else ()
    return out, joint_set, notes
