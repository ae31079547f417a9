"""Training's parts from a configuration: where `Config` ends and plain arguments begin."""

from lib.config import Config
from lib.errors import UserError
from lib.models.factory import build_joint_set
from lib.training.augment import DetectionNoise
from lib.training.batches import Augmentation
from lib.training.losses import LossWeights


def build_loss_weights(cfg: Config) -> LossWeights:
    """MODEL.*_loss_weight."""
    m = cfg.MODEL
    return LossWeights(m.joint_loss_weight, m.normal_loss_weight, m.edge_loss_weight, m.mesh_loss_weight)


def build_augmentation(cfg: Config) -> Augmentation:
    """AUG, and noise on the 2D input where neither ground truth nor detections are wanted."""
    if cfg.AUG.view_probability and cfg.DATASET.detections != "gt":
        raise UserError(
            "AUG.view_probability shows samples through cameras for which DATASET.detections has no 2D joints; set it to 0"
        )
    noise = None
    if not cfg.DATASET.use_gt_input and not cfg.DATASET.detection_file and cfg.DATASET.detections == "gt":
        n = cfg.DATASET.detection_noise
        noise = DetectionNoise(n.mean, n.std, n.outlier_probability, cfg.MODEL.input_shape)
    return Augmentation(
        build_joint_set(cfg).flip_permutation, cfg.AUG.flip, cfg.AUG.rotate_factor, cfg.AUG.view_probability, noise
    )
