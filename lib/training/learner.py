"""One optimiser step: forward pass, loss, backward pass, update."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import checkpoint
from lib.distributed import ALONE, Group
from lib.models.hgn import HGNOutput
from lib.training.augment import Batch
from lib.training.averaging import WeightAverage
from lib.training.losses import total
from lib.training.step_guard import SkippedStep, StepGuard

GRADIENT_NORM = 1.0


class Learner:
    """A network and what changes it.

    forward: `model`'s own forward pass or a faster or distributed form of it. criterion: (output, batch) -> named losses
    whose sum is minimised. allowed: how many steps with a loss or gradient that is not finite may be skipped. average: of
    the model's weights, if one is wanted; then it is what is tested and kept.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[torch.Tensor], HGNOutput],
        criterion: Callable[[HGNOutput, Batch], dict[str, torch.Tensor]],
        optimizer: torch.optim.Optimizer,
        allowed: int = 0,
        average: WeightAverage | None = None,
        group: Group = ALONE,
    ):
        self.model, self.forward, self.criterion = model, forward, criterion
        self.optimizer, self.average, self.group = optimizer, average, group
        self.guard = StepGuard(model, optimizer, allowed)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def network(self) -> nn.Module:
        """What is tested, kept and exported: the model, or the average of its weights."""
        return self.average.network if self.average else self.model

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
        self.optimizer.zero_grad(set_to_none=True)  # first, as a compiled forward pass may take over their memory
        losses = self.criterion(self.forward(batch.pose2d), batch)
        (total(losses.values()) * weight).backward()
        losses = {name: value.detach() for name, value in self.group.mean(losses, weight).items()}
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        taken = self.guard.step(number, total(losses.values()), norm)
        if self.average:
            self.average.update(taken)
        return {name: torch.where(taken, value, 0) for name, value in losses.items()}

    def skipped_steps(self) -> list[SkippedStep]:
        """The steps skipped since the last call; waits for the device."""
        return self.guard.read()

    def finish_epoch(self, inputs: Iterable[torch.Tensor]) -> None:
        """Make `network` ready to be tested, the same on all ranks. inputs: training batches of pose2d (B, J, 2), over
        which an average of weights takes its batch statistics."""
        self.group.copy_from_main(self.guard.statistics)  # ranks may have kept statistics of their own
        if self.average:
            self.average.gather_statistics(inputs)
            self.group.copy_from_main(self.average.statistics)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it: model_state_dict is `network`, which testing and exporting read; with an average
        of weights trained_state_dict is the model."""
        state = {
            "model_state_dict": self.network.state_dict(),
            "optim_state_dict": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
        }
        if self.average:
            state |= {"trained_state_dict": self.model.state_dict(), "average_updates": self.average.updates}
        return state

    def restore(self, path: str | Path, content: dict[str, Any], skipped: int) -> None:
        """Go on from what `state` returned after `skipped` skipped steps; UserError when the weights do not fit."""
        if self.average:
            self.average.restore(path, content["model_state_dict"], content["average_updates"])
        checkpoint.load_state(self.model, content["trained_state_dict" if self.average else "model_state_dict"], path)
        self.optimizer.load_state_dict(self._computed_here(content["optim_state_dict"]))
        self.guard.resume(skipped)
        torch.set_rng_state(content["random_state"])

    def _computed_here(self, state: dict[str, Any]) -> dict[str, Any]:
        """An optimiser's state as this process computes, fused or not, independent of the process that wrote it: PyTorch
        looks there when it decides on which device the step counts belong."""
        fused = self.optimizer.defaults.get("fused")
        return (
            state | {"param_groups": [{**group, "fused": fused} for group in state["param_groups"]]} if fused else state
        )
