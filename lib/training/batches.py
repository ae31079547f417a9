"""Batches out of arrays that live on the training device: an index in, a `Batch` out, no worker, no per-sample Python."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from lib.device import to_device
from lib.distributed import ALONE, Group
from lib.pose_table import PoseTable
from lib.training.augment import (
    Batch,
    DetectionNoise,
    ShownRange,
    ViewRange,
    add_detection_noise,
    draw_view,
    flip,
    new_view,
    rotate,
    virtual_view,
)
from lib.training.detector import Detector
from lib.training.mixing import epoch_length, mixed_order
from lib.training.people import PeopleMaker


@dataclass(frozen=True)
class Augmentation:
    """What happens to training samples; flip_permutation (J,) of the joint set. body, detector and virtual_camera: fractions of
    new people, of input as a detector makes it, and as `lib.lifting` shows it; new people and detections come with a
    new view."""

    flip_permutation: np.ndarray
    flip: bool = False
    rotate_degrees: float = 0.0
    view_probability: float = 0.0
    body_probability: float = 0.0
    detector_probability: float = 0.0
    virtual_camera_probability: float = 0.0
    noise: DetectionNoise | None = None


class BatchSource:
    """The samples of one or several tables on a device, and their order in every epoch.

    Order and augmentation follow from (seed, epoch, step) alone, so an epoch can be taken up in its middle, and by
    another number of ranks: `batch_size` counts the samples of all ranks, of which each takes its shard.
    """

    def __init__(
        self,
        tables: list[PoseTable],
        device: torch.device,
        batch_size: int,
        shuffle: bool,
        seed: int,
        augmentation: Augmentation,
        group: Group = ALONE,
        people: PeopleMaker | None = None,
    ):
        """people: made of the same tables; needed for new people and detections."""
        self.lengths = [len(table) for table in tables]
        self.batch_size, self.shuffle, self.seed, self.augmentation = batch_size, shuffle, seed, augmentation
        self.group = group
        self.names = np.concatenate([np.asarray(t.names) for t in tables])
        self.permutation = torch.as_tensor(augmentation.flip_permutation, device=device)

        def column(get):
            parts = [np.asarray(get(t)) for t in tables]
            # One table on the CPU stays the memory-mapped file, common to all ranks of a host.
            return torch.as_tensor(parts[0] if len(parts) == 1 else np.concatenate(parts)).to(device)

        def mesh_column(name, i):
            parts = [np.asarray(getattr(t, name)[i]) for t in tables]
            if not any(map(len, parts)):  # nothing to take rows from: zeros that no loss sees
                parts = [np.zeros((1, *parts[0].shape[1:]), parts[0].dtype)]
            return torch.as_tensor(parts[0] if len(parts) == 1 else np.concatenate(parts)).to(device)

        scales = range(len(tables[0].meshes))
        self.mesh_rows = _mesh_rows(tables, device)
        self.samples = Batch(
            pose2d=column(lambda t: t.pose2d),
            pose3d=column(lambda t: t.pose3d),
            meshes=tuple(mesh_column("meshes", i) for i in scales),
            flipped_meshes=tuple(mesh_column("flipped_meshes", i) for i in scales) if augmentation.flip else (),
            camera=column(lambda t: t.camera),
            image_size=column(lambda t: t.image_size),
            up=column(lambda t: t.up),
        )
        self.device, self.people = device, people
        self.detector = Detector(people.body.landmark_names, device) if people is not None else None

    def order(self, epoch: int) -> torch.Tensor:
        """Row numbers of all samples of an epoch, in order, on the device."""
        return mixed_order(self.lengths, self.shuffle, _generator(self.seed, epoch)).to(self.device)

    def steps(self) -> int:
        """Batches per epoch."""
        return -(-epoch_length(self.lengths) // self.batch_size)

    def whole_steps(self) -> int:
        """Batches per epoch of the full size; 1 where there is none."""
        return max(epoch_length(self.lengths) // self.batch_size, 1)

    def sample_names(self, order: torch.Tensor, step: int) -> list[str]:
        """Image names of batch number `step`."""
        rows = order[step * self.batch_size : (step + 1) * self.batch_size].cpu().numpy()
        return self.names[rows].tolist()

    def weight(self, step: int) -> float:
        """Factor of this rank's mean over its shard of batch number `step` that makes the ranks' mean that of the batch."""
        count = min(self.batch_size, epoch_length(self.lengths) - step * self.batch_size)
        own = self.group.shard(count)
        return (own.stop - own.start) * self.group.size / count

    def batch(self, order: torch.Tensor, epoch: int, step: int) -> Batch:
        """This rank's shard of batch number `step` of an epoch with this order, augmented; it may be empty.

        Every rank augments the whole batch, a thousandth of a step's work, so that a sample's random numbers do not
        depend on the number of ranks.
        """
        rows = order[step * self.batch_size : (step + 1) * self.batch_size]
        mesh_rows = rows if self.mesh_rows is None else self.mesh_rows[rows]
        batch = _take(self.samples, rows, mesh_rows.clamp(min=0))
        a = self.augmentation
        generator = _generator(self.seed, epoch, step)

        def chosen(probability: float) -> torch.Tensor:
            """(B,) bool, on the CPU, where how many they are may be asked."""
            return torch.rand(len(rows), generator=generator) < probability

        mirrored = torch.zeros(len(rows), dtype=torch.bool)
        if a.flip:
            mirrored = chosen(0.5)
            batch = flip(batch, to_device(mirrored, self.device), self.permutation)
            batch = replace(batch, flipped_meshes=())  # of no further use
        seen, new, detected = (chosen(p) for p in (a.view_probability, a.body_probability, a.detector_probability))
        landmarks = None
        if new.any() or detected.any():
            numbers = _generator(self.seed, epoch, step, 1)  # of their own: the cameras do not depend on who is seen
            batch, landmarks = self._people(batch, mesh_rows, mirrored, new, detected, numbers)
        if (seen := seen | new | detected).any():
            view = draw_view(batch, ViewRange(), generator)
            before, batch = batch, new_view(batch, to_device(seen, self.device), view)
            if detected.any():
                assert self.detector is not None
                assert landmarks is not None
                found = self.detector(view.project(before.pose3d), view.project(landmarks), generator)
                known = to_device(new, self.device) | (mesh_rows >= 0)
                pick = to_device(detected, self.device) & known
                batch = replace(batch, pose2d=torch.where(pick[:, None, None], found, batch.pose2d))
        if a.rotate_degrees:
            angle = to_device(torch.rand(len(rows), generator=generator), self.device) * 2 - 1
            batch = rotate(batch, angle * np.deg2rad(a.rotate_degrees))
        if a.noise is not None:
            batch = replace(batch, pose2d=add_detection_noise(batch.pose2d, a.noise, generator))
        if a.virtual_camera_probability:
            shown = to_device(chosen(a.virtual_camera_probability), self.device)
            batch = virtual_view(batch, shown, ShownRange(), generator)
        if self.mesh_rows is not None:
            has = ((mesh_rows >= 0) | to_device(new, self.device)).to(batch.pose3d.dtype)
            batch = replace(batch, mesh_weight=has * (len(rows) / has.sum().clamp(min=1)))
        shard = self.group.shard(len(rows))
        return _take(batch, shard, shard)

    def _people(
        self,
        batch: Batch,
        mesh_rows: torch.Tensor,
        mirrored: torch.Tensor,
        new: torch.Tensor,
        detected: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[Batch, torch.Tensor]:
        """The batch with `new` people in place of their samples, and landmarks (B, L, 3) of those and the `detected`.

        A new person begins as its sample or, where that has no SMPL parameters, as any other. The masks (B,) are on the
        CPU. The landmarks of samples that are neither new nor have SMPL parameters mean nothing.
        """
        assert self.people is not None
        known, made = ((mask.nonzero().squeeze(1)) for mask in (detected & ~new, new))
        anybody = torch.randint(len(self.people.pose), (len(mesh_rows),), generator=generator)
        rows = torch.where(mesh_rows < 0, to_device(anybody, self.device), mesh_rows)
        landmarks = batch.pose3d.new_zeros(len(rows), len(self.people.body.landmark_names), 3)
        if len(known):
            flipped, known = to_device(mirrored[known], self.device), to_device(known, self.device)
            found = self.people.landmarks(rows[known], flipped, batch.pose3d[known])
            landmarks = landmarks.index_copy(0, known, found)
        if len(made):
            flipped, made = to_device(mirrored[made], self.device), to_device(made, self.device)
            people = self.people.make(rows[made], flipped, generator)
            landmarks = landmarks.index_copy(0, made, people.landmarks)
            meshes = zip(batch.meshes, people.meshes, strict=True)
            batch = replace(
                batch,
                pose3d=batch.pose3d.index_copy(0, made, people.pose3d),
                meshes=tuple(mesh.index_copy(0, made, other) for mesh, other in meshes),
                up=batch.up.index_copy(0, made, people.up),
            )
        return batch, landmarks


def _take(batch: Batch, rows: torch.Tensor | slice, mesh_rows: torch.Tensor | slice) -> Batch:
    return Batch(
        pose2d=batch.pose2d[rows],
        pose3d=batch.pose3d[rows],
        meshes=tuple(mesh[mesh_rows] for mesh in batch.meshes),
        flipped_meshes=tuple(mesh[mesh_rows] for mesh in batch.flipped_meshes),
        camera=batch.camera[rows],
        image_size=batch.image_size[rows],
        up=batch.up[rows],
        mesh_weight=None if batch.mesh_weight is None else batch.mesh_weight[rows],
    )


def _mesh_rows(tables: list[PoseTable], device: torch.device) -> torch.Tensor | None:
    """(N,) row of each sample of the joined tables in their joined meshes, -1 for none; None where all have some."""
    if all(np.asarray(t.has_mesh).all() for t in tables):
        return None
    parts, before = [], 0
    for table in tables:
        rows = table.mesh_rows
        parts.append(np.where(rows >= 0, rows + before, -1))
        before += int((rows >= 0).sum())
    return torch.as_tensor(np.concatenate(parts)).to(device)


def _generator(*numbers: int) -> torch.Generator:
    """A CPU generator whose state follows from the numbers; neighbouring numbers give unrelated streams."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
