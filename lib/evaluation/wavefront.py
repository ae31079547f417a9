"""Wavefront OBJ files: metres, Y up."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lib.camera import y_up
from lib.files import replacing


def save_obj(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh: vertices (R, 3) metres, camera axes; faces (F, 3), counted from 0 here and from 1 in the file."""
    save_objects(path, [("mesh", "f", vertices, faces)])


def save_skeleton_obj(path: str | Path, pose3d: np.ndarray, bones: tuple[tuple[int, int], ...]) -> None:
    """Write a skeleton as lines: pose3d (J, 3) metres, camera axes; bones pairs of joint indices counted from 0."""
    save_objects(path, [("skeleton", "l", pose3d, bones)])


def save_objects(path: str | Path, objects: list[tuple[str, str, np.ndarray, ArrayLike]]) -> None:
    """objects: (name, "f" or "l", points (N, 3) camera axes, elements (M, corners) counted from 0)."""
    lines, first = ["# metres, Y up"], 1
    for name, kind, points, elements in objects:
        lines.append(f"o {name}")
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in y_up(np.asarray(points, np.float64))]
        lines += [f"{kind} {' '.join(map(str, corners))}" for corners in (np.asarray(elements) + first).tolist()]
        first += len(points)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
