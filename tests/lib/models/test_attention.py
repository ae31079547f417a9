import pytest
import torch

from lib.models.attention import SoftmaxAttention
from lib.models.non_local import NonLocal
from tests.plain.hgn import randomise


@pytest.fixture
def layer() -> SoftmaxAttention:
    layer = SoftmaxAttention(16).double().eval()
    randomise(layer)
    return layer


def plain(layer: SoftmaxAttention, x: torch.Tensor) -> torch.Tensor:
    """Head by head and sample by sample: x (N, B, C)."""
    d = 16 // 2 // layer.HEADS
    weights, biases = (p.split(8) for p in (layer.project.weight, layer.project.bias))  # of q, k, v
    samples = []
    for sample in x.unbind(1):
        q, k, v = (sample @ w.T + b for w, b in zip(weights, biases, strict=True))
        heads = []
        for h in range(layer.HEADS):
            part = slice(h * d, (h + 1) * d)
            heads.append(torch.softmax(q[:, part] @ k[:, part].T / d**0.5, dim=1) @ v[:, part])
        samples.append(sample + layer.bn(layer.W(torch.cat(heads, 1))))
    return torch.stack(samples, 1)


def test_it_is_the_softmax_attention_of_several_heads_for_every_sample_alone(layer):
    x = torch.randn(5, 3, 16, dtype=torch.float64)
    assert torch.allclose(layer(x), plain(layer, x), rtol=0, atol=1e-12)


def test_a_new_layer_is_the_identity():
    x = torch.randn(5, 3, 16)
    assert torch.equal(SoftmaxAttention(16)(x), x)


def test_it_has_about_the_parameters_of_the_layer_whose_place_it_takes():
    counts = [sum(p.numel() for p in kind(128).parameters()) for kind in (SoftmaxAttention, NonLocal)]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)


def test_a_rank_without_samples_gets_none():
    assert SoftmaxAttention(16).eval()(torch.zeros(5, 0, 16)).shape == (5, 0, 16)
