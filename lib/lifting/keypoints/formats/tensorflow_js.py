"""JSON of TensorFlow.js' pose detection (MoveNet, BlazePose, PoseNet) and of ml5, as pages save it: one image's poses."""

from pathlib import Path

from lib.lifting.keypoints.formats.detections import Found, entries, get, triples


def is_image(content) -> bool:
    """[{keypoints: [{x, y, score, name}], score}]; PoseNet has {position: {x, y}, score, part}."""
    first = content[0] if isinstance(content, list) and content else None
    keypoints = first.get("keypoints") if isinstance(first, dict) else None
    point = keypoints[0] if isinstance(keypoints, list) and keypoints else None
    return isinstance(point, dict) and ({"x", "y"} <= set(point) or isinstance(point.get("position"), dict))


def people(path: Path, content: list, frame: int | str) -> list[Found]:
    """All poses of one image, pixels; id is a track. ml5 calls the score confidence."""
    found = []
    for i, person in enumerate(entries(path, content, f"frame {frame}")):
        what = f"person {i} of frame {frame}"
        rows = []
        for point in entries(path, get(path, person, "keypoints", what), f"keypoints of {what}"):
            place = point.get("position", point)
            if not isinstance(place, dict):
                place = {}
            score = point.get("score", point.get("confidence", 1.0))
            rows.append([place.get("x"), place.get("y"), score])
        found.append(Found(frame, person.get("id"), triples(path, rows, f"keypoints of {what}")))
    return found
