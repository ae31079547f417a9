"""Where a training run is, and what it has seen so far."""

from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Progress:
    """epoch, step: the next batch to train on. loss_sums, seconds: of the epoch so far; skipped: steps skipped in the
    whole run; log: one dict per finished epoch."""

    epoch: int = 0
    step: int = 0
    loss_sums: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def errors(self) -> list[float]:
        """Mean test MPJPE of every finished epoch, mm."""
        return [entry["test"]["mpjpe"] for entry in self.log]

    @property
    def best_error(self) -> float:
        """Lowest of `errors`; infinite before the first epoch ends."""
        return min(self.errors, default=float("inf"))

    def count_step(self, losses: dict[str, torch.Tensor]) -> None:
        """A step was taken; its losses stay on their device, so nothing waits for it."""
        for name, value in losses.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0) + value
        self.step += 1

    def mean_losses(self) -> dict[str, float]:
        """Means over the steps of the epoch so far; waits for the device."""
        return {name: float(value) / self.step for name, value in self.loss_sums.items()}

    def finish_epoch(self, entry: dict[str, Any]) -> None:
        """Append `entry` to the log and go to the start of the next epoch."""
        self.log.append(entry)
        self.epoch, self.step, self.loss_sums, self.seconds = self.epoch + 1, 0, {}, 0.0

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "loss_sums": dict(self.loss_sums),
            "seconds": self.seconds,
            "skipped": self.skipped,
            "log": list(self.log),
        }

    @classmethod
    def from_state(cls, content: dict[str, Any], device: torch.device) -> "Progress":
        """The inverse of `state`; KeyError, TypeError or AttributeError when `content` is something else."""
        sums = {name: value.to(device) for name, value in content["loss_sums"].items()}
        return cls(
            content["epoch"], content["step"], sums, content["seconds"], content["skipped"], list(content["log"])
        )
