"""TRC marker files (Motion Analysis; OpenSim's "Marker (.trc) Files"): metres, Y up, one file per person."""

from pathlib import Path

import numpy as np

from lib.camera import y_up
from lib.files import replacing
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import evenly, placements
from lib.lifting.writers.person_files import person_files


def write_trc(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """Write `path`, or `name_person_N.trc` for each of several persons. The joints are the markers.

    Axes as in .bvh and .glb: x right, y up, z towards the viewer. Missing frames in between are interpolated.
    """
    files = person_files(path, sequences)
    for target, sequence, offset in zip(files, sequences, placements(sequences), strict=True):
        points, rate = evenly(sequence.frames, sequence.pose3d + offset, sequence.fps)
        with replacing(target) as temporary:
            temporary.write_text(
                _text(target.name, y_up(points), rate, sequence.joint_set.names), encoding="ascii", newline="\n"
            )
    return files


def _text(name: str, points: np.ndarray, rate: float, markers: tuple[str, ...]) -> str:
    """points (T, M, 3). Three header lines, two lines of column names, an empty one, then a line per frame."""
    T, M = points.shape[:2]
    keys = [
        "DataRate",
        "CameraRate",
        "NumFrames",
        "NumMarkers",
        "Units",
        "OrigDataRate",
        "OrigDataStartFrame",
        "OrigNumFrames",
    ]
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", name.encode("ascii", "replace").decode()],
        keys,
        [f"{rate:g}", f"{rate:g}", str(T), str(M), "m", f"{rate:g}", "1", str(T)],
        ["Frame#", "Time", *(cell for marker in markers for cell in (marker, "", ""))],
        ["", "", *(f"{axis}{m}" for m in range(1, M + 1) for axis in "XYZ")],
        [],
    ]
    for t, row in enumerate(points.reshape(T, -1)):
        lines.append([str(t + 1), f"{t / rate:.5f}", *(f"{value:.5f}" for value in row + 0.0)])
    return "\n".join("\t".join(line) for line in lines) + "\n"
