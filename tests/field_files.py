"""Small files in the published formats of AMASS, 3DPW and MPI-INF-3DHP, made up by arrays alone, for tests."""

import pickle
from pathlib import Path

import numpy as np
import scipy.io

# A standing person in mm, camera axes (y down), about the pelvis: MPI-INF-3DHP's 28 training joints.
_STANDING_28 = np.array([
    (0, -250, 0), (0, -500, 0), (0, -180, 0), (0, -120, 0), (0, 0, 0), (0, -520, 0), (0, -640, -60), (0, -760, 0),
    (50, -500, 0), (160, -490, 0), (190, -210, 0), (200, 40, 0), (200, 120, 0),
    (-50, -500, 0), (-160, -490, 0), (-190, -210, 0), (-200, 40, 0), (-200, 120, 0),
    (110, 20, 0), (120, 450, 0), (120, 870, 0), (120, 900, -120), (120, 900, -180),
    (-110, 20, 0), (-120, 450, 0), (-120, 870, 0), (-120, 900, -120), (-120, 900, -180),
])  # fmt: skip

TEST_FROM_TRAINING = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]
"""The test set's 17 joints (head top, neck, right arm, left arm, right leg, left leg, pelvis, spine, head) among the 28."""

TRAINING_CAMERAS = 14


def write_amass(
    path: Path,
    frames: int = 60,
    rate: float = 60.0,
    gender: object = "male",
    model: str = "smplh",
    seed: int = 0,
    **changes,
) -> dict[str, np.ndarray]:
    """One motion file; changes: keys to replace, None to leave out. Returns what was written."""
    rng = np.random.default_rng([seed, 1])
    poses = rng.normal(0, 0.2, (frames, {"smplh": 156, "smplx": 165}[model]))
    poses[:, 0] += np.pi / 2  # SMPL's Y up to the world's Z up
    content = {
        "poses": poses,
        "trans": np.column_stack([rng.normal(0, 0.2, (frames, 2)), np.full(frames, 1.0)]),
        "betas": np.round(rng.normal(0, 0.7, 16), 4),
        "gender": None if gender is None else np.array(gender),
        "mocap_framerate" if model == "smplh" else "mocap_frame_rate": np.array(rate),
        "dmpls": np.zeros((frames, 8)),
    } | changes
    content = {name: value for name, value in content.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **content)
    return content


def sequence_3dpw(frames: int = 20, people: int = 2, seed: int = 0) -> dict:
    """The content of one sequence: people 4 m in front of a camera that stands about 1.5 m above the world's origin."""
    rng = np.random.default_rng([seed, 3])
    content: dict = {"sequence": "made_up_00", "img_frame_ids": 2 * np.arange(frames)}
    content["cam_intrinsics"] = np.array([[1950.0, 0, 960], [0, 1960, 540], [0, 0, 1]])
    cameras = np.tile(np.eye(4), (frames, 1, 1))
    cameras[:, :3, :3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]  # the world is Y up, the camera's y points down
    cameras[:, :3, 3] = rng.normal(0, 0.01, (frames, 3)) + [0, 1.5, 4]
    content["cam_poses"] = cameras
    for name in ("poses", "trans", "jointPositions", "poses2d", "campose_valid", "betas", "genders"):
        content[name] = []
    for i in range(people):
        poses = rng.normal(0, 0.15, (frames, 72))
        trans = rng.normal(0, 0.05, (frames, 3)) + [i - 0.5, 1.0, 0]
        joints = rng.normal(0, 0.1, (frames, 24, 3)) + trans[:, None]
        joints[:, [4, 5]] = joints[:, [1, 2]] - [0, 0.45, 0]
        joints[:, [7, 8]] = joints[:, [4, 5]] - [0, 0.45, 0]
        detections = np.concatenate(
            [rng.uniform(300, 900, (frames, 2, 18)), rng.uniform(0.3, 1, (frames, 1, 18))], axis=1
        )
        valid = np.ones(frames, int)
        valid[3 + i] = 0
        content["poses"].append(poses)
        content["trans"].append(trans)
        content["jointPositions"].append(joints.reshape(frames, 72))
        content["poses2d"].append(detections)
        content["campose_valid"].append(valid)
        content["betas"].append(np.round(rng.normal(0, 0.5, 10 if i == 0 else 300), 4))
        content["genders"].append("mf"[i % 2])
    return content


def write_3dpw(path: Path, content: dict) -> None:
    """A pickle of protocol 2, as the published ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def views_3dhp(frames: int = 6, cameras: int = TRAINING_CAMERAS, seed: int = 0) -> dict[str, np.ndarray]:
    """People of 28 joints in the views of some cameras: K (C, 3, 3), joints (C, F, 28, 3) mm, pixels (C, F, 28, 2)."""
    rng = np.random.default_rng([seed, 28])
    K = np.tile(np.eye(3), (cameras, 1, 1))
    K[:, [0, 1], [0, 1]] = rng.normal(1500, 5, (cameras, 2))
    K[:, :2, 2] = rng.normal(1024, 20, (cameras, 2))
    person = _STANDING_28 + rng.normal(0, 25, (frames, 28, 3)) * (np.arange(28) != 4)[:, None]
    angles = 2 * np.pi * np.arange(cameras) / cameras
    turns = np.array([[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in angles])
    joints = person @ np.swapaxes(turns, 1, 2)[:, None] + np.array([0, 0, 4000])
    pixels = joints @ np.swapaxes(K, 1, 2)[:, None]
    return {"K": K, "R": turns, "joints": joints, "pixels": pixels[..., :2] / pixels[..., 2:]}


def write_3dhp_training(folder: Path, views: dict[str, np.ndarray], scale: float = 0.92, **changes: np.ndarray) -> None:
    """annot.mat and camera.calibration; changes: keys of annot.mat to replace, None to leave out."""
    joints, pixels = views["joints"], views["pixels"]
    cameras, frames = joints.shape[:2]

    def cells(array):
        column = np.empty((cameras, 1), object)
        for c in range(cameras):
            column[c, 0] = array[c].reshape(frames, -1)
        return column

    content = {
        "annot2": cells(pixels),
        "annot3": cells(joints),
        "univ_annot3": cells(scale * joints),
        "cameras": np.arange(cameras, dtype=np.uint8)[None],
        "frames": np.arange(frames, dtype=np.float64)[:, None],
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "annot.mat", {name: value for name, value in content.items() if value is not None})
    (folder / "camera.calibration").write_text(calibration_text(views))


def calibration_text(views: dict[str, np.ndarray]) -> str:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for index, (K, R) in enumerate(zip(views["K"], views["R"], strict=True)):
        intrinsic, extrinsic = np.eye(4), np.eye(4)
        intrinsic[:3, :3], extrinsic[:3, :3], extrinsic[:3, 3] = K, R, [0, 0, 4000]
        numbers = [" ".join(map(repr, matrix.ravel().tolist())) for matrix in (intrinsic, extrinsic)]
        lines += [
            f"name          {index}", "  sensor      10 10", "  size        2048 2048", "  animated    0",
            f"  intrinsic   {numbers[0]} ", f"  extrinsic   {numbers[1]} ", "  radial      0",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def arrays_3dhp_test(frames: int = 8, seed: int = 0, size: tuple[int, int] = (2048, 2048)) -> dict[str, np.ndarray]:
    """The content of annot_data.mat, as h5py reads it; the second and the last frame are not valid."""
    views = views_3dhp(frames, 1, seed + 100)
    joints = views["joints"][0][:, TEST_FROM_TRAINING]
    pixels = joints[..., :2] / joints[..., 2:] * 1400 + np.array(size) / 2
    valid = np.ones((frames, 1))
    valid[[1, -1]] = 0
    return {
        "annot2": pixels[:, None],
        "annot3": joints[:, None],
        "univ_annot3": 1.05 * joints[:, None],
        "valid_frame": valid,
        "activity_annotation": 1.0 + np.arange(frames)[:, None] // 3,
        "bb_crop": np.zeros((frames, 34)),
    }


def write_3dhp_test(path: Path, content: dict[str, np.ndarray]) -> None:
    """annot_data.mat: HDF5 behind MATLAB's 512-byte block. Needs h5py."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            if value is not None:
                file[name] = value
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_npz_of_object(path: Path, key: str, value: object) -> None:
    """An .npz whose only key is a 0-d object array, as P-STMO's."""
    holder = np.empty((), object)
    holder[()] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{key: holder})


class Malicious:
    """Something whose unpickling runs a command that leaves a file PWNED in the working folder."""

    def __reduce__(self):
        import os

        return os.system, ("touch PWNED",)
