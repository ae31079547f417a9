"""A plain pre-norm transformer over the joints (Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020)."""

import torch
from torch import nn

from lib.models.hgn import HGNOutput


class Transformer(nn.Module):
    """Each joint is a token: its 2D position, linearly, plus a learned vector of the joint. No meshes.

    width: channels, a multiple of HEADS; depth: layers, with feed-forward parts of 2 width and without dropout.
    """

    HEADS = 8

    def __init__(self, joint_count: int, width: int = 128, depth: int = 6):
        super().__init__()
        self.embedding = nn.Linear(2, width)
        self.joints = nn.Parameter(0.02 * torch.randn(joint_count, width))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, self.HEADS, 2 * width, dropout=0, activation="gelu", batch_first=True, norm_first=True
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 3)

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        return HGNOutput(self.output(self.norm(self.layers(self.embedding(pose2d) + self.joints))), ())
