"""Interlaced video: every frame holds two moments, one in its even lines and one in its odd lines.

What is marked as interlaced cannot be read by OpenCV: its FFmpeg refuses to convert such frames, and OpenCV returns
whatever was in memory as if nothing had happened. What is not marked, as after many conversions, is read, and is combed
where something moved.
"""

import os
import subprocess
import sys

import cv2
import numpy as np

MOTION = 15
"""Grey levels by which a pixel differs from the frame before where something moves."""

LEAST_MOVING = 50
"""Pixels that move below which nothing can be said."""

COMBED, MORE_THAN_ACROSS = 0.85, 1.4
"""Difference of neighbouring lines over that of lines two apart, where something moves: 0.5 to 0.75 in whole frames, 0.8 to 2 in
combed ones. Noise gives 1, but between columns too: the number for lines must be so many times that for columns."""

LEAST_COMB = 0.03
"""Difference of neighbouring lines over that of the frames, where something moves; a surface that is plainer says nothing."""

BLOCK, BLOCKS = 8, 40
"""Columns that are looked at: at most so many blocks of so many."""

PROBE = """
import cv2, sys
capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG)
for _ in range(2):
    capture.read()
"""


def combed(image: np.ndarray, before: np.ndarray) -> bool:
    """Whether an image (H, W, 3) uint8 shows two moments in its even and odd lines; before: an earlier one, of any moment."""
    if image.shape != before.shape or min(image.shape[:2]) < BLOCK:
        return False
    here, there = _blocks(image), _blocks(before)
    moving = np.abs(here - there) > MOTION  # (H, N, BLOCK)
    lines = moving[:-2] & moving[1:-1] & moving[2:]
    columns = moving[..., :-2] & moving[..., 1:-1] & moving[..., 2:]
    if min(lines.sum(), columns.sum()) < LEAST_MOVING:
        return False
    near, apart = _differences(here[:-2], here[1:-1], here[2:], lines)
    if near < LEAST_COMB * np.abs(here - there)[1:-1][lines].mean():
        return False
    near_columns, apart_columns = _differences(here[..., :-2], here[..., 1:-1], here[..., 2:], columns)
    return near / apart > max(COMBED, MORE_THAN_ACROSS * near_columns / apart_columns)


def _blocks(image: np.ndarray) -> np.ndarray:
    """(H, N, BLOCK) int16: the green channel of blocks of columns, evenly over the image."""
    height, count = len(image), image.shape[1] // BLOCK
    blocks = image[:, : count * BLOCK, 1].reshape(height, count, BLOCK)
    return blocks[:, :: -(-count // BLOCKS)].astype(np.int16)


def _differences(a: np.ndarray, b: np.ndarray, c: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """Mean difference of neighbours, and of every second one, for three values in a row; above 0."""
    near = (np.abs(a - b)[where].mean() + np.abs(b - c)[where].mean()) / 2
    return max(float(near), 1e-6), max(float(np.abs(a - c)[where].mean()), 1e-6)


def one_field(image: np.ndarray) -> np.ndarray:
    """The image with its even lines unchanged and its odd lines the mean of their neighbours: one moment."""
    whole = image.copy()
    even = image[::2].astype(np.uint16)
    between = (even[:-1] + even[1:] + 1) // 2
    whole[1 : 2 * len(between) : 2] = between
    if len(image) % 2 == 0:
        whole[-1] = image[-2]
    return whole


def cannot_be_converted(path: str) -> bool:
    """Whether OpenCV's FFmpeg refuses to convert the first frames of a video because they are marked as interlaced.

    Only its log says so, and its log level is fixed when a process opens its first video: a process of its own looks. Slow,
    so it is asked only where the first two frames are the same.
    """
    environment = {**os.environ, "OPENCV_FFMPEG_LOGLEVEL": "16"}  # errors
    command = [sys.executable, "-c", PROBE, path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    return "interlaced" in done.stdout + done.stderr


def first_frames_are_the_same(capture: cv2.VideoCapture) -> bool:
    """Whether the next two frames of a capture are bit for bit the same, as no two of a camera are."""
    (found, first), (found_too, second) = capture.read(), capture.read()
    return bool(found and found_too and np.array_equal(first, second))
