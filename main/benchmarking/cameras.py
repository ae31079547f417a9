"""The error by how a camera is held, and by where it stands: the same people seen by many cameras."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import ASSUMED_FOCAL
from lib.lifting.lifter import Lifter
from lib.metrics import mpjpe, pa_mpjpe
from lib.pose_table import PoseTable
from main.benchmarking.photographs import SIZE, photographed

PITCH = (-40, -20, 0, 20, 40)
"""Degrees of the optical axis below the horizon: at 40 the camera looks down."""

ROLL = (-25, 0, 25)
"""Degrees about the optical axis."""

PLACES = ((1.2, 4.0, 0), (1.2, 4.0, 20), (1.2, 15.0, 20), (0.7, 4.0, 20), (0.7, 15.0, 20), (1.8, 15.0, 0))
"""Level cameras: focal length in parts of the image's longer side, metres to the pelvis, degrees from the optical axis to it."""


def standing_people(table: PoseTable, count: int) -> np.ndarray:
    """(N, 17, 3) metres: `count` evenly chosen samples as a level camera sees them, each from a random side, always the same."""
    rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(int))
    sides = Rotation.from_rotvec(np.random.default_rng(0).uniform(0, 2 * np.pi, (len(rows), 1)) * [[0.0, 1.0, 0.0]])
    upright = _upright(table.pose3d[rows], table.up[rows])
    return np.einsum("nij,nkj->nki", sides.as_matrix(), upright)


def camera_rows(
    lifter: Lifter, people: np.ndarray, pitches: Sequence[float] = PITCH, rolls: Sequence[float] = ROLL
) -> Iterator[tuple[float, float, float, float]]:
    """(pitch, roll, MPJPE, PA-MPJPE), degrees and mm, for people as of `standing_people` in the middle of the image.

    Each is lifted alone, as prediction lifts a single image of an unknown camera. The focal length is the one that is
    assumed then, so that pitch and roll alone count.
    """
    for pitch in pitches:
        for roll in rolls:
            held = Rotation.from_euler("xz", [pitch, roll], degrees=True)
            truth = people @ held.as_matrix().T
            pixels, _, frames = photographed(truth, ASSUMED_FOCAL)
            yield pitch, roll, *_errors(lifter, truth, pixels, None, frames)


def place_rows(
    lifter: Lifter, people: np.ndarray, places: Sequence[tuple[float, float, float]] = PLACES
) -> Iterator[tuple]:
    """(focal length, distance, angle, MPJPE and PA-MPJPE with an unknown camera, the same with a known one); see PLACES."""
    for focal, distance, angle in places:
        root = distance * np.array([np.sin(np.deg2rad(angle)), 0.0, np.cos(np.deg2rad(angle))])
        pixels, camera, frames = photographed(people, focal, root)
        errors = [error for known in (None, camera) for error in _errors(lifter, people, pixels, known, frames)]
        yield focal, distance, angle, *errors


def _errors(
    lifter: Lifter, truth: np.ndarray, pixels: np.ndarray, camera: np.ndarray | None, frames: np.ndarray
) -> tuple[float, float]:
    """MPJPE and PA-MPJPE in mm of poses (N, 17, 3), metres, lifted from their images one by one; the rest: of `photographed`."""
    found = lifter(pixels, SIZE, fps=25, camera=camera, frames=frames).pose3d
    return 1000 * float(mpjpe(found, truth).mean()), 1000 * float(pa_mpjpe(found, truth).mean())


def camera_text(rows: list[tuple[float, float, float, float]]) -> str:
    """`camera_rows` as a Markdown table: pitch downwards, roll across, and how much the MPJPE is over the level camera's."""
    numbers = {(pitch, roll): errors for pitch, roll, *errors in rows}
    pitches, rolls = (list(dict.fromkeys(keys)) for keys in zip(*numbers, strict=True))
    level = numbers[0, 0][0]
    lines = ["| pitch | " + " | ".join(f"roll {roll:g}°" for roll in rolls) + " |", "|---:|" + "---:|" * len(rolls)]
    for pitch in pitches:
        cells = (numbers[pitch, roll] for roll in rolls)
        cells = (f"{error:.1f} / {aligned:.1f} ({100 * (error / level - 1):+.0f} %)" for error, aligned in cells)
        lines.append(f"| {pitch:g}° | {' | '.join(cells)} |")
    return "\n".join(lines)


def place_text(rows: list[tuple]) -> str:
    """`place_rows` as a Markdown table."""
    lines = ["| focal length | distance | angle | unknown camera | known camera |", "|---:|---:|---:|---:|---:|"]
    for focal, distance, angle, *errors in rows:
        unknown, known = (f"{error:.1f} / {aligned:.1f}" for error, aligned in (errors[:2], errors[2:]))
        lines.append(f"| {focal:g} | {distance:g} m | {angle:g}° | {unknown} | {known} |")
    return "\n".join(lines)


def _upright(pose3d: np.ndarray, up: np.ndarray) -> np.ndarray:
    """pose3d (N, 17, 3) turned so that the vertical `up` (N, 3) of each sample points against y."""
    turns = [Rotation.align_vectors([[0.0, -1.0, 0.0]], [u])[0] for u in up]
    return np.stack([turn.apply(pose) for turn, pose in zip(turns, pose3d, strict=True)])
