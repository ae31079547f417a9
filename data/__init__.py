"""Data sets by name, and the way from a configuration to their arrays."""

from collections.abc import Callable
from pathlib import Path

from data.AMASS.dataset import amass
from data.detections import with_detections
from data.Human36M.dataset import human36m
from data.Human36MNpz.dataset import human36m_npz
from data.Mocap.dataset import mocap
from data.MPIINF3DHP.dataset import mpi_inf_3dhp
from data.source import Source
from data.Synthetic.dataset import synthetic
from data.table import load_table
from data.ThreeDPW.dataset import three_dpw
from lib.config import Config, DatasetConfig
from lib.errors import UserError
from lib.graph.hierarchy import build_hierarchy
from lib.pose_table import PoseTable
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.load_body import load_body, model_beside

DATASETS: dict[str, Callable[[DatasetConfig, BodyModel], Source]] = {
    "Human36M": human36m,
    "Human36MNpz": human36m_npz,
    "Synthetic": synthetic,
    "Mocap": mocap,
    "AMASS": amass,
    "3DPW": three_dpw,
    "MPIINF3DHP": mpi_inf_3dhp,
}
"""Name in DATASET.train_list / test_list -> what reads it. Synthetic writes its files at its first use."""


def build_source(cfg: Config, name: str, split: str, body: BodyModel) -> Source:
    """What reads data set `name`; UserError for an unknown name, and where the data set has no such split."""
    if name not in DATASETS:
        raise UserError(f"unknown data set {name}; known are {', '.join(DATASETS)}")
    source = DATASETS[name](cfg.DATASET, body)
    if split not in source.parts:
        raise UserError(f"{name} has no {split} split, only {' and '.join(source.parts)} (DATASET.test_split)")
    return source


def build_table(cfg: Config, name: str, split: str, body: BodyModel | None = None, notice=print) -> PoseTable:
    """All samples of data set `name` (a key of DATASETS), split "train", "test" or, where there is one, "validation"; body:
    when loaded already."""
    body = body or load_body(cfg.MODEL.smpl_dir, notice)
    source = build_source(cfg, name, split, body)
    poolings = [scale.pooling for scale in build_hierarchy(cfg, body.faces) if scale.pooling is not None]
    models = {gender: model_beside(body, gender) for gender in source.genders}
    bodies = {g: CoarseBody(model, poolings) for g, model in models.items() if g == "neutral" or model is not body}
    digests = "-".join(models[gender].digest() for gender in bodies)
    key = f"{digests}-{cfg.MODEL.coarsen_levels}"
    cache = Path(cfg.DATASET.data_dir) / name / "cache"
    table = load_table(source, split, bodies, key, cache, cfg.DATASET.workers)
    if not cfg.DATASET.use_gt_input and cfg.DATASET.detection_file:
        if cfg.DATASET.detections != "gt":
            raise UserError("DATASET.detections and DATASET.detection_file both name a 2D input; keep one of them")
        table = with_detections(table, cfg.DATASET.detection_file, cfg.DATASET.input_joint_set)
    return table
