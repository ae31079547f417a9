"""Training losses: named terms, already weighted, whose sum is minimised."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from lib.models.hgn import HGNOutput


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; the published loss is 100 MSE(pose3d) + MSE(coarse mesh) + MSE(fine mesh) in metres."""

    joint: float = 100.0
    normal: float = 0.0
    edge: float = 0.0
    mesh: float = 1.0


def hgn_losses(
    output: HGNOutput,
    pose3d: torch.Tensor,
    meshes: tuple[torch.Tensor, ...],
    faces: tuple[torch.Tensor, ...],
    weights: LossWeights,
) -> dict[str, torch.Tensor]:
    """{"joint", "mesh_0", "mesh_1"[, "normal", "edge"]: scalar}, means over all elements.

    pose3d (B, J, 3) and meshes (B, R, 3) are targets in metres; faces (F, 3) per mesh scale index its real nodes. Targets
    of meshes that the network has no output for are skipped.
    """
    terms = {"joint": weights.joint * F.mse_loss(output.pose3d, pose3d)}
    meshes = meshes[: len(output.meshes)]
    for i, (predicted, target) in enumerate(zip(output.meshes, meshes, strict=True)):
        terms[f"mesh_{i}"] = weights.mesh * F.mse_loss(predicted, target)
    if weights.normal:
        terms["normal"] = weights.normal * sum(map(normal_loss, output.meshes, meshes, faces))
    if weights.edge:
        terms["edge"] = weights.edge * sum(map(edge_loss, output.meshes, meshes, faces))
    return terms


def normal_loss(predicted: torch.Tensor, target: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Mean |cosine| between predicted edges and the target's face normals: 0 when every face lies in its plane.

    predicted, target (B, R, 3); faces (F, 3). As in Pixel2Mesh (Wang et al., ECCV 2018).
    """
    a, b, c = target[:, faces].unbind(2)
    normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    a, b, c = predicted[:, faces].unbind(2)
    edges = F.normalize(torch.stack([b - a, c - b, a - c]), dim=-1)
    return (edges * normals).sum(-1).abs().mean()


def edge_loss(predicted: torch.Tensor, target: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the faces' edge lengths, metres; shapes as in `normal_loss`."""

    def lengths(nodes):
        corners = nodes[:, faces]
        return (corners - corners.roll(1, dims=2)).norm(dim=-1)

    return (lengths(predicted) - lengths(target)).abs().mean()
