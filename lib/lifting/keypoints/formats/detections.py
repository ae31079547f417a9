"""What every format becomes, and the checks of all readers."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.errors import UserError
from lib.joints import COCO_17
from lib.joints.imputation import frame_ranges

MAX_BYTES = 256 * 2**20
"""Largest input read: one file, one unpacked array or all files of a folder together (3 hours of one person as float64)."""

MIN_AGREEING = 0.8
"""Part of the detections that must have the same number of joints; the others are skipped."""

LARGEST_PART = 4.0
"""Coordinates are parts of the image below this, pixels above: joints outside the image are guessed, but not far out."""

COCO = {len(COCO_17): "coco"}
"""Number of joints -> the convention that so many are in, of detectors trained on COCO."""

NOBODY = "no frame holds a person"


@dataclass(frozen=True)
class Detections:
    """What a file holds.

    frames (N,) int; persons (N,) int, or None where the file has no identities; values (N, J, 3) x, y, score; joint_set: if the
    format has it; named: the joints come by their names, so their order is sure; image_size: (width, height) and fps: frame
    numbers per second, where the file knows them; normalized: x and y are parts of the image's width and height; clips (N,) int
    where the file holds several recordings, whose names are clip_names; notes: a line about everything that was skipped.
    """

    frames: np.ndarray
    persons: np.ndarray | None
    values: np.ndarray
    joint_set: str | None = None
    named: bool = False
    image_size: tuple[int, int] | None = None
    fps: float | None = None
    normalized: bool = False
    clips: np.ndarray | None = None
    clip_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Found(NamedTuple):
    """One person in one frame: frame number or the image's name, track id or None, values (J, 3)."""

    frame: int | str
    person: object
    values: np.ndarray


def detections_of(path: Path, found: list[Found], **fields) -> Detections:
    """`Detections` of single ones; those whose number of joints is unlike most others' are skipped.

    fields: of Detections, known from the format. UserError where there are none or they do not agree.
    """
    if not found:
        raise UserError(f"{path}: {NOBODY}")
    frames, clips, clip_names = frame_numbers(path, [f.frame for f in found])
    counts = np.array([len(f.values) for f in found])
    most, times = Counter(counts.tolist()).most_common(1)[0]
    keep = counts == most
    notes: tuple[str, ...] = ()
    if not keep.all():
        if times < MIN_AGREEING * len(found):
            several = " and ".join(map(str, sorted(set(counts.tolist()))))
            raise UserError(f"{path}: people with {several} joints in one file; use one keypoint convention")
        others = " or ".join(map(str, sorted(set(counts[~keep].tolist()))))
        where = frame_ranges(np.unique(frames[~keep]))
        notes = (f"{path}: skipped {(~keep).sum()} detections with {others} joints instead of {most}, in {where}",)
    persons = track_ids(path, [f.person for f in found])
    values = np.stack([f.values for f, k in zip(found, keep, strict=True) if k])
    return Detections(
        frames[keep],
        None if persons is None else persons[keep],
        values,
        clips=None if clips is None else clips[keep],
        clip_names=clip_names,
        notes=(*fields.pop("notes", ()), *notes),
        **fields,
    )


def usual_joint_set(found: list[Found], usual: Mapping[int, str] = COCO) -> str | None:
    """The convention that so many joints nearly always are in, in a format with these usual ones by number of joints."""
    return usual.get(len(found[0].values)) if found else None


def look_normalized(found: list[Found]) -> bool:
    """Whether all coordinates are so small that they are parts of the image's width and height."""
    finite = [np.abs(f.values[:, :2][np.isfinite(f.values[:, :2])]).max(initial=0) for f in found]
    return bool(finite) and max(finite) <= LARGEST_PART


def check_bytes(path: Path, size: int, what: str = "the file") -> None:
    """UserError where what has more than MAX_BYTES bytes."""
    if size > MAX_BYTES:
        raise UserError(f"{path}: {what} has {size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20} MiB; split it")


def load_bytes(path: Path) -> bytes:
    """A file's content; UserError where it is none, or too large."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if not path.is_file():
        raise UserError(
            f"{path}: neither a file nor a folder (a pipe or a device?); write the keypoints to a file first"
        )
    check_bytes(path, path.stat().st_size)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def parse_json(path: Path, text: str):
    """JSON as Python objects; a list of them where every line is JSON."""
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{path}: JSON nested too deeply") from None
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and len(lines) > 1:
            return [_parse_line(path, line) for line in lines]
        raise UserError(f"{path}: not valid JSON ({error}); is the file complete?") from None


def _parse_line(path: Path, line: str):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(
            f"{path}: not valid JSON, nor JSON line by line ({line[:20]!r}); is the file complete?"
        ) from None


def entries(path: Path, values, what: str) -> list[dict]:
    """values, if they are a list of JSON objects."""
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise UserError(f"{path}: {what} must be a list of JSON objects")
    return values


def get(path: Path, entry: dict, key: str, what: str):
    """entry[key], or UserError."""
    if key not in entry:
        raise UserError(f"{path}: {what} has no '{key}'")
    return entry[key]


def numbers(path: Path, value, what: str) -> np.ndarray:
    """Nested JSON lists as one flat float64 array; null becomes NaN."""
    try:
        return np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: {what} holds something that is not a number") from None


def triples(path: Path, value, what: str) -> np.ndarray:
    """[x, y, score] * J, nested or not, as (J, 3)."""
    flat = numbers(path, value, what)
    if flat.size == 0 or flat.size % 3:
        raise UserError(f"{path}: {what} holds {flat.size} numbers; x, y, score for every joint are needed")
    return flat.reshape(-1, 3)


def points_and_scores(path: Path, points, scores, what: str, names: tuple[str, str]) -> np.ndarray:
    """[[x, y]] * J and [score] * J as (J, 3); names: of the two in the file."""
    s = numbers(path, scores, f"{names[1]} of {what}")
    xy = numbers(path, points, f"{names[0]} of {what}")
    if s.size == 0 or xy.size != 2 * s.size:
        raise UserError(
            f"{path}: {what} has {xy.size} numbers in '{names[0]}' and {s.size} in '{names[1]}'; x and y for every score "
            "are needed"
        )
    return np.column_stack([xy.reshape(-1, 2), s])


def whole_numbers(path: Path, values: Iterable, what: str) -> np.ndarray:
    """A list of JSON or CSV numbers as int64; UserError where one is not whole or out of all proportion."""
    values = list(values)
    for value in values:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) < 2**53
            or value != int(value)
        ):
            raise UserError(f"{path}: {what} must be whole numbers, found {str(value)[:40]!r}")
    return np.array([int(v) for v in values], np.int64)


def frame_numbers(path: Path, ids: list) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Frame numbers from numbers or from names like `video_000012.jpg`: the last digits of the name.

    Where names have the same number but differ before it, they are several clips: their numbers (N,) and names are
    returned too. Names without such digits, or with the same ones for other reasons, are counted in sorted order.
    """
    if not all(isinstance(i, str) for i in ids):
        return whole_numbers(path, ids, "frame and image ids"), None, ()
    names = sorted(set(ids))
    matches = (re.fullmatch(r"(.*?)(\d{1,15})(\D*)", Path(name).stem) for name in names)
    found = [match for match in matches if match]
    if len(found) < len(names):
        return _counted(ids, names), None, ()
    places = [(str(Path(name).parent / match[1]), int(match[2])) for name, match in zip(names, found, strict=True)]
    number = dict(zip(names, (n for _, n in places), strict=True))
    frames = np.array([number[i] for i in ids], np.int64)
    if len(set(number.values())) == len(names):
        return frames, None, ()
    sizes = Counter(clip for clip, _ in places)
    if len(set(places)) < len(places) or len(sizes) < 2 or min(sizes.values()) < 2:
        return _counted(ids, names), None, ()
    clip_names = tuple(sorted(sizes))
    clip_of = dict(zip(names, (clip_names.index(clip) for clip, _ in places), strict=True))
    return frames, np.array([clip_of[i] for i in ids]), tuple(Path(name).name for name in clip_names)


def _counted(ids: list[str], names: list[str]) -> np.ndarray:
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[i] for i in ids], np.int64)


def track_ids(path: Path, ids: list) -> np.ndarray | None:
    """Person numbers, or None unless every detection has one; OpenPose writes -1 for 'not tracked'."""
    ids = [i[0] if isinstance(i, list) and len(i) == 1 else i for i in ids]
    if any(i is None or i == -1 for i in ids):
        return None
    return whole_numbers(path, ids, "track ids")
