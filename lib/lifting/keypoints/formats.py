"""The files that pose estimators and scripts write 2D keypoints to; docs/joints.md shows each format.

A file's format is recognised by its content, never by its name. Every format becomes `Detections`.
"""

import csv
import io
import json
import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import JOINT_SETS

MAX_BYTES = 256 * 2**20
"""Largest input read: one file, one unpacked array or all files of a folder together (3 hours of one person as float64)."""

_NPZ_KEYS = ("keypoints", "scores", "frames", "image_size")
_MMPOSE_SETS = {"coco": "coco", "h36m": "human36", "human36m": "human36", "halpe26": "halpe26"}


@dataclass(frozen=True)
class Detections:
    """What a file holds: frames (N,) int, persons (N,) int or None, values (N, J, 3) x, y, score."""

    frames: np.ndarray
    persons: np.ndarray | None
    values: np.ndarray
    joint_set: str | None = None
    image_size: tuple[int, int] | None = None


def load_detections(path: Path, joint_set: str | None = None) -> Detections:
    """What a file, or a folder of OpenPose files, holds; joint_set is only needed by CSV files that lack joints."""
    if path.is_dir():
        return _read_folder(path)
    data = _load(path)
    if data.startswith(b"\x93NUMPY"):
        return _from_arrays(path, {"keypoints": _npy(path, data)})
    if data.startswith(b"PK\x03\x04"):
        return _from_arrays(path, _npz(path, data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither .npy, .npz nor text in UTF-8; see docs/joints.md for the formats") from None
    if not text.strip():
        raise UserError(f"{path}: the file is empty")
    if text.lstrip()[0] in "[{":
        return _from_json(path, _json(path, text))
    return _from_csv(path, text, joint_set)


def _load(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path}: {size / 2**20:.0f} MiB, more than the limit of {MAX_BYTES // 2**20}; split the file")
    return path.read_bytes()


def _json(path: Path, text: str):
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{path}: JSON nested too deeply") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); is the file complete?") from None


def _npy(path: Path, data: bytes) -> np.ndarray:
    """One numeric array in .npy format; its header is checked against the data before anything is allocated."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = header(stream)
    except Exception:  # a damaged header ends in whatever Python's tokenizer and NumPy happen to raise
        raise UserError(f"{path}: broken .npy header; save the array again with numpy.save") from None
    if dtype.hasobject:
        raise UserError(f"{path}: holds pickled Python objects, which are not read; save plain number arrays")
    if dtype.kind not in "fiu":
        raise UserError(f"{path}: an array of type {dtype}, numbers are needed")
    if not all(0 <= n <= len(data) for n in shape) or math.prod(shape) * dtype.itemsize > len(data) - stream.tell():
        raise UserError(f"{path}: shorter than its header says; is the file complete?")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _npz(path: Path, data: bytes) -> dict[str, np.ndarray]:
    members, names = {}, []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
            names = sorted(sizes)
            if sum(sizes.get(name, 0) for name in _NPZ_KEYS) <= MAX_BYTES:
                members = {name: archive.read(f"{name}.npy") for name in _NPZ_KEYS if name in sizes}
    except Exception as error:  # damaged archives end in a dozen kinds of exceptions
        raise UserError(f"{path}: broken .npz ({error}); save it again with numpy.savez") from None
    if "keypoints" not in names:
        raise UserError(f"{path}: no array 'keypoints' in this .npz, it has {', '.join(names[:8]) or 'nothing'}")
    if not members:
        raise UserError(f"{path}: unpacks to more than {MAX_BYTES // 2**20} MiB; split the file")
    return {name: _npy(path, member) for name, member in members.items()}


def _from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Detections:
    """keypoints (T, J, 2 or 3) or (P, T, J, 2 or 3); scores (T, J) or (P, T, J); frames (T,); image_size (2,)."""
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
    shapes = {"scores": arrays["keypoints"].shape[:-1], "frames": (T,), "image_size": (2,)}
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise UserError(
                f"{path}: {name} have shape {arrays[name].shape}, which does not fit keypoints of shape "
                f"{arrays['keypoints'].shape}"
            )
    if "scores" in arrays:
        values[..., 2] = arrays["scores"]
    frames = _whole_numbers(path, arrays.get("frames", np.arange(T)).tolist(), "frames")
    size = arrays.get("image_size")
    size = None if size is None else tuple(_whole_numbers(path, size.tolist(), "image_size").tolist())
    return Detections(np.tile(frames, P), np.repeat(np.arange(P), T), values.reshape(P * T, J, 3), image_size=size)


def _whole_numbers(path: Path, values: list, what: str) -> np.ndarray:
    """A list of JSON or CSV numbers as int64; UserError where one is not whole or out of all proportion."""
    for value in values:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) < 2**53
            or value != int(value)
        ):
            raise UserError(f"{path}: {what} must be whole numbers, found {str(value)[:40]!r}")
    return np.array([int(v) for v in values], np.int64)


def _frame_numbers(path: Path, ids: list) -> np.ndarray:
    """Frame numbers from numbers or from names like `video_000012.jpg`: the last digits of the name, if all differ.

    Names without such digits are counted in sorted order.
    """
    if not all(isinstance(i, str) for i in ids):
        return _whole_numbers(path, ids, "frame and image ids")
    names = sorted(set(ids))
    digits = [re.findall(r"\d+", Path(name).stem) for name in names]
    numbers = [int(d[-1]) if d and len(d[-1]) <= 15 else None for d in digits]
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = range(len(names))
    number = dict(zip(names, numbers, strict=True))
    return np.array([number[i] for i in ids], np.int64)


def _from_json(path: Path, content) -> Detections:
    """Recognise a JSON file by the keys it has."""
    if isinstance(content, dict):
        keys = set(content)
        if "people" in keys:
            return _from_openpose(path, [content], [0])
        if {"images", "annotations"} <= keys:
            return _from_coco_dataset(path, content)
        if "instance_info" in keys:
            meta = content.get("meta_info")
            dataset = str(meta.get("dataset_name", "")).lower() if isinstance(meta, dict) else ""
            return _from_mmpose(path, content["instance_info"], _MMPOSE_SETS.get(dataset))
        seen = f"a JSON object with the keys {', '.join(sorted(keys)[:6]) or '(none)'}"
    elif not content:
        raise UserError(f"{path}: an empty JSON list, zero frames")
    elif isinstance(content[0], dict):
        keys = set(content[0])
        if "instances" in keys or {"keypoints", "keypoint_scores"} <= keys:
            return _from_mmpose(path, content, None)
        if {"image_id", "keypoints"} <= keys:
            return _from_coco_results(path, content)
        seen = f"a JSON list of objects with the keys {', '.join(sorted(keys)[:6]) or '(none)'}"
    else:
        seen = f"a JSON list of {type(content[0]).__name__} values"
    raise UserError(
        f"{path}: {seen} is none of the known formats (COCO results or dataset, OpenPose, MMPose, AlphaPose)"
    )


def _entries(path: Path, values, what: str) -> list[dict]:
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise UserError(f"{path}: {what} must be a list of JSON objects")
    return values


def _get(path: Path, entry: dict, key: str, what: str):
    if key not in entry:
        raise UserError(f"{path}: {what} has no '{key}'")
    return entry[key]


def _numbers(path: Path, value, what: str) -> np.ndarray:
    """Nested JSON lists as one flat float64 array; null becomes NaN."""
    try:
        return np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: {what} holds something that is not a number") from None


def _triples(path: Path, value, what: str) -> np.ndarray:
    flat = _numbers(path, value, what)
    if flat.size == 0 or flat.size % 3:
        raise UserError(f"{path}: {what} holds {flat.size} numbers; x, y, score for every joint are needed")
    return flat.reshape(-1, 3)


def _stack(path: Path, rows: list[np.ndarray]) -> np.ndarray:
    counts = sorted({len(r) for r in rows})
    if len(counts) > 1:
        raise UserError(f"{path}: people with {' and '.join(map(str, counts))} joints in one file; use one joint set")
    if not rows:
        raise UserError(f"{path}: zero frames with a person in them")
    return np.stack(rows)


def _track_ids(path: Path, ids: list) -> np.ndarray | None:
    """Person numbers, or None unless every detection has one; OpenPose writes -1 for 'not tracked'."""
    ids = [i[0] if isinstance(i, list) and len(i) == 1 else i for i in ids]
    if None in ids or -1 in ids:
        return None
    return _whole_numbers(path, ids, "track ids")


def _from_coco_results(path: Path, content: list) -> Detections:
    """COCO keypoint results and AlphaPose: [{image_id, keypoints [x, y, score] * J, idx or track_id}]."""
    entries = _entries(path, content, "the file")
    rows = [
        _triples(path, _get(path, e, "keypoints", f"entry {i}"), f"keypoints of entry {i}")
        for i, e in enumerate(entries)
    ]
    frames = _frame_numbers(path, [_get(path, e, "image_id", f"entry {i}") for i, e in enumerate(entries)])
    persons = _track_ids(path, [e.get("track_id", e.get("idx")) for e in entries])
    values = _stack(path, rows)
    return Detections(frames, persons, values, "coco" if values.shape[1] == 17 else None)


def _from_coco_dataset(path: Path, content: dict) -> Detections:
    """A COCO dataset: visibility 0, 1, 2 becomes score 0, 0.5, 1; frame = the image's frame_id or, without, its id."""
    images = {}
    for i, image in enumerate(_entries(path, content["images"], "'images'")):
        images[str(_get(path, image, "id", f"image {i}"))] = image
    entries = [e for e in _entries(path, content["annotations"], "'annotations'") if e.get("keypoints")]
    if not entries:
        raise UserError(f"{path}: zero frames: a COCO dataset in which no annotation has keypoints")
    rows, frames, sizes = [], [], set()
    for i, entry in enumerate(entries):
        image = images.get(str(_get(path, entry, "image_id", f"annotation {i}")))
        if image is None:
            raise UserError(f"{path}: annotation {i} is of image {entry['image_id']}, which 'images' does not have")
        rows.append(_triples(path, entry["keypoints"], f"keypoints of annotation {i}"))
        frames.append(image.get("frame_id", image["id"]))
        size = [image.get("width"), image.get("height")]
        sizes.add(None if None in size else tuple(_whole_numbers(path, size, "width and height").tolist()))
    if len(sizes) > 1:
        shown = ", ".join("unknown" if s is None else f"{s[0]} x {s[1]}" for s in sorted(sizes, key=str)[:4])
        raise UserError(f"{path}: pictures of different sizes ({shown}); one file must hold one size, split it")
    values = _stack(path, rows)
    values[..., 2] = np.clip(values[..., 2], 0, 2) / 2
    persons = _track_ids(path, [e.get("track_id") for e in entries])
    name = "coco" if values.shape[1] == 17 else None
    return Detections(_frame_numbers(path, frames), persons, values, name, sizes.pop())


def _from_openpose(path: Path, contents: list[dict], frame_ids: list) -> Detections:
    """OpenPose: per frame {people: [{person_id, pose_keypoints_2d [x, y, score] * J}]}."""
    rows, frames, ids = [], [], []
    for frame, content in zip(frame_ids, contents, strict=True):
        for i, person in enumerate(_entries(path, content["people"], "'people'")):
            what = f"person {i} of frame {frame}"
            rows.append(_triples(path, _get(path, person, "pose_keypoints_2d", what), f"pose_keypoints_2d of {what}"))
            frames.append(frame)
            ids.append(person.get("person_id"))
    values = _stack(path, rows)
    return Detections(_frame_numbers(path, frames), _track_ids(path, ids), values)


def _read_folder(path: Path) -> Detections:
    """A folder of OpenPose files, one per frame; the frame number is the last number in the file's name."""
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".json")
    if not files:
        raise UserError(f"{path}: no .json files in this folder; a folder must hold OpenPose's files, one per frame")
    if sum(p.stat().st_size for p in files) > MAX_BYTES:
        raise UserError(f"{path}: files of more than {MAX_BYTES // 2**20} MiB together; split the folder")
    contents = []
    for file in files:
        content = _json(file, _load(file).decode("utf-8-sig", errors="replace"))
        if not isinstance(content, dict) or "people" not in content:
            raise UserError(f"{file}: not an OpenPose file (no 'people'); in a folder every .json must be one")
        contents.append(content)
    return _from_openpose(path, contents, [p.name for p in files])


def _from_mmpose(path: Path, content, joint_set: str | None) -> Detections:
    """MMPose: [{frame_id, instances: [{keypoints [[x, y]], keypoint_scores}]}], or one picture's instances."""
    entries = _entries(path, content, "'instance_info'")
    if entries and "instances" not in entries[0]:
        entries = [{"frame_id": 0, "instances": entries}]
    rows, frames, ids = [], [], []
    for i, entry in enumerate(entries):
        frame = entry.get("frame_id", i)
        for k, person in enumerate(_entries(path, _get(path, entry, "instances", f"entry {i}"), "'instances'")):
            what = f"instance {k} of frame {frame}"
            scores = _numbers(path, _get(path, person, "keypoint_scores", what), f"keypoint_scores of {what}")
            xy = _numbers(path, _get(path, person, "keypoints", what), f"keypoints of {what}")
            if scores.size == 0 or xy.size != 2 * scores.size:
                raise UserError(
                    f"{path}: {what} has {xy.size} numbers in 'keypoints' and {scores.size} in 'keypoint_scores'; "
                    "x and y for every score are needed"
                )
            rows.append(np.column_stack([xy.reshape(-1, 2), scores]))
            frames.append(frame)
            ids.append(person.get("track_id"))
    values = _stack(path, rows)
    return Detections(_frame_numbers(path, frames), _track_ids(path, ids), values, joint_set)


def _from_csv(path: Path, text: str, asked: str | None) -> Detections:
    """One line per joint under the header frame,person,joint,x,y,score; person and score may be left out."""
    lines = csv.reader(io.StringIO(text))
    header = [h.strip().lower() for h in next(lines)]
    lacking = [name for name in ("frame", "joint", "x", "y") if name not in header]
    if lacking:
        raise UserError(
            f"{path}: text that is neither JSON nor CSV with the header frame,person,joint,x,y,score "
            f"(lacking: {', '.join(lacking)})"
        )
    column = {name: header.index(name) for name in ("frame", "person", "joint", "x", "y", "score") if name in header}
    keys, names, numbers = [], [], []
    try:
        for line in lines:
            if not line:
                continue
            cell = {name: line[i].strip() for name, i in column.items()}
            keys.append((int(cell["frame"]), int(cell.get("person", 0))))
            names.append(cell["joint"])
            numbers.append([float(cell[n] or "nan") for n in ("x", "y")] + [float(cell.get("score", 1) or "nan")])
    except (ValueError, IndexError, csv.Error):
        raise UserError(f"{path}: line {lines.line_num} does not fit the header {','.join(header)}") from None
    if not keys:
        raise UserError(f"{path}: zero frames: a CSV file with a header only")
    joint_set = asked or _joint_set_with(path, set(names))
    joints = JOINT_SETS[joint_set].names
    unknown = sorted(set(names) - set(joints))
    if unknown:
        raise UserError(f"{path}: the joint set {joint_set} has no joint {unknown[0]!r}; names are in docs/joints.md")
    flat = _whole_numbers(path, [number for key in keys for number in key], "frame and person")
    rows, row = np.unique(flat.reshape(-1, 2), axis=0, return_inverse=True)
    cells = row.ravel() * len(joints) + [joints.index(name) for name in names]
    if len(np.unique(cells)) < len(cells):
        first = np.flatnonzero(np.bincount(cells) > 1)[0]
        frame, person = rows[first // len(joints)]
        raise UserError(f"{path}: {joints[first % len(joints)]} of person {person} is there twice in frame {frame}")
    values = np.full((len(rows) * len(joints), 3), np.nan)
    values[cells] = numbers
    return Detections(rows[:, 0], rows[:, 1], values.reshape(len(rows), len(joints), 3), joint_set)


def _joint_set_with(path: Path, names: set[str]) -> str:
    """The joint set with exactly these names, else the only one that has them all."""
    exact = [key for key, joints in JOINT_SETS.items() if names == set(joints.names)]
    fitting = exact or [key for key, joints in JOINT_SETS.items() if names <= set(joints.names)]
    if not fitting:
        raise UserError(f"{path}: no joint set has the joints {', '.join(sorted(names)[:30])}; see docs/joints.md")
    if len(fitting) > 1:
        raise UserError(f"{path}: its joints may be {' or '.join(fitting)}; say which with --joint-set")
    return fitting[0]
