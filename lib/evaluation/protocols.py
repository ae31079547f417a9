"""How the field scores each data set: what a report's numbers are, by PoseTable.protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.metrics import mpjpe


@dataclass(frozen=True)
class Protocol:
    """A way of scoring predictions.

    sentence: what the numbers mean, for the end of a report. root_aligned: whether the prediction's own root is subtracted
    before errors are taken (the truth's always is). further: other numbers of the protocol, {name: number or table
    {row: {column: number}}}, from poses (N, J, 3) and true poses (N, J, 3) in mm, and the (N,) names of each sample's action
    and sequence.
    """

    sentence: str
    root_aligned: bool = True
    further: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], dict[str, Any]] | None = None

    def joint_errors(self, pose3d: np.ndarray, pose3d_gt: np.ndarray) -> np.ndarray:
        """(N, J) distances in the unit of the poses (N, J, 3)."""
        if self.root_aligned:
            return mpjpe(pose3d, pose3d_gt)
        return np.sqrt(((pose3d - (pose3d_gt - pose3d_gt[:, :1])) ** 2).sum(-1))


PROTOCOLS: dict[str, Protocol] = {
    "release": Protocol("the split of the HGN release"),
    "videopose3d": Protocol(
        "VideoPose3D's protocols: every frame, nothing dropped, the prediction as it is (its own root is not subtracted). The "
        "published numbers are the means of the action means: protocol 1 is MPJPE, protocol 2 PA-MPJPE",
        root_aligned=False,
    ),
}
"""By the name that a data set's source gives (data.source.Source.protocol)."""
