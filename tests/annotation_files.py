"""Small, valid annotation folders in Human3.6M's format, made up by dictionaries alone, for tests."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.Human36M.dataset import ACTION_NAMES
from lib.camera import look_at

PARTS = ("data", "camera", "joint_3d", "smpl_param")
"""The files of a subject: Human36M_subjectN_PART.json."""

# A standing person in mm, Z up, facing -Y: Human3.6M's 17 joints about the pelvis.
STANDING = np.array([
    (0, 0, 0), (-130, 0, 0), (-140, 0, -440), (-140, 30, -880), (130, 0, 0), (140, 0, -440), (140, 30, -880),
    (0, 0, 230), (0, 10, 480), (0, -60, 560), (0, 0, 680),
    (150, 10, 450), (180, 20, 170), (190, -20, -80), (-150, 10, 450), (-180, 20, 170), (-190, -20, -80),
])  # fmt: skip


def subject_contents(
    subject: int,
    actions: Sequence[int] = (2, 3),
    subactions: Sequence[int] = (1,),
    cameras: Sequence[int] = (1, 2),
    frames: Sequence[int] = (0, 50, 100),
) -> dict[str, dict]:
    """{part: content} of the four files of one subject: every frame of every recording seen by every camera.

    Poses, shapes, places and cameras are drawn at random, the same for the same arguments; images and annotations
    stand in no order. No image or box is invalid and all frames have SMPL parameters.
    """
    rng = np.random.default_rng([subject, 17])
    calibration, images = {}, []
    for k, cam_idx in enumerate(cameras):
        angle = 2 * np.pi * k / len(cameras) + rng.normal(0, 0.2)
        place = (5000 * np.cos(angle), 5000 * np.sin(angle), rng.uniform(1200, 1700))
        size = (1000, 1002 - 2 * (k % 2))
        camera = look_at(place, (0, 0, 900), rng.normal(1145, 3, 2), rng.normal(500, 10, 2), *size)
        calibration[cam_idx] = camera
    joints, params = {}, {}
    for action in actions:
        for subaction in subactions:
            betas = rng.normal(0, 0.7, 10).round(4).tolist()
            for frame in frames:
                turn, place = rng.uniform(0, 2 * np.pi), rng.normal(0, [300, 300, 30]) + [0, 0, 900]
                R = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
                pose3d = (STANDING + rng.normal(0, 30, (17, 3)) * (np.arange(17) > 0)[:, None]) @ R.T + place
                pose = rng.normal(0, 0.3, 72)
                pose[:3] = rng.normal(0, 1.5, 3)
                trans = place / 1000 + rng.normal(0, 0.05, 3)
                nesting = (str(action), str(subaction))
                joints.setdefault(nesting[0], {}).setdefault(nesting[1], {})[str(frame)] = pose3d.round(3).tolist()
                params.setdefault(nesting[0], {}).setdefault(nesting[1], {})[str(frame)] = {
                    "pose": pose.round(5).tolist(), "shape": betas, "trans": trans.round(5).tolist(),
                }  # fmt: skip
                for cam_idx, camera in calibration.items():
                    clip = f"s_{subject:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{cam_idx:02d}"
                    images.append({
                        "id": 100_000 * subject + len(images), "file_name": f"{clip}/{clip}_{frame + 1:06d}.jpg",
                        "width": camera.width, "height": camera.height, "subject": subject,
                        "action_name": ACTION_NAMES[action - 2], "action_idx": action, "subaction_idx": subaction,
                        "cam_idx": cam_idx, "frame_idx": frame,
                    })  # fmt: skip
    boxes = [
        {"id": 7 * i["id"], "image_id": i["id"], "category_id": 1, "bbox": [301.5, 203.25, 398, 610]} for i in images
    ]
    return {
        "data": {
            "images": [images[i] for i in rng.permutation(len(images))],
            "annotations": [boxes[i] for i in rng.permutation(len(images))],
            "categories": [{"id": 1, "name": "person"}],
        },
        "camera": {
            str(i): {"R": c.R.tolist(), "t": c.t.tolist(), "f": c.f.tolist(), "c": c.c.tolist()}
            for i, c in calibration.items()
        },
        "joint_3d": joints,
        "smpl_param": params,
    }


def write_contents(folder: Path, subject: int, contents: dict[str, dict]) -> None:
    """The four files of one subject, as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, content in contents.items():
        (folder / f"Human36M_subject{subject}_{part}.json").write_text(json.dumps(content))


def contents_of(folder: Path, subject: int) -> dict[str, dict]:
    """What the four files of one subject hold now."""
    return {part: json.loads((folder / f"Human36M_subject{subject}_{part}.json").read_text()) for part in PARTS}


def write_annotations(folder: Path, subjects: Sequence[int], **recordings: Sequence[int]) -> dict[int, dict[str, dict]]:
    """`subject_contents` of several subjects, written into `folder`; returns {subject: contents}."""
    contents = {subject: subject_contents(subject, **recordings) for subject in subjects}
    for subject, content in contents.items():
        write_contents(folder, subject, content)
    return contents


def shuffled_keys(content: object, rng: np.random.Generator) -> object:
    """The same JSON with the keys of every object in another order; lists stay as they are."""
    if isinstance(content, dict):
        keys = list(content)
        return {keys[i]: shuffled_keys(content[keys[i]], rng) for i in rng.permutation(len(keys))}
    if isinstance(content, list):
        return [shuffled_keys(value, rng) for value in content]
    return content
