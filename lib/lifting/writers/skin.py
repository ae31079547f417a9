"""The skin of a fitted body, frame by frame: which mesh the writers show, and its vertices."""

import numpy as np

from lib.errors import UserError
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_sequence import PoseSequence

COARSE, BODY = "coarse", "body"
MESHES = (COARSE, BODY)
"""What a person is shown as: the network's finest mesh, or the skin of the body that was fitted."""

SIDES = 16
"""Directions in which a skin is measured."""

AT_ONCE = 16
"""Rows that are posed together where all are needed."""


class Skin:
    """The posed vertices of one person's body, pose blend shapes included.

    faces (F, 3): outwards. Nothing is kept, because a minute of video would take 100 MB.
    """

    def __init__(self, body: FittedBody):
        from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer  # here: torch takes a second

        self._body = body
        self._layer = SMPL_Layer(body.model)
        self.faces = body.model.faces

    def __len__(self) -> int:
        return len(self._body.pose)

    def vertices(self, rows: slice) -> np.ndarray:
        """(T, V, 3) metres in these rows, camera axes, relative to the same root as the sequence's pose3d."""
        import torch

        pose, transl = (torch.as_tensor(a[rows], dtype=torch.float32) for a in (self._body.pose, self._body.transl))
        betas = torch.as_tensor(self._body.betas, dtype=torch.float32).expand(len(pose), -1)
        with torch.inference_mode():
            return self._layer(pose, betas, transl)[0].numpy()

    def extremes(self) -> np.ndarray:
        """(T, N, 3): in every row the highest and the lowest vertex, and the outermost in horizontal directions all around."""
        angles = np.arange(SIDES) * 2 * np.pi / SIDES
        around = np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=-1)
        directions = np.concatenate([around, [[0, 1, 0], [0, -1, 0]]]).T
        parts = []
        for start in range(0, len(self), AT_ONCE):
            points = self.vertices(slice(start, start + AT_ONCE))
            parts.append(np.take_along_axis(points, (points @ directions).argmax(1)[..., None], axis=1))
        return np.concatenate(parts)


def shown_mesh(sequences: list[PoseSequence], mesh: str | None, path: object) -> str:
    """One of MESHES: `mesh`, or where it is None the body if everybody has one. UserError, naming the output, where it cannot be
    shown."""
    fitted = all(sequence.body is not None for sequence in sequences)
    if mesh is None:
        return BODY if fitted else COARSE
    if mesh not in MESHES:
        raise UserError(f"{path}: unknown mesh '{mesh}'; use {' or '.join(MESHES)}")
    if mesh == BODY and not fitted:
        raise UserError(f"{path}: the mesh '{BODY}' is that of a fitted body; add --fit-body")
    return mesh
