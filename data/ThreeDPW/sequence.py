"""One sequence of 3DPW (sequenceFiles/SPLIT/SEQUENCE.pkl): each actor before the moving camera."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.finite import NAN_KEY, finite_frames
from data.pickles import read_pickle
from lib.camera import world_to_camera
from lib.errors import UserError
from lib.joints import SMPL_24

GENDERS = {"m": "male", "f": "female", "n": "neutral"}
SHAPE_DIRECTIONS = 10
OPENPOSE_JOINTS = 18

LEG = ((1, 4), (2, 5), (4, 7), (5, 8))
"""Thighs and shins among SMPL's joints."""

MAX_MEDIAN_ANGLE = 1.5
"""Radians. No body holds half of its joints turned by more than 86 degrees; numbers in degrees are far above."""

MAX_MEDIAN_DISTANCE = 100.0
"""Metres from the camera. People whom a hand-held camera shows are much nearer; numbers in millimetres are far above."""


@dataclass(frozen=True)
class Actor:
    """The n frames of one actor whose camera is valid.

    frame (n,) int, position in the sequence; pose (n, 72) radians, axis-angle, world; trans (n, 3) m, world;
    betas (10,); gender: male, female or neutral; joints (n, 24, 3) m, world, SMPL's order, as the file gives them;
    R (n, 3, 3), t (n, 3) m: world to camera, of each frame; detections (n, 18, 3) px and score, OpenPose-18, zero where
    missed; missing: how many valid frames were dropped for a NaN.
    """

    frame: np.ndarray
    pose: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    gender: str
    joints: np.ndarray
    R: np.ndarray
    t: np.ndarray
    detections: np.ndarray
    missing: int = 0

    @property
    def has_detections(self) -> np.ndarray:
        """(n,) bool: OpenPose found the person."""
        return (self.detections[..., 2] > 0).any(1)


@dataclass(frozen=True)
class Sequence:
    """name; f, c (2,) px; width, height px; actors; image (F,) int: index of each frame's image in the 60 Hz recording."""

    name: str
    f: np.ndarray
    c: np.ndarray
    width: int
    height: int
    actors: tuple[Actor, ...]
    image: np.ndarray


def read_sequence(path: Path, drop_nan: bool = False) -> Sequence:
    """Read one file, without running anything it contains; UserError names the file and what is wrong with it.

    A NaN in a valid frame is such an error, unless drop_nan: then the frame is dropped and counted.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: is not a sequence of 3DPW (it holds {type(content).__name__}, not a dictionary)")
    poses = _list(path, content, "poses")
    people = len(poses)
    image = _array(path, content.get("img_frame_ids"), "img_frame_ids", (None,)).astype(np.int64)
    frames = len(image)
    cameras = _array(path, content.get("cam_poses"), "cam_poses", (frames, 4, 4))
    K = _array(path, content.get("cam_intrinsics"), "cam_intrinsics", (3, 3))
    f, c = np.diag(K)[:2].copy(), K[:2, 2].copy()
    if not (np.isfinite(K).all() and f.min() > 0 and c.min() > 0):
        raise UserError(f"{path}: cam_intrinsics is not a camera matrix with positive focal length and principal point")
    joint_columns = 3 * len(SMPL_24)
    columns = {
        "poses": (frames, joint_columns),
        "trans": (frames, 3),
        "jointPositions": (frames, joint_columns),
        "poses2d": (frames, 3, OPENPOSE_JOINTS),
        "campose_valid": (frames,),
        "betas": (None,),
    }
    lists = {name: _list(path, content, name, people) for name in (*columns, "genders")}
    actors = []
    for i in range(people):
        arrays = {name: _array(path, lists[name][i], f"{name} of actor {i}", shape) for name, shape in columns.items()}
        actors.append(_actor(path, i, arrays, lists["genders"][i], cameras, drop_nan))
    return Sequence(path.stem, f, c, round(2 * c[0]), round(2 * c[1]), tuple(actors), image)


def _actor(
    path: Path, number: int, arrays: dict[str, np.ndarray], gender: object, cameras: np.ndarray, drop_nan: bool
) -> Actor:
    where = f"{path}: actor {number}"
    gender = gender.decode("latin-1") if isinstance(gender, bytes) else gender
    if gender not in GENDERS:
        raise UserError(f"{where}: gender must be m or f")
    betas = arrays["betas"][:SHAPE_DIRECTIONS]
    if len(betas) < SHAPE_DIRECTIONS or not np.isfinite(betas).all():
        raise UserError(f"{where}: betas must be at least {SHAPE_DIRECTIONS} finite numbers")
    frame = np.flatnonzero(arrays["campose_valid"] == 1)
    names = ("poses", "trans", "jointPositions")
    everything = [*(arrays[name][frame] for name in names), arrays["poses2d"][frame], cameras[frame]]
    finite = finite_frames(where + ":", frame, everything, drop_nan, NAN_KEY)
    frame = frame[finite]
    R, t = cameras[frame, :3, :3], cameras[frame, :3, 3]
    turned = ~np.isclose(R @ np.swapaxes(R, 1, 2), np.eye(3), atol=1e-3).all((1, 2)) | (np.linalg.det(R) < 0)
    if turned.any():
        raise UserError(f"{where}: cam_poses of frame {frame[turned.argmax()]} is not a rotation and a translation")
    pose, trans, joints = (arrays[name][frame] for name in names)
    joints = joints.reshape(len(frame), -1, 3)
    _check_units(where, pose, trans, joints)
    _check_distance(where, world_to_camera(joints[:, :1], R, t))
    detections = np.swapaxes(arrays["poses2d"][frame], 1, 2)
    return Actor(frame, pose, trans, betas, GENDERS[gender], joints, R, t, detections, int((~finite).sum()))


def _list(path: Path, content: dict, name: str, length: int | None = None) -> list:
    value = content.get(name)
    if not isinstance(value, (list, tuple)) or not value:
        raise UserError(
            f"{path}: has no {name}, a list over its actors; it is not a sequence of 3DPW, or not a complete one"
        )
    if length is not None and len(value) != length:
        raise UserError(f"{path}: {name} is of {len(value)} actors, poses of {length}; fetch the file again")
    return list(value)


def _array(path: Path, value: object, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """`value` as float64; None in `shape`: any length."""
    if value is None:
        raise UserError(f"{path}: has no {name}; it is not a sequence of 3DPW, or not a complete one")
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    fits = array.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "fiub" or not fits:
        want = " x ".join("any" if n is None else str(n) for n in shape)
        found = " x ".join(map(str, array.shape)) or "no array"
        raise UserError(f"{path}: {name} is {found}, expected {want} numbers")
    return array.astype(np.float64)


def _check_units(where: str, pose: np.ndarray, trans: np.ndarray, joints: np.ndarray) -> None:
    """Metres, not millimetres; radians, not degrees."""
    if not len(pose):
        return
    legs = np.median([np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for a, b in LEG])
    if not 0.25 < legs < 0.65:
        raise UserError(
            f"{where}: thighs and shins measure {legs:.3g}, expected about 0.45: jointPositions must be in metres"
        )
    angles = np.median(np.linalg.norm(pose[:, 3:].reshape(len(pose), -1, 3), axis=-1))
    if angles > MAX_MEDIAN_ANGLE:
        raise UserError(f"{where}: half of the joint rotations are larger than {angles:.3g}; poses must be in radians")
    distance = np.median(np.linalg.norm(trans - joints[:, 0], axis=-1))
    if distance > 2:
        raise UserError(f"{where}: trans is {distance:.3g} m from the pelvis of jointPositions; both must be in metres")


def _check_distance(where: str, pelvis: np.ndarray) -> None:
    """cam_poses in metres: people are within sight. pelvis (n, 1, 3) m, camera axes."""
    distance = np.median(np.linalg.norm(pelvis, axis=-1)) if len(pelvis) else 0.0
    if not distance < MAX_MEDIAN_DISTANCE:
        raise UserError(
            f"{where}: the person is {distance:.4g} m from the camera; the translations in cam_poses must be in metres"
        )
