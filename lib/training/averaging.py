"""An exponential moving average of a network's weights, with batch statistics of its own."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lib import checkpoint

STATISTICS_BATCHES = 100
"""Training batches at most over which the averaged network's batch statistics are taken after an epoch."""


class WeightAverage:
    """`network`, a copy of `model` whose parameters follow the model's: average += (1 - decay) (model - average).

    The decay starts low, (1 + n) / (10 + n) at update n, so that the first weights are soon forgotten. Running statistics
    are not averaged: those of other weights do not fit. `gather_statistics` takes them with the averaged weights.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.network = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.updates = decay, 0
        self._source: list[torch.Tensor] = list(model.parameters())
        self._average: list[torch.Tensor] = list(self.network.parameters())
        self._norms = [module for module in self.network.modules() if isinstance(module, _BatchNorm)]

    @property
    def statistics(self) -> list[torch.Tensor]:
        return [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]

    @torch.no_grad()
    def update(self, taken: torch.Tensor) -> None:
        """After a step of the model; taken: bool scalar, whether it changed the model. The host does not wait for it."""
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        change = torch._foreach_sub(self._source, self._average)
        torch._foreach_mul_(change, torch.where(taken, weight, 0.0))
        torch._foreach_add_(self._average, change)
        self.updates += 1

    @torch.no_grad()
    def gather_statistics(self, inputs: Iterable[torch.Tensor]) -> None:
        """Replace the running statistics by their mean over `inputs`, batches of pose2d (B, J, 2)."""
        momenta: Sequence[float | None] = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.train()
        for number, pose2d in enumerate(inputs):
            for norm in self._norms:
                norm.momentum = 1 / (number + 1)
            self.network(pose2d)
        for norm, momentum in zip(self._norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()

    def restore(self, path: str | Path, weights: dict[str, Any], updates: int) -> None:
        """Go on from the network's state after this many updates."""
        checkpoint.load_state(self.network, weights, path)
        self.updates = int(updates)
