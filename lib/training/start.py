"""The weights that a training starts from: TRAIN.weight_path."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib import checkpoint
from lib.config import Config
from lib.errors import UserError
from lib.graph.scales import GraphScale, scales_to_state
from lib.models.factory import checkpoint_at


def read_start(cfg: Config) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint that TRAIN.weight_path means, found as `find_weights` finds it, and its content; None without the key."""
    if not cfg.TRAIN.weight_path:
        return None
    path = checkpoint_at(Path(cfg.TRAIN.weight_path))
    if path is None:
        raise UserError(f"TRAIN.weight_path: no .pth.tar file in {cfg.TRAIN.weight_path}")
    return path, checkpoint.read(path)


def load_start(model: nn.Module, scales: list[GraphScale], path: Path, content: dict[str, Any]) -> None:
    """Load what `read_start` read into a new model on these scales; UserError where it is of another network or hierarchy."""
    if content.get("format") == checkpoint.FORMAT:
        try:
            same = all(
                torch.equal(old[name], new[name])
                for old, new in zip(content["scales"], scales_to_state(scales), strict=True)
                for name in new
            )
        except (KeyError, TypeError, ValueError):
            same = False
        if not same:
            raise UserError(
                f"{path}: its graphs are not those of this configuration; give the same MODEL.smpl_dir and "
                "MODEL.coarsen_levels"
            )
    checkpoint.load_state(model, content["model_state_dict"], path)
