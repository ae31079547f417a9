"""Skeletons and meshes drawn with OpenCV, which takes milliseconds where matplotlib takes a fifth of a second."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from lib.evaluation.style import GRID, SIDE_COLOURS, bone_sides
from lib.joints import JointSet

SHIFT = 4
"""Fractional bits of the coordinates handed to OpenCV."""

LIMIT = 1 << 20
"""Pixels. Coordinates beyond are cut off: OpenCV counts in 32 bits."""

WHITE, GREY, INK, GROUND = (255, 255, 255), (90, 90, 90), (40, 40, 40), (225, 228, 232)
MESH_COLOUR = np.array([184, 199, 219])
WIRE = (150, 160, 175)
LIGHT = np.array([-0.4, -0.6, -0.7]) / np.linalg.norm([0.4, 0.6, 0.7])
"""Towards the light: the viewer's upper left. Axes as in `Viewpoint.seen`."""


@dataclass(frozen=True)
class Viewpoint:
    """Where a scene is seen from: around the vertical axis by `azimuth`, then from above by `elevation`, in radians.

    azimuth 0 is the camera's own view; pi / 2 looks from the image's right. centre (3,): what is in the middle, metres,
    camera axes; distance: metres from there.
    """

    centre: np.ndarray
    azimuth: float = 0.0
    elevation: float = float(np.deg2rad(10.0))
    distance: float = 5.0

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres, camera axes -> (..., 3): x right and y down, metres at the centre's distance; depth
        beyond the centre."""
        x, y, z = np.moveaxis(np.asarray(points, np.float64) - self.centre, -1, 0)
        cos, sin = np.cos(self.azimuth), np.sin(self.azimuth)
        x, z = x * cos - z * sin, x * sin + z * cos
        cos, sin = np.cos(self.elevation), np.sin(self.elevation)
        y, z = y * cos - z * sin, y * sin + z * cos
        near = self.distance / np.maximum(self.distance + z, 0.1 * self.distance)
        return np.stack([near * x, near * y, z], axis=-1)


@dataclass(frozen=True)
class Window:
    """Maps x, y to pixels of a picture: scale pixels per unit, the point `middle` (2,) at pixel `place` (2,)."""

    scale: float
    middle: np.ndarray
    place: np.ndarray

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, size: tuple[int, int], corner=(0, 0)) -> "Window":
        """The largest in which the box from low to high (2,) fits into a panel of size (width, height) at `corner`."""
        low, high, panel = np.asarray(low, np.float64), np.asarray(high, np.float64), np.asarray(size, np.float64)
        return cls(float((panel / np.maximum(high - low, 1e-9)).min()), (low + high) / 2, panel / 2 + corner)

    def moved(self, right: float, down: float) -> "Window":
        """The same, for a part of the drawing that begins elsewhere."""
        return Window(self.scale, self.middle, self.place + [right, down])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2 or 3) -> pixels (..., 2)."""
        return (points[..., :2] - self.middle) * self.scale + self.place


def canvas(width: int, height: int) -> np.ndarray:
    """A white image (height, width, 3) uint8, RGB."""
    return np.full((height, width, 3), 255, np.uint8)


def draw_image(picture: np.ndarray, image: np.ndarray, window: Window) -> None:
    """An image (H, W, 3) uint8 RGB, whose pixels `window` maps to the drawing's; the rest is unchanged."""
    # warping alone would skip pixels where it shrinks: averages of k x k pixels first
    k = max(1, round(1 / window.scale))
    small = cv2.resize(image, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA) if k > 1 else image
    stretch = np.array(image.shape[1::-1]) / small.shape[1::-1]
    scale = window.scale * stretch
    start = window(0.5 * stretch - 0.5)  # where the middle of the first pixel of `small` goes
    matrix = np.array([[scale[0], 0, start[0]], [0, scale[1], start[1]]])
    warped = cv2.warpAffine(
        small, matrix, picture.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    edges = np.array([[-0.5, -0.5], image.shape[1::-1]])
    edges[1] -= 0.5
    (left, top), (right, bottom) = np.clip(np.round(window(edges) + 0.5), 0, picture.shape[1::-1]).astype(int)
    picture[top:bottom, left:right] = warped[top:bottom, left:right]


def draw_ground(picture: np.ndarray, lines: np.ndarray, view: Viewpoint, window: Window) -> None:
    """lines (L, 2, 3), metres, camera axes."""
    for line in window(view.seen(lines)):
        _line(picture, line, GROUND, 1)


def ground(points: np.ndarray, room: float = 0.0) -> np.ndarray:
    """Lines (L, 2, 3) of a grid, GRID metres wide, under all points (N, 3); it reaches `room` metres beyond them."""
    low = np.floor((points.min(0) - room)[[0, 2]] / GRID) * GRID
    high = np.ceil((points.max(0) + room)[[0, 2]] / GRID) * GRID
    high = np.maximum(high, low + GRID)
    floor = points[:, 1].max()
    x, z = (np.linspace(a, b, max(2, min(round((b - a) / GRID) + 1, 200))) for a, b in zip(low, high, strict=True))
    along = [[[tick, floor, end] for end in (z[0], z[-1])] for tick in x]
    across = [[[end, floor, tick] for end in (x[0], x[-1])] for tick in z]
    return np.array(along + across)


def draw_skeleton(
    picture: np.ndarray,
    pixels: np.ndarray,
    joint_set: JointSet,
    hollow: np.ndarray,
    depth: np.ndarray | None = None,
    width: int = 3,
) -> None:
    """One skeleton at pixels (J, 2); far bones first where depth (J,) is given; joints in hollow (J,) become rings."""
    bones, sides = np.asarray(joint_set.bones), bone_sides(joint_set)
    order = range(len(bones)) if depth is None else np.argsort(-depth[bones].mean(-1), kind="stable")
    for index in order:
        _line(picture, pixels[bones[index]], rgb(sides[index]), width)
    for point, ring in zip(pixels, hollow, strict=True):
        centre = tuple(_fixed(point))
        cv2.circle(picture, centre, (width + 1) << SHIFT, INK, -1, cv2.LINE_AA, SHIFT)
        if ring:
            cv2.circle(picture, centre, (width - 1) << SHIFT, WHITE, -1, cv2.LINE_AA, SHIFT)


def draw_meshes(picture: np.ndarray, meshes: Iterable[tuple[np.ndarray, np.ndarray]], window: Window) -> None:
    """Shaded triangles, far ones first: pairs of vertices as `Viewpoint.seen` gives them (R, 3) and faces (F, 3)."""
    triangles = [vertices[faces] for vertices, faces in meshes]
    if not triangles:
        return
    corners = np.concatenate(triangles)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    colours = np.clip((0.68 + 0.32 * normals @ LIGHT)[:, None] * MESH_COLOUR, 0, 255)
    flat = np.clip(window(corners), -LIMIT, LIMIT)
    for index in np.argsort(-corners[..., 2].mean(-1), kind="stable"):
        polygon = np.round(flat[index] * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(picture, polygon, colours[index].tolist(), cv2.LINE_AA, SHIFT)
        cv2.polylines(picture, [polygon], True, WIRE, 1, cv2.LINE_AA, SHIFT)


def draw_text(picture: np.ndarray, text: str, place: tuple[int, int], colour=GREY, size: float = 0.5) -> None:
    """Text from the left end of its base line at `place`, pixels."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def draw_legend(picture: np.ndarray, place: tuple[int, int]) -> None:
    """Which colour is which side of the body."""
    for step, side in enumerate(("right", "left")):
        draw_text(picture, f"{side} side", (place[0] + 110 * step, place[1]), rgb(side))


def rgb(side: str) -> tuple[int, int, int]:
    """The colour of a side of the body."""
    red, green, blue = (int(SIDE_COLOURS[side][i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def _line(picture: np.ndarray, ends: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    a, b = (tuple(_fixed(end)) for end in ends)
    cv2.line(picture, a, b, colour, width, cv2.LINE_AA, SHIFT)


def _fixed(point: np.ndarray) -> list[int]:
    return np.round(np.clip(point, -LIMIT, LIMIT) * (1 << SHIFT)).astype(int).tolist()
