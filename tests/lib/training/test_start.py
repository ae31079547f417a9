from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.config import Config, DatasetConfig, TrainConfig
from lib.errors import UserError
from lib.graph.scales import scales_to_state
from lib.models.factory import build_model
from lib.training.start import load_start, read_start
from tests.tiny_weights import TINY, save_tiny_weights, tiny_network, tiny_scales


def config(place: Path | str) -> Config:
    data = DatasetConfig(("Synthetic",), ("Synthetic",))
    return Config(DATASET=data, MODEL=TINY, TRAIN=TrainConfig(weight_path=str(place)))


def started(place: Path) -> nn.Module:
    """A new network, with other weights of its own, after it has started from this place."""
    cfg = config(place)
    start = read_start(cfg)
    assert start is not None
    torch.manual_seed(1)
    model = build_model(cfg, tiny_scales())
    load_start(model, tiny_scales(), *start)
    return model


@pytest.mark.parametrize("released", [False, True])
def test_a_training_starts_from_the_weights_of_a_checkpoint_or_run_folder(tmp_path, released):
    path = save_tiny_weights(tmp_path / "run" / "checkpoint" / "best.pth.tar")
    expected = tiny_network(config(path)).state_dict()
    if released:
        torch.save({"epoch": 99, "model_state_dict": expected}, path)
    for place in (path, tmp_path / "run"):
        found = started(place).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_without_a_place_a_training_starts_afresh_and_one_without_weights_is_named():
    assert read_start(config("")) is None
    with pytest.raises(UserError, match=r"TRAIN\.weight_path: no \.pth\.tar file in nowhere"):
        read_start(config("nowhere"))


def test_weights_on_other_graphs_start_no_training_even_if_all_sizes_fit(tmp_path):
    skeleton, coarse, fine = tiny_scales()
    turned = replace(coarse, adjacency=coarse.adjacency[::-1, ::-1].copy())
    assert turned.adjacency.sum() == coarse.adjacency.sum()
    path = save_tiny_weights(tmp_path / "a.pth.tar", scales=scales_to_state([skeleton, turned, fine]))
    with pytest.raises(UserError, match="its graphs are not those of this configuration"):
        started(path)
