"""The optimiser and its learning rate."""

import math
from bisect import bisect_right

import torch
from torch import nn

from lib.config import TrainConfig

PLATEAU_PATIENCE = 10
PLATEAU_FLOOR = 1e-5
"""As published: the rate drops at test number PLATEAU_PATIENCE + 1 in a row without improvement, not below the floor."""


def epoch_rate(train: TrainConfig, epoch: int, errors: list[float]) -> float:
    """The learning rate of an epoch, without `step_factor`; `errors` are the test errors of the epochs before it.

    step: lr * lr_factor^(number of lr_step entries <= epoch). plateau: one factor whenever more than PLATEAU_PATIENCE tests
    in a row did not beat the best one by 0.01 %. cosine: lr.
    """
    if train.scheduler == "step":
        return train.lr * train.lr_factor ** bisect_right(train.lr_step, epoch)
    if train.scheduler == "cosine":
        return train.lr
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], train.lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=train.lr_factor, patience=PLATEAU_PATIENCE, min_lr=PLATEAU_FLOOR
    )
    for error in errors:
        scheduler.step(error)
    return optimizer.param_groups[0]["lr"]


def step_factor(train: TrainConfig, epoch: int, step: int, steps: int) -> float:
    """What the rate is multiplied by in step `step` of the `steps` of an epoch.

    It rises in a straight line to 1 during the first TRAIN.warmup_epochs; with scheduler cosine it then falls along half a
    cosine, from 1 to 0 at the end of the last epoch (Loshchilov and Hutter, ICLR 2017).
    """
    done = epoch - train.begin_epoch + step / steps
    if done < train.warmup_epochs:
        return min((done + 1 / steps) / train.warmup_epochs, 1.0)
    if train.scheduler != "cosine":
        return 1.0
    length = train.end_epoch + 1 - train.begin_epoch - train.warmup_epochs
    return (1 + math.cos(math.pi * min((done - train.warmup_epochs) / length, 1.0))) / 2


def build_optimizer(train: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """TRAIN.optimizer at TRAIN.lr, in its fused form where PyTorch has one."""
    if train.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=train.lr)
    if train.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=train.lr, fused=True)
    return torch.optim.SGD(
        model.parameters(),
        lr=train.lr,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        nesterov=train.nesterov,
        fused=True,
    )
