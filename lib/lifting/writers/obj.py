"""Wavefront OBJ: one file per frame, in metres, Y up (see lib.camera.y_up)."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lib.evaluation.wavefront import save_objects
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import timeline
from lib.lifting.writers.scene import Scene
from lib.lifting.writers.skin import COARSE


def write_obj(path: Path, sequences: list[PoseSequence], mesh: str = COARSE) -> list[Path]:
    """One file per frame, `name_000001.obj` for frame 1, or `path` itself when there is only one frame.

    An object per person: its skin or finest mesh, or its skeleton where the prediction has no mesh.
    """
    scene, frames, written = Scene(sequences, mesh), timeline(sequences), []
    for frame in frames:
        objects: list[tuple[str, str, np.ndarray, ArrayLike]] = []
        for figure in scene.figures(frame):
            name = f"person_{figure.person}"
            if len(figure.faces):
                objects.append((name, "f", figure.vertices, figure.faces))
            else:
                objects.append((name, "l", figure.joints, figure.joint_set.bones))
        target = path if len(frames) == 1 else path.with_name(f"{path.stem}_{frame:06d}{path.suffix}")
        save_objects(target, objects)
        written.append(target)
    return written
