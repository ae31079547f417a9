"""One AMASS file (..._poses.npz of SMPL+H, ..._stageii.npz of SMPL-X) as SMPL's pose, shape and translation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.finite import finite_frames
from data.pickles import npz_keys, read_npz
from lib.errors import UserError

BODY_COLUMNS = 66
"""Root and 21 body joints, which SMPL+H, SMPL-X and SMPL share; what follows are hands, jaw and eyes."""
SMPL_COLUMNS = 72
COLUMNS = {156: "smplh", 165: "smplx"}
"""Width of `poses` to the model that it belongs to."""
SHAPE_DIRECTIONS = 10

GENDERS = ("male", "female", "neutral")
RATES = ("mocap_framerate", "mocap_frame_rate")

MAX_RATE = 1e5

MAX_MEDIAN_ANGLE = 1.5
"""Radians. No body holds half of its joints turned by more than 86 degrees; numbers in degrees are far above."""
MAX_TRANSLATION = 100.0
"""Metres from the origin. Capture spaces are smaller; numbers in millimetres are far above."""


@dataclass(frozen=True)
class Motion:
    """Every step-th frame of one recording, n of N frames.

    pose (n, 72) radians, axis-angle, SMPL's joints, hands at rest; trans (n, 3) metres, Z up, SMPL's translation;
    betas (10,), for SMPL-X of another shape space than SMPL's; frame (n,) int; rate: of the file, Hz; model: smplh or
    smplx; missing: how many sampled frames were dropped for a NaN.
    """

    pose: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    frame: np.ndarray
    rate: float
    step: int
    gender: str
    model: str
    missing: int = 0


def is_motion_file(path: Path) -> bool:
    """Whether a file's name is one of motion: shape.npz and ..._stagei.npz do not."""
    return path.suffix == ".npz" and (path.stem.endswith("_poses") or path.stem.endswith("_stageii"))


def frame_step(rate: float, fps: float) -> int:
    """How many frames of `rate` Hz make one of `fps` Hz: the nearest whole number, halves upwards, at least 1."""
    return max(1, int(np.floor(rate / fps + 0.5)))


def read_motion(path: Path, fps: float, drop_nan: bool = False) -> Motion:
    """Read one file and keep about `fps` frames a second. Only the keys that are used are opened.

    UserError with the file's name for anything missing or malformed. A NaN in a sampled frame is such an
    error, unless drop_nan: then the frame is dropped and counted.
    """
    keys = npz_keys(path)
    rate_key = next((name for name in RATES if name in keys), RATES[0])
    content = read_npz(path, ("poses", "trans", "betas", "gender", rate_key))
    poses, trans, betas, rate = (_numbers(path, content, name) for name in ("poses", "trans", "betas", rate_key))
    gender = _gender(path, content["gender"])
    if poses.ndim != 2 or poses.shape[1] not in COLUMNS:
        shape = " x ".join(map(str, poses.shape))
        raise UserError(f"{path}: poses is {shape}, expected frames x 156 (SMPL+H) or 165 (SMPL-X)")
    if trans.shape != (len(poses), 3):
        raise UserError(
            f"{path}: trans has {len(trans)} frames of {trans.shape[1:]}, poses has {len(poses)}; they must agree"
        )
    if betas.ndim != 1 or len(betas) < SHAPE_DIRECTIONS:
        raise UserError(f"{path}: betas has the shape {betas.shape}, expected at least {SHAPE_DIRECTIONS} numbers")
    if rate.size != 1 or not 0 < rate.item() < MAX_RATE:
        raise UserError(f"{path}: {rate_key} is {rate.reshape(-1)[:3]}, which is no frame rate")
    rate = rate.item()
    step = frame_step(rate, fps)
    frame = np.arange(0, len(poses), step)
    pose, trans = (a.astype(np.float64) for a in (poses[frame, :BODY_COLUMNS], trans[frame]))
    betas = betas[:SHAPE_DIRECTIONS].astype(np.float64)
    finite = finite_frames(f"{path}:", frame, (pose, trans), drop_nan, "--nan-frames drop")
    pose, trans, kept = pose[finite], trans[finite], frame[finite]
    if not np.isfinite(betas).all():
        raise UserError(f"{path}: betas hold NaN or infinite numbers; fetch the file again")
    _check_units(path, pose, trans)
    hands = np.zeros((len(pose), SMPL_COLUMNS - BODY_COLUMNS))
    return Motion(
        np.concatenate([pose, hands], axis=1), trans, betas, kept, rate, step, gender, COLUMNS[poses.shape[1]],
        int((~finite).sum()),
    )  # fmt: skip


def _numbers(path: Path, content: dict, name: str) -> np.ndarray:
    array = content[name]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} does not hold plain numbers; fetch the file again")
    return array


def _gender(path: Path, value: object) -> str:
    """male, female or neutral, from a text, from bytes, or from an array that holds one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if text.lower() not in GENDERS:
        raise UserError(f"{path}: gender must be one of {', '.join(GENDERS)}")
    return text.lower()


def _check_units(path: Path, pose: np.ndarray, trans: np.ndarray) -> None:
    """Radians, not degrees; metres, not millimetres."""
    if not len(pose):
        return
    angles = np.linalg.norm(pose[:, 3:].reshape(len(pose), -1, 3), axis=-1)
    if np.median(angles) > MAX_MEDIAN_ANGLE:
        raise UserError(
            f"{path}: half of the joint rotations are larger than {np.median(angles):.3g}; poses must be axis-angle in "
            "radians, these look like degrees"
        )
    if np.median(np.linalg.norm(trans, axis=-1)) > MAX_TRANSLATION:
        raise UserError(
            f"{path}: trans is {np.median(np.linalg.norm(trans, axis=-1)):.4g} from the origin; it must be in metres, "
            "this looks like millimetres"
        )
