"""Testing: a table through the network, and the report on it."""

from dataclasses import dataclass
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
    """Run the network over pose2d (N, J, 2) in evaluation mode; results are in the samples' own order.

    order (N,): sequence in which samples are put through, by default their own.
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


@dataclass(frozen=True)
class Evaluator:
    """Tests networks on tables, by the name of their data set.

    batch_size, shuffle: in which batches and order samples go through the network. Of several ranks in `group` each predicts
    its shard. split: which one the tables are.
    """

    tables: dict[str, PoseTable]
    joints: JointSet
    device: torch.device
    batch_size: int = 64
    shuffle: bool = False
    group: Group = ALONE
    split: str = "test"

    def run(
        self, name: str, model: nn.Module, weights: str, note: str = "", progress: bool = False
    ) -> tuple[Report, Predictions]:
        """Predict the table `name` and report the errors; all ranks return the same report, rank 0 with all predictions,
        the others with their own.

        weights: whose errors these are, for the report and errors; note: what else belongs to its protocol. UserError when the
        network's output is not finite.
        """
        table = self.tables[name]
        pose2d = table.pose2d[self.group.shard(len(table))]
        order = np.random.default_rng(0).permutation(len(pose2d)) if self.shuffle else None
        own = predict(model, pose2d, self.batch_size, self.device, order, progress and self.group.is_main)
        parts = self.group.gather(own)
        if parts is None:
            return self.group.from_main(None), own
        predictions = Predictions(
            np.concatenate([p.pose3d for p in parts]),
            tuple(np.concatenate(meshes) for meshes in zip(*(p.meshes for p in parts), strict=True)),
        )
        _require_finite(predictions, table, weights)
        truth = np.asarray(table.pose3d) * np.float32(1000)
        actions = np.asarray(table.action_names)[table.actions]
        sequences = np.asarray(table.sequence_names)[table.sequences]
        protocol = describe_protocol(name, self.split, table, self.joints) + note
        scoring = PROTOCOLS[table.protocol]
        report = evaluate(
            *(predictions.pose3d, truth, actions, protocol, weights),
            *(scoring, sequences, np.asarray(table.frames), self.joints.root),
        )
        return self.group.from_main(report), predictions


def build_evaluator(
    cfg: Config, tables: dict[str, PoseTable], joints: JointSet, device: torch.device, group: Group = ALONE
) -> Evaluator:
    """The evaluator that TEST describes."""
    return Evaluator(tables, joints, device, cfg.TEST.batch_size, cfg.TEST.shuffle, group, cfg.DATASET.test_split)


def _require_finite(predictions: Predictions, table: PoseTable, weights: str) -> None:
    finite = np.isfinite(predictions.pose3d).all((1, 2))
    if not finite.all():
        raise UserError(
            f"{weights}: the network's output is not finite for {(~finite).sum()} of {len(table)} samples, the first is "
            f"{table.names[finite.argmin()]}; training diverged: train with a lower TRAIN.lr, or take other weights"
        )


def describe_protocol(name: str, split: str, table: PoseTable, joints: JointSet) -> str:
    """What the numbers of a report mean, in some sentences for its end."""
    protocol, root = PROTOCOLS[table.protocol], joints.names[joints.root]
    relative = (
        f"relative to the {root}, whose own zero is included"
        if protocol.root_aligned
        else f"the truth relative to the {root}"
    )
    return (
        f"{name}, {split} split, {len(table)} samples, {table.input2d} 2D input; protocol {table.protocol}: "
        f"{protocol.sentence}. MPJPE over {len(joints)} joints, {relative}; PA-MPJPE after the best similarity transform of "
        "each pose."
    )
