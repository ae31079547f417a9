"""Positions for other programs' scenes: Y up, several persons in one space, bones with volume."""

import numpy as np

from lib.lifting.pose_sequence import PoseSequence

SPACING = 1.2
"""Metres between persons whose absolute positions are unknown."""


def placements(sequences: list[PoseSequence]) -> list[np.ndarray]:
    """For each person the offsets (T, 1, 3), metres, camera axes, that put its pose and meshes into one scene.

    The root's position where all persons have one; otherwise they stand side by side, SPACING apart.
    """
    roots = [sequence.root for sequence in sequences if sequence.root is not None]
    if len(roots) == len(sequences):
        return [root[:, None] for root in roots]
    steps = np.arange(len(sequences)) * SPACING
    return [
        np.tile([[[step, 0.0, 0.0]]], (len(sequence.pose3d), 1, 1))
        for step, sequence in zip(steps, sequences, strict=True)
    ]


def timeline(sequences: list[PoseSequence]) -> np.ndarray:
    """(T,) int: every frame number in which at least one person is present, increasing."""
    return np.unique(np.concatenate([sequence.frames for sequence in sequences]))


def playback_rate(frames: np.ndarray, fps: float) -> float:
    """Frames per second at which `frames` (T,), numbers of an input with `fps`, play at the input's own speed."""
    return fps / float(np.median(np.diff(frames))) if len(frames) > 1 else fps


def even_grid(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """The frame numbers from the first to the last of frames (T,) in even steps, and the step: the usual one of `frames`."""
    step = 1 if len(frames) == 1 else int(np.median(np.diff(frames)))
    return np.arange(frames[0], frames[-1] + 1, step), step


def evenly(frames: np.ndarray, points: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
    """Points (T, J, 3) at frame numbers (T,) -> the same on an even grid of frames, and its frames per second."""
    grid, step = even_grid(frames)
    flat = [np.interp(grid, frames, column) for column in points.reshape(len(frames), -1).T]
    return np.stack(flat, axis=-1).reshape(len(grid), *points.shape[1:]), fps / step
