"""HGN layer by layer as published, batch-major, under the release's parameter names.

Features are (B, N, C). A released state dict loads directly: `PlainHGN(scales).load_state_dict(state)`.
"""

import torch
from torch import nn

from lib.graph.scales import GraphScale


class PlainSemGraphConv(nn.Module):
    """diag(A) (x W_0) + offdiag(A) (x W_1) + b: one product per term."""

    def __init__(self, adjacency, in_channels: int, out_channels: int):
        super().__init__()
        self.register_buffer("entries", torch.as_tensor(adjacency, dtype=torch.bool), persistent=False)
        self.W = nn.Parameter(torch.zeros(2, in_channels, out_channels))
        self.e = nn.Parameter(torch.ones(1, int(self.entries.sum())))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.xavier_uniform_(self.W, gain=1.414)
        nn.init.uniform_(self.bias, -(out_channels**-0.5), out_channels**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.full(self.entries.shape, -9e15, dtype=x.dtype, device=x.device)
        logits[self.entries] = self.e.flatten()
        A = torch.softmax(logits, dim=1)
        diagonal = torch.eye(len(A), dtype=x.dtype, device=x.device)
        return (A * diagonal) @ (x @ self.W[0]) + (A * (1 - diagonal)) @ (x @ self.W[1]) + self.bias


class PlainGraphConv(nn.Module):
    def __init__(self, adjacency, in_channels: int, out_channels: int):
        super().__init__()
        self.gconv = PlainSemGraphConv(adjacency, in_channels, out_channels)
        self.bn = nn.BatchNorm1d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels_second = self.gconv(x).transpose(1, 2)
        return torch.relu(self.bn(channels_second).transpose(1, 2))


class PlainResGraphConv(nn.Module):
    def __init__(self, adjacency, channels: int):
        super().__init__()
        self.gconv1 = PlainGraphConv(adjacency, channels, channels)
        self.gconv2 = PlainGraphConv(adjacency, channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gconv2(self.gconv1(x))


class PlainNonLocal(nn.Module):
    """Every pair of nodes concatenated: a (B, 2E, N, N) tensor, E = C / 2."""

    def __init__(self, channels: int):
        super().__init__()
        embedding = channels // 2
        self.g = nn.Conv1d(channels, embedding, 1)
        self.theta = nn.Conv1d(channels, embedding, 1)
        self.phi = nn.Conv1d(channels, embedding, 1)
        self.concat_project = nn.Sequential(nn.Conv2d(2 * embedding, 1, 1, bias=False), nn.ReLU())
        self.W = nn.Sequential(nn.Conv1d(embedding, channels, 1), nn.BatchNorm1d(channels))
        for layer in (self.g, self.theta, self.phi, self.W[0]):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.W[1].weight)
        nn.init.zeros_(self.W[1].bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)  # (B, C, N)
        nodes = x.shape[2]
        theta = self.theta(x)[:, :, :, None].expand(-1, -1, -1, nodes)  # the n of the pair (n, m)
        phi = self.phi(x)[:, :, None, :].expand(-1, -1, nodes, -1)  # the m
        f = self.concat_project(torch.cat([theta, phi], dim=1))[:, 0] / nodes  # (B, N, N)
        y = f @ self.g(x).transpose(1, 2)  # (B, N, E)
        return (x + self.W(y.transpose(1, 2))).transpose(1, 2)


class PlainGraphNonLocal(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.nonlocal1 = PlainNonLocal(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.nonlocal1(x)


class PlainNodeTransfer(nn.Module):
    """Nodes of one scale to nodes of another: a convolution that takes the nodes for its channels."""

    def __init__(self, from_nodes: int, to_nodes: int):
        super().__init__()
        self.conv = nn.Conv1d(from_nodes, to_nodes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class PlainHGN(nn.Module):
    """The released network, line for line of the published wiring; same output structure as `lib.models.hgn.HGN`."""

    def __init__(self, scales: list[GraphScale], hidden_dim: int = 128):
        super().__init__()
        self.real_nodes = [torch.as_tensor(scale.real_nodes) for scale in scales]
        graphs = {s: scale.adjacency for s, scale in enumerate(scales, start=1)}
        C = hidden_dim
        self.gconv_input = nn.Sequential(PlainGraphConv(graphs[1], 2, C))
        for s, k in [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4), (3, 3), (3, 4)]:
            block = nn.Sequential(PlainResGraphConv(graphs[s], C), PlainGraphNonLocal(C))
            self.add_module(f"gconv_layers_{s}_{k}", block)
        self.gconv_output = PlainSemGraphConv(graphs[1], C, 3)
        self.gconv_output_48 = PlainSemGraphConv(graphs[2], C, 3)
        self.gconv_output_96 = PlainSemGraphConv(graphs[3], C, 3)
        exchanges = {1: "1_2", 2: "1_2 2_1", 3: "1_2 1_3 2_1 2_3"}
        exchanges[4] = exchanges[5] = "1_2 1_3 2_1 2_3 3_1 3_2"
        for k, pairs in exchanges.items():
            for pair in pairs.split():
                a, b = map(int, pair.split("_"))
                self.add_module(f"fc_{pair}_{k}", PlainNodeTransfer(len(graphs[a]), len(graphs[b])))

    def forward(self, pose2d: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """pose2d (B, J, 2) to pose3d (B, J, 3) and the real nodes (B, R, 3) of both meshes."""
        f1 = self.gconv_input(pose2d)
        f2 = self.fc_1_2_1(f1)

        f1 = self.gconv_layers_1_1(f1)
        f2 = self.gconv_layers_2_1(f2)
        f1 = f1 + self.fc_2_1_2(f2)
        f2 = f2 + self.fc_1_2_2(f1)

        f1 = self.gconv_layers_1_2(f1)
        f2 = self.gconv_layers_2_2(f2)
        f1 = f1 + self.fc_2_1_3(f2)
        f2 = f2 + self.fc_1_2_3(f1)
        f3 = self.fc_1_3_3(f1) + self.fc_2_3_3(f2)

        f1 = self.gconv_layers_1_3(f1)
        f2 = self.gconv_layers_2_3(f2)
        f3 = self.gconv_layers_3_3(f3)
        f1 = f1 + self.fc_2_1_4(f2) + self.fc_3_1_4(f3)
        f2 = f2 + self.fc_1_2_4(f1) + self.fc_3_2_4(f3)
        f3 = f3 + self.fc_1_3_4(f1) + self.fc_2_3_4(f2)

        f1 = self.gconv_layers_1_4(f1)
        f2 = self.gconv_layers_2_4(f2)
        f3 = self.gconv_layers_3_4(f3)
        f1 = f1 + self.fc_2_1_5(f2) + self.fc_3_1_5(f3)
        f2 = f2 + self.fc_1_2_5(f1) + self.fc_3_2_5(f3)
        f3 = f3 + self.fc_1_3_5(f1) + self.fc_2_3_5(f2)

        pose3d = self.gconv_output(f1)
        coarse = self.gconv_output_48(f2)[:, self.real_nodes[1]]
        fine = self.gconv_output_96(f3)[:, self.real_nodes[2]]
        return pose3d, (coarse, fine)


def randomise(model: torch.nn.Module) -> None:
    """Every parameter and running statistic random, so that nothing is hidden behind a zero or a one."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                value.copy_(0.5 + noise if name.endswith("running_var") else noise - 0.5)
