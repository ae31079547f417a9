"""What a configuration needs on disk, and what is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data import DATASETS
from data.Human36M.annotations import FILE_PARTS, SubjectSamples, find_file, read_subject
from lib.config import Config
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body
from smplpytorch.smplpytorch.native.serialization import find_model_file
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

REGRESSOR = "J_regressor_h36m_correct.npy"
PLAUSIBLE_FIT = 60.0
"""Millimetres between annotated joints and those regressed from the SMPL mesh; good fits lie around 25 mm."""


@dataclass(frozen=True)
class Finding:
    """One line of the check. state: "ok", "note" (works, but look at it) or "wrong" (has to be mended)."""

    state: str
    text: str


def check(cfg: Config) -> Iterator[Finding]:
    """Look at everything that `cfg` reads: body model, annotations of every split, detections, weights."""
    body = None
    try:
        body = load_body(cfg.MODEL.smpl_dir, notice=lambda _: None)
        stand_in = cfg.MODEL.smpl_dir != BUILT_IN and find_model_file(cfg.MODEL.smpl_dir) is None
        text = f"body model: {body.source}, {len(body.v_template)} vertices"
        if stand_in:
            text += f"; no SMPL .pkl in {cfg.MODEL.smpl_dir}, released weights and published numbers need it"
        yield Finding("note" if stand_in else "ok", text)
    except UserError as error:
        yield Finding("wrong", str(error))
    if body is not None:
        splits = [(name, "train") for name in cfg.DATASET.train_list] + [
            (name, "test") for name in cfg.DATASET.test_list
        ]
        for name, split in splits:
            yield from _check_split(cfg, name, split, body)
    if not cfg.DATASET.use_gt_input and cfg.DATASET.detection_file:
        found = Path(cfg.DATASET.detection_file).is_file()
        yield Finding(
            "ok" if found else "wrong", f"detections: {cfg.DATASET.detection_file} {'' if found else 'is missing'}"
        )


def _check_split(cfg: Config, name: str, split: str, body: BodyModel) -> Iterator[Finding]:
    if name not in DATASETS:
        yield Finding("wrong", f"unknown data set {name}; known are {', '.join(DATASETS)}")
        return
    data_dir = Path(cfg.DATASET.data_dir)
    try:
        source = DATASETS[name](data_dir, body)
    except UserError as error:
        yield Finding("wrong", f"{name} {split}: {error}")
        return
    rule = source.splits[split]
    if not rule.subjects:
        yield Finding("wrong", f"{name} {split}: has no subjects")
    for subject in rule.subjects:
        label = f"{name} {split} subject {subject}"
        missing = []
        for part in FILE_PARTS:
            try:
                find_file(source.folder, subject, part)
            except UserError as error:
                missing.append(str(error))
        for text in missing:
            yield Finding("wrong", f"{label}: {text}")
        if missing:
            continue
        try:
            dropped = frozenset(d[1:] for d in rule.dropped if d[0] == subject)
            samples = read_subject(source.folder, subject, rule.frame_stride, dropped)
        except UserError as error:
            yield Finding("wrong", f"{label}: {error}")
            continue
        text = f"{label}: {len(samples.names)} samples of {len(samples.joints)} frames, {len(samples.R)} cameras"
        if samples.without_smpl or samples.bad_boxes:
            text += (
                f" (dropped: {samples.without_smpl} without SMPL parameters, {samples.bad_boxes} with an invalid box)"
            )
        yield Finding("ok" if len(samples.names) else "wrong", text)
        if len(samples.joints):
            yield from _check_units(label, samples.joints)
            yield from _check_fit(label, data_dir / name / REGRESSOR, samples, body)


def _check_units(label: str, joints: np.ndarray) -> Iterator[Finding]:
    """Shin and thigh tell millimetres from metres or centimetres, and one joint order from another."""
    legs = np.linalg.norm(joints[:, [2, 3, 5, 6]] - joints[:, [1, 2, 4, 5]], axis=-1)
    if not 250 < np.median(legs) < 650:
        yield Finding(
            "wrong",
            f"{label}: thighs and shins measure {np.median(legs):.3g}, expected about 450: joints in mm, Human3.6M's order",
        )


def _check_fit(label: str, regressor: Path, samples: SubjectSamples, body: BodyModel) -> Iterator[Finding]:
    """Do annotated joints, SMPL parameters and body model belong together?"""
    matrix = body.joint_regressor
    if matrix is None:
        if not regressor.is_file():
            return
        matrix = np.load(regressor, allow_pickle=False)
        if matrix.shape != (17, len(body.v_template)):
            yield Finding(
                "note", f"{regressor}: shape {matrix.shape} does not fit a body of {len(body.v_template)} vertices"
            )
            return
    rows = np.unique(np.linspace(0, len(samples.joints) - 1, 32).round().astype(int))
    layer = SMPL_Layer(body, torch.float64)
    vertices, _ = layer(*(torch.as_tensor(a[rows]) for a in (samples.pose, samples.betas, samples.transl)))
    fitted = matrix @ vertices.numpy() * 1000
    distance = np.linalg.norm(fitted - samples.joints[rows], axis=-1).mean()
    state = "ok" if distance < PLAUSIBLE_FIT else "wrong"
    text = f"{label}: annotated joints lie {distance:.1f} mm from the body model's on average"
    yield Finding(state, text if state == "ok" else text + "; units, axes or the body model do not belong together")
