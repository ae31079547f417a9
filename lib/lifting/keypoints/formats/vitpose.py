"""ViTPose's JSON: what easy_ViTPose saves, and what Transformers' post-processing returns."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.lifting.keypoints.formats.detections import Detections, Found, detections_of, get, points_and_scores, triples


def is_easy(content) -> bool:
    """{keypoints: [{person: [[y, x, score]]}], skeleton}."""
    return isinstance(content, dict) and {"keypoints", "skeleton"} <= set(content)


def read_easy(path: Path, content: dict) -> Detections:
    """easy_ViTPose: per frame {track id: [y, x, score] * J}; y comes first."""
    frames = content["keypoints"]
    if not isinstance(frames, list) or not all(isinstance(f, dict) for f in frames):
        raise UserError(f"{path}: 'keypoints' must be a list with an object {{person: joints}} for every frame")
    found = []
    for frame, people in enumerate(frames):
        for person, joints in people.items():
            values = triples(path, joints, f"person {person} of frame {frame}")
            found.append(Found(frame, _track(person), values[:, [1, 0, 2]]))
    return detections_of(path, found)


def is_transformers(content) -> bool:
    """[[{keypoints, scores, labels, bbox}]], one list for every image."""
    first = next((f[0] for f in content if isinstance(f, list) and f), None) if isinstance(content, list) else None
    return isinstance(first, dict) and {"keypoints", "scores"} <= set(first)


def read_transformers(path: Path, content: list) -> Detections:
    """post_process_pose_estimation: per image [{keypoints [[x, y]], scores, labels}]; labels are joint numbers."""
    found = []
    for frame, people in enumerate(content):
        for i, person in enumerate(people if isinstance(people, list) else [people]):
            what = f"person {i} of image {frame}"
            if not isinstance(person, dict):
                raise UserError(f"{path}: {what} is no JSON object")
            points, scores = (get(path, person, name, what) for name in ("keypoints", "scores"))
            values = points_and_scores(path, points, scores, what, ("keypoints", "scores"))
            labels = person.get("labels")
            if isinstance(labels, list) and labels != list(range(len(values))):
                raise UserError(f"{path}: {what} lacks joints (its labels are not 0, 1, 2, ...); save with threshold 0")
            found.append(Found(frame, None, np.asarray(values)))
    return detections_of(path, found)


def _track(person: str) -> int | None:
    return int(person) if person.isdecimal() and len(person) < 16 else None
