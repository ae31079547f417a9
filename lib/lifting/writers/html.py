"""One web page (.html) that needs no network and no WebGL: turn, zoom and play the skeletons and meshes, or skinned bodies.

The page is `page.html` beside this file, with its own projection onto a 2D canvas (`drawing.js`), and `skinning.js`, which poses
and shades bodies: 30 KB together. plotly.js and three.js, libraries that would do some of this, add 4.8 and 0.7 MB to every page
and leave slider, persons and 2D input to be written all the same.
"""

import base64
import html
import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from lib.evaluation.style import GRID, SIDE_COLOURS, bone_sides
from lib.files import replacing
from lib.lifting.fitted_body import FittedBody
from lib.lifting.footage import Footage
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import strongest_weights
from lib.lifting.writers.geometry import placements, timeline
from lib.lifting.writers.scene import Scene, box_2d
from lib.lifting.writers.skin import BODY, COARSE
from lib.lifting.writers.web_page import fill_page, integers, jpeg_text
from smplpytorch.smplpytorch.body_model import BodyModel

TEMPLATE = Path(__file__).with_name("page.html")
SKINNING = Path(__file__).with_name("skinning.js")

IMAGE_SIDES = (240, 480)
"""Smallest and largest longer side of an embedded image, pixels."""

BYTES_PER_PIXEL = 0.17
"""About what a pixel of an embedded JPEG image takes, as text."""

JPEG_QUALITY = 60


def write_html(
    path: Path, sequences: list[PoseSequence], footage: Footage | None = None, mesh: str = COARSE
) -> list[Path]:
    """The page with all persons; 3D is stored in whole millimetres, 2D in tenths of a pixel.

    Of footage, small images are embedded, as many as its `embedded_bytes` have room for. Bodies are stored as rest pose,
    skinning weights and rotations per frame (`stored_body`), and the page poses them, without pose blend shapes.
    """
    skinned = mesh == BODY
    points = Scene(sequences, mesh).points()
    models = {id(s.body.model): s.body.model for s in sequences if skinned and s.body is not None}
    numbers = {key: number for number, key in enumerate(models)}
    images = embedded_images(sequences, footage) if footage is not None and footage.embedded_bytes else {}
    low, high = ((0, 0), sequences[0].image_size) if images else box_2d(sequences)
    low, high = np.asarray(low), np.asarray(high)
    data = {
        "fps": sequences[0].fps,
        "frames": timeline(sequences).tolist(),
        "conditions": sequences[0].conditions(),
        "imageSize": list(sequences[0].image_size),
        "box": [*integers(low, 10), *integers(high, 10)],
        "bones": sequences[0].joint_set.bones,
        "colours": [SIDE_COLOURS[side] for side in bone_sides(sequences[0].joint_set)],
        "sideColours": SIDE_COLOURS,
        "grid": round(GRID * 1000),
        "room": [integers(points.min(0), 1000), integers(points.max(0), 1000)],
        "images": images,
        "models": [stored_model(model) for model in models.values()],
        "persons": [
            {
                "person": s.person,
                "frames": s.frames.tolist(),
                "quality": None if s.quality is None else str(s.quality),
                "warnings": [] if s.quality is None else s.quality.warnings(),
                "pose3d": _rows(s.pose3d + offset, 1000),
                "pose2d": _rows(s.pose2d, 10),
                "imputed": [np.flatnonzero(row).tolist() for row in s.imputed],
                "mesh": _rows(s.meshes[-1] + offset, 1000) if s.meshes and not skinned else None,
                "faces": np.asarray(s.faces[-1]).tolist() if s.meshes and not skinned else [],
                "body": stored_body(s.body, offset, numbers[id(s.body.model)]) if skinned and s.body else None,
            }
            for s, offset in zip(sequences, placements(sequences), strict=True)
        ],
    }
    content = json.dumps(data, separators=(",", ":"), allow_nan=False)
    script = SKINNING.read_text(encoding="utf-8")
    page = fill_page(TEMPLATE, title=html.escape(_printable(path.stem)), skinning=script, data=content)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return [path]


def stored_model(model: BodyModel) -> dict:
    """What persons with one body model have in common: faces, parents, and four joints and weights a vertex, which sum to 255."""
    joints, weights = strongest_weights(model.lbs_weights)
    parts = np.rint(255 * weights).astype(int)
    parts[:, 0] += 255 - parts.sum(1)  # the largest takes what rounding leaves
    return {
        "faces": _text(model.faces, "<u2"),
        "parents": model.parents.tolist(),
        "joints": _text(joints, "u1"),
        "weights": _text(parts, "u1"),
    }


def stored_body(body: FittedBody, offset: np.ndarray, model: int) -> dict:
    """One person's body, moved by offset (T, 1, 3) metres: rest pose in 0.1 mm, rotation vectors in 0.1 mrad, places in mm.

    model: number of its `stored_model`.
    """
    turns = Rotation.from_rotvec(body.pose.reshape(-1, 3)).as_rotvec()  # at most half a turn
    return {
        "model": model,
        "rest": _text(np.round(1e4 * body.rest_vertices), "<i2"),
        "joints": np.round(1000 * body.rest_joints, 1).tolist(),
        "pose": _text(np.round(1e4 * turns), "<i2"),
        "transl": np.round(1000 * (body.transl + offset[:, 0]), 1).tolist(),
    }


def _text(array: np.ndarray, kind: str) -> str:
    """The array as base64 text of numbers of this dtype."""
    return base64.b64encode(np.ascontiguousarray(array, np.dtype(kind)).tobytes()).decode("ascii")


def embedded_images(sequences: list[PoseSequence], footage: Footage) -> dict[int, str]:
    """Frame number to a small JPEG image as base64 text: all together take at most the footage's `embedded_bytes`.

    Where that is too little for every frame, images become smaller, then every second one is dropped, again and again.
    """
    frames = timeline(sequences)
    side = np.clip((footage.embedded_bytes / len(frames) / BYTES_PER_PIXEL) ** 0.5, *IMAGE_SIDES)
    scale = min(1.0, side / max(sequences[0].image_size))
    kept: dict[int, str] = {}
    step = total = 0
    for index, (frame, image) in enumerate(zip(frames.tolist(), footage.images(frames), strict=True)):
        if image is None or (step and index % step):
            continue
        kept[frame] = jpeg_text(image, scale, JPEG_QUALITY)
        total += len(kept[frame])
        while total > footage.embedded_bytes:
            step = 2 * max(step, 1)
            wanted = set(frames[::step].tolist())
            kept = {number: text for number, text in kept.items() if number in wanted} if len(kept) > 1 else {}
            total = sum(map(len, kept.values()))
    return kept


def _printable(text: str) -> str:
    """The text with `?` for bytes of a file name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _rows(points: np.ndarray, scale: float) -> list[list[int]]:
    """(T, N, D) -> T lists of N * D whole numbers."""
    return integers(points.reshape(len(points), -1), scale)
