"""From predictions and labels to the published report."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lib.evaluation.protocols import PROTOCOLS, Protocol
from lib.metrics import n_mpjpe, pa_mpjpe, velocity_errors


@dataclass(frozen=True)
class Report:
    """Errors in mm. mpjpe, pa_mpjpe: means over frames and all joints, the root's zero included; mpjpe_16: without
    the root; n_mpjpe: after the best scale of each pose; action_mean, pa_action_mean: means over actions of the actions' means;
    per_action: {name: {mpjpe, pa_mpjpe, num_samples}}; protocol: in words what was measured; weights: whose errors.

    further: what the protocol adds, by name: numbers and tables {row: {column: number}}. mpjve and mpjve_action_mean (mm per
    frame) are among them where frames follow each other.
    """

    mpjpe: float
    pa_mpjpe: float
    mpjpe_16: float
    n_mpjpe: float
    action_mean: float
    pa_action_mean: float
    per_action: dict[str, dict[str, float]]
    num_samples: int
    protocol: str
    weights: str
    further: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """Plain values; what the protocol adds is on the same level."""
        values = asdict(self)
        return values | values.pop("further")

    def text(self) -> str:
        """The report as printed."""
        lines = [
            f"MPJPE {self.mpjpe:.2f} mm   PA-MPJPE {self.pa_mpjpe:.2f} mm   MPJPE without the root {self.mpjpe_16:.2f} mm",
            f"after the best scale of each pose: N-MPJPE {self.n_mpjpe:.2f} mm",
            f"mean of {len(self.per_action)} action means: MPJPE {self.action_mean:.2f} mm   "
            f"PA-MPJPE {self.pa_action_mean:.2f} mm",
            f"{'action':24s} {'samples':>8s} {'MPJPE':>8s} {'PA-MPJPE':>9s}"
            + ("    MPJVE" if "mpjve" in self.further else ""),
        ]
        for name, row in self.per_action.items():
            velocity = f" {row['mpjve']:8.2f}" if "mpjve" in row else ""
            lines.append(f"{name:24s} {row['num_samples']:8d} {row['mpjpe']:8.2f} {row['pa_mpjpe']:9.2f}{velocity}")
        if "mpjve" in self.further:
            lines[3:3] = [
                f"velocity error (MPJVE) {self.further['mpjve']:.2f} mm per frame, "
                f"mean of action means {self.further['mpjve_action_mean']:.2f}"
            ]
        for name, value in self.further.items():
            if name.startswith("mpjve"):
                continue
            lines += _table(name, value) if isinstance(value, dict) else [f"{name} {value:.2f}"]
        return "\n".join([*lines, self.protocol])


def _table(name: str, rows: dict[str, dict[str, float]]) -> list[str]:
    """A table {row: {column: number}} as lines of text."""
    columns = list(next(iter(rows.values()), {}))
    lines = [f"{name:24s} " + " ".join(f"{column:>12s}" for column in columns)]
    return lines + [f"{row:24s} " + " ".join(map(_cell, values.values())) for row, values in rows.items()]


def _cell(value: float) -> str:
    """A count is a whole number."""
    return f"{value:12d}" if isinstance(value, int) else f"{value:12.2f}"


def evaluate(
    pose3d: np.ndarray,
    pose3d_gt: np.ndarray,
    actions: np.ndarray,
    protocol: str = "",
    weights: str = "",
    scoring: Protocol = PROTOCOLS["release"],
    sequences: np.ndarray | None = None,
    frames: np.ndarray | None = None,
    root: int = 0,
) -> Report:
    """Report on predictions pose3d (N, J, 3) against pose3d_gt (N, J, 3), both in mm; actions (N,) names.

    protocol, weights: words for the report; scoring: how the errors are taken; sequences (N,) names of recording and
    camera, frames (N,) numbers: for what needs to know which samples follow each other. root: index of the root joint.
    """
    poses, truth = pose3d.astype(np.float64), pose3d_gt.astype(np.float64)
    errors = scoring.joint_errors(poses, truth, root)
    aligned = pa_mpjpe(poses, truth)
    names, first, index = np.unique(actions, return_index=True, return_inverse=True)
    further: dict[str, Any] = {}
    if sequences is not None and scoring.further is not None:
        further |= scoring.further(poses, truth, actions, sequences)
    relative = poses - poses[:, root : root + 1] if scoring.root_aligned else poses
    relative_truth = truth - truth[:, root : root + 1]
    velocity = None
    if sequences is not None and frames is not None:
        numbers = np.unique(sequences, return_inverse=True)[1].reshape(-1)
        velocity, later = velocity_errors(relative, relative_truth, numbers, frames)
    per_action = {}
    for k in np.argsort(first):  # in order of appearance
        rows = index == k
        per_action[str(names[k])] = {
            "mpjpe": float(errors[rows].mean()),
            "pa_mpjpe": float(aligned[rows].mean()),
            "num_samples": int(rows.sum()),
        }
        if velocity is not None and rows[later].any():
            per_action[str(names[k])]["mpjve"] = float(velocity[rows[later]].mean())
    if velocity is not None and len(velocity):
        further["mpjve"] = float(velocity.mean())
        further["mpjve_action_mean"] = float(np.mean([row["mpjve"] for row in per_action.values() if "mpjve" in row]))
    return Report(
        mpjpe=float(errors.mean()),
        pa_mpjpe=float(aligned.mean()),
        mpjpe_16=float(np.delete(errors, root, axis=1).mean()),
        n_mpjpe=float(n_mpjpe(relative, relative_truth).mean()),
        action_mean=float(np.mean([row["mpjpe"] for row in per_action.values()])),
        pa_action_mean=float(np.mean([row["pa_mpjpe"] for row in per_action.values()])),
        per_action=per_action,
        num_samples=len(errors),
        protocol=protocol,
        weights=weights,
        further=further,
    )
