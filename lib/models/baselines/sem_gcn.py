"""SemGCN: Zhao et al., "Semantic Graph Convolutional Networks for 3D Human Pose Regression", CVPR 2019."""

import torch
from torch import nn

from lib.graph.scales import GraphScale
from lib.models.hgn import Block, HGNOutput
from lib.models.non_local import NonLocal
from lib.models.sem_graph_conv import GraphConv, SemGraphConv


class SemGCN(nn.Module):
    """Graph convolutions on the skeleton, interleaved with non-local layers; no meshes.

    HGN's skeleton branch consists of the same blocks; SemGCN has a non-local layer behind the first convolution, too.
    width: channels (published: 128); depth: blocks (published: 4).
    """

    def __init__(self, skeleton: GraphScale, width: int = 128, depth: int = 4):
        super().__init__()
        self.input = nn.Sequential(GraphConv(skeleton.adjacency, 2, width), NonLocal(width))
        self.blocks = nn.Sequential(*(Block(skeleton, width) for _ in range(depth)))
        self.output = SemGraphConv(skeleton.adjacency, width, 3)

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        pose3d = self.output(self.blocks(self.input(pose2d.transpose(0, 1))))
        return HGNOutput(pose3d.transpose(0, 1), ())
