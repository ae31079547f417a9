"""Closed surfaces of thousands of small triangles, drawn smoothly: a z-buffer in NumPy, every pixel lit by its own normal."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from lib.lifting.writers.drawing import LIGHT, MESH_COLOUR

FINENESS = 2
"""Samples per side of a pixel, whose mean it is: without them outlines are jagged."""

AT_ONCE = 1 << 20
"""Samples that are tested together; more would take more memory, not less time."""

AMBIENT, SKY, DIFFUSE, SHINE, GLOSS = 0.36, 0.16, 0.62, 0.12, 24
"""Light from everywhere, from above, from LIGHT, and its reflection with the exponent of the latter (Blinn and Phong)."""


@dataclass(frozen=True)
class Surface:
    """pixels (V, 2) of the image, depth (V,) away from the viewer, normals (V, 3) outwards, of length 1, x right, y down, z away;
    faces (F, 3) outwards."""

    pixels: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    faces: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, faces: np.ndarray, pixels: np.ndarray) -> "Surface":
        """points (V, 3): x right, y down, z away from the viewer; pixels (V, 2): where they are in the image."""
        return cls(pixels, points[:, 2], vertex_normals(points, faces), faces)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32 of length 1: means of the faces' normals, weighted by area."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).repeat(3, axis=0)
    index = faces.ravel()
    normals = np.stack([np.bincount(index, column, len(vertices)) for column in across.T], axis=-1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.maximum(length, 1e-30), [0.0, 1.0, 0.0]).astype(np.float32)


def draw_surfaces(picture: np.ndarray, surfaces: list[Surface], opacity: float = 1.0) -> None:
    """Draw surfaces into an RGB image (H, W, 3) uint8; nearer ones hide farther ones, and their backs are not drawn.

    Depth is interpolated linearly over a triangle, which for small ones is exact enough.
    """
    triangles = [corners for surface in surfaces if len(corners := _front(surface, picture.shape))]
    if not triangles:
        return
    corners = np.concatenate(triangles)
    flat = corners[..., :2].reshape(-1, 2)
    low = np.floor(flat.min(0) / FINENESS).astype(int).clip(0)
    high = np.minimum(np.ceil(flat.max(0) / FINENESS).astype(int) + 1, picture.shape[1::-1])
    corners[..., :2] -= low * FINENESS
    width, height = (high - low).tolist()
    samples = _samples(corners, width * FINENESS, height * FINENESS)
    colours = cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = np.round(part * (1 - opacity * colours[..., 3:]) + opacity * colours[..., :3])


def _front(surface: Surface, shape: tuple[int, ...]) -> np.ndarray:
    """The triangles that face the viewer and meet the image of this shape (F, 3 corners, 6): x, y in samples, depth, normal."""
    samples = (surface.pixels + 0.5) * FINENESS - 0.5  # a pixel's middle is a whole number
    vertices = np.concatenate([samples, surface.depth[:, None], surface.normals], axis=1).astype(np.float32)
    corners = vertices[surface.faces]
    x, y = corners[..., 0], corners[..., 1]
    seen = _doubled_area(x, y) < 0
    for along, size in ((x, shape[1]), (y, shape[0])):
        seen &= (along.max(1) >= 0) & (along.min(1) <= size * FINENESS - 1)
    return corners[seen]


def _doubled_area(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of triangles with corners x, y (F, 3); negative where they are counter-clockwise in an image, whose y points down."""
    return (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])


def _samples(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """Colour and coverage (H, W, 4) float32 of every sample; corners as from `_front`."""
    nearest = np.full(width * height, np.inf, np.float32)
    hits = [_inside(corners, *part, width) for part in _parts(corners, width, height)]
    for place, depth, *_ in hits:
        np.minimum.at(nearest, place, depth)
    colours = np.zeros((width * height, 4), np.float32)
    for place, depth, owner, weights in hits:
        first = depth <= nearest[place]
        normals = np.einsum("cn,ncd->nd", weights[:, first], corners[owner[first], :, 3:])
        colours[place[first]] = _lit(normals)
    return colours.reshape(height, width, 4)


def _parts(corners: np.ndarray, width: int, height: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield owner, x, y, each (N,): the samples in every triangle's box, about AT_ONCE at a time."""
    limits = np.array([width - 1, height - 1])
    low = np.ceil(corners[..., :2].min(1)).astype(np.int64).clip(0, limits + 1)
    high = np.floor(corners[..., :2].max(1)).astype(np.int64).clip(-1, limits)
    sides = (high - low + 1).clip(0)
    counts = sides[:, 0] * sides[:, 1]
    ends = np.cumsum(counts)
    bounds = [0, *np.searchsorted(ends, np.arange(AT_ONCE, ends[-1], AT_ONCE)), len(counts)]
    for first, last in pairwise(bounds):
        number = counts[first:last]
        owner = np.repeat(np.arange(first, last), number)
        along = np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
        across = sides[owner, 0]
        row = along // across
        yield owner, low[owner, 0] + along - row * across, low[owner, 1] + row


def _inside(corners: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray, width: int) -> tuple[np.ndarray, ...]:
    """Of the samples those inside their triangle: place (N,), depth (N,), owner (N,), barycentric weights (3, N)."""
    xs, ys = corners[..., 0], corners[..., 1]
    area = _doubled_area(xs, ys)
    weights, inside = [], np.ones(len(owner), bool)
    for a, b in ((1, 2), (2, 0), (0, 1)):
        # linear in x and y, 0 on the side from a to b
        slope_x, slope_y = (ys[:, a] - ys[:, b]) / area, (xs[:, b] - xs[:, a]) / area
        weight = (x - xs[owner, a]) * slope_x[owner] + (y - ys[owner, a]) * slope_y[owner]
        inside &= weight >= -1e-4  # on a shared side both may draw, but no gap may open
        weights.append(weight)
    owner, held = owner[inside], np.stack([weight[inside] for weight in weights]).astype(np.float32)
    depth = sum(weight * corners[owner, c, 2] for c, weight in enumerate(held))
    return y[inside] * width + x[inside], depth, owner, held


def _lit(normals: np.ndarray) -> np.ndarray:
    """RGB and 1 (N, 4) of points with these normals (N, 3), lit from the viewer's upper left and from above."""
    n = normals / np.maximum(np.sqrt(np.einsum("nd,nd->n", normals, normals)), 1e-9)[:, None]
    between = LIGHT - [0.0, 0.0, 1.0]
    shine = np.maximum(n @ (between / np.linalg.norm(between)), 0) ** GLOSS
    light = AMBIENT + SKY * (0.5 - 0.5 * n[:, 1]) + DIFFUSE * (0.5 + 0.5 * n @ LIGHT) ** 2
    colours = np.clip(light[:, None] * MESH_COLOUR + 255 * SHINE * shine[:, None], 0, 255)
    return np.concatenate([colours, np.ones((len(n), 1))], axis=1)
