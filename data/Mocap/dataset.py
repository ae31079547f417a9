"""Motion capture files, imported by `main/prepare_data.py mocap`."""

import json
from pathlib import Path

from data.Human36M.source import AnnotationSource, SplitRule
from lib.config import DatasetConfig
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel


def mocap(cfg: DatasetConfig, body: BodyModel) -> AnnotationSource:
    """The source under data_dir/Mocap with the split that the import wrote."""
    folder = Path(cfg.data_dir) / "Mocap"
    path = folder / "split.json"
    if not path.is_file():
        raise UserError(
            f"{path} is missing; import motion capture first: python main/prepare_data.py mocap --input DIR"
        )
    try:
        content = json.loads(path.read_text())
        splits = {
            name: SplitRule(tuple(int(s) for s in content[name]["subjects"]), int(content[name]["frame_stride"]))
            for name in ("train", "test")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not a split file ({error}); import the motion capture again") from None
    return AnnotationSource(folder / "annotations", splits, keep_without_smpl=cfg.without_smpl == "keep")
