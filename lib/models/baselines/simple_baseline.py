"""The fully connected network of Martinez et al., "A simple yet effective baseline for 3D human pose estimation", ICCV 2017."""

import torch
import torch.nn.functional as F
from torch import nn

from lib.models.hgn import HGNOutput


class SimpleBaseline(nn.Module):
    """All joints as one vector; residual blocks of two layers each; no meshes.

    joint_count: J of input and output; width: units of a layer (published: 1024); depth: blocks (published: 2).
    """

    def __init__(self, joint_count: int, width: int = 1024, depth: int = 2):
        super().__init__()
        self.input = Layer(2 * joint_count, width)
        self.blocks = nn.ModuleList(nn.Sequential(Layer(width, width), Layer(width, width)) for _ in range(depth))
        self.output = nn.Linear(width, 3 * joint_count)

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        x = self.input(pose2d.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return HGNOutput(self.output(x).unflatten(1, (-1, 3)), ())


class Layer(nn.Module):
    """Linear with Kaiming-normal weights, batch normalisation, ReLU, dropout: (B, in_units) to (B, out_units)."""

    DROPOUT = 0.5

    def __init__(self, in_units: int, out_units: int):
        super().__init__()
        self.linear = nn.Linear(in_units, out_units)
        self.bn = nn.BatchNorm1d(out_units)
        nn.init.kaiming_normal_(self.linear.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(F.relu(self._normalised(self.linear(x))), self.DROPOUT, self.training)

    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        """A lone sample, as an epoch's last batch may be, has no variance: it is normalised by the running statistics."""
        bn = self.bn
        if (
            bn.training and len(x) == 1 and type(bn) is nn.BatchNorm1d
        ):  # not where it takes its statistics over all ranks
            return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)
        return bn(x)
