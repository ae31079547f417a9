"""The data's side of the benchmark: mesh targets, and reading a subject of Human3.6M's size."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from data.Human36M.source import AnnotationSource, SplitRule
from data.table import load_table
from lib.graph.scales import GraphScale
from lib.pose_table import PoseTable
from main.benchmarking.large_subject import SUBJECT
from main.benchmarking.measure import resident_bytes
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

Meshes = tuple[np.ndarray, ...]


def mesh_targets(
    body: BodyModel, scales: list[GraphScale], frames: int
) -> tuple[Callable[[], Meshes], Callable[[], Meshes]]:
    """Two ways from random poses to coarse meshes (frames, R, 3): SMPL in float32 and its pooled vertices for the first
    frame alone, as a loader does that works sample by sample; this project's CoarseBody for all frames."""
    rng = np.random.default_rng(0)
    joints = len(body.parents)
    pose, betas, transl = (
        rng.normal(0, 0.3, (frames, 3 * joints)),
        rng.normal(0, 1, (frames, 10)),
        np.zeros((frames, 3)),
    )
    poolings = [scale.pooling for scale in scales[1:]]
    layer, coarse = SMPL_Layer(body, torch.float32), CoarseBody(body, poolings)

    @torch.inference_mode()
    def one_sample() -> Meshes:
        vertices, _ = layer(*(torch.as_tensor(a[:1], dtype=torch.float32) for a in (pose, betas, transl)))
        return tuple((pooling @ vertices[0].numpy())[None] for pooling in poolings)

    return one_sample, lambda: coarse(pose, betas, transl)


def start(folder: Path, cache: Path, body: BodyModel, scales: list[GraphScale], frame_stride: int) -> dict[str, float]:
    """One start of a run on the large subject, for a process of its own: seconds, peak bytes and samples.

    With an empty cache this is a first start, else a later one. Every array is read once, as training does.
    """
    coarse = CoarseBody(body, [scale.pooling for scale in scales[1:]])
    source = AnnotationSource(folder, {"train": SplitRule((SUBJECT,), frame_stride)})
    began = time.perf_counter()
    table = load_table(source, "train", {"neutral": coarse}, body.digest(), cache)
    opened = time.perf_counter()
    _read_all(table)
    return {
        "seconds": opened - began,
        "seconds_with_reading": time.perf_counter() - began,
        "peak_bytes": resident_bytes(peak=True),
        "samples": len(table),
    }


def _read_all(table: PoseTable) -> None:
    for array in (table.pose2d, table.pose3d, *table.meshes):
        torch.as_tensor(array).sum()
