"""MPI-INF-3DHP (Mehta et al., 3DV 2017): markerless motion capture, no SMPL parameters, its own protocol."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.MPIINF3DHP.calibration import read_calibration
from data.MPIINF3DHP.joints import (
    ACTIVITIES,
    PUBLISHED_FRAMES,
    STUDIO_SIZE,
    TEST_SEQUENCES,
    USUAL_CAMERAS,
    image_size_of_test,
)
from data.MPIINF3DHP.pstmo import TEST_FILE, TRAIN_FILE, read_pstmo_test, read_pstmo_train
from data.MPIINF3DHP.test_set import read_test_sequence
from data.MPIINF3DHP.training_set import read_training_sequence
from data.MPIINF3DHP.view import View
from data.projection import refuse_other_camera
from data.source import Chunk, Source, file_identity
from lib.camera import camera_to_pixel
from lib.config import DatasetConfig
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel

TEST_FOLDER = "mpi_inf_3dhp_test_set"

MAX_REPROJECTION = 2.0
"""Median px between annot2 and the projection of annot3; the cameras have no distortion, and the files agree to 0.01 px."""


@dataclass(frozen=True)
class MpiInf3dhpSource(Source):
    """The published files where they are, else P-STMO's npz; univ_annot3 is the truth, as in the official evaluation."""

    folder: Path
    drop_nan: bool = False
    protocol = "mpi_inf_3dhp"

    def identity(self, split: str) -> list:
        files = self._files(split)
        if split == "train" and files[0].suffix == ".mat":
            files = [beside for path in files for beside in (path, path.with_name("camera.calibration"))]
        return [self.drop_nan, [[str(path.relative_to(self.folder)), *file_identity(path)] for path in files]]

    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        files = self._files(split)
        published = len(PUBLISHED_FRAMES) if split == "train" else len(TEST_SEQUENCES)
        notes: tuple[str, ...] = ()
        if files[0].suffix == ".mat" and len(files) != published:
            notes = (f"MPI-INF-3DHP {split}: {len(files)} of the {published} published sequences",)
        for path in tqdm(files, desc=f"MPI-INF-3DHP {split}", disable=not progress):
            for chunk in self._read(split, path):
                yield replace(chunk, notes=notes + chunk.notes)
                notes = ()

    def _files(self, split: str) -> list[Path]:
        """The files of a split, those of the publisher first of all."""
        if split == "train":
            places = [self.folder / f"S{s}" / f"Seq{q}" / "annot.mat" for s, q in PUBLISHED_FRAMES]
            other = TRAIN_FILE
        else:
            places = [self.folder / TEST_FOLDER / name / "annot_data.mat" for name in TEST_SEQUENCES]
            other = TEST_FILE
        found = [path for path in places if path.is_file()]
        if not found and (self.folder / other).is_file():
            return [self.folder / other]
        if not found:
            raise UserError(
                f"{self.folder}: holds neither {places[0].relative_to(self.folder)} (and its kind) nor {other}; docs/data.md "
                "for where to get MPI-INF-3DHP and where to put it"
            )
        return found

    def _read(self, split: str, path: Path) -> Iterator[Chunk]:
        if path.name == TRAIN_FILE:
            for subject, sequence, camera, view in read_pstmo_train(path, self.drop_nan):
                where = f"{path}: S{subject} Seq{sequence} camera {camera}"
                yield _training_chunk(where, subject, sequence, camera, view, fit_lens(where, view))
        elif path.name == TEST_FILE:
            for name, view in read_pstmo_test(path, self.drop_nan).items():
                yield _test_chunk(f"{path}: {name}", name, view, fit_lens(f"{path}: {name}", view))
        elif split == "test":
            name, view = path.parent.name, read_test_sequence(path, self.drop_nan)
            yield _test_chunk(f"{path}", name, view, fit_lens(f"{path}", view))
        else:
            subject, sequence = int(path.parents[1].name[1:]), int(path.parent.name[3:])
            calibration = read_calibration(path.with_name("camera.calibration"))
            views = read_training_sequence(path, USUAL_CAMERAS, PUBLISHED_FRAMES[subject, sequence], self.drop_nan)
            for camera, view in views.items():
                if camera not in calibration:
                    raise UserError(f"{path.with_name('camera.calibration')}: has no camera {camera}")
                lens = np.concatenate([calibration[camera].f, calibration[camera].c])
                yield _training_chunk(f"{path}: camera {camera}", subject, sequence, camera, view, lens)


def mpi_inf_3dhp(cfg: DatasetConfig, body: BodyModel) -> MpiInf3dhpSource:
    """The source under DATASET.data_dir/MPIINF3DHP; the body takes no part."""
    return MpiInf3dhpSource(Path(cfg.data_dir) / "MPIINF3DHP", cfg.nan_frames == "drop")


def fit_lens(where: str, view: View) -> np.ndarray:
    """(4,) f_x, f_y, c_x, c_y px that best project the view's 3D joints onto its 2D ones, for files without cameras.

    univ_annot3 is annot3 scaled about the camera, so both have the same projection, which is linear in f and c.
    """
    rays = (view.universal[..., :2] / view.universal[..., 2:]).reshape(-1, 2).astype(np.float64)
    pixels = view.pixels.reshape(-1, 2)
    if not len(rays):
        return np.array([*STUDIO_SIZE, *(n / 2 for n in STUDIO_SIZE)], np.float64)
    fits = [np.polynomial.polynomial.polyfit(rays[:, k], pixels[:, k], 1) for k in (0, 1)]
    lens = np.array([fits[0][1], fits[1][1], fits[0][0], fits[1][0]])
    if not (lens[:2] > 0).all():
        raise UserError(f"{where}: the 2D joints mirror the 3D ones; they do not belong together")
    _reprojection(where, view, lens)
    return lens


def _reprojection(where: str, view: View, lens: np.ndarray) -> np.ndarray:
    """(N, 17) px between the view's 2D joints and its projected 3D ones; UserError where they do not belong together."""
    distance = np.linalg.norm(camera_to_pixel(view.universal, lens[:2], lens[2:]) - view.pixels, axis=-1)
    refuse_other_camera(where, distance, MAX_REPROJECTION)
    return distance


def _training_chunk(where: str, subject: int, sequence: int, camera: int, view: View, lens: np.ndarray) -> Chunk:
    name = f"S{subject}_Seq{sequence}"
    actions = np.full(len(view.frame), 2 * subject + sequence)
    label = f"S{subject} Seq{sequence} camera {camera}"
    return _chunk(
        where, view, label, f"{name}_video_{camera}_", actions, {2 * subject + sequence: name}, lens, STUDIO_SIZE
    )


def _test_chunk(where: str, name: str, view: View, lens: np.ndarray) -> Chunk:
    if view.activity is None:
        actions, names = np.zeros(len(view.frame), np.int64), {0: "(activities unknown)"}
    else:
        actions, names = view.activity, dict(enumerate(ACTIVITIES, start=1))
    return _chunk(where, view, name, f"{name}_img_", actions, names, lens, image_size_of_test(name))


def _chunk(
    where: str,
    view: View,
    label: str,
    stem: str,
    actions: np.ndarray,
    names: dict[int, str],
    lens: np.ndarray,
    size: tuple[int, int],
) -> Chunk:
    count = len(view.frame)
    return Chunk(
        names=np.array([f"{stem}{frame + 1:06d}.jpg" for frame in view.frame], dtype=np.str_),
        actions=actions,
        action_names=names,
        sequences=np.zeros(count, np.int64),
        sequence_names=(label,),
        frames=view.frame,
        joints=view.universal.astype(np.float64),
        camera=np.tile(lens, (count, 1)),
        image_size=np.tile(np.array(size), (count, 1)),
        pixels=view.pixels.astype(np.float64),
        reprojection=_reprojection(where, view, lens),
        notes=(f"{label}: dropped {view.missing} frames with NaN",) if view.missing else (),
    )
