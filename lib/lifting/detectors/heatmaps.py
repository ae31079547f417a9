"""Where the joints are in a model's heatmaps, in parts of a cell: as the model's own training decodes them.

    quarter  the highest cell, moved by a quarter of a cell towards its higher neighbours (Newell et al., ECCV 2016)
    dark     the peak of the Gaussian that the heatmap is taken for (Zhang et al., CVPR 2020)
    udp      the same, for models whose heatmaps and crops have their outermost pixels in common (Huang et al., CVPR 2020)

MMPose names its models after what they were trained for (`..._dark-...`, `..._udp-...`); its ViTPose models are UDP's.
"""

import re
from collections.abc import Callable

import cv2
import numpy as np

SIGMA = 1 / 32
"""Standard deviation, in parts of the heatmap's height, of the Gaussian that models are trained on: 2 cells of 64, 3 of 96."""

NEGLIGIBLE = 1e-10
"""What counts as nothing in a heatmap, before its logarithm is taken."""

MAX_STEP = 1.0
"""Farthest that a peak can be from the highest cell, in cells; a longer step says that there is no peak."""

Decoder = Callable[[np.ndarray, tuple[int, int]], tuple[np.ndarray, np.ndarray]]
"""Heatmaps (J, h, w) and the crop's (width, height) -> joints (J, 2) in pixels of the crop, scores (J,)."""


def decode_quarter(heatmaps: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """See `Decoder`: the highest cell, moved by a quarter of a cell towards its higher neighbours."""
    x, y, scores = _highest(heatmaps)
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    j = np.arange(len(heatmaps))
    shift_x = np.sign(padded[j, y + 1, x + 2] - padded[j, y + 1, x])
    shift_y = np.sign(padded[j, y + 2, x + 1] - padded[j, y, x + 1])
    return np.stack([x + 0.25 * shift_x, y + 0.25 * shift_y], axis=-1) * _pixels_per_cell(heatmaps, size), scores


def decode_dark(heatmaps: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """See `Decoder`: `peaks`, in the scale of a crop whose pixels are parts of cells."""
    cells, scores = peaks(heatmaps)
    return cells * _pixels_per_cell(heatmaps, size), scores


def decode_udp(heatmaps: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """See `Decoder`: `peaks`, in the scale in which the first and the last cell are the crop's first and last pixel."""
    cells, scores = peaks(heatmaps)
    return cells * ((np.array(size) - 1) / (np.array(heatmaps.shape[:0:-1]) - 1)), scores


DECODERS: dict[str, Decoder] = {"quarter": decode_quarter, "dark": decode_dark, "udp": decode_udp}


def decoder_of(file_name: str) -> str:
    """The key of DECODERS for a model, by the name of its file: what it was trained for, where the name says it."""
    words = re.split(r"[^a-z]+", file_name.lower())
    if "udp" in words or any(word.startswith("vitpose") for word in words):
        return "udp"
    return "dark" if "dark" in words else "quarter"


def peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peaks (J, 2), x and y in cells, of heatmaps (J, h, w) that are about Gaussian, and the highest values (J,).

    The heatmaps are smoothed by the Gaussian of their training, so that each has one peak. The logarithm D of a Gaussian is
    a parabola, whose top is one Newton step from any cell m: m - H^-1 g, with the gradient g and the Hessian H of D at m by
    central differences. m is the highest cell; where it is at the border, or the step does not lead to a top within
    MAX_STEP, it is the result.
    """
    scores = heatmaps.reshape(len(heatmaps), -1).max(1).astype(np.float64)
    smooth = np.stack([_smoothed(heatmap) for heatmap in heatmaps])
    x, y, _ = _highest(smooth)
    h, w = heatmaps.shape[1:]
    cells = np.stack([x, y], axis=-1).astype(np.float64)
    inside = np.flatnonzero((x > 0) & (x < w - 1) & (y > 0) & (y < h - 1))
    if not len(inside):
        return cells, scores
    around = np.arange(-1, 2)
    rows, columns = y[inside, None, None] + around[:, None], x[inside, None, None] + around
    D = np.log(np.maximum(smooth[inside[:, None, None], rows, columns], NEGLIGIBLE))  # (N, 3, 3): y, x
    gradient = np.stack([D[:, 1, 2] - D[:, 1, 0], D[:, 2, 1] - D[:, 0, 1]], axis=-1) / 2
    d_xx, d_yy = D[:, 1, 2] - 2 * D[:, 1, 1] + D[:, 1, 0], D[:, 2, 1] - 2 * D[:, 1, 1] + D[:, 0, 1]
    d_xy = (D[:, 2, 2] - D[:, 2, 0] - D[:, 0, 2] + D[:, 0, 0]) / 4
    determinant = d_xx * d_yy - d_xy**2
    top = (d_xx < 0) & (determinant > 0)  # elsewhere the step would lead away from a maximum
    safe = np.where(top, determinant, 1.0)[:, None]
    inverse = np.stack([np.stack([d_yy, -d_xy], -1), np.stack([-d_xy, d_xx], -1)], -2) / safe[..., None]
    step = -np.einsum("nij,nj->ni", inverse, gradient)
    good = top & (np.abs(step) <= MAX_STEP).all(-1)
    cells[inside[good]] += step[good]
    return cells, scores


def _smoothed(heatmap: np.ndarray) -> np.ndarray:
    """(h, w) float64; mirrored at the borders, so that a peak there stays there."""
    sigma = SIGMA * heatmap.shape[0]
    reach = 2 * int(np.ceil(2.5 * sigma)) + 1
    return cv2.GaussianBlur(heatmap.astype(np.float64), (reach, reach), sigma, borderType=cv2.BORDER_REFLECT_101)


def _highest(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (J,), y (J,) of the highest cell of each heatmap, and its value (J,)."""
    flat = heatmaps.reshape(len(heatmaps), -1)
    best = flat.argmax(1)
    y, x = np.divmod(best, heatmaps.shape[2])
    return x, y, flat[np.arange(len(flat)), best].astype(np.float64)


def _pixels_per_cell(heatmaps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(2,) along x and y."""
    return np.array(size) / np.array(heatmaps.shape[:0:-1])
