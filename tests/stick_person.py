"""Two made-up stick people who walk past a camera, and their 2D keypoints in every format the project reads.

`PYTHONPATH=. python tests/stick_person.py` rewrites asset/samples, except lunge.npy.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np

from lib.camera import camera_to_pixel
from lib.joints import BODY_25, COCO_17, HALPE_26, HUMAN36M_17
from lib.lifting.keypoints.readers import Keypoints

SIZE = (1280, 720)
F, C = np.array([1100.0, 1100.0]), np.array([640.0, 360.0])
CAMERA = (*F, *C)
FRAMES, OPENPOSE_FRAMES = 30, 12


def _limb(start: np.ndarray, lengths: tuple[float, float], angles: list[np.ndarray]) -> list[np.ndarray]:
    """Two links hanging from start (T, 3) that swing by angles (T,) about the left-right axis, forward positive."""
    points = []
    for length, angle in zip(lengths, angles, strict=True):
        start = start + length * np.stack([np.zeros_like(angle), -np.cos(angle), np.sin(angle)], axis=-1)
        points.append(start)
    return points


def walking_joints(phase: np.ndarray) -> dict[str, np.ndarray]:
    """Joint name -> (T, 3) metres: x to the person's left, y up from the floor, z forward; one step per pi of phase."""

    def at(x, y, z=0.0):
        return np.stack([np.full_like(phase, x), y + 0.02 * np.cos(2 * phase), np.full_like(phase, z)], axis=-1)

    joints = {"Pelvis": at(0, 0.93), "Torso": at(0, 1.18), "Neck": at(0, 1.43), "Nose": at(0, 1.59, 0.1)}
    joints["Head"], joints["UpperNeck"] = at(0, 1.715), at(0, 1.52)
    for side, x, swing in (("L", 1, np.sin(phase)), ("R", -1, -np.sin(phase))):
        lag = np.cos(phase) * x
        joints[f"{side}_Eye"], joints[f"{side}_Ear"] = at(0.03 * x, 1.62, 0.08), at(0.07 * x, 1.62)
        joints[f"{side}_Hip"], joints[f"{side}_Shoulder"] = at(0.12 * x, 0.93), at(0.18 * x, 1.43)
        thigh = 0.45 * swing
        shank = thigh - 0.35 * (1 + lag)
        joints[f"{side}_Knee"], ankle = _limb(joints[f"{side}_Hip"], (0.43, 0.42), [thigh, shank])
        joints[f"{side}_Ankle"] = ankle
        for name, dx, dz in (("Heel", 0, -0.05), ("BigToe", -0.02, 0.18), ("SmallToe", 0.05, 0.15)):
            joints[f"{side}_{name}"] = ankle + np.array([dx * x, -0.06, dz])
        arm = -0.4 * swing
        joints[f"{side}_Elbow"], joints[f"{side}_Wrist"] = _limb(
            joints[f"{side}_Shoulder"], (0.28, 0.25), [arm, arm + 0.4]
        )
    return joints


def stick_people() -> list[dict[str, np.ndarray]]:
    """Per person, joint name -> (T, 3) metres in camera axes (x right, y down, z forward), 30 frames at 25 Hz."""
    t = np.arange(FRAMES) / 25
    people = []
    for heading, start, speed, phase in ((1.2, (-1.2, 4.6), 1.1, 0.0), (-0.6, (0.9, 5.4), 0.7, 1.0)):
        # heading 0 walks towards the camera, so the person's left is the picture's right.
        forward = np.array([np.sin(heading), 0.0, -np.cos(heading)])
        left = np.array([np.cos(heading), 0.0, np.sin(heading)])
        place = np.array([start[0], 1.0, start[1]]) + speed * t[:, None] * forward
        people.append(
            {
                name: place + p[:, :1] * left + p[:, 1:2] * np.array([0.0, -1.0, 0.0]) + p[:, 2:] * forward
                for name, p in walking_joints(phase + 5 * t * speed).items()
            }
        )
    return people


def points_of(person: int, joint_set=HUMAN36M_17) -> np.ndarray:
    """(T, J, 3) metres, camera axes."""
    return np.stack([stick_people()[person][name] for name in joint_set.names], axis=1)


def pixels_of(person: int, joint_set=HUMAN36M_17) -> np.ndarray:
    """(T, J, 2), exact."""
    return camera_to_pixel(points_of(person, joint_set), F, C)


def keypoints_of(person: int) -> Keypoints:
    """As read from a file, exact and complete."""
    xy = pixels_of(person)
    return Keypoints(person, np.arange(len(xy)), xy, np.ones(xy.shape[:2]), "human36", SIZE, "video.json")


def detections(joint_set) -> np.ndarray:
    """(2, T, J, 3): x, y to 0.1 px and a score to 0.01; the second person's L_Wrist is missing in frames 10-12."""
    people = [np.stack([p[name] for name in joint_set.names], axis=1) for p in stick_people()]
    xy = np.round(camera_to_pixel(np.stack(people), F, C), 1)
    t, j = np.arange(FRAMES)[:, None], np.arange(len(joint_set))
    scores = np.broadcast_to(np.round(0.95 - 0.1 * np.abs(np.sin(t + j)), 2), xy.shape[:-1])
    values = np.concatenate([xy, scores[..., None]], axis=-1)
    values[1, 10:13, joint_set.names.index("L_Wrist")] = 0
    return values


def _flat(joints: np.ndarray) -> list[float]:
    return [round(float(v), 2) for v in joints.ravel()]


def coco_results(values: np.ndarray) -> list:
    return [
        {"image_id": t, "category_id": 1, "keypoints": _flat(values[p, t]), "score": 0.9}
        for t in range(values.shape[1])
        for p in range(len(values))
    ]


def coco_dataset(values: np.ndarray, size=SIZE) -> dict:
    P, T = values.shape[:2]
    visible = np.where(values[..., 2:] > 0.9, 2.0, np.where(values[..., 2:] > 0, 1.0, 0.0))
    values = np.concatenate([values[..., :2], visible], axis=-1)
    return {
        "images": [{"id": t, "file_name": f"{t:06d}.jpg", "width": size[0], "height": size[1]} for t in range(T)],
        "annotations": [
            {"id": t * P + p, "image_id": t, "category_id": 1, "track_id": p, "keypoints": _flat(values[p, t])}
            for t in range(T)
            for p in range(P)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.names)}],
    }


def openpose_frame(values: np.ndarray) -> dict:
    """values (P, J, 3)."""
    people = [{"person_id": [-1], "pose_keypoints_2d": _flat(v)} for v in values]
    return {"version": 1.3, "people": people}


def mmpose(values: np.ndarray) -> dict:
    frames = [
        {
            "frame_id": t,
            "instances": [
                {"keypoints": np.round(v[:, :2], 1).tolist(), "keypoint_scores": np.round(v[:, 2], 2).tolist()}
                for v in values[:, t]
            ],
        }
        for t in range(values.shape[1])
    ]
    return {"meta_info": {"dataset_name": "coco"}, "instance_info": frames}


def alphapose(values: np.ndarray) -> list:
    return [
        {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": _flat(values[p, t]), "score": 2.9, "idx": p + 1}
        for t in range(values.shape[1])
        for p in range(len(values))
    ]


def write_csv(path: Path, values: np.ndarray, names: tuple[str, ...]) -> None:
    """Missing joints get no line."""
    with open(path, "w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["frame", "person", "joint", "x", "y", "score"])
        for p, t, j in np.argwhere(values[..., 2] > 0):
            x, y, score = values[p, t, j]
            lines.writerow([t, p, names[j], f"{x:.1f}", f"{y:.1f}", f"{score:.2f}"])


def _write_json(path: Path, content) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def write_samples(folder: Path) -> None:
    """Every format once; less than 200 kB together."""
    coco, human36 = detections(COCO_17), detections(HUMAN36M_17)
    np.save(folder / "human36.npy", human36[0].astype(np.float32))
    np.savez(
        folder / "coco.npz",
        keypoints=coco[..., :2].astype(np.float32),
        scores=coco[..., 2].astype(np.float32),
        image_size=np.array(SIZE),
    )
    _write_json(folder / "coco_results.json", coco_results(coco))
    _write_json(folder / "coco_dataset.json", coco_dataset(coco[:, :15]))
    _write_json(folder / "mmpose.json", mmpose(coco))
    _write_json(folder / "alphapose.json", alphapose(detections(HALPE_26)[:, :20]))
    write_csv(folder / "human36.csv", human36[1:], HUMAN36M_17.names)
    (folder / "openpose").mkdir()
    body25 = detections(BODY_25)
    for t in range(OPENPOSE_FRAMES):
        _write_json(folder / "openpose" / f"walk_{t:012d}_keypoints.json", openpose_frame(body25[:, t]))


if __name__ == "__main__":
    samples = Path(__file__).resolve().parents[1] / "asset" / "samples"
    shutil.rmtree(samples / "openpose")
    write_samples(samples)
