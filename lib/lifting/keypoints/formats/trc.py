"""Sports2D's .trc of one person in pixels: the layout of marker files, with z = 0."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.lifting import FPS_RANGE
from lib.lifting.keypoints.formats.body_parts import arranged
from lib.lifting.keypoints.formats.detections import NOBODY, Detections, whole_numbers

FIRST = "PathFileType"
"""How every .trc begins."""

LARGEST_METRE = 30.0
"""Coordinates up to this are metres, not pixels."""


def read_trc(path: Path, text: str) -> Detections:
    """Five header lines, then frame, time, and x, y, z of every marker between tabs; empty cells are missing."""
    lines = [line.split("\t") for line in text.splitlines()]
    if len(lines) < 5:
        raise UserError(
            f"{path}: a .trc file has five header lines, this one {len(lines)} lines; is the file complete?"
        )
    rate = dict(zip(lines[1], lines[2], strict=False)).get("DataRate", "")
    parts = [cell.strip() for cell in lines[3][2::3] if cell.strip()]
    rows = [line for line in lines[4:] if line[0].strip()]
    if not rows:
        raise UserError(f"{path}: {NOBODY}: a .trc file with a header only")
    numbers = np.array([[_number(path, cell) for cell in _cells(line, 2 + 3 * len(parts))] for line in rows])
    values = numbers[:, 2:].reshape(len(rows), -1, 3)
    if np.nan_to_num(values[..., 2]).any():
        raise UserError(f"{path}: markers in 3D; 2D keypoints are needed, such as Sports2D's .trc in pixels")
    if np.nanmax(np.abs(values), initial=0) <= LARGEST_METRE:
        raise UserError(
            f"{path}: coordinates up to {LARGEST_METRE:g} look like metres; give Sports2D's file in pixels (_px)"
        )
    values[..., 2] = 1
    joints, joint_set, notes = arranged(path, parts, values)
    frames = whole_numbers(path, numbers[:, 0].tolist(), "frame numbers")
    fps = _number(path, rate)
    known = fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else None
    return Detections(frames, np.zeros(len(frames), np.int64), joints, joint_set, named=True, fps=known, notes=notes)


def _cells(line: list[str], count: int) -> list[str]:
    return (line + [""] * count)[:count]


def _number(path: Path, cell: str) -> float:
    try:
        return float(cell.strip() or "nan")
    except ValueError:
        raise UserError(f"{path}: {cell[:20]!r} is not a number") from None
