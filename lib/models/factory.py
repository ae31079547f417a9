"""Factories: where a `Config` ends and plain arguments begin."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from lib import checkpoint
from lib.config import Config, ModelConfig, config_from_dict
from lib.errors import UserError
from lib.graph.scales import GraphScale, scales_from_state
from lib.joints import JOINT_SETS, JointSet
from lib.models.attention import SoftmaxAttention
from lib.models.baselines.modulated_gcn import ModulatedGCN
from lib.models.baselines.sem_gcn import SemGCN
from lib.models.baselines.simple_baseline import SimpleBaseline
from lib.models.folded import fold
from lib.models.hgn import HGN, STAGES, HGNOutput
from lib.models.modulated_graph_conv import ModulatedSemGraphConv
from lib.models.non_local import NonLocal
from lib.models.onnx_network import OnnxNetwork
from lib.models.sem_graph_conv import SemGraphConv
from lib.models.transformer import Transformer
from lib.run_dir import newest_runs

RELEASED_WEIGHTS_DIR = "HGN_human36J_train_human36"
"""The folder under experiment/ where users put the published weights."""


def build_joint_set(cfg: Config) -> JointSet:
    """The joint set of network input and output."""
    return JOINT_SETS[cfg.DATASET.target_joint_set]


def _build_hgn(m: ModelConfig, scales: list[GraphScale]) -> HGN:
    conv = ModulatedSemGraphConv if m.modulation else SemGraphConv
    attention = SoftmaxAttention if m.attention == "softmax" else NonLocal
    return HGN(scales[: m.scales], m.hidden_dim, m.fusion, m.depth or STAGES, conv, attention)


NETWORKS: dict[str, Callable[[ModelConfig, list[GraphScale]], nn.Module]] = {
    "HGN": _build_hgn,
    # One vector for the whole body is wider than a joint's features: 1024 units where those have 128 channels.
    "SimpleBaseline": lambda m, scales: SimpleBaseline(len(scales[0]), 8 * m.hidden_dim, m.depth or 2),
    "SemGCN": lambda m, scales: SemGCN(scales[0], m.hidden_dim, m.depth or 4),
    "ModulatedGCN": lambda m, scales: ModulatedGCN(scales[0], m.hidden_dim, m.depth or 4),
    "Transformer": lambda m, scales: Transformer(len(scales[0]), m.hidden_dim, m.depth or 6),
}
"""MODEL.name -> the network of a configuration's MODEL section on [skeleton, coarse mesh, fine mesh]."""


def build_model(cfg: Config, scales: list[GraphScale]) -> nn.Module:
    """The configured network on these graphs, freshly initialised from torch's global random state.

    Every network maps pose2d (B, J, 2) to an `HGNOutput`.
    """
    return NETWORKS[cfg.MODEL.name](cfg.MODEL, scales)


def output_scales(cfg: Config, scales: list[GraphScale]) -> list[GraphScale]:
    """Those of [skeleton, coarse mesh, fine mesh] for which the configured network has an output."""
    return scales[: cfg.MODEL.scales if cfg.MODEL.name == "HGN" else 1]


def can_fold(model: nn.Module) -> bool:
    """Whether `lib.models.folded` knows the network: HGN with both meshes, of any size."""
    return isinstance(model, HGN) and len(model.outputs) == 3


def build_predictor(model: nn.Module) -> nn.Module:
    """A copy of the network in evaluation mode, folded where that is known."""
    return fold(cast(HGN, model)) if can_fold(model) else copy.deepcopy(model).eval()


def build_fast_predictor(
    model: nn.Module, device: torch.device, joint_count: int
) -> Callable[[torch.Tensor], HGNOutput]:
    """The predictor as it runs fastest on `device`, for `lib.models.inference`: on a CPU by ONNX Runtime, if it is installed.

    Its outputs differ from those of `build_predictor` by rounding alone. Making it takes a third of a second.
    """
    predictor = build_predictor(model)
    if device.type != "cpu":
        return predictor.to(device)
    try:
        return OnnxNetwork(predictor.cpu().float(), joint_count)
    except ImportError:
        return predictor


def find_weights(cfg: Config) -> Path:
    """The checkpoint file that TEST.weight_path means: the file, or the best, final or newest one in the folder, in its
    checkpoint/, or in the newest run folder that it holds.

    The default ./pretrained falls back to experiment/HGN_human36J_train_human36.
    """
    looked = [Path(cfg.TEST.weight_path)]
    if cfg.TEST.weight_path == type(cfg.TEST)().weight_path:
        looked.append(Path(cfg.RUN.experiment_dir) / RELEASED_WEIGHTS_DIR)
    for place in looked:
        if found := checkpoint_at(place):
            return found
    places = " and ".join(str(p) for p in looked)
    raise UserError(
        f"no weights found: looked for a .pth.tar file in {places}; name one with --set TEST.weight_path=PATH"
    )


def checkpoint_at(place: Path) -> Path | None:
    """The checkpoint file that a file or folder means; None where there is none."""
    if place.is_file():
        return place
    for folder in (place, place / "checkpoint", *(run.checkpoint for run in newest_runs(place)[:1])):
        found = sorted(folder.glob("*.pth.tar"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
        for name in ("best.pth.tar", "final.pth.tar"):
            if folder / name in found:
                return folder / name
        if found:
            return found[0]
    return None


def load_network(path: str | Path, cfg: Config, build_scales) -> tuple[nn.Module, list[GraphScale], dict[str, Any]]:
    """The network of a checkpoint, the graphs of its outputs and everything else the checkpoint holds.

    This project's checkpoints carry configuration and hierarchy and need nothing else; for released weights, which
    carry neither, the network follows `cfg` on the graphs that `build_scales()` returns.
    """
    content = checkpoint.read(path)
    if content.get("format") == checkpoint.FORMAT:
        try:
            scales = scales_from_state(content["scales"])
            cfg = config_from_dict(content["config"], path)
            _check_width(cfg.MODEL, content["model_state_dict"])
            model = build_model(cfg, scales)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path}: the checkpoint's hierarchy or configuration is damaged ({error})") from None
    else:
        scales = build_scales()
        model = build_model(cfg, scales)
    checkpoint.load_state(model, content.pop("model_state_dict"), path)
    return model, output_scales(cfg, scales), content


def _check_width(m: ModelConfig, state: dict[str, Any]) -> None:
    """ValueError for a width that these weights cannot have, before anything of that size is made."""
    if m.hidden_dim > max(max(value.shape, default=0) for value in state.values()):
        raise ValueError("MODEL.hidden_dim is not that of the weights")
