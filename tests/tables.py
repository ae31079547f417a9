"""Random tables of samples for tests: made-up people whose 2D really is the projection of their 3D."""

from dataclasses import fields

import numpy as np
import torch

from lib.camera import camera_to_pixel, pixel_to_normalized
from lib.joints import HUMAN36M_17, JointSet
from lib.pose_table import PoseTable
from lib.training.augment import Batch

FIVE_JOINTS = JointSet(
    names=("Hub", "R_Near", "L_Near", "R_Far", "L_Far"),
    bones=((0, 1), (1, 2), (2, 3), (3, 4)),
    flip_pairs=((1, 2), (3, 4)),
    root=0,
)
"""Fits the fixture `small_scales`."""


def random_table(
    count: int, seed: int = 0, joints: JointSet = HUMAN36M_17, nodes: tuple[int, int] = (5, 9), stem: str = "picture"
) -> PoseTable:
    """`count` samples of three actions; coarse and fine meshes of `nodes` nodes, names stem_000000.jpg and up."""
    rng = np.random.default_rng([seed, 5])
    pose3d = rng.normal(0, 0.3, (count, len(joints), 3))
    pose3d -= pose3d[:, :1]
    root = rng.normal((0, 0, 5), (0.5, 0.3, 0.3), (count, 3))
    camera = np.concatenate([rng.normal(1145, 5, (count, 2)), rng.normal(505, 10, (count, 2))], axis=1)
    size = rng.choice([(1000, 1002), (1280, 720)], count).astype(np.float64)
    pixels = camera_to_pixel(pose3d + root[:, None], camera[:, :2], camera[:, 2:])
    single = np.float32
    more = np.random.default_rng([seed, 6])
    up = more.normal((0, -1, 0), 0.2, (count, 3))
    return PoseTable(
        names=np.array([f"{stem}_{i:06d}.jpg" for i in range(count)]),
        actions=np.arange(count) % 3,
        action_names=("Walking", "Sitting", "Eating"),
        sequences=np.arange(count, dtype=np.int32) // 10,
        sequence_names=tuple(f"{stem} {i}" for i in range(-(-count // 10))),
        frames=np.arange(count, dtype=np.int32) % 10,
        pose2d=pixel_to_normalized(pixels, *size.T).astype(single),
        pose3d=pose3d.astype(single),
        root=root.astype(single),
        has_mesh=np.ones(count, bool),
        meshes=tuple(rng.normal(0, 0.3, (count, n, 3)).astype(single) for n in nodes),
        flipped_meshes=tuple(rng.normal(0, 0.3, (count, n, 3)).astype(single) for n in nodes),
        camera=camera.astype(single),
        image_size=size.astype(single),
        up=(up / np.linalg.norm(up, axis=1, keepdims=True)).astype(single),
        smpl_pose=more.normal(0, 0.3, (count, 72)).astype(single),
        smpl_betas=more.normal(0, 1, (count, 10)).astype(single),
    )


def tensors_of(batch: Batch) -> list[torch.Tensor]:
    """All tensors of a batch, in a fixed order."""
    values = [getattr(batch, f.name) for f in fields(batch)]
    tensors = [tensor for value in values for tensor in (value if isinstance(value, tuple) else (value,))]
    return [tensor for tensor in tensors if tensor is not None]
