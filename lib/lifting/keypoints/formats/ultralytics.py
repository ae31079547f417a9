"""Ultralytics' YOLO-pose: the JSON of `Results.to_json()`, and labels as `save_txt=True` writes them."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.lifting.keypoints.formats.detections import (
    Detections,
    Found,
    check_bytes,
    detections_of,
    entries,
    get,
    load_bytes,
    numbers,
    usual_joint_set,
)

BOX = 5
"""Numbers of a label before its keypoints: class, and the box's centre and size."""


def is_image(content) -> bool:
    """[{name, class, confidence, box, keypoints: {x, y, visible}}]."""
    first = content[0] if isinstance(content, list) and content else None
    keypoints = first.get("keypoints") if isinstance(first, dict) else None
    return isinstance(keypoints, dict) and {"x", "y"} <= set(keypoints)


def people(path: Path, content: list, frame: int | str) -> list[Found]:
    """All people of one image, pixels."""
    found = []
    for i, person in enumerate(entries(path, content, f"frame {frame}")):
        what = f"person {i} of frame {frame}"
        keypoints = get(path, person, "keypoints", what)
        if not isinstance(keypoints, dict):
            raise UserError(f"{path}: keypoints of {what} must be an object with x and y")
        x, y = (numbers(path, get(path, keypoints, name, what), f"{name} of {what}") for name in ("x", "y"))
        score = numbers(path, keypoints.get("visible", [1.0] * len(x)), f"visible of {what}")
        if not len(x) == len(y) == len(score) > 0:
            raise UserError(f"{path}: {what} has {len(x)} x, {len(y)} y and {len(score)} visible; as many are needed")
        found.append(Found(frame, person.get("track_id"), np.column_stack([x, y, score])))
    return found


def is_labels(text: str) -> bool:
    """Lines of a class, a box and at least three keypoints, all as numbers between spaces."""
    words = text.strip().split("\n", 1)[0].split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        return False
    return len(values) >= BOX + 9 and values[0].is_integer() and all(0 <= v <= 1 for v in values[1:BOX])


def read_labels(path: Path, text: str) -> Detections:
    """The labels of one image."""
    return _detections(path, _lines(path, text, 0))


def read_folder(path: Path) -> Detections:
    """A folder of labels, one file per image; the frame number is the last number in the file's name."""
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".txt")
    check_bytes(path, sum(p.stat().st_size for p in files), "the folder")
    lines = []
    for file in files:
        text = load_bytes(file).decode("utf-8-sig", errors="replace")
        if text.strip() and not is_labels(text):
            raise UserError(
                f"{file}: no labels of YOLO-pose (class, box, keypoints); in a folder every .txt must hold them"
            )
        lines += _lines(file, text, file.name)
    return _detections(path, lines)


def _lines(path: Path, text: str, frame: int | str) -> list[tuple[int | str, list[float]]]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        return [(frame, [float(word) for word in line]) for line in lines]
    except ValueError:
        raise UserError(f"{path}: labels hold something that is not a number") from None


def _detections(path: Path, lines: list[tuple[int | str, list[float]]]) -> Detections:
    """(frame, class, box, [x, y, score] * J, and perhaps confidence and track id), parts of the image's width and height.

    A single number after the keypoints is a track id where it is whole in all lines, otherwise a confidence.
    """
    rests = [(len(values) - BOX) % 3 for _, values in lines]
    tracked = bool(rests) and rests[0] > 0 and all(values[-1].is_integer() and values[-1] > 0 for _, values in lines)
    found = []
    for (frame, values), rest in zip(lines, rests, strict=True):
        joints = np.array(values[BOX : len(values) - rest]).reshape(-1, 3)
        found.append(Found(frame, int(values[-1]) if tracked and rest == rests[0] else None, joints))
    return detections_of(path, found, joint_set=usual_joint_set(found), normalized=True)
