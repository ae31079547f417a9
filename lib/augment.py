"""Augmentation of training samples: pure functions on batches, camera geometry kept exact.

Flips and rotations keep `pose2d` the projection of the sample's 3D pose by its own camera; noise touches the 2D only.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """B samples: pose2d (B, J, 2) screen space; pose3d (B, J, 3) and meshes (B, R, 3) metres, camera axes,
    root-relative; flipped_meshes of the mirrored person; camera (B, 4) f_x, f_y, c_x, c_y px; image_size (B, 2) px."""

    pose2d: torch.Tensor
    pose3d: torch.Tensor
    meshes: tuple[torch.Tensor, ...]
    flipped_meshes: tuple[torch.Tensor, ...]
    camera: torch.Tensor
    image_size: torch.Tensor


@dataclass(frozen=True)
class DetectionNoise:
    """Noise in place of a 2D detector: mean and std in px of a person box of `box_shape` (height, width), and the
    probability of an outlier; each one value or one per joint."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    outlier_probability: tuple[float, ...]
    box_shape: tuple[int, int]


def flip(batch: Batch, chosen: torch.Tensor, permutation: torch.Tensor) -> Batch:
    """Mirror the chosen (B,) bool samples in the plane x = 0 of their camera; permutation (J,) swaps left and right.

    A mirrored sample's meshes come from mirrored SMPL parameters, since a coarse mesh is not symmetric node by node.
    """
    pick = chosen[:, None, None]
    rays = _rays(batch)[:, permutation] * batch.pose2d.new_tensor([-1.0, 1.0])
    mirrored = batch.pose3d[:, permutation] * batch.pose3d.new_tensor([-1.0, 1.0, 1.0])
    pairs = list(zip(batch.meshes, batch.flipped_meshes, strict=True))
    return Batch(
        pose2d=torch.where(pick, _screen(rays, batch), batch.pose2d),
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
        pose2d=_screen(_rays(batch) @ turn2d, batch),
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

    def per_joint(values):
        return pose2d.new_tensor(values).expand(J)[None, :, None]

    def random(kind, *shape):
        return kind(*shape, generator=generator).to(pose2d)

    shift = random(torch.randn, B, J, 2) * per_joint(noise.std) + per_joint(noise.mean)
    noisy = pose2d + shift * (height / noise.box_shape[0])[:, None, None]
    anywhere = centre[:, None] + (random(torch.rand, B, J, 2) - 0.5) * box
    outlier = random(torch.rand, B, J)[..., None] < per_joint(noise.outlier_probability)
    return torch.where(outlier, anywhere, noisy)


def _rays(batch: Batch) -> torch.Tensor:
    """Screen space to rays (B, J, 2): camera_xy / camera_z."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = (batch.pose2d + torch.cat([torch.ones_like(width), height / width], -1)) * width / 2
    return (pixels - batch.camera[:, None, 2:]) / batch.camera[:, None, :2]


def _screen(rays: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The inverse of `_rays`."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = rays * batch.camera[:, None, :2] + batch.camera[:, None, 2:]
    return pixels / width * 2 - torch.cat([torch.ones_like(width), height / width], -1)
