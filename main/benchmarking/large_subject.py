"""Made-up annotations as large as Human3.6M's, to measure how long reading takes and how much memory."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from data.studio import studio_cameras
from lib.camera import Camera, camera_to_pixel, world_to_camera

SUBJECT = 1
CLIPS = [(action, subaction) for action in range(2, 17) for subaction in (1, 2)]


def write_large_subject(folder: Path, image_count: int, seed: int = 0) -> int:
    """Write the four files of one subject, 15 actions twice, every frame in four cameras; the number of images.

    Same keys, nesting and digits as the published files, which hold unrounded numbers; the motions are random walks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cameras = studio_cameras(seed)
    rng = np.random.default_rng(seed)
    lengths = [len(part) for part in np.array_split(np.arange(image_count // len(cameras)), len(CLIPS))]
    clips = [(clip, *_random_walk(rng, length)) for clip, length in zip(CLIPS, lengths, strict=True)]
    betas = rng.uniform(-1, 1, 10).tolist()
    stem = folder / f"Human36M_subject{SUBJECT}"

    calibration = {str(i): {name: getattr(c, name).tolist() for name in "Rtfc"} for i, c in cameras.items()}
    Path(f"{stem}_camera.json").write_text(json.dumps(calibration))
    joints = ((clip, (frame.tolist() for frame in joints)) for clip, joints, _, _ in clips)
    _write_tree(Path(f"{stem}_joint_3d.json"), joints)
    parameters = (
        (clip, ({"pose": p.tolist(), "shape": betas, "trans": t.tolist()} for p, t in zip(pose, transl, strict=True)))
        for clip, _, pose, transl in clips
    )
    _write_tree(Path(f"{stem}_smpl_param.json"), parameters)
    with open(f"{stem}_data.json", "w") as file:
        for key, opening in (("image", '{"images": ['), ("annotation", '], "annotations": [')):
            file.write(opening)
            _write_joined(file, (json.dumps(entry[key]) for entry in _images(clips, cameras)))
        file.write("]}")
    return sum(lengths) * len(cameras)


def _random_walk(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (T, 17, 3) mm near the middle of the room, pose (T, 72) and translation (T, 3) m, single precision."""
    place = np.clip(np.cumsum(rng.normal(0, 8, (frames, 1, 3)), axis=0), -600, 600)
    joints = place + rng.uniform([-300, -300, 0], [300, 300, 1700], (17, 3)) + rng.normal(0, 3, (frames, 17, 3))
    pose = np.clip(np.cumsum(rng.normal(0, 0.02, (frames, 72)), axis=0), -1, 1)
    return tuple(a.astype(np.float32) for a in (joints, pose, place[:, 0] / 1000))


def _images(clips: list, cameras: dict[int, Camera]) -> Iterable[dict]:
    number = 0
    for (action, subaction), joints, *_ in clips:
        for index, camera in cameras.items():
            pixels = camera_to_pixel(world_to_camera(joints, camera.R, camera.t), camera.f, camera.c)
            corner, size = pixels.min(1), np.ptp(pixels, axis=1)
            name = f"s_{SUBJECT:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{index:02d}"
            for frame, box in enumerate(np.concatenate([corner, size], axis=1).tolist()):
                image = {
                    "id": number,
                    "file_name": f"{name}/{name}_{frame + 1:06d}.jpg",
                    "width": camera.width,
                    "height": camera.height,
                    "subject": SUBJECT,
                    "action_name": f"Action{action}",
                    "action_idx": action,
                    "subaction_idx": subaction,
                    "cam_idx": index,
                    "frame_idx": frame,
                }
                visible = [True] * joints.shape[1]
                annotation = {"id": number, "image_id": number, "keypoints_vis": visible, "bbox": box}
                yield {"image": image, "annotation": annotation}
                number += 1


def _write_tree(path: Path, clips: Iterable[tuple[tuple[int, int], Iterable]]) -> None:
    """{action: {subaction: {frame: entry}}} of clips that come sorted by action."""
    with open(path, "w") as file:
        file.write("{")
        for number, ((action, subaction), entries) in enumerate(clips):
            opening = f'"{action}": {{' if subaction == 1 else ""
            file.write(f'{", " if number else ""}{opening}"{subaction}": {{')
            _write_joined(file, (f'"{frame}": {json.dumps(entry)}' for frame, entry in enumerate(entries)))
            file.write("}" if subaction == 1 else "}}")
        file.write("}")


def _write_joined(file, texts: Iterable[str]) -> None:
    for number, text in enumerate(texts):
        file.write(f"{', ' if number else ''}{text}")
