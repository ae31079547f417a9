"""People drawn over the image that they were found in: the mesh or the skin, projected by the camera they were lifted with."""

from dataclasses import replace

import cv2
import numpy as np

from lib.errors import UserError
from lib.lifting.floor.level import in_camera_axes
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import with_root_translation
from lib.lifting.writers.drawing import Window, draw_meshes, draw_skeleton
from lib.lifting.writers.scene import Figure
from lib.lifting.writers.surface import Surface, draw_surfaces

OPACITY, SKIN_OPACITY = 0.6, 0.9
"""Of the mesh and of the skin over the image."""

LINE = 100
"""A person's size over the width of their bones, so that small people are not hidden."""


class Overlay:
    """Draws people's meshes and skeletons over their images.

    Where a person's place in front of the camera is unknown, it is fitted with the assumed camera; where that cannot be
    done, and without a mesh, only the skeleton is drawn.
    """

    def __init__(self, sequences: list[PoseSequence]):
        self._places = {s.person: _places(in_camera_axes(s)) for s in sequences}
        self._turns = {s.person: np.eye(3) if s.floor is None else s.floor.rotation for s in sequences}
        self._cameras = {s.person: s.camera for s in sequences}

    def draw(self, picture: np.ndarray, figures: list[Figure], frame: int, window: Window) -> None:
        """The people of a frame with their skeletons; window: from pixels of the image to pixels of the picture."""
        self.draw_meshes(picture, figures, frame, window)
        for figure in figures:
            pixels = window(figure.pose2d)
            width = int(np.clip(np.ptp(pixels, axis=0).max() / LINE, 1, 3))
            draw_skeleton(picture, pixels, figure.joint_set, figure.imputed, width=width)

    def draw_meshes(self, picture: np.ndarray, figures: list[Figure], frame: int, window: Window) -> None:
        """The same without skeletons."""
        places = ((f, self._places[f.person].get(int(frame))) for f in figures if len(f.faces))
        placed = sorted(((f, p) for f, p in places if p is not None), key=lambda pair: -pair[1][2])
        covered = picture.copy()
        skins = []
        for figure, place in placed:
            camera = self._cameras[figure.person]
            assert camera is not None  # without one there is no place
            points = (figure.vertices - figure.joints[figure.joint_set.root]) @ self._turns[figure.person] + place
            if figure.skinned:
                skins.append(Surface.of(points, figure.faces, window(_projected(points, camera))))
            else:
                per_metre = camera[0] / place[2]  # pixels of the image
                seen = np.concatenate([_projected(points, camera) / per_metre, points[:, 2:]], axis=1)
                own = Window(window.scale * per_metre, window.middle / per_metre, window.place)
                draw_meshes(covered, [(seen, figure.faces)], own)
        cv2.addWeighted(covered, OPACITY, picture, 1 - OPACITY, 0, dst=picture)
        draw_surfaces(picture, skins, SKIN_OPACITY)


def _places(sequence: PoseSequence) -> dict[int, np.ndarray]:
    """Frame number to the root's place (3,), metres, camera axes, for the frames in which it is known or can be fitted."""
    if not (sequence.meshes or sequence.body) or sequence.camera is None:
        return {}
    if sequence.root is None:
        try:
            sequence, _ = with_root_translation(replace(sequence, meshes=(), faces=()), sequence.camera)
        except UserError:
            return {}
    assert sequence.root is not None
    return dict(zip(sequence.frames.tolist(), sequence.root, strict=True))


def _projected(points: np.ndarray, camera: tuple[float, ...]) -> np.ndarray:
    """Points (N, 3), metres, camera axes -> pixels (N, 2) of the image."""
    f, c = np.array(camera[:2]), np.array(camera[2:])
    return points[:, :2] / np.maximum(points[:, 2:], 1e-3) * f + c
