"""Wavefront OBJ: one file per frame, in metres, Y up (see lib.lifting.writers.geometry.y_up)."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lib.evaluation.wavefront import save_objects
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import placements, timeline


def write_obj(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """One file per frame, `name_000001.obj` for frame 1, or `path` itself when there is only one frame.

    An object per person: its finest mesh, or its skeleton where the prediction has no mesh.
    """
    frames, written = timeline(sequences), []
    for frame in frames:
        objects: list[tuple[str, str, np.ndarray, ArrayLike]] = []
        for sequence, offset in zip(sequences, placements(sequences), strict=True):
            for t in np.flatnonzero(sequence.frames == frame):
                name = f"person_{sequence.person}"
                if sequence.meshes:
                    objects.append((name, "f", sequence.meshes[-1][t] + offset[t], sequence.faces[-1]))
                else:
                    objects.append((name, "l", sequence.pose3d[t] + offset[t], sequence.joint_set.bones))
        target = path if len(frames) == 1 else path.with_name(f"{path.stem}_{frame:06d}{path.suffix}")
        save_objects(target, objects)
        written.append(target)
    return written
