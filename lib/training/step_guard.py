"""Optimiser steps that leave the weights alone when the loss or its gradient is not finite."""

from typing import NamedTuple

import torch
from torch import nn


class SkippedStep(NamedTuple):
    """A skipped step."""

    step: int
    loss: float
    norm: float


class StepGuard:
    """Takes an optimiser's steps, or leaves them out: parameters, optimiser state and running statistics stay as they were.

    The device decides; the host does not wait for it and learns in `read` what happened. Once more than `allowed` steps
    were skipped every later one is too, so nothing changes between that step and the next `read`.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, allowed: int):
        self.optimizer, self.allowed = optimizer, allowed
        names = ("running_mean", "running_var")
        # A network without batch normalisation has none.
        self.statistics = [b for name, b in model.named_buffers() if name.endswith(names)]
        self.count = torch.zeros((), dtype=torch.long, device=next(model.parameters()).device)
        self.steps: list[tuple[int, torch.Tensor]] = []

    def begin(self) -> None:
        """To be called before the forward pass."""
        if self.statistics:
            self.before = torch.cat(self.statistics)

    def step(self, number: int, loss: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        """Step number `number` with this loss and norm of its gradient, scalars; a bool scalar: whether it was taken."""
        finite = torch.isfinite(loss + norm)
        taken = finite & (self.count <= self.allowed)
        self.count += ~finite
        if self.statistics:
            after = torch.where(taken, torch.cat(self.statistics), self.before)
            torch._foreach_copy_(self.statistics, list(after.split([len(b) for b in self.statistics])))
        # PyTorch's own protocol between its gradient scaler and its fused optimisers, which look at found_inf on the
        # device. Those without a fused form, RMSprop, make the host wait.
        if getattr(self.optimizer, "_step_supports_amp_scaling", False):
            self.optimizer.found_inf = (~taken).float()  # type: ignore[attr-defined]  # declared nowhere
            self.optimizer.step()
            del self.optimizer.found_inf  # type: ignore[attr-defined]
        elif taken:
            self.optimizer.step()
        self.steps.append((number, torch.stack([loss, norm, finite.to(loss.dtype)])))
        return taken

    def resume(self, skipped: int) -> None:
        """Go on after `skipped` steps were skipped; more than allowed now are forgiven, those are past."""
        self.count.fill_(skipped)
        self.allowed = max(self.allowed, skipped)

    def read(self) -> list[SkippedStep]:
        """The steps since the last call that were not finite, in order; waits for the device."""
        values = torch.stack([values for _, values in self.steps]).tolist() if self.steps else []
        numbers = [number for number, _ in self.steps]
        self.steps.clear()
        steps = zip(numbers, values, strict=True)
        return [SkippedStep(number, loss, norm) for number, (loss, norm, finite) in steps if not finite]
