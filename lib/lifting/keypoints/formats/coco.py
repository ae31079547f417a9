"""COCO's JSON: keypoint results, also as AlphaPose writes them, and datasets."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.lifting.keypoints.formats.detections import (
    Detections,
    Found,
    detections_of,
    entries,
    get,
    triples,
    usual_joint_set,
    whole_numbers,
)


def is_results(content) -> bool:
    """[{image_id, keypoints}]."""
    return isinstance(content, list) and isinstance(content[0], dict) and {"image_id", "keypoints"} <= set(content[0])


def read_results(path: Path, content: list) -> Detections:
    """COCO keypoint results and AlphaPose: [{image_id, keypoints [x, y, score] * J, idx or track_id}]."""
    found = []
    for i, e in enumerate(entries(path, content, "the file")):
        values = triples(path, get(path, e, "keypoints", f"entry {i}"), f"keypoints of entry {i}")
        found.append(Found(get(path, e, "image_id", f"entry {i}"), e.get("track_id", e.get("idx")), values))
    return detections_of(path, found, joint_set=usual_joint_set(found))


def is_dataset(content) -> bool:
    """{images, annotations}."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


def read_dataset(path: Path, content: dict) -> Detections:
    """A COCO dataset: visibility 0, 1, 2 becomes score 0, 0.5, 1; frame = the image's frame_id or, without, its id."""
    images = {}
    for i, entry in enumerate(entries(path, content["images"], "'images'")):
        images[str(get(path, entry, "id", f"image {i}"))] = entry
    annotations = [e for e in entries(path, content["annotations"], "'annotations'") if e.get("keypoints")]
    if not annotations:
        raise UserError(f"{path}: zero frames: a COCO dataset in which no annotation has keypoints")
    found, sizes = [], set()
    for i, entry in enumerate(annotations):
        image = images.get(str(get(path, entry, "image_id", f"annotation {i}")))
        if image is None:
            raise UserError(f"{path}: annotation {i} is of image {entry['image_id']}, which 'images' does not have")
        values = triples(path, entry["keypoints"], f"keypoints of annotation {i}")
        values[:, 2] = np.clip(values[:, 2], 0, 2) / 2
        found.append(Found(image.get("frame_id", image["id"]), entry.get("track_id"), values))
        size = [image.get("width"), image.get("height")]
        sizes.add(None if None in size else tuple(whole_numbers(path, size, "width and height").tolist()))
    if len(sizes) > 1:
        shown = ", ".join("unknown" if s is None else f"{s[0]} x {s[1]}" for s in sorted(sizes, key=str)[:4])
        raise UserError(f"{path}: images of different sizes ({shown}); one file must hold one size, split it")
    return detections_of(path, found, joint_set=usual_joint_set(found), image_size=sizes.pop())
