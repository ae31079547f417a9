"""One optimiser step: forward pass, loss, backward pass, update."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import checkpoint
from lib.distributed import ALONE, Group
from lib.models.hgn import HGNOutput
from lib.training.augment import Batch
from lib.training.step_guard import SkippedStep, StepGuard

GRADIENT_NORM = 1.0


class Learner:
    """A network and what changes it.

    forward: `model`'s own forward pass or a faster or distributed form of it. criterion: (output, batch) -> named losses
    whose sum is minimised. allowed: how many steps with a loss or gradient that is not finite may be skipped.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[torch.Tensor], HGNOutput],
        criterion: Callable[[HGNOutput, Batch], dict[str, torch.Tensor]],
        optimizer: torch.optim.Optimizer,
        allowed: int = 0,
        group: Group = ALONE,
    ):
        self.model, self.forward, self.criterion = model, forward, criterion
        self.optimizer, self.group = optimizer, group
        self.guard = StepGuard(model, optimizer, allowed)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.optimizer.param_groups[0]["lr"]

    @rate.setter
    def rate(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value

    def step(self, number: int, batch: Batch, weight: float = 1.0) -> dict[str, torch.Tensor]:
        """Step `number` of the epoch; its losses over all ranks, zeros where it was skipped.

        weight: factor of this rank's mean loss, see `BatchSource.weight`. The host waits for nothing that a GPU computes.
        """
        if not self.model.training:
            self.model.train()
        self.guard.begin()
        losses = self.criterion(self.forward(batch.pose2d), batch)
        self.optimizer.zero_grad(set_to_none=True)
        (sum(losses.values()) * weight).backward()
        losses = {name: value.detach() for name, value in self.group.mean(losses, weight).items()}
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        taken = self.guard.step(number, sum(losses.values()), norm)
        return {name: torch.where(taken, value, 0) for name, value in losses.items()}

    def skipped_steps(self) -> list[SkippedStep]:
        """The steps skipped since the last call; waits for the device."""
        return self.guard.read()

    def finish_epoch(self) -> nn.Module:
        """The network to test and keep, the same on all ranks."""
        self.group.copy_from_main(self.guard.statistics)  # ranks may have kept statistics of their own
        return self.model

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "model_state_dict": self.model.state_dict(),
            "optim_state_dict": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
        }

    def restore(self, path: str | Path, content: dict[str, Any], skipped: int) -> None:
        """Go on from what `state` returned after `skipped` skipped steps; UserError when the weights do not fit."""
        checkpoint.load_state(self.model, content["model_state_dict"], path)
        fused = self.optimizer.defaults.get("fused")
        self.optimizer.load_state_dict(content["optim_state_dict"])
        for group in self.optimizer.param_groups if fused else ():
            group["fused"] = fused  # which is how this process computes, not what the checkpoint's did
        self.guard.resume(skipped)
        torch.set_rng_state(content["random_state"])
