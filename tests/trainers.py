"""Trainers of small networks, put together as main/train.py does it."""

import torch
from torch import nn

from lib.config import Config
from lib.distributed import ALONE, Group
from lib.evaluation.evaluate import build_evaluator
from lib.graph.scales import GraphScale
from lib.joints import JointSet
from lib.pose_table import PoseTable
from lib.run_dir import RunDir
from lib.training.batches import BatchSource
from lib.training.checkpoints import Checkpoints, describe_run
from lib.training.factory import build_learner
from lib.training.reporter import Reporter
from lib.training.trainer import Trainer
from tests.tables import FIVE_JOINTS


def assemble(
    cfg: Config,
    model: nn.Module,
    scales: list[GraphScale],
    batches: BatchSource,
    tests: dict[str, PoseTable],
    run: RunDir,
    joints: JointSet = FIVE_JOINTS,
    group: Group = ALONE,
    kind: type[Trainer] = Trainer,
) -> Trainer:
    """A trainer of this network on the batches' device; the seed is the batches'."""
    device: torch.device = batches.device
    described = describe_run(cfg, scales, joints, batches.seed, batches.lengths)
    return kind(
        cfg.TRAIN,
        build_learner(cfg, model, scales, [device], group),
        batches,
        build_evaluator(cfg, tests, joints, device, group),
        Checkpoints(run.checkpoint, described, cfg.TRAIN.keep),
        Reporter(run, group.is_main),
        group,
    )
