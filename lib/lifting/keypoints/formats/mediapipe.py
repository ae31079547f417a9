"""JSON of MediaPipe's landmarks, as scripts save them: MediaPipe itself defines no file.

Landmarks are objects {x, y, z, visibility}, x and y as parts of the image's width and height (pixels too, where they are
larger than that allows). A frame is a list of them, a list of such lists (several people), null or an empty list (nobody),
or an object that has one of these under one of LANDMARKS and perhaps its number under one of NUMBERS. A file is a frame, a
list of frames or an object with 'frames' and perhaps 'width' and 'height'.
"""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import MEDIAPIPE_33
from lib.lifting.keypoints.formats.detections import Detections, Found, detections_of, look_normalized, whole_numbers

LANDMARKS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark", "NormalizedLandmark")
NUMBERS = ("frame", "frame_number", "frame_id", "frame_index", "frameIndex")


def is_landmarks(content) -> bool:
    """A frame, frames, or an object with frames."""
    frames = _frames(content)
    return frames is not None and any(_people(frame) for frame in frames)


def read_landmarks(path: Path, content) -> Detections:
    """All people of all frames; without identities where a frame has several."""
    found = []
    for i, frame in enumerate(_frames(content) or []):
        people = _people(frame)
        if people is None:
            raise UserError(f"{path}: frame {i} holds no landmarks ({{x, y, z, visibility}} objects)")
        number = next((frame[k] for k in NUMBERS if k in frame), i) if isinstance(frame, dict) else i
        found += [Found(number, None, _values(path, person, f"frame {i}")) for person in people]
    size = None
    if isinstance(content, dict) and {"width", "height"} <= set(content):
        size = tuple(whole_numbers(path, [content["width"], content["height"]], "width and height").tolist())
    count = len(MEDIAPIPE_33)
    joint_set = "mediapipe" if found and len(found[0].values) == count else None
    return detections_of(path, found, joint_set=joint_set, image_size=size, normalized=look_normalized(found))


def _frames(content) -> list | None:
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        return content["frames"]
    if isinstance(content, dict) or _is_person(content):
        return [content]
    return content if isinstance(content, list) else None


def _people(frame) -> list[list[dict]] | None:
    """The people of a frame, or None where it holds something else."""
    if isinstance(frame, dict):
        key = next((k for k in LANDMARKS if k in frame), None)
        return None if key is None else _people(frame[key])
    if frame is None or frame == []:
        return []
    if _is_person(frame):
        return [frame]
    if isinstance(frame, list):
        people = [person for entry in frame for person in (_people(entry) or ())]
        return people if len(people) == len(frame) else None
    return None


def _is_person(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and {"x", "y"} <= set(v) for v in value)


def _values(path: Path, person: list[dict], what: str) -> np.ndarray:
    rows = [[p["x"], p["y"], p.get("visibility", p.get("score", 1.0))] for p in person]
    try:
        return np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: landmarks of {what} hold something that is not a number") from None
