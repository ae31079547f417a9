"""Augmentation of training samples: pure functions on batches, camera geometry kept exact.

Flips and rotations keep `pose2d` the projection of the sample's 3D pose by its own camera; noise touches the 2D only.
"""

from dataclasses import dataclass

import torch

from lib.device import to_device_together


@dataclass(frozen=True)
class Batch:
    """B samples: pose2d (B, J, 2) normalized image coordinates; pose3d (B, J, 3) and meshes (B, R, 3) metres, camera axes,
    root-relative; flipped_meshes of the mirrored person; camera (B, 4) f_x, f_y, c_x, c_y px; image_size (B, 2) px.

    mesh_weight (B,): what a sample counts for in the losses of the meshes, 0 where it has none (its meshes then mean
    nothing) and the same for all others, so that the weighted mean over the batch is the mean over the samples that have
    meshes; None where all samples have some.
    """

    pose2d: torch.Tensor
    pose3d: torch.Tensor
    meshes: tuple[torch.Tensor, ...]
    flipped_meshes: tuple[torch.Tensor, ...]
    camera: torch.Tensor
    image_size: torch.Tensor
    mesh_weight: torch.Tensor | None = None


@dataclass(frozen=True)
class DetectionNoise:
    """Noise in place of a 2D detector: mean and std in px of a person box of `box_shape` (height, width), and the
    probability of an outlier; each one value or one per joint."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    outlier_probability: tuple[float, ...]
    box_shape: tuple[int, int]


@dataclass(frozen=True)
class ViewRange:
    """Cameras that `new_view` draws from.

    yaw, pitch: largest turn of the person about the camera's y and x axes, degrees; focal: focal length over picture
    width; size: larger side of the person's box over picture width. All uniform, focal and size in their logarithms.
    """

    yaw: float = 180.0
    pitch: float = 15.0
    focal: tuple[float, float] = (0.8, 1.8)
    size: tuple[float, float] = (0.3, 0.95)


def new_view(batch: Batch, chosen: torch.Tensor, views: ViewRange, generator: torch.Generator) -> Batch:
    """Show the chosen (B,) bool samples through another camera: turned, nearer or farther, anywhere in the picture.

    The camera's y axis stands in for the vertical, which a studio camera's pitch of some degrees makes inexact and the
    pictures more varied. The new pictures are square, with the principal point in the middle.
    """
    B = len(chosen)

    def uniform(low, high):
        return torch.rand(B, generator=generator) * (high - low) + low

    logarithms = (torch.tensor(r).log().tolist() for r in (views.focal, views.size))
    ranges = (-views.yaw, views.yaw), (-views.pitch, views.pitch), *logarithms, (-1, 1), (-1, 1)
    yaw, pitch, focal, size, *offset = to_device_together([uniform(*r) for r in ranges], batch.pose3d.device)
    yaw, pitch = (a * (torch.pi / 180) for a in (yaw, pitch))
    focal, size = torch.exp(focal), torch.exp(size)
    offset = torch.stack(offset, -1) * (1 - size)[:, None]
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    (cy, sy), (cp, sp) = ((torch.cos(a), torch.sin(a)) for a in (yaw, pitch))
    about_y = torch.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy], -1).unflatten(-1, (3, 3))  # row vectors
    about_x = torch.stack([one, zero, zero, zero, cp, sp, zero, -sp, cp], -1).unflatten(-1, (3, 3))
    turn = about_y @ about_x
    mirror = torch.diag(_mirror_x(turn, 3))
    pose = batch.pose3d @ turn
    low, high = pose.amin(1), pose.amax(1)
    depth = torch.maximum(focal * (high - low)[:, :2].amax(1) / size, 0.5 - low[:, 2])
    centre = offset / (2 * focal)[:, None] * depth[:, None] - (low + high)[:, :2] / 2
    rays = (pose[..., :2] + centre[:, None]) / (pose[..., 2:] + depth[:, None, None])
    width = torch.full_like(focal, 1000.0)
    camera = torch.stack([focal * width, focal * width, width / 2, width / 2], -1)

    def pick(new, old):
        return torch.where(chosen.view(-1, *[1] * (old.ndim - 1)), new, old)

    return Batch(
        pose2d=pick(rays * (2 * focal)[:, None, None], batch.pose2d),
        pose3d=pick(pose, batch.pose3d),
        meshes=tuple(pick(m @ turn, m) for m in batch.meshes),
        flipped_meshes=tuple(pick(m @ (mirror @ turn @ mirror), m) for m in batch.flipped_meshes),
        camera=pick(camera, batch.camera),
        image_size=pick(torch.stack([width, width], -1), batch.image_size),
    )


def flip(batch: Batch, chosen: torch.Tensor, permutation: torch.Tensor) -> Batch:
    """Mirror the chosen (B,) bool samples in the plane x = 0 of their camera; permutation (J,) swaps left and right.

    A mirrored sample's meshes come from mirrored SMPL parameters, since a coarse mesh is not symmetric node by node.
    """
    pick = chosen[:, None, None]
    rays = _rays(batch)[:, permutation] * _mirror_x(batch.pose2d, 2)
    mirrored = batch.pose3d[:, permutation] * _mirror_x(batch.pose3d, 3)
    pairs = list(zip(batch.meshes, batch.flipped_meshes, strict=True))
    return Batch(
        pose2d=torch.where(pick, _normalized(rays, batch), batch.pose2d),
        pose3d=torch.where(pick, mirrored, batch.pose3d),
        meshes=tuple(torch.where(pick, flipped, mesh) for mesh, flipped in pairs),
        flipped_meshes=tuple(torch.where(pick, mesh, flipped) for mesh, flipped in pairs),
        camera=batch.camera,
        image_size=batch.image_size,
    )


def rotate(batch: Batch, angle: torch.Tensor) -> Batch:
    """Turn each camera about its optical axis so that the person turns by angle (B,) radians, x towards y."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn2d = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)  # row vectors times this
    turn3d = torch.eye(3, dtype=turn2d.dtype, device=turn2d.device).repeat(len(angle), 1, 1)
    turn3d[:, :2, :2] = turn2d
    back3d = turn3d.transpose(1, 2)  # the mirrored person turns the other way
    return Batch(
        pose2d=_normalized(_rays(batch) @ turn2d, batch),
        pose3d=batch.pose3d @ turn3d,
        meshes=tuple(m @ turn3d for m in batch.meshes),
        flipped_meshes=tuple(m @ back3d for m in batch.flipped_meshes),
        camera=batch.camera,
        image_size=batch.image_size,
    )


def add_detection_noise(pose2d: torch.Tensor, noise: DetectionNoise, generator: torch.Generator) -> torch.Tensor:
    """pose2d (B, J, 2) as an imperfect detector would give it, in the same space.

    The person's box is the tight box of the joints, enlarged to the aspect ratio of `box_shape` and by a quarter.
    Normal noise of the given mean and std is scaled from `box_shape` to that box; an outlier is drawn uniformly from
    the box. The random numbers come from a CPU generator, so they are the same for every device.
    """
    B, J, _ = pose2d.shape
    low, high = pose2d.amin(1), pose2d.amax(1)
    extent, centre = high - low, (low + high) / 2
    ratio = noise.box_shape[1] / noise.box_shape[0]
    height = torch.maximum(extent[:, 1], extent[:, 0] / ratio) * 1.25
    box = torch.stack([height * ratio, height], dim=-1)[:, None]

    drawn = [
        torch.randn(B, J, 2, generator=generator),
        torch.rand(B, J, 2, generator=generator),
        torch.rand(B, J, 1, generator=generator),
    ]
    per_joint = [torch.tensor(values)[:, None] for values in (noise.mean, noise.std, noise.outlier_probability)]
    normal, place, chance, mean, std, probability = to_device_together(drawn + per_joint, pose2d.device)
    noisy = pose2d + (normal * std + mean) * (height / noise.box_shape[0])[:, None, None]
    anywhere = centre[:, None] + (place - 0.5) * box
    outlier = chance < probability
    return torch.where(outlier, anywhere, noisy)


def _mirror_x(like: torch.Tensor, dimensions: int) -> torch.Tensor:
    """(-1, 1, ...), made where `like` lies: a constant of the host would have to be waited for."""
    signs = like.new_ones(dimensions)
    signs[0] = -1
    return signs


def _rays(batch: Batch) -> torch.Tensor:
    """Screen space to rays (B, J, 2): camera_xy / camera_z."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = (batch.pose2d + torch.cat([torch.ones_like(width), height / width], -1)) * width / 2
    return (pixels - batch.camera[:, None, 2:]) / batch.camera[:, None, :2]


def _normalized(rays: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The inverse of `_rays`."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = rays * batch.camera[:, None, :2] + batch.camera[:, None, 2:]
    return pixels / width * 2 - torch.cat([torch.ones_like(width), height / width], -1)
