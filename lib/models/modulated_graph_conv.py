"""Graph convolution with modulated weights and a modulated graph (Zou & Tang, "Modulated Graph Convolutional Network for
3D Human Pose Estimation", ICCV 2021): every node has its own weights, at the price of one vector per node."""

import numpy as np
import torch
from torch import nn

from lib.models.sem_graph_conv import SemGraphConv


def modulated_graph_conv(
    x: torch.Tensor, graph: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, modulation: torch.Tensor
) -> torch.Tensor:
    """y_i = G_ii m_i * (x_i W_0 + b) + sum over j != i of G_ij m_j * (x_j W_1 + b); * multiplies channel by channel.

    x (N, B, in_channels), graph G (N, N), weight (2, in_channels, out_channels), bias b (out_channels,), modulation m
    (N, out_channels): to (N, B, out_channels). The bias is part of what is modulated and summed.
    """
    rows, diagonal = x.flatten(0, 1), graph.diagonal()
    own, others = (torch.addmm(bias, rows, W).unflatten(0, x.shape[:2]) for W in weight)
    own, others = ((y * modulation[:, None].to(y.dtype)).flatten(1) for y in (own, others))
    sums = (graph - diagonal[:, None] * torch.eye(len(graph), dtype=graph.dtype, device=graph.device)) @ others
    return torch.addcmul(sums, own, diagonal[:, None].to(own.dtype)).view(*x.shape[:2], len(bias))


class ModulatedSemGraphConv(SemGraphConv):
    """SemGraphConv with modulation m (N, out_channels) and an offset Q (N, N) of all pairs of nodes: the graph is A + Q.

    It starts with m = 1 and Q = 0, where it is the published layer (docs/architecture.md, O2).
    """

    def __init__(self, adjacency: np.ndarray, in_channels: int, out_channels: int):
        super().__init__(adjacency, in_channels, out_channels)
        self.modulation = nn.Parameter(torch.ones(self.node_count, out_channels))
        self.offset = nn.Parameter(torch.zeros(self.node_count, self.node_count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, in_channels) to (N, B, out_channels)."""
        graph = self.neighbour_weights() + self.offset
        return modulated_graph_conv(x, graph, self.weight, self.bias, self.modulation)
