"""camera.calibration: the 14 cameras of a training sequence."""

from pathlib import Path

import numpy as np

from lib.camera import Camera
from lib.errors import UserError

HEADER = "Skeletool Camera Calibration File V1.0"
MAX_BYTES = 1 << 20
FIELDS = {"sensor": 2, "size": 2, "animated": 1, "intrinsic": 16, "extrinsic": 16, "radial": 1}
"""Key to how many numbers follow it; every camera begins with `name INDEX` and has all of these."""


def read_calibration(path: Path) -> dict[int, Camera]:
    """{camera index: Camera} with R, t from world (Y up) to camera axes, mm; f, c in px. UserError names what is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no calibration file is")
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); every sequence needs its camera.calibration"
        ) from None
    if not lines or lines[0].strip() != HEADER:
        raise UserError(f"{path}: does not begin with '{HEADER}'; fetch the file again")
    blocks: list[dict] = []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words:
            continue
        count = 1 if words[0] == "name" else FIELDS.get(words[0])
        if count is None:
            raise UserError(f"{path}, line {number}: unknown word '{words[0][:40]}'")
        values = _numbers(path, number, words[1:], count)
        if words[0] == "name":
            blocks.append({})
        elif not blocks:
            raise UserError(f"{path}, line {number}: '{words[0]}' comes before any 'name'")
        blocks[-1][words[0]] = values
    return {int(block["name"][0]): _camera(path, block) for block in blocks}


def _numbers(path: Path, line: int, words: list[str], count: int) -> np.ndarray:
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        raise UserError(f"{path}, line {line}: a number was expected in '{' '.join(words)[:60]}'") from None
    if len(values) != count or not np.isfinite(values).all():
        raise UserError(
            f"{path}, line {line}: expected {count} finite numbers, found {len(values)}; is the file cut short?"
        )
    return values


def _camera(path: Path, block: dict) -> Camera:
    name = int(block["name"][0])
    missing = [key for key in FIELDS if key not in block]
    if missing:
        raise UserError(
            f"{path}: camera {name} has no {' and no '.join(missing)}; the file is cut short, fetch it again"
        )
    K, pose = block["intrinsic"].reshape(4, 4), block["extrinsic"].reshape(4, 4)
    R = pose[:3, :3]
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0 or not (np.diag(K)[:2] > 0).all():
        raise UserError(f"{path}: camera {name}: extrinsic is not a rotation, or the focal length is not positive")
    if block["radial"][0] != 0:
        raise UserError(f"{path}: camera {name} has lens distortion, which the published annotations do not have")
    width, height = (int(n) for n in block["size"])
    return Camera(R, pose[:3, 3], np.diag(K)[:2].copy(), K[:2, 2].copy(), width, height)
