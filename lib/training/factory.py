"""Training's parts from a configuration: where `Config` ends and plain arguments begin."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lib.config import Config
from lib.device import data_parallel
from lib.distributed import ALONE, Group, distribute
from lib.errors import UserError
from lib.graph.scales import GraphScale
from lib.models.factory import build_joint_set
from lib.models.hgn import HGNOutput
from lib.pose_table import PoseTable
from lib.training.augment import Batch, DetectionNoise
from lib.training.averaging import WeightAverage
from lib.training.batches import Augmentation, BatchSource
from lib.training.learner import Learner
from lib.training.losses import LossWeights, hgn_losses
from lib.training.people import PeopleMaker
from lib.training.precision import accelerate
from lib.training.schedule import build_optimizer
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.flexible_body import FlexibleBody


def build_learner(
    cfg: Config, model: nn.Module, scales: list[GraphScale], devices: list[torch.device], group: Group = ALONE
) -> Learner:
    """`model`, which is on the first of the devices, made to train on all devices and ranks according to TRAIN and MODEL."""
    network = distribute(model, cfg.TRAIN.sync_bn) if group.size > 1 else data_parallel(model, devices)
    return Learner(
        model,
        accelerate(network, cfg.TRAIN.compile, cfg.TRAIN.precision, devices[0]),
        build_criterion(cfg, scales, devices[0]),
        build_optimizer(cfg.TRAIN, model),
        cfg.TRAIN.skip_nonfinite,
        WeightAverage(model, cfg.TRAIN.average_weights) if cfg.TRAIN.average_weights else None,
        group,
    )


def build_loss_weights(cfg: Config) -> LossWeights:
    """MODEL.*_loss_weight and TRAIN.loss."""
    m = cfg.MODEL
    return LossWeights(
        joint=m.joint_loss_weight,
        mesh=m.mesh_loss_weight,
        normal=m.normal_loss_weight,
        edge=m.edge_loss_weight,
        squared=cfg.TRAIN.loss == "published",
    )


def build_criterion(
    cfg: Config, scales: list[GraphScale], device: torch.device
) -> Callable[[HGNOutput, Batch], dict[str, torch.Tensor]]:
    """The losses of MODEL.*_loss_weight, of a network's output and the batch that it came from."""
    weights = build_loss_weights(cfg)
    faces = tuple(torch.as_tensor(scale.faces, device=device) for scale in scales if scale.faces is not None)
    return lambda output, batch: hgn_losses(output, batch.pose3d, batch.meshes, faces, weights, batch.mesh_weight)


def build_batches(
    cfg: Config,
    tables: list[PoseTable],
    device: torch.device,
    seed: int,
    group: Group = ALONE,
    people: PeopleMaker | None = None,
) -> BatchSource:
    """The batches of TRAIN and AUG; people: of `build_people`."""
    T = cfg.TRAIN
    return BatchSource(tables, device, T.batch_size, T.shuffle, seed, build_augmentation(cfg), group, people)


def build_augmentation(cfg: Config) -> Augmentation:
    """AUG, and noise on the 2D input where neither ground truth nor detections are wanted."""
    A = cfg.AUG
    new_cameras = [name for name in ("view", "body", "detector") if getattr(A, f"{name}_probability")]
    if new_cameras and cfg.DATASET.detections != "gt":
        raise UserError(
            f"AUG.{new_cameras[0]}_probability shows samples through cameras for which DATASET.detections has no 2D joints; "
            "set it to 0"
        )
    noise = None
    if not cfg.DATASET.use_gt_input and not cfg.DATASET.detection_file and cfg.DATASET.detections == "gt":
        n = cfg.DATASET.detection_noise
        height, width = cfg.MODEL.input_shape
        noise = DetectionNoise(n.mean, n.std, n.outlier_probability, (height, width))
    return Augmentation(
        build_joint_set(cfg).flip_permutation,
        flip=A.flip,
        rotate_degrees=A.rotate_factor,
        view_probability=A.view_probability,
        body_probability=A.body_probability,
        detector_probability=A.detector_probability,
        virtual_camera_probability=A.virtual_camera_probability,
        noise=noise,
    )


def build_people(
    cfg: Config, body: BodyModel, scales: list[GraphScale], tables: list[PoseTable], device: torch.device
) -> PeopleMaker | None:
    """What makes new people and detections for AUG.body_probability and AUG.detector_probability; None without either."""
    if not (cfg.AUG.body_probability or cfg.AUG.detector_probability):
        return None
    return people_of(body, scales, tables, device)


def people_of(body: BodyModel, scales: list[GraphScale], tables: list[PoseTable], device: torch.device) -> PeopleMaker:
    """The people of these tables and what is made of them; UserError where no sample has SMPL parameters."""
    poolings = [scale.pooling for scale in scales if scale.pooling is not None]
    with_smpl = [(t, np.flatnonzero(t.has_mesh)) for t in tables]
    if not sum(len(rows) for _, rows in with_smpl):
        raise UserError(
            "new people and detections are made from SMPL parameters, and no sample of these data sets has any; set "
            "AUG.body_probability and AUG.detector_probability to 0"
        )
    columns = (
        [t.smpl_pose for t in tables],
        [t.smpl_betas for t in tables],
        [t.pose3d[rows] for t, rows in with_smpl],
        [t.up[rows] for t, rows in with_smpl],
    )
    pose, betas, pose3d, up = (torch.as_tensor(np.concatenate(column), device=device) for column in columns)
    return PeopleMaker(FlexibleBody(body, poolings, device), pose, betas, pose3d, up)
