"""HGN: hierarchical graph networks for 3D human pose estimation (BMVC 2021, arXiv 2111.11927).

Three graph networks side by side, one per scale (skeleton, coarse mesh, fine mesh). After every stage each scale
receives the features of the others through learned node transfers:

    pose2d - conv - F - stage 1 - F - stage 2 - F - stage 3 - F - stage 4 - F - out   skeleton
                     \\- stage 1 - F - stage 2 - F - stage 3 - F - stage 4 - F - out   coarse mesh
                                                \\- stage 3 - F - stage 4 - F - out   fine mesh
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from lib.graph.scales import GraphScale
from lib.models.non_local import NonLocal
from lib.models.sem_graph_conv import GraphConv, ResGraphConv, SemGraphConv

STAGES = 4
"""Stages of the published network."""


class HGNOutput(NamedTuple):
    """pose3d (B, J, 3), metres, camera axes, root-relative; meshes (B, R, 3) per mesh scale, real nodes, same space.

    Networks without meshes have the same output with `meshes` empty.
    """

    pose3d: torch.Tensor
    meshes: tuple[torch.Tensor, ...]


class HGN(nn.Module):
    """The whole network on the given graphs.

    scales: [skeleton, coarse mesh, fine mesh], or without the last or both (O1); hidden_dim: channels C of all features;
    fusion: "released" updates one scale after the other, "parallel" all at once (docs/architecture.md, deviation 1);
    stages: their number (O4); conv, attention: classes of the graph convolution (adjacency, in, out) and of the layer over all
    nodes (channels) where they are not the published ones (docs/architecture.md, O2 and O3).
    """

    def __init__(
        self,
        scales: list[GraphScale],
        hidden_dim: int = 128,
        fusion: str = "released",
        stages: int = STAGES,
        conv: type[SemGraphConv] = SemGraphConv,
        attention: type[nn.Module] = NonLocal,
    ):
        super().__init__()
        skeleton, sizes = scales[0], [len(scale) for scale in scales]
        counts = scales_per_stage(stages, len(scales))
        self.input_conv = GraphConv(skeleton.adjacency, 2, hidden_dim, conv)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(scale, hidden_dim, conv, attention) for scale in scales[:count]) for count in counts
        )
        self.fusions = nn.ModuleList(
            Fusion(sizes[:before], sizes[:after], sequential=fusion == "released")
            for before, after in pairwise((1, *counts, counts[-1]))
        )
        self.outputs = nn.ModuleList(conv(scale.adjacency, hidden_dim, 3) for scale in scales)
        for index, scale in enumerate(scales):
            self.register_buffer(f"real_nodes_{index}", torch.as_tensor(scale.real_nodes), persistent=False)

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        features = [self.input_conv(pose2d.transpose(0, 1))]
        for fusion, stage in zip(self.fusions, self.stages, strict=False):
            features = fusion(features)
            # torch types the entries of a ModuleList as Module, these are ModuleLists
            features = [block(x) for block, x in zip(stage, features, strict=True)]  # type: ignore[call-overload]
        features = self.fusions[-1](features)
        pose3d, *meshes = (
            output(x).index_select(0, getattr(self, f"real_nodes_{index}")).transpose(0, 1)
            for index, (output, x) in enumerate(zip(self.outputs, features, strict=True))
        )
        return HGNOutput(pose3d, tuple(meshes))


def scales_per_stage(stages: int, scales: int) -> list[int]:
    """How many of the scales take part in each stage: the skeleton and the coarse mesh in all, the fine mesh from the
    middle on. Before the first stage there is only the skeleton. Published: 2, 2, 3, 3."""
    return [min(scales, 3 if stage >= stages // 2 else 2) for stage in range(stages)]


class Block(nn.Module):
    """One scale's part of a stage: ResGraphConv, then NonLocal; (N, B, C) to (N, B, C)."""

    def __init__(
        self,
        scale: GraphScale,
        channels: int,
        conv: type[SemGraphConv] = SemGraphConv,
        attention: type[nn.Module] = NonLocal,
    ):
        super().__init__()
        self.res = ResGraphConv(scale.adjacency, channels, conv)
        self.non_local = attention(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.non_local(self.res(x))


class NodeTransfer(nn.Linear):
    """A learned map from the nodes of one scale to those of another: weight (N_to, N_from), a bias per node."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N_from, B, C) to (N_to, B, C)."""
        return torch.addmm(self.bias[:, None], self.weight, x.flatten(1)).view(
            self.out_features, x.shape[1], x.shape[2]
        )


class Fusion(nn.Module):
    """Exchange of features between scales, f_t <- f_t + sum over s != t of T_st(f_s); a new scale starts from the sum.

    source_sizes, target_sizes: node counts of the scales before and after, the former a prefix of the latter.
    sequential: targets are updated in order and later ones read the updated features, as the release does; otherwise
    all read the features as they came in, as in the paper's figure. Inputs are never changed in place.
    """

    def __init__(self, source_sizes: list[int], target_sizes: list[int], sequential: bool):
        super().__init__()
        self.target_count = len(target_sizes)
        self.sequential = sequential
        self.transfers = nn.ModuleDict(
            {
                f"{s}_{t}": NodeTransfer(source_size, target_size)
                for t, target_size in enumerate(target_sizes)
                for s, source_size in enumerate(source_sizes)
                if s != t
            }
        )

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """A list of (N_s, B, C) to a list of (N_t, B, C)."""
        current = list(features)
        fused = []
        for t in range(self.target_count):
            parts = [current[t]] if t < len(features) else []
            parts += [self.transfers[f"{s}_{t}"](current[s]) for s in range(len(features)) if s != t]
            fused.append(sum(parts[1:], start=parts[0]))
            if self.sequential and t < len(features):
                current[t] = fused[t]
        return fused
