"""All persons of a result in one space, frame by frame: what the image and video writers draw."""

from dataclasses import dataclass

import numpy as np

from lib.joints import JointSet
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import placements


@dataclass(frozen=True)
class Figure:
    """One person in one frame: joints (J, 3) and vertices (R, 3) in metres, camera axes, in the common space; pose2d
    (J, 2) pixels; imputed (J,) bool. Without a mesh, vertices and faces are empty."""

    person: int
    joint_set: JointSet
    joints: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    pose2d: np.ndarray
    imputed: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Joints and vertices (J + R, 3)."""
        return np.concatenate([self.joints, self.vertices])


class Scene:
    """The persons of `sequences`, by frame number."""

    def __init__(self, sequences: list[PoseSequence]):
        self.sequences = sequences
        self._offsets = placements(sequences)
        self._rows = [{int(frame): t for t, frame in enumerate(s.frames)} for s in sequences]

    def figures(self, frame: int) -> list[Figure]:
        """All people in this frame."""
        found = []
        for s, offset, rows in zip(self.sequences, self._offsets, self._rows, strict=True):
            if (t := rows.get(int(frame))) is None:
                continue
            vertices, faces = (s.meshes[-1][t] + offset[t], s.faces[-1]) if s.meshes else (np.zeros((0, 3)),) * 2
            joints = s.pose3d[t] + offset[t]
            found.append(Figure(s.person, s.joint_set, joints, vertices, faces, s.pose2d[t], s.imputed[t]))
        return found

    def points(self) -> np.ndarray:
        """All joints and vertices of all frames (N, 3)."""
        parts = []
        for s, offset in zip(self.sequences, self._offsets, strict=True):
            parts += [(points + offset).reshape(-1, 3) for points in (s.pose3d, *s.meshes[-1:])]
        return np.concatenate(parts)


def box_2d(sequences: list[PoseSequence]) -> tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right corner (2,), pixels, of all persons' 2D joints over time, with a margin."""
    points = np.concatenate([s.pose2d.reshape(-1, 2) for s in sequences])
    margin = 0.06 * np.ptp(points, axis=0).max() + 1
    return points.min(0) - margin, points.max(0) + margin
