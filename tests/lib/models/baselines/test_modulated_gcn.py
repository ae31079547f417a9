import numpy as np
import torch

from lib.graph.adjacency import skeleton_adjacency
from lib.graph.scales import GraphScale
from lib.joints import HUMAN36M_17
from lib.models.baselines.modulated_gcn import ModulatedGCN, ModulatedGraphConv
from tests.plain.hgn import randomise

PATH = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)


def test_three_nodes_with_the_sums_written_out():
    layer = ModulatedGraphConv(PATH, 1, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0]], [[10.0]]]))  # own value once, neighbours' ten times
        layer.bias.fill_(0.0)
        layer.modulation.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        layer.offset.copy_(torch.tensor([[0.0, 0.0, 0.4], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    y = layer(torch.tensor([[[1.0]], [[1.0]], [[1.0]]], dtype=torch.float64)).flatten()
    # Degrees 2, 3, 2: 1/2 and 1/3 on the diagonal, 1/sqrt(6) between neighbours. The offset of nodes 0 and 2, who are
    # none, is shared by both directions: 0.2.
    edge = 6**-0.5
    expected = [
        1 / 2 * 1 * 1 + edge * 2 * 10 + 0.2 * 3 * 10,
        (1 / 3 + 1) * 2 * 1 + edge * (1 + 3) * 10,
        1 / 2 * 3 * 1 + edge * 2 * 10 + 0.2 * 1 * 10,
    ]
    assert torch.allclose(y, torch.tensor(expected, dtype=torch.float64), rtol=1e-7)  # the graph was made in float32


def test_without_modulation_it_starts_as_a_graph_convolution_on_the_normalised_graph():
    layer = ModulatedGraphConv(PATH, 2, 3)
    assert (layer.modulation == 1).all()
    assert (layer.offset == 0).all()
    scale = np.diag(PATH.sum(1) ** -0.5)
    np.testing.assert_allclose(layer.adjacency, scale @ PATH @ scale, rtol=1e-6)


def test_all_parameters_are_learned(small_scales):
    network = ModulatedGCN(small_scales[0], 4).double()
    randomise(network)
    (network(torch.rand(3, 5, 2, dtype=torch.float64)).pose3d ** 3).sum().backward()
    assert all(p.grad.abs().max() > 0 for name, p in network.named_parameters() if "gconv.bias" not in name)


def test_the_published_size_has_0_32_million_parameters():
    skeleton = GraphScale(skeleton_adjacency(17, HUMAN36M_17.bones), np.arange(17))
    assert sum(p.numel() for p in ModulatedGCN(skeleton).parameters()) == 322_880
