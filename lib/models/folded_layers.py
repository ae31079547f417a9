"""The layers of a folded network (`lib.models.folded`): graph convolutions and layers over all nodes, batch-major.

Each is made of a layer in float64 and evaluation mode and maps (B, N, C) to (B, N, C).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from lib.models.attention import SoftmaxAttention
from lib.models.modulated_graph_conv import ModulatedSemGraphConv
from lib.models.non_local import NonLocal
from lib.models.sem_graph_conv import GraphConv, SemGraphConv


def fold_conv(layer: GraphConv) -> nn.Module:
    """GraphConv, published or modulated."""
    modulated = type(layer.gconv) is ModulatedSemGraphConv
    return FoldedModulatedConv(layer) if modulated else FoldedConv(layer)


def fold_attention(layer: nn.Module, node_count: int, projection: torch.Tensor | None = None) -> nn.Module:
    """NonLocal or SoftmaxAttention on a graph of node_count nodes, without its shift (`attention_shift`).

    With a projection (C, P): to (B, N, P), the layer's output times the projection.
    """
    if isinstance(layer, SoftmaxAttention):
        return FoldedSoftmaxAttention(layer, node_count, projection)
    return FoldedNonLocal(cast(NonLocal, layer), node_count, projection)


class FoldedConv(nn.Module):
    """Published GraphConv."""

    own: torch.Tensor
    others: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, layer: GraphConv):
        super().__init__()
        gconv, (scale, shift) = cast(SemGraphConv, layer.gconv), batch_norm_map(layer.bn)
        own, others = split_diagonal(gconv.neighbour_weights())
        self.register_buffer("own", own[:, None])
        self.register_buffer("others", others[None])
        self.register_buffer("weight", (gconv.weight * scale).flatten(0, 1).T.clone())
        self.register_buffer("bias", gconv.bias * scale + shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([x * self.own, self.others @ x], dim=2)
        return F.linear(both, self.weight, self.bias).relu_()


class FoldedModulatedConv(nn.Module):
    """GraphConv with modulated weights: each node's own product and the one for its neighbours, scaled, then summed."""

    weight: torch.Tensor
    scale: torch.Tensor
    sums: torch.Tensor
    constant: torch.Tensor

    def __init__(self, layer: GraphConv):
        super().__init__()
        gconv, (scale, _) = cast(ModulatedSemGraphConv, layer.gconv), batch_norm_map(layer.bn)
        self.register_buffer("weight", torch.cat(tuple(gconv.weight * scale), 1).T.clone())  # (2 C, C)
        self.register_buffer("scale", gconv.modulation.repeat_interleave(2, 0))  # rows 2 n and 2 n + 1: both of node n
        self.register_buffer("sums", neighbour_sums(gconv)[None])
        nothing = gconv(gconv.weight.new_zeros(len(gconv.modulation), 1, gconv.weight.shape[1]))[:, 0]
        self.register_buffer("constant", layer.bn(nothing))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = F.linear(x, self.weight).reshape(-1, *self.scale.shape) * self.scale  # (B, 2 N, C)
        return (self.sums @ both + self.constant).relu_()


class FoldedNonLocal(nn.Module):
    """NonLocal: its pair scores are a_n + b_m with both projections precomputed; 1 / N is in the values."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, layer: NonLocal, node_count: int, projection: torch.Tensor | None = None):
        super().__init__()
        W = layer.W.weight.T * batch_norm_map(layer.bn)[0]
        value, value_bias = layer.g.weight.T @ W / node_count, layer.g.bias @ W / node_count
        halves = layer.score.weight[0].chunk(2)
        score = torch.stack([w @ part.weight for w, part in zip(halves, (layer.theta, layer.phi), strict=True)], 1)
        score_bias = torch.stack([w @ part.bias for w, part in zip(halves, (layer.theta, layer.phi), strict=True)])
        parts = [(value, value_bias), (score, score_bias)]
        if projection is not None:
            none = torch.zeros_like(projection[0])
            parts = [(projection, none), (value @ projection, value_bias @ projection), (score, score_bias)]
        self.widths = [weight.shape[1] for weight, _ in parts[:-1]] + [1, 1]
        self.register_buffer("weight", torch.cat([weight for weight, _ in parts], 1).T.clone())
        self.register_buffer("bias", torch.cat([bias for _, bias in parts]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *own, values, a, b = F.linear(x, self.weight, self.bias).split(self.widths, dim=2)
        scores = (a + b.transpose(1, 2)).relu_()  # (B, N, N)
        return (own[0] if own else x) + scores @ values


class FoldedSoftmaxAttention(nn.Module):
    """SoftmaxAttention: the scale is in the queries, the output's batch normalisation in its weights."""

    weight: torch.Tensor
    bias: torch.Tensor
    output: torch.Tensor

    def __init__(self, layer: SoftmaxAttention, node_count: int, projection: torch.Tensor | None = None):
        super().__init__()
        weight, bias = layer.project.weight.T.clone(), layer.project.bias.clone()
        output = layer.W.weight.T * batch_norm_map(layer.bn)[0]  # (E, C)
        E = len(output)
        depth = E // layer.HEADS
        weight[:, :E] *= depth**-0.5
        bias[:E] *= depth**-0.5
        self.widths = [3 * E]
        if projection is not None:
            weight, bias = torch.cat([weight, projection], 1), torch.cat([bias, torch.zeros_like(projection[0])])
            output = output @ projection
            self.widths.append(projection.shape[1])
        self.heads, self.merged = (node_count, 3, layer.HEADS, depth), (node_count, E)
        self.register_buffer("weight", weight.T.clone())
        self.register_buffer("bias", bias)
        self.register_buffer("output", output.T.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads, *own = F.linear(x, self.weight, self.bias).split(self.widths, dim=2)
        queries, keys, values = heads.reshape(-1, *self.heads).permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, N, d) each
        y = (queries @ keys.transpose(2, 3)).softmax(-1) @ values
        return (own[0] if own else x) + F.linear(y.transpose(1, 2).reshape(-1, *self.merged), self.output)


def attention_shift(layer: nn.Module) -> torch.Tensor:
    """(C,): what NonLocal or SoftmaxAttention adds to all nodes alike."""
    layer = cast(NonLocal, layer)  # both end in W and bn
    scale, shift = batch_norm_map(layer.bn)
    return layer.W.bias * scale + shift


def batch_norm_map(bn: nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch normalisation in evaluation mode as x * scale + shift, both (C,)."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale, bn.bias - bn.running_mean * scale


def split_diagonal(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, N) to its diagonal (N,) and the rest (N, N)."""
    diagonal = matrix.diagonal().clone()
    return diagonal, matrix - torch.diag(diagonal)


def neighbour_sums(layer: SemGraphConv) -> torch.Tensor:
    """(N, 2 N): from what nodes make for themselves (columns 2 n) and for others (2 n + 1) to the sums at each node."""
    graph = layer.neighbour_weights()
    if isinstance(layer, ModulatedSemGraphConv):
        graph = graph + layer.offset
    own, others = split_diagonal(graph)
    return torch.stack([torch.diag(own), others], 2).flatten(1)
