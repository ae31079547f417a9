from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lib.config import TrainConfig, load_config
from lib.training.schedule import build_optimizer, epoch_rate, step_factor


def rates(train: TrainConfig, errors: list[float]) -> list[float]:
    """The rate of every epoch of a run whose tests gave these errors."""
    return [epoch_rate(train, epoch, errors[:epoch]) for epoch in range(len(errors) + 1)]


def test_the_published_configuration_trains_151_epochs_at_the_rates_of_the_released_loop(repository: Path):
    """The released loop runs epochs begin to end inclusive and steps PyTorch's scheduler after each."""
    train = load_config(repository / "asset/yaml/HGN_human36J_train_human36.yml").TRAIN
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(range(20, 141, 20)), 0.9)
    expected = []
    for _ in range(0, 150 + 1):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    epochs = range(train.begin_epoch, train.end_epoch + 1)
    ours = [epoch_rate(train, e, []) * step_factor(train, e, s, 4) for e in epochs for s in range(4)]
    assert len(epochs) == 151
    np.testing.assert_allclose(ours, np.repeat(expected, 4), rtol=1e-12)


def test_the_rate_drops_after_eleven_tests_without_improvement_and_not_below_the_published_floor():
    train = TrainConfig(lr=1e-4, scheduler="plateau", lr_factor=0.2)
    # 39.999 is less than 0.01 % better than 40, so it does not count.
    errors = [50.0, 40.0, *[41.0] * 9, 39.999, 45.0, *[44.0] * 11, *[43.0] * 11, 30.0]
    found = rates(train, errors)
    np.testing.assert_allclose(found[: 2 + 11], 1e-4)
    np.testing.assert_allclose(found[2 + 11 : 2 + 22], 2e-5)
    np.testing.assert_allclose(found[2 + 22 :], 1e-5)
    assert epoch_rate(train, 0, []) == 1e-4


def test_a_test_that_improves_starts_the_count_anew():
    train = TrainConfig(lr=1.0, scheduler="plateau", lr_factor=0.5)
    assert set(rates(train, [50.0, *[51.0] * 10, 49.0, *[51.0] * 10])) == {1.0}


def test_a_cosine_falls_from_the_whole_rate_to_zero_over_the_steps_of_all_epochs():
    train = TrainConfig(lr=0.5, scheduler="cosine", begin_epoch=2, end_epoch=5, lr_step=())
    factors = [step_factor(train, epoch, step, 3) for epoch in range(2, 6) for step in range(3)]
    np.testing.assert_allclose(factors, (1 + np.cos(np.pi * np.arange(12) / 12)) / 2)
    assert {epoch_rate(train, epoch, [1.0]) for epoch in range(2, 6)} == {0.5}


@pytest.mark.parametrize("scheduler", ["cosine", "step"])
def test_warm_up_rises_by_equal_steps_to_the_whole_rate(scheduler):
    train = TrainConfig(scheduler=scheduler, end_epoch=3, warmup_epochs=1.5)
    factors = [step_factor(train, epoch, step, 4) for epoch in range(4) for step in range(4)]
    np.testing.assert_allclose(factors[:6], np.arange(1, 7) / 6)
    after = (1 + np.cos(np.pi * np.arange(10) / 10)) / 2 if scheduler == "cosine" else np.ones(10)
    np.testing.assert_allclose(factors[6:], after)


def test_sgd_moves_as_momentum_weight_decay_and_nesterov_say():
    """By hand: g = 3 + 0.1 w; v = 0.5 v + g; w -= 0.2 (g + 0.5 v)."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    optimizer = build_optimizer(
        TrainConfig(optimizer="sgd", lr=0.2, momentum=0.5, weight_decay=0.1, nesterov=True), model
    )
    w, v = 1.0, 0.0
    for _ in range(3):
        model.weight.grad = torch.full((1, 1), 3.0)
        optimizer.step()
        g = 3 + 0.1 * w
        v = 0.5 * v + g
        w -= 0.2 * (g + 0.5 * v)
        assert float(model.weight.detach()) == pytest.approx(w, rel=1e-6)
