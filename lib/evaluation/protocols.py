"""How the field scores each data set: what a report's numbers are, by PoseTable.protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.joints import HUMAN36M_17
from lib.metrics import auc, mpjpe, pa_mpjpe, pck


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

    def joint_errors(self, pose3d: np.ndarray, pose3d_gt: np.ndarray, root: int = 0) -> np.ndarray:
        """(N, J) distances in the unit of the poses (N, J, 3), whose root is joint `root`."""
        if self.root_aligned:
            return mpjpe(pose3d, pose3d_gt, root)
        return np.sqrt(((pose3d - (pose3d_gt - pose3d_gt[:, root : root + 1])) ** 2).sum(-1))


COMMON_JOINTS = [k for k, name in enumerate(HUMAN36M_17.names) if name not in ("Pelvis", "Torso", "Nose")]
"""The 14 joints that most annotations of people have (limbs, neck, top of the head), among the 17."""

PCK_THRESHOLD = 150.0
AUC_THRESHOLDS = range(0, 151, 5)
"""Millimetres, as in MPI-INF-3DHP's official evaluation; the first of the 31 is 0, where no joint is correct."""


def _common_joints(poses: np.ndarray, truth: np.ndarray, actions: np.ndarray, sequences: np.ndarray) -> dict[str, Any]:
    """Errors over the 14 common joints; the roots are still the pelves, the similarity transform sees the 14 alone."""
    return {
        "mpjpe_14": float(mpjpe(poses, truth)[:, COMMON_JOINTS].mean()),
        "pa_mpjpe_14": float(pa_mpjpe(poses[:, COMMON_JOINTS], truth[:, COMMON_JOINTS]).mean()),
    }


def _mpi_inf_3dhp(poses: np.ndarray, truth: np.ndarray, actions: np.ndarray, sequences: np.ndarray) -> dict[str, Any]:
    """PCK and AUC in percent over all frames together, and every number per sequence and per activity."""
    errors = PROTOCOLS["mpi_inf_3dhp"].joint_errors(poses, truth)
    aligned = pa_mpjpe(poses, truth)

    def scores(rows: np.ndarray) -> dict[str, float]:
        common = errors[rows][:, COMMON_JOINTS]
        return {
            "frames": int(rows.sum()),
            "mpjpe": float(errors[rows].mean()),
            "pa_mpjpe": float(aligned[rows].mean()),
            "pck_150": 100 * pck(common, PCK_THRESHOLD),
            "auc": 100 * auc(common, AUC_THRESHOLDS),
        }

    total = scores(np.ones(len(errors), bool))
    return {
        "pck_150": total["pck_150"],
        "auc": total["auc"],
        "per_sequence": {str(name): scores(sequences == name) for name in np.unique(sequences)},
        "per_activity": {str(name): scores(actions == name) for name in dict.fromkeys(actions)},
    }


PROTOCOLS: dict[str, Protocol] = {
    "release": Protocol("the split of the HGN release"),
    "videopose3d": Protocol(
        "VideoPose3D's protocols: every frame, nothing dropped, the prediction unchanged (its own root is not subtracted). The "
        "published numbers are the means of the action means: protocol 1 is MPJPE, protocol 2 PA-MPJPE",
        root_aligned=False,
    ),
    "amass": Protocol("the people or sub-sets of AMASS that the import held out, seen by four cameras chosen for each"),
    "3dpw": Protocol(
        "3DPW's frames with a valid camera, each actor a person; mpjpe_14 and pa_mpjpe_14 are over the 14 joints that most "
        "annotations have (limbs, neck, top of the head)",
        further=_common_joints,
    ),
    "mpi_inf_3dhp": Protocol(
        "MPI-INF-3DHP's own: valid frames, universal skeleton height, the prediction unchanged (no alignment); pck_150 and auc "
        "in percent over 14 joints (not pelvis, torso and nose), thresholds 0, 5, ..., 150 mm; all frames together, not the mean "
        "of the sequences",
        root_aligned=False,
        further=_mpi_inf_3dhp,
    ),
}
"""By the name that a data set's source gives (data.source.Source.protocol)."""
