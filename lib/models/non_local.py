"""Non-local layer over graph nodes (Wang et al., CVPR 2018), concatenation form, in its additive shape."""

import torch
import torch.nn.functional as F
from torch import nn


class NonLocal(nn.Module):
    """x + BN(W y), y_n = sum_m f_nm g(x_m), f_nm = ReLU(w . [theta(x_n); phi(x_m)]) / N, for every sample alone.

    The score of the concatenated pair splits into two scalars per node, w . [theta(x_n); phi(x_m)] = a_n + b_m, so
    the (B, 2E, N, N) tensor of pairs never exists (E = C / 2 is the embedding's width). theta, phi, g and W are affine,
    w is linear; the batch normalisation starts at zero, which makes a new layer the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        embedding = channels // 2
        self.g = nn.Linear(channels, embedding)
        self.theta = nn.Linear(channels, embedding)
        self.phi = nn.Linear(channels, embedding)
        self.score = nn.Linear(2 * embedding, 1, bias=False)
        self.W = nn.Linear(embedding, channels)
        self.bn = nn.BatchNorm1d(channels)
        for layer in (self.g, self.theta, self.phi, self.W):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, C) to (N, B, C)."""
        w_theta, w_phi = self.score.weight[0].chunk(2)
        projection = torch.stack([w_theta @ self.theta.weight, w_phi @ self.phi.weight])
        offset = torch.stack([w_theta @ self.theta.bias, w_phi @ self.phi.bias])
        products = F.linear(x, projection / len(x), offset / len(x))  # (N, B, 2)
        a, b = products.permute(2, 1, 0).contiguous()  # (B, N) each, so that the scores too are contiguous per sample
        scores = F.relu(a[:, :, None] + b[:, None, :], inplace=True)
        y = torch.bmm(scores, self.g(x).transpose(0, 1)).transpose(0, 1)  # (N, B, E)
        return x + self.bn(self.W(y.flatten(0, 1))).view_as(x)
