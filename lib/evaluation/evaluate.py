"""Testing: a table through the network, and the report on it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lib.config import Config
from lib.distributed import ALONE, Group
from lib.errors import UserError
from lib.evaluation.protocols import PROTOCOLS
from lib.evaluation.report import Report, evaluate
from lib.joints import JointSet
from lib.pose_table import PoseTable


class Predictions(NamedTuple):
    """Network outputs for N samples: pose3d (N, J, 3) float32 mm, root-relative; meshes (N, R, 3) float32 metres."""

    pose3d: np.ndarray
    meshes: tuple[np.ndarray, ...]


@torch.inference_mode()
def predict(
    model: nn.Module,
    pose2d: np.ndarray,
    batch_size: int,
    device: torch.device,
    order: np.ndarray | None = None,
    progress: bool = False,
) -> Predictions:
    """Run the network over pose2d (N, J, 2) in evaluation mode; results stand in the samples' own order.

    order (N,): sequence in which samples are put through, by default as they stand.
    """
    model.eval()
    order = np.arange(len(pose2d)) if order is None else order
    inputs = torch.as_tensor(np.asarray(pose2d), device=device)[torch.as_tensor(order, device=device)]
    starts = range(0, max(len(inputs), 1), batch_size)  # no samples, as a rank may have, still give shapes
    starts = tqdm(starts, desc="testing", disable=not progress, leave=False)
    outputs = [model(inputs[i : i + batch_size]) for i in starts]
    back = np.argsort(order, kind="stable")

    def gather(parts):
        return torch.cat(parts).cpu().numpy()[back]

    pose3d = gather([o.pose3d for o in outputs]) * np.float32(1000)
    return Predictions(pose3d, tuple(gather([o.meshes[i] for o in outputs]) for i in range(len(outputs[0].meshes))))


def evaluate_table(
    model: nn.Module,
    table: PoseTable,
    cfg: Config,
    device: torch.device,
    protocol: str,
    weights: str,
    progress: bool = False,
    group: Group = ALONE,
) -> tuple[Report, Predictions]:
    """Predict a whole table and report its errors. Of several ranks each predicts its share; all return the same report,
    rank 0 with all predictions, the others with their own."""
    pose2d = table.pose2d[group.shard(len(table))]
    order = None
    if cfg.TEST.shuffle:
        order = np.random.default_rng(0).permutation(len(pose2d))
    own = predict(model, pose2d, cfg.TEST.batch_size, device, order, progress and group.is_main)
    parts = group.gather(own)
    if parts is None:
        return group.from_main(None), own
    predictions = Predictions(
        np.concatenate([p.pose3d for p in parts]),
        tuple(np.concatenate(meshes) for meshes in zip(*(p.meshes for p in parts), strict=True)),
    )
    finite = np.isfinite(predictions.pose3d).all((1, 2))
    if not finite.all():
        raise UserError(
            f"{weights}: the network's output is not finite for {(~finite).sum()} of {len(table)} samples, the first is "
            f"{table.names[finite.argmin()]}; the weights are spoilt: train with a lower TRAIN.lr, or take others"
        )
    truth = np.asarray(table.pose3d) * np.float32(1000)
    actions = np.asarray(table.action_names)[table.actions]
    sequences = np.asarray(table.sequence_names)[table.sequences]
    scoring = PROTOCOLS[table.protocol]
    report = evaluate(
        predictions.pose3d, truth, actions, protocol, weights, scoring, sequences, np.asarray(table.frames)
    )
    return group.from_main(report), predictions


def describe_protocol(name: str, split: str, table: PoseTable, joints: JointSet) -> str:
    """What the numbers of a report mean, in some sentences for its end."""
    return (
        f"{name}, {split} split, {len(table)} samples, {table.input2d} 2D input; protocol {table.protocol}: "
        f"{PROTOCOLS[table.protocol].sentence}. MPJPE over {len(joints)} joints relative to the {joints.names[joints.root]}, "
        "whose own zero is included; PA-MPJPE after the best similarity transform of each pose."
    )
