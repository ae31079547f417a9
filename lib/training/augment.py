"""Augmentation of training samples: pure functions on batches, camera geometry kept exact.

Flips, rotations and new views keep `pose2d` the projection of the sample's 3D pose by its own camera; noise touches the 2D only.
"""

from dataclasses import dataclass, replace

import torch

from lib.camera import ASSUMED_FOCAL, SHOWN_SIZE, turned_to
from lib.device import to_device, to_device_together


@dataclass(frozen=True)
class Batch:
    """B samples: pose2d (B, J, 2) normalized image coordinates; pose3d (B, J, 3) and meshes (B, R, 3) metres, camera axes,
    root-relative; flipped_meshes of the mirrored person; camera (B, 4) f_x, f_y, c_x, c_y px; image_size (B, 2) px; up
    (B, 3) the vertical in camera axes, length 1.

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
    up: torch.Tensor
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
    """Cameras that `new_view` draws from, as people hold them.

    yaw, pitch, roll: largest turn about the true vertical, of the optical axis above and below the horizon, and about the
    optical axis, degrees, all uniform; the fraction `level` of the cameras has a fifth of pitch and roll. distance: from the
    camera to the middle of the person, metres; focal: focal length over the image's longer side (wide-angle to short
    telephoto); size: the person's box over the image, uniform in its logarithm; shapes: width over height of the images.
    """

    yaw: float = 180.0
    pitch: float = 40.0
    roll: float = 25.0
    level: float = 0.5
    distance: tuple[float, float] = (2.0, 15.0)
    focal: tuple[float, float] = (0.55, 2.5)
    size: tuple[float, float] = (0.25, 1.0)
    shapes: tuple[float, ...] = (1.0, 16 / 9, 9 / 16, 4 / 3, 3 / 4)


NEAREST = 0.5
"""Metres from the camera to the nearest joint, at least."""

LONGER_SIDE = 1000.0
"""Pixels of the longer side of a new view's image; nothing depends on it."""


@dataclass(frozen=True)
class View:
    """Cameras of a batch: points of a sample (row vectors, metres, root-relative) go to `points @ turn + shift`, camera
    axes; turn (B, 3, 3), shift (B, 3); focal (B,) and half (B, 2): focal length and half of width and height, px."""

    turn: torch.Tensor
    shift: torch.Tensor
    focal: torch.Tensor
    half: torch.Tensor

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Points (B, P, 3) in the axes before the turn to normalized image coordinates (B, P, 2)."""
        seen = points @ self.turn + self.shift[:, None]
        return seen[..., :2] / seen[..., 2:] * (self.focal / self.half[:, 0])[:, None, None]

    def take(self, rows: torch.Tensor) -> "View":
        """The cameras of these samples."""
        return View(self.turn[rows], self.shift[rows], self.focal[rows], self.half[rows])


def draw_view(batch: Batch, views: ViewRange, generator: torch.Generator) -> View:
    """One camera for each sample: anywhere around it, the person anywhere in the image; see `ViewRange`."""
    device = batch.pose3d.device
    draws = torch.rand(len(batch.pose3d), 9, generator=generator)
    yaw, pitch, roll, level, distance, size, shape, *offset = to_device(draws, device).unbind(1)

    def between(share: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return low * (high / low) ** share

    calm = torch.where(level < views.level, 0.2, 1.0) * (torch.pi / 180)
    turn = (
        _upright(batch.up)
        @ _about((2 * yaw - 1) * views.yaw * (torch.pi / 180), 1)
        @ _about((2 * pitch - 1) * views.pitch * calm, 0)
        @ _about((2 * roll - 1) * views.roll * calm, 2)
    )
    pose = batch.pose3d @ turn
    low, high = pose.amin(1), pose.amax(1)
    half = _half_sizes(shape, views.shapes)
    largest = ((high - low)[:, :2] / (2 * half)).amax(1)  # metres per pixel that make the person as large as the image
    distance = between(distance, *views.distance)
    lowest, highest = (f * LONGER_SIDE for f in views.focal)
    focal = (between(size, *views.size) * distance / largest).clamp(lowest, highest)
    depth = torch.maximum(torch.maximum(distance, focal * largest), NEAREST - low[:, 2])
    free = (1 - (high - low)[:, :2] * (focal / depth)[:, None] / (2 * half)).clamp(min=0)
    place = (2 * torch.stack(offset, 1) - 1) * free * half / focal[:, None]  # as a ray
    shift = torch.cat([place * depth[:, None] - (low + high)[:, :2] / 2, depth[:, None]], 1)
    return View(turn, shift, focal, half)


def new_view(batch: Batch, chosen: torch.Tensor, view: View) -> Batch:
    """Show the chosen (B,) bool samples through other cameras."""
    mirror = torch.diag(_mirror_x(view.turn, 3))
    centre = view.half
    camera = torch.cat([view.focal[:, None].expand_as(centre), centre], 1)

    def pick(new, old):
        return torch.where(chosen.view(-1, *[1] * (old.ndim - 1)), new, old)

    return Batch(
        pose2d=pick(view.project(batch.pose3d), batch.pose2d),
        pose3d=pick(batch.pose3d @ view.turn, batch.pose3d),
        meshes=tuple(pick(m @ view.turn, m) for m in batch.meshes),
        flipped_meshes=tuple(pick(m @ (mirror @ view.turn @ mirror), m) for m in batch.flipped_meshes),
        camera=pick(camera, batch.camera),
        image_size=pick(2 * view.half, batch.image_size),
        up=pick(_turn_rows(batch.up, view.turn), batch.up),
    )


@dataclass(frozen=True)
class ShownRange:
    """How `lib.lifting` shows people to the network: unknown, the fraction of cameras whose focal length and principal point
    it does not know; aim and size: standard deviations of where the virtual camera looks, over the person's box, and of
    the box's logarithm. It follows people smoothly, so that it is never quite where a single image would put it."""

    unknown: float = 0.5
    aim: float = 0.03
    size: float = 0.06


def virtual_view(batch: Batch, chosen: torch.Tensor, shown: ShownRange, generator: torch.Generator) -> Batch:
    """Show the chosen (B,) bool samples as `lib.lifting.virtual_camera` shows people to the network.

    A camera in the same place is turned to the middle of the joints' box and zoomed until the box has SHOWN_SIZE. Where
    the camera is unknown its rays are those of ASSUMED_FOCAL, in training as in prediction.
    """
    B, device = len(chosen), batch.pose2d.device
    noise = to_device(torch.randn(B, 3, generator=generator), device)
    unknown = to_device(torch.rand(B, 1, generator=generator), device) < shown.unknown
    width, height = batch.image_size.unbind(1)
    focal = ASSUMED_FOCAL * torch.maximum(width, height)
    assumed = torch.stack([focal, focal, width / 2, height / 2], 1)
    rays = _rays(replace(batch, camera=torch.where(unknown, assumed, batch.camera)))
    low, high = rays.amin(1), rays.amax(1)
    extent = (high - low).amax(1, keepdim=True)
    aim = (low + high) / 2 + shown.aim * noise[:, :2] * extent
    turn = turned_to(torch.cat([aim, torch.ones_like(extent)], 1)).transpose(1, 2)  # for row vectors
    seen = torch.cat([rays, torch.ones_like(rays[..., :1])], -1) @ turn
    seen = seen[..., :2] / seen[..., 2:]
    extent = (seen.amax(1) - seen.amin(1)).amax(1) * torch.exp(shown.size * noise[:, 2])
    focal = SHOWN_SIZE * LONGER_SIDE / extent
    middle = torch.full_like(focal, LONGER_SIDE / 2)
    mirror = torch.diag(_mirror_x(turn, 3))

    def pick(new, old):
        return torch.where(chosen.view(-1, *[1] * (old.ndim - 1)), new, old)

    return Batch(
        pose2d=pick(2 * SHOWN_SIZE * seen / extent[:, None, None], batch.pose2d),
        pose3d=pick(batch.pose3d @ turn, batch.pose3d),
        meshes=tuple(pick(m @ turn, m) for m in batch.meshes),
        flipped_meshes=tuple(pick(m @ (mirror @ turn @ mirror), m) for m in batch.flipped_meshes),
        camera=pick(torch.stack([focal, focal, middle, middle], 1), batch.camera),
        image_size=pick(torch.full_like(batch.image_size, LONGER_SIDE), batch.image_size),
        up=pick(_turn_rows(batch.up, turn), batch.up),
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
        up=torch.where(chosen[:, None], batch.up * _mirror_x(batch.up, 3), batch.up),
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
        up=_turn_rows(batch.up, turn3d),
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


def _turn_rows(vectors: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Vectors (B, 3) @ turn (B, 3, 3)."""
    return (vectors[:, None] @ turn)[:, 0]


def _about(angle: torch.Tensor, axis: int) -> torch.Tensor:
    """(B, 3, 3) for row vectors: turns by angle (B,) radians about axis 0, 1 or 2, from the next axis to the one after."""
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: (one, zero, zero, zero, cos, sin, zero, -sin, cos),
        1: (cos, zero, -sin, zero, one, zero, sin, zero, cos),
        2: (cos, sin, zero, -sin, cos, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _upright(up: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) for row vectors: the turn that makes `up` (B, 3) point against y, so that a level camera sees it upright."""
    vertical = up[:, 2:].abs() > 0.9  # the optical axis is vertical and gives no direction
    along = torch.where(vertical, _axis(up, 0), _axis(up, 2))
    x = torch.linalg.cross(-up, along.expand_as(up))
    x = x / x.norm(dim=1, keepdim=True)
    return torch.stack([x, -up, torch.linalg.cross(x, -up)], -1)


def _axis(like: torch.Tensor, axis: int) -> torch.Tensor:
    """The unit vector (3,) along an axis, made on the device of `like`."""
    unit = like.new_zeros(3)
    unit[axis] = 1
    return unit


def _half_sizes(share: torch.Tensor, shapes: tuple[float, ...]) -> torch.Tensor:
    """Half of width and height (B, 2), px, of images with one of these ratios of width to height, share (B,) in [0, 1)."""
    ratio = share.new_ones(len(share))
    for i, value in enumerate(shapes):
        ratio = torch.where(share * len(shapes) >= i, value, ratio)
    return torch.stack([ratio.clamp(max=1), (1 / ratio).clamp(max=1)], 1) * (LONGER_SIDE / 2)


def _mirror_x(like: torch.Tensor, dimensions: int) -> torch.Tensor:
    """(-1, 1, ...), made on the device of `like`: copying a constant from the host would wait."""
    signs = like.new_ones(dimensions)
    signs[0] = -1
    return signs


def _rays(batch: Batch) -> torch.Tensor:
    """Normalized image coordinates to rays (B, J, 2): camera_xy / camera_z."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = (batch.pose2d + torch.cat([torch.ones_like(width), height / width], -1)) * width / 2
    return (pixels - batch.camera[:, None, 2:]) / batch.camera[:, None, :2]


def _normalized(rays: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The inverse of `_rays`."""
    width, height = batch.image_size[:, None, :1], batch.image_size[:, None, 1:]
    pixels = rays * batch.camera[:, None, :2] + batch.camera[:, None, 2:]
    return pixels / width * 2 - torch.cat([torch.ones_like(width), height / width], -1)
