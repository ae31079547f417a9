"""Human3.6M (Ionescu et al., PAMI 2014) in COCO-style annotation files with SMPL parameters."""

from pathlib import Path

from data.Human36M.source import AnnotationSource, SplitRule
from lib.config import DatasetConfig
from smplpytorch.smplpytorch.body_model import BodyModel

ACTION_NAMES = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "Photo", "Waiting", "Walking", "WalkDog", "WalkTogether",
)  # fmt: skip
"""Action names in the order of action_idx - 2."""

SPLITS = {
    "train": SplitRule(subjects=(1, 5, 6, 7, 8), frame_stride=5),
    "test": SplitRule(subjects=(9, 11), frame_stride=50, dropped=((9, 5, 2), (9, 10, 2), (9, 13, 1))),
}
"""The published split; the dropped recordings have wrong ground truth."""


def human36m(cfg: DatasetConfig, body: BodyModel) -> AnnotationSource:
    """The source under data_dir/Human36M; the body takes no part."""
    folder = Path(cfg.data_dir) / "Human36M" / "annotations"
    return AnnotationSource(folder, SPLITS, ACTION_NAMES, cfg.without_smpl == "keep")
