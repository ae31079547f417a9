"""Errors from video to 3D, of people whose joints are known: python docs/measure_video.py --mocap data/Mocap --output DIR

Each motion becomes a video of the dressed built-in body (docs/rendered_people.py), which goes through
`main/predict.py --video` as a user's video does. Printed are the errors against the true joints, and those of the same
network on the true 2D joints: the difference is the detector's part. The numbers are in docs/predict.md.
"""

import argparse
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.rendered_people import WARDROBE, Scene, actor, crossing, moving_camera, write_video  # noqa: E402
from lib.joints import HUMAN36M_17  # noqa: E402
from lib.lifting.lifter import Lifter  # noqa: E402
from lib.metrics import mpjpe, pa_mpjpe  # noqa: E402
from smplpytorch.smplpytorch.body_model import BodyModel  # noqa: E402
from smplpytorch.smplpytorch.builtin_body import build_builtin_body  # noqa: E402

SIZE = (640, 480)
FPS = 25.0
LIMBS = [j for j, name in enumerate(HUMAN36M_17.names) if name[2:] in ("Shoulder", "Elbow", "Wrist", "Knee", "Ankle")]
"""Joints that detectors and motion capture place alike."""


@dataclass(frozen=True)
class Errors:
    """Of one true person: found, the fraction of frames in which they were found; limbs and all_2d, mean distance in px of
    the 2D joints; person, height of their box in px; mpjpe and pa_mpjpe in mm; exact_*: the same from the true 2D
    joints; numbers: the person numbers that they were given."""

    found: float
    limbs: float
    all_2d: float
    person: float
    mpjpe: float
    pa_mpjpe: float
    exact_mpjpe: float
    exact_pa_mpjpe: float
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{self.found:.0%} | {self.limbs:.1f} | {self.all_2d:.1f} | {self.person:.0f} | {self.mpjpe:.0f} / "
            f"{self.pa_mpjpe:.0f} | {self.exact_mpjpe:.0f} / {self.exact_pa_mpjpe:.0f}"
        )


def measured(scene: Scene, lifted: Path, lifter: Lifter) -> list[Errors]:
    """Errors of each actor: lifted is the .npz that main/predict.py wrote for the scene's video.

    In every frame, people who were found are paired with those nearest to them in the image.
    """
    points, pixels = scene.truth()
    exact = [lifter(p, image_size=scene.image_size, fps=scene.fps) for p in pixels]
    with np.load(lifted) as z:
        found = {name: z[name] for name in ("person", "frame", "pose3d", "pose2d")}
    distance = np.linalg.norm(found["pose2d"] - pixels[:, found["frame"]], axis=-1)  # (P, N, 17)
    nearest = distance.mean(-1).argmin(0)
    results = []
    for number, (joints, own) in enumerate(zip(points, exact, strict=True)):
        rows = np.flatnonzero(nearest == number)
        frames = found["frame"][rows]
        true = 1000 * (joints[frames] - joints[frames][:, [HUMAN36M_17.root]])
        poses = {"": 1000 * found["pose3d"][rows], "exact_": 1000 * own.pose3d[frames]}
        errors = {
            f"{name}{f.__name__}": float(f(p, true).mean()) for name, p in poses.items() for f in (mpjpe, pa_mpjpe)
        }
        results.append(
            Errors(
                found=len(np.unique(frames)) / len(joints),
                limbs=float(distance[number, rows][:, LIMBS].mean()),
                all_2d=float(distance[number, rows].mean()),
                person=float(np.ptp(pixels[number], axis=1)[:, 1].mean()),
                numbers=tuple(int(n) for n in np.unique(found["person"][rows])),
                **errors,
            )
        )
    return results


def predict(video: Path, lifted: Path, *options: str) -> None:
    """main/predict.py --video, as a user runs it."""
    command = [
        sys.executable,
        str(ROOT / "main" / "predict.py"),
        "--video",
        str(video),
        "--output",
        str(lifted),
        *options,
    ]
    subprocess.run(command, check=True)


def motions(body: BodyModel, folder: Path, seconds: float) -> Iterator[tuple[str, Scene]]:
    """Yield name and scene of every motion in the annotations below `folder`, imported with --fps 25: one person each."""
    frames = round(seconds * FPS)
    for path in sorted((folder / "annotations").glob("*_smpl_param.json")):
        names = _action_names(path)
        for action, parts in json.loads(path.read_text()).items():
            rows = [parts["1"][frame] for frame in sorted(parts["1"], key=int)][:frames]
            pose, place = (np.array([row[key] for row in rows]) for key in ("pose", "trans"))
            betas, place = np.array(rows[0]["shape"]), place - place.mean(0)
            person = actor(body, WARDROBE[int(action) % len(WARDROBE)], pose, betas, place)
            yield names[action], Scene([person], moving_camera((0.0, 0.0, 0.95), len(rows), SIZE), FPS)


def _action_names(path: Path) -> dict[str, str]:
    images = json.loads(path.with_name(path.name.replace("smpl_param", "data")).read_text())["images"]
    return {str(image["action_idx"]): image["action_name"] for image in images}


def write_task(path: Path) -> None:
    """A pose landmarker file (.task) for several people, of the models in MediaPipe's wheel."""
    import mediapipe
    from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter

    modules = Path(mediapipe.__file__).parent / "modules"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        for source, name, mean, std in (
            ("pose_detection/pose_detection.tflite", "pose_detector.tflite", 127.5, 127.5),
            ("pose_landmark/pose_landmark_full.tflite", "pose_landmarks_detector.tflite", 0.0, 255.0),
        ):
            writer = MetadataWriter.create(bytearray((modules / source).read_bytes()))
            writer.add_general_info("pose").add_image_input([mean], [std])
            bundle.writestr(name, writer.populate()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors from rendered videos to 3D poses, against the truth.")
    parser.add_argument(
        "--mocap", type=Path, help="annotations that prepare_data.py mocap --fps 25 wrote, beside the crossing"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each motion (default: 3)")
    parser.add_argument("--smooth", action="store_true", help="predict with --smooth")
    parser.add_argument("--output", type=Path, required=True, help="folder for videos and results")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    body, lifter = build_builtin_body(), Lifter()
    task = args.output / "pose.task"
    write_task(task)
    scenes = [("crossing", crossing(body), ("--detector", str(task), "--max-persons", "2"))]
    if args.mocap:
        scenes += [(name, scene, ()) for name, scene in motions(body, args.mocap, args.seconds)]
    print(
        "| motion | found | 2D limbs px | 2D all px | person px | MPJPE / PA mm | from true 2D |\n| --- "
        + "| --- " * 6
        + "|"
    )
    for name, scene, options in scenes:
        video, lifted = args.output / f"{name}.mp4", args.output / f"{name}.npz"
        write_video(video, scene)
        predict(video, lifted, *options, *(["--smooth"] if args.smooth else []))
        for errors in measured(scene, lifted, lifter):
            print(f"| {name} {errors.numbers} | {errors} |", flush=True)


if __name__ == "__main__":
    main()
