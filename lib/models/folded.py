"""The same function as a trained HGN, with less work: for prediction, export and speed.

Everything here is exact algebra on constants, done once in float64 when the network is folded:

- batch normalisation goes into the product before it, and the graphs' softmax is taken once;
- NonLocal's pair scores are a_n + b_m with both projections precomputed, its two affine maps become one,
  W (sum_m f_nm g(x_m)) = sum_m f_nm (W g)(x_m), and 1/N moves into it; values and projections are one product;
- the input convolution is one product from all joints' coordinates to all joints' features;
- behind the last ReLUs of the blocks only the scores between nodes are not linear, so features are projected there to the
  6 numbers per node that each output convolution makes of them, and the last layers over all nodes, the last fusion and the
  output convolutions work on those instead of on C channels.

Features are batch-major here, (B, N, C): a product over channels is one matrix product for all nodes of all samples,
a product over nodes is one batched product. The forward passes are written in operations that mean the same in ONNX, with
no size of the batch in them, so that they can be traced, by `lib.models.onnx_network` and by `lib.lifting.export`.
"""

import copy
from typing import cast

import torch
from torch import nn

from lib.models.folded_layers import attention_shift, fold_attention, fold_conv, neighbour_sums
from lib.models.hgn import HGN, Block, Fusion, HGNOutput, NodeTransfer
from lib.models.modulated_graph_conv import ModulatedSemGraphConv
from lib.models.sem_graph_conv import GraphConv, SemGraphConv

NUMBERS = 6
"""Per node what an output convolution makes of its features: 3 coordinates by each of its 2 weights."""


@torch.no_grad()
def fold(model: HGN) -> nn.Module:
    """`model` in evaluation mode with its present weights: same input, same outputs, on its device, in its dtype.

    It can be neither trained nor unfolded, and keeps no tie to `model`.
    """
    parameter = next(model.parameters())
    exact = copy.deepcopy(model).cpu().double().eval()
    return FoldedHGN(exact).to(parameter.device, parameter.dtype).eval()


class FoldedHGN(nn.Module):
    """See `fold`, which makes it of a model in float64 and evaluation mode."""

    def __init__(self, model: HGN):
        super().__init__()
        self.input = FoldedInput(model.input_conv)
        outputs, model_stages = cast(list[SemGraphConv], model.outputs), cast(list[list[Block]], model.stages)
        projection = torch.cat([torch.cat(tuple(output.weight), 1) for output in outputs], 1)  # (C, 6 S)
        *stages, last = model_stages
        self.stages = nn.ModuleList(nn.ModuleList(FoldedBlock(block) for block in stage) for stage in stages)
        self.stages.append(nn.ModuleList(FoldedBlock(block, projection) for block in last))
        # What a block adds to all nodes alike is left to the fusion behind it, which adds constants anyway.
        shifts = [[torch.zeros_like(projection[:, 0])]]
        shifts += [[attention_shift(block.non_local) for block in stage] for stage in model_stages]
        *fusions, last_fusion = cast(list[Fusion], model.fusions)
        self.fusions = nn.ModuleList(FoldedFusion(f, shift) for f, shift in zip(fusions, shifts, strict=False))
        self.outputs = nn.ModuleList(
            fold_output(layer, getattr(model, f"real_nodes_{t}"), t, last_fusion, shifts[-1])
            for t, layer in enumerate(outputs)
        )

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        """As HGN: pose2d (B, J, 2) in normalized image coordinates (lib.camera) to root-relative 3D in metres."""
        features = [self.input(pose2d)]
        for fusion, stage in zip(self.fusions, self.stages, strict=True):
            # torch types the entries of a ModuleList as Module, these are ModuleLists
            blocks = zip(stage, fusion(features), strict=True)  # type: ignore[call-overload]
            features = [block(x) for block, x in blocks]
        numbers = torch.cat(features, dim=1).split(NUMBERS, dim=2)
        pose3d, *meshes = (output(x) for output, x in zip(self.outputs, numbers, strict=True))
        return HGNOutput(pose3d, tuple(meshes))


class FoldedInput(nn.Module):
    """The input convolution: (B, J, 2) to (B, J, C) by one (2 J, J C) matrix."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, layer: GraphConv):
        super().__init__()
        gconv = cast(SemGraphConv, layer.gconv)
        J, coordinates, C = gconv.node_count, *gconv.weight.shape[1:]
        units = torch.eye(J * coordinates, dtype=gconv.weight.dtype).unflatten(1, (J, coordinates))
        inputs = torch.cat([torch.zeros_like(units[:1]), units]).transpose(0, 1)
        constant, *columns = layer.bn(gconv(inputs).flatten(0, 1)).view(J, -1, C).transpose(0, 1).flatten(1)
        self.register_buffer("weight", torch.stack(columns) - constant)
        self.register_buffer("bias", constant.clone())
        self.shape = (J, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.flatten(1), self.weight).relu_().view(-1, *self.shape)


class FoldedBlock(nn.Module):
    """Block without its shift (`attention_shift`): (B, N, C) to (B, N, C).

    With a projection (C, P), as in the last stage: (B, N, C) to (B, N, P), the block's output times the projection.
    """

    def __init__(self, block: Block, projection: torch.Tensor | None = None):
        super().__init__()
        self.conv1, self.conv2 = fold_conv(block.res.conv1), fold_conv(block.res.conv2)
        node_count = cast(SemGraphConv, block.res.conv1.gconv).node_count
        self.attention = fold_attention(block.non_local, node_count, projection)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x + self.conv2(self.conv1(x)))


class FoldedFusion(nn.Module):
    """Fusion of block outputs that lack their shifts: (B, N_s, C) per scale to (B, N_t, C).

    shifts: per source (C,), what is missing in the features of all its nodes.
    """

    def __init__(self, fusion: Fusion, shifts: list[torch.Tensor]):
        super().__init__()
        self.sequential, self.target_count = fusion.sequential, fusion.target_count
        for name, transfer in transfers(fusion).items():
            self.register_buffer(f"transfer_{name}", transfer.weight[None].clone())
        for t, shift in enumerate(fuse_constants(fusion, shifts)):
            self.register_buffer(f"shift_{t}", shift)  # (N_t, C)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        current, fused = list(features), []
        for t in range(self.target_count):
            parts = [current[t]] if t < len(features) else []
            parts += [getattr(self, f"transfer_{s}_{t}") @ x for s, x in enumerate(current) if s != t]
            fused.append(sum(parts[1:], start=parts[0]))
            if self.sequential and t < len(features):
                current[t] = fused[t]
        return [x + getattr(self, f"shift_{t}") for t, x in enumerate(fused)]


def fold_output(
    layer: SemGraphConv, real_nodes: torch.Tensor, t: int, fusion: Fusion, shifts: list[torch.Tensor]
) -> nn.Module:
    """The last fusion and the output convolution of scale t on projected features: (B, N, NUMBERS) to (B, R, 3).

    N: nodes of all scales together. The numbers of a node are its features times the two weights of the convolution.
    """
    constant = fuse_constants(fusion, shifts)[t]
    shift = layer(constant[:, None])[:, 0][real_nodes]  # what becomes of features that are zero
    mixing, sums = fusion_matrix(fusion)[t], neighbour_sums(layer)[real_nodes]
    if isinstance(layer, ModulatedSemGraphConv):
        return FoldedModulatedOutput(mixing, layer.modulation, sums, shift)
    return FoldedOutput(mixing, sums, shift)


class FoldedOutput(nn.Module):
    """One product: both weights' numbers of all nodes to the real nodes' coordinates."""

    mixing: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mixing: torch.Tensor, sums: torch.Tensor, shift: torch.Tensor):
        super().__init__()
        both = sums.unflatten(1, (-1, 2)).permute(2, 0, 1) @ mixing  # (2, R, N)
        self.register_buffer("mixing", both.permute(1, 2, 0).flatten(1)[None])  # columns: node, then weight
        self.register_buffer("shift", shift)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        values = numbers.reshape(-1, self.mixing.shape[2], NUMBERS // 2)
        return self.mixing @ values + self.shift


class FoldedModulatedOutput(nn.Module):
    """As FoldedOutput; coordinates are scaled node by node between the fusion and the sums over neighbours."""

    mixing: torch.Tensor
    scale: torch.Tensor
    sums: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mixing: torch.Tensor, modulation: torch.Tensor, sums: torch.Tensor, shift: torch.Tensor):
        super().__init__()
        self.register_buffer("mixing", mixing[None].clone())
        self.register_buffer("scale", modulation.repeat_interleave(2, 0))
        self.register_buffer("sums", sums[None])
        self.register_buffer("shift", shift)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        values = (self.mixing @ numbers).reshape(-1, *self.scale.shape) * self.scale
        return self.sums @ values + self.shift


def fuse_constants(fusion: Fusion, shifts: list[torch.Tensor]) -> list[torch.Tensor]:
    """Per target (N_t, C): what the fusion makes of features that are the same (C,) at all nodes of a source."""
    features = [shift.expand(size, 1, -1) for size, shift in zip(source_sizes(fusion), shifts, strict=True)]
    return [x[:, 0] for x in fusion(features)]


def fusion_matrix(fusion: Fusion) -> list[torch.Tensor]:
    """Per target (N_t, N): the fusion without its biases as one matrix on the nodes of all sources together."""
    sizes = source_sizes(fusion)
    identity = torch.eye(sum(sizes), dtype=next(fusion.parameters()).dtype)[:, None]
    with_bias, bias = fusion(list(identity.split(sizes))), fusion(list(torch.zeros_like(identity).split(sizes)))
    return [(a - b)[:, 0] for a, b in zip(with_bias, bias, strict=True)]


def source_sizes(fusion: Fusion) -> list[int]:
    """Node counts of the scales that the fusion reads."""
    sizes = {int(name.split("_")[0]): transfer.in_features for name, transfer in transfers(fusion).items()}
    return [sizes[s] for s in sorted(sizes)]


def transfers(fusion: Fusion) -> dict[str, NodeTransfer]:
    """ "s_t" -> the transfer from scale s to scale t."""
    return cast(dict[str, NodeTransfer], fusion.transfers)
