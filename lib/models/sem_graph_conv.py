"""Semantic graph convolution (Zhao et al., CVPR 2019) and the two blocks HGN builds from it.

All layers here work node-major: features are (N, B, C), so that every product over nodes or channels is one matrix
product for the whole batch.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MASKED_LOGIT = -9e15


class SemGraphConv(nn.Module):
    """y = diag(A) x W_0 + offdiag(A) x W_1 + b with A = row softmax of learned logits on the graph's entries.

    adjacency (N, N) bool; one logit per entry, row-major. The row of a node without entries is uniform over all nodes,
    as in the release: a softmax of equally masked logits.
    """

    entries: torch.Tensor

    def __init__(self, adjacency: np.ndarray, in_channels: int, out_channels: int):
        super().__init__()
        edges = torch.as_tensor(np.asarray(adjacency, dtype=bool))
        self.weight = nn.Parameter(torch.empty(2, in_channels, out_channels))
        self.logits = nn.Parameter(torch.ones(int(edges.sum())))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.register_buffer("entries", edges.flatten().nonzero().squeeze(1), persistent=False)
        self.node_count = len(edges)
        # One 3-D tensor on purpose: its fans, and so the published initial spread, are in * out and 2 * out.
        nn.init.xavier_uniform_(self.weight, gain=1.414)
        nn.init.uniform_(self.bias, -(out_channels**-0.5), out_channels**-0.5)

    def neighbour_weights(self) -> torch.Tensor:
        """A (N, N): rows sum to 1."""
        logits = self.logits.new_full((self.node_count**2,), MASKED_LOGIT).index_put((self.entries,), self.logits)
        return F.softmax(logits.view(self.node_count, self.node_count), dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, in_channels) to (N, B, out_channels)."""
        A = self.neighbour_weights()
        diagonal = A.diagonal()
        rows = x.flatten(0, 1)
        # Each row of A sums to 1, so adding b to what is summed over the nodes adds it once.
        own, others = (torch.addmm(self.bias, rows, W).unflatten(0, x.shape[:2]).flatten(1) for W in self.weight)
        sums = (A - diagonal[:, None] * torch.eye(len(A), dtype=A.dtype, device=A.device)) @ others
        # Autocast leaves A in float32.
        return torch.addcmul(sums, own, diagonal[:, None].to(own.dtype)).view(*x.shape[:2], len(self.bias))


class GraphConv(nn.Module):
    """Graph convolution, batch normalisation over channels, ReLU: (N, B, in_channels) to (N, B, out_channels).

    conv: the class of the graph convolution, made of (adjacency, in_channels, out_channels).
    """

    def __init__(
        self, adjacency: np.ndarray, in_channels: int, out_channels: int, conv: type[nn.Module] = SemGraphConv
    ):
        super().__init__()
        self.gconv = conv(adjacency, in_channels, out_channels)
        self.bn = nn.BatchNorm1d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.gconv(x)
        return F.relu(self.bn(y.flatten(0, 1)), inplace=True).view_as(y)


class ResGraphConv(nn.Module):
    """x + GraphConv(GraphConv(x)), channels unchanged: (N, B, C) to (N, B, C)."""

    def __init__(self, adjacency: np.ndarray, channels: int, conv: type[nn.Module] = SemGraphConv):
        super().__init__()
        self.conv1 = GraphConv(adjacency, channels, channels, conv)
        self.conv2 = GraphConv(adjacency, channels, channels, conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(self.conv1(x))
