"""Biovision BVH for Blender, Maya, MotionBuilder and others: centimetres, Y up, one file per person.

An approximation, because positions do not say how a bone turns about itself. The rest pose is a T-pose facing +Z with
the median length of every bone over the sequence. A joint with one bone turns by the smallest rotation that carries
the bone from its rest direction to the posed one. A joint with several bones (pelvis, neck) takes the rotation
that fits all of them best; what is left of each bone is turned by a joint of its own in the same place
(`Pelvis_R_Hip`, the way of CMU's LHipJoint). So bone directions are exact, and positions are up to the change of bone
lengths over time.

Where a body was fitted the file has its joints, bones and rotations instead, exactly (`body_joints`).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import y_up
from lib.files import replacing
from lib.joints import JointSet
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import Y_UP, BodyMotion, body_motion, joint_names
from lib.lifting.writers.geometry import evenly, placements
from lib.lifting.writers.person_files import person_files

UP, DOWN, RIGHT, LEFT = np.array([[0, 1, 0], [0, -1, 0], [-1, 0, 0], [1, 0, 0]], np.float64)
END_SITE = 5.0
"""Length in cm of the stub behind the last joint of a limb, which has no bone to show."""


@dataclass(frozen=True)
class BvhJoint:
    """One joint of the file: parent's index (-1 at the root), offset (3,) cm from it, angles (T, 3) degrees in `order`.

    end: offset (3,) cm of the end site of a joint without children, else None.
    """

    name: str
    parent: int
    offset: np.ndarray
    order: str
    angles: np.ndarray
    end: np.ndarray | None = None


def write_bvh(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """Write `path`, or `name_person_N.bvh` for each of several persons. Missing frames in between are interpolated."""
    files = person_files(path, sequences)
    for target, sequence, offset in zip(files, sequences, placements(sequences), strict=True):
        if sequence.body is not None:
            motion = body_motion(sequence, offset, Y_UP)
            text = _text(body_joints(sequence.body, motion), 100 * motion.root, motion.rate)
        else:
            points, rate = evenly(sequence.frames, sequence.pose3d + offset, sequence.fps)
            points = y_up(points) * 100
            text = _text(bvh_joints(points, sequence.joint_set), points[:, sequence.joint_set.root], rate)
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="ascii")
    return files


def bvh_joints(points: np.ndarray, joint_set: JointSet) -> list[BvhJoint]:
    """Positions (T, J, 3), cm, Y up -> the joints of the file, parents before children."""
    children = spanning_tree(joint_set)
    joints: list[BvhJoint] = []

    def add(j: int, parent: int, offset: np.ndarray, turned: Rotation) -> None:
        """Add joint j and all below; `turned`: rotation (T,) of the parent in world space."""
        name, rest = joint_set.names[j], {c: rest_direction(joint_set.names[c]) for c in children[j]}
        bones = {c: turned.inv().apply(points[:, c] - points[:, j]) for c in rest}
        lengths = {c: float(np.median(np.linalg.norm(bone, axis=-1))) for c, bone in bones.items()}
        if not rest:
            end = END_SITE * rest_direction(name)
            joints.append(BvhJoint(name, parent, offset, "ZXY", np.zeros((len(points), 3)), end))
        elif len(rest) == 1:
            ((child, bone),) = bones.items()
            rotation = _align(rest[child], bone)
            index = _append(joints, name, parent, offset, rotation, rest[child])
            add(child, index, rest[child] * lengths[child], turned * rotation)
        else:
            fit = _best_fit(np.stack(list(rest.values())), np.stack(list(bones.values()), axis=1))
            index = _append(joints, name, parent, offset, fit, None)
            for child, bone in bones.items():
                remainder = _align(rest[child], fit.inv().apply(bone))
                own = _append(joints, f"{name}_{joint_set.names[child]}", index, np.zeros(3), remainder, rest[child])
                add(child, own, rest[child] * lengths[child], turned * fit * remainder)

    add(joint_set.root, -1, np.zeros(3), Rotation.identity(len(points)))
    return joints


def body_joints(body: FittedBody, motion: BodyMotion) -> list[BvhJoint]:
    """A body's own joints at rest in its T-pose, and its rotations; the bones are constant. In the file's order, depth first."""
    parents, rest, names = body.model.parents.tolist(), 100 * body.rest_joints, joint_names(body)
    joints: list[BvhJoint] = []

    def add(k: int, parent: int) -> None:
        children = [child for child, above in enumerate(parents) if above == k]
        offset = rest[k] - rest[parents[k]] if k else np.zeros(3)
        along = np.mean([rest[child] - rest[k] for child in children], axis=0) if children else offset
        upright = abs(along[1]) > abs(along[0])
        bone = None if k == 0 else UP if upright else RIGHT
        index = _append(joints, names[k], parent, offset, motion.rotations[k], bone)
        if not children:
            end = END_SITE * offset / max(float(np.linalg.norm(offset)), 1e-9)
            joints[index] = replace(joints[index], end=end)
        for child in children:
            add(child, index)

    add(0, -1)
    return joints


def spanning_tree(joint_set: JointSet) -> list[list[int]]:
    """Children of every joint when the bones are walked from the root, breadth first; closing bones are left out."""
    children: list[list[int]] = [[] for _ in joint_set.names]
    seen, queue = {joint_set.root}, [joint_set.root]
    for j in queue:
        for a, b in joint_set.bones:
            other = b if a == j else a
            if j in (a, b) and other not in seen:
                seen.add(other)
                queue.append(other)
                children[j].append(other)
    return children


def rest_direction(name: str) -> np.ndarray:
    """(3,) unit, Y up, facing +Z: where the joint of this name lies from its parent in the T-pose."""
    part = name.split("_")[-1]
    if part in ("Knee", "Ankle"):
        return DOWN
    if part in ("Hip", "Shoulder", "Elbow", "Wrist"):
        return RIGHT if name.startswith("R_") else LEFT
    return UP


def _append(
    joints: list[BvhJoint], name: str, parent: int, offset: np.ndarray, rotation: Rotation, bone: np.ndarray | None
) -> int:
    # Where the middle angle nears 90 degrees the other two jump, so no large rotation may be about the middle axis: a
    # thigh rises about X, an arm reaches forward about Y, and the whole body (bone None) turns about Y.
    order = "ZYX" if bone is not None and bone[1] else "ZXY"
    angles = np.unwrap(rotation.as_euler(order), axis=0)
    joints.append(BvhJoint(name, parent, offset, order, np.rad2deg(angles)))
    return len(joints) - 1


def _align(rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """The smallest rotations that carry rest (3,), unit, to the directions of bones (T, 3)."""
    direction = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    # the quaternion (axis sin(a/2), cos(a/2)) is parallel to (rest x direction, 1 + rest . direction)
    scalar = 1 + direction @ rest
    quaternion = np.concatenate([np.cross(rest, direction), scalar[:, None]], axis=-1)
    opposite = scalar < 1e-9  # every axis across the bone will do: the one towards the viewer
    quaternion[opposite] = [0.0, 0.0, 1.0, 0.0]
    return Rotation.from_quat(quaternion)


def _best_fit(rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """Rotations (T,) that best carry directions rest (K, 3) onto those of bones (T, K, 3) (Kabsch)."""
    direction = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    u, _, vt = np.linalg.svd(np.einsum("tki,kj->tij", direction, rest))
    u[..., -1] *= np.linalg.det(u @ vt)[:, None]
    return Rotation.from_matrix(u @ vt)


def _text(joints: list[BvhJoint], positions: np.ndarray, rate: float) -> str:
    """HIERARCHY and MOTION, see Lander, "Working with Motion Capture File Formats", Game Developer 1998."""
    lines = ["HIERARCHY"]

    def write(index: int, depth: int) -> None:
        joint, tab = joints[index], "\t" * depth
        place = "6 Xposition Yposition Zposition" if joint.parent < 0 else "3"
        lines.extend(
            [
                f"{tab}{'ROOT' if joint.parent < 0 else 'JOINT'} {joint.name}",
                f"{tab}{{",
                f"{tab}\tOFFSET {_numbers(joint.offset)}",
                f"{tab}\tCHANNELS {place} {' '.join(f'{axis}rotation' for axis in joint.order)}",
            ]
        )
        for child, other in enumerate(joints):
            if other.parent == index:
                write(child, depth + 1)
        if joint.end is not None:
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {_numbers(joint.end)}", f"{tab}\t}}"])
        lines.append(f"{tab}}}")

    write(0, 0)
    lines += ["MOTION", f"Frames: {len(positions)}", f"Frame Time: {1 / rate:.8f}"]
    motion = np.concatenate([positions, *(joint.angles for joint in joints)], axis=-1)
    lines += [_numbers(row) for row in motion]
    return "\n".join(lines) + "\n"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.5f}" for value in values)
