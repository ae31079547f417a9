"""The optimiser and its learning rate."""

from bisect import bisect_right

import torch
from torch import nn

from lib.config import TrainConfig

PLATEAU_PATIENCE = 5


def learning_rate(train: TrainConfig, epoch: int, errors: list[float]) -> float:
    """The rate for an epoch; `errors` are the test errors of the epochs before it.

    step: lr * lr_factor^(number of lr_step entries <= epoch). plateau: one factor for every PLATEAU_PATIENCE tests in a
    row that do not beat the best one by 0.01 %.
    """
    if train.scheduler == "step":
        return train.lr * train.lr_factor ** bisect_right(sorted(train.lr_step), epoch)
    rate, best, waited = train.lr, float("inf"), 0
    for error in errors:
        waited = 0 if error < best * 0.9999 else waited + 1
        best = min(best, error)
        if waited == PLATEAU_PATIENCE:
            rate, waited = rate * train.lr_factor, 0
    return rate


def build_optimizer(train: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """TRAIN.optimizer at TRAIN.lr, in its fused form where PyTorch has one."""
    if train.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=train.lr)
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return kinds[train.optimizer](model.parameters(), lr=train.lr, fused=True)
