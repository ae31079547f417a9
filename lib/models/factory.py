"""Factories: where a `Config` ends and plain arguments begin."""

from pathlib import Path
from typing import Any

from lib import checkpoint
from lib.config import Config, config_from_dict
from lib.errors import UserError
from lib.graph.scales import GraphScale, scales_from_state
from lib.joints import JOINT_SETS, JointSet
from lib.models.hgn import HGN
from lib.run_dir import newest_runs

RELEASED_WEIGHTS_DIR = "HGN_human36J_train_human36"
"""The folder under experiment/ where users put the published weights."""


def build_joint_set(cfg: Config) -> JointSet:
    """The joint set of network input and output."""
    return JOINT_SETS[cfg.DATASET.target_joint_set]


def build_model(cfg: Config, scales: list[GraphScale]) -> HGN:
    """The configured network on these graphs, freshly initialised from torch's global random state."""
    return HGN(scales, cfg.MODEL.hidden_dim, cfg.MODEL.fusion)


def find_weights(cfg: Config) -> Path:
    """The checkpoint file that TEST.weight_path means: the file, or the best, final or newest one in the folder, in its
    checkpoint/, or in the newest run folder that it holds.

    The default ./pretrained falls back to experiment/HGN_human36J_train_human36.
    """
    looked = [Path(cfg.TEST.weight_path)]
    if cfg.TEST.weight_path == type(cfg.TEST)().weight_path:
        looked.append(Path(cfg.RUN.experiment_dir) / RELEASED_WEIGHTS_DIR)
    for place in looked:
        if place.is_file():
            return place
        for folder in (place, place / "checkpoint", *(run.checkpoint for run in newest_runs(place)[:1])):
            found = sorted(folder.glob("*.pth.tar"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
            for name in ("best.pth.tar", "final.pth.tar"):
                if folder / name in found:
                    return folder / name
            if found:
                return found[0]
    places = " and ".join(str(p) for p in looked)
    raise UserError(
        f"no weights found: looked for a .pth.tar file in {places}; name one with --set TEST.weight_path=PATH"
    )


def load_network(path: str | Path, cfg: Config, build_scales) -> tuple[HGN, list[GraphScale], dict[str, Any]]:
    """The network of a checkpoint, its graphs and everything else the checkpoint holds.

    This project's checkpoints carry configuration and hierarchy and need nothing else; for released weights, which
    carry neither, the network follows `cfg` on the graphs that `build_scales()` returns.
    """
    content = checkpoint.read(path)
    if content.get("format") == checkpoint.FORMAT:
        try:
            scales = scales_from_state(content["scales"])
            stored = config_from_dict(content["config"], path)
            if len(content["model_state_dict"]["input_conv.gconv.bias"]) != stored.MODEL.hidden_dim:
                raise ValueError("MODEL.hidden_dim is not that of the weights")  # before anything of that size is made
            model = build_model(stored, scales)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path}: the checkpoint's hierarchy or configuration is damaged ({error})") from None
    else:
        scales = build_scales()
        model = build_model(cfg, scales)
    checkpoint.load_state(model, content.pop("model_state_dict"), path)
    return model, scales, content
