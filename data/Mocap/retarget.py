"""Motion-capture clips as parameters of an SMPL-format body: pose, shape and translation."""

from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from data.Mocap.clean import rest_human36m_joints, rest_positions
from data.Mocap.naming import NamedSkeleton
from lib.joints import HUMAN36M_17, SMPL_24, SMPL_PARENTS
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From Y up to Human3.6M's Z up: (x, y, z) -> (x, -z, y)."""

MAX_BETA = 2.5
"""Bound of the fitted shape parameters, in standard deviations; the loader drops shapes beyond 3."""

LENGTH_NOISE = 0.015
"""Metres of bone length that weigh as much as one standard deviation of shape."""

POSITION_NOISE, ROTATION_NOISE = 0.01, 0.1
"""Metres and radians that weigh the same when the body is pulled to the joints."""

_STEPS, _FRAMES_AT_ONCE = 4, 1024

_LIMBS = tuple(f"{s}_{j}" for s in "LR" for j in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist"))
_TARGETS = (*_LIMBS, "Head_Top")
"""The body's points that have a counterpart among the 17 joints; Hips and Shoulders are the middles of two of them."""

_SEGMENTS = (
    ("Hips", "Shoulders"),
    ("Shoulders", "Head_Top"),
    *((start.replace("*", side), f"{side}_{end}") for side in "LR" for start, end in (
        ("Hips", "Hip"), ("*_Hip", "Knee"), ("*_Knee", "Ankle"),
        ("Shoulders", "Shoulder"), ("*_Shoulder", "Elbow"), ("*_Elbow", "Wrist"),
    )),
)  # fmt: skip

_S = {name: k for k, name in enumerate((*SMPL_24.names, "Head_Top"))}
_H = {name: k for k, name in enumerate(HUMAN36M_17.names)} | {"Head_Top": HUMAN36M_17.names.index("Head")}
_PARENTS = (*SMPL_PARENTS, _S["Head"])


def rest_points(body: BodyModel, betas: np.ndarray) -> np.ndarray:
    """(25, 3) joints of the body's rest pose and the top of its head for shape parameters betas (S,), metres."""
    shaped = body.v_template + body.shapedirs @ betas
    return np.concatenate([body.J_regressor @ shaped, shaped[[body.v_template[:, 1].argmax()]]])


def shortest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3) rotation by the smallest angle that turns direction start (3,) to direction end (3,)."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(a, b)
    sine, cosine = np.linalg.norm(axis), a @ b
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        other = np.eye(3)[np.argmin(np.abs(a))]
        axis, sine = np.cross(a, other), np.linalg.norm(np.cross(a, other))
    return Rotation.from_rotvec(axis / sine * np.arctan2(np.linalg.norm(np.cross(a, b)), cosine)).as_matrix()


def smpl_pose(
    named: NamedSkeleton, rotations: np.ndarray, joints: np.ndarray, body: BodyModel, betas: np.ndarray
) -> np.ndarray:
    """Axis-angle pose (T, 72), Z-up world, that makes the body of shape betas (S,) move like the skeleton.

    rotations (T, J, 3, 3): world rotations of the skeleton's joints; joints (T, 17, 3): its Human3.6M joints, metres;
    both Y up.
    """
    body_rest = rest_points(body, betas)
    targets = with_lengths_of(body_rest, joints, rest_human36m_joints(named))
    world = Z_UP @ pull_to_targets(world_rotations(named, rotations, body_rest), targets, body_rest)
    parents = list(SMPL_PARENTS[1:])
    local = np.concatenate([world[:, :1], np.swapaxes(world[:, parents], -1, -2) @ world[:, 1:]], axis=1)
    return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(len(rotations), -1)


def world_rotations(named: NamedSkeleton, rotations: np.ndarray, body_rest: np.ndarray) -> np.ndarray:
    """World rotations (T, 24, 3, 3) of the body's joints from those of the skeleton's joints (T, J, 3, 3), Y up.

    A motion-capture bone's rotation counts from the skeleton's own rest pose, in which CMU's legs, for one, are splayed
    by 20 degrees; SMPL's counts from the body's rest pose. With S the rotation from the body's rest pose to the
    skeleton's, bone by bone, the body's world rotation is (rotation of the bone) S. SMPL joints without a counterpart
    in the skeleton turn with their parent.
    """
    source, S = _sources(named), rest_differences(named, body_rest)
    world = np.empty((len(rotations), len(SMPL_24), 3, 3))
    for k, name in enumerate(SMPL_24.names):
        own = source.get(name)
        world[:, k] = world[:, SMPL_PARENTS[k]] if own is None else rotations[:, own] @ S[name]
    return world


def _points(points: np.ndarray, index: dict[str, int]) -> dict[str, np.ndarray]:
    """`_TARGETS`, Hips and Shoulders, each (..., 3), from the body's points or the 17 joints (..., J, 3)."""
    found = {name: points[..., index[name], :] for name in _TARGETS}
    for middle in ("Hip", "Shoulder"):
        found[f"{middle}s"] = (found[f"L_{middle}"] + found[f"R_{middle}"]) / 2
    return found


def with_lengths_of(body_rest: np.ndarray, joints: np.ndarray, rest_joints: np.ndarray) -> np.ndarray:
    """Targets (T, 13, 3), from the middle of the hips: the joints (T, 17, 3) of a person with the body's proportions.

    rest_joints (17, 3): the skeleton's joints in its rest pose. Each segment keeps the direction it has in `joints` and its
    stretch against the rest pose (a bent trunk is shorter), and takes its length from body_rest (25, 3). Without this a
    person with a shorter trunk than any shape of the body would be met by a crouching body.
    """
    body, rest, now = _points(body_rest, _S), _points(rest_joints, _H), _points(joints, _H)
    places = {"Hips": np.zeros_like(now["Hips"])}
    for start, end in _SEGMENTS:
        ratio = np.linalg.norm(body[end] - body[start]) / np.linalg.norm(rest[end] - rest[start])
        places[end] = places[start] + ratio * (now[end] - now[start])
    return np.stack([places[name] for name in _TARGETS], axis=1)


def pull_to_targets(world: np.ndarray, targets: np.ndarray, body_rest: np.ndarray) -> np.ndarray:
    """World rotations (T, 24, 3, 3) changed a little so that the body meets the targets (T, 13, 3), metres from its hips.

    The same rotations put a body of other build (hips further back, shoulders lower) several centimetres beside the
    joints. With the middle of the hips in place, limb joints and the top of the head are sums of rotated bones,
        p_i = sum_k E_k G_k o_ik     (o_ik: rest bone that joint k turns on the way from the hips to i),
    and Gauss-Newton steps find the rotations E_k that minimise |p_i - target_i|^2 / POSITION_NOISE^2 +
    |log E_k|^2 / ROTATION_NOISE^2. Rotations that move none of these points (hands, feet) are unchanged.
    """
    bones = _bones_from_hips(body_rest)
    movers = np.flatnonzero(bones.any(axis=(0, 2)))
    bones = bones[:, movers]
    result = world.copy()
    for start in range(0, len(world), _FRAMES_AT_ONCE):
        rows = slice(start, start + _FRAMES_AT_ONCE)
        G = world[rows][:, movers]
        E = np.broadcast_to(np.eye(3), G.shape).copy()  # SciPy 1.11 refuses arrays that it may not write
        for _ in range(_STEPS):
            turned = np.einsum("tkab,tkbc,ikc->tika", E, G, bones, optimize=True)
            residual = (targets[rows] - turned.sum(2)).reshape(len(G), -1) / POSITION_NOISE
            # d(w x b)/dw = -[b]x, written as the cross products of the unit vectors with b.
            J = np.cross(np.eye(3), turned[..., None, :]).swapaxes(-1, -2) / POSITION_NOISE
            J = J.transpose(0, 1, 3, 2, 4).reshape(len(G), residual.shape[1], -1)
            offset = Rotation.from_matrix(E.reshape(-1, 3, 3)).as_rotvec().reshape(len(G), -1)
            A = J.swapaxes(1, 2) @ J + np.eye(J.shape[2]) / ROTATION_NOISE**2
            b = (J.swapaxes(1, 2) @ residual[..., None])[..., 0] - offset / ROTATION_NOISE**2
            step = np.linalg.solve(A, b[..., None])
            E = Rotation.from_rotvec(step.reshape(-1, 3)).as_matrix().reshape(G.shape) @ E
        result[rows, movers] = E @ G
    return result


def _bones_from_hips(body_rest: np.ndarray) -> np.ndarray:
    """(13, 24, 3): for target i the rest bone that joint k turns on the way to it from the middle of the hips, else 0."""
    hips = body_rest[[_S["L_Hip"], _S["R_Hip"]]].mean(0)
    bones = np.zeros((len(_TARGETS), len(SMPL_24), 3))
    for i, name in enumerate(_TARGETS):
        k = _S[name]
        while (parent := _PARENTS[k]) >= 0:
            bones[i, parent] = body_rest[k] - (hips if parent == 0 else body_rest[parent])
            k = parent
    return bones


def _sources(named: NamedSkeleton) -> dict[str, int | None]:
    """For every SMPL joint the index of the skeleton's joint whose rotation it takes, or None."""
    convention, index = named.convention, named.index
    spine = dict(zip(("Spine1", "Spine2", "Spine3"), map(index.get, convention.spine), strict=False))
    sources = {"Pelvis": _pelvis(named), "Neck": index.get(convention.neck), "Head": index[convention.head], **spine}
    for prefix, left in (("L_", True), ("R_", False)):
        for part in ("hip", "knee", "ankle", "collar", "shoulder", "elbow", "wrist"):
            sources[prefix + part.capitalize()] = named.limb(part, left)
        sources[prefix + "Foot"] = named.limb("toe", left)
    return sources


def _pelvis(named: NamedSkeleton) -> int:
    """The joint that carries both legs: their nearest common ancestor."""
    parents = named.skeleton.parents
    above = []
    for left in (True, False):
        chain, j = [], named.limb("hip", left)
        while j >= 0:
            chain.append(j)
            j = parents[j]
        above.append(chain)
    return next(j for j in above[0] if j in above[1])


def rest_differences(named: NamedSkeleton, body_rest: np.ndarray) -> dict[str, np.ndarray]:
    """For every SMPL joint the rotation (3, 3) from the body's rest pose (25, 3) to the skeleton's, both Y up, +Z front.

    Limbs turn by the smallest angle that lays the body's bone on the skeleton's. Feet turn only sideways, with the
    leg's splay: both rest poses have them flat on the floor for any slope of the shin. The trunk and the head stand
    upright in both.
    """
    rest = rest_positions(named)
    S = dict.fromkeys(SMPL_24.names, np.eye(3))
    for prefix, left in (("L_", True), ("R_", False)):
        chains = (("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist", "Hand"))
        for start, end in ((a, b) for chain in chains for a, b in pairwise(chain)):
            a, b = named.limb(start.lower(), left), named.limb(end.lower(), left)
            if b is None:
                S[prefix + start] = S[prefix + "Elbow"]
            else:
                body_bone = body_rest[_S[prefix + end]] - body_rest[_S[prefix + start]]
                S[prefix + start] = shortest_rotation(body_bone, rest[b] - rest[a])
        x, y, _ = rest[named.limb("ankle", left)] - rest[named.limb("knee", left)]
        S[prefix + "Ankle"] = S[prefix + "Foot"] = Rotation.from_euler("z", np.arctan2(x, -y)).as_matrix()
    return S


def fit_betas(rest_joints: np.ndarray, body: BodyModel) -> np.ndarray:
    """Shape parameters (S,) that give the body the lengths of skeletons with rest joints (N, 17, 3), metres.

    Least squares over the lengths of thigh, shin, upper arm, forearm, trunk (hips to shoulders) and the width of the
    shoulders, with a standard normal prior, each parameter within MAX_BETA.
    """
    target = np.median(_lengths(rest_joints, _H), axis=0)

    def residuals(betas):
        lengths = _lengths(rest_points(body, betas), _S)
        return np.concatenate([(lengths - target) / LENGTH_NOISE, betas])

    size = body.shapedirs.shape[-1]
    return least_squares(residuals, np.zeros(size), bounds=(-MAX_BETA, MAX_BETA)).x


def _lengths(joints: np.ndarray, index: dict[str, int]) -> np.ndarray:
    """(..., 6) lengths, mean of left and right, from joints (..., J, 3)."""

    def distance(a, b):
        return np.linalg.norm(joints[..., index[a], :] - joints[..., index[b], :], axis=-1)

    limbs = (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist"))
    lengths = [(distance(f"L_{a}", f"L_{b}") + distance(f"R_{a}", f"R_{b}")) / 2 for a, b in limbs]
    middles = [(joints[..., index[f"L_{j}"], :] + joints[..., index[f"R_{j}"], :]) / 2 for j in ("Hip", "Shoulder")]
    lengths.append(np.linalg.norm(middles[1] - middles[0], axis=-1))
    lengths.append(distance("L_Shoulder", "R_Shoulder"))
    return np.stack(lengths, axis=-1)


def translation(pose: np.ndarray, pelvis: np.ndarray, body: BodyModel, betas: np.ndarray) -> np.ndarray:
    """SMPL's translation (T, 3), metres, that puts the body's pelvis on the mocap pelvis (T, 3), metres, Z up.

    The pelvis is the middle of the hips: those of the body's Human3.6M joints where it has them, else SMPL's. It turns
    about J0: transl = pelvis - J0 - R0 (middle of the hips - J0).
    """
    joints = rest_points(body, betas)
    hips = joints[[_S["L_Hip"], _S["R_Hip"]]].mean(0)
    if body.joint_regressor is not None:
        shaped = body.v_template + body.shapedirs @ betas
        hips = (body.joint_regressor[[_H["L_Hip"], _H["R_Hip"]]] @ shaped).mean(0)
    turned = Rotation.from_rotvec(pose[:, :3]).apply(hips - joints[0])
    return pelvis - joints[0] - turned


def body_distance(
    pose: np.ndarray, transl: np.ndarray, joints: np.ndarray, body: BodyModel, betas: np.ndarray
) -> np.ndarray:
    """(T,) mean distance in metres between the body's limb joints and those of joints (T, 17, 3), metres, Z up."""
    rest = torch.as_tensor(rest_points(body, betas)[:-1])
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).unflatten(-1, (-1, 3)))
    posed, _ = forward_kinematics(rotations, rest.expand(len(pose), -1, -1), list(SMPL_PARENTS))
    found = posed.numpy()[:, [_S[name] for name in _LIMBS]] + transl[:, None]
    return np.linalg.norm(found - joints[:, [_H[name] for name in _LIMBS]], axis=-1).mean(1)
