"""ModulatedGCN: Zou & Tang, "Modulated Graph Convolutional Network for 3D Human Pose Estimation", ICCV 2021."""

import numpy as np
import torch
from torch import nn

from lib.graph.scales import GraphScale
from lib.models.hgn import HGNOutput
from lib.models.modulated_graph_conv import modulated_graph_conv
from lib.models.non_local import NonLocal
from lib.models.sem_graph_conv import GraphConv, ResGraphConv


class ModulatedGCN(nn.Module):
    """Modulated graph convolutions on the skeleton in residual blocks, then one non-local layer; no meshes.

    width: channels (published: 128); depth: blocks (published: 4).
    """

    def __init__(self, skeleton: GraphScale, width: int = 128, depth: int = 4):
        super().__init__()
        graph = skeleton.adjacency
        self.input = GraphConv(graph, 2, width, conv=ModulatedGraphConv)
        self.blocks = nn.Sequential(*(ResGraphConv(graph, width, conv=ModulatedGraphConv) for _ in range(depth)))
        self.non_local = NonLocal(width)
        self.output = ModulatedGraphConv(graph, width, 3)

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        pose3d = self.output(self.non_local(self.blocks(self.input(pose2d.transpose(0, 1)))))
        return HGNOutput(pose3d.transpose(0, 1), ())


class ModulatedGraphConv(nn.Module):
    """`modulated_graph_conv` on G = D^(-1/2) A D^(-1/2) + (Q + Q^T) / 2, A the graph with its loops, D its degrees.

    adjacency (N, N) bool, symmetric, with loops. Modulation m (N, out_channels) starts at 1, the offset Q (N, N) at 0;
    weights are Xavier-uniform per matrix.
    """

    adjacency: torch.Tensor

    def __init__(self, adjacency: np.ndarray, in_channels: int, out_channels: int):
        super().__init__()
        edges = torch.as_tensor(np.asarray(adjacency, dtype=bool)).to(torch.get_default_dtype())
        scale = edges.sum(1).rsqrt()
        self.register_buffer("adjacency", scale[:, None] * edges * scale, persistent=False)
        self.weight = nn.Parameter(torch.empty(2, in_channels, out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.modulation = nn.Parameter(torch.ones(len(adjacency), out_channels))
        self.offset = nn.Parameter(torch.zeros(len(adjacency), len(adjacency)))
        for matrix in self.weight:
            nn.init.xavier_uniform_(matrix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, B, in_channels) to (N, B, out_channels)."""
        graph = self.adjacency + (self.offset + self.offset.T) / 2
        return modulated_graph_conv(x, graph, self.weight, self.bias, self.modulation)
