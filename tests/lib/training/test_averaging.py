import copy

import pytest
import torch
from torch import nn

from lib.training.averaging import WeightAverage

YES, NO = torch.tensor(True), torch.tensor(False)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def batches(count: int) -> list[torch.Tensor]:
    return list(torch.randn(count, 8, 2, generator=torch.Generator().manual_seed(1)))


def shift(model: nn.Module, by: float) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p += by


def test_the_average_moves_by_one_minus_the_decay_which_rises_from_a_tenth(model):
    average = WeightAverage(model, 0.15)
    start = model[0].weight.detach().clone()
    expected = start.clone()
    for decay in (0.1, 0.15, 0.15):  # (1 + 0) / (10 + 0), then (1 + 1) / (10 + 1) = 0.18 and more, capped
        shift(model, 1.0)
        average.update(YES)
        expected = decay * expected + (1 - decay) * model[0].weight.detach()
        torch.testing.assert_close(average.network[0].weight, expected)
    assert not torch.equal(average.network[0].weight, model[0].weight)


def test_a_skipped_step_leaves_the_average_alone(model):
    average = WeightAverage(model, 0.9)
    before = copy.deepcopy(average.network.state_dict())
    shift(model, 1.0)
    average.update(NO)
    assert all(torch.equal(value, before[name]) for name, value in average.network.state_dict().items())


def test_its_statistics_are_those_of_the_averaged_weights_over_the_batches(model):
    average = WeightAverage(model, 0.5)
    for x in batches(3):  # gives the model statistics of its own
        model.train()(x)
    shift(model, 2.0)
    average.update(YES)
    average.gather_statistics(batches(3))
    inputs = [average.network[0](x) for x in batches(3)]
    norm = average.network[1]
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in inputs]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in inputs]).mean(0))
    assert not torch.allclose(norm.running_mean, model[1].running_mean, atol=0.1)


def test_gathering_leaves_the_model_the_weights_and_the_mode_alone(model):
    average = WeightAverage(model, 0.5)
    model.train()
    shift(model, 1.0)
    average.update(YES)
    before = [copy.deepcopy(m.state_dict()) for m in (model, average.network)]
    momentum = average.network[1].momentum
    average.gather_statistics(batches(2))
    assert model.training
    assert not any(module.training for module in average.network.modules())
    assert average.network[1].momentum == momentum
    for old, new in zip(before, (model.state_dict(), average.network.state_dict()), strict=True):
        changed = {name for name in new if not torch.equal(old[name], new[name])}
        assert changed <= {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert torch.equal(before[0]["1.running_mean"], model[1].running_mean)
