"""OpenPose's JSON of one image, also as ControlNet's preprocessors (DWPose) write it."""

from pathlib import Path

from lib.lifting.keypoints.formats.detections import Found, entries, get, triples


def is_image(content) -> bool:
    """{people}."""
    return isinstance(content, dict) and "people" in content


def people(path: Path, content: dict, frame: int | str) -> list[Found]:
    """{people: [{person_id, pose_keypoints_2d [x, y, score] * J}]}; null in place of keypoints is nobody."""
    found = []
    for i, person in enumerate(entries(path, content["people"], "'people'")):
        what = f"person {i} of frame {frame}"
        values = get(path, person, "pose_keypoints_2d", what)
        if values is not None:
            found.append(Found(frame, person.get("person_id"), triples(path, values, f"pose_keypoints_2d of {what}")))
    return found
