"""Small files in the form of VideoPose3D's, made up; what a reader must make of them is computed here step by step."""

import io
import json
import pickle
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.annotation_files import STANDING

RECORDINGS = {
    "S1": {"Directions": 12, "Sitting 2": 9},
    "S5": {"Photo 1": 6},
    "S6": {"WalkDog": 6},
    "S7": {"WalkTogether": 6},
    "S8": {"Discussion 1": 6},
    "S9": {"Greeting": 7, "Directions 1": 8, "SittingDown 1": 5, "Walking": 6},
    "S11": {"Directions 1": 5, "Walking 1": 7},
}
"""Frames of every recording; among them one that the release drops."""

USED = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
CAMERAS_FILE = Path(__file__).resolve().parents[3] / "data" / "Human36MNpz" / "cameras.json"


def joints_3d(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """positions_3d: a person who drifts and wobbles, (T, 32, 3) float32 metres, world; the 15 unused joints are far away."""
    rng = np.random.default_rng([seed, 36])
    tree = {}
    for subject, recordings in RECORDINGS.items():
        tree[subject] = {}
        for recording, count in recordings.items():
            start = rng.normal(0, 300, 3) * [1, 1, 0.1] + [0, 0, 900]
            path = start + np.cumsum(rng.normal(0, 5, (count, 3)), axis=0)
            joints = np.full((count, 32, 3), 77.0)
            joints[:, USED] = (STANDING + rng.normal(0, 20, (count, 17, 3)) + path[:, None]) / 1000
            tree[subject][recording] = joints.astype(np.float32)
    return tree


@cache
def _calibration() -> dict:
    return json.loads(CAMERAS_FILE.read_text())


def plain_camera(subject: str, number: int) -> dict:
    """One camera with R, t and its intrinsics, from the numbers of the project's file by the quaternion's formula."""
    content = _calibration()
    extrinsic = content["extrinsics"][subject][number]
    w, x, y, z = extrinsic["orientation"]
    to_world = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    R = to_world.T
    return content["intrinsics"][number] | {"R": R, "t": -R @ extrinsic["position"]}


def plain_camera_joints(joints: np.ndarray, camera: dict) -> np.ndarray:
    """World joints (32, 3) m of one frame to the 17 used, mm, camera axes."""
    return np.array([camera["R"] @ (1000 * joints[j].astype(np.float64)) + camera["t"] for j in USED])


def plain_pixels(points: np.ndarray, camera: dict, lens: bool) -> np.ndarray:
    """Camera-space points (17, 3) to pixels (17, 2), point by point."""
    out = []
    (k1, k2, k3), (p1, p2) = camera["radial"], camera["tangential"]
    for X, Y, Z in points:
        x, y = min(max(X / Z, -1), 1), min(max(Y / Z, -1), 1)
        r2 = x * x + y * y
        if lens:
            stretch = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
            x, y = x * stretch + p1 * r2, y * stretch + p2 * r2
        out.append([camera["f"][0] * x + camera["c"][0], camera["f"][1] * y + camera["c"][1]])
    return np.array(out)


def plain_normalized(pixels: np.ndarray, camera: dict) -> np.ndarray:
    return pixels / camera["width"] * 2 - [1, camera["height"] / camera["width"]]


def joints_2d(
    joints: dict[str, dict[str, np.ndarray]], noise: float = 0.0, longer: bool = False, count: int = 17
) -> dict[str, dict[str, list[np.ndarray]]]:
    """positions_2d: the first `count` joints through the lens with noise of that many pixels, float32; longer: with up to two
    frames more than the 3D, and a subject that the 3D lacks."""
    rng = np.random.default_rng(5)
    tree = {"S2": {"Walking": [np.full((4, count, 2), 500, np.float32)] * 4}} if longer else {}
    for subject in reversed(joints):  # the order differs between the files
        tree[subject] = {}
        for recording in reversed(joints[subject]):
            views = []
            for number in range(4):
                camera = plain_camera(subject, number)
                frames = joints[subject][recording]
                pixels = [
                    plain_pixels(plain_camera_joints(frame, camera), camera, lens=True)[:count] for frame in frames
                ]
                pixels += [pixels[-1]] * (number % 3 if longer else 0)
                views.append((np.array(pixels) + rng.normal(0, noise, (len(pixels), count, 2))).astype(np.float32))
            tree[subject][recording] = views
    return tree


METADATA = {
    "gt": {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]},
    "cpn_ft_h36m_dbb": {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": [[4, 5], [1, 2]]},
    "detectron_pt_coco": {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1, 3], [2, 4]]},
    "sh_pt_mpii": {"layout_name": "mpii", "num_joints": 16, "keypoints_symmetry": [[3, 4, 5], [2, 1, 0]]},
}


def npz_bytes(protocol: int = 3, **contents: object) -> bytes:
    """An .npz as np.savez writes objects with a pickle of this protocol; bytes stand for a pickle."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in contents.items():
            file, array = io.BytesIO(), np.empty((), object)
            array[()] = value
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
            file.write(value if isinstance(value, bytes) else pickle.dumps(array, protocol))
            archive.writestr(f"{key}.npy", file.getvalue())
    return whole.getvalue()


def write_npz(path: Path, protocol: int = 3, **contents: object) -> None:
    """`npz_bytes` as a file, which replaces the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(npz_bytes(protocol, **contents))


def write_files(data_dir: Path, joints: dict | None = None, names: tuple[str, ...] = ("gt", "cpn_ft_h36m_dbb")) -> Path:
    """data_dir/Human36MNpz with the 3D file and these 2D files; returns the folder."""
    folder = data_dir / "Human36MNpz"
    joints = joints_3d() if joints is None else joints
    write_npz(folder / "data_3d_h36m.npz", positions_3d=joints)
    for name in names:
        pixels = (
            joints_2d(joints)
            if name == "gt"
            else joints_2d(joints, 3.0, longer=True, count=METADATA[name]["num_joints"])
        )
        write_npz(folder / f"data_2d_h36m_{name}.npz", positions_2d=pixels, metadata=METADATA[name])
    return folder
