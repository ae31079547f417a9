"""The same function as a trained HGN, with less work: for prediction, export and speed.

Everything here is exact algebra on constants, done once in float64 when the network is folded:

- batch normalisation goes into the product before it, and the graphs' softmax is taken once;
- NonLocal's pair scores are a_n + b_m with both projections precomputed, its two affine maps become one,
  W (sum_m f_nm g(x_m)) = sum_m f_nm (W g)(x_m), and 1/N moves into it; values and projections are one product;
- the input convolution is one product from all joints' coordinates to all joints' features;
- behind the last ReLUs of the blocks only NonLocal's scores are not linear, so features are projected there to the 6
  numbers per node that each output convolution makes of them, and the last NonLocals, the last fusion and the output
  convolutions work on those instead of on C channels.

Features are batch-major here, (B, N, C): a product over channels is one matrix product for all nodes of all samples,
a product over nodes is one batched product. The forward passes are written in operations that mean the same in ONNX, with
no size of the batch in them, so that `lib.lifting.export` can trace them.
"""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from lib.models.hgn import HGN, Block, Fusion, HGNOutput, NodeTransfer
from lib.models.non_local import NonLocal
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
        shifts += [[output_map(cast(NonLocal, block.non_local))[1] for block in stage] for stage in model_stages]
        *fusions, last_fusion = cast(list[Fusion], model.fusions)
        self.fusions = nn.ModuleList(FoldedFusion(f, shift) for f, shift in zip(fusions, shifts, strict=False))
        self.outputs = nn.ModuleList(
            FoldedOutput(layer, getattr(model, f"real_nodes_{t}"), t, last_fusion, shifts[-1])
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
        own, others, weight, bias = folded_conv(layer)
        J, C = len(own), len(bias)
        # joint m, coordinate c -> joint n, channel k
        matrix = torch.einsum("nm,ck->mcnk", torch.diag(own), weight[0])
        matrix += torch.einsum("nm,ck->mcnk", others, weight[1])
        self.register_buffer("weight", matrix.reshape(2 * J, J * C))
        self.register_buffer("bias", bias.repeat(J))
        self.shape = (J, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.flatten(1), self.weight).relu_().view(-1, *self.shape)


class FoldedConv(nn.Module):
    """GraphConv: (B, N, C) to (B, N, C)."""

    own: torch.Tensor
    others: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, layer: GraphConv):
        super().__init__()
        own, others, weight, bias = folded_conv(layer)
        self.register_buffer("own", own[:, None])
        self.register_buffer("others", others[None])
        self.register_buffer("weight", weight.flatten(0, 1).T.clone())
        self.register_buffer("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([x * self.own, self.others @ x], dim=2)
        return F.linear(both, self.weight, self.bias).relu_()


class FoldedBlock(nn.Module):
    """Block without its shift (`block_shift`): (B, N, C) to (B, N, C).

    With a projection (C, P), as in the last stage: (B, N, C) to (B, N, P), the block's output times the projection.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, block: Block, projection: torch.Tensor | None = None):
        super().__init__()
        self.conv1, self.conv2 = FoldedConv(block.res.conv1), FoldedConv(block.res.conv2)
        layer = cast(NonLocal, block.non_local)
        W, _ = output_map(layer)
        # The score's other factor 1 / N depends on the graph alone.
        value, value_bias = layer.g.weight.T @ W / len(self.conv1.own), layer.g.bias @ W / len(self.conv1.own)
        halves = layer.score.weight[0].chunk(2)
        score = torch.stack([w @ part.weight for w, part in zip(halves, (layer.theta, layer.phi), strict=True)], 1)
        score_bias = torch.stack([w @ part.bias for w, part in zip(halves, (layer.theta, layer.phi), strict=True)])
        parts = [(value, value_bias), (score, score_bias)]
        if projection is not None:
            none = torch.zeros_like(projection[0])
            parts = [(projection, none), (value @ projection, value_bias @ projection), (score, score_bias)]
        self.widths = [weight.shape[1] for weight, _ in parts[:-1]] + [1, 1]
        self.register_buffer("weight", torch.cat([weight for weight, _ in parts], 1).T.clone())
        self.register_buffer("bias", torch.cat([bias for _, bias in parts]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.conv2(self.conv1(x))
        *own, values, a, b = F.linear(x, self.weight, self.bias).split(self.widths, dim=2)
        scores = (a + b.transpose(1, 2)).relu_()  # (B, N, N)
        return (own[0] if own else x) + scores @ values


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


class FoldedOutput(nn.Module):
    """The last fusion and the output convolution of scale t on projected features: (B, N, NUMBERS) to (B, R, 3).

    N: nodes of all scales together. The numbers of a node are its features times the two weights of the convolution.
    """

    mixing: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self, layer: SemGraphConv, real_nodes: torch.Tensor, t: int, fusion: Fusion, shifts: list[torch.Tensor]
    ):
        super().__init__()
        A = layer.neighbour_weights()[real_nodes]
        own = torch.zeros_like(A)
        own[torch.arange(len(A)), real_nodes] = A[torch.arange(len(A)), real_nodes]
        mixing = torch.stack([own, A - own]) @ fusion_matrix(fusion)[t]  # (2, R, N)
        self.register_buffer("mixing", mixing.permute(1, 2, 0).flatten(1)[None])  # columns: node, then weight
        constant = fuse_constants(fusion, shifts)[t]
        shift = own @ constant @ layer.weight[0] + (A - own) @ constant @ layer.weight[1] + layer.bias
        self.register_buffer("shift", shift)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        values = numbers.reshape(-1, self.mixing.shape[2], NUMBERS // 2)
        return self.mixing @ values + self.shift


def batch_norm_map(bn: nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch normalisation in evaluation mode as x * scale + shift, both (C,)."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale, bn.bias - bn.running_mean * scale


def folded_conv(layer: GraphConv) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """own (N,) and others (N, N): diagonal and rest of the neighbour weights; weight (2, in, out) and bias (out,)."""
    scale, shift = batch_norm_map(layer.bn)
    gconv = cast(SemGraphConv, layer.gconv)
    A = gconv.neighbour_weights()
    own = A.diagonal().clone()
    return own, A - torch.diag(own), gconv.weight * scale, gconv.bias * scale + shift


def output_map(layer: NonLocal) -> tuple[torch.Tensor, torch.Tensor]:
    """NonLocal's BN(W y) as y @ weight (E, C) + shift (C,)."""
    scale, shift = batch_norm_map(layer.bn)
    return layer.W.weight.T * scale, layer.W.bias * scale + shift


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
