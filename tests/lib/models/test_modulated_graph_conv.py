import torch

from lib.models.hgn import HGN
from lib.models.modulated_graph_conv import ModulatedSemGraphConv, modulated_graph_conv
from lib.models.sem_graph_conv import SemGraphConv
from tests.plain.hgn import randomise

WIDTH = 4


def modulated_and_published(scales, dtype=torch.float32) -> list[HGN]:
    networks = []
    for conv in (ModulatedSemGraphConv, SemGraphConv):
        torch.manual_seed(0)
        networks.append(HGN(scales, WIDTH, conv=conv).to(dtype))
    return networks


def loss(network, pose2d) -> torch.Tensor:
    output = network(pose2d)
    return sum((part**3).sum() for part in (output.pose3d, *output.meshes))


def test_three_nodes_with_the_sums_written_out():
    # One channel in, two out. x W_0 + b = (x + 0.5, 10 x), x W_1 + b = (2 x + 0.5, -x); x = 1, 2, 3 at nodes 0, 1, 2.
    x = torch.tensor([[[1.0]], [[2.0]], [[3.0]]])
    weight, bias = torch.tensor([[[1.0, 10.0]], [[2.0, -1.0]]]), torch.tensor([0.5, 0.0])
    graph = torch.tensor([[0.5, 0.25, 0.0], [1.0, 2.0, -1.0], [0.0, 0.0, 1.0]])
    modulation = torch.tensor([[1.0, 2.0], [3.0, 1.0], [10.0, 0.0]])
    y = modulated_graph_conv(x, graph, weight, bias, modulation)
    assert y.tolist() == [
        # node 0: 0.5 m_0 (own of 0)               + 0.25 m_1 (others of 1)
        [[0.5 * 1 * 1.5 + 0.25 * 3 * 4.5, 0.5 * 2 * 10 + 0.25 * 1 * -2]],
        # node 1: 1 m_0 (others of 0) + 2 m_1 (own of 1) - 1 m_2 (others of 2)
        [[1 * 1 * 2.5 + 2 * 3 * 2.5 - 1 * 10 * 6.5, 1 * 2 * -1 + 2 * 1 * 20 - 1 * 0 * -3]],
        # node 2: itself alone
        [[1 * 10 * 3.5, 1 * 0 * 30]],
    ]


def test_the_offset_is_added_to_the_neighbour_weights_of_all_pairs(small_scales):
    layer = ModulatedSemGraphConv(small_scales[1].adjacency, 2, 3).double()
    randomise(layer)
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    graph = layer.neighbour_weights() + layer.offset
    assert (graph[torch.as_tensor(~small_scales[1].adjacency)] != 0).all()
    expected = modulated_graph_conv(x, graph, layer.weight, layer.bias, layer.modulation)
    assert torch.equal(layer(x), expected)


def test_a_new_modulated_network_is_the_published_one_bit_for_bit(small_scales):
    modulated, published = modulated_and_published(small_scales)
    pose2d = torch.rand(3, 5, 2)
    outputs = [network(pose2d) for network in (modulated, published)]
    assert torch.equal(outputs[0].pose3d, outputs[1].pose3d)
    assert all(map(torch.equal, *(output.meshes for output in outputs)))
    for network in (modulated, published):
        loss(network, pose2d).backward()
    of_published = dict(published.named_parameters())
    of_modulated = dict(modulated.named_parameters())
    assert len(of_modulated) > len(of_published)
    for name, parameter in of_published.items():
        assert torch.equal(of_modulated[name].grad, parameter.grad), name


def test_modulation_and_offsets_of_every_layer_are_learned(small_scales):
    network, _ = modulated_and_published(small_scales)
    loss(network, torch.rand(3, 5, 2)).backward()
    learned = [p for name, p in network.named_parameters() if name.endswith(("modulation", "offset"))]
    layers = 1 + 2 * (2 + 2 + 3 + 3) + 3  # input, two per block, outputs
    assert len(learned) == 2 * layers
    assert all(p.grad.abs().max() > 0 for p in learned)


def test_gradients_are_the_derivatives():
    torch.manual_seed(1)
    shapes = ((3, 2, 2), (3, 3), (2, 2, 2), (2,), (3, 2))
    arguments = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(modulated_graph_conv, arguments)
