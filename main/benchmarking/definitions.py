"""The error by where the joints are placed: as motion capture places them, and as a body's regressor does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.body_joints import BodyJoints
from lib.camera import ASSUMED_FOCAL
from lib.joints import HUMAN36M_17
from lib.lifting.lifter import Lifter
from lib.metrics import mpjpe, n_mpjpe, pa_mpjpe
from lib.pose_table import PoseTable
from main.benchmarking.cameras import standing_people
from main.benchmarking.photographs import SIZE, photographed


def regressed(table: PoseTable, joints: BodyJoints) -> PoseTable:
    """The samples that have SMPL parameters, with the joints of the body in place of their own; 2D joints stay as they were."""
    table = table.take(np.flatnonzero(table.has_mesh))
    still = np.zeros((len(table), 3), np.float32)
    pose3d = joints("neutral", table.smpl_pose, table.smpl_betas, still) / 1000
    return replace(table, pose3d=pose3d - pose3d[:, [HUMAN36M_17.root]])


def definition_rows(
    lifter: Lifter, table: PoseTable, data_dir: str, count: int
) -> Iterator[tuple[str, float, float, float]]:
    """(whose joints, MPJPE, N-MPJPE and PA-MPJPE in mm) of `count` people, each lifted alone from exact 2D joints of a known
    level camera, in the middle of its image."""
    joints = BodyJoints(lifter.require_body(), Path(data_dir))
    for words, placed in (("motion capture", table), ("the body's regressor", regressed(table, joints))):
        truth = standing_people(placed, count)
        pixels, camera, frames = photographed(truth, ASSUMED_FOCAL)
        found = lifter(pixels, SIZE, fps=25, camera=camera, frames=frames).pose3d
        yield words, *(1000 * float(error(found, truth).mean()) for error in (mpjpe, n_mpjpe, pa_mpjpe))


def definition_text(rows: list[tuple[str, float, float, float]]) -> str:
    """`definition_rows` as a Markdown table."""
    lines = ["| joints of | MPJPE | N-MPJPE | PA-MPJPE |", "|---|---:|---:|---:|"]
    return "\n".join([*lines, *(f"| {words} | {' | '.join(f'{e:.1f}' for e in errors)} |" for words, *errors in rows)])
