"""Errors on a real recording of several calibrated cameras: python docs/measure_cameras.py --recording DIR --output DIR

The recording is one that Pose2Sim ships: pip download --no-deps pose2sim, unzip the wheel, and give its folder
Pose2Sim/Demo_SinglePerson. Each video goes through `main/predict.py --video` as a user's video does. The reference is the
joints triangulated from the 2D joints of all cameras. So it shares the detector's idea of where a joint is, and errors that all
cameras have in common are not in it. Beside it stand MediaPipe's own 3D landmarks, and the same network on the projected
reference. The numbers are in docs/predict.md. Needs `sh requirements.sh video`.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib.camera import camera_to_pixel  # noqa: E402
from lib.joints import HUMAN36M_17, JOINT_SETS  # noqa: E402
from lib.lifting.lifter import Lifter  # noqa: E402
from lib.metrics import n_mpjpe, pa_mpjpe  # noqa: E402

NAMES = HUMAN36M_17.names
LIMBS = [j for j, name in enumerate(NAMES) if name[2:] in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")]
"""Joints that are compared, relative to the middle of the hips."""

MAX_DISTANCE = 25.0
"""Pixels: mean distance of a triangulated joint from its 2D joints; where it is more, the frame has no reference."""

SUBPIXEL = 64.0
"""Units of a pixel in Qualisys' calibration files."""


@dataclass(frozen=True)
class Camera:
    """R (3, 3), t (3,) metres: from world to camera axes; matrix (3, 3) in pixels; distortion: OpenCV's k1, k2, p1, p2."""

    R: np.ndarray
    t: np.ndarray
    matrix: np.ndarray
    distortion: np.ndarray

    @property
    def intrinsics(self) -> np.ndarray:
        """f_x, f_y, c_x, c_y in pixels."""
        return self.matrix[[0, 1, 0, 1], [0, 1, 2, 2]]


def read_cameras(path: Path) -> list[Camera]:
    """The cameras of a Qualisys file (.qca.txt), which has axes to the right, up and backwards, and places in millimetres."""
    cameras = []
    for entry in ElementTree.parse(path).getroot().iter("camera"):
        place, lens = ({k: float(v) for k, v in entry.find(part).attrib.items()} for part in ("transform", "intrinsic"))
        axes = np.array([[place[f"r{row}{column}"] for column in (1, 2, 3)] for row in (1, 2, 3)])
        R = np.diag([1.0, -1.0, -1.0]) @ axes
        matrix = np.array(
            [
                [lens["focalLengthU"] / SUBPIXEL, 0, lens["centerPointU"] / SUBPIXEL],
                [0, lens["focalLengthV"] / SUBPIXEL, lens["centerPointV"] / SUBPIXEL],
                [0, 0, 1],
            ]
        )
        names = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
        position = np.array([place[axis] for axis in "xyz"]) / 1000
        cameras.append(Camera(R, -R @ position, matrix, np.array([lens[name] for name in names])))
    return cameras


def lifted(
    video: Path, camera: Camera, output: Path, frames: int, weights: str, options: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """2D joints (F, 17, 2) in pixels and 3D joints (F, 17, 3) in metres that main/predict.py finds with these further options,
    NaN where it finds nobody."""
    command = [sys.executable, str(ROOT / "main" / "predict.py"), "--video", str(video), "--output", str(output)]
    command += ["--weights", weights, "--camera", *map(str, camera.intrinsics), *options]
    subprocess.run(command, check=True)
    with np.load(output) as z:
        rows = z["person"] == z["person"][0]
        joints = [np.full((frames, len(NAMES), n), np.nan) for n in (2, 3)]
        for values, name in zip(joints, ("pose2d", "pose3d"), strict=True):
            values[z["frame"][rows]] = z[name][rows]
    return joints[0], joints[1]


def landmarks(video: Path, frames: int) -> np.ndarray:
    """MediaPipe's own 3D landmarks of LIMBS (F, 12, 3) in metres, NaN where it finds nobody."""
    import mediapipe

    found = np.full((frames, len(LIMBS), 3), np.nan)
    names = JOINT_SETS["mediapipe"].names
    film = cv2.VideoCapture(str(video))
    with mediapipe.solutions.pose.Pose() as pose:
        for row in found:
            image = film.read()[1]
            result = None if image is None else pose.process(image[..., ::-1]).pose_world_landmarks
            if result:
                points = [result.landmark[names.index(NAMES[j])] for j in LIMBS]
                row[:] = [(p.x, p.y, p.z) for p in points]
    return found


def triangulated(pixels: np.ndarray, cameras: list[Camera]) -> np.ndarray:
    """(F, 17, 3) metres, world axes, from 2D joints (C, F, 17, 2), NaN where they do not agree.

    Linear least squares of all cameras, or of all but one where those agree better.
    """
    rays = np.full_like(pixels, np.nan)
    for ray, seen, camera in zip(rays, pixels, cameras, strict=True):
        known = np.isfinite(seen).all(-1)
        ray[known] = cv2.undistortPoints(seen[known][:, None], camera.matrix, camera.distortion)[:, 0]
    projections = np.stack([np.column_stack([camera.R, camera.t]) for camera in cameras])
    focal = np.mean([camera.matrix[0, 0] for camera in cameras])
    points = np.full((*pixels.shape[1:3], 3), np.nan)
    for place in np.ndindex(points.shape[:2]):
        best = MAX_DISTANCE
        count = len(cameras)
        for chosen in (list(c) for size in (count, count - 1) for c in combinations(range(count), size)):
            ray, P = rays[(chosen, *place)], projections[chosen]
            if not np.isfinite(ray).all():
                continue
            rows = ray[..., None] * P[:, None, 2] - P[:, :2]
            x = np.linalg.svd(rows.reshape(-1, 4))[2][-1]
            seen = P @ (x / x[3])
            distance = focal * np.linalg.norm(seen[:, :2] / seen[:, 2:] - ray, axis=-1).mean()
            if distance < best:
                best, points[place] = distance, x[:3] / x[3]
    return points


def errors(pose: np.ndarray, truth: np.ndarray) -> str:
    """MPJPE, N-MPJPE and PA-MPJPE in mm of LIMBS (F, 12, 3), relative to the middle of the hips, of frames that have both."""
    hips = [k for k, j in enumerate(LIMBS) if NAMES[j][2:] == "Hip"]
    rows = np.isfinite(pose).all((1, 2)) & np.isfinite(truth).all((1, 2))
    pose, truth = (1000 * (p[rows] - p[rows][:, hips].mean(1, keepdims=True)) for p in (pose, truth))
    numbers = np.linalg.norm(pose - truth, axis=-1), n_mpjpe(pose, truth), pa_mpjpe(pose, truth)
    return " / ".join(f"{number.mean():.0f}" for number in numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors on a real recording of several calibrated cameras.")
    parser.add_argument("--recording", type=Path, required=True, help="folder with calibration/ and videos/")
    parser.add_argument("--output", type=Path, required=True, help="folder for results")
    parser.add_argument("--weights", default=str(ROOT / "experiment" / "HGN_mocap_pretrained"), help="of the network")
    parser.add_argument("--smooth", action="store_true", help="predict with --smooth")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    cameras = read_cameras(next((args.recording / "calibration").glob("*.qca.txt")))
    videos = sorted((args.recording / "videos").glob("*.mp4"))
    films = [cv2.VideoCapture(str(video)) for video in videos]
    frames = int(min(film.get(cv2.CAP_PROP_FRAME_COUNT) for film in films))
    size = [(int(f.get(cv2.CAP_PROP_FRAME_WIDTH)), int(f.get(cv2.CAP_PROP_FRAME_HEIGHT))) for f in films]
    options = ["--smooth"] if args.smooth else []
    found = [
        lifted(video, camera, args.output / f"{video.stem}.npz", frames, args.weights, options)
        for video, camera in zip(videos, cameras, strict=True)
    ]
    points = triangulated(np.stack([pixels for pixels, _ in found]), cameras)
    whole = np.isfinite(points).all((1, 2))
    print(f"{whole.sum()} of {frames} frames have a reference; MPJPE / N-MPJPE / PA-MPJPE, mm\n")
    print("| camera | MediaPipe's own 3D | this project | from exact 2D joints |\n| --- | --- | --- | --- |")
    lifter, rate = Lifter(args.weights), films[0].get(cv2.CAP_PROP_FPS)
    for number, (video, camera) in enumerate(zip(videos, cameras, strict=True)):
        truth = points @ camera.R.T + camera.t
        focal, centre = camera.intrinsics[:2], camera.intrinsics[2:]
        pixels = camera_to_pixel(truth[whole], focal, centre)
        exact = lifter(pixels, size[number], fps=rate, camera=camera.intrinsics, frames=np.flatnonzero(whole))
        poses = landmarks(video, frames)[whole], found[number][1][whole][:, LIMBS], exact.pose3d[:, LIMBS]
        print(f"| {number + 1} | {' | '.join(errors(pose, truth[whole][:, LIMBS]) for pose in poses)} |", flush=True)


if __name__ == "__main__":
    main()
