"""OpenPose's JSON: one file per frame, in a folder, or a single one."""

from pathlib import Path

from lib.errors import UserError
from lib.lifting.keypoints.formats.detections import (
    Detections,
    Found,
    check_bytes,
    detections_of,
    entries,
    get,
    load_bytes,
    parse_json,
    triples,
)


def is_frame(content) -> bool:
    """{people}."""
    return isinstance(content, dict) and "people" in content


def read_frame(path: Path, content: dict) -> Detections:
    """One frame of OpenPose."""
    return detections_of(path, _people(path, content, 0))


def read_folder(path: Path) -> Detections:
    """A folder of OpenPose files, one per frame; the frame number is the last number in the file's name.

    Names that differ before that number are several clips, if they have the same frame numbers.
    """
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".json")
    if not files:
        raise UserError(f"{path}: no .json files in this folder; a folder must hold OpenPose's files, one per frame")
    check_bytes(path, sum(p.stat().st_size for p in files), "the folder")
    found = []
    for file in files:
        content = parse_json(file, load_bytes(file).decode("utf-8-sig", errors="replace"))
        if not is_frame(content):
            raise UserError(f"{file}: not an OpenPose file (no 'people'); in a folder every .json must be one")
        found += _people(path, content, file.name)
    return detections_of(path, found)


def _people(path: Path, content: dict, frame: int | str) -> list[Found]:
    """{people: [{person_id, pose_keypoints_2d [x, y, score] * J}]}."""
    found = []
    for i, person in enumerate(entries(path, content["people"], "'people'")):
        what = f"person {i} of frame {frame}"
        values = get(path, person, "pose_keypoints_2d", what)
        found.append(Found(frame, person.get("person_id"), triples(path, values, f"pose_keypoints_2d of {what}")))
    return found
