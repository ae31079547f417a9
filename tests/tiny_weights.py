"""A checkpoint with random weights on the real skeleton and two toy meshes, for tests of what stands behind training."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib import checkpoint
from lib.config import Config, DatasetConfig, ModelConfig, config_to_dict
from lib.graph.adjacency import skeleton_adjacency
from lib.graph.scales import GraphScale, scales_to_state
from lib.joints import HUMAN36M_17
from lib.models.factory import build_model

TINY = ModelConfig(hidden_dim=8)
TETRAHEDRON = np.array([(0, 1, 2), (0, 3, 1), (0, 2, 3), (1, 3, 2)])
OCTAHEDRON = np.array([(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)])


def _mesh_scale(faces: np.ndarray, padding: int) -> GraphScale:
    real = int(faces.max()) + 1
    adjacency = np.eye(real + padding, dtype=bool)
    adjacency[real:] = False
    for a, b in np.concatenate([faces[:, :2], faces[:, 1:], faces[:, ::2]]):
        adjacency[a, b] = adjacency[b, a] = True
    return GraphScale(adjacency, np.arange(real), None, faces)


def tiny_scales() -> list[GraphScale]:
    """17 joints, a mesh of 4 nodes and 1 padding node, one of 6 and 2."""
    skeleton = GraphScale(skeleton_adjacency(17, HUMAN36M_17.bones), np.arange(17))
    return [skeleton, _mesh_scale(TETRAHEDRON, 1), _mesh_scale(OCTAHEDRON, 2)]


def tiny_network(cfg: Config) -> nn.Module:
    """The same weights at every call; outputs are some decimetres large."""
    torch.manual_seed(0)
    model = build_model(cfg, tiny_scales())
    for output in model.outputs if cfg.MODEL.name == "HGN" else ():
        nn.init.uniform_(output.bias, -0.1, 0.1)
    return model


def save_tiny_weights(path: Path, model: ModelConfig = TINY, **changes) -> Path:
    """A checkpoint as a training run writes it, with entries replaced by `changes`."""
    cfg = Config(DATASET=DatasetConfig(("Synthetic",), ("Synthetic",)), MODEL=model)
    content = {
        "epoch": 1,
        "model_state_dict": tiny_network(cfg).state_dict(),
        "config": config_to_dict(cfg),
        "scales": scales_to_state(tiny_scales()),
        "joint_names": list(HUMAN36M_17.names),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, content | changes)
    return path
