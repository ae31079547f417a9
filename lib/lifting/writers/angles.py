"""Joint angles of fitted bodies as a table, for clinics and OpenSim users."""

import csv
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files import replacing
from lib.joints import SMPL_24
from lib.lifting.joint_angles import joint_angles
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import body_of


def write_angles(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """One line per person and frame; every column is named with its unit, such as `L_knee_flexion_deg`."""
    tables = []
    for sequence in sequences:
        body = body_of(sequence, path)
        if len(body.model.parents) != len(SMPL_24):
            raise UserError(f"{path}: joint angles are known for SMPL's joints only, {body.model.source} has others")
        tables.append(joint_angles(body.pose))
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "frame", "time_s", *(f"{name}_deg" for name in tables[0])])
        for sequence, table in zip(sequences, tables, strict=True):
            values = np.round(np.stack(list(table.values()), axis=1), 2) + 0.0
            for frame, row in zip(sequence.frames.tolist(), values.tolist(), strict=True):
                writer.writerow([sequence.person, frame, round(frame / sequence.fps, 4), *row])
    return [path]
