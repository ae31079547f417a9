"""Skeletons whose bones lie along their own x axes at rest, as LaFAN1's do: counted from a T-pose instead.

Such a rest pose folds all limbs onto one line, so it does not show how the person stands. The axes themselves do: trunk and
thighs have y in front, feet y above, arms y behind, and knees and elbows bend about -z (read off LaFAN1's motions).
"""

from dataclasses import replace

import numpy as np

from data.Mocap.naming import NamedSkeleton
from data.Mocap.skeleton import Clip

_LEFT, _UP, _FRONT = np.eye(3)


def _axes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([x, y, np.cross(x, y)], axis=1)


_TRUNK, _LEG, _FOOT = _axes(_UP, _FRONT), _axes(-_UP, _FRONT), _axes(_FRONT, _UP)
_LEFT_ARM, _RIGHT_ARM = _axes(_LEFT, -_FRONT), _axes(-_LEFT, -_FRONT)
"""(3, 3) own axes in the T-pose, in columns; rows are left, up and front."""


def bones_along_x(named: NamedSkeleton) -> bool:
    """Whether shins, feet, forearms and hands begin on the x axes of the joints before them."""
    ends = [named.limb(part, left) for part in ("knee", "ankle", "elbow", "wrist") for left in (True, False)]
    offsets = named.skeleton.offsets[ends]
    return bool((offsets[:, 0] > 0.99 * np.linalg.norm(offsets, axis=1)).all())


def from_t_pose(clip: Clip, named: NamedSkeleton) -> Clip:
    """The same motion with the T-pose as rest pose: left at +X, up at +Y (also in the file), front at +Z.

    With T the axes in the T-pose, offsets become T_parent offset and rotations T_parent R T^T.
    """
    begins = {named.limb("hip", left): _LEG for left in (True, False)}
    begins |= {named.limb("ankle", left): _FOOT for left in (True, False)}
    for left, arm in ((True, _LEFT_ARM), (False, _RIGHT_ARM)):
        begins |= {named.limb("shoulder", left): arm, named.limb("collar", left): arm}
    axes = np.empty((len(clip.skeleton.names), 3, 3))
    before = np.empty_like(axes)
    for j, parent in enumerate(clip.skeleton.parents):
        before[j] = np.eye(3) if parent < 0 else axes[parent]
        axes[j] = begins.get(j, _TRUNK if parent < 0 else axes[parent])
    offsets = np.einsum("jab,jb->ja", before, clip.skeleton.offsets)
    rotations = before @ clip.rotations @ axes.swapaxes(-1, -2)
    return replace(clip, skeleton=replace(clip.skeleton, offsets=offsets), rotations=rotations)
