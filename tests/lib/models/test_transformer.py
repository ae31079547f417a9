import pytest
import torch
import torch.nn.functional as F

from lib.models.transformer import Transformer


@pytest.fixture
def network() -> Transformer:
    torch.manual_seed(0)
    return Transformer(5, width=8, depth=2).double()


def plain_layer(layer, x: torch.Tensor) -> torch.Tensor:
    """x + attention(norm(x)), then x + feed-forward(norm(x)): x (J, C) of one sample, heads of one channel."""
    q, k, v = (layer.norm1(x) @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).chunk(3, dim=1)
    heads = [torch.softmax(torch.outer(q[:, h], k[:, h]), dim=1) @ v[:, h] for h in range(8)]
    x = x + layer.self_attn.out_proj(torch.stack(heads, 1))
    return x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))


@pytest.mark.parametrize("training", [True, False])
def test_it_is_two_pre_norm_layers_between_two_linear_maps(network, training):
    network.train(training)
    pose2d = torch.rand(3, 5, 2, dtype=torch.float64)
    with torch.no_grad():
        for sample, pose3d in zip(pose2d, network(pose2d).pose3d, strict=True):
            x = network.embedding(sample) + network.joints
            for layer in network.layers:
                x = plain_layer(layer, x)
            assert torch.allclose(pose3d, network.output(network.norm(x)), rtol=0, atol=1e-12)


def test_only_its_learned_vector_tells_a_joint_from_another(network):
    order, pose2d = torch.tensor([3, 0, 4, 1, 2]), torch.rand(2, 5, 2, dtype=torch.float64)
    assert not torch.allclose(network(pose2d[:, order]).pose3d, network(pose2d).pose3d[:, order])
    with torch.no_grad():
        network.joints.zero_()
    assert torch.allclose(network(pose2d[:, order]).pose3d, network(pose2d).pose3d[:, order], rtol=0, atol=1e-12)


def test_layers_start_from_different_weights(network):
    first, second = network.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_six_layers_of_128_channels_have_0_8_million_parameters():
    assert sum(p.numel() for p in Transformer(17).parameters()) == 798_083
