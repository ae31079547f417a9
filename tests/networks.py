"""One MODEL section of every kind of network that can be trained, small, for tests that hold for all of them."""

import pytest

from lib.config import ModelConfig

NETWORKS = {
    "HGN": ModelConfig(hidden_dim=8),
    "HGN, skeleton": ModelConfig(hidden_dim=8, scales=1),
    "HGN, coarse mesh": ModelConfig(hidden_dim=8, scales=2),
    "HGN, no mesh losses": ModelConfig(hidden_dim=8, mesh_loss_weight=0),
    "HGN, modulation": ModelConfig(hidden_dim=8, modulation=True),
    "HGN, softmax": ModelConfig(hidden_dim=8, attention="softmax"),
    "HGN, all options": ModelConfig(
        hidden_dim=16, depth=5, scales=2, fusion="parallel", modulation=True, attention="softmax"
    ),
    "SimpleBaseline": ModelConfig("SimpleBaseline", hidden_dim=4),
    "SemGCN": ModelConfig("SemGCN", hidden_dim=8),
    "ModulatedGCN": ModelConfig("ModulatedGCN", hidden_dim=8),
    "Transformer": ModelConfig("Transformer", hidden_dim=8, depth=2),
}


def networks(*quick: str) -> list:
    """Parameters for `pytest.mark.parametrize`: all NETWORKS, those that are not named as slow."""
    return [pytest.param(m, id=name, marks=() if name in quick else pytest.mark.slow) for name, m in NETWORKS.items()]
