"""NumPy's .npy and .npz: keypoints as plain arrays, and the archives of VideoPose3D's in-the-wild scripts."""

import io
import math
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.lifting import FPS_RANGE
from lib.lifting.keypoints.formats.detections import Detections, check_bytes, whole_numbers
from lib.lifting.keypoints.formats.videopose3d import read_custom, read_detectron
from smplpytorch.smplpytorch.native.passive_pickle import PassiveUnpickler, Refused, to_plain

PLAIN_KEYS = ("keypoints", "scores", "frames", "image_size", "fps")
OTHER_ARCHIVES = {("boxes", "keypoints"): read_detectron, ("positions_2d",): read_custom}
"""Keys that an archive must have -> its reader: read(path, {key: content}), with objects as plain lists and dictionaries."""

OBJECT_KEYS = ("boxes", "keypoints", "metadata", "positions_2d")


def read_npy(path: Path, data: bytes) -> Detections:
    """One array of keypoints."""
    return from_arrays(path, {"keypoints": _array(path, data, "the file")})


def read_npz(path: Path, data: bytes) -> Detections:
    """An archive with 'keypoints', or one of VideoPose3D's scripts."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            count = Counter(info.filename.removesuffix(".npy") for info in infos)
            wanted = [name for name in dict.fromkeys((*PLAIN_KEYS, *OBJECT_KEYS)) if name in count]
            size = sum(info.file_size for info in infos if info.filename.removesuffix(".npy") in wanted)
            members = {}
            if size <= len(data) or _allowed(path, size):
                members = {name: archive.read(f"{name}.npy") for name in wanted if count[name] == 1}
    except UserError:
        raise
    except Exception as error:  # damaged archives end in a dozen kinds of exceptions
        raise UserError(
            f"{path}: broken .npz ({' '.join(str(error).split())[:80]}); save it again with numpy.savez"
        ) from None
    twice = [name for name in wanted if count[name] > 1]
    if twice:
        raise UserError(f"{path}: holds '{twice[0]}' {count[twice[0]]} times; save it again with numpy.savez")
    for keys, read in OTHER_ARCHIVES.items():
        if set(keys) <= set(members):
            return read(path, {name: _content(path, members[name], name) for name in OBJECT_KEYS if name in members})
    if "keypoints" not in members:
        some = ", ".join(sorted(count)[:8]) or "nothing"
        result = (
            "; it is a result: give the keypoints that it was made from" if {"pose2d", "pose3d"} <= set(count) else ""
        )
        raise UserError(f"{path}: no array 'keypoints' in this .npz, it has {some}{result}")
    return from_arrays(path, {name: _array(path, members[name], f"'{name}'") for name in PLAIN_KEYS if name in members})


def from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Detections:
    """keypoints (T, J, 2 or 3) or (P, T, J, 2 or 3); scores (T, J) or (P, T, J); frames (T,); image_size (2,); fps ()."""
    keypoints = arrays["keypoints"]
    if keypoints.ndim not in (3, 4) or keypoints.shape[-1] not in (2, 3):
        raise UserError(
            f"{path}: keypoints have shape {keypoints.shape}; needed is (frames, joints, 2 or 3) or "
            "(persons, frames, joints, 2 or 3)"
        )
    if keypoints.ndim == 3:
        keypoints = keypoints[None]
    P, T, J, C = keypoints.shape
    values = np.ones((P, T, J, 3))
    values[..., :C] = keypoints
    shapes = {"scores": arrays["keypoints"].shape[:-1], "frames": (T,), "image_size": (2,), "fps": ()}
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise UserError(
                f"{path}: {name} have shape {arrays[name].shape}, which does not fit keypoints of shape "
                f"{arrays['keypoints'].shape}"
            )
    if "scores" in arrays:
        values[..., 2] = arrays["scores"]
    frames = whole_numbers(path, arrays.get("frames", np.arange(T)).tolist(), "frames")
    given = arrays.get("image_size")
    size = None if given is None else tuple(whole_numbers(path, given.tolist(), "image_size").tolist())
    fps = float(arrays["fps"]) if "fps" in arrays else None
    if fps is not None and not FPS_RANGE[0] <= fps <= FPS_RANGE[1]:
        raise UserError(f"{path}: fps is {fps:g}; must be {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g} frames per second")
    numbers = np.tile(frames, P), np.repeat(np.arange(P), T)
    return Detections(*numbers, values.reshape(P * T, J, 3), image_size=size, fps=fps)


def _allowed(path: Path, size: int) -> bool:
    check_bytes(path, size, "what it unpacks to")
    return True


def _header(path: Path, data: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and where the numbers begin."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(stream)
    except Exception:  # Python's tokenizer and NumPy raise many kinds on a damaged header
        raise UserError(f"{path}: broken .npy header; save the array again with numpy.save") from None
    return shape, dtype, stream.tell()


def _array(path: Path, data: bytes, what: str) -> np.ndarray:
    """One numeric array in .npy format; its header is checked against the data before anything is allocated."""
    shape, dtype, start = _header(path, data)
    if dtype.hasobject:
        raise UserError(f"{path}: {what} holds pickled Python objects, which are not read; save plain number arrays")
    if dtype.kind not in "fiu":
        raise UserError(f"{path}: {what} is an array of type {dtype}, numbers are needed")
    if not all(0 <= n <= len(data) for n in shape) or math.prod(shape) * dtype.itemsize > len(data) - start:
        raise UserError(f"{path}: {what} is shorter than in its header; is the file complete?")
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _content(path: Path, data: bytes, name: str) -> object:
    """An array of numbers; or plain lists and dictionaries in place of an array of objects, read without running them."""
    _, dtype, start = _header(path, data)
    if not dtype.hasobject:
        return _array(path, data, f"'{name}'")
    try:
        return to_plain(PassiveUnpickler(data[start:]).load())
    except Refused as refused:
        raise UserError(
            f"{path}: '{name}' asks for {refused}, which keypoints have no need of; do not use it"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path}: '{name}' is not a complete pickle ({' '.join(str(error).split())[:80]})") from None
