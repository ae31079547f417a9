import copy

import pytest
import torch

from lib.models.attention import SoftmaxAttention
from lib.models.folded import fold
from lib.models.hgn import HGN
from lib.models.modulated_graph_conv import ModulatedSemGraphConv
from tests.plain.hgn import randomise


def _outputs(model, pose2d):
    with torch.inference_mode():
        output = model(pose2d)
    return output.pose3d, *output.meshes


def _poses(batch: int, dtype=torch.float64) -> torch.Tensor:
    return torch.rand(batch, 5, 2, dtype=dtype, generator=torch.Generator().manual_seed(batch)) * 2 - 1


def _largest_difference(a, b) -> float:
    return max(float((x - y).abs().max() / y.abs().max()) for x, y in zip(a, b, strict=True))


LAYERS = {
    "released": {},
    "parallel": {"fusion": "parallel"},
    "modulated": {"conv": ModulatedSemGraphConv},
    "softmax": {"attention": SoftmaxAttention},
    "both": {"conv": ModulatedSemGraphConv, "attention": SoftmaxAttention},
}


@pytest.fixture(params=LAYERS)
def network(request, small_scales) -> HGN:
    """Nothing at its starting value, so that no term is hidden behind a zero or a one."""
    model = HGN(small_scales, hidden_dim=8, **LAYERS[request.param]).double()
    randomise(model)
    return model.eval()


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_folding_changes_nothing(network, batch):
    pose2d = _poses(batch)
    assert _largest_difference(_outputs(fold(network), pose2d), _outputs(network, pose2d)) < 1e-11


def test_samples_of_a_batch_do_not_touch_each_other(network):
    pose2d, folded = _poses(7), fold(network)
    together = _outputs(folded, pose2d)
    alone = [_outputs(folded, pose2d[i : i + 1]) for i in range(7)]
    assert _largest_difference([torch.cat(parts) for parts in zip(*alone, strict=True)], together) < 1e-11


def test_input_and_network_stay_as_they_were_and_a_second_call_says_the_same(network):
    pose2d, before = _poses(3), copy.deepcopy(network.state_dict())
    folded, given = fold(network), pose2d.clone()
    first, second = _outputs(folded, pose2d), _outputs(folded, pose2d)
    assert torch.equal(pose2d, given)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_folded_copy_keeps_the_weights_it_was_made_of(network):
    pose2d, folded = _poses(2), fold(network)
    wanted = _outputs(network, pose2d)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert _largest_difference(_outputs(folded, pose2d), wanted) < 1e-11


def test_a_network_in_training_is_folded_as_it_tests(network):
    pose2d = _poses(4)
    wanted = _outputs(network, pose2d)
    network.train()
    folded = fold(network)
    assert network.training
    assert _largest_difference(_outputs(folded, pose2d), wanted) < 1e-11


def test_single_precision_costs_no_more_than_rounding(network):
    pose2d = _poses(5)
    folded = fold(network.float())
    assert {value.dtype for value in folded.state_dict().values()} == {torch.float32}
    single = [x.double() for x in _outputs(folded, pose2d.float())]
    assert _largest_difference(single, _outputs(network.double(), pose2d)) < 1e-5


def test_nothing_is_left_to_train(network):
    folded = fold(network)
    assert list(folded.parameters()) == []
    assert not folded.training
