"""Keypoints of the stick people in the formats of other programs, as these write them."""

import io
import json
import pickle

import numpy as np

from lib.joints import COCO_17, MEDIAPIPE_33
from tests.stick_person import SIZE, detections

PARTS = ("nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
         "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")  # fmt: skip
JOINTS = [COCO_17.names.index(p.title().replace("Left", "L").replace("Right", "R")) for p in PARTS]
COCO = detections(COCO_17)


def mediapipe_values() -> np.ndarray:
    """(2, T, 33, 3) px and score of the stick people; fingers and mouth are beside wrist and nose."""
    instead = {
        "EyeInner": "Eye",
        "EyeOuter": "Eye",
        "Mouth": "Eye",
        "Pinky": "Wrist",
        "Index": "Wrist",
        "Thumb": "Wrist",
    }
    from lib.joints import JointSet

    names = [f"{n[:2]}{instead[n[2:]]}" if n[2:] in instead else n for n in MEDIAPIPE_33.names]
    return detections(JointSet(tuple(names), (), (), 0))


def landmarks(person: np.ndarray) -> list[dict]:
    """(33, 3) px and score as MediaPipe's landmarks: parts of the image."""
    return [{"x": x / SIZE[0], "y": y / SIZE[1], "z": 0.1, "visibility": s} for x, y, s in person.tolist()]


def mediapipe_json() -> bytes:
    people = mediapipe_values()
    frames = [{"frame": t, "pose_landmarks": [landmarks(p) for p in people[:, t]]} for t in range(people.shape[1])]
    return json.dumps({"width": SIZE[0], "height": SIZE[1], "frames": frames}).encode()


def openpifpaf_image(people: np.ndarray, **more) -> list[dict]:
    """(P, 17, 3) as OpenPifPaf writes them."""
    return [
        {"keypoints": p.ravel().tolist(), "bbox": [0, 0, 9, 9], "score": 0.9, "category_id": 1, **more} for p in people
    ]


def mmpose_image(people: np.ndarray) -> list[dict]:
    """(P, 17, 3) as MMPoseInferencer writes them of an image."""
    return [{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "bbox": [[0, 0, 9, 9]],
             "bbox_score": 0.9} for p in people]  # fmt: skip


def ultralytics_image(people: np.ndarray) -> list[dict]:
    """(P, 17, 3) as Ultralytics' to_json() writes them, with track ids 3, 4, ..."""
    return [{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 0, "y1": 0, "x2": 9, "y2": 9}, "track_id": 3 + i,
             "keypoints": {"x": p[:, 0].tolist(), "y": p[:, 1].tolist(), "visible": p[:, 2].tolist()}}
            for i, p in enumerate(people)]  # fmt: skip


def tensorflow_js_image(people: np.ndarray) -> list[dict]:
    """(P, 17, 3) as MoveNet of TensorFlow.js returns them."""
    return [{"score": 0.9, "keypoints": [{"x": x, "y": y, "score": s, "name": "nose"} for x, y, s in p.tolist()]}
            for p in people]  # fmt: skip


def posenet_image(people: np.ndarray) -> list[dict]:
    """(P, 17, 3) as PoseNet returns them."""
    return [{"score": 0.9, "keypoints": [{"position": {"x": x, "y": y}, "part": "nose", "score": s} for x, y, s in p.tolist()]}
            for p in people]  # fmt: skip


def controlnet_image(people: np.ndarray, parts: bool) -> list[dict]:
    """(P, 18, 3) as ControlNet's preprocessors write an image's people, in pixels or in parts of the image."""
    scale = np.array([*SIZE, 1]) if parts else np.ones(3)
    return [{"people": [{"pose_keypoints_2d": (p / scale).ravel().tolist(), "face_keypoints_2d": None} for p in people],
             "canvas_width": SIZE[0], "canvas_height": SIZE[1]}]  # fmt: skip


def yolo_labels(people: np.ndarray, *after) -> bytes:
    """(P, 17, 3) as lines of class, box and keypoints in parts of the image; after: what follows, for each person."""
    lines = []
    for i, p in enumerate(people):
        values = (p / [*SIZE, 1]).ravel().tolist()
        lines.append(" ".join(f"{v:.6g}" for v in [0, 0.5, 0.5, 0.2, 0.4, *values, *(column[i] for column in after)]))
    return "\n".join(lines).encode() + b"\n"


def sports2d_trc(z: float = 0.0, scale: float = 1.0) -> bytes:
    """Person 0 as Sports2D writes them: names such as LShoulder, pixels, no blank line after the header, 30 frames per second."""
    names = ["".join(word.title() if i else word[0].upper() for i, word in enumerate(p.split("_"))) for p in PARTS]
    lines = [
        "PathFileType\t4\t(X/Y/Z)\tdemo_px_person00.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"30.0\t30.0\t{COCO.shape[1]}\t{len(PARTS)}\tm\t30.0\t0\t{COCO.shape[1]}",
        "Frame#\tTime\t" + "\t\t\t".join(["Nose", *names[1:]]) + "\t\t\t",
        "\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(PARTS) + 1)),
    ]
    for t, joints in enumerate(COCO[0][:, JOINTS]):
        cells = [cell for x, y, s in joints.tolist() for cell in ((x * scale, y * scale, z) if s > 0 else ("", "", ""))]
        lines.append("\t".join(map(str, [t, t / 30, *cells])))
    return "\n".join(lines).encode() + b"\n"


def easy_vitpose_json() -> bytes:
    frames = [{str(p + 3): COCO[p, t][:, [1, 0, 2]].tolist() for p in range(2)} for t in range(COCO.shape[1])]
    return json.dumps({"keypoints": frames, "skeleton": {"0": "nose"}}).encode()


def transformers_json() -> bytes:
    return json.dumps(
        [
            [
                {
                    "keypoints": p[:, :2].tolist(),
                    "scores": p[:, 2].tolist(),
                    "labels": list(range(17)),
                    "bbox": [0, 0, 9, 9],
                }
                for p in COCO[:, t]
            ]
            for t in range(COCO.shape[1])
        ]
    ).encode()


def deeplabcut_csv(people: int = 1) -> bytes:
    head = [("scorer", ["net"] * 39 * people)]
    if people > 1:
        head.append(("individuals", [f"p{p}" for p in range(people) for _ in range(39)]))
    head.append(("bodyparts", [part for _ in range(people) for part in PARTS for _ in range(3)]))
    head.append(("coords", ["x", "y", "likelihood"] * 13 * people))
    lines = [[name, *cells] for name, cells in head]
    for t in range(COCO.shape[1]):
        cells = COCO[:people, t, JOINTS]
        lines.append([t, *("" if score == 0 else v for p in cells for x, y, score in p for v in (x, y, score))])
    return "\n".join(",".join(map(str, line)) for line in lines).encode()


def deeplabcut_h5(people: int = 1, **changes) -> bytes:
    """The table that pandas writes with format='table': its columns are a pickle of protocol 0 in an attribute."""
    import h5py

    names = [("net", *((f"p{p}",) if people > 1 else ()), part, c) for p in range(people) for part in PARTS
             for c in ("x", "y", "likelihood")]  # fmt: skip
    values = COCO[:people][:, :, JOINTS].transpose(1, 0, 2, 3).reshape(COCO.shape[1], -1)
    table = np.zeros(len(values), [("index", "<i8"), ("values_block_0", "<f8", (values.shape[1],))])
    table["index"], table["values_block_0"] = np.arange(len(values)), values
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        dataset = file.create_dataset("df_with_missing/table", data=table)
        dataset.attrs["values_block_0_kind"] = np.void(changes.get("kind", pickle.dumps(names, 0)))
    return out.getvalue()


def sleap_h5(**changes) -> bytes:
    import h5py

    values = COCO[:, :, JOINTS]
    xy = np.where(values[..., 2:] > 0, values[..., :2], np.nan)
    arrays = {
        "tracks": xy.transpose(0, 3, 2, 1),
        "node_names": np.array([p.encode() for p in PARTS]),
        "point_scores": values[..., 2].transpose(0, 2, 1),
        "track_names": np.array([b"a", b"b"]),
    }
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, array in {**arrays, **changes}.items():
            file[name] = array
    return out.getvalue()


def sleap_csv() -> bytes:
    header = ["track", "frame_idx", "instance.score", *(f"{p}.{c}" for p in PARTS for c in ("x", "y", "score"))]
    lines = [header]
    for t in range(COCO.shape[1]):
        for p, track in enumerate(("track_0", "track_1")):
            cells = COCO[p, t, JOINTS]
            lines.append([track, t, 0.9, *("" if s == 0 else v for x, y, s in cells for v in (x, y, s))])
    return "\n".join(",".join(map(str, line)) for line in lines).encode()


def objects(value) -> np.ndarray:
    """A 0-d array of objects, as numpy.savez makes it of a dictionary."""
    out = np.empty((), object)
    out[()] = value
    return out


def detectron_npz(metadata=None, nested: bool = False) -> bytes:
    """VideoPose3D's inference script: boxes and keypoints [frame][class]; frame 2 has nobody, keypoints are (K, 4, 17)."""
    T = COCO.shape[1]
    boxes, keypoints = np.empty((T, 2), object), np.empty((T, 2), object)
    for t in range(T):
        people = np.stack([COCO[..., t, :, 0], COCO[..., t, :, 1], 0 * COCO[..., t, :, 0], COCO[..., t, :, 2]], axis=1)
        boxes[t, 0], keypoints[t, 0] = [], []
        boxes[t, 1] = np.ones((2, 5), np.float32) if t != 2 else []
        keypoints[t, 1] = people.astype(np.float32) if t != 2 else []
    if nested:
        rows = [keypoints, boxes]
        keypoints, boxes = (np.empty(T, object) for _ in rows)
        for t in range(T):
            keypoints[t], boxes[t] = list(rows[0][t]), list(rows[1][t])
    out = io.BytesIO()
    size = {"w": SIZE[0], "h": SIZE[1]}
    segments = np.array([None] * T)
    np.savez_compressed(out, boxes=boxes, segments=segments, keypoints=keypoints, metadata=objects(metadata or size))
    return out.getvalue()


def custom_npz(videos: int = 1) -> bytes:
    """VideoPose3D's data_2d_custom_*.npz."""
    positions = {f"clip{v}.mp4": {"custom": [COCO[v, :, :, :2].astype(np.float32)]} for v in range(videos)}
    metadata = {
        "layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1, 3], [2, 4]],
        "video_metadata": {name: {"w": SIZE[0], "h": SIZE[1]} for name in positions},
    }  # fmt: skip
    out = io.BytesIO()
    np.savez_compressed(out, positions_2d=objects(positions), metadata=objects(metadata))
    return out.getvalue()
