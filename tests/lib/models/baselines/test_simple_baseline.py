import pytest
import torch

from lib.models.baselines.simple_baseline import Layer, SimpleBaseline


def test_one_joint_and_one_unit_with_the_sums_written_out():
    network = SimpleBaseline(joint_count=1, width=1, depth=1).double().eval()
    with torch.no_grad():
        for layer, weight, bias in zip(
            (network.input, *network.blocks[0]), (2.0, 3.0, -1.0), (1.0, 0.0, 50.0), strict=True
        ):
            layer.linear.weight.fill_(weight)
            layer.linear.bias.fill_(bias)
            layer.bn.eps = 0.0  # a new normalisation in evaluation mode changes nothing then
        network.output.weight.copy_(torch.tensor([[1.0], [10.0], [0.0]]))
        network.output.bias.copy_(torch.tensor([0.0, 0.0, 7.0]))
    # input: 2 * 3 + 2 * 4 + 1 = 15; block: 15 + (50 - 3 * 15) = 20
    assert network(torch.tensor([[[3.0, 4.0]]], dtype=torch.float64)).pose3d.tolist() == [[[20, 200, 7]]]
    # input: -2 * 9 + 1 < 0, so 0; block: 0 + 50
    assert network(torch.tensor([[[-9.0, 0.0]]], dtype=torch.float64)).pose3d.tolist() == [[[50, 500, 7]]]


def test_the_published_size_has_4_3_million_parameters():
    assert sum(p.numel() for p in SimpleBaseline(17).parameters()) == 4_296_755


def test_half_of_the_units_are_dropped_in_training_alone():
    torch.manual_seed(0)
    layer, x = Layer(2, 4000), torch.randn(6, 2)
    with torch.no_grad():
        layer.bn.bias.fill_(10.0)  # so that no unit is zero but by dropout
    assert (layer(x) == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (layer.eval()(x) != 0).all()


def test_a_last_batch_of_one_sample_trains_and_leaves_the_running_statistics():
    network = SimpleBaseline(5, 8)
    network(torch.randn(4, 5, 2))
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(1, 5, 2)).pose3d.sum().backward()
    assert network.input.linear.weight.grad.isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
