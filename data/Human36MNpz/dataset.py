"""Human3.6M from VideoPose3D's files: data_3d_h36m.npz and, for the 2D input, data_2d_h36m_NAME.npz."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.Human36M.dataset import ACTION_NAMES, SPLITS
from data.Human36MNpz.cameras import DistortedCamera, project_distorted, read_cameras
from data.Human36MNpz.files import Keypoints2D, Recordings, read_2d, read_3d
from data.projection import refuse_other_camera
from data.source import Chunk, Source, file_identity
from lib.camera import world_to_camera
from lib.config import DatasetConfig
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel

DROPPED_BY_RELEASE = (("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1"))
"""Recordings with wrong ground truth that the release drops: (9, 5, 2), (9, 10, 2) and (9, 13, 1) of its annotations, under
the names of the original files (as listed in Vegetebird/MHFormer, issue 92)."""

FILE_3D = "data_3d_h36m.npz"


def human36m_npz(cfg: DatasetConfig, body: BodyModel) -> "VideoPose3DSource":
    """The source under data_dir/Human36MNpz; the body takes no part."""
    folder = Path(cfg.data_dir) / "Human36MNpz"
    return VideoPose3DSource(folder, cfg.detections, cfg.protocol, cfg.nan_frames == "drop")


@dataclass(frozen=True)
class VideoPose3DSource(Source):
    """VideoPose3D's files in `folder`.

    detections: "gt" or the NAME of a file of 2D joints; protocol: "videopose3d" (every frame, nothing dropped, the 2D of the
    file, which is projected through the lens) or "release" (its strides and dropped recordings; ground-truth 2D is projected
    without lens, as in the release's annotations); drop_nan: drop frames with NaN and count them, instead of refusing.
    """

    folder: Path
    detections: str = "gt"
    protocol: str = "release"
    drop_nan: bool = False
    action_names = ACTION_NAMES

    @property
    def input2d(self) -> str:
        return "ground-truth" if self.detections == "gt" else f"detected ({self.detections})"

    @property
    def _path_2d(self) -> Path | None:
        """The file of 2D joints; None where ground truth has none and is projected."""
        path = self.folder / f"data_2d_h36m_{self.detections}.npz"
        return path if self.detections != "gt" or path.exists() else None

    def identity(self, split: str) -> list:
        paths = [self.folder / FILE_3D] + ([self._path_2d] if self._path_2d else [])
        return [[file_identity(path) for path in paths], split, self.detections, self.protocol, self.drop_nan]

    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        cameras = read_cameras()
        path = self.folder / FILE_3D
        joints = read_3d(path, tuple(cameras))
        actions = {key: _action(key[1], f"{path}: {key[0]}") for key in _recordings(joints)}
        keypoints = None
        if self._path_2d is not None:
            keypoints = read_2d(self._path_2d, joints, len(cameras["S1"]))
        bad = {key: _nan_frames(joints, keypoints, *key) for key in actions}
        if not self.drop_nan:
            self._refuse_nan(bad, joints)
        wanted = [f"S{number}" for number in SPLITS[split].subjects]
        if not any(subject in joints for subject in wanted):
            raise UserError(f"{path}: has none of the subjects {', '.join(wanted)} of the {split} split")
        notes = list(keypoints.notes) if keypoints else []
        missing = [subject for subject in wanted if subject not in joints]
        if missing:
            notes.append(f"{FILE_3D}: has no {', '.join(missing)}; the {split} split is not the published one")
        recordings = [key for key in actions if key[0] in wanted and self._keeps(*key)]
        for subject, recording in tqdm(recordings, desc="reading recordings", disable=not progress):
            frames = np.arange(len(joints[subject][recording]))
            frames = frames[frames % self._stride(split) == 0]
            lost = bad[subject, recording][frames]
            if lost.any():
                notes.append(f"{subject} {recording}: dropped {lost.sum()} frames with NaN")
            frames = frames[~lost]
            pixels = None if keypoints is None else keypoints.pixels[subject][recording][:, frames]
            views = self._views(cameras[subject], joints[subject][recording][frames], pixels)
            chunk = _chunk(
                subject, recording, actions[subject, recording], frames, cameras[subject], *views, tuple(notes)
            )
            self._refuse_other_cameras(chunk)
            yield chunk
            notes = []

    def _stride(self, split: str) -> int:
        return SPLITS[split].frame_stride if self.protocol == "release" else 1

    def _keeps(self, subject: str, recording: str) -> bool:
        return self.protocol != "release" or (subject, recording) not in DROPPED_BY_RELEASE

    def _views(
        self, cameras: list[DistortedCamera], joints: np.ndarray, pixels: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Joints (C, T, 17, 3) mm in camera axes; the 2D input (C, T, 17, 2) px, None: projected without lens; how far the
        file's 2D joints are from the projection through the lens, (C, T, 17) px, None: there is no such file."""
        seen = [world_to_camera(joints.astype(np.float64) * 1000, c.pinhole.R, c.pinhole.t) for c in cameras]
        projected = np.stack([project_distorted(j, c) for j, c in zip(seen, cameras, strict=True)])
        distance = None if pixels is None else np.linalg.norm(projected - pixels, axis=-1)
        if self.detections == "gt":
            pixels = None if self.protocol == "release" else projected if pixels is None else pixels
        return np.stack(seen), pixels, distance

    def _refuse_other_cameras(self, chunk: Chunk) -> None:
        """Ground-truth 2D is the projection of the 3D in every view; detections may be anything in some of them."""
        if self.detections == "gt" and chunk.reprojection is not None:
            for number, name in enumerate(chunk.sequence_names):
                refuse_other_camera(f"{self._path_2d}: {name}", chunk.reprojection[chunk.sequences == number])

    def _refuse_nan(self, bad: dict[tuple[str, str], np.ndarray], joints: Recordings) -> None:
        for (subject, recording), frames in bad.items():
            if frames.any():
                first = int(frames.argmax())
                in_3d = not np.isfinite(joints[subject][recording][first]).all()
                raise UserError(
                    f"{self.folder / FILE_3D if in_3d else self._path_2d}: {subject} {recording}: NaN or infinite numbers in "
                    f"frame {first}; fetch the file again, or drop such frames with DATASET.nan_frames: drop"
                )


def _recordings(joints: Recordings) -> list[tuple[str, str]]:
    return [(subject, recording) for subject, recordings in joints.items() for recording in recordings]


def _nan_frames(joints: Recordings, keypoints: Keypoints2D | None, subject: str, recording: str) -> np.ndarray:
    """(T,) frames in which any joint that is used, or its place in any image, is not finite."""
    bad = ~np.isfinite(joints[subject][recording]).all(axis=(1, 2))
    if keypoints is not None:
        bad |= ~np.isfinite(keypoints.pixels[subject][recording]).all(axis=(0, 2, 3))
    return bad


def _action(recording: str, where: str) -> str:
    """The action of a recording's name: the word before the first blank."""
    match = re.fullmatch(r"(\w+?)( \d+)?", recording)
    if match is None or match[1] not in ACTION_NAMES:
        raise UserError(f"{where} {recording[:40]!r} is no action of Human3.6M; known are {', '.join(ACTION_NAMES)}")
    return match[1]


def _chunk(
    subject: str,
    recording: str,
    action: str,
    frames: np.ndarray,
    cameras: list[DistortedCamera],
    joints: np.ndarray,
    pixels: np.ndarray | None,
    reprojection: np.ndarray | None,
    notes: tuple[str, ...],
) -> Chunk:
    """All cameras of one recording, one after the other."""
    stems = [f"{subject}_{recording}_{camera.name}" for camera in cameras]
    count = len(frames)

    def repeated(values):
        return np.repeat(np.array(values), count, axis=0)

    index = ACTION_NAMES.index(action)
    return Chunk(
        names=np.array([f"{stem}_{frame:06d}" for stem in stems for frame in frames], dtype=np.str_),
        actions=np.full(count * len(cameras), index),
        action_names={index: action},
        sequences=repeated(range(len(cameras))),
        sequence_names=tuple(stems),
        frames=np.tile(frames, len(cameras)),
        joints=joints.reshape(-1, *joints.shape[2:]),
        camera=repeated([[*camera.pinhole.f, *camera.pinhole.c] for camera in cameras]),
        image_size=repeated([(camera.pinhole.width, camera.pinhole.height) for camera in cameras]),
        pixels=None if pixels is None else pixels.reshape(-1, *pixels.shape[2:]),
        reprojection=None if reprojection is None else reprojection.reshape(-1, reprojection.shape[-1]),
        notes=notes,
    )
