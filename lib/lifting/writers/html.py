"""One web page (.html) that needs no network and no WebGL: turn, zoom and play the skeletons and meshes.

The page is `page.html` beside this file, about 10 KB with its own projection onto a 2D canvas: plotly.js, the library
that would do the same, adds 4.8 MB to every page and leaves slider, persons and 2D input to be written all the same.
"""

import html
import json
from pathlib import Path

import numpy as np

from lib.evaluation.style import GRID, SIDE_COLOURS, bone_sides
from lib.files import replacing
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import placements, timeline
from lib.lifting.writers.scene import box_2d

TEMPLATE = Path(__file__).with_name("page.html")


def write_html(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """The page with all persons; 3D is stored in whole millimetres, 2D in tenths of a pixel."""
    low, high = box_2d(sequences)
    data = {
        "fps": sequences[0].fps,
        "frames": timeline(sequences).tolist(),
        "conditions": sequences[0].conditions(),
        "imageSize": list(sequences[0].image_size),
        "box": [*_whole(low, 10), *_whole(high, 10)],
        "bones": sequences[0].joint_set.bones,
        "colours": [SIDE_COLOURS[side] for side in bone_sides(sequences[0].joint_set)],
        "sideColours": SIDE_COLOURS,
        "grid": round(GRID * 1000),
        "persons": [
            {
                "person": s.person,
                "frames": s.frames.tolist(),
                "quality": None if s.quality is None else str(s.quality),
                "warnings": [] if s.quality is None else s.quality.warnings(),
                "pose3d": _rows(s.pose3d + offset, 1000),
                "pose2d": _rows(s.pose2d, 10),
                "imputed": [np.flatnonzero(row).tolist() for row in s.imputed],
                "mesh": _rows(s.meshes[-1] + offset, 1000) if s.meshes else None,
                "faces": np.asarray(s.faces[-1]).tolist() if s.meshes else [],
            }
            for s, offset in zip(sequences, placements(sequences), strict=True)
        ],
    }
    page = TEMPLATE.read_text(encoding="utf-8").replace("{{title}}", html.escape(_printable(path.stem)))
    page = page.replace("{{data}}", json.dumps(data, separators=(",", ":"), allow_nan=False))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [path]


def _printable(text: str) -> str:
    """The text with `?` for bytes of a file name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _rows(points: np.ndarray, scale: float) -> list[list[int]]:
    """(T, N, D) -> T lists of N * D whole numbers, which take a third of the room of decimals."""
    return _whole(points.reshape(len(points), -1), scale)


def _whole(values: np.ndarray, scale: float) -> list:
    return np.round(values * scale).astype(int).tolist()
