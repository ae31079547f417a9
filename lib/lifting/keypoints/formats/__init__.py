"""The files that pose estimators and scripts write 2D keypoints to; docs/joints.md shows each format.

A file's format is recognised by its content, never by its name. One module for each family of formats; every format
becomes `Detections`. A new format is a line in one of the registries below.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.lifting.keypoints.formats import (
    arrays,
    coco,
    hdf5,
    images,
    mediapipe,
    mmpose,
    tables,
    trc,
    ultralytics,
    vitpose,
)
from lib.lifting.keypoints.formats.detections import Detections, load_bytes, parse_json

BINARY: dict[bytes, Callable[[Path, bytes], Detections]] = {
    b"\x93NUMPY": arrays.read_npy,
    b"PK\x03\x04": arrays.read_npz,
    b"\x89HDF\r\n\x1a\n": hdf5.read_hdf5,
}
"""First bytes of a file -> its reader."""

JSON: dict[str, tuple[Callable[[Any], bool], Callable[[Path, Any], Detections]]] = {
    "a COCO dataset": (coco.is_dataset, coco.read_dataset),
    "COCO results": (coco.is_results, coco.read_results),
    "MMPose": (mmpose.is_video, mmpose.read_video),
    "MMPose's frames": (mmpose.is_instances, mmpose.read_instances),
    "/".join(images.KINDS): (images.are_images, images.read_images),
    "easy_ViTPose": (vitpose.is_easy, vitpose.read_easy),
    "ViTPose of Transformers": (vitpose.is_transformers, vitpose.read_transformers),
    "MediaPipe": (mediapipe.is_landmarks, mediapipe.read_landmarks),
}
"""Name -> (whether the parsed content is of this format, its reader); the first that fits is used."""

MOTION = ("HIERARCHY", "#!OML", ":FULLY-SPECIFIED")
"""How motion capture in text begins (.bvh, .amc)."""

START = 4096
"""Bytes by which a file of keypoints is told from images and videos."""


def load_detections(path: Path, joint_set: str | None = None) -> Detections:
    """What a file, or a folder of one file per image, holds; joint_set is only needed by CSV files that lack joints."""
    if path.is_dir():
        return _from_folder(path)
    data = load_bytes(path)
    for start, read in BINARY.items():
        if data.startswith(start):
            return read(path, data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: neither .npy, .npz, HDF5 nor text in UTF-8; see docs/joints.md for the formats"
        ) from None
    if not text.strip():
        raise UserError(f"{path}: the file is empty")
    if text.lstrip()[0] in "[{":
        return _from_json(path, parse_json(path, text))
    if text.startswith(MOTION):
        raise UserError(
            f"{path}: motion in 3D, which needs no lifting; main/prepare_data.py mocap imports it (docs/data.md)"
        )
    if text.startswith(trc.FIRST):
        return trc.read_trc(path, text)
    if ultralytics.is_labels(text):
        return ultralytics.read_labels(path, text)
    return tables.read_csv(path, text, joint_set)


def begins_like_keypoints(path: Path) -> bool:
    """Whether a file may hold keypoints: a folder, an array file, or text. Images and videos have zero bytes early on."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        start = file.read(START)
    return start.startswith(tuple(BINARY)) or b"\0" not in start


def _from_folder(path: Path) -> Detections:
    endings = {p.suffix.lower() for p in path.iterdir()}
    if ".json" in endings:
        return images.read_folder(path)
    if ".txt" in endings:
        return ultralytics.read_folder(path)
    raise UserError(
        f"{path}: no .json or .txt files in this folder; it must hold one file per image, such as OpenPose's or YOLO's labels"
    )


def _from_json(path: Path, content) -> Detections:
    if content == []:
        raise UserError(f"{path}: an empty JSON list, zero frames")
    for fits, read in JSON.values():
        if fits(content):
            return read(path, content)
    if isinstance(content, dict):
        seen = f"a JSON object with the keys {_some(content)}"
    elif isinstance(content[0], dict):
        seen = f"a JSON list of objects with the keys {_some(content[0])}"
    else:
        seen = f"a JSON list of {type(content[0]).__name__} values"
    raise UserError(f"{path}: {seen} is none of the known formats ({', '.join(JSON)})")


def _some(keys: dict) -> str:
    return ", ".join(sorted(keys)[:6]) or "(none)"
