"""A contact sheet (.png) of a sequence."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.files import replacing
from lib.lifting.footage import Footage
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.drawing import (
    Viewpoint,
    Window,
    canvas,
    draw_ground,
    draw_image,
    draw_legend,
    draw_skeleton,
    draw_text,
    ground,
)
from lib.lifting.writers.geometry import timeline
from lib.lifting.writers.overlay import Overlay
from lib.lifting.writers.scene import Figure, Scene, draw_people
from lib.lifting.writers.skin import COARSE

SHEET_FRAMES = 8
"""Frames on a sheet, evenly spaced over the sequence."""

SHEET_WIDTH = 1600
"""Pixels of all columns of a full sheet together."""

MAX_CELL = (560, 480)
"""Largest width and height of a cell, pixels."""

MARGIN = 0.08
"""Room around a figure in its cell, in parts of the figure."""

LABELS, HEADER, FOOTER, GAP = 84, 30, 34, 6
"""Pixels for the names of the rows, of the columns, for the legend, and between cells."""


@dataclass(frozen=True)
class Row:
    """One row of the sheet: its name, azimuth in radians (None: the 2D input), and what it shows.

    over_image: the mesh or skin, projected onto the image.
    """

    name: str
    azimuth: float | None
    skeleton: bool = True
    mesh: bool = False
    over_image: bool = False


@dataclass(frozen=True)
class Moment:
    """One frame: its number, the persons in it, and its image, where there is one."""

    frame: int
    figures: list[Figure]
    image: np.ndarray | None


SIDE = float(np.deg2rad(70))
ROWS = (Row("2D input", None), Row("front", 0.0), Row("side", SIDE))
MESH_ROWS = (Row("mesh", 0.0, skeleton=False, mesh=True),)
SKIN_ROWS = (Row("body", 0.0, skeleton=False, mesh=True), Row("body", SIDE, skeleton=False, mesh=True))
IMAGE_ROWS = (Row("in image", None, over_image=True),)


def rows_of(scene: Scene, images: bool) -> tuple[Row, ...]:
    """The rows for a scene, with or without images."""
    if scene.skinned:
        return ROWS[:1] + (IMAGE_ROWS if images else ()) + ROWS[1:] + SKIN_ROWS
    return ROWS + (MESH_ROWS if any(s.meshes for s in scene.sequences) else ())


def write_png(
    path: Path, sequences: list[PoseSequence], footage: Footage | None = None, mesh: str = COARSE
) -> list[Path]:
    """A row each for the 2D input (over the images of `footage`), the skeleton from the front and from the side, and the
    finest mesh, if there is one, or the skin, also projected onto the images; a column for each of at most SHEET_FRAMES
    frames."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(contact_sheet(sequences, footage, mesh), cv2.COLOR_RGB2BGR))
    if not ok:
        raise RuntimeError("OpenCV could not encode a PNG")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return [path]


def contact_sheet(sequences: list[PoseSequence], footage: Footage | None = None, mesh: str = COARSE) -> np.ndarray:
    """The sheet as an RGB image (H, W, 3) uint8; for a single frame the views are columns."""
    scene, frames = Scene(sequences, mesh), timeline(sequences)
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int))]
    images = [None] * len(chosen) if footage is None else footage.images(chosen)
    pairs = zip(chosen.tolist(), images, strict=True)
    moments = [Moment(frame, scene.figures(frame), image) for frame, image in pairs]
    rows = rows_of(scene, footage is not None)
    lines, overlay = ground(scene.points(), room=2.0), Overlay(sequences)
    boxes = [_boxes(row, moments) for row in rows]
    sizes = np.array([(high - low).max(0) for low, high in boxes])  # (rows, 2), each row's largest box
    if len(chosen) == 1:
        columns = [min(MAX_CELL[0], int(MAX_CELL[1] * w / h)) for w, h in sizes]
        shapes = [(width, MAX_CELL[1]) for width in columns]
        parts = zip(rows, shapes, sizes, boxes, strict=True)
        line = [_cells(*part, moments, lines, overlay)[0] for part in parts]
        return _assembled([line], [f"frame {chosen[0]}"], [row.name for row in rows])
    width = int(min(SHEET_WIDTH / len(chosen), MAX_CELL[0], (MAX_CELL[1] * sizes[:, 0] / sizes[:, 1]).max()))
    shapes = [(width, int(min(MAX_CELL[1], width * h / w))) for w, h in sizes]
    parts = zip(rows, shapes, sizes, boxes, strict=True)
    cells = [_cells(*part, moments, lines, overlay) for part in parts]
    return _assembled(cells, [row.name for row in rows], [f"frame {frame}" for frame in chosen])


def _assembled(cells: list[list[np.ndarray]], rows: list[str], columns: list[str]) -> np.ndarray:
    """Cells in rows and columns with their names and a legend; cells of a row are equally high."""
    heights = [row[0].shape[0] + GAP for row in cells]
    widths = [max(cell.shape[1] for cell in column) + GAP for column in zip(*cells, strict=True)]
    sheet = canvas(LABELS + max(sum(widths), 220), HEADER + sum(heights) + FOOTER)
    lefts = LABELS + np.cumsum([0, *widths])
    tops = HEADER + np.cumsum([0, *heights])
    for row, name, top, height in zip(cells, rows, tops, heights, strict=False):
        draw_text(sheet, name, (8, int(top) + height // 2))
        for cell, left in zip(row, lefts, strict=False):
            sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    for name, left in zip(columns, lefts, strict=False):
        draw_text(sheet, name, (int(left) + 8, 20))
    draw_legend(sheet, (LABELS + 8, int(tops[-1]) + 22))
    return sheet


def _cells(
    row: Row,
    shape: tuple[int, int],
    size: np.ndarray,
    boxes: tuple[np.ndarray, np.ndarray],
    moments: list[Moment],
    lines: np.ndarray,
    overlay: Overlay,
) -> list[np.ndarray]:
    """Images (height, width, 3) of every frame as the row shows it, all at one scale.

    shape: (width, height) of a cell; size (2,): of the largest box; boxes: corners as from `_boxes`.
    """
    cells = []
    for moment, low, high in zip(moments, *boxes, strict=True):
        middle, cell = (low + high) / 2, canvas(*shape)
        window = Window.around(middle - size / 2, middle + size / 2, shape)
        if row.azimuth is None and moment.image is not None:
            draw_image(cell, moment.image, window)
        if row.over_image:
            overlay.draw_meshes(cell, moment.figures, moment.frame, window)
        else:
            _draw_cell(cell, row, moment.figures, lines, window)
        cells.append(cell)
    return cells


def _view(row: Row, figures: list[Figure]) -> Viewpoint:
    """The row's view of the persons of one frame, who are in its middle."""
    assert row.azimuth is not None  # the 2D input has no viewpoint
    points = np.concatenate([f.points for f in figures])
    low, high = points.min(0), points.max(0)
    return Viewpoint((low + high) / 2, row.azimuth, distance=4 * np.linalg.norm(high - low) + 0.1)


def _boxes(row: Row, moments: list[Moment]) -> tuple[np.ndarray, np.ndarray]:
    """Corners (frames, 2) of the box around the persons of each frame as the row shows them, with a margin."""
    low, high = [], []
    for moment in moments:
        if row.azimuth is None:
            points = np.concatenate([f.pose2d for f in moment.figures])
        else:
            points = _view(row, moment.figures).seen(np.concatenate([f.points for f in moment.figures]))[:, :2]
        margin = MARGIN * np.ptp(points, axis=0).max() + 1e-6
        low.append(points.min(0) - margin)
        high.append(points.max(0) + margin)
    return np.array(low), np.array(high)


def _draw_cell(cell: np.ndarray, row: Row, figures: list[Figure], lines: np.ndarray, window: Window) -> None:
    if row.azimuth is None:
        for f in figures:
            draw_skeleton(cell, window(f.pose2d), f.joint_set, f.imputed, width=2)
        return
    view = _view(row, figures)
    draw_ground(cell, lines, view, window)
    if row.mesh:
        draw_people(cell, figures, view, window)
    if row.skeleton:
        for f in figures:
            seen = view.seen(f.joints)
            draw_skeleton(cell, window(seen), f.joint_set, f.imputed, seen[:, 2], width=2)
