"""Skeletons and clips of motion capture, and forward kinematics."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """A joint tree in its rest pose.

    names: (J,) as in the file; the end of a leaf bone is a joint called `<leaf>_end`. parents: (J,) indices, -1 at
    the root, every parent before its children. offsets: (J, 3) from the parent at rest, metres, the file's axes.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray


@dataclass(frozen=True)
class Clip:
    """One recording: rotations (T, J, 3, 3) relative to the rest pose and the parent; translation (T, 3) of the root,
    metres; fps frames per second; all in the file's axes."""

    skeleton: Skeleton
    rotations: np.ndarray
    translation: np.ndarray
    fps: float


def forward_kinematics(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, J, 3) in metres and world rotations (T, J, 3, 3) of all joints, the file's axes."""
    skeleton = clip.skeleton
    positions = np.empty(clip.rotations.shape[:3])
    world = np.empty_like(clip.rotations)
    for j, parent in enumerate(skeleton.parents):
        if parent < 0:
            positions[:, j], world[:, j] = clip.translation, clip.rotations[:, j]
        else:
            positions[:, j] = positions[:, parent] + world[:, parent] @ skeleton.offsets[j]
            world[:, j] = world[:, parent] @ clip.rotations[:, j]
    return positions, world
