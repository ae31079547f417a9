"""2D joints found by a detector, in place of the projected ground truth."""

import json
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.camera import pixel_to_normalized
from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.joints.conversion import convert_joints
from lib.pose_table import PoseTable

MAX_BYTES = 4 << 30
NAMED_MISSING = 5


def with_detections(table: PoseTable, path: str | Path, joint_set: str) -> PoseTable:
    """The table with the detections of `path` as its 2D input; every sample needs one, matched by image name.

    path: JSON {image name: J x (x, y[, score])} or .npz with names (N,) and keypoints (N, J, 2|3), pixels of the
    image; joint_set: the name of their joint set in lib.joints.JOINT_SETS, converted where it is not the network's.
    """
    path = Path(path)
    keypoints = _read(path)
    names = [str(name) for name in table.names]
    missing = [name for name in names if name not in keypoints]
    if missing:
        some = ", ".join(missing[:NAMED_MISSING])
        raise UserError(f"{path}: {len(missing)} of {len(names)} samples have no detection, the first are {some}")
    try:
        pixels = np.stack([np.asarray(keypoints[name], np.float64)[:, :2].reshape(-1, 2) for name in names])
    except (TypeError, ValueError, IndexError, OverflowError):
        raise UserError(f"{path}: every image needs the same number of joints, each x, y and perhaps a score") from None
    if pixels.shape[1] != len(JOINT_SETS[joint_set]):
        raise UserError(
            f"{path}: {pixels.shape[1]} joints per image, {joint_set} has {len(JOINT_SETS[joint_set])}; name their set in "
            "DATASET.input_joint_set"
        )
    if not np.isfinite(pixels).all():
        bad = names[int((~np.isfinite(pixels)).any((1, 2)).argmax())]
        raise UserError(f"{path}: NaN or infinite coordinates, first in {bad}")
    pixels, _ = convert_joints(pixels, joint_set)
    width, height = np.asarray(table.image_size, np.float64).T
    return replace(table, pose2d=pixel_to_normalized(pixels, width, height).astype(np.float32), input2d="detected")


def _read(path: Path) -> dict:
    """{base name of the image: joints}."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 30} GiB")
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                    raise UserError(f"{path}: unpacks to more than {MAX_BYTES >> 30} GiB")
            with np.load(path, allow_pickle=False) as z:
                entries = dict(zip(z["names"].tolist(), z["keypoints"], strict=True))
        else:
            with open(path, encoding="utf-8") as file:
                entries = json.load(file)
    except OSError as error:
        raise UserError(f"{path}: DATASET.detection_file cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: is not a detection file ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(entries, dict):
        raise UserError(f"{path}: is not a detection file (expected an object, image name -> joints)")
    return {str(name).replace("\\", "/").rsplit("/", 1)[-1]: joints for name, joints in entries.items()}
