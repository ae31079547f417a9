import numpy as np
import pytest
import torch

from lib.models.sem_graph_conv import GraphConv, ResGraphConv, SemGraphConv
from tests.plain.hgn import PlainGraphConv, PlainResGraphConv, PlainSemGraphConv

# 0 - 1 with a loop at 0; node 2 stands alone.
THREE_NODES = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)


@pytest.fixture
def mixed_graph() -> np.ndarray:
    """Seven nodes: loops at some, none at others, one without any entry, not symmetric."""
    graph = np.random.default_rng(1).random((7, 7)) < 0.35
    graph[4] = False
    graph[2] = np.arange(7) == 2
    return graph


def test_three_nodes_with_the_sums_written_out():
    layer = SemGraphConv(THREE_NODES, 1, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[10.0]], [[1.0]]]))  # W_0 = 10 for the node itself, W_1 = 1 for the others
        layer.logits.copy_(torch.tensor([0.0, np.log(3), 5.0]))  # entries in row-major order: (0,0), (0,1), (1,0)
        layer.bias.copy_(torch.tensor([0.5]))
    y = layer(torch.tensor([4.0, 8.0, 12.0], dtype=torch.float64).view(3, 1, 1)).flatten()
    # Row 0: softmax(0, log 3) = 1/4, 3/4      1/4 * 10 * 4 + 3/4 * 1 * 8                 + 0.5 = 10 + 6 + 0.5
    # Row 1: its only entry, node 0, has all   1 * 1 * 4                                  + 0.5 = 4.5
    # Row 2: no entries, 1/3 each              1/3 * 10 * 12 + 1/3 * 1 * (4 + 8)           + 0.5 = 40 + 4 + 0.5
    assert y.tolist() == pytest.approx([16.5, 4.5, 44.5], abs=1e-12)


def test_an_isolated_node_is_uniform_over_all_nodes_and_other_rows_sum_to_1_on_their_entries():
    A = SemGraphConv(THREE_NODES, 1, 1).neighbour_weights()
    assert A[2].tolist() == pytest.approx([1 / 3] * 3)
    assert A[:2].tolist() == [[0.5, 0.5, 0], [1, 0, 0]]


def test_a_new_layer_weighs_the_entries_of_a_row_equally(mixed_graph):
    layer = SemGraphConv(mixed_graph, 2, 2)
    assert (layer.logits == 1).all()
    assert len(layer.logits) == mixed_graph.sum()
    expected = mixed_graph / mixed_graph.sum(1, keepdims=True).clip(1)
    expected[4] = 1 / 7
    assert np.allclose(layer.neighbour_weights().detach(), expected, atol=1e-7)


def test_initial_spread_is_that_of_the_published_three_dimensional_fans():
    torch.manual_seed(0)
    layer = SemGraphConv(THREE_NODES, 30, 50)
    # fan_in = in * out, fan_out = 2 * out; uniform within gain * sqrt(6 / (fan_in + fan_out)).
    bound = 1.414 * (6 / (30 * 50 + 2 * 50)) ** 0.5
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert layer.bias.abs().max() <= 50**-0.5
    assert layer.bias.abs().max() > 0.8 * 50**-0.5


def test_checkpoints_hold_the_learned_values_and_nothing_else():
    assert set(SemGraphConv(THREE_NODES, 1, 1).state_dict()) == {"weight", "logits", "bias"}


def test_output_and_gradients_equal_the_plain_layer(mixed_graph):
    torch.manual_seed(2)
    fast, plain = SemGraphConv(mixed_graph, 3, 5).double(), PlainSemGraphConv(mixed_graph, 3, 5).double()
    with torch.no_grad():
        fast.logits.normal_()
        plain.W.copy_(fast.weight)
        plain.e.copy_(fast.logits[None])
        plain.bias.copy_(fast.bias)
    x = torch.randn(4, 7, 3, dtype=torch.float64)  # (B, N, C)
    x_fast, x_plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    y_fast, y_plain = fast(x_fast.transpose(0, 1)).transpose(0, 1), plain(x_plain)
    assert torch.allclose(y_fast, y_plain, rtol=0, atol=1e-12)
    direction = torch.randn_like(y_plain)
    (y_fast * direction).sum().backward()
    (y_plain * direction).sum().backward()
    for a, b in [(x_fast, x_plain), (fast.weight, plain.W), (fast.bias, plain.bias), (fast.logits, plain.e)]:
        assert torch.allclose(a.grad, b.grad.view_as(a), rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("fast_class", "plain_class"), [(GraphConv, PlainGraphConv), (ResGraphConv, PlainResGraphConv)]
)
def test_blocks_equal_the_plain_blocks_and_update_the_same_statistics(mixed_graph, fast_class, plain_class, training):
    torch.manual_seed(3)
    sizes = (4,) if fast_class is ResGraphConv else (4, 4)
    fast, plain = fast_class(mixed_graph, *sizes).double(), plain_class(mixed_graph, *sizes).double()
    with torch.no_grad():
        for a, b in zip(fast.state_dict().values(), plain.state_dict().values(), strict=True):
            if a.is_floating_point():
                a.uniform_(0.2, 1)
                b.copy_(a.view_as(b))
    fast.train(training), plain.train(training)
    x = torch.randn(6, 7, 4, dtype=torch.float64)
    assert torch.allclose(fast(x.transpose(0, 1)).transpose(0, 1), plain(x), rtol=0, atol=1e-12)
    for a, b in zip(fast.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.allclose(a, b.view_as(a), rtol=0, atol=1e-12)


def test_gradients_are_the_derivatives_and_can_be_differentiated_again():
    torch.manual_seed(4)
    layer = SemGraphConv(THREE_NODES, 2, 2).double()
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def output(x, weight, logits, bias):
        return torch.func.functional_call(layer, {"weight": weight, "logits": logits, "bias": bias}, (x,))

    inputs = x, layer.weight, layer.logits, layer.bias
    assert torch.autograd.gradcheck(output, inputs)
    assert torch.autograd.gradgradcheck(output, inputs)


def test_samples_of_a_batch_do_not_see_each_other(mixed_graph):
    layer = SemGraphConv(mixed_graph, 3, 2).double()
    x = torch.randn(7, 5, 3, dtype=torch.float64)
    together = layer(x)
    for b in range(5):
        assert torch.allclose(layer(x[:, b : b + 1]), together[:, b : b + 1], rtol=0, atol=1e-12)


def test_the_graph_given_may_change_afterwards(mixed_graph):
    layer = SemGraphConv(mixed_graph, 2, 2)
    before = layer.neighbour_weights().clone()
    mixed_graph[:] = True
    assert torch.equal(layer.neighbour_weights(), before)


def test_half_precision_stays_half_precision_also_under_autocast(mixed_graph):
    layer = SemGraphConv(mixed_graph, 3, 2).bfloat16()
    assert layer(torch.ones(7, 2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert SemGraphConv(mixed_graph, 3, 2)(torch.ones(7, 2, 3)).dtype == torch.bfloat16
