import pytest
import torch

from lib.models.non_local import NonLocal
from tests.plain.hgn import PlainNonLocal, randomise

NAMES = {"score": "concat_project.0", "W": "W.0", "bn": "W.1"}
"""Names of the plain layer, which are the release's, where they differ."""


def _pair(channels: int) -> tuple[NonLocal, PlainNonLocal]:
    fast, plain = NonLocal(channels).double(), PlainNonLocal(channels).double()
    randomise(fast)
    expected = plain.state_dict()
    state = {}
    for name, value in fast.state_dict().items():
        layer, rest = name.split(".")
        name = f"{NAMES.get(layer, layer)}.{rest}"
        state[name] = value.view_as(expected[name])
    plain.load_state_dict(state)
    return fast, plain


def test_two_nodes_with_the_sums_written_out():
    layer = NonLocal(2).double().eval()  # width 2, so the embedding has width 1
    with torch.no_grad():
        for linear, weight, bias in [
            (layer.theta, [[1.0, 0.0]], [0.0]),  # theta(x) = first channel
            (layer.phi, [[0.0, 1.0]], [-1.0]),  # phi(x) = second channel - 1
            (layer.g, [[1.0, 1.0]], [0.0]),  # g(x) = sum of both
            (layer.W, [[1.0], [2.0]], [0.0, 1.0]),  # W y = (y, 2 y + 1)
        ]:
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
        layer.score.weight.copy_(torch.tensor([[1.0, 2.0]]))  # theta_n + 2 phi_m
        layer.bn.weight.copy_(torch.tensor([1.0, 0.5]))
        layer.bn.bias.copy_(torch.tensor([0.0, 3.0]))
        layer.bn.running_var.fill_(1 - layer.bn.eps)
    x = torch.tensor([[2.0, 3.0], [-5.0, 1.0]], dtype=torch.float64)  # two nodes
    # theta: 2, -5    phi: 2, 0    g: 5, -4
    # f_00 = ReLU(2 + 4) / 2 = 3    f_01 = ReLU(2 + 0) / 2 = 1    f_10 = ReLU(-5 + 4) / 2 = 0    f_11 = 0
    # y_0 = 3 * 5 + 1 * (-4) = 11, y_1 = 0;  W y = (11, 23), (0, 1);  BN: (11, 14.5), (0, 3.5)
    expected = [[2 + 11, 3 + 14.5], [-5 + 0, 1 + 3.5]]
    assert layer(x[:, None])[:, 0].tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("training", [True, False])
def test_output_gradients_and_statistics_equal_the_pairwise_form(training):
    fast, plain = _pair(6)
    fast.train(training)
    plain.train(training)
    x = torch.randn(3, 9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))  # (B, N, C)
    x_fast, x_plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    y_fast, y_plain = fast(x_fast.transpose(0, 1)).transpose(0, 1), plain(x_plain)
    assert torch.allclose(y_fast, y_plain, rtol=0, atol=1e-12)
    assert (y_plain - x).abs().max() > 0.1  # the layer does something
    y_fast.square().sum().backward()
    y_plain.square().sum().backward()
    assert torch.allclose(x_fast.grad, x_plain.grad, rtol=0, atol=1e-10)
    plain_parameters = dict(plain.named_parameters())
    for name, value in fast.named_parameters():
        layer, rest = name.split(".")
        other = plain_parameters[f"{NAMES.get(layer, layer)}.{rest}"]
        assert torch.allclose(value.grad, other.grad.view_as(value), rtol=0, atol=1e-10), name
    assert torch.allclose(fast.bn.running_mean, plain.W[1].running_mean, rtol=0, atol=1e-12)
    assert torch.allclose(fast.bn.running_var, plain.W[1].running_var, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_a_new_layer_is_the_identity(training):
    x = torch.randn(5, 3, 8)
    assert torch.equal(NonLocal(8).train(training)(x), x)


def test_a_new_layer_starts_with_zero_biases_and_kaiming_spread():
    torch.manual_seed(0)
    layer = NonLocal(128)
    for linear in (layer.g, layer.theta, layer.phi, layer.W):
        assert (linear.bias == 0).all()
        assert linear.weight.std().item() == pytest.approx((2 / linear.in_features) ** 0.5, rel=0.05)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_the_derivatives(training):
    torch.manual_seed(1)
    layer = NonLocal(4).double().train(training)
    randomise(layer)
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]
    buffers = {name: value.clone() for name, value in layer.named_buffers()}

    def output(x, *parameters):
        state = dict(zip(names, parameters, strict=True)) | {k: v.clone() for k, v in buffers.items()}
        return torch.func.functional_call(layer, state, (x,))

    assert torch.autograd.gradcheck(output, (x, *layer.parameters()))


def test_samples_of_a_batch_do_not_see_each_other_when_testing():
    layer = _pair(4)[0].eval()
    x = torch.randn(6, 5, 4, dtype=torch.float64)
    together = layer(x)
    for b in range(5):
        assert torch.allclose(layer(x[:, b : b + 1]), together[:, b : b + 1], rtol=0, atol=1e-12)


def test_a_permutation_of_the_nodes_permutes_the_output():
    layer = _pair(4)[0].eval()
    x = torch.randn(6, 2, 4, dtype=torch.float64)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(layer(x[order]), layer(x)[order], rtol=0, atol=1e-12)
