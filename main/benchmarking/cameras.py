"""The error by how a camera is held: the same people seen by cameras that pitch and roll."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import ASSUMED_FOCAL
from lib.lifting.lifter import Lifter
from lib.metrics import mpjpe, pa_mpjpe
from lib.pose_table import PoseTable

PITCH = (-40, -20, 0, 20, 40)
"""Degrees of the optical axis below the horizon: at 40 the camera looks down."""

ROLL = (-25, 0, 25)
"""Degrees about the optical axis."""

DISTANCE = 5.0
"""Metres from the camera to the pelvis, which it looks at."""

SIZE = (1280, 720)
"""Pixels of the image. Its focal length is the one that is assumed for an unknown camera, so that pitch and roll alone count."""


def camera_rows(
    lifter: Lifter, table: PoseTable, count: int, pitches: Sequence[float] = PITCH, rolls: Sequence[float] = ROLL
) -> Iterator[tuple[float, float, float, float]]:
    """(pitch, roll, MPJPE, PA-MPJPE), degrees and mm, of `count` evenly chosen samples, each from a random side.

    Each sample is lifted alone, as prediction lifts a single image of an unknown camera; the sides are the same for all
    cameras.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(int))
    upright = _upright(table.pose3d[rows], table.up[rows])
    sides = Rotation.from_rotvec(np.random.default_rng(0).uniform(0, 2 * np.pi, (len(rows), 1)) * [[0.0, 1.0, 0.0]])
    standing = np.einsum("nij,nkj->nki", sides.as_matrix(), upright)
    for pitch in pitches:
        for roll in rolls:
            held = Rotation.from_euler("xz", [pitch, roll], degrees=True)
            truth = standing @ held.as_matrix().T
            found = _lifted(lifter, truth + [0.0, 0.0, DISTANCE])
            yield pitch, roll, 1000 * float(mpjpe(found, truth).mean()), 1000 * float(pa_mpjpe(found, truth).mean())


def text(rows: list[tuple[float, float, float, float]]) -> str:
    """MPJPE / PA-MPJPE as a Markdown table, pitch downwards and roll across, and each cell's MPJPE over the level camera's."""
    numbers = {(pitch, roll): errors for pitch, roll, *errors in rows}
    pitches, rolls = (list(dict.fromkeys(keys)) for keys in zip(*numbers, strict=True))
    level = numbers[0, 0][0]
    lines = ["| pitch | " + " | ".join(f"roll {roll:g}°" for roll in rolls) + " |", "|---:|" + "---:|" * len(rolls)]
    for pitch in pitches:
        cells = (numbers[pitch, roll] for roll in rolls)
        cells = (f"{error:.1f} / {aligned:.1f} ({100 * (error / level - 1):+.0f} %)" for error, aligned in cells)
        lines.append(f"| {pitch:g}° | {' | '.join(cells)} |")
    return "\n".join(lines)


def _upright(pose3d: np.ndarray, up: np.ndarray) -> np.ndarray:
    """pose3d (N, 17, 3) turned so that the vertical `up` (N, 3) of each sample points against y."""
    turns = [Rotation.align_vectors([[0.0, -1.0, 0.0]], [u])[0] for u in up]
    return np.stack([turn.apply(pose) for turn, pose in zip(turns, pose3d, strict=True)])


def _lifted(lifter: Lifter, points: np.ndarray) -> np.ndarray:
    """points (N, 17, 3), metres, camera axes, to poses lifted from their images, one by one."""
    width, height = SIZE
    pixels = points[..., :2] / points[..., 2:] * ASSUMED_FOCAL * max(SIZE) + [width / 2, height / 2]
    apart = 1000 * np.arange(len(points))  # frames that far apart have nothing to do with each other
    return lifter(pixels, SIZE, fps=25, frames=apart).pose3d
