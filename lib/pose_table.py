"""All samples of a split as arrays: what preparing data ends in and training and testing begin with."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class PoseTable:
    """N samples, sorted by picture name (equal names keep their order).

    names (N,) str base file names; actions (N,) int index into action_names; pose2d (N, 17, 2) float32 normalized image
    coordinates; pose3d (N, 17, 3) float32 metres, camera axes, root-relative; root (N, 3) float32 metres, camera axes;
    meshes: coarse and fine, (N, R, 3) float32 metres, camera axes, relative to the pose's root; flipped_meshes: the
    same of the mirrored person; camera (N, 4) float32 f_x, f_y, c_x, c_y px; image_size (N, 2) float32 w, h px.
    """

    names: np.ndarray
    actions: np.ndarray
    action_names: tuple[str, ...]
    pose2d: np.ndarray
    pose3d: np.ndarray
    root: np.ndarray
    meshes: tuple[np.ndarray, ...]
    flipped_meshes: tuple[np.ndarray, ...]
    camera: np.ndarray
    image_size: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray | slice) -> "PoseTable":
        """The table of these rows only."""
        values = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                value = value[rows]
            elif f.name in ("meshes", "flipped_meshes"):
                value = tuple(v[rows] for v in value)
            values[f.name] = value
        return PoseTable(**values)
