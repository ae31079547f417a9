"""OpenPifPaf's JSON: of one image, and of a video as one line per frame {frame, predictions}."""

from pathlib import Path

from lib.lifting.keypoints.formats.detections import Found, entries, get, triples


def is_image(content) -> bool:
    """[{keypoints [x, y, score] * J, category_id, score, bbox}]: COCO's results without an image."""
    first = content[0] if isinstance(content, list) and content else None
    keypoints = first.get("keypoints") if isinstance(first, dict) and "image_id" not in first else None
    return isinstance(keypoints, list) and bool(keypoints) and isinstance(keypoints[0], int | float)


def people(path: Path, content: list, frame: int | str) -> list[Found]:
    """All people of one image; id_ is a track."""
    found = []
    for i, person in enumerate(entries(path, content, f"frame {frame}")):
        what = f"person {i} of frame {frame}"
        values = triples(path, get(path, person, "keypoints", what), f"keypoints of {what}")
        found.append(Found(frame, person.get("id_"), values))
    return found
