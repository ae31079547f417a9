"""Every kind of network trains, is saved and goes on, through the one training loop."""

import re

import numpy as np
import pytest
import torch

from lib import checkpoint
from lib.config import Config, DatasetConfig, ModelConfig, RunConfig, TrainConfig
from lib.models.factory import build_model
from lib.run_dir import create_run_dir
from lib.training.batches import Augmentation, BatchSource
from lib.training.trainer import Trainer
from tests.networks import NETWORKS, networks
from tests.tables import FIVE_JOINTS, random_table
from tests.trainers import assemble

TRAIN_TABLE = random_table(23, joints=FIVE_JOINTS)  # two batches of 11 and one of a single sample
TEST_TABLE = random_table(7, seed=1, joints=FIVE_JOINTS)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    monkeypatch.setattr("lib.training.reporter.draw_curves", lambda log, loss, error: None)


def make_trainer(folder, model: ModelConfig, scales, end_epoch: int) -> Trainer:
    dataset, train = DatasetConfig(("Human36M",), ("Human36M",)), TrainConfig(batch_size=11, end_epoch=end_epoch)
    cfg = Config(dataset, model, train, RUN=RunConfig(str(folder)))
    torch.manual_seed(0)
    network = build_model(cfg, scales)
    batches = BatchSource([TRAIN_TABLE], CPU, 11, True, 0, Augmentation(FIVE_JOINTS.flip_permutation, True))
    return assemble(cfg, network, scales, batches, {"Human36M": TEST_TABLE}, create_run_dir(cfg))


QUICK = ("HGN", "HGN, no mesh losses", "SimpleBaseline")
"""Of the others every step is tested with the network alone, in tests/lib/models."""


@pytest.mark.parametrize("model", networks(*QUICK))
def test_a_run_trains_everything_and_resumed_ends_with_the_same_weights(tmp_path, small_scales, model):
    whole = make_trainer(tmp_path / "whole", model, small_scales, 1)
    before = {name: value.clone() for name, value in whole.learner.model.state_dict().items()}
    whole.train()
    assert all(np.isfinite(entry["test"]["mpjpe"]) for entry in whole.progress.log)
    path = whole.reporter.run.checkpoint / "previous.pth.tar"
    torch.manual_seed(9)
    resumed = make_trainer(tmp_path / "resumed", model, small_scales, 1)
    resumed.restore(path, checkpoint.read(path))
    assert resumed.progress.epoch == 1
    resumed.train()
    after = resumed.learner.model.state_dict()
    for name, value in whole.learner.model.state_dict().items():
        assert torch.equal(value, after[name]), name
    still = {name for name, value in after.items() if torch.equal(value, before[name])}
    # Without mesh losses nothing reaches the mesh outputs, nor what the last fusion hands to them.
    of_meshes = {name for name in after if re.match(r"outputs\.[12]|fusions\.4\.transfers\.\d_[12]", name)}
    assert still == (set() if model.mesh_loss_weight else of_meshes)


def test_without_mesh_losses_their_terms_are_zero_and_the_others_stay(tmp_path, small_scales):
    trainer = make_trainer(tmp_path, NETWORKS["HGN, no mesh losses"], small_scales, 0)
    trainer.train()
    losses = trainer.progress.log[0]
    assert losses["loss_mesh_0"] == losses["loss_mesh_1"] == 0
    assert losses["loss"] == losses["loss_joint"] > 0
