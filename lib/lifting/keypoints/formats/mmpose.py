"""MMPose's JSON."""

from pathlib import Path

from lib.lifting.keypoints.formats.detections import Detections, Found, detections_of, entries, get, points_and_scores

_DATA_SETS = {
    "coco": "coco",
    "h36m": "human36",
    "human36m": "human36",
    "halpe26": "halpe26",
    "halpe": "halpe136",
    "coco_wholebody": "wholebody",
    "mpii": "mpii",
    "aic": "aic",
    "crowdpose": "crowdpose",
}
"""MMPose's names of data sets -> joint sets."""


def is_video(content) -> bool:
    """{meta_info, instance_info}."""
    return isinstance(content, dict) and "instance_info" in content


def is_instances(content) -> bool:
    """[{frame_id, instances}]."""
    return isinstance(content, list) and isinstance(content[0], dict) and "instances" in content[0]


def is_image(content) -> bool:
    """[{keypoints [[x, y]], keypoint_scores, bbox, bbox_score}], as MMPoseInferencer writes it of an image."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and {"keypoints", "keypoint_scores"} <= set(first)


def read_video(path: Path, content: dict) -> Detections:
    """A video's file: its meta_info names the data set, and so the joints."""
    meta = content.get("meta_info")
    data_set = str(meta.get("dataset_name", "")).lower() if isinstance(meta, dict) else ""
    return _read(path, content["instance_info"], _DATA_SETS.get(data_set))


def read_instances(path: Path, content: list) -> Detections:
    """Without the meta_info."""
    return _read(path, content, None)


def people(path: Path, content: list, frame: int | str) -> list[Found]:
    """The instances of one image."""
    found = []
    for k, person in enumerate(entries(path, content, "'instances'")):
        what, names = f"instance {k} of frame {frame}", ("keypoints", "keypoint_scores")
        points, scores = (get(path, person, name, what) for name in names)
        found.append(Found(frame, person.get("track_id"), points_and_scores(path, points, scores, what, names)))
    return found


def _read(path: Path, content, joint_set: str | None) -> Detections:
    """[{frame_id, instances: [{keypoints [[x, y]], keypoint_scores}]}], or one image's instances."""
    frames = entries(path, content, "'instance_info'")
    if frames and "instances" not in frames[0]:
        frames = [{"frame_id": 0, "instances": frames}]
    found = []
    for i, entry in enumerate(frames):
        found += people(path, get(path, entry, "instances", f"entry {i}"), entry.get("frame_id", i))
    return detections_of(path, found, joint_set=joint_set)
