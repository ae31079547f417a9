"""All persons of a result in one space, frame by frame: what the image and video writers draw."""

from dataclasses import dataclass

import numpy as np

from lib.joints import JointSet
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.drawing import Viewpoint, Window, draw_meshes
from lib.lifting.writers.geometry import placements
from lib.lifting.writers.skin import BODY, COARSE, Skin
from lib.lifting.writers.surface import Surface, draw_surfaces


@dataclass(frozen=True)
class Figure:
    """One person in one frame: joints (J, 3) and vertices (R, 3) in metres, camera axes, in the common space; pose2d
    (J, 2) pixels; imputed (J,) bool. Without a mesh, vertices and faces are empty. skinned: the mesh is a body's skin."""

    person: int
    joint_set: JointSet
    joints: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    pose2d: np.ndarray
    imputed: np.ndarray
    skinned: bool = False

    @property
    def points(self) -> np.ndarray:
        """Joints and vertices (J + R, 3)."""
        return np.concatenate([self.joints, self.vertices])


class Scene:
    """The persons of `sequences`, by frame number; mesh: which of their meshes, see `lib.lifting.writers.skin`."""

    def __init__(self, sequences: list[PoseSequence], mesh: str = COARSE):
        self.sequences = sequences
        self.skinned = mesh == BODY
        self._skins = [Skin(s.body) if self.skinned and s.body is not None else None for s in sequences]
        self._offsets = placements(sequences)
        self._rows = [{int(frame): t for t, frame in enumerate(s.frames)} for s in sequences]

    def figures(self, frame: int) -> list[Figure]:
        """All people in this frame."""
        found = []
        for s, skin, offset, rows in zip(self.sequences, self._skins, self._offsets, self._rows, strict=True):
            if (t := rows.get(int(frame))) is None:
                continue
            vertices, faces = np.zeros((0, 3)), np.zeros((0, 3))
            if skin is not None:
                vertices, faces = skin.vertices(slice(t, t + 1))[0], skin.faces
            elif s.meshes:
                vertices, faces = s.meshes[-1][t], s.faces[-1]
            joints, vertices = s.pose3d[t] + offset[t], vertices + offset[t]
            flat = (s.pose2d[t], s.imputed[t])
            found.append(Figure(s.person, s.joint_set, joints, vertices, faces, *flat, skin is not None))
        return found

    def points(self) -> np.ndarray:
        """All joints and vertices of all frames (N, 3), float32; of skins those that are farthest to each side."""
        parts = []
        for s, skin, offset in zip(self.sequences, self._skins, self._offsets, strict=True):
            meshes = s.meshes[-1:] if skin is None else (skin.extremes(),)
            moves = offset.astype(np.float32)
            parts += [(points.astype(np.float32) + moves).reshape(-1, 3) for points in (s.pose3d, *meshes)]
        return np.concatenate(parts)


def draw_people(picture: np.ndarray, figures: list[Figure], view: Viewpoint, window: Window) -> None:
    """The meshes of a frame's persons as they are seen from a viewpoint."""
    seen = [(view.seen(f.vertices), f.faces, f.skinned) for f in figures if len(f.faces)]
    draw_meshes(picture, [(points, faces) for points, faces, skinned in seen if not skinned], window)
    skins = [(points, faces) for points, faces, skinned in seen if skinned]
    draw_surfaces(picture, [Surface.of(points, faces, window(points)) for points, faces in skins])


def box_2d(sequences: list[PoseSequence]) -> tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right corner (2,), pixels, of all persons' 2D joints over time, with a margin."""
    points = np.concatenate([s.pose2d.reshape(-1, 2) for s in sequences])
    margin = 0.06 * np.ptp(points, axis=0).max() + 1
    return points.min(0) - margin, points.max(0) + margin
