"""All samples of a split as arrays: what preparing data ends in and training and testing begin with."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class PoseTable:
    """N samples in their source's order; those of annotation files are sorted by image name (equal names keep their order).

    names (N,) str base file names; actions (N,) int index into action_names; sequences (N,) int32 index into
    sequence_names, one per recording and camera; frames (N,) int32 number of the frame in its recording; pose2d (N, 17, 2)
    float32 normalized image coordinates; pose3d (N, 17, 3) float32 metres, camera axes, root-relative; root (N, 3) float32
    metres, camera axes; camera (N, 4) float32 f_x, f_y, c_x, c_y px; image_size (N, 2) float32 w, h px; up (N, 3) float32
    the vertical in camera axes, length 1 (a level camera's if unknown).

    has_mesh (N,) bool: which samples come with SMPL parameters. The columns of PER_SMPL and PER_MESH hold only the M samples
    that do, in the same order. smpl_pose (M, 72) float32: axis-angle rotations in radians, the root's in camera axes;
    smpl_betas (M, S) float32: shape parameters; meshes: coarse and fine, (M, R, 3) float32 metres, camera axes, relative to
    the pose's root; flipped_meshes: those of the mirrored person.

    input2d: in words where pose2d comes from; protocol: which of lib.evaluation.protocols scores these samples.
    """

    names: np.ndarray
    actions: np.ndarray
    action_names: tuple[str, ...]
    sequences: np.ndarray
    sequence_names: tuple[str, ...]
    frames: np.ndarray
    pose2d: np.ndarray
    pose3d: np.ndarray
    root: np.ndarray
    has_mesh: np.ndarray
    meshes: tuple[np.ndarray, ...]
    flipped_meshes: tuple[np.ndarray, ...]
    camera: np.ndarray
    image_size: np.ndarray
    up: np.ndarray
    smpl_pose: np.ndarray
    smpl_betas: np.ndarray
    input2d: str = "ground-truth"
    protocol: str = "release"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mesh_rows(self) -> np.ndarray:
        """(N,) int64: each sample's row in `meshes`, -1 for samples without."""
        return np.where(self.has_mesh, np.cumsum(self.has_mesh) - 1, -1)

    def take(self, rows: np.ndarray | slice) -> "PoseTable":
        """The table of these rows only."""
        mesh_rows = self.mesh_rows[rows]
        mesh_rows = mesh_rows[mesh_rows >= 0]
        values = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in PER_MESH:
                value = tuple(v[mesh_rows] for v in value)
            elif isinstance(value, np.ndarray):
                value = value[mesh_rows if f.name in PER_SMPL else rows]
            values[f.name] = value
        return PoseTable(**values)

    def subsample(self, count: int) -> "PoseTable":
        """The table of `count` rows spread evenly over this one; of all rows when it has fewer."""
        return self.take(np.unique(np.linspace(0, len(self) - 1, count).round().astype(int)))


PER_MESH = ("meshes", "flipped_meshes")
PER_SMPL = ("smpl_pose", "smpl_betas")
"""Columns with a row for each sample that has SMPL parameters, and none for the others; those of PER_MESH by scale."""
