"""From a clip as its file has it to a clip in metres, Y up, facing +Z, whole, with its 17 Human3.6M joints."""

from dataclasses import replace

import numpy as np

from data.Mocap.naming import NamedSkeleton, UnusableSkeleton, name_joints
from data.Mocap.skeleton import Clip
from data.Mocap.t_pose import bones_along_x, from_t_pose
from lib.joints import HUMAN36M_17

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "CMU": 0.0254 / 0.45}
"""Metres per unit of the lengths found in BVH files; CMU: the unit of the original .asf files, kept by conversions."""

LEG = 0.85
"""Hip to ankle of an adult, metres."""

GLITCH_SPEED = 16.0
"""m/s relative to the pelvis; no joint of a person moves faster, a swapped marker does."""

GLITCH_MARGIN = 0.02
"""Seconds on both sides of a jump that are dropped with it: the capture's smoothing spreads the fault that far."""

# Nose and top of the head in the head's rest axes (left, up, forward), metres. No motion-capture skeleton has a
# nose, and some have no bone that ends at the top of the head.
NOSE_FROM_TOP = np.array([0.0, -0.112, 0.100])
TOP_FROM_HEAD = np.array([0.0, 0.180, 0.010])


def rest_positions(named: NamedSkeleton) -> np.ndarray:
    """(J, 3) joint positions in the rest pose, the root's offset at the origin."""
    positions = np.zeros_like(named.skeleton.offsets)
    for j, parent in enumerate(named.skeleton.parents[1:], start=1):
        positions[j] = positions[parent] + named.skeleton.offsets[j]
    return positions


def stand_upright(clip: Clip) -> Clip:
    """Turn the clip's axes so that the rest pose has the person's left at +X, up at +Y and front at +Z.

    The format does not define axes. The rest pose shows them, because the person stands; where all bones lie along their own x
    axes it is replaced (`t_pose`). UnusableSkeleton for any other: then the twist of the bones is unknown.
    """
    named = name_joints(clip.skeleton)
    if bones_along_x(named):
        clip = from_t_pose(clip, named)
        named = name_joints(clip.skeleton)
    rest = rest_positions(named)
    at = {part: [rest[named.limb(part, left)] for left in (True, False)] for part in ("hip", "ankle", "shoulder")}
    hips, ankles, shoulders = (np.mean(at[part], axis=0) for part in ("hip", "ankle", "shoulder"))
    up = _nearest_axis(shoulders - hips)
    left = _nearest_axis(at["hip"][0] - at["hip"][1])
    legs = ankles - hips
    if up is None or left is None or abs(up @ left) > 0.5 or -(legs @ up) < 0.8 * np.linalg.norm(legs):
        raise UnusableSkeleton(
            "its rest pose (all rotations zero) is not a standing person, so the bones' axes are unknown"
        )
    B = np.stack([left, up, np.cross(left, up)], axis=1)
    skeleton = replace(clip.skeleton, offsets=clip.skeleton.offsets @ B)
    return replace(clip, skeleton=skeleton, rotations=B.T @ clip.rotations @ B, translation=clip.translation @ B)


def _nearest_axis(direction: np.ndarray) -> np.ndarray | None:
    """The signed coordinate axis within 37 degrees of a direction, or None."""
    k = np.argmax(np.abs(direction))
    if abs(direction[k]) <= 0.8 * np.linalg.norm(direction):
        return None
    axis = np.zeros(3)
    axis[k] = np.sign(direction[k])
    return axis


def guess_unit(clip: Clip) -> float:
    """Metres per unit of a BVH file: the unit of `UNITS` that gives legs nearest to an adult's length.

    UnusableSkeleton when none gives 0.5 to 1.2 m.
    """
    named = name_joints(clip.skeleton)
    offsets = clip.skeleton.offsets
    leg = np.mean([np.linalg.norm(offsets[named.limb(p, s)]) for p in ("knee", "ankle") for s in (True, False)]) * 2
    unit = min(UNITS.values(), key=lambda u: abs(np.log(max(leg, 1e-12) * u / LEG)))
    if not 0.5 <= leg * unit <= 1.2:
        raise UnusableSkeleton(f"its legs are {leg:.4g} units long, which is a person in none of {', '.join(UNITS)}")
    return unit


def scale(clip: Clip, unit: float) -> Clip:
    """The clip with all lengths multiplied by `unit`."""
    skeleton = replace(clip.skeleton, offsets=clip.skeleton.offsets * unit)
    return replace(clip, skeleton=skeleton, translation=clip.translation * unit)


def repair(clip: Clip) -> tuple[Clip, list[str]]:
    """Give back what the converter amc2bvh loses: the offset of every bone that has several children.

    Such files have neck and shoulders at the end of the upper back, which lacks the thorax, and the hand where two
    thirds of the forearm end. The lost lengths follow from CMU's skeletons, whose proportions are fixed: thorax = 1.012
    upper backs, straight up; the rest of the forearm = half of the part that is left. Y-up clips only. Returns the
    clip and what was repaired, in words.
    """
    named = name_joints(clip.skeleton)
    offsets, done = clip.skeleton.offsets.copy(), []
    neck = [named.index[name] for name in named.convention.neck_at]
    collars = [named.limb("collar", left) for left in (True, False)]
    if None not in collars and not offsets[[*neck, *collars]].any():
        chest = clip.skeleton.parents[neck[0]]
        offsets[[*neck, *collars]] = [0.0, 1.012 * np.linalg.norm(offsets[chest]), 0.0]
        done.append("thorax")
    for left in (True, False):
        wrist = named.limb("wrist", left)
        if not offsets[wrist].any():
            offsets[wrist] = 0.5 * offsets[clip.skeleton.parents[wrist]]
            done.append("left forearm" if left else "right forearm")
    return replace(clip, skeleton=replace(clip.skeleton, offsets=offsets)), done


def human36m_joints(named: NamedSkeleton, positions: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """The 17 Human3.6M joints (T, 17, 3) from all joints' positions (T, J, 3) and world rotations (T, J, 3, 3).

    Metres, Y up. The pelvis is the middle of the hips. The nose does not exist in most motion capture: it is put in
    front of the face by the head's rotation.
    """
    convention = named.convention

    def weighted(weights):
        return sum(w * positions[:, named.index[name]] for name, w in weights.items())

    head = named.index[convention.head]
    top = named.head_top()
    out = {"Torso": weighted(convention.torso_at), "Neck": weighted(convention.neck_at)}
    for prefix, left in (("L_", True), ("R_", False)):
        for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
            out[prefix + part.capitalize()] = positions[:, named.limb(part, left)]
    out["Pelvis"] = (out["L_Hip"] + out["R_Hip"]) / 2
    out["Head"] = positions[:, head] + rotations[:, head] @ TOP_FROM_HEAD if top is None else positions[:, top]
    out["Nose"] = out["Head"] + rotations[:, head] @ NOSE_FROM_TOP
    for name, weights in (("Head", convention.head_at), ("Nose", convention.nose_at)):
        if weights is not None:
            out[name] = weighted(weights)
    return np.stack([out[name] for name in HUMAN36M_17.names], axis=1)


def rest_human36m_joints(named: NamedSkeleton) -> np.ndarray:
    """The 17 Human3.6M joints (17, 3) of the rest pose, metres, Y up."""
    rest = rest_positions(named)[None]
    return human36m_joints(named, rest, np.broadcast_to(np.eye(3), (*rest.shape, 3)))[0]


def check_bones(named: NamedSkeleton) -> None:
    """UnusableSkeleton when two joined Human3.6M joints rest in one place, so that the bone has no direction."""
    joints = rest_human36m_joints(named)
    for a, b in HUMAN36M_17.bones:
        if np.linalg.norm(joints[b] - joints[a]) < 0.005:
            names = HUMAN36M_17.names
            raise UnusableSkeleton(f"{names[a]} and {names[b]} are in the same place; the skeleton is damaged")


def glitches(joints: np.ndarray, fps: float) -> np.ndarray:
    """(T,) True for the frames within GLITCH_MARGIN of a jump of any joint (T, J, 3), metres, above GLITCH_SPEED."""
    relative = joints - joints[:, :1]
    jumps = np.flatnonzero(np.linalg.norm(np.diff(relative, axis=0), axis=-1).max(1, initial=0) * fps > GLITCH_SPEED)
    margin = int(np.ceil(GLITCH_MARGIN * fps))
    bad = np.zeros(len(joints), bool)
    for jump in jumps.tolist():  # from frame `jump` to the next
        bad[max(jump + 1 - margin, 0) : jump + 1 + margin] = True
    return bad


def sample_frames(count: int, fps: float, target: float) -> np.ndarray:
    """Indices of the frames nearest to the times k / target; every frame at most once."""
    # A little more than exact, so that 1/120 s written as 0.00833333 does not lose the last frame.
    wanted = np.arange(int((count - 1) / fps * target + 1e-3) + 1) * (fps / target)
    return np.unique(np.minimum(np.round(wanted), count - 1).astype(int))
