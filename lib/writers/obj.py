"""Wavefront OBJ: one file per frame, in metres, Y up (see lib.writers.geometry.y_up)."""

from pathlib import Path

import numpy as np

from lib.files import replacing
from lib.pose_sequence import PoseSequence
from lib.writers.geometry import placements, timeline, y_up


def save_obj(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a mesh: vertices (R, 3) metres, camera axes; faces (F, 3), counted from 0 here and from 1 in the file."""
    _save(path, [("mesh", "f", vertices, faces)])


def save_skeleton_obj(path: str | Path, pose3d: np.ndarray, bones: tuple[tuple[int, int], ...]) -> None:
    """Write a skeleton as lines: pose3d (J, 3) metres, camera axes; bones pairs of joint indices counted from 0."""
    _save(path, [("skeleton", "l", pose3d, bones)])


def write_obj(path: Path, sequences: list[PoseSequence]) -> None:
    """One file per frame, `name_000001.obj` for frame 1, or `path` itself when there is only one frame.

    An object per person: its finest mesh, or its skeleton where the prediction has no mesh.
    """
    frames = timeline(sequences)
    for frame in frames:
        objects = []
        for sequence, offset in zip(sequences, placements(sequences), strict=True):
            for t in np.flatnonzero(sequence.frames == frame):
                name = f"person_{sequence.person}"
                if sequence.meshes:
                    objects.append((name, "f", sequence.meshes[-1][t] + offset[t], sequence.faces[-1]))
                else:
                    objects.append((name, "l", sequence.pose3d[t] + offset[t], sequence.joint_set.bones))
        _save(path if len(frames) == 1 else path.with_name(f"{path.stem}_{frame:06d}{path.suffix}"), objects)


def _save(path: str | Path, objects: list[tuple[str, str, np.ndarray, np.ndarray]]) -> None:
    """objects: (name, "f" or "l", points (N, 3) camera axes, elements (M, corners) counted from 0)."""
    lines, first = ["# metres, Y up"], 1
    for name, kind, points, elements in objects:
        lines.append(f"o {name}")
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in y_up(np.asarray(points, np.float64))]
        lines += [f"{kind} {' '.join(map(str, corners))}" for corners in (np.asarray(elements) + first).tolist()]
        first += len(points)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
