"""Training losses: named terms, already weighted, whose sum is minimised."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from lib.models.hgn import HGNOutput


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; the published loss is 100 MSE(pose3d) + MSE(coarse mesh) + MSE(fine mesh) in metres.

    squared: false takes the mean distance of joints and nodes in place of the mean squared error of coordinates.
    """

    joint: float = 100.0
    normal: float = 0.0
    edge: float = 0.0
    mesh: float = 1.0
    squared: bool = True


def hgn_losses(
    output: HGNOutput,
    pose3d: torch.Tensor,
    meshes: tuple[torch.Tensor, ...],
    faces: tuple[torch.Tensor, ...],
    weights: LossWeights,
    mesh_weight: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """{"joint", "mesh_0", "mesh_1"[, "normal", "edge"]: scalar}, means over all elements or, without `squared`, all points.

    pose3d (B, J, 3) and meshes (B, R, 3) are targets in metres; faces (F, 3) per mesh scale index its real nodes. Targets
    of meshes that the network has no output for are skipped. mesh_weight (B,): weights of the samples in the terms of the
    meshes, as in `lib.training.augment.Batch`.
    """
    squared = weights.squared
    terms = {"joint": weights.joint * point_loss(output.pose3d, pose3d, squared)}
    meshes = meshes[: len(output.meshes)]
    for i, (predicted, target) in enumerate(zip(output.meshes, meshes, strict=True)):
        terms[f"mesh_{i}"] = weights.mesh * point_loss(predicted, target, squared, mesh_weight)
    scales = list(zip(output.meshes, meshes, faces, strict=False))
    if weights.normal:
        terms["normal"] = weights.normal * total([normal_loss(*scale, mesh_weight) for scale in scales])
    if weights.edge:
        terms["edge"] = weights.edge * total([edge_loss(*scale, mesh_weight) for scale in scales])
    return terms


def total(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    """The sum of one or more scalars."""
    first, *others = terms
    return sum(others, start=first)


def point_loss(
    predicted: torch.Tensor, target: torch.Tensor, squared: bool = True, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of the coordinates of points (B, N, 3), or their mean distance: of joints in metres, the MPJPE.

    weight (B,): of the samples.
    """
    if squared and weight is None:
        return F.mse_loss(predicted, target)
    return _mean((predicted - target).square() if squared else (predicted - target).norm(dim=-1), weight)


def _mean(errors: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Mean of errors (B, ...); with weight (B,) that of the weighted samples."""
    return errors.mean() if weight is None else (errors.flatten(1).mean(1) * weight).mean()


def normal_loss(
    predicted: torch.Tensor, target: torch.Tensor, faces: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean |cosine| between predicted edges and the target's face normals: 0 when every face is in its plane.

    predicted, target (B, R, 3); faces (F, 3); weight (B,) of the samples. As in Pixel2Mesh (Wang et al., ECCV 2018).
    """
    a, b, c = target[:, faces].unbind(2)
    normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    a, b, c = predicted[:, faces].unbind(2)
    edges = F.normalize(torch.stack([b - a, c - b, a - c], dim=1), dim=-1)
    return _mean((edges * normals[:, None]).sum(-1).abs(), weight)


def edge_loss(
    predicted: torch.Tensor, target: torch.Tensor, faces: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean absolute difference of the faces' edge lengths, metres; shapes as in `normal_loss`."""

    def lengths(nodes):
        corners = nodes[:, faces]
        return (corners - corners.roll(1, dims=2)).norm(dim=-1)

    return _mean((lengths(predicted) - lengths(target)).abs(), weight)
