"""Procedural people, so that everything runs on a machine without licensed files."""

from pathlib import Path

from data.Human36M.dataset import ACTION_NAMES, SPLITS
from data.Human36M.source import AnnotationSource, SplitRule
from data.Synthetic.generate import generate
from lib.config import DatasetConfig
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel


def synthetic(cfg: DatasetConfig, body: BodyModel) -> AnnotationSource:
    """The source under data_dir/Synthetic, generated at its first use; Human3.6M's subjects, actions and strides."""
    if body.joint_regressor is None:
        raise UserError("Synthetic is made with the built-in body: use it with --set MODEL.smpl_dir=built-in")
    folder = Path(cfg.data_dir) / "Synthetic" / "annotations"
    generate(folder, body)
    splits = {name: SplitRule(rule.subjects, rule.frame_stride) for name, rule in SPLITS.items()}
    return AnnotationSource(folder, splits, ACTION_NAMES)
