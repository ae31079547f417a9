"""AMASS (Mahmood et al., ICCV 2019), imported by `main/prepare_data.py amass`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.AMASS.importer import SPLIT_FILE, load_person, person_file, read_split
from data.AMASS.motion import Motion
from data.body_joints import BodyJoints
from data.source import Chunk, SmplFrames, Source, file_identity
from data.studio import in_image, stretches, studio_cameras
from lib.camera import Camera, world_to_camera
from lib.config import DatasetConfig
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel

SEEDS = 10_000
"""More people than AMASS has: the cameras of person n of seed s are those of seed SEEDS s + n."""

CHUNK_FRAMES = 2048


@dataclass(frozen=True)
class AmassSource(Source):
    """Imported motions, each person before four cameras of their own, no retargeting: pose and shape are AMASS's.

    A long way is cut into stretches, each moved to the middle of the cameras, as for motion capture; a (frame, camera)
    pair with a joint outside the image is no sample. joints: poses the body and regresses the 17.
    """

    folder: Path
    joints: BodyJoints
    protocol = "amass"
    genders = ("neutral", "male", "female")

    def identity(self, split: str) -> list:
        people = read_split(self.folder)
        files = [file_identity(self._file(number)) for number in people[split].values()]
        return [people["seed"], people[split], files, self.joints.identity()]

    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        people = read_split(self.folder)
        if not people[split]:
            raise UserError(
                f"{self.folder / SPLIT_FILE}: the {split} split has no people; choose them by prepare_data.py amass "
                f"--{split}"
            )
        actions: dict[str, int] = {}
        for person, number in tqdm(people[split].items(), desc=f"AMASS {split}", disable=not progress):
            cameras = studio_cameras(people["seed"] * SEEDS + number)
            action = actions.setdefault(person.split("/")[0], len(actions))
            first = 0
            for motions in _batches(load_person(self._file(number))):
                yield self._chunk(person, first, motions, cameras, action)
                first += len(motions)

    def _file(self, number: int) -> Path:
        return self.folder / "annotations" / person_file(number)

    def _chunk(
        self, person: str, first: int, motions: list[tuple[str, Motion]], cameras: dict[int, Camera], action: int
    ) -> Chunk:
        """All views of some recordings of one person; first: number of the first of them among the person's."""
        gender = motions[0][1].gender
        pose = np.concatenate([m.pose for _, m in motions]).astype(np.float64)
        transl = np.concatenate([m.trans for _, m in motions])
        betas = np.concatenate([np.tile(_smpl_betas(m), (len(m.frame), 1)) for _, m in motions])
        world = self.joints(gender, pose, betas, transl)
        recording = np.repeat(np.arange(len(motions)), [len(m.frame) for _, m in motions])
        clip, clip_names = np.zeros(len(recording), np.int64), []
        for k, (name, _) in enumerate(motions):
            rows = np.flatnonzero(recording == k)
            for part, stretch in enumerate(stretches(world[rows, 0, :2]), start=1):
                here = rows[stretch]
                ground = world[here, 0, :2]
                shift = np.array([*(ground.min(0) + ground.max(0)) / 2, 0.0])
                world[here] -= shift
                transl[here] -= shift / 1000
                clip[here] = len(clip_names)
                clip_names.append(f"{person}/{name}, part {part}")
        frame = np.concatenate([m.frame for _, m in motions])
        views = [_view(camera, world) for camera in cameras.values()]
        rows = np.concatenate([rows for rows, _ in views])
        camera = np.repeat(np.arange(len(views)), [len(rows) for rows, _ in views])
        stem = person.replace("/", "_")
        indices = list(cameras)
        names = [
            f"{stem}_{first + recording[row]:04d}_ca_{indices[c]:02d}_{frame[row]:06d}.jpg"
            for c, row in zip(camera, rows, strict=True)
        ]
        lenses = np.array([[*c.f, *c.c] for c in cameras.values()])
        sizes = np.array([[c.width, c.height] for c in cameras.values()])
        R = np.stack([c.R for c in cameras.values()])
        return Chunk(
            names=np.array(names, dtype=np.str_),
            actions=np.full(len(rows), action),
            action_names={action: person.split("/")[0]},
            sequences=clip[rows] * len(views) + camera,
            sequence_names=tuple(f"{name}, camera {index}" for name in clip_names for index in indices),
            frames=frame[rows],
            joints=np.concatenate([joints for _, joints in views]),
            camera=lenses[camera],
            image_size=sizes[camera],
            smpl=SmplFrames(rows, pose, betas, transl, world[:, 0], R[camera], gender),
            notes=self.joints.notes(),
        )


def amass(cfg: DatasetConfig, body: BodyModel) -> AmassSource:
    """The source under DATASET.data_dir/AMASS with the split that the import wrote."""
    data_dir = Path(cfg.data_dir)
    return AmassSource(data_dir / "AMASS", BodyJoints(body, data_dir))


def _smpl_betas(motion: Motion) -> np.ndarray:
    """SMPL's shape: that of SMPL+H serves; SMPL-X has another shape space, so its people get the mean shape."""
    return motion.betas if motion.model == "smplh" else np.zeros_like(motion.betas)


def _batches(motions: Iterator[tuple[str, Motion]]) -> Iterator[list[tuple[str, Motion]]]:
    """Recordings in a row that one gender's model poses, about CHUNK_FRAMES frames together."""
    batch: list[tuple[str, Motion]] = []
    for name, motion in motions:
        frames = sum(len(m.frame) for _, m in batch)
        if batch and (frames + len(motion.frame) > CHUNK_FRAMES or batch[0][1].gender != motion.gender):
            yield batch
            batch = []
        batch.append((name, motion))
    if batch:
        yield batch


def _view(camera: Camera, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames whose joints (F, 17, 3) mm all lie in the image: their rows and their joints in camera axes."""
    joints = world_to_camera(world, camera.R, camera.t)
    rows = np.flatnonzero(in_image(joints, camera))
    return rows, joints[rows]
