from copy import deepcopy

import pytest
import torch
from torch import nn

from lib.training.step_guard import StepGuard

OPTIMIZERS = {
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "fused SGD": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
}


class Run:
    """A small network under a guard; every step has its own input, or NaN."""

    def __init__(self, kind, allowed=1, norm=nn.BatchNorm1d):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), norm(4), nn.Linear(4, 1))
        self.model.register_buffer("graph", torch.ones(2, 2))  # a buffer that is no statistic
        self.optimizer = OPTIMIZERS[kind](self.model.parameters())
        self.guard = StepGuard(self.model, self.optimizer, allowed)

    def step(self, number, spoilt=False) -> bool:
        self.guard.begin()
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(number))
        loss = self.model(x * (float("nan") if spoilt else 1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        return bool(self.guard.step(number, loss.detach(), norm))

    def state(self):
        """Everything a step may change but the counts of batches, which nothing reads."""
        weights = {k: v for k, v in self.model.state_dict().items() if not k.endswith("num_batches_tracked")}
        return deepcopy([weights, self.optimizer.state_dict()["state"]])


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return all(map(same, a, b)) if isinstance(a, list) else a == b


@pytest.fixture(params=OPTIMIZERS)
def kind(request):
    return request.param


def test_a_step_that_is_not_finite_leaves_no_trace(kind):
    run, sound = Run(kind, allowed=2), Run(kind)
    assert [run.step(7, spoilt=True), run.step(0), run.step(8, spoilt=True)] == [False, True, False]
    assert sound.step(0)
    before = run.state()
    assert same(before, sound.state())
    assert run.step(1)
    assert sound.step(1)
    assert same(run.state(), sound.state())
    assert not same(run.state(), before)


def test_once_more_steps_than_allowed_were_left_out_all_later_ones_are(kind):
    run = Run(kind, allowed=1)
    assert [run.step(k, spoilt) for k, spoilt in enumerate([True, False, True])] == [False, True, False]
    before = run.state()
    assert [run.step(k) for k in (3, 4)] == [False, False]
    assert same(run.state(), before)


def test_reading_gives_the_steps_that_were_not_finite_once_in_order(kind):
    run = Run(kind, allowed=0)
    assert run.guard.read() == []
    for k, spoilt in enumerate([False, True, False, True]):
        run.step(k, spoilt)
    left_out = run.guard.read()
    assert [step.step for step in left_out] == [1, 3]
    assert all(step.loss != step.loss for step in left_out)
    assert run.guard.read() == []


@pytest.mark.parametrize(("loss", "norm"), [(1.0, float("inf")), (float("nan"), 1.0), (2e38, 2e38)])
def test_loss_and_gradient_both_have_to_be_finite_and_what_is_left_out_is_told(kind, loss, norm):
    """2e38: each is finite, their sum is not, in float32; what the device decided counts, not what the host would."""
    run = Run(kind, allowed=1)
    run.step(0)
    run.guard.read()
    before = run.state()
    for parameter in run.model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    run.guard.begin()
    assert not run.guard.step(1, torch.tensor(loss), torch.tensor(norm))
    assert same(run.state(), before)
    assert [step.step for step in run.guard.read()] == [1]


def test_the_optimizer_itself_is_left_as_it_was(kind):
    run = Run(kind)
    run.step(0, spoilt=True)
    before = run.state()
    for parameter in run.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    run.optimizer.step()
    assert not same(run.state(), before)


def test_a_network_without_running_statistics_is_guarded_too(kind):
    run = Run(kind, norm=nn.LayerNorm)
    assert run.step(0)
    before = run.state()
    assert not run.step(1, spoilt=True)
    assert same(run.state(), before)
    assert run.step(2)
    assert not same(run.state(), before)
