"""What fitting a body changes: joints, limb lengths, jitter and rotations on test data with known SMPL parameters."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from data import DATASETS
from data.source import Chunk
from lib.camera import camera_to_pixel
from lib.config import Config
from lib.joints import HUMAN36M_17, SMPL_24
from lib.lifting.lifter import Lifter
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.smoothing import smoothed
from lib.metrics import mpjpe, pa_mpjpe
from smplpytorch.smplpytorch.body_model import BodyModel

LIMBS = ("Hip", "Knee", "Shoulder", "Elbow")
"""SMPL joints whose rotations, relative to the parent, are compared."""

BONES = ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")
"""Human3.6M joints at the ends of the limbs whose lengths are compared."""


@dataclass(frozen=True)
class BodyRow:
    """One way of lifting, over all frames of one data set. mpjpe, pa_mpjpe: mm; limb: mean standard deviation of a limb's
    length in a clip, mm; acceleration: mean acceleration error of the joints, mm per frame squared; rotation: mean geodesic
    error of hips, knees, shoulders and elbows, degrees; root: of the pelvis; residual: of the fit, mm; None without a body."""

    data: str
    way: str
    frames: int
    mpjpe: float
    pa_mpjpe: float
    limb: float
    acceleration: float
    rotation: float | None = None
    root: float | None = None
    residual: float | None = None

    def text(self) -> str:
        numbers = (self.mpjpe, self.pa_mpjpe, self.limb, self.acceleration, self.rotation, self.root, self.residual)
        cells = ("" if value is None else f"{value:.1f}" for value in numbers)
        return f"| {self.data} | {self.way} | {self.frames} | {' | '.join(cells)} |"


HEADER = (
    "| data | way | frames | MPJPE, mm | PA-MPJPE, mm | limb length varies, mm | acceleration error, mm/frame² | "
    "rotation error, ° | root, ° | residual, mm |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def body_rows(cfg: Config, body: BodyModel, lifter: Lifter, frames: int) -> Iterator[BodyRow]:
    """Lift the first clips of each person of the test sets, one camera, up to `frames` frames, in four ways."""
    for name in cfg.DATASET.test_list:
        results: dict[str, list[tuple]] = {}
        for chunk in DATASETS[name](cfg.DATASET, body).chunks("test", progress=False):
            for rows in _clips(chunk, frames):
                lifted = _lift(lifter, chunk, rows)
                ways = {"network": lifted, "smoothed": smoothed(lifted)}
                ways |= {f"{way}, body": lifter.fit(sequence) for way, sequence in list(ways.items())}
                truth = chunk.joints[rows] / 1000
                truth = truth - truth[:, [HUMAN36M_17.root]]
                for way, sequence in ways.items():
                    results.setdefault(way, []).append(_compared(sequence, truth, chunk, rows))
        for way, parts in results.items():
            weights = [part[0] for part in parts]
            columns = list(zip(*parts, strict=True))[1:]
            means = (None if c[0] is None else float(np.average(c, weights=weights)) for c in columns)
            yield BodyRow(name, way, sum(weights), *means)


def _clips(chunk: Chunk, frames: int) -> Iterator[np.ndarray]:
    """Rows of each clip that has parameters, from one camera, in order of time, up to `frames` rows together."""
    if chunk.smpl is None:
        return
    mine = (chunk.smpl.frame >= 0) & (chunk.camera == chunk.camera[0]).all(1)
    for clip in np.unique(chunk.sequences[mine]):
        rows = np.flatnonzero(mine & (chunk.sequences == clip))
        rows = rows[np.argsort(chunk.frames[rows], kind="stable")][:frames]
        frames -= len(rows)
        if not len(rows):
            return
        yield rows


def _lift(lifter: Lifter, chunk: Chunk, rows: np.ndarray) -> PoseSequence:
    camera, size = chunk.camera[rows[0]], tuple(int(n) for n in chunk.image_size[rows[0]])
    pixels = camera_to_pixel(chunk.joints[rows] / 1000, camera[:2], camera[2:])
    step = float(np.median(np.diff(chunk.frames[rows]))) if len(rows) > 1 else 1.0
    return lifter(pixels, size, camera=camera, fps=10 * step, frames=chunk.frames[rows])


def _compared(sequence: PoseSequence, truth: np.ndarray, chunk: Chunk, rows: np.ndarray) -> tuple:
    """Frames, then the numbers of a `BodyRow` in order."""
    pose, names = sequence.pose3d, HUMAN36M_17.names
    bones = [(a, b) for a, b in HUMAN36M_17.bones if {names[a], names[b]} <= {f"{s}_{n}" for s in "LR" for n in BONES}]
    a, b = np.array(bones).T
    limb = np.linalg.norm(pose[:, a] - pose[:, b], axis=-1).std(0).mean()
    jitter = np.linalg.norm(np.diff(pose - truth, n=2, axis=0), axis=-1).mean() if len(pose) > 2 else 0.0
    errors = [1000 * float(e) for e in (mpjpe(pose, truth).mean(), pa_mpjpe(pose, truth).mean(), limb, jitter)]
    if sequence.body is None:
        return (len(rows), *errors, None, None, None)
    smpl = chunk.smpl
    known = Rotation.from_rotvec(smpl.pose[smpl.frame[rows]].reshape(-1, 3))
    found = Rotation.from_rotvec(sequence.body.pose.reshape(-1, 3))
    turn = np.rad2deg((found.inv() * known).magnitude()).reshape(len(rows), -1)
    limbs = [SMPL_24.names.index(f"{side}_{name}") for side in "LR" for name in LIMBS]
    root_known = Rotation.from_matrix(smpl.R[rows]) * Rotation.from_rotvec(smpl.pose[smpl.frame[rows], :3])
    root = np.rad2deg((Rotation.from_rotvec(sequence.body.pose[:, :3]).inv() * root_known).magnitude())
    return (len(rows), *errors, turn[:, limbs].mean(), root.mean(), 1000 * sequence.body.residual.mean())
