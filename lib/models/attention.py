"""Softmax attention over graph nodes (Vaswani et al., NeurIPS 2017) in the place of the non-local layer (O3)."""

import torch
from torch import nn


class SoftmaxAttention(nn.Module):
    """x + BN(W y), y = softmax(q k^T / sqrt(d)) v in HEADS heads side by side, for every sample alone.

    Queries, keys and values have C / 2 channels together and the batch normalisation starts at zero, as in `NonLocal`: a
    new layer is the identity, and both have about as many parameters. C is a multiple of 2 HEADS.
    """

    HEADS = 4

    def __init__(self, channels: int):
        super().__init__()
        embedding = channels // 2
        self.project = nn.Linear(channels, 3 * embedding)
        self.W = nn.Linear(embedding, channels)
        self.bn = nn.BatchNorm1d(channels)
        nn.init.zeros_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, C) to (N, B, C)."""
        heads = self.project(x).unflatten(-1, (3, self.HEADS, -1))  # (N, B, 3, H, d)
        queries, keys, values = heads.permute(2, 1, 3, 0, 4)  # (B, H, N, d) each
        # Written out: on CPUs the backward pass of torch's fused attention is many times slower in bfloat16.
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(2, 3)
        y = scores.softmax(-1) @ values
        y = self.W(y.permute(2, 0, 1, 3).flatten(2).flatten(0, 1))
        return x + self.bn(y).view_as(x)
