"""From predictions and labels to the published report."""

from dataclasses import asdict, dataclass

import numpy as np

from lib.metrics import mpjpe, pa_mpjpe


@dataclass(frozen=True)
class Report:
    """Errors in mm. mpjpe, pa_mpjpe: means over frames and all joints, the root's zero included; mpjpe_16: without
    the root; action_mean, pa_action_mean: means over actions of the actions' means;
    per_action: {name: {mpjpe, pa_mpjpe, num_samples}}; protocol: in words what was measured; weights: whose errors."""

    mpjpe: float
    pa_mpjpe: float
    mpjpe_16: float
    action_mean: float
    pa_action_mean: float
    per_action: dict[str, dict[str, float]]
    num_samples: int
    protocol: str
    weights: str

    def to_dict(self) -> dict:
        return asdict(self)

    def text(self) -> str:
        """The report as printed."""
        lines = [
            f"MPJPE {self.mpjpe:.2f} mm   PA-MPJPE {self.pa_mpjpe:.2f} mm   MPJPE without the root {self.mpjpe_16:.2f} mm",
            f"mean of {len(self.per_action)} action means: MPJPE {self.action_mean:.2f} mm   "
            f"PA-MPJPE {self.pa_action_mean:.2f} mm",
            f"{'action':24s} {'samples':>8s} {'MPJPE':>8s} {'PA-MPJPE':>9s}",
        ]
        for name, row in self.per_action.items():
            lines.append(f"{name:24s} {row['num_samples']:8d} {row['mpjpe']:8.2f} {row['pa_mpjpe']:9.2f}")
        return "\n".join([*lines, self.protocol])


def evaluate(
    pose3d: np.ndarray, pose3d_gt: np.ndarray, actions: np.ndarray, protocol: str = "", weights: str = ""
) -> Report:
    """Report on predictions pose3d (N, J, 3) against pose3d_gt (N, J, 3), both in mm; actions (N,) names."""
    errors = mpjpe(pose3d.astype(np.float64), pose3d_gt.astype(np.float64))
    aligned = pa_mpjpe(pose3d, pose3d_gt)
    names, first, index = np.unique(actions, return_index=True, return_inverse=True)
    per_action = {}
    for k in np.argsort(first):  # in order of appearance
        rows = index == k
        per_action[str(names[k])] = {
            "mpjpe": float(errors[rows].mean()),
            "pa_mpjpe": float(aligned[rows].mean()),
            "num_samples": int(rows.sum()),
        }
    return Report(
        mpjpe=float(errors.mean()),
        pa_mpjpe=float(aligned.mean()),
        mpjpe_16=float(errors[:, 1:].mean()),
        action_mean=float(np.mean([row["mpjpe"] for row in per_action.values()])),
        pa_action_mean=float(np.mean([row["pa_mpjpe"] for row in per_action.values()])),
        per_action=per_action,
        num_samples=len(errors),
        protocol=protocol,
        weights=weights,
    )
