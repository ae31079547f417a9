"""What a configuration needs on disk, and what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

from data import build_source
from data.findings import Finding
from lib.config import Config
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body
from smplpytorch.smplpytorch.native.serialization import find_model_file


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
            (name, cfg.DATASET.test_split) for name in cfg.DATASET.test_list
        ]
        for name, split in splits:
            yield from _check_split(cfg, name, split, body)
    if not cfg.DATASET.use_gt_input and cfg.DATASET.detection_file:
        found = Path(cfg.DATASET.detection_file).is_file()
        yield Finding(
            "ok" if found else "wrong", f"detections: {cfg.DATASET.detection_file} {'' if found else 'is missing'}"
        )


def _check_split(cfg: Config, name: str, split: str, body: BodyModel) -> Iterator[Finding]:
    try:
        source = build_source(cfg, name, split, body)
    except UserError as error:
        yield Finding("wrong", f"{name} {split}: {error}")
        return
    yield from source.check(split, f"{name} {split}", body)
