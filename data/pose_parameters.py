"""The SMPL poses of a configuration's training sets, for the pose prior of `lib.lifting.pose_prior`."""

import numpy as np

from data import DATASETS
from lib.config import Config
from lib.errors import UserError
from smplpytorch.smplpytorch.load_body import load_body


def training_poses(cfg: Config, notice=print) -> np.ndarray:
    """(F, 3 K) rotation vectors in radians, one row per distinct frame of all data sets in DATASET.train_list.

    UserError where none has SMPL parameters.
    """
    body = load_body(cfg.MODEL.smpl_dir, notice)
    unknown = [name for name in cfg.DATASET.train_list if name not in DATASETS]
    if unknown:
        raise UserError(f"unknown data set {unknown[0]}; known are {', '.join(DATASETS)}")
    poses = []
    for name in cfg.DATASET.train_list:
        source = DATASETS[name](cfg.DATASET, body)
        source.identity("train")
        poses += [chunk.smpl.pose for chunk in source.chunks("train", progress=False) if chunk.smpl is not None]
    if not sum(map(len, poses)):
        raise UserError(f"{', '.join(cfg.DATASET.train_list)}: no SMPL parameters, so there is no pose to learn from")
    return np.concatenate(poses).astype(np.float64)
